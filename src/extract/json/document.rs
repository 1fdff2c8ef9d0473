//! A document whose needed values have been found: where each stands, and of what kind it is.

use super::needs::Slot;
use crate::model::json;
use crate::model::value::Value;
use std::borrow::Cow;

/// A document whose needed values have been found.
#[derive(Clone, Copy, Debug)]
pub struct Document<'a> {
    pub(super) text: &'a str,
    pub(super) found: &'a [Found],
    /// Which of the cases given to [`Needs::narrow`](super::Needs::narrow) it is.
    pub case: Case,
}

/// What the text that decides about the need turned out to be.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Case {
    /// No text, absent, or nothing decides: everything was looked for.
    Open,
    /// The case with this number in ascending order of the texts.
    Known(usize),
    /// Another text.
    Other,
}

/// Where a value stands and of what kind it is.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Found {
    pub start: u32,
    pub end: u32,
    pub kind: Kind,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(super) enum Kind {
    #[default]
    Absent,
    Null,
    True,
    False,
    /// A number without fraction and exponent.
    Integer,
    Number,
    /// Text without escapes; its place is that between the quotes.
    Text,
    /// Text with escapes, its quotes included.
    Escaped,
    /// A list or an object.
    Container,
}

impl<'a> Document<'a> {
    /// The text at a slot, where it is text without escapes.
    #[inline(always)]
    pub fn plain_text(&self, slot: Slot) -> Option<&'a str> {
        let found = &self.found[slot as usize];
        (found.kind == Kind::Text).then(|| self.part(found))
    }

    #[inline(always)]
    fn part(&self, found: &Found) -> &'a str {
        let bytes = &self.text.as_bytes()[found.start as usize..found.end as usize];
        // SAFETY: a value begins and ends at a byte of the grammar, which is ASCII, so no character of
        // the document, which is UTF-8, is cut.
        unsafe { std::str::from_utf8_unchecked(bytes) }
    }

    /// The value at a slot; null where it is absent.
    #[inline]
    pub fn value(&self, slot: Slot) -> Value<'a> {
        let found = &self.found[slot as usize];
        let text = self.part(found);
        match found.kind {
            Kind::Absent | Kind::Null => Value::Null,
            Kind::True => Value::Bool(true),
            Kind::False => Value::Bool(false),
            Kind::Integer => match text.parse() {
                Ok(n) if text != "-0" => Value::Int(n),
                _ => Value::Number(Cow::Borrowed(text)),
            },
            Kind::Number => Value::Number(Cow::Borrowed(text)),
            Kind::Text => Value::Text(Cow::Borrowed(text)),
            Kind::Escaped => json::value(text),
            Kind::Container => Value::Json(Cow::Borrowed(text)),
        }
    }
}
