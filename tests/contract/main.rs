//! What every live source owes, asked of each against the real system.
//!
//! ```text
//! system.rs   what a system under test can do: write, cut, restart, refuse
//! watch.rs    follows it as the daemon would, and keeps all that the source says
//! suite.rs    the contract: one function a promise
//! late.rs     writers that commit late and out of order, and what may not be said then
//! logs.rs …   one file a system
//! jobs/       libraries that run jobs, on the systems that carry them
//! ```
//!
//! A server that is not there is a failure which says what to install: `tests/run` does.

#[path = "../servers/mod.rs"]
mod servers;

mod jobs;
mod kafka;
mod late;
mod logs;
mod mysql;
mod mysql_changes;
mod postgres;
mod postgres_changes;
mod push;
mod rabbitmq;
mod redis;
mod sqlite;
mod suite;
mod system;
mod watch;
