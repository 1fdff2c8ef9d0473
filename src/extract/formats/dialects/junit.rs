//! JUnit reports: a record a test case. A suite says when it began, and each case how long it took, so a case begins
//! where those before it have ended; where a report has cases side by side, that is too late for some.

use super::object::{put, unlike};
use super::xml::{self, Element};
use crate::extract::Record;
use crate::extract::fields::Fields;
use crate::extract::told::{Piece, Told};
use crate::extract::undecodable::Undecodable;
use crate::model::json;
use crate::model::time::{Span, Time};
use crate::model::timestamp;
use crate::model::value::Value;
use chrono_tz::Tz;
use rust_decimal::Decimal;
use rust_decimal::prelude::ToPrimitive;
use std::borrow::Cow;

pub(super) fn read<'a>(record: &Record<'a>, zone: Tz) -> Result<Vec<Piece<'a>>, Undecodable> {
    let root = xml::read(record.payload)?;
    if !matches!(root.name.as_str(), "testsuites" | "testsuite") {
        return Err(unlike(format!(
            "a JUnit report begins with <testsuites> or <testsuite>, and this with <{}>",
            root.name
        )));
    }
    let mut pieces = Vec::new();
    suite(&root, None, zone, &mut pieces);
    Ok(pieces)
}

fn suite(suite_: &Element, around: Option<Time>, zone: Tz, pieces: &mut Vec<Piece<'_>>) {
    let own = suite_.attribute("timestamp").and_then(|text| timestamp::read(text, zone).ok());
    let mut at = own.or(around);
    for child in &suite_.children {
        match child.name.as_str() {
            "testsuite" => suite(child, at, zone, pieces),
            "testcase" => {
                let seconds = child.attribute("time").and_then(|text| text.replace(',', "").parse::<Decimal>().ok());
                let stamp = child.attribute("timestamp").and_then(|text| timestamp::read(text, zone).ok());
                let mut told = case(child, suite_, seconds);
                (told.time, told.lines_before) = (stamp.or(at), child.lines_before);
                pieces.push(told.into());
                let nanos = seconds.and_then(|seconds| (seconds * Decimal::from(1_000_000_000)).to_i64());
                at = at.map(|at| at + Span(nanos.unwrap_or_default()));
            }
            _ => {}
        }
    }
}

fn case<'a>(case: &Element, suite: &Element, seconds: Option<Decimal>) -> Told<'a> {
    let mut fields: Fields<'a> = Fields::default();
    let owned = |text: &str| Value::Text(Cow::Owned(text.to_owned()));
    let attribute = |of: &Element, name: &str| of.attribute(name).map_or(Value::Null, owned);
    put(&mut fields, "name", attribute(case, "name"));
    put(&mut fields, "class", attribute(case, "classname"));
    put(&mut fields, "suite", attribute(suite, "name"));
    put(&mut fields, "host", attribute(suite, "hostname"));
    let millis = seconds.map(|seconds| (seconds * Decimal::from(1_000)).normalize().to_string());
    put(&mut fields, "elapsed", millis.map_or(Value::Null, |millis| json::value(&millis).into_owned()));
    let verdicts = [("failure", "failed"), ("error", "error"), ("skipped", "skipped")];
    let found = verdicts.iter().find_map(|(element, word)| Some((case.child(element)?, *word)));
    put(&mut fields, "status", Value::Text(found.map_or("passed", |(_, word)| word).into()));
    put(&mut fields, "success", Value::Bool(found.is_none()));
    let why = found.and_then(|(element, _)| element.attribute("message").or(Some(element.text.trim())));
    put(&mut fields, "error", why.filter(|why| !why.is_empty()).map_or(Value::Null, owned));
    for (element, word) in [("system-out", "output"), ("system-err", "errors")] {
        put(&mut fields, word, case.child(element).map_or(Value::Null, |child| owned(child.text.trim())));
    }
    let properties = case.child("properties").map(|list| &list.children[..]).unwrap_or_default();
    let pair = |one: &Element| {
        let value = one.attribute("value").unwrap_or(&one.text);
        Some((one.attribute("name")?.to_owned(), json::quoted(value)))
    };
    let pairs: Vec<(String, String)> = properties.iter().filter_map(pair).collect();
    if !pairs.is_empty() {
        let object = json::object(pairs.iter().map(|(name, value)| (&**name, value.clone())));
        put(&mut fields, "properties", Value::Json(object.into()));
    }
    Told::of(fields)
}
