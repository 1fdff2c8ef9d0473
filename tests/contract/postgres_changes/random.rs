//! Several writers at once, with long, large, aborted and prepared transactions: exactly what was committed is handed
//! over, and no proof is ahead of the truth.
//!
//! `CHANGES_ROUNDS` says how many rounds; `CHANGES_SEED` plays one again.

use super::{SETTINGS, SETUP, options};
use crate::servers::postgres::Postgres;
use crate::servers::proxy::Proxy;
use crate::watch::{Place, Said, Seen, Watch, now};
use sqlx::postgres::PgConnection;
use sqlx::{AssertSqlSafe, Connection};
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::thread;
use throughline::model::time::{Span, Time};
use throughline::sources::postgres::changes::{Changes, Options};

const ROUNDS: u64 = 8;
const WRITERS: u64 = 4;
const TRANSACTIONS: u64 = 6;
/// Rows that a writer has, each with a table of its own choice.
const ROWS: u64 = 12;
const LATENESS: Span = Span::seconds(1);

/// What a transaction did to rows: (table, id) → the operation and the new text.
type Effects = BTreeMap<(&'static str, u64), (&'static str, Option<String>)>;

/// A transaction that was committed, and when that was seen.
#[derive(Clone, Debug)]
struct Committed {
    xid: String,
    effects: Effects,
    visible: Time,
}

/// Numbers that look random, the same for a seed.
struct Random(u64);

impl Random {
    fn below(&mut self, limit: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (z ^ (z >> 31)) % limit
    }

    fn chance(&mut self, percent: u64) -> bool {
        self.below(100) < percent
    }
}

/// One connection that writes rows of its own.
struct Writer {
    number: u64,
    random: Random,
    runtime: tokio::runtime::Runtime,
    connection: PgConnection,
    /// What of its rows is there.
    rows: BTreeMap<(&'static str, u64), String>,
    /// A prepared transaction that nobody has ended, and the rows that it holds.
    prepared: Option<(String, String, Effects)>,
    texts: u64,
    committed: Arc<Mutex<Vec<Committed>>>,
}

impl Writer {
    fn new(number: u64, url: &str, seed: u64, committed: Arc<Mutex<Vec<Committed>>>) -> Writer {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let connection = runtime.block_on(PgConnection::connect(url)).unwrap();
        let random = Random(seed ^ (number << 32));
        Writer { number, random, runtime, connection, rows: BTreeMap::new(), prepared: None, texts: 0, committed }
    }

    fn run(&mut self, sql: String) {
        let done = self.runtime.block_on(sqlx::raw_sql(AssertSqlSafe(sql.clone())).execute(&mut self.connection));
        done.unwrap_or_else(|error| panic!("{sql}: {error}"));
    }

    fn round(&mut self) {
        for _ in 0..TRANSACTIONS {
            self.transaction();
            if self.random.chance(30) {
                self.end_prepared();
            }
        }
    }

    fn transaction(&mut self) {
        let asynchronous = if self.random.chance(30) { "; set local synchronous_commit = off" } else { "" };
        self.run(format!("begin{asynchronous}"));
        let xid: String = self
            .runtime
            .block_on(sqlx::query_scalar("select pg_current_xact_id()::text").fetch_one(&mut self.connection))
            .unwrap();
        let mut effects = Effects::new();
        let changes = if self.random.chance(5) { 2_000 } else { 1 + self.random.below(6) };
        for _ in 0..changes {
            if self.random.chance(15) {
                // What a savepoint takes back never was.
                self.run("savepoint s".into());
                self.change(&mut effects.clone());
                self.run("rollback to savepoint s".into());
            }
            self.change(&mut effects);
            if changes < 10 && self.random.chance(10) {
                thread::sleep(std::time::Duration::from_millis(self.random.below(60)));
            }
        }
        match self.random.below(10) {
            0 | 1 => self.run("rollback".into()),
            2 if self.prepared.is_none() => {
                let name = format!("w{}x{xid}", self.number);
                self.run(format!("prepare transaction '{name}'"));
                self.prepared = Some((name, xid, effects));
            }
            _ => {
                self.run("commit".into());
                self.done(xid, effects);
            }
        }
    }

    fn end_prepared(&mut self) {
        let Some((name, xid, effects)) = self.prepared.take() else { return };
        if self.random.chance(70) {
            self.run(format!("commit prepared '{name}'"));
            self.done(xid, effects);
        } else {
            self.run(format!("rollback prepared '{name}'"));
        }
    }

    /// Changes a row that no prepared transaction holds.
    fn change(&mut self, effects: &mut Effects) {
        let table = ["events", "others"][self.random.below(2) as usize];
        let id = self.number * 1_000_000 + self.random.below(ROWS);
        let row = (table, id);
        if self.prepared.as_ref().is_some_and(|(_, _, held)| held.contains_key(&row)) {
            return;
        }
        self.texts += 1;
        let text = format!("{}-{}", self.number, self.texts);
        let existed = self.rows.contains_key(&row);
        let there = effects.get(&row).map_or(existed, |(op, _)| *op != "delete" && *op != "gone");
        if !there {
            self.run(format!("insert into {table} values ({id}, '{text}')"));
            effects.insert(row, (if existed { "update" } else { "insert" }, Some(text)));
        } else if self.random.chance(25) {
            self.run(format!("delete from {table} where id = {id}"));
            let last = effects.get(&row).and_then(|(_, text)| text.clone());
            effects.insert(row, if existed { ("delete", None) } else { ("gone", last) });
        } else {
            self.run(format!("update {table} set what = '{text}' where id = {id}"));
            effects.insert(row, (if existed { "update" } else { "insert" }, Some(text)));
        }
    }

    fn done(&mut self, xid: String, effects: Effects) {
        for (row, (op, text)) in &effects {
            match (*op, text) {
                ("insert" | "update", Some(text)) => _ = self.rows.insert(*row, text.clone()),
                _ => _ = self.rows.remove(row),
            }
        }
        self.committed.lock().unwrap().push(Committed { xid, effects, visible: now() });
    }
}

fn number(name: &str) -> Option<u64> {
    std::env::var(name).ok()?.parse().ok()
}

#[test]
fn exactly_what_was_committed_comes_and_no_proof_is_ahead_of_it() {
    let seed = number("CHANGES_SEED").unwrap_or_else(|| now().0 as u64);
    println!("CHANGES_SEED={seed}");
    let server = Postgres::start(&SETTINGS);
    server.sql("postgres", SETUP);
    let proxy = Proxy::to(server.port);
    let mut random = Random(seed);
    let committed = Arc::<Mutex<Vec<Committed>>>::default();
    let url = server.url("postgres", "", "postgres");
    let mut writers: Vec<Writer> =
        (0..WRITERS).map(|number| Writer::new(number + 1, &url, random.below(u64::MAX), committed.clone())).collect();
    let options = Options { slot: Some("watch".into()), ..options(proxy.port, &super::TABLES) };
    let source = || Box::new(Changes::new(options.clone()));
    let mut watch = Watch::start(source(), Place::default());
    watch.until_caught_up();
    let mut said = Vec::new();
    for round in 0..number("CHANGES_ROUNDS").unwrap_or(ROUNDS) {
        thread::scope(|scope| {
            writers.iter_mut().for_each(|writer| _ = scope.spawn(|| writer.round()));
            if random.chance(25) {
                proxy.cut();
            }
        });
        if random.chance(25) {
            let (before, place) = watch.stop();
            said.extend(before);
            watch = Watch::start(source(), place);
        }
        let now = watch.until_caught_up();
        said.extend(now);
        judge(&said, &committed.lock().unwrap(), &format!("CHANGES_SEED={seed}, round {round}"));
        // What has been judged is not judged again.
        let (rest, place) = watch.stop();
        said.extend(rest);
        said.clear();
        committed.lock().unwrap().clear();
        watch = Watch::start(source(), place);
    }
    watch.stop();
}

fn judge(said: &[Said], committed: &[Committed], place: &str) {
    let mut expected: BTreeMap<&str, (Vec<String>, Time)> = BTreeMap::new();
    for one in committed.iter().filter(|one| !one.effects.is_empty()) {
        expected.insert(&one.xid, (lines_of(&one.effects), one.visible));
    }
    let mut seen: BTreeMap<String, Vec<String>> = BTreeMap::new();
    let mut positions = BTreeMap::new();
    let mut proven = Time(0);
    for said in said {
        match said {
            Said::Record(record) => {
                let line = line_of(record);
                // After a fault it may come again, at the same place.
                let before = positions.insert((record.part.clone(), record.offset), line.clone());
                if let Some(before) = before {
                    assert_eq!(before, line, "{place}: two records at {}:{}", record.part, record.offset);
                    continue;
                }
                let xid = &record.headers[1].1;
                seen.entry(xid.clone()).or_default().push(line);
                let time = record.time.unwrap();
                assert!(time + LATENESS >= proven, "{place}: {record:?} came after the proof of {proven}");
            }
            Said::CaughtUp(at) => {
                proven = proven.max(*at);
                let missing = expected.iter().find(|(xid, (lines, visible))| {
                    *visible < *at && seen.get(**xid).map_or(0, Vec::len) < lines.len()
                });
                assert!(missing.is_none(), "{place}: caught up at {at} without {missing:?}");
            }
            Said::Hole(why) => panic!("{place}: a permanent slot loses nothing: {why}"),
            _ => {}
        }
    }
    for (xid, (lines, _)) in &expected {
        let mut came = seen.remove(*xid).unwrap_or_default();
        came.sort();
        assert_eq!(&came, lines, "{place}: transaction {xid}");
    }
    assert!(seen.is_empty(), "{place}: never committed: {seen:?}");
}

fn lines_of(effects: &Effects) -> Vec<String> {
    let mut lines = Vec::new();
    for ((table, id), (op, text)) in effects {
        let row = |text: &Option<String>| format!(r#"{{"id":{id},"what":"{}"}}"#, text.as_deref().unwrap_or_default());
        match *op {
            "delete" => lines.push(format!(r#"delete {table} {{"id":{id}}}"#)),
            "gone" => {
                lines.push(format!("insert {table} {}", row(text)));
                lines.push(format!(r#"delete {table} {{"id":{id}}}"#));
            }
            op => lines.push(format!("{op} {table} {}", row(text))),
        }
    }
    lines.sort();
    lines
}

fn line_of(record: &Seen) -> String {
    format!("{} {} {}", record.op.as_deref().unwrap_or("-"), record.part, record.payload)
}
