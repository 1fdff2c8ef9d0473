//! From the hash of a key to the entries of a segment that carry it.
//!
//! Hashes are parted by their upper 12 bits. While a segment grows, each part is a chain of short runs in
//! memory; when it is sealed, the parts are sorted and written beside it. A lookup reads one line of the
//! table and one part, some KB, and nothing stays in memory.
//!
//! ```text
//! word    24 bits of the hash │ kind u8 │ offset u32 of an entry in the segment
//! file    "TLIX"   version u16   0 u16   end u64   end_offset u64   words u32   crc u32
//!         table: for each part, and once more for the end: where it begins u32, its checksum u32
//!         words of part 0, sorted │ words of part 1 │ …
//! ```
//!
//! A part's checksum is salted with the segment's own salt, its end and the part's number. So whatever
//! is damaged, missing or left over from another state of the segment shows where it is used, and the
//! index is made anew from the segment; it holds nothing that the segment does not.

use super::frames::Step;
use super::segment::Segment;
use super::{Error, Sequence, disk};
use crc32c::{crc32c, crc32c_append};
use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom};

const PART_BITS: u32 = 12;
const PARTS: usize = 1 << PART_BITS;
const TAG_BITS: u32 = 24;
const MAGIC: &[u8; 4] = b"TLIX";
const VERSION: u16 = 1;
const HEADER_BYTES: usize = 32;
const LINE_BYTES: usize = 8;
const TABLE_BYTES: usize = (PARTS + 1) * LINE_BYTES;
const WORD_BYTES: usize = 8;

/// The index of a segment that still grows, or that has no file.
#[derive(Debug)]
pub(super) struct Index {
    parts: Vec<Part>,
    runs: Vec<Run>,
    words: usize,
}

/// One part's words.
#[derive(Clone, Copy, Debug)]
struct Part {
    /// The newest run, which alone may have room; [`NONE`] where there is none.
    newest: u32,
    /// How many words it holds.
    held: u32,
}

/// Words of one part.
#[derive(Debug)]
struct Run {
    words: [u64; RUN_WORDS],
    /// The run before it.
    older: u32,
}

/// With the link to the one before, 256 bytes.
const RUN_WORDS: usize = 31;
const NONE: u32 = u32::MAX;

impl Default for Index {
    fn default() -> Index {
        let nothing = Part { newest: NONE, held: RUN_WORDS as u32 };
        Index { parts: vec![nothing; PARTS], runs: Vec::new(), words: 0 }
    }
}

impl Index {
    /// The entry at `offset` carries this key.
    pub(super) fn insert(&mut self, key: u64, kind: u8, offset: u64) {
        let part = &mut self.parts[part(key)];
        if part.held as usize == RUN_WORDS {
            self.runs.push(Run { words: [0; RUN_WORDS], older: part.newest });
            *part = Part { newest: (self.runs.len() - 1) as u32, held: 0 };
        }
        self.runs[part.newest as usize].words[part.held as usize] = word(key, kind, offset);
        part.held += 1;
        self.words += 1;
    }

    /// The words of a part, in no order.
    fn words_of(&self, part: usize, out: &mut Vec<u64>) {
        out.clear();
        let Part { mut newest, held } = self.parts[part];
        let mut held = held as usize;
        while let Some(run) = self.runs.get(newest as usize) {
            out.extend_from_slice(&run.words[..held]);
            (newest, held) = (run.older, RUN_WORDS);
        }
    }

    /// How many keys of entries it holds.
    pub(super) fn words(&self) -> usize {
        self.words
    }

    /// Where entries stand that probably carry the key; the last one is the newest.
    pub(super) fn hits(&self, key: u64, kind: Option<u8>) -> Vec<u32> {
        let mut words = Vec::new();
        self.words_of(part(key), &mut words);
        matching(words.into_iter(), key, kind)
    }

    /// Makes the index of a sealed segment that ends before `end`, by reading all of it.
    pub(super) fn of(segment: &Segment, end: Sequence) -> Result<(Index, u64), Error> {
        let mut index = Index::default();
        let mut frames = segment.frames()?;
        let entries = end.0 - segment.first.0;
        while u64::from(frames.ordinal()) < entries {
            match frames.step()? {
                Step::Entry(place) => {
                    let entry = frames.entry(&place, segment.first);
                    entry.keys().for_each(|key| index.insert(key, entry.kind, place.offset));
                }
                Step::Mark => {}
                Step::Bad(what) => return Err(segment.corrupt(frames.offset(), what)),
                Step::End => {
                    let folder = segment.path.parent().unwrap_or(&segment.path).to_path_buf();
                    let from = segment.first + u64::from(frames.ordinal());
                    return Err(Error::Missing { folder, from, to: end });
                }
            }
        }
        let end_offset = frames.offset();
        match frames.step()? {
            Step::Entry(_) => {
                Err(segment.corrupt(end_offset, "entries stand here that the next segment holds as well"))
            }
            _ => Ok((index, end_offset)),
        }
    }

    /// Writes it beside its segment, which ends at `end_offset` with the entry before `end`.
    pub(super) fn write(&self, segment: &Segment, end: Sequence, end_offset: u64) -> io::Result<()> {
        let mut table = Vec::with_capacity(TABLE_BYTES);
        let mut begin = 0_u32;
        let mut sorted = Vec::with_capacity(self.words * WORD_BYTES);
        let mut words = Vec::new();
        for number in 0..PARTS {
            self.words_of(number, &mut words);
            words.sort_unstable();
            words.dedup();
            let bytes = sorted.len();
            words.iter().for_each(|word| sorted.extend_from_slice(&word.to_le_bytes()));
            table.extend_from_slice(&begin.to_le_bytes());
            table.extend_from_slice(&checksum(segment, end, number, &sorted[bytes..]).to_le_bytes());
            begin += words.len() as u32;
        }
        table.extend_from_slice(&begin.to_le_bytes());
        table.extend_from_slice(&[0; 4]);
        disk::write_whole(&segment.index_path(), |out| {
            out.write_all(&header(segment, end, end_offset, begin))?;
            out.write_all(&table)?;
            out.write_all(&sorted)
        })
    }
}

/// Whether the segment has an index file for just this end of it, and all the bytes that it leads to.
pub(super) fn is_whole(segment: &Segment, end: Sequence) -> Result<bool, Error> {
    let path = segment.index_path();
    let length = std::fs::metadata(&segment.path).map_err(Error::io("read", &segment.path))?.len();
    let mut bytes = [0; HEADER_BYTES];
    match File::open(&path).and_then(|mut file| Ok((file.metadata()?.len(), file.read_exact(&mut bytes)?))) {
        Ok((index_length, ())) => {
            let end_offset = u64::from_le_bytes(bytes.as_chunks().0[2]);
            let words = u32::from_le_bytes(bytes.as_chunks().0[6]);
            let expected = (HEADER_BYTES + TABLE_BYTES) as u64 + u64::from(words) * WORD_BYTES as u64;
            let fits = bytes == header(segment, end, end_offset, words);
            Ok(fits && index_length == expected && length >= end_offset)
        }
        Err(error) if matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::UnexpectedEof) => Ok(false),
        Err(error) => Err(Error::io("read", &path)(error)),
    }
}

/// Where entries stand that probably carry the key; the last one is the newest. `None` where the file
/// is missing or cannot be trusted.
pub(super) fn hits(segment: &Segment, end: Sequence, key: u64, kind: Option<u8>) -> Result<Option<Vec<u32>>, Error> {
    let path = segment.index_path();
    match read_part(segment, end, part(key)) {
        Ok(Some(words)) => {
            Ok(Some(matching(words.as_chunks().0.iter().map(|word| u64::from_le_bytes(*word)), key, kind)))
        }
        Ok(None) => Ok(None),
        Err(error) if matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::UnexpectedEof) => Ok(None),
        Err(error) => Err(Error::io("read", &path)(error)),
    }
}

fn read_part(segment: &Segment, end: Sequence, part: usize) -> io::Result<Option<Vec<u8>>> {
    let mut file = File::open(segment.index_path())?;
    let mut lines = [0; 2 * LINE_BYTES];
    file.seek(SeekFrom::Start((HEADER_BYTES + part * LINE_BYTES) as u64))?;
    file.read_exact(&mut lines)?;
    let [begin, crc, next, _] = [0, 1, 2, 3].map(|at| u32::from_le_bytes(lines.as_chunks().0[at]));
    let place = (HEADER_BYTES + TABLE_BYTES) as u64 + u64::from(begin) * WORD_BYTES as u64;
    let length = u64::from(next.saturating_sub(begin)) * WORD_BYTES as u64;
    if place + length > file.metadata()?.len() {
        return Ok(None);
    }
    let mut words = vec![0; length as usize];
    file.seek(SeekFrom::Start(place))?;
    file.read_exact(&mut words)?;
    Ok((checksum(segment, end, part, &words) == crc).then_some(words))
}

fn header(segment: &Segment, end: Sequence, end_offset: u64, words: u32) -> [u8; HEADER_BYTES] {
    let mut bytes = [0; HEADER_BYTES];
    bytes[..4].copy_from_slice(MAGIC);
    bytes[4..6].copy_from_slice(&VERSION.to_le_bytes());
    bytes[8..16].copy_from_slice(&end.0.to_le_bytes());
    bytes[16..24].copy_from_slice(&end_offset.to_le_bytes());
    bytes[24..28].copy_from_slice(&words.to_le_bytes());
    let crc = crc32c_append(segment.salt, &bytes[..28]);
    bytes[28..].copy_from_slice(&crc.to_le_bytes());
    bytes
}

fn checksum(segment: &Segment, end: Sequence, part: usize, words: &[u8]) -> u32 {
    let salt = [u64::from(segment.salt), end.0, part as u64].map(u64::to_le_bytes);
    crc32c_append(crc32c(salt.as_flattened()), words)
}

fn part(key: u64) -> usize {
    (key >> (u64::BITS - PART_BITS)) as usize
}

fn word(key: u64, kind: u8, offset: u64) -> u64 {
    key << (u64::BITS - TAG_BITS) | u64::from(kind) << u32::BITS | offset
}

/// The offsets, in order, of those words that are of the key, and of the kind.
fn matching(words: impl Iterator<Item = u64>, key: u64, kind: Option<u8>) -> Vec<u32> {
    let (wanted, ignored) = match kind {
        Some(kind) => (word(key, kind, 0), u32::BITS),
        None => (word(key, 0, 0), u32::BITS + u8::BITS),
    };
    let mut offsets: Vec<u32> =
        words.filter(|word| word >> ignored == wanted >> ignored).map(|word| word as u32).collect();
    offsets.sort_unstable();
    offsets.dedup();
    offsets
}
