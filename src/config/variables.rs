//! `${NAME}` and `${NAME:-default}`: what the environment says, anywhere in a value.

use crate::flow::diagnostic::{Diagnostics, Place, Problem};
use crate::flow::yaml::Node;

/// Where variables come from.
pub type Environment<'a> = dyn Fn(&str) -> Option<String> + 'a;

/// Puts the variables' values into every single value below `node`. A variable that is not set and has
/// no default is a mistake, and its value is refused: what stands there otherwise nobody knows.
pub fn substitute(node: &mut Node, environment: &Environment<'_>, diagnostics: &Diagnostics<'_>) {
    node.rewrite(&mut |scalar, place| {
        if !scalar.text.contains("${") {
            return true;
        }
        let expanded = expand(&scalar.text, place, environment, diagnostics);
        let good = expanded.is_some();
        scalar.text = expanded.unwrap_or_default();
        good
    });
}

fn expand(text: &str, place: Place, environment: &Environment<'_>, diagnostics: &Diagnostics<'_>) -> Option<String> {
    let mut out = String::with_capacity(text.len());
    let (mut rest, mut good) = (text, true);
    while let Some(at) = rest.find("${") {
        out.push_str(&rest[..at]);
        let reference = &rest[at..];
        let Some(end) = reference.find('}') else {
            report_malformed(reference, place, diagnostics);
            return None;
        };
        let (reference, after) = reference.split_at(end + 1);
        rest = after;
        let inner = &reference[2..end];
        let (name, default) = match inner.split_once(":-") {
            Some((name, default)) => (name, Some(default)),
            None => (inner, None),
        };
        if !is_name(name) {
            report_malformed(reference, place, diagnostics);
            good = false;
            continue;
        }
        // As in a shell, `:-` also stands in for a variable that is set to nothing.
        match environment(name).filter(|value| default.is_none() || !value.is_empty()).or(default.map(str::to_owned)) {
            Some(value) => out.push_str(&value),
            None => {
                good = false;
                let message = format!("the environment has no variable `{name}`");
                Problem::error("missing-variable", part(reference, place, diagnostics), message)
                    .help(format!("set it, or give a default: ${{{name}:-…}}"))
                    .report(diagnostics);
            }
        }
    }
    out.push_str(rest);
    good.then_some(out)
}

fn is_name(name: &str) -> bool {
    let mut chars = name.chars();
    chars.next().is_some_and(|c| c.is_ascii_alphabetic() || c == '_')
        && chars.all(|c| c.is_ascii_alphanumeric() || c == '_')
}

fn report_malformed(reference: &str, place: Place, diagnostics: &Diagnostics<'_>) {
    Problem::error("bad-variable", part(reference, place, diagnostics), format!("`{reference}` names no variable"))
        .help("write it like ${NAME} or ${NAME:-default}")
        .report(diagnostics);
}

/// The part of the value that says `text`; the whole value where an escape hides it.
fn part(text: &str, whole: Place, diagnostics: &Diagnostics<'_>) -> Place {
    match diagnostics.text(whole).find(text) {
        Some(at) => Place { start: whole.start + at, end: whole.start + at + text.len(), ..whole },
        None => whole,
    }
}

#[cfg(test)]
mod tests {
    use crate::config::load::fixture::loaded;

    #[test]
    fn a_variable_that_is_not_set_is_one_mistake() {
        let text = "flows: order.yaml\nsources:\n  shop: {type: postgres, url: \"${SHOP}\", tables: {orders: {}}}\n";
        let (config, told) = loaded(text, &[]);
        assert!(config.is_none());
        assert_eq!(told.matches("error[").count(), 1, "{told}");
        assert!(told.contains("error[missing-variable]: the environment has no variable `SHOP`"), "{told}");
    }
}
