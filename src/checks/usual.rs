//! The usual transaction, judged at a glance: every step came at most once, and all went well.
//!
//! [`glance`] answers only where the answer cannot depend on slack, evidence or versions: where what
//! was expected stands clearly in its window, and nothing forbidden is there. Everything else is for
//! [`judge`](super::judge), whose answer it never contradicts.

use super::values::same;
use crate::flow::expression::Operand;
use crate::flow::plan::{After, Check, Count, Deadline, Expect, Field, FieldRef, Flow, Form};
use crate::model::StepId;
use crate::model::observation::Body;
use crate::model::time::{Span, Time};
use std::ops::Range;

/// A transaction each of whose steps came at most once, and only some of the first sixty-four.
#[derive(Debug, Default)]
pub struct Glance {
    /// Which steps came.
    came: u64,
    /// When, and where the body stands; of those that came.
    records: Vec<(Time, Range<u32>)>,
    newest: Time,
}

/// So many steps can be told apart at a glance.
const STEPS_MAX: usize = u64::BITS as usize;

impl Glance {
    /// Begins a transaction of a flow with so many steps.
    pub fn clear(&mut self, steps: usize) {
        self.came = 0;
        self.newest = Time::MIN;
        if self.records.len() < steps {
            self.records.resize(steps, Default::default());
        }
    }

    /// Adds a record, whose body stands in this range of the history. Says whether all steps are still
    /// there at most once.
    #[inline]
    pub fn add(&mut self, step: StepId, time: Time, body: Range<u32>) -> bool {
        if step as usize >= STEPS_MAX || self.has(step) {
            return false;
        }
        self.came |= 1 << step;
        self.newest = self.newest.max(time);
        self.records[step as usize] = (time, body);
        true
    }

    /// Event time of the newest record.
    pub fn newest(&self) -> Time {
        self.newest
    }

    #[inline]
    fn time(&self, step: StepId) -> Option<Time> {
        self.has(step).then(|| self.records[step as usize].0)
    }

    #[inline]
    fn has(&self, step: StepId) -> bool {
        (step as usize) < STEPS_MAX && self.came >> step & 1 == 1
    }
}

/// Whether the transaction may be judged at a glance at all.
pub fn possible(flow: &Flow, glance: &Glance) -> bool {
    flow.begins.is_empty() || flow.begins.iter().any(|s| glance.has(*s))
}

/// `Some(true)`: the check is met; `Some(false)`: it is not applicable; `None`: look closely.
/// `history` is what the bodies' ranges point into.
#[inline]
pub fn glance(check: &Check, glance: &Glance, history: &[u8]) -> Option<bool> {
    if check.by.is_some() {
        return None;
    }
    if check.unless.iter().any(|s| glance.has(*s)) {
        return Some(false);
    }
    let applicable = form(&check.form, glance, history)?;
    Some(applicable && check.given.iter().all(|s| glance.has(*s)))
}

fn form(form: &Form, glance: &Glance, history: &[u8]) -> Option<bool> {
    let time = |step: &StepId| glance.time(*step);
    match form {
        Form::After(form) => after(form, glance),
        Form::Never { after, never, .. } => match (time(after), time(never)) {
            (None, _) => Some(false),
            (Some(_), None) => Some(true),
            (Some(a), Some(b)) => (b <= a).then_some(true),
        },
        Form::Forbid { step } => (!glance.has(*step)).then_some(true),
        Form::Together { steps, within } => together(steps, *within, glance),
        Form::AtMost { limits } => Some(limits.iter().any(|(step, _)| glance.has(*step))),
        Form::Order { steps } => {
            let mut came = steps.iter().filter_map(time);
            let Some(mut before) = came.next() else { return Some(false) };
            let mut two = false;
            for next in came {
                if next < before {
                    return None;
                }
                before = next;
                two = true;
            }
            Some(two)
        }
        Form::Requires { step, requires, .. } if step == requires => (!glance.has(*step)).then_some(false),
        Form::Requires { step, requires, within } => match (time(step), time(requires)) {
            (None, _) => Some(false),
            (Some(b), Some(a)) => (a <= b && within.is_none_or(|t| a >= b - t)).then_some(true),
            (Some(_), None) => None,
        },
        Form::Agree { fields, .. } => agree(fields, glance, history),
        Form::Holds { program, .. } => (!program.uses().iter().any(|u| glance.has(u.step))).then_some(false),
        Form::States { field, start, end, .. } => {
            if !glance.has(field.step) {
                return Some(false);
            }
            (start.is_empty() && end.is_empty()).then_some(true)
        }
        Form::Mirror { step, .. } => (!glance.has(*step)).then_some(false),
        Form::Schedule { .. } => Some(false),
    }
}

fn after(form: &After, glance: &Glance) -> Option<bool> {
    let Some(a) = glance.time(form.after) else { return Some(false) };
    let latest = match form.deadline {
        Deadline::Within { within, .. } => a + within,
        Deadline::End => Time::MAX,
        Deadline::Due { .. } => return None,
    };
    let earliest = a - form.early;
    let in_time =
        |step: &StepId| *step != form.after && glance.time(*step).is_some_and(|b| earliest <= b && b <= latest);
    let met = match &form.expect {
        Expect::Any(steps) => steps.iter().any(in_time),
        Expect::All(items) => items.iter().all(|(step, count)| matches!(count, Count::Fixed(1)) && in_time(step)),
    };
    met.then_some(true)
}

fn together(steps: &[StepId], within: Span, glance: &Glance) -> Option<bool> {
    let first = steps.iter().filter_map(|s| glance.time(*s)).min();
    let Some(first) = first else { return Some(false) };
    steps.iter().all(|s| glance.time(*s).is_some_and(|t| t <= first + within)).then_some(true)
}

fn agree(fields: &[FieldRef], glance: &Glance, history: &[u8]) -> Option<bool> {
    let mut there = fields.iter().filter(|f| glance.has(f.step));
    let Some(first) = there.next() else { return Some(false) };
    let mut two = false;
    for other in there {
        if !agrees(first, other, glance, history) {
            return None;
        }
        two = true;
    }
    Some(two)
}

/// Whether two fields of steps that came have the same value.
fn agrees(a: &FieldRef, b: &FieldRef, glance: &Glance, history: &[u8]) -> bool {
    let record = |f: &FieldRef| &glance.records[f.step as usize];
    let body = |f: &FieldRef| {
        let at = &record(f).1;
        Body::read(&history[at.start as usize..at.end as usize])
    };
    if let (Field::Keep(i), Field::Keep(j)) = (a.field, b.field)
        && body(a).raw_field(i) == body(b).raw_field(j)
    {
        return true;
    }
    let operand = |f: &FieldRef| match f.field {
        Field::Time => Operand::Time(record(f).0),
        Field::Keep(index) => Operand::Value(body(f).field(index)),
    };
    same(&operand(a), &operand(b))
}

#[cfg(test)]
mod tests;
