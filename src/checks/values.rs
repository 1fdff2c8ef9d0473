//! Values of effects, as they stand finally or stood at a moment.

use super::Case;
use super::view::{Effect, Record};
use crate::flow::expression::Operand;
use crate::flow::plan::Field;
use crate::model::StepId;
use crate::model::time::Time;
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
