//! Hands records to the intake, and delivers in time.

use super::cursor::Cursor;
use super::pgoutput::Tuple;
use super::relation::Relation;
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
    payload: Vec<u8>,
}

/// A row as it is handed over.
pub(super) struct Version<'a> {
    pub relation: &'a Relation,
    pub op: Option<&'a str>,
    pub key: Option<&'a str>,
    pub row: Tuple<'a>,
    pub time: Time,
    pub headers: &'a [(&'a str, &'a str)],
}

impl<'a> Hand<'a> {
    pub fn new(intake: &'a mut dyn Intake, cursor: Cursor) -> Hand<'a> {
        Hand { intake, cursor, records: 0, bytes: 0, delivered: Instant::now(), payload: Vec::new() }
    }

    /// One record.
    pub fn record(&mut self, version: Version<'_>) -> Result<(), Halt> {
        let Version { relation, op, key, row, time, headers } = version;
        self.payload.clear();
        relation.payload(row, &mut self.payload);
        self.intake.record(Record {
            part: relation.part,
            offset: self.cursor.given,
            payload: &self.payload,
            stream: Some(&relation.name),
            key,
            time: Some(time),
            op,
            headers,
            read: None,
        });
        self.cursor.given += 1;
        self.records += 1;
        self.bytes += self.payload.len();
        if self.records >= DELIVER_RECORDS || self.bytes >= DELIVER_BYTES {
            self.deliver()?;
        }
        Ok(())
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
