//! Reading a journal that another process may be writing.

use super::lookup::{Access, Keys, Layer, Lookup};
use super::replay::Replay;
use super::segment::{self, Segment};
use super::snapshot::{self, Snapshot};
use super::tail::Tail;
use super::{Error, Oldest, Sequence};
use std::path::{Path, PathBuf};

/// A journal as another process sees it: what is durable, without a lock and without changing anything.
///
/// What it shows is as of [`Reader::open`] or the last [`Reader::refresh`]. Segments that retention
/// removes meanwhile are no error in a lookup, which then gives what is left, and
/// [`Error::Forgotten`] in a replay.
pub struct Reader {
    folder: PathBuf,
    /// The oldest first.
    sealed: Vec<Segment>,
    tail: Option<Tail>,
}

impl Reader {
    /// Opens the journal in `folder`.
    pub fn open(folder: impl AsRef<Path>) -> Result<Reader, Error> {
        let mut reader = Reader { folder: folder.as_ref().to_path_buf(), sealed: Vec::new(), tail: None };
        reader.refresh()?;
        Ok(reader)
    }

    /// Looks what has become durable; gives its end, excluded.
    pub fn refresh(&mut self) -> Result<Sequence, Error> {
        let mut segments = segment::list(&self.folder)?;
        if let Some(last) = segments.pop() {
            // The salt differs where a journal was begun anew in the same folder.
            let known = |tail: &Tail| (tail.segment.first, tail.segment.salt) == (last.first, last.salt);
            if !self.tail.as_ref().is_some_and(known) {
                self.tail = Some(Tail::new(last));
            }
        } else {
            self.tail = None;
        }
        self.sealed = segments;
        if let Some(tail) = &mut self.tail {
            // Reading while the other process writes can tear what is whole; not twice at one place.
            tail.read_on().or_else(|_| tail.read_on())?;
        }
        Ok(self.end())
    }

    /// The end of what was durable, excluded.
    pub fn end(&self) -> Sequence {
        self.tail.as_ref().map_or(Sequence::default(), Tail::end)
    }

    /// Where the journal begins; `None` where it is empty.
    pub fn oldest(&self) -> Option<Oldest> {
        let segment = self.sealed.first().or(self.tail.as_ref().map(|tail| &tail.segment))?;
        Some(Oldest { sequence: segment.first, since_ns: segment.created_ns })
    }

    /// The newest sound snapshot of what this reader sees.
    pub fn snapshot(&self) -> Result<Option<Snapshot>, Error> {
        snapshot::newest_before(&self.folder, self.end())
    }

    /// All durable entries, of one kind or of any, that carry the key, the newest first.
    pub fn lookup(&self, key: u64, kind: Option<u8>) -> Lookup<'_> {
        let ends = self.sealed.iter().skip(1).chain(self.tail.as_ref().map(|tail| &tail.segment));
        let sealed = self.sealed.iter().zip(ends).map(|(segment, next)| (segment, Keys::File(next.first)));
        let tail = self.tail.as_ref().map(|tail| (&tail.segment, Keys::Memory(&tail.index)));
        let layers = sealed.chain(tail).map(|(segment, keys)| Layer { segment, keys, unwritten: Vec::new() });
        Lookup::new(key, kind, layers.collect(), Access::Guest)
    }

    /// All durable entries from `from` on, in order, by streaming.
    pub fn replay(&self, from: Sequence) -> Result<Replay, Error> {
        let segments = self.sealed.iter().chain(self.tail.as_ref().map(|tail| &tail.segment)).cloned();
        Replay::new(self.folder.clone(), segments.collect(), from, self.end())
    }
}
