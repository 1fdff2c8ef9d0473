//! What an expression computes with. Numbers are whole or exact decimals, never floats.

use super::Operand;
use crate::model::json;
use crate::model::time::{Span, Time};
use crate::model::value::Value;
use rust_decimal::Decimal;
use std::borrow::Cow;

/// A value within an expression.
#[derive(Clone, Debug)]
pub(super) enum Val<'a> {
    /// Absent or null.
    Null,
    Bool(bool),
    Int(i64),
    Decimal(Decimal),
    Text(Cow<'a, str>),
    /// A list or an object of the record, not yet taken apart.
    Json(Cow<'a, str>),
    /// A list that the expression made or took apart.
    List(Vec<Val<'a>>),
    /// An object that the expression made or took apart.
    Map(Vec<(Val<'a>, Val<'a>)>),
    Time(Time),
    Span(Span),
}

impl<'a> From<Value<'a>> for Val<'a> {
    fn from(value: Value<'a>) -> Val<'a> {
        match value {
            Value::Null => Val::Null,
            Value::Bool(b) => Val::Bool(b),
            Value::Int(n) => Val::Int(n),
            // What is beyond 28 digits is no decimal; it can still be compared as text.
            Value::Number(text) => decimal_of(&text).map_or(Val::Text(text), Val::Decimal),
            Value::Text(text) => Val::Text(text),
            Value::Json(text) => Val::Json(text),
        }
    }
}

impl<'a> From<&'a Operand<'_>> for Val<'a> {
    fn from(operand: &'a Operand<'_>) -> Val<'a> {
        match operand {
            Operand::Value(value) => value.borrowed().into(),
            Operand::Time(time) => Val::Time(*time),
        }
    }
}

impl<'a> Val<'a> {
    /// The name of its type, as `type()` gives it and as errors call it.
    pub fn type_name(&self) -> &'static str {
        match self {
            Val::Null => "null",
            Val::Bool(_) => "bool",
            Val::Int(_) => "int",
            Val::Decimal(_) => "double",
            Val::Text(_) => "string",
            Val::Json(text) if text.starts_with('[') => "list",
            Val::Json(_) | Val::Map(_) => "map",
            Val::List(_) => "list",
            Val::Time(_) => "timestamp",
            Val::Span(_) => "duration",
        }
    }

    /// The number that it is: an int, a decimal, or text that is a decimal.
    pub fn number(&self) -> Option<Decimal> {
        match self {
            Val::Int(n) => Some(Decimal::from(*n)),
            Val::Decimal(d) => Some(*d),
            Val::Text(text) => decimal_of(text),
            _ => None,
        }
    }

    /// Takes JSON text apart by one level; anything else stays what it is.
    pub fn opened(self) -> Val<'a> {
        match self {
            Val::Json(Cow::Borrowed(text)) => open(text),
            Val::Json(Cow::Owned(text)) => open(&text).into_owned(),
            other => other,
        }
    }

    /// The same value, owning its text.
    pub fn into_owned(self) -> Val<'static> {
        match self {
            Val::Null => Val::Null,
            Val::Bool(b) => Val::Bool(b),
            Val::Int(n) => Val::Int(n),
            Val::Decimal(d) => Val::Decimal(d),
            Val::Text(text) => Val::Text(Cow::Owned(text.into_owned())),
            Val::Json(text) => Val::Json(Cow::Owned(text.into_owned())),
            Val::List(list) => Val::List(list.into_iter().map(Val::into_owned).collect()),
            Val::Map(map) => Val::Map(map.into_iter().map(|(k, v)| (k.into_owned(), v.into_owned())).collect()),
            Val::Time(time) => Val::Time(time),
            Val::Span(span) => Val::Span(span),
        }
    }

    /// What leaves the expression; times and durations leave as text.
    pub fn into_value(self) -> Value<'static> {
        match self {
            Val::Null => Value::Null,
            Val::Bool(b) => Value::Bool(b),
            Val::Int(n) => Value::Int(n),
            Val::Decimal(d) => Value::Number(Cow::Owned(d.to_string())),
            Val::Text(text) => Value::Text(Cow::Owned(text.into_owned())),
            Val::Json(text) => Value::Json(Cow::Owned(text.into_owned())),
            Val::List(_) | Val::Map(_) => Value::Json(Cow::Owned(self.to_json())),
            Val::Time(time) => Value::Text(Cow::Owned(time.to_string())),
            Val::Span(span) => Value::Text(Cow::Owned(span.to_string())),
        }
    }

    fn to_json(&self) -> String {
        match self {
            Val::List(list) => json::list(list.iter().map(Val::to_json)),
            Val::Map(map) => {
                let names: Vec<String> =
                    map.iter().map(|(name, _)| name.clone().into_value().display().into_owned()).collect();
                json::object(names.iter().map(String::as_str).zip(map.iter().map(|(_, value)| value.to_json())))
            }
            other => json::text(&other.clone().into_value()),
        }
    }
}

/// The exact decimal that a text spells.
pub(super) fn decimal_of(text: &str) -> Option<Decimal> {
    Value::Text(Cow::Borrowed(text)).decimal()
}

fn open(text: &str) -> Val<'_> {
    if text.starts_with('[') {
        let elements = json::elements(text).unwrap_or_default();
        return Val::List(elements.into_iter().map(Val::from).collect());
    }
    // Of duplicate names the first is found.
    let members = json::members(text).unwrap_or_default();
    Val::Map(members.into_iter().map(|(name, value)| (Val::Text(name), value.into())).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_leave_as_they_came() {
        for value in [
            Value::Null,
            Value::Bool(true),
            Value::Int(-7),
            Value::Number("12.50".into()),
            Value::Text("o-1".into()),
            Value::Json(r#"{"a":[1,2.0]}"#.into()),
        ] {
            assert_eq!(Val::from(value.clone()).into_value(), value);
        }
        assert_eq!(Val::from(Value::Number("1e400".into())).into_value(), Value::Text("1e400".into()));
    }

    #[test]
    fn lists_and_objects_are_taken_apart_by_one_level_and_put_together_again() {
        let text = r#"{"a": [1,{"b":"x\"y"}], "n": 1.50}"#;
        let opened = Val::Json(text.into()).opened();
        assert_eq!(opened.into_value(), Value::Json(r#"{"a":[1,{"b":"x\"y"}],"n":1.50}"#.into()));
    }
}
