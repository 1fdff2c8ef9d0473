//! From a record to observations: decode once, match the steps, pull keys and kept fields.

pub mod fields;
pub mod formats;
pub mod time;
pub mod undecodable;
