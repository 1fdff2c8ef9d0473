//! `after: A, expect: B, within: T`: every A is followed by a B.
//!
//! ```text
//!        A - early      A           A + T          A + give_up
//!  ────────┼────────────┼─────────────┼─────────────┼──────────▶
//!          └───── in time ────────────┘  overdue, late if it comes
//!                                                   └─ never came
//! ```

use super::evidence::Known;
use super::outcome::{Fold, Outcome, Part};
use super::story::{Looked, Story, listed};
use super::view::{Effect, Record};
use super::{Case, anchors};
use crate::flow::plan::{After, Anchor, Carries, Count, Deadline, Expect, Field, FieldRef};
use crate::model::StepId;
use crate::model::time::{Span, Time};
use crate::model::value::Value;
use crate::model::verdict::{Class, Reason, Status};

/// One thing that must follow an anchor: so many effects of any of these steps.
pub(super) struct Item<'a> {
    pub steps: &'a [StepId],
    pub count: Result<u64, Reason>,
}

/// When an anchor's items are due.
#[derive(Clone, Copy)]
pub(super) struct Window {
    /// In time until then, but for slack; [`Time::MAX`] for the end of the recording.
    pub deadline: Time,
    /// Lost after that.
    pub give_up: Time,
}

const LOST: u8 = 0;
const MISSING: u8 = 1;
const CAME_LATE: u8 = 2;

pub(super) fn judge(case: &Case<'_>, after: &After) -> Fold {
    let mut anchors = anchors(case, after.after, after.anchor).peekable();
    if anchors.peek().is_none() {
        return Fold::not_applicable();
    }
    let mut fold = Fold::passed();
    for anchor in anchors {
        let time = case.first(anchor).time;
        let Some(window) = window(after, time) else {
            fold.add(Part::failed(), anchor.first, time, None);
            continue;
        };
        let reach = if window.deadline == Time::MAX { time } else { window.give_up };
        let shown = window.deadline.is_finite().then_some(window.deadline);
        for_each_item(case, after, anchor, |item| {
            let part = judge_item(case, after, anchor, window, &item, &mut fold.due);
            fold.add(part, anchor.first, reach, shown);
        });
    }
    fold
}

/// When what follows an A at `time` is due; `None` where the schedule has no further time.
pub(super) fn window(after: &After, time: Time) -> Option<Window> {
    match &after.deadline {
        Deadline::Within { within, give_up } => Some(Window { deadline: time + *within, give_up: time + *give_up }),
        Deadline::Due { cron, grace } => {
            let deadline = cron.next_after(time)? + *grace;
            Some(Window { deadline, give_up: deadline })
        }
        Deadline::End => Some(Window { deadline: Time::MAX, give_up: Time::MAX }),
    }
}

/// Calls back for everything that must follow this anchor.
pub(super) fn for_each_item(case: &Case<'_>, after: &After, anchor: &Effect, mut each: impl FnMut(Item<'_>)) {
    match &after.expect {
        Expect::Any(steps) => each(Item { steps, count: Ok(1) }),
        Expect::All(items) => {
            for (step, count) in items {
                each(Item { steps: std::slice::from_ref(step), count: count_of(case, anchor, count) });
            }
        }
    }
}

fn count_of(case: &Case<'_>, anchor: &Effect, count: &Count) -> Result<u64, Reason> {
    let field = match count {
        Count::Fixed(n) => return Ok(*n),
        Count::Field(FieldRef { field: Field::Keep(index), .. }) => *index,
        Count::Field(_) => return Err(Reason::Expression),
    };
    match case.view.field(anchor.newest, field) {
        Value::Int(n) => u64::try_from(n).map_err(|_| Reason::Expression),
        value => {
            let number = value.decimal().filter(|d| d.is_integer()).ok_or(Reason::Expression)?;
            u64::try_from(number).map_err(|_| Reason::Expression)
        }
    }
}

/// How a B lies to its anchor's window.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Place {
    Before,
    Inside,
    Later,
}

pub(super) fn place(case: &Case<'_>, after: &After, window: Window, a: &Record, b: &Record) -> Place {
    let slack = case.slack(a, b);
    if b.time < a.time - after.early - slack {
        Place::Before
    } else if b.time <= window.deadline + slack {
        Place::Inside
    } else {
        Place::Later
    }
}

fn judge_item(
    case: &Case<'_>,
    after: &After,
    anchor: &Effect,
    window: Window,
    item: &Item<'_>,
    due: &mut Time,
) -> Part {
    let needed = match item.count {
        Ok(needed) => needed,
        Err(reason) => return Part::Undecided(reason.into()),
    };
    let a = case.first(anchor);
    let (mut inside, mut later) = (0, 0);
    for step in item.steps {
        for effect in case.effects(*step).filter(|e| e.first != anchor.first) {
            match place(case, after, window, a, case.first(effect)) {
                Place::Before => {}
                Place::Inside => inside += 1,
                Place::Later => later += 1,
            }
        }
    }
    if inside >= needed {
        return Part::Ok;
    }
    let in_window = absent(case, after, a, item.steps, window.deadline);
    *due = (*due).min(in_window.due);
    if let Some(doubt) = Part::doubt(&in_window) {
        return doubt;
    }
    if inside + later >= needed {
        return Part::Broken { rank: CAME_LATE, class: Class::Late, status: Status::Healed };
    }
    let until_given_up = absent(case, after, a, item.steps, window.give_up);
    *due = (*due).min(until_given_up.due);
    let class = class_of_loss(case, after, item.steps);
    let rank = if class == Class::LostMessage { LOST } else { MISSING };
    Part::broken_if(&until_given_up, rank, class, Status::Open)
}

/// Whether what was looked for is known not to have come until `deadline`, but for what was seen.
pub(super) fn absent(case: &Case<'_>, after: &After, a: &Record, steps: &[StepId], deadline: Time) -> Known {
    let (from, to) = absence_window(case, after, a, steps, deadline);
    steps.iter().fold(Known::YES, |known, step| {
        known.and(match deadline {
            Time::MAX => case.evidence.absent_to_the_end(case.plan, case.flow_id, *step, from),
            _ => case.absent(*step, from, to),
        })
    })
}

/// The window in which nothing must have stood for the absence to be sure.
pub(super) fn absence_window(
    case: &Case<'_>,
    after: &After,
    a: &Record,
    steps: &[StepId],
    deadline: Time,
) -> (Time, Time) {
    let slack = steps.iter().fold(Span::ZERO, |most, step| most.max(case.slack_max(after.after, *step)));
    (a.time - after.early - slack, deadline + slack)
}

fn class_of_loss(case: &Case<'_>, after: &After, steps: &[StepId]) -> Class {
    let flow = case.flow();
    let messages = |step: &StepId| {
        let source = flow.steps[*step as usize].source;
        case.plan.sources[source as usize].carries == Carries::Messages
    };
    if messages(&after.after) || steps.iter().any(messages) { Class::LostMessage } else { Class::MissingStep }
}

pub(super) fn tell(case: &Case<'_>, after: &After, outcome: &Outcome, story: &mut Story) {
    story.expected = format!("{} {}", expectation(case, after), when(case, after, false));
    let (mut all, mut broken) = (0, 0);
    let mut sentences = Vec::new();
    for anchor in anchors(case, after.after, after.anchor) {
        all += 1;
        let is_told = outcome.anchor == Some(anchor.first);
        let Some(window) = window(after, case.time_of(anchor)) else {
            sentences.extend(is_told.then(|| format!("there is no time {}", when(case, after, false))));
            continue;
        };
        let (mut is_broken, mut due) = (false, Time::MAX);
        for_each_item(case, after, anchor, |item| {
            let told = Told { case, after, anchor, window, item: &item };
            let part = judge_item(case, after, anchor, window, &item, &mut due);
            if matches!(part, Part::Broken { .. }) {
                is_broken = true;
                story.healed_after = story.healed_after.max(told.delay());
            }
            if is_told {
                told.look(part, story);
                sentences.extend(told.sentence(part));
            }
        });
        broken += usize::from(is_broken);
    }
    story.summary = sentences.join("; ");
    if broken > 1 {
        let worst = story.healed_after.map_or_else(String::new, |late| format!(", at worst {late} too late"));
        story.summary.push_str(&format!(" (so for {broken} of {all} {}{worst})", case.name(after.after)));
    }
}

/// An anchor and one thing that must follow it, for telling what came of it.
struct Told<'a> {
    case: &'a Case<'a>,
    after: &'a After,
    anchor: &'a Effect,
    window: Window,
    item: &'a Item<'a>,
}

impl Told<'_> {
    /// The effects that lie so to the window, with their times, ascending.
    fn came(&self, wanted: Place) -> Vec<(Time, StepId)> {
        let Told { case, after, anchor, window, item } = *self;
        let a = case.first(anchor);
        let effects = item.steps.iter().flat_map(|s| case.effects(*s)).filter(|e| e.first != anchor.first);
        let records = effects.map(|e| case.first(e)).filter(|b| place(case, after, window, a, b) == wanted);
        let mut came: Vec<(Time, StepId)> = records.map(|b| (b.time, b.step)).collect();
        came.sort_unstable();
        came
    }

    /// What completed those that were needed, after the deadline.
    fn answer(&self) -> Option<(Time, StepId)> {
        let needed = usize::try_from(self.item.count.ok()?).ok()?;
        let missing = needed.checked_sub(self.came(Place::Inside).len() + 1)?;
        self.came(Place::Later).get(missing).copied()
    }

    /// How long after the deadline it was answered.
    fn delay(&self) -> Option<Span> {
        self.answer().map(|(at, _)| at.since(self.window.deadline))
    }

    /// Notes where it was looked for, as far as the judgement depends on it.
    fn look(&self, part: Part, story: &mut Story) {
        let until: &[Time] = match part {
            Part::Ok | Part::Pending => &[],
            Part::Broken { rank: CAME_LATE, .. } => &[self.window.deadline],
            Part::Broken { .. } => &[self.window.give_up],
            Part::Undecided(_) => &[self.window.deadline, self.window.give_up],
        };
        for until in until {
            let a = self.case.first(self.anchor);
            let (from, to) = absence_window(self.case, self.after, a, self.item.steps, *until);
            story.looked.extend(self.item.steps.iter().map(|step| Looked::Within { step: *step, from, to }));
        }
    }

    /// What is wrong, where something is.
    fn sentence(&self, part: Part) -> Option<String> {
        let a = anchor_name(self.case, self.after);
        let b = listed(self.item.steps.iter().map(|s| self.case.name(*s)), "or");
        let time = self.case.time_of(self.anchor);
        match (part, self.item.count) {
            (Part::Broken { rank: CAME_LATE, .. }, Ok(needed)) => {
                let (at, step) = self.answer()?;
                let of_many = if needed > 1 { format!("the last of {needed} ") } else { String::new() };
                let late = at.since(self.window.deadline);
                Some(format!("{of_many}{} came {} after {a}, {late} too late", self.case.name(step), at.since(time)))
            }
            (Part::Broken { .. }, Ok(needed)) => {
                let when = when(self.case, self.after, true);
                let came = self.came(Place::Inside).len() + self.came(Place::Later).len();
                let since = if self.window.deadline == Time::MAX { "" } else { ", nor since" };
                Some(match (came, self.came(Place::Before).last()) {
                    (0, Some((at, _))) => format!("{b} came {} before {a}; none {when}{since}", time.since(*at)),
                    (0, None) => format!("no {b} came {when}{since}"),
                    _ => format!("only {came} of {needed} {b} came {when}{}", since.replace(", nor", " or")),
                })
            }
            (Part::Undecided(_), Err(_)) => self.bad_count(&b),
            _ => None,
        }
    }

    /// Which field is no count.
    fn bad_count(&self, b: &str) -> Option<String> {
        let Expect::All(items) = &self.after.expect else { return None };
        let (_, count) = items.iter().find(|(step, _)| self.item.steps == [*step])?;
        let Count::Field(field @ FieldRef { field: Field::Keep(index), .. }) = count else { return None };
        let value = self.case.view.field(self.anchor.newest, *index);
        Some(format!("{} is {}, which is no number of {b}", self.case.field_name(*field), value.display()))
    }
}

fn anchor_name(case: &Case<'_>, after: &After) -> String {
    let name = case.name(after.after);
    match after.anchor {
        Anchor::Every => name.to_owned(),
        Anchor::First => format!("the first {name}"),
        Anchor::Last => format!("the last {name}"),
    }
}

/// The window in words; up to where it is given up, if `at_last`.
fn when(case: &Case<'_>, after: &After, at_last: bool) -> String {
    let a = anchor_name(case, after);
    let since = if after.early == Span::ZERO { String::new() } else { format!(" (or up to {} before)", after.early) };
    match &after.deadline {
        Deadline::Within { give_up, .. } if at_last => format!("within {give_up} after {a}{since}"),
        Deadline::Within { within, give_up } if give_up > within => {
            format!("within {within} after {a}{since}, given up after {give_up}")
        }
        Deadline::Within { within, .. } => format!("within {within} after {a}{since}"),
        Deadline::Due { cron, grace } => {
            let grace = if *grace == Span::ZERO { String::new() } else { format!(", plus {grace}") };
            format!("by the next `{}` ({}) after {a}{since}{grace}", cron.text, cron.zone)
        }
        Deadline::End => format!("after {a}{since} by the end of the recording"),
    }
}

/// What must follow, in words.
fn expectation(case: &Case<'_>, after: &After) -> String {
    match &after.expect {
        Expect::Any(steps) => listed(steps.iter().map(|s| case.name(*s)), "or"),
        Expect::All(items) => {
            let item = |(step, count): &(StepId, Count)| match count {
                Count::Fixed(1) => case.name(*step).to_owned(),
                Count::Fixed(n) => format!("{n} × {}", case.name(*step)),
                Count::Field(field) => format!("{} × {}", case.field_name(*field), case.name(*step)),
            };
            listed(items.iter().map(item), "and")
        }
    }
}

#[cfg(test)]
mod tests;
