//! The engine: a pure, deterministic state machine from observations to verdicts.
//!
//! No clock, no I/O, no randomness: time is what the inputs say. [`Engine::handle`] takes one
//! [`Input`]; then [`Engine::poll`] is called until it gives `None`.
//!
//! ```text
//! handle(Observations) ─▶ join: bind keys, find transactions ─▶ history grows, wake-up is set
//! handle(Progress)     ─▶ wake-ups that are due ─▶ judge (checks) ─▶ Output::Finding
//!                                              └▶ final? close ─▶ Output::Archive, filter
//! ```
//!
//! A key that the filter says may belong to a closed transaction is asked for
//! ([`Output::Recall`]); the engine waits until [`Input::Recalled`] answers it.

use crate::model::{FlowId, SourceId};
use account::Account;
use std::sync::Arc;
use trace::Trace;
pub mod account;
pub mod keytable;
pub mod trace;

use crate::flow::plan::Plan;
use crate::model::finding::Finding;
use crate::model::observation::Batch;
use crate::model::time::Time;

/// What an engine is told.
#[derive(Clone, Debug)]
pub enum Input {
    /// Observations, in the order in which their source delivered them.
    Observations(Batch),
    /// The source's coverage begins at `at` (included). May be lowered until progress has passed it.
    Begins {
        /// The source.
        source: SourceId,
        /// From here on it would have brought everything.
        at: Time,
    },
    /// The source has delivered everything before `to`.
    Progress {
        /// The source.
        source: SourceId,
        /// Excluded.
        to: Time,
    },
    /// The source may have missed records from `from` to `to`, both included. `to: None` leaves it
    /// open; a second one with the same `from` closes it.
    Gap {
        /// The source.
        source: SourceId,
        /// Included.
        from: Time,
        /// Included; open-ended where `None`.
        to: Option<Time>,
    },
    /// The source went down or came back. While it is down its absences are undecided.
    Down {
        /// The source.
        source: SourceId,
        /// Down or up.
        down: bool,
    },
    /// No more will come from the source: it covers everything before `at`.
    Ends {
        /// The source.
        source: SourceId,
        /// Excluded; [`Time::MAX`] where the recording is declared complete.
        at: Time,
    },
    /// The answer to [`Output::Recall`]: the newest state of each archived transaction that has the key.
    Recalled(Vec<Vec<u8>>),
}

/// What an engine says.
#[derive(Clone, Debug)]
pub enum Output {
    /// A finding was opened, changed, healed or resolved. The newest one with an id counts.
    Finding(Box<Finding>),
    /// A transaction closed: keep its state where it can be found by any of its keys.
    Archive(Archived),
    /// Find the archived transactions that have this key (by its hash), then say [`Input::Recalled`]
    /// before anything else.
    Recall {
        /// The key's hash.
        key: u64,
    },
    /// A batch has been taken in; its memory may be used again.
    Consumed(Batch),
}

/// A closed transaction.
#[derive(Clone, Debug, Default)]
pub struct Archived {
    /// Hashes of all its keys, its own first. A later one with the same first hash and the same
    /// identity bytes replaces it.
    pub keys: Vec<u64>,
    /// Its state, to be given back as it is. The first `identity` bytes name the transaction.
    pub state: Vec<u8>,
    /// How many bytes at the front of `state` identify the transaction.
    pub identity: usize,
}

/// How promptly findings are told; the final ones are the same.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Pace {
    /// As soon as each is due.
    Live,
    /// When a transaction's bounded checks can be judged together: less work, for recordings.
    Settled,
}

/// The engine of one lane.
pub struct Engine {
    plan: Arc<Plan>,
}

impl Engine {
    /// An engine that has seen nothing.
    pub fn new(plan: Arc<Plan>, _pace: Pace) -> Engine {
        Engine { plan }
    }

    /// Takes one input. Call [`Engine::poll`] until `None` before the next one.
    pub fn handle(&mut self, _input: Input) {
        todo!()
    }

    /// The next output; `None` when the input has been worked off.
    pub fn poll(&mut self) -> Option<Output> {
        todo!()
    }

    /// What has been counted so far.
    pub fn account(&self) -> &Account {
        todo!()
    }

    /// Everything about the transaction of `flow` whose own key is `key`, where it is in memory. A closed one
    /// is given as the archive kept it.
    pub fn trace(&self, _flow: FlowId, _key: &str, _archived: Option<&[u8]>) -> Option<Trace> {
        todo!()
    }

    /// The plan that it runs.
    pub fn plan(&self) -> &Arc<Plan> {
        &self.plan
    }
}
