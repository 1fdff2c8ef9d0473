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
}

impl TimeReader {
    /// A reader of times of which those that name no zone are of `zone`. The error says what is wrong
    /// with the format.
    pub fn new(time_format: Option<&str>, zone: Tz) -> Result<TimeReader, String> {
        Ok(TimeReader { format: time_format.map(TimeFormat::new).transpose()?, zone })
    }

    /// The time that a value stands for.
    #[inline]
    pub fn read(&self, value: &Value<'_>) -> Result<Time, BadTime> {
        match (&self.format, value) {
            (None, Value::Text(text)) => read(text, self.zone),
            (None, Value::Int(n)) => epoch(*n),
            (None, Value::Number(_)) => value.decimal().map_or_else(|| Err(no_time(value)), epoch_decimal),
            (Some(format), Value::Text(text)) => format.read(text, self.zone),
            (Some(format), Value::Int(_) | Value::Number(_)) => format.read(&value.display(), self.zone),
            _ => Err(no_time(value)),
        }
    }
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

    #[test]
    fn any_value_is_a_time_or_says_why_not() {
        let reader = TimeReader::new(None, Tz::Europe__Berlin).unwrap();
        let shown = |value: Value<'_>| reader.read(&value).map_or_else(|e| e.to_string(), |time| time.to_string());
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
        let reader = TimeReader::new(Some("%Y%m%d%H%M%S"), Tz::UTC).unwrap();
        let expected = "2026-01-31T08:30:00Z";
        assert_eq!(reader.read(&Value::Int(20_260_131_083_000)).unwrap().to_string(), expected);
        assert_eq!(reader.read(&Value::Text("20260131083000".into())).unwrap().to_string(), expected);
        assert!(reader.read(&Value::Null).is_err());
        assert!(TimeReader::new(Some("%b %d %H:%M:%S"), Tz::UTC).unwrap_err().contains("year"));
    }
}
