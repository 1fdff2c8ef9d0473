//! `order: [A, B, C]`: for every pair, none of the earlier later than the first of the later.

use super::Case;
use super::outcome::{Fold, Part};
use super::story::Story;
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
    story.expected = names.join(", then ");
    let found = violations(case, steps);
    let Some((first, late)) = found.first() else { return };
    let (first, late) = (case.view.record(*first), case.view.record(*late));
    let more = match found.len() - 1 {
        0 => String::new(),
        more => format!(" (and {more} more out of order)"),
    };
    let after = late.time.since(first.time);
    story.summary = format!("{} came {after} after the first {}{more}", case.name(late.step), case.name(first.step));
}

#[cfg(test)]
mod tests {
    use crate::checks::fixture::{tell, verdict};
    use insta::assert_snapshot;

    const ORDER: &str = "{order: [placed, packed, shipped]}";

    #[test]
    fn none_is_later_than_the_first_of_a_later_one() {
        assert_eq!(verdict(ORDER, "0s placed\n 1m packed\n 2m shipped\n 3m shipped", ""), "passed");
        assert_eq!(verdict(ORDER, "0s placed\n 0s packed\n 0s shipped", ""), "passed");
        assert_eq!(verdict(ORDER, "0s placed\n 2m shipped", "app: ..1m, down"), "passed");
        assert_snapshot!(tell(ORDER, "0s packed\n 5m placed", "app: ..1m"), @r"
        broken: out_of_order, open
        expected: placed, then packed, then shipped
        seen: packed 0s, placed 5m
        sure: what was seen is enough
        placed came 5m after the first packed
        ");
        assert_snapshot!(tell(ORDER, "0s placed\n 1m shipped\n 2m packed\n 3m packed", ""), @r"
        broken: out_of_order, open
        expected: placed, then packed, then shipped
        seen: placed 0s, shipped 1m, packed 2m, packed 3m
        sure: what was seen is enough
        packed came 1m after the first shipped (and 1 more out of order)
        ");
    }

    #[test]
    fn equal_times_and_times_within_the_slack_accuse_nobody() {
        let clocks = "{order: [paid, packed]}";
        assert_eq!(verdict(clocks, "0s packed\n 5s paid", ""), "passed");
        assert_eq!(verdict(clocks, "0s packed\n 5s1ms paid", ""), "broken: out_of_order, open");
    }

    #[test]
    fn two_of_the_steps_are_needed() {
        assert_snapshot!(tell(ORDER, "0s packed\n 1m packed", ""), @r"
        does not apply
        there are not two of placed, packed or shipped
        ");
    }

    #[test]
    fn by_a_key_only_its_own_count() {
        let items = "{order: [packed, shipped], by: item}";
        let records = "0s shipped item=i-1\n 1m packed item=i-1,i-2\n 2m shipped item=i-2";
        assert_eq!(verdict(items, records, ""), "i-1: broken: out_of_order, open\ni-2: passed");
    }
}
