//! The cursor: up to where each stream was read, and which offsets were given to what is told once.

use super::super::cursor;
use super::super::live::Failure;
use super::streams::Position;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// What every cursor of this kind begins with, up to its version.
const KIND: &[u8] = b"TLredis";
const VERSION: u8 = 2;

/// What is gone on from.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(super) struct State {
    /// Keys or channels were listened to: what was told since is lost.
    pub listened: bool,
    /// The keys that were there at the beginning have been read.
    pub scanned: bool,
    /// What may have been missed since the last proof: whoever goes on from here tells it again.
    pub spoiled: Option<String>,
    /// The last offset of each part whose records have no place in Redis.
    pub offsets: BTreeMap<String, u64>,
    /// The streams by their keys.
    pub streams: BTreeMap<String, Position>,
}

/// What [`decode`] goes on from.
pub(super) fn encode(state: &State) -> Vec<u8> {
    cursor::encode(KIND, VERSION, state)
}

/// The state as it was when the cursor was made.
pub(super) fn decode(bytes: &[u8]) -> Result<State, Failure> {
    Ok(cursor::decode(KIND, VERSION, bytes)?)
}
