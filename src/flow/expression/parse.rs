//! From text to the syntax tree of the CEL parser, with the place of each node.

use super::ExpressionError;
use cel::common::ast::{EntryExpr, Expr, IdedExpr, SourceInfo};
use cel::{Env, ParseErrors};

/// The parser recurses through some twenty functions a level of nesting.
const STACK: usize = 16 << 20;
/// What is longer was not written by a person.
const LONGEST: usize = 8_000;
/// Levels of the tree; what evaluates it recurses too, on an ordinary stack.
const DEEPEST: usize = 200;

/// A parsed expression.
pub(super) struct Parsed<'t> {
    /// The tree. Macros are not expanded: they are calls.
    pub tree: IdedExpr,
    text: &'t str,
    places: SourceInfo,
}

/// Parses an expression.
pub(super) fn parse(text: &str) -> Result<Parsed<'_>, ExpressionError> {
    let whole = |message: &str| ExpressionError { message: message.to_owned(), at: None, length: 0 };
    if text.trim().is_empty() {
        return Err(whole("the expression is empty"));
    }
    if text.len() > LONGEST {
        return Err(whole("the expression is longer than 8000 bytes"));
    }
    let on_large_stack = || {
        let parser = Env::default().with_optional_support(false).parser();
        let (tree, places) = parser.parse_with_source_info(text).map_err(|errors| first(&errors, text))?;
        // A tree that is too deep is dropped here, where there is stack enough.
        if depth(&tree) > DEEPEST { Err(whole("the expression is nested too deeply")) } else { Ok((tree, places)) }
    };
    let parsed = std::thread::scope(|scope| {
        let thread = std::thread::Builder::new().stack_size(STACK).spawn_scoped(scope, on_large_stack);
        thread.map(|handle| handle.join())
    });
    match parsed {
        Ok(Ok(parsed)) => parsed.map(|(tree, places)| Parsed { tree, text, places }),
        Ok(Err(_)) => Err(whole("the expression cannot be parsed")),
        Err(error) => Err(whole(&format!("the expression cannot be parsed: {error}"))),
    }
}

impl Parsed<'_> {
    /// An error at a node.
    pub fn error(&self, node: &IdedExpr, message: impl Into<String>) -> ExpressionError {
        let (at, length) = self.place(node);
        ExpressionError { message: message.into(), at: Some(at), length }
    }

    /// An error at a function's name, a little before the parenthesis that is its node's place.
    pub fn error_at_name(&self, node: &IdedExpr, name: &str, message: impl Into<String>) -> ExpressionError {
        let (at, length) = self.place(node);
        let (at, length) = match self.text[..at].rfind(name) {
            Some(start) => (start, name.len()),
            None => (at, length),
        };
        ExpressionError { message: message.into(), at: Some(at), length }
    }

    /// An error at a field's name, behind the dot that is its node's place.
    pub fn error_at_field(&self, node: &IdedExpr, field: &str, message: impl Into<String>) -> ExpressionError {
        let (dot, _) = self.place(node);
        let at = dot + self.text[dot..].find(field).unwrap_or(0);
        ExpressionError { message: message.into(), at: Some(at), length: field.len() }
    }

    /// The text at a node's place: for a literal, its spelling.
    pub fn spelling(&self, node: &IdedExpr) -> &str {
        let (at, length) = self.place(node);
        &self.text[at..at + length]
    }

    fn place(&self, node: &IdedExpr) -> (usize, usize) {
        let (start, stop) = self.places.offset_for(node.id).unwrap_or((0, 0));
        let start = self.text.floor_char_boundary(start as usize);
        let end = self.text.floor_char_boundary(stop as usize + 1);
        (start, end.max(start) - start)
    }
}

/// The byte at which the character with this index begins: a column counts characters.
fn byte_of(text: &str, index: usize) -> usize {
    text.char_indices().nth(index).map_or(text.len(), |(at, _)| at)
}

/// The error that says most: where the grammar was left, rather than what could then not be built.
fn first(errors: &ParseErrors, text: &str) -> ExpressionError {
    let left_grammar = errors.errors.iter().find(|error| error.msg.starts_with(SYNTAX));
    let Some(error) = left_grammar.or(errors.errors.first()) else {
        return ExpressionError { message: "the expression cannot be parsed".into(), at: None, length: 0 };
    };
    let (line, column) = error.pos;
    let line_start: usize = text.split_inclusive('\n').take((line - 1).max(0) as usize).map(str::len).sum();
    let rest = &text[line_start.min(text.len())..];
    let at = line_start.min(text.len()) + byte_of(rest, (column - 1).max(0) as usize);
    let length = text[at..].chars().next().map_or(0, char::len_utf8);
    ExpressionError { message: plainly(&error.msg), at: Some(at), length }
}

const SYNTAX: &str = "Syntax error: ";

/// What the parser says, without its jargon.
fn plainly(message: &str) -> String {
    let said = message.trim_start_matches(SYNTAX);
    if said.contains("Recursion limit") {
        return "the expression is nested too deeply".to_owned();
    }
    if said == "unsupported syntax '.?'" || said == "unsupported syntax '?'" {
        return "`?` is not needed: a path that is absent is null".to_owned();
    }
    if said.contains("<EOF>'") {
        return "the expression ends too early".to_owned();
    }
    if let Some(word) = said.strip_prefix("reserved identifier: ") {
        return format!("`{word}` is a reserved word; a field of that name is written `body[\"{word}\"]`");
    }
    if let Some(token) = said.strip_prefix("token recognition error at: '") {
        return match token.trim_end_matches('\'').trim() {
            "=" => "`=` is not an operator; write `==`".to_owned(),
            "&" | "|" => "write `&&` and `||`".to_owned(),
            token if token.starts_with(['\'', '"']) || token.is_empty() => "a quote is never closed".to_owned(),
            token => format!("`{token}` has no meaning here"),
        };
    }
    let quoted = said.split_once("input '").and_then(|(_, rest)| rest.split_once('\'')).map(|(token, _)| token);
    match quoted {
        Some(token) if token.ends_with("in") => {
            "`in` is an operator; a field of that name is written `body[\"in\"]`".to_owned()
        }
        Some(token) => format!("`{token}` is not expected here"),
        None => said.to_owned(),
    }
}

fn depth(node: &IdedExpr) -> usize {
    let deepest = match &node.expr {
        Expr::Call(call) => call.target.iter().map(|t| depth(t)).chain(call.args.iter().map(depth)).max(),
        Expr::Select(select) => Some(depth(&select.operand)),
        Expr::List(list) => list.elements.iter().map(depth).max(),
        Expr::Map(map) => map.entries.iter().map(|entry| entry_depth(&entry.expr)).max(),
        Expr::Struct(object) => object.entries.iter().map(|entry| entry_depth(&entry.expr)).max(),
        _ => None,
    };
    1 + deepest.unwrap_or(0)
}

fn entry_depth(entry: &EntryExpr) -> usize {
    match entry {
        EntryExpr::MapEntry(entry) => depth(&entry.key).max(depth(&entry.value)),
        EntryExpr::StructField(field) => depth(&field.value),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn wrong(text: &str) -> ExpressionError {
        parse(text).err().unwrap_or_else(|| panic!("{text} parses"))
    }

    #[test]
    fn errors_name_place_and_remedy() {
        for (text, at, message) in [
            ("body.a = 1", Some(7), "`=` is not an operator; write `==`"),
            ("body.a & body.b", Some(7), "write `&&` and `||`"),
            ("body.a == ", Some(10), "the expression ends too early"),
            ("body.a == 'é' + )", Some(17), "`)` is not expected here"),
            ("f(1", Some(3), "the expression ends too early"),
            ("a[", Some(2), "the expression ends too early"),
            ("a ? b", Some(5), "the expression ends too early"),
            ("a ==\n  !", Some(8), "the expression ends too early"),
            ("body.in == 1", Some(5), "`in` is an operator; a field of that name is written `body[\"in\"]`"),
            ("for == 1", Some(0), "`for` is a reserved word; a field of that name is written `body[\"for\"]`"),
            ("body.?a", Some(4), "`?` is not needed: a path that is absent is null"),
            ("'x", Some(0), "a quote is never closed"),
            ("a b", Some(2), "`b` is not expected here"),
            ("a == #", Some(5), "`#` has no meaning here"),
            ("99999999999999999999", Some(0), "invalid int literal"),
            (" ", None, "the expression is empty"),
        ] {
            let error = wrong(text);
            assert_eq!((error.at, error.message.as_str()), (at, message), "{text}");
        }
    }

    #[test]
    fn no_depth_overflows_the_stack() {
        let nested = |open: &str, n: usize| open.repeat(n) + "1";
        for text in [nested("1+", 3999), nested("(", 3999), nested("[", 7999), nested("a.", 3999), nested("f(", 3000)] {
            wrong(&text);
        }
        for text in [nested("!", 7999), nested("-", 7999), nested("a?", 3999), nested("{1:", 2000), nested("a||", 2000)]
        {
            let _ = parse(&text);
        }
        wrong(&nested("1+", 40_000));
        assert!(parse(&(nested("1+", 150))).is_ok());
    }

    #[test]
    fn places_are_bytes() {
        let parsed = parse("'é' + 2.50").map_err(|e| e.message).unwrap();
        let Expr::Call(sum) = &parsed.tree.expr else { panic!("a sum is a call") };
        assert_eq!(parsed.spelling(&sum.args[0]), "'é'");
        assert_eq!(parsed.spelling(&sum.args[1]), "2.50");
        assert_eq!(parsed.error(&sum.args[1], "x").at, Some(7));
    }
}
