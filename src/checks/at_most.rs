//! `at_most: {A: n}`: no more than n effects; redeliveries are counted, not accused.

use super::Case;
use super::explain::Story;
use super::outcome::{Fold, Part};
use crate::model::StepId;
use crate::model::time::Time;
use crate::model::verdict::{Class, Status};

pub(super) fn judge(case: &Case<'_>, limits: &[(StepId, u64)]) -> Fold {
    let steps = || limits.iter().map(|(step, _)| *step);
    let Some(reach) = case.newest(steps()) else {
        return Fold::not_applicable();
    };
    let mut fold = Fold::passed();
    for (step, limit) in limits {
        // The first effect too many is what the finding starts from.
        if let Some(effect) = case.effects(*step).nth(*limit as usize) {
            let part = Part::Broken { rank: 0, class: Class::Duplicate, status: Status::Open };
            fold.add(part, effect.first, reach.max(Time::MIN), None);
        }
    }
    fold
}

pub(super) fn tell(case: &Case<'_>, limits: &[(StepId, u64)], story: &mut Story) {
    let expected: Vec<String> =
        limits.iter().map(|(step, limit)| format!("at most {limit} × {}", case.name(*step))).collect();
    story.expected = expected.join(", ");
    let over = limits.iter().filter_map(|(step, limit)| {
        let (effects, records) = (case.effects(*step).count(), case.records(*step).count());
        let repeats = records - effects;
        let repeated = if repeats > 0 { format!(" ({repeats} redelivered besides)") } else { String::new() };
        (effects as u64 > *limit).then(|| format!("{} took effect {effects} times{repeated}", case.name(*step)))
    });
    story.summary = over.collect::<Vec<_>>().join("; ");
}
