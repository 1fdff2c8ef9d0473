//! Retention: whole sealed segments are removed, the oldest first.

use super::segment::Segment;
use super::{Error, Journal, Oldest, disk, snapshot};
use std::fs;
use std::io;
use std::path::Path;

/// What is kept.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Retention {
    /// Bytes of all segments with their indexes.
    pub bytes_max: u64,
    /// Nanoseconds since a segment's last entry may have been appended.
    pub age_max_ns: i64,
}

/// What retention has removed.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Removed {
    /// Whole segments.
    pub segments: usize,
    /// Bytes that they took, with their indexes.
    pub bytes: u64,
    /// Where the journal begins now.
    pub oldest: Oldest,
}

impl Journal {
    /// Removes sealed segments, the oldest first, while they are too many or too old. What is needed to
    /// recover stays, whatever its size: everything from the older of the two snapshots on that are
    /// kept. Without a snapshot nothing is removed.
    ///
    /// `now_ns` is the present time by the clock that [`Journal::begin_commit`] is given.
    pub fn retain(&mut self, retention: Retention, now_ns: i64) -> Result<Removed, Error> {
        let needed_from = snapshot::needed_from(&self.folder)?;
        let mut total: u64 = self.segments().map(Segment::bytes).sum();
        let mut removed = Removed { segments: 0, bytes: 0, oldest: self.oldest() };
        loop {
            let mut segments = self.segments();
            let (Some(oldest), Some(next)) = (segments.next(), segments.next()) else { break };
            // Until the segment after it is on disk, it alone says how far the journal has come.
            let needed = needed_from.is_none_or(|needed| next.first > needed) || self.durable <= next.first;
            let expired = next.created_ns < now_ns.saturating_sub(retention.age_max_ns);
            if needed || !(expired || total > retention.bytes_max) {
                break;
            }
            let bytes = oldest.bytes();
            remove(&oldest.path)?;
            remove(&oldest.index_path())?;
            drop(segments);
            self.sealed.pop_front();
            total -= bytes;
            removed = Removed { segments: removed.segments + 1, bytes: removed.bytes + bytes, oldest: self.oldest() };
        }
        Ok(removed)
    }
}

/// Each removal is made durable by itself, so that never a hole is left.
fn remove(path: &Path) -> Result<(), Error> {
    let folder = path.parent().unwrap_or(path);
    match fs::remove_file(path).and_then(|()| disk::sync_folder(folder)) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        done => done.map_err(Error::io("remove", path)),
    }
}
