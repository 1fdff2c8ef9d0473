//! Event times as sources write them.

use crate::model::time::Time;
use crate::model::value::Value;
use chrono_tz::Tz;

/// Reads the event times of one source.
#[derive(Clone, Debug)]
pub struct TimeReader {
    format: Option<String>,
    zone: Tz,
}

/// Why a value is not a time.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct BadTime(pub String);

impl TimeReader {
    /// For times that are RFC 3339, epoch numbers, or written in `time_format` (strftime); those that
    /// name no zone are of `zone`.
    pub fn new(time_format: Option<&str>, zone: Tz) -> Result<TimeReader, String> {
        Ok(TimeReader { format: time_format.map(str::to_owned), zone })
    }

    /// The time that a value stands for.
    pub fn read(&self, _value: &Value<'_>) -> Result<Time, BadTime> {
        todo!("{:?} {:?}", self.format, self.zone)
    }
}
