//! The oracle: a second, naive implementation of joining and judging, and a comparison of it with the
//! engine over random flows and random histories.
//!
//! The oracle holds the whole history in memory and judges every check by its definition; nothing in it
//! is clever. The engine must come to the same findings and counts, in whatever order the history
//! arrives, at either pace, and through restarts.
//!
//! ```text
//! ORACLE_SEED=17 cargo test --test oracle            replays one history, and makes it small where it fails
//! ORACLE_HISTORIES=500000 cargo test --test oracle   the long mode
//! ORACLE_KEEP_GOING=1 cargo test --test oracle -- --nocapture   lists all seeds that fail
//! ORACLE_VERBOSE=1 cargo test --test oracle -- --nocapture   shows what the histories reached
//! ```

mod case;
mod compare;
mod compiled;
mod describe;
mod drive;
mod evidence;
mod generate;
mod join;
mod judge;
mod rng;
mod statistics;
mod stories;
mod view;

use statistics::Statistics;
use std::sync::atomic::{AtomicBool, Ordering};

const HISTORIES: u64 = 20_000;
const THREADS: u64 = 2;

#[test]
fn random_histories_come_out_as_the_oracle_says() {
    let number = |name: &str| std::env::var(name).ok().and_then(|text| text.parse::<u64>().ok());
    if let Some(seed) = number("ORACLE_SEED") {
        return finish(try_seed(seed, &mut Statistics::default()).err());
    }
    let first = number("ORACLE_FIRST").unwrap_or(0);
    let histories = number("ORACLE_HISTORIES").unwrap_or(HISTORIES);
    let keep_going = std::env::var_os("ORACLE_KEEP_GOING").is_some();
    let failed = AtomicBool::new(false);
    let work = |thread: u64| {
        let mut statistics = Statistics::default();
        for seed in (first + thread..first + histories).step_by(THREADS as usize) {
            if failed.load(Ordering::Relaxed) {
                break;
            }
            if let Err(account) = try_seed(seed, &mut statistics) {
                if keep_going {
                    eprintln!("ORACLE_SEED={seed}: {}", account.lines().last().unwrap_or_default());
                    continue;
                }
                failed.store(true, Ordering::Relaxed);
                return Err(account);
            }
        }
        Ok(statistics)
    };
    let mut all = Statistics::default();
    let mut failure = None;
    std::thread::scope(|scope| {
        let threads: Vec<_> = (0..THREADS).map(|thread| scope.spawn(move || work(thread))).collect();
        for thread in threads {
            match thread.join().expect("the comparison itself") {
                Ok(statistics) => all.merge(statistics),
                Err(account) => failure = Some(account),
            }
        }
    });
    if std::env::var_os("ORACLE_VERBOSE").is_some() {
        println!("{}", all.show());
    }
    finish(failure);
}

fn try_seed(seed: u64, statistics: &mut Statistics) -> Result<(), String> {
    let case = generate::case(seed);
    match compare::compare(&case, &compare::runs(seed)) {
        Ok((reports, pains)) => statistics.count(&case, &reports, &pains),
        Err(failure) if std::env::var_os("ORACLE_KEEP_GOING").is_some() => return Err(failure.lines[0].clone()),
        Err(failure) => {
            let (case, failure) = compare::shrink(case, failure);
            return Err(compare::account(seed, &case, &failure));
        }
    }
    Ok(())
}

fn finish(failure: Option<String>) {
    if let Some(account) = failure {
        panic!("{account}");
    }
}
