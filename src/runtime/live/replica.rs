//! What a lane knows, for who reads along: its newest snapshot and what stands in its journal behind it, gone through
//! with an engine of the reader's own. Nothing is written, and the daemon may be running.
//!
//! ```text
//! snapshot ─▶ engine ◀─ deliveries, editions          of a transaction that has closed
//!                │ ▲                                   behind the snapshot: what closed here
//!         closed ▼ │ recalled                          before it: the journal's state of it
//! ```

use super::course::{Beside, Book, Course, Recalled};
use super::entry::{CLOSED, EDITION};
use super::lane::LaneError;
use super::ledger;
use crate::engine::trace::Trace;
use crate::engine::{Archived, Engine};
use crate::findings::Names;
use crate::journal::{self, Entry, Reader, Sequence};
use crate::model::finding::Finding;
use crate::model::{FlowId, key};
use std::collections::{BTreeSet, HashMap, HashSet};
use std::path::Path;

/// How often it is tried again when the daemon removes what is being read.
const TRIES_MAX: usize = 3;
/// The flow of a lane, which has one.
const FLOW: FlowId = 0;

/// A lane as it stands in its journal.
pub struct Replica {
    course: Course,
    closed: Shelf,
}

/// Closed transactions.
struct Shelf {
    reader: Reader,
    /// What stands before it closed before the snapshot.
    from: Sequence,
    /// What closed behind it, the oldest first, and where it stands by its keys.
    closed: Vec<ClosedOne>,
    by_key: HashMap<u64, Vec<usize>>,
}

struct ClosedOne {
    /// The hash of its own key, and what tells it from others with the same.
    identity: (Option<u64>, Vec<u8>),
    state: Vec<u8>,
    /// How many of the editions had begun.
    begun: usize,
}

impl Beside for Shelf {
    fn found(&mut self, _: &Finding, _: Names<'_>) -> Result<(), LaneError> {
        Ok(())
    }

    fn closed(&mut self, closed: &Archived, begun: usize) -> Result<(), LaneError> {
        for (_, closed) in closed.iter() {
            let identity = (closed.keys().next(), closed.identity.to_vec());
            closed.keys().for_each(|key| self.by_key.entry(key).or_default().push(self.closed.len()));
            self.closed.push(ClosedOne { identity, state: closed.state.to_vec(), begun });
        }
        Ok(())
    }

    fn begins_anew(&mut self) {
        self.closed.clear();
        self.by_key.clear();
    }

    fn recall(&mut self, key: u64, _: Sequence, book: &Book) -> Result<Vec<Recalled>, LaneError> {
        let (mut known, mut recalled) = (HashSet::new(), Vec::new());
        for closed in self.by_key.get(&key).into_iter().flatten().rev().map(|at| &self.closed[*at]) {
            if known.insert(closed.identity.clone()) {
                recalled.push(Recalled { begun: closed.begun, state: closed.state.clone() });
            }
        }
        let lookup = self.reader.lookup(key, Some(CLOSED));
        recalled.extend(ledger::recall((lookup, key), book, &mut known, |entry| entry.sequence < self.from)?);
        Ok(recalled)
    }
}

impl Replica {
    /// Reads the journal in a folder as far as it is durable; `None` where there is nothing in it.
    pub fn open(folder: &Path) -> Result<Option<Replica>, LaneError> {
        let mut tries = 1;
        loop {
            match Replica::read(folder) {
                Err(LaneError::Journal(journal::Error::Forgotten { .. })) if tries < TRIES_MAX => tries += 1,
                read => return read,
            }
        }
    }

    fn read(folder: &Path) -> Result<Option<Replica>, LaneError> {
        let reader = Reader::open(folder)?;
        let Some(oldest) = reader.oldest() else { return Ok(None) };
        let (mut course, from) = match reader.snapshot()? {
            Some(snapshot) => (Some(Course::resume(&snapshot)?), snapshot.sequence),
            None => (None, oldest.sequence),
        };
        let mut replay = reader.replay(from)?;
        let mut closed = Shelf { reader, from, closed: Vec::new(), by_key: HashMap::new() };
        while let Some(entry) = replay.next()? {
            match &mut course {
                Some(course) => course.take(&entry, &mut closed)?,
                None => course = Some(first(&entry)?),
            }
        }
        Ok(course.map(|course| Replica { course, closed }))
    }

    /// What indexes and positions stand for.
    pub fn with_names<T>(&self, tell: impl FnOnce(Names<'_>) -> T) -> T {
        self.course.with_names(tell)
    }

    /// The own keys of the transactions, open or closed, that have a key of this value; first the one whose own key it
    /// is.
    pub fn owners(&mut self, value: &str) -> Result<Vec<String>, LaneError> {
        let mut owners: BTreeSet<String> = self.course.engine().owners(FLOW, value).into_iter().collect();
        for (_, hash) in self.course.engine().hashes(FLOW, value) {
            let closed = self.recalled(hash)?;
            owners.extend(closed.iter().filter_map(|state| Engine::archived_owner(state, FLOW, value)));
        }
        let own = owners.take(value);
        Ok(own.into_iter().chain(owners).collect())
    }

    /// Everything about the transaction whose own key is `own`, whether it is open or closed.
    pub fn trace(&mut self, own: &str) -> Result<Option<Trace>, LaneError> {
        if let Some(trace) = self.course.engine_mut().trace(FLOW, own, None) {
            return Ok(Some(trace));
        }
        let mut packed = Vec::new();
        key::pack(own, &mut packed);
        let closed = self.recalled(key::hash(FLOW, 0, &packed))?;
        let is_it = |state: &&Vec<u8>| Engine::archived_owner(state, FLOW, own).as_deref() == Some(own);
        Ok(closed.iter().find(is_it).and_then(|state| self.course.engine_mut().trace(FLOW, own, Some(state))))
    }

    fn recalled(&mut self, key: u64) -> Result<Vec<Vec<u8>>, LaneError> {
        self.course.recalled(key, Sequence(u64::MAX), &mut self.closed)
    }
}

/// The course that begins with an entry: a journal's first says which flow it is of.
fn first(entry: &Entry<'_>) -> Result<Course, LaneError> {
    let unreadable = |why: String| LaneError::Entry(entry.sequence, why);
    if entry.kind != EDITION {
        return Err(unreadable("it should say of which flow the journal is".into()));
    }
    let edition: super::Edition = postcard::from_bytes(entry.payload).map_err(|error| unreadable(error.to_string()))?;
    let plan = edition.compile().ok_or_else(|| unreadable("its flow is none to this version".into()))?;
    Ok(Course::begin(edition, plan))
}
