//! One file a form: how it judges a transaction, and how it explains what it says.
//!
//! A judgement is a pure function of a [`Case`]: the check, the transaction's [`View`], and the
//! [`Evidence`] of what the sources have shown. It can be asked again at any time; [`Outcome::due`]
//! says when the answer may change by the sources' progress alone.
//!
//! ```text
//! form's parts (anchors, items, steps …) ─▶ Fold ─▶ given / unless ─▶ begins ─▶ Outcome
//! ```

mod after;
mod agree;
mod at_most;
mod doubt;
pub mod evidence;
mod explain;
#[cfg(test)]
mod fixture;
mod forbid;
mod given;
mod holds;
mod mirror;
mod never;
mod order;
mod outcome;
mod requires;
pub mod schedule;
mod states;
mod story;
mod together;
pub mod usual;
mod values;
pub mod view;

pub use outcome::{Outcome, Verdict};
pub use story::Story;

use crate::flow::plan::{Anchor, Check, Flow, Form, Plan};
use crate::model::time::{Span, Time};
use crate::model::{FlowId, StepId};
use evidence::{Evidence, Known};
use outcome::Fold;
use view::{Effect, Record, View};

/// What a check is asked about.
#[derive(Clone, Copy)]
pub struct Case<'a> {
    /// The plan.
    pub plan: &'a Plan,
    /// Which flow.
    pub flow_id: FlowId,
    /// The check.
    pub check: &'a Check,
    /// The transaction.
    pub view: &'a View,
    /// What the sources have shown.
    pub evidence: &'a Evidence,
    /// The bound key (by index in the view) that a `by` restricts to.
    pub by: Option<u32>,
}

/// Judges one check on one transaction, for one value of its `by` where it has one.
pub fn judge(case: &Case<'_>) -> Outcome {
    given::apply(case, fold(case))
}

/// The form's own judgement, before `given`, `unless` and `begins`.
fn fold(case: &Case<'_>) -> Fold {
    match &case.check.form {
        Form::After(after) => after::judge(case, after),
        Form::Never { after, anchor, never, within } => never::judge(case, *after, *anchor, *never, *within),
        Form::Forbid { step } => forbid::judge(case, *step),
        Form::Together { steps, within } => together::judge(case, steps, *within),
        Form::AtMost { limits } => at_most::judge(case, limits),
        Form::Order { steps } => order::judge(case, steps),
        Form::Requires { step, requires, within } => requires::judge(case, *step, *requires, *within),
        Form::Agree { fields, tolerance, within } => agree::judge(case, fields, tolerance.as_ref(), *within),
        Form::Holds { program, within } => holds::judge(case, program, *within),
        Form::States { field, allow, start, end } => states::judge(case, *field, allow, start, end),
        Form::Mirror { step, entry, fields, within } => mirror::judge(case, *step, *entry, fields, *within),
        Form::Schedule { .. } => Fold::not_applicable(),
    }
}

/// Tells what was expected, what was seen and why it is sure, for an outcome of [`judge`].
pub fn explain(case: &Case<'_>, outcome: &Outcome) -> Story {
    explain::explain(case, outcome)
}

/// How long after a step's observation the check is first due, where the step is what it starts
/// from; `None` where the step cannot make it due. For waking up in time, not for judging.
pub fn wake_after(check: &Check, step: StepId) -> Option<Span> {
    let given = check.given.contains(&step).then_some(Span::ZERO);
    let own = match &check.form {
        Form::After(after) if after.after == step => match &after.deadline {
            crate::flow::plan::Deadline::Within { within, .. } => Some(*within),
            crate::flow::plan::Deadline::Due { .. } => Some(Span::ZERO),
            crate::flow::plan::Deadline::End => None,
        },
        Form::Together { steps, within } => steps.contains(&step).then_some(*within),
        Form::Requires { step: b, .. } => (*b == step).then_some(Span::ZERO),
        Form::Agree { within, .. } | Form::Holds { within, .. } => {
            check.form.steps().contains(&step).then(|| within.unwrap_or(Span::ZERO))
        }
        Form::Mirror { within, step: a, .. } if *a == step => Some(*within),
        Form::Schedule { .. } => None,
        form => form.steps().contains(&step).then_some(Span::ZERO),
    };
    own.or(given)
}

/// The effects of a step that a check starts from.
fn anchors<'a>(case: &Case<'a>, step: StepId, anchor: Anchor) -> impl Iterator<Item = &'a Effect> + use<'a> {
    let effects = case.effects(step);
    let last = (anchor == Anchor::Last).then(|| effects.clone().next_back()).flatten();
    let most = if anchor == Anchor::First { 1 } else { usize::MAX };
    effects.filter(move |e| last.is_none_or(|l| l.first == e.first)).take(most)
}

impl<'a> Case<'a> {
    fn flow(&self) -> &'a Flow {
        &self.plan.flows[self.flow_id as usize]
    }

    /// A step's effects, restricted to the value of `by`.
    fn effects(&self, step: StepId) -> impl DoubleEndedIterator<Item = &'a Effect> + Clone + use<'a> {
        let (view, by) = (self.view, self.by);
        view.effects_of(step).iter().filter(move |e| by.is_none_or(|key| view.effect_has(e, key)))
    }

    /// A step's records, restricted to the value of `by`.
    fn records(&self, step: StepId) -> impl DoubleEndedIterator<Item = u32> + use<'a> {
        let (view, by) = (self.view, self.by);
        view.records_of(step).filter(move |r| by.is_none_or(|key| view.record_effect_has(view.record(*r), key)))
    }

    fn first(&self, effect: &Effect) -> &'a Record {
        self.view.record(effect.first)
    }

    /// The slack between two records' clocks.
    fn slack(&self, a: &Record, b: &Record) -> Span {
        let same_part = a.source == b.source && a.position.part == b.position.part;
        self.plan.slack(a.source, b.source, same_part)
    }

    /// The most that the slack between two steps' records can be.
    fn slack_max(&self, a: StepId, b: StepId) -> Span {
        let steps = &self.flow().steps;
        self.plan.slack_max(steps[a as usize].source, steps[b as usize].source)
    }

    fn absent(&self, step: StepId, from: Time, to: Time) -> Known {
        self.evidence.absent(self.plan, self.flow_id, step, from, to)
    }

    fn passed(&self, steps: impl IntoIterator<Item = StepId>, time: Time) -> Known {
        self.evidence.passed(self.plan, self.flow_id, steps, time)
    }

    /// The time of the newest record of these steps.
    fn newest(&self, steps: impl IntoIterator<Item = StepId>) -> Option<Time> {
        steps.into_iter().filter_map(|s| self.records(s).next_back()).map(|r| self.view.record(r).time).max()
    }
}
