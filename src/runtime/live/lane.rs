//! A lane: one engine with its journal, on a thread of its own.
//!
//! ```text
//! deliveries ─▶ journal: append … commit ─▶ engine ─▶ closed transactions ─▶ journal
//!                                             └─▶ findings ─▶ journal: commit ─▶ told ─▶ journal
//! ```
//!
//! What is not durable is never fed, and a finding is told only when it is durable too. So after a crash the journal
//! replays to the same state, and finds what it found: a replayed finding is known by its bytes. What may not have been
//! told before a crash is told again.

use super::claims::Clock;
use super::entry::{CLOSED, DELIVERY, Delivery, FOUND, Found, PLAN, TOLD};
use super::intake::{Known, now};
use crate::engine::{BadSnapshot, Engine, Input, Output, Pace};
use crate::findings::record::Record;
use crate::findings::{Names, Places};
use crate::flow::plan::Plan;
use crate::journal::{self, Journal, Options, Retention, Sequence};
use crate::model::SourceId;
use crate::model::finding::Finding;
use crate::model::observation::Position;
use crossbeam_channel::{Receiver, RecvTimeoutError, Sender};
use serde::{Deserialize, Serialize};
use std::collections::HashSet;
use std::hash::{BuildHasher, Hasher};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

/// Deliveries that are made durable together, at most.
const GROUP_MAX: usize = 256;
/// A snapshot is taken when the journal has grown by so many bytes.
const SNAPSHOT_BYTES: u64 = 64 << 20;
/// How long a failed commit waits before it is tried again.
const RETRY: Duration = Duration::from_secs(1);
/// How often an idle lane looks around.
const IDLE: Duration = Duration::from_millis(500);
/// How long a lane that stops waits for word that a finding was told.
const PARTING: Duration = Duration::from_secs(2);
/// The journal keeps so much, at most.
const RETENTION: Retention = Retention { bytes_max: 16 << 30, age_max_ns: 30 * 86_400 * 1_000_000_000 };

/// Why a lane cannot begin or go on.
#[derive(Debug, thiserror::Error)]
pub enum LaneError {
    /// The journal.
    #[error(transparent)]
    Journal(#[from] journal::Error),
    /// A snapshot of the engine.
    #[error(transparent)]
    Snapshot(#[from] BadSnapshot),
    /// An entry that a newer version wrote, or that is no entry.
    #[error(
        "entry {0} of the journal cannot be read: {1}; use the version that wrote it, or begin with another folder"
    )]
    Entry(Sequence, String),
    /// The flows are others.
    #[error(
        "{0} was written with other flows or sources; give the changed ones a folder of their own: `--data FOLDER`"
    )]
    OtherPlan(String),
}

/// What is kept beside the engine's state in a snapshot.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
struct Book {
    plan: u64,
    /// All findings before this entry were told.
    told: u64,
    /// Per source of the plan: the cursor of its last delivery, and the names of its parts.
    sources: Vec<(Option<Vec<u8>>, Vec<String>)>,
}

/// One engine with its journal.
pub struct Lane {
    plan: Arc<Plan>,
    engine: Engine,
    journal: Journal,
    book: Book,
    /// Where the replay that began this run ended: what stands before was written by earlier ones.
    begun_at: Sequence,
    /// How far the journal has been fed to the engine.
    fed: Sequence,
    /// Bytes since the last snapshot.
    grown: u64,
    /// Findings that earlier runs have found after the snapshot, by the hashes of their entries.
    found_before: HashSet<u64>,
    to_tell: Vec<(Sequence, Found)>,
    tell: Sender<(Sequence, Found)>,
    /// The last of them that was handed out to be told.
    handed_out: Option<Sequence>,
    /// Which of them were told.
    told: Receiver<Sequence>,
    keys: Vec<u64>,
    bytes: Vec<u8>,
}

impl Places for Book {
    fn place(&self, source: SourceId, position: Position) -> String {
        let name = self.sources.get(source as usize).and_then(|(_, parts)| parts.get(position.part as usize));
        match name {
            Some(name) => format!("{name}:{}", position.offset),
            None => format!("part {}:{}", position.part, position.offset),
        }
    }
}

impl Lane {
    /// Opens the journal in a folder and replays what it holds.
    pub fn open(
        plan: Arc<Plan>,
        folder: &Path,
        tell: Sender<(Sequence, Found)>,
        told: Receiver<Sequence>,
    ) -> Result<Lane, LaneError> {
        let (journal, recovered) = Journal::open(folder, Options::default(), now().0)?;
        let identity = identity(&plan);
        let fresh = Book { plan: identity, told: 0, sources: vec![(None, Vec::new()); plan.sources.len()] };
        let (book, engine, from) = match &recovered.snapshot {
            Some(snapshot) => {
                let (book, engine): (Book, &[u8]) = postcard::take_from_bytes(&snapshot.bytes)
                    .map_err(|error| LaneError::Entry(snapshot.sequence, error.to_string()))?;
                if book.plan != identity {
                    return Err(LaneError::OtherPlan(folder.display().to_string()));
                }
                (book, Engine::restore(plan.clone(), Pace::Live, engine)?, snapshot.sequence)
            }
            None => (fresh, Engine::new(plan.clone(), Pace::Live), recovered.oldest.sequence),
        };
        let mut lane = Lane {
            plan,
            engine,
            journal,
            book,
            begun_at: recovered.end,
            fed: from,
            grown: 0,
            found_before: HashSet::new(),
            to_tell: Vec::new(),
            tell,
            handed_out: None,
            told,
            keys: Vec::new(),
            bytes: Vec::new(),
        };
        lane.replay(from, folder)?;
        if recovered.end == Sequence::default() {
            lane.journal.append(PLAN, &[], &identity.to_le_bytes())?;
            lane.journal.commit(now().0)?;
        }
        Ok(lane)
    }

    /// What each of the plan's own sources needs to know to go on.
    pub fn known(&self, source: SourceId) -> (Option<Vec<u8>>, Known) {
        let (cursor, parts) = self.book.sources[source as usize].clone();
        let clocks = self.plan.sources.iter().zip(0..).filter(|(_, id)| self.plan.root(*id) == source);
        let clocks = clocks.map(|(clock, id)| Clock {
            source: id,
            lateness: clock.lateness,
            progress: self.engine.progress(id),
        });
        let mut clocks: Vec<Clock> = clocks.collect();
        clocks.sort_by_key(|clock| clock.source != source);
        (cursor, Known { source, parts, clocks })
    }

    /// Takes deliveries until there are no more to come, then leaves a snapshot behind.
    pub fn run(&mut self, deliveries: &Receiver<Delivery>) -> Result<(), LaneError> {
        let mut group = Vec::new();
        loop {
            match deliveries.recv_timeout(IDLE) {
                Ok(first) => group.push(first),
                Err(RecvTimeoutError::Timeout) => {
                    self.tell()?;
                    continue;
                }
                Err(RecvTimeoutError::Disconnected) => break,
            }
            group.extend(deliveries.try_iter().take(GROUP_MAX - 1));
            for delivery in &group {
                delivery.keys(&mut self.keys);
                self.bytes.clear();
                self.bytes = delivery.encode(std::mem::take(&mut self.bytes));
                let (keys, bytes) = (std::mem::take(&mut self.keys), std::mem::take(&mut self.bytes));
                self.append(DELIVERY, &keys, &bytes)?;
                (self.keys, self.bytes) = (keys, bytes);
            }
            self.commit()?;
            for delivery in group.drain(..) {
                self.feed(delivery, Sequence(u64::MAX))?;
            }
            self.tell()?;
            if self.grown >= SNAPSHOT_BYTES {
                self.snapshot()?;
            }
        }
        // What is being told as the daemon stops is not to be told again.
        while self.book.told < self.handed_out.map_or(0, |last| last.0 + 1) {
            let Ok(told) = self.told.recv_timeout(PARTING) else { break };
            self.book.told = told.0 + 1;
        }
        self.snapshot()
    }

    /// Feeds what stands in the journal behind the snapshot.
    fn replay(&mut self, from: Sequence, folder: &Path) -> Result<(), LaneError> {
        let unreadable = |sequence, why: &str| LaneError::Entry(sequence, why.to_owned());
        let mut untold = Vec::new();
        let mut found = self.journal.replay(from.min(Sequence(self.book.told)))?;
        while let Some(entry) = found.next()? {
            match entry.kind {
                FOUND => {
                    self.found_before.insert(hash(entry.payload));
                    let found = postcard::from_bytes(entry.payload);
                    untold
                        .push((entry.sequence, found.map_err(|error| unreadable(entry.sequence, &error.to_string()))?));
                }
                TOLD => self.book.told = entry.payload.try_into().map_or(self.book.told, u64::from_le_bytes),
                _ => {}
            }
        }
        untold.retain(|(sequence, _)| sequence.0 >= self.book.told);
        self.to_tell = untold;
        let mut replay = self.journal.replay(from)?;
        while let Some(entry) = replay.next()? {
            let sequence = entry.sequence;
            match entry.kind {
                DELIVERY => {
                    let delivery = Delivery::decode(entry.payload);
                    self.feed(delivery.map_err(|error| unreadable(sequence, &error.to_string()))?, sequence)?;
                }
                PLAN if entry.payload != self.book.plan.to_le_bytes() => {
                    return Err(LaneError::OtherPlan(folder.display().to_string()));
                }
                PLAN | CLOSED | FOUND | TOLD => {}
                kind => {
                    return Err(unreadable(
                        sequence,
                        &format!("it is of kind {kind}, which this version does not know"),
                    ));
                }
            }
        }
        self.found_before = HashSet::new();
        self.tell()
    }

    /// Feeds one delivery to the engine; `at` is where it stands in the journal.
    fn feed(&mut self, delivery: Delivery, at: Sequence) -> Result<(), LaneError> {
        let (cursor, parts) = &mut self.book.sources[delivery.source as usize];
        parts.extend(delivery.parts);
        if !delivery.cursor.is_empty() {
            *cursor = Some(delivery.cursor);
        }
        if !delivery.batch.is_empty() {
            self.handle(Input::Observations(delivery.batch), at)?;
        }
        delivery.claims.into_iter().try_for_each(|claim| self.handle(claim.input(), at))
    }

    fn handle(&mut self, input: Input, at: Sequence) -> Result<(), LaneError> {
        self.engine.handle(input);
        while let Some(output) = self.engine.poll() {
            match output {
                Output::Finding(finding) => self.found(&finding)?,
                Output::Archive(archived) => {
                    for (_, closed) in archived.iter() {
                        let keys: Vec<u64> = closed.keys().collect();
                        let mut payload = (closed.identity.len() as u32).to_le_bytes().to_vec();
                        payload.extend_from_slice(closed.state);
                        self.append(CLOSED, &keys, &payload)?;
                    }
                }
                Output::Recall { key } => {
                    let states = self.recall(key, at)?;
                    self.engine.handle(Input::Recalled(states));
                }
                Output::Consumed(_) => {}
            }
        }
        Ok(())
    }

    /// The newest state of each closed transaction that has the key, as it was when the input at `at` was fed.
    fn recall(&self, key: u64, at: Sequence) -> Result<Vec<Vec<u8>>, LaneError> {
        let mut lookup = self.journal.lookup(key, Some(CLOSED));
        let mut seen = HashSet::new();
        let mut states = Vec::new();
        while let Some(entry) = lookup.next()? {
            // What earlier runs wrote behind this input is closed again in this one.
            if (at..self.begun_at).contains(&entry.sequence) {
                continue;
            }
            let Some((length, state)) = entry.payload.split_first_chunk() else { continue };
            let identity = state.get(..u32::from_le_bytes(*length) as usize).unwrap_or(state);
            if seen.insert((entry.keys().next(), identity.to_vec())) {
                states.push(state.to_vec());
            }
        }
        Ok(states)
    }

    fn found(&mut self, finding: &Finding) -> Result<(), LaneError> {
        let record = Record::of(finding, Names { plan: &self.plan, places: &self.book });
        let json = serde_json::to_string(&record).expect("a finding is plain data");
        let found = Found { json, text: record.to_string() };
        let key = hash(record.id.as_bytes());
        let payload = postcard::to_stdvec(&found).expect("plain data is encodable");
        if self.found_before.contains(&hash(&payload)) {
            return Ok(());
        }
        let sequence = self.append(FOUND, &[key], &payload)?;
        self.to_tell.push((sequence, found));
        Ok(())
    }

    /// Tells what was found, once that is durable, and notes what has been told.
    fn tell(&mut self) -> Result<(), LaneError> {
        if !self.to_tell.is_empty() {
            self.commit()?;
        }
        for found in self.to_tell.drain(..) {
            self.handed_out = Some(found.0);
            // Who does not listen any more does not want to know.
            let _ = self.tell.send(found);
        }
        if let Some(last) = self.told.try_iter().last() {
            self.book.told = last.0 + 1;
            let told = self.book.told;
            self.append(TOLD, &[], &told.to_le_bytes())?;
        }
        Ok(())
    }

    fn append(&mut self, kind: u8, keys: &[u64], payload: &[u8]) -> Result<Sequence, LaneError> {
        self.grown += payload.len() as u64 + 8 * keys.len() as u64;
        match self.journal.append(kind, keys, payload) {
            Err(journal::Error::BufferFull { .. }) => {
                self.commit()?;
                Ok(self.journal.append(kind, keys, payload)?)
            }
            appended => Ok(appended?),
        }
    }

    /// Makes everything durable; a disk that fails is tried again until it works, and the sources wait meanwhile.
    fn commit(&mut self) -> Result<(), LaneError> {
        loop {
            match self.journal.commit(now().0) {
                Ok(durable) => {
                    self.fed = durable;
                    return Ok(());
                }
                Err(error @ journal::Error::NotCommitted { .. }) => {
                    tracing::error!("{error}; trying again in {} s", RETRY.as_secs());
                    std::thread::sleep(RETRY);
                }
                Err(error) => return Err(error.into()),
            }
        }
    }

    /// Saves the state, and lets go of what nobody needs any more.
    fn snapshot(&mut self) -> Result<(), LaneError> {
        self.commit()?;
        let head = postcard::to_stdvec(&self.book).expect("plain data is encodable");
        let engine = self.engine.snapshot();
        self.journal.save_snapshot(self.fed, |out| {
            out.write_all(&head)?;
            out.write_all(&engine)
        })?;
        self.journal.retain(RETENTION, now().0)?;
        self.grown = 0;
        Ok(())
    }
}

fn hash(bytes: &[u8]) -> u64 {
    let mut hasher = foldhash::quality::FixedState::with_seed(0).build_hasher();
    hasher.write(bytes);
    hasher.finish()
}

/// What a journal's observations belong to: flows and sources, as they are compiled.
fn identity(plan: &Plan) -> u64 {
    hash(format!("{plan:?}").as_bytes())
}
