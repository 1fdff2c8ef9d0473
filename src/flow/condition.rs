//! Reading what selects records (`when`) and what gives values (`key`, `keep`, …).
//!
//! Paths, literals and comparisons of the two are understood here, so that they never go through the
//! expression engine; everything else is an expression.

use super::diagnostic::{Diagnostics, Problem, Spanned, nearest};
use super::expression::{ExpressionError, Program};
use super::path::{Cursor, ROOTS, is_name, literal};
use super::plan::{Condition, Expr, Path, Root, Segment};

/// Reads a condition; `each` says whether the step takes records apart.
pub(super) fn condition(text: &Spanned<String>, each: bool, diagnostics: &Diagnostics<'_>) -> Option<Condition> {
    if text.value.trim() == "true" {
        return Some(Condition::Always);
    }
    let mut cursor = Cursor::new(text.value.trim());
    let simple = alternatives(&mut cursor).filter(|condition| cursor.at_end() && (each || !names_each(condition)));
    match simple {
        Some(condition) => Some(condition),
        None => program(text, each, diagnostics).map(Condition::Program),
    }
}

/// Reads what gives a value.
pub(super) fn expr(text: &Spanned<String>, each: bool, diagnostics: &Diagnostics<'_>) -> Option<Expr> {
    if let Some(value) = literal(&text.value) {
        return Some(Expr::Literal(value));
    }
    match Path::parse(&text.value).filter(|path| each || path.root != Root::Each) {
        Some(path) => Some(Expr::Path(path)),
        None => program(text, each, diagnostics).map(Expr::Program),
    }
}

/// Reads what must be a path.
pub(super) fn path(text: &Spanned<String>, what: &str, diagnostics: &Diagnostics<'_>) -> Option<Path> {
    let path = Path::parse(&text.value).filter(|path| path.root != Root::Each);
    if path.is_none() {
        let message = format!("`{what}` should be a path, and this is not one");
        Problem::error("bad-path", text.place, message).help("write it like `body.items`").report(diagnostics);
    }
    path
}

fn program(text: &Spanned<String>, each: bool, diagnostics: &Diagnostics<'_>) -> Option<Program> {
    if let Some(problem) = foreign_path(text, each) {
        problem.report(diagnostics);
        return None;
    }
    match Program::compile(&text.value, each) {
        Ok(program) => Some(program),
        Err(error) => {
            expression_error(text, &error, diagnostics).report(diagnostics);
            None
        }
    }
}

/// What an expression's error looks like in the document.
pub(super) fn expression_error(
    text: &Spanned<String>,
    error: &ExpressionError,
    diagnostics: &Diagnostics<'_>,
) -> Problem {
    let place = match error.at {
        Some(at) => diagnostics.part(text, at, error.length),
        None => text.place,
    };
    let problem = Problem::error("bad-expression", place, error.message.clone());
    match hyphenated(text.value.trim()) {
        Some(path) => problem.help(format!("`-` is a minus; a name with it is written `'{path}'`")),
        None => problem,
    }
}

/// `headers.x-id` as it must be written: `headers["x-id"]`.
fn hyphenated(text: &str) -> Option<String> {
    let mut words = text.split('.');
    let root = words.next().filter(|root| ROOTS.iter().any(|(name, _)| name == root))?;
    let words: Vec<&str> = words.collect();
    let fits = |word: &&str| !word.is_empty() && word.chars().all(|c| c.is_alphanumeric() || c == '_' || c == '-');
    if !(text.contains('-') && words.iter().all(fits)) {
        return None;
    }
    let segments = words.into_iter().map(|word| Segment::Field(word.to_owned())).collect();
    Some(Path { segments, ..Path::parse(root)? }.to_string())
}

/// A path, but of nothing that is known: `order.id` where `body.order.id` was meant.
fn foreign_path(text: &Spanned<String>, each: bool) -> Option<Problem> {
    let written = text.value.trim();
    let root = written.split('.').next().unwrap_or_default();
    if !written.split('.').all(is_name) {
        return None;
    }
    if root == "each" && !each {
        let message = "`each` is the element that `each:` of a step takes out of a record, and this step has none";
        let problem = Problem::error("unknown-path", text.place, message);
        return Some(problem.help("give the step `each: body.…`, the path of the list"));
    }
    let names: Vec<&str> = ROOTS.iter().map(|(name, _)| *name).filter(|name| each || *name != "each").collect();
    if names.contains(&root) {
        return None;
    }
    let message = format!("`{root}` is nothing that a record has; a path begins with one of: {}", names.join(", "));
    let problem = Problem::error("unknown-path", text.place, message);
    Some(match nearest(root, &names) {
        Some(near) => problem.help(format!("did you mean `{near}{}`?", &written[root.len()..])),
        None => problem.help(format!("did you mean `body.{written}`? a text is written `\"'{written}'\"`")),
    })
}

fn alternatives(cursor: &mut Cursor<'_>) -> Option<Condition> {
    several(cursor, "||", conjunction, Condition::Any)
}

fn conjunction(cursor: &mut Cursor<'_>) -> Option<Condition> {
    several(cursor, "&&", comparison, Condition::All)
}

fn several(
    cursor: &mut Cursor<'_>,
    operator: &str,
    part: fn(&mut Cursor<'_>) -> Option<Condition>,
    join: fn(Vec<Condition>) -> Condition,
) -> Option<Condition> {
    let mut parts = vec![part(cursor)?];
    while cursor.eat(operator) {
        parts.push(part(cursor)?);
    }
    if parts.len() == 1 { parts.pop() } else { Some(join(parts)) }
}

fn comparison(cursor: &mut Cursor<'_>) -> Option<Condition> {
    cursor.skip_blanks();
    if cursor.eat("(") {
        let inner = alternatives(cursor)?;
        let closed = cursor.eat(")");
        cursor.skip_blanks();
        return closed.then_some(inner);
    }
    let left = operand(cursor)?;
    let equal = cursor.eat("==");
    if !equal && !cursor.eat("!=") {
        return None;
    }
    match (left, operand(cursor)?) {
        (Expr::Path(path), Expr::Literal(literal)) | (Expr::Literal(literal), Expr::Path(path)) => {
            Some(Condition::Compare { path, literal, equal })
        }
        _ => None,
    }
}

/// A path or a literal, with the blanks around it.
fn operand(cursor: &mut Cursor<'_>) -> Option<Expr> {
    cursor.skip_blanks();
    let operand = cursor.path().map(Expr::Path).or_else(|| cursor.literal().map(Expr::Literal));
    cursor.skip_blanks();
    operand
}

fn names_each(condition: &Condition) -> bool {
    match condition {
        Condition::Always | Condition::Program(_) => false,
        Condition::Compare { path, .. } => path.root == Root::Each,
        Condition::All(parts) | Condition::Any(parts) => parts.iter().any(names_each),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The condition in brackets, as it was understood; `-` where it is left to the expression engine.
    fn understood(text: &str) -> String {
        let mut cursor = Cursor::new(text);
        alternatives(&mut cursor).filter(|_| cursor.at_end()).map_or_else(|| "-".into(), |c| show(&c))
    }

    fn show(condition: &Condition) -> String {
        let join = |parts: &[Condition], by: &str| format!("({})", parts.iter().map(show).collect::<Vec<_>>().join(by));
        match condition {
            Condition::Compare { path, literal, equal } => {
                format!("{path}{}{}", if *equal { "==" } else { "!=" }, literal.display())
            }
            Condition::All(parts) => join(parts, " and "),
            Condition::Any(parts) => join(parts, " or "),
            other => format!("{other:?}"),
        }
    }

    #[test]
    fn comparisons_of_paths_with_literals_are_understood() {
        assert_eq!(understood("body.type == \"OrderPlaced\""), "body.type==OrderPlaced");
        assert_eq!(understood("'u'!=op"), "op!=u");
        assert_eq!(
            understood("body.a == 1 || body.b == true && key != null"),
            "(body.a==1 or (body.b==true and key!=null))"
        );
        assert_eq!(
            understood("(body.a == 1 || body.b == 2) && (body.c == 'x')"),
            "((body.a==1 or body.b==2) and body.c==x)"
        );
    }

    #[test]
    fn everything_else_is_an_expression() {
        for text in
            ["body.a", "body.a == body.b", "!(body.a == 1)", "body.a > 1", "has(body.a)", "body.a == 1 + 1", "1 == 1"]
        {
            assert_eq!(understood(text), "-", "{text}");
        }
    }
}
