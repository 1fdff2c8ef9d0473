//! `together: [A, B, …], within: T`: all, or none; T from the first of them.

use super::Case;
use super::evidence::Known;
use super::explain::Story;
use super::outcome::{Fold, Outcome, Part, Verdict};
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

pub(super) fn tell(case: &Case<'_>, steps: &[StepId], within: Span, outcome: &Outcome, story: &mut Story) {
    let names: Vec<&str> = steps.iter().map(|s| case.name(*s)).collect();
    story.expected = format!("all of {} within {within} of the first, or none", names.join(", "));
    let Some((_, first)) = first_of(case, steps) else { return };
    let deadline = first.time + within;
    let (mut missing, mut late) = (Vec::new(), None);
    for step in steps {
        let in_time = |r: &Record| r.time <= deadline + case.slack(first, r);
        if case.effects(*step).any(|e| in_time(case.first(e))) {
            continue;
        }
        let (from, to) = absence_window(case, first, *step, within);
        case.tell_absence(story, *step, from, to);
        missing.push(case.name(*step));
        late = late.max(case.effects(*step).next().map(|e| case.time_of(e).since(deadline)));
    }
    let healed = outcome.verdict == Verdict::Broken(Class::PartialTransaction, Status::Healed);
    story.healed_after = late.filter(|_| healed);
    let ending = if healed { "came late" } else { "did not come" };
    story.summary = format!("{} came, {} {ending}", case.name(first.step), missing.join(", "));
}
