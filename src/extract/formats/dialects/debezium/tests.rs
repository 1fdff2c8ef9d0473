//! Messages of each connector, and what becomes of them: as its documentation shows them, and, where a version stands in
//! the name, as it has sent them.

use super::Debezium;
use crate::extract::told::Piece;
use crate::extract::{Attributes, Record};
use crate::flow::dialect::{Encoding, Unit};
use crate::flow::plan::Segment;
use crate::model::observation::Position;
use crate::model::time::Time;
use serde_json::Value as Json;

fn record<'a>(payload: &'a [u8], key: Option<&'a str>, headers: &'a [(&'a str, &'a str)]) -> Record<'a> {
    let attributes = Attributes { key, headers, ..Attributes::default() };
    Record { payload, position: Position { part: 0, offset: 1, element: 0 }, ingest: Time(0), part: "cdc", attributes }
}

/// What a message comes to, in one line a part.
fn told(debezium: &mut Debezium, line: &str) -> String {
    let message: Json = serde_json::from_str(line).unwrap();
    let (key, payload) = (message["key"].to_string(), message["value"].to_string());
    let headers = message["headers"].as_object().into_iter().flatten();
    let headers: Vec<(&str, &str)> = headers.map(|(name, value)| (name.as_str(), value.as_str().unwrap())).collect();
    let key = (!message["key"].is_null()).then_some(key.as_str());
    match debezium.read(&record(payload.as_bytes(), key, &headers)).unwrap() {
        Piece::Told(told) => {
            let beside = |name: &str| told.fields.beside(&[Segment::Field(name.into())]).display().into_owned();
            format!(
                "{} of {} in {} at {}\n  {}\n  before {}\n",
                told.op.unwrap_or("-"),
                told.key.as_deref().unwrap_or("-"),
                told.stream.as_deref().unwrap_or("-"),
                told.time.map_or("-".to_owned(), |time| time.to_string()),
                told.fields.to_json(),
                beside("before"),
            )
        }
        Piece::Alive(time) => format!("alive at {time}\n"),
        Piece::Passed(time) => format!("passed over {}\n", time.map_or("-".to_owned(), |time| time.to_string())),
        other => panic!("{other:?}"),
    }
}

fn all(lines: &str) -> String {
    let mut debezium = Debezium::new(Vec::new());
    lines.lines().map(|line| told(&mut debezium, line)).collect()
}

#[test]
fn each_connector_tells_its_changes_in_its_own_way() {
    for (connector, lines) in [
        ("mysql", include_str!("vectors/mysql.jsonl")),
        ("postgresql", include_str!("vectors/postgresql.jsonl")),
        ("mongodb", include_str!("vectors/mongodb.jsonl")),
        ("sqlserver", include_str!("vectors/sqlserver.jsonl")),
        ("oracle", include_str!("vectors/oracle.jsonl")),
        ("db2", include_str!("vectors/db2.jsonl")),
        ("cassandra", include_str!("vectors/cassandra.jsonl")),
        ("vitess", include_str!("vectors/vitess.jsonl")),
        ("spanner", include_str!("vectors/spanner.jsonl")),
        ("flattened", include_str!("vectors/flattened.jsonl")),
        ("postgresql-3.6", include_str!("vectors/postgresql-3.6.jsonl")),
        ("mysql-3.6", include_str!("vectors/mysql-3.6.jsonl")),
        ("flattened-3.6", include_str!("vectors/flattened-3.6.jsonl")),
        ("cloudevents-3.6", include_str!("vectors/cloudevents-3.6.jsonl")),
    ] {
        insta::assert_snapshot!(connector, all(lines));
    }
}

#[test]
fn without_a_schema_columns_are_what_they_are_declared_to_be() {
    let columns = vec![
        ("price".to_owned(), Encoding::Decimal(2)),
        ("id".to_owned(), Encoding::Decimal(0)),
        ("placed".to_owned(), Encoding::Timestamp(Unit::Micro)),
    ];
    let line = r#"{"key":{"id":"A+w="},"value":{"op":"c","after":{"id":"A+w=","price":"MDk=","placed":1767226200120001},
        "source":{"ts_ms":1465491411000,"table":"orders"}}}"#;
    assert_eq!(
        told(&mut Debezium::new(columns), line),
        "insert of 1004 in orders at 2016-06-09T16:56:51Z\n  \
         {\"id\":1004,\"price\":123.45,\"placed\":\"2026-01-01T00:10:00.120001\"}\n  before null\n"
    );
}

#[test]
fn what_is_no_change_says_so() {
    let mut debezium = Debezium::new(Vec::new());
    let mut why = |payload: &str| {
        debezium.read(&record(payload.as_bytes(), None, &[])).map(|piece| format!("{piece:?}")).unwrap_err().to_string()
    };
    assert!(why("{\"op\":\"c\"").starts_with("truncated: "));
    assert!(why("[1]").starts_with("syntax: "));
    assert_eq!(why(r#"{"op":"x","after":{}}"#), "syntax: `x` is no kind of change that Debezium tells");
    assert_eq!(why(r#"{"schema":{},"payload":7}"#), "syntax: the payload beside the schema is no object");
    assert_eq!(why(r#"{"op":"c","after":[1],"source":{}}"#), "syntax: the row in it is no object");
    assert_eq!(why(r#"{"op":"c","after":"x","source":{}}"#), "syntax: the document in it is no JSON object");
    assert!(why("\"text").starts_with("syntax") || why("\"text").starts_with("truncated"));
}

#[test]
fn a_key_is_its_text_or_a_list() {
    let mut debezium = Debezium::new(Vec::new());
    for (key, expect) in [
        ("1004", "1004"),
        ("o-1", "o-1"),
        ("\"o-1\"", "o-1"),
        (r#"{"id":1004}"#, "1004"),
        (r#"{"region":"eu","no":7}"#, r#"["eu",7]"#),
        (r#"{"schema":{"type":"int32"},"payload":7}"#, "7"),
    ] {
        assert_eq!(debezium.key(key), expect);
    }
}
