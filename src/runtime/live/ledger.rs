//! What a lane writes down: its journal, with what closes and what is found, and what of that is still to be told.

use super::ToTell;
use super::course::{Beside, Book, Recalled};
use super::entry::{CLOSED, DELIVERY, Delivery, FOUND, Found};
use super::intake::now;
use super::lane::LaneError;
use super::lane_status::LaneStatus;
use crate::engine::Closed;
use crate::findings::Names;
use crate::findings::record::Record;
use crate::journal::{self, Entry, Journal, Lookup, Sequence};
use crate::model::finding::Finding;
use std::collections::HashSet;
use std::hash::{BuildHasher, Hasher};
use std::sync::Arc;
use std::time::Duration;

/// How long a failed commit waits before it is tried again.
const RETRY: Duration = Duration::from_secs(1);

/// The books of one lane.
pub struct Ledger {
    /// The journal.
    pub journal: Journal,
    /// Where the replay that began this run ended: what stands before was written by earlier ones.
    begun_at: Sequence,
    /// Bytes since the last snapshot.
    pub grown: u64,
    /// Findings that earlier runs have found after the snapshot, by the hashes of their entries.
    pub found_before: HashSet<u64>,
    /// What was found and is to be told once it is durable.
    pub to_tell: Vec<ToTell>,
    status: Arc<LaneStatus>,
    keys: Vec<u64>,
    bytes: Vec<u8>,
}

impl Ledger {
    /// Goes on with a journal that ended there.
    pub fn new(journal: Journal, begun_at: Sequence, status: Arc<LaneStatus>) -> Ledger {
        Ledger {
            journal,
            begun_at,
            grown: 0,
            found_before: HashSet::new(),
            to_tell: Vec::new(),
            status,
            keys: Vec::new(),
            bytes: Vec::new(),
        }
    }

    /// Takes note of what was found from an entry on: what was not told is told, and what the replay finds again is
    /// known.
    pub fn look_back(&mut self, from: Sequence, told: Sequence) -> Result<(), LaneError> {
        let mut found = self.journal.replay(from)?;
        while let Some(entry) = found.next()? {
            if entry.kind != FOUND {
                continue;
            }
            self.found_before.insert(hash(entry.payload));
            if entry.sequence >= told {
                let found = postcard::from_bytes(entry.payload);
                let found = found.map_err(|error| LaneError::Entry(entry.sequence, error.to_string()))?;
                self.to_tell.push((entry.sequence, found));
            }
        }
        Ok(())
    }

    /// Puts a delivery into the journal.
    pub fn note(&mut self, delivery: &Delivery) -> Result<(), LaneError> {
        let (mut keys, bytes) = (std::mem::take(&mut self.keys), std::mem::take(&mut self.bytes));
        delivery.keys(&mut keys);
        let mut bytes = delivery.encode(bytes);
        self.append(DELIVERY, &keys, &bytes)?;
        bytes.clear();
        (self.keys, self.bytes) = (keys, bytes);
        Ok(())
    }

    /// Appends an entry to the journal.
    pub fn append(&mut self, kind: u8, keys: &[u64], payload: &[u8]) -> Result<Sequence, LaneError> {
        self.grown += payload.len() as u64 + 8 * keys.len() as u64;
        match self.journal.append(kind, keys, payload) {
            Err(journal::Error::BufferFull { .. }) => {
                self.commit()?;
                Ok(self.journal.append(kind, keys, payload)?)
            }
            appended => Ok(appended?),
        }
    }

    /// Makes everything durable; a disk that fails is tried again until it works, and the sources wait meanwhile.
    pub fn commit(&mut self) -> Result<(), LaneError> {
        loop {
            match self.journal.commit(now().0) {
                Ok(_) => {
                    self.status.trouble(None, now());
                    return Ok(());
                }
                Err(error @ journal::Error::NotCommitted { .. }) => {
                    tracing::error!("{error}; trying again in {} s", RETRY.as_secs());
                    self.status.trouble(Some(error.to_string()), now());
                    std::thread::sleep(RETRY);
                }
                Err(error) => return Err(error.into()),
            }
        }
    }
}

impl Beside for Ledger {
    fn found(&mut self, finding: &Finding, names: Names<'_>) -> Result<(), LaneError> {
        let record = Record::of(finding, names);
        let json = serde_json::to_string(&record).expect("a finding is plain data");
        let found = Found { json, text: record.to_string() };
        let key = hash(record.id.as_bytes());
        let payload = postcard::to_stdvec(&found).expect("plain data is encodable");
        if self.found_before.contains(&hash(&payload)) {
            return Ok(());
        }
        let sequence = self.append(FOUND, &[key], &payload)?;
        self.to_tell.push((sequence, found));
        Ok(())
    }

    fn closed(&mut self, closed: &Closed<'_>, _begun: usize) -> Result<(), LaneError> {
        let keys: Vec<u64> = closed.keys().collect();
        let mut payload = (closed.identity.len() as u32).to_le_bytes().to_vec();
        payload.extend_from_slice(closed.state);
        self.append(CLOSED, &keys, &payload).map(drop)
    }

    fn recall(&mut self, key: u64, at: Sequence, book: &Book) -> Result<Vec<Recalled>, LaneError> {
        // What earlier runs wrote behind this input is closed again in this one.
        let again = at..self.begun_at;
        let lookup = self.journal.lookup(key, Some(CLOSED));
        recall(lookup, book, &mut HashSet::new(), |entry| !again.contains(&entry.sequence))
    }
}

/// Of the closed transactions that a lookup gives, the newest state of each one that is not known by its own key and its
/// identity, where it counts.
pub fn recall(
    mut lookup: Lookup<'_>,
    book: &Book,
    known: &mut HashSet<(Option<u64>, Vec<u8>)>,
    counts: impl Fn(&Entry<'_>) -> bool,
) -> Result<Vec<Recalled>, LaneError> {
    let mut recalled = Vec::new();
    while let Some(entry) = lookup.next()? {
        let begun = book.begun(entry.sequence);
        if begun == 0 {
            break;
        }
        if !counts(&entry) {
            continue;
        }
        let Some((length, state)) = entry.payload.split_first_chunk() else { continue };
        let identity = state.get(..u32::from_le_bytes(*length) as usize).unwrap_or(state);
        if known.insert((entry.keys().next(), identity.to_vec())) {
            recalled.push(Recalled { begun, state: state.to_vec() });
        }
    }
    Ok(recalled)
}

fn hash(bytes: &[u8]) -> u64 {
    let mut hasher = foldhash::quality::FixedState::with_seed(0).build_hasher();
    hasher.write(bytes);
    hasher.finish()
}
