//! Forms that only growth can break: what was seen is enough to judge them.

use super::super::view::{Effect, View};
use super::{Part, Parts, Say};
use throughline::flow::plan::Anchor;
use throughline::model::StepId;
use throughline::model::time::{Span, Time};
use throughline::model::verdict::{Class, Status};

/// `after: A, never: B`.
pub fn never(view: &View, after: StepId, anchor: Anchor, never: StepId, within: Option<Span>) -> Parts {
    let anchors = anchors(view, after, anchor);
    let violates = |a: &Effect, b: &Effect| {
        let slack = view.slack(a.first(), b.first());
        let soon_enough = within.is_none_or(|t| b.time() <= a.time() + t - slack);
        b.time() > a.time() + slack && soon_enough && !b.is(a)
    };
    let broken = anchors.iter().any(|a| view.effects(never).iter().any(|b| violates(a, b)));
    let deadline = view.newest(&[after, never]) + within.unwrap_or(Span::ZERO);
    (!anchors.is_empty()).then(|| vec![part(broken, Class::ForbiddenStep, deadline)])
}

/// The anchors of a form.
pub fn anchors<'a>(view: &View<'a>, step: StepId, anchor: Anchor) -> Vec<Effect<'a>> {
    let effects = view.effects(step);
    match anchor {
        Anchor::Every => effects,
        Anchor::First => effects.into_iter().take(1).collect(),
        Anchor::Last => effects.into_iter().next_back().into_iter().collect(),
    }
}

/// `forbid: A`.
pub fn forbid(view: &View, step: StepId) -> Parts {
    let first = view.effects(step).first().map(|effect| effect.time());
    Some(vec![part(first.is_some(), Class::ForbiddenStep, first.unwrap_or(Time::MIN))])
}

/// `at_most: {A: n}`.
pub fn at_most(view: &View, limits: &[(StepId, u64)]) -> Parts {
    let steps: Vec<StepId> = limits.iter().map(|(step, _)| *step).collect();
    let broken = limits.iter().any(|(step, most)| view.effects(*step).len() as u64 > *most);
    let there = steps.iter().any(|step| !view.effects(*step).is_empty());
    there.then(|| vec![part(broken, Class::Duplicate, view.newest(&steps))])
}

/// `order: [A, B, C]`.
pub fn order(view: &View, steps: &[StepId]) -> Parts {
    let there = steps.iter().filter(|step| !view.effects(**step).is_empty()).count();
    let too_late = |earlier: StepId, later: StepId| {
        let later = view.effects(later);
        let first = later.first();
        let beyond = |e: &Effect, f: &Effect| e.time() > f.time() + view.slack(e.first(), f.first());
        first.is_some_and(|f| view.effects(earlier).iter().any(|e| beyond(e, f)))
    };
    let pairs = |i: usize| (i + 1..steps.len()).any(|j| too_late(steps[i], steps[j]));
    let broken = (0..steps.len()).any(pairs);
    (there >= 2).then(|| vec![part(broken, Class::OutOfOrder, view.newest(steps))])
}

fn part(broken: bool, class: Class, deadline: Time) -> Part {
    let say = if broken { Say::Broken(class, Status::Open) } else { Say::Passed };
    Part { say, deadline }
}
