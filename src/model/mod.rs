//! Types that two or more parts share: time, keys, values, observations, verdicts, findings.
//!
//! Nothing here reads a clock, spawns or does I/O.

pub mod finding;
pub mod json;
pub mod key;
pub mod observation;
pub mod strftime;
pub mod time;
pub mod timestamp;
pub mod value;
pub mod verdict;

/// Index of an evidence source in [`Plan::sources`](crate::flow::plan::Plan).
pub type SourceId = u16;
/// Index of a flow in the plan.
pub type FlowId = u16;
/// Index of a step in its flow.
pub type StepId = u16;
/// Index of a key name in its flow; 0 is the flow's own key.
pub type KeyId = u8;
/// Index of a check in its flow.
pub type CheckId = u16;
