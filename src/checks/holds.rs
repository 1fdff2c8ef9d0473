//! `holds: <expression>`: an invariant over the transaction's effects.

use super::evidence::Known;
use super::outcome::{Fold, Outcome, Part};
use super::story::{Looked, Story, listed};
use super::values::{At, after_a_change, change_times, each_change, healed_after, operand, same, show};
use super::view::Record;
use super::{Case, given};
use crate::flow::expression::{HoldsProgram, How, Operand, Use};
use crate::flow::plan::{Carries, Field, FieldRef};
use crate::model::StepId;
use crate::model::time::{Span, Time};
use crate::model::value::Value;
use crate::model::verdict::{Class, Status};
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
    match within {
        Some(within) => judge_changes(case, program, (within, newest), &steps, finally == Ok(true), &mut fold),
        None => judge_final(case, program, finally, newest, &steps, &mut fold),
    }
    fold
}

fn judge_final(
    case: &Case<'_>,
    program: &HoldsProgram,
    finally: Result<bool, String>,
    newest: Time,
    steps: &[StepId],
    fold: &mut Fold,
) {
    let anchor = newest_record(case, steps);
    let Ok(holds) = finally else {
        fold.add(Part::failed(), anchor, newest, None);
        return;
    };
    let known = sure(case, program, holds, State::last(case, program, newest));
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
            Some(Err(_)) => Part::failed(),
            Some(Ok(false)) => {
                let known = sure(case, program, false, State::at(at));
                fold.ask_again(known.due);
                Part::broken_if(&known, 0, Class::Mismatch, status)
            }
        };
        fold.add(part, anchor, newest + within, Some(at));
    }
}

/// A state of the transaction, and until when what has not been seen could still change it.
#[derive(Clone, Copy)]
struct State {
    at: At,
    until: Time,
}

impl State {
    /// As things stood at a moment.
    fn at(moment: Time) -> State {
        State { at: At(moment), until: moment }
    }

    /// The final one. Where one more effect could change it, stragglers are waited for.
    fn last(case: &Case<'_>, program: &HoldsProgram, newest: Time) -> State {
        let waits = program.uses().iter().any(|u| can_grow(u.how));
        State { at: At::END, until: if waits { newest + case.flow().linger } else { newest } }
    }
}

/// Whether what comes later changes the input, and not only what had come before it.
fn can_grow(how: How) -> bool {
    !matches!(how, How::Bare | How::First)
}

/// Whether nothing that was not seen could change the answer. A first effect is what was seen, gaps or not, as in every
/// check that judges what is there; what counts, sums up or came last speaks of all effects, and so of those that are not.
fn sure(case: &Case<'_>, program: &HoldsProgram, holds: bool, state: State) -> Known {
    program.uses().iter().fold(Known::YES, |known, input| match unseen(case, input, state) {
        Some((from, to)) => known.and(case.absent(input.step, from, to)),
        None if holds => known,
        None => known.and(case.passed([input.step], state.until)),
    })
}

/// Where a record of the step that was not seen could change the input; nowhere, where it is that of a first effect.
///
/// ```text
///  start        first ······ last           until
///  ──┼────────────┼───────────┼───────────────┼──
///                             └──── last ─────┘
///    └─────── count, sum, min, max, distinct ─┘    and last, where effects have versions
/// ```
fn unseen(case: &Case<'_>, input: &Use, State { at, until }: State) -> Option<(Time, Time)> {
    let start = given::beginning(case);
    let from = match input.how {
        How::Bare | How::First => return None,
        How::Last if !has_versions(case, input.step) => {
            at.effects(case, input.step).last().map_or(start, |(first, _)| first.time)
        }
        _ => start,
    };
    Some((from.min(until), until))
}

/// Whether several records of a step can be one effect, so that one of them changes its fields or its time.
fn has_versions(case: &Case<'_>, step: StepId) -> bool {
    let step = &case.flow().steps[step as usize];
    step.dedupe_by.is_some() || case.plan.sources[step.source as usize].carries == Carries::Rows
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

pub(super) fn tell(
    case: &Case<'_>,
    program: &HoldsProgram,
    within: Option<Span>,
    outcome: &Outcome,
    story: &mut Story,
) {
    story.expected = format!("{}{}", program.source(), each_change(within));
    let steps = case.check.form.steps();
    let newest = case.newest(steps.iter().copied()).unwrap_or(Time::MIN);
    let state = outcome.deadline.map_or_else(|| State::last(case, program, newest), State::at);
    let at = state.at;
    let said = evaluate(case, program, at);
    for input in program.uses() {
        let looked = unseen(case, input, state).map(|(from, to)| Looked::Within { step: input.step, from, to });
        story.looked.extend(looked);
    }
    let values = listed(program.uses().iter().map(|input| told(case, input, at)), "and");
    story.summary = match said {
        Some(Err(error)) => format!("{error} ({values})"),
        _ => format!("does not hold: {values}{}", after_a_change(within)),
    };
    story.healed_after = healed_after(case, &steps, at, |at| evaluate(case, program, at) == Some(Ok(true)));
}

/// An input of the expression and its value.
fn told(case: &Case<'_>, input: &Use, at: At) -> String {
    let step = case.name(input.step);
    let name =
        input.field.map_or_else(|| step.to_owned(), |f| case.field_name(FieldRef { step: input.step, field: f }));
    let field = &name[step.len()..];
    let shown = match input.how {
        How::Bare => name.clone(),
        How::First => format!("first({step}){field}"),
        How::Last => format!("last({step}){field}"),
        How::Count => format!("count({name})"),
        How::Sum => format!("sum({name})"),
        How::Min => format!("min({name})"),
        How::Max => format!("max({name})"),
        How::Distinct => format!("distinct({name})"),
    };
    let value = aggregate(case, input, at).map_or_else(|_| "unknown".into(), |v| show(&v));
    format!("{shown} is {value}")
}

#[cfg(test)]
mod tests;
