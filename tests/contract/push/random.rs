//! Senders that send again what was not answered, over restarts, an engine that is behind now and then, and answers
//! that get lost: what was answered is there, and no proof was ahead of it.

use super::Inlet;
use crate::watch::{Place, Said, now};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;
use throughline::model::time::Time;
use throughline::sources::push::{Options, Senders};

const SENDERS: u64 = 6;

/// `PUSH_ROUNDS=300 PUSH_SEED=1 cargo test --test contract what_was_answered` tries harder, or the same again.
#[test]
fn what_was_answered_is_there_and_no_proof_is_ahead_of_it() {
    let number = |name: &str| std::env::var(name).ok().map(|text| text.parse::<u64>().expect("a number"));
    let rounds = number("PUSH_ROUNDS").unwrap_or(6);
    let seed = number("PUSH_SEED").unwrap_or(now().0 as u64);
    let mut answered = 0;
    for round in seed..seed + rounds {
        eprintln!("PUSH_SEED={round}");
        answered += one(&mut fastrand::Rng::with_seed(round));
    }
    assert!(answered > 0, "nothing was answered");
}

/// By sender and number: when it was answered.
type Answered = Mutex<BTreeMap<(u64, u64), Time>>;

/// How many were answered.
fn one(random: &mut fastrand::Rng) -> usize {
    let senders = if random.bool() { Senders::Forget } else { Senders::Retry };
    let inlet = Inlet::new(Options { senders, body_max: 1_000, waiting_max: 4_000, ..Options::default() });
    let (answered, stop) = (Answered::default(), AtomicBool::new(false));
    let said = thread::scope(|scope| {
        for sender in 0..SENDERS {
            let (random, inlet, answered, stop) = (random.fork(), &inlet, &answered, &stop);
            scope.spawn(move || send(sender, random, inlet, answered, stop));
        }
        let (mut said, mut place) = (Vec::new(), Place::default());
        for _ in 0..random.usize(1..4) {
            let watch = inlet.listen_from(place);
            for _ in 0..random.usize(0..3) {
                thread::sleep(Duration::from_millis(random.u64(0..150)));
                watch.hold(true);
                thread::sleep(Duration::from_millis(random.u64(0..150)));
                watch.hold(false);
            }
            thread::sleep(Duration::from_millis(random.u64(0..300)));
            let more;
            (more, place) = watch.stop();
            said.extend(more);
        }
        stop.store(true, Ordering::Relaxed);
        said
    });
    let answered = answered.into_inner().unwrap();
    judge(&said, &answered);
    answered.len()
}

/// Sends one event after the other, each until it is answered, and now and then once more.
fn send(sender: u64, mut random: fastrand::Rng, inlet: &Inlet, answered: &Answered, stop: &AtomicBool) {
    let stops = || stop.load(Ordering::Relaxed);
    for number in 0.. {
        let filler = "x".repeat(random.usize(0..800));
        let body = format!("{{\"sender\":{sender},\"number\":{number},\"filler\":\"{filler}\"}}");
        while inlet.event(&body).status != 202 {
            if stops() {
                return;
            }
            thread::sleep(Duration::from_millis(random.u64(1..20)));
        }
        answered.lock().unwrap().insert((sender, number), now());
        if random.u8(0..10) == 0 {
            inlet.event(&body);
        }
        if stops() {
            return;
        }
    }
}

fn judge(said: &[Said], answered: &BTreeMap<(u64, u64), Time>) {
    let (mut seen, mut newest, mut offsets) = (BTreeSet::new(), BTreeMap::new(), BTreeSet::new());
    for said in said {
        match said {
            Said::Record(record) => {
                let body: serde_json::Value = serde_json::from_str(&record.payload).unwrap();
                let (sender, number) = (body["sender"].as_u64().unwrap(), body["number"].as_u64().unwrap());
                assert!(offsets.insert(record.offset), "the number {} was given twice", record.offset);
                if seen.insert((sender, number)) {
                    let before = newest.insert(sender, number);
                    assert!(before.is_none_or(|before| before < number), "{sender}: {number} after {before:?}");
                }
            }
            Said::CaughtUp(at) => {
                let ahead: Vec<_> = answered.iter().filter(|(id, time)| *time <= at && !seen.contains(id)).collect();
                assert!(ahead.is_empty(), "it was said to be caught up at {at}, without {ahead:?}");
            }
            Said::Failed(why) => panic!("it failed: {why}"),
            _ => {}
        }
    }
    let lost: Vec<_> = answered.keys().filter(|id| !seen.contains(id)).collect();
    assert!(lost.is_empty(), "they were answered, and are not there: {lost:?}");
}
