//! The report of Newman's JSON reporter: `run.executions`, in one document.
//!
//! Newman notes when the run began and how long each answer took, but not when it asked. So the time of an execution is
//! the `Date` of its answer, to the second and by the server's clock; without one, that of the execution before and the
//! time that its answer took.

use super::har::{lines, pairs};
use super::object::{Object, put, spelt, unlike};
use super::sample::{self, Side, nanos_of_millis};
use crate::extract::Record;
use crate::extract::fields::Fields;
use crate::extract::told::{Piece, Told};
use crate::extract::undecodable::{Undecodable, utf8};
use crate::model::json;
use crate::model::time::{Span, Time};
use crate::model::value::Value;
use chrono::DateTime;
use std::borrow::Cow;
use std::cell::Cell;

pub(super) fn read<'a>(record: &Record<'a>) -> Result<Vec<Piece<'a>>, Undecodable> {
    let text = utf8(record.payload)?.trim_start_matches('\u{feff}');
    let report = Object::read(text)?;
    let run =
        Object::lent(report.get("run")).ok_or_else(|| unlike("a report of Newman has a `run`, and here is none"))?;
    let executions = match run.get("executions") {
        Value::Json(Cow::Borrowed(list)) => json::elements(list),
        _ => None,
    };
    let executions = executions.ok_or_else(|| unlike("the `run` has `executions`, and here are none"))?;
    let began = Object::lent(run.get("timings")).and_then(|timings| timings.time("started"));
    let clock = Cell::new(began);
    Ok(lines(text, executions, |execution| one(&execution, &clock)))
}

/// One request with its answer; `clock` has come to where the execution before it ended.
fn one<'a>(execution: &Object<'a>, clock: &Cell<Option<Time>>) -> Told<'a> {
    let part = |name: &str| Object::lent(execution.get(name)).unwrap_or_default();
    let (item, request, response) = (part("item"), part("request"), part("response"));
    let mut fields = Fields::default();
    put(&mut fields, "name", item.get("name"));
    put(&mut fields, "method", request.get("method"));
    sample::url(address(&request.get("url")).into(), &mut fields);
    put(&mut fields, "status", response.get("code"));
    put(&mut fields, "message", response.get("status"));
    let took = response.get("responseTime");
    put(&mut fields, "elapsed", took.clone());
    put(&mut fields, "iteration", part("cursor").get("iteration"));
    let why = failure(execution);
    put(&mut fields, "success", Value::Bool(why.is_none() && response.has("code")));
    put(&mut fields, "error", why.map_or(Value::Null, |why| Value::Text(why.into())));
    let (mut sent, mut got) = (Side::default(), Side::default());
    sent.headers(pairs(&request.get("header"), "key"));
    let body = Object::lent(request.get("body")).unwrap_or_default();
    sent.body(body.text("raw").unwrap_or_default().into());
    got.headers(pairs(&response.get("header"), "key"));
    got.body(stream(&response.get("stream")).into());
    sent.put("request", &mut fields);
    got.put("response", &mut fields);
    let date = pairs(&response.get("header"), "key").find(|(name, _)| name.eq_ignore_ascii_case("date"));
    let date = date.and_then(|(_, date)| DateTime::parse_from_rfc2822(&date).ok()?.timestamp_nanos_opt());
    let time = date.map(Time).or(clock.get());
    clock.set(time.map(|time| time + Span(nanos_of_millis(&took).unwrap_or_default())));
    Told { time, ..Told::of(fields) }
}

/// Why an execution failed: there was no answer, or a test of it was not met.
fn failure(execution: &Object<'_>) -> Option<String> {
    let error = |value: &Value<'_>| Some(Object::of(value)?.text("message")?.to_owned());
    if execution.get("requestError") != Value::Null {
        return Some(error(&execution.get("requestError")).unwrap_or_else(|| "the request failed".to_owned()));
    }
    let Value::Json(assertions) = execution.get("assertions") else { return None };
    let mut failed = json::elements(&assertions)?.into_iter().filter_map(|one| {
        let error = Object::of(&one)?.get("error");
        (error != Value::Null).then(|| error.into_owned())
    });
    failed.next().map(|first| error(&first).unwrap_or_else(|| "a test of the answer failed".to_owned()))
}

/// An address, which Postman keeps in parts.
fn address(url: &Value<'_>) -> String {
    let Some(parts) = Object::of(url) else { return spelt(url.clone()).unwrap_or_default().into_owned() };
    if let Some(raw) = parts.text("raw") {
        return raw.to_owned();
    }
    let joined = |name: &str, between: &str| match parts.get(name) {
        Value::Json(list) => {
            let all = json::elements(&list).unwrap_or_default();
            all.iter().map(Value::display).collect::<Vec<_>>().join(between)
        }
        other => spelt(other).unwrap_or_default().into_owned(),
    };
    let port = parts.text("port").map_or(String::new(), |port| format!(":{port}"));
    let query: Vec<String> = pairs(&parts.get("query"), "key").map(|(name, value)| format!("{name}={value}")).collect();
    let query = if query.is_empty() { String::new() } else { format!("?{}", query.join("&")) };
    let protocol = parts.text("protocol").unwrap_or("http");
    format!("{protocol}://{}{port}/{}{query}", joined("host", "."), joined("path", "/"))
}

/// The body of an answer, which stands there byte by byte.
fn stream(stream: &Value<'_>) -> String {
    let bytes = Object::of(stream).map(|buffer| buffer.get("data"));
    let bytes = match bytes {
        Some(Value::Json(list)) => serde_json::from_str::<Vec<u8>>(&list).unwrap_or_default(),
        _ => Vec::new(),
    };
    String::from_utf8(bytes).unwrap_or_default()
}
