//! Event time and spans of it, in nanoseconds.

use chrono::{DateTime, SecondsFormat, Utc};
use serde::{Deserialize, Serialize};
use std::fmt;
use std::ops::{Add, Sub};
use zerocopy::{FromBytes, Immutable, IntoBytes};

/// A moment in event time: nanoseconds since 1970-01-01T00:00:00Z.
///
/// [`Time::MIN`] and [`Time::MAX`] stand for "before everything" and "after everything"; arithmetic
/// saturates at them, so they stay what they are.
#[derive(
    Clone,
    Copy,
    PartialEq,
    Eq,
    PartialOrd,
    Ord,
    Hash,
    Debug,
    Default,
    Serialize,
    Deserialize,
    FromBytes,
    IntoBytes,
    Immutable,
)]
#[repr(transparent)]
pub struct Time(pub i64);

/// A length of event time in nanoseconds, never negative where a user writes it.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Default, Serialize, Deserialize)]
pub struct Span(pub i64);

impl Time {
    /// Before everything.
    pub const MIN: Time = Time(i64::MIN);
    /// After everything.
    pub const MAX: Time = Time(i64::MAX);

    /// Whether this is a moment and not one of the two ends.
    pub fn is_finite(self) -> bool {
        self != Time::MIN && self != Time::MAX
    }

    /// The span from `earlier` to here; negative where `earlier` is later.
    pub fn since(self, earlier: Time) -> Span {
        Span(self.0.saturating_sub(earlier.0))
    }
}

impl Add<Span> for Time {
    type Output = Time;
    fn add(self, span: Span) -> Time {
        if self.is_finite() { Time(self.0.saturating_add(span.0)) } else { self }
    }
}

impl Sub<Span> for Time {
    type Output = Time;
    fn sub(self, span: Span) -> Time {
        if self.is_finite() { Time(self.0.saturating_sub(span.0)) } else { self }
    }
}

impl fmt::Display for Time {
    /// RFC 3339 in UTC with as many digits of the second as there are.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            Time::MIN => f.write_str("the beginning"),
            Time::MAX => f.write_str("the end"),
            Time(nanos) => {
                let at: DateTime<Utc> = DateTime::from_timestamp_nanos(nanos);
                f.write_str(&at.to_rfc3339_opts(SecondsFormat::AutoSi, true))
            }
        }
    }
}

/// Why a duration could not be read.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is not a duration; write it like 30s, 15m, 1h30m or 1d (units: ms s m h d w y)")]
pub struct BadSpan(pub String);

const UNITS: [(&str, i64); 7] = [
    ("y", 365 * 86_400_000_000_000),
    ("w", 7 * 86_400_000_000_000),
    ("d", 86_400_000_000_000),
    ("h", 3_600_000_000_000),
    ("m", 60_000_000_000),
    ("s", 1_000_000_000),
    ("ms", 1_000_000),
];

impl Span {
    /// No time at all.
    pub const ZERO: Span = Span(0);

    /// So many seconds.
    pub const fn seconds(n: i64) -> Span {
        Span(n * 1_000_000_000)
    }

    /// The larger of two.
    pub fn max(self, other: Span) -> Span {
        if self >= other { self } else { other }
    }

    /// Reads a duration as Prometheus writes them: `30s`, `15m`, `1h30m`, `1d`, `250ms`; units from
    /// large to small, each at most once. A bare `0` is no time.
    pub fn parse(text: &str) -> Result<Span, BadSpan> {
        let bad = || BadSpan(text.to_owned());
        if text == "0" {
            return Ok(Span::ZERO);
        }
        let mut rest = text;
        let mut total: i64 = 0;
        let mut next_unit = 0;
        while !rest.is_empty() {
            let digits = rest.bytes().take_while(u8::is_ascii_digit).count();
            let number: i64 = rest[..digits].parse().map_err(|_| bad())?;
            rest = &rest[digits..];
            let letters = rest.bytes().take_while(u8::is_ascii_alphabetic).count();
            let unit = &rest[..letters];
            rest = &rest[letters..];
            let at = UNITS[next_unit..].iter().position(|(name, _)| *name == unit).ok_or_else(bad)?;
            let nanos = number.checked_mul(UNITS[next_unit + at].1).ok_or_else(bad)?;
            total = total.checked_add(nanos).ok_or_else(bad)?;
            next_unit += at + 1;
        }
        if text.is_empty() { Err(bad()) } else { Ok(Span(total)) }
    }

    /// Whole milliseconds, rounded down.
    pub fn as_millis(self) -> i64 {
        self.0.div_euclid(1_000_000)
    }
}

impl Add for Span {
    type Output = Span;
    fn add(self, other: Span) -> Span {
        Span(self.0.saturating_add(other.0))
    }
}

impl fmt::Display for Span {
    /// As [`Span::parse`] reads it; what is finer than a millisecond is shown in microseconds or nanoseconds.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut rest = self.0;
        if rest == 0 {
            return f.write_str("0s");
        }
        if rest < 0 {
            f.write_str("-")?;
            rest = rest.saturating_neg();
        }
        for (name, nanos) in &UNITS[2..] {
            if rest >= *nanos {
                write!(f, "{}{name}", rest / nanos)?;
                rest %= nanos;
            }
        }
        match rest {
            0 => Ok(()),
            rest if rest % 1_000 == 0 => write!(f, "{}us", rest / 1_000),
            rest => write!(f, "{rest}ns"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_read_and_show_as_written() {
        for text in ["30s", "15m", "1h30m", "1d", "250ms", "1d12h", "2m500ms"] {
            assert_eq!(Span::parse(text).unwrap().to_string(), text);
        }
        assert_eq!(Span(4_627_000).to_string(), "4ms627us");
        assert_eq!(Span(4_627_001).to_string(), "4ms627001ns");
        assert_eq!(Span::parse("1w").unwrap(), Span::parse("7d").unwrap());
        for text in ["", "5", "m", "1m1h", "1h1h", "1.5h", "-1s", "1 h", "1x", "99999999999y"] {
            assert!(Span::parse(text).is_err(), "{text}");
        }
    }

    #[test]
    fn ends_of_time_absorb() {
        assert_eq!(Time::MAX + Span::seconds(1), Time::MAX);
        assert_eq!(Time::MIN + Span::seconds(1), Time::MIN);
        assert_eq!(Time(5) - Span(3), Time(2));
        assert_eq!(Time(1_500_000_000).to_string(), "1970-01-01T00:00:01.500Z");
    }
}
