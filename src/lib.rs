//! Throughline follows business transactions through the systems that carry them and says of each
//! whether it came out consistent, with evidence.

pub mod checks;
pub mod cli;
pub mod config;
pub mod connect;
pub mod demo;
pub mod engine;
pub mod extract;
pub mod findings;
pub mod flow;
pub mod journal;
pub mod model;
pub mod runtime;
pub mod server;
pub mod sinks;
pub mod sources;
