//! Writers of SQLite that stamp first and commit later, write old stamps back, or commit not at all.

use super::{Writer, source_as};
use crate::late::{Random, Truth, Written, rounds, seed};
use crate::postgres::{COMMON, table};
use crate::watch::{Place, Watch, now};
use sqlx::sqlite::SqliteJournalMode;
use std::path::Path;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::thread;
use std::time::{Duration, Instant};
use throughline::model::time::{Span, Time};
use throughline::sources::live::Start;
use throughline::sources::tables::{Common, Sweep, Table};

/// Later than this no writer commits, or it is late.
const LATENESS: Span = Span(500_000_000);
/// How long a round writes, and more than how many versions it does at least.
const WRITES_FOR: Duration = Duration::from_millis(1_500);
const WRITTEN_MIN: usize = 10;
const AT_ONCE: u64 = 3;
const WRITERS: u64 = 3;

struct Late<'t> {
    writer: Writer,
    random: Random,
    /// The column rises with each change.
    honest: bool,
    truth: &'t Mutex<Truth>,
}

/// A version that is not committed yet: row, version, what it is stamped with, whether it is the end.
type Wrote = (i64, i64, Time, bool);

impl Late<'_> {
    fn run(&mut self) {
        // A busy machine takes its time to let it in.
        let until = Instant::now() + WRITES_FOR;
        while Instant::now() < until || self.truth.lock().unwrap().0.len() <= WRITTEN_MIN {
            self.transaction();
            thread::sleep(Duration::from_millis(self.random.below(30)));
        }
    }

    fn transaction(&mut self) {
        self.writer.sql("BEGIN IMMEDIATE");
        let mut wrote = Vec::new();
        for _ in 0..=self.random.below(3) {
            let savepoint = self.random.once_in(4);
            if savepoint {
                self.writer.sql("SAVEPOINT inner_one");
            }
            let versions = self.write();
            if savepoint && self.random.once_in(3) {
                self.writer.sql("ROLLBACK TO inner_one");
            } else {
                wrote.extend(versions);
            }
        }
        let long = if self.random.once_in(4) { 200 } else { 10 };
        thread::sleep(Duration::from_millis(self.random.below(long)));
        if self.random.once_in(8) {
            self.writer.sql("ROLLBACK");
            return;
        }
        let from = now();
        self.writer.sql("COMMIT");
        let by = now();
        let mut truth = self.truth.lock().unwrap();
        for (id, version, event, deleted) in wrote {
            let late = by.since(event) > LATENESS;
            truth.0.insert((id, version), Written { event, from, by, late, deleted });
        }
    }

    fn write(&mut self) -> Vec<Wrote> {
        let at = now();
        let stamp = Time((at.0 - self.random.below(80) as i64 * 1_000_000) / 1_000_000 * 1_000_000);
        let text = stamp.to_string().replace('T', " ").replace('Z', "");
        let text = if text.contains('.') { text } else { text + ".000" };
        let stale = !self.honest && self.random.once_in(2);
        let which = self.random.below(12) + 1;
        let rows = |ids: Vec<i64>, version: &mut dyn FnMut(i64) -> i64, at, deleted| -> Vec<Wrote> {
            ids.into_iter().map(|id| (id, version(id), at, deleted)).collect()
        };
        match self.random.below(10) {
            0..4 => {
                let count = if self.random.once_in(4) { 5 } else { 1 };
                let values = vec![format!("(1, {which}, '{text}', '{text}')"); count].join(", ");
                let sql =
                    format!("INSERT INTO rows (v, reference, created_at, updated_at) VALUES {values} RETURNING id");
                rows(self.writer.sql(&sql), &mut |_| 1, stamp, false)
            }
            9 if self.random.once_in(3) => {
                let versions = self.writer.sql(&format!("SELECT v + 1 FROM rows WHERE id = {which}"));
                let gone = self.writer.sql(&format!("DELETE FROM rows WHERE id = {which} RETURNING id"));
                rows(gone, &mut |_| versions[0], at, true)
            }
            _ => {
                let value = match stale {
                    true => ["updated_at", "created_at", "NULL"][self.random.below(3) as usize].to_owned(),
                    false => format!("'{text}'"),
                };
                let sql = format!(
                    "UPDATE rows SET v = v + 1, reference = nullif(reference, {which}), updated_at = {value} \
                     WHERE id = {which} RETURNING v"
                );
                let versions = self.writer.sql(&sql);
                versions.into_iter().map(|v| (which as i64, v, if stale { at } else { stamp }, false)).collect()
            }
        }
    }
}

/// One round: what is wrong afterwards.
fn round(folder: &Path, seed: u64) -> Vec<String> {
    let mut random = Random(seed);
    let path = folder.join(format!("{seed}.db"));
    let honest = random.once_in(3);
    let updated = (honest || random.once_in(2)).then(|| "updated_at".to_owned());
    let sweep = match random.below(3) {
        _ if honest => Sweep::Never,
        0 => Sweep::Every(Span(200_000_000)),
        _ => Sweep::Gentle,
    };
    let start = if random.once_in(2) { Start::Beginning } else { Start::Latest };
    let table = Table { updated, sweep, start, ..table("rows") };
    let mode = if random.once_in(3) { SqliteJournalMode::Delete } else { SqliteJournalMode::Wal };
    let mut writer = Writer::open(&path, mode);
    writer.sql(
        "CREATE TABLE rows (id integer PRIMARY KEY AUTOINCREMENT, v integer, reference integer, created_at text, \
         updated_at text)",
    );
    if random.once_in(2) {
        writer.sql("CREATE INDEX updated ON rows (updated_at)");
    }
    let common = Common { poll: Span(30_000_000), lateness: LATENESS, ..COMMON };
    let source = || source_as(path.clone(), vec![table.clone()], common);
    let watch = Watch::start(source(), Place::default());
    watch.until_caught_up();
    let truth = Mutex::new(Truth::default());
    let (mut said, watch) = thread::scope(|scope| {
        for number in 0..WRITERS {
            let (path, truth) = (&path, &truth);
            let random = Random(seed.wrapping_mul(31).wrapping_add(number));
            scope.spawn(move || Late { writer: Writer::open(path, mode), random, honest, truth }.run());
        }
        thread::sleep(Duration::from_millis(300 + random.below(500)));
        if random.once_in(2) {
            return (Vec::new(), watch);
        }
        let (said, place) = watch.stop_at();
        thread::sleep(Duration::from_millis(random.below(400)));
        (said, Watch::start(source(), place))
    });
    let truth = truth.into_inner().unwrap();
    assert!(truth.0.len() > WRITTEN_MIN, "nothing was written");
    let before: Vec<_> = said.iter().map(|(_, said)| said).cloned().collect();
    watch.until("all rows as they are", |now| truth.is_seen(&[&before[..], now].concat()));
    said.extend(watch.said_at());
    watch.stop();
    let mut lies = truth.lies(&said, LATENESS);
    if !lies.is_empty() {
        lies.push(format!("{mode:?}, {table:?}"));
    }
    lies
}

#[test]
fn whatever_is_committed_late_is_read_and_nothing_is_claimed_before() {
    let folder = tempfile::tempdir().unwrap();
    let first = seed();
    let failed = AtomicBool::new(false);
    let all = rounds(6);
    thread::scope(|scope| {
        for lane in 0..AT_ONCE {
            let (folder, failed) = (folder.path(), &failed);
            scope.spawn(move || {
                for number in (lane..all).step_by(AT_ONCE as usize) {
                    let lies = round(folder, first + number);
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
