//! A writer who does anything to the logs at any moment, and a follower who is killed at any moment: each line comes
//! exactly once and in order, but for what a hole excuses, and nothing is proven before it was handed over.
//!
//! The writer acts in the calls of the intake, so that it falls between any two steps of the follower, and still all
//! is decided by a seed: `FOLLOW_SEED=17 cargo test random` plays one again.

use super::writer::{ACTS, LOGS, World, number};
use super::*;
use crate::sources::file::follow::Follow;
use crate::sources::live::Source;
use std::cell::RefCell;
use std::collections::BTreeMap;

/// More with `FOLLOW_SEEDS`.
const SEEDS: u64 = 40;

/// What the intake has taken, durable or not.
#[derive(Clone, Default)]
struct Taken {
    /// Part, line and number of each record.
    records: Vec<(u32, u64, u64)>,
    holes: Vec<(Time, String)>,
    cursor: Option<Vec<u8>>,
}

/// Checks what is handed over, and lets the writer act in between.
struct Checker<'w> {
    world: &'w RefCell<World>,
    names: &'w RefCell<Vec<String>>,
    durable: Taken,
    pending: Taken,
    /// So many more calls, and the follower is killed.
    life: u64,
    proofs: usize,
}

impl Checker<'_> {
    fn meddle(&self, sides: u64) {
        let mut world = self.world.borrow_mut();
        while world.dice.one_in(sides) && world.acts < ACTS {
            world.act();
        }
    }

    fn live(&mut self) -> Result<(), Stopped> {
        self.life = self.life.saturating_sub(1);
        if self.life == 0 { Err(Stopped) } else { Ok(()) }
    }
}

impl Intake for Checker<'_> {
    fn part(&mut self, name: &str) -> u32 {
        self.meddle(4);
        let mut names = self.names.borrow_mut();
        let known = names.iter().position(|known| known == name);
        known.unwrap_or_else(|| {
            names.push(name.to_owned());
            names.len() - 1
        }) as u32
    }

    fn header(&mut self, _: u32, _: &[u8]) {
        panic!("lines have no header");
    }

    fn record(&mut self, record: Record<'_>) {
        let text = String::from_utf8_lossy(record.payload);
        let number = number(&text).unwrap_or(0);
        self.world.borrow_mut().tell(format!(
            "{}:{} {number}",
            self.names.borrow()[record.part as usize],
            record.offset
        ));
        self.pending.records.push((record.part, record.offset, number));
        self.meddle(20);
    }

    fn undecodable(&mut self, _: u32, _: u64, reason: &'static str, detail: &str, _: &[u8]) {
        panic!("undecodable: {reason} {detail}");
    }

    fn hole(&mut self, why: &str) {
        let now = self.world.borrow().now;
        self.world.borrow_mut().tell(format!("hole {why}"));
        self.pending.holes.push((now, why.to_owned()));
    }

    fn caught_up(&mut self, at: Time) {
        self.proofs += 1;
        self.world.borrow_mut().tell(format!("proof {}", at.since(BEGINNING)));
        let world = self.world.borrow();
        for (number, line) in world.lines.iter().filter(|(_, line)| line.ended < at) {
            let taken = self.pending.records.iter().any(|(_, _, taken)| taken == number);
            let excused = line.is_excused(&self.pending.holes);
            if !taken && !excused {
                world.fail(&format!("proof at {} without line {number}", at.since(BEGINNING)));
            }
        }
    }

    fn deliver(&mut self, cursor: &[u8]) -> Result<(), Stopped> {
        self.pending.cursor = Some(cursor.to_vec());
        // It may die before or after the delivery became durable.
        let dies = self.live();
        let durable = dies.is_ok() || self.world.borrow_mut().dice.one_in(2);
        self.world.borrow_mut().tell(format!("delivered, {}", if durable { "durable" } else { "and lost" }));
        if durable {
            let mut world = self.world.borrow_mut();
            let round = world.round.unwrap();
            if round > world.durable_rounds[1] {
                world.durable_rounds = [world.durable_rounds[1], round];
            }
            drop(world);
            self.durable = self.pending.clone();
        }
        self.meddle(3);
        dies
    }

    fn durable(&mut self) -> Option<&[u8]> {
        None
    }

    fn trouble(&mut self, what: &str) {
        self.world.borrow_mut().tell(format!("trouble {what}"));
    }

    fn pause(&mut self, span: Duration) -> Result<(), Stopped> {
        let now = self.now();
        let mut world = self.world.borrow_mut();
        (world.now, world.round) = (now + Span(span.as_nanos() as i64), None);
        drop(world);
        self.meddle(2);
        self.live()
    }

    fn now(&self) -> Time {
        self.meddle(5);
        let mut world = self.world.borrow_mut();
        world.now = world.now + Span(1_000_000);
        let now = world.now;
        world.round.get_or_insert(now);
        now
    }
}

/// Plays one history; what happened in it.
fn play(seed: u64, pattern: &str) -> BTreeMap<&'static str, usize> {
    let folder = tempfile::tempdir().unwrap();
    let world = RefCell::new(World::new(seed, folder.path(), pattern == "*.log*"));
    let names = RefCell::new(Vec::new());
    let options = Options {
        path: format!("{}/{pattern}", folder.path().display()),
        framing: Framing::Lines,
        begins: None,
        start: Start::Beginning,
        clock_skew: Span::ZERO,
    };
    let (mut durable, mut proofs, mut restarts) = (Taken::default(), 0, 0);
    while world.borrow().acts < ACTS || restarts == 0 {
        let life = 1 + world.borrow_mut().dice.below(200);
        let mut checker = Checker { world: &world, names: &names, pending: durable.clone(), durable, life, proofs };
        world.borrow_mut().tell("START".to_owned());
        world.borrow_mut().round = None;
        Follow::new(options.clone()).follow(checker.pending.cursor.clone().as_deref(), &mut checker).unwrap();
        (durable, proofs) = (checker.durable, checker.proofs);
        restarts += 1;
        let mut world = world.borrow_mut();
        for _ in 0..world.dice.below(6) {
            world.act();
        }
    }
    // At last nothing happens any more, and all is read.
    let mut checker = Checker { world: &world, names: &names, pending: durable.clone(), durable, life: 1500, proofs };
    Follow::new(options).follow(checker.pending.cursor.clone().as_deref(), &mut checker).unwrap();
    let taken = checker.pending;
    let world = world.borrow();
    let mut by_part: BTreeMap<u32, u64> = BTreeMap::new();
    let mut seen = BTreeMap::new();
    for (part, line, number) in &taken.records {
        let before = by_part.insert(*part, *line);
        if before.is_some_and(|before| before >= *line) {
            let name = &names.borrow()[*part as usize];
            world.fail(&format!("line {line} of {name} does not come in order"));
        }
        *seen.entry(*number).or_insert(0) += 1;
    }
    let mut tally = world.tally.clone();
    for (number, line) in &world.lines {
        match seen.get(number) {
            Some(1) => *tally.entry("lines").or_default() += 1,
            Some(times) => world.fail(&format!("line {number} came {times} times")),
            None => {
                if !line.is_excused(&taken.holes) {
                    world.fail(&format!("line {number} is lost"));
                }
                *tally.entry("lines lost, and told").or_default() += 1;
            }
        }
    }
    for log in LOGS {
        let of_log = |(_, why): &&(Time, String)| why.contains(log);
        for (count, (told, why)) in taken.holes.iter().filter(of_log).enumerate() {
            let causes = world.losses.iter().filter(|(lost, at)| *lost == log && at <= told).count();
            if count >= causes {
                let losses =
                    world.losses.iter().filter(|(lost, _)| *lost == log).map(|(_, at)| at.since(BEGINNING).to_string());
                world.fail(&format!("a hole without a cause: {why}, causes {:?}", losses.collect::<Vec<_>>()));
            }
        }
    }
    *tally.entry("holes").or_default() += taken.holes.len();
    *tally.entry("restarts").or_default() += restarts;
    *tally.entry("proofs").or_default() += checker.proofs;
    tally
}

fn play_all(pattern: &str) -> BTreeMap<&'static str, usize> {
    let number = |name: &str| std::env::var(name).ok().and_then(|number| number.parse::<u64>().ok());
    let (chosen, seeds) = (number("FOLLOW_SEED"), number("FOLLOW_SEEDS").unwrap_or(SEEDS));
    let mut all = BTreeMap::new();
    for seed in chosen.map_or(0..seeds, |seed| seed..seed + 1) {
        eprintln!("FOLLOW_SEED={seed}");
        for (what, count) in play(seed, pattern) {
            *all.entry(what).or_default() += count;
        }
    }
    eprintln!("{all:#?}");
    if chosen.is_none() {
        for what in
            ["rotated", "copied", "truncated", "removed", "packed", "half a line", "holes", "restarts", "proofs"]
        {
            assert!(all.get(what).is_some_and(|count| *count as u64 >= seeds), "too few: {what}");
        }
        assert!(all["lines"] > 20 * all["lines lost, and told"], "most lines are there");
    }
    all
}

#[test]
fn every_line_comes_once_where_rotated_files_match() {
    play_all("*.log*");
}

#[test]
fn every_line_comes_once_where_rotated_files_do_not_match() {
    play_all("*.log");
}
