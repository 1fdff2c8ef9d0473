//! Everything that is known of one transaction, for a person who asks.

use crate::model::CheckId;
use crate::model::finding::{Evidence, Seen};
use crate::model::time::Time;
use crate::model::verdict::{Class, Reason, Severity, Status};

/// One transaction's timeline and what was concluded from it.
#[derive(Clone, Debug, PartialEq)]
pub struct Trace {
    /// The flow's index.
    pub flow: crate::model::FlowId,
    /// The flow key's value.
    pub key: String,
    /// All other keys bound to it: name, value, and the binding's time.
    pub bindings: Vec<(String, String, Time)>,
    /// Its observations in event time.
    pub observations: Vec<Joined>,
    /// What each check concluded, in the order of the plan; with `by`, one a value.
    pub conclusions: Vec<Conclusion>,
}

/// An observation and how it came to be here.
#[derive(Clone, Debug, PartialEq)]
pub struct Joined {
    /// The observation.
    pub seen: Seen,
    /// The key by which it joined, as name and value; `None` where it carries the flow's own.
    pub by: Option<(String, String)>,
    /// An earlier record had the same effect.
    pub redelivery: bool,
}

/// What one check says of the transaction.
#[derive(Clone, Debug, PartialEq)]
pub struct Conclusion {
    /// The check.
    pub check: CheckId,
    /// The value of its `by`.
    pub by: Option<String>,
    /// What it says.
    pub verdict: Judged,
    /// What was expected.
    pub expected: String,
    /// On what evidence.
    pub evidence: Vec<Evidence>,
    /// One sentence.
    pub summary: String,
}

/// A judgement.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Judged {
    /// Its anchor is not there.
    NotApplicable,
    /// Met.
    Passed,
    /// Broken.
    Broken(Class, Severity, Status),
    /// Nothing sure can be said.
    Undecided(Reason),
    /// Not due yet.
    Pending,
}
