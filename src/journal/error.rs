//! What can go wrong with a journal, and the way out.

use super::Sequence;
use std::io;
use std::path::{Path, PathBuf};

/// Why the journal cannot do what was asked.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The system refused.
    #[error("cannot {what} {}: {source}", .path.display())]
    Io {
        /// What was tried, as "read".
        what: &'static str,
        /// With which file or folder.
        path: PathBuf,
        /// The system's answer.
        source: io::Error,
    },
    /// A group could not be made durable. It is kept, and the next commit tries again.
    #[error(
        "the journal cannot be written to {}: {source}. What was committed is safe, and what was not is kept in \
         memory: make room or mend the disk, then commit again", .path.display()
    )]
    NotCommitted {
        /// The file in question.
        path: PathBuf,
        /// The system's answer.
        source: io::Error,
    },
    /// Another process writes here.
    #[error(
        "the folder {} is in use{}: only one process may write to it. Stop the other one, or give this one a folder \
         of its own",
        .folder.display(), .pid.map(|pid| format!(" by process {pid}")).unwrap_or_default()
    )]
    Locked {
        /// The folder.
        folder: PathBuf,
        /// The other process, where it is known.
        pid: Option<u32>,
    },
    /// Bytes that were durable once are not what was written.
    #[error(
        "{} is damaged at byte {offset}: {what}. Restore the file from a copy; or, to go on without what it held, \
         move all files out of {} and start anew", .file.display(), folder_of(.file).display()
    )]
    Corrupt {
        /// The damaged file.
        file: PathBuf,
        /// The first byte that cannot be used.
        offset: u64,
        /// What is wrong there.
        what: &'static str,
    },
    /// Entries that must be there are not: a file was removed or lost.
    #[error(
        "entries {from} to {to} (excluded) are missing from the journal {}. Restore the files that held them from a \
         copy; or, to go on without, move all files out of the folder and start anew", .folder.display()
    )]
    Missing {
        /// The journal's folder.
        folder: PathBuf,
        /// The first missing entry.
        from: Sequence,
        /// The first that is there again, or where they would have ended.
        to: Sequence,
    },
    /// A file of another format version.
    #[error(
        "{} has format version {version}, and this program knows version {known}: use the program that wrote it, or \
         move all files out of {} and start anew", .file.display(), folder_of(.file).display()
    )]
    Version {
        /// The file.
        file: PathBuf,
        /// Its version.
        version: u16,
        /// The version that this program writes.
        known: u16,
    },
    /// Retention has removed what was asked for.
    #[error("entry {from} is no longer kept: the journal begins at {oldest}")]
    Forgotten {
        /// What was asked for.
        from: Sequence,
        /// The first entry that is kept.
        oldest: Sequence,
    },
    /// As much is buffered as may be.
    #[error("{bytes_max} bytes wait to be committed, and no more may: commit before the next append")]
    BufferFull {
        /// The limit, `Options::buffer_bytes_max`.
        bytes_max: usize,
    },
    /// A single entry beyond the limit.
    #[error("an entry of {bytes} bytes is too large, at most {bytes_max} are allowed: cut it into several")]
    EntryTooLarge {
        /// Its keys and its payload.
        bytes: usize,
        /// The limit, [`ENTRY_BYTES_MAX`](super::ENTRY_BYTES_MAX).
        bytes_max: usize,
    },
    /// A commit that was begun has not been ended.
    #[error("a commit is under way: end it before the next one")]
    CommitUnderWay,
    /// A snapshot of what may yet be lost.
    #[error(
        "a snapshot at entry {sequence} would run ahead of the journal, which is durable up to {durable}: commit first"
    )]
    SnapshotAhead {
        /// Where the snapshot stands.
        sequence: Sequence,
        /// What is durable, excluded.
        durable: Sequence,
    },
}

impl Error {
    /// For `map_err`: the system refused to do `what` with `path`.
    pub(super) fn io(what: &'static str, path: &Path) -> impl FnOnce(io::Error) -> Error {
        move |source| Error::Io { what, path: path.to_path_buf(), source }
    }

    /// Whether a file is simply not there.
    pub(super) fn is_not_found(&self) -> bool {
        matches!(self, Error::Io { source, .. } if source.kind() == io::ErrorKind::NotFound)
    }
}

fn folder_of(file: &Path) -> &Path {
    file.parent().unwrap_or(file)
}
