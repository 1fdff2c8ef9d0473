//! Moments as people write them in the configuration and on the command line.

use crate::model::time::Time;
use chrono::{DateTime, LocalResult, NaiveDate, NaiveDateTime, TimeZone};
use chrono_tz::Tz;

/// What [`read`] accepts, for messages.
pub const FORMS: &str = "a time is written like 2023-01-29T08:50:00Z, 2023-01-29T09:50:00+01:00 or 2023-01-29";

/// Reads RFC 3339; text without an offset, and a date alone, is of `zone`. Where the clocks were put
/// back and a time came twice, the earlier one is meant; one that never came is none.
pub fn read(text: &str, zone: Tz) -> Option<Time> {
    let text = text.trim();
    if let Ok(at) = DateTime::parse_from_rfc3339(text) {
        return at.timestamp_nanos_opt().map(Time);
    }
    let local = ["%Y-%m-%dT%H:%M:%S%.f", "%Y-%m-%d %H:%M:%S%.f", "%Y-%m-%dT%H:%M", "%Y-%m-%d %H:%M"]
        .iter()
        .find_map(|form| NaiveDateTime::parse_from_str(text, form).ok())
        .or_else(|| NaiveDate::parse_from_str(text, "%Y-%m-%d").ok()?.and_hms_opt(0, 0, 0))?;
    match zone.from_local_datetime(&local) {
        LocalResult::Single(at) | LocalResult::Ambiguous(at, _) => at.timestamp_nanos_opt().map(Time),
        LocalResult::None => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn moments_read_with_and_without_a_zone() {
        let shown = |text: &str, zone: Tz| read(text, zone).map(|time| time.to_string());
        let utc = Some("2023-01-29T08:50:00Z".to_string());
        assert_eq!(shown("2023-01-29T08:50:00Z", Tz::UTC), utc);
        assert_eq!(shown("2023-01-29T09:50:00+01:00", Tz::UTC), utc);
        assert_eq!(shown("2023-01-29 09:50", Tz::Europe__Berlin), utc);
        assert_eq!(shown("2023-01-29", Tz::UTC).unwrap(), "2023-01-29T00:00:00Z");
        assert_eq!(shown("2023-03-26T02:30:00", Tz::Europe__Berlin), None, "the clocks were put forward");
        assert_eq!(shown("soon", Tz::UTC), None);
        assert_eq!(shown("9999-01-01T00:00:00Z", Tz::UTC), None, "beyond what event time can hold");
    }
}
