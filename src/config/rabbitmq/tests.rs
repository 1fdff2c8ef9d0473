//! What is read of a broker's options, and what is said of mistakes.

use super::*;
use crate::config::Config;
use crate::config::load::fixture;

pub const FULL: &str = r#"
flows: [order.yaml]
sources:
  broker:
    type: rabbitmq
    url: "${URL}"
    tls: {ca: ca.pem, certificate: own.pem, key: own.key}
    queues:
      shipping: {exchange: shop, routing: "shipping.*"}
      news: {exchange: announcements}
      dead: {exchange: shop.dead, routing: [orders, payments]}
      eu: {exchange: matched, headers: {region: eu, audited: null}, match: any}
    streams:
      ledger: {start: beginning}
      audit: {stream: audit.v2, offset: 17}
    firehose:
      jobs: {exchange: "", routing: jobs}
      taken: {queue: jobs}
    keep: 1h
    max_messages: 5000
    max_bytes: 1048576
    durable: true
    format: json
    time: body.at
    lateness: 2s
    redact: body.email
  plain: {type: rabbitmq, url: "amqp://localhost", queues: {orders: {exchange: shop}}}
  replayed: {type: rabbitmq, url: "amqp://localhost", streams: {ledger: {}}, start: beginning}
  tasks: {type: rabbitmq, url: "amqp://localhost", queues: {events: {exchange: celeryev}}, format: celery}
"#;

fn loaded(text: &str) -> (Option<Config>, String) {
    fixture::loaded(text, &[("URL", "amqps://watcher:s3cret@broker/shop")])
}

fn options(source: &SourceConfig) -> &Options {
    match &source.tap {
        Tap::Rabbitmq(options) => options,
        other => panic!("{other:?}"),
    }
}

#[test]
fn every_option_of_a_broker_is_read() {
    let (config, told) = loaded(FULL);
    let config = config.unwrap_or_else(|| panic!("{told}"));
    let [broker, plain, replayed, tasks] = &config.sources[..] else { panic!("four sources") };
    let (full, short) = (options(broker), options(plain));
    assert_eq!(&*full.url.0, "amqps://watcher:s3cret@broker/shop");
    assert!(full.ca.as_ref().unwrap().ends_with("ca.pem") && full.certificate.is_some());
    let taps: Vec<String> = full.taps.iter().map(|tap| format!("{}: {:?}", tap.name, tap.origin)).collect();
    insta::assert_snapshot!(taps.join("\n"));
    assert_eq!((full.keep, full.max_messages, full.max_bytes), (Span::seconds(3600), 5_000, 1 << 20));
    assert!(full.durable && full.stamped == Stamped::Never);
    assert_eq!((broker.resolution, broker.start), (Span::ZERO, Start::Latest));
    let info = broker.info();
    assert!(info.has_time && info.default_dedupe_is_position && info.carries == Carries::Messages);
    assert_eq!((short.keep, short.max_messages, short.durable), (KEEP, MESSAGES, false));
    assert!(
        short.stamped == Stamped::Always
            && short.taps[0].origin
                == Origin::Exchange { exchange: "shop".into(), binding: Binding::Keys(vec!["#".into()]) }
    );
    assert_eq!((plain.pacing.lateness, plain.resolution), (Lateness::Span(LATENESS), RESOLUTION));
    assert_eq!(replayed.start, Start::Beginning);
    assert_eq!((options(tasks).stamped, tasks.resolution), (Stamped::Where("task"), Span::ZERO));
    assert!(!format!("{config:?}").contains("s3cret"));
}

#[test]
fn mistakes_with_a_broker_are_told_with_place_and_remedy() {
    let (config, told) = loaded(
        r#"
flows: [order.yaml]
sources:
  a: {type: rabbitmq, queues: {jobs: {exchange: ""}}}
  b: {type: rabbitmq, url: "amqp://broker"}
  c: {type: rabbitmq, url: "amqp://broker", queues: {x: {exchange: shop, routing: a, headers: {b: c}}, "y z": {routing: a}}}
  d: {type: rabbitmq, url: "amqp://broker", queues: {x: {exchange: shop, match: any}}, streams: {x: {start: soon, offset: 1}}}
  e: {type: rabbitmq, url: "amqp://broker", queues: {x: {exchange: shop}}, start: beginning, max_messages: 3, format: csv}
  f: {type: rabbitmq, url: "amqp://broker", firehose: {x: {exchange: "", queue: jobs}, y: {routing: jobs}}, tls: {key: a.pem}}
"#,
    );
    assert!(config.is_none());
    insta::assert_snapshot!(told);
}
