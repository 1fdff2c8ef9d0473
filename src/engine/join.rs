//! Joining: which transactions an observation belongs to, and which keys it binds to them.
//!
//! ```text
//! carries the flow's key   → joins (opens) that transaction, binds its other keys to it
//! else, by each key        → joins every transaction to which the key is bound in time, binds its
//!                            keys of higher rank; waits (parked) where a key is bound to none
//! a new binding            → what waited for the key, or joined others by it, joins too (spread)
//! ```
//!
//! An observation that joined by a key stands in the history of the transaction with the key's
//! earliest binding, so that a later binding finds it there; only what no binding has taken up is
//! parked beside.

use super::history::Head;
use super::limits::{self, Limit};
use super::node::{Bound, Nodes};
use super::parking::{Parked, Waiting};
use super::spread::Spread;
use super::store::Transaction;
use super::{Engine, Output, State, TRANSACTION};
use crate::model::observation::{self, Batch, Body, Dedupe, KeyRef};
use crate::model::time::Time;
use crate::model::{FlowId, KeyId};

/// Between two stages of looking ahead so many keys are passed: enough for memory to answer, few enough
/// to be kept near.
const STAGE_KEYS: usize = 10;

/// How many keys of the batch have come through each stage of looking ahead.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Ahead {
    /// Their slots in the table are near.
    slots: usize,
    /// What the slots name is near.
    places: usize,
    /// The end of the history is near, or the transaction to which the key is bound.
    histories: usize,
    /// The end of the history of that transaction is near.
    bound: usize,
}

const NONE: u32 = u32::MAX;

/// A key of an observation, and its binding to one transaction where that is in time.
#[derive(Clone, Copy, Debug)]
pub(super) struct Tie {
    node: u32,
    rank: Option<u8>,
    in_time: Option<Time>,
}

impl Engine {
    /// Takes in observations of the batch until it is used up or something must be done first.
    pub(super) fn take_batch(&mut self) {
        let Some((batch, mut at)) = self.batch.take() else { return };
        let entries = batch.entries();
        while at < entries.len() && self.outputs.is_empty() && self.spreads.is_empty() {
            let entry = &entries[at];
            let (keys, begin) = (batch.keys(entry), batch.keys_begin(entry));
            self.look_ahead(&batch, begin);
            if self.state.store.len() >= limits::TRANSACTIONS_OPEN_MAX {
                self.evict(entry.flow);
            }
            if let Some(key) = self.resolve(&batch, entry.flow, keys, begin) {
                self.recall(key);
                break;
            }
            self.observe(&batch, entry, keys, begin);
            self.asked.clear();
            at += 1;
        }
        if at < entries.len() {
            self.batch = Some((batch, at));
        } else {
            self.outputs.push_back(Output::Consumed(batch));
        }
    }

    /// Brings near what the keys from `at` on will touch, many at once: first their slots in the table, then the
    /// places that those name, then the ends of the histories.
    #[inline]
    fn look_ahead(&mut self, batch: &Batch, at: usize) {
        if at + STAGE_KEYS > self.ahead.bound && self.ahead.bound < self.places.len() {
            self.look_further(batch, at);
        }
    }

    fn look_further(&mut self, batch: &Batch, at: usize) {
        let keys = batch.all_keys();
        let reach = |stage: &mut usize, stages: usize| {
            let from = *stage;
            *stage = keys.len().min(at + (stages + 1) * STAGE_KEYS).max(from);
            from..*stage
        };
        for key in &keys[reach(&mut self.ahead.slots, 4)] {
            self.state.table.prefetch(key.hash);
        }
        self.state.store.prefetch_free(STAGE_KEYS / 2);
        self.state.nodes.prefetch_free(STAGE_KEYS / 2);
        for at in reach(&mut self.ahead.places, 3) {
            match self.state.table.find(keys[at].hash, |_| true) {
                Some(place) => {
                    self.places[at] = place;
                    match place & TRANSACTION {
                        0 => self.state.nodes.prefetch(place),
                        _ => self.state.store.prefetch(place & !TRANSACTION),
                    }
                }
                None => self.state.filter.prefetch(keys[at].hash),
            }
        }
        let known = |place: &&u32| **place != NONE;
        for place in self.places[reach(&mut self.ahead.histories, 2)].iter().filter(known) {
            match place & TRANSACTION {
                0 => self.state.nodes.bound(*place).take(1).for_each(|b| self.state.store.prefetch(b.transaction)),
                _ => self.state.store.prefetch_end(place & !TRANSACTION),
            }
        }
        let nodes = |place: &&u32| **place & TRANSACTION == 0;
        for node in self.places[reach(&mut self.ahead.bound, 1)].iter().filter(nodes) {
            self.state.nodes.bound(*node).take(1).for_each(|b| self.state.store.prefetch_end(b.transaction));
        }
    }

    /// Finds the places of an observation's keys. `Some` where a closed transaction may have one of
    /// them and must be recalled first.
    #[inline]
    fn resolve(&mut self, batch: &Batch, flow: FlowId, keys: &[KeyRef], begin: usize) -> Option<u64> {
        for (place, key) in self.places[begin..].iter_mut().zip(keys) {
            let packed = batch.packed(key);
            let is_it = |place: u32| match key.name {
                0 => is_transaction(&self.state, place, flow, packed),
                name => is_node(&self.state, place, flow, name, packed),
            };
            if *place == NONE || !is_it(*place) {
                *place = self.state.table.find(key.hash, is_it).unwrap_or(NONE);
            }
            let unchecked = *place & TRANSACTION == 0 && self.state.nodes.is_unchecked(*place);
            if *place != NONE && !unchecked {
                continue;
            }
            if self.state.filter.contains(key.hash) && !self.asked.contains(&key.hash) {
                return Some(key.hash);
            }
            if unchecked {
                self.state.nodes.set_unchecked(*place, false);
            }
        }
        None
    }

    pub(super) fn find_transaction(&self, flow: FlowId, hash: u64, packed: &[u8]) -> Option<u32> {
        let is_it = |place| is_transaction(&self.state, place, flow, packed);
        self.state.table.find(hash, is_it).map(|place| place & !TRANSACTION)
    }

    pub(super) fn find_node(&self, flow: FlowId, name: KeyId, hash: u64, packed: &[u8]) -> Option<u32> {
        self.state.table.find(hash, |place| is_node(&self.state, place, flow, name, packed))
    }

    /// Lets one observation join; the places of its keys are known.
    #[inline]
    fn observe(&mut self, batch: &Batch, entry: &observation::Entry, keys: &[KeyRef], begin: usize) {
        self.state.account.flows[entry.flow as usize].observations[entry.step as usize] += 1;
        self.note_run(entry);
        let own = keys.iter().take_while(|k| k.name == 0).count();
        self.node_list.clear();
        for (place, key) in self.places[begin + own..].iter().zip(&keys[own..]) {
            let node = match *place {
                // The same value may stand under two names; under one name a draft holds it once.
                NONE => {
                    let node = self.state.nodes.add(entry.flow, key.name, batch.packed(key));
                    self.state.table.insert(key.hash, node);
                    node
                }
                known => known,
            };
            self.node_list.push(node);
        }
        if own > 0 {
            self.observe_direct(batch, entry, begin, own);
        } else {
            self.observe_indirect(entry, batch.body(entry));
        }
    }

    /// An observation that carries the flow's key joins the transactions that it names, alone.
    #[inline]
    fn observe_direct(&mut self, batch: &Batch, entry: &observation::Entry, begin: usize, own: usize) {
        let keys = batch.keys(entry);
        let head = Head { step: entry.step, time: entry.time, position: entry.position, direct: true };
        let body = Body::read(batch.body(entry));
        for at in 0..own {
            let transaction = match self.places[begin + at] {
                NONE => self.open(entry.flow, keys[at].hash, batch.packed(&keys[at]), entry.time),
                known => known & !TRANSACTION,
            };
            self.ordinals.clear();
            for node in 0..self.node_list.len() {
                let ordinal = self.bind(self.node_list[node], transaction, entry.time);
                self.ordinals.extend(ordinal.map(u32::from));
            }
            let all_bound = self.ordinals.len() == self.node_list.len();
            let dedupe = match body.dedupe {
                Dedupe::Key(i) if i as usize >= own && all_bound => Dedupe::Key(i - own as u32),
                Dedupe::Key(i) => Dedupe::Value(batch.packed(&keys[i as usize])),
                other => other,
            };
            self.append(transaction, &head, (dedupe, body.raw_fields()));
        }
    }

    /// An observation without the flow's key joins by what is bound, and waits for the rest.
    #[inline]
    fn observe_indirect(&mut self, entry: &observation::Entry, body: &[u8]) {
        let flow = entry.flow;
        let head = Head { step: entry.step, time: entry.time, position: entry.position, direct: false };
        let reach = head.time + self.plan.flows[flow as usize].linger;
        if let [node] = self.node_list[..]
            && let Some(bound) = self.state.nodes.only_bound(node)
            && bound.time <= reach
        {
            // Most have one key, bound to one transaction: nothing to bind there, nothing to wait for.
            let body = Body::read(body);
            self.ordinals.clear();
            self.ordinals.push(bound.ordinal.into());
            return self.append(bound.transaction, &head, (body.dedupe, body.raw_fields()));
        }
        let waiting = Waiting { head, nodes: self.node_list.clone(), body: body.to_vec() };
        let mut joins = std::mem::take(&mut self.joins);
        joins.clear();
        for node in &waiting.nodes {
            joins.extend(self.state.nodes.bound(*node).filter(|b| b.time <= reach).map(|b| b.transaction));
        }
        joins.sort_unstable();
        joins.dedup();
        for transaction in &joins {
            self.join(flow, &waiting, *transaction, true);
        }
        self.park(flow, &waiting, reach, !joins.is_empty());
        self.joins = joins;
    }

    /// Parks an observation where one of its keys is bound to no transaction in time.
    fn park(&mut self, flow: FlowId, waiting: &Waiting, reach: Time, joined: bool) {
        let keys = &self.plan.flows[flow as usize].keys;
        let (state, head) = (&mut self.state, &waiting.head);
        let waits = |node: &u32| {
            keys[state.nodes.name(*node) as usize].rank.is_some() && !state.nodes.bound(*node).any(|b| b.time <= reach)
        };
        let unbound: Vec<u32> = waiting.nodes.iter().copied().filter(waits).collect();
        if joined && unbound.is_empty() {
            return;
        }
        if unbound.is_empty() || state.parking.places.len() >= limits::PARKED_MAX {
            // One without a usable key belongs nowhere, unless it shows that a job ran.
            let at_home = unbound.is_empty() && state.runs.iter().any(|r| r.expects(flow, head.step));
            if !joined && !at_home {
                let keys = || state.nodes.keys(&waiting.nodes);
                state.account.flows[flow as usize].stray(head.step, head.time, head.position, keys);
            }
            if !unbound.is_empty() {
                state.parking.count += 1;
                let number = state.parking.count;
                let kept = state.evidence.add_stray(flow, head.step, head.time, number, limits::STRAYS_MAX);
                self.hit(flow, Limit::Parked);
                if !kept {
                    self.hit(flow, Limit::Strays);
                }
            }
            self.drop_idle(&waiting.nodes);
            return;
        }
        state.parking.count += 1;
        let number = state.parking.count;
        let kept = joined || state.evidence.add_stray(flow, head.step, head.time, number, limits::STRAYS_MAX);
        let parked = Parked {
            flow,
            step: head.step,
            time: head.time,
            position: head.position,
            nodes: waiting.nodes.clone(),
            body: waiting.body.clone(),
            joined,
            number,
        };
        let place = state.parking.park(parked, reach);
        // At all of its keys, so that none of them is given up while it waits.
        waiting.nodes.iter().for_each(|node| state.nodes.park(*node, place));
        if !kept {
            self.hit(flow, Limit::Strays);
        }
    }

    /// Lets an observation without the flow's key join one transaction, where one of its keys is bound
    /// to it in time. Says whether it did. A `fresh` one cannot stand in the history yet.
    pub(super) fn join(&mut self, flow: FlowId, waiting: &Waiting, transaction: u32, fresh: bool) -> bool {
        let keys = &self.plan.flows[flow as usize].keys;
        let head = &waiting.head;
        let reach = head.time + self.plan.flows[flow as usize].linger;
        let mut ties = std::mem::take(&mut self.ties);
        ties.clear();
        ties.extend(waiting.nodes.iter().map(|node| {
            let bound = self.state.nodes.binding(*node, transaction).map(|b| b.time);
            let rank = keys[self.state.nodes.name(*node) as usize].rank;
            Tie { node: *node, rank, in_time: bound.filter(|time| *time <= reach && rank.is_some()) }
        }));
        let joins = ties.iter().any(|t| t.in_time.is_some());
        if joins {
            for tie in ties.iter().filter(|t| t.rank.is_some()) {
                let lower = ties.iter().filter(|t| t.rank.is_some() && t.rank < tie.rank);
                if let Some(earliest) = lower.filter_map(|t| t.in_time).min() {
                    self.bind(tie.node, transaction, earliest.max(head.time));
                }
            }
            self.append_indirect(waiting, transaction, reach, fresh);
        }
        self.ties = ties;
        joins
    }

    /// Appends a joined observation with those of its keys by which it joins, unless it stands there. A key that
    /// is bound too late for it is left out, whether the binding is known already or not.
    fn append_indirect(&mut self, waiting: &Waiting, transaction: u32, reach: Time, fresh: bool) {
        let mut ordinals = std::mem::take(&mut self.ordinals);
        ordinals.clear();
        let in_time = |nodes: &Nodes, node: u32| nodes.binding(node, transaction).filter(|b| b.time <= reach);
        let bound = |nodes: &Nodes, node: u32| in_time(nodes, node).map(|b| u32::from(b.ordinal));
        ordinals.extend(waiting.nodes.iter().filter_map(|n| bound(&self.state.nodes, *n)));
        let stands_there = !fresh && self.stands_there(transaction, &waiting.head, &ordinals);
        self.ordinals = ordinals;
        if stands_there {
            return;
        }
        let read = Body::read(&waiting.body);
        let mut value = Vec::new();
        let dedupe = match read.dedupe {
            Dedupe::Key(i) => {
                let (node, before) = (waiting.nodes[i as usize], &waiting.nodes[..i as usize]);
                match bound(&self.state.nodes, node) {
                    Some(_) => Dedupe::Key(before.iter().filter_map(|n| bound(&self.state.nodes, *n)).count() as u32),
                    None => {
                        value.extend_from_slice(self.state.nodes.packed(node));
                        Dedupe::Value(&value)
                    }
                }
            }
            other => other,
        };
        self.append(transaction, &waiting.head, (dedupe, read.raw_fields()));
    }

    /// Binds a key to a transaction, or moves the binding to an earlier time. Gives the key's count
    /// among the transaction's keys; `None` where a limit was hit.
    fn bind(&mut self, node: u32, transaction: u32, time: Time) -> Option<u16> {
        let state = &mut self.state;
        if let Some(bound) = state.nodes.binding(node, transaction) {
            if time < bound.time {
                state.nodes.rebind(node, transaction, time);
                self.spreads.push(Spread { node, transaction, again: true });
            }
            return Some(bound.ordinal);
        }
        let flow = state.store.get(transaction).flow;
        let keys = state.store.get(transaction).keys;
        let others = state.nodes.bound_count(node);
        let hit = if keys >= limits::KEYS_PER_TRANSACTION_MAX {
            Some(Limit::KeysPerTransaction)
        } else if others >= limits::TRANSACTIONS_PER_KEY_MAX {
            Some(Limit::TransactionsPerKey)
        } else {
            None
        };
        if let Some(limit) = hit {
            state.store.get_mut(transaction).flags |= Transaction::LIMITED;
            self.hit(flow, limit);
            return None;
        }
        let waits = others > 0 || !state.nodes.parked(node).is_empty() || state.nodes.is_unchecked(node);
        state.nodes.bind(node, Bound { transaction, ordinal: keys, time });
        state.store.bind(transaction, node);
        if waits {
            self.spreads.push(Spread { node, transaction, again: false });
        }
        Some(keys)
    }
}

#[inline]
fn is_transaction(state: &State, place: u32, flow: FlowId, packed: &[u8]) -> bool {
    place & TRANSACTION != 0 && state.store.is(place & !TRANSACTION, flow, packed)
}

#[inline]
fn is_node(state: &State, place: u32, flow: FlowId, name: KeyId, packed: &[u8]) -> bool {
    place & TRANSACTION == 0 && state.nodes.is(place, flow, name, packed)
}
