//! A packed set of numbers: Elias and Fano's form, in a block of words.
//!
//! Each number is parted into its low `width` bits, kept as they are, and the bits above, the bucket.
//! The buckets are written in unary: for each a one per number, then a zero. So the position of a
//! bucket's first one, less the zeros before it, is the index of its first number.
//!
//! ```text
//! │ head │ 1 0 0 1 1 0 1 0 …  ▶         free        ◀  … low(2) low(1) low(0) │
//!   1 word  buckets, from the front                     low bits, from the back
//! ```
//!
//! Both parts grow into the free middle, and moving to a larger block is copying both ends.

use super::FACTOR;

/// Buckets for every five expected numbers, at the least; fewer than twice that.
const BUCKETS_PER_FIVE: u64 = 6;
/// As many numbers are expected of a new run at the least.
const EXPECTED_MIN: u64 = super::KEYS_PER_SHARD as u64 / 2;
/// In place of the count: the run says yes to everything.
const SATURATED: u16 = u16::MAX;
const WORD: usize = u64::BITS as usize;

/// The first word of a run.
#[derive(Clone, Copy, Debug)]
pub struct Head {
    shard: u32,
    count: u16,
    width: u8,
    /// There are `FACTOR << bucket_bits` buckets.
    bucket_bits: u8,
}

impl Head {
    /// A run of `count` numbers below `FACTOR << bits`.
    pub fn new(shard: usize, count: usize, bits: u32) -> Head {
        let wanted = EXPECTED_MIN.max(count as u64) * BUCKETS_PER_FIVE / 5;
        let bucket_bits = (0..bits).find(|bucket_bits| FACTOR << bucket_bits >= wanted).unwrap_or(bits);
        Head {
            shard: shard as u32,
            count: count as u16,
            width: (bits - bucket_bits) as u8,
            bucket_bits: bucket_bits as u8,
        }
    }

    /// The head of the run that stands in `words`.
    #[inline]
    pub fn read(words: &[u64]) -> Head {
        let word = words[0];
        Head {
            shard: word as u32,
            count: (word >> 32) as u16,
            width: (word >> 48) as u8,
            bucket_bits: (word >> 56) as u8,
        }
    }

    fn write(self, words: &mut [u64]) {
        words[0] = u64::from(self.shard)
            | u64::from(self.count) << 32
            | u64::from(self.width) << 48
            | u64::from(self.bucket_bits) << 56;
    }

    /// Whose run it is.
    pub fn shard(self) -> usize {
        self.shard as usize
    }

    /// Whether it says yes to everything.
    pub fn saturated(self) -> bool {
        self.count == SATURATED
    }

    /// The words that it takes.
    pub fn words(self) -> usize {
        (self.buckets_end() + self.count() * self.width()).div_ceil(WORD)
    }

    /// The words that it takes with one number more.
    pub fn words_with_one_more(self) -> usize {
        Head { count: self.count + 1, ..self }.words()
    }

    #[inline]
    fn count(self) -> usize {
        usize::from(self.count)
    }

    #[inline]
    fn width(self) -> usize {
        usize::from(self.width)
    }

    fn buckets_end(self) -> usize {
        WORD + ((FACTOR as usize) << self.bucket_bits) + self.count()
    }

    /// The bucket of a number.
    #[inline]
    pub fn bucket(self, number: u64) -> u64 {
        number >> self.width
    }

    #[inline]
    fn parts(self, number: u64) -> (usize, u64) {
        (self.bucket(number) as usize, number & ((1 << self.width) - 1))
    }

    /// Where the low bits of the number with this index stand in a block of so many words.
    #[inline]
    fn low_at(self, words: usize, index: usize) -> usize {
        words * WORD - (index + 1) * self.width()
    }
}

/// Whether the run holds `number`.
#[inline]
pub fn contains(words: &[u64], number: u64) -> bool {
    find(words, number).is_none()
}

/// Where in a run a number is missing.
#[derive(Clone, Copy, Debug)]
pub struct Vacancy(usize);

/// `None` where the run holds `number`, else where to [`insert`] it.
#[inline]
pub fn find(words: &[u64], number: u64) -> Option<Vacancy> {
    #[cfg(target_arch = "x86_64")]
    if is_x86_feature_detected!("popcnt") {
        // SAFETY: the processor has the instruction that the function was compiled with.
        return unsafe { find_with_popcnt(words, number) };
    }
    find_anywhere(words, number)
}

/// The same code: here, `count_zeros` is one instruction.
#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "popcnt")]
fn find_with_popcnt(words: &[u64], number: u64) -> Option<Vacancy> {
    find_anywhere(words, number)
}

#[inline(always)]
fn find_anywhere(words: &[u64], number: u64) -> Option<Vacancy> {
    let head = Head::read(words);
    if head.saturated() {
        return None;
    }
    let (bucket, low) = head.parts(number);
    let start = bucket_start(words, bucket);
    let mut low_at = head.low_at(words.len(), start - WORD - bucket);
    let mut at = start;
    while bit(words, at) {
        if bits(words, low_at, head.width()) == low {
            return None;
        }
        at += 1;
        low_at -= head.width();
    }
    Some(Vacancy(start))
}

/// Adds a number that is missing; the block must have room.
pub fn insert(words: &mut [u64], number: u64, vacancy: Vacancy) {
    let head = Head::read(words);
    let (bucket, low) = head.parts(number);
    let Vacancy(at) = vacancy;
    insert_one(words, at, head.buckets_end());
    let first = head.low_at(words.len(), at - WORD - bucket);
    shift_down(words, head.low_at(words.len(), head.count()), first, head.width());
    set_bits(words, first, head.width(), low);
    Head { count: head.count + 1, ..head }.write(words);
}

/// Writes a run of numbers, ordered by their buckets.
pub fn write(words: &mut [u64], head: Head, numbers: &[u64]) {
    words[..head.buckets_end().div_ceil(WORD)].fill(0);
    head.write(words);
    for (index, number) in numbers.iter().enumerate() {
        let (bucket, low) = head.parts(*number);
        let at = WORD + bucket + index;
        words[at / WORD] |= 1 << (at % WORD);
        set_bits(words, head.low_at(words.len(), index), head.width(), low);
    }
}

/// All numbers of a run, ordered by their buckets.
pub fn read(words: &[u64]) -> Vec<u64> {
    let head = Head::read(words);
    let count = if head.saturated() { 0 } else { head.count() };
    let mut numbers = Vec::with_capacity(count);
    let mut at = 1;
    let mut ones = words[at];
    // Every bucket ends with a zero, so the first `count` ones are those of the buckets.
    while numbers.len() < count {
        if ones == 0 {
            at += 1;
            ones = words[at];
            continue;
        }
        let bucket = (at - 1) * WORD + ones.trailing_zeros() as usize - numbers.len();
        let low = bits(words, head.low_at(words.len(), numbers.len()), head.width());
        numbers.push((bucket as u64) << head.width | low);
        ones &= ones - 1;
    }
    numbers
}

/// Copies a run into a larger block.
pub fn copy(from: &[u64], to: &mut [u64]) {
    let head = Head::read(from);
    let front = head.buckets_end().div_ceil(WORD);
    let back = (head.count() * head.width()).div_ceil(WORD);
    to[..front].copy_from_slice(&from[..front]);
    let to_back = to.len() - back;
    to[to_back..].copy_from_slice(&from[from.len() - back..]);
}

/// Makes the run say yes to everything from now on.
pub fn saturate(words: &mut [u64]) {
    Head { count: SATURATED, ..Head::read(words) }.write(words);
}

/// Where a bucket's first one would stand: just behind the zero of the bucket before it.
#[inline(always)]
fn bucket_start(words: &[u64], bucket: usize) -> usize {
    let mut zeros = bucket as u32;
    if zeros == 0 {
        return WORD;
    }
    let mut at = 1;
    loop {
        let here = words[at].count_zeros();
        if zeros <= here {
            return at * WORD + nth_one(!words[at], u64::from(zeros)) + 1;
        }
        zeros -= here;
        at += 1;
    }
}

const EACH_BYTE: u64 = 0x0101_0101_0101_0101;
const TOP_BITS: u64 = EACH_BYTE << 7;

/// In each byte, the number of ones in it and in all lower ones.
#[inline]
fn byte_sums(word: u64) -> u64 {
    const PAIRS: u64 = EACH_BYTE * 0x55;
    const NIBBLES: u64 = EACH_BYTE * 0x33;
    const BYTES: u64 = EACH_BYTE * 0x0f;
    let pairs = word - (word >> 1 & PAIRS);
    let nibbles = (pairs & NIBBLES) + (pairs >> 2 & NIBBLES);
    ((nibbles + (nibbles >> 4)) & BYTES).wrapping_mul(EACH_BYTE)
}

/// The position of the n-th one of a word, counted from 1, without a branch: first its byte, by the
/// sums that have reached n, then its bit in the same way, each bit spread to a byte of its own.
#[inline]
fn nth_one(word: u64, n: u64) -> usize {
    let sums = byte_sums(word);
    let byte_at = (((sums | TOP_BITS) - n * EACH_BYTE) & TOP_BITS).trailing_zeros() & !7;
    let left = n - ((sums << 8) >> byte_at & 0xff);
    let spread = ((word >> byte_at & 0xff) * EACH_BYTE) & 0x8040_2010_0804_0201;
    let ones = ((((spread | TOP_BITS) - EACH_BYTE) | spread) & TOP_BITS) >> 7;
    let sums = ones.wrapping_mul(EACH_BYTE);
    byte_at as usize + ((((sums | TOP_BITS) - left * EACH_BYTE) & TOP_BITS).trailing_zeros() / 8) as usize
}

#[inline]
fn bit(words: &[u64], at: usize) -> bool {
    words[at / WORD] >> (at % WORD) & 1 == 1
}

#[inline]
fn bits(words: &[u64], at: usize, width: usize) -> u64 {
    let (word, shift) = (at / WORD, at % WORD);
    let mut value = if width == 0 { 0 } else { words[word] >> shift };
    if shift + width > WORD {
        value |= words[word + 1] << (WORD - shift);
    }
    value & ((1 << width) - 1)
}

#[inline]
fn set_bits(words: &mut [u64], at: usize, width: usize, value: u64) {
    let (word, shift) = (at / WORD, at % WORD);
    if width == 0 {
        return;
    }
    let mask = (1u64 << width) - 1;
    words[word] = words[word] & !(mask << shift) | value << shift;
    if shift + width > WORD {
        let done = WORD - shift;
        words[word + 1] = words[word + 1] & !(mask >> done) | value >> done;
    }
}

/// Puts a one at `at` and moves the bits from there up to `end` one further; what stands behind
/// `end` keeps its place, but for the one bit that is needed.
#[inline]
fn insert_one(words: &mut [u64], at: usize, end: usize) {
    let (first, last) = (at / WORD, end / WORD);
    let below = (1u64 << (at % WORD)) - 1;
    let above = (u64::MAX << (end % WORD)) << 1;
    let behind = words[last] & above;
    let mut carry = words[first] >> (WORD - 1);
    words[first] = words[first] & below | 1 << (at % WORD) | (words[first] & !below) << 1;
    for word in &mut words[first + 1..=last] {
        let next = *word >> (WORD - 1);
        *word = *word << 1 | carry;
        carry = next;
    }
    words[last] = words[last] & !above | behind;
}

/// Moves the bits from `from + by` up to `to + by` down by `by`, less than a word.
#[inline]
fn shift_down(words: &mut [u64], from: usize, to: usize, by: usize) {
    if by == 0 || from == to {
        return;
    }
    let (first, last) = (from / WORD, to / WORD);
    let below = (1u64 << (from % WORD)) - 1;
    let above = u64::MAX << (to % WORD);
    let (kept, behind) = (words[first] & below, words[last] & above);
    let over = words.get(last + 1).map_or(0, |next| next << (WORD - by));
    let moved = &mut words[first..=last];
    for at in 1..moved.len() {
        moved[at - 1] = moved[at - 1] >> by | moved[at] << (WORD - by);
    }
    let end = moved.len() - 1;
    moved[end] = (moved[end] >> by | over) & !above | behind;
    moved[0] = moved[0] & !below | kept;
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn a_run_holds_a_set(numbers in prop::collection::btree_set(0..FACTOR << 20, 0..400), cut in 0..400usize) {
            let numbers: Vec<u64> = numbers.into_iter().collect();
            let (written, inserted) = numbers.split_at(cut.min(numbers.len()));
            let head = Head::new(7, written.len(), 20);
            let mut words = vec![u64::MAX; head.words()];
            write(&mut words, head, written);
            for number in inserted.iter().rev() {
                let mut wider = vec![u64::MAX; Head::read(&words).words_with_one_more().max(words.len())];
                copy(&words, &mut wider);
                words = wider;
                let vacancy = find(&words, *number).unwrap();
                insert(&mut words, *number, vacancy);
            }
            let mut all = read(&words);
            all.sort_unstable();
            prop_assert_eq!(&all, &numbers);
            prop_assert!(numbers.iter().all(|n| contains(&words, *n)));
            prop_assert_eq!(Head::read(&words).shard(), 7);
        }
    }

    #[test]
    fn the_nth_one_is_found() {
        let word = 0x8000_0001_0010_0101_u64;
        assert_eq!((1..=5).map(|n| nth_one(word, n)).collect::<Vec<_>>(), [0, 8, 20, 32, 63]);
    }
}
