//! What is known of one transaction, for a person who asks.

use super::Engine;
use super::closing;
use super::judging::{limited, values_of};
use super::trace::{Conclusion, Joined, Judged, Trace};
use crate::checks::view::View;
use crate::checks::{self, Case, Verdict};
use crate::model::time::Time;
use crate::model::{CheckId, FlowId, KeyId, key};

impl Engine {
    /// The own keys of the flow's transactions in memory that have a key of this value, whatever its name.
    pub fn owners(&self, flow: FlowId, value: &str) -> Vec<String> {
        let packed = packed(value);
        let mut owners = Vec::new();
        for (name, hash) in self.hashes(flow, value) {
            let found: Vec<u32> = match name {
                0 => self.find_transaction(flow, hash, &packed).into_iter().collect(),
                _ => match self.find_node(flow, name, hash, &packed) {
                    Some(node) => self.state.nodes.bound(node).map(|bound| bound.transaction).collect(),
                    None => Vec::new(),
                },
            };
            owners.extend(found.into_iter().map(|transaction| self.own_key_of(transaction)));
        }
        owners
    }

    /// The hashes under which the archive keeps what has a key of this value: one a key name.
    pub fn hashes(&self, flow: FlowId, value: &str) -> Vec<(KeyId, u64)> {
        let packed = packed(value);
        let names = 0..self.plan.flows[flow as usize].keys.len() as KeyId;
        names.map(|name| (name, key::hash(flow, name, &packed))).collect()
    }

    fn own_key_of(&self, transaction: u32) -> String {
        let mut bytes = Vec::new();
        self.state.store.read(transaction, &mut bytes);
        key::unpack(super::history::read(&bytes, self.state.store.get(transaction)).0)
    }

    /// Everything about the transaction of `flow` whose own key is `key`, where it is in memory; a
    /// closed one is given as the archive kept it.
    pub fn trace(&mut self, flow: FlowId, own: &str, archived: Option<&[u8]>) -> Option<Trace> {
        let mut view = std::mem::take(&mut self.view);
        let packed = packed(own);
        let found = self.find_transaction(flow, key::hash(flow, 0, &packed), &packed);
        let bindings = match (found, archived) {
            (Some(index), _) => {
                self.load(index, &mut view);
                self.bindings_of(index)
            }
            (None, Some(bytes)) => {
                self.load_archived(bytes, &mut view);
                Engine::archived_bindings(bytes)
            }
            (None, None) => {
                self.view = view;
                return None;
            }
        };
        let trace = self.tell(flow, own, &view, &bindings);
        self.view = view;
        Some(trace)
    }

    fn bindings_of(&self, index: u32) -> Vec<Time> {
        let mut bytes = Vec::new();
        self.state.store.read(index, &mut bytes);
        let entries = super::history::read(&bytes, self.state.store.get(index)).1;
        let times = entries.filter_map(|entry| match entry {
            super::history::Entry::Key(node) => self.state.nodes.binding(node, index).map(|b| b.time),
            super::history::Entry::Record { .. } => None,
        });
        times.collect()
    }

    fn tell(&self, flow_id: FlowId, own: &str, view: &View, bindings: &[Time]) -> Trace {
        let plan = &self.plan;
        let flow = &plan.flows[flow_id as usize];
        let mut conclusions = Vec::new();
        let mut observations = Vec::new();
        for (number, check) in flow.checks.iter().enumerate() {
            for by in values_of(check, view) {
                let case = Case { plan, flow_id, check, view, evidence: &self.state.evidence, by };
                let outcome = checks::judge(&case);
                let outcome = if view.limited { limited(outcome) } else { outcome };
                let story = checks::explain(&case, &outcome);
                let verdict = match outcome.verdict {
                    Verdict::NotApplicable => Judged::NotApplicable,
                    Verdict::Passed => Judged::Passed,
                    Verdict::Pending => Judged::Pending,
                    Verdict::Undecided(doubt) => Judged::Undecided(doubt.reason),
                    Verdict::Broken(class, status) => {
                        Judged::Broken(check.class.unwrap_or(class), check.severity_of(class), status)
                    }
                };
                conclusions.push(Conclusion {
                    check: number as CheckId,
                    by: by.map(|k| key::unpack(view.packed(k))),
                    verdict,
                    expected: story.expected,
                    evidence: story.evidence,
                    summary: story.summary,
                });
            }
        }
        let name = |k: u32| flow.keys[view.keys()[k as usize].name as usize].name.clone();
        let value = |k: u32| key::unpack(view.packed(k));
        for (at, record) in view.records().iter().enumerate() {
            let by = view.keys_of(record).first().filter(|_| !record.direct).map(|k| (name(*k), value(*k)));
            let redelivery = !view.effects_of(record.step).iter().any(|e| e.first as usize == at);
            observations.push(Joined { seen: view.seen(at as u32), by, redelivery });
        }
        observations.sort_by_key(|o| (o.seen.time, o.seen.source, o.seen.position, o.seen.step));
        let keys = closing::all_keys(flow, view, &[0]).into_iter().skip(1);
        let bindings = keys.zip(bindings).map(|((name, value), time)| (name, value, *time)).collect();
        Trace { flow: flow_id, key: own.to_owned(), bindings, observations, conclusions }
    }
}

fn packed(value: &str) -> Vec<u8> {
    let mut packed = Vec::new();
    key::pack(value, &mut packed);
    packed
}
