//! From spans and log records to events, and what a request comes to.

use super::render::{attributes, digits, id, is_id, value};
use crate::model::time::Time;
use crate::sources::push::Event;
use opentelemetry_proto::tonic::logs::v1::LogRecord;
use opentelemetry_proto::tonic::trace::v1::Span;
use opentelemetry_proto::tonic::trace::v1::span::SpanKind;
use opentelemetry_proto::tonic::trace::v1::status::StatusCode;
use serde_json::{Value, json};
use std::sync::Arc;

/// The streams of a source: `from: otel.traces`.
const TRACES: &str = "traces";
const LOGS: &str = "logs";
/// The attribute that the conventions give to what tells a log record from all others.
const LOG_RECORD_ID: &str = "log.record.uid";

/// What a request holds.
#[derive(Debug, Default)]
pub(super) struct Records {
    /// Its spans or log records.
    pub events: Vec<Event>,
    /// Those that are undecodable: why, what is wrong with the first of these, and how many they are.
    faults: Vec<(&'static str, String, u64)>,
    /// So many bytes more are taken.
    left: usize,
}

/// Why it is not taken: a word and a sentence.
pub(super) type Fault = (&'static str, String);

impl Records {
    /// Of a request that may come to so many bytes.
    pub fn new(left: usize) -> Records {
        Records { left, ..Records::default() }
    }

    /// One more, where there is room for it.
    pub fn add(&mut self, event: impl FnOnce() -> Result<Event, Fault>) {
        let event = if self.left == 0 { Err(full()) } else { event() };
        let (reason, why) = match event {
            Ok(event) if event.bytes() <= self.left => {
                self.left -= event.bytes();
                return self.events.push(event);
            }
            Ok(_) => {
                self.left = 0;
                full()
            }
            Err(fault) => fault,
        };
        match self.faults.iter_mut().find(|(known, ..)| *known == reason) {
            Some((_, _, times)) => *times += 1,
            None => self.faults.push((reason, why, 1)),
        }
    }

    /// All that is handed over, how many of them are rejected, and why the first of these.
    pub fn told(self) -> (Vec<Event>, i64, String) {
        let rejected: u64 = self.faults.iter().map(|(_, _, times)| times).sum();
        let why = self.faults.first().map(|(_, why, _)| why.clone()).unwrap_or_default();
        let faults = self.faults.into_iter();
        let faults = faults.map(|(reason, detail, times)| Event::Undecodable { reason, detail, times });
        (self.events.into_iter().chain(faults).collect(), i64::try_from(rejected).unwrap_or(i64::MAX), why)
    }
}

fn full() -> Fault {
    let why =
        "the request comes to too much, since each span or log record is kept with its resource: send fewer at once";
    ("too_long", why.to_owned())
}

/// A span happened when it ended: before, nobody can have been told of it.
pub(super) fn span(span: &Span, resource: &Value, scope: &Value, now: Time) -> Result<Event, Fault> {
    if span.trace_id.len() != 16 || span.span_id.len() != 8 || !is_id(&span.trace_id) || !is_id(&span.span_id) {
        let name = &span.name;
        let why = "has no valid `trace_id` of 16 bytes and `span_id` of 8";
        return Err(("bad_id", format!("the span `{name}` {why}")));
    }
    let time = time(&[span.end_time_unix_nano, span.start_time_unix_nano], now)?;
    let events = span.events.iter().map(|event| {
        json!({
            "time_unix_nano": event.time_unix_nano,
            "name": event.name,
            "attributes": attributes(&event.attributes),
        })
    });
    let links = span.links.iter().map(|link| {
        json!({
            "trace_id": id(&link.trace_id),
            "span_id": id(&link.span_id),
            "trace_state": link.trace_state,
            "attributes": attributes(&link.attributes),
        })
    });
    let status = span.status.as_ref();
    let code = status.map_or(StatusCode::Unset, |status| status.code());
    let body = json!({
        "trace_id": digits(&span.trace_id),
        "span_id": digits(&span.span_id),
        "parent_span_id": id(&span.parent_span_id),
        "name": span.name,
        "kind": word(span.kind().as_str_name(), "SPAN_KIND_", SpanKind::Unspecified.as_str_name()),
        "status": {
            "code": word(code.as_str_name(), "STATUS_CODE_", StatusCode::Unset.as_str_name()),
            "message": status.map_or("", |status| &status.message),
        },
        "attributes": attributes(&span.attributes),
        "resource": resource,
        "start_time_unix_nano": span.start_time_unix_nano,
        "end_time_unix_nano": span.end_time_unix_nano,
        "events": events.collect::<Value>(),
        "links": links.collect::<Value>(),
        "scope": scope,
        "trace_state": span.trace_state,
        "flags": span.flags,
        "dropped_attributes_count": span.dropped_attributes_count,
        "dropped_events_count": span.dropped_events_count,
        "dropped_links_count": span.dropped_links_count,
    });
    let key = format!("{}-{}", digits(&span.trace_id), digits(&span.span_id));
    Ok(event(TRACES, Some(key), time, &body))
}

/// A log record happened when it says so, else when it was first observed.
pub(super) fn log_record(log: &LogRecord, resource: &Value, scope: &Value, now: Time) -> Result<Event, Fault> {
    let time = time(&[log.time_unix_nano, log.observed_time_unix_nano], now)?;
    let attributes = attributes(&log.attributes);
    let key = attributes[LOG_RECORD_ID].as_str().filter(|id| !id.is_empty()).map(str::to_owned);
    let body = json!({
        "body": value(log.body.as_ref()),
        "attributes": attributes,
        "severity_text": log.severity_text,
        "severity_number": log.severity_number,
        "event_name": log.event_name,
        "trace_id": id(&log.trace_id),
        "span_id": id(&log.span_id),
        "resource": resource,
        "scope": scope,
        "time_unix_nano": log.time_unix_nano,
        "observed_time_unix_nano": log.observed_time_unix_nano,
        "flags": log.flags,
        "dropped_attributes_count": log.dropped_attributes_count,
    });
    Ok(event(LOGS, key, time, &body))
}

fn event(stream: &str, key: Option<String>, time: Time, body: &Value) -> Event {
    let payload = body.to_string().into_bytes();
    Event::Record { stream: Some(stream.into()), key, time, payload, headers: Arc::default() }
}

/// The first of these times that is said; zero says nothing.
fn time(times: &[u64], now: Time) -> Result<Time, Fault> {
    let Some(time) = times.iter().copied().find(|time| *time != 0) else { return Ok(now) };
    let time = i64::try_from(time).map_err(|_| ("bad_time", format!("{time} ns since 1970 is beyond any clock")))?;
    Ok(Time(time))
}

/// A word of an enumeration without what all its words begin with.
fn word(name: &str, prefix: &str, otherwise: &'static str) -> String {
    name.strip_prefix(prefix).unwrap_or_else(|| otherwise.trim_start_matches(prefix)).to_owned()
}
