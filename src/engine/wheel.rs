//! When to look at which transaction again: a calendar queue over event time.
//!
//! ```text
//! days, front to back    [ ][3][ ][1][ ] … one bucket of event time each, found by counting
//! later                  what lies beyond the last day, by its bucket
//! chunks                 what the buckets hold: a cache line of wake-ups each, chained from the newest to the oldest
//! ```
//!
//! A wake-up may come late by less than two buckets, never early. One that outlived its transaction
//! is told apart by the place's generation.

use crate::model::time::Time;
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, VecDeque};
use zerocopy::{FromBytes, Immutable, IntoBytes};

/// 2^26 ns: 67 ms of event time fall into one bucket.
const BUCKET: u32 = 26;
/// So many buckets are kept by counting: an hour and a quarter.
const DAYS_MAX: i64 = 1 << 16;
/// Wake-ups in a chunk.
const TOGETHER: usize = 10;
/// Room that is made at once for wake-ups that are handed out.
const WAKES: usize = 512;
const NONE: u32 = u32::MAX;

/// A transaction's place, and the generation of the place.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub(super) struct Wake {
    pub transaction: u32,
    pub generation: u16,
}

/// The wake-ups of one clock.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Wheel {
    /// The bucket of the first day.
    first: i64,
    days: VecDeque<Bucket>,
    later: BTreeMap<i64, Bucket>,
    #[serde(with = "super::plain")]
    chunks: Vec<Chunk>,
    /// The chunks that hold nothing, as a chain.
    free: u32,
}

/// The wake-ups of one bucket of event time.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
struct Bucket {
    /// The newest chunk, which alone may have room.
    newest: u32,
    /// How many it holds.
    held: u32,
}

#[derive(Clone, Debug, Default, FromBytes, IntoBytes, Immutable)]
#[repr(C, align(64))]
struct Chunk {
    transactions: [u32; TOGETHER],
    generations: [u16; TOGETHER],
    /// The one before it.
    older: u32,
}

const EMPTY: Bucket = Bucket { newest: NONE, held: 0 };

impl Default for Wheel {
    fn default() -> Wheel {
        Wheel { first: 0, days: VecDeque::new(), later: BTreeMap::new(), chunks: Vec::new(), free: NONE }
    }
}

impl Wheel {
    /// Wakes when progress reaches `due`.
    #[inline]
    pub fn set(&mut self, due: Time, wake: Wake) {
        let number = (due.0 >> BUCKET).saturating_add(1);
        if self.days.is_empty() {
            self.first = number;
        }
        let day = number.saturating_sub(self.first);
        let bucket = if (0..DAYS_MAX).contains(&day) {
            let day = day as usize;
            if day >= self.days.len() {
                self.days.resize(day + 1, EMPTY);
            }
            &mut self.days[day]
        } else {
            self.later.entry(number).or_insert(EMPTY)
        };
        if bucket.newest == NONE || bucket.held as usize == TOGETHER {
            let older = bucket.newest;
            *bucket = Bucket { newest: self.free, held: 0 };
            if self.free == NONE {
                bucket.newest = self.chunks.len() as u32;
                self.chunks.push(Chunk { older, ..Chunk::default() });
            } else {
                self.free = std::mem::replace(&mut self.chunks[bucket.newest as usize].older, older);
            }
        }
        let chunk = &mut self.chunks[bucket.newest as usize];
        chunk.transactions[bucket.held as usize] = wake.transaction;
        chunk.generations[bucket.held as usize] = wake.generation;
        bucket.held += 1;
    }

    /// Takes buckets that progress has passed, in order of time, until they come to so many wake-ups or there is none.
    pub fn pop(&mut self, progress: Time, enough: usize) -> Vec<Wake> {
        let passed = if progress == Time::MAX { i64::MAX } else { progress.0 >> BUCKET };
        let mut wakes = Vec::new();
        while wakes.len() < enough
            && let Some(bucket) = self.next(passed)
        {
            if wakes.is_empty() {
                wakes.reserve(WAKES);
            }
            self.empty(bucket, &mut wakes);
        }
        wakes
    }

    /// The next bucket that has passed.
    fn next(&mut self, passed: i64) -> Option<Bucket> {
        loop {
            let later = self.later.first_entry().filter(|later| *later.key() <= passed);
            if let Some(later) = later
                && (self.days.is_empty() || *later.key() <= self.first)
            {
                return Some(later.remove());
            }
            if self.first > passed {
                return None;
            }
            let bucket = self.days.pop_front()?;
            self.first += 1;
            if bucket.newest != NONE {
                return Some(bucket);
            }
        }
    }

    /// Hands out what a bucket holds, the oldest first, and frees its chunks.
    fn empty(&mut self, bucket: Bucket, out: &mut Vec<Wake>) {
        let begin = out.len();
        let Bucket { mut newest, held } = bucket;
        let mut held = held as usize;
        while newest != NONE {
            let chunk = &mut self.chunks[newest as usize];
            let wakes = chunk.transactions.iter().zip(&chunk.generations).take(held).rev();
            out.extend(wakes.map(|(&transaction, &generation)| Wake { transaction, generation }));
            let older = std::mem::replace(&mut chunk.older, self.free);
            self.free = std::mem::replace(&mut newest, older);
            held = TOGETHER;
        }
        out[begin..].reverse();
    }

    /// The earliest wake-up, whatever the progress.
    pub fn pop_any(&mut self) -> Option<Wake> {
        let mut wakes = self.pop(Time::MAX, 1);
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
                loop {
                    let wakes = wheel.pop(now, 3);
                    if wakes.is_empty() {
                        break;
                    }
                    for wake in wakes {
                        let at = waiting.iter().position(|(_, n)| *n == wake.transaction);
                        let (due, _) = waiting.remove(at.expect("none comes twice"));
                        prop_assert!(due <= now);
                    }
                }
                let late = waiting.iter().filter(|(due, _)| due.0 + (2 << BUCKET) <= now.0).count();
                prop_assert_eq!(late, 0);
            }
            let wakes = wheel.pop(Time::MAX, usize::MAX);
            waiting.retain(|(_, n)| wakes.iter().all(|w| w.transaction != *n));
            prop_assert!(waiting.is_empty());
        }
    }
}
