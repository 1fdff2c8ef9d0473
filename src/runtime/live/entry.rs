//! What stands in the journal of a lane: deliveries, closed transactions, findings, and the editions of the flow.

use crate::engine::Input;
use crate::model::SourceId;
use crate::model::observation::Batch;
use crate::model::time::Time;
use crate::sources::live::Note;
use serde::{Deserialize, Serialize};
use std::collections::HashMap;

/// Kinds of entries. Numbers once given are never given again: 1 was a delivery before its observations were packed, 2 one
/// closed transaction.
pub const DELIVERY: u8 = 6;
/// Closed transactions, under the hashes of all their keys: [`Archived`](crate::engine::Archived), as it stands.
pub const CLOSED: u8 = 7;
/// A finding, under the hash of its id: [`Found`].
pub const FOUND: u8 = 3;

/// By which edition of the flow the entries after it are judged.
pub const EDITION: u8 = 4;
/// How far findings had been told, before the store of findings knew it. Not written any more.
pub const TOLD: u8 = 5;

/// A finding as it is told: once as a line of JSON, once for people.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Found {
    /// As `--findings` writes it.
    pub json: String,
    /// As people read it.
    pub text: String,
}

/// What one source delivered at once: observations, then what it vouches for, and from where it could go on.
#[derive(Debug, Default, Serialize, Deserialize)]
pub struct Delivery {
    /// The source in the plan.
    pub source: SourceId,
    /// Which delivery of the source it is; it grows.
    pub number: u64,
    /// Names of parts that are new; their numbers go on from those that were known.
    pub parts: Vec<String>,
    /// What its records gave.
    #[serde(skip)]
    pub batch: Batch,
    /// What it vouches for, after these.
    pub claims: Vec<Claim>,
    /// The source's own mark.
    pub cursor: Vec<u8>,
    /// What it keeps of single things, or keeps no longer.
    pub notes: Vec<(u64, Option<Note>)>,
}

/// Something that a source vouches for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Claim {
    /// [`Input::Begins`]
    Begins(SourceId, Time),
    /// [`Input::Progress`]
    Progress(SourceId, Time),
    /// [`Input::Gap`]
    Gap(SourceId, Time, Option<Time>),
    /// [`Input::Down`]
    Down(SourceId, bool),
}

/// Brings notes up to date with those of a delivery.
pub fn apply(notes: &mut HashMap<u64, Note>, changes: impl IntoIterator<Item = (u64, Option<Note>)>) {
    for (number, note) in changes {
        match note {
            Some(note) => _ = notes.insert(number, note),
            None => _ = notes.remove(&number),
        }
    }
}

impl Claim {
    /// The claim that an input makes; `None` for what is none.
    pub fn of(input: &Input) -> Option<Claim> {
        match *input {
            Input::Begins { source, at } => Some(Claim::Begins(source, at)),
            Input::Progress { source, to } => Some(Claim::Progress(source, to)),
            Input::Gap { source, from, to } => Some(Claim::Gap(source, from, to)),
            Input::Down { source, down } => Some(Claim::Down(source, down)),
            Input::Observations(_) | Input::Ends { .. } | Input::Recalled(_) | Input::Amend(_) => None,
        }
    }

    /// As the engine is told.
    pub fn input(self) -> Input {
        match self {
            Claim::Begins(source, at) => Input::Begins { source, at },
            Claim::Progress(source, to) => Input::Progress { source, to },
            Claim::Gap(source, from, to) => Input::Gap { source, from, to },
            Claim::Down(source, down) => Input::Down { source, down },
        }
    }
}

impl Delivery {
    /// Appends its bytes: its observations come last.
    pub fn encode(&self, out: Vec<u8>) -> Vec<u8> {
        let mut out = postcard::to_extend(self, out).expect("plain data is encodable");
        self.batch.encode(&mut out);
        out
    }

    /// What [`Delivery::encode`] wrote.
    pub fn decode(bytes: &[u8]) -> Result<Delivery, postcard::Error> {
        let (delivery, mut observations) = postcard::take_from_bytes(bytes)?;
        let batch = Batch::decode(&mut observations).ok_or(postcard::Error::DeserializeBadEncoding)?;
        Ok(Delivery { batch, ..delivery })
    }
}
