//! `kill -9` at any moment under load, then start again: no observation lost, none twice, the same findings as without, in the store
//! as well.
//!
//! A shop writes its orders and payments into log files while the daemon is killed and started again, over and over. Some
//! payments are lost and some are made twice, and the shop knows which. What the daemon has found in the end must be
//! exactly that. The seed is printed; `RECOVERY_SEED=n` replays the shop's choices (not the scheduler's),
//! `RECOVERY_KILLS=n` kills more often.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::{self, File, OpenOptions};
use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};
use throughline::findings::store::{Archive, Filter};

const FLOW: &str = r#"
flow: order
key: order_id
steps:
  placed: {from: orders, key: {order_id: body.order_id}}
  paid:   {from: payments, key: {order_id: body.order_id, payment_id: body.payment_id}, dedupe_by: body.payment_id}
checks:
  paid:      {after: placed, expect: paid, within: 1s}
  paid-once: {at_most: {paid: 1}}
"#;

const CONFIG: &str = r#"
flows: [order.yaml]
clock_skew: 100ms
sources:
  orders:   {type: file, path: orders.jsonl, format: json, time: body.ts, lateness: 300ms, start: beginning}
  payments: {type: file, path: "payments*.jsonl", format: json, time: body.ts, lateness: 300ms, start: beginning}
"#;

/// How many orders the shop takes a second.
const ORDERS_PER_SECOND: u64 = 400;
/// How many orders go well at first.
const LEAD: u64 = ORDERS_PER_SECOND;
/// The longest that the daemon lives before it is killed, in milliseconds.
const LIFE_MAX_MS: u64 = 700;
/// How long the last daemon may take to have found everything.
const PATIENCE: Duration = Duration::from_secs(30);

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

fn now_ns() -> u128 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_nanos()
}

/// Takes orders until told to close; says what it did wrong: check and order.
fn shop(folder: &Path, seed: u64, closing: &AtomicBool) -> BTreeSet<(String, String)> {
    let mut dice = Dice(seed);
    let mut wrong = BTreeSet::new();
    let append = |name: &str| OpenOptions::new().create(true).append(true).open(folder.join(name)).unwrap();
    let mut orders = append("orders.jsonl");
    let mut payments = append("payments.jsonl");
    let mut rotated = 0;
    let begun = Instant::now();
    for number in 0.. {
        if closing.load(Ordering::Relaxed) {
            return wrong;
        }
        let order = format!("o-{number:08x}");
        writeln!(orders, r#"{{"ts":{},"order_id":"{order}"}}"#, now_ns()).unwrap();
        // What happens when the watch has only begun is not judged: nobody knows what came before.
        let times = match dice.roll(50) {
            0 if number > LEAD => 0,
            1 if number > LEAD => 2,
            _ => 1,
        };
        for time in 0..times {
            writeln!(payments, r#"{{"ts":{},"order_id":"{order}","payment_id":"p-{number:08x}-{time}"}}"#, now_ns())
                .unwrap();
        }
        match times {
            0 => _ = wrong.insert(("paid".to_owned(), order)),
            2 => _ = wrong.insert(("paid-once".to_owned(), order)),
            _ => {}
        }
        if dice.roll(700) == 0 {
            rotated += 1;
            fs::rename(folder.join("payments.jsonl"), folder.join(format!("payments-{rotated}.jsonl"))).unwrap();
            payments = append("payments.jsonl");
        }
        let due = Duration::from_micros((number + 1) * 1_000_000 / ORDERS_PER_SECOND);
        thread::sleep(due.saturating_sub(begun.elapsed()));
    }
    wrong
}

fn start(folder: &Path, run: u64) -> Child {
    let (out, errors) =
        (File::create(folder.join(format!("{run}.out"))), File::create(folder.join(format!("{run}.err"))));
    Command::new(env!("CARGO_BIN_EXE_throughline"))
        .args(["run", "--format", "json"])
        .current_dir(folder)
        .stdin(Stdio::null())
        .stdout(out.unwrap())
        .stderr(errors.unwrap())
        .spawn()
        .unwrap()
}

/// What the daemon said in all its runs: check and order, with the classes and how often each line came in full.
fn said(folder: &Path, runs: u64) -> BTreeMap<(String, String), BTreeSet<String>> {
    let mut said: BTreeMap<_, BTreeSet<String>> = BTreeMap::new();
    for run in 0..=runs {
        for line in BufReader::new(File::open(folder.join(format!("{run}.out"))).unwrap()).lines() {
            // The last line of a run that was killed may be cut short; it comes again in the next one.
            let Ok(finding) = serde_json::from_str::<serde_json::Value>(&line.unwrap()) else { continue };
            let text = |name: &str| finding[name].as_str().unwrap().to_owned();
            said.entry((text("check"), text("key"))).or_default().insert(text("class") + " " + &text("status"));
        }
    }
    said
}

#[test]
fn killed_at_any_moment_it_finds_the_same() {
    let seed = number("RECOVERY_SEED").unwrap_or_else(|| now_ns() as u64);
    let kills = number("RECOVERY_KILLS").unwrap_or(50);
    println!("RECOVERY_SEED={seed}");
    let temporary = tempfile::tempdir().unwrap();
    let folder = temporary.path();
    fs::write(folder.join("order.yaml"), FLOW).unwrap();
    fs::write(folder.join("throughline.yaml"), CONFIG).unwrap();
    let closing = AtomicBool::new(false);
    let mut dice = Dice(seed ^ 1);
    let wrong = thread::scope(|scope| {
        let shop = scope.spawn(|| shop(folder, seed, &closing));
        for run in 0..kills {
            let mut daemon = start(folder, run);
            thread::sleep(Duration::from_millis(dice.roll(LIFE_MAX_MS)));
            assert_eq!(
                daemon.try_wait().unwrap(),
                None,
                "{}",
                fs::read_to_string(folder.join(format!("{run}.err"))).unwrap()
            );
            daemon.kill().unwrap();
            daemon.wait().unwrap();
        }
        closing.store(true, Ordering::Relaxed);
        shop.join().unwrap()
    });
    let mut last = start(folder, kills);
    let begun = Instant::now();
    while said(folder, kills).len() < wrong.len() && begun.elapsed() < PATIENCE {
        thread::sleep(Duration::from_millis(100));
    }
    // Whatever else it would wrongly find, it finds within the deadline, the lateness and the skew.
    thread::sleep(Duration::from_secs(3));
    let stopped = Command::new("kill").arg(last.id().to_string()).status().unwrap();
    assert!(stopped.success());
    let exit = last.wait().unwrap();
    assert!(exit.success(), "{exit}: {}", fs::read_to_string(folder.join(format!("{kills}.err"))).unwrap());
    let said = said(folder, kills);
    let found: BTreeSet<_> = said.keys().cloned().collect();
    assert!(wrong.len() as u64 > kills, "the shop did too little wrong: {wrong:?}");
    assert_eq!(found, wrong, "what the daemon found, and what the shop did wrong");
    let mut archive = Archive::open(&folder.join("throughline.data")).unwrap();
    let kept = archive.list(&Filter::default()).unwrap();
    for finding in &kept {
        let words = archive.words(&finding.id).unwrap();
        assert_eq!(words.len(), 1, "kept once, however often it was told: {finding:?}");
    }
    let kept: Vec<_> = kept.into_iter().map(|finding| (finding.check, finding.key)).collect();
    assert_eq!(kept.len(), wrong.len(), "no two of one finding");
    assert_eq!(BTreeSet::from_iter(kept), wrong, "what the store has");
    for ((check, order), kinds) in said {
        let class = if check == "paid" { "missing_step open" } else { "duplicate open" };
        assert_eq!(kinds, BTreeSet::from([class.to_owned()]), "{check} {order}");
    }
}
