//! Random lives of a source: its connection is cut and stalled, it is stopped and killed while the journal lags behind,
//! and messages come all the time. None may be missing without a hole, none may come under two positions, and no proof may
//! be ahead of the truth.
//!
//! `RABBITMQ_ROUNDS=200 RABBITMQ_SEED=1 cargo test --test contract rabbitmq::random` tries harder, or the same again.

use super::super::servers::proxy::Proxy;
use super::super::servers::rabbitmq::{Rabbitmq as Server, WATCHER};
use super::super::watch::now;
use super::client::Client;
use super::{allow, bound, options};
use lapin::BasicProperties;
use std::collections::{BTreeMap, VecDeque};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{Duration, Instant};
use throughline::model::time::{Span, Time};
use throughline::sources::live::{Failure, Intake, Note, Record, Source, Stopped};
use throughline::sources::rabbitmq::{Options, Rabbitmq};

const ROUNDS: u64 = 3;
const ROUND_FOR: Duration = Duration::from_millis(2_500);
const PATIENCE: Duration = Duration::from_secs(60);

#[derive(Clone, Debug)]
enum Word {
    Record(String, u64, u64),
    Hole,
    CaughtUp(Time),
}

/// A journal that has things on disk only after a while; what it has not, a crash forgets.
#[derive(Default)]
struct Journal {
    parts: Vec<String>,
    durable: Vec<Word>,
    cursor: Option<Vec<u8>>,
    on_their_way: VecDeque<(Instant, Vec<Word>, Vec<u8>)>,
    lag: Duration,
}

impl Journal {
    fn settle(&mut self, all: bool) {
        let due = |since: &Instant, lag| all || since.elapsed() >= lag;
        while let Some((_, words, cursor)) = self.on_their_way.pop_front_if(|(since, ..)| due(since, self.lag)) {
            self.durable.extend(words);
            self.cursor = Some(cursor);
        }
    }
}

struct Desk {
    journal: Arc<Mutex<Journal>>,
    stop: Arc<AtomicBool>,
    waiting: Vec<Word>,
    durable: Option<Vec<u8>>,
}

impl Intake for Desk {
    fn part(&mut self, name: &str) -> u32 {
        let mut journal = self.journal.lock().unwrap();
        let known = journal.parts.iter().position(|part| part == name);
        known.unwrap_or_else(|| {
            journal.parts.push(name.to_owned());
            journal.parts.len() - 1
        }) as u32
    }

    fn header(&mut self, _: u32, _: &[u8]) {}

    fn record(&mut self, record: Record<'_>) {
        let id = std::str::from_utf8(record.payload).unwrap().parse().unwrap();
        self.waiting.push(Word::Record(record.stream.unwrap().to_owned(), record.offset, id));
    }

    fn undecodable(&mut self, _: u32, _: u64, _: &'static str, _: &str, _: &[u8]) {}

    fn hole(&mut self, why: &str) {
        eprintln!("  hole: {why}");
        self.waiting.push(Word::Hole);
    }

    fn caught_up(&mut self, at: Time) {
        self.waiting.push(Word::CaughtUp(at));
    }

    fn note(&mut self, _: u64, _: Option<Note>) {}

    fn deliver(&mut self, cursor: &[u8]) -> Result<(), Stopped> {
        if self.stop.load(Ordering::Relaxed) {
            return Err(Stopped);
        }
        let mut journal = self.journal.lock().unwrap();
        journal.on_their_way.push_back((Instant::now(), std::mem::take(&mut self.waiting), cursor.to_vec()));
        journal.settle(false);
        Ok(())
    }

    fn durable(&mut self) -> Option<&[u8]> {
        let mut journal = self.journal.lock().unwrap();
        journal.settle(false);
        self.durable.clone_from(&journal.cursor);
        self.durable.as_deref()
    }

    fn trouble(&mut self, what: &str) {
        panic!("{what}");
    }

    fn pause(&mut self, span: Duration) -> Result<(), Stopped> {
        thread::sleep(span);
        if self.stop.load(Ordering::Relaxed) { Err(Stopped) } else { Ok(()) }
    }

    fn now(&self) -> Time {
        now()
    }
}

/// A life of the source's process, until it is stopped; what was on its way to the journal stays on its way.
fn live(options: Options, journal: &Arc<Mutex<Journal>>, stop: &Arc<AtomicBool>) {
    let (journal, stop) = (journal.clone(), stop.clone());
    let mut source = Rabbitmq::new(options);
    let mut desk = Desk { journal, stop, waiting: Vec::new(), durable: None };
    loop {
        // Within one life, it goes on from the last delivery, durable or not.
        let cursor = {
            let journal = desk.journal.lock().unwrap();
            journal.on_their_way.back().map(|(.., cursor)| cursor.clone()).or_else(|| journal.cursor.clone())
        };
        let done = source.follow(cursor.as_deref(), &mut desk);
        // What was told of holes is not forgotten by a failure; records that were not delivered are.
        desk.waiting.retain(|word| matches!(word, Word::Hole));
        match done {
            Ok(()) => return,
            Err(Failure(why)) => eprintln!("  failed: {why}"),
        }
        if desk.pause(Duration::from_millis(100)).is_err() {
            return;
        }
    }
}

struct Plan {
    seed: u64,
    overflows: bool,
}

fn round(server: &Server, plan: &Plan) {
    let Plan { seed, overflows } = *plan;
    let mut random = fastrand::Rng::with_seed(seed);
    let proxy = Proxy::to(server.port);
    let max_messages = if overflows { 60 } else { 40_000 };
    let taps = || vec![bound("orders", "shop", &["orders"]), bound("others", "shop", &["others"])];
    let url = server.url(WATCHER, proxy.port);
    // What rounds leave behind is bound as well, and would be written to by all that follow.
    let options = || Options { max_messages, keep: Span::seconds(20), ..options(url.clone(), taps()) };
    let journal =
        Arc::new(Mutex::new(Journal { lag: Duration::from_millis(random.u64(0..150)), ..Journal::default() }));
    let visible = Mutex::new(BTreeMap::new());
    let (next, over) = (AtomicU64::new(0), AtomicBool::new(false));
    let is_complete = |words: &[Word]| {
        let visible = visible.lock().unwrap();
        let last = visible.values().max().copied().unwrap_or(Time(0));
        words.iter().any(|word| matches!(word, Word::CaughtUp(at) if *at > last))
    };
    thread::scope(|scope| {
        let mut stop = Arc::new(AtomicBool::new(false));
        let start = |stop: &Arc<AtomicBool>| {
            let (options, journal, stop) = (options(), journal.clone(), stop.clone());
            scope.spawn(move || live(options, &journal, &stop))
        };
        let mut running = start(&stop);
        let give_up = |since: Instant, what: &str, stop: &AtomicBool| {
            if since.elapsed() > PATIENCE {
                // Else its thread would be waited for for ever.
                stop.store(true, Ordering::Relaxed);
                panic!("seed {seed}: it does not {what}");
            }
        };
        // Before the first proof nothing is promised.
        let begun = Instant::now();
        while !journal.lock().unwrap().durable.iter().any(|word| matches!(word, Word::CaughtUp(_))) {
            give_up(begun, "begin", &stop);
            thread::sleep(Duration::from_millis(5));
            journal.lock().unwrap().settle(false);
        }
        let seeds: Vec<u64> = (0..2).map(|_| random.u64(..)).collect();
        let write = |seed: &u64| {
            let (seed, visible, next, over) = (*seed, &visible, &next, &over);
            scope.spawn(move || write(server, seed, visible, next, over))
        };
        let writers: Vec<_> = seeds.iter().map(write).collect();
        let end = Instant::now() + ROUND_FOR;
        while Instant::now() < end {
            thread::sleep(Duration::from_millis(random.u64(10..400)));
            match random.u8(0..6) {
                0 | 1 => proxy.cut(),
                2 => {
                    proxy.stall(true);
                    thread::sleep(Duration::from_millis(random.u64(10..500)));
                    proxy.stall(false);
                }
                kind => {
                    stop.store(true, Ordering::Relaxed);
                    running.join().unwrap();
                    let mut journal = journal.lock().unwrap();
                    // A stop in good order makes everything durable; a crash forgets what was not.
                    if kind == 4 {
                        journal.settle(true)
                    } else {
                        journal.on_their_way.clear()
                    }
                    thread::sleep(Duration::from_millis(random.u64(0..200)));
                    stop = Arc::new(AtomicBool::new(false));
                    running = start(&stop);
                }
            }
        }
        over.store(true, Ordering::Relaxed);
        writers.into_iter().for_each(|writer| writer.join().unwrap());
        let begun = Instant::now();
        while !is_complete(&journal.lock().unwrap().durable) {
            give_up(begun, "come to an end", &stop);
            thread::sleep(Duration::from_millis(5));
            journal.lock().unwrap().settle(false);
        }
        stop.store(true, Ordering::Relaxed);
        running.join().unwrap();
    });
    check(&journal.lock().unwrap().durable, &visible.into_inner().unwrap(), plan);
}

fn write(server: &Server, seed: u64, visible: &Mutex<BTreeMap<u64, Time>>, next: &AtomicU64, over: &AtomicBool) {
    let mut random = fastrand::Rng::with_seed(seed);
    let client = Client::new(server);
    while !over.load(Ordering::Relaxed) {
        let key = if random.bool() { "orders" } else { "others" };
        let many = if random.u8(0..8) == 0 { random.u64(20..120) } else { random.u64(1..4) };
        let first = next.fetch_add(many, Ordering::Relaxed);
        let bodies: Vec<_> = (first..first + many).map(|id| id.to_string()).collect();
        client.publish_all("shop", key, &bodies, BasicProperties::default());
        let at = now();
        visible.lock().unwrap().extend((first..first + many).map(|id| (id, at)));
        thread::sleep(Duration::from_millis(random.u64(0..30)));
    }
}

fn check(words: &[Word], visible: &BTreeMap<u64, Time>, plan: &Plan) {
    let seed = plan.seed;
    let (mut places, mut last) = (BTreeMap::new(), BTreeMap::<&str, u64>::new());
    let mut missing = visible.clone();
    let mut holes = 0;
    let mut admitted = false;
    for word in words {
        match word {
            Word::Record(stream, offset, id) => {
                missing.remove(id);
                let before = places.insert(*id, (stream, *offset));
                assert!(before.is_none(), "seed {seed}: {id} at {before:?} and at {stream}:{offset}");
                let before = last.insert(stream, *offset);
                assert!(
                    before.is_none_or(|before| before < *offset),
                    "seed {seed}: {stream}:{offset} after {before:?}"
                );
            }
            Word::Hole => {
                holes += 1;
                admitted = true;
            }
            Word::CaughtUp(at) => {
                let ahead: Vec<_> = missing.iter().filter(|(_, visible)| *visible <= at).collect();
                assert!(ahead.is_empty() || admitted, "seed {seed}: caught up at {at} without {ahead:?}");
                // What is missing at this proof was lost in the hole before it.
                missing.retain(|_, visible| *visible > *at);
                admitted = false;
            }
        }
    }
    assert!(missing.is_empty(), "seed {seed}: {missing:?}");
    assert!(holes == 0 || plan.overflows, "seed {seed}: {holes} holes, and nothing was lost");
    eprintln!("seed {seed}: {} messages, {} seen, {holes} holes", visible.len(), places.len());
}

fn rounds(default: u64) -> (u64, u64) {
    let number = |name: &str| std::env::var(name).ok().map(|text| text.parse::<u64>().expect("a number"));
    (number("RABBITMQ_ROUNDS").unwrap_or(default), number("RABBITMQ_SEED").unwrap_or(now().0 as u64 % 1_000_000))
}

fn server() -> Server {
    let server = Server::start();
    Client::new(&server).exchange("shop", "topic");
    allow(&server, "shop$");
    server
}

#[test]
fn random_faults_lose_nothing_and_give_nothing_twice() {
    let (rounds, seed) = rounds(ROUNDS);
    let server = server();
    (seed..seed + rounds).for_each(|seed| round(&server, &Plan { seed, overflows: false }));
}

#[test]
fn random_faults_with_a_queue_that_overflows_are_admitted() {
    let (rounds, seed) = rounds(ROUNDS);
    let server = server();
    (seed..seed + rounds).for_each(|seed| round(&server, &Plan { seed, overflows: true }));
}
