//! When to look at which transaction again: a calendar queue over event time.
//!
//! ```text
//! days, front to back    [ ][3][ ][1][ ] … one bucket of event time each, found by counting
//! later                  what lies beyond the last day, by its bucket
//! ```
//!
//! A wake-up may come late by less than two buckets, never early. One that outlived its transaction
//! is told apart by the place's generation.

use crate::model::time::Time;
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, VecDeque};

/// 2^26 ns: 67 ms of event time fall into one bucket.
const BUCKET: u32 = 26;
/// So many buckets are kept by counting: an hour and a quarter.
const DAYS_MAX: i64 = 1 << 16;

/// A transaction's place, and the generation of the place.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub(super) struct Wake {
    pub transaction: u32,
    pub generation: u16,
}

/// The wake-ups of one clock.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(super) struct Wheel {
    /// The bucket of the first day.
    first: i64,
    days: VecDeque<Vec<Wake>>,
    later: BTreeMap<i64, Vec<Wake>>,
}

impl Wheel {
    /// Wakes when progress reaches `due`.
    #[inline]
    pub fn set(&mut self, due: Time, wake: Wake) {
        let bucket = (due.0 >> BUCKET).saturating_add(1);
        if self.days.is_empty() {
            self.first = bucket;
        }
        let day = bucket.saturating_sub(self.first);
        if !(0..DAYS_MAX).contains(&day) {
            self.later.entry(bucket).or_default().push(wake);
            return;
        }
        let day = day as usize;
        if day >= self.days.len() {
            self.days.resize_with(day + 1, Vec::new);
        }
        self.days[day].push(wake);
    }

    /// The next bucket that progress has passed.
    pub fn pop(&mut self, progress: Time) -> Option<Vec<Wake>> {
        let passed = if progress == Time::MAX { i64::MAX } else { progress.0 >> BUCKET };
        if let Some(later) = self.later.first_entry()
            && *later.key() <= passed
            && (self.days.is_empty() || *later.key() <= self.first)
        {
            return Some(later.remove());
        }
        while self.first <= passed
            && let Some(day) = self.days.pop_front()
        {
            self.first += 1;
            if !day.is_empty() {
                return Some(day);
            }
            if self.later.first_key_value().is_some_and(|(later, _)| *later <= self.first.min(passed)) {
                return self.pop(progress);
            }
        }
        None
    }

    /// The earliest wake-up, whatever the progress.
    pub fn pop_any(&mut self) -> Option<Wake> {
        let mut wakes = self.pop(Time::MAX)?;
        let wake = wakes.pop();
        let due = Time((self.first.saturating_sub(1)) << BUCKET);
        wakes.into_iter().for_each(|left| self.set(due, left));
        wake
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        /// Wake-ups come in order of time, none early and none twice, whether near or far.
        #[test]
        fn every_wake_up_comes_once_in_its_time(
            moves in prop::collection::vec((0..40_000_i64, prop::bool::ANY), 1..200)
        ) {
            let mut wheel = Wheel::default();
            let mut waiting: Vec<(Time, u32)> = Vec::new();
            let mut now = Time(0);
            for (number, (seconds, far)) in moves.into_iter().enumerate() {
                let scale = if far { 1_000_000_000 } else { 1_000_000 };
                let due = Time(now.0 + seconds * scale);
                wheel.set(due, Wake { transaction: number as u32, generation: 0 });
                waiting.push((due, number as u32));
                now = Time(now.0 + seconds * 3_000_000);
                while let Some(wakes) = wheel.pop(now) {
                    for wake in wakes {
                        let at = waiting.iter().position(|(_, n)| *n == wake.transaction);
                        let (due, _) = waiting.remove(at.expect("none comes twice"));
                        prop_assert!(due <= now);
                    }
                }
                let late = waiting.iter().filter(|(due, _)| due.0 + (2 << BUCKET) <= now.0).count();
                prop_assert_eq!(late, 0);
            }
            while let Some(wakes) = wheel.pop(Time::MAX) {
                waiting.retain(|(_, n)| wakes.iter().all(|w| w.transaction != *n));
            }
            prop_assert!(waiting.is_empty());
        }
    }
}
