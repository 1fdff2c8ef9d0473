//! What every form has in common once its own judgement stands: `given`, `unless`, `begins`.

use super::Case;
use super::evidence::Known;
use super::outcome::{Fold, Outcome, Part, Verdict};
use crate::flow::plan::Form;
use crate::model::time::Time;
use crate::model::verdict::{Doubt, Reason};
use crate::model::{SourceId, StepId};
use std::cmp::Reverse;

/// Turns a form's judgement into the check's.
pub(super) fn apply(case: &Case<'_>, fold: Fold) -> Outcome {
    let mut outcome = fold.outcome();
    if outcome.verdict == Verdict::NotApplicable {
        return outcome;
    }
    if !case.check.given.is_empty() || !case.check.unless.is_empty() {
        outcome = conditions(case, &fold, outcome);
    }
    if outcome.verdict != Verdict::NotApplicable
        && let Some(source) = begun_before(case)
    {
        outcome.verdict = Verdict::Undecided(Doubt { reason: Reason::BeforeWatch, source: Some(source) });
        if case.check.given.is_empty() {
            outcome.due = Time::MAX;
        }
    }
    outcome
}

fn conditions(case: &Case<'_>, fold: &Fold, mut outcome: Outcome) -> Outcome {
    // A part that is not due yet may still ask for evidence from beyond what is looked at now.
    let not_applicable = Outcome { verdict: Verdict::NotApplicable, ..outcome };
    if case.check.unless.iter().any(|s| present(case, *s)) {
        return Outcome { due: Time::MAX, ..not_applicable };
    }
    let troubled = matches!(outcome.verdict, Verdict::Broken(..) | Verdict::Undecided(_));
    let reach = fold.reach.unwrap_or(Time::MIN);
    let mut lacking = case.check.given.iter().filter(|s| !present(case, **s)).peekable();
    if lacking.peek().is_some() {
        if !troubled {
            // Passed or not due: without what is given there is nothing to say so far.
            let waits = outcome.verdict == Verdict::Pending;
            return if waits { outcome } else { not_applicable };
        }
        let known: Vec<Known> = lacking.map(|s| known_absent(case, *s, reach)).collect();
        if known.iter().any(|k| k.is_yes() && k.due == Time::MAX) {
            return not_applicable;
        }
        let all = known.into_iter().fold(Known::YES, Known::and);
        outcome.due = outcome.due.min(all.due);
        outcome.verdict = doubtful(&all).unwrap_or(Verdict::NotApplicable);
        return outcome;
    }
    if matches!(outcome.verdict, Verdict::Broken(..)) {
        let all = case.check.unless.iter().fold(Known::YES, |all, s| all.and(known_absent(case, *s, reach)));
        outcome.due = outcome.due.min(all.due);
        outcome.verdict = doubtful(&all).unwrap_or(outcome.verdict);
    }
    outcome
}

fn doubtful(known: &Known) -> Option<Verdict> {
    match Part::doubt(known)? {
        Part::Pending => Some(Verdict::Pending),
        Part::Undecided(doubt) => Some(Verdict::Undecided(doubt)),
        Part::Ok | Part::Broken { .. } => None,
    }
}

/// Whether the transaction has the step: for the value of `by` where the step carries that key,
/// else anywhere in the transaction.
pub(super) fn present(case: &Case<'_>, step: StepId) -> bool {
    restricted(case, step).effects(step).next().is_some()
}

fn restricted<'a>(case: &Case<'a>, step: StepId) -> Case<'a> {
    let keys = &case.flow().steps[step as usize].keys;
    let carries = case.check.by.is_some_and(|by| keys.iter().any(|(name, _)| *name == by));
    Case { by: case.by.filter(|_| carries), ..*case }
}

/// Whether the step is known not to have come between the transaction's beginning and `reach`.
fn known_absent(case: &Case<'_>, step: StepId, reach: Time) -> Known {
    let (from, to) = absence_window(case, reach);
    case.absent(step, from, to)
}

/// From the transaction's beginning to the deadline.
pub(super) fn absence_window(case: &Case<'_>, reach: Time) -> (Time, Time) {
    let from = beginning(case);
    (from, from.max(reach))
}

/// Where what belongs to the transaction begins: at the step under `begins`, else `linger` before the first sight.
pub(super) fn beginning(case: &Case<'_>) -> Time {
    let whole = Case { by: None, ..*case };
    let begun = case.flow().begins.iter().filter_map(|s| whole.effects(*s).next());
    begun.map(|e| whole.first(e).time).min().unwrap_or_else(|| case.view.first_seen() - case.flow().linger)
}

/// The transaction has none of the steps that begin one, and may have begun before the watch: gives the source whose
/// watch began last.
pub(super) fn begun_before(case: &Case<'_>) -> Option<SourceId> {
    let flow = case.flow();
    if matches!(case.check.form, Form::AtMost { .. } | Form::Forbid { .. }) {
        return None;
    }
    if flow.begins.iter().any(|s| !case.view.effects_of(*s).is_empty()) {
        return None;
    }
    let closures = flow.begins.iter().flat_map(|s| flow.steps[*s as usize].closure.iter().copied());
    let from = |s: SourceId| case.evidence.sources[s as usize].from;
    let last = closures.max_by_key(|s| (from(*s), Reverse(*s)))?;
    (case.view.first_seen() < from(last) + flow.linger).then_some(last)
}

#[cfg(test)]
mod tests;
