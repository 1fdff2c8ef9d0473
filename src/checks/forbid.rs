//! `forbid: A`: no A at all.

use super::Case;
use super::outcome::{Fold, Part};
use super::story::Story;
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

pub(super) fn tell(case: &Case<'_>, step: StepId, story: &mut Story) {
    story.expected = format!("no {}", case.name(step));
    story.summary = match case.effects(step).count() {
        1 => format!("{} came, and must not", case.name(step)),
        times => format!("{} came {times} times, and must not", case.name(step)),
    };
}

#[cfg(test)]
mod tests {
    use crate::checks::fixture::{tell, verdict};
    use insta::assert_snapshot;

    const FORBID: &str = "{forbid: refunded}";

    #[test]
    fn it_is_judged_always_and_passes_on_what_was_seen() {
        assert_eq!(verdict(FORBID, "0s placed", "queue: 1h..2h, gap 70m..80m, down"), "passed");
        assert_snapshot!(tell(FORBID, "0s placed\n 5m refunded", "queue: ..1m"), @r"
        broken: forbidden_step, open
        expected: no refunded
        seen: refunded 5m
        sure: what was seen is enough
        refunded came, and must not
        ");
        assert_snapshot!(tell(FORBID, "5m refunded\n 6m refunded", ""), @r"
        broken: forbidden_step, open
        expected: no refunded
        seen: refunded 5m, refunded 6m
        sure: what was seen is enough
        refunded came 2 times, and must not
        ");
    }

    #[test]
    fn by_a_key_each_value_is_judged() {
        let items = "{forbid: packed, by: item}";
        assert_eq!(
            verdict(items, "0s placed item=i-1,i-2\n 1m packed item=i-2", ""),
            "i-1: passed\ni-2: broken: forbidden_step, open"
        );
    }
}
