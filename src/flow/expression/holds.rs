//! Invariants over a transaction: `holds`.

use super::lower::Lower;
use super::names::Names;
use super::node::{Evaluation, Node};
use super::{ExpressionError, parse};
use crate::flow::plan::Field;
use crate::model::StepId;
use crate::model::time::Time;
use crate::model::value::Value;
use std::sync::Arc;

/// A compiled `holds`: the expression with each aggregate and field replaced by an input.
#[derive(Clone, Debug)]
pub struct HoldsProgram {
    source: String,
    uses: Vec<Use>,
    node: Arc<Node>,
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
    pub fn compile(text: &str, resolve: &Resolve<'_>) -> Result<HoldsProgram, ExpressionError> {
        let parsed = parse::parse(text)?;
        let names = Names::Steps { resolve, uses: Vec::new() };
        let mut lower = Lower { parsed: &parsed, names, variables: Vec::new() };
        let node = lower.node(&parsed.tree)?;
        let Names::Steps { uses, .. } = lower.names else { unreachable!("the names were steps before") };
        if uses.is_empty() {
            let message = "the expression names no step: write `step.field` or `count(step)`".to_owned();
            return Err(ExpressionError { message, at: None, length: 0 });
        }
        Ok(HoldsProgram { source: text.to_owned(), uses, node: Arc::new(node) })
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
    pub fn eval(&self, operands: &[Operand<'_>]) -> Result<bool, String> {
        Evaluation { scope: None, operands, variables: Vec::new() }.truth(&self.node)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A flow with the steps `placed` and `delivered`, which keep `amount` and `items`.
    fn resolve(step: &str, field: Option<&str>) -> Result<(StepId, Option<Field>), String> {
        let step_id = match step {
            "placed" => 0,
            "delivered" => 1,
            other => return Err(format!("there is no step `{other}`")),
        };
        let field = match field {
            None => None,
            Some("time") => Some(Field::Time),
            Some("amount") => Some(Field::Keep(0)),
            Some("items") => Some(Field::Keep(1)),
            Some(other) => return Err(format!("`{step}` keeps no `{other}`")),
        };
        Ok((step_id, field))
    }

    fn compiled(text: &str) -> HoldsProgram {
        HoldsProgram::compile(text, &resolve).unwrap_or_else(|e| panic!("{text}: {e}"))
    }

    fn wrong(text: &str) -> (Option<usize>, String) {
        let error = HoldsProgram::compile(text, &resolve).unwrap_err();
        (error.at, error.message)
    }

    fn text(t: &str) -> Operand<'_> {
        Operand::Value(Value::Text(t.into()))
    }

    fn int(n: i64) -> Operand<'static> {
        Operand::Value(Value::Int(n))
    }

    #[test]
    fn each_use_of_a_step_is_an_input_once() {
        let program =
            compiled("last(delivered).time - placed.time <= duration('60d') && placed.time > first(placed).time");
        let (time, use_of) = (Some(Field::Time), |step, field, how| Use { step, field, how });
        let expected = [use_of(1, time, How::Last), use_of(0, time, How::Bare), use_of(0, time, How::First)];
        assert_eq!(program.uses(), expected);
        let amount = Some(Field::Keep(0));
        let program = compiled(
            "count(placed) + sum(placed.amount) + min(placed.amount) + max(placed.amount) > distinct(placed.amount)",
        );
        let hows: Vec<_> = program.uses().iter().map(|u| (u.field, u.how)).collect();
        let expected =
            [(None, How::Count), (amount, How::Sum), (amount, How::Min), (amount, How::Max), (amount, How::Distinct)];
        assert_eq!(hows, expected);
    }

    #[test]
    fn times_differ_by_the_languages_durations() {
        let program = compiled("last(delivered).time - placed.time <= duration(\"60d\")");
        let day = 86_400_000_000_000;
        let placed = Time(1_700_000_000_000_000_000);
        let eval = |span: i64| program.eval(&[Operand::Time(Time(placed.0 + span)), Operand::Time(placed)]);
        assert_eq!(eval(60 * day), Ok(true));
        assert_eq!(eval(60 * day + 1), Ok(false));
        assert_eq!(eval(-day), Ok(true));
        let program = compiled("placed.time < timestamp('2026-01-01T00:00:00Z') && placed.time.getFullYear() == 2023");
        assert_eq!(program.eval(&[Operand::Time(placed)]), Ok(true));
    }

    #[test]
    fn money_is_exact() {
        let program = compiled("placed.amount + delivered.amount == 0.3");
        assert_eq!(program.eval(&[text("0.1"), text("0.2")]), Ok(true));
        assert_eq!(program.eval(&[text("0.1"), int(1)]), Ok(false));
        assert_eq!(program.eval(&[Operand::Value(Value::Number("0.1".into())), text("0.20")]), Ok(true));
        assert!(program.eval(&[text("0.1"), Operand::Value(Value::Null)]).unwrap_err().contains("null"));
        assert_eq!(program.eval(&[text("ten"), text("0.2")]), Ok(false), "joined text is no number");
    }

    #[test]
    fn null_is_not_an_error_where_it_is_compared() {
        let program = compiled("placed.amount == null || placed.amount <= 100");
        assert_eq!(program.eval(&[Operand::Value(Value::Null)]), Ok(true));
        assert_eq!(program.eval(&[text("99.5")]), Ok(true));
        assert_eq!(program.eval(&[int(101)]), Ok(false));
        assert!(compiled("placed.amount").eval(&[int(1)]).is_err(), "a number is no verdict");
    }

    #[test]
    fn kept_lists_can_be_gone_through() {
        let program = compiled("placed.items.all(i, i.qty > 0) && size(placed.items) == count(delivered)");
        let items = Operand::Value(Value::Json(r#"[{"qty":1},{"qty":"2"}]"#.into()));
        assert_eq!(program.eval(&[items, int(2)]), Ok(true));
    }

    #[test]
    fn what_is_not_known_is_shown_by_place() {
        assert_eq!(wrong("count(place) > 1"), (Some(6), "there is no step `place`".to_owned()));
        assert_eq!(wrong("1 < placed.amont"), (Some(11), "`placed` keeps no `amont`".to_owned()));
        assert_eq!(wrong("sum(placed.time) > 1"), (Some(4), "times cannot be summed".to_owned()));
        assert_eq!(wrong("sum(placed) > 1"), (Some(0), "`sum` is written `sum(step.field)`".to_owned()));
        assert_eq!(wrong("1 < last(placed)").1, "`last` is written `last(step).field`");
        assert_eq!(wrong("count(placed.amount) > 1").1, "`count` is written `count(step)`");
        assert_eq!(wrong("placed == 1").1, "`placed` is a step: write `placed.field`, or `count(placed)`");
        assert_eq!(wrong("body.amount == 1").1, "there is no step `body`");
        assert_eq!(wrong("1 < 2").1, "the expression names no step: write `step.field` or `count(step)`");
        assert_eq!(
            wrong("cuont(placed) == 1"),
            (Some(0), "there is no function `cuont`; did you mean `count`?".to_owned())
        );
    }
}
