//! The journal: an append-only log of one lane's inputs and closed transactions, in a folder of its own.
//!
//! It knows nothing of what it keeps. An entry is a kind, the hashes of its keys, and bytes; entries are
//! numbered in the order in which they were appended ([`Sequence`], from 0 on). Ends are excluded
//! throughout: what is durable, a snapshot and a replay all speak of "everything before this entry".
//!
//! ```text
//!                       ┌── sealed ───────────────────┐┌── sealed ─────────┐┌── active ──────────────┐
//! segments              │ header  group▐ group▐ group▐││ header  group▐ … ▐││ header  group▐ group▐ …│◀─ append
//!                       └─────────────────────────────┘└───────────────────┘└────────────────────────┘
//! indexes, from keys            file                          file                 in memory
//! snapshots                                     ▲ the one before    ▲ the newest
//!
//! ▐ a mark: everything before it is durable
//! ```
//!
//! # Commits
//!
//! [`Journal::append`] gathers a group in memory, and [`Journal::commit`] makes it durable with one
//! fdatasync. So that a lane need not wait for the disk, a commit has two halves: [`Journal::begin_commit`]
//! hands out the group as a [`Commit`], whose [`Commit::sync`] does all that is slow, on a thread that the
//! runtime has; what comes of it goes to [`Journal::end_commit`]. In the meantime the lane appends and looks
//! up as before. One commit at a time is under way. Entries become durable in order, each whole or not at
//! all; a group is not atomic: after a crash a part of one that was never acknowledged may be there, from
//! its beginning on.
//!
//! A commit that fails (a full disk, a broken one) loses nothing: the group stays in memory and the next
//! commit writes it again. Until then appends are taken as long as the buffer has room, and refused with
//! [`Error::BufferFull`] after that.
//!
//! # Torn or damaged
//!
//! Both a crash and a rotten disk leave bytes that are no entry; the first must be cut off, the second never.
//! What tells them apart is the *mark*, 16 bytes that say "everything before me is durable":
//!
//! - A mark is written right after the fdatasync of the group before it has returned, and never sooner. So
//!   bad bytes *before any* sound mark were durable once, or stand among what was: that is damage, and an error.
//! - Bad bytes *after the last* sound mark belong to a group whose fdatasync has never returned, or to the
//!   mark of the last group, which is not synced itself: they were never acknowledged, and are cut off and
//!   reported.
//! - Whole entries after the last mark are kept. They may have been acknowledged (a power cut can take the
//!   last mark with it), so they are made durable again before the journal goes on.
//! - A segment gets its name only when its header and its first group are durable, and the next one is begun
//!   only when it is durable to its end. So only the last segment can be torn, and a header is never.
//!
//! Not covered is what no log can tell: the last group damaged on disk *and* its mark lost by a power cut at
//! the same time look like a group that was never committed. And as in every log that packs entries closely,
//! a new group rewrites the disk's sector that the last one ended in, with the same bytes at its front: the
//! disk must write a sector whole or not at all.
//!
//! # Several processes
//!
//! One process writes, held by a lock; any number read through [`Reader`], without one. A mark is also what
//! a reader goes by: it shows what stands before the last one, so nothing that a crash could still undo.
//!
//! # Recovery
//!
//! [`Journal::open`] finds the newest sound snapshot and the end of the entries; [`Journal::replay`] gives
//! what is between. While replaying, [`Journal::lookup`] also finds entries that are newer than the one
//! being replayed: whoever wants the past as it was skips those by their numbers.

mod commit;
mod disk;
mod error;
mod extent;
mod format;
mod frames;
mod index;
mod lock;
mod lookup;
mod reader;
mod recovery;
mod replay;
mod retention;
mod segment;
mod snapshot;
mod tail;
#[cfg(test)]
mod tests;
mod writer;

pub use commit::{Commit, Synced};
pub use error::Error;
pub use lock::{Lock, lock};
pub use lookup::Lookup;
pub use reader::Reader;
pub use recovery::{Recovered, Torn};
pub use replay::Replay;
pub use retention::{Removed, Retention};
pub use snapshot::{RejectedSnapshot, Snapshot, SnapshotDraft};
pub use writer::Journal;

use std::fmt;
use std::ops::Add;

/// The keys and the payload of one entry, in bytes, at most.
pub const ENTRY_BYTES_MAX: usize = 64 << 20;
/// No segment is begun anew later than at this size; offsets have 32 bits.
const SEGMENT_BYTES_LIMIT: u64 = 1 << 30;
/// No group is larger but for its last entry.
const BUFFER_BYTES_LIMIT: usize = 256 << 20;

/// The number of an entry, counted from the beginning of the journal.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Debug)]
pub struct Sequence(pub u64);

impl Add<u64> for Sequence {
    type Output = Sequence;

    fn add(self, entries: u64) -> Sequence {
        Sequence(self.0 + entries)
    }
}

impl fmt::Display for Sequence {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// The limits of a journal.
#[derive(Clone, Debug)]
pub struct Options {
    /// A segment is sealed when it has so many bytes (at most 1 GiB). Larger ones make lookups cheaper and
    /// opening slower.
    pub segment_bytes_max: u64,
    /// A segment is sealed when its entries have so many keys; each takes 8 bytes of memory until then.
    pub segment_keys_max: usize,
    /// So many bytes are gathered in memory until they must be committed (at most 256 MiB); as many again may be
    /// under way to the disk.
    pub buffer_bytes_max: usize,
}

impl Default for Options {
    fn default() -> Options {
        Options { segment_bytes_max: 256 << 20, segment_keys_max: 4 << 20, buffer_bytes_max: 16 << 20 }
    }
}

impl Options {
    /// What of it is possible.
    fn within_limits(self) -> Options {
        Options {
            segment_bytes_max: self.segment_bytes_max.min(SEGMENT_BYTES_LIMIT),
            buffer_bytes_max: self.buffer_bytes_max.min(BUFFER_BYTES_LIMIT),
            ..self
        }
    }
}

/// Where a journal begins: what is older has been removed.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Oldest {
    /// The first entry that is kept.
    pub sequence: Sequence,
    /// Everything that was appended since then is kept, in nanoseconds by the caller's clock.
    pub since_ns: i64,
}

/// One entry as it was appended.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Entry<'a> {
    /// Its number.
    pub sequence: Sequence,
    /// What the caller called it.
    pub kind: u8,
    /// The caller's bytes.
    pub payload: &'a [u8],
    keys: &'a [[u8; 8]],
}

impl<'a> Entry<'a> {
    /// The hashes that it was appended with.
    pub fn keys(&self) -> impl ExactSizeIterator<Item = u64> + use<'a> {
        self.keys.iter().map(|key| u64::from_le_bytes(*key))
    }
}
