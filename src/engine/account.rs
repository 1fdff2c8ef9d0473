//! What the engine has counted: verdicts of transactions, judgements of checks, limits that were hit.

use crate::model::verdict::Reason;
use serde::{Deserialize, Serialize};

/// Counts per [`Reason`], in the order of [`Reason::ALL`].
pub type ByReason = [u64; Reason::ALL.len()];

/// The account of all flows, in the order of the plan.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Account {
    /// One a flow.
    pub flows: Vec<FlowAccount>,
}

/// The account of one flow. Transactions that have not been judged yet are counted nowhere but in
/// `open`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct FlowAccount {
    /// Transactions in memory.
    pub open: u64,
    /// Transactions whose last judgement was consistent.
    pub consistent: u64,
    /// Transactions with a check of severity warning or more that is broken.
    pub inconsistent: u64,
    /// Transactions of which nothing sure can be said, by the smallest reason among their checks.
    pub undecided: ByReason,
    /// One a check.
    pub checks: Vec<CheckAccount>,
    /// Observations taken in, one count a step.
    pub observations: Vec<u64>,
    /// Observations that joined no transaction, one count a step.
    pub unattached: Vec<u64>,
    /// Records whose effect had been seen before, one count a step.
    pub redelivered: Vec<u64>,
    /// What checks could not judge, by the evidence source that leaves it open: one a source of the plan.
    pub undecided_by_source: Vec<ByReason>,
    /// Limits that were hit: name, and how often.
    pub limits: Vec<(String, u64)>,
}

/// The account of one check.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct CheckAccount {
    /// Judged and met.
    pub passed: u64,
    /// Judged and broken, healed ones included.
    pub broken: u64,
    /// Not to be judged, by reason.
    pub undecided: ByReason,
}

impl CheckAccount {
    /// `passed + broken`.
    pub fn judged(&self) -> u64 {
        self.passed + self.broken
    }
}

impl FlowAccount {
    /// Undecided transactions of any reason.
    pub fn undecided_total(&self) -> u64 {
        self.undecided.iter().sum()
    }
}
