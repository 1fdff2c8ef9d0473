//! The binary log of MySQL and MariaDB. The server is MariaDB's.

use crate::mysql::more_than_reading;
use crate::servers::mariadb::Mariadb;
use crate::servers::proxy::Proxy;
use crate::suite;
use crate::system::System;
use crate::watch::Seen;
use throughline::sources::live::{Source, Start};
use throughline::sources::mysql::changes::{Changes, Options, Table};
use throughline::sources::secret::Secret;

#[path = "mysql_changes/cost.rs"]
mod cost;
#[path = "mysql_changes/log.rs"]
mod log;
#[path = "mysql_changes/rows.rs"]
mod rows;

/// What is needed of a server, and of the user that watches it.
pub const SETTINGS: [&str; 5] =
    ["--log-bin=bin", "--binlog-format=ROW", "--binlog-row-metadata=FULL", "--server-id=1", "--sync-binlog=0"];
const SETUP: &str = "
    CREATE USER watcher IDENTIFIED BY 's3cret'; GRANT SELECT ON shop.* TO watcher;
    GRANT BINLOG MONITOR, REPLICATION SLAVE ON *.* TO watcher;
    CREATE TABLE events (id bigint PRIMARY KEY, what text); CREATE TABLE others (id bigint PRIMARY KEY, what text)";
const TABLES: [&str; 2] = ["events", "others"];

/// A server with what [`SETUP`] makes.
pub fn server() -> Mariadb {
    server_with(&[])
}

/// The same with further settings.
pub fn server_with(settings: &[&str]) -> Mariadb {
    let server = Mariadb::start(&[&SETTINGS[..], settings].concat());
    server.sql("shop", SETUP);
    server
}

/// How the watcher follows tables on a port.
pub fn options(port: u16, tables: &[&str]) -> Options {
    Options {
        url: Secret(format!("mysql://watcher:s3cret@127.0.0.1:{port}/shop")),
        server_id: None,
        tables: tables.iter().map(|name| Table { name: (*name).into(), key: Vec::new() }).collect(),
        start: Start::Latest,
    }
}

struct Log {
    server: Mariadb,
    proxy: Proxy,
}

impl Log {
    fn new(settings: &[&str]) -> Log {
        let server = server_with(settings);
        let proxy = Proxy::to(server.port);
        Log { server, proxy }
    }

    fn refused(&self, change: impl FnOnce(&mut Options)) -> Box<dyn Source> {
        let mut options = options(self.server.port, &TABLES);
        change(&mut options);
        Box::new(Changes::new(options))
    }
}

impl System for Log {
    fn source(&self) -> Box<dyn Source> {
        Box::new(Changes::new(options(self.proxy.port, &TABLES)))
    }

    fn write(&mut self, id: u64) {
        // Each promise begins to count anew.
        let table = TABLES[id as usize % 2];
        let sql = format!("INSERT INTO {table} VALUES ({id}, 'a') ON DUPLICATE KEY UPDATE what = CONCAT(what, 'a')");
        self.server.sql("shop", &sql);
    }

    fn id(&self, record: &Seen) -> u64 {
        record.key.as_ref().unwrap().parse().unwrap()
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
        self.server.sql(
            "shop",
            "CREATE USER poor IDENTIFIED BY 's3cret'; GRANT SELECT ON shop.* TO poor;
             CREATE USER half IDENTIFIED BY 's3cret'; GRANT SELECT ON shop.* TO half; GRANT BINLOG MONITOR ON *.* TO half;
             CREATE USER blind IDENTIFIED BY 's3cret'; GRANT BINLOG MONITOR, REPLICATION SLAVE ON *.* TO blind;
             CREATE TABLE bare (id int); CREATE TABLE greek (id int PRIMARY KEY, name varchar(9) CHARACTER SET greek)",
        );
        let port = self.server.port;
        let user = move |name: &str| Secret(format!("mysql://{name}:s3cret@127.0.0.1:{port}/shop"));
        let table = |name: &str| vec![Table { name: name.into(), key: Vec::new() }];
        let blind = self.refused(|o| o.url = Secret(format!("mysql://blind:s3cret@127.0.0.1:{port}")));
        vec![
            ("a wrong password", self.refused(|o| o.url = user("nobody")), vec!["password", "nobody"]),
            ("no right to see the log", self.refused(|o| o.url = user("poor")), vec!["GRANT BINLOG MONITOR"]),
            ("no right to read the log", self.refused(|o| o.url = user("half")), vec!["REPLICATION SLAVE"]),
            ("no database", blind, vec!["names no database"]),
            ("no table", self.refused(|o| o.tables = table("event")), vec!["no table event"]),
            ("a table without a key", self.refused(|o| o.tables = table("bare")), vec!["bare has no primary key"]),
            ("letters that are not known", self.refused(|o| o.tables = table("greek")), vec!["greek", "utf8mb4"]),
            ("no address", self.refused(|o| o.url = Secret("s3cret:nonsense".into())), vec!["mysql://user"]),
        ]
    }

    fn written_by_source(&mut self) -> Vec<String> {
        more_than_reading(&self.server)
    }
}

#[test]
fn changes_keep_their_word() {
    suite::keeps_its_word(&mut Log::new(&[]));
}

#[test]
fn changes_of_a_log_without_names_keep_their_word() {
    suite::keeps_its_word(&mut Log::new(&["--binlog-row-metadata=NO_LOG"]));
}

/// Writers whose transactions are long, several, prepared or given up, while the source is stopped and cut off.
#[test]
fn exactly_what_is_committed_comes_and_no_proof_is_ahead_of_it() {
    let source = |url: &str, table: &throughline::sources::tables::Table| -> Box<dyn Source> {
        let tables = vec![Table { name: table.name.clone(), key: Vec::new() }];
        Box::new(Changes::new(Options { url: Secret(url.into()), server_id: None, tables, start: Start::Latest }))
    };
    assert!(
        crate::mysql::late::is_true(&crate::mysql::late::How { source, by_commit: true }),
        "it said what was not so"
    );
}
