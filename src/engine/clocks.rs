//! When a flow's transactions are looked at: which sources a check waits for, and how soon after an
//! observation it can be due. Worked out once from the plan.

use super::Pace;
use crate::checks::wake_after;
use crate::flow::plan::{Check, Deadline, Flow, Form, Plan};
use crate::model::SourceId;
use crate::model::time::Span;

/// How one flow's transactions are woken.
#[derive(Clone, Debug)]
pub(super) struct Clocks {
    /// The sources of each clock; its time is the progress of the slowest. Number 0 is all of the
    /// flow's: by it transactions close.
    pub sources: Vec<Vec<SourceId>>,
    /// The clock of each check.
    pub of_check: Vec<usize>,
    /// Per step: which clocks to set after one of its observations, and how much later; each at most once, since what
    /// is looked at says itself when it is to be looked at next.
    pub wakes: Vec<Vec<(usize, Span)>>,
    /// Whether there are any.
    pub wakes_any: bool,
    /// Of each clock, the longest of these spans: no transaction is to be looked at first later than that after its base.
    pub latest: Vec<Span>,
    /// How long after its first observation a transaction is looked at for closing.
    pub settle: Span,
    /// How long a transaction must have been quiet before it closes.
    pub quiet: Span,
}

impl Clocks {
    pub fn new(plan: &Plan, flow: &Flow, pace: Pace) -> Clocks {
        let mut clocks = Clocks {
            sources: vec![flow.sources.clone()],
            of_check: vec![0; flow.checks.len()],
            wakes: vec![Vec::new(); flow.steps.len()],
            latest: Vec::new(),
            wakes_any: false,
            settle: settle(flow),
            quiet: flow.sources.iter().map(|s| plan.sources[*s as usize].lateness).max().unwrap_or_default(),
        };
        if pace == Pace::Live {
            clocks.follow_each_check(flow);
            clocks.wakes_any = clocks.wakes.iter().any(|wakes| !wakes.is_empty());
            clocks.latest = vec![Span::ZERO; clocks.sources.len()];
            for &(clock, delay) in clocks.wakes.iter().flatten() {
                clocks.latest[clock] = clocks.latest[clock].max(delay);
            }
        }
        clocks
    }

    /// Each check is looked at as soon as the sources that it waits for have passed.
    fn follow_each_check(&mut self, flow: &Flow) {
        for (number, check) in flow.checks.iter().enumerate() {
            let awaited = sources_of(flow, check);
            let known = self.sources[1..].iter().position(|s| *s == awaited);
            let clock = known.map_or(self.sources.len(), |at| at + 1);
            if known.is_none() {
                self.sources.push(awaited);
            }
            self.of_check[number] = clock;
            for (step, wakes) in self.wakes.iter_mut().enumerate() {
                let Some(delay) = wake_after(check, step as u16) else { continue };
                match wakes.iter_mut().find(|(set, _)| *set == clock) {
                    Some((_, soonest)) => *soonest = delay.min(*soonest),
                    None => wakes.push((clock, delay)),
                }
            }
        }
    }
}

/// All sources whose progress a check's verdict can wait for.
fn sources_of(flow: &Flow, check: &Check) -> Vec<SourceId> {
    let steps = check.form.steps().into_iter().chain(check.given.iter().chain(&check.unless).copied());
    let mut sources: Vec<SourceId> = steps.flat_map(|s| flow.steps[s as usize].closure.iter().copied()).collect();
    sources.sort_unstable();
    sources.dedup();
    sources
}

/// Looking too early is work for nothing, looking late keeps transactions in memory: the longest
/// deadline that is not more than four times the shortest.
fn settle(flow: &Flow) -> Span {
    let mut spans: Vec<Span> = flow.checks.iter().filter_map(|c| bound(&c.form)).filter(|s| s.0 > 0).collect();
    spans.sort_unstable();
    let shortest = spans.first().copied().unwrap_or_default();
    spans.into_iter().filter(|s| s.0 / 4 <= shortest.0).max().unwrap_or_default()
}

fn bound(form: &Form) -> Option<Span> {
    match form {
        Form::After(after) => match after.deadline {
            Deadline::Within { within, .. } => Some(within),
            _ => None,
        },
        Form::Together { within, .. } | Form::Mirror { within, .. } => Some(*within),
        Form::Agree { within, .. } | Form::Holds { within, .. } => *within,
        _ => None,
    }
}
