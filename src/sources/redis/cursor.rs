//! The cursor: up to where each stream was read, and which offsets were given to what is told once.

use super::super::cursor;
use super::super::live::Failure;
use super::streams::Position;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// What every cursor of this kind begins with, up to its version.
const KIND: &[u8] = b"TLredis";
const VERSION: u8 = 1;

/// What is gone on from.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(super) struct State {
    /// Keys or channels were listened to: what was told since is lost.
    pub listened: bool,
    /// The keys that were there at the beginning have been read.
    pub scanned: bool,
    /// What was lost and has not been told: it is, right before the next proof.
    pub owed: Vec<String>,
    /// The last offset of each part whose records have no place in Redis.
    pub offsets: BTreeMap<String, u64>,
    /// The streams by their keys.
    pub streams: BTreeMap<String, Position>,
}

/// So many reasons are kept; more say nothing new.
const OWED_MAX: usize = 16;

impl State {
    /// Something was lost. It is told right before the next proof, which ends the hole.
    pub fn owe(&mut self, why: impl Into<String>) {
        if self.owed.len() < OWED_MAX {
            self.owed.push(why.into());
        }
    }
}

/// What [`decode`] goes on from.
pub(super) fn encode(state: &State) -> Vec<u8> {
    cursor::encode(KIND, VERSION, state)
}

/// The state as it was when the cursor was made.
pub(super) fn decode(bytes: &[u8]) -> Result<State, Failure> {
    Ok(cursor::decode(KIND, VERSION, bytes)?)
}
