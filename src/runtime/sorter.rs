//! Sorts any number of findings in bounded memory: an external merge sort.
//!
//! ```text
//! add ─▶ held in memory ── full ──▶ sorted, as a run, in a temporary file
//!                                        run 0 ─┐
//!                                        run 1 ─┼─▶ merge: always the least; of equal ones the one added first
//!                                        held  ─┘
//! ```

use super::temporary;
use crate::model::finding::Finding;
use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::fs::File;
use std::io::{self, BufReader, Read, Seek, SeekFrom, Write};

/// How much of each run is read at a time.
const RUN_BUFFER_BYTES: usize = 32 << 10;
/// What stands before each finding of a run: its length.
const LENGTH_BYTES: usize = 4;

/// Findings on their way into the order of their keys.
#[derive(Debug)]
pub(super) struct Sorter<K> {
    key: fn(&Finding) -> K,
    /// Encoded, since most are never looked at again before they are written out.
    held: Vec<(K, Vec<u8>)>,
    held_bytes: usize,
    held_bytes_max: usize,
    file: Option<File>,
    /// Where each run ends in the file; it begins where the one before it ends.
    runs: Vec<u64>,
    spilled: u64,
}

impl<K: Ord> Sorter<K> {
    /// One that holds so many bytes in memory.
    pub(super) fn new(key: fn(&Finding) -> K, held_bytes_max: usize) -> Sorter<K> {
        Sorter { key, held: Vec::new(), held_bytes: 0, held_bytes_max, file: None, runs: Vec::new(), spilled: 0 }
    }

    /// Takes one in.
    pub(super) fn add(&mut self, finding: &Finding) -> io::Result<()> {
        let bytes = postcard::to_stdvec(finding).map_err(io::Error::other)?;
        self.held_bytes += bytes.len() + finding.key.len() + size_of::<(K, Vec<u8>)>();
        self.held.push(((self.key)(finding), bytes));
        if self.held_bytes > self.held_bytes_max { self.spill() } else { Ok(()) }
    }

    /// How many wait in the file.
    pub(super) fn spilled(&self) -> u64 {
        self.spilled
    }

    /// Writes out what is held, as a run.
    fn spill(&mut self) -> io::Result<()> {
        let mut file = match self.file.take() {
            Some(file) => file,
            None => temporary::file()?,
        };
        self.held.sort_by(|a, b| a.0.cmp(&b.0));
        self.spilled += self.held.len() as u64;
        let mut out = io::BufWriter::with_capacity(RUN_BUFFER_BYTES, &mut file);
        let mut end = self.runs.last().copied().unwrap_or(0);
        for (_, bytes) in self.held.drain(..) {
            let written = out.write_all(&(bytes.len() as u32).to_le_bytes()).and_then(|()| out.write_all(&bytes));
            written.map_err(temporary::explained)?;
            end += (LENGTH_BYTES + bytes.len()) as u64;
        }
        out.flush().map_err(temporary::explained)?;
        drop(out);
        self.held_bytes = 0;
        self.runs.push(end);
        self.file = Some(file);
        Ok(())
    }

    /// Gives all of them in order; of equal ones the one that was added first comes first.
    pub(super) fn merge<E: From<io::Error>>(mut self, give: &mut dyn FnMut(Finding) -> Result<(), E>) -> Result<(), E> {
        self.held.sort_by(|a, b| a.0.cmp(&b.0));
        let begins = std::iter::once(0).chain(self.runs.iter().copied());
        let stretches = self.file.iter().flat_map(|file| begins.clone().zip(&self.runs).map(move |run| (file, run)));
        let runs = stretches
            .map(|(file, (at, end))| BufReader::with_capacity(RUN_BUFFER_BYTES, Stretch { file, at, end: *end }));
        let mut runs: Vec<_> = runs.collect();
        let mut held = self.held.into_iter().map(|(_, bytes)| bytes);
        let mut heads: BinaryHeap<Head<K>> = BinaryHeap::new();
        for run in 0..=runs.len() {
            let bytes = if run < runs.len() { read(&mut runs[run])? } else { held.next() };
            heads.extend(Head::new(bytes, run, self.key)?);
        }
        while let Some(Head { finding, order: Reverse((_, run)) }) = heads.pop() {
            let bytes = if run < runs.len() { read(&mut runs[run])? } else { held.next() };
            heads.extend(Head::new(bytes, run, self.key)?);
            give(finding)?;
        }
        Ok(())
    }
}

/// The next finding of a run; the least comes first.
struct Head<K> {
    finding: Finding,
    order: Reverse<(K, usize)>,
}

impl<K> Head<K> {
    fn new(bytes: Option<Vec<u8>>, run: usize, key: fn(&Finding) -> K) -> io::Result<Option<Head<K>>> {
        let Some(bytes) = bytes else { return Ok(None) };
        let finding: Finding = postcard::from_bytes(&bytes).map_err(io::Error::other)?;
        Ok(Some(Head { order: Reverse((key(&finding), run)), finding }))
    }
}

impl<K: Ord> Ord for Head<K> {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        self.order.cmp(&other.order)
    }
}

impl<K: Ord> PartialOrd for Head<K> {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl<K: Ord> PartialEq for Head<K> {
    fn eq(&self, other: &Self) -> bool {
        self.order == other.order
    }
}

impl<K: Ord> Eq for Head<K> {}

/// The next finding of a run, as bytes; `None` at its end.
fn read(run: &mut BufReader<Stretch<'_>>) -> io::Result<Option<Vec<u8>>> {
    if run.buffer().is_empty() && run.get_ref().at == run.get_ref().end {
        return Ok(None);
    }
    let mut length = [0; LENGTH_BYTES];
    run.read_exact(&mut length).map_err(temporary::explained)?;
    let mut bytes = vec![0; u32::from_le_bytes(length) as usize];
    run.read_exact(&mut bytes).map_err(temporary::explained)?;
    Ok(Some(bytes))
}

/// A stretch of a file that others read elsewhere at the same time.
struct Stretch<'f> {
    file: &'f File,
    at: u64,
    end: u64,
}

impl Read for Stretch<'_> {
    fn read(&mut self, space: &mut [u8]) -> io::Result<usize> {
        let wanted = space.len().min(usize::try_from(self.end - self.at).unwrap_or(usize::MAX));
        let mut file = self.file;
        file.seek(SeekFrom::Start(self.at))?;
        let count = file.read(&mut space[..wanted])?;
        self.at += count as u64;
        Ok(count)
    }
}
