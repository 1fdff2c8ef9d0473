//! Keys and a stream of one server, while connections are cut, the server dies, the stream is trimmed and the source is
//! restarted: nothing is missing without an admitted hole that is wide enough, and no entry comes twice.
//!
//! `REDIS_ROUNDS` says how many rounds; `REDIS_SEED` plays one again.

use super::super::late::Random;
use super::super::servers::redis::{NOTIFY, Redis};
use super::super::watch::{Place, Said, Seen, Watch, now};
use super::{Options, options, pattern, watch};
use std::collections::{BTreeMap, BTreeSet};
use std::thread;
use std::time::Duration;
use throughline::model::time::{Span, Time};

const ROUNDS: u64 = 25;
/// What the daemon takes from a proof, and adds to the end of a gap.
const LATENESS: Span = Span::seconds(1);

/// What was written: `k5` for a key, `s5` for an entry, and from when to when it became visible.
type Truth = BTreeMap<String, (Time, Time)>;

struct World {
    server: Redis,
    random: Random,
    next: u64,
    truth: Truth,
    /// The stream has been seen since it was made.
    is_known: bool,
}

impl World {
    fn options(&self) -> Options {
        Options { keys: vec![pattern("k:*")], streams: vec!["audit".into()], ..options(self.server.url()) }
    }

    fn follow(&self, from: Place) -> Watch {
        watch(self.options(), from)
    }

    /// Writes some keys and entries, each once.
    fn write(&mut self) {
        let mut connection = self.server.connection();
        for _ in 0..1 + self.random.below(40) {
            self.next += 1;
            let number = self.next.to_string();
            let before = now();
            let name = if self.random.once_in(2) {
                redis::cmd("SET").arg(format!("k:{number}")).arg(&number).query::<()>(&mut connection).unwrap();
                format!("k{number}")
            } else {
                redis::cmd("XADD").arg("audit").arg("*").arg("n").arg(&number).query::<()>(&mut connection).unwrap();
                format!("s{number}")
            };
            self.truth.insert(name, (before, now()));
            if self.random.once_in(10) {
                thread::sleep(Duration::from_millis(self.random.below(30)));
            }
        }
    }

    fn fault(&mut self) {
        match self.random.below(9) {
            0 => self.server.proxy().cut(),
            1 => {
                self.server.proxy().stall(true);
                self.write();
                thread::sleep(Duration::from_millis(self.random.below(300)));
                self.server.proxy().stall(false);
            }
            2 => {
                self.server.run::<u64>("XTRIM", &["audit", "MAXLEN", &self.random.below(20).to_string()]);
            }
            // One that was made and deleted between two looks nobody can see.
            3 if self.is_known => {
                self.server.run::<u64>("DEL", &["audit"]);
                self.is_known = false;
            }
            4 => {
                self.server.kill();
                self.server.start_again();
            }
            5 => {
                self.server.stop();
                self.server.start_again();
            }
            6 => {
                // Trimmed as soon as it is written.
                let before = now();
                self.next += 1;
                let number = self.next.to_string();
                self.server.run::<String>("XADD", &["audit", "MAXLEN", "0", "*", "n", &number]);
                self.truth.insert(format!("s{number}"), (before, now()));
            }
            _ => {}
        }
    }
}

fn name(seen: &Seen) -> String {
    match &seen.key {
        Some(key) => key.replace("k:", "k"),
        None => {
            let body: serde_json::Value = serde_json::from_str(&seen.payload).unwrap();
            format!("s{}", body["n"])
        }
    }
}

/// A gap as the daemon makes it of a hole: from the last proof to the next one.
struct Gap {
    from: Option<Time>,
    to: Option<Time>,
}

/// What is wrong with what was said.
fn lies(said: &[Said], truth: &Truth) -> Vec<String> {
    let mut lies = Vec::new();
    let (mut missing, mut entries) = (truth.clone(), BTreeSet::new());
    let (mut proven, mut gaps): (Option<Time>, Vec<Gap>) = (None, Vec::new());
    let end = |gaps: &mut Vec<Gap>, at: Time| {
        gaps.iter_mut().filter(|gap| gap.to.is_none()).for_each(|gap| gap.to = Some(at + LATENESS));
    };
    for said in said {
        match said {
            Said::Record(seen) => {
                let name = name(seen);
                match truth.get(&name) {
                    None => lies.push(format!("{name} was never written")),
                    Some((_, by)) if seen.time.unwrap() > *by + Span::seconds(2) => {
                        lies.push(format!("{name} was visible by {by}, and is said to be of {:?}", seen.time));
                    }
                    _ => {}
                }
                if let Some(proven) = proven.filter(|proven| seen.time.unwrap() < *proven - LATENESS) {
                    lies.push(format!("{name} of {:?} came after the proof of {proven}", seen.time));
                }
                if seen.key.is_none() && !entries.insert((seen.part.clone(), seen.offset)) {
                    lies.push(format!("{name} came twice"));
                }
                missing.remove(&name);
            }
            Said::Hole(_) => gaps.push(Gap { from: proven, to: None }),
            Said::CaughtUp(at) => {
                end(&mut gaps, *at);
                let in_gap = |(from, by): &(Time, Time)| {
                    let touches = |gap: &Gap| {
                        gap.from.is_none_or(|begin| begin - LATENESS <= *by) && gap.to.is_none_or(|end| *from <= end)
                    };
                    gaps.iter().any(touches)
                };
                let before: Vec<String> =
                    missing.iter().filter(|(_, (_, by))| by <= at).map(|(name, _)| name.clone()).collect();
                for name in before {
                    let times = missing.remove(&name).expect("it was there");
                    // Before the watch nothing is claimed.
                    if proven.is_some() && !in_gap(&times) {
                        lies.push(format!("caught up at {at} without {name}, of {times:?}"));
                    }
                }
                proven = proven.max(Some(*at));
            }
            _ => {}
        }
    }
    lies
}

fn number(name: &str) -> Option<u64> {
    std::env::var(name).ok()?.parse().ok()
}

#[test]
fn nothing_is_missing_without_a_hole_and_no_entry_comes_twice() {
    let seed = number("REDIS_SEED").unwrap_or_else(|| now().0 as u64);
    println!("REDIS_SEED={seed}");
    let server = Redis::start(&[NOTIFY[0], NOTIFY[1], "--appendonly", "yes", "--appendfsync", "everysec"]);
    let mut world = World { server, random: Random(seed), next: 0, truth: Truth::new(), is_known: false };
    let mut watch = world.follow(Place::default());
    watch.until_caught_up();
    let (mut all, mut holes) = (Vec::new(), 0);
    for round in 0..number("REDIS_ROUNDS").unwrap_or(ROUNDS) {
        world.write();
        world.fault();
        if world.random.once_in(4) {
            let (said, place) = watch.stop();
            all.extend(said);
            world.write();
            world.fault();
            watch = world.follow(place);
        }
        world.write();
        world.is_known = world.server.run("EXISTS", &["audit"]);
        let said = watch.until_caught_up();
        let judged: Vec<Said> = all.iter().chain(&said).cloned().collect();
        let lies = lies(&judged, &world.truth);
        if !lies.is_empty() {
            let news = |said: &&(Time, Said)| !matches!(said.1, Said::Record(_) | Said::Delivered(_));
            let all = watch.said_at();
            let last: Vec<_> = all.iter().filter(news).rev().take(60).collect();
            panic!("REDIS_SEED={seed}, round {round}: {lies:#?}, and the last words were {last:#?}");
        }
        holes = judged.iter().filter(|said| matches!(said, Said::Hole(_))).count();
    }
    watch.stop();
    println!("{} keys and entries, {holes} holes", world.truth.len());
}

/// The test can fail.
#[test]
fn a_source_of_redis_that_says_what_is_not_so_is_caught() {
    let seen = |key: &str, time, offset| {
        Said::Record(Seen {
            part: "p".into(),
            offset,
            payload: "{}".into(),
            stream: None,
            key: Some(key.into()),
            time: Some(Time(time)),
            op: None,
            headers: vec![],
        })
    };
    let second = 1_000_000_000;
    let truth = || Truth::from([("k1".into(), (Time(10 * second), Time(11 * second)))]);
    let proof = |at: i64| Said::CaughtUp(Time(at * second));
    let hole = || Said::Hole("x".into());
    let count = |said: &[Said]| lies(said, &truth()).len();
    assert_eq!(count(&[proof(5), seen("k:1", 10 * second, 1), proof(12)]), 0);
    assert_eq!(count(&[proof(5), proof(12)]), 1, "missing");
    assert_eq!(count(&[proof(5), hole(), proof(12)]), 0, "a hole was admitted");
    assert_eq!(count(&[proof(5), hole(), proof(6), proof(12)]), 1, "the hole is too narrow");
    assert_eq!(count(&[proof(5), proof(20), seen("k:1", 10 * second, 1)]), 2, "a proof ahead of the truth");
}
