//! Ranks of keys, and what an absence has to wait for.
//!
//! ```text
//! ordered(order)  captured(order, payment)  shipped(payment)      order 0, payment 1
//! ```
//! A step without the flow's key joins by its keys, and each of them must have been bound: `shipped`
//! by `payment`, which `captured` binds. So "no shipment came" can be said only once the sources of
//! `shipped` *and* of `captured` have passed the moment; that is the closure of `shipped`.

use super::plan::{Flow, Step};
use crate::model::{KeyId, SourceId, StepId};
use std::collections::BTreeSet;

/// Works out the ranks: the flow's key 0, any other 1 + the lowest rank that it appears beside.
pub(super) fn rank(flow: &mut Flow) {
    flow.keys[0].rank = Some(0);
    loop {
        let mut changed = false;
        for step in &flow.steps {
            let lowest = step.keys.iter().filter_map(|(key, _)| flow.keys[usize::from(*key)].rank).min();
            let Some(next) = lowest.map(|lowest| lowest.saturating_add(1)) else { continue };
            for (key, _) in &step.keys {
                let rank = &mut flow.keys[usize::from(*key)].rank;
                if rank.is_none_or(|rank| rank > next) {
                    *rank = Some(next);
                    changed = true;
                }
            }
        }
        if !changed {
            return;
        }
    }
}

/// The steps that can bind a key to a transaction.
pub fn binders(flow: &Flow, key: KeyId) -> Vec<StepId> {
    let binds = |step: &Step| step.carries(key) && !joining(flow, step, key).is_empty();
    (0..flow.steps.len() as StepId).filter(|id| binds(&flow.steps[usize::from(*id)])).collect()
}

/// The keys by which a step joins when it binds `key`: the flow's own, else those of lower rank.
fn joining(flow: &Flow, step: &Step, key: KeyId) -> Vec<KeyId> {
    let rank = |key: KeyId| flow.keys[usize::from(key)].rank;
    let Some(limit) = rank(key) else { return Vec::new() };
    let lower = step.keys.iter().map(|(key, _)| *key).filter(|key| rank(*key).is_some_and(|rank| rank < limit));
    if step.carries_flow_key { lower.filter(|key| *key == 0).collect() } else { lower.collect() }
}

/// Fills in what each step waits for, and the sources of the flow.
pub(super) fn close(flow: &mut Flow) {
    let mut all = BTreeSet::new();
    for id in 0..flow.steps.len() {
        let mut binding = BTreeSet::new();
        if !flow.steps[id].carries_flow_key {
            for (key, _) in &flow.steps[id].keys {
                collect(flow, *key, &mut binding);
            }
        }
        let step = &mut flow.steps[id];
        step.binders = binding.iter().copied().collect();
        binding.insert(step.source);
        step.closure = binding.iter().copied().collect();
        all.append(&mut binding);
    }
    flow.sources = all.into_iter().collect();
}

/// The sources of all steps along any chain that ends in a binding of `key`. Ranks fall along the
/// chain, so it ends.
fn collect(flow: &Flow, key: KeyId, sources: &mut BTreeSet<SourceId>) {
    if key == 0 {
        return;
    }
    for binder in binders(flow, key) {
        let step = &flow.steps[usize::from(binder)];
        sources.insert(step.source);
        for lower in joining(flow, step, key) {
            collect(flow, lower, sources);
        }
    }
}
