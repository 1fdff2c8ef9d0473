//! BullMQ: the entries of a queue's stream of events, and its jobs, which are hashes. Fields are called as the library
//! calls them; what it keeps as JSON in text is JSON here.

use super::object::{Object, put, time};
use crate::extract::Record;
use crate::extract::fields::{Fields, Name};
use crate::extract::told::{Piece, Told};
use crate::extract::undecodable::Undecodable;
use crate::model::json;
use crate::model::time::Time;
use crate::model::value::Value;
use std::borrow::Cow;

/// How a hash abbreviates what a job calls otherwise.
const SHORT: [(&str, &str); 6] = [
    ("atm", "attemptsMade"),
    ("ats", "attemptsStarted"),
    ("stc", "stalledCounter"),
    ("pb", "processedBy"),
    ("rjk", "repeatJobKey"),
    ("deid", "deduplicationId"),
];
/// What is kept as JSON in text.
const JSON: [&str; 5] = ["data", "opts", "returnvalue", "progress", "stacktrace"];
/// What counts.
const NUMBERS: [&str; 9] = [
    "attemptsMade",
    "attemptsStarted",
    "stalledCounter",
    "timestamp",
    "processedOn",
    "finishedOn",
    "delay",
    "priority",
    "attemptNumber",
];

pub(super) fn read<'a>(record: &Record<'a>) -> Result<Piece<'a>, Undecodable> {
    // A job that was removed has no value any more.
    let members = if record.payload == b"null" { Object::default() } else { Object::of_payload(record.payload)? };
    let is_event = members.has("event");
    // `bull:orders:events`, `bull:orders:12`.
    let place = record.attributes.key.filter(|key| key.contains(':')).unwrap_or(record.stream());
    let mut of_place = place.rsplitn(2, ':');
    let (last, before) = (of_place.next().unwrap_or_default(), of_place.next());
    let queue = before.map(|before| before.split_once(':').map_or(before, |(_, queue)| queue));
    let mut fields = Fields::default();
    put(&mut fields, "queue", queue.map_or(Value::Null, |queue| Value::Text(queue.to_owned().into())));
    if !is_event && !members.has("jobId") && before.is_some() {
        put(&mut fields, "jobId", Value::Text(last.to_owned().into()));
    }
    // A source that says itself when it was has the better clock.
    let at = match record.attributes.time {
        Some(_) => None,
        None if is_event => entry_time(&members),
        None => changed(&members),
    };
    for (name, value) in members.0 {
        let name = SHORT.iter().find(|(short, _)| name == *short).map_or(name, |(_, long)| Cow::Borrowed(*long));
        let value = match value {
            Value::Text(text) if JSON.contains(&&*name) => spelt(text),
            Value::Text(text) if NUMBERS.contains(&&*name) => super::sample::number(text),
            other => other,
        };
        fields.push(Name::Record(name), value);
    }
    Ok(Told { time: at, ..Told::of(fields) }.into())
}

/// Text that is JSON, also where it is no object, as one; else as it stands.
fn spelt(text: Cow<'_, str>) -> Value<'_> {
    let meant = json::validate(&text).ok().map(Value::into_owned);
    meant.unwrap_or(Value::Text(text))
}

/// The time of an entry stands in its number: `1767226200120-0`.
fn entry_time(entry: &Object<'_>) -> Option<Time> {
    let millis = entry.text("id")?.split_once('-')?.0.parse().ok()?;
    time(&Value::Int(millis))
}

/// When a job was changed last, as far as it says.
fn changed(job: &Object<'_>) -> Option<Time> {
    ["finishedOn", "processedOn", "timestamp"].into_iter().filter_map(|name| job.time(name)).max()
}
