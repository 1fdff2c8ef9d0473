//! Times in a form of their own, described as strftime does.

use super::time::Time;
use super::timestamp::{BadTime, in_zone};
use chrono::format::{Fixed, Item, Numeric, Parsed, StrftimeItems, parse};
use chrono::{DateTime, NaiveTime};
use chrono_tz::Tz;
use std::borrow::Cow;

/// A form of times, such as `%d/%b/%Y:%H:%M:%S %z`, that names a whole date.
#[derive(Clone, Debug)]
pub struct TimeFormat {
    items: Vec<Item<'static>>,
    names_clock: bool,
}

impl TimeFormat {
    /// Understands a format. The error says what is wrong with it and what to do.
    pub fn new(text: &str) -> Result<TimeFormat, String> {
        let items = StrftimeItems::new(text).parse_to_owned().ok().filter(|_| text.contains('%'));
        let items = items.ok_or_else(|| format!("`{text}` is not a strftime format"))?;
        let names_clock = items.iter().any(names_clock);
        let names_year = items.iter().any(names_year);
        let format = TimeFormat { items, names_clock };
        // A format is good when it reads what it writes.
        let sample = DateTime::UNIX_EPOCH.fixed_offset();
        let written = sample.format_with_items(format.items.iter()).to_string();
        match format.read(&written, Tz::UTC) {
            Ok(_) => Ok(format),
            Err(_) if !names_year => Err(format!(
                "`{text}` names no year, so its times could be of any: let the log's writer add the year, or take the time \
                 from another field"
            )),
            Err(_) => Err(format!("`{text}` does not name a whole date")),
        }
    }

    /// Reads a time; one that names no offset is of `zone`. Without a time of day it is the day's first
    /// moment.
    pub fn read(&self, text: &str, zone: Tz) -> Result<Time, BadTime> {
        let bad = |_| other_form(text);
        let mut parsed = Parsed::new();
        parse(&mut parsed, text, self.items.iter()).map_err(bad)?;
        if parsed.offset().is_some() || parsed.timestamp().is_some() {
            let time = parsed.to_datetime().map_err(bad)?;
            return time.timestamp_nanos_opt().map(Time).filter(|t| t.is_finite()).ok_or_else(|| other_form(text));
        }
        let date = parsed.to_naive_date().map_err(bad)?;
        let clock = if self.names_clock { parsed.to_naive_time().map_err(bad)? } else { NaiveTime::MIN };
        in_zone(date.and_time(clock), zone)
    }
}

fn names_year(item: &Item<'_>) -> bool {
    use Numeric::{IsoYear, IsoYearMod100, Timestamp, Year, YearMod100};
    match item {
        Item::Numeric(part, _) => matches!(part, Year | YearMod100 | IsoYear | IsoYearMod100 | Timestamp),
        Item::Fixed(part) => matches!(part, Fixed::RFC2822 | Fixed::RFC3339),
        _ => false,
    }
}

fn names_clock(item: &Item<'_>) -> bool {
    matches!(item, Item::Numeric(Numeric::Hour | Numeric::Hour12 | Numeric::Minute | Numeric::Second, _))
}

#[cold]
fn other_form(text: &str) -> BadTime {
    let shown: String = text.chars().take(40).collect();
    BadTime(Cow::Owned(format!("\"{shown}\" is not a time in the form that `time_format` says")))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(format: &str, text: &str, zone: Tz) -> String {
        let format = TimeFormat::new(format).unwrap_or_else(|e| panic!("{e}"));
        format.read(text, zone).map_or_else(|e| e.to_string(), |time| time.to_string())
    }

    #[test]
    fn logs_write_times_in_many_ways() {
        for (format, text) in [
            ("%d/%b/%Y:%H:%M:%S %z", "31/Jan/2026:09:30:00 +0100"),
            ("%Y-%m-%d %H:%M:%S,%3f", "2026-01-31 08:30:00,000"),
            ("%Y-%m-%d %H:%M:%S%.f", "2026-01-31 08:30:00"),
            ("%a %b %e %H:%M:%S %Y", "Sat Jan 31 08:30:00 2026"),
            ("%m/%d/%y %I:%M:%S %p", "01/31/26 08:30:00 AM"),
            ("%Y%m%d%H%M%S", "20260131083000"),
            ("%Y/%j %T", "2026/031 08:30:00"),
            ("%s", "1769848200"),
            ("%c", "Sat Jan 31 08:30:00 2026"),
            ("[%+]", "[2026-01-31T08:30:00Z]"),
        ] {
            assert_eq!(shown(format, text, Tz::UTC), "2026-01-31T08:30:00Z", "{format}");
        }
    }

    #[test]
    fn the_zone_is_taken_where_none_is_written() {
        assert_eq!(shown("%F %T", "2026-07-01 12:00:00", Tz::Europe__Berlin), "2026-07-01T10:00:00Z");
        assert_eq!(shown("%F %T %z", "2026-07-01 12:00:00 +0000", Tz::Europe__Berlin), "2026-07-01T12:00:00Z");
        assert_eq!(shown("%F %T", "2026-03-29 02:30:00", Tz::Europe__Berlin), "2026-03-29T01:30:00Z");
        assert_eq!(shown("%d.%m.%Y", "01.07.2026", Tz::Europe__Berlin), "2026-06-30T22:00:00Z", "a day begins there");
        assert_eq!(shown("%F %T", "2016-12-31 23:59:60", Tz::UTC), "2017-01-01T00:00:00Z", "a leap second");
    }

    #[test]
    fn what_does_not_fit_is_no_time() {
        for text in
            ["", "2026-02-30 00:00:00", "2026-01-31", "2026-01-31 08:30:00 ", "31/Jan/2026", "9999-01-01 00:00:00"]
        {
            let said = shown("%Y-%m-%d %H:%M:%S", text, Tz::UTC);
            assert!(!said.ends_with('Z'), "{text}: {said}");
        }
    }

    #[test]
    fn formats_that_cannot_work_are_refused_with_the_remedy() {
        let refused = |format: &str| TimeFormat::new(format).unwrap_err();
        assert!(refused("%b %d %H:%M:%S").contains("names no year"), "syslog's old form");
        assert!(refused("%H:%M:%S").contains("names no year"));
        assert!(refused("%Y %H:%M").contains("whole date"));
        assert!(refused("%Y-%m-%d %I:%M").contains("whole date"), "morning or evening?");
        assert!(refused("%Y-%m-%d %Q").contains("not a strftime format"));
        assert!(refused("hours").contains("not a strftime format"));
        assert!(refused("").contains("not a strftime format"));
    }
}
