//! Somebody who writes to logs, rotates, copies, truncates, packs and removes them, and remembers the truth.

use super::*;
use crate::sources::file::follow::REST;
use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

/// Acts of the writer in one history.
pub(super) const ACTS: usize = 250;

/// A linear congruential generator (Knuth's MMIX), so that a seed means the same for ever.
pub(super) struct Dice(u64);

impl Dice {
    pub(super) fn below(&mut self, sides: u64) -> u64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % sides
    }

    pub(super) fn one_in(&mut self, sides: u64) -> bool {
        self.below(sides) == 0
    }
}

/// A line that the writer has ended.
pub(super) struct Line {
    pub(super) ended: Time,
    /// The log in which it stood, if the text was destroyed.
    pub(super) destroyed: Option<&'static str>,
}

impl Line {
    /// Whether a hole tells that it is lost.
    pub(super) fn is_excused(&self, holes: &[(Time, String)]) -> bool {
        let tells = |log: &str| holes.iter().any(|(told, why)| *told >= self.ended && why.contains(log));
        self.destroyed.is_some_and(tells)
    }
}

/// The numbers of a file's lines, and of one that is not ended with the rest of its text.
type Content = (Vec<u64>, Option<(u64, String)>);

/// The writer and the truth of what was written.
pub(super) struct World {
    pub(super) dice: Dice,
    folder: PathBuf,
    pub(super) now: Time,
    pub(super) acts: usize,
    pub(super) lines: BTreeMap<u64, Line>,
    next: u64,
    /// What each file holds.
    files: BTreeMap<String, Content>,
    /// Which log lost text and when, of which holes may tell.
    pub(super) losses: Vec<(&'static str, Time)>,
    /// Whether the follower looks at rotated files, too.
    all_match: bool,
    /// When each file came to be. What comes and goes between two looks, nobody can know of.
    births: BTreeMap<String, Time>,
    /// When each was written to last.
    written: BTreeMap<String, Time>,
    /// Logs that were removed and have come again, not in the place of another one that was rotated.
    lonely: BTreeSet<String>,
    /// When the present round began, and the last two of which something is durable.
    pub(super) round: Option<Time>,
    pub(super) durable_rounds: [Time; 2],
    pub(super) tally: BTreeMap<&'static str, usize>,
    /// All that happened, for whoever has to understand a failure.
    story: Vec<String>,
}

pub(super) const LOGS: [&str; 2] = ["app.log", "web.log"];

impl World {
    pub(super) fn new(seed: u64, folder: &Path, all_match: bool) -> World {
        World {
            dice: Dice(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) ^ 0x5bd1_e995),
            folder: folder.to_owned(),
            now: BEGINNING,
            acts: 0,
            lines: BTreeMap::new(),
            next: 0,
            files: BTreeMap::new(),
            losses: Vec::new(),
            all_match,
            births: BTreeMap::new(),
            written: BTreeMap::new(),
            lonely: LOGS.map(str::to_owned).into(),
            round: None,
            durable_rounds: [Time::MIN; 2],
            tally: BTreeMap::new(),
            story: Vec::new(),
        }
    }

    pub(super) fn act(&mut self) {
        self.acts += 1;
        self.now = self.now + Span(1_000_000 * (1 + self.dice.below(300) as i64));
        let log = LOGS[self.dice.below(2) as usize];
        match self.dice.below(40) {
            0 => self.rotate(log),
            1 => self.copy_and_truncate(log),
            2 => self.truncate(log),
            3 if self.dice.one_in(2) => self.remove(log),
            4 => self.remove(&format!("{log}.2")),
            7 => self.remove(&format!("{log}.2.gz")),
            5 => self.pack(log),
            6 => self.now = self.now + Span::seconds(self.dice.below(150) as i64),
            _ => self.append(log),
        }
    }

    fn count(&mut self, what: &'static str) {
        *self.tally.entry(what).or_default() += 1;
    }

    pub(super) fn tell(&mut self, what: String) {
        // Of the quiet end only what is unusual.
        if self.acts >= ACTS && (what.starts_with("proof") || what.starts_with("delivered")) {
            return;
        }
        self.story.push(format!("{} {what}", self.now.since(BEGINNING)));
    }

    pub(super) fn fail(&self, what: &str) -> ! {
        panic!("{}\n{what}", self.story.join("\n"));
    }

    fn write(&mut self, name: &str, text: &[u8]) {
        let mut file = OpenOptions::new().append(true).create(true).open(self.folder.join(name)).unwrap();
        file.write_all(text).unwrap();
        self.tell(format!("writes {:?} to {name}, {} bytes", numbers(text), text.len()));
        self.stamp(name);
    }

    fn stamp(&self, name: &str) {
        let at = SystemTime::UNIX_EPOCH + Duration::from_nanos(self.now.0 as u64);
        OpenOptions::new().append(true).open(self.folder.join(name)).unwrap().set_modified(at).unwrap();
    }

    /// Ends the open line, writes some whole ones, and perhaps leaves one open.
    fn append(&mut self, name: &str) {
        let mut text = String::new();
        let (mut lines, open) = self.files.remove(name).unwrap_or_default();
        if let Some((number, rest)) = open {
            text.push_str(&rest);
            self.end_line(number, &mut lines);
        }
        for _ in 0..self.dice.below(4) {
            let number = self.begin_line();
            text.push_str(&self.text(number));
            self.end_line(number, &mut lines);
        }
        let mut open = None;
        if self.dice.one_in(4) {
            let number = self.begin_line();
            let line = self.text(number);
            let word = line.find(' ').unwrap_or(0) as u64 + 1;
            let (there, rest) = line.split_at((word + self.dice.below(line.len() as u64 - word)) as usize);
            text.push_str(there);
            open = Some((number, rest.to_owned()));
            self.count("half a line");
        }
        // One that was at rest is as good as new: it may go without a word.
        let lives = self.written.insert(name.to_owned(), self.now).is_some_and(|at| self.now.since(at) < REST);
        let has_text = fs::metadata(self.folder.join(name)).is_ok_and(|found| found.len() > 0);
        if !lives || !has_text || !self.births.contains_key(name) {
            self.births.insert(name.to_owned(), self.now);
        }
        self.files.insert(name.to_owned(), (lines, open));
        self.write(name, text.as_bytes());
    }

    fn begin_line(&mut self) -> u64 {
        self.next += 1;
        self.next
    }

    /// Lines are long enough for a few of them to tell one file from another.
    fn text(&mut self, number: u64) -> String {
        let words = self.dice.below(100) as usize;
        format!("{number} {}\n", format!("{number:04}").repeat(words))
    }

    fn end_line(&mut self, number: u64, lines: &mut Vec<u64>) {
        self.lines.insert(number, Line { ended: self.now, destroyed: None });
        lines.push(number);
    }

    /// Nothing of the open line will come.
    fn abandon(&mut self, name: &str) -> Vec<u64> {
        self.files.remove(name).map(|(lines, _)| lines).unwrap_or_default()
    }

    fn destroy(&mut self, name: &str, lines: &[u64]) {
        let is_lost = |number: &&u64| !self.files.values().any(|(there, _)| there.contains(number));
        let lost: Vec<u64> = lines.iter().filter(is_lost).copied().collect();
        self.endanger(name, &lost);
    }

    fn endanger(&mut self, name: &str, lines: &[u64]) {
        let log = LOGS.into_iter().find(|log| name.starts_with(log)).unwrap();
        for number in lines {
            if let Some(line) = self.lines.get_mut(number) {
                line.destroyed = Some(log);
            }
        }
        self.losses.push((log, self.now));
    }

    fn exists(&self, name: &str) -> bool {
        self.files.contains_key(name)
    }

    /// Whether a file is there that the follower has read, of which it also knows after it was killed.
    fn is_known(&self, name: &str) -> bool {
        self.exists(name) && self.births[name] < self.durable_rounds[0]
    }

    fn move_to(&mut self, from: &str, to: &str) {
        if let Some(content) = self.files.remove(from) {
            fs::rename(self.folder.join(from), self.folder.join(to)).unwrap();
            self.tell(format!("renames {from} to {to}"));
            let replaced = self.files.insert(to.to_owned(), content);
            let birth = self.births.remove(from).unwrap();
            self.births.insert(to.to_owned(), birth);
            let written = self.written.remove(from).unwrap_or(self.now);
            self.written.insert(to.to_owned(), written);
            if let Some((lines, _)) = replaced {
                self.destroy(to, &lines);
            }
        }
    }

    /// `app.log.1` becomes `app.log.2`, `app.log` becomes `app.log.1`; its writer ends the open line there.
    fn rotate(&mut self, log: &str) {
        let oldest = format!("{log}.2");
        let unseen = !self.all_match && self.lonely.contains(log) && !self.is_known(log);
        if !self.exists(log) || unseen || (self.exists(&oldest) && !self.is_known(&oldest)) {
            return;
        }
        self.lonely.remove(log);
        if self.files[log].0.is_empty() || !self.is_known(log) {
            // A file of which nothing has been read, and which is renamed and goes on, could be any other.
            self.endanger(log, &[]);
        }
        self.move_to(&format!("{log}.1"), &format!("{log}.2"));
        // Who did not see it as `app.log` does not know of it, or where it went.
        let in_danger = !self.all_match && (self.exists(&oldest) || !self.is_known(log));
        self.move_to(log, &format!("{log}.1"));
        if self.dice.one_in(2) {
            self.append(&format!("{log}.1"));
        }
        let name = format!("{log}.1");
        // Nobody ends what the writer has left open there.
        if let Some((lines, Some((number, rest)))) = self.files.remove(&name) {
            let mut lines = lines;
            self.write(&name, rest.as_bytes());
            self.end_line(number, &mut lines);
            self.files.insert(name.clone(), (lines, None));
        } else if let Ok(text) = fs::read(self.folder.join(&name)) {
            let numbers = numbers(&text);
            self.files.insert(name.clone(), (numbers, None));
        }
        if in_danger {
            let numbers = [&oldest, &name].map(|name| self.files.get(name).cloned().unwrap_or_default().0);
            self.endanger(log, &numbers.concat());
        }
        self.now = self.now + Span(1_000_000);
        if self.dice.one_in(2) {
            self.append(log);
        }
        self.count("rotated");
    }

    fn copy_and_truncate(&mut self, log: &str) {
        let oldest = format!("{log}.2");
        let big = fs::metadata(self.folder.join(log)).is_ok_and(|found| found.len() > 600);
        if !self.is_known(log) || !big || (self.exists(&oldest) && !self.is_known(&oldest)) {
            return;
        }
        self.move_to(&format!("{log}.1"), &format!("{log}.2"));
        let copy = format!("{log}.1");
        fs::copy(self.folder.join(log), self.folder.join(&copy)).unwrap();
        self.tell(format!("copies {log} to {copy}"));
        self.stamp(&copy);
        if !self.all_match {
            // A copy may look like a log that nobody has seen.
            self.endanger(log, &[]);
        }
        // Half a line at the end of the copy is never ended.
        let lines = if self.all_match { self.files[log].0.clone() } else { Vec::new() };
        self.births.insert(copy.clone(), self.now);
        self.files.insert(copy, (lines, None));
        if self.dice.one_in(2) {
            self.append(log);
            self.count("written between copy and truncation");
        }
        self.truncate(log);
        self.count("copied");
    }

    fn truncate(&mut self, log: &str) {
        if self.is_known(log) {
            let lines = self.abandon(log);
            OpenOptions::new().write(true).open(self.folder.join(log)).unwrap().set_len(0).unwrap();
            self.tell(format!("truncates {log}"));
            self.stamp(log);
            self.files.insert(log.to_owned(), (Vec::new(), None));
            self.births.insert(log.to_owned(), self.now);
            self.destroy(log, &lines);
            self.count("truncated");
        }
    }

    fn remove(&mut self, name: &str) {
        if self.is_known(name) {
            let lines = self.abandon(name);
            self.births.remove(name);
            self.lonely.insert(name.to_owned());
            fs::remove_file(self.folder.join(name)).unwrap();
            self.tell(format!("removes {name}"));
            self.destroy(name, &lines);
            self.count("removed");
        }
    }

    /// `app.log.2` becomes `app.log.2.gz`.
    fn pack(&mut self, log: &str) {
        let (plain, packed) = (format!("{log}.2"), format!("{log}.2.gz"));
        let big = fs::metadata(self.folder.join(&plain)).is_ok_and(|found| found.len() > 600);
        if !self.exists(&plain) || !big || self.exists(&packed) {
            return;
        }
        let mut packer = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        packer.write_all(&fs::read(self.folder.join(&plain)).unwrap()).unwrap();
        self.write(&packed, &packer.finish().unwrap());
        // As gzip does.
        let modified = fs::metadata(self.folder.join(&plain)).unwrap().modified().unwrap();
        File::options().append(true).open(self.folder.join(&packed)).unwrap().set_modified(modified).unwrap();
        let content = self.files.remove(&plain).unwrap();
        let birth = self.births.remove(&plain).unwrap();
        self.births.insert(packed.clone(), birth);
        fs::remove_file(self.folder.join(&plain)).unwrap();
        // What was read of the plain file may not be found again, should the packed one be removed in turn.
        self.endanger(log, if self.all_match { &[] } else { &content.0 });
        self.files.insert(packed, content);
        self.count("packed");
    }
}

/// The numbers of the whole lines of a text.
fn numbers(text: &[u8]) -> Vec<u64> {
    let text = String::from_utf8_lossy(text);
    let whole = text.rsplit_once('\n').map_or("", |(whole, _)| whole);
    whole.lines().filter_map(number).collect()
}

pub(super) fn number(line: &str) -> Option<u64> {
    line.split(' ').next()?.parse().ok()
}
