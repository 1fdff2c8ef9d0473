//! The events of one request, by its content type.

use super::cloudevents;
use crate::model::time::Time;
use crate::sources::push::{Event, Headers};
use hyper::header::{AUTHORIZATION, CONTENT_TYPE, COOKIE, PROXY_AUTHORIZATION};
use hyper::{HeaderMap, StatusCode};
use serde_json::value::RawValue;
use std::sync::Arc;

/// Events of one request, at most.
const EVENTS_MAX: usize = 50_000;
/// A sender's own name for a request, which is the same when it is sent again.
const IDEMPOTENCY_KEY: &str = "idempotency-key";

/// What a request holds.
#[derive(Debug)]
pub struct Parsed {
    /// What to answer, once the journal has it.
    pub status: StatusCode,
    /// Its events, undecodable ones among them.
    pub events: Vec<Event>,
    /// Those that are undecodable: which of them, and why.
    pub faults: Vec<(usize, String)>,
}

/// What is known of all events of a request.
pub(super) struct Context<'a> {
    pub stream: Option<&'a Arc<str>>,
    pub headers: Headers,
    /// When it came.
    pub now: Time,
}

impl Context<'_> {
    /// An event.
    pub fn event(&self, key: Option<String>, time: Option<Time>, payload: Vec<u8>) -> Event {
        let (stream, headers) = (self.stream.cloned(), self.headers.clone());
        Event::Record { stream, key, time: time.unwrap_or(self.now), payload, headers }
    }
}

/// What is wrong with an event: a word and a sentence.
pub(super) type Fault = (&'static str, String);

/// Cuts a request into its events.
pub fn parse(headers: &HeaderMap, body: &[u8], stream: Option<&Arc<str>>, now: Time) -> Parsed {
    let told = |attributes| told(headers, attributes);
    let context = Context { stream, headers: told(true), now };
    let content_type = headers.get(CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let media = content_type.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
    let idempotency = headers.get(IDEMPOTENCY_KEY).and_then(|value| value.to_str().ok());
    if headers.contains_key("ce-specversion") {
        // They are in the event, which looks from here on as if it had come as a document.
        let context = Context { headers: told(false), ..context };
        return all([cloudevents::binary(headers, &media, body, &context)]);
    }
    match media.as_str() {
        "application/cloudevents+json" => all([cloudevents::structured(body, &context)]),
        "application/cloudevents-batch+json" => match serde_json::from_slice::<Vec<&RawValue>>(body) {
            Ok(batch) => all(batch.iter().map(|one| cloudevents::structured(one.get().as_bytes(), &context))),
            Err(error) => all([Err(("syntax", format!("a batch is a list of CloudEvents: {error}")))]),
        },
        "application/x-ndjson" | "application/ndjson" | "application/jsonl" | "application/x-jsonlines" => {
            let lines = body.split(|byte| *byte == b'\n').filter(|line| !line.trim_ascii().is_empty());
            let key = |at| idempotency.map(|key| format!("{key}/{at}"));
            all(lines.enumerate().map(|(at, line)| document(line, key(at), &context)))
        }
        "" | "application/json" | "text/json" => all([document(body, idempotency.map(str::to_owned), &context)]),
        json if json.ends_with("+json") && !json.starts_with("application/cloudevents") => {
            all([document(body, idempotency.map(str::to_owned), &context)])
        }
        other => {
            let why = format!(
                "`{other}` is not taken: send application/json, application/x-ndjson, application/cloudevents+json, \
                 application/cloudevents-batch+json, or a CloudEvent in headers"
            );
            Parsed { status: StatusCode::UNSUPPORTED_MEDIA_TYPE, ..all([Err(("content_type", why))]) }
        }
    }
}

/// A document, whatever it holds.
fn document(text: &[u8], key: Option<String>, context: &Context<'_>) -> Result<Event, Fault> {
    match serde_json::from_slice::<&RawValue>(text) {
        Ok(document) => Ok(context.event(key, None, document.get().as_bytes().to_vec())),
        Err(error) => Err(("syntax", format!("this is not JSON: {error}"))),
    }
}

fn all(events: impl IntoIterator<Item = Result<Event, Fault>>) -> Parsed {
    let mut parsed = Parsed { status: StatusCode::ACCEPTED, events: Vec::new(), faults: Vec::new() };
    for (at, event) in events.into_iter().enumerate() {
        if at == EVENTS_MAX {
            let why = format!("there are more than {EVENTS_MAX} events in one request: send fewer at once");
            parsed = Parsed { status: StatusCode::PAYLOAD_TOO_LARGE, events: Vec::new(), faults: Vec::new() };
            parsed.undecodable(at, "too_long", why);
            return parsed;
        }
        match event {
            Ok(event) => parsed.events.push(event),
            Err((reason, why)) => parsed.undecodable(at, reason, why),
        }
    }
    if !parsed.faults.is_empty() && parsed.faults.len() == parsed.events.len() {
        parsed.status = StatusCode::BAD_REQUEST;
    }
    parsed
}

impl Parsed {
    fn undecodable(&mut self, at: usize, reason: &'static str, why: String) {
        self.events.push(Event::Undecodable { reason, detail: why.clone(), times: 1 });
        self.faults.push((at, why));
    }
}

/// The headers that flows may see: not those that let in, and those that are a CloudEvent's attributes only where they
/// are none.
fn told(headers: &HeaderMap, attributes: bool) -> Headers {
    let told = headers.iter().filter(|(name, _)| {
        ![AUTHORIZATION, PROXY_AUTHORIZATION, COOKIE].contains(name)
            && (attributes || !name.as_str().starts_with("ce-"))
    });
    let text = |value: &hyper::header::HeaderValue| String::from_utf8_lossy(value.as_bytes()).into_owned();
    Arc::new(told.map(|(name, value)| (name.as_str().to_owned(), text(value))).collect())
}
