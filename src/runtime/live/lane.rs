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
use super::course::Course;
use super::edition::Compiled;
use super::entry::{Delivery, EDITION};
use super::lane_status::LaneStatus;
use super::ledger::Ledger;
use super::milestone::Milestone;
use crate::engine::BadSnapshot;
use crate::findings::store::StoreError;
use crate::journal::{self, Commit, Journal, Options, Retention, Sequence, Synced};
use crate::model::observation::Batch;
use crate::runtime::clock::now;
use crossbeam_channel::{Receiver, RecvTimeoutError, Sender, bounded};
use std::collections::{BTreeMap, HashSet};
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::path::Path;
use std::sync::Arc;
use std::thread;
use std::time::Duration;

/// Deliveries that are made durable together, at most.
const GROUP_MAX: usize = 256;
/// A snapshot is taken when the journal has grown by so many bytes, which take about a second to replay, and by as many
/// as the last snapshot has: so writing them never costs more than writing the journal.
const SNAPSHOT_BYTES: u64 = 128 << 20;
/// How often an idle lane looks around.
const IDLE: Duration = Duration::from_millis(500);

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

/// One engine with its journal.
pub struct Lane {
    course: Course,
    ledger: Ledger,
    /// By name: each source's newest delivery that the journal has, for the source to see.
    durable: BTreeMap<String, Arc<Milestone>>,
    status: Arc<LaneStatus>,
    retention: Retention,
    /// Bytes of the last snapshot.
    snapshot_bytes: u64,
}

impl Lane {
    /// Opens the journal in a folder, replays what it holds, and goes on with this edition of the flow. All findings
    /// before the entry that `told` gives, when it is told where the journal ends, were told.
    pub fn open(
        number: usize,
        Compiled { edition, plan }: Compiled,
        (folder, retention): (&Path, Retention),
        tell: Sender<(usize, ToTell)>,
        told: impl FnOnce(Sequence) -> Result<Sequence, StoreError>,
        status: Arc<LaneStatus>,
    ) -> Result<Lane, LaneError> {
        let (journal, recovered) = Journal::open(folder, Options::default(), now().0)?;
        let (course, from) = match &recovered.snapshot {
            Some(snapshot) => (Course::resume(snapshot)?, snapshot.sequence),
            None => (Course::begin(edition.clone(), plan), recovered.oldest.sequence),
        };
        let ledger = Ledger::new(journal, recovered.end, (number, tell), status.clone());
        let snapshot_bytes = recovered.snapshot.map_or(0, |snapshot| snapshot.bytes.len() as u64);
        let mut lane = Lane { course, ledger, durable: BTreeMap::new(), status, retention, snapshot_bytes };
        let told = told(recovered.end)?.max(recovered.oldest.sequence);
        lane.ledger.look_back(from.min(told), told)?;
        lane.replay(from)?;
        if recovered.end == Sequence::default() || *lane.course.book().edition() != edition {
            let text = postcard::to_stdvec(&edition).expect("plain data is encodable");
            let at = lane.ledger.append(EDITION, &[], &text)?;
            lane.ledger.commit()?;
            lane.course.go_on_with(edition, at, &mut lane.ledger)?;
        }
        Ok(lane)
    }

    /// What its engine has made of the journal.
    pub fn course(&self) -> &Course {
        &self.course
    }

    /// The newest delivery of a source that the journal has, as it will be.
    pub fn durable(&mut self, source: &str) -> Arc<Milestone> {
        let durable = self.durable.entry(source.to_owned()).or_default().clone();
        self.tell_durable();
        durable
    }

    /// Batches that it has worked off, to be filled again.
    pub fn spent(&self) -> Receiver<Batch> {
        self.ledger.spent()
    }

    /// The journal has all that was fed.
    fn tell_durable(&self) {
        for (name, milestone) in &self.durable {
            milestone.reach(self.course.book().delivered(name));
        }
    }

    /// Takes deliveries until there are no more to come, then leaves a snapshot behind.
    pub fn run(&mut self, deliveries: &Receiver<Delivery>) -> Result<(), LaneError> {
        let (to_disk, commits) = bounded::<Commit>(1);
        let (done, on_disk) = bounded::<Synced>(1);
        self.ledger.use_disk(to_disk, on_disk);
        thread::scope(|scope| {
            scope.spawn(move || commits.into_iter().try_for_each(|commit| done.send(commit.sync())));
            // The disk's thread ends whatever becomes of the lane.
            let ended = catch_unwind(AssertUnwindSafe(|| self.take(deliveries)));
            self.ledger.leave_disk();
            ended.unwrap_or_else(|panic| resume_unwind(panic))
        })?;
        self.snapshot()
    }

    fn take(&mut self, deliveries: &Receiver<Delivery>) -> Result<(), LaneError> {
        let mut group = Vec::new();
        loop {
            self.status.show(&self.course.engine().account().flows[0], self.ledger.journal.durable().0, now());
            match deliveries.recv_timeout(IDLE) {
                Ok(first) => group.push(first),
                Err(RecvTimeoutError::Timeout) => continue,
                Err(RecvTimeoutError::Disconnected) => return Ok(()),
            }
            group.extend(deliveries.try_iter().take(GROUP_MAX - 1));
            group.iter().try_for_each(|delivery| self.ledger.note(delivery))?;
            self.ledger.begin_commit();
            for delivery in group.drain(..) {
                self.course.feed(delivery, Sequence(u64::MAX), &mut self.ledger)?;
            }
            self.ledger.end_commit()?;
            self.tell_durable();
            self.ledger.tell()?;
            if self.ledger.grown >= self.snapshot_bytes.max(SNAPSHOT_BYTES) {
                self.snapshot()?;
            }
        }
    }

    /// Feeds what stands in the journal behind the snapshot.
    fn replay(&mut self, from: Sequence) -> Result<(), LaneError> {
        let mut replay = self.ledger.journal.replay(from)?;
        while let Some(entry) = replay.next()? {
            self.status.beat(now());
            self.course.take(&entry, &mut self.ledger)?;
        }
        self.ledger.found_before = HashSet::new();
        self.ledger.tell()
    }

    /// Saves the state, and lets go of what nobody needs any more.
    fn snapshot(&mut self) -> Result<(), LaneError> {
        self.ledger.commit()?;
        let journal = &mut self.ledger.journal;
        self.snapshot_bytes = journal.save_snapshot(journal.next(), |out| self.course.snapshot(out))?;
        journal.retain(self.retention, now().0)?;
        self.ledger.grown = 0;
        Ok(())
    }
}
