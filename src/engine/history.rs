//! The bytes of a transaction's history: its own key, then a log of entries.
//!
//! ```text
//! [length][packed key]  entry  entry  entry …
//!
//! a key that became bound:  0000_0001  node (4 bytes)
//! a record:                 step·eaosd0  time  [part] offset [element]  sizes  [keys…]  [body]
//!                                 │││││
//!                                 ││││└ carries the flow's key itself
//!                                 │││└─ time in whole milliseconds from the base, else nanoseconds
//!                                 ││└── part 0
//!                                 │└─── element 0
//!                                 └──── no keys and an empty body: no sizes either
//! ```
//!
//! Keys are counted in order of their appearance; a record names its keys by that count.

use crate::model::StepId;
use crate::model::observation::Position;
use crate::model::time::Time;
use crate::model::value::{get_varint, put_varint, unzigzag, zigzag};

const DIRECT: u64 = 2;
const MILLIS: u64 = 4;
const PART_ZERO: u64 = 8;
const ELEMENT_ZERO: u64 = 16;
const BARE: u64 = 32;
const STEP_SHIFT: u32 = 6;
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

/// Writes a record; `body` as an observation's, but that its dedupe counts among `keys`.
pub(super) fn write_record(head: &Head, base: i64, keys: &[u32], body: &[u8], out: &mut Vec<u8>) {
    let bare = keys.is_empty() && body == BARE_BODY;
    let delta = head.time.0.wrapping_sub(base);
    let millis = delta % MILLI == 0;
    let mut flags = u64::from(head.step) << STEP_SHIFT;
    flags |= if head.direct { DIRECT } else { 0 };
    flags |= if millis { MILLIS } else { 0 };
    flags |= if head.position.part == 0 { PART_ZERO } else { 0 };
    flags |= if head.position.element == 0 { ELEMENT_ZERO } else { 0 };
    flags |= if bare { BARE } else { 0 };
    let mut front = Front::default();
    front.varint(flags);
    front.varint(zigzag(if millis { delta / MILLI } else { delta }));
    if head.position.part != 0 {
        front.varint(u64::from(head.position.part));
    }
    front.varint(head.position.offset);
    if head.position.element != 0 {
        front.varint(u64::from(head.position.element));
    }
    if bare {
        return out.extend_from_slice(front.bytes());
    }
    if keys.len() <= KEYS_SMALL && body.len() <= BODY_SMALL {
        front.byte((keys.len() << 6 | body.len()) as u8);
    } else {
        front.byte(SIZES_LARGE);
        front.varint(keys.len() as u64);
        front.varint(body.len() as u64);
    }
    out.extend_from_slice(front.bytes());
    for key in keys {
        put_varint(out, u64::from(*key));
    }
    out.extend_from_slice(body);
}

/// The front of a record, up to its keys: seven numbers and a byte at most.
struct Front {
    bytes: [u8; 7 * VARINT_MAX + 1],
    length: usize,
}

/// The bytes of the longest number.
const VARINT_MAX: usize = 10;

impl Default for Front {
    fn default() -> Self {
        Front { bytes: [0; 7 * VARINT_MAX + 1], length: 0 }
    }
}

impl Front {
    #[inline]
    fn byte(&mut self, byte: u8) {
        self.bytes[self.length] = byte;
        self.length += 1;
    }

    #[inline]
    fn varint(&mut self, mut n: u64) {
        while n >= 0x80 {
            self.byte(n as u8 | 0x80);
            n >>= 7;
        }
        self.byte(n as u8);
    }

    fn bytes(&self) -> &[u8] {
        &self.bytes[..self.length]
    }
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

    fn next(&mut self) -> Option<Entry<'a>> {
        if self.bytes.is_empty() {
            return None;
        }
        let flags = get_varint(&mut self.bytes);
        if flags & 1 != 0 {
            let (node, rest) = self.bytes.split_at(4);
            self.bytes = rest;
            return Some(Entry::Key(u32::from_le_bytes([node[0], node[1], node[2], node[3]])));
        }
        let delta = unzigzag(get_varint(&mut self.bytes));
        let delta = if flags & MILLIS != 0 { delta.wrapping_mul(MILLI) } else { delta };
        let mut optional = |present: bool| if present { get_varint(&mut self.bytes) } else { 0 };
        let part = optional(flags & PART_ZERO == 0) as u32;
        let offset = optional(true);
        let element = optional(flags & ELEMENT_ZERO == 0) as u32;
        let head = Head {
            step: (flags >> STEP_SHIFT) as StepId,
            time: Time(self.base.wrapping_add(delta)),
            position: Position { part, offset, element },
            direct: flags & DIRECT != 0,
        };
        if flags & BARE != 0 {
            return Some(Entry::Record { head, keys: Keys { bytes: &[], left: 0 }, body: BARE_BODY });
        }
        let sizes = self.bytes[0];
        self.bytes = &self.bytes[1..];
        let (keys, body) = if sizes == SIZES_LARGE {
            (get_varint(&mut self.bytes) as usize, get_varint(&mut self.bytes) as usize)
        } else {
            ((sizes >> 6) as usize, (sizes & 0x3f) as usize)
        };
        let keys_bytes = self.bytes;
        for _ in 0..keys {
            get_varint(&mut self.bytes);
        }
        let (body, rest) = self.bytes.split_at(body);
        self.bytes = rest;
        Some(Entry::Record { head, keys: Keys { bytes: keys_bytes, left: keys }, body })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn histories_read_as_they_were_written() {
        let base = 1_767_225_600_000_000_000;
        let position = Position { part: 0, offset: 4_000_000, element: 0 };
        let record = |step, nanos, direct| Head { step, time: Time(base + nanos), position, direct };
        let long = vec![7; 300];
        let wide: Vec<u32> = (0..200).collect();
        let mut bytes = Vec::new();
        write_own_key(b"o-1", &mut bytes);
        write_record(&record(0, 0, true), base, &[], &[0], &mut bytes);
        let bare = bytes.len() - 4;
        write_key(77, &mut bytes);
        write_record(&record(300, -5, false), base, &wide, &long, &mut bytes);
        let (own, entries) = read(&bytes, base);
        assert_eq!(own, b"o-1");
        let told: Vec<String> = entries
            .map(|entry| match entry {
                Entry::Key(node) => format!("key {node}"),
                Entry::Record { head, keys, body } => {
                    format!("step {} at {} keys {} body {}", head.step, head.time.0 - base, keys.count(), body.len())
                }
            })
            .collect();
        assert_eq!(told, ["step 0 at 0 keys 0 body 1", "key 77", "step 300 at -5 keys 200 body 300"]);
        assert_eq!(bare, 6);
    }
}
