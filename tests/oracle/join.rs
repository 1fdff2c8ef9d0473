//! Joining by definition: bindings as a least fixpoint over the whole history.

use super::case::{Case, Observation};
use std::collections::BTreeMap;
use throughline::flow::plan::Flow;
use throughline::model::time::Time;
use throughline::model::{FlowId, KeyId};

/// What became of the observations of one flow.
pub struct Joined<'c> {
    /// The transactions by their keys.
    pub transactions: Vec<Transaction<'c>>,
    /// The observations that joined none.
    pub unattached: Vec<&'c Observation>,
}

/// One value of the flow's key, and all that joined it.
pub struct Transaction<'c> {
    /// The value.
    pub key: String,
    /// Every other key bound to it, with the time of the binding.
    pub bound: Bound,
    /// Its observations by time, source and position.
    pub records: Vec<&'c Observation>,
}

type Bound = BTreeMap<(KeyId, String), Time>;

/// Joins the observations of one flow.
pub fn join(case: &Case, flow_id: FlowId) -> Joined<'_> {
    let flow = case.flow(flow_id);
    let mut bindings: BTreeMap<String, Bound> = BTreeMap::new();
    for observation in case.of(flow_id) {
        for (_, value) in observation.keys.iter().filter(|(name, _)| *name == 0) {
            let bound = bindings.entry(value.clone()).or_default();
            for key in observation.keys.iter().filter(|(name, _)| *name != 0) {
                bind(bound, key, observation.time);
            }
        }
    }
    for bound in bindings.values_mut() {
        while case.of(flow_id).filter(|o| !o.has_flow_key()).any(|o| bind_along(flow, bound, o)) {}
    }
    let joins = |key: &str, bound: &Bound, o: &Observation| match o.has_flow_key() {
        true => o.keys.contains(&(0, key.to_owned())),
        false => o.keys.iter().any(|k| reach(flow, bound, o, k).is_some()),
    };
    let mut records: Vec<&Observation> = case.of(flow_id).collect();
    records.sort_by_key(|o| o.order());
    let unattached = records.iter().filter(|o| !bindings.iter().any(|(key, bound)| joins(key, bound, o)));
    let unattached = unattached.copied().collect();
    let transaction = |(key, bound): (String, Bound)| {
        let records = records.iter().filter(|o| joins(&key, &bound, o)).copied().collect();
        Transaction { key, bound, records }
    };
    Joined { transactions: bindings.into_iter().map(transaction).collect(), unattached }
}

/// The time of the binding through which this key brings the observation in.
fn reach(flow: &Flow, bound: &Bound, observation: &Observation, key: &(KeyId, String)) -> Option<Time> {
    flow.keys[key.0 as usize].rank?;
    bound.get(key).copied().filter(|at| *at <= observation.time + flow.linger)
}

/// Binds what an observation without the flow's key can bind; whether anything changed.
fn bind_along(flow: &Flow, bound: &mut Bound, observation: &Observation) -> bool {
    let mut changed = false;
    for from in &observation.keys {
        let Some(at) = reach(flow, bound, observation, from) else { continue };
        for to in &observation.keys {
            if flow.keys[to.0 as usize].rank > flow.keys[from.0 as usize].rank {
                changed |= bind(bound, to, at.max(observation.time));
            }
        }
    }
    changed
}

/// Binds a key, or makes its binding earlier; whether anything changed.
fn bind(bound: &mut Bound, key: &(KeyId, String), at: Time) -> bool {
    match bound.get(key) {
        Some(known) if *known <= at => false,
        _ => bound.insert(key.clone(), at) != Some(at),
    }
}
