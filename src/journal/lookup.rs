//! Lookup: all entries that carry a key, the newest first.

use super::format::{self, HEAD_BYTES, Head};
use super::index::{self, Index};
use super::segment::Segment;
use super::{Entry, Error, Sequence};
use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom};

/// Bytes that are read of an entry before its length is known.
const READ_BYTES: usize = 4 << 10;

/// Entries that carry a key, the newest first; see [`Journal::lookup`](super::Journal::lookup).
pub struct Lookup<'a> {
    key: u64,
    kind: Option<u8>,
    /// Where there is more to look through, the newest last.
    layers: Vec<Layer<'a>>,
    layer: Option<Layer<'a>>,
    /// Of the present layer: where entries stand, the newest last.
    hits: Vec<u32>,
    file: Option<File>,
    frame: Vec<u8>,
    access: Access,
}

/// One segment that is looked through.
pub(super) struct Layer<'a> {
    pub(super) segment: &'a Segment,
    pub(super) keys: Keys<'a>,
    /// What of it has not been written yet, or not surely: where it will stand, and its bytes.
    pub(super) unwritten: Vec<(u64, &'a [u8])>,
}

/// What leads from keys to a segment's entries.
pub(super) enum Keys<'a> {
    /// The segment grows.
    Memory(&'a Index),
    /// The segment is sealed, and ends before this entry.
    File(Sequence),
}

/// What may be done to the folder.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Access {
    /// Nobody else writes: a damaged index is written anew.
    Owner,
    /// Somebody else may remove segments meanwhile.
    Guest,
}

impl<'a> Lookup<'a> {
    pub(super) fn new(key: u64, kind: Option<u8>, layers: Vec<Layer<'a>>, access: Access) -> Lookup<'a> {
        Lookup { key, kind, layers, layer: None, hits: Vec::new(), file: None, frame: Vec::new(), access }
    }

    /// The next older entry, which lives until the one after it is asked for; `None` at the end.
    #[allow(clippy::should_implement_trait, reason = "the entry borrows from the lookup, which an iterator cannot say")]
    pub fn next(&mut self) -> Result<Option<Entry<'_>>, Error> {
        let first = loop {
            let Some(layer) = &self.layer else {
                let Some(layer) = self.layers.pop() else { return Ok(None) };
                self.hits = self.hits_of(&layer)?;
                self.file = None;
                self.layer = Some(layer);
                continue;
            };
            let Some(offset) = self.hits.pop() else {
                self.layer = None;
                continue;
            };
            match read(layer, u64::from(offset), &mut self.file, &mut self.frame) {
                Err(error) if self.is_gone(&error) => {
                    self.hits.clear();
                    continue;
                }
                read => read?,
            }
            // Another key may have the same bits in the index.
            let first = layer.segment.first;
            if format::entry(&self.frame, first).is_some_and(|entry| entry.keys().any(|key| key == self.key)) {
                break first;
            }
        };
        Ok(format::entry(&self.frame, first))
    }

    fn hits_of(&self, layer: &Layer) -> Result<Vec<u32>, Error> {
        let end = match layer.keys {
            Keys::Memory(index) => return Ok(index.hits(self.key, self.kind)),
            Keys::File(end) => end,
        };
        if let Some(hits) = index::hits(layer.segment, end, self.key, self.kind)? {
            return Ok(hits);
        }
        match Index::of(layer.segment, end) {
            Ok((index, end_offset)) => {
                if self.access == Access::Owner {
                    // Where it cannot be written, the next lookup makes it anew as well.
                    let _ = index.write(layer.segment, end, end_offset);
                }
                Ok(index.hits(self.key, self.kind))
            }
            Err(error) if self.is_gone(&error) => Ok(Vec::new()),
            Err(error) => Err(error),
        }
    }

    /// Whether retention has taken the segment away.
    fn is_gone(&self, error: &Error) -> bool {
        self.access == Access::Guest && error.is_not_found()
    }
}

/// Reads and checks the entry at `offset` of the layer's segment.
fn read(layer: &Layer, offset: u64, file: &mut Option<File>, frame: &mut Vec<u8>) -> Result<(), Error> {
    let segment = layer.segment;
    frame.clear();
    let unwritten = layer.unwritten.iter().rev().find(|(begin, _)| offset >= *begin);
    if let Some((begin, bytes)) = unwritten {
        let bytes = &bytes[(offset - begin) as usize..];
        let length = bytes.first_chunk().and_then(|head| Head::read(head).entry_bytes());
        frame.extend_from_slice(&bytes[..length.unwrap_or(0)]);
    } else {
        let file = match file {
            Some(file) => file,
            None => file.insert(File::open(&segment.path).map_err(Error::io("open", &segment.path))?),
        };
        read_frame(file, offset, frame).map_err(Error::io("read", &segment.path))?;
    }
    let sound = frame.first_chunk().is_some_and(|head| {
        let head = Head::read(head);
        head.entry_bytes() == Some(frame.len()) && head.fits(frame, segment.salt)
    });
    if sound { Ok(()) } else { Err(segment.corrupt(offset, "the entry that stands here is not sound")) }
}

/// Reads the entry at `offset`, or as much of it as there is.
fn read_frame(file: &mut File, offset: u64, frame: &mut Vec<u8>) -> io::Result<()> {
    file.seek(SeekFrom::Start(offset))?;
    file.take(READ_BYTES as u64).read_to_end(frame)?;
    let length = frame.first_chunk::<HEAD_BYTES>().and_then(|head| Head::read(head).entry_bytes()).unwrap_or(0);
    if let Some(more) = length.checked_sub(frame.len()) {
        file.take(more as u64).read_to_end(frame)?;
    }
    frame.truncate(length);
    Ok(())
}
