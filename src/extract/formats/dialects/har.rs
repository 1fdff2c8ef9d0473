//! HTTP archives (HAR 1.2): `log.entries`, in one document.

use super::base64;
use super::object::{Object, put, time, unlike};
use super::sample::{self, Side};
use crate::extract::Record;
use crate::extract::fields::Fields;
use crate::extract::told::{Piece, Told};
use crate::extract::undecodable::{Undecodable, utf8};
use crate::model::json;
use crate::model::value::Value;
use std::borrow::Cow;

pub(super) fn read<'a>(record: &Record<'a>) -> Result<Vec<Piece<'a>>, Undecodable> {
    let text = utf8(record.payload)?.trim_start_matches('\u{feff}');
    let archive = Object::read(text)?;
    let log =
        Object::lent(archive.get("log")).ok_or_else(|| unlike("an HTTP archive has a `log`, and here is none"))?;
    let entries = match log.get("entries") {
        Value::Json(Cow::Borrowed(list)) => json::elements(list),
        _ => None,
    };
    let entries = entries.ok_or_else(|| unlike("the `log` of an HTTP archive has `entries`, and here are none"))?;
    Ok(lines(text, entries, entry))
}

/// A piece for each element, with the lines that stand before it.
pub(super) fn lines<'a>(
    text: &'a str,
    elements: Vec<Value<'a>>,
    piece: impl Fn(Object<'a>) -> Told<'a>,
) -> Vec<Piece<'a>> {
    let (mut counted, mut lines) = (0, 0);
    let mut one = |element: Value<'a>| {
        if let Value::Json(Cow::Borrowed(element)) = &element {
            let at = element.as_ptr() as usize - text.as_ptr() as usize;
            lines += memchr::memchr_iter(b'\n', &text.as_bytes()[counted..at]).count() as u64;
            counted = at;
        }
        match Object::lent(element) {
            Some(object) => Told { lines_before: lines, ..piece(object) }.into(),
            None => Piece::Bad(unlike("an element of the list is no object")),
        }
    };
    elements.into_iter().map(&mut one).collect()
}

fn entry<'a>(entry: Object<'a>) -> Told<'a> {
    let mut fields = Fields::default();
    let request = Object::lent(entry.get("request")).unwrap_or_default();
    let response = Object::lent(entry.get("response")).unwrap_or_default();
    let method = request.text("method").unwrap_or_default().to_owned();
    sample::url(request.text("url").unwrap_or_default().to_owned().into(), &mut fields);
    let path = fields.field("path").display().into_owned();
    put(&mut fields, "name", Value::Text(format!("{method} {path}").into()));
    put(&mut fields, "method", Value::Text(method.into()));
    let status = response.get("status");
    // A request that got no answer has the status 0.
    put(&mut fields, "success", Value::Bool(matches!(status, Value::Int(200..=399))));
    put(&mut fields, "status", status);
    put(&mut fields, "message", response.get("statusText"));
    put(&mut fields, "elapsed", entry.get("time"));
    let error = [entry.get("_error"), response.get("_error")].into_iter().find(|error| *error != Value::Null);
    put(&mut fields, "error", error.unwrap_or(Value::Null));
    put(&mut fields, "page", entry.get("pageref"));
    let (mut sent, mut got) = (Side::default(), Side::default());
    sent.headers(pairs(&request.get("headers"), "name"));
    let posted = Object::lent(request.get("postData")).unwrap_or_default();
    sent.body(posted.text("text").unwrap_or_default().into());
    got.headers(pairs(&response.get("headers"), "name"));
    let content = Object::lent(response.get("content")).unwrap_or_default();
    got.body(body(&content));
    sent.put("request", &mut fields);
    got.put("response", &mut fields);
    Told { time: time(&entry.get("startedDateTime")), ..Told::of(fields) }
}

fn body<'c>(content: &'c Object<'_>) -> Cow<'c, str> {
    let text = content.text("text").unwrap_or_default();
    match content.text("encoding") {
        Some("base64") => {
            base64::decode(text).and_then(|bytes| String::from_utf8(bytes).ok()).unwrap_or_default().into()
        }
        _ => text.into(),
    }
}

/// The texts of a list.
pub(super) fn texts(list: &Value<'_>) -> Vec<String> {
    let Value::Json(list) = list else { return Vec::new() };
    let elements = json::elements(list).unwrap_or_default();
    elements.into_iter().map(|one| one.display().into_owned()).collect()
}

/// Names and values of a list of objects.
pub(super) fn pairs(list: &Value<'_>, name: &str) -> std::vec::IntoIter<(Cow<'static, str>, Cow<'static, str>)> {
    let Value::Json(list) = list else { return Vec::new().into_iter() };
    let pair = |one: Value<'_>| {
        let one = Object::of(&one)?;
        Some((Cow::Owned(one.text(name)?.to_owned()), Cow::Owned(one.get("value").display().into_owned())))
    };
    json::elements(list).unwrap_or_default().into_iter().filter_map(pair).collect::<Vec<_>>().into_iter()
}
