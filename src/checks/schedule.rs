//! `schedule: "0 2 * * *", expect: A, within: T`: a background job ran at each due time.
//!
//! The one form that is not about a transaction: every record of the step counts, whatever it
//! joined, and the due time is the key.

use super::evidence::{Evidence, Stretch};
use super::outcome::Verdict;
use super::story::Story;
use crate::flow::plan::{Cron, Plan};
use crate::model::finding;
use crate::model::time::{Span, Time};
use crate::model::verdict::{Class, Reason, Status};
use crate::model::{FlowId, StepId};
use std::collections::BTreeSet;

/// A schedule check, resolved.
#[derive(Clone, Copy)]
pub struct Schedule<'a> {
    /// The plan.
    pub plan: &'a Plan,
    /// The flow.
    pub flow: FlowId,
    /// When it is due.
    pub cron: &'a Cron,
    /// The step that shows that it ran.
    pub expect: StepId,
    /// How long after the due time.
    pub within: Span,
    /// How long before.
    pub early: Span,
}

impl Schedule<'_> {
    fn source(&self) -> crate::model::SourceId {
        self.plan.flows[self.flow as usize].steps[self.expect as usize].source
    }

    /// The window in which a run answers this due time.
    pub fn window(&self, due: Time) -> (Time, Time) {
        let resolution = self.plan.sources[self.source() as usize].resolution;
        (due - self.early - resolution, due + self.within + resolution)
    }

    /// The due times within what the source covers, `seen` being the oldest and newest record of it
    /// (they stand in where its coverage has no end, but for what it had shown before that was declared).
    pub fn due_times<'s>(
        &'s self,
        evidence: &Evidence,
        seen: Option<(Time, Time)>,
    ) -> impl Iterator<Item = Time> + use<'s> {
        let coverage = &evidence.sources[self.source() as usize];
        let (oldest, newest) = seen.map_or((Time::MAX, Time::MIN), |(o, n)| (o, n + Span(1)));
        let from = if coverage.from == Time::MIN { oldest } else { coverage.from };
        let to = if coverage.to == Time::MAX { newest.max(coverage.proven) } else { coverage.to };
        let first = if from < to { self.cron.next_after(from - Span(1)) } else { None };
        std::iter::successors(first, |due| self.cron.next_after(*due)).take_while(move |due| *due < to)
    }

    /// Judges one due time by the runs, and the stretch in which those lie that could not be kept. `None` while its
    /// window has not been passed.
    pub fn judge(&self, evidence: &Evidence, runs: (&BTreeSet<Time>, Stretch), due: Time) -> Option<Verdict> {
        let (from, to) = self.window(due);
        let (runs, beyond) = runs;
        if runs.range(from..=to).next().is_some() {
            return Some(Verdict::Passed);
        }
        if beyond.touches(from, to) {
            return Some(Verdict::Undecided(Reason::Limit.into()));
        }
        let known = evidence.covers(&[self.source()], from, to);
        match known.doubt {
            _ if known.pending => None,
            Some(doubt) => Some(Verdict::Undecided(doubt)),
            None => Some(Verdict::Broken(Class::MissedRun, Status::Open)),
        }
    }

    /// Tells of a run that was missed.
    pub fn explain(&self, evidence: &Evidence, due: Time) -> Story {
        let name = &self.plan.flows[self.flow as usize].steps[self.expect as usize].name;
        let (from, to) = self.window(due);
        let source = self.source();
        let progress = evidence.sources[source as usize].to;
        let early = if self.early == Span::ZERO { String::new() } else { format!(" (or up to {} before)", self.early) };
        let Cron { text, zone, .. } = self.cron;
        Story {
            time: Some(due),
            deadline: Some(due + self.within),
            expected: format!("{name} within {} after each `{text}` ({zone}){early}", self.within),
            evidence: vec![finding::Evidence::Absent { step: self.expect, source, from, to, progress }],
            summary: format!("no {name} came for the run that was due at {due}"),
            ..Story::default()
        }
    }
}

#[cfg(test)]
mod tests;
