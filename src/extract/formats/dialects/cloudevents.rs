//! CloudEvents 1.0: structured (the event is the payload), binary (its attributes are headers), batched (a list).

use super::base64;
use super::object::{Object, parsed, put, unlike};
use crate::extract::Record;
use crate::extract::fields::{Fields, Name};
use crate::extract::told::{Piece, Told};
use crate::extract::undecodable::{Undecodable, utf8};
use crate::model::json;
use crate::model::value::Value;
use std::borrow::Cow;

/// What stands before an attribute's name in a header: over Kafka, HTTP and AMQP.
const PREFIXES: [&str; 4] = ["ce_", "ce-", "cloudEvents:", "cloudEvents_"];

pub(super) fn read<'a>(record: &Record<'a>) -> Result<Vec<Piece<'a>>, Undecodable> {
    let text = utf8(record.payload)?;
    let attributes: Vec<(&str, &str)> =
        record.attributes.headers.iter().filter_map(|(name, value)| Some((attribute(name)?, *value))).collect();
    if attributes.iter().any(|(name, _)| name.eq_ignore_ascii_case("specversion")) {
        return Ok(vec![binary(text, &attributes, record).into()]);
    }
    if text.trim_start().starts_with('[') {
        json::validate(text).map_err(|error| crate::extract::formats::not_json(text, &error))?;
        let events = json::elements(text).unwrap_or_default();
        let event = |event| Object::lent(event).ok_or_else(|| unlike("an element of the batch is no object"));
        return Ok(events
            .into_iter()
            .map(|one| event(one).and_then(structured).map_or_else(Piece::Bad, Piece::from))
            .collect());
    }
    Ok(vec![structured(Object::read(text)?)?.into()])
}

fn attribute(header: &str) -> Option<&str> {
    let split = |prefix: &&str| {
        let front = header.get(..prefix.len())?;
        front.eq_ignore_ascii_case(prefix).then(|| &header[prefix.len()..])
    };
    PREFIXES.iter().find_map(split)
}

fn structured(mut event: Object<'_>) -> Result<Told<'_>, Undecodable> {
    if !event.has("specversion") {
        return Err(unlike("a CloudEvent has a `specversion`, and here is none, nor a header `ce_specversion`"));
    }
    if let Some(data) = event.text("data_base64") {
        let text = base64::decode(data).and_then(|bytes| String::from_utf8(bytes).ok());
        let data = text.map_or(Value::Null, |text| parsed(Cow::Owned(text)));
        event.0.push(("data".into(), data));
    }
    Ok(told(event))
}

fn binary<'a>(text: &'a str, attributes: &[(&'a str, &'a str)], record: &Record<'a>) -> Told<'a> {
    let lower = |name: &str| Cow::Owned(name.to_ascii_lowercase());
    let mut event =
        Object(attributes.iter().map(|(name, value)| (lower(name), Value::Text((*value).into()))).collect());
    let kind = record.attributes.headers.iter().find(|(name, _)| name.eq_ignore_ascii_case("content-type"));
    event.0.extend(kind.map(|(_, kind)| ("datacontenttype".into(), Value::Text((*kind).into()))));
    if !text.is_empty() && text != "null" {
        let scalar = kind.is_some_and(|(_, kind)| kind.contains("json"));
        let data = if scalar { json::validate(text).unwrap_or(Value::Text(text.into())) } else { parsed(text.into()) };
        event.0.push(("data".into(), data));
    }
    let mut told = told(event);
    // Over Kafka, an event's partition key is the message's key.
    put(&mut told.fields, "partitionkey", record.attributes.key.map_or(Value::Null, |key| Value::Text(key.into())));
    told
}

fn told(event: Object<'_>) -> Told<'_> {
    let identity = event.text("id").map(|id| format!("{} {id}", event.text("source").unwrap_or_default()));
    let time = event.time("time");
    let mut fields = Fields::default();
    event.0.into_iter().for_each(|(name, value)| fields.push(Name::Record(name), value));
    Told { time, identity, ..Told::of(fields) }
}
