//! Values of kept fields, and how two of them compare.

use rust_decimal::Decimal;
use serde::{Deserialize, Serialize};
use std::borrow::Cow;
use std::cmp::Ordering;
use std::str::FromStr;

/// A value taken from a record. Numbers beyond `i64`, and those with a fraction or an exponent, keep
/// their spelling, so that money is never a float.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Value<'a> {
    /// Absent or null.
    Null,
    /// True or false.
    Bool(bool),
    /// A whole number within 64 bits.
    Int(i64),
    /// Any other number, as the record spelt it.
    Number(Cow<'a, str>),
    /// Text, unescaped.
    Text(Cow<'a, str>),
    /// A list or an object, as JSON text.
    Json(Cow<'a, str>),
}

impl<'a> Value<'a> {
    /// The same value, owning its text.
    pub fn into_owned(self) -> Value<'static> {
        match self {
            Value::Null => Value::Null,
            Value::Bool(b) => Value::Bool(b),
            Value::Int(n) => Value::Int(n),
            Value::Number(t) => Value::Number(Cow::Owned(t.into_owned())),
            Value::Text(t) => Value::Text(Cow::Owned(t.into_owned())),
            Value::Json(t) => Value::Json(Cow::Owned(t.into_owned())),
        }
    }

    /// The same value, lent.
    pub fn borrowed(&self) -> Value<'_> {
        match self {
            Value::Null => Value::Null,
            Value::Bool(b) => Value::Bool(*b),
            Value::Int(n) => Value::Int(*n),
            Value::Number(t) => Value::Number(Cow::Borrowed(t)),
            Value::Text(t) => Value::Text(Cow::Borrowed(t)),
            Value::Json(t) => Value::Json(Cow::Borrowed(t)),
        }
    }

    /// The value as an exact decimal, for numbers and for text that is a decimal ("12.50").
    /// `None` for anything else, and for numbers beyond 28 digits.
    pub fn decimal(&self) -> Option<Decimal> {
        match self {
            Value::Int(n) => Some(Decimal::from(*n)),
            Value::Number(t) | Value::Text(t) => parse_decimal(t),
            _ => None,
        }
    }

    /// Whether two values are the same: decimals by value where both sides are decimals, everything
    /// else byte for byte; null equals null alone.
    pub fn same(&self, other: &Value<'_>) -> bool {
        if let (Value::Int(a), Value::Int(b)) = (self, other) {
            return a == b;
        }
        if let (Some(a), Some(b)) = (self.decimal(), other.decimal()) {
            return a == b;
        }
        match (self, other) {
            (Value::Null, Value::Null) => true,
            (Value::Bool(a), Value::Bool(b)) => a == b,
            (Value::Text(a) | Value::Number(a), Value::Text(b) | Value::Number(b)) => a == b,
            (Value::Json(a), Value::Json(b)) => a == b,
            _ => false,
        }
    }

    /// Order for `min`, `max` and `<`: decimals by value, else text byte for byte; `None` where the
    /// two cannot be compared.
    pub fn order(&self, other: &Value<'_>) -> Option<Ordering> {
        if let (Some(a), Some(b)) = (self.decimal(), other.decimal()) {
            return Some(a.cmp(&b));
        }
        match (self, other) {
            (Value::Text(a), Value::Text(b)) => Some(a.as_bytes().cmp(b.as_bytes())),
            (Value::Bool(a), Value::Bool(b)) => Some(a.cmp(b)),
            _ => None,
        }
    }

    /// As people and templates see it: text bare, null as `null`.
    pub fn display(&self) -> Cow<'_, str> {
        match self {
            Value::Null => Cow::Borrowed("null"),
            Value::Bool(b) => Cow::Borrowed(if *b { "true" } else { "false" }),
            Value::Int(n) => Cow::Owned(n.to_string()),
            Value::Number(t) | Value::Text(t) | Value::Json(t) => Cow::Borrowed(t),
        }
    }

    /// As JSON, for outputs.
    pub fn to_json(&self) -> serde_json::Value {
        match self {
            Value::Null => serde_json::Value::Null,
            Value::Bool(b) => (*b).into(),
            Value::Int(n) => (*n).into(),
            Value::Number(t) | Value::Json(t) => serde_json::from_str(t).unwrap_or_else(|_| t.as_ref().into()),
            Value::Text(t) => t.as_ref().into(),
        }
    }

    /// Appends the compact form that [`Value::decode`] reads.
    pub fn encode(&self, out: &mut Vec<u8>) {
        match self {
            Value::Null => out.push(0),
            Value::Bool(false) => out.push(1),
            Value::Bool(true) => out.push(2),
            Value::Int(n) => {
                out.push(3);
                put_varint(out, zigzag(*n));
            }
            Value::Number(t) => put_text(out, 4, t),
            Value::Text(t) => put_text(out, 5, t),
            Value::Json(t) => put_text(out, 6, t),
        }
    }

    /// How many bytes the value at the front of `bytes` takes; 0 where there is none.
    #[inline]
    pub fn length(bytes: &[u8]) -> usize {
        let Some((tag, mut rest)) = bytes.split_first() else { return 0 };
        match tag {
            0..=2 => 1,
            3 => 2 + rest.iter().take_while(|byte| **byte >= 0x80).count(),
            _ => {
                let text = get_varint(&mut rest) as usize;
                bytes.len() - rest.len() + text
            }
        }
    }

    /// Reads one value from the front of `bytes`, which [`Value::encode`] wrote.
    pub fn decode(bytes: &mut &'a [u8]) -> Value<'a> {
        let tag = bytes[0];
        *bytes = &bytes[1..];
        match tag {
            0 => Value::Null,
            1 => Value::Bool(false),
            2 => Value::Bool(true),
            3 => Value::Int(unzigzag(get_varint(bytes))),
            4 => Value::Number(get_text(bytes)),
            5 => Value::Text(get_text(bytes)),
            6 => Value::Json(get_text(bytes)),
            other => unreachable!("value tag {other} was never written"),
        }
    }
}

fn parse_decimal(text: &str) -> Option<Decimal> {
    let first = *text.as_bytes().first()?;
    if !(first.is_ascii_digit() || first == b'-') {
        return None;
    }
    if text.contains('_') {
        return None;
    }
    Decimal::from_str(text).or_else(|_| Decimal::from_scientific(text)).ok()
}

fn put_text(out: &mut Vec<u8>, tag: u8, text: &str) {
    out.push(tag);
    put_varint(out, text.len() as u64);
    out.extend_from_slice(text.as_bytes());
}

fn get_text<'a>(bytes: &mut &'a [u8]) -> Cow<'a, str> {
    let length = get_varint(bytes) as usize;
    let (text, rest) = bytes.split_at(length);
    *bytes = rest;
    Cow::Borrowed(std::str::from_utf8(text).expect("encoded text is UTF-8"))
}

/// Appends an unsigned LEB128 number.
#[inline]
pub fn put_varint(out: &mut Vec<u8>, mut n: u64) {
    while n >= 0x80 {
        out.push(n as u8 | 0x80);
        n >>= 7;
    }
    out.push(n as u8);
}

/// How many bytes [`put_varint`] appends.
#[inline]
pub fn varint_length(n: u64) -> usize {
    if n < 0x80 { 1 } else { (u64::BITS - n.leading_zeros()).div_ceil(7) as usize }
}

/// Reads an unsigned LEB128 number from the front of `bytes`.
#[inline]
pub fn get_varint(bytes: &mut &[u8]) -> u64 {
    let first = bytes[0];
    if first < 0x80 {
        *bytes = &bytes[1..];
        return u64::from(first);
    }
    let mut n = u64::from(first & 0x7f);
    let (mut at, mut shift) = (1, 7);
    loop {
        let byte = bytes[at];
        at += 1;
        n |= u64::from(byte & 0x7f) << shift;
        if byte < 0x80 {
            *bytes = &bytes[at..];
            return n;
        }
        shift += 7;
    }
}

/// Maps small magnitudes of either sign to small unsigned numbers.
#[inline]
pub fn zigzag(n: i64) -> u64 {
    ((n << 1) ^ (n >> 63)) as u64
}

/// Undoes [`zigzag`].
#[inline]
pub fn unzigzag(n: u64) -> i64 {
    (n >> 1) as i64 ^ -((n & 1) as i64)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(t: &str) -> Value<'_> {
        Value::Text(Cow::Borrowed(t))
    }

    #[test]
    fn values_survive_encoding() {
        let all = [
            Value::Null,
            Value::Bool(true),
            Value::Int(i64::MIN),
            Value::Number("1e400".into()),
            text("ü"),
            Value::Json("[1]".into()),
        ];
        let mut bytes = Vec::new();
        all.iter().for_each(|v| v.encode(&mut bytes));
        let mut rest = bytes.as_slice();
        for value in &all {
            let length = Value::length(rest);
            let left = rest.len();
            assert_eq!(&Value::decode(&mut rest), value);
            assert_eq!(left - rest.len(), length);
        }
        assert!(rest.is_empty() && Value::length(rest) == 0);
    }

    #[test]
    fn numbers_agree_whatever_their_spelling() {
        assert!(text("007").same(&Value::Int(7)));
        assert!(Value::Number("12.50".into()).same(&text("12.5")));
        assert!(Value::Number("1e2".into()).same(&Value::Int(100)));
        assert!(!text("7a").same(&Value::Int(7)));
        assert!(!Value::Null.same(&text("")));
        assert!(Value::Null.same(&Value::Null));
        assert_eq!(text("10").order(&text("9")), Some(Ordering::Greater));
        assert_eq!(text("b").order(&text("a")), Some(Ordering::Greater));
    }
}
