//! What requests hold.

use super::request::{Parsed, parse};
use crate::model::time::Time;
use crate::sources::push::Event;
use hyper::HeaderMap;
use hyper::header::{HeaderName, HeaderValue};
use std::fmt::Write;

const NOW: Time = Time(1_700_000_000_000_000_000);

fn parsed(headers: &[(&'static str, &'static str)], body: &str) -> Parsed {
    let headers: HeaderMap =
        headers.iter().map(|(name, value)| (HeaderName::from_static(name), HeaderValue::from_static(value))).collect();
    parse(&headers, body.as_bytes(), None, NOW)
}

/// A line an event: its key, how long before now it happened, and it, or what is wrong with it.
fn told(headers: &[(&'static str, &'static str)], body: &str) -> String {
    let Parsed { status, events, .. } = parsed(headers, body);
    let mut told = format!("{}\n", status.as_u16());
    for event in events {
        let _ = match event {
            Event::Record { key, time, payload, .. } => {
                let (key, text) = (key.unwrap_or("-".into()), String::from_utf8(payload).unwrap());
                writeln!(told, "{key} | {} | {text}", NOW.since(time))
            }
            Event::Undecodable { reason, detail, .. } => writeln!(told, "{reason}: {detail}"),
        };
    }
    told
}

#[test]
fn a_document_is_one_event_whatever_it_holds() {
    let json = ("content-type", "application/json; charset=utf-8");
    insta::assert_snapshot!(told(&[json], " {\"id\": 1.10}\n"), @r#"
    202
    - | 0s | {"id": 1.10}
    "#);
    insta::assert_snapshot!(told(&[json, ("idempotency-key", "k-1")], "[1,2]"), @"
    202
    k-1 | 0s | [1,2]
    ");
    insta::assert_snapshot!(told(&[("content-type", "application/vnd.shop+json")], "7"), @"
    202
    - | 0s | 7
    ");
    insta::assert_snapshot!(told(&[json], "{\"id\": }"), @"
    400
    syntax: this is not JSON: expected value at line 1 column 8
    ");
}

#[test]
fn lines_are_taken_that_can_be_and_the_others_are_named() {
    let headers = [("content-type", "application/x-ndjson"), ("idempotency-key", "k")];
    insta::assert_snapshot!(told(&headers, "{\"a\":1}\n\n{\"a\":\n{\"a\":3}\r\n"), @r#"
    202
    k/0 | 0s | {"a":1}
    syntax: this is not JSON: EOF while parsing a value at line 1 column 5
    k/2 | 0s | {"a":3}
    "#);
    insta::assert_snapshot!(told(&headers, "no\n"), @"
    400
    syntax: this is not JSON: expected ident at line 1 column 2
    ");
    insta::assert_snapshot!(told(&headers, ""), @"202");
}

#[test]
fn cloudevents_have_one_shape_in_every_mode() {
    const EVENT: &str = r#"{"specversion":"1.0","id":"42","source":"/shop","type":"paid","time":"2023-11-14T22:13:00Z","data":{"amount":1.10}}"#;
    insta::assert_snapshot!(told(&[("content-type", "application/cloudevents+json")], EVENT), @r#"
    202
    /shop 42 | 20s | {"specversion":"1.0","id":"42","source":"/shop","type":"paid","time":"2023-11-14T22:13:00Z","data":{"amount":1.10}}
    "#);
    let binary = [
        ("ce-specversion", "1.0"),
        ("ce-id", "42"),
        ("ce-source", "/shop"),
        ("ce-type", "paid"),
        ("ce-time", "2023-11-14T22:13:00Z"),
        ("ce-place", "Z%C3%BCrich%"),
        ("content-type", "application/json"),
    ];
    insta::assert_snapshot!(told(&binary, r#"{"amount":1.10}"#), @r#"
    202
    /shop 42 | 20s | {"specversion":"1.0","id":"42","source":"/shop","type":"paid","time":"2023-11-14T22:13:00Z","place":"Zürich%","datacontenttype":"application/json","data":{"amount":1.10}}
    "#);
    let mut text = binary;
    text[6].1 = "text/plain";
    insta::assert_snapshot!(told(&text, "a \"word\""), @r#"
    202
    /shop 42 | 20s | {"specversion":"1.0","id":"42","source":"/shop","type":"paid","time":"2023-11-14T22:13:00Z","place":"Zürich%","datacontenttype":"text/plain","data":"a \"word\""}
    "#);
    let batch = format!("[{EVENT}, {}]", r#"{"specversion":"1.0","id":"","source":"/shop","type":"paid"}"#);
    insta::assert_snapshot!(told(&[("content-type", "application/cloudevents-batch+json")], &batch), @r#"
    202
    /shop 42 | 20s | {"specversion":"1.0","id":"42","source":"/shop","type":"paid","time":"2023-11-14T22:13:00Z","data":{"amount":1.10}}
    attribute: a CloudEvent has `id`, and this one has not
    "#);
}

#[test]
fn what_is_no_cloudevent_is_told() {
    let say = |body: &str| told(&[("content-type", "application/cloudevents+json")], body);
    insta::assert_snapshot!(say(r#"{"specversion":"0.3","id":"1","source":"s","type":"t"}"#), @"
    400
    version: version 0.3 of CloudEvents is not known, 1.0 is
    ");
    insta::assert_snapshot!(say(r#"{"id":"1","source":"s","type":"t"}"#), @"
    400
    attribute: a CloudEvent has `specversion`, and this one has not
    ");
    insta::assert_snapshot!(say(r#"{"specversion":"1.0","id":"1","source":"s","type":"t","time":"yesterday"}"#), @r#"
    400
    bad_time: its `time` is none: "yesterday" is not a time like 2026-01-31T08:30:00Z; `time_format` reads others
    "#);
    insta::assert_snapshot!(say(r#"{"specversion":"1.0","id":1,"source":"s","type":"t"}"#), @"
    400
    syntax: this is no CloudEvent in JSON: invalid type: integer `1`, expected a string at line 1 column 27
    ");
    insta::assert_snapshot!(told(&[("content-type", "text/plain")], "x"), @"
    415
    content_type: `text/plain` is not taken: send application/json, application/x-ndjson, application/cloudevents+json, application/cloudevents-batch+json, or a CloudEvent in headers
    ");
}

#[test]
fn headers_that_let_in_are_not_told() {
    let headers = [("authorization", "Bearer s3cret-token"), ("cookie", "s3cret"), ("x-shop-event", "paid")];
    let Event::Record { headers, .. } = &parsed(&headers, "{}").events[0] else { panic!("an event") };
    assert_eq!(**headers, [("x-shop-event".to_owned(), "paid".to_owned())]);
}

#[test]
fn a_request_with_too_many_events_is_refused_whole() {
    let body = "1\n".repeat(50_001);
    let Parsed { status, events, .. } = parsed(&[("content-type", "application/x-ndjson")], &body);
    assert_eq!((status.as_u16(), events.len()), (413, 1));
}
