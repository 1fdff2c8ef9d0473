//! The systems of the demo's shop, as the shop writes to them. The only part of the program that writes to systems which
//! it watches: they are its own.

use super::setup::{ORDERS, PARTITIONS, PAYMENTS, Setup};
use super::shop::{Act, Deed};
use crate::model::time::Time;
use anyhow::Context;
use rdkafka::ClientConfig;
use rdkafka::admin::{AdminClient, AdminOptions, NewTopic, TopicReplication};
use rdkafka::client::DefaultClientContext;
use rdkafka::producer::{BaseProducer, BaseRecord, Producer};
use serde_json::json;
use sqlx::postgres::PgConnectOptions;
use sqlx::sqlite::{SqliteConnectOptions, SqliteJournalMode, SqliteSynchronous};
use sqlx::{ConnectOptions, PgConnection, SqliteConnection};
use std::fs::{File, OpenOptions};
use std::io::Write;
use std::time::Duration;
use tokio::runtime::{Builder, Runtime};
use tokio::time::timeout;

/// How long a server may take to answer.
const ANSWERS_WITHIN: Duration = Duration::from_secs(10);

/// All systems of the shop, open for writing.
pub(super) struct Systems {
    runtime: Runtime,
    api: File,
    warehouse: File,
    database: Database,
    producer: BaseProducer,
}

enum Database {
    Sqlite(SqliteConnection),
    Postgres(PgConnection),
}

impl Systems {
    /// Opens them all, with the table and the topics.
    pub fn open(setup: &Setup) -> anyhow::Result<Systems> {
        let runtime = Builder::new_current_thread().enable_all().build()?;
        let log = |name: &str| OpenOptions::new().create(true).append(true).open(setup.folder.join(name));
        let database = runtime.block_on(async { timeout(ANSWERS_WITHIN, Database::open(setup)).await });
        let database = database.context("the database does not answer")?.context("the shop's table cannot be made")?;
        let mut client = ClientConfig::new();
        client.set("bootstrap.servers", &setup.brokers).set("linger.ms", "5").set("log_level", "3");
        if !setup.is_embedded() {
            runtime.block_on(create_topics(&client))?;
        }
        let producer = client.create()?;
        Ok(Systems { runtime, api: log("api.jsonl")?, warehouse: log("warehouse.log")?, database, producer })
    }

    /// Does what is done.
    pub fn write(&mut self, act: &Act) -> anyhow::Result<()> {
        let Act { at, order, deed, .. } = act;
        match deed {
            Deed::Accept { amount } => {
                writeln!(
                    self.api,
                    "{}",
                    json!({"at": at.to_string(), "event": "accepted", "order": order, "amount": amount})
                )?;
            }
            Deed::Ship { parcel } => writeln!(self.warehouse, "at={at} event=shipped order={order} parcel={parcel}")?,
            Deed::Deliver { parcel } => writeln!(self.warehouse, "at={at} event=delivered parcel={parcel}")?,
            Deed::Store { amount } => self.database(|database| database.insert(order, *amount, *at))?,
            Deed::Update { status } => self.database(|database| database.update(order, status, *at))?,
            Deed::Announce { amount } => {
                let message = json!({"type": "OrderPlaced", "order_id": order, "amount": amount});
                self.send(ORDERS, order, &message.to_string(), *at)?;
            }
            Deed::Capture { payment, amount } => {
                let message =
                    json!({"type": "PaymentCaptured", "order_id": order, "payment_id": payment, "amount": amount});
                self.send(PAYMENTS, order, &message.to_string(), *at)?;
            }
            Deed::Decline => {
                let message = json!({"type": "PaymentDeclined", "order_id": order});
                self.send(PAYMENTS, order, &message.to_string(), *at)?;
            }
            Deed::Omit => {}
        }
        self.producer.poll(Duration::ZERO);
        Ok(())
    }

    /// Waits until all messages are out.
    pub fn flush(&mut self) -> anyhow::Result<()> {
        self.producer.flush(ANSWERS_WITHIN).context("the brokers do not take the last messages")
    }

    fn send(&self, topic: &str, key: &str, payload: &str, at: Time) -> anyhow::Result<()> {
        let record = BaseRecord::to(topic).key(key).payload(payload).timestamp(at.0 / 1_000_000);
        self.producer.send(record).map_err(|(error, _)| error).with_context(|| format!("topic {topic}"))
    }

    fn database<'s, F>(&'s mut self, write: impl FnOnce(&'s mut Database) -> F) -> anyhow::Result<()>
    where
        F: Future<Output = sqlx::Result<()>> + 's,
    {
        let Systems { runtime, database, .. } = self;
        let done = runtime.block_on(async { timeout(ANSWERS_WITHIN, write(database)).await });
        done.context("the database does not answer")?.context("the shop's table cannot be written")
    }
}

async fn create_topics(client: &ClientConfig) -> anyhow::Result<()> {
    let admin: AdminClient<DefaultClientContext> = client.create()?;
    let topics = [ORDERS, PAYMENTS].map(|name| NewTopic::new(name, PARTITIONS, TopicReplication::Fixed(1)));
    let options = AdminOptions::new().request_timeout(Some(ANSWERS_WITHIN));
    // A topic that is there already is as good.
    admin.create_topics(&topics, &options).await.context("the brokers do not make the topics")?;
    Ok(())
}

impl Database {
    async fn open(setup: &Setup) -> sqlx::Result<Database> {
        let mut database = match &setup.postgres {
            Some(url) => Database::Postgres(url.parse::<PgConnectOptions>()?.connect().await?),
            None => {
                let options = SqliteConnectOptions::new()
                    .filename(setup.folder.join("shop.db"))
                    .create_if_missing(true)
                    .journal_mode(SqliteJournalMode::Wal)
                    .synchronous(SqliteSynchronous::Normal);
                Database::Sqlite(options.connect().await?)
            }
        };
        match &mut database {
            Database::Sqlite(connection) => {
                let table = "CREATE TABLE IF NOT EXISTS shop_orders (id TEXT PRIMARY KEY, amount INTEGER NOT NULL, \
                             status TEXT NOT NULL, created_at TEXT NOT NULL, updated_at TEXT NOT NULL)";
                sqlx::query(table).execute(&mut *connection).await?;
                sqlx::query("CREATE INDEX IF NOT EXISTS shop_orders_updated ON shop_orders (updated_at)")
                    .execute(connection)
                    .await?;
            }
            Database::Postgres(connection) => {
                let table = "CREATE TABLE IF NOT EXISTS shop_orders (id TEXT PRIMARY KEY, amount BIGINT NOT NULL, \
                             status TEXT NOT NULL, created_at TIMESTAMPTZ NOT NULL, updated_at TIMESTAMPTZ NOT NULL)";
                sqlx::query(table).execute(&mut *connection).await?;
                sqlx::query("CREATE INDEX IF NOT EXISTS shop_orders_updated ON shop_orders (updated_at)")
                    .execute(connection)
                    .await?;
            }
        }
        Ok(database)
    }

    async fn insert(&mut self, order: &str, amount: i64, at: Time) -> sqlx::Result<()> {
        let at = at.to_string();
        match self {
            Database::Sqlite(connection) => {
                let insert = "INSERT INTO shop_orders VALUES ($1, $2, 'new', $3, $3)";
                sqlx::query(insert).bind(order).bind(amount).bind(at).execute(connection).await?;
            }
            Database::Postgres(connection) => {
                let insert = "INSERT INTO shop_orders VALUES ($1, $2, 'new', $3::timestamptz, $3::timestamptz)";
                sqlx::query(insert).bind(order).bind(amount).bind(at).execute(connection).await?;
            }
        }
        Ok(())
    }

    async fn update(&mut self, order: &str, status: &str, at: Time) -> sqlx::Result<()> {
        let at = at.to_string();
        match self {
            Database::Sqlite(connection) => {
                let update = "UPDATE shop_orders SET status = $2, updated_at = $3 WHERE id = $1";
                sqlx::query(update).bind(order).bind(status).bind(at).execute(connection).await?;
            }
            Database::Postgres(connection) => {
                let update = "UPDATE shop_orders SET status = $2, updated_at = $3::timestamptz WHERE id = $1";
                sqlx::query(update).bind(order).bind(status).bind(at).execute(connection).await?;
            }
        }
        Ok(())
    }
}
