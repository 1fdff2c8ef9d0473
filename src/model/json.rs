//! JSON text, taken apart one level at a time: what is not asked for is skipped, not built.
//!
//! Numbers keep their spelling, and of duplicate names the first counts.

use super::value::Value;
use serde::Deserialize;
use serde::de::{Deserializer, MapAccess, Visitor};
use serde_json::value::RawValue;
use std::borrow::Cow;
use std::collections::HashSet;
use std::fmt;

/// The value that a valid JSON text spells; lists and objects stay text.
pub fn value(text: &str) -> Value<'_> {
    let text = text.trim_matches([' ', '\t', '\n', '\r']);
    match text.as_bytes().first() {
        Some(b'{' | b'[') => Value::Json(Cow::Borrowed(text)),
        Some(b'"') => serde_json::from_str::<Name>(text).map_or(Value::Null, |name| Value::Text(name.0)),
        Some(b't') => Value::Bool(true),
        Some(b'f') => Value::Bool(false),
        Some(b'-' | b'0'..=b'9') => match text.parse() {
            Ok(n) if text != "-0" => Value::Int(n),
            _ => Value::Number(Cow::Borrowed(text)),
        },
        _ => Value::Null,
    }
}

/// Whether `text` is one JSON value and nothing else; the error says what is wrong and where.
pub fn validate(text: &str) -> Result<Value<'_>, serde_json::Error> {
    serde_json::from_str::<&RawValue>(text).map(|raw| value(raw.get()))
}

/// The names and values of an object, in their order, all of them. The error says what is wrong and where;
/// anything but an object is wrong.
pub fn members(object: &str) -> Result<Vec<(Cow<'_, str>, Value<'_>)>, serde_json::Error> {
    serde_json::from_str::<Members>(object).map(|members| members.0)
}

/// The elements of a list; `None` for anything else.
pub fn elements(list: &str) -> Option<Vec<Value<'_>>> {
    let raw = serde_json::from_str::<Vec<&RawValue>>(list).ok()?;
    Some(raw.into_iter().map(|element| value(element.get())).collect())
}

/// The value under `name` in an object; null where there is none.
pub fn member<'a>(object: &'a str, name: &str) -> Value<'a> {
    let found = members(object).ok().and_then(|all| all.into_iter().find(|(n, _)| n == name));
    found.map_or(Value::Null, |(_, value)| value)
}

/// The element with this index in a list; null where there is none.
pub fn element(list: &str, index: usize) -> Value<'_> {
    elements(list).and_then(|all| all.into_iter().nth(index)).unwrap_or(Value::Null)
}

/// A value as JSON text; numbers keep their spelling.
pub fn text(value: &Value<'_>) -> String {
    match value {
        Value::Text(text) => quoted(text),
        other => other.display().into_owned(),
    }
}

/// An object as JSON text, of its names and the texts of its values. Of duplicate names the first counts.
pub fn object<'n>(members: impl IntoIterator<Item = (&'n str, String)>) -> String {
    let mut names = HashSet::new();
    let mut object = String::from("{");
    for (name, text) in members {
        if names.insert(name) {
            let comma = if object.len() > 1 { "," } else { "" };
            object.extend([comma, &quoted(name), ":", &text]);
        }
    }
    object + "}"
}

/// A list as JSON text, of the texts of its elements.
pub fn list(elements: impl IntoIterator<Item = String>) -> String {
    format!("[{}]", elements.into_iter().collect::<Vec<_>>().join(","))
}

/// Text as a JSON string.
pub fn quoted(text: &str) -> String {
    serde_json::Value::from(text).to_string()
}

#[derive(Deserialize)]
struct Name<'a>(#[serde(borrow)] Cow<'a, str>);

struct Members<'a>(Vec<(Cow<'a, str>, Value<'a>)>);

impl<'de: 'a, 'a> Deserialize<'de> for Members<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(MembersVisitor)
    }
}

struct MembersVisitor;

impl<'de> Visitor<'de> for MembersVisitor {
    type Value = Members<'de>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Members<'de>, A::Error> {
        let mut members = Vec::new();
        while let Some((name, raw)) = map.next_entry::<Name<'de>, &'de RawValue>()? {
            members.push((name.0, value(raw.get())));
        }
        Ok(Members(members))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ORDER: &str = r#" {"id": "o\u002d1", "n": 10, "total": 12.50, "big": 123456789012345678901, "none": null,
        "paid": true, "items": [ {"sku":"a"}, 2 ], "n": 11} "#;

    #[test]
    fn each_level_is_taken_apart_when_it_is_asked_for() {
        assert_eq!(member(ORDER, "id"), Value::Text("o-1".into()));
        assert_eq!(member(ORDER, "n"), Value::Int(10), "of duplicate names the first counts");
        assert_eq!(member(ORDER, "total"), Value::Number("12.50".into()), "money keeps its spelling");
        assert_eq!(member(ORDER, "big"), Value::Number("123456789012345678901".into()));
        assert_eq!(member(ORDER, "none"), Value::Null);
        assert_eq!(member(ORDER, "paid"), Value::Bool(true));
        let Value::Json(items) = member(ORDER, "items") else { panic!("a list stays text") };
        assert_eq!(element(&items, 0), Value::Json(r#"{"sku":"a"}"#.into()));
        assert_eq!(element(&items, 1), Value::Int(2));
        assert_eq!(element(&items, 2), Value::Null);
        assert_eq!(members(ORDER).unwrap().len(), 8);
    }

    #[test]
    fn what_is_not_there_is_null() {
        assert_eq!(member("[1]", "a"), Value::Null);
        assert_eq!(element("{}", 0), Value::Null);
        assert_eq!(member("{\"a\":1", "a"), Value::Null, "invalid text has no members");
        assert_eq!(value(""), Value::Null);
        assert_eq!(value("-0"), Value::Number("-0".into()));
    }

    #[test]
    fn what_was_taken_apart_can_be_put_together() {
        let put = |text: &str| {
            let members = members(text).unwrap();
            object(members.iter().map(|(name, value)| (name.as_ref(), super::text(value))))
        };
        assert_eq!(
            put(r#"{ "a\n": "\u00e9\"", "n": 1.50, "l": [1, 2], "n": null }"#),
            r#"{"a\n":"é\"","n":1.50,"l":[1, 2]}"#
        );
        assert_eq!(put("{}"), "{}");
        assert_eq!(list(["1".to_owned(), quoted("x")]), r#"[1,"x"]"#);
    }

    #[test]
    fn validation_reads_to_the_end() {
        assert_eq!(validate(" 7 ").unwrap(), Value::Int(7));
        assert_eq!(validate("\"a\"").unwrap(), Value::Text("a".into()));
        for bad in ["", "7 8", "{\"a\":}", "nul", "{\"a\":1", "[1,]", "NaN", "{a:1}"] {
            assert!(validate(bad).is_err(), "{bad}");
        }
    }
}
