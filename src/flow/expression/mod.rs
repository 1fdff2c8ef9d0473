//! CEL expressions behind a narrow face: compiled once, evaluated against a record ([`Program`]) or
//! against a transaction's aggregates ([`HoldsProgram`]).
//!
//! The syntax is CEL's, and so is its parser (`parse`). What is evaluated is a tree of our own
//! (`lower`, `node`), since values mean something else here: an absent path is null, numbers are exact
//! decimals, text that is a decimal meets numbers as a number.

mod calendar;
mod functions;
mod holds;
mod lower;
mod names;
mod node;
mod operators;
mod parse;
mod val;

pub use holds::{HoldsProgram, How, Operand, Resolve, Use};

use super::plan::Path;
use crate::model::value::Value;
use lower::Lower;
use names::Names;
use node::{Evaluation, Node};
use std::sync::Arc;

/// What an expression over a record reads: the record.
pub trait Scope {
    /// The value that stands at `path`; null where there is none. Lists and objects come as
    /// [`Value::Json`].
    fn get(&self, path: &Path) -> Value<'_>;
}

/// What is wrong with an expression, and where in its text.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct ExpressionError {
    /// What is wrong, and the remedy.
    pub message: String,
    /// The byte at which it is; `None` where it concerns the whole.
    pub at: Option<usize>,
    /// How many bytes it is long.
    pub length: usize,
}

/// A compiled expression over one record: a `when`, `key`, `keep`, `dedupe_by` or `time`.
#[derive(Clone, Debug)]
pub struct Program {
    source: String,
    paths: Vec<Path>,
    node: Arc<Node>,
}

impl Program {
    /// Compiles an expression over `body`, `row`, `op`, `headers`, `key` and `meta`, and over `each`
    /// where the step has one.
    pub fn compile(text: &str, each_allowed: bool) -> Result<Program, ExpressionError> {
        let parsed = parse::parse(text)?;
        let names = Names::Record { each: each_allowed, paths: Vec::new() };
        let mut lower = Lower { parsed: &parsed, names, variables: Vec::new() };
        let node = lower.node(&parsed.tree)?;
        let Names::Record { paths, .. } = lower.names else { unreachable!("the names were a record's before") };
        Ok(Program { source: text.to_owned(), paths, node: Arc::new(node) })
    }

    /// The text.
    pub fn source(&self) -> &str {
        &self.source
    }

    /// Every path that it reads, so that a decoder knows what is needed.
    pub fn paths(&self) -> &[Path] {
        &self.paths
    }

    /// Its value for one record. Times and durations come as text.
    pub fn eval(&self, scope: &dyn Scope) -> Result<Value<'static>, String> {
        let mut evaluation = Evaluation { scope: Some(scope), operands: &[], variables: Vec::new() };
        evaluation.value(&self.node).map(val::Val::into_value)
    }

    /// Whether a record meets it; a value that is not a bool is an error.
    pub fn eval_bool(&self, scope: &dyn Scope) -> Result<bool, String> {
        Evaluation { scope: Some(scope), operands: &[], variables: Vec::new() }.truth(&self.node)
    }
}

#[cfg(test)]
mod tests;
