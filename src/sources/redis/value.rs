//! Values of Redis as JSON.
//!
//! A text that is JSON is taken as it is; any other is a JSON string, and bytes that are no text are one of hexadecimal
//! digits. Hashes are objects, lists and sets are lists, a sorted set is a list of members with their scores.

use redis::Value;
use serde_json::value::RawValue;
use std::fmt::Write;

/// Of a list, a set, a sorted set or a hash, so many elements are fetched.
pub(super) const ELEMENTS_MAX: usize = 1_000;
/// Of a string so many bytes.
pub(super) const STRING_MAX: usize = 1 << 20;

/// A text or bytes, as JSON.
pub(super) fn json(bytes: &[u8]) -> String {
    match std::str::from_utf8(bytes) {
        Ok(text) if is_json(text) => text.to_owned(),
        Ok(text) => quoted(text),
        Err(_) => quoted(&hexadecimal(bytes)),
    }
}

/// A text or bytes, as text.
pub(super) fn text(bytes: &[u8]) -> String {
    std::str::from_utf8(bytes).map_or_else(|_| hexadecimal(bytes), str::to_owned)
}

/// Fields and values in turn, as an object; the values as JSON, or as the texts that they are.
pub(super) fn object(pairs: &[(Value, Value)], texts: bool) -> String {
    let written = |value: &Value| if texts { quoted(&text(raw(value))) } else { json(raw(value)) };
    let fields: Vec<String> =
        pairs.iter().map(|(field, value)| format!("{}:{}", quoted(&text(raw(field))), written(value))).collect();
    format!("{{{}}}", fields.join(","))
}

/// Elements, as a list.
pub(super) fn list(elements: &[Value]) -> String {
    let elements: Vec<String> = elements.iter().map(|element| json(raw(element))).collect();
    format!("[{}]", elements.join(","))
}

/// Members with their scores, as a list.
pub(super) fn sorted(members: &[(Value, Value)]) -> String {
    let members: Vec<String> = members
        .iter()
        .map(|(member, score)| format!(r#"{{"member":{},"score":{}}}"#, json(raw(member)), number(score)))
        .collect();
    format!("[{}]", members.join(","))
}

/// What stands in pairs in an answer, whichever of its forms the server took.
pub(super) fn pairs(value: Value) -> Option<Vec<(Value, Value)>> {
    match value {
        Value::Map(pairs) => Some(pairs),
        Value::Array(all) => {
            let nested = all.first().is_some_and(|first| matches!(first, Value::Array(_)));
            let mut all = all.into_iter();
            let mut pairs = Vec::new();
            while let Some(first) = all.next() {
                match first {
                    Value::Array(pair) if nested => {
                        let mut pair = pair.into_iter();
                        pairs.push((pair.next()?, pair.next()?));
                    }
                    first => pairs.push((first, all.next()?)),
                }
            }
            Some(pairs)
        }
        _ => None,
    }
}

/// The bytes of an answer that is a text.
pub(super) fn raw(value: &Value) -> &[u8] {
    match value {
        Value::BulkString(bytes) => bytes,
        Value::SimpleString(text) => text.as_bytes(),
        Value::VerbatimString { text, .. } => text.as_bytes(),
        Value::Okay => b"OK",
        _ => b"",
    }
}

/// An answer that is a number, or a text that is one.
pub(super) fn integer(value: &Value) -> Option<u64> {
    match value {
        Value::Int(number) => u64::try_from(*number).ok(),
        other => std::str::from_utf8(raw(other)).ok()?.parse().ok(),
    }
}

fn number(score: &Value) -> String {
    match score {
        Value::Double(score) if score.is_finite() => score.to_string(),
        Value::Double(score) => quoted(&score.to_string()),
        other => json(raw(other)),
    }
}

fn is_json(text: &str) -> bool {
    serde_json::from_str::<&RawValue>(text).is_ok()
}

fn quoted(text: &str) -> String {
    serde_json::Value::from(text).to_string()
}

fn hexadecimal(bytes: &[u8]) -> String {
    bytes.iter().fold(String::with_capacity(bytes.len() * 2), |mut all, byte| {
        let _ = write!(all, "{byte:02x}");
        all
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bulk(text: &str) -> Value {
        Value::BulkString(text.into())
    }

    #[test]
    fn values_become_json() {
        let told = |bytes: &[u8]| json(bytes);
        assert_eq!(told(br#"{"a": 1}"#), r#"{"a": 1}"#);
        assert_eq!((told(b"12"), told(b"007"), told(b"paid")), ("12".into(), r#""007""#.into(), r#""paid""#.into()));
        assert_eq!(
            (told(b""), told(&[0xff, 0]), told(b"{\"a\"")),
            ("\"\"".into(), r#""ff00""#.into(), r#""{\"a\"""#.into())
        );
        let pairs = vec![(bulk("status"), bulk("paid")), (bulk("data"), bulk(r#"{"id":7}"#))];
        assert_eq!(object(&pairs, false), r#"{"status":"paid","data":{"id":7}}"#);
        assert_eq!(object(&pairs, true), r#"{"status":"paid","data":"{\"id\":7}"}"#);
        assert_eq!(list(&[bulk("a"), bulk("2")]), r#"["a",2]"#);
        let scores = vec![(bulk("a"), Value::Double(1.5)), (bulk("b"), Value::Double(f64::INFINITY))];
        assert_eq!(sorted(&scores), r#"[{"member":"a","score":1.5},{"member":"b","score":"inf"}]"#);
    }

    #[test]
    fn pairs_are_read_in_every_form() {
        let flat = Value::Array(vec![bulk("a"), bulk("1")]);
        let nested = Value::Array(vec![Value::Array(vec![bulk("a"), bulk("1")])]);
        let map = Value::Map(vec![(bulk("a"), bulk("1"))]);
        for value in [flat, nested, map] {
            assert_eq!(pairs(value), Some(vec![(bulk("a"), bulk("1"))]));
        }
        assert_eq!(pairs(Value::Array(vec![bulk("a")])), None);
    }
}
