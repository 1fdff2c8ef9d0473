//! Read-only taps on systems: they yield records and what can be known of their completeness.
//!
//! [`mod@file`] reads recordings, plain, compressed or piped, cut into records with the places where they stand, and
//! follows logs.
//! [`kafka`] follows topics.
//! [`mod@redis`] follows keys, streams and channels.
//! [`live`] is the contract of those that follow a system for as long as it runs.
//! [`mod@postgres`] and [`mod@sqlite`] read databases; [`tables`] is what polling them has in common.
//! What a record means is none of a source's business; extract decodes it.

pub mod file;
pub mod kafka;
pub mod live;
pub mod postgres;
pub mod redis;
pub mod remark;
pub mod secret;
pub mod sqlite;
pub mod tables;
mod waiting;
