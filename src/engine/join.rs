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

use super::history::{self, Entry, Head};
use super::limits::{self, Limit};
use super::node::{Bound, Nodes};
use super::parking::{Parked, Waiting};
use super::store::Transaction;
use super::wheel::Wake;
use super::{Engine, Output, TRANSACTION};
use crate::model::observation::{self, Batch, Body, Dedupe};
use crate::model::time::Time;
use crate::model::value::put_varint;
use crate::model::{FlowId, KeyId};

/// How many observations ahead the places that a join touches are brought near.
const AHEAD_SLOT: usize = 24;
const AHEAD_NODE: usize = 12;
const AHEAD_HISTORY: usize = 6;
const NONE: u32 = u32::MAX;

/// A new or earlier binding of a key: what else carries the key may join the transaction.
#[derive(Clone, Copy, Debug)]
pub(super) struct Spread {
    pub node: u32,
    pub transaction: u32,
    /// The binding moved to an earlier time: what joined by it binds its own keys earlier too.
    pub again: bool,
}

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

    #[inline]
    fn look_ahead(&self, batch: &Batch, at: usize) {
        let entries = batch.entries();
        if let Some(entry) = entries.get(at + AHEAD_SLOT) {
            batch.keys(entry).iter().for_each(|key| self.state.table.prefetch(key.hash));
        }
        if let Some(entry) = entries.get(at + AHEAD_NODE) {
            for key in batch.keys(entry) {
                match self.state.table.find(key.hash, |_| true) {
                    Some(index) if index & TRANSACTION != 0 => self.state.store.prefetch(index & !TRANSACTION),
                    Some(index) => self.state.nodes.prefetch(index),
                    None => self.state.filter.prefetch(key.hash),
                }
            }
        }
        if let Some(entry) = entries.get(at + AHEAD_HISTORY) {
            for key in batch.keys(entry) {
                match self.state.table.find(key.hash, |_| true) {
                    Some(index) if index & TRANSACTION != 0 => self.state.store.prefetch_end(index & !TRANSACTION),
                    Some(index) => {
                        let bound = self.state.nodes.bound(index).next();
                        bound.iter().for_each(|b| self.state.store.prefetch(b.transaction));
                    }
                    None => {}
                }
            }
        }
    }

    /// Finds the places of an observation's keys. `Some` where a closed transaction may have one of
    /// them and must be recalled first.
    fn resolve(&mut self, batch: &Batch, entry: &observation::Entry) -> Option<u64> {
        self.resolved.clear();
        for key in batch.keys(entry) {
            let packed = batch.packed(key);
            let found = if key.name == 0 {
                self.find_transaction(entry.flow, key.hash, packed)
            } else {
                self.find_node(entry.flow, key.name, key.hash, packed)
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

    pub(super) fn find_transaction(&self, flow: FlowId, hash: u64, packed: &[u8]) -> Option<u32> {
        let is_it = |i: u32| i & TRANSACTION != 0 && self.state.store.is(i & !TRANSACTION, flow, packed);
        self.state.table.find(hash, is_it).map(|i| i & !TRANSACTION)
    }

    pub(super) fn find_node(&self, flow: FlowId, name: KeyId, hash: u64, packed: &[u8]) -> Option<u32> {
        self.state.table.find(hash, |i| i & TRANSACTION == 0 && self.state.nodes.is(i, flow, name, packed))
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

    /// Parks an observation at each of its keys that is bound to no transaction in time.
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
            if !joined {
                state.account.flows[flow as usize].unattached[head.step as usize] += 1;
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
        unbound.iter().for_each(|node| state.nodes.park(*node, place));
    }

    /// Removes keys to which nothing is bound and for which nobody waits.
    pub(super) fn drop_idle(&mut self, nodes: &[u32]) {
        for node in nodes {
            if self.state.nodes.is_idle(*node) && self.state.table.remove(self.state.nodes.hash(*node), *node) {
                self.state.nodes.remove(*node);
            }
        }
    }

    /// Works off one new binding: what else carries the key joins where the binding is in time.
    pub(super) fn spread(&mut self) {
        let Some(spread) = self.spreads.last().copied() else { return };
        if self.state.nodes.is_unchecked(spread.node) {
            let hash = self.state.nodes.hash(spread.node);
            if !self.asked.contains(&hash) && self.state.filter.contains(hash) {
                self.recall(hash);
                return;
            }
            self.state.nodes.set_unchecked(spread.node, false);
        }
        self.spreads.pop();
        if self.spreads.is_empty() {
            self.asked.clear();
        }
        let flow = self.state.store.get(spread.transaction).flow;
        let parked: Vec<u32> = self.state.nodes.parked(spread.node).to_vec();
        for place in parked {
            let waiting = self.state.parking.waiting(place);
            if self.join(flow, &waiting, spread.transaction, false) {
                let parked = self.state.parking.places.get_mut(place);
                if !std::mem::replace(&mut parked.joined, true) {
                    self.state.evidence.remove_stray(flow, parked.step, parked.time, parked.number);
                }
            }
        }
        if let Some(earliest) = self.state.nodes.earliest(spread.node, spread.transaction) {
            self.spread_from(flow, earliest, &spread);
        }
        if spread.again
            && let Some(own) = self.state.nodes.binding(spread.node, spread.transaction)
        {
            self.spread_from(flow, own, &spread);
        }
    }

    /// Lets what joined `bound.transaction` by the key join the newly bound one too.
    fn spread_from(&mut self, flow: FlowId, bound: Bound, spread: &Spread) {
        let linger = self.plan.flows[flow as usize].linger;
        let base = self.state.store.get(bound.transaction).base;
        let mut bytes = Vec::new();
        self.state.store.read(bound.transaction, &mut bytes);
        let (_, entries) = history::read(&bytes, base);
        let mut nodes = Vec::new();
        let mut found = Vec::new();
        for entry in entries {
            match entry {
                Entry::Key(node) => nodes.push(node),
                Entry::Record { head, mut keys, body } => {
                    let carries = !head.direct && bound.time <= head.time + linger;
                    if carries && keys.any(|k| k == u32::from(bound.ordinal)) {
                        found.push((head, keys_of(&entry), body.to_vec()));
                    }
                }
            }
        }
        for (head, ordinals, body) in found {
            let nodes = ordinals.iter().map(|o| nodes[*o as usize]).collect();
            self.join(flow, &Waiting { head, nodes, body }, spread.transaction, false);
        }
    }

    /// Lets an observation without the flow's key join one transaction, where one of its keys is bound
    /// to it in time. Says whether it did. A `fresh` one cannot stand in the history yet.
    fn join(&mut self, flow: FlowId, waiting: &Waiting, transaction: u32, fresh: bool) -> bool {
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
            self.append_indirect(waiting, transaction, fresh);
        }
        self.ties = ties;
        joins
    }

    /// Appends a joined observation with those of its keys that are bound, unless it stands there.
    fn append_indirect(&mut self, waiting: &Waiting, transaction: u32, fresh: bool) {
        let mut ordinals = std::mem::take(&mut self.ordinals);
        ordinals.clear();
        let bound = |nodes: &Nodes, node: u32| nodes.binding(node, transaction).map(|b| u32::from(b.ordinal));
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

    /// Whether the record is in the history already, with all of these keys.
    fn stands_there(&mut self, transaction: u32, head: &Head, ordinals: &[u32]) -> bool {
        let base = self.state.store.get(transaction).base;
        let mut bytes = std::mem::take(&mut self.bytes);
        bytes.clear();
        self.state.store.read(transaction, &mut bytes);
        let (_, mut entries) = history::read(&bytes, base);
        let found = entries.any(|entry| match entry {
            Entry::Record { head: there, .. } if there == *head => {
                let keys = keys_of(&entry);
                ordinals.iter().all(|o| keys.contains(o))
            }
            _ => false,
        });
        self.bytes = bytes;
        found
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

    /// Opens a transaction under its own key.
    pub(super) fn open(&mut self, flow: FlowId, hash: u64, packed: &[u8], time: Time) -> u32 {
        let state = &mut self.state;
        let transaction = state.store.open(flow, time.0);
        state.table.insert(hash, transaction | TRANSACTION);
        self.body.clear();
        history::write_own_key(packed, &mut self.body);
        state.store.append(transaction, &self.body);
        state.account.flows[flow as usize].open += 1;
        transaction
    }

    /// Appends a record to a history.
    fn append(&mut self, transaction: u32, head: &Head, ordinals: &[u32], body: &[u8]) {
        let stored = self.state.store.get_mut(transaction);
        if stored.length() >= limits::HISTORY_BYTES_MAX {
            stored.flags |= Transaction::LIMITED;
            let flow = stored.flow;
            self.hit(flow, Limit::HistoryBytes);
            return;
        }
        let base = stored.base;
        let mut bytes = std::mem::take(&mut self.entry);
        bytes.clear();
        history::write_record(head, base, ordinals, body, &mut bytes);
        self.state.store.append(transaction, &bytes);
        self.entry = bytes;
    }

    /// Sets the wake-ups that an observation calls for.
    pub(super) fn wake(&mut self, transaction: u32, step: u16, time: Time) {
        let stored = self.state.store.get_mut(transaction);
        let flow = stored.flow as usize;
        let wake = Wake { transaction, generation: stored.generation };
        if !stored.has(Transaction::ARMED) {
            stored.flags |= Transaction::ARMED;
            self.state.wheels[flow][0].set(time + self.clocks[flow].settle, wake);
        }
        for (clock, delay) in &self.clocks[flow].wakes[step as usize] {
            self.state.wheels[flow][*clock].set(time + *delay, wake);
        }
    }

    /// Counts a limit that was hit.
    pub(super) fn hit(&mut self, flow: FlowId, limit: Limit) {
        let limits = &mut self.state.account.flows[flow as usize].limits;
        match limits.iter_mut().find(|(name, _)| name == limit.name()) {
            Some((_, count)) => *count += 1,
            None => limits.push((limit.name().to_owned(), 1)),
        }
    }
}

fn keys_of(entry: &Entry<'_>) -> Vec<u32> {
    match entry {
        Entry::Record { keys, .. } => keys.collect(),
        Entry::Key(_) => Vec::new(),
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
