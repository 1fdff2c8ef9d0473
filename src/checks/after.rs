//! `after: A, expect: B, within: T`: every A is followed by a B.
//!
//! ```text
//!        A - early      A           A + T          A + give_up
//!  ────────┼────────────┼─────────────┼─────────────┼──────────▶
//!          └───── in time ────────────┘  overdue, late if it comes
//!                                                   └─ never came
//! ```

use super::evidence::Known;
use super::explain::{Story, what_happened};
use super::outcome::{Fold, Outcome, Part, Verdict};
use super::view::{Effect, Record};
use super::{Case, anchors};
use crate::flow::plan::{After, Carries, Count, Deadline, Expect, Field, FieldRef};
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
            fold.add(Part::Undecided(Reason::Expression), anchor.first, time, None);
            continue;
        };
        let reach = if window.deadline == Time::MAX { time } else { window.give_up };
        let shown = window.deadline.is_finite().then_some(window.deadline);
        for_each_item(case, after, anchor, |item| {
            let part = judge_item(case, after, anchor, window, item, &mut fold.due);
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

fn judge_item(case: &Case<'_>, after: &After, anchor: &Effect, window: Window, item: Item<'_>, due: &mut Time) -> Part {
    let needed = match item.count {
        Ok(needed) => needed,
        Err(reason) => return Part::Undecided(reason),
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
    let (a, what) = (case.name(after.after), expectation(case, after));
    let when = match &after.deadline {
        Deadline::Within { within, .. } => format!("within {within} of {a}"),
        Deadline::Due { cron, .. } => format!("by the next `{}` after {a}", cron.text),
        Deadline::End => format!("after {a}, by the end of the recording"),
    };
    story.expected = format!("{what} {when}");
    let mut unanswered = 0;
    let mut late: Option<Span> = None;
    let mut due = Time::MAX;
    for anchor in anchors(case, after.after, after.anchor) {
        let Some(window) = window(after, case.time_of(anchor)) else { continue };
        for_each_item(case, after, anchor, |item| match judge_item(case, after, anchor, window, item, &mut due) {
            Part::Broken { rank: CAME_LATE, .. } => {
                unanswered += 1;
                late = late.max(lateness(case, after, anchor, window));
            }
            Part::Broken { .. } => unanswered += 1,
            _ => {}
        });
    }
    if let (Some(anchor), Some(deadline)) = (outcome.anchor, outcome.deadline) {
        let looked_until = window(after, case.view.record(anchor).time).map_or(deadline, |w| w.give_up);
        let until = if late.is_some() { deadline } else { looked_until };
        for step in case.check.form.steps().iter().skip(1) {
            let (from, to) = absence_window(case, after, case.view.record(anchor), &[*step], until);
            case.tell_absence(story, *step, from, to);
        }
    }
    let Verdict::Broken(class, status) = outcome.verdict else { return };
    let times = if unanswered > 1 { format!(" ({unanswered} times)") } else { String::new() };
    story.summary = format!("{a} was not followed by {what} in time{times}: it {}", what_happened(class));
    if status == Status::Healed {
        story.healed_after = late;
        if let Some(late) = late {
            story.summary.push_str(&format!(", {late} after the deadline"));
        }
    }
}

/// How long after its deadline an anchor was answered.
fn lateness(case: &Case<'_>, after: &After, anchor: &Effect, window: Window) -> Option<Span> {
    let a = case.first(anchor);
    let mut worst = None;
    for_each_item(case, after, anchor, |item| {
        let later = item.steps.iter().flat_map(|s| case.effects(*s)).filter(|e| e.first != anchor.first);
        let later = later.filter(|e| place(case, after, window, a, case.first(e)) == Place::Later);
        let answered = later.map(|e| case.time_of(e).since(window.deadline)).min();
        worst = worst.max(answered);
    });
    worst
}

fn expectation(case: &Case<'_>, after: &After) -> String {
    match &after.expect {
        Expect::Any(steps) => steps.iter().map(|s| case.name(*s)).collect::<Vec<_>>().join(" or "),
        Expect::All(items) => {
            let item = |(step, count): &(StepId, Count)| match count {
                Count::Fixed(1) => case.name(*step).to_owned(),
                Count::Fixed(n) => format!("{n} × {}", case.name(*step)),
                Count::Field(f) => {
                    let step_of = &case.flow().steps[f.step as usize];
                    let field = match f.field {
                        Field::Keep(index) => step_of.keep[index].0.as_str(),
                        Field::Time => "time",
                    };
                    format!("{}.{field} × {}", step_of.name, case.name(*step))
                }
            };
            items.iter().map(item).collect::<Vec<_>>().join(" and ")
        }
    }
}
