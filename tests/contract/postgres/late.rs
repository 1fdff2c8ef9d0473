//! Writers of PostgreSQL that commit late, out of order, prepared, or not at all, while their table is polled.

use super::{COMMON, table};
use crate::late::{Random, Truth, Written, rounds, seed};
use crate::servers::postgres::Postgres;
use crate::watch::{Place, Watch, now};
use sqlx::postgres::{PgConnectOptions, PgConnection};
use sqlx::{AssertSqlSafe, ConnectOptions, Executor, Row};
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::thread;
use std::time::{Duration, Instant};
use throughline::model::time::{Span, Time};
use throughline::sources::live::{Source, Start};
use throughline::sources::postgres::{Options, Poll};
use throughline::sources::secret::Secret;
use throughline::sources::tables::{Common, Sweep, Table};
use tokio::runtime::{Builder, Runtime};

/// Later than this no writer commits what it has stamped itself, or it is late.
const LATENESS: Span = Span(300_000_000);
/// How long a round writes, and more than how many versions it does at least.
const WRITES_FOR: Duration = Duration::from_millis(1_500);
const WRITTEN_MIN: usize = 10;
/// Rounds that are played at once, on one server.
const AT_ONCE: u64 = 4;
const WRITERS: u64 = 4;

struct Client {
    runtime: Runtime,
    connection: PgConnection,
}

impl Client {
    fn connect(url: &str) -> Client {
        let runtime = Builder::new_current_thread().enable_all().build().unwrap();
        let options: PgConnectOptions = url.parse().unwrap();
        let connection = runtime.block_on(options.disable_statement_logging().connect()).unwrap();
        let mut client = Client { runtime, connection };
        client.sql("SET lock_timeout = 1000").unwrap();
        client
    }

    fn sql(&mut self, sql: &str) -> Result<Vec<(i64, i64)>, String> {
        let rows = self.runtime.block_on(self.connection.fetch_all(sqlx::raw_sql(AssertSqlSafe(sql))));
        let rows = rows.map_err(|error| error.to_string())?;
        Ok(rows.iter().map(|row| (row.try_get(0).unwrap_or(0), row.try_get(1).unwrap_or(0))).collect())
    }
}

/// How a version is stamped.
#[derive(Clone, Copy, PartialEq)]
enum Stamp {
    /// With the beginning of its transaction.
    Transaction,
    /// With the writer's own clock, a little while ago.
    Writer(Time),
    /// With what stood there before, or at the very first.
    Stale,
    Null,
}

struct Writer<'t> {
    client: Client,
    random: Random,
    table: &'t str,
    /// The column rises with each change.
    honest: bool,
    /// What the columns round their times to.
    unit: Span,
    truth: &'t Mutex<Truth>,
    count: u64,
}

impl Writer<'_> {
    fn run(&mut self) {
        // A busy machine takes its time to let it in.
        let until = Instant::now() + WRITES_FOR;
        while Instant::now() < until || self.truth.lock().unwrap().0.len() <= WRITTEN_MIN {
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
        self.client.sql("BEGIN")?;
        // Its beginning, as the server knows it, is no later.
        self.client.sql("SELECT 1::int8, 1::int8")?;
        let began = now();
        if self.random.once_in(2) {
            self.pause();
        }
        let mut wrote = Vec::new();
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
        if self.random.once_in(3) {
            self.pause();
        }
        match self.random.below(8) {
            0 => self.client.sql("ROLLBACK").map(drop),
            1 => self.prepare(began, wrote),
            _ => self.commit("COMMIT", began, wrote),
        }
    }

    fn prepare(&mut self, began: Time, wrote: Vec<(i64, i64, Stamp, bool)>) -> Result<(), String> {
        self.count += 1;
        let name = format!("{} {} {}", self.table, self.random.0, self.count);
        self.client.sql(&format!("PREPARE TRANSACTION '{name}'"))?;
        self.pause();
        if self.random.once_in(4) {
            return self.client.sql(&format!("ROLLBACK PREPARED '{name}'")).map(drop);
        }
        self.commit(&format!("COMMIT PREPARED '{name}'"), began, wrote)
    }

    fn commit(&mut self, sql: &str, began: Time, wrote: Vec<(i64, i64, Stamp, bool)>) -> Result<(), String> {
        let from = now();
        self.client.sql(sql)?;
        let by = now();
        let mut truth = self.truth.lock().unwrap();
        for (id, version, stamp, deleted) in wrote {
            let (event, late) = match stamp {
                Stamp::Writer(at) => (at, by.since(at) > LATENESS),
                _ => (began, false),
            };
            let event = Time((event.0 + self.unit.0 / 2) / self.unit.0 * self.unit.0);
            truth.0.insert((id, version), Written { event, from, by, late, deleted });
        }
        Ok(())
    }

    /// One change: the versions that it makes, each with how it is stamped and whether it is the end.
    fn write(&mut self) -> Result<Vec<(i64, i64, Stamp, bool)>, String> {
        let (table, stamp) = (self.table, self.stamp());
        let value = match stamp {
            Stamp::Transaction => "now()".to_owned(),
            Stamp::Writer(at) => format!("'{at}'"),
            Stamp::Stale => ["updated_at", "created_at"][self.random.below(2) as usize].into(),
            Stamp::Null => "NULL".into(),
        };
        let which = self.random.below(12) + 1;
        let rows = match self.random.below(10) {
            0..4 => {
                // Several at once are tied.
                let count = if self.random.once_in(4) { 5 } else { 1 };
                let old = Time((now() - Span::seconds(86_400)).0 / 1_000 * 1_000);
                // A row that is brought in from elsewhere with a time of yesterday is late, by what was declared.
                let (stamp, value) = match stamp {
                    Stamp::Stale => (Stamp::Writer(old), format!("'{old}'")),
                    stamp => (stamp, value),
                };
                let rows = self.client.sql(&format!(
                    "INSERT INTO {table} (v, reference, created_at, updated_at) SELECT 1, {which}, {value}, {value} \
                     FROM generate_series(1, {count}) RETURNING id, v"
                ))?;
                return Ok(rows.into_iter().map(|(id, v)| (id, v, stamp, false)).collect());
            }
            9 if self.random.once_in(3) => {
                let gone = self.client.sql(&format!("DELETE FROM {table} WHERE id = {which} RETURNING id, v + 1"))?;
                return Ok(gone.into_iter().map(|(id, v)| (id, v, Stamp::Transaction, true)).collect());
            }
            _ => self.client.sql(&format!(
                "UPDATE {table} SET v = v + 1, reference = nullif(reference, {which}), updated_at = {value} \
                 WHERE id = {which} RETURNING id, v"
            ))?,
        };
        Ok(rows.into_iter().map(|(id, v)| (id, v, stamp, false)).collect())
    }

    fn stamp(&mut self) -> Stamp {
        let ago = Span(self.random.below(150) as i64 * 1_000_000);
        match self.random.below(if self.honest { 6 } else { 10 }) {
            0..4 => Stamp::Transaction,
            // Microseconds are all that the column keeps.
            4 | 5 => Stamp::Writer(Time((now() - ago).0 / 1_000 * 1_000)),
            6..9 => Stamp::Stale,
            _ => Stamp::Null,
        }
    }
}

fn source(url: &str, table: &Table) -> Box<dyn Source> {
    let common = Common { poll: Span(30_000_000), lateness: LATENESS, ..COMMON };
    Box::new(Poll::new(Options { url: Secret(url.into()), tables: vec![table.clone()], common }))
}

/// One round: what is wrong afterwards.
fn round(server: &Postgres, seed: u64) -> Vec<String> {
    let mut random = Random(seed);
    let name = format!("round_{seed}");
    let url = server.url("postgres", "", "postgres");
    let honest = random.once_in(3);
    let updated = (honest || random.once_in(2)).then(|| "updated_at".to_owned());
    let sweep = match random.below(3) {
        _ if honest => Sweep::Never,
        0 => Sweep::Every(Span(200_000_000)),
        _ => Sweep::Gentle,
    };
    let start = if random.once_in(2) { Start::Beginning } else { Start::Latest };
    let table = Table { updated, sweep, start, ..table(&name) };
    let mut client = Client::connect(&url);
    let index = if random.once_in(2) { format!("CREATE INDEX ON {name} (updated_at);") } else { String::new() };
    let digits = [6, 6, 3, 0][random.below(4) as usize];
    // Where no column says when, it is when the transaction began.
    let unit = Span(if table.updated.is_some() { 1_000_000_000 / 10_i64.pow(digits) } else { 1 });
    client
        .sql(&format!(
            "CREATE TABLE {name} (id bigserial PRIMARY KEY, v bigint, reference bigint, \
             created_at timestamptz({digits}), updated_at timestamptz({digits})); {index}"
        ))
        .unwrap();
    let watch = Watch::start(source(&url, &table), Place::default());
    watch.until_caught_up();
    let truth = Mutex::new(Truth::default());
    let (mut said, watch) = thread::scope(|scope| {
        for writer in 0..WRITERS {
            let (table, truth, url) = (&name, &truth, &url);
            let random = Random(seed.wrapping_mul(31).wrapping_add(writer));
            scope.spawn(move || {
                let client = Client::connect(url);
                Writer { client, random, table, honest, unit, truth, count: 0 }.run();
            });
        }
        disturb(&mut client, &mut random, watch, || source(&url, &table))
    });
    let truth = truth.into_inner().unwrap();
    assert!(truth.0.len() > WRITTEN_MIN, "nothing was written");
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
) -> (Vec<(Time, crate::watch::Said)>, Watch) {
    thread::sleep(Duration::from_millis(300 + random.below(500)));
    match random.below(3) {
        0 => {
            let (said, place) = watch.stop_at();
            thread::sleep(Duration::from_millis(random.below(400)));
            (said, Watch::start(source(), place))
        }
        1 => {
            client
                .sql("SELECT pg_terminate_backend(pid)::int::int8, 0::int8 FROM pg_stat_activity WHERE application_name = 'throughline'")
                .unwrap();
            (Vec::new(), watch)
        }
        _ => (Vec::new(), watch),
    }
}

#[test]
fn whatever_is_committed_late_is_read_and_nothing_is_claimed_before() {
    let server = Postgres::start(&["max_prepared_transactions=50", "max_connections=90", "log_statement=none"]);
    let first = seed();
    let failed = AtomicBool::new(false);
    let all = rounds(8);
    thread::scope(|scope| {
        for lane in 0..AT_ONCE {
            let (server, failed) = (&server, &failed);
            scope.spawn(move || {
                for number in (lane..all).step_by(AT_ONCE as usize) {
                    let lies = round(server, first + number);
                    if !lies.is_empty() {
                        failed.store(true, Relaxed);
                        eprintln!("SEED={} ROUNDS=1:\n  {}", first + number, lies.join("\n  "));
                    }
                }
            });
        }
    });
    assert!(!failed.load(Relaxed), "the source said what was not so");
}
