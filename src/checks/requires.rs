//! `step: B, requires: A`: for every B an A in [B - T, B].

use super::Case;
use super::evidence::Known;
use super::explain::Story;
use super::outcome::{Fold, Outcome, Part, Verdict};
use super::view::Record;
use crate::model::StepId;
use crate::model::time::{Span, Time};
use crate::model::verdict::{Class, Status};

pub(super) fn judge(case: &Case<'_>, step: StepId, requires: StepId, within: Option<Span>) -> Fold {
    let mut fold = Fold::not_applicable();
    for b in case.effects(step) {
        fold.applicable = true;
        let record = case.first(b);
        let (mut before, mut inside, mut later) = (false, false, false);
        for a in case.effects(requires).filter(|a| a.first != b.first) {
            match place(case, case.first(a), record, within) {
                Place::TooEarly => before = true,
                Place::Inside => inside = true,
                Place::Later => later = true,
            }
        }
        if inside {
            continue;
        }
        let known = absent(case, record, (step, requires), within);
        fold.ask_again(known.due);
        let part = match (before, later) {
            (false, false) => Part::broken_if(&known, 0, Class::Orphan, Status::Open),
            (false, true) => Part::broken_if(&known, 2, Class::OutOfOrder, Status::Healed),
            (true, _) => Part::broken_if(&known, 1, Class::Late, Status::Open),
        };
        fold.add(part, b.first, record.time, None);
    }
    fold
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
    let how_long = within.map_or_else(String::new, |t| format!(" within {t}"));
    story.expected = format!("a {a} before each {b}{how_long}");
    let Some(anchor) = outcome.anchor else { return };
    let record = case.view.record(anchor);
    let (from, to) = absence_window(case, record, (step, requires), within);
    case.tell_absence(story, requires, from, to);
    let later = case.effects(requires).map(|e| case.time_of(e)).find(|t| *t > record.time);
    story.summary = match outcome.verdict {
        Verdict::Broken(Class::Orphan, _) => format!("{b} came, but no {a} ever did"),
        Verdict::Broken(Class::OutOfOrder, _) => {
            story.healed_after = later.map(|t| t.since(record.time));
            format!("{b} came before its {a}")
        }
        _ => format!("the {a} before {b} lies too far back"),
    };
}
