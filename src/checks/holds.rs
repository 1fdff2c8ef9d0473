//! `holds: <expression>`: an invariant over the transaction's effects.

use super::Case;
use super::explain::Story;
use super::outcome::{Fold, Part};
use super::values::{At, change_times, operand, same, show};
use super::view::Record;
use crate::flow::expression::{HoldsProgram, How, Operand, Use};
use crate::flow::plan::Field;
use crate::model::StepId;
use crate::model::time::{Span, Time};
use crate::model::value::Value;
use crate::model::verdict::{Class, Reason, Status};
use rust_decimal::Decimal;
use std::borrow::Cow;
use std::cmp::Ordering;

pub(super) fn judge(case: &Case<'_>, program: &HoldsProgram, within: Option<Span>) -> Fold {
    let Some(finally) = evaluate(case, program, At::END) else {
        return Fold::not_applicable();
    };
    let mut fold = Fold::passed();
    let steps = case.check.form.steps();
    let newest = case.newest(steps.iter().copied()).unwrap_or(Time::MIN);
    let anchor = newest_record(case, &steps);
    match within {
        Some(within) => judge_changes(case, program, (within, newest), &steps, finally == Ok(true), &mut fold),
        None => judge_final(case, program, finally, newest, anchor, &steps, &mut fold),
    }
    fold
}

fn judge_final(
    case: &Case<'_>,
    program: &HoldsProgram,
    finally: Result<bool, String>,
    newest: Time,
    anchor: u32,
    steps: &[StepId],
    fold: &mut Fold,
) {
    let Ok(holds) = finally else {
        fold.add(Part::Undecided(Reason::Expression), anchor, newest, None);
        return;
    };
    let aggregates = program.uses().iter().any(|u| !matches!(u.how, How::Bare | How::First));
    if holds && !aggregates {
        return;
    }
    let settled = if aggregates { newest + case.flow().linger } else { newest };
    let known = case.passed(steps.iter().copied(), settled);
    fold.ask_again(known.due);
    let part = match (Part::doubt(&known), holds) {
        (Some(doubt), _) => doubt,
        (None, true) => Part::Ok,
        (None, false) => Part::Broken { rank: 0, class: Class::Mismatch, status: Status::Open },
    };
    fold.add(part, anchor, newest, None);
}

fn judge_changes(
    case: &Case<'_>,
    program: &HoldsProgram,
    (within, newest): (Span, Time),
    steps: &[StepId],
    holds_finally: bool,
    fold: &mut Fold,
) {
    let status = if holds_finally { Status::Healed } else { Status::Open };
    for change in change_times(case, steps) {
        let at = change + within;
        let anchor = record_at(case, steps, change);
        let part = match evaluate(case, program, At(at)) {
            None | Some(Ok(true)) => continue,
            Some(Err(_)) => Part::Undecided(Reason::Expression),
            Some(Ok(false)) => {
                let known = case.passed(steps.iter().copied(), at);
                fold.ask_again(known.due);
                Part::broken_if(&known, 0, Class::Mismatch, status)
            }
        };
        fold.add(part, anchor, newest + within, Some(at));
    }
}

fn newest_record(case: &Case<'_>, steps: &[StepId]) -> u32 {
    steps.iter().filter_map(|s| case.records(*s).next_back()).max_by_key(|r| case.view.record(*r).time).unwrap_or(0)
}

fn record_at(case: &Case<'_>, steps: &[StepId], time: Time) -> u32 {
    steps.iter().flat_map(|s| case.records(*s)).find(|r| case.view.record(*r).time == time).unwrap_or(0)
}

/// The invariant at a moment; `None` where it is not to be judged: nothing that it names is there,
/// or a step that it names bare, or by first, last, min or max, is not.
pub(super) fn evaluate(case: &Case<'_>, program: &HoldsProgram, at: At) -> Option<Result<bool, String>> {
    let there = |step: StepId| at.effects(case, step).next().is_some();
    let uses = program.uses();
    if !uses.iter().any(|u| there(u.step)) {
        return None;
    }
    let optional = |how: How| matches!(how, How::Count | How::Sum | How::Distinct);
    if uses.iter().any(|u| !optional(u.how) && !there(u.step)) {
        return None;
    }
    let operands: Result<Vec<Operand<'_>>, String> = uses.iter().map(|u| aggregate(case, u, at)).collect();
    Some(operands.and_then(|operands| program.eval(&operands)))
}

/// One input of the expression.
pub(super) fn aggregate<'a>(case: &Case<'a>, input: &Use, at: At) -> Result<Operand<'a>, String> {
    let effects = || at.effects(case, input.step);
    let field = input.field.unwrap_or(Field::Time);
    let value = |(first, newest): (&Record, u32)| operand(case, first, newest, field);
    let null = Operand::Value(Value::Null);
    let count = |n: usize| Operand::Value(Value::Int(n as i64));
    Ok(match input.how {
        How::Bare | How::First => effects().next().map_or(null, value),
        How::Last => effects().last().map_or(null, value),
        How::Count => count(effects().count()),
        How::Distinct => {
            let mut seen: Vec<Operand<'_>> = Vec::new();
            for operand in effects().map(value).filter(|v| *v != null) {
                if !seen.iter().any(|s| same(s, &operand)) {
                    seen.push(operand);
                }
            }
            count(seen.len())
        }
        How::Sum => Operand::Value(sum(effects().map(value))?),
        How::Min => extreme(effects().map(value), Ordering::Less)?,
        How::Max => extreme(effects().map(value), Ordering::Greater)?,
    })
}

fn sum<'a>(values: impl Iterator<Item = Operand<'a>>) -> Result<Value<'static>, String> {
    let mut total = Decimal::ZERO;
    for value in values {
        let number = match &value {
            Operand::Value(value) => value.decimal(),
            Operand::Time(_) => None,
        };
        let number = number.ok_or("sum() needs numbers; one value is null or none")?;
        total = total.checked_add(number).ok_or("sum() went beyond 28 digits")?;
    }
    let whole = total.is_integer().then(|| i64::try_from(total).ok()).flatten();
    Ok(whole.map_or_else(|| Value::Number(Cow::Owned(total.normalize().to_string())), Value::Int))
}

fn extreme<'a>(values: impl Iterator<Item = Operand<'a>>, wanted: Ordering) -> Result<Operand<'a>, String> {
    let mut best: Option<Operand<'a>> = None;
    for value in values.filter(|v| *v != Operand::Value(Value::Null)) {
        let better = match (&best, &value) {
            (None, _) => true,
            (Some(Operand::Time(b)), Operand::Time(v)) => v.cmp(b) == wanted,
            (Some(Operand::Value(b)), Operand::Value(v)) => {
                v.order(b).ok_or("min() and max() cannot compare these values")? == wanted
            }
            _ => false,
        };
        if better {
            best = Some(value);
        }
    }
    Ok(best.unwrap_or(Operand::Value(Value::Null)))
}

pub(super) fn tell(case: &Case<'_>, program: &HoldsProgram, within: Option<Span>, story: &mut Story) {
    let when = within.map_or_else(String::new, |t| format!(" {t} after each change"));
    story.expected = format!("{}{when}", program.source());
    let values = program.uses().iter().map(|input| {
        let step = &case.flow().steps[input.step as usize];
        let field = match input.field {
            None => String::new(),
            Some(Field::Time) => ".time".to_owned(),
            Some(Field::Keep(index)) => format!(".{}", step.keep[index].0),
        };
        let value = aggregate(case, input, At::END).map_or_else(|error| error, |v| show(&v));
        let name = &step.name;
        match input.how {
            How::Bare => format!("{name}{field} = {value}"),
            How::First => format!("first({name}){field} = {value}"),
            How::Last => format!("last({name}){field} = {value}"),
            How::Count => format!("count({name}) = {value}"),
            How::Sum => format!("sum({name}{field}) = {value}"),
            How::Min => format!("min({name}{field}) = {value}"),
            How::Max => format!("max({name}{field}) = {value}"),
            How::Distinct => format!("distinct({name}{field}) = {value}"),
        }
    });
    story.summary = format!("does not hold: {}", values.collect::<Vec<_>>().join(", "));
}
