//! How a lane stands while the daemon runs, for whoever asks.

use crate::engine::account::FlowAccount;
use crate::model::time::Time;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering::Relaxed};
use std::sync::{Mutex, PoisonError};

/// One lane as it stands.
#[derive(Debug)]
pub struct LaneStatus {
    /// The flow that it judges.
    pub flow: String,
    /// When the lane last showed that it is alive.
    beat: AtomicI64,
    /// Entries of its journal that are durable.
    entries: AtomicU64,
    state: Mutex<LaneState>,
}

/// What a lane has come to.
#[derive(Clone, Debug, Default)]
pub struct LaneState {
    /// What it has counted.
    pub account: FlowAccount,
    /// What keeps it from making durable what it was given.
    pub trouble: Option<String>,
}

impl LaneStatus {
    /// Of the lane that judges this flow.
    pub fn new(flow: &str, now: Time) -> LaneStatus {
        let flow = flow.to_owned();
        LaneStatus { flow, beat: AtomicI64::new(now.0), entries: AtomicU64::new(0), state: Mutex::default() }
    }

    /// The lane is alive.
    pub(super) fn beat(&self, now: Time) {
        self.beat.store(now.0, Relaxed);
    }

    /// Shows what the lane has counted.
    pub(super) fn show(&self, account: &FlowAccount, entries: u64, now: Time) {
        self.beat(now);
        self.entries.store(entries, Relaxed);
        // Samples of records are for reports, and many to copy.
        let FlowAccount { open, consistent, inconsistent, undecided, ref limits, .. } = *account;
        let account =
            FlowAccount { open, consistent, inconsistent, undecided, limits: limits.clone(), ..FlowAccount::default() };
        self.change(|state| state.account = account);
    }

    /// What keeps it from making durable what it was given; `None` when that is over.
    pub(super) fn trouble(&self, what: Option<String>, now: Time) {
        self.beat(now);
        self.change(|state| state.trouble = what);
    }

    /// When it last showed that it is alive.
    pub fn last_beat(&self) -> Time {
        Time(self.beat.load(Relaxed))
    }

    /// Entries of its journal that are durable.
    pub fn entries(&self) -> u64 {
        self.entries.load(Relaxed)
    }

    /// What it has come to.
    pub fn state(&self) -> LaneState {
        self.change(|state| state.clone())
    }

    fn change<T>(&self, change: impl FnOnce(&mut LaneState) -> T) -> T {
        change(&mut self.state.lock().unwrap_or_else(PoisonError::into_inner))
    }
}
