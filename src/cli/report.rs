//! The account of the engine and the sources, with names.

use crate::engine::account::{self, Account, ByReason, CheckAccount, FlowAccount};
use crate::extract::counts::Counts;
use crate::findings::Names;
use crate::findings::record::Moment;
use crate::findings::summary::*;
use crate::flow::plan::{Flow, Plan};
use crate::model::time::Time;
use crate::model::verdict::Reason;
use crate::model::{FlowId, StepId};
use crate::runtime::coverage::Hole;
use crate::runtime::findings::Findings;
use crate::runtime::verify::{self, PartNames, Report, SourceReport, Unreadable};
use crate::sources::file::LocateError;

/// What a run found out, in numbers; findings aside.
pub fn summary(report: &Report, plan: &Plan) -> Summary {
    let accounts = &report.account.flows;
    let names = Names { plan, places: &report.parts };
    let mut undecided = ByReason::default();
    for account in accounts {
        undecided.iter_mut().zip(account.undecided).for_each(|(sum, count)| *sum += count);
    }
    let sum = |of: fn(&FlowAccount) -> u64| accounts.iter().map(of).sum();
    Summary {
        transactions: Transactions {
            consistent: sum(|flow| flow.consistent),
            inconsistent: sum(|flow| flow.inconsistent),
            undecided: sum(FlowAccount::undecided_total),
        },
        undecided: by_reason(&undecided),
        flows: (0..)
            .zip(&plan.flows)
            .zip(accounts)
            .map(|((id, flow), account)| (flow.name.clone(), of_flow(id, account, &report.counts, names)))
            .collect(),
        sources: report.sources.iter().map(|source| (source.name.clone(), of_source(source))).collect(),
        limits: limit("findings_held_bytes_max", report.findings.beyond_memory()),
        interrupted: report.interrupted,
        ..Summary::default()
    }
}

fn of_flow(id: FlowId, account: &FlowAccount, counts: &Counts, names: Names<'_>) -> FlowSummary {
    let flow = &names.plan.flows[id as usize];
    let at = |counts: &[u64], step: usize| counts.get(step).copied().unwrap_or_default();
    let step = |step: usize| {
        let counted = counts.step(id, step as StepId);
        StepSummary {
            observations: at(&account.observations, step),
            unattached: at(&account.unattached, step),
            unattached_samples: account
                .strays
                .get(step)
                .into_iter()
                .flatten()
                .map(|s| of_stray(s, flow, step, names))
                .collect(),
            redelivered: at(&account.redelivered, step),
            null_keys: counted.null_keys,
            not_keys: counted.not_keys,
            when_errors: counted.when_errors,
            key_errors: counted.key_errors,
            keep_errors: counted.keep_errors,
            undecodable: counted.undecodable,
        }
    };
    FlowSummary {
        transactions: Transactions {
            consistent: account.consistent,
            inconsistent: account.inconsistent,
            undecided: account.undecided_total(),
        },
        undecided: by_reason(&account.undecided),
        checks: flow
            .checks
            .iter()
            .zip(&account.checks)
            .map(|(check, counts)| (check.name.clone(), of_check(counts)))
            .collect(),
        steps: flow.steps.iter().enumerate().map(|(at, named)| (named.name.clone(), step(at))).collect(),
        limits: account.limits.iter().filter(|(_, count)| *count > 0).cloned().collect(),
    }
}

fn of_stray(stray: &account::Stray, flow: &Flow, step: usize, names: Names<'_>) -> Stray {
    let mut keys = Named::<Vec<String>>::default();
    for (name, value) in &stray.keys {
        keys.entry(&flow.keys[*name as usize].name).push(value.clone());
    }
    let place = names.places.place(flow.steps[step].source, stray.position);
    Stray { place, time: Moment(stray.time), keys }
}

fn of_check(account: &CheckAccount) -> CheckSummary {
    CheckSummary {
        judged: account.judged(),
        passed: account.passed,
        broken: account.broken,
        undecided: account.undecided.iter().sum(),
        reasons: by_reason(&account.undecided),
    }
}

fn of_source(source: &SourceReport) -> SourceSummary {
    SourceSummary {
        records: source.records,
        matched: source.matched,
        unmatched: source.unmatched,
        undecodable: source.undecodable,
        beyond_lateness: source.beyond_lateness,
        outside: source.outside,
        lone: source.lone,
        unattached: source.unattached,
        undecided: by_reason(&source.undecided),
        from: Moment(source.from.unwrap_or(Time::MIN)),
        to: Moment(source.to.unwrap_or(Time::MAX)),
        files: source.files,
        gaps: source.gaps.iter().map(of_gap).collect(),
        gaps_more: source.gaps_more,
        problems: source.problems.iter().map(of_problem).collect(),
        failures: source.failures.clone(),
        failures_more: source.failures_more,
        limits: limit("islands_max", source.silences_merged),
    }
}

fn of_gap(hole: &Hole) -> Gap {
    Gap { from: Moment(hole.from), to: Moment(hole.to.unwrap_or(Time::MAX)), why: hole.why.to_owned() }
}

fn of_problem(problem: &verify::Problem) -> Problem {
    let sample = |sample: &verify::Sample| Sample {
        place: sample.place.clone(),
        detail: sample.detail.clone(),
        text: sample.text.clone(),
    };
    Problem {
        reason: problem.reason.to_string(),
        count: problem.count,
        samples: problem.samples.iter().map(sample).collect(),
    }
}

/// What there is to say where some sources could not even be opened: nothing was read.
pub fn unreadable(failed: &Unreadable, plan: &Plan) -> Report {
    let step_counts = |flow: &Flow| vec![0; flow.steps.len()];
    let flows = plan.flows.iter().map(|flow| FlowAccount {
        checks: vec![CheckAccount::default(); flow.checks.len()],
        observations: step_counts(flow),
        ..FlowAccount::default()
    });
    let source = |(name, why): &(String, LocateError)| SourceReport {
        name: name.clone(),
        failures: vec![why.to_string()],
        ..SourceReport::default()
    };
    Report {
        account: Account { flows: flows.collect() },
        findings: Findings::default(),
        sources: failed.0.iter().map(source).collect(),
        counts: Counts::default(),
        parts: PartNames::default(),
        interrupted: false,
    }
}

/// A limit that was hit so often.
fn limit(name: &str, count: u64) -> Named<u64> {
    [(name.to_owned(), count)].into_iter().filter(|(_, count)| *count > 0).collect()
}

fn by_reason(counts: &ByReason) -> Named<u64> {
    let named = Reason::ALL.iter().zip(counts).filter(|(_, count)| **count > 0);
    named.map(|(reason, count)| (reason.name().to_owned(), *count)).collect()
}
