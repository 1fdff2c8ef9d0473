//! Rows that are committed late and out of order while they are polled, and what may not be said then.
//!
//! Writers note of each version when it happened, when it was visible at the latest, and from when on it may have been
//! replaced. What the source has said must then be true:
//!
//! - the last version of every row is seen, and is the newest by time and place;
//! - whoever was told "caught up at T" had been handed every version that happened before T less the lateness, unless it
//!   was replaced before it could be read;
//! - nothing that comes later bears a time before that, unless its writer was later than declared.

use crate::watch::Said;
use std::collections::{BTreeMap, HashMap};
use throughline::model::time::{Span, Time};

/// A committed version of a row: the row, and which version of it.
pub type Version = (i64, i64);

/// What a writer knows of a version.
#[derive(Clone, Copy, Debug)]
pub struct Written {
    /// When it happened: no earlier than its transaction began, or as its column says.
    pub event: Time,
    /// Right before it was committed.
    pub from: Time,
    /// Right after it was committed.
    pub by: Time,
    /// It was stamped by its writer, and committed later than declared.
    pub late: bool,
    /// It is the end of the row.
    pub deleted: bool,
}

/// All that was committed.
#[derive(Default)]
pub struct Truth(pub BTreeMap<Version, Written>);

/// What a source has said, read once.
struct Heard {
    /// Versions, each with its place in what was said, its time and offset.
    first: HashMap<Version, (usize, Time)>,
    /// By row: the newest by time and place.
    newest: HashMap<i64, (Time, u64, i64)>,
    /// Proofs: place, when it was said, what was proven.
    proofs: Vec<(usize, Time, Time)>,
    holes: bool,
}

fn heard(said: &[(Time, Said)]) -> Heard {
    let mut heard = Heard { first: HashMap::new(), newest: HashMap::new(), proofs: vec![], holes: false };
    for (place, (at, said)) in said.iter().enumerate() {
        match said {
            Said::Record(record) => {
                let row: serde_json::Value = serde_json::from_str(&record.payload).unwrap();
                let (id, version) = (row["id"].as_i64().unwrap(), row["v"].as_i64().unwrap());
                let time = record.time.expect("a row has a time");
                heard.first.entry((id, version)).or_insert((place, time));
                let newest = heard.newest.entry(id).or_insert((time, record.offset, version));
                *newest = (*newest).max((time, record.offset, version));
            }
            Said::CaughtUp(proven) => heard.proofs.push((place, *at, *proven)),
            Said::Hole(_) => heard.holes = true,
            _ => {}
        }
    }
    heard
}

impl Truth {
    /// Whether all rows that are there have been seen as they are, and a proof after it.
    pub fn is_seen(&self, said: &[Said]) -> bool {
        let with_time: Vec<_> = said.iter().map(|said| (Time(0), said.clone())).collect();
        let heard = heard(&with_time);
        let last = self.0.values().map(|written| written.by).max().unwrap_or(Time(0));
        let present = self.present();
        heard.proofs.iter().any(|(_, _, proven)| *proven >= last)
            && present.iter().all(|version| heard.first.contains_key(version))
    }

    /// The rows as they are at the end.
    fn present(&self) -> Vec<Version> {
        let mut last: BTreeMap<i64, (i64, bool)> = BTreeMap::new();
        for ((id, version), written) in &self.0 {
            last.insert(*id, (*version, written.deleted));
        }
        last.into_iter().filter(|(_, (_, deleted))| !deleted).map(|(id, (version, _))| (id, version)).collect()
    }

    /// What is written back to a row that was late may be as old.
    fn spread_lateness(&mut self) {
        let mut before: Option<(Version, bool)> = None;
        for (version, written) in &mut self.0 {
            written.late |= before.is_some_and(|((id, _), late)| id == version.0 && late);
            before = Some((*version, written.late));
        }
    }

    /// What is wrong with what was said.
    pub fn lies(mut self, said: &[(Time, Said)], lateness: Span) -> Vec<String> {
        self.spread_lateness();
        let heard = heard(said);
        let mut lies = Vec::new();
        if heard.holes {
            lies.push("a hole was admitted where nothing was lost".to_owned());
        }
        for version in self.present() {
            match heard.newest.get(&version.0) {
                None => lies.push(format!("{version:?} was never seen: {:?}", self.0[&version])),
                Some((_, _, newest)) if *newest != version.1 => {
                    lies.push(format!("{version:?} is not the newest of its row, but {newest}"));
                }
                Some(_) => {}
            }
        }
        for version in heard.first.keys().filter(|version| !self.0.contains_key(version)) {
            lies.push(format!("{version:?} was seen, and never committed"));
        }
        for &(place, when, proven) in &heard.proofs {
            lies.extend(self.ahead(&heard, place, when, proven - lateness));
        }
        lies
    }

    /// What a proof, that all before `claim` was handed over, was ahead of.
    fn ahead(&self, heard: &Heard, place: usize, when: Time, claim: Time) -> Vec<String> {
        let mut lies = Vec::new();
        for (version, written) in self.0.iter().filter(|(_, written)| !written.late && !written.deleted) {
            let next = self.0.get(&(version.0, version.1 + 1));
            let stood = next.is_none_or(|next| next.from > when);
            let handed_over = heard.first.get(version).is_some_and(|(at, _)| *at < place);
            if written.event < claim && stood && !handed_over {
                lies.push(format!("all before {claim} was claimed at {when}, without {version:?} {written:?}"));
            }
        }
        for (version, (at, time)) in &heard.first {
            let late = self.0.get(version).is_none_or(|written| written.late);
            if *at > place && *time < claim && !late {
                let row: Vec<_> = self.0.range((version.0, 0)..=(version.0, i64::MAX)).collect();
                lies.push(format!(
                    "all before {claim} was claimed at {when}, and then {version:?} came, of {time}: {row:?}"
                ));
            }
        }
        lies
    }
}

/// Numbers that look random, from a seed that tells them all.
pub struct Random(pub u64);

impl Random {
    pub fn below(&mut self, end: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (mixed ^ (mixed >> 31)) % end
    }

    /// Once in so many times.
    pub fn once_in(&mut self, times: u64) -> bool {
        self.below(times) == 0
    }
}

/// How many rounds are played: `ROUNDS`, or few.
pub fn rounds(few: u64) -> u64 {
    std::env::var("ROUNDS").ok().and_then(|rounds| rounds.parse().ok()).unwrap_or(few)
}

/// The seed of the first round: `SEED`, or another each time.
pub fn seed() -> u64 {
    let given = std::env::var("SEED").ok().and_then(|seed| seed.parse().ok());
    given.unwrap_or_else(|| crate::watch::now().0.unsigned_abs() / 1_000_000)
}

/// The test can fail: a source that says what is not so is caught.
#[test]
fn what_is_not_true_is_caught() {
    let record = |id: i64, v: i64, time, offset| {
        let payload = format!(r#"{{"id":{id},"v":{v}}}"#);
        let part = "t".to_owned();
        let seen = crate::watch::Seen {
            part,
            offset,
            payload,
            stream: None,
            key: None,
            time: Some(Time(time)),
            op: None,
            headers: vec![],
        };
        (Time(0), Said::Record(seen))
    };
    let proof = |when, at| (Time(when), Said::CaughtUp(Time(at)));
    let written =
        |event, by| Written { event: Time(event), from: Time(by - 1), by: Time(by), late: false, deleted: false };
    let truth = || Truth([((1, 1), written(10, 12)), ((1, 2), written(20, 22))].into());
    let lies = |said: &[(Time, Said)]| truth().lies(said, Span(5)).len();
    assert_eq!(lies(&[record(1, 1, 10, 1), record(1, 2, 20, 2), proof(40, 40)]), 0);
    assert_eq!(lies(&[record(1, 2, 20, 1), proof(40, 40)]), 0, "polling skips versions");
    assert_eq!(lies(&[record(1, 1, 10, 1), proof(40, 25), record(1, 2, 20, 2)]), 0, "within the lateness");
    assert_eq!(lies(&[record(1, 1, 10, 1), proof(40, 26), record(1, 2, 20, 2)]), 2, "a proof ahead of the truth");
    assert_eq!(lies(&[record(1, 1, 10, 1), proof(20, 20)]), 1, "never seen");
    assert_eq!(lies(&[record(1, 2, 20, 1), record(1, 1, 21, 2)]), 1, "the newest is not the last");
    assert_eq!(lies(&[record(1, 2, 20, 1), record(2, 1, 20, 2)]), 1, "never committed");
}
