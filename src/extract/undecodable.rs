//! Why a record could not be read: a short closed list of reasons, each with its detail and place.

use std::fmt;

/// The kinds of reasons, for counting.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Reason {
    /// Not UTF-8.
    InvalidUtf8,
    /// Against the format's grammar.
    Syntax,
    /// The record ends in the middle.
    Truncated,
    /// Not as many columns as the header names.
    Columns,
    /// No time where one is needed.
    NoTime,
    /// A time that cannot be read.
    BadTime,
    /// A time that cannot be right: beyond the machine's clock.
    WildTime,
    /// Longer than a record may be.
    TooLong,
    /// Nested deeper than a record may be.
    TooDeep,
    /// Does not match the source's regular expression.
    NoMatch,
}

impl Reason {
    /// The name under which it is counted.
    pub fn name(self) -> &'static str {
        match self {
            Reason::InvalidUtf8 => "invalid_utf8",
            Reason::Syntax => "syntax",
            Reason::Truncated => "truncated",
            Reason::Columns => "columns",
            Reason::NoTime => "no_time",
            Reason::BadTime => "bad_time",
            Reason::WildTime => "wild_time",
            Reason::TooLong => "too_long",
            Reason::TooDeep => "too_deep",
            Reason::NoMatch => "no_match",
        }
    }
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// A record that could not be read.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{reason}: {detail}")]
pub struct Undecodable {
    /// The kind.
    pub reason: Reason,
    /// What exactly, for people.
    pub detail: String,
    /// The byte of the record at which it is, where that is known.
    pub at: Option<usize>,
}

impl Undecodable {
    /// One whose place is known.
    pub fn at(reason: Reason, at: usize, detail: impl Into<String>) -> Undecodable {
        Undecodable { reason, detail: detail.into(), at: Some(at) }
    }

    /// One that concerns the whole record.
    pub fn whole(reason: Reason, detail: impl Into<String>) -> Undecodable {
        Undecodable { reason, detail: detail.into(), at: None }
    }
}

/// The record as text.
pub fn utf8(payload: &[u8]) -> Result<&str, Undecodable> {
    std::str::from_utf8(payload).map_err(|e| {
        let at = e.valid_up_to();
        Undecodable::at(Reason::InvalidUtf8, at, format!("byte 0x{:02x} is not UTF-8", payload[at]))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn invalid_text_is_shown_by_place() {
        let bad = utf8(b"caf\xe9 au lait").unwrap_err();
        assert_eq!(bad, Undecodable::at(Reason::InvalidUtf8, 3, "byte 0xe9 is not UTF-8"));
        assert_eq!(bad.to_string(), "invalid_utf8: byte 0xe9 is not UTF-8");
        assert_eq!(utf8("café".as_bytes()), Ok("café"));
    }
}
