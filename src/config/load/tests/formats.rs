//! Formats of other tools, as configurations name them.

use super::{good, mistakes};
use crate::config::{SourceConfig, Tap};
use crate::flow::dialect::{Dialect, Encoding, Unit};
use crate::flow::format::Lateness;
use crate::flow::plan::{Carries, Clock};
use crate::model::time::Span;
use crate::sources::file::Framing;
use crate::sources::kafka::Payload;

pub(super) const FULL: &str = r#"
flows: [order.yaml]
sources:
  cdc:
    type: kafka
    brokers: "kafka:9092"
    topics: ['^shop\.']
    format: debezium
    columns: {price: decimal(2), placed_at: timestamp_us, day: date, opens: time_ms, more: json}
    zone: Europe/Berlin
  dump: {type: file, path: cdc.jsonl, format: debezium, key: body.id}
  load: {type: file, path: "results/*.jtl", format: jtl, delimiter: ";"}
  events: {type: file, path: events.jsonl, format: cloudevents}
  report: {type: file, path: junit.xml, format: junit, lateness: 1m}
"#;

#[test]
fn what_another_tool_writes_needs_few_words() {
    let config = good(FULL);
    let [cdc, dump, load, events, report] = &config.sources[..] else { panic!("five sources") };
    let Some(Dialect::Debezium { columns }) = cdc.decoding.dialect() else { panic!("{:?}", cdc.decoding) };
    assert_eq!(columns[0], ("price".to_owned(), Encoding::Decimal(2)));
    assert_eq!(columns[1].1, Encoding::Timestamp(Unit::Micro));
    assert_eq!(columns.len(), 5);
    let shape = |source: &SourceConfig| (source.carries, source.clock, source.resolution);
    assert_eq!(shape(cdc), (Carries::Rows, Clock::One, Span(1_000_000)));
    assert_eq!(cdc.pacing.lateness, Lateness::Span(Span::seconds(30)));
    assert!(matches!(&cdc.tap, Tap::Kafka(options) if matches!(options.payload, Payload::Json)));
    for captured in [cdc, dump] {
        let info = captured.info();
        assert!(info.captures_changes && info.has_time && !info.skips_versions && !info.default_dedupe_is_position);
    }
    assert_eq!(load.framing(), Framing::XmlOrCsv { delimiter: b';' });
    assert_eq!((load.pacing.lateness, load.resolution), (Lateness::End, Span(1_000_000)));
    assert_eq!(shape(events), (Carries::Messages, Clock::Many, Span::ZERO));
    assert!(events.info().has_time && !events.info().default_dedupe_is_position && !events.captures_changes);
    assert_eq!((report.framing(), report.resolution), (Framing::Document, Span::seconds(1)));
    assert_eq!(report.pacing.lateness, Lateness::Span(Span::seconds(60)));
    assert!(report.info().default_dedupe_is_position);
}

#[test]
fn every_format_has_its_name() {
    for name in crate::flow::dialect::DIALECTS {
        let config = good(&format!("flows: order.yaml\nsources: {{a: {{type: file, path: a, format: {name}}}}}\n"));
        assert_eq!(config.sources[0].decoding.dialect(), Dialect::named(name).as_ref());
    }
}

#[test]
fn each_system_has_the_formats_that_are_sent_through_it() {
    let config = good(
        r##"
flows: order.yaml
sources:
  jobs: {type: redis, url: "redis://localhost", streams: ["bull:mail:events"], format: bullmq}
  tasks: {type: rabbitmq, url: "amqp://localhost", queues: {events: {exchange: celeryev, routing: "#"}}, format: celery}
  server: {type: http, format: debezium}
"##,
    );
    let [jobs, tasks, server] = &config.sources[..] else { panic!("three sources") };
    assert_eq!(jobs.decoding.dialect(), Some(&Dialect::BullMq));
    assert_eq!((tasks.decoding.dialect(), tasks.carries), (Some(&Dialect::Celery), Carries::Messages));
    assert!(server.captures_changes && server.carries == Carries::Rows && server.clock == Clock::One);
}

#[test]
fn mistakes_of_formats_are_told_with_place_and_remedy() {
    insta::assert_snapshot!(mistakes(
        r#"flows: order.yaml
sources:
  near: {type: file, path: a.jsonl, format: debesium}
  cdc: {type: file, path: a.jsonl, format: debezium, columns: {price: decimal, at: micros}, delimiter: ";"}
  json: {type: file, path: a.jsonl, format: json, columns: {price: decimal(2)}}
  har: {type: kafka, brokers: "k:9092", topics: [a], format: har}
  jtl: {type: rabbitmq, url: "amqp://localhost", queues: {a: {exchange: a}}, format: jtl}
  log: {type: file, path: a.log, format: gatling, pattern: x, begins: x}
"#
    ));
}
