//! What every live source owes, asked of each against the real system.
//!
//! ```text
//! system.rs   what a system under test can do: write, cut, restart, refuse
//! watch.rs    follows it as the daemon would, and keeps all that the source says
//! suite.rs    the contract: one function a promise
//! logs.rs …   one file a system
//! ```
//!
//! A server that is not there is a failure which says what to install: `tests/run` does.

#[path = "../servers/mod.rs"]
mod servers;

mod kafka;
mod logs;
mod postgres_changes;
mod suite;
mod system;
mod watch;
