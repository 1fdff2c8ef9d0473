//! The cursor: where we are in each queue of ours and each stream, and by which name our queues go.

use super::place::Place;
use crate::sources::cursor;
use crate::sources::live::Failure;
use serde::{Deserialize, Serialize};

/// What every cursor of this kind begins with, up to its version.
const KIND: &[u8] = b"TLrabbitmq";
const VERSION: u8 = 1;

/// From where to go on.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(super) struct Cursor {
    /// What tells our queues from those of another daemon; chosen at the first start.
    pub id: u64,
    /// How many losses have been told.
    pub told: u64,
    /// What may have been missed since the last proof: whoever goes on from here tells it again.
    pub spoiled: Option<String>,
    /// The queues of ours.
    pub queues: Vec<QueuePlace>,
    /// The streams.
    pub streams: Vec<StreamPlace>,
}

/// A place in a queue of ours.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct QueuePlace {
    /// The name of the tap.
    pub tap: String,
    /// What it is bound to, as a number.
    pub shape: u32,
    pub place: Place,
}

/// A place in a stream.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct StreamPlace {
    /// The name of the tap.
    pub tap: String,
    /// The name of the stream.
    pub stream: String,
    /// Which of several streams of one name it is.
    pub generation: u32,
    /// The offset to go on with; `None` before anything is known of it.
    pub next: Option<u64>,
}

impl Cursor {
    /// What [`Cursor::decode`] goes on from.
    pub fn encode(&self) -> Vec<u8> {
        cursor::encode(KIND, VERSION, self)
    }

    /// The cursor as it was.
    pub fn decode(bytes: &[u8]) -> Result<Cursor, Failure> {
        Ok(cursor::decode(KIND, VERSION, bytes)?)
    }
}
