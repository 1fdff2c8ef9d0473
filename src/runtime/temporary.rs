//! Temporary files, in which what does not fit into memory waits. They have no name and are gone with the process.

use std::fs::File;
use std::io;

/// An empty one, in the system's folder for temporary files.
pub(super) fn file() -> io::Result<File> {
    tempfile::tempfile().map_err(explained)
}

/// What went wrong with one, and the way out.
pub(super) fn explained(error: io::Error) -> io::Error {
    let folder = std::env::temp_dir().display().to_string();
    let way_out = "make room there, or set TMPDIR to another folder";
    io::Error::new(error.kind(), format!("a temporary file in {folder} cannot be written or read: {error}; {way_out}"))
}
