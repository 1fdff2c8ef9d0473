//! CloudEvents 1.0: one shape of event, whether it came as a document or in headers.
//!
//! The shape is that of the JSON format: `{"specversion", "id", "source", "type", "time", …, "data"}`.

use super::request::{Context, Fault};
use crate::model::time::Time;
use crate::model::timestamp;
use crate::sources::base64;
use crate::sources::push::Event;
use hyper::HeaderMap;
use serde::Deserialize;
use serde_json::value::RawValue;
use serde_json::{Map, Value};
use std::borrow::Cow;

/// The attributes that are looked at.
#[derive(Deserialize)]
struct Attributes<'a> {
    #[serde(borrow)]
    specversion: Option<Cow<'a, str>>,
    #[serde(borrow)]
    id: Option<Cow<'a, str>>,
    #[serde(borrow)]
    source: Option<Cow<'a, str>>,
    #[serde(borrow, rename = "type")]
    kind: Option<Cow<'a, str>>,
    #[serde(borrow)]
    time: Option<Cow<'a, str>>,
}

impl Attributes<'_> {
    /// What tells the event from all others, and its time.
    fn identity(&self) -> Result<(String, Option<Time>), Fault> {
        match self.specversion.as_deref() {
            Some(version) if version == "1" || version.starts_with("1.") => {}
            Some(version) => return Err(("version", format!("version {version} of CloudEvents is not known, 1.0 is"))),
            None => return Err(missing("specversion")),
        }
        let needed = |attribute: &Option<Cow<'_, str>>, name| {
            attribute.as_deref().filter(|text| !text.is_empty()).map(str::to_owned).ok_or_else(|| missing(name))
        };
        let (source, id) = (needed(&self.source, "source")?, needed(&self.id, "id")?);
        needed(&self.kind, "type")?;
        let time = self.time.as_deref().map(|text| timestamp::read(text, chrono_tz::Tz::UTC)).transpose();
        let time = time.map_err(|bad| ("bad_time", format!("its `time` is none: {}", bad.0)))?;
        // A source is a reference, in which no blank can stand.
        Ok((format!("{source} {id}"), time))
    }
}

fn missing(name: &str) -> Fault {
    ("attribute", format!("a CloudEvent has `{name}`, and this one has not"))
}

/// An event in the JSON format.
pub(super) fn structured(text: &[u8], context: &Context<'_>) -> Result<Event, Fault> {
    let bad = |error: serde_json::Error| ("syntax", format!("this is no CloudEvent in JSON: {error}"));
    let document: &RawValue = serde_json::from_slice(text).map_err(bad)?;
    let attributes: Attributes<'_> = serde_json::from_str(document.get()).map_err(bad)?;
    let (key, time) = attributes.identity()?;
    Ok(context.event(Some(key), time, document.get().as_bytes().to_vec()))
}

/// An event whose attributes are headers, and whose data is the body.
pub(super) fn binary(headers: &HeaderMap, media: &str, body: &[u8], context: &Context<'_>) -> Result<Event, Fault> {
    let mut event = Map::new();
    for (name, value) in headers {
        let Some(name) = name.as_str().strip_prefix("ce-") else { continue };
        let text = percent_decoded(value.as_bytes());
        let text = text.ok_or_else(|| ("invalid_utf8", format!("the header `ce-{name}` is no text")))?;
        event.insert(name.to_owned(), Value::String(text));
    }
    let text = |name: &str| event.get(name).and_then(Value::as_str).map(Cow::Borrowed);
    let attributes = Attributes {
        specversion: text("specversion"),
        id: text("id"),
        source: text("source"),
        kind: text("type"),
        time: text("time"),
    };
    let (key, time) = attributes.identity()?;
    if let Some(Ok(full)) = headers.get(hyper::header::CONTENT_TYPE).map(|value| value.to_str()) {
        event.insert("datacontenttype".to_owned(), Value::String(full.to_owned()));
    }
    let mut payload = serde_json::to_vec(&event).unwrap_or_default();
    if !body.is_empty() {
        // The data keeps its spelling: numbers are not read and written again.
        let (name, data) = data(media, body)?;
        payload.pop();
        payload.extend_from_slice(format!(",\"{name}\":{data}}}").as_bytes());
    }
    Ok(context.event(Some(key), time, payload))
}

/// The member that holds the data, and its JSON.
fn data<'a>(media: &str, body: &'a [u8]) -> Result<(&'static str, Cow<'a, str>), Fault> {
    if media.is_empty() || media == "application/json" || media == "text/json" || media.ends_with("+json") {
        let document = serde_json::from_slice::<&RawValue>(body);
        let document = document.map_err(|error| ("syntax", format!("its data is not JSON: {error}")))?;
        return Ok(("data", Cow::Borrowed(document.get())));
    }
    let quoted = |text: &str| Cow::Owned(Value::from(text).to_string());
    match std::str::from_utf8(body) {
        Ok(text) => Ok(("data", quoted(text))),
        Err(_) => Ok(("data_base64", quoted(&base64::encode(body)))),
    }
}

/// The value of a header as the HTTP binding writes it, or a path: what is not plain ASCII is percent-encoded.
pub(super) fn percent_decoded(value: &[u8]) -> Option<String> {
    let mut bytes = Vec::with_capacity(value.len());
    let mut rest = value;
    while let [first, behind @ ..] = rest {
        let escaped = (*first == b'%').then(|| behind.get(..2).and_then(hex)).flatten();
        bytes.push(escaped.unwrap_or(*first));
        rest = if escaped.is_some() { &behind[2..] } else { behind };
    }
    String::from_utf8(bytes).ok()
}

fn hex(digits: &[u8]) -> Option<u8> {
    let text = std::str::from_utf8(digits).ok().filter(|text| text.bytes().all(|byte| byte.is_ascii_hexdigit()))?;
    u8::from_str_radix(text, 16).ok()
}
