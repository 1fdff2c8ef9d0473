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
use super::{Engine, Output, TRANSACTION};
use crate::model::observation::{self, Batch, Body, Dedupe};
use crate::model::time::Time;
use crate::model::value::put_varint;
use crate::model::{FlowId, KeyId};

/// How many observations ahead the places that a join touches are brought near.
const AHEAD_SLOT: usize = 24;
const AHEAD_NODE: usize = 12;
const AHEAD_HISTORY: usize = 6;
const AHEAD_BOUND: usize = 3;
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
            self.look_ahead(&batch, at);
            let entry = &entries[at];
            if self.state.store.len() >= limits::TRANSACTIONS_OPEN_MAX {
                self.evict(entry.flow);
            }
            if let Some(key) = self.resolve(&batch, entry) {
                self.recall(key);
                break;
            }
            self.observe(&batch, entry);
            self.asked.clear();
            at += 1;
        }
        if at < entries.len() {
            self.batch = Some((batch, at));
        } else {
            self.outputs.push_back(Output::Consumed(batch));
        }
    }

    /// Brings near what the observations ahead will touch: first the slots of their keys in the table,
    /// then the places that those name, then the ends of the histories.
    #[inline]
    fn look_ahead(&mut self, batch: &Batch, at: usize) {
        let entries = batch.entries();
        if let Some(entry) = entries.get(at + AHEAD_SLOT) {
            batch.keys(entry).iter().for_each(|key| self.state.table.prefetch(key.hash));
        }
        if let Some(entry) = entries.get(at + AHEAD_NODE) {
            let begin = batch.keys_begin(entry);
            for (key, guess) in batch.keys(entry).iter().zip(&mut self.guesses[begin..]) {
                match self.state.table.find(key.hash, |_| true) {
                    Some(index) => {
                        *guess = index;
                        if index & TRANSACTION != 0 {
                            self.state.store.prefetch(index & !TRANSACTION);
                        } else {
                            self.state.nodes.prefetch(index);
                        }
                    }
                    None => self.state.filter.prefetch(key.hash),
                }
            }
        }
        if let Some(entry) = entries.get(at + AHEAD_HISTORY) {
            let begin = batch.keys_begin(entry);
            for guess in &self.guesses[begin..begin + batch.keys(entry).len()] {
                match *guess {
                    NONE => {}
                    index if index & TRANSACTION != 0 => self.state.store.prefetch_end(index & !TRANSACTION),
                    index => {
                        let bound = self.state.nodes.bound(index).next();
                        bound.iter().for_each(|b| self.state.store.prefetch(b.transaction));
                    }
                }
            }
        }
        if let Some(entry) = entries.get(at + AHEAD_BOUND) {
            let begin = batch.keys_begin(entry);
            let guesses = &self.guesses[begin..begin + batch.keys(entry).len()];
            for node in guesses.iter().filter(|g| *g & TRANSACTION == 0) {
                let bound = self.state.nodes.bound(*node).next();
                bound.iter().for_each(|b| self.state.store.prefetch_end(b.transaction));
            }
        }
    }

    /// Finds the places of an observation's keys. `Some` where a closed transaction may have one of
    /// them and must be recalled first.
    fn resolve(&mut self, batch: &Batch, entry: &observation::Entry) -> Option<u64> {
        self.resolved.clear();
        for (key, guess) in batch.keys(entry).iter().zip(&self.guesses[batch.keys_begin(entry)..]) {
            let packed = batch.packed(key);
            let found = match (key.name, *guess) {
                (0, guess) if guess != NONE && self.is_transaction(guess, entry.flow, packed) => {
                    Some(guess & !TRANSACTION)
                }
                (0, _) => self.find_transaction(entry.flow, key.hash, packed),
                (name, guess) if guess != NONE && self.is_node(guess, entry.flow, name, packed) => Some(guess),
                (name, _) => self.find_node(entry.flow, name, key.hash, packed),
            };
            let known = found.is_some_and(|f| key.name == 0 || !self.state.nodes.is_unchecked(f));
            if !known && !self.asked.contains(&key.hash) && self.state.filter.contains(key.hash) {
                return Some(key.hash);
            }
            if let Some(node) = found.filter(|_| !known) {
                self.state.nodes.set_unchecked(node, false);
            }
            self.resolved.push(found.unwrap_or(NONE));
        }
        None
    }

    #[inline]
    fn is_transaction(&self, place: u32, flow: FlowId, packed: &[u8]) -> bool {
        place & TRANSACTION != 0 && self.state.store.is(place & !TRANSACTION, flow, packed)
    }

    #[inline]
    fn is_node(&self, place: u32, flow: FlowId, name: KeyId, packed: &[u8]) -> bool {
        place & TRANSACTION == 0 && self.state.nodes.is(place, flow, name, packed)
    }

    pub(super) fn find_transaction(&self, flow: FlowId, hash: u64, packed: &[u8]) -> Option<u32> {
        self.state.table.find(hash, |place| self.is_transaction(place, flow, packed)).map(|i| i & !TRANSACTION)
    }

    pub(super) fn find_node(&self, flow: FlowId, name: KeyId, hash: u64, packed: &[u8]) -> Option<u32> {
        self.state.table.find(hash, |place| self.is_node(place, flow, name, packed))
    }

    /// Lets one observation join; `resolved` holds the places of its keys.
    fn observe(&mut self, batch: &Batch, entry: &observation::Entry) {
        let flow = entry.flow as usize;
        self.state.account.flows[flow].observations[entry.step as usize] += 1;
        self.note_run(entry);
        let keys = batch.keys(entry);
        let own = keys.iter().take_while(|k| k.name == 0).count();
        let mut nodes = std::mem::take(&mut self.node_list);
        nodes.clear();
        for (at, key) in keys.iter().enumerate().skip(own) {
            let known = self.resolved[at];
            nodes.push(if known != NONE { known } else { self.add_node(entry.flow, key, batch.packed(key)) });
        }
        if own == 0 {
            let head = Head { step: entry.step, time: entry.time, position: entry.position, direct: false };
            let mut body = std::mem::take(&mut self.body);
            body.clear();
            body.extend_from_slice(batch.body(entry));
            let waiting = Waiting { head, nodes, body };
            self.observe_indirect(entry.flow, &waiting);
            self.node_list = waiting.nodes;
            self.body = waiting.body;
        } else {
            self.observe_direct(batch, entry, own, &nodes);
            self.node_list = nodes;
        }
    }

    fn add_node(&mut self, flow: FlowId, key: &observation::KeyRef, packed: &[u8]) -> u32 {
        // The same value may stand under two names; under one name a draft holds it once.
        let node = self.state.nodes.add(flow, key.name, packed);
        self.state.table.insert(key.hash, node);
        node
    }

    /// An observation that carries the flow's key joins the transactions that it names, alone.
    fn observe_direct(&mut self, batch: &Batch, entry: &observation::Entry, own: usize, nodes: &[u32]) {
        let head = Head { step: entry.step, time: entry.time, position: entry.position, direct: true };
        let keys = batch.keys(entry);
        for (at, key) in keys.iter().enumerate().take(own) {
            let packed = batch.packed(key);
            let known = self.resolved[at];
            let transaction = if known != NONE { known } else { self.open(entry.flow, key.hash, packed, entry.time) };
            let mut ordinals = std::mem::take(&mut self.ordinals);
            ordinals.clear();
            for node in nodes {
                ordinals.extend(self.bind(*node, transaction, entry.time).map(u32::from));
            }
            let body = batch.body(entry);
            let read = Body::read(body);
            if let Dedupe::Key(i) = read.dedupe {
                let bound = i as usize >= own && ordinals.len() == nodes.len();
                let value = || Dedupe::Value(batch.packed(&keys[i as usize]));
                let dedupe = if bound { Dedupe::Key(i - own as u32) } else { value() };
                let mut rewritten = std::mem::take(&mut self.body);
                rewrite(dedupe, read.raw_fields(), &mut rewritten);
                self.append(transaction, &head, &ordinals, &rewritten);
                self.body = rewritten;
            } else {
                self.append(transaction, &head, &ordinals, body);
            }
            self.ordinals = ordinals;
            self.wake(transaction, head.step, head.time);
        }
    }

    /// An observation without the flow's key joins by what is bound, and waits for the rest.
    fn observe_indirect(&mut self, flow: FlowId, waiting: &Waiting) {
        let reach = waiting.head.time + self.plan.flows[flow as usize].linger;
        let mut joins = std::mem::take(&mut self.joins);
        joins.clear();
        for node in &waiting.nodes {
            joins.extend(self.state.nodes.bound(*node).filter(|b| b.time <= reach).map(|b| b.transaction));
        }
        joins.sort_unstable();
        joins.dedup();
        for transaction in &joins {
            self.join(flow, waiting, *transaction, true);
        }
        self.park(flow, waiting, reach, !joins.is_empty());
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
                state.evidence.add_stray(flow, head.step, head.time, state.parking.count);
                self.hit(flow, Limit::Parked);
            }
            self.drop_idle(&waiting.nodes);
            return;
        }
        state.parking.count += 1;
        let number = state.parking.count;
        if !joined {
            state.evidence.add_stray(flow, head.step, head.time, number);
        }
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
        if fresh || !self.stands_there(transaction, &waiting.head, &ordinals) {
            let read = Body::read(&waiting.body);
            match read.dedupe {
                Dedupe::Key(i) if ordinals.len() < waiting.nodes.len() => {
                    let node = waiting.nodes[i as usize];
                    let before = &waiting.nodes[..i as usize];
                    let dedupe = match bound(&self.state.nodes, node) {
                        Some(_) => {
                            Dedupe::Key(before.iter().filter_map(|n| bound(&self.state.nodes, *n)).count() as u32)
                        }
                        None => Dedupe::Value(self.state.nodes.packed(node)),
                    };
                    let mut body = Vec::with_capacity(waiting.body.len());
                    rewrite(dedupe, read.raw_fields(), &mut body);
                    self.append(transaction, &waiting.head, &ordinals, &body);
                }
                _ => self.append(transaction, &waiting.head, &ordinals, &waiting.body),
            }
            self.wake(transaction, waiting.head.step, waiting.head.time);
        }
        self.ordinals = ordinals;
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
        state.store.get_mut(transaction).keys += 1;
        let mut bytes = [0; 5];
        bytes[0] = 1;
        bytes[1..].copy_from_slice(&node.to_le_bytes());
        state.store.append(transaction, &bytes);
        if waits {
            self.spreads.push(Spread { node, transaction, again: false });
        }
        Some(keys)
    }
}

/// Writes a body with another dedupe.
fn rewrite(dedupe: Dedupe<'_>, fields: &[u8], out: &mut Vec<u8>) {
    out.clear();
    match dedupe {
        Dedupe::Position => out.push(0),
        Dedupe::Key(index) => put_varint(out, u64::from(index) * 2 + 2),
        Dedupe::Value(value) => {
            put_varint(out, value.len() as u64 * 2 + 1);
            out.extend_from_slice(value);
        }
    }
    out.extend_from_slice(fields);
}
