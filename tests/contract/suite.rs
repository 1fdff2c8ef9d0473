//! The contract: one function a promise.

use super::system::System;
use super::watch::{Place, Said, Seen, Watch, now};
use std::collections::{BTreeMap, BTreeSet};
use std::thread;
use std::time::{Duration, Instant};
use throughline::model::time::Time;

/// The way to a server that is on another continent, to there or back.
pub const FAR: Duration = Duration::from_millis(200);

/// All promises, one after the other.
pub fn keeps_its_word(system: &mut dyn System) {
    hands_over_all_in_order(system);
    goes_on_where_it_was(system);
    survives(system, "a cut connection", |system| system.cut());
    survives(system, "a stalled connection", |system| {
        let stalls = system.stall(true);
        thread::sleep(Duration::from_secs(2));
        system.stall(false);
        stalls
    });
    survives(system, "a restart", |system| system.restart());
    stops_while_nothing_answers(system);
    tells_what_is_refused(system);
    assert_eq!(system.written_by_source(), Vec::<String>::new(), "the source did more than read");
}

/// The numbers that were written, each with the moment from which it was visible.
type Visible = BTreeMap<u64, Time>;

fn write(system: &mut dyn System, visible: &mut Visible, count: u64) {
    let next = visible.keys().next_back().map_or(0, |last| last + 1);
    for id in next..next + count {
        system.write(id);
        visible.insert(id, now());
    }
}

fn records(said: &[Said]) -> impl Iterator<Item = &Seen> {
    said.iter().filter_map(|said| match said {
        Said::Record(record) => Some(record),
        _ => None,
    })
}

/// Whether all of them were seen, and a proof after the last.
fn complete(system: &dyn System, said: &[Said], visible: &Visible) -> bool {
    let seen: BTreeSet<u64> = records(said).map(|record| system.id(record)).collect();
    let last = visible.values().max().copied().unwrap_or(Time(0));
    let proven = said.iter().any(|said| matches!(said, Said::CaughtUp(at) if *at >= last));
    proven && visible.keys().all(|id| seen.contains(id))
}

/// Whether a hole was admitted, and everything was seen that became visible after the first proof behind it.
fn complete_but_for_a_hole(system: &dyn System, said: &[Said], visible: &Visible) -> bool {
    let Some(hole) = said.iter().rposition(|said| matches!(said, Said::Hole(_))) else { return false };
    let proof = said[hole..].iter().find_map(|said| match said {
        Said::CaughtUp(at) => Some(*at),
        _ => None,
    });
    // The writer says when it has learnt that a record is visible: the first one behind the proof may have been so before.
    let after = |proof: Time| visible.iter().filter(move |(_, at)| **at > proof).skip(1);
    let behind = |proof: Time| after(proof).map(|(id, at)| (*id, *at)).collect();
    // A hole is told right before the proof that ends it, when some of what came after it has been handed over.
    proof.is_some_and(|proof| complete(system, said, &behind(proof)))
}

/// No proof was ahead of the truth: what was visible at a proof's moment had been handed over before it, unless a hole
/// was admitted.
#[track_caller]
fn proofs_are_true(system: &dyn System, said: &[Said], visible: &Visible) {
    let mut missing: BTreeMap<u64, Time> = visible.clone();
    for said in said {
        match said {
            Said::Record(record) => _ = missing.remove(&system.id(record)),
            Said::Hole(_) => return,
            Said::CaughtUp(at) => {
                let ahead: Vec<_> = missing.iter().filter(|(_, visible)| *visible <= at).collect();
                assert!(ahead.is_empty(), "it was said to be caught up at {at}, without {ahead:?}");
            }
            _ => {}
        }
    }
}

/// Without a fault nothing comes twice; rows that are polled aside, which are versions.
#[track_caller]
fn nothing_twice(system: &dyn System, said: &[Said]) {
    let mut seen = BTreeSet::new();
    for record in records(said).filter(|_| !system.is_polled()) {
        assert!(seen.insert((record.part.clone(), record.offset)), "{record:?} came twice");
    }
}

/// A server that is far away answers late, and is looked at as often as one that is near: what is under way is no work. If
/// it were, each read would be followed by four minutes without one. A machine that stutters may lengthen one or two.
#[track_caller]
pub fn is_read_often(system: &mut dyn System) {
    const OFTEN: Duration = Duration::from_secs(60);
    let watch = Watch::start(system.source(), Place::default());
    // The second read follows the first one soon, whatever that took.
    (0..2).for_each(|_| _ = watch.until_caught_up());
    let mut visible = Visible::new();
    let is_often = (0..3).any(|_| {
        write(system, &mut visible, 1);
        let (at, begun) = (now(), Instant::now());
        let proven = |said: &[Said]| said.iter().any(|said| matches!(said, Said::CaughtUp(proof) if *proof >= at));
        while !proven(&watch.said()) && begun.elapsed() < OFTEN {
            thread::sleep(Duration::from_millis(50));
        }
        begun.elapsed() < OFTEN
    });
    assert!(is_often, "no proof came within {OFTEN:?}");
    let said = watch.said();
    assert!(complete(system, &said, &visible), "{said:?}");
    watch.stop();
}

fn hands_over_all_in_order(system: &mut dyn System) {
    let watch = Watch::start(system.source(), Place::default());
    watch.until_caught_up();
    let mut visible = Visible::new();
    write(system, &mut visible, 200);
    let said = watch.until("all records", |said| complete(system, said, &visible));
    proofs_are_true(system, &said, &visible);
    nothing_twice(system, &said);
    let mut last = BTreeMap::new();
    for record in records(&said) {
        let id = system.id(record);
        let before = last.insert(record.part.clone(), id);
        assert!(before.is_none_or(|before| before < id), "{}: {id} after {before:?}", record.part);
    }
    assert!(!said.iter().any(|said| matches!(said, Said::Hole(_) | Said::Failed(_))), "nothing was wrong: {said:?}");
    watch.stop();
}

fn goes_on_where_it_was(system: &mut dyn System) {
    let watch = Watch::start(system.source(), Place::default());
    watch.until_caught_up();
    let mut visible = Visible::new();
    write(system, &mut visible, 50);
    watch.until("the first records", |said| complete(system, said, &visible));
    let (mut said, place) = watch.stop();
    // What comes while nobody watches.
    write(system, &mut visible, 50);
    let watch = Watch::start(system.source(), place);
    // A source that cannot go back to where it was says so, and has what comes once it is there again.
    watch.until_caught_up();
    write(system, &mut visible, 50);
    said.extend(watch.until("the rest", |now| {
        let all: Vec<Said> = said.iter().chain(now).cloned().collect();
        complete(system, &all, &visible) || complete_but_for_a_hole(system, now, &visible)
    }));
    watch.stop();
    proofs_are_true(system, &said, &visible);
    nothing_twice(system, &said);
}

/// A fault while records are being written: none is missing afterwards, or a hole was admitted.
fn survives(system: &mut dyn System, what: &str, fault: impl FnOnce(&mut dyn System) -> bool) {
    let watch = Watch::start(system.source(), Place::default());
    watch.until_caught_up();
    let mut visible = Visible::new();
    write(system, &mut visible, 30);
    if !fault(system) {
        return;
    }
    write(system, &mut visible, 30);
    let said = watch.until(&format!("all records after {what}"), |said| {
        complete(system, said, &visible) || complete_but_for_a_hole(system, said, &visible)
    });
    proofs_are_true(system, &said, &visible);
    watch.stop();
}

/// It stops soon, also while its system says nothing at all.
fn stops_while_nothing_answers(system: &mut dyn System) {
    let watch = Watch::start(system.source(), Place::default());
    watch.until_caught_up();
    if system.stall(true) {
        thread::sleep(Duration::from_millis(500));
        watch.stop();
        system.stall(false);
    }
}

fn tells_what_is_refused(system: &mut dyn System) {
    for (what, source, words) in system.refusals() {
        let watch = Watch::start(source, Place::default());
        let said = watch.until(what, |said| said.iter().any(|said| matches!(said, Said::Failed(_) | Said::Trouble(_))));
        let told = said.iter().find_map(|said| match said {
            Said::Failed(why) | Said::Trouble(why) => Some(why.clone()),
            _ => None,
        });
        let told = told.expect("it was waited for");
        for word in words {
            assert!(told.contains(word), "{what}: `{word}` is not in: {told}");
        }
        assert!(!told.contains("s3cret"), "{what}: a secret is told: {told}");
        assert!(!said.iter().any(|said| matches!(said, Said::CaughtUp(_))), "{what}: something was claimed");
        watch.stop();
    }
}
