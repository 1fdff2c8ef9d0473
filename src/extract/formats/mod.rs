//! The formats: each turns a payload into a flat list of [`Fields`]. JSON is here for records that
//! `parse` rules take apart further; otherwise a scanner of its own reads it.

pub mod csv;
pub mod dialects;
pub mod groups;
pub mod logfmt;
mod parse;

use super::fields::{Fields, Name};
use super::undecodable::{Reason, Undecodable, utf8};
use crate::flow::format::{Format, ParseRule};
use crate::model::json;
use crate::model::value::Value;
use csv::Csv;
use groups::Groups;
pub(super) use parse::Rule;
use std::borrow::Cow;
use std::sync::Arc;

/// Decodes the payloads of one source.
#[derive(Clone, Debug)]
pub struct Decoder {
    kind: Kind,
    rules: Vec<Rule>,
    /// The name of the field that holds a record of text.
    text: Arc<str>,
}

#[derive(Clone, Debug)]
enum Kind {
    Json,
    Csv(Csv),
    Logfmt,
    Regex(Groups),
    Text,
    Document,
}

impl Decoder {
    /// For payloads in `format`, of which `rules` decode parts further, in their order.
    pub fn new(format: &Format, rules: &[ParseRule]) -> Decoder {
        let kind = match format {
            Format::Json => Kind::Json,
            Format::Csv { delimiter } => Kind::Csv(Csv::new(*delimiter)),
            Format::Logfmt => Kind::Logfmt,
            Format::Regex(regex) => Kind::Regex(Groups::new(regex)),
            Format::Text => Kind::Text,
            Format::Document => Kind::Document,
            Format::Dialect(_) => unreachable!("what another tool writes has a reader of its own"),
        };
        Decoder { kind, rules: rules.iter().map(Rule::new).collect(), text: Arc::from("text") }
    }

    /// Takes the names of the columns from the record at the head of a file; for what follows, up to the
    /// next such call. Formats without columns need none.
    pub fn header(&mut self, payload: &[u8]) -> Result<(), Undecodable> {
        if let Kind::Csv(csv) = &mut self.kind { csv.header(payload) } else { Ok(()) }
    }

    /// Decodes one payload into `fields`, which is empty before.
    pub fn decode<'a>(&mut self, payload: &'a [u8], fields: &mut Fields<'a>) -> Result<(), Undecodable> {
        let Decoder { kind, rules, text: name } = self;
        match kind {
            Kind::Csv(csv) => csv.decode(payload, fields)?,
            Kind::Logfmt => logfmt::decode(utf8(payload)?, |name, value| fields.push(name, value))?,
            Kind::Regex(groups) => {
                if !groups.decode(utf8(payload)?, |name, value| fields.push(name, value)) {
                    return Err(Undecodable::whole(Reason::NoMatch, "the line does not match the regular expression"));
                }
            }
            Kind::Text => text(utf8(payload)?, name, fields),
            Kind::Json => json(utf8(payload)?, fields)?,
            Kind::Document => {
                let document = utf8(payload)?;
                if json(document, fields).is_err() {
                    text(document, name, fields);
                }
            }
        }
        rules.iter_mut().for_each(|rule| rule.apply(fields));
        Ok(())
    }
}

/// A record of text is its text, also as its field `text`.
fn text<'a>(line: &'a str, name: &Arc<str>, fields: &mut Fields<'a>) {
    fields.set_whole(Value::Text(Cow::Borrowed(line)));
    fields.push(Name::Shared(name.clone()), Value::Text(Cow::Borrowed(line)));
}

/// The members of an object are fields; anything else is a record without fields.
fn json<'a>(payload: &'a str, fields: &mut Fields<'a>) -> Result<(), Undecodable> {
    if payload.trim_start().starts_with('{') {
        let members = json::members(payload).map_err(|error| not_json(payload, &error))?;
        members.into_iter().for_each(|(name, value)| fields.push(Name::Record(name), value));
    } else {
        fields.set_whole(json::validate(payload).map_err(|error| not_json(payload, &error))?);
    }
    Ok(())
}

fn not_json(payload: &str, error: &serde_json::Error) -> Undecodable {
    let reason = if error.is_eof() { Reason::Truncated } else { Reason::Syntax };
    let lines_before: usize = payload.split_inclusive('\n').take(error.line().saturating_sub(1)).map(str::len).sum();
    let at = (lines_before + error.column().saturating_sub(1)).min(payload.len());
    let what = error.to_string();
    Undecodable::at(reason, at, what.split(" at line ").next().unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::flow::format::ParseHow;
    use crate::flow::plan::{Path, Root, Segment};
    use proptest::prelude::*;
    use regex::Regex;

    fn decode(format: &Format, rules: &[ParseRule], payload: &str) -> Result<String, Undecodable> {
        let mut fields = Fields::default();
        let mut decoder = Decoder::new(format, rules);
        decoder.header(b"id,log")?;
        decoder.decode(payload.as_bytes(), &mut fields)?;
        Ok(fields.to_json())
    }

    fn path(text: &str) -> Path {
        let segments = text.split('.').skip(1).map(|name| Segment::Field(name.to_owned())).collect();
        Path { root: Root::Body, segments }
    }

    fn rule(from: &str, how: ParseHow, into: &str) -> ParseRule {
        ParseRule { from: path(from), how, into: path(into) }
    }

    fn regex(pattern: &str) -> Regex {
        Regex::new(pattern).unwrap()
    }

    #[test]
    fn each_format_gives_fields() {
        let read = |format: &Format, payload: &str| decode(format, &[], payload).unwrap();
        assert_eq!(read(&Format::Json, r#"{"a":1.50,"b":{"c":[]}}"#), r#"{"a":1.50,"b":{"c":[]}}"#);
        assert_eq!(read(&Format::Csv { delimiter: b',' }, "7,x"), r#"{"id":"7","log":"x"}"#);
        assert_eq!(read(&Format::Logfmt, "id=7 ok"), r#"{"id":"7","ok":true}"#);
        assert_eq!(read(&Format::Regex(regex(r"^(?<id>\d+) ")), "7 done"), r#"{"id":"7"}"#);
        assert_eq!(read(&Format::Text, "a \"line\""), r#"{"text":"a \"line\""}"#);
        assert_eq!(read(&Format::Document, "{\n \"a\": 1\n}\n"), r#"{"a":1}"#);
        assert_eq!(read(&Format::Document, "no: json"), r#"{"text":"no: json"}"#);
    }

    #[test]
    fn a_record_of_text_is_its_text() {
        let mut fields = Fields::default();
        Decoder::new(&Format::Text, &[]).decode(b"a line", &mut fields).unwrap();
        assert_eq!(fields.get(&[]), Value::Text("a line".into()));
        let mut fields = Fields::default();
        Decoder::new(&Format::Document, &[]).decode(b" [1, 2]\n", &mut fields).unwrap();
        assert_eq!(fields.get(&[Segment::Index(1)]), Value::Int(2));
    }

    #[test]
    fn a_log_that_wraps_json_that_wraps_a_sentence() {
        let rules = [
            rule("body.log", ParseHow::Json, "body.log"),
            rule("body.log.msg", ParseHow::Regex(regex(r"order (?<order_id>\S+) paid in (?<ms>\d+) ms")), "body"),
            rule("body.log.ctx", ParseHow::Logfmt, "body.log.ctx"),
        ];
        let format = Format::Csv { delimiter: b',' };
        let read = |payload: &str| decode(&format, &rules, payload).unwrap();
        assert_eq!(
            read(r#"7,"{""msg"":""order o-1 paid in 12 ms"",""ctx"":""a=1 b=\""x y\""""}""#),
            r#"{"id":"7","log":{"msg":"order o-1 paid in 12 ms","ctx":{"a":"1","b":"x y"}},"order_id":"o-1","ms":"12"}"#
        );
        assert_eq!(read("7,prose"), r#"{"id":"7","log":"prose"}"#, "what does not fit stays as it is");
        assert_eq!(read("7,{}"), r#"{"id":"7","log":{}}"#);
    }

    #[test]
    fn a_parsed_part_can_be_merged_into_the_record() {
        let rules = [rule("body.message", ParseHow::Json, "body")];
        let read = |payload: &str| decode(&Format::Json, &rules, payload).unwrap();
        assert_eq!(
            read(r#"{"level":"info","message":"{\"id\":\"o-1\",\"level\":3}"}"#),
            r#"{"level":3,"message":"{\"id\":\"o-1\",\"level\":3}","id":"o-1"}"#
        );
        assert_eq!(read(r#"{"message":{"id":7}}"#), r#"{"message":{"id":7},"id":7}"#, "it is JSON already");
        assert_eq!(read(r#"{"message":"[1]"}"#), r#"{"message":"[1]"}"#, "a list has no fields");
        let rules = [rule("body", ParseHow::Regex(regex("(?<id>o-[0-9]+)")), "body")];
        assert_eq!(decode(&Format::Text, &rules, "paid o-1").unwrap(), r#"{"text":"paid o-1","id":"o-1"}"#);
    }

    #[test]
    fn what_cannot_be_read_says_why_and_where() {
        let reason =
            |format: &Format, payload: &str| decode(format, &[], payload).map_err(|e| (e.reason, e.at)).unwrap_err();
        assert_eq!(reason(&Format::Json, r#"{"a":1"#), (Reason::Truncated, Some(5)));
        assert_eq!(reason(&Format::Json, r#"{"a":nope}"#), (Reason::Syntax, Some(6)));
        assert_eq!(reason(&Format::Json, "{\"a\":1}\n}"), (Reason::Syntax, Some(8)));
        assert_eq!(reason(&Format::Json, ""), (Reason::Truncated, Some(0)));
        assert_eq!(reason(&Format::Json, "NaN"), (Reason::Syntax, Some(0)));
        assert_eq!(reason(&Format::Regex(regex("^x")), "y"), (Reason::NoMatch, None));
        assert_eq!(reason(&Format::Logfmt, "prose"), (Reason::Syntax, None));
        let mut fields = Fields::default();
        let bad = Decoder::new(&Format::Text, &[]).decode(b"a\xff", &mut fields).unwrap_err();
        assert_eq!((bad.reason, bad.at), (Reason::InvalidUtf8, Some(1)));
        let deep = "[".repeat(200_000) + &"]".repeat(200_000);
        assert!(decode(&Format::Document, &[], &deep).is_ok(), "depth is no danger: nothing descends unasked");
    }

    proptest! {
        #[test]
        fn no_payload_is_too_strange(payload in "\\PC{0,40}|[a=\"{}:,1 ]{0,40}") {
            let rules = [
                rule("body", ParseHow::Json, "body.a.b"),
                rule("body.text", ParseHow::Logfmt, "body"),
                rule("body.a", ParseHow::Regex(regex("(?<a>.)(?<b>.)?")), "body.a.c"),
            ];
            for format in [Format::Json, Format::Logfmt, Format::Text, Format::Document, Format::Csv { delimiter: b',' }] {
                let _ = decode(&format, &rules, &payload);
            }
        }
    }
}
