//! Forms that compare values.

use super::super::case::Observation;
use super::super::evidence::{Known, worst};
use super::super::view::{Datum, Effect, View};
use super::{Lack, Part, Parts, Say, beginning};
use rust_decimal::Decimal;
use std::cmp::Ordering;
use throughline::flow::expression::{HoldsProgram, How, Operand, Use};
use throughline::flow::plan::{Carries, Field, FieldRef};
use throughline::model::StepId;
use throughline::model::time::{Span, Time};
use throughline::model::value::Value;
use throughline::model::verdict::{Class, Reason, Status};

const EXPRESSION: Say = Say::Unknown(Lack::Because(Reason::Expression, None));

/// `agree: [a.x, b.y]`.
pub fn agree(view: &View, fields: &[FieldRef], tolerance: Option<&Value>, within: Option<Span>) -> Parts {
    let steps: Vec<StepId> = fields.iter().map(|field| field.step).collect();
    let values_at = |moment: Time| -> Vec<Datum> {
        let of = |field: &FieldRef| {
            let field = *field;
            view.effects_at(field.step, moment).into_iter().map(move |effect| effect.field(field.field))
        };
        fields.iter().flat_map(of).collect()
    };
    if values_at(Time::MAX).len() < 2 {
        return None;
    }
    let agree_at = |moment: Time| all_agree(&values_at(moment), tolerance);
    let agree = agree_at(Time::MAX);
    let newest = view.newest(&steps);
    let Some(within) = within else {
        let say = match agree {
            true => Say::Passed,
            false => broken_if(view.passed(&steps, newest), Status::Open),
        };
        return Some(vec![Part { say, deadline: newest }]);
    };
    let judge = |changed: Time| {
        let say = match agree_at(changed + within) {
            true => Say::Passed,
            false => broken_if(view.passed(&steps, changed + within), healed_if(agree)),
        };
        Part { say, deadline: newest + within }
    };
    Some(view.times(&steps).into_iter().map(judge).collect())
}

/// Fewer than two values always agree.
fn all_agree(values: &[Datum], tolerance: Option<&Value>) -> bool {
    let decimal = |value: &Datum| if let Datum::Value(value) = value { value.decimal() } else { None };
    let decimals: Option<Vec<Decimal>> = values.iter().map(decimal).collect();
    if let (Some(tolerance), Some(decimals)) = (tolerance.and_then(Value::decimal), decimals) {
        return match (decimals.iter().max(), decimals.iter().min()) {
            (Some(max), Some(min)) => max - min <= tolerance,
            _ => true,
        };
    }
    values.iter().all(|value| same(value, &values[0]))
}

fn same(x: &Datum, y: &Datum) -> bool {
    match (x, y) {
        (Datum::Time(x), Datum::Time(y)) => x == y,
        (Datum::Value(x), Datum::Value(y)) => x.same(y),
        _ => false,
    }
}

fn broken_if(known: Known, status: Status) -> Say {
    known.map_or_else(Say::Unknown, |()| Say::Broken(Class::Mismatch, status))
}

fn healed_if(right: bool) -> Status {
    if right { Status::Healed } else { Status::Open }
}

/// `holds: <CEL>`.
pub fn holds(view: &View, program: &HoldsProgram, within: Option<Span>) -> Parts {
    let mut steps: Vec<StepId> = program.uses().iter().map(|used| used.step).collect();
    steps.sort_unstable();
    steps.dedup();
    let finally = holds_at(view, program, &steps, Time::MAX)?;
    let newest = view.newest(&steps);
    let Some(within) = within else {
        let grows = program.uses().iter().any(|used| grows(used.how));
        let moment = if grows { newest + view.flow().linger } else { newest };
        let known = |of: &dyn Fn(How) -> bool| {
            let inputs = program.uses().iter().filter(|used| of(used.how));
            worst(inputs.map(|used| input_known(view, used, &view.effects(used.step), moment)))
        };
        let say = match finally {
            None => EXPRESSION,
            Some(true) => known(&self::grows).map_or_else(Say::Unknown, |()| Say::Passed),
            Some(false) => broken_if(known(&|_| true), Status::Open),
        };
        return Some(vec![Part { say, deadline: newest }]);
    };
    let judge = |changed: Time| {
        let moment = changed + within;
        let known = || {
            let known = |used: &Use| input_known(view, used, &view.effects_at(used.step, moment), moment);
            worst(program.uses().iter().map(known))
        };
        let say = match holds_at(view, program, &steps, moment) {
            None | Some(Some(true)) => Say::Passed,
            Some(None) => EXPRESSION,
            Some(Some(false)) => broken_if(known(), healed_if(finally == Some(true))),
        };
        Part { say, deadline: newest + within }
    };
    Some(view.times(&steps).into_iter().map(judge).collect())
}

/// Whether one more effect at the end could change an input.
fn grows(how: How) -> bool {
    match how {
        How::Bare | How::First => false,
        How::Last | How::Count | How::Sum | How::Min | How::Max | How::Distinct => true,
    }
}

/// Whether no record that could change an input, whose effects these are, may have been missed.
fn input_known(view: &View, used: &Use, effects: &[Effect], moment: Time) -> Known {
    let step = &view.flow().steps[used.step as usize];
    let versions = step.dedupe_by.is_some() || view.case.plan.sources[step.source as usize].carries == Carries::Rows;
    let from = match used.how {
        How::Bare | How::First => return view.passed(&[used.step], moment),
        How::Last if !versions => effects.last().map(Effect::time),
        _ => None,
    };
    view.cov(used.step, from.unwrap_or_else(|| beginning(view)).min(moment), moment)
}

/// Whether it holds as things stood at a moment: `None` where it is not to be judged yet, `Some(None)` where the
/// expression fails.
fn holds_at(view: &View, program: &HoldsProgram, steps: &[StepId], moment: Time) -> Option<Option<bool>> {
    let there = |step: StepId| !view.effects_at(step, moment).is_empty();
    let needed = |used: &&Use| matches!(used.how, How::Bare | How::First | How::Last | How::Min | How::Max);
    let judged = steps.iter().any(|step| there(*step)) && program.uses().iter().filter(needed).all(|u| there(u.step));
    judged.then(|| {
        let operand = |used: &Use| operand(used, &view.effects_at(used.step, moment));
        let operands: Option<Vec<_>> = program.uses().iter().map(operand).collect();
        program.eval(&operands?).ok()
    })
}

/// An input of the expression; `None` is an error.
fn operand(used: &Use, effects: &[Effect]) -> Option<Operand<'static>> {
    let data = || effects.iter().map(|effect| effect.field(used.field.unwrap_or(Field::Time)));
    let known = || data().filter(|datum| *datum != Datum::Value(Value::Null));
    let datum = match used.how {
        How::Count => number(Decimal::from(effects.len())),
        How::Bare | How::First => data().next()?,
        How::Last => data().next_back()?,
        How::Sum => number(sum(data())?),
        How::Min => extreme(known(), Ordering::Less)?,
        How::Max => extreme(known(), Ordering::Greater)?,
        How::Distinct => {
            let mut distinct: Vec<Datum> = Vec::new();
            known().for_each(|datum| {
                if !distinct.iter().any(|d| same(d, &datum)) {
                    distinct.push(datum);
                }
            });
            number(Decimal::from(distinct.len()))
        }
    };
    Some(match datum {
        Datum::Time(time) => Operand::Time(time),
        Datum::Value(value) => Operand::Value(value),
    })
}

fn number(decimal: Decimal) -> Datum {
    let text = decimal.normalize().to_string();
    Datum::Value(text.parse().map_or(Value::Number(text.into()), Value::Int))
}

fn sum(data: impl Iterator<Item = Datum>) -> Option<Decimal> {
    data.map(|datum| if let Datum::Value(value) = datum { value.decimal() } else { None }).sum()
}

/// The least or the greatest; null of nothing; `None` where two cannot be compared.
fn extreme(mut data: impl Iterator<Item = Datum>, side: Ordering) -> Option<Datum> {
    let first = data.next().unwrap_or(Datum::Value(Value::Null));
    data.try_fold(first, |best, datum| {
        let order = match (&datum, &best) {
            (Datum::Time(x), Datum::Time(y)) => Some(x.cmp(y)),
            (Datum::Value(x), Datum::Value(y)) => x.order(y),
            _ => None,
        };
        order.map(|order| if order == side { datum } else { best })
    })
}

/// `states: a.status, allow: […]`.
pub fn states(view: &View, field: FieldRef, allow: &[(String, String)], start: &[String], end: &[String]) -> Parts {
    let step = field.step;
    let records = view.records(step);
    let (first, last) = (records.first()?, records.last()?);
    let newest = view.newest(&[step]);
    let judge = |fine: bool, from: Time, to: Time| {
        let illegal = || match view.cov(step, from, to) {
            Ok(()) => Say::Broken(Class::IllegalTransition, Status::Open),
            Err(lack) => Say::Unknown(lack),
        };
        Part { say: if fine { Say::Passed } else { illegal() }, deadline: newest }
    };
    let skips = view.case.plan.sources[first.source as usize].skips_versions;
    let value = |record: &Observation| text_of(record, field.field);
    let legal = |x: &Observation, y: &Observation| {
        let slack = view.slack(x, y);
        let sure = (x.position.part == y.position.part && slack == Span::ZERO) || y.time > x.time + slack;
        let (x, y) = (value(x), value(y));
        x == y || allowed(allow, &x, &y, skips) || !sure
    };
    let steps = records.windows(2).map(|pair| judge(legal(pair[0], pair[1]), pair[0].time, pair[1].time));
    let mut parts: Vec<Part> = steps.collect();
    let linger = view.flow().linger;
    let among = |values: &[String], record| values.is_empty() || values.contains(&value(record));
    parts.push(judge(among(start, first), first.time - linger, first.time));
    parts.push(judge(among(end, last), last.time, last.time + linger));
    Some(parts)
}

fn text_of(record: &Observation, field: Field) -> String {
    match field {
        Field::Time => record.time.to_string(),
        Field::Keep(index) => record.fields[index].display().into_owned(),
    }
}

/// Whether an arrow leads from one value to the other, or any path of arrows where values may be skipped.
fn allowed(allow: &[(String, String)], from: &str, to: &str, skips: bool) -> bool {
    let mut reached: Vec<&str> = allow.iter().filter(|(x, _)| x == from).map(|(_, y)| y.as_str()).collect();
    let mut next = 0;
    while skips && next < reached.len() {
        let here = reached[next];
        let beyond = allow.iter().filter(|(x, _)| x == here).map(|(_, y)| y.as_str());
        let new: Vec<_> = beyond.filter(|value| !reached.contains(value)).collect();
        reached.extend(new);
        next += 1;
    }
    reached.contains(&to)
}

/// `mirror: A, in: cache, entry: …, fields: …, within: T`.
pub fn mirror(view: &View, step: StepId, entry: StepId, fields: &[(usize, usize)], within: Span) -> Parts {
    let records = view.records(step);
    let entries = view.records(entry);
    let newest = *records.last()?;
    let shows = |e: &Observation, a: &Observation| {
        let empty = fields.iter().all(|(shown, _)| e.fields[*shown] == Value::Null);
        empty || fields.iter().all(|(shown, of)| e.fields[*shown].same(&a.fields[*of]))
    };
    let finally = entries.last().is_none_or(|e| shows(e, newest));
    let judge = |(index, a): (usize, &&Observation)| {
        let deadline = a.time + within;
        if records.get(index + 1).is_some_and(|next| next.time <= deadline) {
            return Part { say: Say::Passed, deadline };
        }
        let seen = entries.iter().rfind(|e| e.time <= deadline + view.slack(a, e));
        if seen.is_none_or(|e| shows(e, a)) {
            return Part { say: Say::Passed, deadline };
        }
        let slack_max = view.slack_max(step, entry);
        let say = match view.cov(entry, a.time - slack_max, deadline + slack_max) {
            Err(lack) => Say::Unknown(lack),
            Ok(()) => Say::Broken(Class::StaleCache, healed_if(finally)),
        };
        Part { say, deadline }
    };
    Some(records.iter().enumerate().map(judge).collect())
}
