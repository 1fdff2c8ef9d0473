//! Closing a transaction, and bringing it back.
//!
//! What closes leaves memory but for its keys' traces in the filter. Its state goes out as bytes
//! that stand for themselves (keys as values, not as places), under the hashes of all its keys:
//!
//! ```text
//! flow  [own key]  │ flags  base  judged  keys: (name, binding's time, value)…  history after its own key
//! └── identity ────┘
//! ```
//!
//! In the history, the keys that became bound stand as places that mean nothing any more: what counts is their order.

use super::amend::Renumbered;
use super::archived::ARCHIVED_BYTES_MAX;
use super::history::{self, Entry};
use super::judged::Judged;
use super::node::Bound;
use super::store::Transaction;
use super::{Engine, Output, TRANSACTION};
use crate::checks::view::View;
use crate::flow::plan::Flow;
use crate::model::time::Time;
use crate::model::value::{get_varint, put_varint};
use crate::model::{FlowId, KeyId, key};

const NONE: u32 = u32::MAX;
/// So many keys are on their way out of memory.
const LEAVING: usize = 16;

/// An archived state, read.
struct State<'a> {
    flow: FlowId,
    own: &'a [u8],
    flags: u8,
    base: i64,
    judged: Judged,
    keys: Vec<(KeyId, Time, &'a [u8])>,
    history: &'a [u8],
}

impl Engine {
    /// Closes the transaction that was judged last, whose history is still at hand: out of memory, into the archive.
    pub(super) fn close(&mut self, index: u32) {
        let transaction = self.state.store.get(index);
        let (flow, base, flags) = (transaction.flow, transaction.base, transaction.flags);
        let (own, entries) = history::read(&self.bytes, transaction);
        let nodes = &self.state.nodes;
        self.hashes.clear();
        self.hashes.push(key::hash(flow, 0, own));
        self.hashes.extend(self.bound.iter().map(|node| nodes.hash(*node)));
        self.closed.push(&self.hashes, |state| {
            let begin = state.len();
            state.extend_from_slice(&flow.to_le_bytes());
            history::write_own_key(own, state);
            let identity = state.len() - begin;
            state.push(flags & Transaction::LIMITED);
            state.extend_from_slice(&base.to_le_bytes());
            self.judged.encode(state);
            put_varint(state, self.bound.len() as u64);
            for node in &self.bound {
                let time = nodes.binding(*node, index).map_or(Time::MAX, |b| b.time);
                state.push(nodes.name(*node));
                state.extend_from_slice(&time.0.to_le_bytes());
                history::write_own_key(nodes.packed(*node), state);
            }
            state.extend_from_slice(entries.bytes);
            identity
        });
        self.leave(self.hashes[0], index | TRANSACTION);
        for at in 0..self.bound.len() {
            let (node, hash) = (self.bound[at], self.hashes[at + 1]);
            self.state.nodes.unbind(node, index);
            let idle = self.state.nodes.is_idle(node);
            self.leave(hash, if idle { node } else { NONE });
            if idle {
                self.state.nodes.remove(node);
            }
        }
        self.state.store.close(index);
        self.state.account.flows[flow as usize].open -= 1;
        if self.closed.bytes().len() >= ARCHIVED_BYTES_MAX {
            self.archive();
        }
    }

    /// Hands out what has closed.
    pub(super) fn archive(&mut self) {
        if !self.closed.is_empty() {
            self.outputs.push_back(Output::Archive(std::mem::take(&mut self.closed)));
        }
    }

    /// Notes that a key leaves memory: its place in the table ([`NONE`] where it keeps it), its trace in the filter.
    /// Both are touched some keys later, when they have come near.
    fn leave(&mut self, hash: u64, place: u32) {
        self.state.table.prefetch(hash);
        self.state.filter.prefetch(hash);
        self.leaving.push_back((hash, place));
        self.forget(LEAVING);
    }

    /// Takes the keys that have left out of the table and leaves their traces in the filter, but for the last `left`
    /// of them. Before a key is looked up none may be left.
    pub(super) fn forget(&mut self, left: usize) {
        while self.leaving.len() > left
            && let Some((hash, place)) = self.leaving.pop_front()
        {
            if place != NONE {
                self.state.table.remove(hash, place);
            }
            self.state.filter.insert(hash);
        }
    }

    /// Brings a closed transaction back, unless it is in memory.
    pub(super) fn restore_transaction(&mut self, bytes: &[u8]) {
        let state = read_state(bytes);
        let own_hash = key::hash(state.flow, 0, state.own);
        if self.find_transaction(state.flow, own_hash, state.own).is_some() {
            return;
        }
        let index = self.open(state.flow, own_hash, state.own, Time(state.base));
        let mut nodes = Vec::with_capacity(state.keys.len());
        for (name, time, packed) in &state.keys {
            let hash = key::hash(state.flow, *name, packed);
            let node = self.find_node(state.flow, *name, hash, packed).unwrap_or_else(|| {
                let node = self.state.nodes.add(state.flow, *name, packed);
                // Other closed transactions may have this key as well.
                self.state.nodes.set_unchecked(node, true);
                self.state.table.insert(hash, node);
                node
            });
            let ordinal = self.state.store.get(index).keys;
            self.state.nodes.bind(node, Bound { transaction: index, ordinal, time: *time });
            self.state.store.get_mut(index).keys += 1;
            nodes.push(node);
        }
        if let Some((first, others)) = nodes.split_first() {
            self.state.store.get_mut(index).first_key = *first;
            nodes = others.to_vec();
        }
        self.entry.clear();
        history::rewrite(entries(&state), &nodes, &mut self.entry);
        self.state.store.append(index, &self.entry);
        let judged = self.state.judged.add(state.judged);
        let transaction = self.state.store.get_mut(index);
        transaction.judged = judged;
        transaction.flags |= state.flags;
        self.wake(index, 0, Time(state.base));
    }

    /// Fills the view with an archived transaction; gives its flow.
    pub(super) fn load_archived(&mut self, bytes: &[u8], view: &mut View) -> FlowId {
        let state = read_state(bytes);
        let flow = &self.plan.flows[state.flow as usize];
        view.clear();
        view.limited = state.flags & Transaction::LIMITED != 0;
        state.keys.iter().for_each(|(name, _, packed)| view.add_key(*name, packed));
        for entry in entries(&state) {
            if let Entry::Record { head, keys, body } = entry {
                let source = flow.steps[head.step as usize].source;
                view.add_record((head.step, source), head.time, head.position, head.direct, keys, body);
            }
        }
        view.arrange(flow.steps.len());
        self.own_key.clear();
        self.own_key.extend_from_slice(state.own);
        state.flow
    }

    /// The own key of an archived transaction of the flow, where it has a key of this value.
    pub fn archived_owner(bytes: &[u8], flow: FlowId, value: &str) -> Option<String> {
        let state = read_state(bytes);
        let mut packed = Vec::new();
        key::pack(value, &mut packed);
        let has = state.own == packed || state.keys.iter().any(|(_, _, bound)| *bound == packed);
        (state.flow == flow && has).then(|| key::unpack(state.own))
    }

    /// The times of an archived transaction's bindings, in the order of its keys.
    pub(super) fn archived_bindings(bytes: &[u8]) -> Vec<Time> {
        read_state(bytes).keys.iter().map(|(_, time, _)| *time).collect()
    }
}

/// An archived state whose checks have other numbers now.
pub(super) fn renumber(bytes: &[u8], renumbered: impl Fn(FlowId) -> Renumbered) -> Vec<u8> {
    let state = read_state(bytes);
    // Flow and own key stand before what was judged, keys and history behind it, and all stay as they are.
    let mut rest = bytes;
    take(&mut rest, 2);
    take_counted(&mut rest);
    take(&mut rest, 1);
    take_i64(&mut rest);
    let mut out = bytes[..bytes.len() - rest.len()].to_vec();
    Judged::decode(&mut rest);
    let mut judged = state.judged;
    judged.renumber(&renumbered(state.flow));
    judged.encode(&mut out);
    out.extend_from_slice(rest);
    out
}

fn entries<'a>(state: &State<'a>) -> history::Entries<'a> {
    history::Entries { bytes: state.history, base: state.base, first_key: NONE }
}

fn read_state(bytes: &[u8]) -> State<'_> {
    let flow = FlowId::from_le_bytes([bytes[0], bytes[1]]);
    let mut rest = &bytes[2..];
    let own = take_counted(&mut rest);
    let flags = take(&mut rest, 1)[0];
    let base = take_i64(&mut rest);
    let judged = Judged::decode(&mut rest);
    let count = get_varint(&mut rest);
    let keys = (0..count).map(|_| {
        let name = take(&mut rest, 1)[0];
        let time = Time(take_i64(&mut rest));
        (name, time, take_counted(&mut rest))
    });
    let keys = keys.collect();
    State { flow, own, flags, base, judged, keys, history: rest }
}

fn take<'a>(bytes: &mut &'a [u8], count: usize) -> &'a [u8] {
    let (taken, rest) = bytes.split_at(count);
    *bytes = rest;
    taken
}

fn take_counted<'a>(bytes: &mut &'a [u8]) -> &'a [u8] {
    let length = get_varint(bytes) as usize;
    take(bytes, length)
}

fn take_i64(bytes: &mut &[u8]) -> i64 {
    let mut eight = [0; 8];
    eight.copy_from_slice(take(bytes, 8));
    i64::from_le_bytes(eight)
}

/// The transaction's own key and all keys bound to it, as names and values.
pub(super) fn all_keys(flow: &Flow, view: &View, own: &[u8]) -> Vec<(String, String)> {
    let name = |id: KeyId| flow.keys[id as usize].name.clone();
    let bound =
        (0..view.keys().len() as u32).map(|k| (name(view.keys()[k as usize].name), key::unpack(view.packed(k))));
    std::iter::once((name(0), key::unpack(own))).chain(bound).collect()
}
