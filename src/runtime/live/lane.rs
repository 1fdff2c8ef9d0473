//! A lane: one flow, one engine with its journal, on a thread of its own.
//!
//! ```text
//! deliveries ─▶ journal: append, commit ─┬▶ engine ─▶ closed transactions ─▶ journal
//!                                        │    └─▶ findings ─▶ journal: commit ─▶ told ─▶ store of findings
//!                                        └▶ disk, on a thread of its own
//! ```
//!
//! The engine is fed while the disk is at work: what a crash takes from both comes again from the sources. But a
//! finding is told only when it is durable, and so all that it was concluded from. After a crash the journal replays to
//! the same state, and finds what it found: a replayed finding is known by its bytes. How far findings were told is
//! kept where they are kept, and what was not is told again.

use super::ToTell;
use super::claims::Clock;
use super::edition::{Compiled, Edition};
use super::entry::{self, CLOSED, DELIVERY, Delivery, EDITION, FOUND, Found, TOLD};
use super::intake::{Bookmark, now};
use super::lane_status::LaneStatus;
use crate::engine::{BadSnapshot, Engine, Input, Output, Pace};
use crate::findings::record::Record;
use crate::findings::store::StoreError;
use crate::findings::{Names, Places};
use crate::flow::plan::Plan;
use crate::journal::{self, Commit, Journal, Options, Retention, Sequence, Synced};
use crate::model::SourceId;
use crate::model::finding::Finding;
use crate::model::observation::Position;
use crossbeam_channel::{Receiver, RecvTimeoutError, SendTimeoutError, Sender, bounded};
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, HashSet};
use std::hash::{BuildHasher, Hasher};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;
use std::time::Duration;

/// Deliveries that are made durable together, at most.
const GROUP_MAX: usize = 256;
/// A snapshot is taken when the journal has grown by so many bytes.
const SNAPSHOT_BYTES: u64 = 64 << 20;
/// How long a failed commit waits before it is tried again.
const RETRY: Duration = Duration::from_secs(1);
/// How often an idle lane looks around.
const IDLE: Duration = Duration::from_millis(500);
/// Editions of a flow whose transactions go on; the next one begins anew.
const EDITIONS_MAX: usize = 64;
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
    /// The store of findings.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// An entry that a newer version wrote, or that is no entry.
    #[error(
        "entry {0} of the journal cannot be read: {1}; use the version that wrote it, or begin with another folder"
    )]
    Entry(Sequence, String),
}

/// What is kept beside the engine's state in a snapshot.
#[derive(Clone, Debug, Serialize, Deserialize)]
struct Book {
    /// The editions of the flow that observe alike, the present one last, each with where it began. Transactions that
    /// closed before the first are another flow's.
    editions: Vec<(u64, Edition)>,
    /// By name: from where each source goes on.
    sources: BTreeMap<String, Bookmark>,
}

/// One engine with its journal.
pub struct Lane {
    plan: Arc<Plan>,
    /// What the editions mean that came before the present one.
    plans_before: Vec<Arc<Plan>>,
    engine: Engine,
    journal: Journal,
    book: Book,
    /// By name: the number of each source's newest delivery that the journal has, for the source to see.
    durable: BTreeMap<String, Arc<AtomicU64>>,
    /// Where the replay that began this run ended: what stands before was written by earlier ones.
    begun_at: Sequence,
    /// Bytes since the last snapshot.
    grown: u64,
    /// Findings that earlier runs have found after the snapshot, by the hashes of their entries.
    found_before: HashSet<u64>,
    to_tell: Vec<ToTell>,
    /// Its number among the lanes, which goes with what is told.
    number: usize,
    tell: Sender<(usize, ToTell)>,
    status: Arc<LaneStatus>,
    keys: Vec<u64>,
    bytes: Vec<u8>,
}

/// What stands where, by the names of a lane's parts.
struct Parts<'a> {
    plan: &'a Plan,
    book: &'a Book,
}

impl Places for Parts<'_> {
    fn place(&self, source: SourceId, position: Position) -> String {
        let name = self.plan.sources.get(self.plan.root(source) as usize).map(|source| &source.name);
        let bookmark = name.and_then(|name| self.book.sources.get(name));
        match bookmark.and_then(|bookmark| bookmark.parts.get(position.part as usize)) {
            Some(name) => format!("{name}:{}", position.offset),
            None => format!("part {}:{}", position.part, position.offset),
        }
    }
}

impl Book {
    /// The present edition of the flow.
    fn edition(&self) -> &Edition {
        &self.editions.last().expect("there is always one").1
    }
}

impl Lane {
    /// Opens the journal in a folder, replays what it holds, and goes on with this edition of the flow. All findings
    /// before the entry that `told` gives, when it is told where the journal ends, were told.
    pub fn open(
        number: usize,
        Compiled { edition, plan }: Compiled,
        folder: &Path,
        tell: Sender<(usize, ToTell)>,
        told: impl FnOnce(Sequence) -> Result<Sequence, StoreError>,
        status: Arc<LaneStatus>,
    ) -> Result<Lane, LaneError> {
        let (journal, recovered) = Journal::open(folder, Options::default(), now().0)?;
        let (book, (plans_before, plan), engine, from) = match &recovered.snapshot {
            Some(snapshot) => {
                let unreadable = |why: String| LaneError::Entry(snapshot.sequence, why);
                let (book, engine): (Book, &[u8]) =
                    postcard::take_from_bytes(&snapshot.bytes).map_err(|error| unreadable(error.to_string()))?;
                let plans = book.editions.iter().map(|(_, edition)| edition.compile()).collect::<Option<Vec<_>>>();
                let mut plans = plans.ok_or_else(|| unreadable("its flow is none to this version".into()))?;
                let plan = plans.pop().ok_or_else(|| unreadable("it has no flow".into()))?;
                (book, (plans, plan.clone()), Engine::restore(plan, Pace::Live, engine)?, snapshot.sequence)
            }
            None => {
                let book = Book { editions: vec![(0, edition.clone())], sources: BTreeMap::new() };
                (book, (Vec::new(), plan.clone()), Engine::new(plan, Pace::Live), recovered.oldest.sequence)
            }
        };
        let mut lane = Lane {
            plan,
            plans_before,
            engine,
            journal,
            book,
            durable: BTreeMap::new(),
            begun_at: recovered.end,
            grown: 0,
            found_before: HashSet::new(),
            to_tell: Vec::new(),
            number,
            tell,
            status,
            keys: Vec::new(),
            bytes: Vec::new(),
        };
        let told = told(recovered.end)?.max(recovered.oldest.sequence);
        lane.untold(from.min(told), told)?;
        lane.replay(from)?;
        if recovered.end == Sequence::default() || *lane.book.edition() != edition {
            let text = postcard::to_stdvec(&edition).expect("plain data is encodable");
            let at = lane.append(EDITION, &[], &text)?;
            lane.commit()?;
            lane.go_on_with(edition, at)?;
        }
        Ok(lane)
    }

    /// The plan of its flow.
    pub fn plan(&self) -> &Arc<Plan> {
        &self.plan
    }

    /// A source of its plan, by name: its number there, and from where it goes on. `None` where the flow does not read
    /// it.
    pub fn bookmark(&self, source: &str) -> Option<(SourceId, Bookmark)> {
        let id = self.plan.sources.iter().position(|known| known.clock_of.is_none() && known.name == source)?;
        Some((id as SourceId, self.book.sources.get(source).cloned().unwrap_or_default()))
    }

    /// The number of a source's newest delivery that the journal has, as it will be.
    pub fn durable(&mut self, source: &str) -> Arc<AtomicU64> {
        let durable = self.durable.entry(source.to_owned()).or_default().clone();
        self.tell_durable();
        durable
    }

    /// The journal has all that was fed.
    fn tell_durable(&self) {
        for (name, number) in &self.durable {
            let newest = self.book.sources.get(name).map_or(0, |bookmark| bookmark.number);
            number.store(newest, Ordering::Release);
        }
    }

    /// The clocks of one of the plan's own sources, its own first, as far as they have come.
    pub fn clocks(&self, source: SourceId) -> Vec<Clock> {
        let clocks = self.plan.sources.iter().zip(0..).filter(|(_, id)| self.plan.root(*id) == source);
        let clock = |(clock, id): (&crate::flow::plan::Source, SourceId)| Clock {
            source: id,
            lateness: clock.lateness,
            progress: self.engine.progress(id),
        };
        let mut clocks: Vec<Clock> = clocks.map(clock).collect();
        clocks.sort_by_key(|clock| clock.source != source);
        clocks
    }

    /// Takes deliveries until there are no more to come, then leaves a snapshot behind.
    pub fn run(&mut self, deliveries: &Receiver<Delivery>) -> Result<(), LaneError> {
        let (to_disk, commits) = bounded::<Commit>(1);
        let (done, on_disk) = bounded::<Synced>(1);
        thread::scope(|scope| {
            scope.spawn(move || commits.into_iter().try_for_each(|commit| done.send(commit.sync())));
            let ended = self.take(deliveries, &to_disk, &on_disk);
            drop(to_disk);
            ended
        })?;
        self.snapshot()
    }

    fn take(
        &mut self,
        deliveries: &Receiver<Delivery>,
        to_disk: &Sender<Commit>,
        on_disk: &Receiver<Synced>,
    ) -> Result<(), LaneError> {
        let mut group = Vec::new();
        loop {
            self.status.show(&self.engine.account().flows[0], self.journal.durable().0, now());
            match deliveries.recv_timeout(IDLE) {
                Ok(first) => group.push(first),
                Err(RecvTimeoutError::Timeout) => continue,
                Err(RecvTimeoutError::Disconnected) => return Ok(()),
            }
            group.extend(deliveries.try_iter().take(GROUP_MAX - 1));
            group.iter().try_for_each(|delivery| self.note(delivery))?;
            let commit = self.journal.begin_commit(now().0);
            let under_way = commit.is_some_and(|commit| to_disk.send(commit).is_ok());
            for delivery in group.drain(..) {
                self.feed(delivery, Sequence(u64::MAX))?;
            }
            if under_way && let Ok(synced) = on_disk.recv() {
                match self.journal.end_commit(synced) {
                    // Tried again, and again, by the commit that follows.
                    Err(journal::Error::NotCommitted { .. }) => self.commit()?,
                    ended => _ = ended?,
                }
                self.tell_durable();
            }
            self.tell()?;
            if self.grown >= SNAPSHOT_BYTES {
                self.snapshot()?;
            }
        }
    }

    /// Puts a delivery into the journal.
    fn note(&mut self, delivery: &Delivery) -> Result<(), LaneError> {
        let (mut keys, bytes) = (std::mem::take(&mut self.keys), std::mem::take(&mut self.bytes));
        delivery.keys(&mut keys);
        let mut bytes = delivery.encode(bytes);
        self.append(DELIVERY, &keys, &bytes)?;
        bytes.clear();
        (self.keys, self.bytes) = (keys, bytes);
        Ok(())
    }

    /// Takes note of what was found from an entry on: what was not told is told, and what the replay finds again is
    /// known.
    fn untold(&mut self, from: Sequence, told: Sequence) -> Result<(), LaneError> {
        let mut found = self.journal.replay(from)?;
        while let Some(entry) = found.next()? {
            if entry.kind != FOUND {
                continue;
            }
            self.found_before.insert(hash(entry.payload));
            if entry.sequence >= told {
                let found = postcard::from_bytes(entry.payload);
                let found = found.map_err(|error| LaneError::Entry(entry.sequence, error.to_string()))?;
                self.to_tell.push((entry.sequence, found));
            }
        }
        Ok(())
    }

    /// Feeds what stands in the journal behind the snapshot.
    fn replay(&mut self, from: Sequence) -> Result<(), LaneError> {
        let unreadable = |sequence, why: &str| LaneError::Entry(sequence, why.to_owned());
        let mut replay = self.journal.replay(from)?;
        while let Some(entry) = replay.next()? {
            let sequence = entry.sequence;
            self.status.beat(now());
            match entry.kind {
                DELIVERY => {
                    let delivery = Delivery::decode(entry.payload);
                    self.feed(delivery.map_err(|error| unreadable(sequence, &error.to_string()))?, sequence)?;
                }
                EDITION => {
                    let edition = postcard::from_bytes(entry.payload);
                    self.go_on_with(edition.map_err(|error| unreadable(sequence, &error.to_string()))?, sequence)?;
                }
                CLOSED | FOUND | TOLD => {}
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

    /// From here on the flow is this edition. One that observes as the last goes on with its transactions; any other
    /// begins anew, and what happened before is before its watch.
    fn go_on_with(&mut self, edition: Edition, at: Sequence) -> Result<(), LaneError> {
        if edition == *self.book.edition() {
            return Ok(());
        }
        let plan = edition.compile();
        let plan = plan.ok_or_else(|| LaneError::Entry(at, "its flow is none to this version".into()))?;
        let before = std::mem::replace(&mut self.plan, plan.clone());
        if before.observes_like(&plan) && self.book.editions.len() < EDITIONS_MAX {
            self.plans_before.push(before);
            self.book.editions.push((at.0, edition));
            return self.handle(Input::Amend(plan), at);
        }
        tracing::warn!("the flow `{}` observes otherwise than before: it is watched from now on", edition.flow);
        self.plans_before.clear();
        self.book.editions = vec![(at.0, edition)];
        self.engine = Engine::new(plan, Pace::Live);
        Ok(())
    }

    /// Feeds one delivery to the engine; `at` is where it stands in the journal.
    fn feed(&mut self, delivery: Delivery, at: Sequence) -> Result<(), LaneError> {
        let name = self.plan.sources.get(delivery.source as usize).map(|source| source.name.clone());
        let name = name.ok_or_else(|| LaneError::Entry(at, "it is of a source that its flow does not read".into()))?;
        let bookmark = self.book.sources.entry(name).or_default();
        bookmark.parts.extend(delivery.parts);
        entry::apply(&mut bookmark.notes, delivery.notes);
        bookmark.number = delivery.number;
        if !delivery.cursor.is_empty() {
            bookmark.cursor = Some(delivery.cursor);
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
            // How many of the editions had begun when it closed.
            let begun = self.book.editions.partition_point(|(since, _)| *since <= entry.sequence.0);
            if begun == 0 {
                break;
            }
            // What earlier runs wrote behind this input is closed again in this one.
            if (at..self.begun_at).contains(&entry.sequence) {
                continue;
            }
            let Some((length, state)) = entry.payload.split_first_chunk() else { continue };
            let identity = state.get(..u32::from_le_bytes(*length) as usize).unwrap_or(state);
            if seen.insert((entry.keys().next(), identity.to_vec())) {
                states.push(match self.plans_before.get(begun - 1) {
                    Some(then) => Engine::renumber_archived(state, then, &self.plan),
                    None => state.to_vec(),
                });
            }
        }
        Ok(states)
    }

    fn found(&mut self, finding: &Finding) -> Result<(), LaneError> {
        let parts = Parts { plan: &self.plan, book: &self.book };
        let record = Record::of(finding, Names { plan: &self.plan, places: &parts });
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

    /// Tells what was found, once that is durable.
    fn tell(&mut self) -> Result<(), LaneError> {
        if !self.to_tell.is_empty() {
            self.commit()?;
        }
        for found in self.to_tell.drain(..) {
            let mut found = (self.number, found);
            // Who does not listen any more does not want to know.
            while let Err(SendTimeoutError::Timeout(untold)) = self.tell.send_timeout(found, IDLE) {
                self.status.beat(now());
                found = untold;
            }
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
                Ok(_) => {
                    self.status.trouble(None, now());
                    return Ok(());
                }
                Err(error @ journal::Error::NotCommitted { .. }) => {
                    tracing::error!("{error}; trying again in {} s", RETRY.as_secs());
                    self.status.trouble(Some(error.to_string()), now());
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
        self.journal.save_snapshot(self.journal.next(), |out| {
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
