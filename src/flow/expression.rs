//! CEL expressions behind a narrow face: compiled once, evaluated against a record ([`Program`]) or
//! against a transaction's aggregates ([`HoldsProgram`]).

use super::plan::{Field, Path};
use crate::model::StepId;
use crate::model::time::Time;
use crate::model::value::Value;

/// A compiled expression over one record. (Placeholder: the real fields come with the compiler.)
#[derive(Clone, Debug)]
pub struct Program {
    source: String,
    paths: Vec<Path>,
}

impl Program {
    /// The text.
    pub fn source(&self) -> &str {
        &self.source
    }

    /// Every path that it reads, so that a decoder knows what is needed.
    pub fn paths(&self) -> &[Path] {
        &self.paths
    }
}

/// A compiled `holds`: the expression with each aggregate and field replaced by an input.
#[derive(Clone, Debug)]
pub struct HoldsProgram {
    source: String,
    uses: Vec<Use>,
}

/// One input of a `holds` expression.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Use {
    /// The step.
    pub step: StepId,
    /// The field; `None` for `count(step)`.
    pub field: Option<Field>,
    /// How the step's effects become one value.
    pub how: How,
}

/// How a step's effects become one value.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum How {
    /// `s.f`: the first effect's.
    Bare,
    /// `first(s).f`.
    First,
    /// `last(s).f`.
    Last,
    /// `count(s)`.
    Count,
    /// `sum(s.f)`.
    Sum,
    /// `min(s.f)`.
    Min,
    /// `max(s.f)`.
    Max,
    /// `distinct(s.f)`, a number.
    Distinct,
}

/// What an input of a `holds` expression is given.
#[derive(Clone, Debug, PartialEq)]
pub enum Operand<'a> {
    /// A kept field's value, a count or a sum.
    Value(Value<'a>),
    /// An event time.
    Time(Time),
}

impl HoldsProgram {
    /// The text.
    pub fn source(&self) -> &str {
        &self.source
    }

    /// Its inputs; [`HoldsProgram::eval`] takes one operand for each, in this order.
    pub fn uses(&self) -> &[Use] {
        &self.uses
    }

    /// Whether the invariant holds. An error (a type mismatch, a result that is not a bool) makes
    /// the check undecided.
    pub fn eval(&self, _operands: &[Operand<'_>]) -> Result<bool, String> {
        todo!()
    }
}
