//! Drives an engine: hands it inputs, keeps its findings, and its archive for it.

use super::archive::Archive;
use super::findings::Findings;
use crate::engine::account::Account;
use crate::engine::trace::Trace;
use crate::engine::{Engine, Input, Output, Pace};
use crate::flow::plan::Plan;
use crate::model::observation::Batch;
use crate::model::{FlowId, key};
use std::collections::BTreeSet;
use std::io;
use std::sync::Arc;

/// An engine with what it needs around it.
pub struct Driver {
    engine: Engine,
    archive: Archive,
    findings: Findings,
}

impl Driver {
    /// A new engine, with its archive in a temporary file.
    pub fn new(plan: Arc<Plan>, pace: Pace) -> io::Result<Driver> {
        Ok(Driver { engine: Engine::new(plan, pace), archive: Archive::in_temp()?, findings: Findings::default() })
    }

    /// Hands one input to the engine and works off what it says. A batch comes back for its memory.
    pub fn feed(&mut self, input: Input) -> io::Result<Option<Batch>> {
        let mut consumed = None;
        self.engine.handle(input);
        while let Some(output) = self.engine.poll() {
            match output {
                Output::Finding(finding) => self.findings.add(&finding)?,
                Output::Archive(archived) => self.archive.store(&archived)?,
                Output::Recall { key } => {
                    let states = self.archive.recall(key)?;
                    self.engine.handle(Input::Recalled(states));
                }
                Output::Consumed(batch) => consumed = Some(batch),
            }
        }
        Ok(consumed)
    }

    /// What the engine has counted.
    pub fn account(&self) -> &Account {
        self.engine.account()
    }

    /// What was found.
    pub fn into_findings(self) -> Findings {
        self.findings
    }

    /// The own keys of the flow's transactions, open or closed, that have a key of this value; first the one whose own
    /// key it is.
    pub fn owners(&mut self, flow: FlowId, value: &str) -> io::Result<Vec<String>> {
        let mut owners: BTreeSet<String> = self.engine.owners(flow, value).into_iter().collect();
        for (_, hash) in self.engine.hashes(flow, value) {
            let archived = self.archive.recall(hash)?;
            owners.extend(archived.iter().filter_map(|state| Engine::archived_owner(state, flow, value)));
        }
        let own = owners.take(value);
        Ok(own.into_iter().chain(owners).collect())
    }

    /// Everything about the transaction of `flow` whose own key is `own`, whether it is open or closed.
    pub fn trace(&mut self, flow: FlowId, own: &str) -> io::Result<Option<Trace>> {
        if let Some(trace) = self.engine.trace(flow, own, None) {
            return Ok(Some(trace));
        }
        let mut packed = Vec::new();
        key::pack(own, &mut packed);
        let archived = self.archive.recall(key::hash(flow, 0, &packed))?;
        Ok(archived.first().and_then(|state| self.engine.trace(flow, own, Some(state))))
    }
}
