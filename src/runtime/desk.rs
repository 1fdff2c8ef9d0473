//! A desk: where a thread reads the next chunk of a file and extracts what the flows need from it.
//!
//! Reading a file is done under its lock, so that its chunks have an order; extracting is not.

use super::coverage::Window;
use super::portion::{Mark, Portion, Trouble};
use super::recording::{Recording, ingest};
use crate::extract::counts::Counts;
use crate::extract::undecodable::Undecodable;
use crate::extract::{Attributes, Extracted, Extractor, Record};
use crate::model::observation::Position;
use crate::model::time::Time;
use crate::sources::file::{Chunk, Cutter};
use std::io;
use std::slice;
use std::sync::atomic::AtomicBool;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// How much of a file is read at a time, at most.
const BLOCK_MAX_BYTES: usize = 256 << 10;
/// How much of a file is read at a time, at least, and for a first look.
const BLOCK_MIN_BYTES: usize = 32 << 10;
/// What the chunks of all files may take together, as far as [`BLOCK_MIN_BYTES`] allows.
const BLOCKS_BYTES: usize = 64 << 20;
/// How much of a record that could not be used is shown.
const TEXT_MAX_CHARS: usize = 200;

/// What is to be done with a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Task {
    /// Look at its front, without taking anything.
    Look,
    /// Read its next chunk.
    Read,
}

/// A piece of work: the portion says of which file, and is filled.
pub(super) struct Job {
    pub(super) task: Task,
    pub(super) portion: Portion,
}

/// The files, for all desks.
pub(super) struct Shelf<'r> {
    pub(super) recording: &'r Recording,
    readers: Vec<Mutex<Reader>>,
    block: usize,
    window: Window,
    now: Time,
    interrupted: Arc<AtomicBool>,
}

enum State {
    Closed,
    Open(Box<Cutter>),
    Ended,
}

struct Reader {
    state: State,
    /// How many chunks have been given out.
    next: u64,
    /// How many bytes these took.
    consumed: u64,
}

impl<'r> Shelf<'r> {
    pub(super) fn new(recording: &'r Recording, window: Window, now: Time, interrupted: &Arc<AtomicBool>) -> Shelf<'r> {
        let parts = recording.parts.len();
        Shelf {
            recording,
            readers: (0..parts).map(|_| Mutex::new(Reader { state: State::Closed, next: 0, consumed: 0 })).collect(),
            block: (BLOCKS_BYTES / parts.max(1)).clamp(BLOCK_MIN_BYTES, BLOCK_MAX_BYTES),
            window,
            now,
            interrupted: interrupted.clone(),
        }
    }

    fn open(&self, part: usize, block: usize) -> io::Result<Cutter> {
        Cutter::open(
            &self.recording.file(part).path,
            self.recording.tap(part).config.framing(),
            block,
            &self.interrupted,
        )
    }

    fn reader(&self, part: usize) -> MutexGuard<'_, Reader> {
        self.readers[part].lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// One thread's tools.
pub(super) struct Desk<'s, 'r> {
    shelf: &'s Shelf<'r>,
    /// One a source; made when first needed.
    extractors: Vec<Option<Extractor>>,
    /// The same for looks, which do not count.
    lookers: Vec<Option<Extractor>>,
    chunk: Chunk,
}

impl<'s, 'r> Desk<'s, 'r> {
    pub(super) fn new(shelf: &'s Shelf<'r>) -> Desk<'s, 'r> {
        let none = || shelf.recording.taps.iter().map(|_| None).collect();
        Desk { shelf, extractors: none(), lookers: none(), chunk: Chunk::default() }
    }

    /// Does a job and gives back the portion, filled.
    pub(super) fn work(&mut self, job: Job) -> Portion {
        let mut portion = job.portion;
        match job.task {
            Task::Look => self.look(&mut portion),
            Task::Read => self.read(&mut portion),
        }
        portion
    }

    /// What the extractors have counted; looks do not count.
    pub(super) fn counts(&self) -> Counts {
        let mut counts = Counts::default();
        for extractor in self.extractors.iter().flatten() {
            counts.merge(extractor.counts());
        }
        counts
    }

    fn look(&mut self, portion: &mut Portion) {
        // What a look finds is read again when its turn comes, and reported then.
        if let Ok(mut cutter) = self.shelf.open(portion.part, BLOCK_MIN_BYTES) {
            cutter.next(&mut self.chunk);
            self.extract(Task::Look, portion);
        }
    }

    fn read(&mut self, portion: &mut Portion) {
        let shelf = self.shelf;
        let mut reader = shelf.reader(portion.part);
        portion.sequence = reader.next;
        reader.next += 1;
        if let State::Closed = reader.state {
            match shelf.open(portion.part, shelf.block) {
                Ok(cutter) => reader.state = State::Open(Box::new(cutter)),
                Err(error) => {
                    reader.state = State::Ended;
                    fail(portion, 0, &format!("cannot be opened: {error}{}", remedy(&error)));
                }
            }
        }
        let State::Open(cutter) = &mut reader.state else {
            portion.last = true;
            return;
        };
        cutter.next(&mut self.chunk);
        let consumed = cutter.consumed();
        portion.consumed = consumed - reader.consumed;
        portion.last = self.chunk.is_last();
        reader.consumed = consumed;
        if portion.last {
            reader.state = State::Ended;
        }
        drop(reader);
        self.extract(Task::Read, portion);
    }

    /// Turns the chunk into marks, observations and troubles.
    fn extract(&mut self, task: Task, portion: &mut Portion) {
        let (tap_index, index) = self.shelf.recording.parts[portion.part];
        let tap = &self.shelf.recording.taps[tap_index];
        let file = &tap.files[index];
        let decoding = &tap.config.decoding;
        let extractors = if task == Task::Look { &mut self.lookers } else { &mut self.extractors };
        let extractor = extractors[tap_index].get_or_insert_with(|| {
            Extractor::new(slice::from_ref(&self.shelf.recording.plan), &tap.config.name, decoding)
        });
        let shown = decoding.redact.is_empty();
        let latest = self.shelf.now + self.shelf.recording.plan.clock_skew;
        let ingest = ingest(file, self.shelf.now);
        let chunk = &self.chunk;
        let header = chunk.header().map_or(Ok(()), |header| extractor.header(header));
        let mut problems = chunk.problems().iter().peekable();
        for (number, at) in chunk.records().iter().enumerate() {
            while let Some(problem) = problems.next_if(|p| p.before <= number) {
                self::problem(portion, problem, shown);
            }
            let payload = chunk.bytes(at);
            let position = Position { part: index as u32, offset: at.line, element: 0 };
            let record = Record { payload, position, ingest, part: &file.name, attributes: Attributes::default() };
            if let Err(why) = &header {
                undecodable(portion, at.line, why, payload, shown);
                continue;
            }
            for piece in extractor.unfold(&record) {
                let before = portion.batch.entries().len();
                let line = at.line + piece.1.lines_before();
                match extractor.piece(&record, piece, latest, slice::from_mut(&mut portion.batch)) {
                    Ok(extracted) => mark(portion, extracted, before, self.shelf.window),
                    Err(why) => undecodable(portion, line, &why, payload, shown),
                }
            }
        }
        for problem in problems {
            self::problem(portion, problem, shown);
        }
    }
}

#[inline]
fn mark(portion: &mut Portion, Extracted { time, left_out, .. }: Extracted, before: usize, window: Window) {
    if window != Window::ALL {
        portion.batch.retain_from(before, |entry| window.contains(entry.time));
    }
    let observations = (portion.batch.entries().len() - before) as u32;
    portion.matched += u64::from(observations > 0);
    portion.outside += u64::from(observations == 0 && time.is_some_and(|time| !window.contains(time)));
    portion.marks.push(match time {
        _ if left_out => Mark::LeftOut(time, observations),
        Some(time) => Mark::Timed(time, observations),
        None => Mark::Timeless(observations),
    });
}

#[cold]
fn undecodable(portion: &mut Portion, line: u64, why: &Undecodable, payload: &[u8], shown: bool) {
    portion.marks.push(Mark::Undecodable);
    portion.trouble(why.reason.name(), || {
        let at = why.at.map_or(String::new(), |at| format!(" (byte {})", at + 1));
        Trouble { line, detail: format!("{}{at}", why.detail), text: shorten(payload, shown) }
    });
}

#[cold]
fn problem(portion: &mut Portion, problem: &crate::sources::file::Problem, shown: bool) {
    if problem.fatal {
        fail(portion, problem.line, &problem.detail);
        return;
    }
    portion.marks.push(Mark::Undecodable);
    portion.trouble(problem.reason, || Trouble {
        line: problem.line,
        detail: problem.detail.clone(),
        text: shorten(&problem.text, shown),
    });
}

fn fail(portion: &mut Portion, line: u64, why: &str) {
    portion.marks.push(Mark::Unreadable);
    portion.failure = Some(if line > 0 { format!("line {line}: {why}") } else { why.to_owned() });
}

/// Files that overlap in time are open at once; there may be more of them than a process may open.
fn remedy(error: &io::Error) -> &'static str {
    const TOO_MANY_OPEN_FILES: i32 = 24;
    if error.raw_os_error() == Some(TOO_MANY_OPEN_FILES) { "; raise the limit with `ulimit -n`" } else { "" }
}

/// The beginning of a record for people, without what must never be shown.
fn shorten(payload: &[u8], shown: bool) -> String {
    if !shown {
        return String::new();
    }
    let front = &payload[..payload.len().min(4 * TEXT_MAX_CHARS)];
    let lossy = String::from_utf8_lossy(front);
    let more = front.len() < payload.len() || lossy.chars().nth(TEXT_MAX_CHARS).is_some();
    let text: String = lossy.chars().take(TEXT_MAX_CHARS).collect();
    if more { text + "…" } else { text }
}
