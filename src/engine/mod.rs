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

pub mod account;
mod amend;
mod archived;
mod clocks;
mod closing;
pub mod filter;
mod growth;
mod history;
mod join;
mod judged;
mod judging;
pub mod keytable;
mod limits;
mod node;
mod parking;
mod plain;
mod schedules;
mod slab;
mod snapshot;
mod spread;
mod store;
pub mod trace;
mod tracing;
mod wheel;

pub use archived::{Archived, Closed};
pub use snapshot::BadSnapshot;

use crate::checks::evidence::Evidence;
use crate::checks::usual::Glance;
use crate::checks::view::View;
use crate::flow::plan::Plan;
use crate::model::finding::Finding;
use crate::model::observation::Batch;
use crate::model::time::Time;
use crate::model::{FlowId, SourceId, StepId};
use account::{Account, ByReason, CheckAccount, FlowAccount};
use clocks::Clocks;
use filter::Filter;
use join::{Ahead, Tie};
use judged::Judged;
use judging::Come;
use keytable::KeyTable;
use limits::Limit;
use node::Nodes;
use parking::Parking;
use schedules::Runs;
use serde::{Deserialize, Serialize};
use slab::Slab;
use spread::Spread;
use std::collections::VecDeque;
use std::sync::Arc;
use store::Store;
use wheel::{Wake, Wheel};

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
    /// From here on this plan counts, which observes as the one before ([`Plan::observes_like`]) and may have other
    /// checks. Not after [`Input::Ends`].
    Amend(Arc<Plan>),
    /// The answer to [`Output::Recall`]: the newest state of each archived transaction that has the key.
    Recalled(Vec<Vec<u8>>),
}

/// What an engine says.
#[derive(Clone, Debug)]
pub enum Output {
    /// A finding was opened, changed, healed or resolved. The newest one with an id counts.
    Finding(Box<Finding>),
    /// Transactions closed: keep their states where each can be found by any of its keys.
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

/// How promptly findings are told; the final ones are the same.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Pace {
    /// As soon as each is due.
    Live,
    /// When a transaction's bounded checks can be judged together: less work, for recordings.
    Settled,
}

/// In the table of keys, marks the place of a transaction; without it the place is a node's.
const TRANSACTION: u32 = 1 << 31;
/// How many wake-ups ahead the places that a judgement touches are brought near.
const AHEAD_TRANSACTION: usize = 12;
const AHEAD_HISTORY: usize = 6;
/// So many wake-ups are worked off together, where they are due: between few, nothing can be brought near.
const WAKES_TOGETHER: usize = 256;

/// The engine of one lane.
pub struct Engine {
    plan: Arc<Plan>,
    pace: Pace,
    clocks: Vec<Clocks>,
    state: State,
    // What is under way; empty between inputs.
    outputs: VecDeque<Output>,
    /// What has closed and is still to go out.
    closed: Archived,
    batch: Option<(Batch, usize)>,
    spreads: Vec<Spread>,
    waking: Option<(FlowId, usize, Vec<Wake>, usize)>,
    moved: bool,
    /// Flows that can learn nothing more until a source comes back: all is judged as it stands.
    stuck: Vec<FlowId>,
    waits_for_recall: bool,
    /// Keys that were recalled for the work under way.
    asked: Vec<u64>,
    // Memory that is used again and again.
    view: View,
    usual: Glance,
    /// The history that was read last, and the keys bound there.
    bytes: Vec<u8>,
    bound: Vec<u32>,
    entry: Vec<u8>,
    own_key: Vec<u8>,
    /// Per key of the batch: where it probably stands; once its observation has been looked up, where it stands.
    places: Vec<u32>,
    ahead: Ahead,
    node_list: Vec<u32>,
    ordinals: Vec<u32>,
    joins: Vec<u32>,
    /// Hashes of the keys of what closes.
    hashes: Vec<u64>,
    /// Keys that have left memory: hashes, and their places in the table.
    leaving: VecDeque<(u64, u32)>,
    ties: Vec<Tie>,
    /// The last judgement.
    judged: Judged,
}

/// All that an engine remembers.
#[derive(Serialize, Deserialize)]
struct State {
    evidence: Evidence,
    table: KeyTable,
    store: Store,
    nodes: Nodes,
    filter: Filter,
    /// Per flow and clock.
    wheels: Vec<Vec<Wheel>>,
    parking: Parking,
    judged: Slab<Judged>,
    runs: Vec<Runs>,
    account: Account,
}

impl Engine {
    /// An engine that has seen nothing.
    pub fn new(plan: Arc<Plan>, pace: Pace) -> Engine {
        let clocks: Vec<Clocks> = plan.flows.iter().map(|f| Clocks::new(&plan, f, pace)).collect();
        let account = plan.flows.iter().map(|flow| FlowAccount {
            checks: vec![CheckAccount::default(); flow.checks.len()],
            observations: vec![0; flow.steps.len()],
            unattached: vec![0; flow.steps.len()],
            strays: vec![Vec::new(); flow.steps.len()],
            redelivered: vec![0; flow.steps.len()],
            undecided_by_source: vec![ByReason::default(); plan.sources.len()],
            ..FlowAccount::default()
        });
        let state = State {
            evidence: Evidence::new(&plan),
            table: KeyTable::new(),
            store: Store::default(),
            nodes: Nodes::default(),
            filter: Filter::default(),
            wheels: clocks.iter().map(|c| vec![Wheel::default(); c.sources.len()]).collect(),
            parking: Parking::new(plan.flows.iter().map(|f| f.steps.len())),
            judged: Slab::default(),
            runs: Engine::runs_of(&plan),
            account: Account { flows: account.collect() },
        };
        Engine {
            plan,
            pace,
            clocks,
            state,
            outputs: VecDeque::new(),
            closed: Archived::default(),
            batch: None,
            spreads: Vec::new(),
            waking: None,
            moved: false,
            stuck: Vec::new(),
            waits_for_recall: false,
            asked: Vec::new(),
            view: View::default(),
            usual: Glance::default(),
            bytes: Vec::new(),
            bound: Vec::new(),
            entry: Vec::new(),
            own_key: Vec::new(),
            places: Vec::new(),
            ahead: Ahead::default(),
            node_list: Vec::new(),
            ordinals: Vec::new(),
            joins: Vec::new(),
            hashes: Vec::new(),
            leaving: VecDeque::new(),
            ties: Vec::new(),
            judged: Judged::default(),
        }
    }

    /// Takes one input. Call [`Engine::poll`] until `None` before the next one; only
    /// [`Input::Recalled`] comes in between, when it was asked for.
    pub fn handle(&mut self, input: Input) {
        debug_assert!(
            matches!(input, Input::Recalled(_)) == self.waits_for_recall,
            "a recall is answered before anything else, and nothing else is an answer"
        );
        match input {
            Input::Observations(batch) => {
                self.asked.clear();
                self.places.clear();
                self.places.resize(batch.all_keys().len(), u32::MAX);
                self.ahead = Ahead::default();
                self.batch = Some((batch, 0));
            }
            Input::Begins { source, at } => {
                let coverage = &mut self.state.evidence.sources[source as usize];
                coverage.from = at.min(coverage.from);
            }
            Input::Progress { source, to } => {
                let coverage = &mut self.state.evidence.sources[source as usize];
                coverage.to = to.max(coverage.to);
                coverage.proven = coverage.to;
                self.moved = true;
            }
            Input::Gap { source, from, to } => {
                if self.state.evidence.sources[source as usize].add_gap(from, to, limits::GAPS_MAX) {
                    let plan = self.plan.clone();
                    let touched = (0..).zip(&plan.flows).filter(|(_, flow)| flow.sources.contains(&source));
                    touched.for_each(|(flow, _)| self.hit(flow, Limit::Gaps));
                }
            }
            Input::Amend(plan) => self.amend(plan),
            Input::Down { source, down } => {
                self.state.evidence.sources[source as usize].down = down;
                self.note_stuck();
                self.moved = true;
            }
            Input::Ends { source, at } => {
                let coverage = &mut self.state.evidence.sources[source as usize];
                coverage.to = at.max(coverage.to);
                coverage.ended = true;
                self.note_stuck();
                self.moved = true;
            }
            Input::Recalled(states) => {
                self.waits_for_recall = false;
                states.iter().for_each(|state| self.restore_transaction(state));
            }
        }
    }

    /// The next output; `None` when the input has been worked off.
    pub fn poll(&mut self) -> Option<Output> {
        loop {
            if let Some(output) = self.outputs.pop_front() {
                return Some(output);
            }
            if self.waits_for_recall {
                return None;
            }
            if !self.spreads.is_empty() {
                self.spread();
            } else if self.batch.is_some() {
                self.take_batch();
            } else if self.waking.is_some() {
                self.wake_some();
            } else if !self.moved {
                self.archive();
                return self.outputs.pop_front();
            } else if !self.next_due() {
                self.judge_schedules();
                self.moved = false;
            }
        }
    }

    /// What has been counted so far.
    pub fn account(&self) -> &Account {
        &self.state.account
    }

    /// How far a source has shown itself to have come; `None` before its first progress.
    pub fn progress(&self, source: SourceId) -> Option<Time> {
        Some(self.state.evidence.sources[source as usize].proven).filter(|proven| *proven > Time::MIN)
    }

    /// Where a gap of a source begins whose other side has not been seen; the first, where there are several.
    pub fn open_gap(&self, source: SourceId) -> Option<Time> {
        self.state.evidence.sources[source as usize].open_gap()
    }

    /// The plan that it runs.
    pub fn plan(&self) -> &Arc<Plan> {
        &self.plan
    }

    /// Whether the last input has been worked off.
    pub fn is_idle(&self) -> bool {
        let busy = self.batch.is_some() || self.waking.is_some() || self.moved || self.waits_for_recall;
        !busy && self.outputs.is_empty() && self.closed.is_empty() && self.spreads.is_empty()
    }

    /// Asks for the closed transactions that have this key, once all that has closed is where it can be found.
    fn recall(&mut self, key: u64) {
        self.archive();
        self.asked.push(key);
        self.waits_for_recall = true;
        self.outputs.push_back(Output::Recall { key });
    }

    /// Notes the flows of which every source has ended or is down: no progress will wake their transactions.
    fn note_stuck(&mut self) {
        let sources = &self.state.evidence.sources;
        for (flow, spec) in self.plan.flows.iter().enumerate() {
            let mut of_flow = spec.sources.iter().map(|s| &sources[*s as usize]);
            if of_flow.clone().any(|s| s.down) && of_flow.all(|s| s.down || s.ended) {
                self.stuck.push(flow as FlowId);
            }
        }
    }

    /// Finds what progress has made due: observations that have waited long enough, then the next
    /// bucket of wake-ups, then what cannot wait for progress. Says whether there was any.
    fn next_due(&mut self) -> bool {
        for flow in 0..self.clocks.len() {
            self.expire(flow as FlowId);
            for clock in 0..self.clocks[flow].sources.len() {
                let progress = self.state.evidence.progress(&self.clocks[flow].sources[clock]);
                let wakes = self.state.wheels[flow][clock].pop(progress, WAKES_TOGETHER);
                if !wakes.is_empty() {
                    self.waking = Some((flow as FlowId, clock, wakes, 0));
                    return true;
                }
            }
        }
        let Some(flow) = self.stuck.pop() else { return false };
        let open = self.state.store.open_ones(flow);
        let wakes = open.map(|(transaction, generation)| Wake { transaction, generation }).collect();
        self.waking = Some((flow, 0, wakes, 0));
        true
    }

    /// Observations whose binders' sources have passed: they stay unattached.
    fn expire(&mut self, flow: FlowId) {
        let plan = self.plan.clone();
        let spec = &plan.flows[flow as usize];
        for (step, step_spec) in spec.steps.iter().enumerate() {
            let step = step as StepId;
            let binders = if step_spec.binders.is_empty() { &spec.sources } else { &step_spec.binders };
            let progress = self.state.evidence.progress(binders);
            while let Some((place, parked)) = self.state.parking.expired(flow, step, progress) {
                parked.nodes.iter().for_each(|node| self.state.nodes.unpark(*node, place));
                if !parked.joined {
                    let State { account, nodes, .. } = &mut self.state;
                    let keys = || nodes.keys(&parked.nodes);
                    account.flows[flow as usize].stray(step, parked.time, parked.position, keys);
                }
                self.drop_idle(&parked.nodes);
                if parked.joined {
                    continue;
                }
                let binder = self.state.evidence.binder_known(&plan, flow, step, parked.time);
                if binder.is_yes() && binder.due == Time::MAX {
                    self.state.evidence.remove_stray(flow, step, parked.time, parked.number);
                }
            }
        }
    }

    /// Works off wake-ups until one has something to say.
    fn wake_some(&mut self) {
        let Some((flow, clock, wakes, mut at)) = self.waking.take() else { return };
        let progress = |clock: usize| self.state.evidence.progress(&self.clocks[flow as usize].sources[clock]);
        let come = Come { clock, progress: progress(clock), everything: progress(0) };
        while at < wakes.len() && self.outputs.is_empty() {
            if let Some(ahead) = wakes.get(at + AHEAD_TRANSACTION) {
                self.state.store.prefetch(ahead.transaction);
            }
            if let Some(ahead) = wakes.get(at + AHEAD_HISTORY) {
                self.state.store.prefetch_start(ahead.transaction);
                self.state.nodes.prefetch(self.state.store.get(ahead.transaction).first_key);
            }
            self.look_at(wakes[at], come);
            at += 1;
        }
        if at < wakes.len() {
            self.waking = Some((flow, clock, wakes, at));
        } else {
            self.forget(0);
        }
    }
}
