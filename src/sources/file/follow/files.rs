//! What is known of the files: which they are, and how far each has been read.

use super::bytes::Bytes;
use super::mark::Mark;
use super::{GONE_MAX, RACY, REST, SETTLE};
use crate::model::time::Time;
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, HashSet};
use std::fs::Metadata;
use std::mem;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// What the system tells files apart by, for as long as they exist; the number of one that was deleted is given to
/// another. The default is no file's.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Default, Serialize, Deserialize)]
pub(super) struct Id {
    device: u64,
    pub(super) inode: u64,
}

impl Id {
    pub(super) fn of(metadata: &Metadata) -> Id {
        Id { device: metadata.dev(), inode: metadata.ino() }
    }
}

/// What changes when a file is written to.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub(super) struct Stamp {
    pub(super) size: u64,
    /// When it was last written to, as nanoseconds since 1970.
    pub(super) modified: i64,
}

impl Stamp {
    pub(super) fn of(metadata: &Metadata) -> Stamp {
        let modified = metadata.mtime().saturating_mul(1_000_000_000).saturating_add(metadata.mtime_nsec());
        Stamp { size: metadata.len(), modified }
    }
}

/// Where a file is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Place {
    /// The path or glob matches it.
    Listed,
    /// No longer, but it is open and read on.
    Detached,
    /// It was not there in this round, or is no longer what was read: its rest may turn up under another name.
    Missing(u64),
    /// It is remembered in case it comes back; nothing is awaited of it.
    Gone,
}

/// What was seen to be a copy.
pub(super) struct Copy {
    /// The name of the original.
    pub(super) of: String,
    /// How the copy was then, and how much text it holds.
    pub(super) stamp: Stamp,
    pub(super) length: u64,
}

/// One file.
pub(super) struct File {
    /// Of its part: the path at which it was first seen, and a number where that was taken.
    pub(super) name: String,
    /// Where it was last seen.
    pub(super) path: PathBuf,
    pub(super) id: Id,
    pub(super) mark: Mark,
    /// Records that begin before this offset are not wanted: they were there before the start.
    pub(super) mute: u64,
    /// The mark stands within a record that is passed over.
    pub(super) passing: bool,
    /// It no longer stands where it was first seen, so that no more is expected of it.
    pub(super) moved: bool,
    /// Nothing more is awaited of it: it was read to its end for good, or what it lost has been told.
    pub(super) closed: bool,
    /// As it was when it was last read to its end.
    pub(super) read: Option<Stamp>,

    // What follows is known in this run only.
    pub(super) place: Place,
    /// As it is now.
    pub(super) stamp: Stamp,
    /// When it was first seen like this.
    pub(super) changed: Time,
    /// It was renamed or given other attributes after it was last written to.
    pub(super) finished: bool,
    /// Everything that was visible in it before this time has been handed over.
    pub(super) whole: Time,
    /// The last round that saw its end.
    pub(super) ended: Time,
    /// At its end, bytes behind the mark are left, which are no whole record.
    pub(super) left: u64,
    /// Among them are whole lines, which may be a whole record; since when.
    pub(super) held: Option<Time>,
    /// It was found to be no continuation of another file.
    pub(super) decided: bool,
    /// It is a copy of another file, as far as it goes.
    pub(super) copy_of: Option<Copy>,
    pub(super) part: Option<u32>,
    pub(super) header: Option<Arc<[u8]>>,
    pub(super) header_told: bool,
    pub(super) bytes: Option<Bytes>,
    /// Since it was opened, it has been seen to begin as it did.
    pub(super) begins_right: bool,
}

impl File {
    /// A file of which nothing has been read. What it holds became visible after `before`.
    pub(super) fn new(name: String, path: PathBuf, id: Id, before: Time) -> File {
        File {
            name,
            path,
            id,
            mark: Mark::START,
            mute: 0,
            passing: false,
            moved: false,
            closed: false,
            read: None,
            place: Place::Listed,
            stamp: Stamp::default(),
            changed: Time::MAX,
            finished: false,
            whole: before,
            ended: before,
            left: 0,
            held: None,
            decided: false,
            copy_of: None,
            part: None,
            header: None,
            header_told: false,
            bytes: None,
            begins_right: false,
        }
    }

    /// Whether its part is named after this path.
    pub(super) fn was_first_seen_at(&self, path: &Path) -> bool {
        let path = path.to_string_lossy();
        self.name.strip_prefix(path.as_ref()).is_some_and(|rest| rest.is_empty() || rest.starts_with('#'))
    }

    /// When it was last written to, as far as is known.
    pub(super) fn modified(&self) -> Option<i64> {
        if self.changed == Time::MAX { self.read.map(|read| read.modified) } else { Some(self.stamp.modified) }
    }

    /// Takes in how it looks in the round of `at`; whether it has changed.
    pub(super) fn seen(&mut self, metadata: &Metadata, at: Time) -> bool {
        let (first, stamp) = (self.changed == Time::MAX, Stamp::of(metadata));
        let changed_at = metadata.ctime().saturating_mul(1_000_000_000).saturating_add(metadata.ctime_nsec());
        self.finished = changed_at > stamp.modified && stamp.size > 0;
        let changed = first || stamp != self.stamp;
        if changed {
            let modified = Time(stamp.modified);
            self.changed = if first && at.since(modified) >= REST { modified } else { at };
            self.stamp = stamp;
        }
        changed
    }

    /// Nobody seems to write to it any more.
    pub(super) fn at_rest(&self, at: Time) -> bool {
        self.changed != Time::MAX && at.since(self.changed) >= REST
    }

    /// It has been written as a whole: for files that are read only then.
    pub(super) fn settled(&self, at: Time) -> bool {
        self.finished || at.since(self.changed) >= SETTLE
    }

    /// Read to its end as it is now, nothing of it is left, and nobody writes to it.
    pub(super) fn is_done(&self, at: Time) -> bool {
        self.closed || self.copy_of.is_some() || (self.is_read() && self.left == 0 && self.at_rest(at))
    }

    /// Read to its end as it is now.
    pub(super) fn is_read(&self) -> bool {
        self.read == Some(self.stamp)
    }

    /// Whether it is not known yet if its text is that of a known file.
    pub(super) fn is_unknown(&self) -> bool {
        self.is_intact() && self.mark == Mark::START && !self.decided && self.copy_of.is_none() && self.stamp.size > 0
    }

    /// Whether it is not known yet if this is the text that was read.
    pub(super) fn is_unconfirmed(&self) -> bool {
        self.mark != Mark::START && !self.is_read() && !self.begins_right
    }

    /// Looked at once more although nothing seems to have changed: a stamp is not finer than the clock's tick, a held
    /// record may have waited long enough, and the last line of a file that was rotated is a record without its end.
    pub(super) fn wants_another_look(&self, at: Time) -> bool {
        at.since(self.changed) < RACY || self.held.is_some() || (self.left > 0 && self.moved && self.at_rest(at))
    }

    /// Its end has been seen in the round of `at`, with nothing behind it that should have been handed over.
    pub(super) fn is_whole(&mut self, at: Time) {
        (self.whole, self.ended, self.held) = (at, at, None);
    }

    /// Whether something of it could still be handed over, so that nothing can be proven beyond it.
    pub(super) fn counts(&self) -> bool {
        self.place != Place::Gone
    }

    /// Whether it exists as it was read.
    pub(super) fn is_intact(&self) -> bool {
        matches!(self.place, Place::Listed | Place::Detached)
    }
}

/// All files that are known.
#[derive(Default)]
pub(super) struct Files {
    pub(super) all: Vec<File>,
    pub(super) names: HashSet<String>,
    /// How many names were given.
    pub(super) named: u64,
    /// How many files were forgotten: from then on it is not known which names were used.
    pub(super) forgotten: u64,
    /// The paths at which a file came and went unseen, and when the last one was written to.
    pub(super) suspected: BTreeMap<PathBuf, i64>,
}

impl Files {
    /// A name for the part that a file at this path is: never one that was given before, since a line of a file that
    /// begins anew is another record than the same line before.
    pub(super) fn name(&mut self, path: &Path) -> String {
        self.named += 1;
        let plain = path.display().to_string();
        let name =
            if self.forgotten > 0 || self.names.contains(&plain) { format!("{plain}#{}", self.named) } else { plain };
        self.names.insert(name.clone());
        name
    }

    /// What was written at this file's place belongs to another part from here on: the text is no longer the one that
    /// was read. The new file is as unknown as one that is seen for the first time.
    pub(super) fn begin_anew(&mut self, index: usize, round: u64) {
        let name = self.name(&self.all[index].path.clone());
        let old = &mut self.all[index];
        let mut fresh = File::new(name, old.path.clone(), old.id, old.whole);
        (fresh.ended, fresh.place, fresh.stamp, fresh.changed) = (old.ended, old.place, old.stamp, old.changed);
        (fresh.finished, fresh.bytes) = (old.finished, old.bytes.take());
        old.id = Id::default();
        old.moved = true;
        old.place = if old.closed { Place::Gone } else { Place::Missing(round) };
        self.all.push(fresh);
    }

    /// The text that was read from one file is known to go on in another, which is no file of its own then.
    pub(super) fn continue_in(&mut self, continued: usize, by: usize) {
        let by = &mut self.all[by];
        let name = mem::take(&mut by.name);
        let (path, id, place, bytes) = (by.path.clone(), by.id, by.place, by.bytes.take());
        let (stamp, changed, finished, whole) = (by.stamp, by.changed, by.finished, by.whole);
        self.names.remove(&name);
        let file = &mut self.all[continued];
        if !file.counts() {
            (file.whole, file.ended) = (whole, whole);
        }
        (file.path, file.id, file.place, file.bytes) = (path, id, place, bytes);
        file.begins_right = true;
        (file.stamp, file.changed, file.finished) = (stamp, changed, finished);
        (file.moved, file.closed, file.read) = (true, false, None);
    }

    /// Drops what is no file of its own, and what is gone before anything of it was read.
    pub(super) fn tidy(&mut self) {
        let names = &mut self.names;
        self.all.retain(|file| {
            let unread = file.mark == Mark::START && file.read.is_none();
            let kept = !file.name.is_empty() && (file.counts() || !unread);
            if !kept {
                names.remove(&file.name);
            }
            kept
        });
    }

    /// Forgets those that went first, beyond the limit.
    pub(super) fn forget(&mut self) {
        let mut gone: Vec<Time> = self.all.iter().filter(|f| !f.counts()).map(|f| f.ended).collect();
        if gone.len() <= GONE_MAX {
            return;
        }
        gone.sort_unstable();
        let mut spare = gone.len() - GONE_MAX;
        let last = gone[spare - 1];
        self.all.retain(|file| {
            let forgotten = !file.counts() && file.ended <= last && spare > 0;
            if forgotten {
                spare -= 1;
                self.forgotten += 1;
                self.names.remove(&file.name);
            }
            !forgotten
        });
    }
}
