//! From requests to events: one a span, one a log record.

use super::render::{attributes, digits, id, is_id, resource, scope, value};
use crate::model::time::Time;
use crate::sources::push::Event;
use opentelemetry_proto::tonic::collector::logs::v1::ExportLogsServiceRequest;
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
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
    /// Its spans or log records, undecodable ones among them.
    pub events: Vec<Event>,
    /// How many are undecodable, and what is wrong with the first.
    pub rejected: i64,
    pub why: String,
}

/// Why it is not taken: a word and a sentence.
type Fault = (&'static str, String);

impl Records {
    fn add(&mut self, event: Result<Event, Fault>) {
        let event = event.unwrap_or_else(|(reason, detail)| {
            if self.rejected == 0 {
                self.why.clone_from(&detail);
            }
            self.rejected += 1;
            Event::Undecodable { reason, detail }
        });
        self.events.push(event);
    }
}

/// The spans of a request that came now.
pub(super) fn spans(request: &ExportTraceServiceRequest, now: Time) -> Records {
    let mut records = Records::default();
    let stream: Arc<str> = TRACES.into();
    for group in &request.resource_spans {
        let resource = resource(group.resource.as_ref());
        for scoped in &group.scope_spans {
            let scope = scope(scoped.scope.as_ref());
            scoped.spans.iter().for_each(|one| records.add(span(one, &resource, &scope, &stream, now)));
        }
    }
    records
}

/// The log records of a request that came now.
pub(super) fn log_records(request: &ExportLogsServiceRequest, now: Time) -> Records {
    let mut records = Records::default();
    let stream: Arc<str> = LOGS.into();
    for group in &request.resource_logs {
        let resource = resource(group.resource.as_ref());
        for scoped in &group.scope_logs {
            let scope = scope(scoped.scope.as_ref());
            scoped.log_records.iter().for_each(|one| records.add(log_record(one, &resource, &scope, &stream, now)));
        }
    }
    records
}

/// A span happened when it ended: before, nobody can have been told of it.
fn span(span: &Span, resource: &Value, scope: &Value, stream: &Arc<str>, now: Time) -> Result<Event, Fault> {
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
    Ok(event(stream, Some(key), time, &body))
}

/// A log record happened when it says so, else when it was first observed.
fn log_record(log: &LogRecord, resource: &Value, scope: &Value, stream: &Arc<str>, now: Time) -> Result<Event, Fault> {
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
    Ok(event(stream, key, time, &body))
}

fn event(stream: &Arc<str>, key: Option<String>, time: Time, body: &Value) -> Event {
    let payload = body.to_string().into_bytes();
    Event::Record { stream: Some(stream.clone()), key, time, payload, headers: Arc::default() }
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
