//! `after: A, never: B`: no B later than an A (within T).

use super::explain::Story;
use super::outcome::{Fold, Outcome, Part};
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
    (after, never): (StepId, StepId),
    within: Option<Span>,
    outcome: &Outcome,
    story: &mut Story,
) {
    let (a, b) = (case.name(after), case.name(never));
    let how_long = within.map_or_else(String::new, |t| format!(" within {t}"));
    story.expected = format!("no {b} after {a}{how_long}");
    let count = outcome.anchor.map_or(0, |anchor| {
        let first = case.view.record(anchor);
        case.effects(never).filter(|e| e.first != anchor && forbidden(case, first, case.first(e), within)).count()
    });
    story.summary = format!("{b} happened after {a}, {count} time{}", if count == 1 { "" } else { "s" });
}
