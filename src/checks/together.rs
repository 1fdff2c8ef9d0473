//! `together: [A, B, …], within: T`: all, or none; T from the first of them.

use super::Case;
use super::evidence::Known;
use super::outcome::{Fold, Part};
use super::story::{Looked, Story, listed};
use super::view::Record;
use crate::model::StepId;
use crate::model::time::{Span, Time};
use crate::model::verdict::{Class, Status};

pub(super) fn judge(case: &Case<'_>, steps: &[StepId], within: Span) -> Fold {
    let Some((first_index, first)) = first_of(case, steps) else {
        return Fold::not_applicable();
    };
    let mut fold = Fold::passed();
    let deadline = first.time + within;
    for step in steps {
        let in_time = |r: &Record| r.time <= deadline + case.slack(first, r);
        if case.effects(*step).any(|e| in_time(case.first(e))) {
            continue;
        }
        let known = absent(case, first, *step, within);
        fold.ask_again(known.due);
        let part = match case.effects(*step).next() {
            Some(_) => Part::broken_if(&known, 1, Class::PartialTransaction, Status::Healed),
            None => Part::broken_if(&known, 0, Class::PartialTransaction, Status::Open),
        };
        fold.add(part, first_index, deadline, Some(deadline));
    }
    fold
}

/// The earliest of the steps' effects.
pub(super) fn first_of<'a>(case: &Case<'a>, steps: &[StepId]) -> Option<(u32, &'a Record)> {
    let firsts = steps.iter().filter_map(|s| case.effects(*s).next());
    firsts.map(|e| (e.first, case.first(e))).min_by_key(|(_, r)| (r.time, r.source, r.position, r.step))
}

/// Whether the step is known not to have come around the first, in either direction.
pub(super) fn absent(case: &Case<'_>, first: &Record, step: StepId, within: Span) -> Known {
    let (from, to) = absence_window(case, first, step, within);
    case.absent(step, from, to)
}

pub(super) fn absence_window(case: &Case<'_>, first: &Record, step: StepId, within: Span) -> (Time, Time) {
    let slack = case.slack_max(first.step, step);
    (first.time - within - slack, first.time + within + slack)
}

pub(super) fn tell(case: &Case<'_>, steps: &[StepId], within: Span, story: &mut Story) {
    let names = listed(steps.iter().map(|s| case.name(*s)), "and");
    story.expected = format!("{names} within {within} of the first of them, or none");
    let Some((_, first)) = first_of(case, steps) else { return };
    let deadline = first.time + within;
    let (mut missing, mut said) = (Vec::new(), Vec::new());
    for step in steps {
        let in_time = |r: &Record| r.time <= deadline + case.slack(first, r);
        if case.effects(*step).any(|e| in_time(case.first(e))) {
            continue;
        }
        let (from, to) = absence_window(case, first, *step, within);
        story.looked.push(Looked::Within { step: *step, from, to });
        if !case.absent(*step, from, to).is_yes() {
            continue;
        }
        match case.effects(*step).next().map(|e| case.time_of(e)) {
            None => missing.push(case.name(*step)),
            Some(at) => {
                let late = at.since(deadline);
                story.healed_after = story.healed_after.max(Some(late));
                said.push(format!("{} only {} after it, {late} too late", case.name(*step), at.since(first.time)));
            }
        }
    }
    if !missing.is_empty() {
        said.insert(0, format!("no {} within {within}, nor since", listed(missing, "and no")));
    }
    story.summary = format!("{} came, but {}", case.name(first.step), said.join("; "));
}

#[cfg(test)]
mod tests;
