//! Other checks than before: what was observed stays, and all that is open is judged again.

use super::clocks::Clocks;
use super::history::{self, Entry};
use super::judged::{Instance, Judged};
use super::judging::count;
use super::store::{NOWHERE, Transaction};
use super::wheel::Wheel;
use super::{Engine, State, closing};
use crate::engine::account::CheckAccount;
use crate::flow::plan::Plan;
use crate::model::{CheckId, FlowId};
use std::sync::Arc;

/// Per check of a flow as it was: which one of the new flow has its name.
pub(super) type Renumbered = Vec<Option<CheckId>>;

impl Engine {
    /// Goes on with a plan that observes alike. A check is the same as before where it has the same name: what it said
    /// is judged again, and resolved where it no longer holds. What a check said that is gone is forgotten, but for what
    /// was counted of transactions that have closed.
    pub(super) fn amend(&mut self, plan: Arc<Plan>) {
        debug_assert!(self.plan.observes_like(&plan), "its observations mean something else");
        self.forget(0);
        for flow in 0..plan.flows.len() {
            let renumbered = renumbered(&self.plan, &plan, flow as FlowId);
            let State { store, judged, account, .. } = &mut self.state;
            let account = &mut account.flows[flow];
            let open = store.open_ones(flow as FlowId).map(|(index, _)| store.get(index).judged);
            let judged_ones: Vec<u32> = open.filter(|place| *place != NOWHERE).collect();
            judged_ones.iter().for_each(|place| count(account, judged.get(*place), |n| *n -= 1));
            let mut checks = vec![CheckAccount::default(); plan.flows[flow].checks.len()];
            for (old, new) in account.checks.drain(..).zip(&renumbered) {
                if let Some(new) = new {
                    checks[*new as usize] = old;
                }
            }
            account.checks = checks;
            for place in judged_ones {
                judged.get_mut(place).renumber(&renumbered);
                count(account, judged.get(place), |n| *n += 1);
            }
        }
        self.amend_runs(&plan);
        self.clocks = plan.flows.iter().map(|flow| Clocks::new(&plan, flow, self.pace)).collect();
        self.state.wheels = self.clocks.iter().map(|clocks| vec![Wheel::default(); clocks.sources.len()]).collect();
        self.plan = plan;
        for flow in 0..self.plan.flows.len() {
            self.wake_all(flow as FlowId);
        }
        self.moved = true;
    }

    /// Sets anew the wake-ups that the observations of all open transactions call for.
    fn wake_all(&mut self, flow: FlowId) {
        let open: Vec<u32> = self.state.store.open_ones(flow).map(|(index, _)| index).collect();
        for index in open {
            let transaction = self.state.store.get_mut(index);
            transaction.flags &= !(Transaction::ARMED | Transaction::AWAITED);
            let transaction = self.state.store.get(index);
            self.bytes.clear();
            self.state.store.read(index, &mut self.bytes);
            let bytes = std::mem::take(&mut self.bytes);
            for entry in history::read(&bytes, transaction).1 {
                if let Entry::Record { head, .. } = entry {
                    self.wake(index, head.step, head.time);
                }
            }
            self.bytes = bytes;
        }
    }

    /// The archived state of a transaction that was judged by the checks of `old`, for an engine that goes by `new`.
    pub fn renumber_archived(state: &[u8], old: &Plan, new: &Plan) -> Vec<u8> {
        closing::renumber(state, |flow| renumbered(old, new, flow))
    }
}

fn renumbered(old: &Plan, new: &Plan, flow: FlowId) -> Renumbered {
    let [old, new] = [old, new].map(|plan| &plan.flows[flow as usize].checks);
    let number = |name: &str| new.iter().position(|check| check.name == name).map(|at| at as CheckId);
    old.iter().map(|check| number(&check.name)).collect()
}

impl Judged {
    /// What was said, by the numbers that the checks have now.
    pub(super) fn renumber(&mut self, renumbered: &[Option<CheckId>]) {
        let passed = std::mem::take(&mut self.passed);
        let instances = std::mem::take(&mut self.instances);
        for (check, number) in renumbered.iter().enumerate().take(u64::BITS as usize) {
            if let Some(number) = number.filter(|_| passed & 1 << check != 0) {
                self.say_passed(number);
            }
        }
        self.instances.extend(instances.into_iter().filter_map(|instance| {
            let check = renumbered.get(instance.check as usize).copied().flatten()?;
            Some(Instance { check, ..instance })
        }));
    }
}
