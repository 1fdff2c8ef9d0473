//! Drives the engine: recordings (`verify`), flow tests in virtual time, traces, live systems.
//!
//! ```text
//! recording: which files ─▶ play: desks read and extract ─▶ follow: what the times vouch for ─▶ driver: the engine
//! flow_test: records at virtual times ──────────────────────────────────────────────────────▶ driver
//! ```

pub mod archive;
pub mod clock;
pub mod coverage;
mod desk;
pub mod driver;
pub mod findings;
pub mod flow_test;
mod follow;
pub mod live;
pub mod play;
mod portion;
pub mod recording;
pub mod report;
mod silence;
mod sorter;
mod temporary;
pub mod trace;
pub mod verify;

#[cfg(test)]
mod fixture;
