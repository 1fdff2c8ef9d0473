//! The bytes of a transaction's history: its own key, then a log of entries.
//!
//! ```text
//! [length][packed key]  entry  entry  entry …
//!
//! the first key bound:      3  (its node stands in the transaction's fixed part)
//! another that was bound:   1  node (4 bytes)
//! a record:                 marks  step and size  time  offset  [step]  [part  element]  [sizes  keys…  body]
//!
//! marks           sss·b·p·m·d·0    step and size   nnnnn·sss
//!                  │  │ │ │ │                       │    └── bytes of the offset, less one
//!                  │  │ │ │ └ carries the flow's    └── step; 31: it follows
//!                  │  │ │ │   key itself
//!                  │  │ │ └── time in whole milliseconds from the base, else nanoseconds
//!                  │  │ └──── part and element are 0
//!                  │  └────── no keys, and an empty body: no sizes either
//!                  └───────── bytes of the time, less one
//! ```
//!
//! Time and offset take as many bytes as they need, and are read and written eight at once. Keys are counted
//! in order of their appearance; a record names its keys by that count.

use super::store::Transaction;
use crate::model::StepId;
use crate::model::observation::{Dedupe, Position};
use crate::model::time::Time;
use crate::model::value::{get_varint, put_varint, unzigzag, zigzag};

const DIRECT: u8 = 2;
const MILLIS: u8 = 4;
const PLAIN: u8 = 8;
const BARE: u8 = 16;
const TIME_SHIFT: u32 = 5;
const SIZE_BITS: u32 = 3;
const SIZE_MASK: u8 = (1 << SIZE_BITS) - 1;
/// Steps from this one on take two bytes more.
const STEP_FOLLOWS: StepId = 31;
/// What comes before the keys, at its widest, and what is overwritten behind it.
const FRONT_MAX: usize = 64;
/// A key at its widest.
const VARINT_MAX: usize = 5;
const MILLI: i64 = 1_000_000;
/// Keys and body share one byte of sizes where both are small: 2 bits and 6 bits.
const KEYS_SMALL: usize = 3;
const BODY_SMALL: usize = 62;
const SIZES_LARGE: u8 = 0xff;

/// The body of a record that is bare: its position makes its effect unique, and it keeps nothing.
pub(super) const BARE_BODY: &[u8] = &[0];

/// A record's fixed part.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Head {
    pub step: StepId,
    pub time: Time,
    pub position: Position,
    pub direct: bool,
}

/// An entry of a history.
#[derive(Clone, Copy, Debug)]
pub(super) enum Entry<'a> {
    /// A key became bound.
    Key(u32),
    /// A record joined.
    Record { head: Head, keys: Keys<'a>, body: &'a [u8] },
}

/// A record's keys, as counts of bound keys.
#[derive(Clone, Copy, Debug)]
pub(super) struct Keys<'a> {
    bytes: &'a [u8],
    left: usize,
}

impl Iterator for Keys<'_> {
    type Item = u32;
    fn next(&mut self) -> Option<u32> {
        self.left = self.left.checked_sub(1)?;
        Some(get_varint(&mut self.bytes) as u32)
    }
}

/// Writes entries into memory that is long enough.
struct Pen<'a> {
    bytes: &'a mut [u8],
    at: usize,
}

impl Pen<'_> {
    #[inline(always)]
    fn byte(&mut self, byte: u8) {
        self.bytes[self.at] = byte;
        self.at += 1;
    }

    /// Writes the `size` lower bytes of a number; what stands behind them, up to eight, is overwritten.
    #[inline(always)]
    fn number(&mut self, number: u64, size: usize) {
        self.bytes[self.at..][..8].copy_from_slice(&number.to_le_bytes());
        self.at += size;
    }

    #[inline(always)]
    fn varint(&mut self, mut n: u64) {
        while n >= 0x80 {
            self.byte(n as u8 | 0x80);
            n >>= 7;
        }
        self.byte(n as u8);
    }

    #[inline(always)]
    fn all(&mut self, bytes: &[u8]) {
        self.bytes[self.at..][..bytes.len()].copy_from_slice(bytes);
        self.at += bytes.len();
    }

    #[inline(always)]
    fn dedupe(&mut self, dedupe: Dedupe<'_>) {
        match dedupe {
            Dedupe::Position => self.byte(0),
            Dedupe::Key(index) => self.varint(u64::from(index) * 2 + 2),
            Dedupe::Value(value) => {
                self.varint(value.len() as u64 * 2 + 1);
                self.all(value);
            }
        }
    }
}

/// Writes the beginning of a history.
pub(super) fn write_own_key(packed: &[u8], out: &mut Vec<u8>) {
    put_varint(out, packed.len() as u64);
    out.extend_from_slice(packed);
}

/// The first key that became bound.
pub(super) const FIRST_KEY: u8 = 3;

/// Another key that became bound.
pub(super) fn bound_key(node: u32) -> [u8; 5] {
    let [a, b, c, d] = node.to_le_bytes();
    [1, a, b, c, d]
}

/// Writes a record with the fields of its body, and gives its bytes; its dedupe counts among `keys`. `memory` is
/// used again and again.
#[inline]
pub(super) fn write_record<'m>(
    head: &Head,
    base: i64,
    keys: &[u32],
    (dedupe, fields): (Dedupe<'_>, &[u8]),
    memory: &'m mut Vec<u8>,
) -> &'m [u8] {
    let body = dedupe.encoded_length() + fields.len();
    let most = FRONT_MAX + keys.len() * VARINT_MAX + body;
    if memory.len() < most {
        memory.resize(most, 0);
    }
    let mut pen = Pen { bytes: memory, at: 0 };
    let Position { part, offset, element } = head.position;
    let bare = keys.is_empty() && dedupe == Dedupe::Position && fields.is_empty();
    let plain = part == 0 && element == 0;
    let delta = head.time.0.wrapping_sub(base);
    let millis = delta % MILLI == 0;
    let time = zigzag(if millis { delta / MILLI } else { delta });
    let (time_size, offset_size) = (size_of_number(time), size_of_number(offset));
    let step = head.step.min(STEP_FOLLOWS);
    let mark = |mark: u8, present: bool| if present { mark } else { 0 };
    let marks = mark(DIRECT, head.direct) | mark(MILLIS, millis) | mark(PLAIN, plain) | mark(BARE, bare);
    pen.byte(marks | (time_size as u8 - 1) << TIME_SHIFT);
    pen.byte((step as u8) << SIZE_BITS | (offset_size as u8 - 1));
    pen.number(time, time_size);
    pen.number(offset, offset_size);
    if step == STEP_FOLLOWS {
        pen.number(u64::from(head.step), 2);
    }
    if !plain {
        pen.varint(u64::from(part));
        pen.varint(u64::from(element));
    }
    if !bare {
        if keys.len() <= KEYS_SMALL && body <= BODY_SMALL {
            pen.byte((keys.len() << 6 | body) as u8);
        } else {
            pen.byte(SIZES_LARGE);
            pen.varint(keys.len() as u64);
            pen.varint(body as u64);
        }
        keys.iter().for_each(|key| pen.varint(u64::from(*key)));
        pen.dedupe(dedupe);
        pen.all(fields);
    }
    let end = pen.at;
    &memory[..end]
}

/// How many bytes a number needs, at least one.
#[inline]
fn size_of_number(n: u64) -> usize {
    8 - (n | 1).leading_zeros() as usize / 8
}

/// Takes a number of so many bytes, one to eight.
#[inline(always)]
fn take_number(bytes: &mut &[u8], size: usize) -> u64 {
    let number = match bytes.first_chunk() {
        Some(eight) => u64::from_le_bytes(*eight) & (u64::MAX >> (u64::BITS as usize - 8 * size)),
        None => bytes[..size].iter().rev().fold(0, |n, byte| n << 8 | u64::from(*byte)),
    };
    *bytes = &bytes[size..];
    number
}

/// The own key of a transaction, and the entries of its history.
#[inline]
pub(super) fn read<'a>(mut bytes: &'a [u8], transaction: &Transaction) -> (&'a [u8], Entries<'a>) {
    let length = get_varint(&mut bytes) as usize;
    let (own, rest) = bytes.split_at(length);
    (own, Entries { bytes: rest, base: transaction.base, first_key: transaction.first_key })
}

/// The entries of a history, in the order in which they came.
#[derive(Clone, Copy, Debug)]
pub(super) struct Entries<'a> {
    pub bytes: &'a [u8],
    pub base: i64,
    /// The node of the first key that became bound.
    pub first_key: u32,
}

impl<'a> Iterator for Entries<'a> {
    type Item = Entry<'a>;

    // Where only a part of an entry is looked at, only that part is read.
    #[inline(always)]
    fn next(&mut self) -> Option<Entry<'a>> {
        let (&marks, rest) = self.bytes.split_first()?;
        let mut bytes = rest;
        if marks == FIRST_KEY {
            self.bytes = bytes;
            return Some(Entry::Key(self.first_key));
        }
        if marks & 1 != 0 {
            let (node, rest) = bytes.split_at(4);
            self.bytes = rest;
            return Some(Entry::Key(u32::from_le_bytes([node[0], node[1], node[2], node[3]])));
        }
        let step = StepId::from(bytes[0] >> SIZE_BITS);
        let offset_size = usize::from(bytes[0] & SIZE_MASK) + 1;
        bytes = &bytes[1..];
        let delta = unzigzag(take_number(&mut bytes, usize::from(marks >> TIME_SHIFT) + 1));
        let delta = if marks & MILLIS != 0 { delta.wrapping_mul(MILLI) } else { delta };
        let offset = take_number(&mut bytes, offset_size);
        let step = if step == STEP_FOLLOWS { take_number(&mut bytes, 2) as StepId } else { step };
        let (part, element) = match marks & PLAIN {
            0 => (get_varint(&mut bytes) as u32, get_varint(&mut bytes) as u32),
            _ => (0, 0),
        };
        let head = Head {
            step,
            time: Time(self.base.wrapping_add(delta)),
            position: Position { part, offset, element },
            direct: marks & DIRECT != 0,
        };
        let (keys, body) =
            if marks & BARE != 0 { (Keys { bytes: &[], left: 0 }, BARE_BODY) } else { take_rest(&mut bytes) };
        self.bytes = bytes;
        Some(Entry::Record { head, keys, body })
    }
}

/// Takes a record's keys and body.
#[inline(always)]
fn take_rest<'a>(bytes: &mut &'a [u8]) -> (Keys<'a>, &'a [u8]) {
    let sizes = bytes[0];
    *bytes = &bytes[1..];
    let (count, length) = if sizes == SIZES_LARGE {
        (get_varint(bytes) as usize, get_varint(bytes) as usize)
    } else {
        ((sizes >> 6) as usize, (sizes & 0x3f) as usize)
    };
    let keys = Keys { bytes, left: count };
    for _ in 0..count {
        get_varint(bytes);
    }
    let (body, rest) = bytes.split_at(length);
    *bytes = rest;
    (keys, body)
}

/// Writes entries again, with other nodes for the keys that became bound after the first.
pub(super) fn rewrite(mut entries: Entries<'_>, nodes: &[u32], out: &mut Vec<u8>) {
    let mut nodes = nodes.iter();
    let mut before = entries.bytes;
    while let Some(entry) = entries.next() {
        match entry {
            Entry::Key(_) if before[0] == FIRST_KEY => out.push(FIRST_KEY),
            Entry::Key(old) => out.extend_from_slice(&bound_key(nodes.next().copied().unwrap_or(old))),
            Entry::Record { .. } => out.extend_from_slice(&before[..before.len() - entries.bytes.len()]),
        }
        before = entries.bytes;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::observation::Body;

    #[test]
    fn histories_read_as_they_were_written() {
        let base = 1_767_225_600_000_000_000_i64;
        let plain = Position { part: 0, offset: 4_000_000, element: 0 };
        let wide = Position { part: 7, offset: u64::MAX, element: 300 };
        let record =
            |step, nanos, position| Head { step, time: Time(base.wrapping_add(nanos)), position, direct: step == 0 };
        let long = vec![7; 300];
        let keys: Vec<u32> = (0..200).collect();
        let records = [
            (record(0, 0, plain), vec![], Dedupe::Position, vec![]),
            (record(1, 119_999_000_000, plain), vec![0], Dedupe::Key(0), vec![3, 9]),
            (record(300, -5, wide), keys, Dedupe::Value(b"v"), long),
            (record(31, i64::MAX, plain), vec![], Dedupe::Position, vec![0]),
            (record(30, i64::MIN, wide), vec![], Dedupe::Position, vec![]),
        ];
        let mut transaction = Transaction::default();
        (transaction.base, transaction.first_key) = (base, 66);
        let (mut bytes, mut memory, mut ends) = (Vec::new(), Vec::new(), Vec::new());
        write_own_key(b"o-1", &mut bytes);
        bytes.push(FIRST_KEY);
        for (head, keys, dedupe, fields) in &records {
            ends.push(bytes.len());
            bytes.extend_from_slice(write_record(head, base, keys, (*dedupe, fields), &mut memory));
            bytes.extend_from_slice(&bound_key(77));
        }
        assert_eq!(ends[1] - ends[0], 6 + 5, "a bare record and a key");
        let (own, entries) = read(&bytes, &transaction);
        assert_eq!(own, b"o-1");
        let mut expected = records.iter();
        for entry in entries {
            let Entry::Record { head, keys, body } = entry else { continue };
            let (known, known_keys, dedupe, fields) = expected.next().expect("no more than were written");
            let read = Body::read(body);
            assert_eq!((head, read.dedupe, read.raw_fields()), (*known, *dedupe, fields.as_slice()));
            assert_eq!(keys.collect::<Vec<_>>(), *known_keys);
        }
        assert!(expected.next().is_none());
        assert_eq!(entries.filter_map(key).collect::<Vec<_>>(), [66, 77, 77, 77, 77, 77]);
        let (mut again, mut back) = (Vec::new(), Vec::new());
        rewrite(entries, &[1, 2, 3, 4, 5], &mut again);
        let others = Entries { bytes: &again, ..entries };
        assert_eq!(others.filter_map(key).collect::<Vec<_>>(), [66, 1, 2, 3, 4, 5]);
        rewrite(others, &[77; 5], &mut back);
        assert_eq!(back, entries.bytes);
    }

    fn key(entry: Entry<'_>) -> Option<u32> {
        match entry {
            Entry::Key(node) => Some(node),
            Entry::Record { .. } => None,
        }
    }
}
