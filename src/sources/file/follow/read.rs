//! Reads on in one file, from the place that was reached.

use super::bytes::{Bytes, Filled};
use super::files::{File, Id, Place, Stamp};
use super::look::is_too_many;
use super::mark::{Front, Mark};
use super::{BLOCK_BYTES, FILE_ROUND_MAX_BYTES, Follower, Halt, OPEN_MAX, Options, QUOTE_MAX_WAIT, SETTLE};
use crate::model::time::Time;
use crate::sources::file::cut_csv;
use crate::sources::file::split::{BYTE_ORDER_MARK, Behind, Framing, Pieces, RECORD_MAX_BYTES, Splitter};
use crate::sources::live::{Intake, Record};
use regex::bytes::Regex;
use std::io;
use std::mem;

/// What a reading came to.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Reached {
    /// The end of the file, or what can be read of it now.
    End,
    /// As much as is read at once.
    Enough,
    /// The file is no longer the text that was read.
    AnotherText,
}

impl Follower<'_> {
    /// Reads what is new in a file; whether there is more to read at once. What goes wrong with one file is a trouble,
    /// and the others are read on.
    pub(super) fn visit(&mut self, index: usize, at: Time, intake: &mut dyn Intake) -> Result<bool, Halt> {
        let begin = self.files.all[index].mark.offset;
        loop {
            let reached = match self.read(index, at, intake) {
                Ok(reached) => reached,
                // One that went away since the look is missed by the next.
                Err(error) if error.kind() == io::ErrorKind::NotFound => Reached::End,
                Err(error) => {
                    let path = self.files.all[index].path.clone();
                    self.trouble(&path, &error);
                    Reached::End
                }
            };
            if self.is_due() {
                self.deliver(intake)?;
            }
            let taken = self.files.all[index].mark.offset - begin;
            if reached != Reached::Enough || taken >= FILE_ROUND_MAX_BYTES {
                return Ok(reached != Reached::End);
            }
        }
    }

    fn read(&mut self, index: usize, at: Time, intake: &mut dyn Intake) -> io::Result<Reached> {
        let file = &mut self.files.all[index];
        if !file.is_intact() {
            return Ok(Reached::End);
        }
        if self.options.framing.is_document() {
            return self.read_document(index, at, intake).map(|()| Reached::End);
        }
        let is_unknown = file.mark == Mark::START && !file.decided;
        if file.copy_of.is_some()
            || (file.is_read() && !file.wants_another_look(at))
            || (is_unknown && file.stamp.size == 0)
        {
            file.is_whole(at);
            return Ok(Reached::End);
        }
        if is_unknown || !self.open(index)? {
            return Ok(Reached::End);
        }
        let Some(mut bytes) = self.files.all[index].bytes.take() else { return Ok(Reached::End) };
        let reached = self.read_bytes(index, &mut bytes, at, intake);
        let open = self.files.all.iter().filter(|file| file.bytes.is_some()).count();
        let file = &mut self.files.all[index];
        if file.place == Place::Detached || (open < OPEN_MAX && !file.closed) {
            file.bytes = Some(bytes);
        }
        if matches!(reached, Ok(Reached::AnotherText)) {
            self.files.begin_anew(index, self.round);
            if let Some(fresh) = self.files.all.last_mut() {
                // It became another one after it was looked at.
                (fresh.stamp, fresh.changed) = (Stamp::default(), Time::MAX);
            }
        }
        reached
    }

    /// Opens a file where it is not open; false if another one stands at its place by now. Whether that is the text
    /// that was read is not looked at, see [`File::confirm`].
    pub(super) fn open(&mut self, index: usize) -> io::Result<bool> {
        let file = &mut self.files.all[index];
        // How a file is packed cannot be told before it has its first bytes.
        if file.mark == Mark::START && file.place == Place::Listed {
            file.bytes = None;
        }
        if file.bytes.is_some() {
            return Ok(true);
        }
        let path = file.path.clone();
        let bytes = match Bytes::open(&path) {
            Err(error) if is_too_many(&error) && self.close_one() => Bytes::open(&path)?,
            opened => opened?,
        };
        let file = &mut self.files.all[index];
        let same = Id::of(&bytes.metadata()?) == file.id;
        file.bytes = same.then_some(bytes);
        file.begins_right = false;
        Ok(same)
    }

    /// Closes a file that can be opened again.
    fn close_one(&mut self) -> bool {
        let listed = self.files.all.iter_mut().filter(|file| file.place == Place::Listed && file.bytes.is_some());
        let oldest = listed.min_by_key(|file| file.changed);
        oldest.is_some_and(|file| file.bytes.take().is_some())
    }

    fn read_bytes(
        &mut self,
        index: usize,
        bytes: &mut Bytes,
        at: Time,
        intake: &mut dyn Intake,
    ) -> io::Result<Reached> {
        let packed = bytes.is_packed();
        if packed && !self.is_readable(index, at) {
            return Ok(Reached::End);
        }
        self.find_header(index, bytes)?;
        let mut block = BLOCK_BYTES;
        while !self.is_due() {
            self.buffer.resize(block, 0);
            let file = &mut self.files.all[index];
            let filled = match bytes.read_at(file.mark.offset, &mut self.buffer) {
                Err(error) if packed => {
                    self.tell_torn(index, &error, at, intake);
                    return Ok(Reached::End);
                }
                filled => filled?,
            };
            // Looked at after the reading: what was read is the text that was expected.
            let Some(before) = file.confirm(bytes)? else { return Ok(Reached::AnotherText) };
            file.closed = false;
            let behind = file.behind(self.options, filled.ends, packed, at);
            let done = self.take(index, filled, behind, before, intake);
            if filled.ends {
                let left = &self.buffer[done..filled.count];
                let held = self.options.holds(left);
                self.files.all[index].reach_end(left.len() as u64, held, behind == Behind::Nothing, at);
                return Ok(Reached::End);
            }
            block = if done == 0 { (2 * block).min(RECORD_MAX_BYTES) } else { BLOCK_BYTES };
            if self.buffer.len() > block {
                self.buffer = Vec::new();
            }
        }
        Ok(Reached::Enough)
    }

    /// Whether a packed file can be read: as a whole, and not if it was there before the start.
    fn is_readable(&mut self, index: usize, at: Time) -> bool {
        let file = &mut self.files.all[index];
        if file.mute > 0 && file.mark == Mark::START {
            (file.read, file.closed) = (Some(file.stamp), true);
            file.is_whole(at);
            return false;
        }
        file.settled(at)
    }

    /// Reads the names of the columns again, after a restart.
    fn find_header(&mut self, index: usize, bytes: &mut Bytes) -> io::Result<()> {
        let file = &mut self.files.all[index];
        let is_csv = matches!(self.options.framing, Framing::Csv { .. });
        if !is_csv || file.header.is_some() || file.mark == Mark::START {
            return Ok(());
        }
        let mut front = vec![0; BLOCK_BYTES];
        loop {
            let filled = bytes.read_at(0, &mut front)?;
            let text = &front[..filled.count];
            let mut splitter = Splitter::new(self.options.framing);
            splitter.split(text.strip_prefix(BYTE_ORDER_MARK).unwrap_or(text), Behind::More, &mut Pieces::default());
            file.header = splitter.header;
            if file.header.is_some() || filled.ends || front.len() >= cut_csv::RECORD_MAX_BYTES {
                return Ok(());
            }
            front.resize(2 * front.len(), 0);
        }
    }

    /// Takes the whole records at the front of the buffer, and says how many bytes they are.
    fn take(
        &mut self,
        index: usize,
        filled: Filled,
        behind: Behind,
        before: Vec<u8>,
        intake: &mut dyn Intake,
    ) -> usize {
        let (buffer, mut pieces) = (mem::take(&mut self.buffer), mem::take(&mut self.pieces));
        pieces.clear();
        let data = &buffer[..filled.count];
        let file = &mut self.files.all[index];
        let mut splitter =
            Splitter { framing: self.options.framing, line: file.mark.line, header: file.header.take(), within: false };
        let mut front = 0;
        if file.passing {
            let end = memchr::memchr(b'\n', data);
            front = end.map_or(data.len(), |end| end + 1);
            splitter.line += u64::from(end.is_some());
            file.passing = end.is_none();
        } else if file.mark == Mark::START && data.starts_with(BYTE_ORDER_MARK) {
            front = BYTE_ORDER_MARK.len();
        }
        let mut done = front + splitter.split(&data[front..], behind, &mut pieces);
        if let Some(begins) = &self.options.begins
            && let Some((start, line)) = join_lines(&mut pieces, &data[front..], begins, behind == Behind::More)
        {
            (done, splitter.line) = (front + start, line);
        }
        if done == 0 && !filled.ends && data.len() >= RECORD_MAX_BYTES {
            let detail = format!("longer than {RECORD_MAX_BYTES} bytes");
            pieces.push_problem(splitter.line, "too_long", detail, data);
            file.passing = true;
            done = data.len();
        }
        file.header = splitter.header.take();
        self.hand_over(index, &pieces, &data[front..], front as u64, intake);
        if done > 0 {
            let file = &mut self.files.all[index];
            file.mark.advance(before, &data[..done], splitter.line);
            file.held = None;
            self.unsent = true;
            self.unsent_bytes += done;
        }
        (self.buffer, self.pieces) = (buffer, pieces);
        done
    }

    /// Hands over what does not lie before the start; `data` stands so far behind the mark.
    fn hand_over(&mut self, index: usize, pieces: &Pieces, data: &[u8], front: u64, intake: &mut dyn Intake) {
        let file = &mut self.files.all[index];
        let begin = file.mark.offset + front;
        let nothing = pieces.records.is_empty() && pieces.problems.is_empty();
        if nothing || begin + data.len() as u64 <= file.mute {
            return;
        }
        let part = *file.part.get_or_insert_with(|| intake.part(&file.name));
        if let Some(header) = file.header.as_ref().filter(|_| !file.header_told) {
            intake.header(part, header);
            file.header_told = true;
        }
        let read = Some(intake.now());
        let mut problems = pieces.problems.iter().peekable();
        for count in 0..=pieces.records.len() {
            while let Some(problem) = problems.next_if(|problem| problem.before <= count) {
                intake.undecodable(part, problem.line, problem.reason, &problem.detail, &problem.text);
            }
            let Some(record) = pieces.records.get(count) else { break };
            if begin + u64::from(record.start) >= file.mute {
                intake.record(Record { read, ..Record::plain(part, record.line, record.of(data)) });
            }
        }
        self.unsent_records += pieces.records.len();
    }

    /// A packed file that cannot be unpacked to its end.
    fn tell_torn(&mut self, index: usize, error: &io::Error, at: Time, intake: &mut dyn Intake) {
        let file = &mut self.files.all[index];
        let part = *file.part.get_or_insert_with(|| intake.part(&file.name));
        intake.undecodable(part, file.mark.line, "unreadable", &error.to_string(), b"");
        file.reach_end(0, false, true, at);
        let why = format!("`{}` cannot be unpacked behind line {}: {error}", file.path.display(), file.mark.line - 1);
        self.hole(&why, intake);
    }
}

impl Options {
    /// Whether what is left at the end of a file has whole lines, which are held back.
    fn holds(&self, left: &[u8]) -> bool {
        let may_hold = self.begins.is_some() || matches!(self.framing, Framing::Csv { .. });
        may_hold && memchr::memchr(b'\n', left).is_some()
    }
}

impl File {
    /// The bytes before the mark, if this is the text that was read. How it begins is looked at when it was opened.
    pub(super) fn confirm(&mut self, bytes: &mut Bytes) -> io::Result<Option<Vec<u8>>> {
        if !self.begins_right {
            self.begins_right = self.mark == Mark::START || Front::of(bytes)?.leads_to(&self.mark);
        }
        if self.begins_right { self.mark.confirm(bytes) } else { Ok(None) }
    }

    /// What may follow the bytes that were read.
    fn behind(&self, options: &Options, ends: bool, packed: bool, at: Time) -> Behind {
        let waited = match options.framing {
            Framing::Csv { .. } => self.held.is_some_and(|since| at.since(since) >= QUOTE_MAX_WAIT),
            Framing::Lines | Framing::Document | Framing::XmlOrCsv { .. } => at.since(self.changed) >= SETTLE,
        };
        match (ends, packed || (self.moved && self.at_rest(at))) {
            (false, _) => Behind::More,
            (true, true) => Behind::Nothing,
            (true, false) if waited => Behind::Stalled,
            (true, false) => Behind::More,
        }
    }

    /// Its end has been seen, with so many bytes left that are no whole record.
    fn reach_end(&mut self, left: u64, held: bool, for_good: bool, at: Time) {
        (self.left, self.read, self.closed) = (left, Some(self.stamp), for_good);
        if !held {
            self.is_whole(at);
            return;
        }
        if self.held.is_none() {
            // What is held was not there when the end was seen the last time.
            (self.whole, self.held) = (self.whole.max(self.ended), Some(at));
        }
        self.ended = at;
    }
}

/// Joins lines to records: one that does not look like a first line belongs to the record before. The last record is
/// kept back where it may go on: where it begins, and at which line.
fn join_lines(pieces: &mut Pieces, data: &[u8], begins: &Regex, may_go_on: bool) -> Option<(usize, u64)> {
    let mut joined = 0;
    for index in 0..pieces.records.len() {
        let line = pieces.records[index];
        if index == 0 || begins.is_match(line.of(data)) {
            pieces.records[joined] = line;
            joined += 1;
        } else {
            let record = &mut pieces.records[joined - 1];
            record.length = line.start + line.length - record.start;
        }
    }
    pieces.records.truncate(joined);
    let last = if may_go_on { pieces.records.pop() } else { None };
    last.map(|record| (record.start as usize, record.line))
}
