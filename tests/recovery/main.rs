//! `kill -9` at any moment under load, then start again: no observation lost, none twice, the same findings as without, in the store
//! as well.
//!
//! A shop takes orders and payments while the daemon is killed and started again, over and over. Some payments are lost
//! and some are made twice, and the shop knows which. What the daemon has found in the end must be exactly that. The seed
//! is printed; `RECOVERY_SEED=n` replays the shop's choices (not the scheduler's), `RECOVERY_KILLS=n` kills more often.

#[path = "../servers/mod.rs"]
mod servers;

mod logs;
mod systems;

use servers::daemon::Daemon;
use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};
use throughline::findings::store::{Archive, Filter};

/// Where a shop writes down what happens.
pub trait Shop {
    /// How many orders it takes a second.
    const ORDERS_PER_SECOND: u64;
    /// The longest that the daemon lives before it is killed, in milliseconds.
    const LIFE_MAX_MS: u64;
    /// How often it is killed, where nothing else is said.
    const KILLS: u64;
    /// Whatever the daemon would wrongly find, it finds within so long: the deadline, the lateness and the skew.
    const SETTLES_WITHIN: Duration;
    /// The class of a payment that did not come.
    const MISSING: &str;

    /// The configuration and the flow that watch it; the checks are `paid` and `paid-once`.
    fn files(&self) -> (String, &'static str);
    fn order(&mut self, order: &str);
    fn payment(&mut self, order: &str, payment: &str);
    /// Whether the first daemon has begun to watch, where what happened before cannot be read later.
    fn is_watched(&self) -> bool {
        true
    }
    /// What happens now and then besides.
    fn upkeep(&mut self) {}
}

/// For so long everything goes well at first: the watch covers what came a `lateness` (a second) after the oldest record,
/// and the first payment may follow the first order slowly, on connections that are new.
const LEAD_SECONDS: u64 = 3;
/// How long the last daemon may take to have found everything.
const PATIENCE: Duration = Duration::from_secs(120);

fn number(name: &str) -> Option<u64> {
    std::env::var(name).ok()?.parse().ok()
}

/// Numbers that look random (splitmix64).
struct Dice(u64);

impl Dice {
    fn roll(&mut self, sides: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let x = (self.0 ^ self.0 >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let x = (x ^ x >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
        (x ^ x >> 31) % sides
    }
}

/// Closes the shop when it is dropped.
struct Closes<'a>(&'a AtomicBool);

impl Drop for Closes<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

fn now_ns() -> u128 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_nanos()
}

/// Takes orders until told to close, and until more than so much is wrong; says what it did wrong: check and order.
fn trade<S: Shop>(shop: &mut S, seed: u64, closing: &AtomicBool, wrong_min: u64) -> BTreeSet<(String, String)> {
    let mut dice = Dice(seed);
    let mut wrong = BTreeSet::new();
    let begun = Instant::now();
    for number in 0.. {
        if closing.load(Ordering::Relaxed) && wrong.len() as u64 > wrong_min {
            return wrong;
        }
        let order = format!("o-{number:08x}");
        shop.order(&order);
        let well = number <= LEAD_SECONDS * S::ORDERS_PER_SECOND;
        let times = match dice.roll(50) {
            0 if !well => 0,
            1 if !well => 2,
            _ => 1,
        };
        for time in 0..times {
            shop.payment(&order, &format!("p-{number:08x}-{time}"));
        }
        match times {
            0 => _ = wrong.insert(("paid".to_owned(), order)),
            2 => _ = wrong.insert(("paid-once".to_owned(), order)),
            _ => {}
        }
        if dice.roll(700) == 0 {
            shop.upkeep();
        }
        let due = Duration::from_micros((number + 1) * 1_000_000 / S::ORDERS_PER_SECOND);
        thread::sleep(due.saturating_sub(begun.elapsed()));
    }
    wrong
}

/// What the daemon said in all its runs: check and order, with class and status. What a kill cut short comes again.
fn found(daemon: &Daemon) -> BTreeMap<(String, String), BTreeSet<String>> {
    let mut found: BTreeMap<_, BTreeSet<String>> = BTreeMap::new();
    for one in daemon.told() {
        found.entry((one.check, one.key)).or_default().insert(one.class + " " + &one.status);
    }
    found
}

/// Kills the daemon over and over while a shop trades, and compares what it found with what the shop did wrong.
fn killed_at_any_moment_it_finds_the_same<S: Shop>(mut shop: S) {
    let seed = number("RECOVERY_SEED").unwrap_or_else(|| now_ns() as u64);
    let kills = number("RECOVERY_KILLS").unwrap_or(S::KILLS);
    println!("RECOVERY_SEED={seed}");
    let temporary = tempfile::tempdir().unwrap();
    let folder = temporary.path();
    let (configuration, flow) = shop.files();
    fs::write(folder.join("order.yaml"), flow).unwrap();
    fs::write(folder.join("throughline.yaml"), configuration).unwrap();
    let mut daemon = watched(&shop, folder);
    let closing = AtomicBool::new(false);
    let mut dice = Dice(seed ^ 1);
    let wrong = thread::scope(|scope| {
        let killing = scope.spawn(|| {
            // The shop closes also where the daemon did what it must not.
            let _closes = Closes(&closing);
            for _ in 0..kills {
                daemon.start_again();
                thread::sleep(Duration::from_millis(dice.roll(S::LIFE_MAX_MS)));
                assert_eq!(daemon.process.0.try_wait().unwrap(), None, "{}", daemon.said());
                daemon.kill();
            }
        });
        let wrong = trade(&mut shop, seed, &closing, kills);
        killing.join().unwrap();
        wrong
    });
    daemon.start_again();
    let begun = Instant::now();
    while found(&daemon).len() < wrong.len() && begun.elapsed() < PATIENCE {
        thread::sleep(Duration::from_millis(100));
    }
    thread::sleep(S::SETTLES_WITHIN);
    daemon.stop();
    let found = found(&daemon);
    assert!(wrong.len() as u64 > kills, "the shop did too little wrong: {wrong:?}");
    let keys: BTreeSet<_> = found.keys().cloned().collect();
    assert_eq!(keys, wrong, "what the daemon found, and what the shop did wrong");
    kept_once(folder, &wrong);
    for ((check, order), kinds) in found {
        let class = if check == "paid" { S::MISSING } else { "duplicate" };
        assert_eq!(kinds, BTreeSet::from([format!("{class} open")]), "{check} {order}");
    }
}

/// Lets the daemon begin, and kills it.
fn watched(shop: &impl Shop, folder: &Path) -> Daemon {
    let mut daemon = Daemon::start(folder);
    let begun = Instant::now();
    while !shop.is_watched() {
        assert!(begun.elapsed() < PATIENCE, "{}", daemon.said());
        thread::sleep(Duration::from_millis(100));
    }
    daemon.kill();
    daemon
}

/// The store has each finding once, however often it was told.
fn kept_once(folder: &Path, wrong: &BTreeSet<(String, String)>) {
    let mut archive = Archive::open(&folder.join("throughline.data")).unwrap();
    let kept = archive.list(&Filter::default()).unwrap();
    for finding in &kept {
        let words = archive.words(&finding.id).unwrap();
        assert_eq!(words.len(), 1, "kept once, however often it was told: {finding:?}");
    }
    let kept: Vec<_> = kept.into_iter().map(|finding| (finding.check, finding.key)).collect();
    assert_eq!(kept.len(), wrong.len(), "no two of one finding");
    assert_eq!(&BTreeSet::from_iter(kept), wrong, "what the store has");
}
