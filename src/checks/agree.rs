//! `agree: [a.x, b.y]`: every effect, of those steps that came, has the same value.

use super::Case;
use super::outcome::{Fold, Outcome, Part};
use super::story::{Story, listed};
use super::values::{At, after_a_change, change_times, distinct, each_change, healed_after, look, operand, same, show};
use crate::flow::expression::Operand;
use crate::flow::plan::FieldRef;
use crate::model::StepId;
use crate::model::time::{Span, Time};
use crate::model::value::Value;
use crate::model::verdict::{Class, Status};

pub(super) fn judge(case: &Case<'_>, fields: &[FieldRef], tolerance: Option<&Value<'_>>, within: Option<Span>) -> Fold {
    let Some(finally) = agree(case, fields, tolerance, At::END) else {
        return Fold::not_applicable();
    };
    let mut fold = Fold::passed();
    let steps: Vec<StepId> = if finally.is_ok() && within.is_none() {
        return fold;
    } else {
        case.check.form.steps()
    };
    let newest = case.newest(steps.iter().copied()).unwrap_or(Time::MIN);
    let Some(within) = within else {
        let known = case.passed(steps, newest);
        fold.ask_again(known.due);
        let anchor = finally.unwrap_err();
        fold.add(Part::broken_if(&known, 0, Class::Mismatch, Status::Open), anchor, newest, None);
        return fold;
    };
    let status = if finally.is_ok() { Status::Healed } else { Status::Open };
    for change in change_times(case, &steps) {
        let at = change + within;
        if let Some(Err(anchor)) = agree(case, fields, tolerance, At(at)) {
            let known = case.passed(steps.iter().copied(), at);
            fold.ask_again(known.due);
            fold.add(Part::broken_if(&known, 0, Class::Mismatch, status), anchor, newest + within, Some(at));
        }
    }
    fold
}

/// Whether the values at a moment are the same; `None` where there are fewer than two, else the
/// first record that differs.
pub(super) fn agree(
    case: &Case<'_>,
    fields: &[FieldRef],
    tolerance: Option<&Value<'_>>,
    at: At,
) -> Option<Result<(), u32>> {
    let values = || {
        fields.iter().flat_map(move |f| {
            at.effects(case, f.step).map(move |(first, newest)| (newest, operand(case, first, newest, f.field)))
        })
    };
    let mut all = values();
    let (_, reference) = all.next()?;
    let mut count = 1;
    let mut differs = None;
    for (record, value) in all {
        count += 1;
        if differs.is_none() && !same(&reference, &value) {
            differs = Some(record);
        }
    }
    if count < 2 {
        return None;
    }
    match (differs, tolerance.and_then(Value::decimal)) {
        (None, _) => Some(Ok(())),
        (Some(record), None) => Some(Err(record)),
        (Some(record), Some(tolerance)) => {
            let numbers: Option<Vec<_>> = values()
                .map(|(_, v)| match v {
                    Operand::Value(value) => value.decimal(),
                    Operand::Time(_) => None,
                })
                .collect();
            let spread = numbers.and_then(|n| {
                let (low, high) = (n.iter().min()?, n.iter().max()?);
                high.checked_sub(*low)
            });
            Some(if spread.is_some_and(|s| s <= tolerance) { Ok(()) } else { Err(record) })
        }
    }
}

pub(super) fn tell(
    case: &Case<'_>,
    fields: &[FieldRef],
    tolerance: Option<&Value<'_>>,
    within: Option<Span>,
    outcome: &Outcome,
    story: &mut Story,
) {
    let steps = case.check.form.steps();
    let names = listed(fields.iter().map(|f| case.field_name(*f)), "and");
    let nearly = tolerance.map_or_else(String::new, |t| format!(" to within {}", t.display()));
    story.expected = format!("{names} agree{nearly}{}", each_change(within));
    let at = outcome.deadline.map_or(At::END, At);
    let newest = case.newest(steps.iter().copied()).unwrap_or(Time::MIN);
    look(&steps, outcome.deadline.unwrap_or(newest), story);
    let values = fields.iter().filter_map(|f| {
        let values = at.effects(case, f.step).map(|(first, newest)| show(&operand(case, first, newest, f.field)));
        let values = distinct(values);
        (!values.is_empty()).then(|| format!("{} is {values}", case.field_name(*f)))
    });
    story.summary = format!("{}{}", listed(values, "and"), after_a_change(within));
    story.healed_after = healed_after(case, &steps, at, |at| agree(case, fields, tolerance, at) == Some(Ok(())));
}

#[cfg(test)]
mod tests;
