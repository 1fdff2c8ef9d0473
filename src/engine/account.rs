//! What the engine has counted: verdicts of transactions, judgements of checks, limits that were hit.

use super::limits::UNATTACHED_SAMPLES_MAX;
use crate::model::observation::Position;
use crate::model::time::Time;
use crate::model::verdict::Reason;
use crate::model::{KeyId, StepId};
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
    /// The earliest of these, by step.
    pub strays: Vec<Vec<Stray>>,
    /// Records whose effect had been seen before, one count a step.
    pub redelivered: Vec<u64>,
    /// What checks could not judge, by the evidence source that leaves it open: one a source of the plan.
    pub undecided_by_source: Vec<ByReason>,
    /// Limits that were hit: name, and how often.
    pub limits: Vec<(String, u64)>,
}

/// An observation that joined no transaction.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Stray {
    /// When it happened.
    pub time: Time,
    /// Where it stands in the step's source.
    pub position: Position,
    /// Its keys, as names and values.
    pub keys: Vec<(KeyId, String)>,
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

    /// Counts an observation that joined nothing. The earliest of each step are kept as samples, so that they do not
    /// depend on the order of arrival.
    pub(super) fn stray(
        &mut self,
        step: StepId,
        time: Time,
        position: Position,
        keys: impl Fn() -> Vec<(KeyId, String)>,
    ) {
        self.unattached[step as usize] += 1;
        let samples = &mut self.strays[step as usize];
        let at = samples.partition_point(|stray| (stray.time, stray.position) < (time, position));
        let again = samples.get(at).is_some_and(|stray| (stray.time, stray.position) == (time, position));
        if at < UNATTACHED_SAMPLES_MAX && !again {
            samples.insert(at, Stray { time, position, keys: keys() });
            samples.truncate(UNATTACHED_SAMPLES_MAX);
        }
    }
}
