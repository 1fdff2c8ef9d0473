//! What a new binding brings: other observations that carry the key join the transaction too, however
//! long before it they came.

use super::Engine;
use super::history::{self, Entry, Head};
use super::node::Bound;
use super::parking::Waiting;
use crate::model::FlowId;

/// A new or earlier binding of a key: what else carries the key may join the transaction.
#[derive(Clone, Copy, Debug)]
pub(super) struct Spread {
    pub node: u32,
    pub transaction: u32,
    /// The binding moved to an earlier time: what joined by it binds its own keys earlier too.
    pub again: bool,
}

impl Engine {
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
        for bound in self.standing(&spread) {
            self.spread_from(flow, bound, &spread);
        }
        if spread.again
            && let Some(own) = self.state.nodes.binding(spread.node, spread.transaction)
        {
            self.spread_from(flow, own, &spread);
        }
    }

    /// The other bindings of a key in whose transactions all stands that joined by it: the earliest that is not
    /// to be spread itself, and those that moved and are to be spread again.
    fn standing(&self, spread: &Spread) -> Vec<Bound> {
        let others = || self.spreads.iter().filter(|s| s.node == spread.node && s.transaction != spread.transaction);
        let settled = |other: u32| other != spread.transaction && others().all(|s| s.transaction != other);
        let moved = others().filter(|s| s.again).filter_map(|s| self.state.nodes.binding(s.node, s.transaction));
        self.state.nodes.earliest(spread.node, settled).into_iter().chain(moved).collect()
    }

    /// Lets what joined `bound.transaction` by the key join the newly bound one too.
    fn spread_from(&mut self, flow: FlowId, bound: Bound, spread: &Spread) {
        let linger = self.plan.flows[flow as usize].linger;
        let mut bytes = Vec::new();
        self.state.store.read(bound.transaction, &mut bytes);
        let (_, entries) = history::read(&bytes, self.state.store.get(bound.transaction));
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

    /// Whether the record is in the history already, with all of these keys.
    pub(super) fn stands_there(&mut self, transaction: u32, head: &Head, ordinals: &[u32]) -> bool {
        self.bytes.clear();
        self.state.store.read(transaction, &mut self.bytes);
        let (_, mut entries) = history::read(&self.bytes, self.state.store.get(transaction));
        entries.any(|entry| match entry {
            Entry::Record { head: there, .. } if there == *head => {
                let keys = keys_of(&entry);
                ordinals.iter().all(|o| keys.contains(o))
            }
            _ => false,
        })
    }
}

fn keys_of(entry: &Entry<'_>) -> Vec<u32> {
    match entry {
        Entry::Record { keys, .. } => keys.collect(),
        Entry::Key(_) => Vec::new(),
    }
}
