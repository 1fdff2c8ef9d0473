//! Event times as sources write them.

use crate::model::strftime::TimeFormat;
use crate::model::time::Time;
pub use crate::model::timestamp::BadTime;
use crate::model::timestamp::{epoch, epoch_decimal, read};
use crate::model::value::Value;
use chrono_tz::Tz;

/// Reads the event times of one source: RFC 3339 and epoch numbers, or what its `time_format` says.
#[derive(Clone, Debug)]
pub struct TimeReader {
    format: Option<TimeFormat>,
    zone: Tz,
    minute: Minute,
}

impl TimeReader {
    /// A reader of times of which those that name no zone are of `zone`. The error says what is wrong
    /// with the format.
    pub fn new(time_format: Option<&str>, zone: Tz) -> Result<TimeReader, String> {
        Ok(TimeReader { format: time_format.map(TimeFormat::new).transpose()?, zone, minute: Minute::default() })
    }

    /// The time that a value stands for.
    #[inline]
    pub fn read(&mut self, value: &Value<'_>) -> Result<Time, BadTime> {
        match (&self.format, value) {
            (_, Value::Text(text)) => self.read_text(text),
            (None, Value::Int(n)) => epoch(*n),
            (None, Value::Number(_)) => value.decimal().map_or_else(|| Err(no_time(value)), epoch_decimal),
            (Some(format), Value::Int(_) | Value::Number(_)) => format.read(&value.display(), self.zone),
            _ => Err(no_time(value)),
        }
    }

    /// The time that a text stands for.
    #[inline]
    pub fn read_text(&mut self, text: &str) -> Result<Time, BadTime> {
        if let Some(format) = &self.format {
            return format.read(text, self.zone);
        }
        if let Some(time) = self.minute.read(text.as_bytes()) {
            return Ok(time);
        }
        let time = read(text, self.zone)?;
        self.minute.learn(text.as_bytes(), time);
        Ok(time)
    }
}

/// The minute of the time that was read last, in UTC: most often the next time is of the same one.
#[derive(Clone, Copy, Debug, Default)]
struct Minute {
    /// `2026-01-31T08:30`
    text: [u8; 16],
    start: Time,
}

impl Minute {
    /// A time of this minute; `None` where it is of another, or not spelt like `2026-01-31T08:30:05.25Z`.
    #[inline(always)]
    fn read(&self, text: &[u8]) -> Option<Time> {
        let (minute, rest) = text.split_first_chunk()?;
        if *minute != self.text { None } else { Some(Time(self.start.0 + second(rest)?)) }
    }

    #[cold]
    fn learn(&mut self, text: &[u8], time: Time) {
        // At the very end of time a minute has no room.
        if let Some((minute, rest)) = text.split_first_chunk()
            && let Some(second) = second(rest)
            && time.0 < i64::MAX - 60_000_000_000
        {
            *self = Minute { text: *minute, start: Time(time.0 - second) };
        }
    }
}

/// The nanoseconds of `:05.25Z`, up to the last second of an ordinary minute.
#[inline(always)]
fn second(text: &[u8]) -> Option<i64> {
    let [b':', tens, ones, fraction @ .., b'Z'] = text else { return None };
    let (tens, ones) = (tens.wrapping_sub(b'0'), ones.wrapping_sub(b'0'));
    let (digits, mut unit) = match fraction {
        [] => (fraction, 0),
        [b'.', digits @ ..] if matches!(digits.len(), 1..=9) => (digits, 1_000_000_000),
        _ => return None,
    };
    let mut nanos = (i64::from(tens) * 10 + i64::from(ones)) * 1_000_000_000;
    let mut wrong = tens > 5 || ones > 9;
    for digit in digits {
        let digit = digit.wrapping_sub(b'0');
        wrong |= digit > 9;
        unit /= 10;
        nanos += i64::from(digit) * unit;
    }
    (!wrong).then_some(nanos)
}

#[cold]
fn no_time(value: &Value<'_>) -> BadTime {
    BadTime(match value {
        Value::Null => "there is no time".into(),
        Value::Bool(_) => "true or false is no time".into(),
        Value::Json(_) => "a list or an object is no time".into(),
        other => format!("{} is no time", other.display().chars().take(40).collect::<String>()).into(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn any_value_is_a_time_or_says_why_not() {
        let mut reader = TimeReader::new(None, Tz::Europe__Berlin).unwrap();
        let mut shown = |value: Value<'_>| reader.read(&value).map_or_else(|e| e.to_string(), |time| time.to_string());
        let noon = "2026-07-01T10:00:00Z";
        for value in [
            Value::Text("2026-07-01T12:00:00".into()),
            Value::Text("2026-07-01T10:00:00Z".into()),
            Value::Text("1782900000".into()),
            Value::Int(1_782_900_000),
            Value::Int(1_782_900_000_000),
            Value::Number("1782900000.0".into()),
            Value::Number("1.7829e9".into()),
        ] {
            assert_eq!(shown(value.clone()), noon, "{value:?}");
        }
        for value in [
            Value::Null,
            Value::Bool(true),
            Value::Int(0),
            Value::Int(-1),
            Value::Number("1e400".into()),
            Value::Number("-0.5".into()),
            Value::Text("".into()),
            Value::Text("9999-12-31T00:00:00Z".into()),
            Value::Json("[]".into()),
        ] {
            assert!(!shown(value.clone()).ends_with('Z'), "{value:?}");
        }
    }

    #[test]
    fn a_format_reads_text_and_numbers() {
        let mut reader = TimeReader::new(Some("%Y%m%d%H%M%S"), Tz::UTC).unwrap();
        let expected = "2026-01-31T08:30:00Z";
        assert_eq!(reader.read(&Value::Int(20_260_131_083_000)).unwrap().to_string(), expected);
        assert_eq!(reader.read(&Value::Text("20260131083000".into())).unwrap().to_string(), expected);
        assert!(reader.read(&Value::Null).is_err());
        assert!(TimeReader::new(Some("%b %d %H:%M:%S"), Tz::UTC).unwrap_err().contains("year"));
    }

    proptest! {
        #[test]
        fn a_time_of_the_same_minute_is_read_as_any_other(
            minute in "20[0-9]{2}-0[1-9]-[0-2][1-8][T ][01][0-9]:[0-5][0-9]|2262-04-11T23:47",
            rests in prop::collection::vec(":([0-6][0-9])(\\.[0-9]{0,10})?(Z|z|\\+02:00|)?|:5aZ|:05.2xZ", 1..6),
        ) {
            let mut reader = TimeReader::new(None, Tz::UTC).unwrap();
            for rest in rests {
                let text = format!("{minute}{rest}");
                prop_assert_eq!(reader.read_text(&text), read(&text, Tz::UTC), "{}", text);
            }
        }
    }
}
