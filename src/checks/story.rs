//! A story: what is to be told of an outcome, as data. Forms fill it, `explain` puts it together.

use super::Case;
use super::view::Effect;
use crate::flow::plan::{Field, FieldRef};
use crate::model::StepId;
use crate::model::finding::Evidence;
use crate::model::time::{Span, Time};
use std::fmt::Display;

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
    /// What the sources have shown; empty where nothing sure is said.
    pub evidence: Vec<Evidence>,
    /// One sentence.
    pub summary: String,
    /// Where steps were looked for.
    pub(super) looked: Vec<Looked>,
}

/// Where a step was looked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Looked {
    /// None was to be missed within this window, both ends included.
    Within { step: StepId, from: Time, to: Time },
    /// No newer one was to come until then; gaps do not matter.
    Until { step: StepId, to: Time },
}

impl Case<'_> {
    /// A step's name.
    pub(super) fn name(&self, step: StepId) -> &str {
        &self.flow().steps[step as usize].name
    }

    /// A field's name, as `step.field`.
    pub(super) fn field_name(&self, field: FieldRef) -> String {
        let step = &self.flow().steps[field.step as usize];
        match field.field {
            Field::Time => format!("{}.time", step.name),
            Field::Keep(index) => format!("{}.{}", step.name, step.keep[index].0),
        }
    }

    /// When an effect happened.
    pub(super) fn time_of(&self, effect: &Effect) -> Time {
        self.first(effect).time
    }
}

/// `a, b and c`.
pub(super) fn listed<T: Display>(items: impl IntoIterator<Item = T>, and: &str) -> String {
    let mut items: Vec<String> = items.into_iter().map(|i| i.to_string()).collect();
    match (items.pop(), items.is_empty()) {
        (None, _) => String::new(),
        (Some(last), true) => last,
        (Some(last), false) => format!("{} {and} {last}", items.join(", ")),
    }
}

/// ` (so for 2 of 3 paid)`, where it is not the only one.
pub(super) fn so_for(broken: usize, all: usize, name: &str) -> String {
    if broken > 1 { format!(" (so for {broken} of {all} {name})") } else { String::new() }
}
