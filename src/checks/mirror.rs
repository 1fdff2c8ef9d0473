//! `mirror: A, in: cache, …, within: T`: a cache or replica shows A's newest version in time.
//!
//! An entry that is not there is not stale: a cache may be empty, and one that was filled before the
//! watch began is not seen.

use super::Case;
use super::outcome::{Fold, Outcome, Part};
use super::story::{Looked, Story, listed};
use super::view::Record;
use crate::model::StepId;
use crate::model::time::{Span, Time};
use crate::model::value::Value;
use crate::model::verdict::{Class, Status};

pub(super) fn judge(case: &Case<'_>, step: StepId, entry: StepId, fields: &[(usize, usize)], within: Span) -> Fold {
    let versions: Vec<u32> = case.records(step).collect();
    let Some(newest) = versions.last().copied() else {
        return Fold::not_applicable();
    };
    let healed = case.records(entry).next_back().is_none_or(|e| shows(case, fields, e, newest));
    let status = if healed { Status::Healed } else { Status::Open };
    let mut fold = Fold::passed();
    for (at, version) in versions.iter().enumerate() {
        let record = case.view.record(*version);
        let deadline = record.time + within;
        let superseded = versions.get(at + 1).is_some_and(|next| case.view.record(*next).time <= deadline);
        if superseded {
            continue;
        }
        let shown = entry_at(case, entry, record, deadline);
        if shown.is_none_or(|e| shows(case, fields, e, *version)) {
            continue;
        }
        let (from, to) = absence_window(case, (step, entry), record.time, deadline);
        let known = case.absent(entry, from, to);
        fold.ask_again(known.due);
        fold.add(Part::broken_if(&known, 0, Class::StaleCache, status), *version, deadline, Some(deadline));
    }
    fold
}

pub(super) fn absence_window(
    case: &Case<'_>,
    (step, entry): (StepId, StepId),
    from: Time,
    deadline: Time,
) -> (Time, Time) {
    let slack = case.slack_max(step, entry);
    (from - slack, deadline + slack)
}

/// The entry's newest record at the deadline.
pub(super) fn entry_at(case: &Case<'_>, entry: StepId, a: &Record, deadline: Time) -> Option<u32> {
    case.records(entry).rev().find(|e| {
        let record = case.view.record(*e);
        record.time <= deadline + case.slack(a, record)
    })
}

/// Whether the entry shows this version, or is gone.
fn shows(case: &Case<'_>, fields: &[(usize, usize)], entry: u32, version: u32) -> bool {
    let gone = fields.iter().all(|(e, _)| case.view.field(entry, *e) == Value::Null);
    gone || fields.iter().all(|(e, a)| case.view.field(entry, *e).same(&case.view.field(version, *a)))
}

pub(super) fn tell(
    case: &Case<'_>,
    (step, entry): (StepId, StepId),
    fields: &[(usize, usize)],
    within: Span,
    outcome: &Outcome,
    story: &mut Story,
) {
    let cache = case.flow().steps[entry as usize].reads.as_str();
    let name = case.name(step);
    story.expected = format!("{cache} shows every {name} within {within}");
    let (Some(anchor), Some(deadline)) = (outcome.anchor, outcome.deadline) else { return };
    let record = case.view.record(anchor);
    let (from, to) = absence_window(case, (step, entry), record.time, deadline);
    story.looked.push(Looked::Within { step: entry, from, to });
    let Some(shown) = entry_at(case, entry, record, deadline) else { return };
    let stale = fields.iter().filter_map(|(e, a)| {
        let (stale, wanted) = (case.view.field(shown, *e), case.view.field(anchor, *a));
        let field = &case.flow().steps[entry as usize].keep[*e].0;
        (!stale.same(&wanted)).then(|| format!("{field} {} instead of {}", stale.display(), wanted.display()))
    });
    story.summary = format!("{within} after {name}, {cache} showed {}", listed(stale, "and"));
    // It may have caught up with this version, or passed on to the newest.
    let newest = case.records(step).next_back().unwrap_or(anchor);
    let shows = |e: &u32| shows(case, fields, *e, anchor) || shows(case, fields, *e, newest);
    let mut later = case.records(entry).filter(|e| case.view.record(*e).time > deadline);
    story.healed_after = later.find(shows).map(|e| case.view.record(e).time.since(deadline));
}

#[cfg(test)]
mod tests;
