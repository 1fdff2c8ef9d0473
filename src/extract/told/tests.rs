//! From the payloads of other tools to observations.

use super::Piece;
use crate::extract::{Attributes, Extractor, Record};
use crate::flow::diagnostic::Document;
use crate::flow::dialect::Dialect;
use crate::flow::format::{Decoding, Format};
use crate::flow::plan::{Carries, Clock, Path, Plan};
use crate::flow::{SourceInfo, compile};
use crate::model::key;
use crate::model::observation::{Batch, Body, Dedupe, Position};
use crate::model::time::{Span, Time};
use std::slice;
use std::sync::Arc;

fn plan(steps: &str, captures_changes: bool) -> Arc<Plan> {
    let source = SourceInfo {
        name: "in".to_owned(),
        carries: Carries::Messages,
        clock: Clock::One,
        resolution: Span::ZERO,
        lateness: Span::ZERO,
        lateness_end: false,
        skips_versions: false,
        tells_operations: false,
        captures_changes,
        has_time: true,
        default_dedupe_is_position: false,
        retention: None,
    };
    let document = Document { path: "order.yaml".into(), text: format!("flow: order\nkey: id\nsteps:\n{steps}") };
    let (plan, found) = compile(&[document], &[source], Span::ZERO);
    Arc::new(plan.unwrap_or_else(|| panic!("{found:?}")))
}

struct Source {
    plan: Arc<Plan>,
    extractor: Extractor,
}

impl Source {
    fn new(steps: &str, format: &str, redact: &[&str]) -> Source {
        let dialect = Dialect::named(format).unwrap();
        let plan = plan(steps, dialect.captures_changes());
        let decoding = Decoding {
            key_is_identity: dialect.captures_changes(),
            format: Format::Dialect(dialect),
            time: None,
            time_format: None,
            zone: chrono_tz::UTC,
            key: None,
            op: None,
            parse: Vec::new(),
            strict: false,
            redact: redact.iter().map(|path| Path::parse(path).unwrap()).collect(),
            stamped: true,
        };
        let extractor = Extractor::new(slice::from_ref(&plan), "in", &decoding);
        Source { plan, extractor }
    }

    /// The observations of one payload, and what could not be read.
    fn told(&mut self, payload: &str, key: Option<&str>, stream: &str) -> Vec<String> {
        let attributes = Attributes { key, stream: Some(stream), time: Some(Time(5)), ..Attributes::default() };
        let position = Position { part: 0, offset: 7, element: 0 };
        let record = Record { payload: payload.as_bytes(), position, ingest: Time(9), part: "p", attributes };
        let mut told = Vec::new();
        for piece in self.extractor.unfold(&record) {
            let passed = matches!(piece.1, Piece::Passed(_) | Piece::Alive(_));
            let mut batch = Batch::default();
            match self.extractor.piece(&record, piece, Time::MAX, slice::from_mut(&mut batch)) {
                Err(why) => told.push(why.to_string()),
                Ok(extracted) if extracted.matched == 0 => {
                    told.push(if passed { "passed over" } else { "unmatched" }.to_owned());
                }
                Ok(_) => {}
            }
            for entry in batch.entries() {
                let flow = &self.plan.flows[0];
                let keys = batch.keys(entry).iter().map(|found| {
                    format!(" {}={}", flow.keys[found.name as usize].name, key::unpack(batch.packed(found)))
                });
                let body = Body::read(batch.body(entry));
                let dedupe = match body.dedupe {
                    Dedupe::Position => String::new(),
                    Dedupe::Key(index) => format!(" by key {index}"),
                    Dedupe::Value(packed) => format!(" by `{}`", key::unpack(packed)),
                };
                let place = format!("{}.{}", entry.position.offset, entry.position.element);
                let step = &flow.steps[entry.step as usize].name;
                let keys: String = keys.collect();
                told.push(format!("{step}{keys}{dedupe} at {place} {}", entry.time.0 / 1_000_000_000));
            }
        }
        told
    }
}

#[test]
fn changes_join_by_their_row_and_tables_go_by_any_end_of_their_name() {
    let mut cdc = Source::new(
        "  placed: {from: in.orders, key: {id: row.number}}\n  \
         gone: {from: in.orders, when: op == \"delete\" && meta.before.status == \"new\"}\n  \
         late: {from: in, when: meta.source.lsn > 9, key: {id: row.number}}\n",
        "debezium",
        &[],
    );
    let source = r#""source":{"db":"shop","schema":"public","table":"orders","lsn":7,"ts_ms":1768212000000}"#;
    let insert = format!(r#"{{"op":"c","before":null,"after":{{"id":5,"number":"A-5"}},{source}}}"#);
    assert_eq!(cdc.told(&insert, Some(r#"{"id":5}"#), "t"), ["placed id=A-5 @in.orders=5 by key 1 at 7.0 1768212000"]);
    let delete = format!(r#"{{"op":"d","before":{{"id":5,"status":"new"}},"after":null,{source}}}"#);
    assert_eq!(cdc.told(&delete, Some(r#"{"id":5}"#), "t"), ["gone @in.orders=5 by key 0 at 7.0 1768212000"]);
    let other = insert.replace("\"orders\"", "\"reorders\"");
    assert_eq!(cdc.told(&other, Some("5"), "t"), ["unmatched"], "the end of a name begins behind a point");
    let later = other.replace("\"lsn\":7", "\"lsn\":10");
    assert_eq!(cdc.told(&later, Some("5"), "t"), ["late id=A-5 by `5` at 7.0 1768212000"]);
    assert_eq!(cdc.told("null", Some("5"), "t"), ["passed over"]);
    assert_eq!(cdc.told(r#"{"ts_ms":1768212000000}"#, None, "t"), ["passed over"]);
    // A row by itself is of the topic that it came in, and of the time that the source has.
    assert_eq!(
        cdc.told(r#"{"number":"A-6"}"#, Some("6"), "x.orders"),
        ["placed id=A-6 @in.orders=6 by key 1 at 7.0 0"]
    );
}

#[test]
fn a_dump_of_a_topic_is_what_the_topic_was() {
    let steps = "  placed: {from: in.orders, key: {id: row.number}}\n";
    let dump = |payload: &str| {
        format!(
            r#"{{"topic":"x.public.orders","partition":0,"offset":3,"tstype":"create","ts":1768212000000,"broker":0,"headers":["__op","c"],"key":"{{\"id\":5}}","payload":{payload}}}"#
        )
    };
    let mut cdc = Source::new(steps, "debezium", &[]);
    let flat = dump(r#""{\"id\":5,\"number\":\"A-5\"}""#);
    assert_eq!(cdc.told(&flat, None, "dump"), ["placed id=A-5 @in.orders=5 by key 1 at 7.0 1768212000"]);
    assert_eq!(cdc.told(&dump("null"), None, "dump"), ["passed over"]);
    let row = cdc.told(r#"{"topic":"a column","number":"A-7"}"#, Some("7"), "orders");
    assert_eq!(row, ["placed id=A-7 @in.orders=7 by key 1 at 7.0 0"], "it is no dump");
}

#[test]
fn an_event_that_is_delivered_twice_is_one_effect() {
    let steps = "  placed: {from: in, when: body.type == \"placed\", key: {id: body.data.id}}\n";
    let event = |id: &str, order: &str| {
        format!(
            r#"{{"specversion":"1.0","id":"{id}","source":"/shop","type":"placed","time":"2026-01-12T10:00:00Z","data":{{"id":"{order}"}}}}"#
        )
    };
    let mut events = Source::new(steps, "cloudevents", &[]);
    assert_eq!(events.told(&event("e-1", "o-1"), None, "t"), ["placed id=o-1 by `/shop e-1` at 7.0 1768212000"]);
    let batch = format!("[{},{},3]", event("e-1", "o-1"), event("e-2", "o-2"));
    assert_eq!(
        events.told(&batch, None, "t"),
        [
            "placed id=o-1 by `/shop e-1` at 7.0 1768212000",
            "placed id=o-2 by `/shop e-2` at 7.1 1768212000",
            "syntax: an element of the batch is no object"
        ]
    );
    let hidden = Source::new(steps, "cloudevents", &["body.id"]).told(&event("e-1", "o-1"), None, "t");
    assert!(hidden[0].contains("by `") && !hidden[0].contains("e-1"), "{hidden:?}");
}

#[test]
fn elements_of_several_records_in_one_payload_have_places_of_their_own() {
    let steps = "  item: {from: in, each: body.data, key: {id: each}}\n";
    let event = r#"{"specversion":"1.0","id":"1","source":"s","time":"2026-01-12T10:00:00Z","data":["a","b"]}"#;
    let told = Source::new(steps, "cloudevents", &[]).told(&format!("[{event},{event}]"), None, "t");
    assert_eq!(
        told,
        [
            "item id=a by `s 1[0]` at 7.0 1768212000",
            "item id=b by `s 1[1]` at 7.1 1768212000",
            "item id=a by `s 1[0]` at 7.65536 1768212000",
            "item id=b by `s 1[1]` at 7.65537 1768212000"
        ],
        "the event that comes again is the same effect"
    );
}
