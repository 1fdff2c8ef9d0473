//! How a source stands while the daemon runs, for whoever asks.

use crate::model::time::Time;
use std::collections::BTreeMap;
use std::fmt;
use std::sync::atomic::{AtomicBool, AtomicI64, AtomicU64, Ordering::Relaxed};
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
    /// Nanoseconds up to which everything has been delivered; zero before that is known of any.
    progress: AtomicI64,
    /// It has delivered in this run.
    delivered: AtomicBool,
    holes: AtomicU64,
    texts: Mutex<Texts>,
}

#[derive(Debug, Default)]
struct Texts {
    /// By reason: how many, and the first of them.
    undecodable: BTreeMap<String, (u64, String)>,
    last_hole: Option<String>,
    gaps: u64,
    last_gap: Option<(Time, Option<Time>)>,
    trouble: Option<String>,
    failure: Option<Failed>,
    last_error: Option<(String, Time)>,
    assumed: Option<String>,
}

/// That a source cannot go on for now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Failed {
    /// Why.
    pub why: String,
    /// When it is tried again.
    pub next_try: Time,
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
    /// Everything that happened before has been delivered.
    pub progress: Option<Time>,
    /// It has delivered in this run.
    pub delivered: bool,
    /// How often records may have been missed, and why the last time.
    pub holes: u64,
    /// Why records may have been missed the last time.
    pub last_hole: Option<String>,
    /// Gaps that the engine was told of in this run, whatever the cause: declared ones, silence, records that could not be
    /// read.
    pub gaps: u64,
    /// The last of them; it has no end yet where its other side has not been seen.
    pub last_gap: Option<(Time, Option<Time>)>,
    /// By reason: how many records could not be read, and where the first of them stands.
    pub undecodable: BTreeMap<String, (u64, String)>,
    /// What keeps it from taking all that it should.
    pub trouble: Option<String>,
    /// Why it cannot go on for now.
    pub failure: Option<Failed>,
    /// What last went wrong, and when; it may be over.
    pub last_error: Option<(String, Time)>,
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
        for trouble in self.trouble.iter().chain(self.failure.as_ref().map(|failed| &failed.why)) {
            write!(f, "; {trouble}")?;
        }
        Ok(())
    }
}

/// Counts on. One thread alone does, the source's own, so nothing is lost between reading and writing.
fn count(counter: &AtomicU64, more: u64) {
    counter.store(counter.load(Relaxed) + more, Relaxed);
}

impl SourceStatus {
    pub(super) fn record(&self, matched: bool) {
        count(&self.records, 1);
        count(&self.matched, u64::from(matched));
    }

    pub(super) fn undecodable(&self, reason: &str, sample: impl FnOnce() -> String) {
        count(&self.records, 1);
        self.texts(|texts| {
            let known = texts.undecodable.contains_key(reason);
            let reason = if known || texts.undecodable.len() < REASONS_MAX { reason } else { "other" };
            texts.undecodable.entry(reason.to_owned()).or_insert_with(|| (0, sample())).0 += 1;
        });
    }

    pub(super) fn beyond_lateness(&self, more: u64) {
        count(&self.beyond_lateness, more);
    }

    pub(super) fn caught_up(&self, at: Time) {
        self.caught_up.store(at.0, Relaxed);
        self.texts(|texts| texts.trouble = None);
    }

    pub(super) fn hole(&self, why: &str) {
        count(&self.holes, 1);
        self.texts(|texts| texts.last_hole = Some(why.to_owned()));
    }

    pub(super) fn gap(&self, from: Time, to: Option<Time>) {
        self.texts(|texts| {
            // The same one again, now with its end.
            let known = texts.last_gap.is_some_and(|(known, _)| known == from);
            texts.gaps += u64::from(!known);
            texts.last_gap = Some((from, to));
        });
    }

    pub(super) fn progress(&self, to: Option<Time>) {
        self.progress.store(to.map_or(0, |to| to.0), Relaxed);
    }

    pub(super) fn trouble(&self, what: &str, now: Time) {
        self.texts(|texts| {
            texts.trouble = Some(what.to_owned());
            texts.last_error = Some((what.to_owned(), now));
        });
    }

    pub(super) fn failed(&self, why: &str, now: Time, next_try: Time) {
        self.texts(|texts| {
            texts.failure = Some(Failed { why: why.to_owned(), next_try });
            texts.last_error = Some((why.to_owned(), now));
        });
    }

    pub(super) fn up(&self) {
        self.delivered.store(true, Relaxed);
        self.texts(|texts| texts.failure = None);
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
        let time = |nanos: &AtomicI64| Some(nanos.load(Relaxed)).filter(|nanos| *nanos != 0).map(Time);
        self.texts(|texts| SourceState {
            records: self.records.load(Relaxed),
            matched: self.matched.load(Relaxed),
            beyond_lateness: self.beyond_lateness.load(Relaxed),
            caught_up: time(&self.caught_up),
            progress: time(&self.progress),
            delivered: self.delivered.load(Relaxed),
            holes: self.holes.load(Relaxed),
            last_hole: texts.last_hole.clone(),
            gaps: texts.gaps,
            last_gap: texts.last_gap,
            undecodable: texts.undecodable.clone(),
            trouble: texts.trouble.clone(),
            failure: texts.failure.clone(),
            last_error: texts.last_error.clone(),
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
        status.trouble("a.jsonl cannot be read", Time(7));
        status.beyond_lateness(2);
        assert_eq!(
            status.state().to_string(),
            "4 records, 1 matched, not caught up yet, 2 beyond lateness, 2 undecodable (syntax, the first: a.jsonl:3: no \
             colon), 1 holes (the last: a.jsonl was truncated); a.jsonl cannot be read"
        );
        status.caught_up(Time(1_000_000_000));
        assert!(status.state().to_string().contains("caught up at 1970-01-01T00:00:01Z"), "{}", status.state());
        assert!(status.state().trouble.is_none(), "with a proof the trouble is over");
        assert_eq!(status.state().last_error, Some(("a.jsonl cannot be read".into(), Time(7))), "and remembered");
    }

    #[test]
    fn a_source_that_failed_is_down_until_it_delivers() {
        let status = SourceStatus::default();
        status.failed("no such host", Time(1), Time(3));
        let failed = status.state().failure.unwrap();
        assert_eq!((failed.why.as_str(), failed.next_try), ("no such host", Time(3)));
        assert!(!status.state().delivered);
        status.up();
        assert!(status.state().failure.is_none() && status.state().delivered);
    }

    #[test]
    fn a_gap_is_counted_once_however_often_it_is_told() {
        let status = SourceStatus::default();
        status.gap(Time(5), None);
        status.gap(Time(5), Some(Time(9)));
        status.gap(Time(20), None);
        assert_eq!((status.state().gaps, status.state().last_gap), (2, Some((Time(20), None))));
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
