//! A shop whose orders are rows of PostgreSQL, and whose payments are messages of Kafka.

use super::servers::kafka::Kafka;
use super::servers::postgres::Postgres;
use super::{Shop, killed_at_any_moment_it_finds_the_same};
use rdkafka::producer::BaseRecord;
use sqlx::postgres::{PgConnectOptions, PgConnection};
use sqlx::{AssertSqlSafe, ConnectOptions, Executor};
use std::thread;
use std::time::Duration;
use tokio::runtime::{Builder, Runtime};

const FLOW: &str = r#"
flow: order
key: order_id
steps:
  placed: {from: shop.orders, key: {order_id: row.id}}
  paid:   {from: events.payments, key: {order_id: key, payment_id: body.payment_id}, dedupe_by: body.payment_id}
checks:
  paid:      {after: placed, expect: paid, within: 1s}
  paid-once: {at_most: {paid: 1}}
"#;

/// A daemon has proven something, and has it in its journal, so soon after its slot is there.
const FIRST_PROOF_WITHIN: Duration = Duration::from_secs(5);

struct Systems {
    kafka: Kafka,
    postgres: Postgres,
    runtime: Runtime,
    connection: PgConnection,
    sent: u64,
    captured: bool,
}

impl Systems {
    fn start(captured: bool) -> Systems {
        let kafka = Kafka::start();
        kafka.create_topic("payments", 3, &[]);
        let postgres = Postgres::start(&["wal_level=logical", "max_slot_wal_keep_size=1GB"]);
        postgres.sql(
            "postgres",
            "create table orders (id text primary key, at timestamptz not null default clock_timestamp());
             create index on orders (at); create role watcher login replication password 's3cret';
             grant pg_monitor to watcher; grant select on orders to watcher;
             create publication throughline for table orders",
        );
        let runtime = Builder::new_current_thread().enable_all().build().unwrap();
        let options: PgConnectOptions = postgres.url("postgres", "", "postgres").parse().unwrap();
        let connection = runtime.block_on(options.disable_statement_logging().connect()).unwrap();
        Systems { kafka, postgres, runtime, connection, sent: 0, captured }
    }
}

impl Shop for Systems {
    const ORDERS_PER_SECOND: u64 = 100;
    const LIFE_MAX_MS: u64 = 4_000;
    const KILLS: u64 = 8;
    const SETTLES_WITHIN: Duration = Duration::from_secs(8);
    const MISSING: &str = "lost_message";

    fn files(&self) -> (String, &'static str) {
        let url = self.postgres.url("watcher", "s3cret", "postgres");
        // A permanent slot keeps for the daemon what is committed while it is dead.
        let shop = if self.captured {
            format!(
                "{{type: postgres, url: \"{url}\", capture: changes, slot: recovery, lateness: 1s, tables: {{orders: {{}}}}}}"
            )
        } else {
            format!(
                "{{type: postgres, url: \"{url}\", poll: 200ms, lateness: 1s, start: beginning, \
                 tables: {{orders: {{columns: {{updated: at}}}}}}}}"
            )
        };
        let brokers = self.kafka.address();
        let events =
            format!("{{type: kafka, brokers: \"{brokers}\", topics: [payments], start: earliest, lateness: 1s}}");
        let sources = format!("sources:\n  shop: {shop}\n  events: {events}\n");
        (format!("flows: [order.yaml]\nclock_skew: 500ms\nserver: {{listen: \"off\"}}\n{sources}"), FLOW)
    }

    fn order(&mut self, order: &str) {
        let insert = AssertSqlSafe(format!("insert into orders (id) values ('{order}')"));
        self.runtime.block_on(self.connection.execute(insert)).unwrap();
    }

    fn is_watched(&self) -> bool {
        const SLOTS: &str = "select count(*) from pg_replication_slots where confirmed_flush_lsn is not null";
        if !self.captured {
            return true;
        }
        // The watch begins with the first proof, which follows the slot and is soon in the journal.
        let begun = self.postgres.sql("postgres", SLOTS) == "1";
        if begun {
            thread::sleep(FIRST_PROOF_WITHIN);
        }
        begun
    }

    fn payment(&mut self, order: &str, payment: &str) {
        self.sent += 1;
        let body = format!(r#"{{"payment_id":"{payment}"}}"#);
        let record = BaseRecord::to("payments").partition((self.sent % 3) as i32).key(order).payload(body.as_str());
        self.kafka.send(record);
    }
}

#[test]
fn on_kafka_and_polled_postgresql() {
    killed_at_any_moment_it_finds_the_same(Systems::start(false));
}

#[test]
fn on_kafka_and_captured_postgresql() {
    killed_at_any_moment_it_finds_the_same(Systems::start(true));
}
