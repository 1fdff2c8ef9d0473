//! What a lane writes down: its journal, with what closes and what is found, and what of that is still to be told.

use super::ToTell;
use super::course::{Beside, Book, Recalled};
use super::entry::{CLOSED, DELIVERY, Delivery, FOUND, Found};
use super::lane::LaneError;
use super::lane_status::LaneStatus;
use super::retry::{Failures, RETRY};
use crate::engine::{Archived, Closed};
use crate::findings::Names;
use crate::findings::record::Record;
use crate::journal::{self, Commit, Entry, Journal, Lookup, Sequence, Synced};
use crate::model::finding::Finding;
use crate::model::observation::Batch;
use crate::runtime::clock::now;
use crossbeam_channel::{Receiver, SendTimeoutError, Sender, bounded};
use std::collections::HashSet;
use std::hash::{BuildHasher, Hasher};
use std::sync::Arc;
use std::time::Duration;

/// Findings that are gathered before they are made durable and told, at most.
const TO_TELL_MAX: usize = 1024;
/// Batches that have been worked off and wait to be filled again, at most.
const SPENT_MAX: usize = 4;
/// How often a lane that waits shows that it is alive.
const ALIVE: Duration = Duration::from_millis(500);

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
    to_tell: Vec<ToTell>,
    /// The lane's number, which goes with what is told, and where it goes.
    tell: (usize, Sender<(usize, ToTell)>),
    status: Arc<LaneStatus>,
    /// Where a commit goes that the lane does not wait for.
    disk: Option<Disk>,
    /// Batches that have been worked off go back to the sources, with their memory.
    spent: (Sender<Batch>, Receiver<Batch>),
    keys: Vec<u64>,
    bytes: Vec<u8>,
}

/// A thread that makes durable what it is given, one commit at a time.
struct Disk {
    to_disk: Sender<Commit>,
    on_disk: Receiver<Synced>,
    under_way: bool,
}

impl Ledger {
    /// Goes on with a journal that ended there. What is found goes to `tell`, with the lane's number.
    pub fn new(
        journal: Journal,
        begun_at: Sequence,
        tell: (usize, Sender<(usize, ToTell)>),
        status: Arc<LaneStatus>,
    ) -> Ledger {
        Ledger {
            journal,
            begun_at,
            grown: 0,
            found_before: HashSet::new(),
            to_tell: Vec::new(),
            tell,
            status,
            disk: None,
            spent: bounded(SPENT_MAX),
            keys: Vec::new(),
            bytes: Vec::new(),
        }
    }

    /// Batches to be filled again.
    pub fn spent(&self) -> Receiver<Batch> {
        self.spent.1.clone()
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
                self.will_tell(entry.sequence, found)?;
            }
        }
        Ok(())
    }

    /// Tells what was found, once that is durable. Waits where there is much to be told.
    pub fn tell(&mut self) -> Result<(), LaneError> {
        if !self.to_tell.is_empty() {
            self.commit()?;
        }
        let (number, tell) = &self.tell;
        for found in self.to_tell.drain(..) {
            let mut found = (*number, found);
            // Who does not listen any more does not want to know.
            while let Err(SendTimeoutError::Timeout(untold)) = tell.send_timeout(found, ALIVE) {
                self.status.beat(now());
                found = untold;
            }
        }
        Ok(())
    }

    /// Something will be told, at the latest when there is much.
    fn will_tell(&mut self, sequence: Sequence, found: Found) -> Result<(), LaneError> {
        self.to_tell.push((sequence, found));
        if self.to_tell.len() >= TO_TELL_MAX { self.tell() } else { Ok(()) }
    }

    /// Puts a delivery into the journal.
    pub fn note(&mut self, delivery: &Delivery) -> Result<(), LaneError> {
        let (mut keys, bytes) = (std::mem::take(&mut self.keys), std::mem::take(&mut self.bytes));
        delivery.batch.hashes(&mut keys);
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

    /// From now on commits can be under way while the lane goes on; the disk's thread ends with [`Ledger::leave_disk`].
    pub fn use_disk(&mut self, to_disk: Sender<Commit>, on_disk: Receiver<Synced>) {
        self.disk = Some(Disk { to_disk, on_disk, under_way: false });
    }

    /// From now on the lane waits for its commits.
    pub fn leave_disk(&mut self) {
        self.disk = None;
    }

    /// Begins to make durable what was appended.
    pub fn begin_commit(&mut self) {
        if let Some(disk) = &mut self.disk
            && let Some(commit) = self.journal.begin_commit(now().0)
        {
            disk.under_way = disk.to_disk.send(commit).is_ok();
        }
    }

    /// Waits for the commit that is under way, if there is one.
    pub fn end_commit(&mut self) -> Result<(), LaneError> {
        let Some(disk) = self.disk.as_mut().filter(|disk| disk.under_way) else { return Ok(()) };
        disk.under_way = false;
        let Ok(synced) = disk.on_disk.recv() else { return Ok(()) };
        match self.journal.end_commit(synced) {
            // Tried again, and again, by the commit that follows.
            Err(journal::Error::NotCommitted { .. }) => self.commit(),
            ended => Ok(ended.map(drop)?),
        }
    }

    /// Makes everything durable; a disk that fails is tried again until it works, and the sources wait meanwhile.
    pub fn commit(&mut self) -> Result<(), LaneError> {
        self.end_commit()?;
        let mut failures = Failures::default();
        loop {
            match self.journal.commit(now().0) {
                Ok(_) => {
                    self.status.trouble(None, now());
                    return Ok(());
                }
                Err(error @ journal::Error::NotCommitted { .. }) => {
                    failures.again(&error);
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
        self.will_tell(sequence, found)
    }

    fn closed(&mut self, closed: &Archived, _begun: usize) -> Result<(), LaneError> {
        let mut keys = std::mem::take(&mut self.keys);
        keys.clear();
        closed.iter().for_each(|(_, closed)| keys.extend(closed.keys()));
        self.append(CLOSED, &keys, closed.bytes())?;
        self.keys = keys;
        Ok(())
    }

    fn consumed(&mut self, mut batch: Batch) {
        batch.clear();
        // Where enough wait already, its memory is given back.
        let _ = self.spent.0.try_send(batch);
    }

    fn recall(&mut self, key: u64, at: Sequence, book: &Book) -> Result<Vec<Recalled>, LaneError> {
        // What earlier runs wrote behind this input is closed again in this one.
        let again = at..self.begun_at;
        let lookup = self.journal.lookup(key, Some(CLOSED));
        recall((lookup, key), book, &mut HashSet::new(), |entry| !again.contains(&entry.sequence))
    }
}

/// Of the closed transactions that a lookup gives for a key, the newest state of each one that is not known by its own key
/// and its identity, where it counts.
pub fn recall(
    (mut lookup, key): (Lookup<'_>, u64),
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
        let mut rest = entry.payload;
        let all = std::iter::from_fn(|| Closed::take(&mut rest));
        let mut with_key: Vec<Closed<'_>> = all.filter(|closed| closed.keys().any(|other| other == key)).collect();
        while let Some(closed) = with_key.pop() {
            if known.insert((closed.keys().next(), closed.identity.to_vec())) {
                recalled.push(Recalled { begun, state: closed.state.to_vec() });
            }
        }
    }
    Ok(recalled)
}

fn hash(bytes: &[u8]) -> u64 {
    let mut hasher = foldhash::quality::FixedState::with_seed(0).build_hasher();
    hasher.write(bytes);
    hasher.finish()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::journal::Options;
    use crate::model::time::Time;
    use std::thread;

    /// What is concluded while the disk is at work may be more than is gathered in memory.
    #[test]
    fn what_does_not_fit_while_a_commit_is_under_way_waits_for_it() {
        let folder = tempfile::tempdir().unwrap();
        let options = Options { buffer_bytes_max: 1_000, ..Options::default() };
        let (journal, recovered) = Journal::open(folder.path(), options, 0).unwrap();
        let (tell, _) = bounded(1);
        let mut ledger = Ledger::new(journal, recovered.end, (0, tell), Arc::new(LaneStatus::new("order", Time(0))));
        let (to_disk, commits) = bounded::<Commit>(1);
        let (done, on_disk) = bounded::<Synced>(1);
        thread::scope(|scope| {
            scope.spawn(move || commits.into_iter().try_for_each(|commit| done.send(commit.sync())));
            ledger.use_disk(to_disk, on_disk);
            for number in 0..100_u64 {
                ledger.append(FOUND, &[number], &[7; 100]).unwrap();
                if number % 10 == 0 {
                    ledger.end_commit().unwrap();
                    ledger.begin_commit();
                }
            }
            ledger.commit().unwrap();
            assert_eq!(ledger.journal.durable(), Sequence(100));
            ledger.leave_disk();
        });
    }
}
