//! Everything that the journal does to the disk goes through here, so that tests can let it fail.

use super::Error;
use std::fs::{self, File};
use std::io::{self, BufWriter, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

/// Bytes that are gathered before a derived file is written to.
const WRITE_BYTES: usize = 256 << 10;
/// What the name of a file ends with until it is complete.
pub(super) const UNFINISHED: &str = "new";

/// Writes all of `bytes` at `offset`.
pub(super) fn write_at(mut file: &File, offset: u64, bytes: &[u8]) -> io::Result<()> {
    file.seek(SeekFrom::Start(offset))?;
    Output(file).write_all(bytes)
}

/// Makes what was written to the file durable, with its length.
pub(super) fn sync(file: &File) -> io::Result<()> {
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
    let written = File::create(unfinished(path)).and_then(|file| {
        let mut out = BufWriter::with_capacity(WRITE_BYTES, Output(&file));
        let written = write(&mut out)?;
        out.flush()?;
        sync(&file)?;
        Ok(written)
    });
    written.and_then(|written| name(path).map(|()| written)).inspect_err(|_| {
        // It may stand in the way of what needs the room more; whether this works is of no consequence.
        let _ = fs::remove_file(unfinished(path));
    })
}

/// A file as something that can be written to.
struct Output<'a>(&'a File);

impl Write for Output<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        #[cfg(test)]
        let bytes = &bytes[..faults::room(bytes.len())?];
        self.0.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// A disk that is full, or that cannot be synced. For the thread that asks for it.
#[cfg(test)]
pub(super) mod faults {
    use std::cell::Cell;
    use std::fs::File;
    use std::io;

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

    pub(super) fn room(wanted: usize) -> io::Result<usize> {
        match ROOM.get().min(wanted) {
            0 if wanted > 0 => Err(io::ErrorKind::StorageFull.into()),
            granted => {
                ROOM.set(if ROOM.get() == usize::MAX { usize::MAX } else { ROOM.get() - granted });
                Ok(granted)
            }
        }
    }

    /// Tests lose no power: what they sync is not really synced.
    pub(super) fn sync(_: &File) -> io::Result<()> {
        let failing = FAILING_SYNCS.get();
        FAILING_SYNCS.set(failing.saturating_sub(1));
        if failing > 0 { Err(io::Error::other("the disk gave up")) } else { Ok(()) }
    }
}
