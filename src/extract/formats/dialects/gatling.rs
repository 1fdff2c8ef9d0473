//! Gatling's `simulation.log`, as text: words between tabs. Which of them stand there has changed with its versions, so
//! a request is found by its outcome, before which stand its end, its start and its name.

use super::object::{put, unlike};
use crate::extract::Record;
use crate::extract::fields::Fields;
use crate::extract::told::{Piece, Told};
use crate::extract::undecodable::{Reason, Undecodable, utf8};
use crate::model::time::Time;
use crate::model::timestamp;
use crate::model::value::Value;
use std::borrow::Cow;

pub(super) fn read<'a>(record: &Record<'a>) -> Result<Piece<'a>, Undecodable> {
    let line = utf8(record.payload).map_err(|why| Undecodable {
        detail: "this is no text; Gatling 3.13 and later write a binary log, of which this version reads none"
            .to_owned(),
        reason: Reason::InvalidUtf8,
        ..why
    })?;
    let words: Vec<&str> = line.split('\t').map(str::trim).collect();
    match words[0] {
        "REQUEST" => request(&words).map(Piece::from),
        "GROUP" => group(&words).map(Piece::from),
        "ERROR" => error(&words).map(Piece::from),
        "RUN" | "USER" | "ASSERTION" => Ok(Piece::Passed(None)),
        _ => Err(unlike("a line of Gatling's log begins with RUN, USER, REQUEST, GROUP or ERROR")),
    }
}

fn moment(word: Option<&&str>) -> Option<Time> {
    word.and_then(|word| word.parse().ok()).and_then(|millis| timestamp::epoch(millis).ok())
}

fn text(word: &str) -> Value<'_> {
    if word.is_empty() { Value::Null } else { Value::Text(Cow::Borrowed(word)) }
}

fn request<'a>(words: &[&'a str]) -> Result<Told<'a>, Undecodable> {
    let outcome = words.iter().rposition(|word| matches!(*word, "OK" | "KO")).filter(|at| *at >= 4);
    let Some(at) = outcome else { return Err(unlike("a request of Gatling's log has an outcome, OK or KO")) };
    let (start, end) = (moment(words.get(at - 2)), moment(words.get(at - 1)));
    let (Some(start), Some(end)) = (start, end) else {
        return Err(unlike("before the outcome of a request stand its start and its end, in milliseconds"));
    };
    let mut fields = sample("request", words[at - 3], words[at] == "OK", start, end);
    put(&mut fields, "group", if at > 4 { text(words[at - 4]) } else { Value::Null });
    put(&mut fields, "error", words.get(at + 1).map_or(Value::Null, |word| text(word)));
    Ok(Told { time: Some(start), ..Told::of(fields) })
}

fn group<'a>(words: &[&'a str]) -> Result<Told<'a>, Undecodable> {
    let outcome = words.iter().rposition(|word| matches!(*word, "OK" | "KO")).filter(|at| *at >= 5);
    let times = outcome.and_then(|at| Some((at, moment(words.get(at - 3))?, moment(words.get(at - 2))?)));
    let Some((at, start, end)) = times else {
        return Err(unlike("a group of Gatling's log has a start, an end, a sum and an outcome"));
    };
    let fields = sample("group", words[at - 4], words[at] == "OK", start, end);
    Ok(Told { time: Some(start), ..Told::of(fields) })
}

fn error<'a>(words: &[&'a str]) -> Result<Told<'a>, Undecodable> {
    let Some(at) = moment(words.last()) else { return Err(unlike("an error of Gatling's log ends with its time")) };
    let mut fields = Fields::default();
    put(&mut fields, "kind", Value::Text("error".into()));
    put(&mut fields, "success", Value::Bool(false));
    put(&mut fields, "error", text(words.get(1).copied().unwrap_or_default()));
    Ok(Told { time: Some(at), ..Told::of(fields) })
}

fn sample<'a>(kind: &'static str, name: &'a str, success: bool, start: Time, end: Time) -> Fields<'a> {
    let mut fields = Fields::default();
    put(&mut fields, "kind", Value::Text(kind.into()));
    put(&mut fields, "name", text(name));
    put(&mut fields, "success", Value::Bool(success));
    put(&mut fields, "elapsed", Value::Int(end.since(start).as_millis()));
    fields
}
