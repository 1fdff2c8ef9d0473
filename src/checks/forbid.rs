//! `forbid: A`: no A at all.

use super::Case;
use super::outcome::{Fold, Part};
use crate::model::StepId;
use crate::model::verdict::{Class, Status};

pub(super) fn judge(case: &Case<'_>, step: StepId) -> Fold {
    let mut fold = Fold::passed();
    if let Some(effect) = case.effects(step).next() {
        let part = Part::Broken { rank: 0, class: Class::ForbiddenStep, status: Status::Open };
        fold.add(part, effect.first, case.first(effect).time, None);
    }
    fold
}
