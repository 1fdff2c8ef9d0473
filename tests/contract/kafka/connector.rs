//! The daemon behind Debezium itself: its connector for PostgreSQL, in Kafka Connect, from the table to the finding.
//!
//! `cargo test --test contract debezium_itself -- --ignored` runs it; it says where the connector is got.

use super::super::servers::daemon::Daemon;
use super::super::servers::kafka::Kafka;
use super::super::servers::postgres::Postgres;
use super::super::servers::{Process, eventually};
use super::daemon::found;
use std::fs;
use std::thread;
use std::time::{Duration, Instant};

const FLOW: &str = r#"
flow: order
key: number
steps:
  placed:  {from: cdc.orders, when: op == "insert", key: {number: row.number}, keep: {total: row.total, due: row.due}}
  removed: {from: cdc.orders, when: op == "delete"}
  paid:    {from: cdc.payments, when: op == "insert", key: {number: row.order_number}, keep: {amount: row.amount}}
checks:
  paid:   {after: placed, expect: paid, within: 20s}
  amount: {agree: [placed.total, paid.amount]}
  due:    {holds: placed.due == "2026-01-31"}
  kept:   {after: placed, never: removed}
"#;

/// As the flow has it.
const WITHIN: Duration = Duration::from_secs(20);

const TOPICS: [&str; 3] = ["shop.public.orders", "shop.public.payments", "__debezium-heartbeat.shop"];

const TABLES: &str = "create table orders (id int primary key, number text, total numeric(10,2), due date); \
                      create table payments (id int primary key, order_number text, amount numeric(12,4)); \
                      create table audit (id int, what text)";

struct Shop {
    server: Postgres,
}

impl Shop {
    fn place(&self, id: u32, total: &str) {
        self.server.sql("postgres", &format!("insert into orders values ({id}, 'o-{id}', {total}, '2026-01-31')"));
    }

    fn pay(&self, id: u32, amount: &str) {
        self.server.sql("postgres", &format!("insert into payments values ({id}, 'o-{id}', {amount})"));
    }

    fn connect(&self, broker: &Kafka) -> Process {
        let port = self.server.port.to_string();
        let worker = broker.connect(&[
            ("name", "shop"),
            ("connector.class", "io.debezium.connector.postgresql.PostgresConnector"),
            ("plugin.name", "pgoutput"),
            ("database.hostname", "127.0.0.1"),
            ("database.port", &port),
            ("database.user", "postgres"),
            ("database.dbname", "postgres"),
            ("topic.prefix", "shop"),
            ("table.include.list", "public.orders,public.payments"),
            // All tables of the database, as Debezium has it by default: the connector reads what it does not tell.
            ("publication.autocreate.mode", "all_tables"),
            ("snapshot.mode", "no_data"),
            ("heartbeat.interval.ms", "300"),
        ]);
        eventually("the connector does not follow the log", || {
            let active = self.server.sql("postgres", "select count(*) from pg_replication_slots where active");
            if active == "1" { Ok(()) } else { Err("no slot is read".into()) }
        });
        worker
    }
}

#[test]
#[ignore = "needs Debezium's connector"]
fn behind_debezium_itself_what_is_found_is_what_the_tables_say() {
    let broker = Kafka::start();
    TOPICS.iter().for_each(|topic| broker.create_topic(topic, 1, &[]));
    let shop = Shop { server: Postgres::start(&["wal_level=logical"]) };
    shop.server.sql("postgres", TABLES);
    let mut worker = shop.connect(&broker);
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("order.yaml"), FLOW).unwrap();
    let config = format!(
        "flows: [order.yaml]\nclock_skew: 100ms\nserver: {{listen: \"127.0.0.1:0\"}}\nsources:\n  cdc: {{type: kafka, brokers: \"{}\", topics: ['^shop', \
         __debezium-heartbeat.shop], format: debezium, lateness: 2s}}\n",
        broker.watched()
    );
    fs::write(folder.path().join("throughline.yaml"), config).unwrap();
    let mut daemon = Daemon::start(folder.path());
    // Nothing is proven before the first change, and what came before that is before the watch.
    thread::sleep(Duration::from_secs(2));
    shop.pay(1, "1");
    daemon.until_watching();

    let placed = Instant::now();
    for id in 10..15 {
        shop.place(id, "12.50");
    }
    for (id, amount) in [(10, "12.5"), (12, "1.00"), (13, "12.5000")] {
        shop.pay(id, amount);
    }
    thread::sleep(Duration::from_millis(20));
    shop.server.sql("postgres", "delete from orders where id = 13");
    thread::sleep(Duration::from_secs(2));
    // The connector stands still while one is paid, behind more than it can read in a moment and has not to tell.
    worker.kill();
    shop.server.sql("postgres", "insert into audit select n, 'x' from generate_series(1, 500000) n");
    shop.pay(14, "12.50");
    assert!(placed.elapsed() < WITHIN, "this machine is too slow");
    thread::sleep((WITHIN * 3 / 2).saturating_sub(placed.elapsed()));
    let mut worker = shop.connect(&broker);
    thread::sleep(Duration::from_secs(8));
    // It has caught up, and shows it.
    shop.pay(2, "1");

    let expect = [
        ("o-11", vec![("missing_step", "open")]),
        ("o-12", vec![("mismatch", "open")]),
        ("o-13", vec![("forbidden_step", "open")]),
    ];
    let said = |daemon: &Daemon| -> Vec<(String, Vec<(String, String)>)> { found(daemon).into_iter().collect() };
    let expect = expect.map(|(order, found)| {
        let found = found.into_iter().map(|(class, status)| (class.to_owned(), status.to_owned())).collect();
        (order.to_owned(), found)
    });
    eventually("not everything was found", || {
        let found = said(&daemon);
        if found.iter().any(|(order, _)| order == "o-11") {
            Ok(())
        } else {
            Err(format!("{found:?}\n{}", daemon.said()))
        }
    });
    assert_eq!(said(&daemon), expect, "{}", daemon.said());
    daemon.stop();
    worker.kill();
}
