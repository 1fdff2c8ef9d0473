//! Drives the engine: recordings (`verify`), flow tests in virtual time, traces.
//!
//! ```text
//! recording: which files ─▶ play: desks read and extract ─▶ follow: what the times vouch for ─▶ driver: the engine
//! ```

pub mod archive;
pub mod coverage;
mod desk;
pub mod driver;
mod follow;
pub mod play;
mod portion;
pub mod recording;
pub mod report;
mod silence;
pub mod trace;
pub mod verify;

#[cfg(test)]
mod fixture;
