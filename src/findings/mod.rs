//! Findings as people, scripts and CI servers see them.
//!
//! ```text
//! model::finding::Finding ─▶ record   one JSON line, with names for indexes
//!                         ─▶ sentence what was expected, what was seen and where, why it is sure
//! summary (the account)   ─▶ the one document of `--format json`
//! both                    ─▶ junit    a suite a flow, a case a check
//! ```
//!
//! `order` says which finding comes first, `digest` takes down what is told of all of them, `baseline` says which ones
//! are known from an earlier run, `schema` publishes what the JSON looks like.

pub mod baseline;
pub mod digest;
pub mod junit;
pub mod order;
pub mod record;
pub mod schema;
pub mod sentence;
pub mod store;
pub mod summary;

use crate::flow::plan::Plan;
use crate::model::SourceId;
use crate::model::observation::Position;

/// Names the places that positions stand for: `events.jsonl:12`.
pub trait Places {
    /// Where a person finds the record, given the source that it came from.
    fn place(&self, source: SourceId, position: Position) -> String;
}

/// What turns the indexes of a finding into names.
#[derive(Clone, Copy)]
pub struct Names<'a> {
    /// The flows and sources.
    pub plan: &'a Plan,
    /// The places.
    pub places: &'a dyn Places,
}

#[cfg(test)]
pub(crate) mod sample;
