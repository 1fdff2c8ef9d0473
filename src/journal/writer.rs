//! The journal as its one writer has it: append, commit, and reading one's own entries.

use super::commit::{Commit, Group, Synced};
use super::disk::Output;
use super::extent::Extent;
use super::index::Index;
use super::lookup::{Access, Keys, Layer, Lookup};
use super::replay::Replay;
use super::segment::{self, JOURNAL, Segment};
use super::snapshot::SnapshotDraft;
use super::tail::Reach;
use super::{ENTRY_BYTES_MAX, Error, Lock, Oldest, Options, Sequence, format};
use std::collections::VecDeque;
use std::io::{self, Write};
use std::mem;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// The append-only log of one lane, open for writing. It is `Send`, spawns nothing, and waits for the disk
/// in [`Journal::commit`], [`Journal::retain`], [`Journal::save_snapshot`] and where it reads; never in
/// [`Journal::append`], [`Journal::begin_commit`] or [`Journal::end_commit`]. What was not committed is gone
/// when it is dropped.
pub struct Journal {
    pub(super) folder: PathBuf,
    pub(super) options: Options,
    /// Held as long as the journal is open.
    pub(super) _lock: Lock,
    /// The oldest first.
    pub(super) sealed: VecDeque<Segment>,
    /// The group that is being committed, or could not be.
    pub(super) pending: Option<Arc<Group>>,
    pub(super) active: Active,
    /// The active segment's file, where it exists and no commit has it.
    pub(super) file: Option<Output>,
    /// Everything before it is durable.
    pub(super) durable: Sequence,
    /// Memory for the next group.
    pub(super) spare: Extent,
}

/// The segment that grows, and the group that is gathered for it.
pub(super) struct Active {
    pub(super) segment: Segment,
    pub(super) index: Index,
    /// The group: a header or a mark, then entries.
    pub(super) extent: Extent,
    /// Of the group, what is not entries.
    front: usize,
    /// Entries of the segment.
    entries: u32,
}

impl Active {
    /// A new segment.
    pub(super) fn begin(folder: &Path, first: Sequence, created_ns: i64, mut extent: Extent) -> Active {
        let (header, salt) = format::header(first, created_ns);
        extent.begin(0);
        extent.push(&header);
        let segment = Segment { path: segment::path(folder, first, JOURNAL), first, created_ns, salt };
        Active { segment, index: Index::default(), extent, front: header.len(), entries: 0 }
    }

    /// Going on with a segment whose entries end at `end`.
    pub(super) fn resume(segment: Segment, index: Index, end: Reach) -> Active {
        let mut active = Active { segment, index, extent: Extent::default(), front: 0, entries: end.entries };
        active.gather(end.offset, Extent::default());
        active
    }

    pub(super) fn next(&self) -> Sequence {
        self.segment.first + u64::from(self.entries)
    }

    fn is_empty(&self) -> bool {
        self.extent.len() == self.front
    }

    fn push(&mut self, kind: u8, keys: &[u64], payload: &[u8]) {
        let offset = self.extent.end();
        format::push_entry(&mut self.extent, kind, self.entries, keys, payload, self.segment.salt);
        keys.iter().for_each(|key| self.index.insert(*key, kind, offset));
        self.entries += 1;
    }

    /// Takes the group that was gathered, and begins the next one in `spare` memory: in a new segment where this
    /// one is full.
    fn take_group(&mut self, folder: &Path, options: &Options, now_ns: i64, spare: Extent) -> Group {
        let extent = mem::take(&mut self.extent);
        let end_offset = extent.end();
        let mut group = Group { segment: self.segment.clone(), extent, end: self.next(), seals: None };
        let full = end_offset >= options.segment_bytes_max || self.index.words() >= options.segment_keys_max;
        if full {
            let next = Active::begin(folder, group.end, now_ns, spare);
            group.seals = Some(mem::replace(self, next).index);
        } else {
            self.gather(end_offset, spare);
        }
        group
    }

    /// Begins a group that will stand at `offset`.
    fn gather(&mut self, offset: u64, mut extent: Extent) {
        extent.begin(offset);
        extent.push(&format::mark(offset, self.entries, self.segment.salt));
        self.front = extent.len();
        self.extent = extent;
    }
}

impl Journal {
    /// Appends an entry of a `kind`, to be found by `keys` (hashes whose bits are evenly spread), to the
    /// group in memory. Gives its number. It is durable when [`Journal::durable`] is beyond that.
    ///
    /// Refused, with nothing changed, where the entry or the group would be too large.
    pub fn append(&mut self, kind: u8, keys: &[u64], payload: &[u8]) -> Result<Sequence, Error> {
        let bytes = keys.len() * 8 + payload.len();
        if bytes > ENTRY_BYTES_MAX {
            return Err(Error::EntryTooLarge { bytes, bytes_max: ENTRY_BYTES_MAX });
        }
        let bytes_max = self.options.buffer_bytes_max;
        if !self.active.is_empty() && self.active.extent.len() + bytes > bytes_max {
            return Err(Error::BufferFull { bytes_max });
        }
        let sequence = self.active.next();
        self.active.push(kind, keys, payload);
        Ok(sequence)
    }

    /// Makes all that was appended durable; gives the end of it, excluded. `now_ns` is the present time in
    /// nanoseconds, and the creation time of a segment that begins after this group.
    ///
    /// After an error nothing is lost: the entries wait for the next commit.
    pub fn commit(&mut self, now_ns: i64) -> Result<Sequence, Error> {
        while let Some(commit) = self.begin_commit(now_ns) {
            self.end_commit(commit.sync())?;
        }
        if self.pending.is_some() { Err(Error::CommitUnderWay) } else { Ok(self.durable) }
    }

    /// The first half of [`Journal::commit`], which only moves memory: the group that was gathered, to
    /// be given to [`Commit::sync`] on another thread while this one goes on appending. `None` where there is nothing
    /// to commit, or while another commit is under way. A group that could not be committed comes again first.
    pub fn begin_commit(&mut self, now_ns: i64) -> Option<Commit> {
        if let Some(pending) = &self.pending {
            let under_way = Arc::strong_count(pending) > 1;
            return (!under_way).then(|| Commit { group: pending.clone(), file: self.file.take() });
        }
        if self.active.is_empty() {
            return None;
        }
        let group = self.active.take_group(&self.folder, &self.options, now_ns, mem::take(&mut self.spare));
        let group = Arc::new(group);
        self.pending = Some(group.clone());
        Some(Commit { group, file: self.file.take() })
    }

    /// The second half of [`Journal::commit`], after [`Commit::sync`]; gives the end of what is durable, excluded.
    pub fn end_commit(&mut self, synced: Synced) -> Result<Sequence, Error> {
        let Synced { group, file } = synced;
        let ours = self.pending.as_ref().is_some_and(|pending| Arc::ptr_eq(pending, &group));
        debug_assert!(ours, "the commit belongs to another journal");
        if !ours {
            return Ok(self.durable);
        }
        let file = file.map_err(|error| Synced::error(&group, error))?;
        drop(group);
        let Some(group) = self.pending.take().and_then(Arc::into_inner) else { return Ok(self.durable) };
        self.durable = group.end;
        if group.seals.is_some() {
            self.sealed.push_back(group.segment);
        } else {
            self.file = Some(file);
        }
        self.spare = group.extent;
        Ok(self.durable)
    }

    /// Everything before it is durable.
    pub fn durable(&self) -> Sequence {
        self.durable
    }

    /// What the next entry will be.
    pub fn next(&self) -> Sequence {
        self.active.next()
    }

    /// Where the journal begins.
    pub fn oldest(&self) -> Oldest {
        let segment = self.segments().next().unwrap_or(&self.active.segment);
        Oldest { sequence: segment.first, since_ns: segment.created_ns }
    }

    /// All entries, of one kind or of any, that carry the key, the newest first; those that are not durable
    /// yet are among them. Costs two small reads a sealed segment, and one an entry.
    pub fn lookup(&self, key: u64, kind: Option<u8>) -> Lookup<'_> {
        let mut layers = Vec::with_capacity(self.sealed.len() + 2);
        let ends = self.segments().skip(1).map(|segment| segment.first);
        layers.extend(self.sealed.iter().zip(ends).map(|(segment, end)| Layer {
            segment,
            keys: Keys::File(end),
            unwritten: Vec::new(),
        }));
        let mut unwritten: Vec<(u64, &[u8])> = Vec::new();
        if let Some(pending) = &self.pending {
            unwritten.push((pending.extent.offset(), pending.extent.bytes()));
            if let Some(index) = &pending.seals {
                layers.push(Layer {
                    segment: &pending.segment,
                    keys: Keys::Memory(index),
                    unwritten: mem::take(&mut unwritten),
                });
            }
        }
        unwritten.push((self.active.extent.offset(), self.active.extent.bytes()));
        layers.push(Layer { segment: &self.active.segment, keys: Keys::Memory(&self.active.index), unwritten });
        Lookup::new(key, kind, layers, Access::Owner)
    }

    /// All durable entries from `from` on, in order, by streaming: what recovery needs after a snapshot.
    pub fn replay(&self, from: Sequence) -> Result<Replay, Error> {
        let segments = self.segments().filter(|segment| segment.first < self.durable).cloned().collect();
        Replay::new(self.folder.clone(), segments, from, self.durable)
    }

    /// Saves the state after all entries before `sequence`, which must be durable. See [`Journal::draft_snapshot`].
    pub fn save_snapshot(
        &self,
        sequence: Sequence,
        write: impl FnOnce(&mut dyn Write) -> io::Result<()>,
    ) -> Result<u64, Error> {
        self.draft_snapshot(sequence)?.save(write)
    }

    /// Leave to save such a snapshot on another thread, so that this one need not wait for the disk.
    pub fn draft_snapshot(&self, sequence: Sequence) -> Result<SnapshotDraft, Error> {
        if sequence > self.durable {
            return Err(Error::SnapshotAhead { sequence, durable: self.durable });
        }
        Ok(SnapshotDraft { folder: self.folder.clone(), sequence })
    }

    /// All segments, the oldest first; the last of them may have no file yet.
    pub(super) fn segments(&self) -> impl Iterator<Item = &Segment> {
        let sealing = self.pending.as_deref().filter(|group| group.seals.is_some()).map(|group| &group.segment);
        self.sealed.iter().chain(sealing).chain([&self.active.segment])
    }
}
