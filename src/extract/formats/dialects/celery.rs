//! Celery: tasks as they stand in a queue (protocols 1 and 2), and what workers tell of them (events).
//!
//! An event is a map, or a list of maps where a worker has gathered some. Over Redis, a message is a JSON document in
//! which body, headers and properties stand side by side.

use super::base64;
use super::object::{Object, put, unlike};
use crate::extract::Record;
use crate::extract::fields::{Fields, Name};
use crate::extract::formats::not_json;
use crate::extract::told::{Piece, Told};
use crate::extract::undecodable::{Undecodable, utf8};
use crate::model::json;
use crate::model::value::Value;
use std::borrow::Cow;

/// Where the headers of a task stand.
type Headers<'a> = Object<'a>;

/// Headers of a task that count, and those that hold more than one value.
const NUMBERS: [&str; 3] = ["retries", "group_index", "replaced_task_nesting"];
const JSON: [&str; 4] = ["timelimit", "stamps", "stamped_headers", "ignore_result"];

pub(super) fn read<'a>(record: &Record<'a>) -> Result<Vec<Piece<'a>>, Undecodable> {
    let text = utf8(record.payload)?;
    let value = json::validate(text).map_err(|error| not_json(text, &error))?;
    // What a broker says of the message is no part of the task.
    let of_task = record.attributes.headers.iter().filter(|(name, _)| !name.starts_with("amqp."));
    let headers = of_task.map(|(name, value)| ((*name).into(), header(name, value)));
    let headers: Headers<'a> = Object(headers.collect());
    if let Some(message) =
        Object::lent(value.clone()).filter(|o| o.has("body") && o.has("headers") && o.has("properties"))
    {
        let body = message.text("body").unwrap_or_default();
        let packed = Object::lent(message.get("properties")).is_some_and(|p| p.text("body_encoding") == Some("base64"));
        let body = match packed {
            true => base64::decode(body).and_then(|bytes| String::from_utf8(bytes).ok()),
            false => Some(body.to_owned()),
        };
        let body = body.ok_or_else(|| unlike("the body of the message is no text in base64"))?;
        let value = json::validate(&body).map_err(|error| not_json(&body, &error))?.into_owned();
        return message_of(value, Object::lent(message.get("headers")).unwrap_or_default());
    }
    message_of(value, headers)
}

/// A header's value as it was before the source made a text of it.
fn header<'a>(name: &str, value: &'a str) -> Value<'a> {
    match NUMBERS.contains(&name) {
        true => super::sample::number(value.into()),
        false if JSON.contains(&name) => json::validate(value).unwrap_or(Value::Text(value.into())),
        false => Value::Text(value.into()),
    }
}

fn message_of<'a>(body: Value<'a>, headers: Headers<'a>) -> Result<Vec<Piece<'a>>, Undecodable> {
    if headers.has("task") && headers.has("id") {
        return Ok(vec![task(&body, headers).into()]);
    }
    let list = match &body {
        Value::Json(Cow::Borrowed(text)) => json::elements(text),
        Value::Json(Cow::Owned(text)) => {
            json::elements(text).map(|list| list.into_iter().map(Value::into_owned).collect())
        }
        _ => None,
    };
    let events = list.unwrap_or_else(|| vec![body]);
    let piece = |one| match Object::lent(one) {
        Some(event) if event.has("type") => self::event(event).into(),
        Some(message) if message.has("task") && message.has("id") => older(message).into(),
        _ => Piece::Bad(unlike("this is neither a task of Celery (headers `task` and `id`) nor an event (`type`)")),
    };
    Ok(events.into_iter().map(piece).collect())
}

/// What a worker or a client tells of a task, or of itself.
fn event(event: Object<'_>) -> Told<'_> {
    let time = event.time("timestamp");
    let about = event.text("uuid").or(event.text("hostname")).unwrap_or_default();
    let identity = format!("{about} {} {}", event.text("type").unwrap_or_default(), event.get("timestamp").display());
    let mut fields = Fields::default();
    put(&mut fields, "task_id", event.get("uuid"));
    put(&mut fields, "task", event.get("name"));
    event.0.into_iter().for_each(|(name, value)| fields.push(Name::Record(name), value));
    Told { time, identity: Some(identity), ..Told::of(fields) }
}

/// A task that waits in a queue, in protocol 2: its arguments are the body, all else is in the headers.
fn task<'a>(body: &Value<'a>, headers: Headers<'a>) -> Told<'a> {
    let mut fields = Fields::default();
    put(&mut fields, "type", Value::Text("task-message".into()));
    put(&mut fields, "task_id", headers.get("id"));
    let parts = match body {
        Value::Json(text) => json::elements(text).unwrap_or_default().into_iter().map(Value::into_owned).collect(),
        _ => Vec::new(),
    };
    for (name, value) in ["args", "kwargs", "embed"].into_iter().zip(parts) {
        put(&mut fields, name, value);
    }
    let identity = identity(&headers);
    headers.0.into_iter().for_each(|(name, value)| fields.push(Name::Record(name), value));
    Told { identity: Some(identity), ..Told::of(fields) }
}

/// The same in protocol 1, in which it is one map.
fn older(message: Object<'_>) -> Told<'_> {
    let mut fields = Fields::default();
    put(&mut fields, "type", Value::Text("task-message".into()));
    put(&mut fields, "task_id", message.get("id"));
    let identity = identity(&message);
    message.0.into_iter().for_each(|(name, value)| fields.push(Name::Record(name), value));
    Told { identity: Some(identity), ..Told::of(fields) }
}

/// A task that is tried again is sent again, with the same id.
fn identity(of: &Object<'_>) -> String {
    format!("{} {}", of.get("id").display(), of.get("retries").display())
}
