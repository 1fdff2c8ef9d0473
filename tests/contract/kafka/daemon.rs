//! The daemon on a real broker: what it finds while payments come late and out of order, within what was declared and
//! beyond it.

use super::super::servers::daemon::Daemon;
use super::super::servers::eventually;
use super::super::servers::kafka::Kafka;
use super::super::watch::now;
use super::transactions::Random;
use rdkafka::producer::{BaseProducer, BaseRecord, Producer};
use std::collections::BTreeMap;
use std::fs;
use std::sync::Mutex;
use std::thread;
use std::time::Duration;

const FLOW: &str = r#"
flow: order
key: order_id
steps:
  placed: {from: events.orders, key: {order_id: key}}
  paid:   {from: events.payments, key: {order_id: body.order_id}}
checks:
  paid: {after: placed, expect: paid, within: 1s}
"#;

/// The declared lateness, as the configuration below has it.
const LATENESS_MS: i64 = 3_000;
const WRITERS: u64 = 12;
const PATIENCE: Duration = Duration::from_secs(20);

fn config(brokers: &str) -> String {
    format!(
        "flows: [order.yaml]\nclock_skew: 100ms\nserver: {{listen: \"127.0.0.1:0\"}}\nsources:\n  events: {{type: kafka, brokers: \"{brokers}\", topics: \
         [orders, payments], lateness: 3s}}\n"
    )
}

/// What happens to the payment of an order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Fate {
    /// It happens in time, and is visible within the lateness.
    Paid,
    /// It happens too late.
    Late,
    /// It never comes, or is aborted.
    Never,
    /// It happens in time, and is visible when the lateness is over.
    Beyond,
}

/// Class and status of all that was found of each order, in order.
pub(super) fn found(daemon: &Daemon) -> BTreeMap<String, Vec<(String, String)>> {
    let mut found: BTreeMap<_, Vec<_>> = BTreeMap::new();
    daemon.told().into_iter().for_each(|one| found.entry(one.key).or_default().push((one.class, one.status)));
    found
}

/// `KAFKA_ORDERS=600 KAFKA_SEED=1 cargo test --test contract the_daemon` tries harder, or the same again.
#[test]
fn the_daemon_declares_no_absence_that_a_later_record_proves_wrong() {
    let number = |name: &str| std::env::var(name).ok().map(|text| text.parse::<u64>().expect("a number"));
    let orders = number("KAFKA_ORDERS").unwrap_or(48);
    let seed = number("KAFKA_SEED").unwrap_or(now().0 as u64);
    eprintln!("KAFKA_ORDERS={orders} KAFKA_SEED={seed}");
    let server = Kafka::start();
    server.create_topic("orders", 2, &[]);
    server.create_topic("payments", 3, &[]);
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("order.yaml"), FLOW).unwrap();
    fs::write(folder.path().join("throughline.yaml"), config(&server.watched())).unwrap();
    let mut daemon = Daemon::start(folder.path());
    // An order of the time before the watch is undecided.
    daemon.until_watching();
    let fates = Mutex::new(BTreeMap::new());
    thread::scope(|scope| {
        for writer in 0..WRITERS {
            let (server, fates) = (&server, &fates);
            scope.spawn(move || write(server, fates, writer, orders / WRITERS, seed));
        }
        // In the middle of it all the daemon dies, and goes on.
        thread::sleep(Duration::from_secs(5));
        daemon.kill();
        daemon.start_again();
    });
    let fates = fates.into_inner().unwrap();
    eventually("not everything was found", || {
        let found = found(&daemon);
        let missing: Vec<_> = fates.iter().filter(|(order, fate)| !is_final(**fate, found.get(*order))).collect();
        if missing.is_empty() { Ok(()) } else { Err(format!("{missing:?}\n{found:?}\n{}", daemon.said())) }
    });
    for (order, found) in found(&daemon) {
        let fate = fates[&order];
        assert_ne!(fate, Fate::Paid, "{order} was paid in time and within the lateness, and it was said: {found:?}");
    }
    eprintln!("{fates:?}");
    beyond_lateness(&server, &daemon);
    daemon.stop();
    assert!(daemon.said().contains("beyond lateness"), "{}", daemon.said());
}

/// A payment that comes when it was said to be lost is counted, and heals.
fn beyond_lateness(server: &Kafka, daemon: &Daemon) {
    let (order, placed) = ("o-beyond", millis());
    let counted = || daemon.status()["sources"][0]["beyond_lateness"].as_u64().expect("a count");
    let until_found = |word: (&str, &str)| {
        eventually("it was not found", || {
            let found = found(daemon);
            let last = found.get(order).and_then(|found| found.last());
            let is_last = last.is_some_and(|(class, status)| (&**class, &**status) == word);
            if is_last { Ok(()) } else { Err(format!("{last:?}\n{}", daemon.said())) }
        });
    };
    server.send(BaseRecord::to("orders").key(order).payload("{}").timestamp(placed));
    until_found(("lost_message", "open"));
    let before = counted();
    let body = format!(r#"{{"order_id":"{order}"}}"#);
    server.send(BaseRecord::<(), str>::to("payments").payload(&body).timestamp(placed + 500));
    until_found(("lost_message", "resolved"));
    assert_eq!(counted(), before + 1, "what came beyond the lateness is counted");
}

/// Whether what was found is what must be found in the end.
fn is_final(fate: Fate, found: Option<&Vec<(String, String)>>) -> bool {
    let last = found.and_then(|found| found.last()).map(|(class, status)| (class.as_str(), status.as_str()));
    match fate {
        Fate::Paid => last.is_none(),
        Fate::Late => last.is_some_and(|(class, _)| class == "late"),
        Fate::Never => last == Some(("lost_message", "open")),
        // It was said to be missing, and then it came; unless it came while nobody watched, and was there in time.
        Fate::Beyond => last.is_none_or(|(_, status)| status == "resolved"),
    }
}

fn write(server: &Kafka, fates: &Mutex<BTreeMap<String, Fate>>, writer: u64, orders: u64, seed: u64) {
    let mut random = Random(seed ^ (writer + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15));
    let producer = server.transactions(&format!("payer-{writer}"), Duration::from_secs(30));
    for number in 0..orders {
        thread::sleep(Duration::from_millis(random.below(300)));
        let order = format!("o-{writer}-{number}");
        let placed = millis();
        let record = BaseRecord::to("orders").partition(random.below(2) as i32).key(&*order).payload("{}");
        server.send(record.timestamp(placed));
        let fate = match random.below(10) {
            0..6 => Fate::Paid,
            6 => Fate::Late,
            7..9 => Fate::Never,
            _ => Fate::Beyond,
        };
        fates.lock().unwrap().insert(order.clone(), fate);
        pay(server, &producer, &order, placed, fate, &mut random);
    }
}

fn pay(server: &Kafka, producer: &BaseProducer, order: &str, placed: i64, fate: Fate, random: &mut Random) {
    let after = if fate == Fate::Late { 1_300 + random.below(500) } else { 50 + random.below(800) };
    let paid = placed + after as i64;
    let visible = match fate {
        Fate::Beyond => paid + LATENESS_MS + 1_500,
        _ => paid + random.below(LATENESS_MS as u64 - 600) as i64,
    };
    let body = format!(r#"{{"order_id":"{order}"}}"#);
    let partition = random.below(3) as i32;
    let in_transaction = random.below(2) == 0 && fate != Fate::Beyond;
    if fate == Fate::Never && !in_transaction {
        return;
    }
    if !in_transaction {
        // A producer that stalls.
        sleep_until(visible);
        server.send(BaseRecord::<(), str>::to("payments").partition(partition).payload(&body).timestamp(paid));
        return server.flush();
    }
    sleep_until(paid);
    producer.begin_transaction().unwrap();
    let record = BaseRecord::<(), str>::to("payments").partition(partition).payload(&body).timestamp(paid);
    producer.send(record).map_err(|(error, _)| error).unwrap();
    producer.flush(PATIENCE).unwrap();
    sleep_until(visible);
    if fate == Fate::Never {
        producer.abort_transaction(PATIENCE).unwrap();
    } else {
        producer.commit_transaction(PATIENCE).unwrap();
    }
}

pub(super) fn millis() -> i64 {
    now().0 / 1_000_000
}

fn sleep_until(time: i64) {
    thread::sleep(Duration::from_millis(u64::try_from(time - millis()).unwrap_or(0)));
}
