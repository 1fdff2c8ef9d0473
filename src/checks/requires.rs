//! `step: B, requires: A`: for every B an A in [B - T, B].

use super::Case;
use super::evidence::Known;
use super::outcome::{Fold, Outcome, Part, Verdict};
use super::story::{Looked, Story, so_for};
use super::view::{Effect, Record};
use crate::model::StepId;
use crate::model::time::{Span, Time};
use crate::model::verdict::{Class, Status};

pub(super) fn judge(case: &Case<'_>, step: StepId, requires: StepId, within: Option<Span>) -> Fold {
    let mut fold = Fold::not_applicable();
    for b in case.effects(step) {
        fold.applicable = true;
        let part = judge_one(case, b, (step, requires), within, &mut fold.due);
        fold.add(part, b.first, case.time_of(b), None);
    }
    fold
}

fn judge_one(
    case: &Case<'_>,
    b: &Effect,
    (step, requires): (StepId, StepId),
    within: Option<Span>,
    due: &mut Time,
) -> Part {
    let record = case.first(b);
    let (mut before, mut later) = (false, false);
    for a in case.effects(requires).filter(|a| a.first != b.first) {
        match place(case, case.first(a), record, within) {
            Place::Inside => return Part::Ok,
            Place::TooEarly => before = true,
            Place::Later => later = true,
        }
    }
    let known = absent(case, record, (step, requires), within);
    *due = (*due).min(known.due);
    match (before, later) {
        (false, false) => Part::broken_if(&known, 0, Class::Orphan, Status::Open),
        (false, true) => Part::broken_if(&known, 2, Class::OutOfOrder, Status::Healed),
        (true, _) => Part::broken_if(&known, 1, Class::Late, Status::Open),
    }
}

/// How an A lies to its B.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Place {
    TooEarly,
    Inside,
    Later,
}

pub(super) fn place(case: &Case<'_>, a: &Record, b: &Record, within: Option<Span>) -> Place {
    let slack = case.slack(a, b);
    if a.time > b.time + slack {
        Place::Later
    } else if within.is_some_and(|t| a.time < b.time - t - slack) {
        Place::TooEarly
    } else {
        Place::Inside
    }
}

/// Whether no other A is known to have stood where one was required.
pub(super) fn absent(case: &Case<'_>, b: &Record, (step, requires): (StepId, StepId), within: Option<Span>) -> Known {
    let (from, to) = absence_window(case, b, (step, requires), within);
    case.absent(requires, from, to)
}

pub(super) fn absence_window(
    case: &Case<'_>,
    b: &Record,
    (step, requires): (StepId, StepId),
    within: Option<Span>,
) -> (Time, Time) {
    let slack = case.slack_max(requires, step);
    (b.time - within.unwrap_or(case.flow().linger) - slack, b.time + slack)
}

pub(super) fn tell(
    case: &Case<'_>,
    (step, requires): (StepId, StepId),
    within: Option<Span>,
    outcome: &Outcome,
    story: &mut Story,
) {
    let (b, a) = (case.name(step), case.name(requires));
    let how_long = within.map_or_else(String::new, |t| format!(", at most {t} before it"));
    story.expected = format!("{a} before every {b}{how_long}");
    let Some(anchor) = outcome.anchor else { return };
    let record = case.view.record(anchor);
    let (from, to) = absence_window(case, record, (step, requires), within);
    story.looked.push(Looked::Within { step: requires, from, to });
    let Verdict::Broken(class, _) = outcome.verdict else { return };
    let times = || case.effects(requires).filter(|e| e.first != anchor).map(|e| case.time_of(e));
    story.summary = match class {
        Class::OutOfOrder => {
            story.healed_after = times().next().map(|t| t.since(record.time));
            format!("{b} came {} before the first {a}", story.healed_after.unwrap_or_default())
        }
        Class::Late => {
            let ago = times().rfind(|t| *t <= record.time).map(|t| record.time.since(t)).unwrap_or_default();
            format!("{a} came {ago} before {b}, longer ago than {}", within.unwrap_or_default())
        }
        _ => format!("{b} came, but no {a} before it, nor since"),
    };
    let is_broken = |e: &&Effect| {
        let part = judge_one(case, e, (step, requires), within, &mut Time::MAX.clone());
        matches!(part, Part::Broken { .. })
    };
    story.summary += &so_for(case.effects(step).filter(is_broken).count(), case.effects(step).count(), b);
}

#[cfg(test)]
mod tests;
