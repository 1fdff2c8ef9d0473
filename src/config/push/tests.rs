//! What is read of sources that listen, and what is said of mistakes.

use crate::config::load::fixture;
use crate::config::{Config, Tap};
use crate::flow::dialect::Dialect;
use crate::flow::format::{Format, Lateness};
use crate::flow::plan::{Carries, Clock};
use crate::model::time::Span;
use crate::sources::push::{Options, Senders};

pub const FULL: &str = r#"
flows: [order.yaml]
sources:
  otel:
    type: otlp
    grpc: "0.0.0.0:4317"
    http: "[::1]:4318"
    tokens: ["${TOKEN}", another-s3cret-token]
    tls: {certificate: server.pem, key: server.key}
    senders: retry
    limits: {body: 2MiB, waiting: 16MiB, connections: 32}
    lateness: 1m
    start: latest
    redact: body.attributes["user.email"]
  spans: {type: otlp, format: otel-messaging}
  lines: {type: otlp, http: "127.0.0.1:14318"}
  shop:
    type: http
    listen: "127.0.0.1:8089"
    format: json
    key: body.event_id
    time: body.at
    tokens: "${TOKEN}"
  posted: {type: http, format: debezium}
"#;

fn loaded(text: &str) -> (Option<Config>, String) {
    fixture::loaded(text, &[("TOKEN", "first-s3cret-token")])
}

#[test]
fn every_option_of_what_is_pushed_is_read() {
    let (config, told) = loaded(FULL);
    let config = config.unwrap_or_else(|| panic!("{told}"));
    let [otel, spans, lines, shop, posted] = &config.sources[..] else { panic!("five sources") };
    let (Tap::Otlp(full), Tap::Otlp(usual), Tap::Otlp(http)) = (&otel.tap, &spans.tap, &lines.tap) else {
        panic!("OTLP")
    };
    assert_eq!((full.grpc.as_deref(), full.http.as_deref()), (Some("0.0.0.0:4317"), Some("[::1]:4318")));
    let Options { tokens, tls, senders, body_max, connections_max, waiting_max } = &full.push;
    let tokens: Vec<&str> = tokens.iter().map(|token| &*token.0).collect();
    assert_eq!(tokens, ["first-s3cret-token", "another-s3cret-token"]);
    assert!(tls.as_ref().is_some_and(|tls| tls.certificate.ends_with("server.pem") && tls.key.ends_with("server.key")));
    assert_eq!((*senders, *body_max, *waiting_max, *connections_max), (Senders::Retry, 2 << 20, 16 << 20, 32));
    assert_eq!((otel.pacing.lateness, otel.decoding.redact.len()), (Lateness::Span(Span::seconds(60)), 1));
    assert_eq!((usual.grpc.as_deref(), usual.http.as_deref()), (Some("127.0.0.1:4317"), Some("127.0.0.1:4318")));
    assert_eq!((usual.push.senders, usual.push.tokens.len()), (Senders::Forget, 0));
    assert_eq!((spans.pacing.lateness, spans.clock), (Lateness::Span(Span::seconds(30)), Clock::Many));
    assert!(matches!(spans.decoding.format, Format::Dialect(Dialect::OtelMessaging)));
    assert!(matches!(otel.decoding.format, Format::Json));
    assert_eq!((http.grpc.as_deref(), http.http.as_deref()), (None, Some("127.0.0.1:14318")), "only what is named");
    let (Tap::HttpEvents(full), Tap::HttpEvents(usual)) = (&shop.tap, &posted.tap) else { panic!("events") };
    assert_eq!((&*full.name, &*full.listen, &*usual.listen), ("shop", "127.0.0.1:8089", "127.0.0.1:8088"));
    assert!(shop.decoding.time.is_some() && shop.decoding.key.is_some() && shop.decoding.key_is_identity);
    assert!(posted.info().has_time && posted.carries == Carries::Rows && shop.carries == Carries::Messages);
    assert!(!format!("{config:?}").contains("s3cret"), "secrets are not shown");
}

#[test]
fn mistakes_in_what_is_pushed_are_told_with_place_and_remedy() {
    let (config, told) = loaded(
        r#"
flows: [order.yaml]
sources:
  a: {type: otlp, grpc: 4317, http: "localhost:http", tokens: [short], start: beginning}
  b: {type: otlp, grpc: "127.0.0.1:4317", http: "127.0.0.1:4317", format: json}
  c: {type: http, listen: ":8088", path: /events, senders: never, tls: {certificate: a.pem}}
  d: {type: http, format: csv, limits: {body: 4 GB, connections: 0, bodies: 1}}
  e: {type: http, format: jtl, tokens: "has a blank in it", limits: {body: 40MiB}}
"#,
    );
    assert!(config.is_none());
    insta::assert_snapshot!(told);
}
