//! Opening a journal: what the last process left, up to the last entry that can be trusted.

use super::disk::Output;
use super::extent::Extent;
use super::index::{self, Index};
use super::segment::{self, Segment};
use super::snapshot::{self, RejectedSnapshot, Snapshot};
use super::tail::{Reach, Tail};
use super::writer::Active;
use super::{Error, Journal, Oldest, Options, Sequence, disk, format, lock};
use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};

/// What was found when a journal was opened.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Recovered {
    /// The newest sound snapshot; what is after it is to be replayed.
    pub snapshot: Option<Snapshot>,
    /// Damaged snapshots that stood after it, and are removed now.
    pub rejected: Vec<RejectedSnapshot>,
    /// Where the journal begins.
    pub oldest: Oldest,
    /// The end of what is durable, excluded.
    pub end: Sequence,
    /// What was cut off the last segment.
    pub torn: Option<Torn>,
    /// Indexes that were missing or damaged, and have been made anew.
    pub indexes_rebuilt: Vec<PathBuf>,
}

/// The end of a group that the last process had not committed when it ended.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Torn {
    /// The segment's file.
    pub file: PathBuf,
    /// Where it has been cut.
    pub offset: u64,
    /// How many bytes were there.
    pub bytes: u64,
    /// Why they are no entry.
    pub what: &'static str,
}

impl Journal {
    /// Opens the journal in `folder`, which is created where it is missing, for this process alone.
    /// `now_ns` is the present time in nanoseconds: the creation time of the first segment of a new journal.
    ///
    /// The entries of the last segment are read; of the others only whether they are there, with their
    /// indexes. So damage within them shows when they are replayed or looked up.
    pub fn open(folder: impl AsRef<Path>, options: Options, now_ns: i64) -> Result<(Journal, Recovered), Error> {
        let folder = folder.as_ref();
        disk::create_folder(folder)?;
        let lock = lock(folder)?;
        segment::sweep(folder)?;
        let mut segments = segment::list(folder)?;
        let indexes_rebuilt = check_sealed(&segments)?;
        let (active, file, torn) = match segments.pop() {
            Some(last) => recover_tail(last)?,
            None => (Active::begin(folder, Sequence::default(), now_ns, Extent::default()), None, None),
        };
        let end = active.next();
        let (snapshot, rejected) = snapshot::newest(folder)?;
        if let Some(snapshot) = snapshot.as_ref().filter(|snapshot| snapshot.sequence > end) {
            return Err(Error::Missing { folder: folder.to_path_buf(), from: end, to: snapshot.sequence });
        }
        let journal = Journal {
            folder: folder.to_path_buf(),
            options: options.within_limits(),
            _lock: lock,
            sealed: segments.into(),
            pending: None,
            active,
            file,
            durable: end,
            spare: Extent::default(),
        };
        let recovered = Recovered { snapshot, rejected, oldest: journal.oldest(), end, torn, indexes_rebuilt };
        Ok((journal, recovered))
    }
}

/// Each segment ends where the next one begins, and has its index.
fn check_sealed(segments: &[Segment]) -> Result<Vec<PathBuf>, Error> {
    let mut rebuilt = Vec::new();
    for [segment, next] in segments.array_windows() {
        if !index::is_whole(segment, next.first)? {
            let (index, end_offset) = Index::of(segment, next.first)?;
            let path = segment.index_path();
            index.write(segment, next.first, end_offset).map_err(Error::io("write", &path))?;
            rebuilt.push(path);
        }
    }
    Ok(rebuilt)
}

/// Finds the end of the last segment, and makes sure that what is before it is durable.
fn recover_tail(segment: Segment) -> Result<(Active, Option<Output>, Option<Torn>), Error> {
    let mut tail = Tail::new(segment);
    let unmarked = tail.read_on()?;
    tail.enter(&unmarked.keys);
    let Tail { segment, index, marked } = tail;
    let file = Output::open(&segment.path).map_err(Error::io("open", &segment.path))?;
    let length = segment.path.metadata().map_err(Error::io("read", &segment.path))?.len();
    let end = unmarked.end;
    let torn = unmarked.torn.map(|(offset, what)| {
        let bytes = length - offset;
        Torn { file: segment.path.clone(), offset, bytes, what }
    });
    // Where there is nothing to do nothing is written: a full disk must not keep retention from its work.
    if torn.is_some() || end.offset > marked.offset {
        settle(&file, &segment, marked, end).map_err(Error::io("write", &segment.path))?;
    }
    Ok((Active::resume(segment, index, end), Some(file), torn))
}

/// Cuts off what is torn, makes durable what stands between the last mark and there, and marks it. It was
/// read from the system's memory and may never have reached the disk, not even by an fdatasync now, if an
/// earlier one has failed; so it is written once more.
fn settle(file: &Output, segment: &Segment, marked: Reach, end: Reach) -> io::Result<()> {
    let mut bytes = vec![0; (end.offset - marked.offset) as usize];
    let mut written = File::open(&segment.path)?;
    written.seek(SeekFrom::Start(marked.offset))?;
    written.read_exact(&mut bytes)?;
    file.cut(end.offset)?;
    file.write_at(marked.offset, &bytes)?;
    file.sync()?;
    file.write_at(end.offset, &format::mark(end.offset, end.entries, segment.salt))
}
