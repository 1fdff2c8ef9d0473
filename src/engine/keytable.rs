//! From a key's hash to the indexes of the nodes that hold the key: the first step of every join.
//!
//! A slot is eight bytes, so that a miss in the cache brings eight of them:
//!
//! ```text
//! 63            32 31             0
//! ┌───────────────┬────────────────┐
//! │ tag: the high │ index          │   all ones: empty
//! │ half of the   │                │
//! │ hash          │                │
//! └───────────────┴────────────────┘
//!   └ its top bits are the slot's home: a table of 2^n slots uses n of them
//! ```
//!
//! The slots stand in order of their tags, each at its home or behind it. So a look-up ends at the first larger tag,
//! whether it finds or not; and since a home comes out of the tag itself, growing needs nothing but the table: twice as
//! many slots use one bit more. What is pushed beyond the last home stands behind it, so that nothing ever wraps
//! around. The nodes are touched only to confirm that a key with the same tag is the same key.

use super::plain::Plain;
use super::store::prefetch;
use serde::{Deserialize, Serialize, Serializer};

/// The smallest table: 2^4 slots.
const BITS_MIN: u32 = 4;
/// The largest one: past it the tag has no more bits to give.
const BITS_MAX: u32 = 32;
/// A table grows when its homes are fuller than this many fifths.
const LOAD_MAX_FIFTHS: usize = 4;
/// Room for so many beyond the homes is asked for at once.
const BEYOND: usize = 32;
const TAG: u64 = 0xffff_ffff_0000_0000;
/// Larger than any tag with an index.
const EMPTY: u64 = u64::MAX;

/// A hash table from 64-bit hashes to node indexes. Its layout, and so the order of [`KeyTable::iter`], is a function
/// of what it holds and of its size.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(from = "Plain<Vec<u64>>")]
pub struct KeyTable {
    /// The homes, then what was pushed beyond them; the last is empty.
    slots: Vec<u64>,
    length: usize,
    /// So many bits of a hash are left of its home.
    shift: u32,
}

impl Default for KeyTable {
    fn default() -> Self {
        KeyTable { slots: vec![EMPTY; (1 << BITS_MIN) + 1], length: 0, shift: u64::BITS - BITS_MIN }
    }
}

impl From<Plain<Vec<u64>>> for KeyTable {
    fn from(Plain(slots): Plain<Vec<u64>>) -> Self {
        let Some((last, homes)) = slots.split_last() else { return KeyTable::default() };
        if *last != EMPTY || homes.len() < 1 << BITS_MIN {
            return KeyTable::default();
        }
        let length = homes.iter().filter(|slot| **slot != EMPTY).count();
        // Far fewer stand beyond the homes than there are homes.
        let shift = u64::BITS - homes.len().ilog2();
        KeyTable { slots, length, shift }
    }
}

impl Serialize for KeyTable {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        Plain(&self.slots[..]).serialize(serializer)
    }
}

#[inline]
fn slot(hash: u64, index: u32) -> u64 {
    (hash & TAG) | u64::from(index)
}

#[inline]
fn index(slot: u64) -> u32 {
    slot as u32
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
        let mut at = self.seek(hash & TAG);
        loop {
            let here = self.slots[at];
            if here == EMPTY || (here ^ hash) & TAG != 0 {
                return None;
            }
            if is_it(index(here)) {
                return Some(index(here));
            }
            at += 1;
        }
    }

    /// Adds an index that is not there yet. [`u32::MAX`] is no index.
    pub fn insert(&mut self, hash: u64, index: u32) {
        debug_assert_ne!(index, u32::MAX, "u32::MAX marks an empty slot");
        if (self.length + 1) * 5 > self.homes() * LOAD_MAX_FIFTHS && self.shift > u64::BITS - BITS_MAX {
            self.grow();
        }
        self.place(slot(hash, index));
        self.length += 1;
    }

    /// Takes an index out; says whether it was there.
    pub fn remove(&mut self, hash: u64, index: u32) -> bool {
        let wanted = slot(hash, index);
        let mut hole = self.seek(wanted);
        if self.slots[hole] != wanted {
            return false;
        }
        // What stands behind moves up, unless it is at home.
        while self.slots[hole + 1] != EMPTY && self.home(self.slots[hole + 1]) <= hole {
            self.slots[hole] = self.slots[hole + 1];
            hole += 1;
        }
        self.slots[hole] = EMPTY;
        self.length -= 1;
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

    fn homes(&self) -> usize {
        1 << (u64::BITS - self.shift)
    }

    /// The first place, from its home on, of what is not smaller than `wanted`.
    #[inline]
    fn seek(&self, wanted: u64) -> usize {
        let mut at = self.home(wanted);
        while self.slots[at] < wanted {
            at += 1;
        }
        at
    }

    fn place(&mut self, slot: u64) {
        let mut at = self.seek(slot);
        let mut carried = std::mem::replace(&mut self.slots[at], slot);
        while carried != EMPTY {
            at += 1;
            std::mem::swap(&mut carried, &mut self.slots[at]);
        }
        if at + 1 == self.slots.len() {
            self.slots.reserve_exact(BEYOND);
            self.slots.push(EMPTY);
        }
    }

    /// Doubles the table where it stands, so that the old one never lies beside the new one.
    ///
    /// A run of full slots that begins at `s` holds homes from `s` on alone, and these become homes
    /// from `2s` on: going down from the last run to the first, each lands where only its own old
    /// slots, or none, were in the way.
    fn grow(&mut self) {
        let before = self.slots.len();
        let homes = self.homes() * 2;
        self.slots.reserve_exact(homes + BEYOND - before);
        self.slots.resize(homes + 1, EMPTY);
        self.shift -= 1;
        let mut run: Vec<u64> = Vec::new();
        for at in (0..before).rev() {
            match std::mem::replace(&mut self.slots[at], EMPTY) {
                EMPTY => run.drain(..).rev().for_each(|slot| self.place(slot)),
                here => run.push(here),
            }
        }
        run.into_iter().rev().for_each(|slot| self.place(slot));
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
        Reload,
    }

    fn calls() -> impl Strategy<Value = Vec<Call>> {
        let call = prop_oneof![
            6 => (0..400u64).prop_map(Call::Insert),
            3 => (0..400u64).prop_map(Call::Remove),
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
            .map(|at| at - table.home(table.slots[at]))
            .sum();
        assert!(off < 4 * table.len(), "{} slots away on average", off / table.len());
        assert!(table.homes() * LOAD_MAX_FIFTHS >= table.len() * 5);
        assert!(table.slots.iter().filter(|slot| **slot != EMPTY).is_sorted());
    }
}
