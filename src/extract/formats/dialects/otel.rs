//! Spans of messaging, by OpenTelemetry's conventions, which have renamed their attributes more than once: OTLP as JSON
//! (what the collector's file exporter writes), or one span by itself.

use super::object::{Object, put, spelt, time};
use crate::extract::Record;
use crate::extract::fields::Fields;
use crate::extract::told::{Piece, Told};
use crate::extract::undecodable::Undecodable;
use crate::model::json;
use crate::model::value::Value;
use std::borrow::Cow;

/// What a flow calls an attribute, and what the conventions do, the newest first.
const NAMED: [(&str, &[&str]); 14] = [
    ("system", &["messaging.system"]),
    ("operation", &["messaging.operation.type", "messaging.operation"]),
    ("operation_name", &["messaging.operation.name"]),
    ("destination", &["messaging.destination.name", "messaging.destination"]),
    ("subscription", &["messaging.destination.subscription.name"]),
    (
        "partition",
        &["messaging.destination.partition.id", "messaging.kafka.destination.partition", "messaging.kafka.partition"],
    ),
    ("offset", &["messaging.kafka.offset", "messaging.kafka.message.offset"]),
    ("message_id", &["messaging.message.id", "messaging.message_id"]),
    ("message_key", &["messaging.kafka.message.key", "messaging.kafka.message_key"]),
    ("routing_key", &["messaging.rabbitmq.destination.routing_key", "messaging.rabbitmq.routing_key"]),
    ("conversation_id", &["messaging.message.conversation_id", "messaging.conversation_id"]),
    (
        "consumer_group",
        &["messaging.consumer.group.name", "messaging.kafka.consumer.group", "messaging.kafka.consumer_group"],
    ),
    ("batch_count", &["messaging.batch.message_count"]),
    ("error", &["error.type"]),
];
/// The kinds of spans, as numbers have them.
const KINDS: [&str; 6] = ["unspecified", "internal", "server", "client", "producer", "consumer"];
const STATUS: [&str; 3] = ["unset", "ok", "error"];

pub(super) fn read<'a>(record: &Record<'a>) -> Result<Vec<Piece<'a>>, Undecodable> {
    let document = Object::of_payload(record.payload)?;
    if !document.has("resourceSpans") {
        let resource = Object::of(&document.get("resource")).map(|resource| plain(&resource.get("attributes")));
        return Ok(vec![span(&document, resource.unwrap_or(Value::Null))]);
    }
    let mut pieces = Vec::new();
    for of_resource in list(&document.get("resourceSpans")) {
        let attributes = Object::of(&of_resource.get("resource")).map(|resource| plain(&resource.get("attributes")));
        let scopes = ["scopeSpans", "instrumentationLibrarySpans"].map(|name| list(&of_resource.get(name)));
        for spans in scopes.into_iter().flatten() {
            for one in list(&spans.get("spans")) {
                pieces.push(span(&one, attributes.clone().unwrap_or(Value::Null)));
            }
        }
    }
    Ok(pieces)
}

fn list(value: &Value<'_>) -> Vec<Object<'static>> {
    let Value::Json(text) = value else { return Vec::new() };
    json::elements(text).unwrap_or_default().into_iter().filter_map(|one| Object::lent(one.into_owned())).collect()
}

/// A span, if it is one of messaging.
fn span<'a>(span: &Object<'_>, resource: Value<'static>) -> Piece<'a> {
    let either = |names: &[&str]| names.iter().map(|name| span.get(name)).find(|value| *value != Value::Null);
    let attributes = plain(&span.get("attributes"));
    let known = Object::of(&attributes).unwrap_or_default();
    let start = either(&["startTimeUnixNano", "start_time_unix_nano", "start"]).and_then(|value| time(&value));
    let end = either(&["endTimeUnixNano", "end_time_unix_nano", "end"]).and_then(|value| time(&value));
    if !known.has("messaging.system") {
        return Piece::Passed(start);
    }
    let mut fields: Fields<'a> = Fields::default();
    for (name, names) in [
        ("trace_id", ["traceId", "trace_id"]),
        ("span_id", ["spanId", "span_id"]),
        ("parent_span_id", ["parentSpanId", "parent_span_id"]),
    ] {
        let id = either(&names).filter(|id| *id != Value::Text("".into()));
        put(&mut fields, name, id.unwrap_or(Value::Null).into_owned());
    }
    put(&mut fields, "name", span.get("name").into_owned());
    put(&mut fields, "kind", enumerated(&span.get("kind"), &KINDS, "SPAN_KIND_"));
    let status = Object::of(&span.get("status"))
        .map(|status| status.get("code").into_owned())
        .unwrap_or(span.get("status").into_owned());
    put(&mut fields, "status", enumerated(&status, &STATUS, "STATUS_CODE_"));
    if let (Some(start), Some(end)) = (start, end) {
        put(&mut fields, "elapsed", Value::Int(end.since(start).as_millis()));
    }
    for (name, names) in NAMED {
        let value = names.iter().map(|name| known.get(name)).find(|value| *value != Value::Null);
        put(&mut fields, name, value.unwrap_or(Value::Null).into_owned());
    }
    let identity = fields.field("span_id").display().into_owned();
    let identity = format!("{} {identity}", fields.field("trace_id").display());
    put(&mut fields, "attributes", attributes.into_owned());
    put(&mut fields, "resource", resource);
    Told { time: start, identity: Some(identity), ..Told::of(fields) }.into()
}

fn enumerated(value: &Value<'_>, names: &[&'static str], prefix: &str) -> Value<'static> {
    match value {
        Value::Int(number) => {
            let name = usize::try_from(*number).ok().and_then(|number| names.get(number));
            name.map_or(Value::Null, |name| Value::Text((*name).into()))
        }
        Value::Text(text) => Value::Text(text.strip_prefix(prefix).unwrap_or(text).to_ascii_lowercase().into()),
        _ => Value::Null,
    }
}

/// Attributes by name: OTLP has them as a list of keys with typed values.
fn plain(attributes: &Value<'_>) -> Value<'static> {
    let Value::Json(text) = attributes else { return Value::Null };
    let Some(list) = json::elements(text) else { return attributes.clone().into_owned() };
    let pair = |one: Value<'_>| {
        let one = Object::of(&one)?;
        Some((one.text("key")?.to_owned(), json::text(&typed(&one.get("value")))))
    };
    let pairs: Vec<(String, String)> = list.into_iter().filter_map(pair).collect();
    Value::Json(json::object(pairs.iter().map(|(name, value)| (&**name, value.clone()))).into())
}

fn typed(value: &Value<'_>) -> Value<'static> {
    let Some(inner) = Object::of(value) else { return Value::Null };
    let Some((kind, value)) = inner.0.first() else { return Value::Null };
    match (&**kind, value) {
        // 64 bits are text in JSON.
        ("intValue", number) => {
            spelt(number.borrowed()).map_or(Value::Null, |text| super::sample::number(Cow::Owned(text.into_owned())))
        }
        ("arrayValue", values) => {
            let values = Object::of(values).map(|values| values.get("values")).unwrap_or(Value::Null);
            let Value::Json(list) = &values else { return Value::Null };
            Value::Json(
                json::list(json::elements(list).unwrap_or_default().iter().map(|one| json::text(&typed(one)))).into(),
            )
        }
        ("kvlistValue", values) => Object::of(values).map_or(Value::Null, |values| plain(&values.get("values"))),
        (_, other) => other.clone().into_owned(),
    }
}
