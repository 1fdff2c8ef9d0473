//! What a look at a system says to whoever configures it: `check --connect`.

use super::live::{Failure, Intake, Record, Stopped};
use super::waiting::Halt;
use crate::model::time::Time;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// How good what was found is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Weight {
    /// As it should be.
    Good,
    /// It works, and not as well as it could; or something is not known.
    Warning,
    /// It does not work.
    Error,
}

/// One thing that was found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Remark {
    /// How good it is.
    pub weight: Weight,
    /// What it is, and what to do.
    pub text: String,
}

impl Remark {
    /// As it should be.
    pub fn good(text: impl Into<String>) -> Remark {
        Remark { weight: Weight::Good, text: text.into() }
    }

    /// It works, and not as well as it could.
    pub fn warning(text: impl Into<String>) -> Remark {
        Remark { weight: Weight::Warning, text: text.into() }
    }

    /// It does not work.
    pub fn error(text: impl Into<String>) -> Remark {
        Remark { weight: Weight::Error, text: text.into() }
    }
}

/// All that a look has found, also where it came to no end.
pub(super) fn looked(look: impl FnOnce(&mut Vec<Remark>) -> Result<(), Halt>) -> Vec<Remark> {
    let mut remarks = Vec::new();
    if let Err(Halt::Failed(Failure(why))) = look(&mut remarks) {
        remarks.push(Remark::error(why));
    }
    remarks
}

/// The intake of a look: nothing is taken, nothing stops it.
pub(super) struct Alone;

impl Intake for Alone {
    fn part(&mut self, _name: &str) -> u32 {
        0
    }

    fn header(&mut self, _part: u32, _payload: &[u8]) {}

    fn record(&mut self, _record: Record<'_>) {}

    fn undecodable(&mut self, _part: u32, _offset: u64, _reason: &'static str, _detail: &str, _text: &[u8]) {}

    fn hole(&mut self, _why: &str) {}

    fn caught_up(&mut self, _at: Time) {}

    fn deliver(&mut self, _cursor: &[u8]) -> Result<(), Stopped> {
        Ok(())
    }

    fn durable(&mut self) -> Option<&[u8]> {
        None
    }

    fn trouble(&mut self, _what: &str) {}

    fn pause(&mut self, span: Duration) -> Result<(), Stopped> {
        std::thread::sleep(span);
        Ok(())
    }

    fn now(&self) -> Time {
        let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        Time(i64::try_from(since.as_nanos()).unwrap_or(i64::MAX))
    }
}
