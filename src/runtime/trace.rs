//! Traces one transaction through recordings.

use super::recording::PartNames;
use super::verify::{Progress, VerifyError, VerifyOptions, run};
use crate::config::Config;
use crate::engine::trace::Trace;
use crate::flow::plan::Plan;
use crate::model::FlowId;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

/// Transactions that are told of one key.
pub const TRANSACTIONS_TRACED_MAX: usize = 20;

/// What is known of the transactions with one key.
#[derive(Debug)]
pub struct Traced {
    /// By flow: the one whose own key it is, then the others.
    pub traces: Vec<Trace>,
    /// How many more there are.
    pub more: usize,
    /// What positions stand for.
    pub parts: PartNames,
    /// The run was interrupted: all of this is as far as it had come.
    pub interrupted: bool,
}

/// Plays all recordings, then tells everything about the transactions that have the key `key`, whatever its name.
pub fn trace(
    config: &Config,
    plan: Arc<Plan>,
    options: &VerifyOptions,
    key: &str,
    interrupted: &Arc<AtomicBool>,
    progress: &mut dyn FnMut(Progress),
) -> Result<Traced, VerifyError> {
    let flows = plan.flows.len();
    let (mut driver, recording, played) = run(config, plan, options, interrupted, progress)?;
    let (mut traces, mut more) = (Vec::new(), 0);
    for flow in 0..flows as FlowId {
        let owners = driver.owners(flow, key)?;
        let room = TRANSACTIONS_TRACED_MAX - traces.len();
        more += owners.len().saturating_sub(room);
        for own in owners.iter().take(room) {
            traces.extend(driver.trace(flow, own)?);
        }
    }
    Ok(Traced { traces, more, parts: recording.part_names(), interrupted: played.interrupted })
}
