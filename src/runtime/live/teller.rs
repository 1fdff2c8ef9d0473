//! Tells what was found: prints it, then keeps it.
//!
//! In this order, so that nothing is kept that nobody was told of. What stands in a journal and not in the store, after a
//! crash or a failure, is told again at the next start.

use super::ToTell;
use super::board::Board;
use super::edition::Compiled;
use super::entry::Found;
use super::retry::{Failures, RETRY};
use super::sender::Outbox;
use crate::config::outputs::Webhook;
use crate::findings::store::{Store, StoreError, Told};
use crate::journal::Sequence;
use crossbeam_channel::{Receiver, RecvTimeoutError};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

/// Findings that are kept in one transaction, at most.
const BATCH_MAX: usize = 256;
/// How often the findings of each kind are counted, at most; and for each moment that takes, so many are left alone.
const COUNT_EVERY: Duration = Duration::from_secs(1);
const COUNTING_SHARE: u32 = 50;

/// What tells the findings of all lanes.
pub struct Teller<'t> {
    store: Arc<Mutex<Store>>,
    outbox: Option<Outbox>,
    /// The lanes' names in the store.
    lanes: Vec<String>,
    found: Receiver<(usize, ToTell)>,
    tell: &'t mut dyn FnMut(&Found),
    board: &'t Arc<Board>,
    /// What was told and is not kept yet.
    told: Vec<(usize, ToTell)>,
    /// How the store has failed, and when it is tried again.
    failures: Failures,
    next_try: Instant,
    /// The daemon stops.
    stopping: bool,
    /// The store could not be written until the end: what comes now must wait for the next start, as what came before.
    given_up: bool,
    /// How many findings of each kind there are has changed, and when it was last counted.
    changed: bool,
    counted: Instant,
    /// How long counting took.
    counting: Duration,
}

impl<'t> Teller<'t> {
    /// Tells what comes from the lanes of these flows.
    pub fn new(
        flows: &[Compiled],
        store: &Arc<Mutex<Store>>,
        board: &'t Arc<Board>,
        found: Receiver<(usize, ToTell)>,
        tell: &'t mut dyn FnMut(&Found),
    ) -> Teller<'t> {
        let mut teller = Teller {
            store: store.clone(),
            outbox: None,
            lanes: flows.iter().map(|flow| flow.edition.flow.clone()).collect(),
            found,
            tell,
            board,
            told: Vec::new(),
            failures: Failures::default(),
            next_try: Instant::now(),
            stopping: false,
            given_up: false,
            changed: true,
            counted: Instant::now(),
            counting: Duration::ZERO,
        };
        teller.count();
        teller
    }

    /// Sends what is found as well, now that the journals are this daemon's and no other's.
    pub fn send(&mut self, webhook: &Webhook) -> Result<(), StoreError> {
        self.outbox = Some(Outbox::open(webhook, &self.store, self.board)?);
        Ok(())
    }

    /// For a lane that opens its journal: from which entry on its findings are to be told, given where it ends.
    pub fn told(&self, lane: usize) -> impl FnOnce(Sequence) -> Result<Sequence, StoreError> + Send + use<> {
        let (store, lane) = (self.store.clone(), self.lanes[lane].clone());
        move |end| lock(&store).taken_over(&lane, end.0).map(Sequence)
    }

    /// The daemon stops: a store that fails is tried once more, and not for ever.
    pub fn stops(&mut self) {
        self.stopping = true;
    }

    /// Tells what is there, or what comes within a while; false when nothing will come any more.
    pub fn tell(&mut self, patience: Duration) -> bool {
        if self.changed && self.counted.elapsed() > COUNT_EVERY.max(self.counting * COUNTING_SHARE) {
            self.count();
        }
        if !self.told.is_empty() {
            self.wait_for_store(patience);
            return true;
        }
        let first = match self.found.recv_timeout(patience) {
            Ok(first) => first,
            Err(RecvTimeoutError::Timeout) => return true,
            Err(RecvTimeoutError::Disconnected) => return false,
        };
        if self.given_up {
            return true;
        }
        self.told.push(first);
        self.told.extend(self.found.try_iter().take(BATCH_MAX - 1));
        self.told.iter().for_each(|(_, (_, found))| (self.tell)(found));
        self.keep();
        true
    }

    /// The lanes wait as well, when enough is waiting to be told.
    fn wait_for_store(&mut self, patience: Duration) {
        let left = self.next_try.saturating_duration_since(Instant::now());
        if left.is_zero() || self.stopping {
            self.keep();
        } else {
            thread::sleep(left.min(patience));
        }
    }

    fn keep(&mut self) {
        let of_lane = |one: &(usize, ToTell), other: &(usize, ToTell)| one.0 == other.0;
        let kept = self.told.chunk_by(of_lane).try_for_each(|told| {
            let lane = &self.lanes[told[0].0];
            let told = told.iter().map(|(_, (entry, found))| Told {
                entry: entry.0,
                document: &found.json,
                explanation: &found.text,
            });
            lock(&self.store).keep(lane, &told.collect::<Vec<_>>())
        });
        self.changed = true;
        match kept {
            Ok(()) => {
                self.told.clear();
                self.failures = Failures::default();
                self.board.store_trouble(None);
                self.outbox.iter().for_each(Outbox::wake);
            }
            Err(error) if self.stopping => {
                tracing::error!("{error}; what could not be kept is told again at the next start");
                self.told.clear();
                self.given_up = true;
            }
            Err(error) => {
                self.failures.again(&error);
                self.board.store_trouble(Some(error.to_string()));
                self.next_try = Instant::now() + RETRY;
            }
        }
    }

    /// Counts the findings of each kind, for the board.
    fn count(&mut self) {
        let begun = Instant::now();
        match lock(&self.store).counts() {
            Ok(counts) => self.board.findings(counts),
            Err(error) => tracing::warn!("{error}"),
        }
        self.changed = false;
        self.counted = Instant::now();
        self.counting = begun.elapsed();
    }
}

/// The store, for a moment.
pub fn lock(store: &Mutex<Store>) -> MutexGuard<'_, Store> {
    store.lock().unwrap_or_else(PoisonError::into_inner)
}
