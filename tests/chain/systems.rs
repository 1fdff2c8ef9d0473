//! The systems: how each is started, stopped, written to and watched.

use super::PATIENCE;
use super::shop::Fault;
use crate::servers::kafka::Kafka;
use crate::servers::mariadb::Mariadb;
use crate::servers::postgres::Postgres;
use crate::servers::rabbitmq::{ADMIN, Rabbitmq, WATCHER};
use crate::servers::redis::{NOTIFY, Redis};
use crate::servers::{eventually, free_port};
use lapin::options::{BasicPublishOptions, ConfirmSelectOptions, ExchangeDeclareOptions};
use lapin::types::FieldTable;
use lapin::{BasicProperties, Channel, Connection, ConnectionProperties, ExchangeKind};
use rdkafka::producer::BaseRecord;
use sqlx::{Connection as _, MySqlConnection, PgConnection};
use std::cell::RefCell;
use std::fs;
use std::io::Write;
use std::time::{SystemTime, UNIX_EPOCH};
use tokio::runtime::{Builder, Runtime};

const FLOW: &str = include_str!("order.yaml");

/// A server that can be stopped.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Server {
    Postgres,
    Kafka,
    Rabbitmq,
    Mariadb,
    Redis,
}

impl Server {
    /// What is lost of an order that waits for it.
    pub fn lost(self) -> Fault {
        match self {
            Server::Postgres => Fault::NotStored,
            Server::Kafka => Fault::NotAnnounced,
            Server::Rabbitmq => Fault::NotShipped,
            Server::Mariadb => Fault::NotPacked,
            Server::Redis => Fault::NotCached,
        }
    }

    /// Redis keeps its events for nobody who is not connected, and a queue of ours ends with its broker.
    pub fn leaves_a_gap(self) -> bool {
        matches!(self, Server::Redis | Server::Rabbitmq)
    }
}

/// All of them.
pub struct Systems {
    pub folder: tempfile::TempDir,
    postgres: Postgres,
    kafka: Kafka,
    rabbitmq: Rabbitmq,
    mariadb: Mariadb,
    redis: Redis,
    spans: u16,
    runtime: Runtime,
    publisher: RefCell<Channel>,
}

impl Systems {
    pub fn start() -> Systems {
        let postgres = Postgres::start(&[]);
        postgres.sql(
            "postgres",
            "CREATE TABLE orders (id text PRIMARY KEY, amount bigint, at timestamptz DEFAULT clock_timestamp());
             CREATE INDEX ON orders (at);
             CREATE ROLE watcher LOGIN PASSWORD 's3cret'; GRANT pg_monitor TO watcher; GRANT SELECT ON orders TO watcher",
        );
        let kafka = Kafka::start();
        kafka.create_topic("orders", 2, &[]);
        let mariadb = Mariadb::start(&[]);
        mariadb.sql(
            "shop",
            "CREATE TABLE parcels (id varchar(40) PRIMARY KEY, at timestamp(6) DEFAULT current_timestamp(6), KEY (at));
             CREATE USER watcher IDENTIFIED BY 's3cret'; GRANT PROCESS ON *.* TO watcher; GRANT SELECT ON shop.* TO watcher",
        );
        let redis = Redis::start(&NOTIFY);
        let rabbitmq = Rabbitmq::start();
        rabbitmq.control(&["set_permissions", WATCHER.0, "^throughline.*", "^throughline.*", ".*"]);
        let runtime = Builder::new_current_thread().enable_all().build().unwrap();
        let publisher = RefCell::new(publisher(&runtime, &rabbitmq));
        let (folder, spans) = (tempfile::tempdir().unwrap(), free_port());
        let systems = Systems { folder, postgres, kafka, rabbitmq, mariadb, redis, spans, runtime, publisher };
        fs::write(systems.folder.path().join("order.yaml"), FLOW).unwrap();
        fs::write(systems.folder.path().join("throughline.yaml"), systems.configuration()).unwrap();
        fs::write(systems.folder.path().join("gateway.jsonl"), "").unwrap();
        systems
    }

    fn configuration(&self) -> String {
        let spans = self.spans;
        let (brokers, redis) = (self.kafka.address(), self.redis.url());
        let postgres = self.postgres.url("watcher", "s3cret", "postgres");
        let (mariadb, rabbitmq) =
            (self.mariadb.url("watcher", "s3cret"), self.rabbitmq.url(WATCHER, self.rabbitmq.port));
        format!(
            r#"
flows: [order.yaml]
clock_skew: 200ms
server: {{listen: "127.0.0.1:0"}}
sources:
  gateway: {{type: file, path: gateway.jsonl, format: json, time: body.at, lateness: 1s, clock: one}}
  shop:    {{type: postgres, url: "{postgres}", poll: 200ms, lateness: 1s, tables: {{orders: {{columns: {{updated: at}}}}}}}}
  cache:   {{type: redis, url: "{redis}", keys: {{orders: "order:*"}}, types: string, lateness: 1s}}
  events:  {{type: kafka, brokers: "{brokers}", topics: [orders], lateness: 2s}}
  otel:    {{type: otlp, http: "127.0.0.1:{spans}", senders: retry, lateness: 2s}}
  broker:
    type: rabbitmq
    url: "{rabbitmq}"
    time: body.at
    lateness: 2s
    queues: {{shipping: {{exchange: shop, routing: "shipping.*"}}}}
  crm:     {{type: mysql, url: "{mariadb}", poll: 200ms, lateness: 1s, tables: {{parcels: {{columns: {{updated: at}}}}}}}}
"#
        )
    }

    pub fn stop(&mut self, server: Server) {
        match server {
            Server::Postgres => self.postgres.stop(),
            Server::Kafka => self.kafka.stop(),
            Server::Rabbitmq => self.rabbitmq.stop(),
            Server::Mariadb => self.mariadb.stop(),
            Server::Redis => self.redis.stop(),
        }
    }

    pub fn start_again(&mut self, server: Server) {
        match server {
            Server::Postgres => self.postgres.start_again(),
            Server::Kafka => self.kafka.start_again(),
            Server::Rabbitmq => {
                self.rabbitmq.start_again();
                *self.publisher.get_mut() = publisher(&self.runtime, &self.rabbitmq);
            }
            Server::Mariadb => self.mariadb.start_again(),
            Server::Redis => self.redis.start_again(),
        }
    }

    /// The gateway logs that it has taken an order.
    pub fn accept(&self, order: &str) {
        let path = self.folder.path().join("gateway.jsonl");
        let mut log = fs::OpenOptions::new().create(true).append(true).open(path).unwrap();
        writeln!(log, r#"{{"at":{},"order_id":"{order}"}}"#, now_ns()).unwrap();
    }

    pub fn store(&self, order: &str, amount: u64) {
        let url = self.postgres.url("postgres", "", "postgres");
        let insert = sqlx::query("INSERT INTO orders (id, amount) VALUES ($1, $2)").bind(order).bind(amount as i64);
        self.runtime.block_on(async { insert.execute(&mut PgConnection::connect(&url).await?).await }).unwrap();
    }

    pub fn cache(&self, order: &str, amount: u64) {
        let value = format!(r#"{{"id":"{order}","amount":{amount}}}"#);
        let key = format!("order:{order}");
        self.redis.run::<()>("SET", &[key.as_str(), value.as_str()]);
    }

    pub fn announce(&self, order: &str) {
        self.kafka.send(BaseRecord::to("orders").key(order).payload("{}"));
        self.kafka.flush();
    }

    /// A span of the payment service. Whoever exports it tries again where nobody answers.
    pub fn span(&self, name: &str, order: &str, payment: &str, amount: u64) {
        let now = now_ns();
        let text = |key: &str, value: &str| format!(r#"{{"key":"{key}","value":{{"stringValue":"{value}"}}}}"#);
        let amount = format!(r#"{{"key":"amount","value":{{"intValue":"{amount}"}}}}"#);
        let attributes = [text("order.id", order), text("payment.id", payment), amount].join(",");
        let span = format!(
            r#"{{"traceId":"{now:032x}","spanId":"{:016x}","name":"{name}","kind":2,"startTimeUnixNano":"{now}","endTimeUnixNano":"{now}","attributes":[{attributes}]}}"#,
            now as u64
        );
        let body =
            format!(r#"{{"resourceSpans":[{{"resource":{{}},"scopeSpans":[{{"scope":{{}},"spans":[{span}]}}]}}]}}"#);
        let agent: ureq::Agent =
            ureq::Agent::config_builder().timeout_global(Some(PATIENCE)).proxy(None).build().into();
        let address = format!("http://127.0.0.1:{}/v1/traces", self.spans);
        eventually("the span is not taken", || {
            let sent = agent.post(&address).header("content-type", "application/json").send(&body);
            sent.map(drop).map_err(|error| error.to_string())
        });
    }

    pub fn ship(&self, payment: &str, parcel: &str) {
        let body = format!(r#"{{"at":{},"payment_id":"{payment}","parcel":"{parcel}"}}"#, now_ns());
        let publisher = self.publisher.borrow();
        let (how, properties) = (BasicPublishOptions::default(), BasicProperties::default());
        self.runtime.block_on(async {
            let sent =
                publisher.basic_publish("shop".into(), "shipping.order".into(), how, body.as_bytes(), properties);
            sent.await.unwrap().await.unwrap();
        });
    }

    pub fn pack(&self, parcel: &str) {
        let url = self.mariadb.url("root", "");
        let insert = sqlx::query("INSERT INTO parcels (id) VALUES (?)").bind(parcel);
        self.runtime.block_on(async { insert.execute(&mut MySqlConnection::connect(&url).await?).await }).unwrap();
    }
}

/// A channel to the broker, whose exchange outlives it.
fn publisher(runtime: &Runtime, rabbitmq: &Rabbitmq) -> Channel {
    let url = rabbitmq.url(ADMIN, rabbitmq.port);
    runtime.block_on(async {
        let connection = Connection::connect(&url, ConnectionProperties::default()).await.unwrap();
        let channel = connection.create_channel().await.unwrap();
        let durable = ExchangeDeclareOptions { durable: true, ..Default::default() };
        let nothing = FieldTable::default();
        channel.exchange_declare("shop".into(), ExchangeKind::Topic, durable, nothing).await.unwrap();
        channel.confirm_select(ConfirmSelectOptions::default()).await.unwrap();
        channel
    })
}

fn now_ns() -> u128 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_nanos()
}
