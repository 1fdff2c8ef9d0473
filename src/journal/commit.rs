//! A commit: one group of entries on its way to the disk.
//!
//! ```text
//!  lane's thread                              any thread
//!  append append … begin_commit ──Commit──▶   sync: write the group, fdatasync,
//!  append append append …                           name a new segment, index a full one,
//!  append …         end_commit  ◀──Synced──         write the mark
//! ```
//!
//! A group begins with the mark that the one before it left, or with the header of a new segment. So
//! whatever became of an earlier try, writing the group again at the same place puts everything right;
//! nothing after the last durable entry is ever taken for granted. In particular a failed fdatasync is
//! never just repeated: the system may have dropped what it could not write. All bytes since the last
//! success are written once more, and only then synced.

use super::disk::Output;
use super::extent::Extent;
use super::index::Index;
use super::segment::Segment;
use super::{Error, Sequence, disk, format};
use std::io;
use std::sync::Arc;

/// Entries that are made durable together.
pub(super) struct Group {
    pub(super) segment: Segment,
    /// Its bytes, and where they stand in the segment; at 0 the segment begins with them.
    pub(super) extent: Extent,
    /// After its last entry.
    pub(super) end: Sequence,
    /// The index of the segment, where this group is its last.
    pub(super) seals: Option<Index>,
}

impl Group {
    /// The mark that says that it is durable, and all before it.
    pub(super) fn mark(&self) -> [u8; format::HEAD_BYTES] {
        format::mark(self.extent.end(), (self.end.0 - self.segment.first.0) as u32, self.segment.salt)
    }

    /// Makes it durable; gives the file to go on with.
    fn write(&self, file: Option<Output>) -> io::Result<Output> {
        let begins = self.extent.offset() == 0;
        let path = &self.segment.path;
        let file = match file {
            Some(file) => file,
            None if begins => Output::create(&disk::unfinished(path))?,
            None => Output::open(path)?,
        };
        let written = file.write_at(self.extent.offset(), self.extent.bytes()).and_then(|()| file.sync());
        if let Err(error) = written {
            // Gives back the room that the part took, but for the mark at its front, which stood there before.
            // Whether this works is of no consequence.
            let _ = file.cut(self.extent.offset() + format::HEAD_BYTES as u64);
            return Err(error);
        }
        if begins {
            disk::name(path)?;
        }
        if let Some(index) = &self.seals {
            index.write(&self.segment, self.end, self.extent.end())?;
        }
        file.write_at(self.extent.end(), &self.mark())?;
        Ok(file)
    }
}

/// One half of a commit: the work on the disk, for any thread. Dropped without [`Commit::sync`], the
/// group waits for the next [`Journal::begin_commit`](super::Journal::begin_commit).
#[must_use = "nothing is durable before `sync` and `Journal::end_commit`"]
pub struct Commit {
    pub(super) group: Arc<Group>,
    pub(super) file: Option<Output>,
}

impl Commit {
    /// Writes the group and waits until the disk has it: one write and one fdatasync. Where a segment
    /// ends or begins with it, the index is written or the folder synced as well.
    pub fn sync(self) -> Synced {
        let Commit { group, file } = self;
        let file = group.write(file);
        Synced { group, file }
    }
}

/// What became of a [`Commit`], for [`Journal::end_commit`](super::Journal::end_commit).
#[must_use = "entries count as durable only after `Journal::end_commit`"]
pub struct Synced {
    pub(super) group: Arc<Group>,
    pub(super) file: io::Result<Output>,
}

impl Synced {
    pub(super) fn error(group: &Group, source: io::Error) -> Error {
        Error::NotCommitted { path: group.segment.path.clone(), source }
    }
}
