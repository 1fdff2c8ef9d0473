//! More than may be held at a time: one huge transaction, and a large table that is read from its beginning.

use super::{options, server};
use crate::watch::now;
use std::collections::BTreeSet;
use std::fs;
use std::time::{Duration, Instant};
use throughline::model::time::Time;
use throughline::sources::live::{Intake, Record, Source, Start, Stopped};
use throughline::sources::postgres::changes::{Changes, Options};

const ROWS: usize = 200_000;
/// What the rows take is a multiple of it.
const GROWS_MAX: u64 = 150 << 20;
const PATIENCE: Duration = Duration::from_secs(180);

/// Counts, keeps nothing, and ends the source when enough has come.
struct Counting {
    began: Instant,
    enough: usize,
    cursor: Vec<u8>,
    records: usize,
    ops: BTreeSet<Option<String>>,
    bytes: usize,
    undelivered: usize,
    undelivered_max: usize,
    memory_max: u64,
}

impl Counting {
    fn until(enough: usize) -> Counting {
        Counting {
            began: Instant::now(),
            enough,
            cursor: Vec::new(),
            records: 0,
            ops: BTreeSet::new(),
            bytes: 0,
            undelivered: 0,
            undelivered_max: 0,
            memory_max: 0,
        }
    }
}

/// The memory of this process.
fn memory() -> u64 {
    let status = fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find(|line| line.starts_with("VmRSS:")).unwrap();
    line.split_whitespace().nth(1).unwrap().parse::<u64>().unwrap() << 10
}

impl Intake for Counting {
    fn part(&mut self, _name: &str) -> u32 {
        0
    }

    fn header(&mut self, _part: u32, _payload: &[u8]) {}

    fn record(&mut self, record: Record<'_>) {
        self.records += 1;
        self.bytes += record.payload.len();
        self.undelivered += 1;
        self.undelivered_max = self.undelivered_max.max(self.undelivered);
        if !self.ops.iter().any(|op| op.as_deref() == record.op) {
            self.ops.insert(record.op.map(str::to_owned));
        }
    }

    fn undecodable(&mut self, _part: u32, _offset: u64, _reason: &'static str, _detail: &str, _text: &[u8]) {}

    fn hole(&mut self, why: &str) {
        panic!("{why}");
    }

    fn caught_up(&mut self, _at: Time) {}

    fn deliver(&mut self, cursor: &[u8]) -> Result<(), Stopped> {
        self.undelivered = 0;
        self.cursor = cursor.to_vec();
        self.memory_max = self.memory_max.max(memory());
        assert!(self.began.elapsed() < PATIENCE, "{} records came", self.records);
        if self.records >= self.enough { Err(Stopped) } else { Ok(()) }
    }

    fn durable(&mut self) -> Option<&[u8]> {
        None
    }

    fn trouble(&mut self, what: &str) {
        panic!("{what}");
    }

    fn pause(&mut self, span: Duration) -> Result<(), Stopped> {
        self.memory_max = self.memory_max.max(memory());
        std::thread::sleep(span.min(Duration::from_millis(20)));
        Ok(())
    }

    fn now(&self) -> Time {
        now()
    }
}

#[test]
fn one_huge_transaction_takes_bounded_memory() {
    let server = server();
    let mut counting = Counting::until(ROWS);
    std::thread::scope(|scope| {
        let port = server.port;
        scope.spawn(|| {
            // After the slot began: a source waits for no transaction that began before it.
            std::thread::sleep(Duration::from_secs(2));
            let rows = format!("insert into events select n, repeat('x', 1500) from generate_series(1, {ROWS}) n");
            server.sql("postgres", &format!("begin; {rows}; update events set what = what || 'y'; commit"));
        });
        let before = memory();
        Changes::new(options(port, &["events"])).follow(None, &mut counting).unwrap();
        let grown = counting.memory_max.saturating_sub(before);
        println!("{} records, {} MiB, memory grew by {} MiB", counting.records, counting.bytes >> 20, grown >> 20);
        assert_eq!((counting.records, counting.ops), (ROWS, BTreeSet::from([Some("insert".to_owned())])));
        assert!(counting.bytes as u64 > 280 << 20, "{} bytes", counting.bytes);
        assert!(counting.undelivered_max <= 10_000, "{}", counting.undelivered_max);
        assert!(grown < GROWS_MAX, "memory grew by {grown} bytes");
    });
}

#[test]
fn a_beginning_that_is_broken_off_is_read_again() {
    const THERE: usize = 25_000;
    let server = server();
    server.sql("postgres", &format!("insert into events select n, 'x' from generate_series(1, {THERE}) n"));
    let options = options(server.port, &["events"]);
    let options = Options { start: Start::Beginning, slot: Some("watch".into()), ..options };
    let mut first = Counting::until(1);
    Changes::new(options.clone()).follow(None, &mut first).unwrap();
    assert!(first.records < THERE, "it was broken off");
    let mut second = Counting::until(THERE);
    Changes::new(options).follow(Some(&first.cursor), &mut second).unwrap();
    assert_eq!((second.records, second.ops), (THERE, BTreeSet::from([None])));
}
