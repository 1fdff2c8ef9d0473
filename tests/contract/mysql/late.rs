//! Writers that commit late, out of order, prepared, or not at all, while their table is polled.

use crate::late::{Random, Truth, Written, rounds, seed};
use crate::postgres::{COMMON, table};
use crate::servers::mariadb::Mariadb;
use crate::watch::{Place, Said, Watch, now};
use sqlx::mysql::{MySqlConnectOptions, MySqlConnection};
use sqlx::{AssertSqlSafe, ConnectOptions, Executor, Row};
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::thread;
use std::time::{Duration, Instant};
use throughline::model::time::{Span, Time};
use throughline::sources::live::{Source, Start};
use throughline::sources::mysql::{Options, Poll};
use throughline::sources::secret::Secret;
use throughline::sources::tables::{Common, Sweep, Table};
use tokio::runtime::{Builder, Runtime};

/// Later than this no writer commits what it has stamped itself, or it is late.
const LATENESS: Span = Span(300_000_000);
/// How long a round writes.
const WRITES_FOR: Duration = Duration::from_millis(2_000);
/// Rounds that are played at once, each on a server of its own: a list of transactions that several sources read all
/// the time is never made anew.
const AT_ONCE: u64 = 2;
const WRITERS: u64 = 4;

/// What a statement tells of rows: the row, its version, and microseconds since 1970.
type Told = Vec<(i64, i64, i64)>;

struct Client {
    runtime: Runtime,
    connection: MySqlConnection,
    url: String,
}

impl Client {
    fn connect(url: &str) -> Client {
        let runtime = Builder::new_current_thread().enable_all().build().unwrap();
        let options: MySqlConnectOptions = url.parse().unwrap();
        let connection = runtime.block_on(options.disable_statement_logging().connect()).unwrap();
        let mut client = Client { runtime, connection, url: url.to_owned() };
        client.sql("SET innodb_lock_wait_timeout = 1, sql_mode = ''").unwrap();
        client
    }

    /// Leaves what it has prepared to another connection.
    fn reconnect(&mut self) {
        *self = Client::connect(&self.url.clone());
    }

    fn sql(&mut self, sql: &str) -> Result<Told, String> {
        let rows = self.runtime.block_on(self.connection.fetch_all(sqlx::raw_sql(AssertSqlSafe(sql))));
        let rows = rows.map_err(|error| error.to_string())?;
        let number = |row: &sqlx::mysql::MySqlRow, at: usize| row.try_get_unchecked::<i64, _>(at).unwrap_or(0);
        Ok(rows.iter().map(|row| (number(row, 0), number(row, 1), number(row, 2))).collect())
    }
}

/// When a version was written, as the server knows it.
const STAMPED: &str = "CAST(UNIX_TIMESTAMP(stamped) * 1000000 AS SIGNED)";

/// A version that waits for its commit: the row, the version, when it was written, how it is stamped, whether it is the
/// end.
type Wrote = (i64, i64, Time, Stamp, bool);

/// How a version is stamped.
#[derive(Clone, Copy, PartialEq)]
enum Stamp {
    /// With the beginning of its statement.
    Statement,
    /// With the writer's own clock, a little while ago.
    Writer(Time),
    /// With what stood there before, or at the very first.
    Stale,
    Null,
}

/// How a source follows a table, and whether its records are timed by their commits.
pub struct How {
    pub source: fn(&str, &Table) -> Box<dyn Source>,
    pub by_commit: bool,
}

struct Writer<'t> {
    client: Client,
    random: Random,
    table: &'t str,
    /// The column rises with each change.
    honest: bool,
    truth: &'t Mutex<Truth>,
    by_commit: bool,
    count: u64,
}

impl Writer<'_> {
    fn run(&mut self) {
        // A busy machine takes its time to let it in.
        let until = Instant::now() + WRITES_FOR;
        while Instant::now() < until {
            // What fails (a lock that was waited for too long) is rolled back, and was never there.
            if self.transaction().is_err() {
                let _ = self.client.sql("ROLLBACK");
            }
            let rest = self.random.below(30);
            thread::sleep(Duration::from_millis(rest));
        }
    }

    fn pause(&mut self) {
        let long = if self.random.once_in(3) { 700 } else { 5 };
        let pause = self.random.below(long);
        thread::sleep(Duration::from_millis(pause));
    }

    fn transaction(&mut self) -> Result<(), String> {
        if self.random.once_in(6) {
            return self.alone();
        }
        self.count += 1;
        let xa = self.random.once_in(5).then(|| format!("{} {} {}", self.table, self.random.0, self.count));
        match &xa {
            Some(name) => self.client.sql(&format!("XA START '{name}'"))?,
            None if self.random.once_in(2) => self.client.sql("START TRANSACTION WITH CONSISTENT SNAPSHOT")?,
            None => self.client.sql("BEGIN")?,
        };
        if self.random.once_in(2) {
            self.pause();
        }
        let mut wrote = Vec::new();
        let written = self.statements(&mut wrote);
        if let (Err(why), Some(name)) = (&written, &xa) {
            let _ = self.client.sql(&format!("XA END '{name}'"));
            self.client.sql(&format!("XA ROLLBACK '{name}'"))?;
            return Err(why.clone());
        }
        written?;
        if self.random.once_in(3) {
            self.pause();
        }
        match (xa, self.random.below(8)) {
            (Some(name), _) => self.prepare(&name, wrote),
            (None, 0) => self.client.sql("ROLLBACK").map(drop),
            (None, _) => self.commit("COMMIT", wrote),
        }
    }

    fn statements(&mut self, wrote: &mut Vec<Wrote>) -> Result<(), String> {
        for _ in 0..=self.random.below(3) {
            let savepoint = self.random.once_in(4);
            if savepoint {
                self.client.sql("SAVEPOINT inner_one")?;
            }
            let versions = self.write()?;
            if savepoint && self.random.once_in(3) {
                self.client.sql("ROLLBACK TO inner_one")?;
            } else {
                wrote.extend(versions);
            }
        }
        Ok(())
    }

    /// One statement without a transaction, which knows the time before it begins to write.
    fn alone(&mut self) -> Result<(), String> {
        let (table, which) = (self.table, self.random.below(12) + 1);
        let wait = self.random.below(300) as f64 / 1000.0;
        let from = now();
        let told = self.client.sql(&format!(
            "INSERT INTO {table} (v, reference, created_at, updated_at, stamped) \
             SELECT 1, {which}, NOW(6), NOW(6), NOW(6) FROM (SELECT SLEEP({wait})) waited RETURNING id, v, {STAMPED}"
        ))?;
        // It is seen some time between the two.
        let wrote = told.into_iter().map(|(id, v, at)| (id, v, Time(at * 1_000), Stamp::Statement, false)).collect();
        self.keep(wrote, from, now());
        Ok(())
    }

    fn prepare(&mut self, name: &str, wrote: Vec<Wrote>) -> Result<(), String> {
        self.client.sql(&format!("XA END '{name}'"))?;
        self.client.sql(&format!("XA PREPARE '{name}'"))?;
        if self.random.once_in(2) {
            self.client.reconnect();
        }
        self.pause();
        let how = if self.random.once_in(4) { "ROLLBACK" } else { "COMMIT" };
        let (end, from) = (format!("XA {how} '{name}'"), now());
        let mut answer = self.client.sql(&end);
        // The server may not have noticed yet that the other connection is gone.
        for _ in 0..100 {
            if answer.is_ok() {
                break;
            }
            thread::sleep(Duration::from_millis(20));
            answer = self.client.sql(&end);
        }
        // One that wrote nothing is gone with its connection.
        let gone = wrote.is_empty() && answer.as_ref().is_err_and(|why| why.contains("XAER_NOTA"));
        assert!(answer.is_ok() || gone, "{end}: {answer:?}");
        if how == "COMMIT" {
            self.keep(wrote, from, now());
        }
        Ok(())
    }

    fn commit(&mut self, sql: &str, wrote: Vec<Wrote>) -> Result<(), String> {
        let from = now();
        self.client.sql(sql)?;
        self.keep(wrote, from, now());
        Ok(())
    }

    fn keep(&mut self, wrote: Vec<Wrote>, from: Time, by: Time) {
        let mut truth = self.truth.lock().unwrap();
        for (id, version, at, stamp, deleted) in wrote {
            let (event, late) = match stamp {
                // Some time between the two.
                _ if self.by_commit => (by, false),
                Stamp::Writer(at) => (at, by.since(at) > LATENESS),
                _ => (at, false),
            };
            truth.0.insert((id, version), Written { event, from, by, late, deleted });
        }
    }

    /// One change: the versions that it makes.
    fn write(&mut self) -> Result<Vec<Wrote>, String> {
        let (table, stamp) = (self.table, self.stamp());
        let value = match stamp {
            Stamp::Statement => "NOW(6)".to_owned(),
            Stamp::Writer(at) => sql_time(at),
            Stamp::Stale => ["updated_at", "created_at"][self.random.below(2) as usize].into(),
            Stamp::Null => "NULL".into(),
        };
        let which = self.random.below(12) + 1;
        let told = |told: Told, stamp: Stamp, deleted: bool| {
            told.into_iter().map(|(id, v, at)| (id, v, Time(at * 1_000), stamp, deleted)).collect()
        };
        match self.random.below(10) {
            0..4 => {
                // Several at once are tied.
                let count = if self.random.once_in(4) { 5 } else { 1 };
                let old = Time((now() - Span::seconds(86_400)).0 / 1_000 * 1_000);
                // A row that is brought in from elsewhere with a time of yesterday is late, by what was declared.
                let (stamp, value) = match stamp {
                    Stamp::Stale => (Stamp::Writer(old), sql_time(old)),
                    stamp => (stamp, value),
                };
                let rows = self.client.sql(&format!(
                    "INSERT INTO {table} (v, reference, created_at, updated_at, stamped) \
                     SELECT 1, {which}, {value}, {value}, NOW(6) FROM seq_1_to_{count} RETURNING id, v, {STAMPED}"
                ))?;
                Ok(told(rows, stamp, false))
            }
            9 if self.random.once_in(3) => {
                let now = "CAST(UNIX_TIMESTAMP(NOW(6)) * 1000000 AS SIGNED)";
                let gone = format!("DELETE FROM {table} WHERE id = {which} RETURNING id, v + 1, {now}");
                Ok(told(self.client.sql(&gone)?, Stamp::Statement, true))
            }
            _ => {
                self.client.sql(&format!(
                    "UPDATE {table} SET v = v + 1, reference = nullif(reference, {which}), updated_at = {value}, \
                     stamped = NOW(6) WHERE id = {which}"
                ))?;
                let changed = format!("SELECT id, v, {STAMPED} FROM {table} WHERE id = {which} FOR UPDATE");
                Ok(told(self.client.sql(&changed)?, stamp, false))
            }
        }
    }

    fn stamp(&mut self) -> Stamp {
        let ago = Span(self.random.below(150) as i64 * 1_000_000);
        match self.random.below(if self.honest { 6 } else { 10 }) {
            0..4 => Stamp::Statement,
            // Microseconds are all that the column keeps.
            4 | 5 => Stamp::Writer(Time((now() - ago).0 / 1_000 * 1_000)),
            6..9 => Stamp::Stale,
            _ => Stamp::Null,
        }
    }
}

/// A moment as SQL writes it.
fn sql_time(at: Time) -> String {
    format!("'{}'", at.to_string().trim_end_matches('Z').replace('T', " "))
}

fn source(url: &str, table: &Table) -> Box<dyn Source> {
    let common = Common { poll: Span(150_000_000), lateness: LATENESS, ..COMMON };
    Box::new(Poll::new(Options { url: Secret(url.into()), tables: vec![table.clone()], common }))
}

/// One round: what is wrong afterwards.
fn round(server: &Mariadb, seed: u64, how: &How) -> Vec<String> {
    let mut random = Random(seed);
    let name = format!("round_{seed}");
    let (writes, url) = (server.url("writer", "w"), server.url("watcher", "w"));
    let honest = random.once_in(3);
    let updated = (honest || random.once_in(2)).then(|| "updated_at".to_owned());
    let sweep = match random.below(3) {
        _ if honest => Sweep::Never,
        0 => Sweep::Every(Span(200_000_000)),
        _ => Sweep::Gentle,
    };
    let start = if random.once_in(2) { Start::Beginning } else { Start::Latest };
    let table = Table { updated, sweep, start, ..table(&name) };
    let mut client = Client::connect(&writes);
    let index = if random.once_in(2) { ", KEY (updated_at)" } else { "" };
    let kind = ["timestamp(6) NULL", "datetime(6)", "timestamp NULL", "datetime(3)"][random.below(4) as usize];
    client
        .sql(&format!(
            "CREATE TABLE {name} (id bigint AUTO_INCREMENT PRIMARY KEY, v bigint, reference bigint, created_at {kind}, \
             updated_at {kind}, stamped timestamp(6) NULL{index})"
        ))
        .unwrap();
    let watch = Watch::start((how.source)(&url, &table), Place::default());
    watch.until_caught_up();
    let truth = Mutex::new(Truth::default());
    let (mut said, watch) = thread::scope(|scope| {
        for writer in 0..WRITERS {
            let (table, truth, url) = (&name, &truth, &writes);
            let random = Random(seed.wrapping_mul(31).wrapping_add(writer));
            scope.spawn(move || {
                let client = Client::connect(url);
                Writer { client, random, table, honest, truth, by_commit: how.by_commit, count: 0 }.run();
            });
        }
        disturb(&mut client, &mut random, watch, || (how.source)(&url, &table))
    });
    let truth = truth.into_inner().unwrap();
    assert!(!truth.0.is_empty(), "nothing was written");
    let before: Vec<_> = said.iter().map(|(_, said)| said).cloned().collect();
    watch.until("all rows as they are", |now| truth.is_seen(&[&before[..], now].concat()));
    said.extend(watch.said_at());
    watch.stop();
    truth.lies(&said, LATENESS)
}

/// While the writers write, the source is stopped and started again, or its connection is ended.
fn disturb(
    client: &mut Client,
    random: &mut Random,
    watch: Watch,
    source: impl Fn() -> Box<dyn Source>,
) -> (Vec<(Time, Said)>, Watch) {
    thread::sleep(Duration::from_millis(300 + random.below(500)));
    match random.below(3) {
        0 => {
            let (said, place) = watch.stop_at();
            thread::sleep(Duration::from_millis(random.below(400)));
            (said, Watch::start(source(), place))
        }
        1 => {
            let own = "SELECT id, 0, 0 FROM information_schema.PROCESSLIST WHERE user = 'watcher'";
            for (id, ..) in client.sql(own).unwrap() {
                let _ = client.sql(&format!("KILL {id}"));
            }
            (Vec::new(), watch)
        }
        _ => (Vec::new(), watch),
    }
}

/// A server with a writer and a watcher.
fn server() -> Mariadb {
    let log = &crate::mysql_changes::SETTINGS[..];
    let server = Mariadb::start(&[log, &["--default-time-zone=+00:00", "--general-log=0"]].concat());
    server.sql(
        "shop",
        "CREATE USER writer IDENTIFIED BY 'w'; GRANT ALL ON *.* TO writer; CREATE USER watcher IDENTIFIED BY 'w';
         GRANT PROCESS, BINLOG MONITOR, REPLICATION SLAVE ON *.* TO watcher; GRANT SELECT ON shop.* TO watcher",
    );
    server
}

/// Plays rounds; whether the source said only what was so.
pub fn is_true(how: &How) -> bool {
    let first = seed();
    let failed = AtomicBool::new(false);
    let all = rounds(6);
    thread::scope(|scope| {
        for lane in 0..AT_ONCE {
            let failed = &failed;
            scope.spawn(move || {
                let server = server();
                for number in (lane..all).step_by(AT_ONCE as usize) {
                    let lies = round(&server, first + number, how);
                    if !lies.is_empty() {
                        failed.store(true, Relaxed);
                        eprintln!("SEED={} ROUNDS=1:\n  {}", first + number, lies.join("\n  "));
                    }
                }
            });
        }
    });
    !failed.load(Relaxed)
}

#[test]
fn whatever_is_committed_late_is_read_and_nothing_is_claimed_before() {
    assert!(is_true(&How { source, by_commit: false }), "the source said what was not so");
}

/// A server that comes up again shows that as the beginning of what was prepared before.
#[test]
fn what_was_prepared_holds_the_proof_through_a_crash_of_the_server() {
    let mut server = server();
    let url = server.url("watcher", "w");
    // What is prepared must be on the disk when the server is killed.
    server.sql("", "SET GLOBAL innodb_flush_log_at_trx_commit = 1");
    server.sql("shop", "CREATE TABLE t (id int PRIMARY KEY, v int, updated_at timestamp(6) DEFAULT NOW(6))");
    let watch = Watch::start(source(&url, &table("t")), Place::default());
    watch.until_caught_up();
    let before = now();
    server.sql("shop", "XA START 'x'; INSERT INTO t (id, v) VALUES (1, 1); XA END 'x'; XA PREPARE 'x'");
    thread::sleep(Duration::from_millis(1_500));
    server.kill();
    server.start_again();
    let proven = |said: &[Said]| {
        let proofs = said.iter().filter_map(|said| if let Said::CaughtUp(at) = said { Some(*at) } else { None });
        proofs.max().unwrap()
    };
    server.sql("shop", "INSERT INTO t (id, v) VALUES (2, 1)");
    let seen = |said: &[Said], id: u32| {
        let id = id.to_string();
        said.iter().any(|said| matches!(said, Said::Record(record) if record.key.as_ref() == Some(&id)))
    };
    watch.until("what is committed", |said| seen(said, 2));
    thread::sleep(Duration::from_secs(2));
    assert!(proven(&watch.said()) <= before, "nothing is proven while it may still be committed");
    server.sql("shop", "XA COMMIT 'x'");
    let said = watch.until_caught_up();
    assert!(seen(&said, 1), "the proof comes after the row");
    watch.stop();
}
