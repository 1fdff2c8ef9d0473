//! What gives a value out of a record, and whether the value may be seen.

use super::place::{Formula, Place, Places, View};
use super::redact::{Redact, Redactions, hashed};
use crate::flow::plan::{Expr, Step};
use crate::model::value::Value;
use std::borrow::Cow;

/// What gives a value, and whether it may be seen.
#[derive(Clone, Debug)]
pub(super) struct Pull {
    from: From,
    redact: Redact,
}

#[derive(Clone, Debug)]
enum From {
    Place(Place),
    Literal(Value<'static>),
    Formula(Box<Formula>),
}

impl Pull {
    /// Compiles an expression of a step.
    pub fn new(
        expr: &Expr,
        step: &Step,
        each: Option<usize>,
        places: &mut Places<'_>,
        redactions: &Redactions,
    ) -> Pull {
        let redact = |path| redactions.of(path, step.each.as_ref());
        match expr {
            Expr::Path(path) => Pull { from: From::Place(places.place(path, each)), redact: redact(path) },
            Expr::Literal(value) => Pull { from: From::Literal(value.clone()), redact: Redact::No },
            Expr::Program(program) => {
                let any = program.paths().iter().any(|path| redact(path).any());
                let formula = places.formula(program, each);
                let redact = if any { Redact::Whole } else { Redact::No };
                Pull { from: From::Formula(Box::new(formula)), redact }
            }
        }
    }

    /// The value as the record has it. An expression that fails gives null, and is counted.
    #[inline(always)]
    pub fn value<'v>(&'v self, view: &View<'v>, errors: &mut u64) -> Value<'v> {
        match &self.from {
            From::Place(place) => view.value(place),
            From::Literal(value) => value.borrowed(),
            From::Formula(formula) => view.eval(formula).unwrap_or_else(|_| {
                *errors += 1;
                Value::Null
            }),
        }
    }

    /// The value, where it is plain text that may be seen: the short way for what most keys are.
    #[inline(always)]
    pub fn plain_text<'v>(&self, view: &View<'v>) -> Option<&'v str> {
        match &self.from {
            From::Place(place) if !self.redact.any() => view.plain_text(place),
            _ => None,
        }
    }

    /// The value as it may be kept and shown.
    #[inline(always)]
    pub fn shown<'v>(&'v self, view: &View<'v>, errors: &mut u64) -> Value<'v> {
        let value = self.value(view, errors);
        if self.redact.any() { self.redact.apply(value) } else { value }
    }

    /// The text by which a value is compared, as it may be kept.
    #[inline]
    pub fn veiled<'t>(&self, text: Cow<'t, str>) -> Cow<'t, str> {
        if self.redact.any() { Cow::Owned(hashed(&text)) } else { text }
    }
}
