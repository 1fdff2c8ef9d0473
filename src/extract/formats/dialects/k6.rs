//! The JSON lines of k6 (`--out json`): a point a line, of one metric. The points of one request share their time, which
//! is its end; `http_req_duration` is taken for the request itself, and so has the time at which it began.

use super::object::{Object, put, time};
use super::sample::{self, nanos_of_millis};
use crate::extract::Record;
use crate::extract::fields::{Fields, Name};
use crate::extract::told::{Piece, Told};
use crate::extract::undecodable::Undecodable;
use crate::model::time::Span;
use crate::model::value::Value;
use std::borrow::Cow;

/// The metric that stands for the request.
const REQUEST: &str = "http_req_duration";

pub(super) fn read<'a>(record: &Record<'a>) -> Result<Piece<'a>, Undecodable> {
    let line = Object::of_payload(record.payload)?;
    // What a metric is like is said once, before its points.
    if line.text("type") != Some("Point") {
        return Ok(Piece::Passed(None));
    }
    let data = Object::lent(line.get("data")).unwrap_or_default();
    let mut fields = Fields::default();
    put(&mut fields, "metric", line.get("metric"));
    let value = data.get("value");
    let mut at = time(&data.get("time"));
    if line.text("metric") == Some(REQUEST) {
        let took = nanos_of_millis(&value).unwrap_or_default();
        at = at.map(|end| end - Span(took));
        put(&mut fields, "elapsed", value.clone());
    }
    put(&mut fields, "value", value);
    let tags = Object::lent(data.get("tags")).unwrap_or_default();
    let success = tags.text("expected_response").map_or(Value::Null, |text| Value::Bool(text == "true"));
    put(&mut fields, "success", success);
    for (name, value) in tags.0 {
        match (&*name, value) {
            ("url", Value::Text(url)) => sample::url(url, &mut fields),
            ("status", Value::Text(status)) => put(&mut fields, "status", sample::number(status)),
            ("metric" | "value" | "elapsed" | "success", _) => {}
            (_, value) => fields.push(Name::Record(name), value),
        }
    }
    let metadata = Object::lent(data.get("metadata")).unwrap_or_default();
    metadata.0.into_iter().for_each(|(name, value)| fields.push(Name::Record(Cow::Owned(name.into_owned())), value));
    Ok(Told { time: at, ..Told::of(fields) }.into())
}
