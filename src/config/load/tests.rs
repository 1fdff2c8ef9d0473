//! What is read of a configuration, and what is said of one with mistakes.

use super::*;
use crate::config::outputs::{Keep, Listen};
use crate::config::{Tap, schema};
use crate::flow::format::{Format, Lateness};
use crate::model::verdict::Severity;
use crate::sources::kafka::{Encoding, Mechanism, Payload};
use crate::sources::live::Start;
use crate::sources::tables::{Common, Sweep};

mod formats;

fn loaded(text: &str) -> (Option<Config>, String) {
    fixture::loaded(text, &[("EVENTS", "given.jsonl")])
}

/// The configuration that a text without mistakes gives.
fn good(text: &str) -> Config {
    let (config, told) = loaded(text);
    config.unwrap_or_else(|| panic!("{told}"))
}

/// What is said of a text with mistakes.
fn mistakes(text: &str) -> String {
    let (config, told) = loaded(text);
    assert!(config.is_none(), "nothing is wrong with it");
    told
}

const FULL: &str = r#"
flows: [order.yaml]
clock_skew: 2s
server: {listen: "0.0.0.0:8080"}
webhook: {url: "https://user:secret@example.org/findings", on: critical, token: "${EVENTS}"}
sources:
  app:
    type: file
    path: "logs/*.csv.gz"
    format: csv
    delimiter: ";"
    time: body.at
    time_format: "%d/%b/%Y:%H:%M:%S"
    zone: Europe/Berlin
    key: body.key
    op: body.op
    parse:
      - {from: body.Log, json: body.log}
      - {from: body.fields, logfmt: body.more}
      - {from: body.log.msg, regex: 'order (?<order_id>\S+) paid in (?<ms>\d+) ms', into: body}
    lateness: end
    start: beginning
    decode: strict
    undecodable: skip
    clock: many
    resolution: 1ms
    gaps: [{from: 2023-01-29T08:50:00Z, to: "2023-01-29 09:53"}]
    silence: 60s
    carries: messages
    redact: [body.email, "body.items[0].iban"]
    jump_max: 2d
  log: {type: file, path: "${LOG:-app.log}", format: regex, begins: '^\d{4}-', pattern: '^(?<at>\S+) (?<text>.*)$', time: body.at, lateness: 1m}
  events: {type: file, path: "${EVENTS}", format: json, time: body.ts}
"#;

const TABLES: &str = r#"
flows: [order.yaml]
clock_skew: 2s
sources:
  shop:
    type: postgres
    url: "postgres://watcher:${SECRET:-s3cret}@db:5432/shop"
    capture: poll
    poll: 500ms
    lateness: 10s
    tables:
      orders: {columns: {updated: updated_at}, sweep: never}
      crm.Customer:
        columns: {key: [region, id], updated: updatedAt, time: createdAt}
        zone: Europe/Berlin
        sweep: 10m
        start: beginning
  stock:
    type: mysql
    url: "mariadb://watcher:${SECRET:-s3cret}@db/stock?ssl-mode=VERIFY_CA&ssl-ca=ca.pem"
    capture: poll
    tables: {items: {columns: {time: made_at}, zone: Asia/Tokyo}}
  local:
    type: sqlite
    path: shop.db
    clock: one
    redact: body.email
    tables: {payments: {}}
"#;

const KAFKA: &str = r#"
flows: [order.yaml]
sources:
  events:
    type: kafka
    brokers: ["kafka-1:9092", "kafka-2:9092"]
    topics: [orders, '^shop\.']
    isolation: read_uncommitted
    security:
      protocol: sasl_ssl
      mechanism: scram-sha-512
      username: watcher
      password: "${SECRET:-s3cret}"
      ca: ca.pem
      certificate: me.pem
      key: me.key
      key_password: s3cret
    format: text
    start: earliest
    lateness: 10s
  plain: {type: kafka, brokers: "kafka:9092", topics: payments}
  typed:
    type: kafka
    brokers: "kafka:9092"
    topics: [typed]
    format: avro
    registry: {url: "http://registry:8081", username: me, password: s3cret, ca: ca.pem}
"#;

#[test]
fn every_option_of_a_recording_is_read() {
    let config = good(FULL);
    assert_eq!(config.clock_skew, Span::seconds(2));
    let app = &config.sources[0];
    assert!(app.tap.files().unwrap().ends_with("/logs/*.csv.gz"));
    assert!(matches!(app.decoding.format, Format::Csv { delimiter: b';' }));
    assert_eq!(app.decoding.zone, chrono_tz::Europe::Berlin);
    assert_eq!((app.decoding.parse.len(), app.decoding.redact.len()), (3, 2));
    assert!(app.decoding.strict && app.start == Start::Beginning && !app.pacing.undecodable_is_gap);
    assert_eq!(app.pacing.lateness, Lateness::End);
    assert_eq!(app.pacing.silence, Some(Span::seconds(60)));
    assert_eq!(app.pacing.jump_max, Span::seconds(2 * 86_400));
    assert_eq!((app.clock, app.carries, app.resolution), (Clock::Many, Carries::Messages, Span(1_000_000)));
    assert_eq!(app.gaps[0].1.to_string(), "2023-01-29T08:53:00Z");
}

#[test]
fn outputs_are_read_and_secrets_are_not_shown() {
    let outputs = good(FULL).outputs;
    assert_eq!(outputs.listen, Listen::At("0.0.0.0:8080".into()));
    let webhook = outputs.webhook.as_ref().unwrap();
    assert_eq!(webhook.on, Severity::Critical);
    assert_eq!(webhook.token.as_ref().unwrap().0, "given.jsonl", "from the environment");
    let shown = format!("{outputs:?}");
    assert!(!shown.contains("secret") && !shown.contains("given"), "{shown}");
    let silent = FULL.lines().filter(|line| !line.starts_with("server") && !line.starts_with("webhook"));
    assert_eq!(good(&silent.collect::<Vec<_>>().join("\n")).outputs, Outputs::default());
    assert_eq!(good(&FULL.replace("\"0.0.0.0:8080\"", "off")).outputs.listen, Listen::Off);
}

#[test]
fn what_is_kept_is_limited() {
    let keep = |options: &str| good(&format!("{FULL}\nkeep: {{{options}}}\n")).outputs.keep;
    assert_eq!(good(FULL).outputs.keep, Keep::default());
    let said = Keep { journal_age: Span::seconds(86_400), journal_bytes: 2 << 30, findings: 500 };
    assert_eq!(keep("journal_age: 1d, journal_gib: 2, findings: 500"), said);
    assert_eq!(keep("findings: 500"), Keep { findings: 500, ..Keep::default() });
    let wrong = mistakes(&format!("{FULL}\nkeep: {{journal_age: 0, journal_gib: 0, findings: 0, days: 3}}\n"));
    for word in ["`journal_age` cannot be 0", "`journal_gib` cannot be 0", "`findings` cannot be 0", "days"] {
        assert!(wrong.contains(word), "{word}: {wrong}");
    }
}

#[test]
fn outputs_that_lead_nowhere_are_told() {
    let wrong = FULL
        .replace("\"0.0.0.0:8080\"", "8080, lisen: off")
        .replace("https://user:secret@example.org/findings", "user:secret@example.org")
        .replace("on: critical, token: \"${EVENTS}\"", "on: bad, token: \"my secret\"");
    insta::assert_snapshot!(mistakes(&wrong));
}

#[test]
fn what_is_not_said_has_a_default() {
    let config = good(FULL);
    let [_, log, events] = &config.sources[..] else { panic!("three sources") };
    assert!(
        matches!(&log.tap, Tap::File { path, begins: Some(_) } if path.ends_with("/app.log"))
            && events.tap.files().unwrap().ends_with("/given.jsonl")
    );
    assert!(!log.pacing.undecodable_is_gap, "a log may carry prose");
    assert!(events.pacing.undecodable_is_gap, "in JSON every line counts");
    assert!(!events.decoding.strict);
    assert_eq!(events.pacing.lateness, Lateness::Span(Span::ZERO));
    assert_eq!(events.pacing.jump_max, Span::seconds(86_400));
    assert_eq!((events.clock, events.carries), (Clock::PerPart, Carries::Lines));
}

#[test]
fn every_option_of_tables_is_read() {
    let config = good(TABLES);
    let [shop, stock, local] = &config.sources[..] else { panic!("three sources") };
    let (Tap::Postgres(postgres), Tap::Sqlite(sqlite)) = (&shop.tap, &local.tap) else { panic!("tables") };
    let Tap::MySql(mysql) = &stock.tap else { panic!("tables") };
    assert_eq!(mysql.url.0, "mariadb://watcher:s3cret@db/stock?ssl-mode=VERIFY_CA&ssl-ca=ca.pem");
    assert_eq!((mysql.tables[0].time.as_deref(), mysql.tables[0].zone), (Some("made_at"), chrono_tz::Asia::Tokyo));
    assert!(stock.skips_versions && stock.decoding.key_is_identity);
    assert_eq!(postgres.url.0, "postgres://watcher:s3cret@db:5432/shop");
    assert!(!format!("{config:?}").contains("s3cret"), "secrets are not shown");
    let [orders, customer] = &postgres.tables[..] else { panic!("two tables") };
    assert_eq!((&orders.key[..], orders.updated.as_deref(), orders.sweep), (&[][..], Some("updated_at"), Sweep::Never));
    assert_eq!((&*customer.name, customer.key.len(), customer.time.as_deref()), ("crm.Customer", 2, Some("createdAt")));
    assert_eq!((customer.zone, customer.sweep), (chrono_tz::Europe::Berlin, Sweep::Every(Span::seconds(600))));
    assert_eq!((orders.start, customer.start, shop.start), (Start::Latest, Start::Beginning, Start::Latest));
    let common = Common { poll: Span(500_000_000), lateness: Span::seconds(10), clock_skew: Span::seconds(2) };
    assert_eq!((postgres.common, shop.clock, shop.carries), (common, Clock::Many, Carries::Rows));
    assert!(shop.skips_versions && shop.decoding.stamped && shop.decoding.key_is_identity);
    assert!(sqlite.path.ends_with("shop.db") && local.decoding.redact.len() == 1);
    assert_eq!((sqlite.common.clock_skew, sqlite.common.lateness), (Span::ZERO, Span::seconds(5)));
    assert_eq!(
        (local.resolution, shop.resolution),
        (Span::seconds(1), Span::ZERO),
        "the times of `shop` are all trusted"
    );
}

#[test]
fn mistakes_of_tables_are_told_with_place_and_remedy() {
    insta::assert_snapshot!(mistakes(
        r#"flows: order.yaml
sources:
  empty: {type: postgres}
  shop:
    type: postgres
    url: mysql://me:s3cret@db/shop
    capture: tail
    poll: 10ms
    format: json
    tables:
      orders: {columns: {kee: id}, sweep: never, start: 2026-01-01}
      items: {zone: Europe/Berln, sweep: often}
  none: {type: sqlite, path: shop.db, tables: {}}
  stock: {type: mysql, url: "postgres://me:s3cret@db/stock", capture: changes, tables: {items: {}}}
"#
    ));
}

#[test]
fn every_option_of_topics_is_read() {
    let config = good(KAFKA);
    let [events, plain, typed] = &config.sources[..] else { panic!("three sources") };
    let (Tap::Kafka(full), Tap::Kafka(short)) = (&events.tap, &plain.tap) else { panic!("both are topics") };
    assert_eq!((&*full.brokers, &full.topics[..]), ("kafka-1:9092,kafka-2:9092", &["orders".to_owned()][..]));
    assert!(full.patterns[0].is_match("shop.returns") && !full.committed && matches!(full.payload, Payload::Plain));
    let security = &full.security;
    let (mechanism, user, _) = security.sasl.as_ref().unwrap();
    assert_eq!((*mechanism, &**user, security.tls), (Mechanism::ScramSha512, "watcher", true));
    assert!(security.ca.as_ref().unwrap().ends_with("/ca.pem") && security.certificate.is_some());
    assert!(!format!("{config:?}").contains("s3cret"), "a secret is never shown");
    assert_eq!((events.start, events.pacing.lateness), (Start::Beginning, Lateness::Span(Span::seconds(10))));
    assert!(short.committed && short.security.sasl.is_none() && matches!(short.payload, Payload::Json));
    let Tap::Kafka(schemas) = &typed.tap else { panic!("topics") };
    let Payload::Schemas(registry, Encoding::Avro) = &schemas.payload else { panic!("{schemas:?}") };
    assert_eq!((&*registry.url, registry.login.is_some()), ("http://registry:8081", true));
    assert!(matches!(typed.decoding.format, Format::Json) && typed.decoding.stamped);
    assert_eq!((plain.start, plain.pacing.lateness), (Start::Latest, Lateness::Span(Span::seconds(5))));
    assert_eq!((plain.clock, plain.carries, plain.resolution), (Clock::Many, Carries::Messages, Span(1_000_000)));
    assert!(matches!(plain.decoding.format, Format::Json) && plain.decoding.stamped);
}

#[test]
fn mistakes_of_topics_are_told_with_place_and_remedy() {
    insta::assert_snapshot!(mistakes(
        r#"flows: order.yaml
sources:
  empty: {type: kafka}
  events:
    type: kafka
    brokers: kafka:9092
    topics: ["shop/orders", "^(x"]
    isolation: committed
    format: csv
    group: watchers
    security: {protocol: ssl, mechanism: plain, username: me, certificate: me.pem, user: me}
  sasl: {type: kafka, brokers: "k:9092", topics: [a], security: {mechanism: scram, username: me}}
  typed: {type: kafka, brokers: "k:9092", topics: [a], format: avro}
  odd: {type: kafka, brokers: "k:9092", topics: [a], format: protobuf, registry: {url: "http://me:s3cret@registry", username: me, cert: x}}
  text: {type: kafka, brokers: "k:9092", topics: [a], format: text, registry: {url: "http://registry"}}
"#
    ));
}

#[test]
fn all_mistakes_are_told_at_once_with_place_and_remedy() {
    insta::assert_snapshot!(mistakes(
        r#"flows: floes/
clock_scew: 5s
sources:
  ev.ents: {type: file, path: a.jsonl, format: jsn, tme: body.ts}
  events: {type: file, path: "${NOWHERE}/a.jsonl", format: json, lateness: soon, zone: Europe/Berln}
  log: {type: file, format: regex, time: ts, redact: [email], clock: two}
  parsed:
    type: file
    path: "${1}"
    format: csv
    delimiter: "::"
    pattern: x
    time_format: hours
    parse: [{from: body.a}, {from: body.b, json: body.c, into: body}, {from: body.d, regex: "(x"}, {from: body.e, regex: x}]
    gaps: [{from: 2023-01-29T08:50:00Z}, {from: 2023-01-30, to: 2023-01-29}, {from: monday, to: 2023-01-29}]
  other: {type: kafak}
  untyped: {path: a.jsonl}
"#
    ));
}

#[test]
fn a_configuration_that_says_nothing_is_told_what_to_say() {
    insta::assert_snapshot!(mistakes("sources: {}\n"));
    assert!(mistakes("").contains("the document is empty"));
    assert!(mistakes("- a\n").contains("should be a map"));
}

#[test]
fn a_missing_file_is_named() {
    let Loaded { config, diagnostics, .. } = load(Path::new("/nowhere/throughline.yaml"));
    assert!(config.is_none());
    assert!(diagnostics[0].to_string().contains("/nowhere/throughline.yaml cannot be read"), "{}", diagnostics[0]);
}

#[test]
fn the_schema_knows_what_the_loader_reads() {
    let schema = schema::schema();
    use crate::config::{changes, mysql, push, rabbitmq, redis};
    let of_types =
        [changes::tests::FULL, mysql::tests::FULL, push::tests::FULL, rabbitmq::tests::FULL, redis::tests::FULL];
    let documents: Vec<_> = [FULL, KAFKA, TABLES, formats::FULL].into_iter().chain(of_types).map(json).collect();
    documents.iter().for_each(|document| jsonschema::validate(&schema, document).unwrap());
    let types = schema["properties"]["sources"]["additionalProperties"]["oneOf"].as_array().unwrap();
    let used = |option: &str| {
        let sources = documents.iter().map(|document| document["sources"].as_object().unwrap().values());
        sources.flatten().any(|source| source.get(option).is_some())
    };
    for option in types.iter().flat_map(|kind| kind["properties"].as_object().unwrap().keys()) {
        assert!(used(option), "{option}");
    }
    let mut wrong = documents[0].clone();
    wrong["sources"]["events"]["tme"] = "body.ts".into();
    assert!(!jsonschema::is_valid(&schema, &wrong));
}

/// The document as other tools see it.
fn json(text: &str) -> serde_json::Value {
    let documents = [Document { path: "throughline.yaml".into(), text: text.into() }];
    to_json(&yaml::parse(0, &Diagnostics::new(&documents)).unwrap())
}

fn to_json(node: &Node) -> serde_json::Value {
    match &node.content {
        yaml::Content::Map(entries) => {
            entries.iter().map(|entry| (entry.key.value.clone(), to_json(&entry.value))).collect()
        }
        yaml::Content::List(items) => items.iter().map(to_json).collect(),
        yaml::Content::Scalar(scalar) => scalar.text.as_str().into(),
        yaml::Content::Refused => serde_json::Value::Null,
    }
}
