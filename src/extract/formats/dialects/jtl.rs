//! JMeter's results (JTL), as CSV or as XML. Its own columns keep their names; the shared words stand beside them.

use super::object::{put, time};
use super::sample::{self, Side, number};
use super::xml::{self, Element};
use crate::extract::Record;
use crate::extract::fields::{Fields, Name};
use crate::extract::formats::csv::Csv;
use crate::extract::told::{Piece, Told};
use crate::extract::undecodable::Undecodable;
use crate::model::value::Value;
use std::borrow::Cow;

/// Reads samples.
#[derive(Clone, Debug)]
pub(super) struct Jtl(Csv);

/// What CSV calls it, what XML calls it, and the shared word.
const WORDS: [(&str, &str, &str); 10] = [
    ("label", "lb", "name"),
    ("responseCode", "rc", "status"),
    ("responseMessage", "rm", "message"),
    ("elapsed", "t", "elapsed"),
    ("threadName", "tn", "user"),
    ("bytes", "by", "bytes"),
    ("sentBytes", "sby", "sent_bytes"),
    ("Latency", "lt", "latency"),
    ("Connect", "ct", "connect"),
    ("Hostname", "hn", "host"),
];
/// XML's short names that are none of a variable, beside those above.
const SHORT: [&str; 10] = ["ts", "s", "it", "dt", "de", "sc", "ec", "ng", "na", "dy"];

impl Jtl {
    pub fn new(delimiter: u8) -> Jtl {
        Jtl(Csv::new(delimiter))
    }

    pub fn header(&mut self, payload: &[u8]) -> Result<(), Undecodable> {
        self.0.header(payload)
    }

    pub fn read<'a>(&self, record: &Record<'a>) -> Result<Vec<Piece<'a>>, Undecodable> {
        if record.payload.trim_ascii_start().first() == Some(&b'<') {
            let mut pieces = Vec::new();
            samples(&xml::read(record.payload)?, None, &mut pieces);
            return Ok(pieces);
        }
        let mut columns = Fields::default();
        self.0.decode(record.payload, &mut columns)?;
        Ok(vec![row(&columns, record).into()])
    }
}

/// A line of CSV.
fn row<'a>(columns: &Fields<'_>, _record: &Record<'a>) -> Told<'a> {
    let mut fields: Fields<'a> = Fields::default();
    let text = |name: &str| match columns.field(name) {
        Value::Text(text) if !text.is_empty() => Some(text.into_owned()),
        _ => None,
    };
    for (own, _, word) in WORDS {
        text(own).into_iter().for_each(|value| put(&mut fields, word, typed(word, value)));
    }
    let success = text("success").map_or(Value::Null, |value| Value::Bool(value == "true"));
    put(&mut fields, "success", success);
    put(&mut fields, "error", text("failureMessage").map_or(Value::Null, |value| Value::Text(value.into())));
    sample::url(text("URL").filter(|url| url != "null").unwrap_or_default().into(), &mut fields);
    for (name, value) in columns.iter().filter(|(name, _)| !WORDS.iter().any(|(_, _, word)| word == name)) {
        let name = name.trim_matches('"').to_owned();
        if !matches!(&*name, "success" | "error" | "url") {
            fields.push(Name::Record(Cow::Owned(name)), value.clone().into_owned());
        }
    }
    Told { time: time(&columns.field("timeStamp")), ..Told::of(fields) }
}

/// A status is text, since it may be `Non HTTP response code: …`; what is counted is a number.
fn typed(word: &str, value: String) -> Value<'static> {
    match word {
        "name" | "message" | "user" | "host" => Value::Text(value.into()),
        _ => number(value.into()),
    }
}

/// An element of XML, and those within it: what a transaction controller or a redirect is made of.
fn samples(element: &Element, parent: Option<&str>, pieces: &mut Vec<Piece<'_>>) {
    if element.name != "httpSample" && element.name != "sample" {
        return;
    }
    let mut told = sample(element, parent);
    told.lines_before = element.lines_before;
    pieces.push(told.into());
    let parent = element.attribute("lb").or(parent);
    element.children.iter().for_each(|child| samples(child, parent, pieces));
}

fn sample<'a>(element: &Element, parent: Option<&str>) -> Told<'a> {
    let mut fields: Fields<'a> = Fields::default();
    let text_of = |name: &str| element.child(name).map(|child| child.text.as_str()).filter(|text| !text.is_empty());
    for (_, own, word) in WORDS {
        let value = element.attribute(own).filter(|value| !value.is_empty());
        value.into_iter().for_each(|value| put(&mut fields, word, typed(word, value.to_owned())));
    }
    let success = element.attribute("s").map_or(Value::Null, |value| Value::Bool(value == "true"));
    put(&mut fields, "success", success);
    let owned = |text: &str| Value::Text(Cow::Owned(text.to_owned()));
    put(&mut fields, "parent", parent.map_or(Value::Null, owned));
    put(&mut fields, "method", text_of("method").map_or(Value::Null, owned));
    let failed = element.children.iter().filter(|child| child.name == "assertionResult");
    let failure = failed.filter_map(|assertion| assertion.child("failureMessage")).find(|why| !why.text.is_empty());
    put(&mut fields, "error", failure.map_or(Value::Null, |why| owned(&why.text)));
    sample::url(text_of("java.net.URL").unwrap_or_default().to_owned().into(), &mut fields);
    let (mut request, mut response) = (Side::default(), Side::default());
    request.header_lines(text_of("requestHeader").unwrap_or_default());
    request.body(text_of("queryString").or(text_of("samplerData")).unwrap_or_default().into());
    response.header_lines(text_of("responseHeader").unwrap_or_default());
    response.body(text_of("responseData").unwrap_or_default().into());
    request.put("request", &mut fields);
    response.put("response", &mut fields);
    // What is left are the variables that the test plan was told to save.
    let known = |name: &str| SHORT.contains(&name) || WORDS.iter().any(|(_, own, _)| *own == name);
    for (name, value) in element.attributes.iter().filter(|(name, _)| !known(name)) {
        fields.push(Name::Record(Cow::Owned(name.clone())), owned(value));
    }
    let at = element.attribute("ts").and_then(|at| time(&owned(at)));
    Told { time: at, ..Told::of(fields) }
}
