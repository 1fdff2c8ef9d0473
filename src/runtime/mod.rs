//! Drives the engine: recordings (`verify`), flow tests in virtual time, traces.

pub mod archive;
pub mod coverage;
mod silence;
