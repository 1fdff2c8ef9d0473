//! Times as text and numbers spell them: RFC 3339, and seconds, milliseconds, microseconds or
//! nanoseconds since 1970.

use super::time::Time;
use super::value::Value;
use chrono::{DateTime, Days, NaiveDateTime, Offset, TimeZone};
use chrono_tz::Tz;
use rust_decimal::Decimal;
use rust_decimal::prelude::ToPrimitive;
use std::borrow::Cow;

/// Why a value is not a time.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct BadTime(pub Cow<'static, str>);

const NANOS: i64 = 1_000_000_000;

/// Reads RFC 3339, or an epoch number in text.
///
/// Beyond RFC 3339: `T` may be a space, the offset may be `+02`, `+0200`, set off by a space, or
/// missing: then the time is of `zone`. A fraction finer than nanoseconds is cut off. The leap second
/// 60 is the first moment of the next minute.
pub fn read(text: &str, zone: Tz) -> Result<Time, BadTime> {
    if let Some(time) = rfc3339(text.as_bytes(), zone) {
        return time;
    }
    match text.parse::<i64>() {
        Ok(n) => epoch(n),
        Err(_) => match Value::Text(Cow::Borrowed(text)).decimal() {
            Some(decimal) => epoch_decimal(decimal),
            None => Err(bad_text(text)),
        },
    }
}

/// Reads an epoch number, whose unit follows from its size: below 1e11 it is seconds, below 1e14
/// milliseconds, below 1e17 microseconds, else nanoseconds. Zero and less is no time.
#[inline]
pub fn epoch(number: i64) -> Result<Time, BadTime> {
    let unit = match number {
        ..=0 => return Err(no_time()),
        1..100_000_000_000 => NANOS,
        100_000_000_000..100_000_000_000_000 => 1_000_000,
        100_000_000_000_000..100_000_000_000_000_000 => 1_000,
        _ => 1,
    };
    number.checked_mul(unit).ok_or_else(out_of_range).and_then(finite)
}

/// Reads an epoch number with a fraction, such as 1700000000.123; what is finer than nanoseconds is
/// cut off.
pub fn epoch_decimal(number: Decimal) -> Result<Time, BadTime> {
    let whole = number.trunc().to_i64().ok_or_else(out_of_range)?;
    if number <= Decimal::ZERO {
        return Err(no_time());
    }
    let unit = match whole {
        0..100_000_000_000 => NANOS,
        100_000_000_000..100_000_000_000_000 => 1_000_000,
        100_000_000_000_000..100_000_000_000_000_000 => 1_000,
        _ => 1,
    };
    let nanos = number.checked_mul(Decimal::from(unit)).and_then(|n| n.trunc().to_i64());
    nanos.ok_or_else(out_of_range).and_then(finite)
}

/// The moment at which the clocks of `zone` show `local`. Where they show it twice (the hour that
/// comes again in autumn) it is the first time; where they skip it (in spring) it is as late after
/// the change as it would have been without.
pub fn in_zone(local: NaiveDateTime, zone: Tz) -> Result<Time, BadTime> {
    let offset = match zone.offset_from_local_datetime(&local).earliest() {
        Some(offset) => offset,
        None => {
            let day_before = local.checked_sub_days(Days::new(1)).ok_or_else(out_of_range)?;
            zone.offset_from_local_datetime(&day_before).earliest().ok_or_else(out_of_range)?
        }
    };
    let utc = local.checked_sub_offset(offset.fix()).ok_or_else(out_of_range)?;
    utc.and_utc().timestamp_nanos_opt().ok_or_else(out_of_range).and_then(finite)
}

/// `None` where the text does not even begin like RFC 3339.
#[inline]
fn rfc3339(text: &[u8], zone: Tz) -> Option<Result<Time, BadTime>> {
    let (date, rest) = text.split_first_chunk::<19>()?;
    let separators = [date[4], date[7], date[13], date[16]];
    if separators != *b"--::" || !matches!(date[10], b'T' | b't' | b' ') {
        return None;
    }
    let mut wrong = 0;
    let mut two = |at: usize| {
        let (tens, ones) = (date[at].wrapping_sub(b'0'), date[at + 1].wrapping_sub(b'0'));
        wrong |= u8::from(tens > 9) | u8::from(ones > 9);
        u32::from(tens) * 10 + u32::from(ones)
    };
    let year = two(0) * 100 + two(2);
    let (month, day) = (two(5), two(8));
    let (hour, minute, second) = (two(11), two(14), two(17));
    if wrong != 0 {
        return None;
    }
    if !(1..=12).contains(&month)
        || day == 0
        || (day > 28 && day > days_of(year, month))
        || hour > 23
        || minute > 59
        || second > 60
    {
        return Some(Err(BadTime("there is no such day or hour".into())));
    }
    let (nanos, rest) = fraction(rest)?;
    let clock = hour * 3_600 + minute * 60 + second;
    let seconds = days_since_1970(year, month, day) * 86_400 + i64::from(clock);
    let nanos = if second == 60 { 0 } else { nanos };
    Some(match offset(rest)? {
        Some(offset) => join(seconds - offset, nanos),
        None if zone == Tz::UTC => join(seconds, nanos),
        None => match DateTime::from_timestamp(seconds, nanos) {
            Some(local) => in_zone(local.naive_utc(), zone),
            None => Err(out_of_range()),
        },
    })
}

#[inline]
fn pair(tens: u8, ones: u8) -> Option<u32> {
    let (tens, ones) = (tens.wrapping_sub(b'0'), ones.wrapping_sub(b'0'));
    (tens < 10 && ones < 10).then(|| u32::from(tens) * 10 + u32::from(ones))
}

/// The nanoseconds of a fraction, if there is one, and what follows it.
#[inline]
fn fraction(text: &[u8]) -> Option<(u32, &[u8])> {
    let Some((b'.' | b',', digits)) = text.split_first() else { return Some((0, text)) };
    let mut nanos = 0;
    let mut unit = 100_000_000;
    let mut count = 0;
    for digit in digits {
        let digit = digit.wrapping_sub(b'0');
        if digit > 9 {
            break;
        }
        nanos += u32::from(digit) * unit;
        unit /= 10;
        count += 1;
    }
    (count > 0).then(|| (nanos, &digits[count..]))
}

/// The seconds of an offset, `Some(None)` where there is none, `None` where it is wrong.
#[inline]
fn offset(text: &[u8]) -> Option<Option<i64>> {
    let (sign, digits) = match text {
        [] => return Some(None),
        [b'Z' | b'z'] => return Some(Some(0)),
        [b' ', rest @ ..] if !rest.is_empty() && rest[0] != b' ' => return offset(rest),
        b"UTC" => return Some(Some(0)),
        [b'+', digits @ ..] => (1, digits),
        [b'-', digits @ ..] => (-1, digits),
        _ => return None,
    };
    let (hours, minutes) = match *digits {
        [a, b] => (pair(a, b)?, 0),
        [a, b, c, d] | [a, b, b':', c, d] => (pair(a, b)?, pair(c, d)?),
        _ => return None,
    };
    (hours < 24 && minutes < 60).then(|| Some(sign * i64::from(hours * 3_600 + minutes * 60)))
}

fn days_of(year: u32, month: u32) -> u32 {
    match month {
        2 if year.is_multiple_of(4) && (!year.is_multiple_of(100) || year.is_multiple_of(400)) => 29,
        2 => 28,
        4 | 6 | 9 | 11 => 30,
        _ => 31,
    }
}

/// Days from 1970-01-01 by the Gregorian calendar; years begin in March, so that leap days are last.
#[inline]
fn days_since_1970(year: u32, month: u32, day: u32) -> i64 {
    // 400 years more than there are keep the count from going below zero.
    let (year, month) = if month > 2 { (year + 400, month - 3) } else { (year + 399, month + 9) };
    let (era, of_era) = (year / 400, year % 400);
    let of_year = (153 * month + 2) / 5 + day - 1;
    i64::from(era * 146_097 + of_era * 365 + of_era / 4 - of_era / 100 + of_year) - (719_468 + 146_097)
}

#[inline]
fn join(seconds: i64, nanos: u32) -> Result<Time, BadTime> {
    let nanos = seconds.checked_mul(NANOS).and_then(|n| n.checked_add(i64::from(nanos)));
    nanos.ok_or_else(out_of_range).and_then(finite)
}

#[inline]
fn finite(nanos: i64) -> Result<Time, BadTime> {
    let time = Time(nanos);
    if time.is_finite() { Ok(time) } else { Err(out_of_range()) }
}

#[cold]
fn out_of_range() -> BadTime {
    BadTime("the time is outside the years 1678 to 2261".into())
}

#[cold]
fn no_time() -> BadTime {
    BadTime("zero and less is no time".into())
}

#[cold]
fn bad_text(text: &str) -> BadTime {
    let shown: String = text.chars().take(40).collect();
    BadTime(format!("\"{shown}\" is not a time like 2026-01-31T08:30:00Z; `time_format` reads others").into())
}

#[cfg(test)]
mod tests {
    use super::*;
    use chrono::Utc;
    use proptest::prelude::*;

    fn utc(text: &str) -> Result<Time, BadTime> {
        read(text, Tz::UTC)
    }

    fn shown(text: &str) -> String {
        utc(text).map_or_else(|e| e.to_string(), |time| time.to_string())
    }

    #[test]
    fn many_spellings_of_one_moment() {
        let moment = utc("2026-01-01T08:30:00.120Z").unwrap();
        for text in [
            "2026-01-01t08:30:00.12z",
            "2026-01-01 08:30:00.120000000Z",
            "2026-01-01 08:30:00,120",
            "2026-01-01T08:30:00.1200000009Z",
            "2026-01-01T10:30:00.120+02:00",
            "2026-01-01 10:30:00.12+02",
            "2026-01-01 03:00:00.12-0530",
            "2026-01-01 10:30:00.12 +0200",
            "2026-01-01 08:30:00.12 UTC",
            "1767256200.12",
            "1767256200120",
            "1767256200120000",
            "1767256200120000000",
        ] {
            assert_eq!(utc(text), Ok(moment), "{text}");
        }
    }

    #[test]
    fn the_calendar_is_known() {
        assert_eq!(shown("2024-02-29T00:00:00Z"), "2024-02-29T00:00:00Z");
        assert_eq!(shown("2016-12-31T23:59:60Z"), "2017-01-01T00:00:00Z");
        assert_eq!(shown("2016-12-31T23:59:60.75Z"), "2017-01-01T00:00:00Z");
        assert_eq!(shown("1678-01-01T00:00:00Z"), "1678-01-01T00:00:00Z");
        for bad in [
            "2026-02-29T00:00:00Z",
            "1900-02-29T00:00:00Z",
            "2026-13-01T00:00:00Z",
            "2026-00-01T00:00:00Z",
            "2026-01-00T00:00:00Z",
            "2026-01-01T24:00:00Z",
            "2026-01-01T00:60:00Z",
            "2026-01-01T00:00:61Z",
            "9999-12-31T23:59:59Z",
            "0000-01-01T00:00:00Z",
            "2026-01-01T00:00:00.Z",
            "2026-01-01T00:00:00+2",
            "2026-01-01T00:00:00+25:00",
            "2026-01-01T00:00:00Zulu",
            "2026-01-01T00:00:00  Z",
            "2026-01-01T00:00",
            "2026-01-01",
            "20 6-01-01T00:00:00Z",
            "2026-1-01T00:00:00Z0",
            "yesterday",
            "",
            "-5",
            "0",
            "0.0",
            "1e30",
            "NaN",
        ] {
            assert!(utc(bad).is_err(), "{bad}: {}", shown(bad));
        }
        assert!(shown("soon").contains("time_format"));
    }

    #[test]
    fn epoch_numbers_tell_their_unit_by_their_size() {
        assert_eq!(epoch(1), Ok(Time(NANOS)));
        assert_eq!(epoch(99_999_999_999), Err(out_of_range()), "the year 5138");
        assert_eq!(epoch(100_000_000_000), Ok(Time(100_000_000_000 * 1_000_000)));
        assert_eq!(epoch(100_000_000_000_000), Ok(Time(100_000_000_000_000 * 1_000)));
        assert_eq!(epoch(100_000_000_000_000_000), Ok(Time(100_000_000_000_000_000)));
        assert_eq!(epoch(i64::MAX), Err(out_of_range()), "the end of time is no moment");
        assert_eq!(epoch(0), Err(no_time()));
        assert_eq!(epoch_decimal("0.5".parse().unwrap()), Ok(Time(NANOS / 2)));
        assert_eq!(epoch_decimal("1700000000.1234567891".parse().unwrap()), Ok(Time(1_700_000_000_123_456_789)));
        assert_eq!(epoch_decimal("1700000000000.5".parse().unwrap()), Ok(Time(1_700_000_000_000_500_000)));
    }

    #[test]
    fn local_times_at_the_change_of_clocks() {
        let berlin = |text: &str| read(text, Tz::Europe__Berlin).unwrap().to_string();
        assert_eq!(berlin("2026-07-01T12:00:00"), "2026-07-01T10:00:00Z");
        assert_eq!(berlin("2026-07-01T12:00:00Z"), "2026-07-01T12:00:00Z");
        assert_eq!(berlin("2026-03-29T02:30:00"), "2026-03-29T01:30:00Z", "skipped: 03:30 in summer time");
        assert_eq!(berlin("2026-10-25T02:30:00"), "2026-10-25T00:30:00Z", "twice: the first time");
        let apia = read("2011-12-30T12:00:00", Tz::Pacific__Apia).unwrap().to_string();
        assert_eq!(apia, "2011-12-30T22:00:00Z", "a day that was skipped");
    }

    proptest! {
        #[test]
        fn what_chrono_writes_is_read_alike(nanos in (i64::MIN + 1)..i64::MAX, minutes in -1439i32..1440, digits in 0usize..4) {
            let zone = chrono::FixedOffset::east_opt(minutes * 60).unwrap();
            let form = [chrono::SecondsFormat::Secs, chrono::SecondsFormat::Millis, chrono::SecondsFormat::Micros,
                chrono::SecondsFormat::Nanos][digits];
            let written = DateTime::from_timestamp_nanos(nanos).with_timezone(&zone).to_rfc3339_opts(form, minutes % 2 == 0);
            let expected = DateTime::parse_from_rfc3339(&written).unwrap().timestamp_nanos_opt();
            prop_assert_eq!(utc(&written).ok().map(|t| t.0), expected, "{}", written);
        }

        #[test]
        fn what_chrono_refuses_is_refused(text in "[0-9]{4}-[0-9]{2}-[0-9]{2}[Tt ][0-9]{2}:[0-9]{2}:[0-9]{2}(\\.[0-9]{1,9})?Z") {
            let theirs = DateTime::parse_from_rfc3339(&text).ok().map(|t| {
                let t = t.with_timezone(&Utc);
                // chrono keeps a leap second as more than 1e9 nanoseconds of second 59.
                let leap = t.timestamp_subsec_nanos() >= NANOS as u32;
                if leap { (t.timestamp() + 1).checked_mul(NANOS) } else { t.timestamp_nanos_opt() }
            });
            // chrono takes second 60 in any minute; so do we.
            prop_assert_eq!(utc(&text).ok().map(|t| t.0), theirs.flatten(), "{}", text);
        }

        #[test]
        fn no_text_is_too_strange(text in "\\PC{0,40}|[0-9T:Z. +-]{0,40}") {
            let _ = read(&text, Tz::America__New_York);
        }
    }
}
