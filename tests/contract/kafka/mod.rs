//! Kafka, a real broker.

mod connector;
mod daemon;
mod debezium;
mod security;
mod topics;
mod transactions;

use super::servers::kafka::{Kafka, WATCHER};
use super::suite;
use super::system::System;
use super::watch::Seen;
use throughline::model::time::Span;
use throughline::sources::kafka::{self, Mechanism, Options, Payload, Secret, Security};
use throughline::sources::live::{Source, Start};

/// What a source that only reads asks of a broker.
const READING: [&str; 9] = [
    "API_VERSIONS",
    "DESCRIBE_TOPIC_PARTITIONS",
    "FETCH",
    "LIST_OFFSETS",
    "METADATA",
    "OFFSET_FOR_LEADER_EPOCH",
    "SASL_AUTHENTICATE",
    "SASL_HANDSHAKE",
    "DESCRIBE_CLUSTER",
];

fn options(brokers: String, topics: &[&str]) -> Options {
    Options {
        brokers,
        topics: topics.iter().map(|&topic| topic.to_owned()).collect(),
        patterns: Vec::new(),
        committed: true,
        security: Security::default(),
        start: Start::Latest,
        clock_skew: Span::ZERO,
        payload: Payload::Json,
    }
}

fn scram(password: &str) -> Security {
    let sasl = (Mechanism::ScramSha512, WATCHER.0.to_owned(), Secret(password.to_owned()));
    Security { sasl: Some(sasl), ..Security::default() }
}

struct Topics {
    server: Kafka,
    before: Vec<String>,
}

impl System for Topics {
    fn source(&self) -> Box<dyn Source> {
        Box::new(kafka::Kafka::new(options(self.server.watched(), &["orders"])))
    }

    fn write(&mut self, id: u64) {
        self.server.produce("orders", (id % 3) as i32, &[&id.to_string()]);
    }

    fn id(&self, record: &Seen) -> u64 {
        record.payload.parse().unwrap()
    }

    fn cut(&mut self) -> bool {
        self.server.proxy().cut();
        true
    }

    fn stall(&mut self, stalled: bool) -> bool {
        self.server.proxy().stall(stalled);
        true
    }

    fn restart(&mut self) -> bool {
        self.server.stop();
        self.server.start_again();
        true
    }

    fn refusals(&mut self) -> Vec<(&'static str, Box<dyn Source>, Vec<&'static str>)> {
        let source = |options| -> Box<dyn Source> { Box::new(kafka::Kafka::new(options)) };
        let secured = |security| Options { security, ..options(self.server.sasl(), &["orders"]) };
        vec![
            ("a wrong password", source(secured(scram("s3cret!"))), vec!["security", "127.0.0.1"]),
            ("missing rights", source(secured(scram(WATCHER.1))), vec!["orders", "READ", "kafka-acls.sh"]),
            (
                "a topic that does not exist",
                source(options(self.server.watched(), &["ordesr"])),
                vec!["`ordesr` does not exist"],
            ),
            ("nobody there", source(options("127.0.0.1:1".into(), &["orders"])), vec!["127.0.0.1:1", "brokers"]),
        ]
    }

    fn written_by_source(&mut self) -> Vec<String> {
        let requests = self.server.requests("throughline");
        assert!(requests.iter().any(|request| request == "FETCH"), "the broker has seen it read: {requests:?}");
        let mut written: Vec<String> = requests.into_iter().filter(|kind| !READING.contains(&kind.as_str())).collect();
        written.extend(self.server.topics().into_iter().filter(|topic| !self.before.contains(topic)));
        written
    }
}

#[test]
fn kafka_keeps_its_word() {
    let server = Kafka::start();
    server.create_topic("orders", 3, &[]);
    let before = server.topics();
    suite::keeps_its_word(&mut Topics { server, before });
}
