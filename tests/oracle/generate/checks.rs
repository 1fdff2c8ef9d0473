//! Random checks: every form, with every option.

use super::super::rng::Rng;
use super::plan::{FIELDS, STATES, plain_step, seconds};
use throughline::flow::expression::HoldsProgram;
use throughline::flow::plan::{
    After, Anchor, Check, Count, Cron, Deadline, EntryPattern, Expect, Field, FieldRef, Flow, Form,
};
use throughline::model::time::Span;
use throughline::model::value::Value;
use throughline::model::verdict::{Class, Severity};
use throughline::model::{KeyId, SourceId, StepId};

/// Adds a random check, and the step that a mirror implies.
pub fn add(rng: &mut Rng, flow: &mut Flow, sources: usize, n: i64) {
    let name = format!("check-{n}");
    let form = form(rng, flow, sources, &name);
    let plain = matches!(form, Form::Schedule { .. });
    let steps = visible(flow);
    let some = |rng: &mut Rng, p: u64| {
        let count = *rng.of(&[1, 1, 2]);
        match rng.percent(p) && !plain {
            true if rng.percent(60) => vec![steps[steps.len() - 1]],
            true => rng.some(&steps, count),
            false => Vec::new(),
        }
    };
    let check = Check {
        name,
        given: some(rng, 15),
        unless: some(rng, 15),
        by: if !plain && rng.percent(60) { by(rng, flow, &form) } else { None },
        severity: rng.percent(25).then(|| *rng.of(Severity::ALL)),
        class: rng.percent(10).then(|| *rng.of(Class::ALL)),
        about: String::new(),
        runbook: String::new(),
        form,
    };
    flow.checks.push(check);
}

/// The steps that checks may name: all but those that mirrors imply.
fn visible(flow: &Flow) -> Vec<StepId> {
    (0..flow.steps.len() as StepId).filter(|s| flow.steps[*s as usize].entry.is_none()).collect()
}

/// A key that every step of the form carries.
fn by(rng: &mut Rng, flow: &Flow, form: &Form) -> Option<KeyId> {
    let carries = |step: &StepId, key: KeyId| flow.steps[*step as usize].keys.iter().any(|(k, _)| *k == key);
    let common = (1..flow.keys.len() as KeyId).filter(|key| form.steps().iter().all(|step| carries(step, *key)));
    let common: Vec<KeyId> = common.collect();
    if common.is_empty() { None } else { Some(*rng.of(&common)) }
}

fn form(rng: &mut Rng, flow: &mut Flow, sources: usize, name: &str) -> Form {
    let steps = visible(flow);
    let mut two = rng.some(&steps, 2);
    if rng.percent(5) {
        two[1] = two[0];
    }
    let (a, b) = (two[0], two[1]);
    let within = seconds(rng.within(0, 12));
    let maybe = rng.percent(50).then_some(within);
    match rng.below(14) {
        0..=2 => Form::After(after(rng, &steps, a, b)),
        3 => Form::Never { after: a, anchor: anchor(rng), never: b, within: maybe },
        4 if rng.percent(50) => Form::Forbid { step: a },
        4 => {
            Form::AtMost { limits: some_steps(rng, &steps, 1).iter().map(|s| (*s, rng.within(1, 2) as u64)).collect() }
        }
        5 => Form::Together { steps: some_steps(rng, &steps, 2), within },
        6 => Form::Order { steps: some_steps(rng, &steps, 2) },
        7 => Form::Requires { step: a, requires: b, within: maybe },
        8 | 9 => agree(rng, &steps, maybe),
        10 => Form::Holds { program: holds(rng, flow, a, b), within: maybe },
        11 => states(rng, a),
        12 => mirror(rng, flow, sources, a, name, within),
        _ => Form::Schedule { cron: cron(rng), expect: a, within, early: seconds(*rng.of(&[0, 0, 2])) },
    }
}

fn some_steps(rng: &mut Rng, steps: &[StepId], least: i64) -> Vec<StepId> {
    let count = rng.within(least, 3) as usize;
    rng.some(steps, count)
}

fn anchor(rng: &mut Rng) -> Anchor {
    *rng.of(&[Anchor::Every, Anchor::Every, Anchor::First, Anchor::Last])
}

fn after(rng: &mut Rng, steps: &[StepId], a: StepId, b: StepId) -> After {
    let expect = match rng.below(4) {
        0 | 1 => Expect::Any(vec![b]),
        2 => Expect::Any(some_steps(rng, steps, 2)),
        _ => Expect::All(some_steps(rng, steps, 1).into_iter().map(|step| (step, count(rng, a))).collect()),
    };
    let within = seconds(rng.within(0, 12));
    let deadline = match rng.below(6) {
        0 => Deadline::Due { cron: cron(rng), grace: seconds(*rng.of(&[0, 2, 5])) },
        1 => Deadline::End,
        _ => Deadline::Within { within, give_up: within + seconds(*rng.of(&[0, 0, 3, 10])) },
    };
    After { after: a, anchor: anchor(rng), expect, early: seconds(*rng.of(&[0, 0, 0, 2, 5])), deadline }
}

fn count(rng: &mut Rng, a: StepId) -> Count {
    match rng.below(4) {
        0 => Count::Field(FieldRef { step: a, field: Field::Keep(2) }),
        1 => Count::Fixed(2),
        _ => Count::Fixed(1),
    }
}

fn agree(rng: &mut Rng, steps: &[StepId], within: Option<Span>) -> Form {
    let field = if rng.percent(8) { Field::Time } else { Field::Keep(rng.below(FIELDS.len())) };
    let fields = some_steps(rng, steps, 1).into_iter().map(|step| FieldRef { step, field }).collect();
    let tolerance = (field != Field::Time && rng.percent(40))
        .then(|| rng.of(&[Value::Number("1".into()), Value::Number("0.5".into())]).clone());
    Form::Agree { fields, tolerance, within }
}

fn holds(rng: &mut Rng, flow: &Flow, a: StepId, b: StepId) -> HoldsProgram {
    let (a, b) = (&flow.steps[a as usize].name, &flow.steps[b as usize].name);
    let text = match rng.below(12) {
        0 => format!("count({a}) <= count({b})"),
        1 => format!("sum({a}.amount) == sum({b}.amount)"),
        2 => format!("last({a}).time - {b}.time <= duration(\"5s\")"),
        3 => format!("min({a}.amount) >= 2"),
        4 => format!("distinct({a}.status) <= 1"),
        5 => format!("first({a}).status == last({a}).status"),
        6 => format!("{a}.amount == {b}.amount"),
        7 => format!("max({a}.time) - min({b}.time) < duration(\"6s\")"),
        8 => format!("{a}.amount <= 2 || count({b}) > 1"),
        9 => format!("{a}.time < {b}.time"),
        10 => format!("max({a}.lines) == last({b}).lines"),
        _ => format!("count({a}) != 2"),
    };
    compile_holds(flow, &text)
}

/// Compiles an invariant over a flow's steps and their kept fields.
pub fn compile_holds(flow: &Flow, text: &str) -> HoldsProgram {
    let resolve = |step: &str, field: Option<&str>| {
        let id = flow.step_named(step).ok_or("no such step")?;
        let keep = |name: &str| flow.steps[id as usize].keep.iter().position(|(field, _)| field == name);
        Ok((id, field.map(|name| if name == "time" { Field::Time } else { Field::Keep(keep(name).unwrap_or(0)) })))
    };
    HoldsProgram::compile(text, &resolve).unwrap_or_else(|error| panic!("{text}: {error}"))
}

fn states(rng: &mut Rng, step: StepId) -> Form {
    let arrow = |(x, y): (&str, &str)| (x.to_owned(), y.to_owned());
    let mut allow: Vec<_> = STATES.windows(2).map(|pair| arrow((pair[0], pair[1]))).collect();
    if rng.percent(30) {
        allow.push(arrow((*rng.of(&STATES), *rng.of(&STATES))));
    }
    let some = |rng: &mut Rng| if rng.percent(30) { vec![(*rng.of(&STATES)).to_owned()] } else { Vec::new() };
    Form::States { field: FieldRef { step, field: Field::Keep(1) }, allow, start: some(rng), end: some(rng) }
}

fn mirror(rng: &mut Rng, flow: &mut Flow, sources: usize, a: StepId, name: &str, within: Span) -> Form {
    let entry = flow.steps.len() as StepId;
    let key = if rng.percent(70) { 0 } else { rng.below(flow.keys.len()) as KeyId };
    let names = ["shop", "bus", "log"];
    let source = rng.below(sources);
    let kept = *rng.of(&[&FIELDS[..1], &FIELDS[..2]]);
    let mut step = plain_step(name, source as SourceId, names[source], &[key], kept);
    step.entry = Some(EntryPattern { parts: vec![("entry:".to_owned(), key)], tail: String::new() });
    flow.steps.push(step);
    Form::Mirror { step: a, entry, fields: (0..kept.len()).map(|field| (field, field)).collect(), within }
}

/// A schedule by its text, in UTC.
pub fn cron_of(text: &str) -> Cron {
    let schedule = text.parse().map(Box::new).expect("a schedule");
    Cron { text: text.to_owned(), zone: chrono_tz::UTC, schedule }
}

fn cron(rng: &mut Rng) -> Cron {
    let texts = ["* * * * *", "*/2 * * * *", "*/20 * * * * *", "*/30 * * * * *"];
    cron_of(texts[rng.below(texts.len())])
}
