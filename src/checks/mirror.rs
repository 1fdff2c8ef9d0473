//! `mirror: A, in: cache, …, within: T`: a cache or replica shows A's newest version in time.
//!
//! An entry that is not there is not stale: a cache may be empty, and one that was filled before the
//! watch began is not seen.

use super::Case;
use super::explain::Story;
use super::outcome::{Fold, Outcome, Part, Verdict};
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
    let source = case.flow().steps[entry as usize].reads.as_str();
    story.expected = format!("{source} shows each {} within {within}", case.name(step));
    let (Some(anchor), Some(deadline)) = (outcome.anchor, outcome.deadline) else { return };
    let record = case.view.record(anchor);
    let (from, to) = absence_window(case, (step, entry), record.time, deadline);
    case.tell_absence(story, entry, from, to);
    let shown = entry_at(case, entry, record, deadline);
    let pairs = fields.iter().map(|(e, a)| {
        let name = &case.flow().steps[entry as usize].keep[*e].0;
        let stale = shown.map_or_else(|| "nothing".into(), |r| case.view.field(r, *e).display().into_owned());
        format!("{name} is {stale}, not {}", case.view.field(anchor, *a).display())
    });
    story.summary = format!("{within} after the change, in {source} {}", pairs.collect::<Vec<_>>().join(", "));
    if outcome.verdict == Verdict::Broken(Class::StaleCache, Status::Healed) {
        let shows_newest = case.records(entry).map(|e| case.view.record(e).time).find(|t| *t > deadline);
        story.healed_after = shows_newest.map(|t| t.since(deadline));
    }
}
