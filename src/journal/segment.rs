//! The files of a journal's folder.

use super::frames::Frames;
use super::{Error, Sequence, disk, format};
use std::ffi::OsStr;
use std::fs::{self, File};
use std::io::{self, Read};
use std::path::{Path, PathBuf};

/// How the names of the kinds of file end; before it stands a sequence number in 20 digits.
pub(super) const JOURNAL: &str = "journal";
pub(super) const INDEX: &str = "index";
pub(super) const SNAPSHOT: &str = "snapshot";

/// One segment, as its header and its folder describe it.
#[derive(Clone, Debug)]
pub(super) struct Segment {
    pub(super) path: PathBuf,
    /// Its first entry.
    pub(super) first: Sequence,
    /// When it was begun, in nanoseconds, by the caller's clock.
    pub(super) created_ns: i64,
    /// The salt of its frames.
    pub(super) salt: u32,
}

impl Segment {
    fn read(path: PathBuf, first: Sequence) -> Result<Segment, Error> {
        let mut bytes = [0; format::HEADER_BYTES];
        let mut file = File::open(&path).map_err(Error::io("open", &path))?;
        file.read_exact(&mut bytes).map_err(|error| match error.kind() {
            io::ErrorKind::UnexpectedEof => {
                Error::Corrupt { file: path.clone(), offset: 0, what: "it is shorter than a header" }
            }
            _ => Error::io("read", &path)(error),
        })?;
        let header = format::read_header(&bytes, &path)?;
        if header.first != first {
            let what = "its name and its header name different first entries";
            return Err(Error::Corrupt { file: path, offset: 0, what });
        }
        Ok(Segment { path, first, created_ns: header.created_ns, salt: header.salt })
    }

    /// Its frames, from the very first on.
    pub(super) fn frames(&self) -> Result<Frames, Error> {
        self.frames_from(format::HEADER_BYTES as u64, 0)
    }

    /// Its frames from the one at `offset` on, before which there are `ordinal` entries.
    pub(super) fn frames_from(&self, offset: u64, ordinal: u32) -> Result<Frames, Error> {
        Frames::open(&self.path, self.salt, offset, ordinal)
    }

    /// The file that leads from keys to its entries, once it is sealed.
    pub(super) fn index_path(&self) -> PathBuf {
        self.path.with_extension(INDEX)
    }

    /// Bytes of its file and its index.
    pub(super) fn bytes(&self) -> u64 {
        let length = |path: &Path| fs::metadata(path).map_or(0, |m| m.len());
        length(&self.path) + length(&self.index_path())
    }

    pub(super) fn corrupt(&self, offset: u64, what: &'static str) -> Error {
        Error::Corrupt { file: self.path.clone(), offset, what }
    }
}

/// Where a file lies.
pub(super) fn path(folder: &Path, sequence: Sequence, ending: &str) -> PathBuf {
    folder.join(format!("{:020}.{ending}", sequence.0))
}

/// All files whose names end so, by their sequence numbers.
pub(super) fn numbered(folder: &Path, ending: &str) -> Result<Vec<(Sequence, PathBuf)>, Error> {
    let mut found = Vec::new();
    for path in files(folder)? {
        let number = path.file_stem().and_then(OsStr::to_str).and_then(|stem| stem.parse().ok());
        if let Some(number) = number.filter(|_| path.extension() == Some(OsStr::new(ending))) {
            found.push((Sequence(number), path));
        }
    }
    found.sort();
    Ok(found)
}

/// All segments, the oldest first. One that is removed meanwhile is left out.
pub(super) fn list(folder: &Path) -> Result<Vec<Segment>, Error> {
    let mut segments = Vec::new();
    for (first, path) in numbered(folder, JOURNAL)? {
        match Segment::read(path, first) {
            Err(error) if error.is_not_found() => {}
            segment => segments.push(segment?),
        }
    }
    Ok(segments)
}

/// Removes what a process that died left unfinished, and indexes whose segments are gone.
pub(super) fn sweep(folder: &Path) -> Result<(), Error> {
    for path in files(folder)? {
        let unfinished = path.extension() == Some(OsStr::new(disk::UNFINISHED));
        let orphan = path.extension() == Some(OsStr::new(INDEX)) && !path.with_extension(JOURNAL).exists();
        if unfinished || orphan {
            fs::remove_file(&path).map_err(Error::io("remove", &path))?;
        }
    }
    Ok(())
}

fn files(folder: &Path) -> Result<Vec<PathBuf>, Error> {
    let listed = fs::read_dir(folder).and_then(|entries| entries.map(|e| Ok(e?.path())).collect());
    listed.map_err(Error::io("list", folder))
}
