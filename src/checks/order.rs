//! `order: [A, B, C]`: for every pair, none of the earlier later than the first of the later.

use super::Case;
use super::explain::Story;
use super::outcome::{Fold, Part};
use crate::model::StepId;
use crate::model::verdict::{Class, Status};

pub(super) fn judge(case: &Case<'_>, steps: &[StepId]) -> Fold {
    let present = steps.iter().filter(|s| case.effects(**s).next().is_some()).count();
    let (Some(reach), true) = (case.newest(steps.iter().copied()), present >= 2) else {
        return Fold::not_applicable();
    };
    let mut fold = Fold::passed();
    for (_, late) in violations(case, steps) {
        let part = Part::Broken { rank: 0, class: Class::OutOfOrder, status: Status::Open };
        fold.add(part, late, reach, None);
    }
    fold
}

/// Pairs of records (the first of a later step, one of an earlier step that came after it).
pub(super) fn violations(case: &Case<'_>, steps: &[StepId]) -> Vec<(u32, u32)> {
    let mut found = Vec::new();
    for (at, later) in steps.iter().enumerate() {
        let Some(first) = case.effects(*later).next() else { continue };
        let first_record = case.first(first);
        for earlier in &steps[..at] {
            for effect in case.effects(*earlier) {
                let record = case.first(effect);
                if effect.first != first.first && record.time > first_record.time + case.slack(record, first_record) {
                    found.push((first.first, effect.first));
                }
            }
        }
    }
    found
}

pub(super) fn tell(case: &Case<'_>, steps: &[StepId], story: &mut Story) {
    let names: Vec<&str> = steps.iter().map(|s| case.name(*s)).collect();
    story.expected = format!("{} in this order", names.join(", then "));
    if let Some((first, late)) = violations(case, steps).first() {
        let (first, late) = (case.view.record(*first), case.view.record(*late));
        story.summary = format!(
            "{} came {} after the first {}",
            case.name(late.step),
            late.time.since(first.time),
            case.name(first.step)
        );
    }
}
