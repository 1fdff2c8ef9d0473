//! The bytes of a segment, version 1. All numbers are little-endian.
//!
//! ```text
//! segment   header, then frames: entries and marks
//! header    "TLJN"   version u16   0 u16      first u64   created_ns i64   0 u32   crc u32
//! entry     crc u32   length u32   ordinal u32   kind u8, keys u24   │ keys × u64 │ payload
//! mark      crc u32   "MARK"       ordinal u32   offset u32
//! ```
//!
//! An entry's length is that of its keys and its payload. The ordinal counts the entries of the segment
//! that stand before the frame. A frame's checksum is salted with the header's, so that no frame of
//! another segment is taken for one of this; a mark holds its own offset, so that no copy of a mark in
//! a payload is taken for one.

use super::extent::Extent;
use super::{ENTRY_BYTES_MAX, Entry, Error, Sequence};
use crc32c::{crc32c, crc32c_append};
use std::path::Path;

const MAGIC: &[u8; 4] = b"TLJN";
const VERSION: u16 = 1;
/// Bytes of a segment's header.
pub(super) const HEADER_BYTES: usize = 32;
/// Bytes of a mark, and of what stands before an entry's keys.
pub(super) const HEAD_BYTES: usize = 16;
/// Stands where an entry has its length, and is larger than any.
pub(super) const MARK: &[u8; 4] = b"MARK";
const CRC_BYTES: usize = 4;

/// What a segment's header says.
pub(super) struct Header {
    /// The first entry.
    pub(super) first: Sequence,
    /// When the segment was begun, in nanoseconds, by the caller's clock.
    pub(super) created_ns: i64,
    /// The salt of its frames.
    pub(super) salt: u32,
}

/// The header of a new segment, and the salt of its frames.
pub(super) fn header(first: Sequence, created_ns: i64) -> ([u8; HEADER_BYTES], u32) {
    let mut bytes = [0; HEADER_BYTES];
    bytes[..4].copy_from_slice(MAGIC);
    bytes[4..6].copy_from_slice(&VERSION.to_le_bytes());
    bytes[8..16].copy_from_slice(&first.0.to_le_bytes());
    bytes[16..24].copy_from_slice(&created_ns.to_le_bytes());
    let salt = crc32c(&bytes[..28]);
    bytes[28..].copy_from_slice(&salt.to_le_bytes());
    (bytes, salt)
}

/// Reads the header of the segment `file`.
pub(super) fn read_header(bytes: &[u8; HEADER_BYTES], file: &Path) -> Result<Header, Error> {
    let damaged = |what| Error::Corrupt { file: file.to_path_buf(), offset: 0, what };
    if !bytes.starts_with(MAGIC) {
        return Err(damaged("it does not begin like a segment of a journal"));
    }
    // A later version may have its checksum elsewhere, so the version is looked at first.
    let version = u16::from_le_bytes([bytes[4], bytes[5]]);
    if version != VERSION {
        return Err(Error::Version { file: file.to_path_buf(), version, known: VERSION });
    }
    let salt = crc32c(&bytes[..28]);
    if salt.to_le_bytes() != bytes[28..] {
        return Err(damaged("the checksum of its header is wrong"));
    }
    let words = bytes.as_chunks::<8>().0;
    Ok(Header { first: Sequence(u64::from_le_bytes(words[1])), created_ns: i64::from_le_bytes(words[2]), salt })
}

/// The head of a frame.
#[derive(Clone, Copy)]
pub(super) struct Head {
    crc: u32,
    length: u32,
    /// How many entries of the segment stand before this frame.
    pub(super) ordinal: u32,
    /// An entry's kind and number of keys; a mark's offset.
    rest: u32,
}

impl Head {
    pub(super) fn read(bytes: &[u8; HEAD_BYTES]) -> Head {
        let words = bytes.as_chunks::<4>().0;
        let [crc, length, ordinal, rest] = [0, 1, 2, 3].map(|at| u32::from_le_bytes(words[at]));
        Head { crc, length, ordinal, rest }
    }

    pub(super) fn is_mark(self) -> bool {
        self.length.to_le_bytes() == *MARK
    }

    /// Bytes of the whole entry; `None` where no entry can be so long.
    pub(super) fn entry_bytes(self) -> Option<usize> {
        let length = self.length as usize;
        (length <= ENTRY_BYTES_MAX && self.keys() * 8 <= length).then_some(HEAD_BYTES + length)
    }

    pub(super) fn kind(self) -> u8 {
        self.rest as u8
    }

    fn keys(self) -> usize {
        (self.rest >> 8) as usize
    }

    /// Whether the frame, all of its bytes, is what was written.
    pub(super) fn fits(self, frame: &[u8], salt: u32) -> bool {
        crc32c_append(salt, &frame[CRC_BYTES..]) == self.crc
    }
}

/// Whether a mark stands at `offset`; gives the number of entries before it.
pub(super) fn read_mark(bytes: &[u8; HEAD_BYTES], offset: u64, salt: u32) -> Option<u32> {
    let head = Head::read(bytes);
    (head.is_mark() && u64::from(head.rest) == offset && head.fits(bytes, salt)).then_some(head.ordinal)
}

/// The mark that stands at `offset`, after `ordinal` entries.
pub(super) fn mark(offset: u64, ordinal: u32, salt: u32) -> [u8; HEAD_BYTES] {
    let mut bytes = [0; HEAD_BYTES];
    bytes[4..8].copy_from_slice(MARK);
    bytes[8..12].copy_from_slice(&ordinal.to_le_bytes());
    bytes[12..].copy_from_slice(&(offset as u32).to_le_bytes());
    seal(&mut bytes, salt);
    bytes
}

/// Appends an entry to `out`. It must not be larger than [`ENTRY_BYTES_MAX`].
pub(super) fn push_entry(out: &mut Extent, kind: u8, ordinal: u32, keys: &[u64], payload: &[u8], salt: u32) {
    let begin = out.len();
    let length = keys.len() * 8 + payload.len();
    out.reserve(HEAD_BYTES + length);
    let words = [0, length as u32, ordinal, u32::from(kind) | (keys.len() as u32) << 8];
    out.push(words.map(u32::to_le_bytes).as_flattened());
    let places = out.grow(keys.len() * 8).as_chunks_mut().0;
    places.iter_mut().zip(keys).for_each(|(place, key)| *place = key.to_le_bytes());
    out.push(payload);
    seal(&mut out.bytes_mut()[begin..], salt);
}

fn seal(frame: &mut [u8], salt: u32) {
    let crc = crc32c_append(salt, &frame[CRC_BYTES..]);
    frame[..CRC_BYTES].copy_from_slice(&crc.to_le_bytes());
}

/// Takes apart an entry that was found to be sound, of the segment that begins with `first`.
pub(super) fn entry(frame: &[u8], first: Sequence) -> Option<Entry<'_>> {
    let (head, rest) = frame.split_first_chunk()?;
    let head = Head::read(head);
    let (keys, payload) = rest.split_at_checked(head.keys() * 8)?;
    Some(Entry { sequence: first + u64::from(head.ordinal), kind: head.kind(), keys: keys.as_chunks().0, payload })
}
