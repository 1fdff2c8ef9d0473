//! What the names of an expression mean: parts of a record, or steps of a flow.

use super::ExpressionError;
use super::holds::{How, Resolve, Use};
use super::lower::Lower;
use super::node::Node;
use crate::flow::diagnostic::nearest;
use crate::flow::plan::Field;
use crate::flow::plan::{Path, Root, Segment};
use cel::common::ast::{Expr, IdedExpr, LiteralValue, SelectExpr, operators};

/// The functions that make one value of a step's effects.
pub(super) const AGGREGATES: &[&str] = &["first", "last", "count", "sum", "min", "max", "distinct"];

/// What the names of an expression mean.
pub(super) enum Names<'r> {
    /// The parts of a record.
    Record {
        /// Whether there is an `each`.
        each: bool,
        /// The paths that were met, without repetition.
        paths: Vec<Path>,
    },
    /// The steps of a flow.
    Steps {
        /// Who knows them.
        resolve: &'r Resolve<'r>,
        /// The inputs that were met, without repetition.
        uses: Vec<Use>,
    },
}

type Named = Result<Option<Node>, ExpressionError>;

impl Names<'_> {
    /// The functions that only these names have.
    pub fn functions(&self) -> &'static [&'static str] {
        match self {
            Names::Record { .. } => &[],
            Names::Steps { .. } => AGGREGATES,
        }
    }
}

impl Lower<'_, '_> {
    /// The node of what names stand for: a path, or a field of a step. `None` for anything else.
    pub fn named(&mut self, expr: &IdedExpr) -> Named {
        match &mut self.names {
            Names::Record { each, .. } => {
                let each = *each;
                let Some(path) = self.path(expr).filter(|path| each || path.root != Root::Each) else {
                    return Ok(None);
                };
                let Names::Record { paths, .. } = &mut self.names else { return Ok(None) };
                if !paths.contains(&path) {
                    paths.push(path.clone());
                }
                Ok(Some(Node::Path(path)))
            }
            Names::Steps { .. } => self.step_field(expr),
        }
    }

    /// The longest path that begins at a root.
    fn path(&self, expr: &IdedExpr) -> Option<Path> {
        let (of, segment) = match &expr.expr {
            Expr::Ident(name) if !self.variables.contains(name) => {
                return Some(Path { root: root(name)?, segments: Vec::new() });
            }
            Expr::Select(select) => (&*select.operand, Segment::Field(select.field.clone())),
            Expr::Call(call) if call.func_name == operators::INDEX && call.args.len() == 2 => {
                let segment = match &call.args[1].expr {
                    Expr::Literal(LiteralValue::Int(n)) => Segment::Index(u32::try_from(*n.inner()).ok()?),
                    Expr::Literal(LiteralValue::String(name)) => Segment::Field(name.inner().to_owned()),
                    _ => return None,
                };
                (&call.args[0], segment)
            }
            _ => return None,
        };
        let mut path = self.path(of)?;
        path.segments.push(segment);
        Some(path)
    }

    /// `s.f`, `first(s).f`, `last(s).f`, `count(s)`, `sum(s.f)` and its like.
    fn step_field(&mut self, expr: &IdedExpr) -> Named {
        match &expr.expr {
            Expr::Select(select) => match &select.operand.expr {
                Expr::Ident(step) if !self.variables.contains(step) => {
                    self.input(&select.operand, step, Some((expr, &select.field)), How::Bare)
                }
                Expr::Call(call) if call.target.is_none() && matches!(call.func_name.as_str(), "first" | "last") => {
                    let how = if call.func_name == "first" { How::First } else { How::Last };
                    let [IdedExpr { expr: Expr::Ident(step), .. }] = call.args.as_slice() else {
                        return Err(self.misused(&select.operand, &call.func_name));
                    };
                    self.input(&call.args[0], step, Some((expr, &select.field)), how)
                }
                _ => Ok(None),
            },
            Expr::Call(call) if call.target.is_none() && AGGREGATES.contains(&call.func_name.as_str()) => {
                self.aggregate(expr, &call.func_name, &call.args)
            }
            _ => Ok(None),
        }
    }

    fn aggregate(&mut self, expr: &IdedExpr, name: &str, args: &[IdedExpr]) -> Named {
        let how = match name {
            "count" => How::Count,
            "sum" => How::Sum,
            "min" => How::Min,
            "max" => How::Max,
            "distinct" => How::Distinct,
            _ => return Err(self.misused(expr, name)),
        };
        match args {
            [arg] => match (&arg.expr, how) {
                (Expr::Ident(step), How::Count) => self.input(arg, step, None, how),
                (Expr::Select(SelectExpr { operand, field, .. }), _) if how != How::Count => match &operand.expr {
                    Expr::Ident(step) => self.input(operand, step, Some((arg, field)), how),
                    _ => Err(self.misused(expr, name)),
                },
                _ => Err(self.misused(expr, name)),
            },
            _ => Err(self.misused(expr, name)),
        }
    }

    /// The operand for a use of a step; the same use is the same operand.
    fn input(&mut self, step_at: &IdedExpr, step: &str, field: Option<(&IdedExpr, &str)>, how: How) -> Named {
        let parsed = self.parsed;
        let Names::Steps { resolve, uses } = &mut self.names else { return Ok(None) };
        let resolved = match field {
            None => resolve(step, None).map_err(|message| parsed.error(step_at, message))?,
            Some((field_at, field)) => resolve(step, Some(field)).map_err(|message| {
                // What is wrong is the step where it is not known alone either.
                if resolve(step, None).is_err() {
                    parsed.error(step_at, message)
                } else {
                    parsed.error_at_field(field_at, field, message)
                }
            })?,
        };
        let (step, field) = resolved;
        if how == How::Sum && field == Some(Field::Time) {
            return Err(parsed.error(step_at, "times cannot be summed"));
        }
        let wanted = Use { step, field, how };
        let index = uses.iter().position(|known| *known == wanted).unwrap_or_else(|| {
            uses.push(wanted);
            uses.len() - 1
        });
        Ok(Some(Node::Operand(index)))
    }

    fn misused(&self, expr: &IdedExpr, name: &str) -> ExpressionError {
        let form = match name {
            "first" | "last" => format!("{name}(step).field"),
            "count" => "count(step)".to_owned(),
            _ => format!("{name}(step.field)"),
        };
        self.parsed.error_at_name(expr, name, format!("`{name}` is written `{form}`"))
    }

    /// The error for a name that means nothing.
    pub fn unknown(&self, expr: &IdedExpr, name: &str) -> ExpressionError {
        let message = match &self.names {
            Names::Record { each: false, .. } if name == "each" => {
                "`each` is only there in a step that has `each:`".to_owned()
            }
            Names::Record { .. } => {
                let remedy = nearest(name, ROOTS).map_or_else(
                    || format!("a field of the record is written `body.{name}`"),
                    |near| format!("did you mean `{near}`?"),
                );
                format!("`{name}` is not known: {remedy}")
            }
            Names::Steps { resolve, .. } => match resolve(name, None) {
                Ok(_) => format!("`{name}` is a step: write `{name}.field`, or `count({name})`"),
                Err(message) => message,
            },
        };
        self.parsed.error(expr, message)
    }
}

const ROOTS: &[&str] = &["body", "row", "op", "headers", "key", "meta", "each"];

fn root(name: &str) -> Option<Root> {
    Some(match name {
        "body" => Root::Body,
        "row" => Root::Row,
        "op" => Root::Op,
        "headers" => Root::Headers,
        "key" => Root::Key,
        "meta" => Root::Meta,
        "each" => Root::Each,
        _ => return None,
    })
}
