//! What a judgement says, and how the parts of one combine.

use super::evidence::Known;
use crate::model::time::Time;
use crate::model::verdict::{Class, Doubt, Reason, Status};

/// What a check says of a transaction.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Verdict {
    /// What it starts from is not there.
    NotApplicable,
    /// Met.
    Passed,
    /// Broken; the class as the form derives it.
    Broken(Class, Status),
    /// Nothing sure can be said.
    Undecided(Doubt),
    /// Not due yet.
    Pending,
}

/// A verdict, and when to ask again.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Outcome {
    /// What is said.
    pub verdict: Verdict,
    /// The progress at which it may change by itself; [`Time::MAX`] where it is final.
    pub due: Time,
    /// The record (by index in the view) that the worst part starts from.
    pub anchor: Option<u32>,
    /// By when what was expected should have been there, of the worst part.
    pub deadline: Option<Time>,
}

/// One part of a judgement: an anchor, an item, a step, a transition.
#[derive(Clone, Copy, Debug)]
pub(super) enum Part {
    Ok,
    /// The lower the rank, the worse.
    Broken {
        rank: u8,
        class: Class,
        status: Status,
    },
    Undecided(Doubt),
    Pending,
}

impl Part {
    /// What doubt makes of a part that would be broken; `None` where there is none.
    pub fn doubt(known: &Known) -> Option<Part> {
        match known {
            Known { pending: true, .. } => Some(Part::Pending),
            Known { doubt: Some(doubt), .. } => Some(Part::Undecided(*doubt)),
            _ => None,
        }
    }

    /// A part that is broken unless there is doubt.
    pub fn broken_if(known: &Known, rank: u8, class: Class, status: Status) -> Part {
        Part::doubt(known).unwrap_or(Part::Broken { rank, class, status })
    }

    /// An expression failed: no source is to blame.
    pub fn failed() -> Part {
        Part::Undecided(Reason::Expression.into())
    }

    /// Broken beats undecided beats pending beats ok; the worse class beats the better, the smaller
    /// doubt the larger.
    fn weight(&self) -> (u8, u8, Option<Doubt>) {
        match self {
            Part::Broken { rank, .. } => (0, *rank, None),
            Part::Undecided(doubt) => (1, 0, Some(*doubt)),
            Part::Pending => (2, 0, None),
            Part::Ok => (3, 0, None),
        }
    }
}

/// The combination of a form's parts.
#[derive(Clone, Copy, Debug)]
pub(super) struct Fold {
    pub applicable: bool,
    pub worst: Part,
    pub due: Time,
    /// The largest deadline among the parts that are broken or undecided: up to it `given` and
    /// `unless` need evidence.
    pub reach: Option<Time>,
    pub anchor: Option<u32>,
    pub deadline: Option<Time>,
}

impl Fold {
    pub fn not_applicable() -> Fold {
        Fold { applicable: false, ..Fold::passed() }
    }

    pub fn passed() -> Fold {
        Fold { applicable: true, worst: Part::Ok, due: Time::MAX, reach: None, anchor: None, deadline: None }
    }

    /// Adds a part that starts from the record `anchor`; `reach` is its deadline for `given` and
    /// `unless`, `deadline` the one that people are shown.
    pub fn add(&mut self, part: Part, anchor: u32, reach: Time, deadline: Option<Time>) {
        if matches!(part, Part::Broken { .. } | Part::Undecided(_)) {
            self.reach = Some(self.reach.map_or(reach, |r| r.max(reach)));
        }
        if self.anchor.is_none() || part.weight() < self.worst.weight() {
            (self.worst, self.anchor, self.deadline) = (part, Some(anchor), deadline);
        }
    }

    /// The answer may change when progress reaches this.
    pub fn ask_again(&mut self, due: Time) {
        self.due = self.due.min(due);
    }

    pub fn outcome(self) -> Outcome {
        let verdict = match (self.applicable, self.worst) {
            (false, _) => Verdict::NotApplicable,
            (true, Part::Ok) => Verdict::Passed,
            (true, Part::Broken { class, status, .. }) => Verdict::Broken(class, status),
            (true, Part::Undecided(doubt)) => Verdict::Undecided(doubt),
            (true, Part::Pending) => Verdict::Pending,
        };
        Outcome { verdict, due: self.due, anchor: self.anchor, deadline: self.deadline }
    }
}
