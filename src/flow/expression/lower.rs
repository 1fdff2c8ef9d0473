//! From the syntax tree to the compiled one: names are resolved, functions found, constants checked.

use super::ExpressionError;
use super::functions::{self, Style};
use super::names::Names;
use super::node::{Loop, Macro, Node};
use super::operators::{Operator, negate};
use super::parse::Parsed;
use super::val::{Val, decimal_of};
use crate::flow::diagnostic::nearest;
use cel::common::ast::{CallExpr, EntryExpr, Expr, IdedExpr, LiteralValue, operators};
use regex::Regex;
use std::borrow::Cow;

pub(super) type Lowered = Result<Node, ExpressionError>;

/// The walk through the syntax tree.
pub(super) struct Lower<'p, 'r> {
    /// What is walked.
    pub parsed: &'p Parsed<'p>,
    /// What names mean.
    pub names: Names<'r>,
    /// The variables of the macros around.
    pub variables: Vec<String>,
}

impl Lower<'_, '_> {
    /// Compiles a node.
    pub fn node(&mut self, expr: &IdedExpr) -> Lowered {
        if let Some(named) = self.named(expr)? {
            return Ok(named);
        }
        match &expr.expr {
            Expr::Literal(literal) => self.literal(expr, literal),
            Expr::Ident(name) => self.identifier(expr, name),
            Expr::Select(select) => Ok(Node::Member(Box::new(self.node(&select.operand)?), select.field.clone())),
            Expr::Call(call) => self.call(expr, call),
            Expr::List(list) => self.nodes(&list.elements).map(Node::List),
            Expr::Map(map) => {
                let entries = map.entries.iter().map(|entry| match &entry.expr {
                    EntryExpr::MapEntry(entry) => Ok((self.node(&entry.key)?, self.node(&entry.value)?)),
                    EntryExpr::StructField(field) => {
                        Err(self.parsed.error(&field.value, "a name is not expected here"))
                    }
                });
                entries.collect::<Result<_, _>>().map(Node::Map)
            }
            Expr::Struct(object) => {
                Err(self.parsed.error(expr, format!("there is no type `{}` to make a value of", object.type_name)))
            }
            Expr::Comprehension(_) | Expr::Unspecified => Err(self.parsed.error(expr, "this cannot be compiled")),
        }
    }

    fn nodes(&mut self, exprs: &[IdedExpr]) -> Result<Vec<Node>, ExpressionError> {
        exprs.iter().map(|expr| self.node(expr)).collect()
    }

    fn pair(&mut self, args: &[IdedExpr]) -> Result<Box<(Node, Node)>, ExpressionError> {
        Ok(Box::new((self.node(&args[0])?, self.node(&args[1])?)))
    }

    fn literal(&self, expr: &IdedExpr, literal: &LiteralValue) -> Lowered {
        let value = match literal {
            LiteralValue::Null => Val::Null,
            LiteralValue::Boolean(b) => Val::Bool(*b.inner()),
            LiteralValue::Int(n) => Val::Int(*n.inner()),
            LiteralValue::UInt(n) => match i64::try_from(*n.inner()) {
                Ok(n) => Val::Int(n),
                Err(_) => return Err(self.parsed.error(expr, "the number is too large")),
            },
            // As it is spelt: 0.1 is a tenth, not the float next to it.
            LiteralValue::Double(d) => {
                let spelt = decimal_of(self.parsed.spelling(expr)).or_else(|| decimal_of(&d.inner().to_string()));
                Val::Decimal(spelt.ok_or_else(|| self.parsed.error(expr, "the number has more than 28 digits"))?)
            }
            LiteralValue::String(text) => Val::Text(Cow::Owned(text.inner().to_owned())),
            LiteralValue::Bytes(_) => return Err(self.parsed.error(expr, "there are no bytes here, only text")),
        };
        Ok(Node::Literal(value))
    }

    fn identifier(&self, expr: &IdedExpr, name: &str) -> Lowered {
        if let Some(index) = self.variables.iter().rposition(|variable| variable == name) {
            return Ok(Node::Variable(index));
        }
        let type_name = match name {
            "null_type" => "null",
            "uint" => "int",
            "bool" | "int" | "double" | "string" | "list" | "map" | "timestamp" | "duration" => name,
            _ => return Err(self.unknown(expr, name)),
        };
        Ok(Node::Literal(Val::Text(Cow::Owned(type_name.to_owned()))))
    }

    fn call(&mut self, expr: &IdedExpr, call: &CallExpr) -> Lowered {
        let args = call.args.as_slice();
        match (call.func_name.as_str(), &call.target, args) {
            (operators::CONDITIONAL, None, [if_, then, else_]) => {
                Ok(Node::If(Box::new((self.node(if_)?, self.node(then)?, self.node(else_)?))))
            }
            (operators::LOGICAL_AND, None, [_, _]) => self.pair(args).map(Node::And),
            (operators::LOGICAL_OR, None, [_, _]) => self.pair(args).map(Node::Or),
            (operators::LOGICAL_NOT, None, [of]) => Ok(Node::Not(Box::new(self.node(of)?))),
            (operators::NEGATE, None, [of]) => match self.node(of)? {
                Node::Literal(value) => negate(value).map(Node::Literal).map_err(|e| self.parsed.error(expr, e)),
                other => Ok(Node::Negate(Box::new(other))),
            },
            (operators::INDEX, None, [_, _]) => self.pair(args).map(Node::Index),
            ("has", None, [of]) => match &of.expr {
                Expr::Select(_) => Ok(Node::Has(Box::new(self.node(of)?))),
                Expr::Call(index) if index.func_name == operators::INDEX => Ok(Node::Has(Box::new(self.node(of)?))),
                _ => Err(self.parsed.error(of, "`has` asks for a field, as in `has(body.paid)`")),
            },
            (name, None, [_, _]) if let Some(operator) = self.operator(name) => {
                Ok(Node::Binary(operator, self.pair(args)?))
            }
            (name, Some(target), [variable, rest @ ..]) if let Some(kind) = macro_of(name, rest.len()) => {
                self.go_through(kind, target, variable, rest)
            }
            (name, ..) => self.function(expr, call, name),
        }
    }

    fn operator(&self, name: &str) -> Option<Operator> {
        Some(match name {
            operators::EQUALS => Operator::Equal,
            operators::NOT_EQUALS => Operator::NotEqual,
            operators::LESS => Operator::Less,
            operators::LESS_EQUALS => Operator::LessOrEqual,
            operators::GREATER => Operator::More,
            operators::GREATER_EQUALS => Operator::MoreOrEqual,
            operators::IN => Operator::In,
            operators::ADD if matches!(self.names, Names::Steps { .. }) => Operator::Sum,
            operators::ADD => Operator::Add,
            operators::SUBSTRACT => Operator::Subtract,
            operators::MULTIPLY => Operator::Multiply,
            operators::DIVIDE => Operator::Divide,
            operators::MODULO => Operator::Remainder,
            _ => return None,
        })
    }

    fn go_through(&mut self, kind: Macro, range: &IdedExpr, variable: &IdedExpr, rest: &[IdedExpr]) -> Lowered {
        let range = self.node(range)?;
        let Expr::Ident(name) = &variable.expr else {
            return Err(self
                .parsed
                .error(variable, "a name for the element is needed here, as in `items.all(i, i.qty > 0)`"));
        };
        self.variables.push(name.clone());
        let parts = self.nodes(rest);
        self.variables.pop();
        let mut parts = parts?;
        let body = parts.pop().unwrap_or(Node::Literal(Val::Null));
        Ok(Node::Loop(kind, Box::new(Loop { range, filter: parts.pop(), body })))
    }

    fn function(&mut self, expr: &IdedExpr, call: &CallExpr, name: &str) -> Lowered {
        let arguments: Vec<&IdedExpr> = call.target.iter().map(|target| &**target).chain(&call.args).collect();
        if matches!(name, "matches" | "extract") {
            return self.with_regex(expr, name, &arguments);
        }
        let Some(function) = functions::find(name) else {
            return Err(self.unknown_function(expr, name));
        };
        let misused = match (function.style, &call.target) {
            (Style::Global, Some(_)) => Some(format!("write `{name}(…)`")),
            (Style::Method, None) => Some(format!("write `body.text.{name}(…)`, with the value in front")),
            _ => None,
        };
        if let Some(message) = misused {
            return Err(self.parsed.error_at_name(expr, name, message));
        }
        let (least, most) = function.arguments;
        if !(least..=most).contains(&arguments.len()) {
            return Err(self.argument_count(expr, name, least, arguments.len()));
        }
        let nodes = arguments.iter().map(|argument| self.node(argument)).collect::<Result<Vec<_>, _>>()?;
        let constants: Option<Vec<_>> = nodes.iter().map(constant).collect();
        match constants {
            Some(values) => match function.call(values) {
                Ok(value) => Ok(Node::Literal(value.into_owned())),
                Err(message) => Err(self.parsed.error(arguments[0], message)),
            },
            None => Ok(Node::Call(function, nodes)),
        }
    }

    /// `matches` and `extract`, whose regex is compiled here.
    fn with_regex(&mut self, expr: &IdedExpr, name: &str, arguments: &[&IdedExpr]) -> Lowered {
        let [of, pattern] = arguments else {
            return Err(self.argument_count(expr, name, 2, arguments.len()));
        };
        let of = Box::new(self.node(of)?);
        let Expr::Literal(LiteralValue::String(text)) = &pattern.expr else {
            return Err(self
                .parsed
                .error(pattern, format!("the regular expression of `{name}` has to be a constant text")));
        };
        let regex = Regex::new(text.inner()).map_err(|error| {
            let what = error.to_string();
            let what = what.lines().last().unwrap_or_default().trim_start_matches("error: ");
            self.parsed.error(pattern, format!("not a regular expression: {what}"))
        })?;
        Ok(if name == "matches" { Node::Matches(of, regex) } else { Node::Extract(of, regex) })
    }

    fn argument_count(&self, expr: &IdedExpr, name: &str, least: usize, given: usize) -> ExpressionError {
        let plural = if least == 1 { "" } else { "s" };
        let message = format!("`{name}` takes {least} value{plural}, not {given}");
        self.parsed.error_at_name(expr, name, message)
    }

    fn unknown_function(&self, expr: &IdedExpr, name: &str) -> ExpressionError {
        let macros = ["matches", "extract", "has", "all", "exists", "exists_one", "filter", "map"];
        let known: Vec<&str> = functions::names().chain(macros).chain(self.names.functions().iter().copied()).collect();
        let remedy = match nearest(name, &known) {
            _ if macros.contains(&name) => format!(": it is written `list.{name}(element, …)`"),
            _ if super::names::AGGREGATES.contains(&name) => ": it takes a step, and is for `holds`".to_owned(),
            Some(near) => format!("; did you mean `{near}`?"),
            None => String::new(),
        };
        let what = if remedy.starts_with(':') {
            format!("`{name}` is not used so")
        } else {
            format!("there is no function `{name}`")
        };
        self.parsed.error_at_name(expr, name, what + &remedy)
    }
}

fn macro_of(name: &str, rest: usize) -> Option<Macro> {
    Some(match (name, rest) {
        ("all", 1) => Macro::All,
        ("exists", 1) => Macro::Exists,
        ("exists_one" | "existsOne", 1) => Macro::ExistsOne,
        ("filter", 1) => Macro::Filter,
        ("map", 1 | 2) => Macro::Map,
        _ => return None,
    })
}

fn constant(node: &Node) -> Option<Val<'static>> {
    match node {
        Node::Literal(value) => Some(value.clone()),
        _ => None,
    }
}
