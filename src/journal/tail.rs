//! The last segment, which still grows: how far it is durable, and what it holds.

use super::Error;
use super::frames::Step;
use super::index::Index;
use super::segment::Segment;
use super::{Sequence, format};

/// How far a segment has been read.
#[derive(Clone, Copy, Debug)]
pub(super) struct Reach {
    /// In the file.
    pub(super) offset: u64,
    /// Entries before it.
    pub(super) entries: u32,
}

/// The last segment as it is found on disk, up to its last mark.
#[derive(Debug)]
pub(super) struct Tail {
    pub(super) segment: Segment,
    /// The keys of the entries before the last mark.
    pub(super) index: Index,
    /// Where the last mark stands; before the first one, the end of the header.
    pub(super) marked: Reach,
}

/// What stands after the last mark.
pub(super) struct Unmarked {
    /// Where the last whole entry ends.
    pub(super) end: Reach,
    /// Key, kind and offset, of those entries.
    pub(super) keys: Vec<(u64, u8, u64)>,
    /// Where there are bytes after them: the offset, and why they are no entry.
    pub(super) torn: Option<(u64, &'static str)>,
}

impl Tail {
    /// Nothing of it has been read.
    pub(super) fn new(segment: Segment) -> Tail {
        let marked = Reach { offset: format::HEADER_BYTES as u64, entries: 0 };
        Tail { segment, index: Index::default(), marked }
    }

    /// The first entry that is not before the last mark.
    pub(super) fn end(&self) -> Sequence {
        self.segment.first + u64::from(self.marked.entries)
    }

    /// Reads on from the last mark. Bad bytes with a mark beyond them are damage, since a mark is
    /// written only when all before it is durable; without one they have never been durable.
    pub(super) fn read_on(&mut self) -> Result<Unmarked, Error> {
        let mut frames = self.segment.frames_from(self.marked.offset, self.marked.entries)?;
        let mut keys = Vec::new();
        let mut end = self.marked;
        let torn = loop {
            match frames.step()? {
                Step::Entry(place) => {
                    let entry = frames.entry(&place, self.segment.first);
                    keys.extend(entry.keys().map(|key| (key, entry.kind, place.offset)));
                    end = Reach { offset: frames.offset(), entries: frames.ordinal() };
                }
                Step::Mark => {
                    self.enter(&keys);
                    keys.clear();
                    self.marked = end;
                }
                Step::End => break None,
                Step::Bad(what) => {
                    let offset = frames.offset();
                    if frames.has_mark_ahead()? {
                        return Err(self.segment.corrupt(offset, what));
                    }
                    break Some((offset, what));
                }
            }
        };
        Ok(Unmarked { end, keys, torn })
    }

    /// Enters keys into the index.
    pub(super) fn enter(&mut self, keys: &[(u64, u8, u64)]) {
        keys.iter().for_each(|(key, kind, offset)| self.index.insert(*key, *kind, *offset));
    }
}
