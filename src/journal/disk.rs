//! Everything that the journal does to the disk goes through here, so that tests can let it fail.

use super::Error;
use super::extent::{Extent, PAGE_BYTES};
use std::fs::{self, File};
use std::io::{self, Seek, SeekFrom, Write};
use std::ops::Range;
use std::path::{Path, PathBuf};

/// Bytes of a derived file that are written at once.
const WRITE_BYTES: usize = 1 << 20;
/// Less than this is not worth going past the system's cache.
const DIRECT_BYTES_MIN: usize = 64 << 10;
/// What the name of a file ends with until it is complete.
pub(super) const UNFINISHED: &str = "new";

/// A file that is written to. What is large goes past the system's cache where system and memory allow it, since nobody
/// will read it soon and copying it there would cost more than everything else about it; the rest, the ends of it
/// included, goes by way of the cache. No page goes both ways at once.
#[derive(Debug)]
pub(super) struct Output {
    cached: File,
    direct: Option<File>,
}

impl Output {
    /// A new file, or an old one emptied.
    pub(super) fn create(path: &Path) -> io::Result<Output> {
        let cached = File::create(path)?;
        Ok(Output { cached, direct: open_direct(path) })
    }

    /// A file as it is.
    pub(super) fn open(path: &Path) -> io::Result<Output> {
        let cached = File::options().write(true).open(path)?;
        Ok(Output { cached, direct: open_direct(path) })
    }

    /// Writes all of `bytes` at `offset`.
    pub(super) fn write_at(&self, offset: u64, bytes: &[u8]) -> io::Result<()> {
        let pages = if self.direct.is_some() { whole_pages(offset, bytes) } else { 0..0 };
        let (front, back) = (&bytes[..pages.start], &bytes[pages.end..]);
        let at = |index: usize| offset + index as u64;
        write_all(&self.cached, offset, front)?;
        if let Some(direct) = self.direct.as_ref().filter(|_| !pages.is_empty()) {
            match write_all(direct, at(pages.start), &bytes[pages.clone()]) {
                // This file system wants it aligned otherwise.
                Err(error) if error.kind() == io::ErrorKind::InvalidInput => {
                    write_all(&self.cached, at(pages.start), &bytes[pages.clone()])
                }
                written => written,
            }?;
        }
        write_all(&self.cached, at(pages.end), back)
    }

    /// Makes what was written durable, with the file's length.
    pub(super) fn sync(&self) -> io::Result<()> {
        sync(&self.cached)
    }

    /// Shortens it to so many bytes, where it has more.
    pub(super) fn cut(&self, bytes: u64) -> io::Result<()> {
        let length = self.cached.metadata()?.len();
        if bytes < length { self.cached.set_len(bytes) } else { Ok(()) }
    }
}

/// Of bytes that are to stand at `offset`, those that fill whole pages both in memory and in the file; none where they
/// are few.
fn whole_pages(offset: u64, bytes: &[u8]) -> Range<usize> {
    let begin = bytes.as_ptr().align_offset(PAGE_BYTES);
    let length = bytes.len().saturating_sub(begin) / PAGE_BYTES * PAGE_BYTES;
    let aligned = (offset + begin as u64).is_multiple_of(PAGE_BYTES as u64);
    if aligned && length >= DIRECT_BYTES_MIN { begin..begin + length } else { 0..0 }
}

/// The file once more, to write past the cache; `None` where the file system knows no such thing.
#[cfg(target_os = "linux")]
fn open_direct(path: &Path) -> Option<File> {
    use std::os::unix::fs::OpenOptionsExt;
    File::options().write(true).custom_flags(libc::O_DIRECT).open(path).ok()
}

#[cfg(not(target_os = "linux"))]
fn open_direct(_: &Path) -> Option<File> {
    None
}

fn write_all(mut file: &File, offset: u64, bytes: &[u8]) -> io::Result<()> {
    if bytes.is_empty() {
        return Ok(());
    }
    file.seek(SeekFrom::Start(offset))?;
    #[cfg(test)]
    return faults::write_all(file, bytes);
    #[cfg(not(test))]
    file.write_all(bytes)
}

/// Makes what was written to the file durable, with its length.
fn sync(file: &File) -> io::Result<()> {
    #[cfg(test)]
    return faults::sync(file);
    #[cfg(not(test))]
    file.sync_data()
}

/// Makes the names in the folder durable.
pub(super) fn sync_folder(folder: &Path) -> io::Result<()> {
    // Only Unix can open a folder, and only there it is needed.
    if cfg!(unix) { sync(&File::open(folder)?) } else { Ok(()) }
}

/// Creates the folder and those above it, durably.
pub(super) fn create_folder(folder: &Path) -> Result<(), Error> {
    if folder.is_dir() {
        return Ok(());
    }
    let parent = match folder.parent() {
        Some(parent) if parent.as_os_str().is_empty() => Path::new("."),
        Some(parent) => parent,
        None => folder,
    };
    create_folder(parent)?;
    fs::create_dir(folder).and_then(|()| sync_folder(parent)).map_err(Error::io("create", folder))
}

/// The name under which `path` is written until it is complete.
pub(super) fn unfinished(path: &Path) -> PathBuf {
    path.with_added_extension(UNFINISHED)
}

/// Gives a complete and durable file its name, durably.
pub(super) fn name(path: &Path) -> io::Result<()> {
    fs::rename(unfinished(path), path)?;
    path.parent().map_or(Ok(()), sync_folder)
}

/// Writes a whole file: there will be all of it under this name, or nothing new.
pub(super) fn write_whole<T>(path: &Path, write: impl FnOnce(&mut dyn Write) -> io::Result<T>) -> io::Result<T> {
    let written = Output::create(&unfinished(path)).and_then(|file| {
        let mut out = Gathering { file: &file, extent: Extent::default() };
        let written = write(&mut out)?;
        out.flush()?;
        file.sync()?;
        Ok(written)
    });
    written.and_then(|written| name(path).map(|()| written)).inspect_err(|_| {
        // It may stand in the way of what needs the room more; whether this works is of no consequence.
        let _ = fs::remove_file(unfinished(path));
    })
}

/// Gathers what is written to a file from its beginning to its end.
struct Gathering<'a> {
    file: &'a Output,
    extent: Extent,
}

impl Write for Gathering<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let taken = bytes.len().min(WRITE_BYTES - self.extent.len());
        self.extent.push(&bytes[..taken]);
        if self.extent.len() == WRITE_BYTES {
            self.flush()?;
        }
        Ok(taken)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.file.write_at(self.extent.offset(), self.extent.bytes())?;
        self.extent.begin(self.extent.end());
        Ok(())
    }
}

/// A disk that is full, or that cannot be synced. For the thread that asks for it.
#[cfg(test)]
pub(super) mod faults {
    use std::cell::Cell;
    use std::fs::File;
    use std::io::{self, Write};

    thread_local! {
        static ROOM: Cell<usize> = const { Cell::new(usize::MAX) };
        static FAILING_SYNCS: Cell<usize> = const { Cell::new(0) };
    }

    /// From now on this many bytes can be written.
    pub(in super::super) fn leave_room(bytes: usize) {
        ROOM.set(bytes);
    }

    /// The next so many syncs fail.
    pub(in super::super) fn fail_syncs(times: usize) {
        FAILING_SYNCS.set(times);
    }

    /// Writes as much as there is room for.
    pub(super) fn write_all(mut file: &File, bytes: &[u8]) -> io::Result<()> {
        let room = ROOM.get();
        let granted = room.min(bytes.len());
        if room < usize::MAX {
            ROOM.set(room - granted);
        }
        file.write_all(&bytes[..granted])?;
        if granted < bytes.len() { Err(io::ErrorKind::StorageFull.into()) } else { Ok(()) }
    }

    /// Tests lose no power: what they sync is not really synced.
    pub(super) fn sync(_: &File) -> io::Result<()> {
        let failing = FAILING_SYNCS.get();
        FAILING_SYNCS.set(failing.saturating_sub(1));
        if failing > 0 { Err(io::Error::other("the disk gave up")) } else { Ok(()) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A run of bytes that stands at `offset`.
    fn extent(offset: u64, bytes: usize) -> Extent {
        let mut extent = Extent::default();
        extent.begin(offset);
        (0..bytes).for_each(|at| extent.push(&[(at % 251) as u8]));
        extent
    }

    #[test]
    fn all_but_the_ends_of_an_extent_fills_whole_pages() {
        let page = PAGE_BYTES as u64;
        for (offset, bytes, pages) in
            [(0, 65_536, 0..65_536), (100, 70_000, 3_996..69_532), (page - 1, 65_537, 1..65_537)]
        {
            assert_eq!(whole_pages(offset, extent(offset, bytes).bytes()), pages);
            assert_eq!(whole_pages(offset + 1, extent(offset, bytes).bytes()), 0..0, "it stands otherwise in the file");
        }
        assert_eq!(whole_pages(0, extent(0, 65_535).bytes()), 0..0, "it is not worth it");
        assert_eq!(whole_pages(0, &[]), 0..0);
    }

    #[test]
    fn a_file_holds_what_was_written_whichever_way_it_went() {
        let folder = tempfile::tempdir().unwrap();
        let (one, other) = (folder.path().join("one"), folder.path().join("other"));
        let both = Output::create(&one).unwrap();
        let cached = Output { direct: None, ..Output::create(&other).unwrap() };
        let mut offset = 0;
        for bytes in [10, 200_000, 65_536, 5, 70_001, 1_000_000] {
            let extent = extent(offset, bytes);
            for file in [&both, &cached] {
                file.write_at(offset, extent.bytes()).unwrap();
                file.write_at(extent.end(), b"a mark").unwrap();
            }
            assert_eq!(fs::read(&one).unwrap(), fs::read(&other).unwrap());
            offset = extent.end();
        }
    }
}
