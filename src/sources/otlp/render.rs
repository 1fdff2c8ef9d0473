//! Values, attributes, ids, resources and scopes as JSON.

use crate::sources::base64;
use opentelemetry_proto::tonic::common::v1::any_value::Value as Any;
use opentelemetry_proto::tonic::common::v1::{AnyValue, InstrumentationScope, KeyValue};
use opentelemetry_proto::tonic::resource::v1::Resource;
use serde_json::{Map, Value, json};
use std::fmt::Write;

/// An id as hexadecimal digits; null where there is none.
pub(super) fn id(bytes: &[u8]) -> Value {
    if is_id(bytes) { Value::String(digits(bytes)) } else { Value::Null }
}

/// Whether this is an id: not all zeros.
pub(super) fn is_id(bytes: &[u8]) -> bool {
    bytes.iter().any(|byte| *byte != 0)
}

/// Bytes as hexadecimal digits.
pub(super) fn digits(bytes: &[u8]) -> String {
    bytes.iter().fold(String::with_capacity(2 * bytes.len()), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}

/// Attributes as a map by their names.
pub(super) fn attributes(all: &[KeyValue]) -> Value {
    Value::Object(all.iter().map(|one| (one.key.clone(), value(one.value.as_ref()))).collect())
}

/// A value as it is; bytes as base64, and a number that is none as a word.
pub(super) fn value(value: Option<&AnyValue>) -> Value {
    match value.and_then(|value| value.value.as_ref()) {
        None | Some(Any::StringValueStrindex(_)) => Value::Null,
        Some(Any::StringValue(text)) => Value::String(text.clone()),
        Some(Any::BoolValue(is)) => Value::Bool(*is),
        Some(Any::IntValue(number)) => Value::from(*number),
        Some(Any::DoubleValue(number)) if number.is_finite() => Value::from(*number),
        Some(Any::DoubleValue(number)) => Value::from(not_finite(*number)),
        Some(Any::ArrayValue(list)) => list.values.iter().map(|one| self::value(Some(one))).collect(),
        Some(Any::KvlistValue(map)) => attributes(&map.values),
        Some(Any::BytesValue(bytes)) => Value::String(base64::encode(bytes)),
    }
}

/// As the JSON of Protobuf writes it.
fn not_finite(number: f64) -> &'static str {
    match number {
        f64::INFINITY => "Infinity",
        f64::NEG_INFINITY => "-Infinity",
        _ => "NaN",
    }
}

/// Who it comes from.
pub(super) fn resource(resource: Option<&Resource>) -> Value {
    json!({"attributes": attributes(resource.map_or(&[], |resource| &resource.attributes))})
}

/// By what it was made.
pub(super) fn scope(scope: Option<&InstrumentationScope>) -> Value {
    let Some(scope) = scope else { return Value::Object(Map::new()) };
    json!({"name": scope.name, "version": scope.version, "attributes": attributes(&scope.attributes)})
}
