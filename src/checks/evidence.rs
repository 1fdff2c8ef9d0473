//! What is known of the completeness of what was seen: per source its coverage, its gaps, whether it
//! is down or has ended; and the observations that joined nothing.
//!
//! ```text
//!            from                gap             to (progress)
//!  unknown ───┤ covered ────────┤ ? ├─ covered ──┤ not yet, or never
//! ```
//!
//! The engine keeps it; the checks ask [`Evidence::absent`] before they say that something is not
//! there, and [`Evidence::passed`] before they say that something is final.

use crate::flow::plan::Plan;
use crate::model::time::{Span, Time};
use crate::model::verdict::{Doubt, Reason};
use crate::model::{FlowId, SourceId, StepId};
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;

/// What a source covers.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Coverage {
    /// Covered from here on, included.
    pub from: Time,
    /// Covered up to here, excluded.
    pub to: Time,
    /// How far it had shown itself to have come before its end was declared.
    pub proven: Time,
    /// No more will come.
    pub ended: bool,
    /// It cannot be read.
    pub down: bool,
    /// Holes, both ends included; disjoint, ascending.
    gaps: Vec<(Time, Time)>,
    /// Where holes begin that have no end yet; ascending.
    open_gaps: BTreeSet<Time>,
}

impl Coverage {
    fn new() -> Coverage {
        Coverage {
            from: Time::MAX,
            to: Time::MIN,
            proven: Time::MIN,
            ended: false,
            down: false,
            gaps: Vec::new(),
            open_gaps: BTreeSet::new(),
        }
    }

    /// Notes a hole; one that overlaps others is merged with them, and with the one before it where
    /// there are more than `most`. Says whether it came to that.
    pub fn add_gap(&mut self, from: Time, to: Option<Time>, most: usize) -> bool {
        let Some(to) = to else {
            self.open_gaps.insert(from);
            return false;
        };
        self.open_gaps.remove(&from);
        let mut first = self.gaps.partition_point(|g| g.1 < from);
        let end = self.gaps.partition_point(|g| g.0 <= to);
        let beyond = self.gaps.len() >= most && first == end;
        if beyond {
            first = first.saturating_sub(1);
        }
        let merged = self.gaps[first..end.max(first)].iter().fold((from, to), |m, g| (m.0.min(g.0), m.1.max(g.1)));
        self.gaps.splice(first..end.max(first), [merged]);
        beyond
    }

    /// Where the first gap begins whose other side has not been seen.
    pub fn open_gap(&self) -> Option<Time> {
        self.open_gaps.first().copied()
    }

    fn gap_in(&self, from: Time, to: Time) -> bool {
        self.first_gap(from, to).is_some()
    }

    /// The earliest hole that touches the window, [`Time::MAX`] being the end of one that is open.
    pub(super) fn first_gap(&self, from: Time, to: Time) -> Option<(Time, Time)> {
        let closed = self.gaps.get(self.gaps.partition_point(|g| g.1 < from)).copied();
        let open = self.open_gaps.first().map(|g| (*g, Time::MAX));
        closed.into_iter().chain(open).filter(|g| g.0 <= to).min()
    }

    /// What is known of the window, both ends included.
    pub(super) fn window(&self, from: Time, to: Time) -> Known {
        let mut known = Known::YES;
        if to >= self.to {
            match (self.down, self.ended) {
                (true, _) => known.add(Reason::SourceDown.into()),
                (false, true) => known.add(Reason::AfterRecording.into()),
                (false, false) => known.pending = true,
            }
            if !self.ended {
                known.due = just_after(to);
            }
        }
        if from < self.from {
            known.add(Reason::BeforeWatch.into());
        }
        if self.gap_in(from, to) {
            known.add(Reason::Gap.into());
        }
        known
    }
}

fn doubt(reason: Reason, source: SourceId) -> Doubt {
    Doubt { reason, source: Some(source) }
}

fn just_after(time: Time) -> Time {
    time + Span(1)
}

/// The answer to "is it sure?".
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Known {
    /// Why not; `None` where it is sure.
    pub doubt: Option<Doubt>,
    /// A source has not passed the moment yet: nothing can be said.
    pub pending: bool,
    /// The progress at which the answer may change; [`Time::MAX`] where it is settled.
    pub due: Time,
}

impl Known {
    /// Sure, and settled.
    pub const YES: Known = Known { doubt: None, pending: false, due: Time::MAX };

    /// Whether it is sure (as things stand).
    pub fn is_yes(&self) -> bool {
        self.doubt.is_none() && !self.pending
    }

    fn add(&mut self, doubt: Doubt) {
        self.doubt = Some(self.doubt.map_or(doubt, |d| d.min(doubt)));
    }

    /// The same, where it is known of this source.
    fn of(mut self, source: SourceId) -> Known {
        self.doubt.iter_mut().for_each(|doubt| doubt.source = Some(source));
        self
    }

    /// Both must be known.
    pub fn and(self, other: Known) -> Known {
        let mut both = self;
        if let Some(doubt) = other.doubt {
            both.add(doubt);
        }
        both.pending |= other.pending;
        both.due = both.due.min(other.due);
        both
    }
}

/// All that is known of the completeness of what was seen.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Evidence {
    /// One a source of the plan.
    pub sources: Vec<Coverage>,
    /// Per flow and step: observations that joined no transaction.
    unjoined: Vec<Vec<Strays>>,
}

/// Observations of one step that joined no transaction.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
struct Strays {
    /// Their times, told apart by a number.
    times: BTreeSet<(Time, u64)>,
    /// Those that are too many to be kept.
    beyond: Stretch,
}

/// The stretch of time from the first to the last of moments that could not be kept one by one.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub struct Stretch(Option<(Time, Time)>);

impl Stretch {
    /// One more moment.
    pub fn add(&mut self, time: Time) {
        let (first, last) = self.0.unwrap_or((time, time));
        self.0 = Some((first.min(time), last.max(time)));
    }

    /// Whether any of them may lie in the window, both ends included.
    pub fn touches(&self, from: Time, to: Time) -> bool {
        self.0.is_some_and(|(first, last)| first <= to && from <= last)
    }
}

impl Evidence {
    /// Nothing is known yet.
    pub fn new(plan: &Plan) -> Evidence {
        Evidence {
            sources: plan.sources.iter().map(|_| Coverage::new()).collect(),
            unjoined: plan.flows.iter().map(|f| vec![Strays::default(); f.steps.len()]).collect(),
        }
    }

    /// Whether `step` is known not to have occurred in the window (both ends included) but for what
    /// was seen: every source of its closure covers the window, and no observation of it lies there
    /// that joined nothing and may have lost its binder.
    pub fn absent(&self, plan: &Plan, flow: FlowId, step: StepId, from: Time, to: Time) -> Known {
        let spec = &plan.flows[flow as usize].steps[step as usize];
        let known = self.covers(&spec.closure, from, to);
        if known.pending || spec.carries_flow_key {
            return known;
        }
        known.and(self.strays(plan, flow, step, from, to))
    }

    /// Whether each of the sources covers the window.
    pub fn covers(&self, sources: &[SourceId], from: Time, to: Time) -> Known {
        sources.iter().fold(Known::YES, |known, s| known.and(self.window(*s, from, to)))
    }

    /// What is known of a source's window, both ends included.
    pub(super) fn window(&self, source: SourceId, from: Time, to: Time) -> Known {
        self.sources[source as usize].window(from, to).of(source)
    }

    /// Observations of `step` in the window that joined nothing: whether a binder may have been
    /// missed. One whose binder may still come makes the answer provisional, not pending.
    fn strays(&self, plan: &Plan, flow: FlowId, step: StepId, from: Time, to: Time) -> Known {
        let Strays { times, beyond } = &self.unjoined[flow as usize][step as usize];
        let mut known = Known::YES;
        if beyond.touches(from, to) {
            known.add(Reason::Limit.into());
        }
        let in_window = |from: Time, to: Time| times.range((from, 0)..=(to, u64::MAX));
        let (Some(first), Some(last)) = (in_window(from, to).next(), in_window(from, to).next_back()) else {
            return known;
        };
        let flow = &plan.flows[flow as usize];
        let linger = flow.linger;
        for source in &flow.steps[step as usize].binders {
            let coverage = &self.sources[*source as usize];
            known = known.and(self.window(*source, first.0 - linger, first.0 + linger));
            known = known.and(self.window(*source, last.0 - linger, last.0 + linger));
            let open = coverage.open_gaps.iter().map(|g| (*g, Time::MAX));
            for (gap_from, gap_to) in coverage.gaps.iter().copied().chain(open) {
                let (low, high) = (from.max(gap_from - linger), to.min(gap_to + linger));
                if low <= high && in_window(low, high).next().is_some() {
                    known.add(doubt(Reason::Gap, *source));
                }
            }
        }
        known.pending = false;
        known
    }

    /// Whether every source in the closures of these steps has passed `time`.
    pub fn passed(&self, plan: &Plan, flow: FlowId, steps: impl IntoIterator<Item = StepId>, time: Time) -> Known {
        let flow = &plan.flows[flow as usize];
        let mut known = Known::YES;
        for step in steps {
            for source in &flow.steps[step as usize].closure {
                let coverage = &self.sources[*source as usize];
                if time < coverage.to {
                    continue;
                }
                match (coverage.down, coverage.ended) {
                    (true, _) => known.add(doubt(Reason::SourceDown, *source)),
                    (false, true) => known.add(doubt(Reason::AfterRecording, *source)),
                    (false, false) => known.pending = true,
                }
                if !coverage.ended {
                    known.due = known.due.min(just_after(time));
                }
            }
        }
        known
    }

    /// The end of `within: end`: whether all sources of the step's closure have ended, without a gap
    /// since `from`.
    pub fn absent_to_the_end(&self, plan: &Plan, flow: FlowId, step: StepId, from: Time) -> Known {
        let spec = &plan.flows[flow as usize].steps[step as usize];
        let mut known = Known::YES;
        let mut newest = from;
        for source in &spec.closure {
            let coverage = &self.sources[*source as usize];
            newest = newest.max(coverage.to - Span(1));
            if coverage.down {
                known.add(doubt(Reason::SourceDown, *source));
            } else if !coverage.ended {
                known.pending = true;
            }
            if !coverage.ended {
                known.due = Time(i64::MAX - 1);
            }
            if coverage.gap_in(from, Time::MAX) {
                known.add(doubt(Reason::Gap, *source));
            }
            if from < coverage.from {
                known.add(doubt(Reason::BeforeWatch, *source));
            }
        }
        if known.pending || spec.carries_flow_key {
            return known;
        }
        known.and(self.strays(plan, flow, step, from, Time(i64::MAX - 1)))
    }

    /// Notes an observation that has joined nothing (yet). False where there are `most` of its step already: then only
    /// the stretch of time in which such ones lie is kept.
    pub fn add_stray(&mut self, flow: FlowId, step: StepId, time: Time, number: u64, most: usize) -> bool {
        let strays = &mut self.unjoined[flow as usize][step as usize];
        if strays.times.len() >= most {
            strays.beyond.add(time);
            return false;
        }
        strays.times.insert((time, number));
        true
    }

    /// It has joined after all, or is known to belong nowhere.
    pub fn remove_stray(&mut self, flow: FlowId, step: StepId, time: Time, number: u64) {
        self.unjoined[flow as usize][step as usize].times.remove(&(time, number));
    }

    /// Whether a binder of this stray may have been missed, or may still come.
    pub fn binder_known(&self, plan: &Plan, flow: FlowId, step: StepId, time: Time) -> Known {
        let flow = &plan.flows[flow as usize];
        self.covers(&flow.steps[step as usize].binders, time - flow.linger, time + flow.linger)
    }

    /// The progress of the slowest of these sources; an ended one holds nothing back.
    pub fn progress(&self, sources: &[SourceId]) -> Time {
        let of = |s: &SourceId| {
            let coverage = &self.sources[*s as usize];
            if coverage.ended { Time::MAX } else { coverage.to }
        };
        sources.iter().map(of).min().unwrap_or(Time::MAX)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_window_is_known_only_where_it_is_covered_without_a_gap() {
        let mut coverage = Coverage::new();
        coverage.from = Time(100);
        coverage.to = Time(200);
        coverage.add_gap(Time(150), Some(Time(155)), 9);
        assert_eq!(coverage.window(Time(100), Time(149)), Known::YES);
        assert_eq!(coverage.window(Time(99), Time(110)).doubt, Some(Reason::BeforeWatch.into()));
        assert_eq!(coverage.window(Time(155), Time(160)).doubt, Some(Reason::Gap.into()));
        let later = coverage.window(Time(160), Time(200));
        assert!(later.pending && later.due == Time(201));
        coverage.ended = true;
        assert_eq!(coverage.window(Time(160), Time(200)).doubt, Some(Reason::AfterRecording.into()));
        assert_eq!(coverage.window(Time(99), Time(110)).doubt, Some(Reason::BeforeWatch.into()));
        assert_eq!(coverage.window(Time(99), Time(200)).doubt, Some(Reason::Gap.into()));
    }

    #[test]
    fn gaps_merge_and_open_ones_close() {
        let mut coverage = Coverage::new();
        coverage.add_gap(Time(10), None, 9);
        assert!(coverage.gap_in(Time(500), Time(600)));
        coverage.add_gap(Time(10), Some(Time(20)), 9);
        coverage.add_gap(Time(30), Some(Time(40)), 9);
        assert!(!coverage.gap_in(Time(21), Time(29)));
        coverage.add_gap(Time(15), Some(Time(35)), 9);
        assert_eq!(coverage.gaps, [(Time(10), Time(40))]);
    }

    #[test]
    fn beyond_the_limit_a_gap_is_merged_with_the_one_before_it() {
        let mut coverage = Coverage::new();
        let mut add = |from, to| coverage.add_gap(Time(from), Some(Time(to)), 2);
        assert!(!add(10, 20) && !add(30, 40) && !add(35, 45), "one that overlaps adds none");
        assert!(add(50, 60));
        assert_eq!(coverage.gaps, [(Time(10), Time(20)), (Time(30), Time(60))]);
    }
}
