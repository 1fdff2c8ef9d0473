//! The bytes of a transaction's history: its own key, then a log of entries.
//!
//! ```text
//! [length][packed key]  entry  entry  entry …
//!
//! a key that became bound:  1  node (4 bytes)
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
/// Two bytes, then time and offset at their widest.
const FRONT_MAX: usize = 2 + 8 + 8;
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

/// Writes the beginning of a history.
pub(super) fn write_own_key(packed: &[u8], out: &mut Vec<u8>) {
    put_varint(out, packed.len() as u64);
    out.extend_from_slice(packed);
}

/// Writes that a key became bound.
pub(super) fn write_key(node: u32, out: &mut Vec<u8>) {
    out.push(1);
    out.extend_from_slice(&node.to_le_bytes());
}

/// Writes a record with the fields of its body; its dedupe counts among `keys`.
#[inline]
pub(super) fn write_record(
    head: &Head,
    base: i64,
    keys: &[u32],
    (dedupe, fields): (Dedupe<'_>, &[u8]),
    out: &mut Vec<u8>,
) {
    let Position { part, offset, element } = head.position;
    let bare = keys.is_empty() && dedupe == Dedupe::Position && fields.is_empty();
    let plain = part == 0 && element == 0;
    let delta = head.time.0.wrapping_sub(base);
    let millis = delta % MILLI == 0;
    let time = zigzag(if millis { delta / MILLI } else { delta });
    let (time_size, offset_size) = (size_of_number(time), size_of_number(offset));
    let step = head.step.min(STEP_FOLLOWS);
    let mut front = [0; FRONT_MAX];
    let mark = |mark: u8, present: bool| if present { mark } else { 0 };
    front[0] = mark(DIRECT, head.direct) | mark(MILLIS, millis) | mark(PLAIN, plain) | mark(BARE, bare);
    front[0] |= (time_size as u8 - 1) << TIME_SHIFT;
    front[1] = (step as u8) << SIZE_BITS | (offset_size as u8 - 1);
    front[2..10].copy_from_slice(&time.to_le_bytes());
    front[2 + time_size..][..8].copy_from_slice(&offset.to_le_bytes());
    let end = out.len() + 2 + time_size + offset_size;
    out.extend_from_slice(&front);
    out.truncate(end);
    if step == STEP_FOLLOWS {
        out.extend_from_slice(&head.step.to_le_bytes());
    }
    if !plain {
        put_varint(out, u64::from(part));
        put_varint(out, u64::from(element));
    }
    if !bare {
        write_rest(keys, dedupe, fields, out);
    }
}

/// Writes sizes, keys and body.
#[inline]
fn write_rest(keys: &[u32], dedupe: Dedupe<'_>, fields: &[u8], out: &mut Vec<u8>) {
    let body = dedupe.encoded_length() + fields.len();
    if keys.len() <= KEYS_SMALL && body <= BODY_SMALL {
        out.push((keys.len() << 6 | body) as u8);
    } else {
        out.push(SIZES_LARGE);
        put_varint(out, keys.len() as u64);
        put_varint(out, body as u64);
    }
    for key in keys {
        put_varint(out, u64::from(*key));
    }
    dedupe.encode(out);
    out.extend_from_slice(fields);
}

/// How many bytes a number needs, at least one.
#[inline]
fn size_of_number(n: u64) -> usize {
    (u64::BITS - (n | 1).leading_zeros()).div_ceil(8) as usize
}

/// Takes a number of so many bytes, one to eight.
#[inline]
fn take_number(bytes: &mut &[u8], size: usize) -> u64 {
    let number = match bytes.first_chunk() {
        Some(eight) => u64::from_le_bytes(*eight) & (u64::MAX >> (u64::BITS as usize - 8 * size)),
        None => bytes[..size].iter().rev().fold(0, |n, byte| n << 8 | u64::from(*byte)),
    };
    *bytes = &bytes[size..];
    number
}

/// A history's own key, and its entries.
pub(super) fn read(mut bytes: &[u8], base: i64) -> (&[u8], Entries<'_>) {
    let length = get_varint(&mut bytes) as usize;
    let (own, rest) = bytes.split_at(length);
    (own, Entries { bytes: rest, base })
}

/// The entries of a history, in the order in which they came.
#[derive(Clone, Copy, Debug)]
pub(super) struct Entries<'a> {
    pub bytes: &'a [u8],
    pub base: i64,
}

impl<'a> Iterator for Entries<'a> {
    type Item = Entry<'a>;

    #[inline]
    fn next(&mut self) -> Option<Entry<'a>> {
        let (&marks, rest) = self.bytes.split_first()?;
        let mut bytes = rest;
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
#[inline]
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

/// Writes entries again, with other nodes for the keys that became bound.
pub(super) fn rewrite(mut entries: Entries<'_>, nodes: &[u32], out: &mut Vec<u8>) {
    let mut nodes = nodes.iter();
    let mut before = entries.bytes;
    while let Some(entry) = entries.next() {
        match entry {
            Entry::Key(old) => write_key(nodes.next().copied().unwrap_or(old), out),
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
        let mut bytes = Vec::new();
        write_own_key(b"o-1", &mut bytes);
        let mut ends = vec![bytes.len()];
        for (head, keys, dedupe, fields) in &records {
            write_record(head, base, keys, (*dedupe, fields), &mut bytes);
            ends.push(bytes.len());
            write_key(77, &mut bytes);
        }
        assert_eq!(ends[1] - ends[0], 6, "a bare record");
        let (own, entries) = read(&bytes, base);
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
        let (mut again, mut back) = (Vec::new(), Vec::new());
        rewrite(entries, &[1, 2, 3, 4, 5], &mut again);
        let nodes: Vec<u32> = Entries { bytes: &again, base }.filter_map(key).collect();
        assert_eq!(nodes, [1, 2, 3, 4, 5]);
        rewrite(Entries { bytes: &again, base }, &[77; 5], &mut back);
        assert_eq!(back, entries.bytes);
    }

    fn key(entry: Entry<'_>) -> Option<u32> {
        match entry {
            Entry::Key(node) => Some(node),
            Entry::Record { .. } => None,
        }
    }
}
