//! Dumps of topics as kcat writes them (`kcat -C -J`): a message a line, with its topic, key, headers and time beside
//! the payload. What a message is called in its topic, it is called in its dump.

use super::Reader;
use super::har::texts;
use super::object::Object;
use crate::extract::told::Piece;
use crate::extract::{Attributes, Record};
use crate::model::value::Value;

/// How every line of a dump begins.
const BEGINS: &[u8] = b"{\"topic\":";

/// The pieces of the message that a line of a dump holds; `None` where the line is none.
pub(super) fn read<'a>(reader: &mut Reader, record: &Record<'a>) -> Option<Vec<Piece<'a>>> {
    if !record.payload.starts_with(BEGINS) {
        return None;
    }
    let line = Object::of_payload(record.payload).ok()?;
    let is_dump = ["partition", "offset", "ts", "key", "payload"].iter().all(|name| line.has(name));
    let topic = line.text("topic").filter(|_| is_dump)?;
    let payload = match line.get("payload") {
        Value::Text(text) => text.into_owned(),
        Value::Null => "null".to_owned(),
        _ => return None,
    };
    // Names and values take turns.
    let headers = texts(&line.get("headers"));
    let headers: Vec<(&str, &str)> = headers.chunks_exact(2).map(|pair| (&*pair[0], &*pair[1])).collect();
    let attributes = Attributes {
        stream: Some(topic),
        key: line.text("key"),
        headers: &headers,
        time: line.time("ts"),
        ..Attributes::default()
    };
    let message = Record { payload: payload.as_bytes(), attributes, ..*record };
    let pieces = reader.read(&message).map(|(_, piece)| match piece {
        Piece::Told(mut told) => {
            told.key = told.key.or(attributes.key.map(Into::into));
            told.stream = told.stream.or(Some(topic.into()));
            told.time = told.time.or(attributes.time);
            Piece::Told(Box::new(told.into_owned()))
        }
        Piece::Passed(time) => Piece::Passed(time),
        Piece::Alive(time) => Piece::Alive(time),
        Piece::Bad(why) => Piece::Bad(why),
        Piece::Whole => Piece::Whole,
    });
    Some(pieces.collect())
}
