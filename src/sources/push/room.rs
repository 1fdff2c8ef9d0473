//! How much is under way: bounded, with the moment since which each request is, and what was refused.

use crate::model::time::Time;
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

/// Requests that are being read or wait for the journal, at most.
const REQUESTS_MAX: usize = 1024;
/// A delivery that takes longer than this says that the engine is behind: nothing more is let in.
const BEHIND_AFTER: Duration = Duration::from_secs(2);

/// There is no room: come again later.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Full;

/// What was refused since this was last asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Refused {
    /// How many requests and connections.
    pub count: u64,
    /// When the last of them came.
    pub last: Time,
}

/// The room for requests.
#[derive(Debug)]
pub struct Room {
    bytes_max: usize,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    bytes: usize,
    next: u64,
    under_way: BTreeMap<u64, Request>,
    refused: Option<Refused>,
    delivering: Option<Instant>,
}

#[derive(Debug)]
struct Request {
    bytes: usize,
    /// When it came; `None` once it was handed over.
    since: Option<Time>,
}

/// A request's place in the room, until it is dropped.
#[derive(Debug)]
pub struct Held {
    room: Arc<Room>,
    number: u64,
}

impl Room {
    /// Room for so many bytes.
    pub fn new(bytes_max: usize) -> Room {
        Room { bytes_max, state: Mutex::default() }
    }

    /// Lets a request in.
    pub fn admit(self: &Arc<Room>) -> Result<Held, Full> {
        let mut state = self.state();
        let behind = state.delivering.is_some_and(|since| since.elapsed() > BEHIND_AFTER);
        if behind || state.under_way.len() >= REQUESTS_MAX || state.bytes >= self.bytes_max {
            state.refuse();
            return Err(Full);
        }
        let number = state.next;
        state.next += 1;
        state.under_way.insert(number, Request { bytes: 0, since: Some(now()) });
        Ok(Held { room: self.clone(), number })
    }

    /// Somebody was sent away.
    pub fn refuse(&self) {
        self.state().refuse();
    }

    /// What was refused since this was last asked.
    pub fn take_refused(&self) -> Option<Refused> {
        self.state().refused.take()
    }

    /// Since when the oldest request is under way that was not handed over.
    pub fn oldest(&self) -> Option<Time> {
        self.state().under_way.values().filter_map(|request| request.since).min()
    }

    /// A delivery begins, or has ended.
    pub fn delivering(&self, begins: bool) {
        self.state().delivering = begins.then(Instant::now);
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn refuse(&mut self) {
        let count = self.refused.map_or(0, |refused| refused.count) + 1;
        self.refused = Some(Refused { count, last: now() });
    }
}

impl Held {
    /// It takes so many bytes more.
    pub fn grow(&self, bytes: usize) -> Result<(), Full> {
        let mut state = self.room.state();
        if state.bytes + bytes > self.room.bytes_max {
            state.refuse();
            return Err(Full);
        }
        state.bytes += bytes;
        state.under_way.entry(self.number).and_modify(|request| request.bytes += bytes);
        Ok(())
    }

    /// It takes so many bytes now, whatever there is room for: what was read has become something else.
    pub fn becomes(&self, bytes: usize) {
        let state = &mut *self.room.state();
        if let Some(request) = state.under_way.get_mut(&self.number) {
            state.bytes = state.bytes - request.bytes + bytes;
            request.bytes = bytes;
        }
    }

    /// It is in the intake.
    pub fn handed_over(&self) {
        self.room.state().under_way.entry(self.number).and_modify(|request| request.since = None);
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        let state = &mut *self.room.state();
        if let Some(request) = state.under_way.remove(&self.number) {
            state.bytes -= request.bytes;
        }
    }
}

/// The present time by this machine's clock.
pub fn now() -> Time {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    Time(i64::try_from(since.as_nanos()).unwrap_or(i64::MAX))
}
