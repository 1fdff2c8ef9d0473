//! Values of effects, as they stand finally or stood at a moment.

use super::Case;
use super::story::{Looked, Story};
use super::view::{Effect, Record};
use crate::flow::expression::Operand;
use crate::flow::plan::Field;
use crate::model::StepId;
use crate::model::time::{Span, Time};
use crate::model::value::Value;

/// The state of a transaction at a moment: only records up to it count.
#[derive(Clone, Copy)]
pub(super) struct At(pub Time);

impl At {
    /// The final state.
    pub const END: At = At(Time::MAX);

    /// An effect's newest record up to the moment; `None` where it was not there yet.
    pub fn newest(self, case: &Case<'_>, effect: &Effect) -> Option<u32> {
        if self.0 == Time::MAX {
            return Some(effect.newest);
        }
        case.view.members(effect).iter().rev().copied().find(|r| case.view.record(*r).time <= self.0)
    }

    /// A step's effects that were there, as (earliest record, newest record up to the moment).
    pub fn effects<'a>(self, case: &Case<'a>, step: StepId) -> impl Iterator<Item = (&'a Record, u32)> + use<'a> {
        let case = *case;
        case.effects(step).filter_map(move |e| Some((case.first(e), self.newest(&case, e)?)))
    }
}

/// A field of an effect: its time is that of its earliest record.
pub(super) fn operand<'a>(case: &Case<'a>, first: &Record, newest: u32, field: Field) -> Operand<'a> {
    match field {
        Field::Time => Operand::Time(first.time),
        Field::Keep(index) => Operand::Value(case.view.field(newest, index)),
    }
}

/// Whether two operands are the same.
pub(super) fn same(a: &Operand<'_>, b: &Operand<'_>) -> bool {
    match (a, b) {
        (Operand::Time(a), Operand::Time(b)) => a == b,
        (Operand::Value(a), Operand::Value(b)) => a.same(b),
        _ => false,
    }
}

/// As people see it.
pub(super) fn show(operand: &Operand<'_>) -> String {
    match operand {
        Operand::Time(time) => time.to_string(),
        Operand::Value(Value::Text(text)) => format!("\"{text}\""),
        Operand::Value(value) => value.display().into_owned(),
    }
}

/// The times at which the records of these steps changed something, ascending, each once.
pub(super) fn change_times(case: &Case<'_>, steps: &[StepId]) -> Vec<Time> {
    let mut times: Vec<Time> = steps.iter().flat_map(|s| case.records(*s)).map(|r| case.view.record(r).time).collect();
    times.sort_unstable();
    times.dedup();
    times
}

/// How people are told of `within`, in what is expected.
pub(super) fn each_change(within: Option<Span>) -> String {
    within.map_or_else(String::new, |t| format!(", {t} after each change"))
}

/// And in what was found.
pub(super) fn after_a_change(within: Option<Span>) -> String {
    within.map_or_else(String::new, |t| format!(", {t} after a change"))
}

/// Notes that these steps' sources had to be complete up to a moment.
pub(super) fn look(steps: &[StepId], until: Time, story: &mut Story) {
    story.looked.extend(steps.iter().map(|step| Looked::Until { step: *step, to: until }));
}

/// How long after a moment at which something was wrong it came right.
pub(super) fn healed_after(case: &Case<'_>, steps: &[StepId], at: At, right: impl Fn(At) -> bool) -> Option<Span> {
    let later = change_times(case, steps).into_iter().filter(|t| *t > at.0);
    later.map(At).find(|t| right(*t)).map(|t| t.0.since(at.0))
}

/// Values that are told apart, most of them.
pub(super) fn distinct(values: impl Iterator<Item = String>) -> String {
    const SHOWN_MAX: usize = 5;
    let mut different: Vec<String> = Vec::new();
    for value in values {
        if !different.contains(&value) {
            different.push(value);
        }
    }
    let more = different.len().saturating_sub(SHOWN_MAX);
    different.truncate(SHOWN_MAX);
    let more = if more > 0 { format!(" … and {more} more") } else { String::new() };
    different.join(", ") + &more
}
