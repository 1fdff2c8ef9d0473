//! How a source stands while the daemon runs, for whoever asks.

use crate::model::time::Time;
use std::collections::BTreeMap;
use std::fmt;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering::Relaxed};
use std::sync::{Mutex, PoisonError};

/// Reasons for which a source's records could not be read are told apart up to so many.
const REASONS_MAX: usize = 32;

/// One source as it stands.
#[derive(Debug, Default)]
pub struct SourceStatus {
    records: AtomicU64,
    matched: AtomicU64,
    beyond_lateness: AtomicU64,
    /// Nanoseconds of the newest proof; zero before the first.
    caught_up: AtomicI64,
    holes: AtomicU64,
    texts: Mutex<Texts>,
}

#[derive(Debug, Default)]
struct Texts {
    /// By reason: how many, and the first of them.
    undecodable: BTreeMap<String, (u64, String)>,
    last_hole: Option<String>,
    trouble: Option<String>,
    failure: Option<String>,
    assumed: Option<String>,
}

/// The same at one moment.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SourceState {
    /// Records that were read.
    pub records: u64,
    /// Those of them that matched a step.
    pub matched: u64,
    /// Records that came later than the source's lateness allows.
    pub beyond_lateness: u64,
    /// When it last had delivered everything.
    pub caught_up: Option<Time>,
    /// How often records may have been missed, and why the last time.
    pub holes: u64,
    /// Why records may have been missed the last time.
    pub last_hole: Option<String>,
    /// By reason: how many records could not be read, and where the first of them stands.
    pub undecodable: BTreeMap<String, (u64, String)>,
    /// What keeps it from taking all that it should.
    pub trouble: Option<String>,
    /// Why it cannot go on for now.
    pub failure: Option<String>,
    /// Why its proofs rest on the declared lateness alone.
    pub assumed: Option<String>,
}

impl fmt::Display for SourceState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} records, {} matched", self.records, self.matched)?;
        match self.caught_up {
            Some(at) => write!(f, ", caught up at {at}")?,
            None => f.write_str(", not caught up yet")?,
        }
        if self.beyond_lateness > 0 {
            write!(f, ", {} beyond lateness", self.beyond_lateness)?;
        }
        for (reason, (count, first)) in &self.undecodable {
            write!(f, ", {count} undecodable ({reason}, the first: {first})")?;
        }
        if self.holes > 0 {
            write!(f, ", {} holes (the last: {})", self.holes, self.last_hole.as_deref().unwrap_or_default())?;
        }
        if let Some(why) = &self.assumed {
            write!(f, ", progress is assumed ({why})")?;
        }
        for trouble in self.trouble.iter().chain(&self.failure) {
            write!(f, "; {trouble}")?;
        }
        Ok(())
    }
}

impl SourceStatus {
    pub(super) fn record(&self, matched: bool) {
        self.records.fetch_add(1, Relaxed);
        self.matched.fetch_add(u64::from(matched), Relaxed);
    }

    pub(super) fn undecodable(&self, reason: &str, sample: impl FnOnce() -> String) {
        self.records.fetch_add(1, Relaxed);
        self.texts(|texts| {
            let known = texts.undecodable.contains_key(reason);
            let reason = if known || texts.undecodable.len() < REASONS_MAX { reason } else { "other" };
            texts.undecodable.entry(reason.to_owned()).or_insert_with(|| (0, sample())).0 += 1;
        });
    }

    pub(super) fn beyond_lateness(&self, more: u64) {
        self.beyond_lateness.fetch_add(more, Relaxed);
    }

    pub(super) fn caught_up(&self, at: Time) {
        self.caught_up.store(at.0, Relaxed);
        self.texts(|texts| texts.trouble = None);
    }

    pub(super) fn hole(&self, why: &str) {
        self.holes.fetch_add(1, Relaxed);
        self.texts(|texts| texts.last_hole = Some(why.to_owned()));
    }

    pub(super) fn trouble(&self, what: &str) {
        self.texts(|texts| texts.trouble = Some(what.to_owned()));
    }

    pub(super) fn failure(&self, why: Option<String>) {
        self.texts(|texts| texts.failure = why);
    }

    /// Whether that is news.
    pub(super) fn assumed(&self, why: Option<String>) -> bool {
        self.texts(|texts| std::mem::replace(&mut texts.assumed, why.clone()) != why)
    }

    fn texts<T>(&self, change: impl FnOnce(&mut Texts) -> T) -> T {
        change(&mut self.texts.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// As it stands now.
    pub fn state(&self) -> SourceState {
        let caught_up = self.caught_up.load(Relaxed);
        self.texts(|texts| SourceState {
            records: self.records.load(Relaxed),
            matched: self.matched.load(Relaxed),
            beyond_lateness: self.beyond_lateness.load(Relaxed),
            caught_up: (caught_up != 0).then_some(Time(caught_up)),
            holes: self.holes.load(Relaxed),
            last_hole: texts.last_hole.clone(),
            undecodable: texts.undecodable.clone(),
            trouble: texts.trouble.clone(),
            failure: texts.failure.clone(),
            assumed: texts.assumed.clone(),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_source_is_told_in_one_line() {
        let status = SourceStatus::default();
        assert_eq!(status.state().to_string(), "0 records, 0 matched, not caught up yet");
        status.record(true);
        status.record(false);
        status.undecodable("syntax", || "a.jsonl:3: no colon".into());
        status.undecodable("syntax", || unreachable!("the first is enough"));
        status.hole("a.jsonl was truncated");
        status.trouble("a.jsonl cannot be read");
        status.beyond_lateness(2);
        assert_eq!(
            status.state().to_string(),
            "4 records, 1 matched, not caught up yet, 2 beyond lateness, 2 undecodable (syntax, the first: a.jsonl:3: no \
             colon), 1 holes (the last: a.jsonl was truncated); a.jsonl cannot be read"
        );
        status.caught_up(Time(1_000_000_000));
        assert!(status.state().to_string().contains("caught up at 1970-01-01T00:00:01Z"), "{}", status.state());
        assert!(status.state().trouble.is_none(), "with a proof the trouble is over");
    }

    #[test]
    fn reasons_are_told_apart_up_to_a_limit() {
        let status = SourceStatus::default();
        (0..100).for_each(|n| status.undecodable(&n.to_string(), String::new));
        let state = status.state();
        assert_eq!(
            (state.undecodable.len(), state.undecodable["other"].0),
            (REASONS_MAX + 1, 100 - REASONS_MAX as u64)
        );
    }
}
