//! The trace that closed transactions leave: an approximate set of key hashes that only grows.
//!
//! A hash becomes a fingerprint of 33.3 bits, so that with 2·10⁷ keys fewer than 0.2 % of the others
//! are taken for known ones. Fingerprints are spread over shards by their low bits; what is left of
//! each is kept in its shard's `run`, packed to about two bits more than the least that a set of so
//! many can take. Shards are split one at a time (linear hashing), whichever is next and not
//! whichever is full: there is no directory, and no insert ever doubles anything.
//!
//! ```text
//! fingerprint = rest · 2^level + shard
//!
//! shards   0 1 2 3 4 5 6 7 │ 8 9        8 has been split off 0, and 9 off 1; next is 2
//! level    4 4 3 3 3 3 3 3 │ 4 4
//! ```
//!
//! Each run has just about the space that it needs, from `blocks`.

mod blocks;
mod run;

use super::store::prefetch;
use blocks::{BLOCK_WORDS_MAX, Blocks};
use run::Head;
use serde::{Deserialize, Serialize};

/// There are 77·2^27 fingerprints, about 10^10: with n of them inserted, n in 10^10 of all other hashes
/// are taken for known ones.
const FINGERPRINTS: u64 = FACTOR << FINGERPRINT_BITS;
const FINGERPRINT_BITS: u32 = 27;
const FACTOR: u64 = 77;
/// A shard is split for every so many keys; so it holds up to twice as many.
const KEYS_PER_SHARD: usize = 128;
const WORDS_PER_LINE: usize = 8;

/// An approximate set of 64-bit hashes. It never denies what was inserted.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Filter {
    /// Where each shard's run stands.
    #[serde(with = "super::plain")]
    shards: Vec<u32>,
    blocks: Blocks,
    length: usize,
    /// The shards before `split` are of one level more.
    level: u32,
    split: usize,
}

impl Default for Filter {
    fn default() -> Self {
        let mut filter = Filter { shards: Vec::new(), blocks: Blocks::default(), length: 0, level: 0, split: 0 };
        let first = filter.write(0, 0, Vec::new(), false);
        filter.shards.push(first);
        filter
    }
}

impl Filter {
    /// A filter that holds nothing.
    pub fn new() -> Filter {
        Filter::default()
    }

    /// How many different fingerprints were inserted.
    pub fn len(&self) -> usize {
        self.length
    }

    /// Whether nothing was inserted.
    pub fn is_empty(&self) -> bool {
        self.length == 0
    }

    /// Whether `hash` was inserted, or one that looks like it.
    #[inline]
    pub fn contains(&self, hash: u64) -> bool {
        let (shard, rest) = self.place(hash);
        run::contains(self.blocks.get(self.shards[shard]), rest)
    }

    /// Asks for the memory that [`Filter::contains`] and [`Filter::insert`] will read for `hash`.
    #[inline]
    pub fn prefetch(&self, hash: u64) {
        let words = self.blocks.get(self.shards[self.place(hash).0]);
        words.chunks(WORDS_PER_LINE).for_each(|line| prefetch(&line[0]));
        prefetch(&words[words.len() - 1]);
    }

    /// Adds a hash.
    pub fn insert(&mut self, hash: u64) {
        let (shard, rest) = self.place(hash);
        let words = self.blocks.get_mut(self.shards[shard]);
        let Some(vacancy) = run::find(words, rest) else { return };
        let needed = Head::read(words).words_with_one_more();
        if needed > BLOCK_WORDS_MAX {
            return run::saturate(words);
        }
        if needed <= words.len() {
            run::insert(words, rest, vacancy);
        } else {
            run::insert(self.widen(shard, needed), rest, vacancy);
        }
        self.length += 1;
        if self.length > self.shards.len() * KEYS_PER_SHARD {
            self.split_next();
        }
    }

    /// The shard that a hash belongs to, and what is left of its fingerprint there.
    #[inline]
    fn place(&self, hash: u64) -> (usize, u64) {
        let fingerprint = fingerprint(hash);
        let low = fingerprint as usize & ((1 << self.level) - 1);
        let level = self.level + u32::from(low < self.split);
        (fingerprint as usize & ((1 << level) - 1), fingerprint >> level)
    }

    /// Moves a shard's run to a larger block; gives that.
    fn widen(&mut self, shard: usize, words: usize) -> &mut [u64] {
        let old = self.shards[shard];
        let new = self.blocks.allocate(words);
        let (from, to) = self.blocks.pair(old, new);
        run::copy(from, to);
        self.shards[shard] = new;
        self.release(old);
        self.blocks.get_mut(new)
    }

    /// Splits the next shard in two: the lowest bit of what is left of a fingerprint says which.
    fn split_next(&mut self) {
        let (level, shard) = (self.level, self.split);
        let old = self.blocks.get(self.shards[shard]);
        let saturated = Head::read(old).saturated();
        let mut halves = [Vec::with_capacity(KEYS_PER_SHARD), Vec::with_capacity(KEYS_PER_SHARD)];
        for rest in run::read(old) {
            halves[rest as usize & 1].push(rest >> 1);
        }
        self.release(self.shards[shard]);
        let [even, odd] = halves;
        let even_at = self.write(shard, level + 1, even, saturated);
        let odd_at = self.write(self.shards.len(), level + 1, odd, saturated);
        self.shards[shard] = even_at;
        self.shards.push(odd_at);
        self.split += 1;
        if self.split == 1 << level {
            (self.level, self.split) = (level + 1, 0);
        }
    }

    /// Writes a run into a block of its own; gives its address.
    fn write(&mut self, shard: usize, level: u32, mut rests: Vec<u64>, saturated: bool) -> u32 {
        let head = Head::new(shard, rests.len(), FINGERPRINT_BITS - level.min(FINGERPRINT_BITS));
        // Within a bucket they stand as they came.
        if !rests.is_sorted_by_key(|rest| head.bucket(*rest)) {
            rests.sort_by_key(|rest| head.bucket(*rest));
        }
        let address = self.blocks.allocate(head.words());
        let words = self.blocks.get_mut(address);
        run::write(words, head, &rests);
        if saturated {
            run::saturate(words);
        }
        address
    }

    /// Gives a block back. The blocks stay dense: another one moves into its place.
    fn release(&mut self, address: u32) {
        if self.blocks.release(address) {
            let moved = Head::read(self.blocks.get(address));
            self.shards[moved.shard()] = address;
        }
    }
}

/// Scales a hash, all of whose bits are equally good, to the number of fingerprints.
#[inline]
fn fingerprint(hash: u64) -> u64 {
    ((u128::from(hash) * u128::from(FINGERPRINTS)) >> 64) as u64
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::HashSet;

    /// The n-th of a sequence of hashes that looks random.
    fn hash(n: u64) -> u64 {
        let x = (n ^ n >> 31).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        (x ^ x >> 27).wrapping_mul(0x94d0_49bb_1331_11eb)
    }

    fn filled(keys: u64) -> Filter {
        let mut filter = Filter::new();
        (0..keys).for_each(|n| filter.insert(hash(n)));
        filter
    }

    #[test]
    fn what_was_inserted_is_never_denied() {
        let keys = 60_000;
        let filter = filled(keys);
        assert!((0..keys).all(|n| filter.contains(hash(n))));
        assert!(filter.len() as u64 >= keys - 2, "hardly any two look alike: {}", filter.len());
        let mistaken = (keys..10 * keys).filter(|n| filter.contains(hash(*n))).count();
        assert!(mistaken < 20, "{mistaken} of {} are taken for known", 9 * keys);
    }

    #[test]
    fn inserting_again_changes_nothing() {
        let mut filter = filled(5_000);
        let before = postcard::to_stdvec(&filter).unwrap();
        (0..5_000).for_each(|n| filter.insert(hash(n)));
        assert_eq!(postcard::to_stdvec(&filter).unwrap(), before);
        let mut restored: Filter = postcard::from_bytes(&before).unwrap();
        (5_000..9_000).for_each(|n| restored.insert(hash(n)));
        assert!((0..9_000).all(|n| restored.contains(hash(n))));
    }

    /// Hashes that all fall into one shard, more than any block holds: it stops telling them apart.
    #[test]
    fn a_crowded_shard_says_yes_to_all() {
        let mut filter = filled(40_000);
        let crowded = |hash: u64| fingerprint(hash) % 256 == 5;
        let crowd: Vec<u64> = (0..).map(hash).filter(|h| crowded(*h)).take(6_000).collect();
        crowd.iter().for_each(|h| filter.insert(*h));
        assert!(crowd.iter().all(|h| filter.contains(*h)));
        let taken = |filter: &Filter, inside: bool| {
            (10_000_000..12_000_000).map(hash).filter(|h| crowded(*h) == inside && filter.contains(*h)).count()
        };
        assert!(taken(&filter, true) > 1_000, "the crowded shard was saturated");
        assert!(taken(&filter, false) < 50, "the others were not");
    }

    proptest! {
        #[test]
        fn it_holds_the_fingerprints_that_a_set_holds(seeds in prop::collection::vec(0..3_000u64, 0..3_000)) {
            let mut filter = Filter::new();
            let mut model = HashSet::new();
            for n in seeds {
                filter.insert(hash(n));
                model.insert(fingerprint(hash(n)));
                prop_assert_eq!(filter.len(), model.len());
            }
            for n in 0..3_000 {
                prop_assert_eq!(filter.contains(hash(n)), model.contains(&fingerprint(hash(n))));
            }
        }
    }

    fn resident_bytes() -> usize {
        let pages = std::fs::read_to_string("/proc/self/statm").unwrap();
        pages.split(' ').nth(1).unwrap().parse::<usize>().unwrap() * 4096
    }

    /// Nanoseconds of processor time for each of `times` calls.
    fn cost(times: u64, call: impl FnOnce()) -> f64 {
        let nanos = || -> f64 {
            let spent = std::fs::read_to_string("/proc/thread-self/schedstat").unwrap();
            spent.split(' ').next().unwrap().parse().unwrap()
        };
        let before = nanos();
        call();
        (nanos() - before) / times as f64
    }

    /// `cargo test --release --lib filter -- --ignored --nocapture` prints the figures.
    #[test]
    #[ignore = "a measurement, for release builds"]
    fn figures() {
        const MISSES: u64 = 5_000_000;
        const HITS: u64 = 2_000_000;
        let mut filter = Filter::new();
        let (mut from, mut bytes) = (0, resident_bytes());
        for keys in [100_000, 1_000_000, 2_000_000, 5_000_000, 10_000_000, 15_000_000, 20_000_000] {
            let insert = cost(keys - from, || (from..keys).for_each(|n| filter.insert(hash(n))));
            let now = resident_bytes();
            let growth = now.saturating_sub(bytes) as f64 / (keys - from) as f64;
            let (mut mistaken, mut found) = (0, 0);
            let absent =
                cost(MISSES, || mistaken = (keys..keys + MISSES).filter(|n| filter.contains(hash(*n))).count());
            let present = cost(HITS, || {
                for few in 0..HITS / 16 {
                    let known = (few * 16..few * 16 + 16).map(|n| hash(n * 7919 % keys));
                    known.clone().for_each(|hash| filter.prefetch(hash));
                    found += known.filter(|hash| filter.contains(*hash)).count();
                }
            });
            let mistaken = mistaken as f64 / MISSES as f64;
            println!(
                "{keys:>9} keys: {growth:.2} bytes a key more, insert {insert:.0} ns, contains {absent:.0} ns, \
                 {present:.0} ns with prefetch, {:.3} % mistaken",
                mistaken * 100.0
            );
            assert!(found as u64 == HITS && mistaken <= 0.002);
            (from, bytes) = (keys, now);
        }
    }
}
