//! What tools write, as their documentation or they themselves show it, and what becomes of it.

use super::Reader;
use crate::extract::told::Piece;
use crate::extract::{Attributes, Record};
use crate::flow::dialect::Dialect;
use crate::model::observation::Position;
use crate::model::time::Time;
use chrono_tz::Tz;
use std::fmt::Write;

type Headers<'a> = &'a [(&'a str, &'a str)];

/// What a payload comes to: a line a record, with its time, what tells its effect, and how many lines stand before it.
fn told(dialect: &str, payload: &str, key: Option<&str>, headers: Headers<'_>) -> String {
    let mut reader = Reader::new(&Dialect::named(dialect).unwrap(), Tz::Europe__Berlin);
    let mut lines = payload.lines();
    if dialect == "jtl" && !payload.starts_with('<') {
        reader.header(lines.next().unwrap().as_bytes()).unwrap();
        return lines.map(|line| one(&mut reader, line, key, headers)).collect();
    }
    match dialect {
        "k6" | "gatling" | "celery" => lines.map(|line| one(&mut reader, line, key, headers)).collect(),
        _ => one(&mut reader, payload, key, headers),
    }
}

fn one(reader: &mut Reader, payload: &str, key: Option<&str>, headers: Headers<'_>) -> String {
    let attributes = Attributes { key, headers, stream: key.and(Some("bull:orders:events")), ..Attributes::default() };
    let position = Position { part: 0, offset: 1, element: 0 };
    pieces(reader, &Record { payload: payload.as_bytes(), position, ingest: Time(0), part: "a", attributes })
}

fn pieces(reader: &mut Reader, record: &Record<'_>) -> String {
    let mut out = String::new();
    for (_, piece) in reader.read(record) {
        let time = |time: Option<Time>| time.map_or("no time".to_owned(), |time| time.to_string());
        match piece {
            Piece::Told(told) => {
                let identity = told.identity.map_or(String::new(), |identity| format!(" is {identity}"));
                let whole = told.fields.get(&[]).display().into_owned();
                let _ = writeln!(out, "{} +{}{identity}\n  {whole}", time(told.time), told.lines_before);
            }
            Piece::Passed(at) => _ = writeln!(out, "passed over, {}", time(at)),
            Piece::Bad(why) => _ = writeln!(out, "{why}"),
            Piece::Alive(at) => _ = writeln!(out, "alive at {at}"),
            Piece::Whole => _ = writeln!(out, "whole"),
        }
    }
    out
}

#[test]
fn what_tools_write_is_told_by_known_names() {
    for (name, dialect, payload) in [
        ("jtl_csv", "jtl", include_str!("vectors/results.csv")),
        ("jtl_xml", "jtl", include_str!("vectors/results.xml")),
        ("har", "har", include_str!("vectors/shop.har")),
        ("newman", "newman", include_str!("vectors/newman.json")),
        ("junit", "junit", include_str!("vectors/junit.xml")),
        ("k6", "k6", include_str!("vectors/k6.jsonl")),
        ("gatling", "gatling", include_str!("vectors/simulation.log")),
        // Written by Celery 5.7: retried, expired, its process killed, taken up again after its worker was lost.
        ("celery", "celery", include_str!("vectors/celery.jsonl")),
    ] {
        insta::assert_snapshot!(name, told(dialect, payload, None, &[]));
    }
}

#[test]
fn an_event_is_structured_binary_or_batched() {
    let event = r#"{"specversion":"1.0","id":"A-1","source":"/shop","type":"order.placed","time":"2026-01-12T10:00:00Z","data":{"order_id":"o-1"}}"#;
    let expect = "2026-01-12T10:00:00Z +0 is /shop A-1\n  ";
    assert_eq!(told("cloudevents", event, None, &[]), format!("{expect}{event}\n"));
    assert_eq!(
        told("cloudevents", &format!("[{event},7]"), None, &[]),
        format!("{expect}{event}\nsyntax: an element of the batch is no object\n")
    );
    let headers: Headers<'_> = &[
        ("ce_specversion", "1.0"),
        ("ce_id", "A-1"),
        ("ce_source", "/shop"),
        ("ce_type", "order.placed"),
        ("ce_time", "2026-01-12T10:00:00Z"),
        ("content-type", "application/json"),
        ("other", "x"),
    ];
    assert_eq!(
        told("cloudevents", r#"{"order_id":"o-1"}"#, Some("o-1"), headers),
        format!(
            "{expect}{}\n",
            r#"{"specversion":"1.0","id":"A-1","source":"/shop","type":"order.placed","time":"2026-01-12T10:00:00Z","datacontenttype":"application/json","data":{"order_id":"o-1"},"partitionkey":"o-1"}"#
        )
    );
    let packed = r#"{"specversion":"1.0","id":"1","source":"s","type":"t","data_base64":"eyJhIjoxfQ=="}"#;
    assert!(told("cloudevents", packed, None, &[]).contains(r#""data":{"a":1}"#));
    assert!(told("cloudevents", "{}", None, &[]).contains("has a `specversion`"));
}

#[test]
fn celery_tells_tasks_and_events_one_or_many_at_a_time() {
    let started = r#"{"hostname":"celery@a","utcoffset":0,"pid":7,"clock":12,"uuid":"t-1","timestamp":1768212000.25,"type":"task-started"}"#;
    let received = r#"{"type":"task-received","uuid":"t-1","name":"shop.pay","args":"('o-1',)","kwargs":"{}","retries":0,"eta":null,"timestamp":1768212000.0,"hostname":"celery@a"}"#;
    let one = told("celery", started, None, &[]);
    assert!(
        one.starts_with(
            "2026-01-12T10:00:00.250Z +0 is t-1 task-started 1768212000.25\n  {\"task_id\":\"t-1\",\"hostname\""
        ),
        "{one}"
    );
    let many = told("celery", &format!("[{received},{started}]"), None, &[]);
    assert!(
        many.ends_with(&one) && many.contains(r#"{"task_id":"t-1","task":"shop.pay","type":"task-received""#),
        "{many}"
    );
    let headers: Headers<'_> = &[("task", "shop.pay"), ("id", "t-1"), ("root_id", "t-0"), ("retries", "1")];
    let expect = "no time +0 is t-1 1\n  {\"type\":\"task-message\",\"task_id\":\"t-1\",\"args\":[\"o-1\"],\"kwargs\":{\"amount\":5},\"embed\":{\"chain\":null},\"task\":\"shop.pay\",\"id\":\"t-1\",\"root_id\":\"t-0\",\"retries\":1}\n";
    let body = r#"[["o-1"],{"amount":5},{"chain":null}]"#;
    assert_eq!(told("celery", body, None, headers), expect);
    let over_rabbitmq = [headers, &[("amqp.routing_key", "celery")]].concat();
    assert_eq!(told("celery", body, None, &over_rabbitmq), expect);
    // The same as it stands in a list of Redis.
    let over_redis = r#"{"body":"W1sibyAxIl0se30se31d","content-encoding":"utf-8","content-type":"application/json","headers":{"lang":"py","task":"shop.pay","id":"t-1","retries":0},"properties":{"correlation_id":"t-1","body_encoding":"base64","delivery_tag":"x"}}"#;
    let over_redis = told("celery", over_redis, None, &[]);
    assert!(
        over_redis.starts_with("no time +0 is t-1 0\n") && over_redis.contains(r#""args":["o 1"]"#),
        "{over_redis}"
    );
    let older = told("celery", r#"{"id":"t-1","task":"shop.pay","args":["o-1"],"kwargs":{},"retries":0}"#, None, &[]);
    assert!(older.contains(r#""type":"task-message","task_id":"t-1""#), "{older}");
    assert!(told("celery", "{}", None, &[]).contains("neither a task of Celery"));
    assert!(told("celery", "x", None, &[]).starts_with("syntax"));
}

#[test]
fn bullmq_tells_events_and_jobs() {
    let event = told(
        "bullmq",
        r#"{"id":"1768212000250-0","event":"completed","jobId":"12","returnvalue":"{\"ok\":true}","prev":"active"}"#,
        Some("k"),
        &[],
    );
    assert_eq!(
        event,
        "2026-01-12T10:00:00.250Z +0\n  {\"queue\":\"orders\",\"job\":\"orders/12\",\"id\":\"1768212000250-0\",\"event\":\"completed\",\"jobId\":\"12\",\"returnvalue\":{\"ok\":true},\"prev\":\"active\"}\n"
    );
    let removed = told("bullmq", "null", Some("bull:orders:12"), &[]);
    assert_eq!(removed, "no time +0\n  {\"queue\":\"orders\",\"jobId\":\"12\"}\n");
    // Of a schedule, and behind a prefix of several words.
    for key in ["bull:orders:repeat:nightly:1768212000000", "shop:eu:orders:repeat:nightly:1768212000000"] {
        let job = told("bullmq", r#"{"name":7,"timestamp":"1768212000000"}"#, Some(key), &[]);
        let expect =
            r#"{"queue":"orders","jobId":"repeat:nightly:1768212000000","name":"7","timestamp":1768212000000}"#;
        assert_eq!(job, format!("2026-01-12T10:00:00Z +0\n  {expect}\n"));
    }
    for key in ["bull:orders:12:lock", "bull:orders:meta", "bull:orders:repeat:nightly", "bull:orders:de:o-1"] {
        assert_eq!(told("bullmq", "null", Some(key), &[]), "passed over, no time\n", "{key}");
    }
}

/// What the source of Redis hands over of BullMQ 6.7: jobs that are done, tried again, fail, and stall; the same job
/// numbers after the queue was obliterated.
#[test]
fn what_bullmq_has_written_is_told_by_its_names() {
    let mut reader = Reader::new(&Dialect::BullMq, Tz::UTC);
    let mut out = String::new();
    for line in include_str!("vectors/bullmq.jsonl").lines() {
        let line: serde_json::Value = serde_json::from_str(line).unwrap();
        let payload = line["payload"].to_string();
        let millis = line["id"].as_str().and_then(|id| id.split_once('-')).map(|(millis, _)| millis.parse().unwrap());
        let time = Some(Time(millis.unwrap_or(1_795_683_642_000_i64) * 1_000_000));
        let attributes =
            Attributes { key: line["key"].as_str(), stream: line["stream"].as_str(), time, ..Attributes::default() };
        let position = Position { part: 0, offset: 1, element: 0 };
        let part = line["part"].as_str().unwrap();
        out +=
            &pieces(&mut reader, &Record { payload: payload.as_bytes(), position, ingest: Time(0), part, attributes });
    }
    insta::assert_snapshot!(out);
}

#[test]
fn spring_adds_to_the_payload() {
    let headers: Headers<'_> = &[("__TypeId__", "shop.Order"), ("message_id", "m-1"), ("x-exception-message", "boom")];
    assert_eq!(
        told("spring-amqp", r#"{"order_id":"o-1"}"#, None, headers),
        "no time +0 is m-1\n  {\"order_id\":\"o-1\"}\n"
    );
    let over_rabbitmq: Headers<'_> = &[("amqp.message_id", "m-2")];
    assert_eq!(told("spring-amqp", "{}", None, over_rabbitmq), "no time +0 is m-2\n  {}\n");
    assert_eq!(told("spring-amqp", "hello", None, &[]), "no time +0\n  hello\n");
}

#[test]
fn spans_of_messaging_are_told_by_the_names_of_the_conventions() {
    insta::assert_snapshot!("otel", told("otel-messaging", include_str!("vectors/otlp.json"), None, &[]));
    let alone = r#"{"trace_id":"t","span_id":"s","name":"publish orders","kind":4,"start":1768212000000000000,"attributes":{"messaging.system":"kafka","messaging.message_id":"m-1"}}"#;
    assert!(told("otel-messaging", alone, None, &[]).contains(r#""kind":"producer""#));
    assert_eq!(told("otel-messaging", r#"{"spanId":"s","attributes":[]}"#, None, &[]), "passed over, no time\n");
}

#[test]
fn what_is_not_of_the_tool_says_so() {
    for (dialect, payload, says) in [
        ("har", "{}", "has a `log`"),
        ("har", r#"{"log":{}}"#, "has `entries`"),
        ("har", r#"{"log":{"entries":[1]}}"#, "no object"),
        ("newman", "{}", "has a `run`"),
        ("junit", "<html/>", "begins with <testsuites>"),
        ("junit", "<testsuite>", "truncated"),
        ("k6", "{", "truncated"),
        ("gatling", "hello", "begins with RUN"),
        ("gatling", "REQUEST\tx", "has an outcome"),
        ("gatling", "REQUEST\t\tx\tnow\tthen\tOK", "in milliseconds"),
        ("otel-messaging", "[]", "syntax"),
        ("bullmq", "7", "syntax"),
    ] {
        let found = told(dialect, payload, None, &[]);
        assert!(found.contains(says), "{dialect} {payload}: {found}");
    }
}

proptest::proptest! {
    #[test]
    fn no_payload_is_too_strange(payload in "\\PC{0,60}|[\\[{<\"a:>/\\]},0 \t]{0,60}", binary in proptest::collection::vec(proptest::num::u8::ANY, 0..40)) {
        for dialect in crate::flow::dialect::DIALECTS {
            let mut reader = Reader::new(&Dialect::named(dialect).unwrap(), Tz::UTC);
            let _ = reader.header(b"timeStamp,label");
            for payload in [payload.as_bytes(), &binary] {
                let position = Position { part: 0, offset: 1, element: 0 };
                let record = Record { payload, position, ingest: Time(0), part: "a", attributes: Attributes::default() };
                let _ = reader.read(&record).count();
            }
        }
    }
}
