//! Stories of log files: each line of a test is something that happens, and what the follower says in the next round.

mod proof;
mod random;
mod records;
mod restart;
mod rotation;
mod writer;

use super::{Follower, Halt, Options, cursor};
use crate::model::time::{Span, Time};
use crate::sources::file::split::Framing;
use crate::sources::live::{Intake, Record, Start, Stopped};
use std::collections::HashMap;
use std::fs::{self, File, OpenOptions};
use std::io::Write;
use std::path::PathBuf;
use std::time::{Duration, SystemTime};

/// The clock of the stories begins in the year 2100, so that nothing looks as if its attributes were changed after it
/// was written.
const BEGINNING: Time = Time(4_102_444_800_000_000_000);
const SECOND: Span = Span::seconds(1);

/// Takes what is handed over, and shows it as text.
#[derive(Default)]
struct Told {
    now: Time,
    names: Vec<String>,
    numbers: HashMap<String, u32>,
    /// Since the last round, delivered or not.
    said: Vec<String>,
    /// Of the last delivery.
    cursor: Option<Vec<u8>>,
    deliveries: usize,
    root: String,
}

impl Intake for Told {
    fn part(&mut self, name: &str) -> u32 {
        let name = name.replace(&self.root, "");
        let next = self.names.len() as u32;
        let number = *self.numbers.entry(name.clone()).or_insert(next);
        if number == next {
            self.names.push(name);
        }
        number
    }

    fn header(&mut self, part: u32, payload: &[u8]) {
        self.said.push(format!("{} has {}", self.names[part as usize], payload.escape_ascii()));
    }

    fn record(&mut self, record: Record<'_>) {
        let name = &self.names[record.part as usize];
        self.said.push(format!("{name}:{} {}", record.offset, record.payload.escape_ascii()));
    }

    fn undecodable(&mut self, part: u32, offset: u64, reason: &'static str, _: &str, _: &[u8]) {
        self.said.push(format!("{}:{offset} is {reason}", self.names[part as usize]));
    }

    fn hole(&mut self, why: &str) {
        self.said.push(format!("hole: {}", why.replace(&self.root, "")));
    }

    fn caught_up(&mut self, at: Time) {
        let behind = self.now.since(at);
        self.said.push(if behind == Span::ZERO { "whole".to_owned() } else { format!("whole {behind} ago") });
    }

    fn deliver(&mut self, cursor: &[u8]) -> Result<(), Stopped> {
        self.cursor = Some(cursor.to_vec());
        self.deliveries += 1;
        Ok(())
    }

    fn durable(&mut self) -> Option<&[u8]> {
        None
    }

    fn trouble(&mut self, what: &str) {
        self.said.push(format!("trouble: {}", what.replace(&self.root, "")));
    }

    fn pause(&mut self, _: Duration) -> Result<(), Stopped> {
        Ok(())
    }

    fn now(&self) -> Time {
        self.now
    }
}

/// A folder of logs, somebody who writes there, and a follower.
struct Story {
    folder: tempfile::TempDir,
    options: &'static Options,
    follower: Follower<'static>,
    told: Told,
}

impl Story {
    /// Follows the lines of what the pattern matches, from the beginning.
    fn of(pattern: &str) -> Story {
        Story::with(pattern, |_| {})
    }

    fn with(pattern: &str, change: impl FnOnce(&mut Options)) -> Story {
        let folder = tempfile::tempdir().unwrap();
        let root = format!("{}/", folder.path().display());
        let mut options = Options {
            path: format!("{root}{pattern}"),
            framing: Framing::Lines,
            begins: None,
            start: Start::Beginning,
            clock_skew: Span::ZERO,
        };
        change(&mut options);
        let options: &'static Options = Box::leak(Box::new(options));
        let told = Told { now: BEGINNING, root, ..Told::default() };
        Story { folder, options, follower: Follower::new(options, None), told }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// Sets when a file was written by the story's clock.
    fn stamp(&self, file: &File) {
        let at = SystemTime::UNIX_EPOCH + Duration::from_nanos(self.told.now.0 as u64);
        file.set_modified(at).unwrap();
    }

    fn append(&self, name: &str, text: impl AsRef<[u8]>) {
        let mut file = OpenOptions::new().append(true).create(true).open(self.path(name)).unwrap();
        file.write_all(text.as_ref()).unwrap();
        self.stamp(&file);
    }

    fn truncate(&self, name: &str) {
        let file = OpenOptions::new().write(true).open(self.path(name)).unwrap();
        file.set_len(0).unwrap();
        self.stamp(&file);
    }

    fn rename(&self, from: &str, to: &str) {
        fs::rename(self.path(from), self.path(to)).unwrap();
    }

    fn copy(&self, from: &str, to: &str) {
        fs::copy(self.path(from), self.path(to)).unwrap();
        self.stamp(&OpenOptions::new().append(true).open(self.path(to)).unwrap());
    }

    fn gzip(&self, from: &str, to: &str) {
        let mut packer = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        packer.write_all(&fs::read(self.path(from)).unwrap()).unwrap();
        self.append(to, packer.finish().unwrap());
    }

    fn remove(&self, name: &str) {
        fs::remove_file(self.path(name)).unwrap();
    }

    /// A second passes, and all is looked at until there is no more to read.
    fn round(&mut self) -> Vec<String> {
        self.told.now = self.told.now + SECOND;
        self.told.said.clear();
        for _ in 0..1000 {
            match self.follower.round(self.told.now, &mut self.told) {
                Ok(true) => {}
                Ok(false) => return std::mem::take(&mut self.told.said),
                Err(Halt::Stopped) => panic!("nobody stops it"),
                Err(Halt::Failed(failure)) => return vec![format!("failed: {failure}").replace(&self.told.root, "")],
            }
        }
        panic!("it never comes to the end");
    }

    /// What is said in so many rounds, without the proofs.
    fn rounds(&mut self, count: usize) -> Vec<String> {
        let said: Vec<String> = (0..count).flat_map(|_| self.round()).collect();
        said.into_iter().filter(|what| !what.starts_with("whole")).collect()
    }

    /// The follower dies, and another one goes on from the last delivery.
    fn restart(&mut self) {
        let files = self.told.cursor.as_deref().map(|cursor| cursor::decode(cursor, self.options).unwrap());
        self.follower = Follower::new(self.options, files);
    }

    fn open_files(&self) -> usize {
        self.follower.files.all.iter().filter(|file| file.bytes.is_some()).count()
    }
}

/// A line that is longer than what prints are taken of, so that a few of them tell files apart.
fn long(word: &str) -> String {
    format!("{word} {}\n", word.repeat(300 / word.len()))
}

fn first_words(said: Vec<String>) -> Vec<String> {
    said.into_iter().map(|what| what.splitn(3, ' ').take(2).collect::<Vec<_>>().join(" ")).collect()
}
