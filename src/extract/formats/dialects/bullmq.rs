//! BullMQ: the entries of a queue's stream of events, and its jobs, which are hashes. Fields are called as the library
//! calls them; what it keeps as JSON in text is JSON here.
//!
//! ```text
//! bull:orders:events     an event has `event`, and most have `jobId`
//! bull:orders:events#2   the same after the queue was flushed: its jobs are counted from 1 again
//! bull:orders:12         a job
//! bull:orders:12:lock    what belongs to a job or a queue, and is passed over
//! ```

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
const SHORT: [(&str, &str); 7] = [
    ("atm", "attemptsMade"),
    ("ats", "attemptsStarted"),
    ("stc", "stalledCounter"),
    ("pb", "processedBy"),
    ("rjk", "repeatJobKey"),
    ("deid", "deduplicationId"),
    ("defa", "deferredFailure"),
];
/// What is kept as JSON in text.
const JSON: [&str; 6] = ["data", "opts", "returnvalue", "progress", "stacktrace", "parent"];
/// What is text, also where it looks like something else.
const TEXTS: [&str; 4] = ["name", "failedReason", "processedBy", "deferredFailure"];
/// What counts.
const NUMBERS: [&str; 10] = [
    "attemptsMade",
    "attemptsStarted",
    "stalledCounter",
    "timestamp",
    "processedOn",
    "finishedOn",
    "delay",
    "priority",
    "attemptNumber",
    "count",
];
/// How keys end that are no jobs, but belong to a queue or to a job.
const BESIDE: [&str; 23] = [
    "id",
    "meta",
    "wait",
    "paused",
    "active",
    "delayed",
    "prioritized",
    "waiting-children",
    "completed",
    "failed",
    "data",
    "stalled",
    "stalled-check",
    "events",
    "limiter",
    "marker",
    "pc",
    "repeat",
    "lock",
    "logs",
    "dependencies",
    "processed",
    "unsuccessful",
];
/// What stands before the id of a job that a schedule makes, in which there are colons; no other id has any, nor has the
/// name of a queue. And before what a queue deduplicates by.
const REPEATED: &str = ":repeat:";
const DEDUPLICATED: &str = ":de:";

pub(super) fn read<'a>(record: &Record<'a>) -> Result<Piece<'a>, Undecodable> {
    let key = record.attributes.key.filter(|key| key.contains(':'));
    let place = key.unwrap_or(record.stream());
    let (queue, id) = parted(place);
    if key.is_some_and(|key| !is_job(key, id, record.payload)) {
        return Ok(Piece::Passed(record.attributes.time));
    }
    // A job that was removed has no value any more.
    let members = if record.payload == b"null" { Object::default() } else { Object::of_payload(record.payload)? };
    let is_event = members.has("event");
    let mut fields = Fields::default();
    put(&mut fields, "queue", queue.map_or(Value::Null, |queue| Value::Text(queue.into())));
    if is_event {
        put(&mut fields, "job", job(record, queue, &members));
    } else if !members.has("jobId") && queue.is_some() {
        put(&mut fields, "jobId", Value::Text(id.into()));
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
            value @ (Value::Text(_) | Value::Null) => value,
            other if TEXTS.contains(&&*name) => Value::Text(other.display().into_owned().into()),
            other => other,
        };
        fields.push(Name::Record(name), value);
    }
    Ok(Told { time: at, ..Told::of(fields) }.into())
}

/// The queue and what stands behind it: the id of a job, or `events`.
fn parted(place: &str) -> (Option<&str>, &str) {
    let (before, last) = match place.find(REPEATED) {
        Some(at) => (Some(&place[..at]), &place[at + 1..]),
        None => place.rsplit_once(':').map_or((None, place), |(before, last)| (Some(before), last)),
    };
    // The prefix stands before it, and may have colons.
    (before.map(|before| before.rsplit_once(':').map_or(before, |(_, queue)| queue)), last)
}

/// Whether a key is that of a job, whatever is left of it.
fn is_job(key: &str, id: &str, payload: &[u8]) -> bool {
    let has_value = payload.first() == Some(&b'{') || payload == b"null";
    let is_schedule = id.strip_prefix("repeat:").is_some_and(|id| !id.contains(':'));
    has_value && !is_schedule && !BESIDE.contains(&id) && !key.contains(DEDUPLICATED)
}

/// What tells a job from all others, those of the same id before a flush included: `orders/12`, `orders#2/12`. Who
/// flushes or obliterates a queue removes the counter of its jobs and the stream of their events at once.
fn job<'a>(record: &Record<'a>, queue: Option<&str>, event: &Object<'a>) -> Value<'a> {
    let (Some(id), Some(queue)) = (event.text("jobId"), queue) else { return event.get("jobId") };
    let part = record.part.strip_prefix(record.stream());
    let life = part.filter(|life| life.starts_with('#')).unwrap_or_default();
    Value::Text(format!("{queue}{life}/{id}").into())
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
