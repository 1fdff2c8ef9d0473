//! Paths and literals as they are written: `body.items[0].sku`, `headers["x-id"]`, `'paid'`, `12.50`.

use super::plan::{Path, Root, Segment};
use crate::model::value::Value;
use std::fmt;

/// The words that a path can begin with.
pub const ROOTS: [(&str, Root); 7] = [
    ("body", Root::Body),
    ("row", Root::Row),
    ("op", Root::Op),
    ("headers", Root::Headers),
    ("key", Root::Key),
    ("meta", Root::Meta),
    ("each", Root::Each),
];

impl Path {
    /// Reads a path. `None` where the text is anything else, an expression for one.
    pub fn parse(text: &str) -> Option<Path> {
        let mut cursor = Cursor::new(text.trim());
        let path = cursor.path()?;
        cursor.at_end().then_some(path)
    }
}

impl fmt::Display for Path {
    /// As [`Path::parse`] reads it.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let root = ROOTS.iter().find(|(_, root)| *root == self.root).map_or("", |(name, _)| name);
        f.write_str(root)?;
        for segment in &self.segments {
            match segment {
                Segment::Index(index) => write!(f, "[{index}]")?,
                Segment::Field(name) if is_name(name) => write!(f, ".{name}")?,
                Segment::Field(name) => write!(f, "[{name:?}]")?,
            }
        }
        Ok(())
    }
}

/// Whether this can stand after a dot: letters, digits and `_`, no digit in front.
pub(super) fn is_name(text: &str) -> bool {
    !text.is_empty() && text.chars().all(is_word) && !text.starts_with(|c: char| c.is_ascii_digit())
}

/// A literal, where the whole text is one.
pub(super) fn literal(text: &str) -> Option<Value<'static>> {
    let mut cursor = Cursor::new(text.trim());
    let value = cursor.literal()?;
    cursor.at_end().then_some(value)
}

fn is_word(c: char) -> bool {
    c.is_alphanumeric() || c == '_'
}

/// Reads a text from the front. What does not fit leaves it where it was.
pub(super) struct Cursor<'a> {
    rest: &'a str,
}

impl<'a> Cursor<'a> {
    pub(super) fn new(text: &'a str) -> Cursor<'a> {
        Cursor { rest: text }
    }

    pub(super) fn at_end(&self) -> bool {
        self.rest.is_empty()
    }

    pub(super) fn skip_blanks(&mut self) {
        self.rest = self.rest.trim_start();
    }

    /// Takes `token` where it is next.
    pub(super) fn eat(&mut self, token: &str) -> bool {
        let found = self.rest.strip_prefix(token);
        self.rest = found.unwrap_or(self.rest);
        found.is_some()
    }

    /// A path.
    pub(super) fn path(&mut self) -> Option<Path> {
        let before = self.rest;
        let path = self.try_path();
        if path.is_none() {
            self.rest = before;
        }
        path
    }

    fn try_path(&mut self) -> Option<Path> {
        let word = self.word()?;
        let root = ROOTS.iter().find(|(name, _)| *name == word)?.1;
        let mut segments = Vec::new();
        loop {
            if self.eat(".") {
                segments.push(Segment::Field(self.word()?.to_owned()));
            } else if self.eat("[") {
                let segment = match self.literal()? {
                    Value::Int(index) => Segment::Index(u32::try_from(index).ok()?),
                    Value::Text(name) => Segment::Field(name.into_owned()),
                    _ => return None,
                };
                if !self.eat("]") {
                    return None;
                }
                segments.push(segment);
            } else {
                // A call is no path: `body.a.size()`.
                return (!self.rest.starts_with('(')).then_some(Path { root, segments });
            }
        }
    }

    /// A literal: text in quotes, a number, `true`, `false` or `null`.
    pub(super) fn literal(&mut self) -> Option<Value<'static>> {
        let before = self.rest;
        let value = match self.rest.chars().next()? {
            quote @ ('"' | '\'') => self.quoted(quote),
            '-' | '0'..='9' => self.number(),
            _ => match self.word()? {
                "true" => Some(Value::Bool(true)),
                "false" => Some(Value::Bool(false)),
                "null" => Some(Value::Null),
                _ => None,
            },
        };
        if value.is_none() {
            self.rest = before;
        }
        value
    }

    fn word(&mut self) -> Option<&'a str> {
        let end = self.rest.find(|c| !is_word(c)).unwrap_or(self.rest.len());
        let (word, rest) = self.rest.split_at(end);
        self.rest = rest;
        is_name(word).then_some(word)
    }

    fn quoted(&mut self, quote: char) -> Option<Value<'static>> {
        let mut text = String::new();
        let mut chars = self.rest[1..].chars();
        loop {
            match chars.next()? {
                c if c == quote => break,
                '\\' => text.push(match chars.next()? {
                    'n' => '\n',
                    't' => '\t',
                    'r' => '\r',
                    c @ ('"' | '\'' | '\\') => c,
                    _ => return None,
                }),
                c => text.push(c),
            }
        }
        self.rest = chars.as_str();
        // Three quotes in a row begin another kind of text.
        (!self.rest.starts_with(quote)).then(|| Value::Text(text.into()))
    }

    fn number(&mut self) -> Option<Value<'static>> {
        let end = self.rest.find(|c: char| !(is_word(c) || "+-.".contains(c))).unwrap_or(self.rest.len());
        let (number, rest) = self.rest.split_at(end);
        let digits = number.strip_prefix('-').unwrap_or(number);
        let value = if digits.bytes().all(|b| b.is_ascii_digit()) {
            number.parse().ok().map(Value::Int)
        } else {
            let decimal = Value::Number(number.to_owned().into());
            let plain = digits.bytes().all(|b| b.is_ascii_digit() || b"eE+-.".contains(&b));
            (plain && decimal.decimal().is_some()).then_some(decimal)
        };
        self.rest = rest;
        value
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_read_and_show_as_written() {
        for text in ["body", "body.psp.reference", "body.items[0].sku", "headers[\"x-id\"].a", "meta.topic", "each"] {
            assert_eq!(Path::parse(text).unwrap_or_else(|| panic!("{text}")).to_string(), text);
        }
        assert_eq!(Path::parse("headers['x-id']").unwrap().to_string(), "headers[\"x-id\"]");
    }

    #[test]
    fn expressions_are_no_paths() {
        for text in ["", "bodies.a", "body.", "body.a.size()", "body.a + 1", "body[-1]", "body.a-b", "body[x]", "1"] {
            assert_eq!(Path::parse(text), None, "{text}");
        }
    }

    #[test]
    fn literals_are_quoted_texts_and_numbers() {
        let text = |t: &'static str| Some(Value::Text(t.into()));
        assert_eq!(literal("'paid'"), text("paid"));
        assert_eq!(literal(r#""a\"b\n""#), text("a\"b\n"));
        assert_eq!(literal(" -12 "), Some(Value::Int(-12)));
        assert_eq!(literal("12.50"), Some(Value::Number("12.50".into())));
        assert_eq!(literal("true"), Some(Value::Bool(true)));
        assert_eq!(literal("null"), Some(Value::Null));
        for other in ["paid", "'a' + 'b'", "'''a'''", "5u", "0x1f", "1-2", "'open", "-", ""] {
            assert_eq!(literal(other), None, "{other}");
        }
    }
}
