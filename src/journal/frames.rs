//! Reads a segment frame by frame, in bounded memory.

use super::format::{self, HEAD_BYTES, Head};
use super::{Entry, Error, Sequence};
use memchr::memmem;
use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom};
use std::ops::Range;
use std::path::{Path, PathBuf};

/// Bytes that are read at once; the buffer grows beyond it for an entry that is larger.
const READ_BYTES: usize = 256 << 10;

/// The frames of one segment, in order.
pub(super) struct Frames {
    file: File,
    path: PathBuf,
    salt: u32,
    buffer: Vec<u8>,
    /// What of the buffer has been read and not yet passed.
    unread: Range<usize>,
    /// Where `unread` begins in the file.
    offset: u64,
    /// Entries before it.
    ordinal: u32,
}

/// What stands next in a segment.
pub(super) enum Step {
    /// A sound entry.
    Entry(Place),
    /// Everything before this mark is durable.
    Mark,
    /// Exactly here the file ends.
    End,
    /// Something that is no sound frame, and why; the reader stays where it is.
    Bad(&'static str),
}

/// Where an entry is.
pub(super) struct Place {
    /// In the file.
    pub(super) offset: u64,
    /// In the buffer, until the next step.
    frame: Range<usize>,
}

impl Frames {
    pub(super) fn open(path: &Path, salt: u32, offset: u64, ordinal: u32) -> Result<Frames, Error> {
        let mut file = File::open(path).map_err(Error::io("open", path))?;
        file.seek(SeekFrom::Start(offset)).map_err(Error::io("read", path))?;
        Ok(Frames { file, path: path.to_path_buf(), salt, buffer: vec![0; READ_BYTES], unread: 0..0, offset, ordinal })
    }

    /// Where the next frame begins, or the one that is bad.
    pub(super) fn offset(&self) -> u64 {
        self.offset
    }

    /// How many entries have been passed since the segment's beginning.
    pub(super) fn ordinal(&self) -> u32 {
        self.ordinal
    }

    /// Passes the next frame.
    pub(super) fn step(&mut self) -> Result<Step, Error> {
        const CUT: Step = Step::Bad("the file ends within an entry");
        if self.unread.len() < HEAD_BYTES {
            self.fill(HEAD_BYTES)?;
        }
        let Some(bytes) = self.buffer[self.unread.clone()].first_chunk::<HEAD_BYTES>() else {
            return Ok(if self.unread.is_empty() { Step::End } else { CUT });
        };
        let head = Head::read(bytes);
        if head.is_mark() {
            let sound = format::read_mark(bytes, self.offset, self.salt) == Some(self.ordinal);
            return Ok(if sound { self.pass(HEAD_BYTES, Step::Mark) } else { Step::Bad("a mark is not sound") });
        }
        let Some(length) = head.entry_bytes() else { return Ok(Step::Bad("no entry can be so long")) };
        if self.unread.len() < length {
            self.fill(length)?;
        }
        let frame = self.unread.start..self.unread.start + length;
        if frame.end > self.unread.end {
            return Ok(CUT);
        }
        if !head.fits(&self.buffer[frame.clone()], self.salt) {
            return Ok(Step::Bad("the checksum of an entry is wrong"));
        }
        if head.ordinal != self.ordinal {
            return Ok(Step::Bad("an entry has another number than its place"));
        }
        self.ordinal += 1;
        let offset = self.offset;
        Ok(self.pass(length, Step::Entry(Place { offset, frame })))
    }

    /// The entry that the last step passed.
    pub(super) fn entry(&self, place: &Place, first: Sequence) -> Entry<'_> {
        format::entry(&self.buffer[place.frame.clone()], first).expect("the entry was found to be sound")
    }

    /// Whether any mark stands beyond the bad frame.
    pub(super) fn has_mark_ahead(&mut self) -> Result<bool, Error> {
        let finder = memmem::Finder::new(format::MARK);
        loop {
            let unread = &self.buffer[self.unread.clone()];
            for at in finder.find_iter(unread) {
                let begin = at.checked_sub(4);
                if let Some(bytes) = begin.and_then(|begin| unread[begin..].first_chunk())
                    && format::read_mark(bytes, self.offset + at as u64 - 4, self.salt).is_some()
                {
                    return Ok(true);
                }
            }
            // What may be the beginning of a mark is looked at again with what follows.
            let passed = self.unread.len().saturating_sub(HEAD_BYTES - 1);
            self.pass(passed, ());
            let before = self.unread.len();
            self.fill(READ_BYTES)?;
            if self.unread.len() == before {
                return Ok(false);
            }
        }
    }

    fn pass<T>(&mut self, bytes: usize, then: T) -> T {
        self.unread.start += bytes;
        self.offset += bytes as u64;
        then
    }

    /// Reads on until `wanted` bytes are there, or the file ends.
    fn fill(&mut self, wanted: usize) -> Result<(), Error> {
        self.buffer.copy_within(self.unread.clone(), 0);
        self.unread = 0..self.unread.len();
        if self.buffer.len() < wanted {
            self.buffer.resize(wanted, 0);
        }
        while self.unread.len() < wanted {
            match self.file.read(&mut self.buffer[self.unread.end..]) {
                Ok(0) => break,
                Ok(read) => self.unread.end += read,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(Error::io("read", &self.path)(error)),
            }
        }
        Ok(())
    }
}
