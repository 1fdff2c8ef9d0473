//! Changes of rows, as Debezium's connectors tell them.
//!
//! ```text
//! {"schema": …, "payload": {"op": "u", "before": …, "after": …, "source": {"ts_ms": …, "table": …}}}
//!      │ how columns are encoded      │               │                 │ when, which table
//!      └──────────────────────────────┴── body: the row as it is now, of a delete as it was
//! ```
//!
//! With a schema or without, in Debezium's envelope, the same as a CloudEvent, or flattened (`ExtractNewRecordState`).

mod cloud;
mod document;
mod schema;
#[cfg(test)]
mod tests;
mod values;

use super::object::{Object, spelt, unlike};
use crate::extract::Record;
use crate::extract::fields::{Fields, Name};
use crate::extract::told::{Piece, Relay, Told};
use crate::extract::undecodable::{Undecodable, utf8};
use crate::flow::dialect::Encoding;
use crate::model::json;
use crate::model::time::{Span, Time};
use crate::model::value::Value;
use schema::{Columns, Schemas};
use std::borrow::Cow;
use values::decoded;

/// What PostgreSQL's connector writes in place of a large value that an update left alone: of text, and of bytes.
const UNAVAILABLE: [&str; 2] = ["__debezium_unavailable_value", "X19kZWJleml1bV91bmF2YWlsYWJsZV92YWx1ZQ=="];
/// The same of lists: of texts; of numbers and days, which are the bytes of that text; of UUIDs, one made of it.
const UNAVAILABLE_LISTS: [&str; 3] = [
    r#"["__debezium_unavailable_value"]"#,
    "[95,95,100,101,98,101,122,105,117,109,95,117,110,97,118,97,105,108,97,98,108,101,95,118,97,108,117,101]",
    r#"["b68a35a7-17ad-35b3-af2a-ae46edb4545a"]"#,
];

/// Reads changes.
#[derive(Clone, Debug)]
pub struct Debezium {
    /// How columns are encoded of which no schema speaks.
    declared: Columns,
    schemas: Schemas,
}

/// The names of a message's parts, in the envelope or beside a flattened row.
struct Shape<'s> {
    before: &'s [(String, Encoding)],
    after: &'s [(String, Encoding)],
}

impl Debezium {
    /// With the encodings of these columns, for messages without a schema.
    pub fn new(declared: Columns) -> Debezium {
        Debezium { declared, schemas: Schemas::default() }
    }

    /// The change that a message tells.
    pub fn read<'a>(&mut self, record: &Record<'a>) -> Result<Piece<'a>, Undecodable> {
        let text = utf8(record.payload)?;
        if matches!(text.trim(), "" | "null") {
            return Ok(Piece::Passed(None));
        }
        let key = record.attributes.key.map(|key| self.key(key));
        let mut message = Object::read(text)?;
        let besides = cloud::besides(&message);
        if besides.is_some() {
            message = Object::lent(message.get("data")).ok_or_else(|| unlike("the event's data is no object"))?;
        }
        let schema = match (message.has("schema") && message.has("payload"), message.get("payload")) {
            (false, _) => None,
            (true, Value::Null) => return Ok(Piece::Passed(None)),
            (true, Value::Json(Cow::Borrowed(payload))) => {
                let schema = self.schemas.read(&message.get("schema"));
                message = Object::read(payload)?;
                schema
            }
            (true, _) => return Err(unlike("the payload beside the schema is no object")),
        };
        message.0.extend(besides.into_iter().flat_map(|besides| besides.0));
        let envelope = message.text("op").is_some()
            && ["before", "after", "source"]
                .iter()
                .any(|part| matches!(message.get(part), Value::Json(_) | Value::Text(_)));
        let declared = &self.declared[..];
        let mut told = if envelope {
            let shape = schema.as_ref().map_or(Shape { before: declared, after: declared }, |schema| Shape {
                before: &schema.before,
                after: &schema.after,
            });
            change(&message, &shape, record)?
        } else if let Some(heartbeat) = aside(&message) {
            return Ok(heartbeat.map_or(Piece::Passed(None), Piece::Alive));
        } else {
            flattened(message, schema.as_ref().map_or(declared, |schema| &schema.own), record)?
        };
        told.key = key.map(Cow::Owned);
        Ok(told.into())
    }

    /// A row's key as other sources of changes have it: its text, or a JSON list where it is composite.
    fn key(&mut self, text: &str) -> String {
        let Ok(mut key) = Object::read(text) else {
            return json::validate(text).map_or_else(|_| text.to_owned(), |value| value.display().into_owned());
        };
        let mut schema = None;
        let payload = key.get("payload");
        if key.has("schema") && key.has("payload") {
            schema = self.schemas.read(&key.get("schema"));
            match Object::lent(payload.clone()) {
                Some(inner) => key = inner,
                None => return payload.display().into_owned(),
            }
        }
        let columns = schema.as_ref().map_or(&self.declared[..], |schema| &schema.own);
        let parts = key.0.into_iter().map(|(name, value)| document::identity(decoded(value, encoding(columns, &name))));
        let parts: Vec<Value<'_>> = parts.collect();
        match &parts[..] {
            [one] => one.display().into_owned(),
            several => json::list(several.iter().map(json::text)),
        }
    }
}

/// How a column is encoded, if anything says so.
fn encoding(columns: &[(String, Encoding)], name: &str) -> Option<Encoding> {
    columns.iter().find(|(known, _)| known == name).map(|(_, encoding)| *encoding)
}

/// What a connector says beside the changes: the end of a transaction, a table's new columns, or a heartbeat, with its
/// time.
fn aside(message: &Object<'_>) -> Option<Option<Time>> {
    let only_times = message.0.iter().all(|(name, _)| name.starts_with("ts_"));
    let transaction = matches!(message.text("status"), Some("BEGIN" | "END")) && message.has("event_count");
    let of_schema = message.has("ddl") || message.has("tableChanges");
    (only_times || transaction || of_schema).then(|| if only_times { moment(message, "") } else { None })
}

/// The most exact of the times under `ts_…`.
fn moment(of: &Object<'_>, prefix: &str) -> Option<Time> {
    let named = |(unit, nanos): (&str, i64)| match of.get(&format!("{prefix}{unit}")) {
        Value::Int(count) if count > 0 => count.checked_mul(nanos).map(Time),
        _ => None,
    };
    [("ts_ns", 1), ("ts_us", 1_000), ("ts_micro", 1_000), ("ts_ms", 1_000_000)].into_iter().find_map(named)
}

/// A change in Debezium's envelope.
fn change<'a>(message: &Object<'a>, shape: &Shape<'_>, record: &Record<'_>) -> Result<Told<'a>, Undecodable> {
    let source = Object::lent(message.get("source")).unwrap_or_default();
    let cassandra = source.text("connector") == Some("cassandra");
    let op = match (message.text("op"), cassandra) {
        (Some("c" | "i"), _) => "insert",
        (Some("u"), _) => "update",
        (Some("d"), _) => "delete",
        // Of a range of rows, not of one.
        (Some("r"), true) | (Some("t"), _) => "truncate",
        (Some("r"), false) => "read",
        (Some("m"), _) => "message",
        (op, _) => {
            return Err(unlike(format!("`{}` is no kind of change that Debezium tells", op.unwrap_or_default())));
        }
    };
    let mut told = Told { op: Some(op), time: moment(&source, "").or_else(|| moment(message, "")), ..Told::default() };
    let before = message.get("before");
    let row = match (message.get("after"), &before) {
        (Value::Null, Value::Null) => updated(message),
        (Value::Null, _) => row(before.clone(), shape.before, cassandra)?,
        (after, _) => row(after, shape.after, cassandra)?,
    };
    told.fields = row.into_fields();
    if before != Value::Null {
        let text = json::object(row_texts(&self::row(before, shape.before, cassandra)?));
        told.fields.push_beside("before", Value::Json(text.into()));
    }
    for part in ["source", "transaction", "updateDescription"] {
        told.fields.push_beside(part, message.get(part));
    }
    told.stream = table(&source).map(Cow::Owned);
    told.relay = relay(told.op, moment(&source, ""), moment(message, "").or(record.attributes.time));
    Ok(told)
}

/// What a change shows of the connector. Rows of a snapshot stand beside the log: one that is taken while changes are told
/// has the time at which it was read. Where nothing says when a change was made, it counts as made when it was told.
fn relay(op: Option<&str>, made: Option<Time>, told: Option<Time>) -> Relay {
    match (op, made, told) {
        (Some("read"), ..) => Relay::Aside,
        (_, made, Some(told)) => Relay::Behind(told.since(made.unwrap_or(told)).max(Span::ZERO)),
        _ => Relay::Silent,
    }
}

/// The row of which an event tells neither the old nor the new version: of a document, the fields that were set; of a
/// message in the log, the message.
fn updated<'a>(message: &Object<'a>) -> Object<'a> {
    let description = Object::lent(message.get("updateDescription")).unwrap_or_default();
    match description.get("updatedFields") {
        Value::Text(text) => document::read(&text).unwrap_or_default(),
        _ => Object::lent(message.get("message")).unwrap_or_default(),
    }
}

/// A row with its values as they are meant.
fn row<'a>(value: Value<'a>, columns: &[(String, Encoding)], cells: bool) -> Result<Object<'a>, Undecodable> {
    let row = match value {
        Value::Text(text) => {
            return document::read(&text).ok_or_else(|| unlike("the document in it is no JSON object"));
        }
        value => Object::lent(value).ok_or_else(|| unlike("the row in it is no object"))?,
    };
    let meant = row.0.into_iter().filter_map(|(name, value)| {
        let value = if cells { cell(value)? } else { value };
        (!is_unavailable(&value)).then(|| {
            let value = decoded(value, encoding(columns, &name));
            (name, value)
        })
    });
    Ok(Object(meant.collect()))
}

fn is_unavailable(value: &Value<'_>) -> bool {
    match value {
        Value::Text(text) => UNAVAILABLE.contains(&&**text),
        Value::Json(list) => UNAVAILABLE_LISTS.contains(&&**list),
        _ => false,
    }
}

/// What stands in a cell of Cassandra's; `None` where the change did not set it.
fn cell(value: Value<'_>) -> Option<Value<'_>> {
    let Some(cell) = Object::of(&value).filter(|cell| cell.has("value") && cell.has("set")) else { return Some(value) };
    (cell.get("set") != Value::Bool(false)).then(|| cell.get("value").into_owned())
}

fn row_texts<'r>(row: &'r Object<'_>) -> impl Iterator<Item = (&'r str, String)> {
    row.0.iter().map(|(name, value)| (&**name, json::text(value)))
}

/// The table's full name: `shop.public.orders`.
fn table(source: &Object<'_>) -> Option<String> {
    let named = |names: &[&str]| names.iter().find_map(|name| source.text(name)).filter(|text| !text.is_empty());
    let table = named(&["table", "table_name", "collection"])?;
    let parts = [named(&["db"]), named(&["schema", "keyspace_name", "keyspace"]), Some(table)];
    Some(parts.into_iter().flatten().collect::<Vec<_>>().join("."))
}

/// A row by itself, with what the transformation was told to add: `__op`, `__deleted`, `__source_ts_ms`, in the row or
/// in the headers.
fn flattened<'a>(
    message: Object<'a>,
    columns: &[(String, Encoding)],
    record: &Record<'a>,
) -> Result<Told<'a>, Undecodable> {
    let headers = record.attributes.headers.iter().filter(|(name, _)| name.starts_with("__"));
    let mut added = Object(headers.map(|(name, value)| ((*name).into(), json::value(value))).collect());
    added.0.retain(|(_, value)| *value != Value::Null);
    added
        .0
        .extend(record.attributes.headers.iter().map(|(name, value)| ((*name).into(), Value::Text((*value).into()))));
    let said = |name: &str| spelt(message.get(name)).or_else(|| spelt(added.get(name)));
    let deleted = said("__deleted").is_some_and(|text| text == "true") || message.get("__deleted") == Value::Bool(true);
    let op = match said("__op").as_deref() {
        _ if deleted => Some("delete"),
        Some("c" | "i") => Some("insert"),
        Some("u") => Some("update"),
        Some("d") => Some("delete"),
        Some("r") => Some("read"),
        Some("t") => Some("truncate"),
        _ => None,
    };
    let said_at = |prefix: &str| moment(&message, prefix).or_else(|| moment(&added, prefix));
    let (made, told) = (said_at("__source_"), said_at("__"));
    let relay = relay(op, made, told.or(record.attributes.time));
    let mut fields = Fields::default();
    for (name, value) in message.0 {
        if !is_unavailable(&value) {
            let value = decoded(value, encoding(columns, &name));
            fields.push(Name::Record(name), value);
        }
    }
    Ok(Told { time: made.or(told), op, relay, ..Told::of(fields) })
}
