//! An explanation is data first: what was expected, which records bear on it, which sources were
//! looked through. The sentence comes last.

use super::outcome::{Outcome, Verdict};
use super::view::Effect;
use super::{Case, after, agree, given, holds, mirror, never, order, requires, states, together};
use crate::flow::plan::Form;
use crate::model::StepId;
use crate::model::finding::Evidence;
use crate::model::time::{Span, Time};
use crate::model::verdict::Class;

/// What is to be told of an outcome.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Story {
    /// Event time of the observation that the judgement starts from.
    pub time: Option<Time>,
    /// By when what was expected should have been there.
    pub deadline: Option<Time>,
    /// How long the systems disagreed, where it healed.
    pub healed_after: Option<Span>,
    /// What was expected, in words.
    pub expected: String,
    /// The records that bear on it, by index in the view, in order of time.
    pub seen: Vec<u32>,
    /// What the sources have shown.
    pub evidence: Vec<Evidence>,
    /// One sentence.
    pub summary: String,
}

/// Tells the story of an outcome.
pub(super) fn explain(case: &Case<'_>, outcome: &Outcome) -> Story {
    let mut story = Story { deadline: outcome.deadline, ..Story::default() };
    story.time = outcome.anchor.map(|a| case.view.record(a).time);
    for step in case.check.form.steps() {
        story.seen.extend(case.records(step));
    }
    story.seen.sort_by_key(|r| (case.view.record(*r).time, *r));
    match &case.check.form {
        Form::After(form) => after::tell(case, form, outcome, &mut story),
        Form::Never { after, never, within, .. } => never::tell(case, (*after, *never), *within, outcome, &mut story),
        Form::Forbid { step } => {
            story.expected = format!("no {}", case.name(*step));
            story.summary = format!("{} must not happen, and did", case.name(*step));
        }
        Form::Together { steps, within } => together::tell(case, steps, *within, outcome, &mut story),
        Form::AtMost { limits } => super::at_most::tell(case, limits, &mut story),
        Form::Order { steps } => order::tell(case, steps, &mut story),
        Form::Requires { step, requires, within } => {
            requires::tell(case, (*step, *requires), *within, outcome, &mut story);
        }
        Form::Agree { fields, within, .. } => agree::tell(case, fields, *within, &mut story),
        Form::Holds { program, within } => holds::tell(case, program, *within, &mut story),
        Form::States { field, allow, start, end } => states::tell(case, *field, allow, (start, end), &mut story),
        Form::Mirror { step, entry, fields, within } => {
            mirror::tell(case, (*step, *entry), fields, *within, outcome, &mut story);
        }
        Form::Schedule { .. } => {}
    }
    conditions(case, &mut story);
    if !matches!(outcome.verdict, Verdict::Broken(..)) {
        story.summary = verdict_sentence(outcome);
    }
    if story.evidence.is_empty() {
        story.evidence.push(Evidence::Seen);
    }
    story
}

fn conditions(case: &Case<'_>, story: &mut Story) {
    let names = |steps: &[StepId]| steps.iter().map(|s| case.name(*s)).collect::<Vec<_>>().join(", ");
    if !case.check.given.is_empty() {
        story.expected.push_str(&format!(", given {}", names(&case.check.given)));
    }
    if case.check.unless.is_empty() {
        return;
    }
    story.expected.push_str(&format!(", unless {}", names(&case.check.unless)));
    let reach = story.deadline.or(story.time).unwrap_or(Time::MIN);
    let (from, to) = given::absence_window(case, reach);
    for step in &case.check.unless {
        case.tell_absence(story, *step, from, to);
    }
}

fn verdict_sentence(outcome: &Outcome) -> String {
    match outcome.verdict {
        Verdict::NotApplicable => "not judged: what it starts from is not there".into(),
        Verdict::Passed => "met".into(),
        Verdict::Pending => format!("not due until the sources have passed {}", outcome.due),
        Verdict::Undecided(reason) => format!("undecided: {reason}"),
        Verdict::Broken(class, status) => format!("{class}, {status}"),
    }
}

impl Case<'_> {
    /// A step's name.
    pub(super) fn name(&self, step: StepId) -> &str {
        &self.flow().steps[step as usize].name
    }

    /// Notes for every source that could have brought the step that it did not, from `from` to `to`.
    pub(super) fn tell_absence(&self, story: &mut Story, step: StepId, from: Time, to: Time) {
        for source in &self.flow().steps[step as usize].closure {
            let progress = self.evidence.sources[*source as usize].to;
            story.evidence.push(Evidence::Absent { step, source: *source, from, to, progress });
        }
    }

    /// When an effect happened.
    pub(super) fn time_of(&self, effect: &Effect) -> Time {
        self.first(effect).time
    }
}

/// "never came" and its like, for a class.
pub(super) fn what_happened(class: Class) -> &'static str {
    match class {
        Class::Late => "came late",
        Class::OutOfOrder => "came only afterwards",
        _ => "never came",
    }
}
