//! `schedule: "0 2 * * *", expect: A, within: T`: judged for each due time, of the whole flow.

use super::super::case::Case;
use super::super::evidence::{evidence, seen_by};
use super::{Verdict, unknown};
use throughline::flow::plan::{Check, Cron, Form};
use throughline::model::time::{Span, Time};
use throughline::model::verdict::{Class, Status};
use throughline::model::{FlowId, SourceId};

/// Every due time that the source covers, with its verdict.
pub fn judge(case: &Case, flow_id: FlowId, check: &Check) -> Vec<(Time, Verdict)> {
    let Form::Schedule { cron, expect, within, early } = &check.form else { return Vec::new() };
    let source = case.flow(flow_id).steps[*expect as usize].source;
    let resolution = case.plan.sources[source as usize].resolution;
    let judge = |due: Time| {
        let (from, to) = (due - *early - resolution, due + *within + resolution);
        if case.of(flow_id).any(|o| o.step == *expect && o.time >= from && o.time <= to) {
            return Verdict::Passed;
        }
        match seen_by(case, source, from, to) {
            Err(lack) => unknown(lack),
            Ok(()) => {
                let class = Class::MissedRun;
                Verdict::Broken(check.class.unwrap_or(class), check.severity_of(class), Status::Open)
            }
        }
    };
    let Some((from, to)) = coverage(case, flow_id, source) else { return Vec::new() };
    due_times(cron, from, to).into_iter().map(|due| (due, judge(due))).collect()
}

/// What the source covers; where that has no end, as far as the flow's records of it go, or as it had shown.
fn coverage(case: &Case, flow: FlowId, source: SourceId) -> Option<(Time, Time)> {
    let times = || case.of(flow).filter(|o| o.source == source).map(|o| o.time);
    let evidence = evidence(case, source);
    let from = if evidence.from == Time::MIN { times().min()? } else { evidence.from };
    let to = if evidence.to == Time::MAX { (times().max()? + Span(1)).max(evidence.proven) } else { evidence.to };
    Some((from, to))
}

fn due_times(cron: &Cron, from: Time, to: Time) -> Vec<Time> {
    let next = |after: Time| cron.next_after(after).filter(|due| *due < to);
    std::iter::successors(next(from - Span(1)), |due| next(*due)).collect()
}
