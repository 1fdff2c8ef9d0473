//! When to look at which transaction again: a calendar queue over event time.
//!
//! A wake-up may come late by less than [`BUCKET`], never early. One that outlived its transaction
//! is told apart by the place's generation.

use crate::model::time::Time;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// 2^26 ns: 67 ms of event time fall into one bucket.
const BUCKET: u32 = 26;

/// A transaction's place, and the generation of the place.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub(super) struct Wake {
    pub transaction: u32,
    pub generation: u16,
}

/// The wake-ups of one clock.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(super) struct Wheel {
    buckets: BTreeMap<i64, Vec<Wake>>,
}

impl Wheel {
    /// Wakes when progress reaches `due`.
    pub fn set(&mut self, due: Time, wake: Wake) {
        let bucket = (due.0 >> BUCKET).saturating_add(1);
        self.buckets.entry(bucket).or_default().push(wake);
    }

    /// The next bucket that progress has passed.
    pub fn pop(&mut self, progress: Time) -> Option<Vec<Wake>> {
        let first = self.buckets.first_entry()?;
        let passed = progress == Time::MAX || *first.key() <= progress.0 >> BUCKET;
        passed.then(|| first.remove())
    }

    /// The earliest wake-up, whatever the progress.
    pub fn pop_any(&mut self) -> Option<Wake> {
        let mut first = self.buckets.first_entry()?;
        let wake = first.get_mut().pop();
        if first.get().is_empty() {
            first.remove();
        }
        wake
    }
}
