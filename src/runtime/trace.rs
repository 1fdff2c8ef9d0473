//! Traces one transaction through recordings.

use super::recording::PartNames;
use super::verify::{Progress, VerifyError, VerifyOptions, run};
use crate::config::Config;
use crate::engine::trace::Trace;
use crate::flow::plan::Plan;
use crate::model::FlowId;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

/// What is known of the transactions with one key.
#[derive(Debug)]
pub struct Traced {
    /// One a flow that has such a transaction.
    pub traces: Vec<Trace>,
    /// What positions stand for.
    pub parts: PartNames,
    /// The run was interrupted: all of this is as far as it had come.
    pub interrupted: bool,
}

/// Plays all recordings, then tells everything about the transactions whose own key is `key`.
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
    let mut traces = Vec::new();
    for flow in 0..flows {
        traces.extend(driver.trace(flow as FlowId, key)?);
    }
    Ok(Traced { traces, parts: recording.part_names(), interrupted: played.interrupted })
}
