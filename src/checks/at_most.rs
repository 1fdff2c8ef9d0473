//! `at_most: {A: n}`: no more than n effects; redeliveries are counted, not accused.

use super::Case;
use super::outcome::{Fold, Part};
use super::story::{Story, listed};
use crate::model::StepId;
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
            fold.add(part, effect.first, reach, None);
        }
    }
    fold
}

pub(super) fn tell(case: &Case<'_>, limits: &[(StepId, u64)], story: &mut Story) {
    let most = limits.iter().map(|(step, limit)| format!("{limit} × {}", case.name(*step)));
    story.expected = format!("at most {}", listed(most, "and"));
    let over = limits.iter().filter_map(|(step, limit)| {
        let (effects, records) = (case.effects(*step).count(), case.records(*step).count());
        let redelivered = match records - effects {
            0 => String::new(),
            more => format!(" (and was delivered again {more} times, which is no fault)"),
        };
        (effects as u64 > *limit).then(|| format!("{} took effect {effects} times{redelivered}", case.name(*step)))
    });
    story.summary = listed(over, "and");
}

#[cfg(test)]
mod tests {
    use crate::checks::fixture::{tell, verdict};
    use insta::assert_snapshot;

    const ONCE: &str = "{at_most: {paid: 1}}";

    #[test]
    fn so_many_effects_and_no_more() {
        assert_eq!(verdict(ONCE, "0s paid payment=p-1", "queue: ..1m, down"), "passed");
        assert_snapshot!(tell(ONCE, "0s paid payment=p-1\n 1m paid payment=p-2", "queue: ..1s"), @r"
        broken: duplicate, open
        expected: at most 1 × paid
        seen: paid 0s, paid 1m
        sure: what was seen is enough
        paid took effect 2 times
        ");
        assert_snapshot!(tell(ONCE, "0s placed", ""), @r"
        does not apply
        there is no paid
        ");
    }

    #[test]
    fn redeliveries_are_counted_not_accused() {
        assert_eq!(verdict(ONCE, "0s paid payment=p-1\n 1m paid payment=p-1", ""), "passed");
        let both = "0s paid payment=p-1\n 1m paid payment=p-1\n 2m paid payment=p-2\n 3m paid payment=p-1";
        assert_snapshot!(tell(ONCE, both, ""), @r"
        broken: duplicate, open
        expected: at most 1 × paid
        seen: paid 0s, paid 1m, paid 2m, paid 3m
        sure: what was seen is enough
        paid took effect 2 times (and was delivered again 2 times, which is no fault)
        ");
        // Without a value the position tells effects apart.
        assert_eq!(verdict(ONCE, "0s paid\n 1m paid", ""), "broken: duplicate, open");
    }

    #[test]
    fn a_record_that_was_read_twice_is_one_with_the_keys_of_both() {
        assert_eq!(verdict("{at_most: {packed: 1}}", "0s packed offset=1\n 0s packed offset=1", ""), "passed");
        let items = "{at_most: {packed: 1}, by: item}";
        let records = "0s packed offset=1 item=i-1\n 0s packed offset=1 item=i-2\n 1m packed item=i-2";
        assert_eq!(verdict(items, records, ""), "i-1: passed\ni-2: broken: duplicate, open");
    }

    #[test]
    fn each_step_has_its_own_limit() {
        let two = "{at_most: {packed: 2, shipped: 1}}";
        assert_eq!(verdict(two, "0s packed\n 1m packed\n 2m shipped", ""), "passed");
        assert_snapshot!(tell(two, "0s packed\n 1m packed\n 2m packed\n 3m shipped\n 4m shipped", ""), @r"
        broken: duplicate, open
        expected: at most 2 × packed and 1 × shipped
        seen: packed 0s, packed 1m, packed 2m, shipped 3m, shipped 4m
        sure: what was seen is enough
        packed took effect 3 times and shipped took effect 2 times
        ");
    }

    #[test]
    fn by_a_key_each_value_has_its_own_count() {
        let items = "{at_most: {packed: 1}, by: item}";
        assert_eq!(
            verdict(items, "0s packed item=i-1\n 1m packed item=i-2\n 2m packed item=i-2,i-3", ""),
            "i-1: passed\ni-2: broken: duplicate, open\ni-3: passed"
        );
    }
}
