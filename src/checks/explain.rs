//! An explanation is data first: what was expected, which records bear on it, where it was looked
//! for. The sentence comes last.
//!
//! Each form tells what it expected, what happened, and where it [`Looked`] for what it missed. What that is worth follows from the verdict: evidence of a broken check, or the
//! place of a doubt (`doubt`).

use super::outcome::{Outcome, Verdict};
use super::story::{Looked, Story, listed};
use super::{
    Case, after, agree, at_most, doubt, forbid, given, holds, mirror, never, order, requires, states, together,
};
use crate::flow::plan::Form;
use crate::model::StepId;
use crate::model::finding::Evidence;
use crate::model::time::Time;
use crate::model::verdict::{Reason, Status};

/// Tells the story of an outcome.
pub(super) fn explain(case: &Case<'_>, outcome: &Outcome) -> Story {
    let mut story = Story { deadline: outcome.deadline, ..Story::default() };
    story.time = outcome.anchor.map(|a| case.view.record(a).time);
    for step in case.check.form.steps() {
        story.seen.extend(case.records(step));
    }
    story.seen.sort_by_key(|r| (case.view.record(*r).time, *r));
    tell(case, outcome, &mut story);
    conditions(case, &mut story);
    if !matches!(outcome.verdict, Verdict::Broken(_, Status::Healed)) {
        story.healed_after = None;
    }
    match outcome.verdict {
        Verdict::Broken(..) => story.evidence = absences(case, &story.looked),
        Verdict::Passed => {
            story.evidence = vec![Evidence::Seen];
            story.summary = "met".into();
        }
        Verdict::NotApplicable => story.summary = doubt::not_applicable(case),
        Verdict::Pending => story.summary = doubt::pending(outcome.due),
        // What is wrong with an expression the form has told.
        Verdict::Undecided(doubt) if doubt.reason == Reason::Expression && !story.summary.is_empty() => {}
        Verdict::Undecided(doubt) => story.summary = doubt::undecided(case, doubt, &story.looked),
    }
    story
}

/// The form's own part.
fn tell(case: &Case<'_>, outcome: &Outcome, story: &mut Story) {
    match &case.check.form {
        Form::After(form) => after::tell(case, form, outcome, story),
        Form::Never { after, anchor, never, within } => {
            never::tell(case, (*after, *anchor, *never), *within, outcome, story);
        }
        Form::Forbid { step } => forbid::tell(case, *step, story),
        Form::Together { steps, within } => together::tell(case, steps, *within, story),
        Form::AtMost { limits } => at_most::tell(case, limits, story),
        Form::Order { steps } => order::tell(case, steps, story),
        Form::Requires { step, requires, within } => {
            requires::tell(case, (*step, *requires), *within, outcome, story);
        }
        Form::Agree { fields, tolerance, within } => {
            agree::tell(case, fields, tolerance.as_ref(), *within, outcome, story);
        }
        Form::Holds { program, within } => holds::tell(case, program, *within, outcome, story),
        Form::States { field, allow, start, end } => states::tell(case, *field, allow, (start, end), outcome, story),
        Form::Mirror { step, entry, fields, within } => {
            mirror::tell(case, (*step, *entry), fields, *within, outcome, story);
        }
        Form::Schedule { .. } => {}
    }
}

/// `given` and `unless`, and where they were looked for.
fn conditions(case: &Case<'_>, story: &mut Story) {
    let (given, unless) = (&case.check.given, &case.check.unless);
    let names = |steps: &[StepId], and| listed(steps.iter().map(|s| case.name(*s)), and);
    if !given.is_empty() {
        story.expected.push_str(&format!(", given {}", names(given, "and")));
    }
    if !unless.is_empty() {
        story.expected.push_str(&format!(", unless {}", names(unless, "or")));
    }
    let Some(reach) = super::fold(case).reach else { return };
    let (from, to) = given::absence_window(case, reach);
    let lacking = given.iter().filter(|s| !given::present(case, **s));
    for step in lacking.chain(unless) {
        story.looked.push(Looked::Within { step: *step, from, to });
    }
}

/// What every source that could have brought a step has shown, where it is sure that it did not.
fn absences(case: &Case<'_>, looked: &[Looked]) -> Vec<Evidence> {
    let mut evidence = Vec::new();
    for looked in looked {
        let Looked::Within { step, from, to } = *looked else { continue };
        let known = match to {
            Time::MAX => case.evidence.absent_to_the_end(case.plan, case.flow_id, step, from),
            _ => case.absent(step, from, to),
        };
        if !known.is_yes() {
            continue;
        }
        for source in case.flow().steps[step as usize].closure.iter().copied() {
            let progress = case.evidence.sources[source as usize].to;
            let absent = Evidence::Absent { step, source, from, to, progress };
            if !evidence.contains(&absent) {
                evidence.push(absent);
            }
        }
    }
    if evidence.is_empty() {
        evidence.push(Evidence::Seen);
    }
    evidence
}
