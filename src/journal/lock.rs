//! One writer a folder: a file in it that is held locked as long as what stands there is open.
//!
//! The system lets go of the lock when the process ends, however it ends, so none is ever stale.

use super::Error;
use std::fs::{File, TryLockError};
use std::io::{Read, Write};
use std::path::Path;
use std::thread;
use std::time::{Duration, Instant};

const NAME: &str = "lock";
/// A process that the writer was just starting holds the lock as well until it runs a program of its own, so one that is taken
/// is tried again for so long, this often.
const PATIENCE: Duration = Duration::from_millis(500);
const TRY_EVERY: Duration = Duration::from_millis(5);

/// A folder that belongs to this process alone, for as long as this lives.
#[derive(Debug)]
#[must_use = "without it the folder is free again"]
pub struct Lock {
    _file: File,
}

/// Takes the folder, and writes down who has it. Fails with [`Error::Locked`] where another process does.
pub fn lock(folder: &Path) -> Result<Lock, Error> {
    let path = folder.join(NAME);
    let opened = File::options().read(true).write(true).create(true).truncate(false).open(&path);
    let mut file = opened.map_err(Error::io("open", &path))?;
    match patiently(|| file.try_lock()) {
        Ok(()) => {
            // Always as long, so that it needs no room on a full disk; and only a message would miss it.
            let _ = write!(file, "{:>10}", std::process::id());
            Ok(Lock { _file: file })
        }
        Err(TryLockError::WouldBlock) => {
            let mut pid = String::new();
            let pid = file.read_to_string(&mut pid).ok().and_then(|_| pid.trim().parse().ok());
            Err(Error::Locked { folder: folder.to_path_buf(), pid })
        }
        Err(TryLockError::Error(source)) => Err(Error::io("lock", &path)(source)),
    }
}

fn patiently(mut attempt: impl FnMut() -> Result<(), TryLockError>) -> Result<(), TryLockError> {
    let end = Instant::now() + PATIENCE;
    loop {
        match attempt() {
            Err(TryLockError::WouldBlock) if Instant::now() < end => thread::sleep(TRY_EVERY),
            done => return done,
        }
    }
}
