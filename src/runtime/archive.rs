//! Where `verify` keeps closed transactions: an unlinked temporary file, so that memory does not grow
//! with them.
//!
//! Records are appended through a buffer. Which records have a key is kept in chains: the key's hash
//! names one of 4096 partitions, and each partition fills a block of entries in memory, appends it to
//! the file when it is full and begins the next, which starts with where the last one stands. Looking
//! a key up walks one chain, the newest block first.
//!
//! ```text
//! file    record record record [block 7·0] record … [block 7·1] record …
//!                                  ▲                    │ ▲
//! memory  partition 7: 127 entries └── earlier block ───┘ └── earlier block ── [filling]
//! ```

use super::temporary;
use crate::engine::{Archived, Closed};
use std::collections::HashSet;
use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom, Write};

/// Bytes that are appended at once.
const BUFFER_BYTES_MAX: usize = 256 << 10;
/// Chains of blocks.
const PARTITIONS: usize = 1 << PARTITION_BITS;
const PARTITION_BITS: u32 = 12;
/// Words of a block: where the block before it stands, then the entries. All partitions' blocks in the
/// making take 4 MiB.
const BLOCK_WORDS: usize = 128;
/// An entry is a tag of 24 bits of the hash, then the record's offset.
const OFFSET_BITS: u32 = 40;
/// The largest archive.
const FILE_BYTES_MAX: u64 = 1 << OFFSET_BITS;
/// Stands where there is no earlier block: no block is at the beginning of the file.
const NO_BLOCK: u64 = 0;
const BLOCK_BYTES: usize = BLOCK_WORDS * 8;

/// Closed transactions on disk, found by any of their keys.
#[derive(Debug)]
pub struct Archive {
    file: File,
    /// What is in the file already; the buffer follows.
    written: u64,
    buffer: Vec<u8>,
    /// One block a partition.
    blocks: Vec<u64>,
    /// Words in use of each partition's block.
    filled: Vec<u8>,
}

impl Archive {
    /// An empty archive in the system's folder for temporary files. The file has no name and is gone
    /// with the process.
    pub fn in_temp() -> io::Result<Archive> {
        temporary::file().map(Archive::over)
    }

    fn over(file: File) -> Archive {
        Archive {
            file,
            written: 0,
            buffer: Vec::with_capacity(BUFFER_BYTES_MAX + BLOCK_BYTES),
            blocks: vec![NO_BLOCK; PARTITIONS * BLOCK_WORDS],
            filled: vec![1; PARTITIONS],
        }
    }

    /// Keeps closed transactions. Earlier ones with the same first key and identity are found no more.
    pub fn store(&mut self, archived: &Archived) -> io::Result<()> {
        let begin = self.end();
        // Each key, of eight bytes, may complete a block.
        let blocks = archived.bytes().len() / 8 * BLOCK_BYTES;
        if begin + (archived.bytes().len() + blocks) as u64 > FILE_BYTES_MAX {
            return Err(io::Error::other(format!(
                "more than {FILE_BYTES_MAX} bytes of closed transactions; verify a shorter recording, or fewer flows at once"
            )));
        }
        self.buffer.extend_from_slice(archived.bytes());
        for (at, closed) in archived.iter() {
            closed.keys().for_each(|key| self.note(key, begin + at as u64));
        }
        if self.buffer.len() >= BUFFER_BYTES_MAX { self.flush() } else { Ok(()) }
    }

    /// The newest state of each transaction that has this key.
    pub fn recall(&mut self, key: u64) -> io::Result<Vec<Vec<u8>>> {
        self.flush()?;
        let partition = partition(key);
        let begin = partition * BLOCK_WORDS;
        let mut block = self.blocks[begin..begin + usize::from(self.filled[partition])].to_vec();
        let mut seen = HashSet::new();
        let mut states = Vec::new();
        loop {
            for entry in block[1..].iter().rev().filter(|entry| *entry >> OFFSET_BITS == tag(key)) {
                let record = self.read_record(entry & (FILE_BYTES_MAX - 1))?;
                let torn = || io::Error::other("a closed transaction in the temporary file is torn");
                let closed = Closed::take(&mut record.as_slice()).ok_or_else(torn)?;
                let identity = (closed.keys().next(), closed.identity.to_vec());
                if closed.keys().any(|k| k == key) && seen.insert(identity) {
                    states.push(closed.state.to_vec());
                }
            }
            if block[0] == NO_BLOCK {
                return Ok(states);
            }
            let bytes = self.read(block[0], BLOCK_BYTES)?;
            block = words(&bytes);
        }
    }

    /// Enters a record into the chain of one of its keys.
    fn note(&mut self, key: u64, offset: u64) {
        let partition = partition(key);
        let begin = partition * BLOCK_WORDS;
        if usize::from(self.filled[partition]) == BLOCK_WORDS {
            let here = self.end();
            let block = &mut self.blocks[begin..begin + BLOCK_WORDS];
            block.iter().for_each(|word| self.buffer.extend_from_slice(&word.to_le_bytes()));
            block[0] = here;
            self.filled[partition] = 1;
        }
        self.blocks[begin + usize::from(self.filled[partition])] = tag(key) << OFFSET_BITS | offset;
        self.filled[partition] += 1;
    }

    fn end(&self) -> u64 {
        self.written + self.buffer.len() as u64
    }

    fn flush(&mut self) -> io::Result<()> {
        let written = self.file.seek(SeekFrom::Start(self.written)).and_then(|_| self.file.write_all(&self.buffer));
        written.map_err(temporary::explained)?;
        self.written += self.buffer.len() as u64;
        self.buffer.clear();
        Ok(())
    }

    fn read(&mut self, offset: u64, length: usize) -> io::Result<Vec<u8>> {
        let mut bytes = vec![0; length];
        let done = self.file.seek(SeekFrom::Start(offset)).and_then(|_| self.file.read_exact(&mut bytes));
        done.map_err(temporary::explained)?;
        Ok(bytes)
    }

    fn read_record(&mut self, offset: u64) -> io::Result<Vec<u8>> {
        let mut head = [0; Closed::HEAD];
        head.copy_from_slice(&self.read(offset, Closed::HEAD)?);
        self.read(offset, Closed::length(&head))
    }
}

fn partition(key: u64) -> usize {
    (key >> (u64::BITS - PARTITION_BITS)) as usize
}

fn tag(key: u64) -> u64 {
    key & ((1 << (u64::BITS - OFFSET_BITS)) - 1)
}

fn words(bytes: &[u8]) -> Vec<u64> {
    bytes.as_chunks().0.iter().map(|word| u64::from_le_bytes(*word)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A transaction whose identity is its name.
    fn transaction(keys: &[u64], name: &str, rest: &str) -> Archived {
        let mut archived = Archived::default();
        push(&mut archived, keys, name, rest);
        archived
    }

    fn push(archived: &mut Archived, keys: &[u64], name: &str, rest: &str) {
        archived.push(keys, |state| {
            state.extend_from_slice(name.as_bytes());
            state.extend_from_slice(rest.as_bytes());
            name.len()
        });
    }

    fn recalled(archive: &mut Archive, key: u64) -> Vec<String> {
        archive.recall(key).unwrap().into_iter().map(|state| String::from_utf8(state).unwrap()).collect()
    }

    #[test]
    fn the_newest_state_of_each_transaction_is_recalled_by_any_of_its_keys() {
        let mut archive = Archive::in_temp().unwrap();
        archive.store(&transaction(&[1, 70], "a", ": paid")).unwrap();
        archive.store(&transaction(&[2, 70], "b", ": open")).unwrap();
        assert_eq!(recalled(&mut archive, 70), ["b: open", "a: paid"]);
        archive.store(&transaction(&[1, 70, 71], "a", ": paid and sent")).unwrap();
        assert_eq!(recalled(&mut archive, 70), ["a: paid and sent", "b: open"]);
        assert_eq!(recalled(&mut archive, 1), ["a: paid and sent"]);
        assert_eq!(recalled(&mut archive, 71), ["a: paid and sent"]);
        assert_eq!(recalled(&mut archive, 3), [""; 0]);
    }

    #[test]
    fn transactions_whose_hashes_collide_are_told_apart() {
        let mut archive = Archive::in_temp().unwrap();
        archive.store(&transaction(&[5], "one", "")).unwrap();
        archive.store(&transaction(&[5], "two", "")).unwrap();
        archive.store(&transaction(&[5 | 1 << 30], "same tag and partition, another key", "")).unwrap();
        assert_eq!(recalled(&mut archive, 5), ["two", "one"]);
    }

    #[test]
    fn chains_reach_back_to_the_first_block() {
        let mut archive = Archive::in_temp().unwrap();
        let key = |n: u64| n << 13 | n;
        for n in 0..2_000 {
            archive.store(&transaction(&[key(n), 9], &format!("t{n}"), "")).unwrap();
            if n % 300 == 0 {
                assert_eq!(recalled(&mut archive, key(n)), [format!("t{n}")]);
            }
        }
        (0..2_000).step_by(37).for_each(|n| assert_eq!(recalled(&mut archive, key(n)), [format!("t{n}")]));
        assert_eq!(recalled(&mut archive, 9).len(), 2_000);
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn a_full_disk_is_told_with_the_way_out() {
        let mut archive = Archive::over(File::options().read(true).write(true).open("/dev/full").unwrap());
        archive.store(&transaction(&[1], "a", "")).unwrap();
        let error = archive.recall(1).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::StorageFull);
        assert!(error.to_string().contains("set TMPDIR to another folder"), "{error}");
    }

    #[test]
    #[ignore = "a measurement, for release builds"]
    fn figures() {
        let mut archive = Archive::in_temp().unwrap();
        let begun = std::time::Instant::now();
        for n in 0..5_000u64 {
            let mut archived = Archived::default();
            for n in n * 400..n * 400 + 400 {
                let keys = [n.wrapping_mul(0x9e37_79b9_7f4a_7c15), n.wrapping_mul(0xd6e8_feb8_6659_fd93)];
                push(&mut archived, &keys, "twelve bytes", &"7".repeat(80));
            }
            archive.store(&archived).unwrap();
        }
        println!("{} ns to store one with two keys", begun.elapsed().as_nanos() / 2_000_000);
    }
}
