//! What a run over recordings tells: the engine's account and findings, and what became of every record.

use super::coverage::Hole;
use super::findings::Findings;
use super::recording::PartNames;
use crate::engine::account::{Account, ByReason};
use crate::extract::counts::Counts;
use crate::model::time::Time;
use std::borrow::Cow;

/// All that a run found out.
#[derive(Debug)]
pub struct Report {
    /// What the engine counted.
    pub account: Account,
    /// What was found.
    pub findings: Findings,
    /// What became of the records, one a source, in the order of the configuration.
    pub sources: Vec<SourceReport>,
    /// What extract counted at each step.
    pub counts: Counts,
    /// What positions stand for.
    pub parts: PartNames,
    /// The run was interrupted: all of this is as far as it had come.
    pub interrupted: bool,
}

/// What became of the records of one source.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SourceReport {
    /// Its name.
    pub name: String,
    /// How many files it has.
    pub files: u64,
    /// Records read, whatever became of them.
    pub records: u64,
    /// Those that matched a step.
    pub matched: u64,
    /// Those that matched none.
    pub unmatched: u64,
    /// Those that could not be decoded.
    pub undecodable: u64,
    /// Those outside of the window that was asked for.
    pub outside: u64,
    /// Those older than the lateness allows.
    pub beyond_lateness: u64,
    /// Those whose time stands further than `jump_max` from all others, and so vouches for nothing.
    pub lone: u64,
    /// Observations that joined no transaction.
    pub unattached: u64,
    /// What checks could not judge because of it.
    pub undecided: ByReason,
    /// The oldest event time that counts.
    pub from: Option<Time>,
    /// The newest event time that counts.
    pub to: Option<Time>,
    /// Stretches of time in which records may be missing; the first of them.
    pub gaps: Vec<Hole>,
    /// How many more gaps there are.
    pub gaps_more: u64,
    /// What could not be decoded, by reason.
    pub problems: Vec<Problem>,
    /// Why it could not be read to its end: one sentence a file, for the first of them.
    pub failures: Vec<String>,
    /// How many more files could not.
    pub failures_more: u64,
    /// Silences beyond `islands_max`, which were told as one with others.
    pub silences_merged: u64,
}

/// Records that could not be decoded, for one reason.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// Why.
    pub reason: Cow<'static, str>,
    /// How many.
    pub count: u64,
    /// The first of them.
    pub samples: Vec<Sample>,
}

/// A record that could not be decoded.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sample {
    /// `file:line`.
    pub place: String,
    /// What is wrong with it.
    pub detail: String,
    /// How it begins; empty where the source redacts.
    pub text: String,
}
