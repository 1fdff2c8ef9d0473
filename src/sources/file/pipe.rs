//! A pipe, read by a thread of its own, so that whoever waits for it can stop waiting.
//!
//! Opening a pipe waits for its writer and reading it for the writer's next word, and neither can be broken off. So
//! the thread is left behind where it waits, and ends with the process.

use crossbeam_channel::{Receiver, RecvTimeoutError, Sender, bounded};
use std::fs::File;
use std::io::{self, Cursor, Read};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

/// How much is read at a time, at most.
const BLOCK_BYTES_MAX: usize = 64 << 10;
/// How many blocks are read ahead.
const BLOCKS_AHEAD_MAX: usize = 2;
/// How often an interrupt is looked for while nothing comes.
const PATIENCE: Duration = Duration::from_millis(50);

type Block = io::Result<Vec<u8>>;

/// The reading end. It ends where the pipe does, or where it is interrupted.
pub(super) struct Pipe {
    blocks: Receiver<Block>,
    block: Cursor<Vec<u8>>,
    interrupted: Arc<AtomicBool>,
}

impl Pipe {
    /// Begins to read. That it cannot be opened is told by the first read.
    pub(super) fn open(path: &Path, interrupted: &Arc<AtomicBool>) -> io::Result<Pipe> {
        let (sender, blocks) = bounded(BLOCKS_AHEAD_MAX);
        let path = path.to_owned();
        thread::Builder::new().name("pipe".into()).spawn(move || pump(path, &sender))?;
        Ok(Pipe { blocks, block: Cursor::default(), interrupted: interrupted.clone() })
    }
}

/// Hands on what comes, until nobody wants it or nothing more comes.
fn pump(path: PathBuf, blocks: &Sender<Block>) {
    let mut file = match File::open(path) {
        Ok(file) => file,
        Err(error) => return drop(blocks.send(Err(error))),
    };
    loop {
        let mut block = vec![0; BLOCK_BYTES_MAX];
        let read = file.read(&mut block).map(|count| {
            block.truncate(count);
            block
        });
        let last = match &read {
            Ok(block) => block.is_empty(),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            Err(_) => true,
        };
        if blocks.send(read).is_err() || last {
            return;
        }
    }
}

impl Read for Pipe {
    fn read(&mut self, space: &mut [u8]) -> io::Result<usize> {
        loop {
            let count = self.block.read(space)?;
            if count > 0 || self.interrupted.load(Ordering::Relaxed) {
                return Ok(count);
            }
            match self.blocks.recv_timeout(PATIENCE) {
                Ok(block) => self.block = Cursor::new(block?),
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => return Ok(0),
            }
        }
    }
}

#[cfg(all(test, unix))]
mod tests {
    use super::*;
    use std::io::Write;
    use std::process::Command;

    fn fifo() -> (tempfile::TempDir, PathBuf) {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("pipe");
        assert!(Command::new("mkfifo").arg(&path).status().unwrap().success());
        (folder, path)
    }

    #[test]
    fn what_is_written_is_read_to_its_end() {
        let (_folder, path) = fifo();
        let mut pipe = Pipe::open(&path, &Arc::default()).unwrap();
        let text: Vec<u8> = (0..300_000u32).map(|n| n as u8).collect();
        let mut writer = File::options().write(true).open(&path).unwrap();
        let expected = text.clone();
        let writing = thread::spawn(move || writer.write_all(&text).unwrap());
        let mut read = Vec::new();
        pipe.read_to_end(&mut read).unwrap();
        writing.join().unwrap();
        assert!(read == expected);
        let missing = Pipe::open(&path.with_file_name("nothing"), &Arc::default()).unwrap().read(&mut [0]);
        assert_eq!(missing.unwrap_err().kind(), io::ErrorKind::NotFound);
    }

    #[test]
    fn an_interrupt_ends_one_that_says_nothing_and_one_that_nobody_opens() {
        for silent_writer in [false, true] {
            let (_folder, path) = fifo();
            let interrupted = Arc::new(AtomicBool::new(false));
            let mut pipe = Pipe::open(&path, &interrupted).unwrap();
            let mut writer = silent_writer.then(|| File::options().write(true).open(&path).unwrap());
            if let Some(writer) = &mut writer {
                writer.write_all(b"so far").unwrap();
                let mut read = [0; 6];
                pipe.read_exact(&mut read).unwrap();
                assert_eq!(&read, b"so far");
            }
            let reading = thread::spawn(move || pipe.read(&mut [0; 9]).unwrap());
            thread::sleep(2 * PATIENCE);
            assert!(!reading.is_finished(), "it waits");
            interrupted.store(true, Ordering::Relaxed);
            assert_eq!(reading.join().unwrap(), 0);
        }
    }
}
