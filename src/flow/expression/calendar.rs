//! The parts of a time: its year, its day, its hours.

use super::functions::text_of;
use super::val::Val;
use chrono::{DateTime, Datelike, FixedOffset, Offset, Timelike};
use chrono_tz::Tz;

type Local = DateTime<FixedOffset>;

/// A part of a date: `time.getMonth()`, or `time.getMonth("Europe/Berlin")`.
pub(super) fn part<'a>(args: Vec<Val<'a>>, read: fn(&Local) -> u32) -> Result<Val<'a>, String> {
    local(&args).map(|time| Val::Int(i64::from(read(&time))))
}

/// A hand of the clock, or for a duration the whole of it in this unit (for milliseconds, their part of
/// the second).
pub(super) fn hand<'a>(args: Vec<Val<'a>>, unit: i64, read: fn(&Local) -> u32) -> Result<Val<'a>, String> {
    match &args[0] {
        Val::Span(span) if unit == 0 => Ok(Val::Int(span.0 % 1_000_000_000 / 1_000_000)),
        Val::Span(span) => Ok(Val::Int(span.0 / unit)),
        _ => part(args, read),
    }
}

pub(super) fn full_year(time: &Local) -> u32 {
    time.year().unsigned_abs()
}

/// From 0.
pub(super) fn month(time: &Local) -> u32 {
    time.month0()
}

/// From 1.
pub(super) fn date(time: &Local) -> u32 {
    time.day()
}

/// From 0.
pub(super) fn day_of_month(time: &Local) -> u32 {
    time.day0()
}

/// Sunday is 0.
pub(super) fn day_of_week(time: &Local) -> u32 {
    time.weekday().num_days_from_sunday()
}

/// From 0.
pub(super) fn day_of_year(time: &Local) -> u32 {
    time.ordinal0()
}

pub(super) fn hours(time: &Local) -> u32 {
    time.hour()
}

pub(super) fn minutes(time: &Local) -> u32 {
    time.minute()
}

pub(super) fn seconds(time: &Local) -> u32 {
    time.second()
}

pub(super) fn milliseconds(time: &Local) -> u32 {
    time.timestamp_subsec_millis()
}

fn local(args: &[Val<'_>]) -> Result<Local, String> {
    let Val::Time(time) = &args[0] else {
        return Err(format!("a time is needed, not a {}: write timestamp(…) around it", args[0].type_name()));
    };
    let utc = DateTime::from_timestamp_nanos(time.0);
    let Some(zone) = args.get(1) else { return Ok(utc.fixed_offset()) };
    let zone = text_of(zone)?;
    if let Ok(zone) = zone.parse::<Tz>() {
        return Ok(utc.with_timezone(&zone).fixed_offset());
    }
    let signed = if zone.starts_with(['+', '-']) { zone.to_owned() } else { format!("+{zone}") };
    let offset: FixedOffset = signed.parse().map_err(|_| format!("`{zone}` is not a time zone, like Europe/Berlin"))?;
    Ok(utc.with_timezone(&offset.fix()))
}
