//! The bytes of an open file by their place in it, unpacked where it is packed.

use crate::sources::file::open::{MAGIC_BYTES, Unpacked, is_packed};
use std::fs::{File, Metadata};
use std::io::{self, Seek};
use std::os::unix::fs::FileExt;
use std::path::Path;

/// How much is unpacked at a time.
const STEP_BYTES: usize = 256 << 10;
/// So much before the place that was asked for last is kept, since it is looked at again.
const BACK_BYTES: u64 = 512;

/// An open file.
pub(super) enum Bytes {
    Plain(File),
    Packed(Packed),
}

/// What a reading gave.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Filled {
    pub(super) count: usize,
    /// The file has no more than that.
    pub(super) ends: bool,
}

impl Bytes {
    pub(super) fn open(path: &Path) -> io::Result<Bytes> {
        Bytes::over(File::open(path)?)
    }

    /// Looks at the first bytes for how the file is packed.
    pub(super) fn over(file: File) -> io::Result<Bytes> {
        let mut front = [0; MAGIC_BYTES];
        let count = read_at(&file, 0, &mut front)?;
        Ok(if is_packed(&front[..count]) { Bytes::Packed(Packed::over(file)?) } else { Bytes::Plain(file) })
    }

    pub(super) fn is_packed(&self) -> bool {
        matches!(self, Bytes::Packed(_))
    }

    pub(super) fn metadata(&self) -> io::Result<Metadata> {
        match self {
            Bytes::Plain(file) | Bytes::Packed(Packed { file, .. }) => file.metadata(),
        }
    }

    /// Fills `space` with what stands from `offset` on.
    pub(super) fn read_at(&mut self, offset: u64, space: &mut [u8]) -> io::Result<Filled> {
        match self {
            Bytes::Plain(file) => {
                let count = read_at(file, offset, space)?;
                Ok(Filled { count, ends: count < space.len() })
            }
            Bytes::Packed(packed) => packed.read_at(offset, space),
        }
    }

    /// How many bytes there are. A packed file is unpacked for that.
    pub(super) fn length(&mut self) -> io::Result<u64> {
        match self {
            Bytes::Plain(file) => Ok(file.metadata()?.len()),
            Bytes::Packed(packed) => loop {
                let behind = packed.start + packed.window.len() as u64;
                if packed.read_at(behind, &mut [0])?.ends {
                    return Ok(packed.start + packed.window.len() as u64);
                }
            },
        }
    }
}

fn read_at(file: &File, offset: u64, space: &mut [u8]) -> io::Result<usize> {
    let mut filled = 0;
    while filled < space.len() {
        match file.read_at(&mut space[filled..], offset + filled as u64) {
            Ok(0) => break,
            Ok(count) => filled += count,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(filled)
}

/// A packed file gives its bytes only one after the other: a window of them is held, and to go back before it begins
/// the unpacking anew.
///
/// ```text
/// start            asked for last             start + window
/// │◀─ BACK_BYTES ─▶│◀──── what was wanted ───▶│   not unpacked yet …
/// ```
pub(super) struct Packed {
    file: File,
    stream: Unpacked,
    window: Vec<u8>,
    start: u64,
    exhausted: bool,
    /// What cuts the file short behind the window.
    failure: Option<io::Error>,
}

impl Packed {
    fn over(file: File) -> io::Result<Packed> {
        let stream = Packed::stream(&file)?;
        Ok(Packed { file, stream, window: Vec::new(), start: 0, exhausted: false, failure: None })
    }

    fn stream(file: &File) -> io::Result<Unpacked> {
        let mut again = file.try_clone()?;
        again.rewind()?;
        Unpacked::over(again)
    }

    fn read_at(&mut self, offset: u64, space: &mut [u8]) -> io::Result<Filled> {
        if offset < self.start {
            self.stream = Packed::stream(&self.file)?;
            (self.window, self.start) = (Vec::new(), 0);
            (self.exhausted, self.failure) = (false, None);
        }
        let end = offset + space.len() as u64;
        let mut grew = false;
        while self.start + (self.window.len() as u64) < end && !self.exhausted {
            self.drop_before(offset.saturating_sub(BACK_BYTES));
            grew |= self.unpack();
        }
        let from = usize::try_from(offset - self.start).unwrap_or(usize::MAX).min(self.window.len());
        let count = space.len().min(self.window.len() - from);
        space[..count].copy_from_slice(&self.window[from..from + count]);
        let short = count < space.len();
        match self.failure.take() {
            Some(failure) if short && !grew => Err(failure),
            failure => {
                let ends = short && failure.is_none();
                self.failure = failure;
                Ok(Filled { count, ends })
            }
        }
    }

    fn drop_before(&mut self, offset: u64) {
        let spare = usize::try_from(offset.saturating_sub(self.start)).unwrap_or(usize::MAX).min(self.window.len());
        self.window.drain(..spare);
        self.start += spare as u64;
    }

    /// Whether there was more.
    fn unpack(&mut self) -> bool {
        let filled = self.window.len();
        self.window.resize(filled + STEP_BYTES, 0);
        let (count, failure) = self.stream.fill(&mut self.window[filled..]);
        self.window.truncate(filled + count);
        self.exhausted = count < STEP_BYTES;
        self.failure = failure;
        count > 0
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write;

    fn file(content: &[u8]) -> File {
        let mut file = tempfile::tempfile().unwrap();
        file.write_all(content).unwrap();
        file
    }

    fn gzip(content: &[u8]) -> Vec<u8> {
        let mut packer = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        packer.write_all(content).unwrap();
        packer.finish().unwrap()
    }

    fn content() -> Vec<u8> {
        (0..200_000).flat_map(|n: u32| format!("line {n}\n").into_bytes()).collect()
    }

    #[test]
    fn a_place_means_the_same_packed_or_not_in_whatever_order_it_is_asked_for() {
        let content = content();
        let mut plain = Bytes::over(file(&content)).unwrap();
        let mut packed = Bytes::over(file(&gzip(&content))).unwrap();
        assert!(!plain.is_packed() && packed.is_packed());
        assert_eq!((plain.length().unwrap(), packed.length().unwrap()), (content.len() as u64, content.len() as u64));
        for (offset, wanted) in [(0, 10), (1_000_000, 300_000), (999_800, 200), (5, 5), (content.len() - 3, 10)] {
            let expect = &content[offset..(offset + wanted).min(content.len())];
            for bytes in [&mut plain, &mut packed] {
                let mut space = vec![0; wanted];
                let filled = bytes.read_at(offset as u64, &mut space).unwrap();
                assert_eq!((&space[..filled.count], filled.ends), (expect, expect.len() < wanted), "at {offset}");
            }
        }
    }

    #[test]
    fn what_stands_before_a_tear_is_given_and_then_the_tear_is_told() {
        let whole = gzip(&content());
        let mut torn = Bytes::over(file(&whole[..whole.len() / 2])).unwrap();
        let mut space = vec![0; 64 << 20];
        let filled = torn.read_at(0, &mut space).unwrap();
        assert!(filled.count > 100_000 && !filled.ends);
        assert!(space.starts_with(b"line 0\nline 1\n"));
        assert!(torn.read_at(0, &mut space).is_err());
    }
}
