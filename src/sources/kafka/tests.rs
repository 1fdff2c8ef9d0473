//! Against the cluster that librdkafka brings along, in this process: it knows no transactions, and no identities of
//! topics, but everything else goes the way that it goes with a real one, which `tests/contract/kafka` asks.

use super::registry::tests::{framed, registry};
use super::topics::{Look, Partition, Topic, Topics};
use super::*;
use crate::model::time::Span;
use crate::sources::live::{Record, Start};
use native::{Description, Spec};
use rdkafka::config::ClientConfig;
use rdkafka::error::RDKafkaErrorCode;
use rdkafka::mocking::MockCluster;
use rdkafka::producer::{BaseProducer, BaseRecord, DefaultProducerContext, Producer};
use std::collections::BTreeMap;
use std::time::SystemTime;

/// How long a test waits for what must come.
const PATIENCE: Duration = Duration::from_secs(20);

/// Takes what is handed over until there is enough of it.
struct Told {
    begun: Instant,
    enough: usize,
    names: Vec<String>,
    records: Vec<String>,
    proofs: Vec<Time>,
    cursor: Option<Vec<u8>>,
}

impl Told {
    fn until(enough: usize) -> Told {
        let (names, records, proofs) = (Vec::new(), Vec::new(), Vec::new());
        Told { begun: Instant::now(), enough, names, records, proofs, cursor: None }
    }
}

impl Intake for Told {
    fn part(&mut self, name: &str) -> u32 {
        self.names.push(name.to_owned());
        self.names.len() as u32 - 1
    }

    fn header(&mut self, _: u32, _: &[u8]) {}

    fn record(&mut self, record: Record<'_>) {
        let part = &self.names[record.part as usize];
        self.records.push(format!("{part}:{} {}", record.offset, record.payload.escape_ascii()));
    }

    fn undecodable(&mut self, part: u32, offset: u64, reason: &'static str, _: &str, _: &[u8]) {
        self.records.push(format!("{}:{offset} is undecodable: {reason}", self.names[part as usize]));
    }

    fn hole(&mut self, why: &str) {
        self.records.push(format!("hole: {why}"));
    }

    fn caught_up(&mut self, at: Time) {
        self.proofs.push(at);
    }

    fn deliver(&mut self, cursor: &[u8]) -> Result<(), Stopped> {
        self.cursor = Some(cursor.to_vec());
        Ok(())
    }

    fn durable(&mut self) -> Option<&[u8]> {
        self.cursor.as_deref()
    }

    fn trouble(&mut self, what: &str) {
        panic!("{what}");
    }

    fn pause(&mut self, _: Duration) -> Result<(), Stopped> {
        assert!(self.begun.elapsed() < PATIENCE, "{:?}, {} proofs", self.records, self.proofs.len());
        if self.records.len() >= self.enough && self.proofs.len() > 1 { Err(Stopped) } else { Ok(()) }
    }

    fn now(&self) -> Time {
        Time(SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap().as_nanos() as i64)
    }
}

#[test]
fn it_follows_the_cluster_in_this_process() {
    let cluster = MockCluster::new(1).unwrap();
    cluster.create_topic("orders", 2, 1).unwrap();
    let producer: BaseProducer =
        ClientConfig::new().set("bootstrap.servers", cluster.bootstrap_servers()).create().unwrap();
    let produce = |partition, payload: &str| {
        producer.send(BaseRecord::<(), str>::to("orders").partition(partition).payload(payload)).unwrap();
        producer.flush(PATIENCE).unwrap();
    };
    let mut source = Kafka::new(options(&cluster, Payload::Json));
    (0..3).for_each(|n| produce(n % 2, &format!("{{\"n\":{n}}}")));
    let mut told = Told::until(3);
    source.follow(None, &mut told).unwrap();
    told.records.sort();
    assert_eq!(told.records, ["orders/0:0 {\\\"n\\\":0}", "orders/0:1 {\\\"n\\\":2}", "orders/1:0 {\\\"n\\\":1}"]);
    produce(1, "later");
    let mut rest = Told::until(1);
    source.follow(told.cursor.as_deref(), &mut rest).unwrap();
    assert_eq!(rest.records, ["orders/1:1 later"], "it goes on where it was");
    let failed = source.follow(Some(b"TLkafka\x09"), &mut rest).unwrap_err();
    assert!(failed.0.contains("another version") && failed.0.contains("--data"), "{failed}");
}

fn options(cluster: &MockCluster<'_, DefaultProducerContext>, payload: Payload) -> Options {
    Options {
        brokers: cluster.bootstrap_servers(),
        topics: vec!["orders".into()],
        patterns: Vec::new(),
        committed: false,
        security: Security::default(),
        start: Start::Beginning,
        clock_skew: Span::ZERO,
        payload,
    }
}

#[test]
fn what_is_written_by_a_schema_is_handed_over_as_json() {
    let cluster = MockCluster::new(1).unwrap();
    cluster.create_topic("orders", 1, 1).unwrap();
    let producer: BaseProducer =
        ClientConfig::new().set("bootstrap.servers", cluster.bootstrap_servers()).create().unwrap();
    let messages = [framed(1, b"\x04c1"), framed(2, b"\x04c2"), framed(5, b"\x04c3")];
    for message in &messages {
        producer.send(BaseRecord::<(), [u8]>::to("orders").partition(0).payload(message)).unwrap();
    }
    producer.send(BaseRecord::<str, [u8]>::to("orders").partition(0).key("k")).unwrap();
    producer.flush(PATIENCE).unwrap();
    let good = [("/schemas/ids/1", r#"{"schema": "\"string\""}"#), ("/schemas/ids/5", r#"{"schema": "\"string\""}"#)];
    let broken = [good[0], ("/schemas/ids/5", "broken")];
    let follow = |registry, told: &mut Told| {
        Kafka::new(options(&cluster, Payload::Schemas(registry, Encoding::Avro))).follow(None, told)
    };
    let mut told = Told::until(4);
    let failed = follow(registry(Box::leak(Box::new(broken))), &mut told).unwrap_err();
    assert!(failed.0.contains("registry") && failed.0.contains("503"), "{failed}");
    assert_eq!(told.records, ["orders/0:0 \\\"c1\\\"", "orders/0:1 is undecodable: schema"], "nothing is passed over");
    let mut told = Told::until(4);
    follow(registry(Box::leak(Box::new(good))), &mut told).unwrap();
    assert_eq!(told.records[2..], ["orders/0:2 \\\"c3\\\"", "orders/0:3 null"]);
}

fn description(id: i64, partitions: &[i32]) -> Description {
    Description { name: "orders".into(), id: (0, id), partitions: Ok(partitions.to_vec()) }
}

/// Number, generation and position of each partition, and what is asked of it.
fn shown(topics: &Topics) -> Vec<(i32, u32, Option<i64>, Option<Spec>)> {
    topics.all[0].partitions.iter().map(|p| (p.number, p.generation, p.position, p.ask)).collect()
}

#[test]
fn what_is_new_begins_at_its_beginning_and_what_was_there_where_it_is_told() {
    let mut topics = Topics { all: Vec::new(), first: true };
    assert_eq!(topics.take(&description(7, &[0]), Spec::Latest), Look::Good);
    topics.first = false;
    assert_eq!(topics.take(&description(7, &[0, 1]), Spec::Latest), Look::Good);
    assert_eq!(shown(&topics), [(0, 1, None, Some(Spec::Latest)), (1, 1, None, Some(Spec::Earliest))]);
}

#[test]
fn another_topic_of_the_same_name_is_another_part() {
    let known = |number, position| Partition { position: Some(position), ..Partition::new(number, 1) };
    let topic = Topic {
        name: "orders".into(),
        id: (0, 7),
        missing: false,
        refused: None,
        partitions: vec![known(0, 5), known(1, 3)],
    };
    let mut topics = Topics { all: vec![topic], first: false };
    assert!(
        matches!(topics.take(&Description { partitions: Err(RDKafkaErrorCode::UnknownTopicOrPartition), ..description(0, &[]) }, Spec::Latest), Look::Bad(why) if why.contains("does not exist"))
    );
    assert_eq!(topics.take(&description(7, &[0, 1]), Spec::Latest), Look::Good, "it was away for a moment");
    assert_eq!(shown(&topics), [(0, 1, Some(5), None), (1, 1, Some(3), None)]);
    assert_eq!(topics.take(&description(8, &[0]), Spec::Latest), Look::Anew);
    assert_eq!(shown(&topics), [(0, 2, None, Some(Spec::Earliest))]);
    assert_eq!(topics::part_name("orders", 0, 2), "orders#2/0");
}

#[test]
fn a_cursor_is_read_as_it_was_written() {
    let known = |number, generation, position| Partition { position, ..Partition::new(number, generation) };
    let asked = Partition { ask: Some(Spec::At(1)), ..known(2, 1, Some(9)) };
    let topic = Topic {
        name: "orders".into(),
        id: (1, -7),
        missing: true,
        refused: None,
        partitions: vec![known(0, 1, Some(5)), known(1, 3, None), asked],
    };
    let read = cursor::decode(&cursor::encode(&Topics { all: vec![topic], first: true })).unwrap();
    assert!(!read.first && read.all[0].missing && read.all[0].id == (1, -7));
    let places: BTreeMap<_, _> =
        read.all[0].partitions.iter().map(|p| (p.number, (p.generation, p.position))).collect();
    assert_eq!(places, BTreeMap::from([(0, (1, Some(5))), (1, (3, None)), (2, (1, None))]));
}

#[test]
fn a_look_tells_what_may_be_read_and_what_may_not() {
    let cluster = MockCluster::new(1).unwrap();
    cluster.create_topic("orders", 2, 1).unwrap();
    let look = |options: Options| {
        let remarks = Kafka::new(options).examine().unwrap();
        remarks.into_iter().map(|remark| format!("{:?} {}", remark.weight, remark.text)).collect::<Vec<_>>()
    };
    let told = look(options(&cluster, Payload::Json));
    assert_eq!(told.len(), 3, "{told:?}");
    assert!(told[0].starts_with("Good Kafka at ") && told[0].ends_with(" lets us in"), "{told:?}");
    assert_eq!(told[1], "Good the topic `orders` can be read: 2 partitions");
    assert!(told[2].starts_with("Good progress is proven"), "{told:?}");
    let pattern = regex::Regex::new("^shop\\.").unwrap();
    let told =
        look(Options { topics: Vec::new(), patterns: vec![pattern.clone()], ..options(&cluster, Payload::Json) });
    assert!(told.iter().any(|remark| remark.starts_with("Error no topic matches ^shop\\.")), "{told:?}");
    let told = look(Options { patterns: vec![pattern], ..options(&cluster, Payload::Json) });
    assert!(told.iter().any(|remark| remark.starts_with("Warning no topic is called like `^shop\\.`")), "{told:?}");
    drop(cluster);
}
