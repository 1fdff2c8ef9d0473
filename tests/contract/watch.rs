//! Follows a system as the daemon does, and keeps all that the source says.

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};
use throughline::model::time::Time;
use throughline::sources::live::{Failure, Intake, Note, Record, Source, Stopped};

/// How long the suite waits for what must come.
pub const PATIENCE: Duration = Duration::from_secs(120);
/// How soon a source must have stopped.
pub const STOPS_WITHIN: Duration = Duration::from_secs(5);
const RETRY: Duration = Duration::from_millis(100);

/// A record as it was handed over.
#[derive(Clone, Debug, PartialEq)]
pub struct Seen {
    pub part: String,
    pub offset: u64,
    pub payload: String,
    pub stream: Option<String>,
    pub key: Option<String>,
    pub time: Option<Time>,
    pub op: Option<String>,
    pub headers: Vec<(String, String)>,
}

/// What a source said, in order.
#[derive(Clone, Debug, PartialEq)]
pub enum Said {
    Record(Seen),
    Undecodable { part: String, offset: u64, reason: &'static str },
    Hole(String),
    CaughtUp(Time),
    Delivered(Vec<u8>),
    Trouble(String),
    Failed(String),
}

/// What a source has made durable beside its cursor: the names of its parts, and its notes.
type Kept = (Vec<String>, HashMap<u64, Note>);

/// A source that is being followed.
pub struct Watch {
    log: Arc<Mutex<Vec<(Time, Said)>>>,
    stop: Arc<AtomicBool>,
    held: Arc<AtomicBool>,
    thread: Option<JoinHandle<Kept>>,
    cursor: Arc<Mutex<Option<Vec<u8>>>>,
}

/// From where a source can be gone on with.
#[derive(Clone, Default)]
pub struct Place {
    pub cursor: Option<Vec<u8>>,
    pub parts: Vec<String>,
    pub notes: HashMap<u64, Note>,
}

impl Watch {
    /// Follows from a place, again and again where the source fails.
    pub fn start(mut source: Box<dyn Source>, from: Place) -> Watch {
        let (log, stop, cursor) = (Arc::default(), Arc::<AtomicBool>::default(), Arc::new(Mutex::new(from.cursor)));
        let mut desk = Desk::new(from.parts, from.notes, Arc::clone(&log), stop.clone(), Arc::clone(&cursor));
        let held = desk.held.clone();
        let thread = thread::spawn(move || {
            loop {
                let from = desk.cursor.lock().unwrap().clone();
                match source.follow(from.as_deref(), &mut desk) {
                    Ok(()) => return desk.delivered(),
                    Err(Failure(why)) => desk.fail(why),
                }
                if desk.pause(RETRY).is_err() {
                    return desk.delivered();
                }
            }
        });
        Watch { log, stop, held, thread: Some(thread), cursor }
    }

    /// The engine is behind, and takes no delivery; or it goes on.
    pub fn hold(&self, held: bool) {
        self.held.store(held, Ordering::Relaxed);
    }

    /// All that was said so far; of what was not delivered, nothing.
    pub fn said(&self) -> Vec<Said> {
        self.log.lock().unwrap().iter().map(|(_, said)| said.clone()).collect()
    }

    /// The same, each with the moment at which it was delivered.
    pub fn said_at(&self) -> Vec<(Time, Said)> {
        self.log.lock().unwrap().clone()
    }

    /// Waits until what was said is enough.
    #[track_caller]
    pub fn until(&self, what: &str, enough: impl Fn(&[Said]) -> bool) -> Vec<Said> {
        let end = Instant::now() + PATIENCE;
        loop {
            let said = self.said();
            if enough(&said) {
                return said;
            }
            let last: Vec<_> = said.iter().rev().take(12).collect();
            assert!(Instant::now() < end, "{what} did not come within {PATIENCE:?}; the last words: {last:#?}");
            thread::sleep(Duration::from_millis(10));
        }
    }

    /// Waits for a proof of this moment or a later one.
    #[track_caller]
    pub fn until_caught_up(&self) -> Vec<Said> {
        let now = now();
        self.until("a proof", |said| said.iter().any(|said| matches!(said, Said::CaughtUp(at) if *at >= now)))
    }

    /// Stops it, which must not take long; all that was said, and from where it can be gone on with.
    #[track_caller]
    pub fn stop(self) -> (Vec<Said>, Place) {
        let (said, place) = self.stop_at();
        (said.into_iter().map(|(_, said)| said).collect(), place)
    }

    /// The same, with the moments at which things were delivered.
    #[track_caller]
    pub fn stop_at(mut self) -> (Vec<(Time, Said)>, Place) {
        self.stop.store(true, Ordering::Relaxed);
        let begun = Instant::now();
        let thread = self.thread.take().expect("it runs");
        while !thread.is_finished() {
            assert!(begun.elapsed() < STOPS_WITHIN, "the source did not stop within {STOPS_WITHIN:?}");
            thread::sleep(Duration::from_millis(5));
        }
        let (parts, notes) = thread.join().unwrap();
        let cursor = self.cursor.lock().unwrap().clone();
        (self.said_at(), Place { cursor, parts, notes })
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
    }
}

struct Desk {
    parts: Vec<String>,
    delivered_parts: usize,
    numbers: HashMap<String, u32>,
    waiting: Vec<Said>,
    log: Arc<Mutex<Vec<(Time, Said)>>>,
    stop: Arc<AtomicBool>,
    held: Arc<AtomicBool>,
    cursor: Arc<Mutex<Option<Vec<u8>>>>,
    durable: Option<Vec<u8>>,
    last: HashMap<u32, u64>,
    /// As of the last delivery, and what was noted since.
    notes: HashMap<u64, Note>,
    noted: Vec<(u64, Option<Note>)>,
}

impl Desk {
    fn new(
        parts: Vec<String>,
        notes: HashMap<u64, Note>,
        log: Arc<Mutex<Vec<(Time, Said)>>>,
        stop: Arc<AtomicBool>,
        cursor: Arc<Mutex<Option<Vec<u8>>>>,
    ) -> Desk {
        let numbers = parts.iter().cloned().zip(0..).collect();
        let delivered_parts = parts.len();
        let (waiting, noted, last, durable, held) = Default::default();
        Desk { parts, delivered_parts, numbers, waiting, log, stop, held, cursor, durable, last, notes, noted }
    }

    fn fail(&mut self, why: String) {
        self.waiting.clear();
        self.noted.clear();
        self.last.clear();
        self.parts.truncate(self.delivered_parts);
        let known = self.parts.len();
        self.numbers.retain(|_, number| (*number as usize) < known);
        self.log.lock().unwrap().push((now(), Said::Failed(why)));
    }

    fn delivered(&self) -> (Vec<String>, HashMap<u64, Note>) {
        (self.parts[..self.delivered_parts].to_vec(), self.notes.clone())
    }
}

impl Intake for Desk {
    fn part(&mut self, name: &str) -> u32 {
        if let Some(number) = self.numbers.get(name) {
            return *number;
        }
        let number = self.parts.len() as u32;
        self.parts.push(name.to_owned());
        self.numbers.insert(name.to_owned(), number);
        number
    }

    fn header(&mut self, _part: u32, _payload: &[u8]) {}

    fn record(&mut self, record: Record<'_>) {
        let last = self.last.insert(record.part, record.offset);
        let part = &self.parts[record.part as usize];
        assert!(last.is_none_or(|last| last <= record.offset), "{part}: {} after {last:?}", record.offset);
        let text = |text: &str| text.to_owned();
        self.waiting.push(Said::Record(Seen {
            part: part.clone(),
            offset: record.offset,
            payload: String::from_utf8_lossy(record.payload).into_owned(),
            stream: record.stream.map(text),
            key: record.key.map(text),
            time: record.time,
            op: record.op.map(text),
            headers: record.headers.iter().map(|(name, value)| (text(name), text(value))).collect(),
        }));
    }

    fn undecodable(&mut self, part: u32, offset: u64, reason: &'static str, _detail: &str, _text: &[u8]) {
        self.waiting.push(Said::Undecodable { part: self.parts[part as usize].clone(), offset, reason });
    }

    fn hole(&mut self, why: &str) {
        self.waiting.push(Said::Hole(why.to_owned()));
    }

    fn caught_up(&mut self, at: Time) {
        self.waiting.push(Said::CaughtUp(at));
    }

    fn deliver(&mut self, cursor: &[u8]) -> Result<(), Stopped> {
        while self.held.load(Ordering::Relaxed) {
            self.pause(Duration::from_millis(5))?;
        }
        if self.stop.load(Ordering::Relaxed) {
            return Err(Stopped);
        }
        let mut log = self.log.lock().unwrap();
        let at = now();
        log.extend(self.waiting.drain(..).map(|said| (at, said)));
        log.push((at, Said::Delivered(cursor.to_vec())));
        *self.cursor.lock().unwrap() = Some(cursor.to_vec());
        self.delivered_parts = self.parts.len();
        for (number, note) in self.noted.drain(..) {
            match note {
                Some(note) => _ = self.notes.insert(number, note),
                None => _ = self.notes.remove(&number),
            }
        }
        Ok(())
    }

    fn durable(&mut self) -> Option<&[u8]> {
        self.durable.clone_from(&self.cursor.lock().unwrap());
        self.durable.as_deref()
    }

    fn settled(&mut self, _within: Duration) -> Result<bool, Stopped> {
        self.pause(Duration::ZERO).map(|()| true)
    }

    fn note(&mut self, number: u64, note: Option<Note>) {
        self.noted.push((number, note));
    }

    fn notes(&self) -> Vec<(u64, Note)> {
        self.notes.iter().map(|(number, note)| (*number, *note)).collect()
    }

    fn trouble(&mut self, what: &str) {
        self.log.lock().unwrap().push((now(), Said::Trouble(what.to_owned())));
    }

    fn pause(&mut self, span: Duration) -> Result<(), Stopped> {
        let end = Instant::now() + span;
        loop {
            if self.stop.load(Ordering::Relaxed) {
                return Err(Stopped);
            }
            let left = end.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return Ok(());
            }
            thread::sleep(left.min(Duration::from_millis(5)));
        }
    }

    fn now(&self) -> Time {
        now()
    }
}

/// The present time.
pub fn now() -> Time {
    Time(SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_nanos() as i64)
}
