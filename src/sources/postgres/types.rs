//! What the types of columns mean, and a value's text as JSON.
//!
//! Numbers keep their digits, JSON stays JSON, times become RFC 3339, arrays become lists; everything else is text as
//! PostgreSQL writes it.

pub(super) use crate::sources::json::string;
use std::collections::HashMap;

/// Domains over domains and arrays in arrays are followed so far.
const NESTED_MAX: usize = 16;

/// How a value is written in JSON.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Bool,
    Number,
    Json,
    /// A moment without a zone.
    LocalTime,
    /// A moment, which the connection has in UTC.
    Moment,
    Text,
    Array {
        element: Box<Kind>,
        delimiter: u8,
    },
}

/// A type of the catalogue.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Defined {
    /// Another name for a type, with conditions.
    Domain(u32),
    Array {
        element: u32,
        delimiter: u8,
    },
    Other,
}

/// The types of a database, by their numbers.
#[derive(Clone, Debug, Default)]
pub(super) struct Types(pub HashMap<u32, Defined>);

/// What the catalogue is asked for: number, kind, base, element, category, delimiter of each type.
pub(super) const QUESTION: &str = "select oid::int8, typtype::text, typbasetype::int8, typelem::int8, typcategory::text, \
                                   typdelim::text from pg_type";

impl Types {
    /// As the catalogue answers [`QUESTION`].
    pub fn of(rows: impl IntoIterator<Item = (i64, String, i64, i64, String, String)>) -> Types {
        let types = rows.into_iter().map(|(id, kind, base, element, category, delimiter)| {
            let defined = match (kind.as_str(), category.as_str()) {
                ("d", _) => Defined::Domain(base as u32),
                (_, "A") if element != 0 => {
                    Defined::Array { element: element as u32, delimiter: delimiter.bytes().next().unwrap_or(b',') }
                }
                _ => Defined::Other,
            };
            (id as u32, defined)
        });
        Types(types.collect())
    }

    /// How values of a type are written.
    pub fn kind(&self, id: u32) -> Kind {
        self.nested(id, NESTED_MAX)
    }

    fn nested(&self, id: u32, depth: usize) -> Kind {
        match id {
            16 => Kind::Bool,
            20 | 21 | 23 | 26 | 700 | 701 | 1700 => Kind::Number,
            114 | 3802 => Kind::Json,
            1114 => Kind::LocalTime,
            1184 => Kind::Moment,
            _ if depth == 0 => Kind::Text,
            _ => match self.0.get(&id) {
                Some(Defined::Domain(of)) => self.nested(*of, depth - 1),
                Some(Defined::Array { element, delimiter }) => {
                    Kind::Array { element: Box::new(self.nested(*element, depth - 1)), delimiter: *delimiter }
                }
                Some(Defined::Other) | None => Kind::Text,
            },
        }
    }
}

impl Kind {
    /// Appends a value as JSON.
    pub fn json(&self, text: &[u8], out: &mut Vec<u8>) {
        match self {
            Kind::Bool => out.extend_from_slice(if text == b"t" { b"true" } else { b"false" }),
            // NaN and the infinities are no numbers in JSON.
            Kind::Number if text.last().is_some_and(u8::is_ascii_digit) => out.extend_from_slice(text),
            Kind::Json => out.extend_from_slice(text),
            Kind::Array { element, delimiter } => {
                let before = out.len();
                if array(text, element, *delimiter, out).is_none() {
                    out.truncate(before);
                    string(text, out);
                }
            }
            _ => string(&self.plain(text), out),
        }
    }

    /// A value's text as it stands in JSON, without its quotes.
    pub fn plain<'t>(&self, text: &'t [u8]) -> std::borrow::Cow<'t, [u8]> {
        match self {
            Kind::LocalTime => moment(text, b"").map_or(text.into(), Into::into),
            Kind::Moment => {
                let utc = text.strip_suffix(b"+00").and_then(|text| moment(text, b"Z"));
                utc.map_or(text.into(), Into::into)
            }
            _ => text.into(),
        }
    }
}

/// `2026-11-26 01:34:09.5` as RFC 3339; `None` for infinity and for years that it cannot write.
fn moment(text: &[u8], zone: &[u8]) -> Option<Vec<u8>> {
    let usual = text.len() >= 19 && text[4] == b'-' && text[10] == b' ' && text.last()?.is_ascii_digit();
    usual.then(|| [&text[..10], b"T", &text[11..], zone].concat())
}

/// Appends `{1,NULL,"a b"}` as a list; `None` where it is not written like that.
fn array(text: &[u8], element: &Kind, delimiter: u8, out: &mut Vec<u8>) -> Option<()> {
    // Where it does not begin at 1, the bounds stand before it: `[0:1]={7,8}`.
    let text = match text.first()? {
        b'[' => &text[memchr::memchr(b'=', text)? + 1..],
        _ => text,
    };
    let rest = list(text, element, delimiter, out, NESTED_MAX)?;
    rest.is_empty().then_some(())
}

fn list<'t>(text: &'t [u8], element: &Kind, delimiter: u8, out: &mut Vec<u8>, depth: usize) -> Option<&'t [u8]> {
    let mut rest = text.strip_prefix(b"{")?;
    out.push(b'[');
    if let Some(rest) = rest.strip_prefix(b"}") {
        out.push(b']');
        return Some(rest);
    }
    loop {
        rest = match rest.first()? {
            b'{' if depth > 0 => list(rest, element, delimiter, out, depth - 1)?,
            b'"' => quoted(rest, element, out)?,
            _ => {
                let end = rest.iter().position(|byte| *byte == delimiter || *byte == b'}')?;
                match &rest[..end] {
                    b"NULL" => out.extend_from_slice(b"null"),
                    plain => element.json(plain, out),
                }
                &rest[end..]
            }
        };
        let (next, behind) = rest.split_first()?;
        rest = behind;
        match *next {
            b'}' => {
                out.push(b']');
                return Some(rest);
            }
            byte if byte == delimiter => out.push(b','),
            _ => return None,
        }
    }
}

/// An element in quotes, in which a backslash stands before what would end it.
fn quoted<'t>(text: &'t [u8], element: &Kind, out: &mut Vec<u8>) -> Option<&'t [u8]> {
    let mut value = Vec::new();
    let mut at = 1;
    loop {
        match text.get(at)? {
            b'"' => break,
            b'\\' => {
                value.push(*text.get(at + 1)?);
                at += 2;
            }
            other => {
                value.push(*other);
                at += 1;
            }
        }
    }
    element.json(&value, out);
    Some(&text[at + 1..])
}

#[cfg(test)]
mod tests {
    use super::*;

    fn types() -> Types {
        let array = |element| Defined::Array { element, delimiter: b',' };
        let defined = [
            (1007, array(23)),
            (1009, array(25)),
            (1115, array(1114)),
            (603, Defined::Other),
            (1020, Defined::Array { element: 603, delimiter: b';' }),
            (16_400, Defined::Domain(1700)),
            (16_401, array(16_400)),
            (16_402, Defined::Domain(16_401)),
            (16_500, Defined::Domain(16_500)),
        ];
        Types(defined.into_iter().collect())
    }

    #[track_caller]
    fn check(id: u32, text: &str, expected: &str) {
        let mut out = Vec::new();
        types().kind(id).json(text.as_bytes(), &mut out);
        let json = String::from_utf8(out).unwrap();
        assert_eq!(json, expected, "type {id}");
        serde_json::from_str::<serde_json::Value>(&json).unwrap_or_else(|error| panic!("{json}: {error}"));
    }

    #[test]
    fn values_become_json() {
        check(16, "t", "true");
        check(16, "f", "false");
        check(20, "-9223372036854775808", "-9223372036854775808");
        check(1700, "12345678901234567890.1200", "12345678901234567890.1200");
        check(701, "1e+20", "1e+20");
        for none in ["NaN", "Infinity", "-Infinity"] {
            check(701, none, &format!("\"{none}\""));
        }
        check(3802, r#"{"a": [1, null]}"#, r#"{"a": [1, null]}"#);
        check(1114, "2026-11-26 01:34:09.123456", "\"2026-11-26T01:34:09.123456\"");
        check(1184, "2026-11-26 01:34:09+00", "\"2026-11-26T01:34:09Z\"");
        check(1184, "infinity", "\"infinity\"");
        check(1184, "0044-03-15 00:00:00+00 BC", "\"0044-03-15 00:00:00+00 BC\"");
        check(1082, "2026-11-26", "\"2026-11-26\"");
        check(17, "\\xdeadbeef", "\"\\\\xdeadbeef\"");
        check(25, "a\"b\\c\n\u{1}ä", "\"a\\\"b\\\\c\\n\\u0001ä\"");
        check(99_999, "(1,\"a b\")", "\"(1,\\\"a b\\\")\"");
    }

    #[test]
    fn arrays_become_lists_of_their_elements() {
        check(1007, "{1,NULL,-3}", "[1,null,-3]");
        check(1007, "{}", "[]");
        check(1007, "{{1,2},{3,4}}", "[[1,2],[3,4]]");
        check(1007, "[0:1]={7,8}", "[7,8]");
        check(1009, r#"{a,"b c","d\"e\\f","NULL",NULL,""}"#, r#"["a","b c","d\"e\\f","NULL",null,""]"#);
        check(1115, r#"{"2026-11-26 01:34:09"}"#, r#"["2026-11-26T01:34:09"]"#);
        check(1020, "{(1,1),(0,0);(2,2),(1,1)}", r#"["(1,1),(0,0)","(2,2),(1,1)"]"#);
        check(1007, "1 2 3", "\"1 2 3\"");
        check(1007, "{1,2", "\"{1,2\"");
    }

    #[test]
    fn a_domain_is_what_it_stands_for() {
        check(16_400, "7.50", "7.50");
        check(16_402, "{7.50,8}", "[7.50,8]");
        check(16_500, "a circle", "\"a circle\"");
    }
}
