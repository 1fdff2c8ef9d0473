//! Stories of the journal, each beside a memory that forgets nothing.

mod commits;
mod crash;
mod damage;
mod full_disk;
mod reading;
mod retention;
mod snapshots;

use super::*;
use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use tempfile::TempDir;

/// An entry as it was told to the journal.
#[derive(Clone, PartialEq, Debug)]
struct Told {
    kind: u8,
    keys: Vec<u64>,
    payload: Vec<u8>,
}

/// A journal, and all that was told to it.
struct Story {
    folder: TempDir,
    options: Options,
    journal: Journal,
    told: Vec<Told>,
    /// What is told after a restart differs from what was told before.
    restarts: u64,
}

/// Segments of some ten entries.
fn small() -> Options {
    Options { segment_bytes_max: 1_000, segment_keys_max: 100, buffer_bytes_max: 4_000 }
}

/// One segment for everything.
fn large() -> Options {
    Options { segment_bytes_max: 1 << 20, segment_keys_max: 10_000, buffer_bytes_max: 1 << 20 }
}

impl Story {
    fn new(options: Options) -> Story {
        let folder = tempfile::tempdir().unwrap();
        let (journal, recovered) = Journal::open(folder.path(), options.clone(), 0).unwrap();
        assert_eq!((recovered.end, recovered.snapshot), (Sequence(0), None));
        Story { folder, options, journal, told: Vec::new(), restarts: 0 }
    }

    /// Three segments and the beginning of a fourth, all committed, with two snapshots.
    fn of_four_segments() -> Story {
        let mut story = Story::new(small());
        while story.journal.sealed.len() < 3 {
            story.tell(4);
            story.commit();
            if [8, 20].contains(&story.told.len()) {
                let told = story.told.len() as u64;
                story.journal.save_snapshot(Sequence(told), |out| write!(out, "state after {told}")).unwrap();
            }
        }
        story.tell(3);
        story.commit();
        story
    }

    /// Appends so many entries: each has a key of its own, one of five that it shares, and the one of all.
    fn tell(&mut self, entries: usize) {
        for _ in 0..entries {
            let number = self.told.len() as u64;
            let told = Told {
                kind: (number % 3) as u8,
                keys: vec![own_key(number), shared_key(number % 5), KEY_OF_ALL],
                payload: format!("{number}.{} ", self.restarts).repeat((number * 7 % 13) as usize).into_bytes(),
            };
            let sequence = self.journal.append(told.kind, &told.keys, &told.payload).unwrap();
            assert_eq!(sequence, Sequence(number));
            self.told.push(told);
        }
    }

    /// Commits at a time that is the number of the entries.
    fn commit(&mut self) {
        let durable = self.journal.commit(self.told.len() as i64).unwrap();
        assert_eq!(durable, Sequence(self.told.len() as u64));
    }

    fn path(&self) -> PathBuf {
        self.folder.path().to_path_buf()
    }

    /// The files whose names end so, the oldest first.
    fn files(&self, ending: &str) -> Vec<PathBuf> {
        let numbered = segment::numbered(self.folder.path(), ending).unwrap();
        numbered.into_iter().map(|(_, path)| path).collect()
    }

    /// Ends the process, does something to the folder, and begins anew.
    fn restart_after(self, damage: impl FnOnce(&Path)) -> Result<(Story, Recovered), Error> {
        let Story { folder, options, journal, mut told, restarts } = self;
        drop(journal);
        damage(folder.path());
        let (journal, recovered) = Journal::open(folder.path(), options.clone(), told.len() as i64)?;
        assert_eq!(recovered.end, journal.next());
        told.truncate(recovered.end.0 as usize);
        Ok((Story { folder, options, journal, told, restarts: restarts + 1 }, recovered))
    }

    fn restart(self) -> (Story, Recovered) {
        self.restart_after(|_| {}).unwrap()
    }

    /// The journal tells what it was told, and a reader what of it is durable.
    fn check(&self) {
        let journal = &self.journal;
        let oldest = journal.oldest().sequence;
        let durable = &self.told[..journal.durable().0 as usize];
        assert_eq!(all(journal.replay(oldest)), Ok(numbered(durable, oldest)));
        check_lookups(|key, kind| journal.lookup(key, kind), &self.told, oldest);
        let reader = Reader::open(self.folder.path()).unwrap();
        if self.journal.durable() > Sequence(0) {
            assert_eq!(reader.oldest(), Some(journal.oldest()));
            assert_eq!(all(reader.replay(oldest)), Ok(numbered(durable, oldest)));
            check_lookups(|key, kind| reader.lookup(key, kind), durable, oldest);
        }
    }
}

const KEY_OF_ALL: u64 = 0x9e37_79b9_7f4a_7c15;

fn own_key(number: u64) -> u64 {
    (number + 1).wrapping_mul(0xd6e8_feb8_6659_fd93)
}

fn shared_key(number: u64) -> u64 {
    (number + 1).wrapping_mul(0xff51_afd7_ed55_8ccd)
}

/// Every key finds the entries that carry it, the newest first, and no key finds others.
fn check_lookups<'a>(lookup: impl Fn(u64, Option<u8>) -> Lookup<'a>, told: &[Told], oldest: Sequence) {
    let mut keys: BTreeSet<u64> = told.iter().flat_map(|told| told.keys.iter().copied()).collect();
    keys.extend([0, u64::MAX, own_key(told.len() as u64 + 1_000)]);
    for key in keys {
        let mut expected = numbered(told, oldest);
        expected.retain(|(_, told)| told.keys.contains(&key));
        expected.reverse();
        assert_eq!(found(lookup(key, None)), Ok(expected.clone()), "key {key:x}");
        expected.retain(|(_, told)| told.kind == 1);
        assert_eq!(found(lookup(key, Some(1))), Ok(expected), "key {key:x}");
    }
}

fn numbered(told: &[Told], from: Sequence) -> Vec<(u64, Told)> {
    (0..).zip(told.iter().cloned()).skip(from.0 as usize).collect()
}

/// What a replay gives, or its complaint.
fn all(replay: Result<Replay, Error>) -> Result<Vec<(u64, Told)>, String> {
    let mut replay = replay.map_err(|error| error.to_string())?;
    let mut entries = Vec::new();
    while let Some(entry) = replay.next().map_err(|error| error.to_string())? {
        entries.push(told(&entry));
    }
    Ok(entries)
}

/// What a lookup gives, or its complaint.
fn found(mut lookup: Lookup<'_>) -> Result<Vec<(u64, Told)>, String> {
    let mut entries = Vec::new();
    while let Some(entry) = lookup.next().map_err(|error| error.to_string())? {
        entries.push(told(&entry));
    }
    Ok(entries)
}

fn told(entry: &Entry) -> (u64, Told) {
    let told = Told { kind: entry.kind, keys: entry.keys().collect(), payload: entry.payload.to_vec() };
    (entry.sequence.0, told)
}

/// Cuts the file to so many bytes.
fn cut(path: &Path, bytes: u64) {
    fs::File::options().write(true).open(path).unwrap().set_len(bytes).unwrap();
}

/// Turns one bit of the file.
fn flip(path: &Path, byte: u64, bit: u64) {
    let mut bytes = fs::read(path).unwrap();
    bytes[byte as usize] ^= 1 << bit;
    overwrite(path, &bytes);
}

/// Writes other bytes to the file as it stands.
fn overwrite(path: &Path, bytes: &[u8]) {
    disk::Output::open(path).unwrap().write_at(0, bytes).unwrap();
}

fn length(path: &Path) -> u64 {
    fs::metadata(path).unwrap().len()
}
