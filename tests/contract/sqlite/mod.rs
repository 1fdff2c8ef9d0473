//! SQLite, polled.

mod late;

use crate::postgres::{COMMON, table};
use crate::suite;
use crate::system::System;
use crate::watch::Seen;
use sqlx::sqlite::{SqliteConnectOptions, SqliteConnection, SqliteJournalMode};
use sqlx::{AssertSqlSafe, ConnectOptions, Executor, Row};
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::time::Duration;
use throughline::sources::live::Source;
use throughline::sources::sqlite::{Options, Poll};
use throughline::sources::tables::{Common, Sweep, Table};
use tokio::runtime::{Builder, Runtime};

/// A writer's connection.
pub struct Writer {
    runtime: Runtime,
    connection: SqliteConnection,
}

impl Writer {
    /// Opens a database, which is made where it is missing.
    pub fn open(path: &Path, mode: SqliteJournalMode) -> Writer {
        let runtime = Builder::new_current_thread().enable_time().build().unwrap();
        let options = SqliteConnectOptions::new().filename(path).create_if_missing(true).journal_mode(mode);
        let options = options.busy_timeout(Duration::from_secs(20)).disable_statement_logging();
        let connection = runtime.block_on(options.connect()).unwrap();
        Writer { runtime, connection }
    }

    #[track_caller]
    pub fn sql(&mut self, sql: &str) -> Vec<i64> {
        let rows = self.runtime.block_on(self.connection.fetch_all(sqlx::raw_sql(AssertSqlSafe(sql))));
        let rows = rows.unwrap_or_else(|error| panic!("{sql}: {error}"));
        rows.iter().map(|row| row.try_get_unchecked(0).unwrap()).collect()
    }
}

const SCHEMA: &str = "CREATE TABLE orders (id integer PRIMARY KEY, n integer, \
                      updated_at text DEFAULT (strftime('%Y-%m-%d %H:%M:%f', 'now'))); \
                      CREATE INDEX updated ON orders (updated_at); CREATE TABLE other (id integer)";

pub fn source(path: PathBuf, tables: Vec<Table>) -> Box<dyn Source> {
    source_as(path, tables, COMMON)
}

pub fn source_as(path: PathBuf, tables: Vec<Table>, common: Common) -> Box<dyn Source> {
    Box::new(Poll::new(Options { path, tables, common }))
}

struct Shop {
    folder: tempfile::TempDir,
    mode: SqliteJournalMode,
    table: Table,
    version: i64,
}

impl Shop {
    fn start(mode: SqliteJournalMode, table: Table) -> Shop {
        let folder = tempfile::tempdir().unwrap();
        let mut writer = Writer::open(&folder.path().join("shop.db"), mode);
        writer.sql(SCHEMA);
        drop(writer);
        Shop { folder, mode, table, version: 0 }
    }

    fn path(&self) -> PathBuf {
        self.folder.path().join("shop.db")
    }
}

impl System for Shop {
    fn source(&self) -> Box<dyn Source> {
        source(self.path(), vec![self.table.clone()])
    }

    fn write(&mut self, id: u64) {
        let mut writer = Writer::open(&self.path(), self.mode);
        writer.sql(&format!("INSERT INTO orders (n) VALUES ({id})"));
        self.version += 1;
    }

    fn id(&self, record: &Seen) -> u64 {
        serde_json::from_str::<serde_json::Value>(&record.payload).unwrap()["n"].as_u64().unwrap()
    }

    fn refusals(&mut self) -> Vec<(&'static str, Box<dyn Source>, Vec<&'static str>)> {
        let none = self.folder.path().join("none.db");
        let text = self.folder.path().join("text.db");
        fs::write(&text, "this is no database, whatever its name says. ".repeat(40)).unwrap();
        let updated = Table { updated: Some("changed".into()), ..table("orders") };
        vec![
            ("no file", source(none, vec![table("orders")]), vec!["none.db", "cannot be opened"]),
            ("no database", source(text, vec![table("orders")]), vec!["text.db", "not a database"]),
            ("no table", source(self.path(), vec![table("order")]), vec!["no table order", "orders, other"]),
            ("no column", source(self.path(), vec![updated]), vec!["no column changed", "updated_at"]),
            ("no key", source(self.path(), vec![table("other")]), vec!["no primary key"]),
        ]
    }

    /// The writers' own commits are all that the database counts.
    fn written_by_source(&mut self) -> Vec<String> {
        let mut writer = Writer::open(&self.path(), self.mode);
        let rows = writer.sql("SELECT count(*) FROM orders")[0];
        let schema = writer.sql("SELECT count(*) FROM sqlite_master")[0];
        if (rows, schema) == (self.version, 3) { vec![] } else { vec![format!("{rows} rows, {schema} tables")] }
    }

    fn is_polled(&self) -> bool {
        true
    }
}

#[test]
fn polled_tables_keep_their_word() {
    suite::keeps_its_word(&mut Shop::start(SqliteJournalMode::Wal, table("orders")));
}

#[test]
fn a_trusted_column_keeps_its_word() {
    let trusted = Table { updated: Some("updated_at".into()), sweep: Sweep::Never, ..table("orders") };
    suite::keeps_its_word(&mut Shop::start(SqliteJournalMode::Wal, trusted));
}

#[test]
fn without_a_write_ahead_log_it_keeps_its_word_too() {
    suite::keeps_its_word(&mut Shop::start(SqliteJournalMode::Delete, table("orders")));
}

/// The source does with the file what a user may who can only read it.
#[test]
fn a_file_that_can_only_be_read_is_enough() {
    let shop = Shop::start(SqliteJournalMode::Delete, table("orders"));
    fs::set_permissions(shop.path(), fs::Permissions::from_mode(0o444)).unwrap();
    let before = fs::metadata(shop.path()).unwrap().modified().unwrap();
    let watch = crate::watch::Watch::start(shop.source(), Default::default());
    watch.until_caught_up();
    watch.stop();
    assert_eq!(fs::metadata(shop.path()).unwrap().modified().unwrap(), before);
    let names: Vec<_> = fs::read_dir(shop.folder.path()).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    assert_eq!(names, ["shop.db"]);
}
