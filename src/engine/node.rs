//! Keys that are not the flow's own: to which transactions each is bound, and what waits for it.

use super::slab::Slab;
use crate::model::time::Time;
use crate::model::{FlowId, KeyId, key};
use serde::{Deserialize, Serialize};
use zerocopy::{FromBytes, Immutable, IntoBytes};

const NONE: u32 = u32::MAX;
const SHORT_MAX: usize = 14;
const LENGTH: u8 = 0x0f;
/// `link` is an index into `more`, else the one transaction.
const MANY: u8 = 0x20;
const LONG: u8 = 0x40;
const UNCHECKED: u8 = 0x80;

/// A binding: the transaction, the binding's time, and the key's count among the transaction's keys.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub(super) struct Bound {
    pub transaction: u32,
    pub ordinal: u16,
    pub time: Time,
}

/// One key value. Nearly all are bound to one transaction, which stands in the node itself.
#[derive(Clone, Debug, FromBytes, IntoBytes, Immutable)]
#[repr(C)]
struct Node {
    time: Time,
    link: u32,
    flow: FlowId,
    ordinal: u16,
    name: KeyId,
    flags: u8,
    key: [u8; SHORT_MAX],
}

impl Default for Node {
    fn default() -> Self {
        Node { time: Time::MAX, link: NONE, flow: 0, ordinal: 0, name: 0, flags: 0, key: [0; SHORT_MAX] }
    }
}

impl Node {
    /// The one binding that stands in the node.
    fn own(&self) -> Option<Bound> {
        let own = Bound { transaction: self.link, ordinal: self.ordinal, time: self.time };
        (self.flags & MANY == 0 && self.link != NONE).then_some(own)
    }

    fn many(&self) -> Option<u32> {
        (self.flags & MANY != 0).then_some(self.link)
    }
}

/// What does not fit into a node.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
struct More {
    /// All bindings, in order of binding.
    bound: Vec<Bound>,
    /// Observations that wait here for a binding.
    parked: Vec<u32>,
}

/// All keys in memory.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(super) struct Nodes {
    #[serde(with = "super::slab::plain")]
    nodes: Slab<Node>,
    more: Slab<More>,
    long: Slab<Vec<u8>>,
}

impl Nodes {
    /// Adds a key that is not there yet, bound to nothing.
    pub fn add(&mut self, flow: FlowId, name: KeyId, packed: &[u8]) -> u32 {
        let mut node = Node { flow, name, ..Node::default() };
        if packed.len() <= SHORT_MAX {
            node.flags = packed.len() as u8;
            node.key[..packed.len()].copy_from_slice(packed);
        } else {
            node.flags = LONG;
            let long = self.long.add(packed.to_vec());
            node.key[..4].copy_from_slice(&long.to_le_bytes());
        }
        self.nodes.add(node)
    }

    /// Takes a key out that is bound to nothing and waited for by nobody.
    pub fn remove(&mut self, index: u32) {
        let node = self.nodes.take(index);
        if node.flags & LONG != 0 {
            self.long.take(long_index(&node));
        }
        if let Some(more) = node.many() {
            self.more.take(more);
        }
    }

    pub fn name(&self, index: u32) -> KeyId {
        self.nodes.get(index).name
    }

    /// The key's packed value.
    #[inline]
    pub fn packed(&self, index: u32) -> &[u8] {
        let node = self.nodes.get(index);
        if node.flags & LONG != 0 {
            self.long.get(long_index(node))
        } else {
            &node.key[..(node.flags & LENGTH) as usize]
        }
    }

    /// Keys as names and values, for people.
    pub fn keys(&self, indexes: &[u32]) -> Vec<(KeyId, String)> {
        indexes.iter().map(|index| (self.name(*index), key::unpack(self.packed(*index)))).collect()
    }

    #[inline]
    pub fn is(&self, index: u32, flow: FlowId, name: KeyId, packed: &[u8]) -> bool {
        let node = self.nodes.get(index);
        node.flow == flow && node.name == name && self.packed(index) == packed
    }

    /// The key's hash.
    pub fn hash(&self, index: u32) -> u64 {
        let node = self.nodes.get(index);
        key::hash(node.flow, node.name, self.packed(index))
    }

    /// All bindings of the key.
    #[inline]
    pub fn bound(&self, index: u32) -> impl Iterator<Item = Bound> + '_ {
        let node = self.nodes.get(index);
        let more = node.many().map_or(&[][..], |more| &self.more.get(more).bound);
        node.own().into_iter().chain(more.iter().copied())
    }

    /// The key's binding, where it has but one.
    #[inline]
    pub fn only_bound(&self, index: u32) -> Option<Bound> {
        self.nodes.get(index).own()
    }

    pub fn bound_count(&self, index: u32) -> usize {
        self.bound(index).count()
    }

    /// The key's binding to a transaction.
    pub fn binding(&self, index: u32, transaction: u32) -> Option<Bound> {
        self.bound(index).find(|b| b.transaction == transaction)
    }

    /// The earliest binding to one of these transactions.
    pub fn earliest(&self, index: u32, among: impl Fn(u32) -> bool) -> Option<Bound> {
        self.bound(index).filter(|b| among(b.transaction)).min_by_key(|b| b.time)
    }

    /// Binds the key to a transaction to which it is not bound yet.
    pub fn bind(&mut self, index: u32, bound: Bound) {
        let node = self.nodes.get_mut(index);
        if node.flags & MANY == 0 && node.link == NONE {
            node.link = bound.transaction;
            node.ordinal = bound.ordinal;
            node.time = bound.time;
            return;
        }
        self.more_of(index).bound.push(bound);
    }

    /// Moves a binding to an earlier time.
    pub fn rebind(&mut self, index: u32, transaction: u32, time: Time) {
        let node = self.nodes.get_mut(index);
        let Some(more) = node.many() else {
            node.time = time;
            return;
        };
        if let Some(bound) = self.more.get_mut(more).bound.iter_mut().find(|b| b.transaction == transaction) {
            bound.time = time;
        }
    }

    /// Ends the binding to a transaction that closes. Its archived state may be asked for again.
    pub fn unbind(&mut self, index: u32, transaction: u32) {
        let node = self.nodes.get_mut(index);
        node.flags |= UNCHECKED;
        match node.many() {
            Some(more) => self.more.get_mut(more).bound.retain(|b| b.transaction != transaction),
            None => node.link = NONE,
        }
    }

    fn more_of(&mut self, index: u32) -> &mut More {
        let node = self.nodes.get_mut(index);
        if node.flags & MANY == 0 {
            let bound = node.own().into_iter().collect();
            node.link = self.more.add(More { bound, parked: Vec::new() });
            node.flags |= MANY;
        }
        self.more.get_mut(node.link)
    }

    /// What waits for the key.
    pub fn parked(&self, index: u32) -> &[u32] {
        self.nodes.get(index).many().map_or(&[], |more| &self.more.get(more).parked)
    }

    pub fn park(&mut self, index: u32, parked: u32) {
        self.more_of(index).parked.push(parked);
    }

    pub fn unpark(&mut self, index: u32, parked: u32) {
        self.more_of(index).parked.retain(|p| *p != parked);
    }

    /// Whether nothing is bound to it and nobody waits.
    pub fn is_idle(&self, index: u32) -> bool {
        self.parked(index).is_empty() && self.bound(index).next().is_none()
    }

    /// Whether closed transactions may have the key that were not asked for yet.
    pub fn is_unchecked(&self, index: u32) -> bool {
        self.nodes.get(index).flags & UNCHECKED != 0
    }

    pub fn set_unchecked(&mut self, index: u32, unchecked: bool) {
        let flags = &mut self.nodes.get_mut(index).flags;
        *flags = if unchecked { *flags | UNCHECKED } else { *flags & !UNCHECKED };
    }

    /// Asks the processor to bring the places near in which the next keys are put.
    pub fn prefetch_free(&self, count: usize) {
        self.nodes.next_free(count).for_each(super::store::prefetch);
    }

    /// Asks the processor to bring a key near, where there is one with this index.
    #[inline]
    pub fn prefetch(&self, index: u32) {
        self.nodes.try_get(index).into_iter().for_each(super::store::prefetch);
    }
}

fn long_index(node: &Node) -> u32 {
    u32::from_le_bytes([node.key[0], node.key[1], node.key[2], node.key[3]])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_is_bound_to_one_then_many() {
        let mut nodes = Nodes::default();
        let short = nodes.add(0, 1, b"short");
        let long = nodes.add(0, 1, b"longer than twelve bytes");
        assert_eq!(nodes.packed(long), b"longer than twelve bytes");
        let bound = |transaction, time| Bound { transaction, ordinal: 0, time: Time(time) };
        nodes.bind(short, bound(7, 3));
        assert_eq!(nodes.bound(short).collect::<Vec<_>>(), [bound(7, 3)]);
        nodes.bind(short, bound(8, 2));
        nodes.rebind(short, 8, Time(1));
        assert_eq!(nodes.earliest(short, |_| true), Some(bound(8, 1)));
        nodes.park(short, 5);
        nodes.unbind(short, 7);
        nodes.unbind(short, 8);
        assert!(!nodes.is_idle(short) && nodes.is_unchecked(short));
        nodes.unpark(short, 5);
        assert!(nodes.is_idle(short));
        assert_eq!(std::mem::size_of::<Node>(), 32);
    }
}
