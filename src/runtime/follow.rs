//! Follows one source by every clock that is read off it.
//!
//! A step with a `time` of its own has a clock of its own. Where the source has times as well, they show how far it
//! has been read, and the step's clock only lags by another lateness. Where it has none, each clock goes by the times
//! of its own observations.

use super::coverage::{Coverage, Hole, Window};
use super::portion::{Mark, Portion};
use super::recording::Tap;
use crate::engine::Input;
use crate::flow::format::{Lateness, Pacing};
use crate::flow::plan::Plan;
use crate::model::observation::Entry;
use crate::model::time::{Span, Time};

/// One source with its clocks.
pub(super) struct Follow {
    main: Coverage,
    /// Where the source has no times: one for each clock.
    apart: Vec<Coverage>,
    /// For each flow and step which clock stamps it: 0 is the source's own.
    clock_of_step: Vec<Vec<usize>>,
    declared: Vec<(Time, Time)>,
    has_own_clocks: bool,
}

impl Follow {
    pub(super) fn new(plan: &Plan, tap: &Tap, window: Window, complete: bool) -> Follow {
        let pacing = tap.config.pacing;
        let timed = tap.config.decoding.time.is_some();
        let parts = tap.files.len();
        let lateness = match pacing.lateness {
            Lateness::Span(span) => span,
            Lateness::End => Span::ZERO,
        };
        let mut clocks = vec![(tap.source, lateness)];
        let mut apart = Vec::new();
        for &(source, lateness) in &tap.own_clocks {
            if timed {
                clocks.push((source, lateness));
            } else {
                let own =
                    if plan.sources[source as usize].lateness_end { Lateness::End } else { Lateness::Span(lateness) };
                let pacing = Pacing { lateness: own, ..pacing };
                apart.push(Coverage::new(&[(source, lateness)], &pacing, parts, window, complete));
            }
        }
        let clock_of = |source| tap.own_clocks.iter().position(|(own, _)| *own == source).map_or(0, |index| index + 1);
        let steps = plan.flows.iter().map(|flow| flow.steps.iter().map(|step| clock_of(step.source)).collect());
        Follow {
            main: Coverage::new(&clocks, &pacing, parts, window, complete),
            apart,
            clock_of_step: steps.collect(),
            declared: tap.config.gaps.clone(),
            has_own_clocks: !tap.own_clocks.is_empty(),
        }
    }

    /// What is known before anything is read.
    pub(super) fn start(&mut self, out: &mut Vec<Input>) {
        for coverage in self.all() {
            coverage.0.start(coverage.1, out);
        }
    }

    /// Takes note of what a first look at a part found.
    pub(super) fn look(&mut self, part: usize, portion: &Portion) {
        let timed = portion.marks.iter().filter_map(|mark| match mark {
            Mark::Timed(time, _) | Mark::LeftOut(Some(time), _) => Some(*time),
            _ => None,
        });
        if let Some(oldest) = timed.min() {
            self.main.expect(part, oldest);
        }
        for (index, coverage) in self.apart.iter_mut().enumerate() {
            let own = |entry: &&Entry| self.clock_of_step[entry.flow as usize][entry.step as usize] == index + 1;
            if let Some(oldest) = portion.batch.entries().iter().filter(own).map(|entry| entry.time).min() {
                coverage.expect(part, oldest);
            }
        }
    }

    /// Takes note of a portion's times.
    pub(super) fn take(&mut self, part: usize, portion: &Portion) {
        let mut entries = portion.batch.entries();
        for mark in &portion.marks {
            let count = match *mark {
                Mark::Timed(time, count) => {
                    self.main.record(part, time);
                    count
                }
                Mark::Timeless(count) => count,
                Mark::LeftOut(time, count) => {
                    // First the hole, so that the record itself is its other side.
                    self.all().for_each(|(coverage, _)| coverage.undecodable(part));
                    time.into_iter().for_each(|time| self.main.record(part, time));
                    count
                }
                Mark::Undecodable => {
                    self.all().for_each(|(coverage, _)| coverage.undecodable(part));
                    0
                }
                Mark::Unreadable => {
                    self.all().for_each(|(coverage, _)| coverage.unreadable(part));
                    0
                }
            };
            if self.has_own_clocks {
                let (these, rest) = entries.split_at(count as usize);
                entries = rest;
                these.iter().for_each(|entry| self.observation(part, entry));
            }
        }
        if portion.last {
            self.all().for_each(|(coverage, _)| coverage.finish(part));
        }
    }

    fn observation(&mut self, part: usize, entry: &Entry) {
        match self.clock_of_step[entry.flow as usize][entry.step as usize] {
            0 => {}
            clock if self.apart.is_empty() => self.main.observation(part, clock, entry.time),
            clock => self.apart[clock - 1].record(part, entry.time),
        }
    }

    /// Tells what has changed after records of `part`.
    pub(super) fn report(&mut self, part: usize, out: &mut Vec<Input>) {
        self.all().for_each(|(coverage, _)| coverage.report(part, out));
    }

    /// How far a part has come in event time.
    pub(super) fn reached(&self, part: usize) -> Time {
        let apart = self.apart.iter().map(|coverage| coverage.reached(part)).max();
        apart.map_or(Time::MIN, |time| time).max(self.main.reached(part))
    }

    /// Records that came later than their clock's lateness allows.
    pub(super) fn beyond_lateness(&self) -> u64 {
        self.main.beyond_lateness() + self.apart.iter().map(Coverage::beyond_lateness).sum::<u64>()
    }

    /// Times that stand too far from all others to count.
    pub(super) fn lone(&self) -> u64 {
        self.main.lone() + self.apart.iter().map(Coverage::lone).sum::<u64>()
    }

    /// Silences that were told as one with others.
    pub(super) fn silences_merged(&self) -> u64 {
        self.main.silences_merged() + self.apart.iter().map(Coverage::silences_merged).sum::<u64>()
    }

    /// The oldest and the newest event time that count.
    pub(super) fn range(&self) -> Option<(Time, Time)> {
        let ranges = || [&self.main].into_iter().chain(&self.apart).filter_map(Coverage::range);
        Some((ranges().map(|(oldest, _)| oldest).min()?, ranges().map(|(_, newest)| newest).max()?))
    }

    /// The first of its holes, and how many more there are.
    pub(super) fn holes(&self) -> (&[Hole], u64) {
        self.apart.first().unwrap_or(&self.main).holes()
    }

    fn all(&mut self) -> impl Iterator<Item = (&mut Coverage, &[(Time, Time)])> {
        let declared = &self.declared[..];
        [&mut self.main].into_iter().chain(&mut self.apart).map(move |coverage| (coverage, declared))
    }
}
