//! How transactions begin and grow, and the limits that they meet.

use super::history::{self, Head};
use super::limits::{self, Limit};
use super::store::Transaction;
use super::wheel::Wake;
use super::{Engine, TRANSACTION};
use crate::model::FlowId;
use crate::model::observation::Dedupe;
use crate::model::time::Time;

impl Engine {
    /// Opens a transaction under its own key.
    pub(super) fn open(&mut self, flow: FlowId, hash: u64, packed: &[u8], time: Time) -> u32 {
        let state = &mut self.state;
        let transaction = state.store.open(flow, time.0);
        state.table.insert(hash, transaction | TRANSACTION);
        self.entry.clear();
        history::write_own_key(packed, &mut self.entry);
        state.store.append(transaction, &self.entry);
        state.account.flows[flow as usize].open += 1;
        transaction
    }

    /// Appends a record to a history, with the keys that stand in `Engine::ordinals`, and sets the wake-ups that it
    /// calls for.
    #[inline]
    pub(super) fn append(&mut self, transaction: u32, head: &Head, body: (Dedupe<'_>, &[u8])) {
        let stored = self.state.store.get_mut(transaction);
        let flow = stored.flow;
        let armed = stored.has(Transaction::ARMED);
        if stored.length() < limits::HISTORY_BYTES_MAX {
            let bytes = history::write_record(head, stored.base, &self.ordinals, body, &mut self.entry);
            self.state.store.append(transaction, bytes);
        } else {
            stored.flags |= Transaction::LIMITED;
            self.hit(flow, Limit::HistoryBytes);
        }
        if !armed || self.clocks[flow as usize].wakes_any {
            self.wake(transaction, head.step, head.time);
        }
    }

    /// Sets the wake-ups that an observation calls for.
    pub(super) fn wake(&mut self, transaction: u32, step: u16, time: Time) {
        let stored = self.state.store.get_mut(transaction);
        let clocks = &self.clocks[stored.flow as usize];
        let wheels = &mut self.state.wheels[stored.flow as usize];
        let wake = Wake { transaction, generation: stored.generation };
        if !stored.has(Transaction::ARMED) {
            stored.flags |= Transaction::ARMED;
            wheels[0].set(time + clocks.settle, wake);
        }
        for &(clock, delay) in &clocks.wakes[step as usize] {
            let (due, latest) = (time + delay, Time(stored.base) + clocks.latest[clock]);
            let awaited = Transaction::awaited(clock);
            if due >= latest && stored.has(awaited) {
                continue;
            }
            if due <= latest {
                stored.flags |= awaited;
            }
            wheels[clock].set(due, wake);
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

    /// Removes keys to which nothing is bound and for which nobody waits.
    pub(super) fn drop_idle(&mut self, nodes: &[u32]) {
        for node in nodes {
            if self.state.nodes.is_idle(*node) && self.state.table.remove(self.state.nodes.hash(*node), *node) {
                self.state.nodes.remove(*node);
            }
        }
    }
}
