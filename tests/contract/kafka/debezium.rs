//! The daemon behind a connector: changes in Debezium's format on a real broker, from a connector that falls behind, stands
//! still, catches up slowly through what it does not tell, and tells again what it had told.

use super::super::servers::daemon::Daemon;
use super::super::servers::eventually;
use super::super::servers::kafka::Kafka;
use super::super::watch::now;
use super::daemon::{found, millis};
use super::transactions::Random;
use rdkafka::producer::BaseRecord;
use std::collections::BTreeMap;
use std::fs;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

const FLOW: &str = r#"
flow: order
key: number
steps:
  placed:  {from: cdc.orders, when: op == "insert", key: {number: row.number}, keep: {total: row.total}}
  version: {from: cdc.public.orders, key: {number: row.number}, keep: {status: row.status}}
  removed: {from: cdc.orders, when: op == "delete"}
  paid:    {from: cdc.payments, when: op == "insert", key: {number: row.order_number}, keep: {amount: row.amount}}
checks:
  paid:      {after: placed, expect: paid, within: 1s}
  paid-once: {at_most: {paid: 1}}
  amount:    {agree: [placed.total, paid.amount]}
  kept:      {after: placed, never: removed}
  states:    {states: version.status, allow: ["new -> paid", "paid -> closed"]}
"#;

const TOPICS: [&str; 3] = ["shop.public.orders", "shop.public.payments", "__debezium-heartbeat.shop"];
const WRITERS: u64 = 6;
/// A connector stands still for so long: longer than the lateness.
const OUTAGE: Duration = Duration::from_secs(6);
/// A table that the connector was not told to tell. It is loaded in bulk while the connector stands still.
const UNTOLD: &str = "audit";
const LOADED: usize = 1_000;
/// So many of its rows are read in a millisecond, however busy the machine is: no slower than they were written.
const READ: usize = 1;

fn config(brokers: &str) -> String {
    format!(
        "flows: [order.yaml]\nclock_skew: 100ms\nserver: {{listen: \"127.0.0.1:0\"}}\nsources:\n  cdc: {{type: kafka, brokers: \"{brokers}\", topics: ['^shop', \
         __debezium-heartbeat.shop], format: debezium, lateness: 2s}}\n"
    )
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Fate {
    Paid,
    Late,
    Never,
    /// Paid in time, with another amount, and then deleted.
    Wrong,
}

/// What the database has committed and the connector has not told yet; in the end, all of it.
#[derive(Default)]
struct Log {
    changes: Mutex<Vec<Change>>,
    ends: AtomicBool,
}

/// Ends the connector, also where the test fails.
struct Ends<'l>(&'l Log);

impl Drop for Ends<'_> {
    fn drop(&mut self) {
        self.0.ends.store(true, Ordering::Relaxed);
    }
}

struct Change {
    table: &'static str,
    key: String,
    value: String,
    at: i64,
}

impl Log {
    fn commit(&self, table: &'static str, key: &str, op: &str, before: &str, after: &str) {
        let mut changes = self.changes.lock().unwrap();
        let at = millis();
        let lsn = changes.len();
        let value = format!(
            r#""op":"{op}","before":{before},"after":{after},"source":{{"connector":"postgresql","name":"shop","db":"shop","schema":"public","table":"{table}","lsn":{lsn},"ts_ms":{at}}}"#
        );
        changes.push(Change { table, key: key.to_owned(), value, at });
    }
}

/// `DEBEZIUM_ORDERS=600 DEBEZIUM_SEED=1 cargo test --test contract debezium` tries harder, or the same again.
#[test]
fn behind_a_debezium_connector_no_absence_is_declared_that_it_has_merely_not_told_yet() {
    let number = |name: &str| std::env::var(name).ok().map(|text| text.parse::<u64>().expect("a number"));
    let orders = number("DEBEZIUM_ORDERS").unwrap_or(48);
    let seed = number("DEBEZIUM_SEED").unwrap_or(now().0 as u64);
    eprintln!("DEBEZIUM_ORDERS={orders} DEBEZIUM_SEED={seed}");
    let server = Kafka::start();
    for topic in TOPICS {
        server.create_topic(topic, 2, &[]);
    }
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("order.yaml"), FLOW).unwrap();
    fs::write(folder.path().join("throughline.yaml"), config(&server.watched())).unwrap();
    let (log, fates) = (Log::default(), Mutex::new(BTreeMap::new()));
    thread::scope(|scope| {
        scope.spawn(|| connect(&server, &log, seed));
        let ends = Ends(&log);
        let mut daemon = Daemon::start(folder.path());
        // An order of the time before the watch is undecided: it begins with the first proof, and that with a change which
        // the daemon reads; it does not read what came before it had begun to.
        eventually("nothing is proven", || {
            log.commit("payments", r#"{"id":0}"#, "u", "null", r#"{"id":0,"order_number":"none","amount":0}"#);
            if daemon.status()["sources"][0]["progress"].is_null() { Err(daemon.said()) } else { Ok(()) }
        });
        daemon.until_watching();
        thread::scope(|scope| {
            for writer in 0..WRITERS {
                let (log, fates) = (&log, &fates);
                scope.spawn(move || write(log, fates, writer, orders / WRITERS, seed));
            }
        });
        let fates = fates.lock().unwrap();
        eventually("not everything was found", || {
            let found = found(&daemon);
            let open: Vec<_> = fates.iter().filter(|(order, fate)| !is_final(**fate, found.get(*order))).collect();
            if open.is_empty() { Ok(()) } else { Err(format!("{open:?}\n{found:?}\n{}", daemon.said())) }
        });
        drop(ends);
        for (order, found) in found(&daemon) {
            assert!(
                is_final(fates[&order], Some(&found)),
                "{order} is {:?}, and it was said: {found:?}",
                fates[&order]
            );
        }
        daemon.stop();
        eprintln!("{fates:?}");
    });
}

fn is_final(fate: Fate, found: Option<&Vec<(String, String)>>) -> bool {
    let mut found: Vec<(&str, &str)> =
        found.into_iter().flatten().map(|(class, status)| (class.as_str(), status.as_str())).collect();
    found.sort_unstable();
    match fate {
        Fate::Paid => found.is_empty(),
        Fate::Late => found.last() == Some(&("late", "healed")),
        Fate::Never => found == [("missing_step", "open")],
        Fate::Wrong => found == [("forbidden_step", "open"), ("mismatch", "open")],
    }
}

/// What a shop does in its database.
fn write(log: &Log, fates: &Mutex<BTreeMap<String, Fate>>, writer: u64, orders: u64, seed: u64) {
    let mut random = Random(seed ^ (writer + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15));
    for count in 0..orders {
        thread::sleep(Duration::from_millis(random.below(2_000)));
        let (id, number) = (writer * 10_000 + count, format!("o-{writer}-{count}"));
        let row = |status: &str| format!(r#"{{"id":{id},"number":"{number}","total":"12.50","status":"{status}"}}"#);
        let key = format!(r#"{{"id":{id}}}"#);
        let fate = match random.below(10) {
            0..5 => Fate::Paid,
            5 => Fate::Late,
            6..8 => Fate::Never,
            _ => Fate::Wrong,
        };
        fates.lock().unwrap().insert(number.clone(), fate);
        log.commit("orders", &key, "c", "null", &row("new"));
        if fate == Fate::Never {
            continue;
        }
        let after = if fate == Fate::Late { 1_200 + random.below(300) } else { random.below(800) };
        thread::sleep(Duration::from_millis(after));
        let amount = if fate == Fate::Wrong { "1.00" } else { "12.5" };
        let payment = format!(r#"{{"id":{id},"order_number":"{number}","amount":{amount}}}"#);
        log.commit("payments", &key, "c", "null", &payment);
        log.commit("orders", &key, "u", &format!(r#"{{"id":{id}}}"#), &row("paid"));
        log.commit("orders", &key, "u", &format!(r#"{{"id":{id}}}"#), &row("closed"));
        if fate == Fate::Wrong {
            thread::sleep(Duration::from_millis(random.below(100) + 2));
            log.commit("orders", &key, "d", &format!(r#"{{"id":{id}}}"#), "null");
        }
    }
}

/// What a connector makes of the log: in its order, each table in a topic, a row always in the same partition.
fn connect(server: &Kafka, log: &Log, seed: u64) {
    let mut random = Random(seed ^ 0x5eed);
    let (mut told, mut heartbeat, mut still_until, mut slow) = (0, 0, 0, false);
    let mut next_outage = millis() + 9_000;
    let mut last = millis();
    while !log.ends.load(Ordering::Relaxed) {
        thread::sleep(Duration::from_millis(10));
        let now = millis();
        let passed = (now - std::mem::replace(&mut last, now)).max(0) as usize;
        if now >= next_outage {
            still_until = now + OUTAGE.as_millis() as i64;
            next_outage = still_until + 12_000 + random.below(8_000) as i64;
            (0..LOADED).for_each(|_| log.commit(UNTOLD, "", "c", "null", "null"));
            // When it starts again, it tells once more what it had told since its offsets were last kept.
            told -= random.below(12).min(told as u64) as usize;
            slow = true;
        }
        if now < still_until {
            continue;
        }
        let (next, behind) = {
            let changes = log.changes.lock().unwrap();
            told += changes[told..].iter().take(READ * passed).take_while(|change| change.table == UNTOLD).count();
            let tells = changes.get(told).filter(|change| change.table != UNTOLD);
            let next = tells.map(|change| (change.table, change.key.clone(), change.value.clone()));
            (next, changes.get(told).map_or(0, |change| now - change.at))
        };
        match next {
            Some((table, key, value)) => {
                tell(server, table, &key, &value, random.below(2) == 0);
                told += 1;
                if slow {
                    thread::sleep(Duration::from_millis(random.below(60)));
                }
            }
            None => slow = false,
        }
        slow &= behind > 500;
        // One that is behind sends its heartbeats all the same, many in a row.
        if now - heartbeat >= 300 {
            heartbeat = now;
            let alive = format!(r#"{{"ts_ms":{now}}}"#);
            let record = BaseRecord::to(TOPICS[2]).partition(0).key(r#"{"serverName":"shop"}"#).payload(&*alive);
            server.send(record.timestamp(now));
        }
    }
}

fn tell(server: &Kafka, table: &str, key: &str, value: &str, with_schema: bool) {
    let now = millis();
    let mut payload = format!(r#"{{{value},"ts_ms":{now}}}"#);
    let mut row = key.to_owned();
    if with_schema {
        payload = format!(r#"{{"schema":{{"type":"struct","fields":[]}},"payload":{payload}}}"#);
        row = format!(r#"{{"schema":{{"type":"struct","fields":[]}},"payload":{key}}}"#);
    }
    let (topic, partition) = (format!("shop.public.{table}"), (key.len() % 2) as i32);
    server.send(BaseRecord::to(&topic).partition(partition).key(&*row).payload(&*payload).timestamp(now));
    if value.contains(r#""op":"d""#) {
        server.send(BaseRecord::<str, str>::to(&topic).partition(partition).key(&row).timestamp(now));
    }
}
