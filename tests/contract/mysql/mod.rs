//! MySQL and MariaDB, polled. The server is MariaDB's.

pub mod cost;
pub mod late;
pub mod rows;
mod tls;

use crate::postgres::{COMMON, table};
use crate::servers::mariadb::Mariadb;
use crate::servers::proxy::Proxy;
use crate::suite;
use crate::system::System;
use crate::watch::Seen;
use throughline::sources::live::Source;
use throughline::sources::mysql::{Options, Poll};
use throughline::sources::secret::Secret;
use throughline::sources::tables::{Sweep, Table};

pub fn source(url: String, tables: Vec<Table>) -> Box<dyn Source> {
    Box::new(Poll::new(Options { url: Secret(url), tables, common: COMMON }))
}

struct Shop {
    server: Mariadb,
    proxy: Proxy,
    table: Table,
}

impl Shop {
    /// A server with a table, and a user who may read it and see when transactions began.
    fn start(table: Table) -> Shop {
        let server = Mariadb::start(&[]);
        server.sql(
            "shop",
            "CREATE TABLE orders (id bigint AUTO_INCREMENT PRIMARY KEY, n bigint, \
             updated_at timestamp(6) DEFAULT current_timestamp(6), KEY (updated_at)); CREATE TABLE other (id int);
             CREATE USER watcher IDENTIFIED BY 'w'; GRANT PROCESS ON *.* TO watcher; GRANT SELECT ON shop.* TO watcher;
             CREATE USER stranger IDENTIFIED BY 's3cret'; GRANT PROCESS ON *.* TO stranger;
             GRANT SELECT ON shop.other TO stranger",
        );
        let proxy = Proxy::to(server.port);
        Shop { server, proxy, table }
    }

    fn url(&self, user: &str, password: &str, database: &str) -> String {
        format!("mysql://{user}:{password}@127.0.0.1:{}/{database}", self.proxy.port)
    }
}

impl System for Shop {
    fn source(&self) -> Box<dyn Source> {
        source(self.url("watcher", "w", "shop"), vec![self.table.clone()])
    }

    fn write(&mut self, id: u64) {
        self.server.sql("shop", &format!("INSERT INTO orders (n) VALUES ({id})"));
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
        let watcher = self.url("watcher", "w", "shop");
        let of = |table: Table| vec![table];
        let updated = |name: &str| Table { updated: Some(name.into()), ..table("orders") };
        vec![
            (
                "a wrong password",
                source(self.url("watcher", "s3cret", "shop"), of(table("orders"))),
                vec!["watcher@127.0.0.1", "password"],
            ),
            (
                "no right to read",
                source(self.url("stranger", "s3cret", "shop"), of(table("orders"))),
                vec!["GRANT SELECT ON `shop`.`orders` TO 'stranger'@'%'"],
            ),
            ("another database", source(self.url("watcher", "w", "nowhere"), of(table("orders"))), vec!["nowhere"]),
            ("no database", source(self.url("watcher", "w", ""), of(table("orders"))), vec!["`shop.orders`"]),
            (
                "a table that is spelt otherwise",
                source(watcher.clone(), of(table("Orders"))),
                vec!["no table Orders", "shop.orders"],
            ),
            (
                "a column that is not there",
                source(watcher.clone(), of(updated("changed"))),
                vec!["no column changed", "updated_at"],
            ),
            ("a column that is no time", source(watcher.clone(), of(updated("n"))), vec!["n of orders", "bigint"]),
            ("a table without a key", source(watcher, of(table("other"))), vec!["other has no primary key", "columns"]),
        ]
    }

    /// By the server's own statistics, and by its log.
    fn written_by_source(&mut self) -> Vec<String> {
        more_than_reading(&self.server)
    }

    fn is_polled(&self) -> bool {
        true
    }
}

/// What the server has seen of the watcher that is more than reading.
pub fn more_than_reading(server: &Mariadb) -> Vec<String> {
    let counted = server.sql(
        "",
        "SELECT CONCAT_WS(' ', UPDATE_COMMANDS, ROWS_INSERTED, ROWS_UPDATED, ROWS_DELETED, BINLOG_BYTES_WRITTEN) \
         FROM information_schema.USER_STATISTICS WHERE USER = 'watcher'",
    );
    assert!(!counted.is_empty(), "the server counts nothing of the watcher");
    let counted = Some(format!("counted: {counted}")).filter(|counted| counted != "counted: 0 0 0 0 0");
    let mut statements = server.statements("watcher");
    assert!(statements.len() > 50, "the log shows nothing of the source");
    let reads = ["SELECT ", "SHOW ", "SET ", "START TRANSACTION WITH CONSISTENT SNAPSHOT, READ ONLY", "COMMIT"];
    let is_read = |statement: &String| reads.iter().any(|read| statement.to_uppercase().starts_with(read));
    statements.retain(|statement| !is_read(statement) || statement.to_uppercase().starts_with("SET GLOBAL"));
    statements.into_iter().chain(counted).collect()
}

#[test]
fn polled_tables_keep_their_word() {
    suite::keeps_its_word(&mut Shop::start(table("orders")));
}

#[test]
fn a_server_that_is_far_away_is_read_as_often() {
    let mut shop = Shop::start(table("orders"));
    shop.proxy.lengthen(suite::FAR);
    suite::is_read_often(&mut shop);
}

#[test]
fn a_trusted_column_keeps_its_word() {
    let trusted = Table { updated: Some("updated_at".into()), sweep: Sweep::Never, ..table("orders") };
    suite::keeps_its_word(&mut Shop::start(trusted));
}
