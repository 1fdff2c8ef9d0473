//! A JSON object, taken apart one level deep.

use crate::extract::fields::{Fields, Name};
use crate::extract::formats::not_json;
use crate::extract::undecodable::{Reason, Undecodable, utf8};
use crate::model::json;
use crate::model::time::Time;
use crate::model::timestamp;
use crate::model::value::Value;
use chrono_tz::Tz;
use std::borrow::Cow;

/// The members of an object in their order. Of duplicate names the first counts.
#[derive(Clone, Debug, Default)]
pub(super) struct Object<'a>(pub Vec<(Cow<'a, str>, Value<'a>)>);

impl<'a> Object<'a> {
    /// The object that a text is; anything else is undecodable.
    pub fn read(text: &'a str) -> Result<Object<'a>, Undecodable> {
        json::members(text).map(Object).map_err(|error| not_json(text, &error))
    }

    /// The object that a payload is.
    pub fn of_payload(payload: &'a [u8]) -> Result<Object<'a>, Undecodable> {
        Object::read(utf8(payload)?)
    }

    /// The object that a value is.
    pub fn of(value: &'a Value<'_>) -> Option<Object<'a>> {
        if let Value::Json(text) = value { json::members(text).ok().map(Object) } else { None }
    }

    /// The same, of a value that is lent by the record and not by its holder.
    pub fn lent(value: Value<'a>) -> Option<Object<'a>> {
        match value {
            Value::Json(Cow::Borrowed(text)) => json::members(text).ok().map(Object),
            Value::Json(Cow::Owned(text)) => {
                let members = json::members(&text).ok()?;
                let owned = members.into_iter().map(|(name, value)| (name.into_owned().into(), value.into_owned()));
                Some(Object(owned.collect()))
            }
            _ => None,
        }
    }

    pub fn has(&self, name: &str) -> bool {
        self.0.iter().any(|(known, _)| known == name)
    }

    /// The value under a name; null where there is none.
    pub fn get(&self, name: &str) -> Value<'a> {
        self.0.iter().find(|(known, _)| known == name).map_or(Value::Null, |(_, value)| value.clone())
    }

    pub fn text(&self, name: &str) -> Option<&str> {
        match self.0.iter().find(|(known, _)| known == name) {
            Some((_, Value::Text(text))) => Some(text),
            _ => None,
        }
    }

    /// The time under a name, in whatever unit, if it is one.
    pub fn time(&self, name: &str) -> Option<Time> {
        time(&self.get(name))
    }

    /// A body of all its members.
    pub fn into_fields(self) -> Fields<'a> {
        let mut fields = Fields::default();
        self.0.into_iter().for_each(|(name, value)| fields.push(Name::Record(name), value));
        fields
    }
}

/// The time that a value is: RFC 3339, or a number since 1970.
pub(super) fn time(value: &Value<'_>) -> Option<Time> {
    match value {
        Value::Int(number) => timestamp::epoch(*number).ok(),
        Value::Text(text) => timestamp::read(text, Tz::UTC).ok(),
        Value::Number(_) => value.decimal().and_then(|number| timestamp::epoch_decimal(number).ok()),
        _ => None,
    }
}

/// A payload that is not what its tool writes.
pub(super) fn unlike(what: impl Into<String>) -> Undecodable {
    Undecodable::whole(Reason::Syntax, what)
}

/// Text that is JSON as JSON, any other as text.
pub(super) fn parsed(text: Cow<'_, str>) -> Value<'_> {
    let may_be = text.trim_start().starts_with(['{', '[']);
    match text {
        Cow::Borrowed(text) if may_be => json::validate(text).unwrap_or(Value::Text(Cow::Borrowed(text))),
        Cow::Owned(text) if may_be => match json::validate(&text).map(Value::into_owned) {
            Ok(value) => value,
            Err(_) => Value::Text(Cow::Owned(text)),
        },
        text => Value::Text(text),
    }
}

/// The text of a value that is text, or the spelling of a number.
pub(super) fn spelt(value: Value<'_>) -> Option<Cow<'_, str>> {
    match value {
        Value::Text(text) | Value::Number(text) => Some(text),
        Value::Int(number) => Some(number.to_string().into()),
        _ => None,
    }
}

/// A field, where there is a value.
pub(super) fn put<'a>(fields: &mut Fields<'a>, name: &'static str, value: Value<'a>) {
    if value != Value::Null {
        fields.push(Name::Record(Cow::Borrowed(name)), value);
    }
}
