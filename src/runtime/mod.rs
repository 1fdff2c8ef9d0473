//! Drives the engine: recordings (`verify`), flow tests in virtual time, traces.

pub mod coverage;
mod silence;
