//! YAML's own traps: what it makes of text that people did not mean as YAML, and how to write it.

use super::diagnostic::{Diagnostics, Place, Problem};
use super::yaml::Scalar;

/// `when: !has(x)`: to YAML, a word that begins with `!` is a tag.
pub(super) fn tag(place: Place, diagnostics: &Diagnostics<'_>) {
    let written = diagnostics.text(place);
    let problem = Problem::error("yaml-tag", place, format!("YAML takes `{written}` for a tag")).label("a tag");
    quoted(problem, value_at(place, diagnostics), diagnostics).report(diagnostics);
}

/// `when: &x`: to YAML, a word that begins with `&` is an anchor.
pub(super) fn anchor(place: Place, diagnostics: &Diagnostics<'_>) {
    let written = diagnostics.text(place);
    let message = format!("YAML takes `{written}` for an anchor, and anchors are not part of this language");
    let problem = Problem::error("yaml-anchor", place, message);
    problem.help("write the value out where it is needed; share whole steps with `use`").report(diagnostics);
}

/// `schedule: */5 …`: to YAML, a word that begins with `*` is an alias.
pub(super) fn alias(place: Place, diagnostics: &Diagnostics<'_>) {
    let written = diagnostics.text(place);
    let message = format!("YAML takes `{written}` for an alias, and aliases are not part of this language");
    let problem = Problem::error("yaml-alias", place, message).label("an alias");
    quoted(problem, value_at(place, diagnostics), diagnostics).report(diagnostics);
}

/// `when: body.tag == "a #b"`: to YAML, ` #` begins a comment. Told where the value before it is
/// visibly unfinished; whether it is.
pub(super) fn comment(scalar: &Scalar, value: Place, comment: Place, diagnostics: &Diagnostics<'_>) -> bool {
    let between = Place { start: value.end, end: comment.start, ..value };
    let same_line = !diagnostics.text(between).contains('\n');
    if !(scalar.plain && same_line && (unbalanced(&scalar.text) || dangling(&scalar.text))) {
        return false;
    }
    let whole = Place { end: comment.end, ..value };
    let message = "YAML takes everything from ` #` on for a comment, so this value ends in the middle";
    let problem = Problem::error("yaml-comment", comment, message).label("a comment");
    quoted(problem, whole, diagnostics).report(diagnostics);
    true
}

/// `{when: has(a, b)}`: inside `{}` and `[]` a comma ends the value; whether it did.
pub(super) fn torn(scalar: &Scalar, place: Place, diagnostics: &Diagnostics<'_>) -> bool {
    if !(scalar.plain && unbalanced(&scalar.text)) {
        return false;
    }
    let message = "inside `{}` and `[]` a value ends at the first comma, so this one is torn apart";
    let problem = Problem::error("yaml-comma", place, message).label("only this much is the value");
    quoted(problem, value_at(place, diagnostics), diagnostics).report(diagnostics);
    true
}

/// What the parser cannot read, said in terms of what was probably meant.
pub(super) fn syntax_error(at: Place, error: &str, refused: Option<Place>, diagnostics: &Diagnostics<'_>) {
    // The value before it has its diagnostic already, and caused this one.
    if refused.is_some_and(|place| diagnostics.line(place) == diagnostics.line(at)) {
        return;
    }
    let text = &diagnostics.documents()[at.document].text;
    let line_start = text[..at.start].rfind('\n').map_or(0, |newline| newline + 1);
    let line_end = text[at.start..].find('\n').map_or(text.len(), |newline| at.start + newline);
    let (before, rest) = (&text[line_start..at.start], &text[at.start..line_end]);
    let value = value_at(at, diagnostics);
    let problem = |message: &str| Problem::error("yaml-syntax", Place { end: at.start + 1, ..at }, message);
    let inside = before.rfind(['{', '[']).is_some();
    let problem = match rest.chars().next() {
        Some('*') => quoted(problem("YAML takes `*` for an alias").label("an alias"), value, diagnostics),
        Some(':') if is_name(before) => problem("a field begins here, and the one above has not ended")
            .help("is a `}`, a `]` or a quote missing above, or is this line indented too far?"),
        Some('{' | '[') | Some(':') if inside => {
            let message = "inside `{}` and `[]`, a value with braces, brackets or `: ` must be quoted";
            quoted(problem(message), value, diagnostics)
        }
        Some(':') => {
            let message = "a second `: ` on this line: YAML takes it for another field";
            quoted(problem(message), value, diagnostics)
        }
        Some('@' | '`' | '%' | '|' | '>') => {
            quoted(problem("no YAML value begins with this character"), value, diagnostics)
        }
        Some('\t') => problem("YAML does not allow a tab here").help("indent with spaces"),
        _ if error.contains("trailing content after") => {
            let message = "to YAML the value ends with its closing quote; this follows it";
            let help =
                format!("put the whole value into single quotes: '{}'", diagnostics.text(value).replace('\'', "''"));
            problem(message).help(help)
        }
        _ => problem(&format!("this is not YAML: {}", plain_words(error))),
    };
    problem.report(diagnostics);
}

/// The parser's message without the place, which the diagnostic shows itself.
fn plain_words(error: &str) -> &str {
    error.split(" at char ").next().unwrap_or(error)
}

/// Adds the remedy: the whole value in quotes.
fn quoted(problem: Problem, value: Place, diagnostics: &Diagnostics<'_>) -> Problem {
    let text = diagnostics.text(value);
    let quote = if text.contains('"') || text.contains('\\') { '\'' } else { '"' };
    let text = if quote == '\'' { text.replace('\'', "''") } else { text.to_owned() };
    problem.help(format!("quote it: {quote}{text}{quote}"))
}

/// The value that `place` lies in, as it was probably meant: from after the field's `: ` to the end
/// of the line, or to the comma or brace that ends the field.
fn value_at(place: Place, diagnostics: &Diagnostics<'_>) -> Place {
    let text = diagnostics.documents()[place.document].text.as_str();
    let line_start = text[..place.start].rfind('\n').map_or(0, |newline| newline + 1);
    let line_end = text[place.start..].find('\n').map_or(text.len(), |newline| place.start + newline);
    let line = &text[line_start..line_end];
    let (start, nested) = value_start(line, place.start - line_start);
    let length = value_length(&line[start..], nested);
    let trimmed = line[start..start + length].trim_end().len();
    Place { document: place.document, start: line_start + start, end: line_start + start + trimmed }
}

/// Where the value around byte `at` of the line begins, and whether it stands inside `{}` or `[]`.
fn value_start(line: &str, at: usize) -> (usize, bool) {
    let mut start = line.len() - line.trim_start().len();
    let mut nested = false;
    for (colon, _) in line[..at].match_indices(": ") {
        let name_start = line[..colon].rfind([',', '{']).map_or(0, |before| before + 1);
        if is_name(&line[name_start..colon]) {
            start = colon + 2;
            nested = line[..name_start].contains('{');
        }
    }
    let blanks = line[start..].len() - line[start..].trim_start().len();
    ((start + blanks).min(at.max(start)), nested)
}

/// Whether this, brackets before it aside, is a field's name.
fn is_name(text: &str) -> bool {
    let name = text.trim_start_matches(['{', '[', ' ', '-']);
    !name.is_empty() && name.chars().all(|c| c.is_alphanumeric() || c == '_' || c == '-')
}

/// How much of `rest` is the value: inside `{}` it ends at a brace that closes more than it opened,
/// or at a comma outside of all brackets and quotes; else at the end of the line.
fn value_length(rest: &str, nested: bool) -> usize {
    let mut depth = 0_i32;
    let mut quote = None;
    for (at, c) in rest.char_indices() {
        match (c, quote) {
            (c, Some(open)) if c == open => quote = None,
            (_, Some(_)) => {}
            ('"' | '\'', None) => quote = Some(c),
            ('(' | '[' | '{', None) => depth += 1,
            (')' | ']' | '}', None) => depth -= 1,
            _ => {}
        }
        let ends = depth < 0 || (depth == 0 && c == ',' && quote.is_none());
        if nested && ends {
            return at;
        }
        if quote.is_none() && !nested && rest[at..].starts_with(" #") {
            return at;
        }
    }
    rest.len()
}

/// Whether a bracket or a quote stays open, or closes what was never opened.
fn unbalanced(text: &str) -> bool {
    let mut open = Vec::new();
    let mut quote = None;
    let mut before = ' ';
    for c in text.chars() {
        match (c, quote) {
            (c, Some(q)) if c == q => quote = None,
            (_, Some(_)) => {}
            ('"', None) => quote = Some(c),
            // An apostrophe within a word is one.
            ('\'', None) if !before.is_alphanumeric() => quote = Some(c),
            ('(' | '[' | '{', None) => open.push(c),
            (')' | ']' | '}', None) if open.pop().is_none() => return true,
            _ => {}
        }
        before = c;
    }
    quote.is_some() || !open.is_empty()
}

/// Whether the text ends in an operator that wants something after it.
fn dangling(text: &str) -> bool {
    ["==", "!=", "&&", "||", "<", ">", "<=", ">=", "+"].iter().any(|operator| text.ends_with(operator))
}

/// Whether the rest of a torn value ends here.
pub(super) fn closes(text: &str) -> bool {
    unbalanced(text)
}
