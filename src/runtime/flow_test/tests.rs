//! Test files and what came of them.

use super::*;
use std::fmt::Write;
use std::fs;

const ORDER: &str = r#"
flow: order
key: order_id
steps:
  placed:   {from: events.orders, when: body.type == "OrderPlaced", key: {order_id: body.order_id}, keep: {amount: body.amount}}
  paid:     {from: events.payments, when: body.type == "Paid", key: {order_id: body.order_id}, keep: {amount: body.amount}}
  refunded: {from: bank, key: {order_id: body.order_id}}
checks:
  paid:    {after: placed, expect: paid, within: 15m}
  amount:  {agree: [placed.amount, paid.amount]}
  no-gift: {step: refunded, requires: paid}
"#;

/// Runs the files of a folder, and writes down what came of them.
fn told(files: &[(&str, &str)]) -> String {
    let folder = tempfile::tempdir().unwrap();
    for (name, text) in files {
        fs::write(folder.path().join(name), text).unwrap();
    }
    let report = run(&[folder.path().to_owned()]).unwrap();
    let mut out = String::new();
    for file in &report.files {
        file.mistakes.iter().for_each(|mistake| write!(out, "{mistake}").unwrap());
        for case in &file.cases {
            let passed = if case.differences.is_empty() { "ok" } else { "failed" };
            writeln!(out, "{}: {} {passed}", case.line, case.name).unwrap();
            case.differences.iter().for_each(|difference| writeln!(out, "{difference}").unwrap());
            case.remarks.iter().for_each(|remark| writeln!(out, "remark: {remark}").unwrap());
        }
    }
    report.mistakes.iter().for_each(|mistake| write!(out, "{mistake}").unwrap());
    report.unbroken.iter().for_each(|unbroken| writeln!(out, "never broken: {}", unbroken.check).unwrap());
    report.untested.iter().for_each(|flow| writeln!(out, "untested: {}", flow.display()).unwrap());
    assert_eq!(report.passed(), !out.contains("failed") && !out.contains("error["));
    let folder = folder.path().display().to_string();
    out.replace(&format!("{folder}/"), "").replace(&folder, "flows")
}

fn order(tests: &str) -> String {
    told(&[("order.yaml", ORDER), ("order.test.yaml", tests)])
}

#[test]
fn what_must_come_comes_and_nothing_more() {
    let told = order(
        r#"
tests:
  - name: paid in time
    records:
      - {at: 0s, source: events.orders, body: {type: OrderPlaced, order_id: o-1, amount: 10.00}}
      - {at: 15m, source: events.payments, body: {type: Paid, order_id: o-1, amount: "10"}}
  - name: a payment that never comes
    records:
      - {at: 0s, source: events.orders, body: {type: OrderPlaced, order_id: o-1}}
    expect:
      - {check: paid, key: o-1, class: missing_step, status: open}
  - name: a late payment of another amount
    records:
      - {at: 0s, source: events.orders, body: {type: OrderPlaced, order_id: o-1, amount: 10}}
      - {at: 16m, source: events.payments, body: {type: Paid, order_id: o-1, amount: 11}}
    expect:
      - {check: paid, key: o-1, class: late, status: healed}
      - {check: amount, key: o-1}
  - name: a topic is not another one
    records:
      - {at: 0s, source: events.orders, body: {type: Paid, order_id: o-1}, ignored: true}
  - name: money back for nothing
    records:
      - {at: 0s, source: bank, row: {order_id: o-1}}
    expect:
      - {check: no-gift, key: o-1, class: orphan}
"#,
    );
    insta::assert_snapshot!(told);
}

#[test]
fn what_differs_is_shown_side_by_side() {
    let told = order(
        r#"
tests:
  - name: wrong in every way
    records:
      - {at: 0s, source: events.orders, body: {type: OrderPlaced, order_id: o-1, amount: 10}}
      - {at: 1m, source: events.payments, body: {type: Paid, order_id: o-1, amount: 11}}
      - {at: 2m, source: events.payments, body: {type: Payed, order_id: o-1, amount: 11}}
      - {at: 3m, source: bank, body: {order_id: o-1}, ignored: true}
      - {at: 4m, source: events.orders, body: {type: OrderPlaced, order_id: o-2, amount: 10}}
    expect:
      - {check: paid, key: o-1, class: late, status: healed}
      - {check: paid, key: o-2, class: late}
      - {check: paid, key: o-3}
    undecided:
      - {check: paid, key: o-2, reason: gap}
"#,
    );
    insta::assert_snapshot!(told);
}

#[test]
fn outages_and_gaps_leave_absences_undecided() {
    let told = order(
        r#"
start: 2026-03-01T00:00:00Z
sources: {events: {carries: messages}}
tests:
  - name: while the source is down nothing is said
    records:
      - {at: 0s, source: events.orders, body: {type: OrderPlaced, order_id: o-1}}
    outages: [{source: events, from: 10m}]
    undecided: [{check: paid, key: o-1, reason: source_down}]
  - name: what it tells when it is back counts
    records:
      - {at: 0s, source: events.orders, body: {type: OrderPlaced, order_id: o-1}}
      - {at: 12m, source: events.payments, body: {type: Paid, order_id: o-1}}
      - {at: 13m, source: events.orders, body: {type: OrderPlaced, order_id: o-2}}
    outages: [{source: events, from: 10m, to: 2h}]
    expect: [{check: paid, key: o-2, class: lost_message}]
  - name: records may have been missed
    records:
      - {at: 0s, source: events.orders, body: {type: OrderPlaced, order_id: o-1}}
    gaps: [{source: events, from: 10m, to: 11m}]
    undecided: [{check: paid, key: o-1, reason: gap}]
  - name: the watch ends too early
    records:
      - {at: 0s, source: events.orders, body: {type: OrderPlaced, order_id: o-1}}
    until: 5m
    undecided: [{check: paid, key: o-1, reason: after_recording}]
"#,
    );
    insta::assert_snapshot!(told);
}

#[test]
fn runs_are_due_from_the_start_until_the_end() {
    let flow = r#"
flow: nightly
key: run
steps:
  ran: {from: jobs, key: {run: body.run}}
checks:
  nightly: {schedule: "0 2 * * *", expect: ran, within: 30m}
"#;
    let tests = r#"
start: 2026-03-01T00:00:00Z
tests:
  - name: the second night is missed
    records:
      - {at: 2h10m, body: {run: 1}}
      - {at: 2d2h, body: {run: 3}}
    until: 3d
    expect: [{check: nightly, key: "2026-03-02T02:00:00Z", class: missed_run}]
  - name: no end is said
    records: []
"#;
    insta::assert_snapshot!(told(&[("nightly.yaml", flow), ("nightly.test.yaml", tests)]));
    let (first, _) = tests.split_once("  - name: no end").unwrap();
    insta::assert_snapshot!(told(&[("nightly.yaml", flow), ("nightly.test.yaml", first)]));
}

#[test]
fn mistakes_are_told_with_their_places() {
    let told = order(
        r#"
clock_skew: soon
sources: {evnts: {carries: messages}, bank: {carries: coins}}
tests:
  - records:
      - {source: events.ordrs, body: {type: OrderPlaced}}
      - {at: 3s, body: [1]}
      - {at: 3s, source: bank, body: {a: 1}, row: {a: 1}, when: now}
    outages: [{source: bnk, from: 2h, to: 1h}]
    until: 1h
    expect:
      - {check: payd, key: o-1}
      - {check: paid, by: item}
      - {check: paid, key: o-1, by: i-1, class: lost, status: resolved}
"#,
    );
    insta::assert_snapshot!(told);
}

#[test]
fn a_test_needs_a_flow_and_a_flow_a_test() {
    insta::assert_snapshot!(told(&[("lonely.test.yaml", "tests: []\n"), ("order.yaml", ORDER)]));
    insta::assert_snapshot!(told(&[("order.yaml", ORDER)]));
    let broken = ORDER.replace("body.amount}}", "body.amount}");
    insta::assert_snapshot!(told(&[("order.yaml", &broken), ("order.test.yaml", "tests: []\n")]));
}
