//! `after: A, never: B`: no B later than an A (within T).

use super::outcome::{Fold, Outcome, Part};
use super::story::Story;
use super::view::Record;
use super::{Case, anchors};
use crate::flow::plan::Anchor;
use crate::model::StepId;
use crate::model::time::{Span, Time};
use crate::model::verdict::{Class, Status};

pub(super) fn judge(case: &Case<'_>, after: StepId, anchor: Anchor, never: StepId, within: Option<Span>) -> Fold {
    let mut anchors = anchors(case, after, anchor).peekable();
    if anchors.peek().is_none() {
        return Fold::not_applicable();
    }
    let mut fold = Fold::passed();
    let newest = case.newest([after, never]).unwrap_or(Time::MIN);
    let reach = newest + within.unwrap_or(Span::ZERO);
    for a in anchors {
        let broken =
            case.effects(never).any(|b| b.first != a.first && forbidden(case, case.first(a), case.first(b), within));
        if broken {
            let part = Part::Broken { rank: 0, class: Class::ForbiddenStep, status: Status::Open };
            fold.add(part, a.first, reach, None);
        }
    }
    fold
}

/// Whether this B is surely later than this A, and surely within T of it.
pub(super) fn forbidden(case: &Case<'_>, a: &Record, b: &Record, within: Option<Span>) -> bool {
    let slack = case.slack(a, b);
    b.time > a.time + slack && within.is_none_or(|t| b.time <= a.time + t - slack)
}

pub(super) fn tell(
    case: &Case<'_>,
    (after, anchor, never): (StepId, Anchor, StepId),
    within: Option<Span>,
    outcome: &Outcome,
    story: &mut Story,
) {
    let b = case.name(never);
    let a = match anchor {
        Anchor::Every => case.name(after).to_owned(),
        Anchor::First => format!("the first {}", case.name(after)),
        Anchor::Last => format!("the last {}", case.name(after)),
    };
    let how_long = within.map_or_else(String::new, |t| format!(" within {t}"));
    story.expected = format!("no {b}{how_long} after {a}");
    let Some(told) = outcome.anchor else { return };
    let record = case.view.record(told);
    let mut later = case.effects(never).filter(|e| e.first != told && forbidden(case, record, case.first(e), within));
    let Some(first) = later.next() else { return };
    let times = match later.count() {
        0 => String::new(),
        more => format!(" ({} times in all)", more + 1),
    };
    story.summary = format!("{b} came {} after {a}{times}", case.time_of(first).since(record.time));
}

#[cfg(test)]
mod tests {
    use crate::checks::fixture::{tell, verdict};
    use insta::assert_snapshot;

    const NEVER: &str = "{after: packed, never: cancelled}";

    #[test]
    fn nothing_of_it_may_come_afterwards() {
        assert_eq!(verdict(NEVER, "0s cancelled\n 1m packed", ""), "passed");
        assert_eq!(verdict(NEVER, "0s cancelled\n 0s packed", ""), "passed");
        assert_eq!(verdict(NEVER, "0s packed", "app: 1m..2m, down"), "passed");
        assert_snapshot!(tell(NEVER, "0s packed\n 10m cancelled", "app: ..10m"), @r"
        broken: forbidden_step, open
        expected: no cancelled after packed
        seen: packed 0s, cancelled 10m
        sure: what was seen is enough
        cancelled came 10m after packed
        ");
        assert_snapshot!(tell(NEVER, "0s packed\n 1m packed\n 10m cancelled\n 20m cancelled", ""), @r"
        broken: forbidden_step, open
        expected: no cancelled after packed
        seen: packed 0s, packed 1m, cancelled 10m, cancelled 20m
        sure: what was seen is enough
        cancelled came 10m after packed (2 times in all)
        ");
        assert_snapshot!(tell(NEVER, "0s cancelled", ""), @r"
        does not apply
        there is no packed
        ");
    }

    #[test]
    fn the_window_is_narrowed_in_favour_of_the_accused() {
        let soon = "{after: packed, never: cancelled, within: 1h}";
        assert_eq!(verdict(soon, "0s packed\n 1h cancelled", ""), "broken: forbidden_step, open");
        assert_eq!(verdict(soon, "0s packed\n 1h1ms cancelled", ""), "passed");
        let clocks = "{after: packed, never: paid, within: 1h}";
        assert_eq!(verdict(clocks, "0s packed\n 5s paid", ""), "passed");
        assert_eq!(verdict(clocks, "0s packed\n 5s1ms paid", ""), "broken: forbidden_step, open");
        assert_eq!(verdict(clocks, "0s packed\n 59m55s paid", ""), "broken: forbidden_step, open");
        assert_eq!(verdict(clocks, "0s packed\n 59m56s paid", ""), "passed");
    }

    #[test]
    fn the_first_or_the_last_anchor_alone_may_count() {
        let last = "{after: packed, anchor: last, never: cancelled}";
        assert_eq!(verdict(last, "0s packed\n 1m cancelled\n 2m packed", ""), "passed");
        assert_snapshot!(tell(last, "0s packed\n 2m packed\n 3m cancelled", ""), @r"
        broken: forbidden_step, open
        expected: no cancelled after the last packed
        seen: packed 0s, packed 2m, cancelled 3m
        sure: what was seen is enough
        cancelled came 1m after the last packed
        ");
        let soon = "{after: packed, anchor: first, never: cancelled, within: 1m}";
        assert_eq!(verdict(soon, "0s packed\n 2m packed\n 3m cancelled", ""), "passed");
    }

    #[test]
    fn by_a_key_only_its_own_count() {
        let items = "{after: packed, never: shipped, by: item}";
        let records = "0s packed item=i-1\n 0s packed item=i-2\n 1m shipped item=i-1";
        assert_eq!(verdict(items, records, ""), "i-1: broken: forbidden_step, open\ni-2: passed");
    }
}
