//! Snapshots: the state after all entries before one, so that not everything need be replayed.
//!
//! ```text
//! file   "TLJS"   version u16   0 u16   sequence u64   │ the caller's bytes │   crc u32 of all before it
//! ```
//!
//! A snapshot gets its name when it is complete and durable. The newest two are kept, and retention
//! spares what the older one needs: should the newest turn out to be damaged, the one before it and the
//! entries after that still give the same state.

use super::segment::{self, SNAPSHOT};
use super::{Error, Sequence, disk};
use crc32c::{crc32c, crc32c_append};
use std::fs;
use std::io::{self, Write};
use std::path::{Path, PathBuf};

/// How many snapshots are kept.
pub(super) const SNAPSHOTS_KEPT: usize = 2;
const MAGIC: &[u8; 4] = b"TLJS";
const VERSION: u16 = 1;
const HEADER_BYTES: usize = 16;

/// A state that was saved.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Snapshot {
    /// It is the state after all entries before this one.
    pub sequence: Sequence,
    /// What was written.
    pub bytes: Vec<u8>,
}

/// A snapshot that was damaged, and has been removed.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct RejectedSnapshot {
    /// The file that it was.
    pub file: PathBuf,
    /// What was wrong with it.
    pub what: &'static str,
}

/// Leave to save one snapshot, on any thread.
#[derive(Debug)]
#[must_use = "nothing is saved before `save`"]
pub struct SnapshotDraft {
    pub(super) folder: PathBuf,
    pub(super) sequence: Sequence,
}

impl SnapshotDraft {
    /// Writes the snapshot, makes it durable, and removes all but the newest two; gives how many bytes were written.
    pub fn save(self, write: impl FnOnce(&mut dyn Write) -> io::Result<()>) -> Result<u64, Error> {
        let path = segment::path(&self.folder, self.sequence, SNAPSHOT);
        let saved = disk::write_whole(&path, |out| {
            let mut summed = Summed { out, crc: 0, bytes: 0 };
            summed.write_all(&header(self.sequence))?;
            write(&mut summed)?;
            let Summed { crc, bytes, .. } = summed;
            out.write_all(&crc.to_le_bytes())?;
            Ok(bytes)
        });
        let bytes = saved.map_err(Error::io("write", &path))?;
        let mut files = segment::numbered(&self.folder, SNAPSHOT)?;
        files.truncate(files.len().saturating_sub(SNAPSHOTS_KEPT));
        files.iter().try_for_each(|(_, file)| fs::remove_file(file).map_err(Error::io("remove", file)))?;
        Ok(bytes)
    }
}

/// The newest snapshot that is sound; those after it are removed.
pub(super) fn newest(folder: &Path) -> Result<(Option<Snapshot>, Vec<RejectedSnapshot>), Error> {
    let mut rejected = Vec::new();
    for (sequence, file) in segment::numbered(folder, SNAPSHOT)?.into_iter().rev() {
        let bytes = fs::read(&file).map_err(Error::io("read", &file))?;
        match read(bytes, sequence) {
            Ok(snapshot) => return Ok((Some(snapshot), rejected)),
            Err(Unfit::Version(version)) => return Err(Error::Version { file, version, known: VERSION }),
            Err(Unfit::Damaged(what)) => {
                fs::remove_file(&file).map_err(Error::io("remove", &file))?;
                rejected.push(RejectedSnapshot { file, what });
            }
        }
    }
    Ok((None, rejected))
}

/// The newest sound snapshot of what stands before `end`, for a process that must leave the folder as it is.
pub(super) fn newest_before(folder: &Path, end: Sequence) -> Result<Option<Snapshot>, Error> {
    for (sequence, file) in segment::numbered(folder, SNAPSHOT)?.into_iter().rev().filter(|(at, _)| *at <= end) {
        let bytes = match fs::read(&file) {
            Ok(bytes) => bytes,
            // The owner has a newer one, and has removed it.
            Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
            Err(error) => return Err(Error::io("read", &file)(error)),
        };
        match read(bytes, sequence) {
            Ok(snapshot) => return Ok(Some(snapshot)),
            Err(Unfit::Version(version)) => return Err(Error::Version { file, version, known: VERSION }),
            Err(Unfit::Damaged(_)) => {}
        }
    }
    Ok(None)
}

/// The first entry that a kept snapshot may need.
pub(super) fn needed_from(folder: &Path) -> Result<Option<Sequence>, Error> {
    let files = segment::numbered(folder, SNAPSHOT)?;
    Ok(files.iter().rev().take(SNAPSHOTS_KEPT).next_back().map(|(sequence, _)| *sequence))
}

enum Unfit {
    Version(u16),
    Damaged(&'static str),
}

fn read(mut bytes: Vec<u8>, sequence: Sequence) -> Result<Snapshot, Unfit> {
    let Some(header) = bytes.first_chunk::<HEADER_BYTES>().filter(|header| header.starts_with(MAGIC)) else {
        return Err(Unfit::Damaged("it does not begin like a snapshot"));
    };
    // A later version may have its checksum elsewhere, so the version is looked at first.
    let version = u16::from_le_bytes([header[4], header[5]]);
    if version != VERSION {
        return Err(Unfit::Version(version));
    }
    if *header != self::header(sequence) {
        return Err(Unfit::Damaged("its name and its header name different entries"));
    }
    match bytes.split_last_chunk::<4>() {
        Some((summed, crc)) if crc32c(summed).to_le_bytes() == *crc => {}
        _ => return Err(Unfit::Damaged("its checksum is wrong")),
    }
    bytes.truncate(bytes.len() - 4);
    bytes.drain(..HEADER_BYTES);
    Ok(Snapshot { sequence, bytes })
}

fn header(sequence: Sequence) -> [u8; HEADER_BYTES] {
    let mut bytes = [0; HEADER_BYTES];
    bytes[..4].copy_from_slice(MAGIC);
    bytes[4..6].copy_from_slice(&VERSION.to_le_bytes());
    bytes[8..].copy_from_slice(&sequence.0.to_le_bytes());
    bytes
}

/// Sums up what passes.
struct Summed<'a> {
    out: &'a mut dyn Write,
    crc: u32,
    bytes: u64,
}

impl Write for Summed<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let written = self.out.write(bytes)?;
        self.crc = crc32c_append(self.crc, &bytes[..written]);
        self.bytes += written as u64;
        Ok(written)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.out.flush()
    }
}
