//! Hands records to the intake, and delivers in time.

use super::cursor::Cursor;
use super::{DELIVER_BYTES, DELIVER_RECORDS, Halt, PROOF_EVERY};
use crate::model::time::Time;
use crate::sources::live::{Intake, Record};
use std::time::Instant;

/// What is being handed over, and how far it has come.
pub(super) struct Hand<'a> {
    pub intake: &'a mut dyn Intake,
    pub cursor: Cursor,
    /// Records since the last delivery, and their bytes.
    records: usize,
    bytes: usize,
    delivered: Instant,
}

impl<'a> Hand<'a> {
    pub fn new(intake: &'a mut dyn Intake, cursor: Cursor) -> Hand<'a> {
        Hand { intake, cursor, records: 0, bytes: 0, delivered: Instant::now() }
    }

    /// One record, whose place is the next one.
    pub fn record(&mut self, record: Record<'_>) -> Result<(), Halt> {
        self.intake.record(Record { offset: self.cursor.given, ..record });
        self.cursor.given += 1;
        self.records += 1;
        self.bytes += record.payload.len();
        if self.records >= DELIVER_RECORDS || self.bytes >= DELIVER_BYTES { self.deliver() } else { Ok(()) }
    }

    /// What there is goes to the journal.
    pub fn deliver(&mut self) -> Result<(), Halt> {
        self.intake.deliver(&self.cursor.encode())?;
        (self.records, self.bytes, self.delivered) = (0, 0, Instant::now());
        Ok(())
    }

    /// The same with a proof. Where nothing else came, that need not be each time.
    pub fn caught_up(&mut self, at: Time) -> Result<(), Halt> {
        self.intake.caught_up(at);
        if self.records > 0 || self.delivered.elapsed() >= PROOF_EVERY { self.deliver() } else { Ok(()) }
    }
}
