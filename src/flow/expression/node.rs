//! A compiled expression as a tree, and its value.

use super::functions::{Function, text_of};
use super::operators::{Operator, equal, negate};
use super::val::Val;
use super::{Operand, Scope};
use crate::flow::descend::descend;
use crate::flow::plan::{Path, Segment};
use crate::model::value::Value;
use regex::Regex;
use std::borrow::Cow;

/// One node; what could be resolved when it was compiled is resolved.
#[derive(Clone, Debug)]
pub(super) enum Node {
    /// A constant.
    Literal(Val<'static>),
    /// A path into the record.
    Path(Path),
    /// An operand of an invariant, by its index.
    Operand(usize),
    /// The variable of the n-th macro around it.
    Variable(usize),
    /// `x.name`.
    Member(Box<Node>, String),
    /// `x[y]`.
    Index(Box<(Node, Node)>),
    /// `has(x.name)`: it is not null.
    Has(Box<Node>),
    /// `!x`.
    Not(Box<Node>),
    /// `-x`.
    Negate(Box<Node>),
    /// `x && y`.
    And(Box<(Node, Node)>),
    /// `x || y`.
    Or(Box<(Node, Node)>),
    /// `x ? y : z`.
    If(Box<(Node, Node, Node)>),
    /// Any other operator.
    Binary(Operator, Box<(Node, Node)>),
    /// `[x, y]`.
    List(Vec<Node>),
    /// `{x: y}`.
    Map(Vec<(Node, Node)>),
    /// `f(x)`.
    Call(&'static Function, Vec<Node>),
    /// `matches(text, regex)`.
    Matches(Box<Node>, Regex),
    /// `extract(text, regex)`.
    Extract(Box<Node>, Regex),
    /// `list.all(variable, …)` and its like.
    Loop(Macro, Box<Loop>),
}

/// What a macro does with each element.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Macro {
    All,
    Exists,
    ExistsOne,
    Filter,
    Map,
}

/// The parts of a macro.
#[derive(Clone, Debug)]
pub(super) struct Loop {
    /// What it goes through: a list, or the names of a map.
    pub range: Node,
    /// Which elements `map` takes.
    pub filter: Option<Node>,
    /// What it asks or computes.
    pub body: Node,
}

/// What an expression is evaluated against.
pub(super) struct Evaluation<'s> {
    /// The record.
    pub scope: Option<&'s dyn Scope>,
    /// The operands of an invariant.
    pub operands: &'s [Operand<'s>],
    /// The variables of the macros around the node.
    pub variables: Vec<Val<'s>>,
}

type Outcome<'s> = Result<Val<'s>, String>;

impl<'s> Evaluation<'s> {
    /// The value of a node.
    pub fn value(&mut self, node: &'s Node) -> Outcome<'s> {
        match node {
            Node::Literal(value) => Ok(lent(value)),
            Node::Path(path) => Ok(self.scope.map_or(Val::Null, |scope| scope.get(path).into())),
            Node::Operand(index) => Ok(self.operands.get(*index).map_or(Val::Null, Val::from)),
            Node::Variable(index) => Ok(self.variables[*index].clone()),
            Node::Member(of, name) => self.value(of).map(|value| member(value, name)),
            Node::Index(pair) => Ok(at(self.value(&pair.0)?, self.value(&pair.1)?)),
            Node::Has(of) => self.value(of).map(|value| Val::Bool(!matches!(value, Val::Null))),
            Node::Not(of) => self.truth(of).map(|truth| Val::Bool(!truth)),
            Node::Negate(of) => self.value(of).and_then(negate),
            Node::And(pair) => self.either(pair, false),
            Node::Or(pair) => self.either(pair, true),
            Node::If(parts) => {
                let taken = self.truth(&parts.0)?;
                self.value(if taken { &parts.1 } else { &parts.2 })
            }
            Node::Binary(operator, pair) => operator.apply(self.value(&pair.0)?, self.value(&pair.1)?),
            Node::List(elements) => self.values(elements).map(Val::List),
            Node::Map(entries) => {
                let entries = entries.iter().map(|(key, value)| Ok((self.value(key)?, self.value(value)?)));
                entries.collect::<Result<_, String>>().map(Val::Map)
            }
            Node::Call(function, arguments) => self.values(arguments).and_then(|values| function.call(values)),
            Node::Matches(of, regex) => match self.value(of)? {
                Val::Null => Ok(Val::Bool(false)),
                value => Ok(Val::Bool(regex.is_match(text_of(&value)?))),
            },
            Node::Extract(of, regex) => match self.value(of)? {
                Val::Null => Ok(Val::Null),
                value => extract(&value, regex),
            },
            Node::Loop(kind, parts) => self.go_through(*kind, parts),
        }
    }

    /// The value of a node that has to be a bool.
    pub fn truth(&mut self, node: &'s Node) -> Result<bool, String> {
        match self.value(node)? {
            Val::Bool(truth) => Ok(truth),
            Val::Null => Err("null is neither true nor false: compare it, as in `body.paid == true`".to_owned()),
            other => Err(format!("a bool is needed, not a {}", other.type_name())),
        }
    }

    fn values(&mut self, nodes: &'s [Node]) -> Result<Vec<Val<'s>>, String> {
        nodes.iter().map(|node| self.value(node)).collect()
    }

    /// `&&` and `||`: where one side decides, an error of the other does not matter.
    fn either(&mut self, (left, right): &'s (Node, Node), decisive: bool) -> Outcome<'s> {
        let left = self.truth(left);
        if left == Ok(decisive) {
            return Ok(Val::Bool(decisive));
        }
        match (left, self.truth(right)) {
            (_, Ok(right)) if right == decisive => Ok(Val::Bool(decisive)),
            (Err(error), _) | (_, Err(error)) => Err(error),
            _ => Ok(Val::Bool(!decisive)),
        }
    }

    fn go_through(&mut self, kind: Macro, parts: &'s Loop) -> Outcome<'s> {
        let range = match self.value(&parts.range)?.opened() {
            Val::Null => Vec::new(),
            Val::List(list) => list,
            Val::Map(map) => map.into_iter().map(|(key, _)| key).collect(),
            other => return Err(format!("a list is needed, not a {}", other.type_name())),
        };
        let mut taken = Vec::new();
        let mut trues = 0;
        let mut error = None;
        for element in range {
            self.variables.push(element);
            let step = self.step(kind, parts, &mut taken);
            self.variables.pop();
            match (kind, step) {
                (Macro::All, Ok(false)) => return Ok(Val::Bool(false)),
                (Macro::Exists, Ok(true)) => return Ok(Val::Bool(true)),
                (Macro::All | Macro::Exists, Err(e)) => error = error.or(Some(e)),
                (_, Err(e)) => return Err(e),
                (_, Ok(truth)) => trues += usize::from(truth),
            }
        }
        match (kind, error) {
            (_, Some(error)) => Err(error),
            (Macro::All, _) => Ok(Val::Bool(true)),
            (Macro::Exists, _) => Ok(Val::Bool(false)),
            (Macro::ExistsOne, _) => Ok(Val::Bool(trues == 1)),
            (Macro::Filter | Macro::Map, _) => Ok(Val::List(taken)),
        }
    }

    /// One element, which is the innermost variable. Whether its answer was true.
    fn step(&mut self, kind: Macro, parts: &'s Loop, taken: &mut Vec<Val<'s>>) -> Result<bool, String> {
        if kind != Macro::Map {
            let truth = self.truth(&parts.body)?;
            if truth && kind == Macro::Filter {
                taken.extend(self.variables.last().cloned());
            }
            return Ok(truth);
        }
        let passes = parts.filter.as_ref().map_or(Ok(true), |filter| self.truth(filter))?;
        if passes {
            taken.push(self.value(&parts.body)?);
        }
        Ok(passes)
    }
}

/// The same constant, without a copy of its text.
fn lent<'s>(value: &'s Val<'static>) -> Val<'s> {
    match value {
        Val::Text(text) => Val::Text(Cow::Borrowed(text)),
        other => other.clone(),
    }
}

fn member<'s>(value: Val<'s>, name: &str) -> Val<'s> {
    match value {
        Val::Json(text) => descend(Value::Json(text), &[Segment::Field(name.to_owned())]).into(),
        Val::Map(map) => found(map, &Val::Text(Cow::Borrowed(name))),
        _ => Val::Null,
    }
}

/// `x[y]`; null where there is no such element.
fn at<'s>(value: Val<'s>, index: Val<'s>) -> Val<'s> {
    match (value.opened(), &index) {
        (Val::List(mut list), Val::Int(n)) => match usize::try_from(*n) {
            Ok(n) if n < list.len() => list.swap_remove(n),
            _ => Val::Null,
        },
        (Val::Map(map), key) => found(map, key),
        _ => Val::Null,
    }
}

fn found<'s>(map: Vec<(Val<'s>, Val<'s>)>, key: &Val<'_>) -> Val<'s> {
    map.into_iter().find(|(k, _)| equal(k, key)).map_or(Val::Null, |(_, value)| value)
}

/// The first group, or the whole match where the regex has none; null where nothing matches.
fn extract<'s>(value: &Val<'_>, regex: &Regex) -> Outcome<'s> {
    let text = text_of(value)?;
    let group = regex.captures(text).and_then(|groups| groups.get(1).or(groups.get(0).filter(|_| groups.len() == 1)));
    Ok(group.map_or(Val::Null, |group| Val::Text(Cow::Owned(group.as_str().to_owned()))))
}
