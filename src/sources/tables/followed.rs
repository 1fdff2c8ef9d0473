//! All tables of one source, and what they come to together: deliveries and proofs.

use super::cursor::{Cursor, decode, encode};
use super::tracker::{System, Tracker};
use super::{Common, Table};
use crate::model::time::Time;
use crate::sources::live::{Failure, Intake, Stopped};

/// Records and notes after which a delivery is made within a read.
const DELIVER_ROWS: usize = 10_000;

/// The tables of a source.
#[derive(Debug)]
pub struct Followed {
    /// In the order of the configuration.
    pub tables: Vec<Tracker>,
    /// What was known at the last delivery.
    pub cursor: Cursor,
    /// The clock that stamps rows may differ from the one that proves by so much; it is taken off.
    common: Common,
    proven: Time,
    sent: Vec<u8>,
}

impl Followed {
    /// Goes on from a cursor, and the notes that the intake has kept.
    pub fn new(common: Common, cursor: Option<&[u8]>) -> Result<Followed, Failure> {
        let cursor = cursor.map(decode).transpose()?.unwrap_or_default();
        Ok(Followed { tables: Vec::new(), cursor, common, proven: Time::MIN, sent: Vec::new() })
    }

    /// Takes up what is known of a table.
    pub fn add(&mut self, table: &Table, system: System, intake: &mut dyn Intake) {
        let (number, state) = self.cursor.table(&table.name);
        let part = intake.part(&table.name);
        self.tables.push(Tracker::new(table.clone(), self.common, number, state, system, part));
    }

    /// Takes up what earlier runs have seen of the rows.
    pub fn recall(&mut self, intake: &dyn Intake) {
        for (number, note) in intake.notes() {
            self.tables.iter_mut().any(|tracker| tracker.recall(number, note));
        }
    }

    /// The newest of what earlier reads have shown.
    pub fn whole(&self) -> Option<Time> {
        self.tables.iter().filter_map(|tracker| tracker.state.read).map(|mark| mark.whole).max()
    }

    /// Within a read: delivers where much waits.
    pub fn deliver_much(&mut self, intake: &mut dyn Intake) -> Result<(), Stopped> {
        let unsent: usize = self.tables.iter().map(Tracker::unsent).sum();
        if unsent >= DELIVER_ROWS { self.deliver(intake) } else { Ok(()) }
    }

    /// At the end of a round: says what it has shown, and delivers.
    pub fn prove(&mut self, intake: &mut dyn Intake) -> Result<(), Stopped> {
        let proof = self.tables.iter().map(Tracker::proof).min().flatten();
        if let Some(proof) = proof.filter(|proof| *proof > self.proven) {
            self.proven = proof;
            intake.caught_up(proof - self.common.clock_skew);
        }
        self.deliver(intake)
    }

    fn deliver(&mut self, intake: &mut dyn Intake) -> Result<(), Stopped> {
        for tracker in &mut self.tables {
            self.cursor.update(tracker);
        }
        let waits = self.tables.iter().any(|tracker| tracker.unsent() > 0);
        let cursor = encode(&self.cursor);
        if waits || cursor != self.sent {
            intake.deliver(&cursor)?;
            self.tables.iter_mut().for_each(Tracker::sent);
            self.sent = cursor;
        }
        Ok(())
    }
}
