//! CEL expressions behind a narrow face: compiled once, evaluated against a record ([`Program`]) or
//! against a transaction's aggregates ([`HoldsProgram`]).

use super::plan::{Field, Path};
use crate::model::StepId;
use crate::model::time::Time;
use crate::model::value::Value;

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
}

impl Program {
    /// Compiles an expression over `body`, `row`, `op`, `headers`, `key` and `meta`, and over `each`
    /// where the step has one.
    pub fn compile(_text: &str, _each_allowed: bool) -> Result<Program, ExpressionError> {
        todo!()
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
    pub fn eval(&self, _scope: &dyn Scope) -> Result<Value<'static>, String> {
        todo!()
    }

    /// Whether a record meets it; a value that is not a bool is an error.
    pub fn eval_bool(&self, _scope: &dyn Scope) -> Result<bool, String> {
        todo!()
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

/// Finds the step and the field that an expression names; `None` as the field asks for the step alone
/// and is answered by `None`. The error is a sentence for the user.
pub type Resolve<'r> = dyn Fn(&str, Option<&str>) -> Result<(StepId, Option<Field>), String> + 'r;

impl HoldsProgram {
    /// Compiles an invariant over the steps and fields that `resolve` knows.
    pub fn compile(_text: &str, _resolve: &Resolve<'_>) -> Result<HoldsProgram, ExpressionError> {
        todo!()
    }

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
