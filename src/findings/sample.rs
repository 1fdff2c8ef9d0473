//! A small flow and a finding of it, for tests.

use super::record::Moment;
use super::summary::*;
use super::{Names, Places};
use crate::flow::plan::*;
use crate::model::finding::{Evidence, Finding, Seen};
use crate::model::observation::Position;
use crate::model::time::{Span, Time};
use crate::model::value::Value;
use crate::model::verdict::{Class, Severity, Status};

/// 2026-01-02T10:00:00Z.
pub const TEN: Time = Time(1_767_348_000_000_000_000);

struct OneFile;

impl Places for OneFile {
    fn place(&self, _: u16, position: Position) -> String {
        format!("events.jsonl:{}", position.offset)
    }
}

pub fn names(plan: &Plan) -> Names<'_> {
    Names { plan, places: &OneFile }
}

fn step(name: &str, keep: &[&str]) -> Step {
    Step {
        name: name.into(),
        source: 0,
        reads: "events".into(),
        select: None,
        when: Condition::Always,
        keys: vec![],
        keep: keep.iter().map(|field| (field.to_string(), Expr::Literal(Value::Null))).collect(),
        dedupe_by: None,
        time: None,
        each: None,
        carries_flow_key: true,
        closure: vec![0],
        binders: vec![],
        entry: None,
    }
}

fn check(name: &str, form: Form) -> Check {
    Check {
        name: name.into(),
        form,
        given: vec![],
        unless: vec![],
        by: None,
        severity: None,
        class: None,
        about: String::new(),
        runbook: String::new(),
    }
}

/// `announced`, then `captured` within 30m.
pub fn plan() -> Plan {
    let settled = After {
        after: 0,
        anchor: Anchor::Every,
        expect: Expect::Any(vec![1]),
        early: Span::ZERO,
        deadline: Deadline::Within { within: Span::seconds(1800), give_up: Span::seconds(1800) },
    };
    let source = Source {
        name: "events".into(),
        clock_of: None,
        carries: Carries::Messages,
        clock: Clock::One,
        resolution: Span::ZERO,
        lateness: Span::ZERO,
        skips_versions: false,
        lateness_end: false,
    };
    let flow = Flow {
        name: "order-payment".into(),
        about: String::new(),
        owner: String::new(),
        keys: vec![Key { name: "order_id".into(), rank: Some(0) }],
        begins: vec![],
        linger: Span::seconds(3600),
        steps: vec![step("announced", &["amount"]), step("captured", &[])],
        checks: vec![
            check("settled", Form::After(settled)),
            check("paid-once", Form::AtMost { limits: vec![(1, 1)] }),
            check("no-ghost", Form::Requires { step: 1, requires: 0, within: None }),
        ],
        sources: vec![0],
    };
    Plan { flows: vec![flow], sources: vec![source], clock_skew: Span::seconds(5) }
}

/// `captured` never came.
pub fn finding() -> Finding {
    Finding {
        flow: 0,
        check: 0,
        key: "o-17".into(),
        by: None,
        class: Class::LostMessage,
        severity: Severity::Critical,
        status: Status::Open,
        keys: vec![("order_id".into(), "o-17".into())],
        time: TEN,
        deadline: Some(TEN + Span::seconds(1800)),
        judged_at: TEN + Span::seconds(3600),
        healed_after: None,
        expected: "captured within 30m of announced".into(),
        seen: vec![Seen {
            step: 0,
            time: TEN,
            source: 0,
            position: Position { part: 0, offset: 12, element: 0 },
            keep: vec![Value::Int(100)],
        }],
        evidence: vec![Evidence::Absent {
            step: 1,
            source: 0,
            from: TEN,
            to: TEN + Span::seconds(1800),
            progress: TEN + Span::seconds(3600),
        }],
        summary: "captured never came within 30m of announced.".into(),
    }
}

/// A run over it: one transaction is broken, nothing was captured twice, and `no-ghost` judged nothing.
pub fn summary() -> Summary {
    let check = |passed, broken, after_recording: u64| CheckSummary {
        judged: passed + broken,
        passed,
        broken,
        undecided: after_recording,
        reasons: [("after_recording".to_string(), after_recording)].into_iter().filter(|(_, n)| *n > 0).collect(),
    };
    let flow = FlowSummary {
        transactions: Transactions { consistent: 7, inconsistent: 1, undecided: 2 },
        undecided: [("after_recording".to_string(), 2)].into_iter().collect(),
        checks: [("settled", check(7, 1, 2)), ("paid-once", check(7, 0, 0)), ("no-ghost", check(0, 0, 0))]
            .into_iter()
            .map(|(name, check)| (name.to_string(), check))
            .collect(),
        steps: [("announced", 10), ("captured", 7)]
            .into_iter()
            .map(|(name, observations)| (name.to_string(), StepSummary { observations, ..StepSummary::default() }))
            .collect(),
        limits: Named::default(),
    };
    let source = SourceSummary {
        records: 20,
        matched: 17,
        unmatched: 2,
        undecodable: 1,
        beyond_lateness: 0,
        unattached: 0,
        undecided: [("after_recording".to_string(), 2)].into_iter().collect(),
        from: Moment(TEN),
        to: Moment(TEN + Span::seconds(3600)),
        problems: vec![Problem {
            reason: "not valid JSON".into(),
            count: 1,
            samples: vec![Sample {
                place: "events.jsonl:9".into(),
                detail: "it ends within a string".into(),
                text: "{\"type\": \"Order".into(),
            }],
        }],
        failures: vec![],
        ..SourceSummary::unreadable(String::new())
    };
    Summary {
        transactions: flow.transactions,
        undecided: flow.undecided.clone(),
        flows: [("order-payment".to_string(), flow)].into_iter().collect(),
        sources: [("events".to_string(), source)].into_iter().collect(),
        findings: FindingCounts { critical: 1, failing: 1, ..FindingCounts::default() },
        ..Summary::default()
    }
}
