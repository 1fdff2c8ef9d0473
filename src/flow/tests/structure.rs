//! What documents become.

use super::{compile_files, flow, plan, with_checks};
use crate::flow::plan::{After, Anchor, Condition, Count, Deadline, Expect, Expr, Field, FieldRef, Form};
use crate::model::time::Span;
use crate::model::verdict::{Class, Severity};

/// The form of one check over the three steps of `with_checks`: placed 0, paid 1, picked 2.
#[track_caller]
fn form(check: &str) -> Form {
    flow(&with_checks(&format!("  c: {check}\n"))).checks.remove(0).form
}

#[test]
fn every_way_to_expect() {
    let expect = |expect: &str| match form(&format!("{{after: placed, expect: {expect}, within: 5m}}")) {
        Form::After(After { after: 0, expect, .. }) => format!("{expect:?}"),
        other => panic!("{other:?}"),
    };
    assert_eq!(expect("paid"), format!("{:?}", Expect::Any(vec![1])));
    assert_eq!(expect("{any: [paid, picked]}"), format!("{:?}", Expect::Any(vec![1, 2])));
    let all = Expect::All(vec![(1, Count::Fixed(1)), (2, Count::Fixed(1))]);
    assert_eq!(expect("{all: [paid, picked]}"), format!("{all:?}"));
    let lines = FieldRef { step: 0, field: Field::Keep(1) };
    let count = Expect::All(vec![(1, Count::Fixed(3)), (2, Count::Field(lines))]);
    assert_eq!(expect("{count: {paid: 3, picked: placed.lines}}"), format!("{count:?}"));
}

#[test]
fn every_deadline() {
    let after = |options: &str| match form(&format!("{{after: placed, expect: paid, {options}}}")) {
        Form::After(after) => after,
        other => panic!("{other:?}"),
    };
    let minutes = |n: i64| Span::seconds(n * 60);
    let within = after("within: 5m, anchor: last, early: 1m");
    assert_eq!((within.anchor, within.early), (Anchor::Last, minutes(1)));
    assert!(
        matches!(within.deadline, Deadline::Within { within, give_up } if within == minutes(5) && give_up == within)
    );
    let patient = after("within: 5m, give_up: 1h");
    assert!(matches!(patient.deadline, Deadline::Within { give_up, .. } if give_up == minutes(60)));
    assert!(matches!(after("within: end").deadline, Deadline::End));
    let Deadline::Due { cron, grace } = after("due: \"0 3 * * *\", zone: Europe/Berlin, grace: 10m").deadline else {
        panic!("not due");
    };
    assert_eq!((cron.text.as_str(), cron.zone.name(), grace), ("0 3 * * *", "Europe/Berlin", minutes(10)));
}

#[test]
fn the_other_forms() {
    assert!(matches!(
        form("{after: placed, never: paid, within: 1h, anchor: first}"),
        Form::Never { after: 0, anchor: Anchor::First, never: 1, within: Some(_) }
    ));
    assert!(matches!(form("{forbid: paid}"), Form::Forbid { step: 1 }));
    assert!(matches!(form("{together: [placed, paid], within: 1h}"), Form::Together { steps, .. } if steps == [0, 1]));
    assert!(matches!(form("{at_most: {paid: 1, placed: 2}}"), Form::AtMost { limits } if limits == [(1, 1), (0, 2)]));
    assert!(matches!(form("{order: [placed, paid, picked]}"), Form::Order { steps } if steps == [0, 1, 2]));
    assert!(matches!(form("{step: paid, requires: placed}"), Form::Requires { step: 1, requires: 0, within: None }));
    assert!(matches!(
        form("{agree: [placed.price, paid.price, paid.time], tolerance: 0.01, within: 1m}"),
        Form::Agree { fields, tolerance: Some(_), within: Some(_) } if fields.len() == 3 && fields[2].field == Field::Time
    ));
    let Form::States { allow, start, end, .. } =
        form("{states: picked.status, allow: [\"new -> paid\", paid->sent], start: new, end: [sent, lost]}")
    else {
        panic!("not states");
    };
    assert_eq!(allow, [("new".into(), "paid".into()), ("paid".into(), "sent".into())]);
    assert_eq!((start, end), (vec!["new".to_owned()], vec!["sent".to_owned(), "lost".to_owned()]));
    assert!(matches!(
        form("{schedule: \"*/5 * * * *\", expect: paid, within: 1h, early: 1m}"),
        Form::Schedule { expect: 1, early, .. } if early == Span::seconds(60)
    ));
}

#[test]
fn invariants_are_compiled() {
    assert!(matches!(form("{holds: count(paid) <= count(placed), within: 1m}"), Form::Holds { within: Some(_), .. }));
}

#[test]
fn options_of_a_check() {
    let text = "  c: {order: [placed, picked], given: paid, unless: [paid, picked], by: item, severity: info, class: late, \
                about: why, runbook: how}\n";
    let check = flow(&with_checks(text)).checks.remove(0);
    assert_eq!((check.given, check.unless, check.by), (vec![1], vec![1, 2], Some(1)));
    assert_eq!((check.severity, check.class), (Some(Severity::Info), Some(Class::Late)));
    assert_eq!((check.about.as_str(), check.runbook.as_str()), ("why", "how"));
}

#[test]
fn a_time_of_its_own_is_a_source_of_its_own() {
    let plan = plan(
        "\
flow: f
key: k
steps:
  a: {from: erp, key: {k: body.k}}
  b: {from: erp, key: {k: body.k}, time: body.at, lateness: 10m}
  c: {from: untimed, key: {k: body.k}, time: body.at, lateness: end}
checks: {x: {order: [a, b, c]}}
",
    );
    let shown: Vec<_> =
        plan.sources.iter().map(|s| (s.name.as_str(), s.clock_of, s.lateness, s.lateness_end)).collect();
    assert_eq!(
        shown,
        [
            ("erp", None, Span::ZERO, false),
            ("untimed", None, Span::ZERO, false),
            ("erp (f.b)", Some(0), Span::seconds(600), false),
            ("untimed (f.c)", Some(1), Span::ZERO, true),
        ]
    );
    let steps = &plan.flows[0].steps;
    assert_eq!(steps.iter().map(|step| step.source).collect::<Vec<_>>(), [0, 2, 3]);
    assert_eq!(plan.flows[0].sources, [0, 2, 3]);
}

#[test]
fn values_are_paths_literals_or_expressions() {
    let flow = flow(
        "\
flow: f
key: k
steps:
  a:
    from: erp
    each: body.lines
    when: each.kind == 'x' && body.n != null
    key: {k: [body.k, each.k], other: 5}
    keep: {kind: \"'refund'\", first: \"body.lines[0].id\"}
checks: {x: {forbid: a}}
",
    );
    let step = &flow.steps[0];
    assert!(matches!(&step.when, Condition::All(parts) if parts.len() == 2));
    assert_eq!(step.keys.len(), 2);
    assert_eq!((step.keys[0].0, step.keys[0].1.len()), (0, 2));
    assert!(matches!(step.keys[1].1[0], Expr::Literal(_)));
    assert!(matches!(step.keep[0].1, Expr::Literal(_)));
    assert!(matches!(&step.keep[1].1, Expr::Path(path) if path.to_string() == "body.lines[0].id"));
}

#[test]
fn expressions_go_to_the_engine() {
    let flow = flow(
        "flow: f\nkey: k\nsteps:\n  a: {from: erp, when: \"has(body.k) && !body.test\", key: {k: lower(body.k)}}\nchecks: {x: {forbid: a}}\n",
    );
    assert!(matches!(flow.steps[0].when, Condition::Program(_)));
    assert!(matches!(flow.steps[0].keys[0].1[0], Expr::Program(_)));
}

#[test]
fn a_shared_step_brings_its_parts() {
    let shared = "steps:\n  placed: {from: erp, when: body.a == 1, key: {order: body.order}, keep: {x: body.x}}\n";
    let own = "\
flow: f
key: order
steps:
  p: {use: placed, key: {parcel: body.p}, keep: {y: body.y}, dedupe_by: body.id}
  q: {from: erp, key: {parcel: body.p}}
checks: {x: {order: [p, q]}}
";
    let (plan, found) = compile_files(&[("flows/f.yaml", own), ("flows/shared.yaml", shared)]);
    assert!(found.is_empty(), "{found:?}");
    let step = &plan.unwrap().flows[0].steps[0];
    assert_eq!((step.name.as_str(), step.keys.len(), step.keep.len()), ("p", 2, 2));
    assert!(step.dedupe_by.is_some() && matches!(step.when, Condition::Compare { .. }));
}

#[test]
fn a_scheduled_job_needs_no_key() {
    let flow = flow(
        "flow: f\nkey: run\nsteps:\n  ran: {from: erp, when: body.job == 'nightly'}\nchecks: {x: {schedule: \"0 2 * * *\", expect: ran, within: 1h}}\n",
    );
    assert!(!flow.steps[0].carries_flow_key);
}

#[test]
fn an_absence_waits_for_every_link_of_the_chain() {
    let plan = plan(
        "\
flow: f
key: order
steps:
  captured: {from: events, key: {order: body.o, payment: body.p}}
  moved: {from: broker, key: {payment: body.p, parcel: body.q}}
  delivered: {from: erp, key: {parcel: body.q}}
checks: {x: {order: [captured, moved, delivered]}}
",
    );
    let flow = &plan.flows[0];
    let names = |ids: &[u16]| ids.iter().map(|id| plan.sources[usize::from(*id)].name.clone()).collect::<Vec<_>>();
    assert_eq!(names(&flow.steps[0].closure), ["events"]);
    assert_eq!(names(&flow.steps[1].closure), ["events", "broker"]);
    assert_eq!(names(&flow.steps[2].closure), ["events", "broker", "erp"]);
    assert_eq!(names(&flow.steps[2].binders), ["events", "broker"]);
    assert_eq!(flow.keys.iter().map(|key| key.rank).collect::<Vec<_>>(), [Some(0), Some(1), Some(2)]);
}
