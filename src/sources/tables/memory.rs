//! What was seen of a table's rows: a hash of the content and the version's time, under a hash of the key.
//!
//! It is bounded. Where the system itself tells which rows have changed, forgetting those that were not read for longest
//! costs at most a version told twice. Where it does not, the memory is what tells, and a table with more rows than are
//! remembered cannot be followed.

use crate::model::time::Time;
use std::collections::HashMap;
use std::hash::{BuildHasher, Hasher};

/// So many rows of one table are remembered.
pub const ROWS_MAX: usize = 1 << 20;

/// The last version of a row.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Seen {
    /// The hash of its content.
    pub content: u64,
    /// Its time.
    pub time: Time,
    /// The read that met it last.
    read: u32,
}

/// The rows of one table.
#[derive(Debug, Default)]
pub struct Memory {
    rows: HashMap<u64, Seen, foldhash::fast::RandomState>,
    /// Counts the reads of the whole table.
    read: u32,
}

impl Memory {
    /// The row under a key, which has been met again.
    pub fn meet(&mut self, key: u64) -> Option<Seen> {
        let read = self.read;
        self.rows.get_mut(&key).map(|seen| {
            seen.read = read;
            *seen
        })
    }

    /// Keeps a version.
    pub fn keep(&mut self, key: u64, content: u64, time: Time) {
        self.rows.insert(key, Seen { content, time, read: self.read });
    }

    /// How many rows it knows.
    pub fn len(&self) -> usize {
        self.rows.len()
    }

    /// A read of the whole table begins.
    pub fn begin(&mut self) {
        self.read = self.read.wrapping_add(1);
    }

    /// Forgets what was not met since the last [`Memory::begin`], and returns it.
    pub fn forget_unmet(&mut self) -> Vec<u64> {
        let read = self.read;
        self.forget(|seen| seen.read != read)
    }

    /// Forgets what was not met for longest until about half the room is free, or all where one read met too much;
    /// nothing while there is room.
    pub fn make_room(&mut self, rows_max: usize) -> Vec<u64> {
        if self.rows.len() <= rows_max {
            return Vec::new();
        }
        let mut ages: Vec<u32> = self.rows.values().map(|seen| self.read.wrapping_sub(seen.read)).collect();
        let (_, oldest, _) = ages.select_nth_unstable(rows_max / 2);
        let (oldest, read) = (*oldest, self.read);
        self.forget(|seen| read.wrapping_sub(seen.read) >= oldest)
    }

    fn forget(&mut self, which: impl Fn(&Seen) -> bool) -> Vec<u64> {
        let mut forgotten = Vec::new();
        self.rows.retain(|key, seen| {
            let forget = which(seen);
            if forget {
                forgotten.push(*key);
            }
            !forget
        });
        forgotten
    }
}

/// A hash that is the same in every run.
pub fn hash(bytes: &[u8]) -> u64 {
    let mut hasher = foldhash::quality::FixedState::with_seed(0).build_hasher();
    hasher.write(bytes);
    hasher.finish()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_whole_read_did_not_meet_is_forgotten() {
        let mut memory = Memory::default();
        memory.begin();
        (0..4).for_each(|key| memory.keep(key, 7, Time(1)));
        memory.begin();
        assert_eq!(memory.meet(2).map(|seen| seen.content), Some(7));
        memory.keep(9, 7, Time(1));
        let mut forgotten = memory.forget_unmet();
        forgotten.sort_unstable();
        assert_eq!((forgotten, memory.len()), (vec![0, 1, 3], 2));
    }

    #[test]
    fn room_is_made_by_what_was_met_longest_ago() {
        let mut memory = Memory::default();
        for key in 0..10 {
            memory.begin();
            memory.keep(key, 7, Time(1));
        }
        assert_eq!(memory.make_room(10), Vec::<u64>::new());
        memory.begin();
        memory.meet(0);
        memory.keep(10, 7, Time(1));
        let mut forgotten = memory.make_room(10);
        forgotten.sort_unstable();
        assert_eq!(forgotten, [1, 2, 3, 4, 5, 6]);
        assert!(memory.meet(0).is_some());
    }
}
