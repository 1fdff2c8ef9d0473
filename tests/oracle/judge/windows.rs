//! Forms that claim an absence from a window of time.

use super::super::evidence::{Known, worst};
use super::super::view::{Datum, Effect, View};
use super::presence::anchors;
use super::{Lack, Part, Parts, Say};
use throughline::flow::plan::{After, Carries, Count, Deadline, Expect};
use throughline::model::StepId;
use throughline::model::time::{Span, Time};
use throughline::model::verdict::{Class, Reason, Status};

const EXPRESSION: Say = Say::Unknown(Lack::Because(Reason::Expression, None));

/// What is expected: at least so many effects of these steps; `None` where the number is no number.
struct Item {
    steps: Vec<StepId>,
    needed: Option<u64>,
}

/// By when it is expected of one anchor; `None` is the end of the recording.
struct Limit {
    within: Option<Span>,
    give_up: Option<Span>,
}

/// `after: A, expect: …`.
pub fn after(view: &View, form: &After) -> Parts {
    let anchors = anchors(view, form.after, form.anchor);
    let judge = |a: &Effect| {
        let limit = limit(a, &form.deadline);
        let deadline = limit.as_ref().and_then(|l| l.give_up).map_or(a.time(), |t| a.time() + t);
        let say = |item: &Item| limit.as_ref().map_or(EXPRESSION, |limit| answered(view, form, a, item, limit));
        let items = items(a, &form.expect);
        items.iter().map(|item| Part { say: say(item), deadline }).collect::<Vec<_>>()
    };
    (!anchors.is_empty()).then(|| anchors.iter().flat_map(judge).collect())
}

fn limit(a: &Effect, deadline: &Deadline) -> Option<Limit> {
    match deadline {
        Deadline::Within { within, give_up } => Some(Limit { within: Some(*within), give_up: Some(*give_up) }),
        Deadline::Due { cron, grace } => {
            let until = cron.next_after(a.time())?.since(a.time()) + *grace;
            Some(Limit { within: Some(until), give_up: Some(until) })
        }
        Deadline::End => Some(Limit { within: None, give_up: None }),
    }
}

fn items(a: &Effect, expect: &Expect) -> Vec<Item> {
    match expect {
        Expect::Any(steps) => vec![Item { steps: steps.clone(), needed: Some(1) }],
        Expect::All(all) => {
            all.iter().map(|(step, count)| Item { steps: vec![*step], needed: needed(a, count) }).collect()
        }
    }
}

fn needed(a: &Effect, count: &Count) -> Option<u64> {
    match count {
        Count::Fixed(n) => Some(*n),
        Count::Field(field) => match a.field(field.field) {
            Datum::Value(value) => {
                let number = value.decimal().filter(|n| n.is_integer())?;
                number.try_into().ok()
            }
            Datum::Time(_) => None,
        },
    }
}

/// Whether one anchor has what one item asks for.
fn answered(view: &View, form: &After, a: &Effect, item: &Item, limit: &Limit) -> Say {
    let Some(needed) = item.needed else { return EXPRESSION };
    let answers = item.steps.iter().flat_map(|step| view.effects(*step)).filter(|b| !b.is(a));
    let slack = |b: &Effect| view.slack(a.first(), b.first());
    let ever: Vec<_> = answers.filter(|b| b.time() >= a.time() - form.early - slack(b)).collect();
    let in_time = ever.iter().filter(|b| limit.within.is_none_or(|t| b.time() <= a.time() + t + slack(b)));
    if in_time.count() as u64 >= needed {
        return Say::Passed;
    }
    let slack_max = item.steps.iter().map(|step| view.slack_max(form.after, *step)).max().unwrap_or_default();
    let from = a.time() - form.early - slack_max;
    let known = |until: Option<Span>| -> Known {
        worst(item.steps.iter().map(|step| match until {
            Some(until) => view.cov(*step, from, a.time() + until + slack_max),
            None => view.cov_to_the_end(*step, from),
        }))
    };
    if let Err(lack) = known(limit.within) {
        return Say::Unknown(lack);
    }
    if ever.len() as u64 >= needed {
        return Say::Broken(Class::Late, Status::Healed);
    }
    match known(limit.give_up) {
        Err(lack) => Say::Unknown(lack),
        Ok(()) => Say::Broken(never_came(view, form.after, item), Status::Open),
    }
}

fn never_came(view: &View, after: StepId, item: &Item) -> Class {
    let carries_messages = |step: &StepId| {
        let source = view.flow().steps[*step as usize].source;
        view.case.plan.sources[source as usize].carries == Carries::Messages
    };
    let lost = carries_messages(&after) || item.steps.iter().any(carries_messages);
    if lost { Class::LostMessage } else { Class::MissingStep }
}

/// `together: [A, B], within: T`.
pub fn together(view: &View, steps: &[StepId], within: Span) -> Parts {
    let all = steps.iter().flat_map(|step| view.effects(*step));
    let first = all.min_by_key(|effect| effect.first().order())?;
    let judge = |step: &StepId| {
        let effects = view.effects(*step);
        let in_time = |e: &Effect| e.time() <= first.time() + within + view.slack(first.first(), e.first());
        if effects.iter().any(in_time) {
            return Say::Passed;
        }
        let reach = within + view.slack_max(first.first().step, *step);
        match view.cov(*step, first.time() - reach, first.time() + reach) {
            Err(lack) => Say::Unknown(lack),
            Ok(()) if effects.is_empty() => Say::Broken(Class::PartialTransaction, Status::Open),
            Ok(()) => Say::Broken(Class::PartialTransaction, Status::Healed),
        }
    };
    let deadline = first.time() + within;
    Some(steps.iter().map(|step| Part { say: judge(step), deadline }).collect())
}

/// `step: B, requires: A`.
pub fn requires(view: &View, step: StepId, requires: StepId, within: Option<Span>) -> Parts {
    let effects = view.effects(step);
    let judge = |b: &Effect| Part { say: preceded(view, b, requires, within), deadline: b.time() };
    (!effects.is_empty()).then(|| effects.iter().map(judge).collect())
}

fn preceded(view: &View, b: &Effect, requires: StepId, within: Option<Span>) -> Say {
    let candidates: Vec<_> = view.effects(requires).into_iter().filter(|a| !a.is(b)).collect();
    let slack = |a: &Effect| view.slack(a.first(), b.first());
    let later = |a: &Effect| a.time() > b.time() + slack(a);
    let recent = |a: &Effect| within.is_none_or(|t| a.time() >= b.time() - t - slack(a));
    if candidates.iter().any(|a| !later(a) && recent(a)) {
        return Say::Passed;
    }
    let slack_max = view.slack_max(requires, b.first().step);
    let reach: Time = b.time() - within.unwrap_or(view.flow().linger) - slack_max;
    match view.cov(requires, reach, b.time() + slack_max) {
        Err(lack) => Say::Unknown(lack),
        Ok(()) if candidates.is_empty() => Say::Broken(Class::Orphan, Status::Open),
        Ok(()) if candidates.iter().all(later) => Say::Broken(Class::OutOfOrder, Status::Healed),
        Ok(()) => Say::Broken(Class::Late, Status::Open),
    }
}
