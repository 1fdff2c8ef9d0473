//! Read-only taps on systems: they yield records and what can be known of their completeness.
//!
//! [`mod@file`] reads recordings, plain, compressed or piped, cut into records with the places where they stand, and
//! follows logs.
//! [`kafka`] follows topics, [`mod@rabbitmq`] exchanges and streams, [`mod@redis`] keys, streams and channels.
//! [`otlp`] and [`http_events`] listen to what is sent to them; [`push`] is what listening has in common.
//! [`live`] is the contract of those that follow a system for as long as it runs.
//! [`mod@postgres`], [`mod@mysql`] and [`mod@sqlite`] read databases; [`tables`] is what polling them has in common, `row_changes`
//! what capturing their changes has.
//! What a record means is none of a source's business; extract decodes it.

mod base64;
mod cursor;
pub mod file;
pub mod http_events;
mod json;
pub mod kafka;
pub mod live;
pub mod mysql;
pub mod otlp;
pub mod postgres;
pub mod push;
pub mod rabbitmq;
pub mod redis;
pub mod remark;
mod row_changes;
pub mod secret;
pub mod sqlite;
pub mod tables;
mod waiting;
