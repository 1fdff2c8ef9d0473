//! PostgreSQL, polled.

pub mod cost;
mod late;

use crate::servers::postgres::Postgres;
use crate::servers::proxy::Proxy;
use crate::suite;
use crate::system::System;
use crate::watch::{Place, Said, Seen, Watch};
use throughline::model::time::Span;
use throughline::sources::live::{Source, Start};
use throughline::sources::postgres::{Options, Poll};
use throughline::sources::secret::Secret;
use throughline::sources::tables::{Common, Sweep, Table};

/// A table, with nothing said about its columns.
pub fn table(name: &str) -> Table {
    Table {
        name: name.into(),
        key: vec![],
        updated: None,
        time: None,
        zone: chrono_tz::UTC,
        sweep: Sweep::Gentle,
        start: Start::Latest,
    }
}

/// Polls often; what a row's own clock says is taken as it is.
pub const COMMON: Common = Common { poll: Span(50_000_000), lateness: Span::seconds(1), clock_skew: Span::ZERO };

pub fn source(url: String, tables: Vec<Table>) -> Box<dyn Source> {
    Box::new(Poll::new(Options { url: Secret(url), tables, common: COMMON }))
}

/// A table, a user who may read it and see when transactions began, and one who may not read it.
const SCHEMA: &str = "
    CREATE TABLE orders (id bigserial PRIMARY KEY, n bigint, updated_at timestamptz DEFAULT now());
    CREATE INDEX ON orders (updated_at);
    CREATE ROLE watcher LOGIN PASSWORD 'w'; GRANT pg_monitor TO watcher; GRANT SELECT ON orders TO watcher;
    CREATE ROLE stranger LOGIN PASSWORD 's3cret'; GRANT pg_monitor TO stranger";

struct Shop {
    server: Postgres,
    proxy: Proxy,
    table: Table,
}

impl Shop {
    /// A server with the table.
    fn start(table: Table) -> Shop {
        let server = Postgres::start(&[]);
        server.sql("postgres", SCHEMA);
        let proxy = Proxy::to(server.port);
        Shop { server, proxy, table }
    }

    fn url(&self, user: &str, password: &str, database: &str) -> String {
        format!("postgres://{user}:{password}@127.0.0.1:{}/{database}", self.proxy.port)
    }
}

impl System for Shop {
    fn source(&self) -> Box<dyn Source> {
        source(self.url("watcher", "w", "postgres"), vec![self.table.clone()])
    }

    fn write(&mut self, id: u64) {
        self.server.sql("postgres", &format!("INSERT INTO orders (n) VALUES ({id})"));
    }

    fn id(&self, record: &Seen) -> u64 {
        serde_json::from_str::<serde_json::Value>(&record.payload).unwrap()["n"].as_u64().unwrap()
    }

    fn cut(&mut self) -> bool {
        self.proxy.cut();
        true
    }

    fn stall(&mut self, stalled: bool) -> bool {
        self.proxy.stall(stalled);
        true
    }

    fn restart(&mut self) -> bool {
        self.server.stop();
        self.server.start_again();
        true
    }

    fn refusals(&mut self) -> Vec<(&'static str, Box<dyn Source>, Vec<&'static str>)> {
        let watcher = self.url("watcher", "w", "postgres");
        let of = |table: Table| vec![table];
        let updated = |name: &str| Table { updated: Some(name.into()), ..table("orders") };
        vec![
            (
                "a wrong password",
                source(self.url("watcher", "s3cret", "postgres"), of(table("orders"))),
                vec!["watcher@127.0.0.1", "password"],
            ),
            (
                "no right to read",
                source(self.url("stranger", "s3cret", "postgres"), of(table("orders"))),
                vec!["GRANT SELECT ON \"public\".\"orders\" TO \"stranger\""],
            ),
            ("another database", source(self.url("watcher", "w", "nowhere"), of(table("orders"))), vec!["nowhere"]),
            (
                "a table that is spelt otherwise",
                source(watcher.clone(), of(table("Orders"))),
                vec!["no table Orders", "public.orders"],
            ),
            (
                "a column that is not there",
                source(watcher.clone(), of(updated("changed"))),
                vec!["no column changed", "updated_at"],
            ),
            ("a column that is no time", source(watcher, of(updated("n"))), vec!["n of orders", "bigint"]),
        ]
    }

    fn written_by_source(&mut self) -> Vec<String> {
        let log = self.server.log();
        let ours = log.lines().filter_map(|line| line.strip_prefix("throughline|"));
        let statements = ours.filter_map(|line| line.split_once("LOG:  statement: ").map(|(_, statement)| statement));
        let reads = [
            "SELECT ",
            "BEGIN TRANSACTION ISOLATION LEVEL REPEATABLE READ READ ONLY",
            "COMMIT",
            "ROLLBACK",
            "DECLARE ",
            "FETCH ",
            "CLOSE ",
            "PREPARE THROUGHLINE_SESSIONS AS SELECT ",
            "PREPARE THROUGHLINE_PREPARED AS SELECT ",
            "EXECUTE ",
        ];
        let statements: Vec<&str> = statements.collect();
        assert!(statements.len() > 50, "the log shows nothing of the source");
        let others =
            statements.iter().filter(|statement| !reads.iter().any(|read| statement.to_uppercase().starts_with(read)));
        others.map(|statement| (*statement).to_owned()).collect()
    }

    fn is_polled(&self) -> bool {
        true
    }
}

#[test]
fn polled_tables_keep_their_word() {
    suite::keeps_its_word(&mut Shop::start(table("orders")));
}

#[test]
fn a_trusted_column_keeps_its_word() {
    let trusted = Table { updated: Some("updated_at".into()), sweep: Sweep::Never, ..table("orders") };
    suite::keeps_its_word(&mut Shop::start(trusted));
}

#[test]
fn a_server_that_is_far_away_is_read_as_often() {
    let mut shop = Shop::start(table("orders"));
    shop.proxy.lengthen(suite::FAR);
    suite::is_read_often(&mut shop);
}

#[test]
fn a_replica_is_followed_also_while_its_primary_has_nothing_to_send() {
    // The primary says that it lives twice in this time.
    let primary = Postgres::start(&["wal_sender_timeout=2s"]);
    primary.sql("postgres", SCHEMA);
    let replica = primary.replica();
    let watch = Watch::start(source(replica.url("watcher", "w", "postgres"), vec![table("orders")]), Place::default());
    watch.until("a proof", |said| said.iter().any(|said| matches!(said, Said::CaughtUp(_))));
    primary.sql("postgres", "INSERT INTO orders (n) VALUES (1)");
    watch.until("the row", |said| said.iter().any(|said| matches!(said, Said::Record(_))));
    // Nothing more is committed, and time is proven to go on.
    watch.until_caught_up();
    watch.stop();
}

#[test]
fn over_tls_the_server_is_checked_as_the_address_asks() {
    let server = Postgres::start(&["ssl=on"]);
    server.sql("postgres", SCHEMA);
    let follow = |more: &str| {
        let url = format!("{}?{more}", server.url("watcher", "w", "postgres"));
        Watch::start(source(url, vec![table("orders")]), Place::default())
    };
    let watch = follow(&format!("sslmode=verify-full&sslrootcert={}", server.authority()));
    watch.until_caught_up();
    let encrypted =
        "SELECT count(*) FROM pg_stat_ssl JOIN pg_stat_activity USING (pid) WHERE usename = 'watcher' AND ssl";
    assert_eq!(server.sql("postgres", encrypted), "1");
    watch.stop();
    // The machine does not know this authority.
    let watch = follow("sslmode=verify-full");
    let said = watch.until("a refusal", |said| said.iter().any(|said| matches!(said, Said::Failed(_))));
    watch.stop();
    let told = said.iter().find_map(|said| if let Said::Failed(why) = said { Some(why) } else { None }).unwrap();
    assert!(told.contains("certificate") || told.contains("UnknownIssuer"), "{told}");
}
