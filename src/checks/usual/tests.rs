//! What a glance says, and that the full judgement never says otherwise.

use super::*;
use crate::checks::fixture::{evidence, plan, view};
use crate::checks::view::View;
use crate::checks::{Case, Outcome, Verdict, judge};
use crate::flow::plan::Plan;
use crate::model::observation::Dedupe;
use crate::model::value::Value;
use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};
use std::cell::RefCell;
use std::collections::BTreeMap;

/// A glance at a transaction, with the history that it points into; `None` where a step came twice.
fn seen(view: &View, steps: usize) -> Option<(Glance, Vec<u8>)> {
    let (mut seen, mut history) = (Glance::default(), Vec::new());
    seen.clear(steps);
    for record in view.records() {
        let from = history.len() as u32;
        history.push(0);
        history.extend_from_slice(view.body(record).raw_fields());
        if !seen.add(record.step, record.time, from..history.len() as u32) {
            return None;
        }
    }
    Some((seen, history))
}

/// What is said at a glance of the flow's first check.
fn said(plan: &Plan, view: &View) -> Option<bool> {
    let flow = &plan.flows[0];
    let (seen, history) = seen(view, flow.steps.len())?;
    if possible(flow, &seen) { glance(&flow.checks[0], &seen, &history) } else { None }
}

/// The same in words.
#[track_caller]
fn at_a_glance(check: &str, records: &str) -> &'static str {
    let plan = plan(check);
    match said(&plan, &view(&plan, records)) {
        Some(true) => "passed",
        Some(false) => "does not apply",
        None => "look closely",
    }
}

#[track_caller]
fn table(check: &str, rows: &[(&str, &str)]) {
    for (records, expected) in rows {
        assert_eq!(at_a_glance(check, &records.replace(", ", "\n")), *expected, "{check}: {records}");
    }
}

#[test]
fn an_answer_that_stands_clearly_in_its_window_is_met() {
    table(
        "{after: placed, expect: paid, within: 10s}",
        &[
            ("", "does not apply"),
            ("0s paid", "does not apply"),
            ("0s placed", "look closely"),
            ("0s placed, 0s paid", "passed"),
            ("0s placed, 10s paid", "passed"),
            ("0s placed, 10001ms paid", "look closely"),
            ("1ms placed, 0s paid", "look closely"),
            ("0s placed, 5s placed, 6s paid", "look closely"),
        ],
    );
    table(
        "{after: placed, expect: {all: [packed, shipped]}, within: 10s, early: 2s}",
        &[
            ("2s placed, 0s packed, 12s shipped", "passed"),
            ("2s placed, 0s packed", "look closely"),
            ("3s placed, 999ms packed, 4s shipped", "look closely"),
        ],
    );
    table("{after: placed, expect: placed, within: 10s}", &[("0s placed", "look closely")]);
    table("{after: placed, expect: {count: {packed: 2}}, within: 10s}", &[("0s placed, 1s packed", "look closely")]);
    table(
        "{after: placed, expect: {count: {packed: placed.lines}}, within: 10s}",
        &[("0s placed lines=1, 1s packed", "look closely")],
    );
    table("{after: placed, expect: paid, within: end}", &[("0s placed, 99h paid", "passed")]);
    table("{after: placed, expect: paid, due: '0 3 * * *'}", &[("0s placed, 1s paid", "look closely")]);
    table(
        "{after: placed, anchor: last, expect: {any: [paid, cancelled]}, within: 1s}",
        &[("0s placed, 1s cancelled", "passed")],
    );
}

#[test]
fn what_must_not_come_is_met_where_it_is_not_there_or_not_later() {
    table(
        "{after: placed, never: cancelled}",
        &[
            ("0s cancelled", "does not apply"),
            ("0s placed", "passed"),
            ("1s placed, 1s cancelled", "passed"),
            ("1s placed, 1001ms cancelled", "look closely"),
        ],
    );
    table("{after: placed, never: cancelled, within: 1s}", &[("0s placed, 5s cancelled", "look closely")]);
    table("{forbid: cancelled}", &[("0s placed", "passed"), ("0s cancelled", "look closely")]);
    table("{at_most: {paid: 1, placed: 3}}", &[("0s packed", "does not apply"), ("0s paid, 1s placed", "passed")]);
}

#[test]
fn several_steps_are_met_where_they_stand_together_and_in_order() {
    table(
        "{together: [placed, packed], within: 10s}",
        &[
            ("0s shipped", "does not apply"),
            ("0s placed", "look closely"),
            ("10s placed, 0s packed", "passed"),
            ("10001ms placed, 0s packed", "look closely"),
        ],
    );
    table(
        "{order: [placed, packed, shipped]}",
        &[
            ("0s shipped", "does not apply"),
            ("1s placed, 1s shipped", "passed"),
            ("0s placed, 1s packed, 2s shipped", "passed"),
            ("1s placed, 0s shipped", "look closely"),
            ("0s placed, 2s packed, 1s shipped", "look closely"),
        ],
    );
    table(
        "{step: packed, requires: placed, within: 10s}",
        &[
            ("0s placed", "does not apply"),
            ("0s packed", "look closely"),
            ("0s placed, 10s packed", "passed"),
            ("1s placed, 1s packed", "passed"),
            ("0s placed, 10001ms packed", "look closely"),
            ("2s placed, 1s packed", "look closely"),
        ],
    );
    table("{step: packed, requires: packed}", &[("0s placed", "does not apply"), ("0s packed", "look closely")]);
}

#[test]
fn values_are_met_where_they_are_the_same() {
    table(
        "{agree: [placed.amount, packed.amount, paid.amount]}",
        &[
            ("0s shipped", "does not apply"),
            ("0s placed amount=1", "does not apply"),
            ("0s placed amount=1, 1s packed amount=1.0", "passed"),
            ("0s placed, 1s packed", "passed"),
            ("0s placed, 1s packed amount=0", "look closely"),
            ("0s placed amount=1, 1s packed amount=1, 2s paid amount=2", "look closely"),
        ],
    );
    table(
        "{agree: [placed.time, packed.time]}",
        &[("0s placed, 0s packed", "passed"), ("0s placed, 1s packed", "look closely")],
    );
    table(
        "{agree: [placed.amount, packed.amount], tolerance: 1}",
        &[("0s placed amount=1, 1s packed amount=2", "look closely")],
    );
    table("{holds: placed.amount < 9}", &[("0s paid", "does not apply"), ("0s placed amount=1", "look closely")]);
    table("{states: row.status, allow: ['a -> b']}", &[("0s paid", "does not apply"), ("0s row status=x", "passed")]);
    table("{states: row.status, allow: ['a -> b'], start: [a]}", &[("0s row status=a", "look closely")]);
    table(
        "{mirror: row, in: cache, entry: 'order:{order}', fields: {status: status}, within: 1s}",
        &[("0s paid", "does not apply"), ("0s row status=a", "look closely")],
    );
    table("{schedule: '0 3 * * *', expect: placed, within: 1h}", &[("0s placed", "does not apply")]);
}

#[test]
fn conditions_decide_whether_it_applies() {
    let with = |more: &str| format!("{{after: placed, expect: paid, within: 10s, {more}}}");
    table(
        &with("given: [packed]"),
        &[("0s placed, 1s paid", "does not apply"), ("0s placed, 1s paid, 2s packed", "passed")],
    );
    table(&with("given: [packed]"), &[("0s placed", "look closely")]);
    table(
        &with("unless: [cancelled]"),
        &[("0s placed, 9h cancelled", "does not apply"), ("0s placed, 1s paid", "passed")],
    );
    table("{at_most: {placed: 1}, by: item}", &[("0s placed item=i-1", "look closely")]);
}

#[test]
fn what_lacks_its_beginning_is_looked_at_closely() {
    let flow = "\
flow: f
key: order
begins: [placed]
steps:
  placed: {from: app, key: {order: body.order}}
  packed: {from: app, key: {order: body.order}}
checks:
  once: {at_most: {packed: 1}}
";
    table(flow, &[("0s packed", "look closely"), ("0s placed, 1s packed", "passed")]);
}

/// A check of every form, with such options as make a difference; `{}` stands for `given` and `unless`.
const FORMS: &[&str] = &[
    "{after: placed, expect: paid, within: 10s{}}",
    "{after: placed, expect: paid, within: 5s, give_up: 15s, anchor: last{}}",
    "{after: placed, expect: {any: [paid, packed]}, within: 10s, early: 2s{}}",
    "{after: placed, expect: {all: [packed, shipped]}, within: 10s, anchor: first{}}",
    "{after: placed, expect: {count: {packed: placed.lines}}, within: 10s{}}",
    "{after: placed, expect: paid, within: end{}}",
    "{after: stamped, expect: logged, within: 10s{}}",
    "{after: placed, never: cancelled{}}",
    "{after: paid, never: packed, within: 6s{}}",
    "{forbid: cancelled{}}",
    "{together: [placed, packed, paid], within: 6s{}}",
    "{at_most: {paid: 1, packed: 2}{}}",
    "{order: [placed, paid, shipped]{}}",
    "{step: packed, requires: placed{}}",
    "{step: paid, requires: placed, within: 6s{}}",
    "{step: packed, requires: packed{}}",
    "{agree: [placed.amount, packed.amount, paid.amount]{}}",
    "{agree: [placed.amount, paid.amount], tolerance: 1, within: 6s{}}",
    "{agree: [row.amount, placed.amount], within: 3s{}}",
    "{holds: placed.amount <= 2{}}",
    "{holds: count(packed) <= count(shipped){}}",
    "{states: row.status, allow: ['a -> b']{}}",
    "{states: polled.status, allow: ['a -> b'], start: [a], end: [b]{}}",
    "{mirror: row, in: cache, entry: 'order:{order}', fields: {status: status}, within: 6s{}}",
];
const CONDITIONS: &[&str] =
    &["", ", given: [packed]", ", unless: [cancelled]", ", given: [shipped], unless: [refunded]"];
const STEPS: &[&str] = &[
    "placed",
    "packed",
    "shipped",
    "cancelled",
    "paid",
    "refunded",
    "delivered",
    "logged",
    "stamped",
    "row",
    "polled",
    "entry",
];
const COVERAGE: &[&str] = &[
    "",
    "all: 2s..14s",
    "all: gap 3s..6s",
    "all: ..9s, live",
    "all: ..9s, down",
    "all: -2h..2h\nunattached: delivered 4s",
];

/// A few records, each in one line: mostly each step once.
fn records(plan: &Plan) -> impl Strategy<Value = String> + use<> {
    let names: Vec<&str> = STEPS.iter().copied().filter(|s| plan.flows[0].step_named(s).is_some()).collect();
    let time = prop::sample::select(vec![0u32, 1000, 3000, 5000, 5001, 6000, 9999, 10_000, 10_001, 15_000, 16_000]);
    let amount = prop::sample::select(vec!["1", "1.0", "2", "x", "null"]);
    let status = prop::sample::select(vec!["a", "b"]);
    let record = (time, amount, status, 1..3u8);
    (prop::sample::subsequence(names, 2..9), prop::collection::vec(record, 9), prop::bool::weighted(0.1)).prop_map(
        |(steps, records, twice)| {
            let mut lines: Vec<String> = steps
                .iter()
                .zip(records)
                .map(|(step, (time, amount, status, lines))| {
                    format!("{time}ms {step} amount={amount} status={status} lines={lines} item=i-1 payment=p-1")
                })
                .collect();
            lines.extend(lines.first().cloned().filter(|_| twice).map(|line| line.replace("ms ", "0ms ")));
            lines.join("\n")
        },
    )
}

#[test]
fn the_full_judgement_never_says_otherwise() {
    // By form: how often it was met, not applicable, and left to be looked at.
    let answers: RefCell<BTreeMap<&str, [u32; 3]>> = RefCell::default();
    for form in FORMS {
        for (conditions, begins) in CONDITIONS.iter().flat_map(|c| [(c, false), (c, true)]) {
            let mut plan = plan(&form.replacen("{}", conditions, 1));
            plan.flows[0].begins =
                if begins { plan.flows[0].step_named("packed").into_iter().collect() } else { vec![] };
            let mut runner = TestRunner::new(Config { cases: 200, failure_persistence: None, ..Config::default() });
            let strategy = (records(&plan), prop::sample::select(COVERAGE));
            let outcome = runner.run(&strategy, |(records, coverage)| {
                let view = view(&plan, &records);
                let said = said(&plan, &view);
                let which = said.map_or(2, |met| usize::from(!met));
                answers.borrow_mut().entry(form).or_default()[which] += 1;
                let evidence = evidence(&plan, coverage);
                let check = &plan.flows[0].checks[0];
                let outcome =
                    judge(&Case { plan: &plan, flow_id: 0, check, view: &view, evidence: &evidence, by: None });
                let expected = |verdict| Outcome { verdict, due: Time::MAX, ..outcome };
                match said {
                    Some(true) => prop_assert_eq!(outcome, expected(Verdict::Passed)),
                    Some(false) => prop_assert_eq!(outcome, expected(Verdict::NotApplicable)),
                    None => {}
                }
                Ok(())
            });
            outcome.unwrap_or_else(|e| panic!("{form} {conditions}: {e}"));
        }
    }
    for (form, [met, not_applicable, closely]) in answers.into_inner() {
        let never_met = ["{holds", "{mirror", "requires: packed", "count: {packed", "start: [a]"];
        let is_met = !never_met.iter().any(|part| form.contains(part));
        assert!(not_applicable > 5 && closely > 5 && (met > 5) == is_met, "{form}: {met} {not_applicable} {closely}");
    }
}

/// Whether a field of two records agrees at a glance; a record is its time and what it keeps.
fn agree_at_a_glance(field: Field, records: [(i64, &[Value<'_>]); 2]) -> Option<bool> {
    let mut glance = Glance::default();
    glance.clear(2);
    let mut history = Vec::new();
    for (step, (time, kept)) in records.into_iter().enumerate() {
        let begin = history.len() as u32;
        if !kept.is_empty() {
            Dedupe::Position.encode(&mut history);
            kept.iter().for_each(|value| value.encode(&mut history));
        }
        assert!(glance.add(step as StepId, Time(time), begin..history.len() as u32));
    }
    agree(&[0, 1].map(|step| FieldRef { step, field }), &glance, &history)
}

#[test]
fn times_agree_where_nothing_is_kept() {
    assert_eq!(agree_at_a_glance(Field::Time, [(5, &[]), (5, &[])]), Some(true));
    assert_eq!(agree_at_a_glance(Field::Time, [(5, &[]), (6, &[])]), None);
}

#[test]
fn what_is_kept_agrees_byte_for_byte_or_by_its_value() {
    let text = |text: &'static str| Value::Text(text.into());
    let second = |a, b| agree_at_a_glance(Field::Keep(1), [(1, &[Value::Null, a]), (2, &[Value::Int(300), b])]);
    assert_eq!(second(text("x"), text("x")), Some(true));
    assert_eq!(second(Value::Int(7), text("7.0")), Some(true), "spelt differently");
    assert_eq!(second(text("x"), text("7.0")), None);
    assert_eq!(second(Value::Null, Value::Null), Some(true));
}

#[test]
fn a_step_that_came_twice_is_not_usual() {
    let mut glance = Glance::default();
    glance.clear(70);
    assert!(glance.add(63, Time(3), 0..0) && glance.add(1, Time(1), 0..0));
    assert!(!glance.add(1, Time(2), 0..0));
    assert!(!glance.add(64, Time(2), 0..0), "beyond what a glance tells apart");
    assert_eq!((glance.newest(), glance.time(63), glance.time(64)), (Time(3), Some(Time(3)), None));
    glance.clear(70);
    assert!(!glance.has(63) && !glance.has(1));
}
