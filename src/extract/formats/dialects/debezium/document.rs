//! Documents of MongoDB: JSON as text, in which types that JSON lacks are spelt `{"$oid": …}` (Extended JSON).

use super::super::object::{Object, time};
use crate::model::json;
use crate::model::value::Value;
use std::borrow::Cow;

/// MongoDB's own limit of nesting is 100; what lies deeper stays as it is spelt.
const DEPTH_MAX: usize = 128;

/// The document that a text spells.
pub(super) fn read(text: &str) -> Option<Object<'static>> {
    let members = json::members(text).ok()?;
    let plain = members.into_iter().map(|(name, value)| (Cow::Owned(name.into_owned()), plain(value, DEPTH_MAX)));
    Some(Object(plain.collect()))
}

/// The part of a key: the connector spells it as JSON within text.
pub(super) fn identity(value: Value<'_>) -> Value<'_> {
    match &value {
        Value::Text(text) if text.starts_with(['{', '"']) => match json::validate(text) {
            Ok(spelt) => plain(spelt, DEPTH_MAX),
            Err(_) => value,
        },
        _ => value,
    }
}

/// The value without the spelling of its type.
fn plain(value: Value<'_>, depth: usize) -> Value<'static> {
    let Value::Json(text) = &value else { return value.into_owned() };
    if depth == 0 || !text.contains("\"$") {
        return value.into_owned();
    }
    if let Some(elements) = json::elements(text) {
        return Value::Json(json::list(elements.into_iter().map(|e| json::text(&plain(e, depth - 1)))).into());
    }
    let members = json::members(text).unwrap_or_default();
    if let [(name, inner)] = &members[..]
        && name.starts_with('$')
    {
        return typed(name, inner).unwrap_or_else(|| value.clone().into_owned());
    }
    let texts = members.iter().map(|(name, value)| (&**name, json::text(&plain(value.borrowed(), depth - 1))));
    Value::Json(json::object(texts).into())
}

fn typed(kind: &str, inner: &Value<'_>) -> Option<Value<'static>> {
    match (kind, inner) {
        ("$oid" | "$uuid" | "$symbol", Value::Text(text)) => Some(Value::Text(text.to_string().into())),
        ("$numberInt" | "$numberLong", Value::Text(text)) => text.parse().ok().map(Value::Int),
        ("$numberDouble" | "$numberDecimal", Value::Text(text)) => {
            let number = json::validate(text).ok().filter(|v| matches!(v, Value::Int(_) | Value::Number(_)));
            Some(number.map_or_else(|| Value::Text(text.to_string().into()), Value::into_owned))
        }
        ("$date", Value::Json(_)) => Object::of(inner).and_then(|long| date(&long.get("$numberLong"))),
        ("$date", inner) => date(inner),
        _ => None,
    }
}

/// A moment, as text in UTC.
fn date(value: &Value<'_>) -> Option<Value<'static>> {
    let millis: Option<i64> = match value {
        Value::Int(millis) => Some(*millis),
        Value::Text(text) => text.parse().ok(),
        _ => None,
    };
    let moment = match millis {
        Some(millis) => chrono::DateTime::from_timestamp_millis(millis)
            .map(|at| at.to_rfc3339_opts(chrono::SecondsFormat::AutoSi, true)),
        None => time(value).map(|at| at.to_string()),
    };
    moment.map(|text| Value::Text(text.into()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn types_that_json_lacks_are_plain_values() {
        let text = r#"{"_id":{"$oid":"596e275826f08b2730779e1f"},"n":{"$numberLong":"1004"},"d":{"$numberDecimal":"12.50"},
            "at":{"$date":1767226200120},"old":{"$date":{"$numberLong":"-1"}},"iso":{"$date":"2026-01-01T00:10:00Z"},
            "nan":{"$numberDouble":"NaN"},"tags":[{"$numberInt":"7"},"x"],"in":{"deep":{"$oid":"a"}},"bin":{"$binary":{"base64":"AA=="}}}"#;
        let fields = read(text).unwrap().into_fields().to_json();
        assert_eq!(
            fields,
            r#"{"_id":"596e275826f08b2730779e1f","n":1004,"d":12.50,"at":"2026-01-01T00:10:00.120Z","old":"1969-12-31T23:59:59.999Z","iso":"2026-01-01T00:10:00Z","nan":"NaN","tags":[7,"x"],"in":{"deep":"a"},"bin":{"$binary":{"base64":"AA=="}}}"#
        );
    }

    #[test]
    fn a_key_is_its_plain_value() {
        let of = |text: &'static str| identity(Value::Text(text.into())).display().into_owned();
        assert_eq!(of(r#"{"$oid":"596e"}"#), "596e");
        assert_eq!(of("1004"), "1004");
        assert_eq!(of(r#""o-1""#), "o-1");
        assert_eq!(of("{no json"), "{no json");
    }
}
