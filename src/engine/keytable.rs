//! From a key's hash to the indexes of the nodes that hold the key: the first step of every join.
//!
//! A slot is eight bytes, so that a miss in the cache brings eight of them:
//!
//! ```text
//! 63            32 31             0
//! ┌───────────────┬────────────────┐
//! │ tag: the high │ !index         │   all zero: empty
//! │ half of the   │                │
//! │ hash          │                │
//! └───────────────┴────────────────┘
//!   └ its top bits are the slot's address: a table of 2^n slots uses n of them
//! ```
//!
//! Since the address comes out of the tag itself, growing needs nothing but the table: twice as many
//! slots use one bit more. The nodes are touched only to confirm that a key with the same tag is the
//! same key.

use super::store::prefetch;
use serde::{Deserialize, Serialize};

/// The smallest table: 2^4 slots.
const BITS_MIN: u32 = 4;
/// The largest one: past it the tag has no more bits to give.
const BITS_MAX: u32 = 32;
/// A table grows when it is fuller than this many fifths.
const LOAD_MAX_FIFTHS: usize = 4;
const EMPTY: u64 = 0;

/// A hash table from 64-bit hashes to node indexes, with linear probing. Its layout, and so the order
/// of [`KeyTable::iter`], is a function of the calls that were made.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(from = "Vec<u64>", into = "Vec<u64>")]
pub struct KeyTable {
    slots: Vec<u64>,
    length: usize,
    /// So many bits of a hash are left of its home.
    shift: u32,
}

impl Default for KeyTable {
    fn default() -> Self {
        KeyTable { slots: vec![EMPTY; 1 << BITS_MIN], length: 0, shift: u64::BITS - BITS_MIN }
    }
}

impl From<Vec<u64>> for KeyTable {
    fn from(slots: Vec<u64>) -> Self {
        if !slots.len().is_power_of_two() || slots.len() < 1 << BITS_MIN {
            return KeyTable::default();
        }
        let length = slots.iter().filter(|slot| **slot != EMPTY).count();
        let shift = u64::BITS - slots.len().trailing_zeros();
        KeyTable { slots, length, shift }
    }
}

impl From<KeyTable> for Vec<u64> {
    fn from(table: KeyTable) -> Self {
        table.slots
    }
}

#[inline]
fn slot(hash: u64, index: u32) -> u64 {
    (hash & 0xffff_ffff_0000_0000) | u64::from(!index)
}

#[inline]
fn index(slot: u64) -> u32 {
    !(slot as u32)
}

impl KeyTable {
    /// A table that holds nothing.
    pub fn new() -> KeyTable {
        KeyTable::default()
    }

    /// How many indexes it holds.
    pub fn len(&self) -> usize {
        self.length
    }

    /// Whether it holds nothing.
    pub fn is_empty(&self) -> bool {
        self.length == 0
    }

    /// The index under `hash` of which `is_it` says that it is the one.
    #[inline]
    pub fn find(&self, hash: u64, mut is_it: impl FnMut(u32) -> bool) -> Option<u32> {
        let mut at = self.home(hash);
        loop {
            let here = self.slots[at];
            if here == EMPTY {
                return None;
            }
            if here >> 32 == hash >> 32 && is_it(index(here)) {
                return Some(index(here));
            }
            at = self.next(at);
        }
    }

    /// Adds an index that is not there yet. [`u32::MAX`] is no index.
    pub fn insert(&mut self, hash: u64, index: u32) {
        debug_assert_ne!(index, u32::MAX, "u32::MAX marks an empty slot");
        if (self.length + 1) * 5 > self.slots.len() * LOAD_MAX_FIFTHS && self.shift > u64::BITS - BITS_MAX {
            self.grow();
        }
        self.place(slot(hash, index));
        self.length += 1;
    }

    /// Takes an index out; says whether it was there.
    pub fn remove(&mut self, hash: u64, index: u32) -> bool {
        let Some(mut hole) = self.locate(slot(hash, index)) else { return false };
        let mut at = hole;
        loop {
            at = self.next(at);
            let here = self.slots[at];
            if here == EMPTY {
                break;
            }
            // What stands behind the hole moves into it, unless that lies before its home.
            if self.distance(self.home(here), at) >= self.distance(hole, at) {
                self.slots[hole] = here;
                hole = at;
            }
        }
        self.slots[hole] = EMPTY;
        self.length -= 1;
        true
    }

    /// Puts `new_index` where `old_index` stood; says whether that was there.
    pub fn replace(&mut self, hash: u64, old_index: u32, new_index: u32) -> bool {
        debug_assert_ne!(new_index, u32::MAX, "u32::MAX marks an empty slot");
        let Some(at) = self.locate(slot(hash, old_index)) else { return false };
        self.slots[at] = slot(hash, new_index);
        true
    }

    /// All indexes, in the order of the slots.
    pub fn iter(&self) -> impl Iterator<Item = u32> + '_ {
        self.slots.iter().filter(|slot| **slot != EMPTY).map(|slot| index(*slot))
    }

    /// Asks the processor to bring the slot of `hash` near, for a [`KeyTable::find`] that comes soon.
    #[inline]
    pub fn prefetch(&self, hash: u64) {
        prefetch(&self.slots[self.home(hash)]);
    }

    #[inline]
    fn home(&self, hash: u64) -> usize {
        (hash >> self.shift) as usize
    }

    #[inline]
    fn next(&self, at: usize) -> usize {
        (at + 1) & (self.slots.len() - 1)
    }

    #[inline]
    fn distance(&self, from: usize, to: usize) -> usize {
        to.wrapping_sub(from) & (self.slots.len() - 1)
    }

    fn locate(&self, wanted: u64) -> Option<usize> {
        let mut at = self.home(wanted);
        loop {
            match self.slots[at] {
                EMPTY => return None,
                here if here == wanted => return Some(at),
                _ => at = self.next(at),
            }
        }
    }

    fn place(&mut self, slot: u64) {
        let mut at = self.home(slot);
        while self.slots[at] != EMPTY {
            at = self.next(at);
        }
        self.slots[at] = slot;
    }

    /// Doubles the table where it stands, so that the old one never lies beside the new one.
    ///
    /// A run of full slots that begins at `s` holds homes from `s` on alone, and these become homes
    /// from `2s` on: going down from the last run to the first, each lands where only its own old
    /// slots, or none, were in the way. The first run may hold what overflowed from the end; it is
    /// taken out before all others and put back after them.
    fn grow(&mut self) {
        let before = self.slots.len();
        let first = self.slots.iter().position(|slot| *slot == EMPTY).unwrap_or(before);
        let head: Vec<u64> = self.slots[..first].to_vec();
        self.slots[..first].fill(EMPTY);
        self.slots.reserve_exact(before);
        self.slots.resize(before * 2, EMPTY);
        self.shift -= 1;
        let mut run: Vec<u64> = Vec::new();
        for at in (first..before).rev() {
            match std::mem::replace(&mut self.slots[at], EMPTY) {
                EMPTY => run.drain(..).rev().for_each(|slot| self.place(slot)),
                here => run.push(here),
            }
        }
        head.into_iter().for_each(|slot| self.place(slot));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::key;
    use proptest::prelude::*;
    use std::collections::HashMap;

    /// Homes crowd at both ends of the table, and many hashes share a tag.
    fn crowded(n: u64) -> u64 {
        let end = if n.is_multiple_of(2) { 0 } else { u64::MAX << 40 };
        (end ^ (n / 2 % 50) << 33) | n
    }

    #[derive(Clone, Debug)]
    enum Call {
        Insert(u64),
        Remove(u64),
        Replace(u64, u32),
        Reload,
    }

    fn calls() -> impl Strategy<Value = Vec<Call>> {
        let call = prop_oneof![
            6 => (0..400u64).prop_map(Call::Insert),
            3 => (0..400u64).prop_map(Call::Remove),
            1 => (0..400u64, 1000..2000u32).prop_map(|(n, to)| Call::Replace(n, to)),
            1 => Just(Call::Reload),
        ];
        prop::collection::vec(call, 0..600)
    }

    fn apply(table: &mut KeyTable, model: &mut HashMap<u64, u32>, call: Call) {
        match call {
            Call::Insert(n) => {
                if let std::collections::hash_map::Entry::Vacant(free) = model.entry(n) {
                    free.insert(n as u32);
                    table.insert(crowded(n), n as u32);
                }
            }
            Call::Remove(n) => {
                let was = model.remove(&n);
                assert_eq!(table.remove(crowded(n), was.unwrap_or(n as u32)), was.is_some());
            }
            Call::Replace(n, to) => {
                let was = model.get_mut(&n);
                assert_eq!(
                    table.replace(crowded(n), was.as_deref().copied().unwrap_or(n as u32), to),
                    was.map(|value| *value = to).is_some()
                );
            }
            Call::Reload => *table = postcard::from_bytes(&postcard::to_stdvec(table).unwrap()).unwrap(),
        }
    }

    proptest! {
        #[test]
        fn it_holds_what_a_map_holds(calls in calls()) {
            let (mut table, mut model) = (KeyTable::new(), HashMap::new());
            for call in calls {
                apply(&mut table, &mut model, call);
                prop_assert_eq!(table.len(), model.len());
            }
            for n in 0..400 {
                let value = model.get(&n).copied();
                prop_assert_eq!(table.find(crowded(n), |index| Some(index) == value), value);
            }
            let mut all: Vec<u32> = table.iter().collect();
            let mut expected: Vec<u32> = model.into_values().collect();
            all.sort_unstable();
            expected.sort_unstable();
            prop_assert_eq!(all, expected);
        }
    }

    #[test]
    fn keys_with_one_hash_are_told_apart_by_their_nodes() {
        let mut table = KeyTable::new();
        let nodes = ["a", "b", "c"];
        (0..3).for_each(|index| table.insert(7 << 32, index));
        assert_eq!(table.find(7 << 32, |index| nodes[index as usize] == "b"), Some(1));
        assert_eq!(table.find(7 << 32, |index| nodes[index as usize] == "d"), None);
        table.prefetch(7 << 32);
    }

    #[test]
    fn real_keys_stand_near_their_homes() {
        let mut table = KeyTable::new();
        for n in 0..100_000u32 {
            let mut packed = Vec::new();
            key::pack(&format!("o-{n:08x}"), &mut packed);
            table.insert(key::hash(0, 0, &packed), n);
        }
        let off: usize = (0..table.slots.len())
            .filter(|at| table.slots[*at] != EMPTY)
            .map(|at| table.distance(table.home(table.slots[at]), at))
            .sum();
        assert!(off < 4 * table.len(), "{} slots away on average", off / table.len());
        assert!(table.slots.len() * LOAD_MAX_FIFTHS >= table.len() * 5);
    }
}
