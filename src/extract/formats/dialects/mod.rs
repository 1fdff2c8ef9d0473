//! What other tools write: each reader turns a payload into records whose fields are named after the tool or the
//! standard, with the time, the key and the kind that it tells.
//!
//! Test tools share one vocabulary (`sample`): a flow that audits a load test reads the same whoever ran it.

mod base64;
mod bullmq;
mod celery;
mod cloudevents;
pub mod debezium;
mod gatling;
mod har;
mod jtl;
mod junit;
mod k6;
mod kcat;
mod newman;
mod object;
mod otel;
mod sample;
mod spring;
#[cfg(test)]
mod tests;
mod xml;

use crate::extract::Record;
use crate::extract::told::{Piece, Unfolded};
use crate::extract::undecodable::Undecodable;
use crate::flow::dialect::Dialect;
use chrono_tz::Tz;
use debezium::Debezium;
use jtl::Jtl;

/// Reads the payloads of one source.
#[derive(Clone, Debug)]
pub struct Reader {
    dialect: Dialect,
    /// Of times that name none.
    zone: Tz,
    debezium: Debezium,
    jtl: Jtl,
}

impl Reader {
    /// For payloads of this dialect.
    pub fn new(dialect: &Dialect, zone: Tz) -> Reader {
        let columns = if let Dialect::Debezium { columns } = dialect { columns.clone() } else { Vec::new() };
        let delimiter = if let Dialect::Jtl { delimiter } = dialect { *delimiter } else { b',' };
        Reader { dialect: dialect.clone(), zone, debezium: Debezium::new(columns), jtl: Jtl::new(delimiter) }
    }

    /// Takes the names of the columns, in a dialect that has a record for them.
    pub fn header(&mut self, payload: &[u8]) -> Result<(), Undecodable> {
        if matches!(self.dialect, Dialect::Jtl { .. }) { self.jtl.header(payload) } else { Ok(()) }
    }

    /// The records that a payload holds.
    pub fn read<'a>(&mut self, record: &Record<'a>) -> Unfolded<'a> {
        if !self.dialect.is_test_result()
            && let Some(pieces) = kcat::read(self, record)
        {
            return Unfolded::many(pieces);
        }
        match self.pieces(record) {
            Ok(pieces) => pieces,
            Err(why) => Unfolded::one(Piece::Bad(why)),
        }
    }

    fn pieces<'a>(&mut self, record: &Record<'a>) -> Result<Unfolded<'a>, Undecodable> {
        Ok(match &self.dialect {
            Dialect::Debezium { .. } => Unfolded::one(self.debezium.read(record)?),
            Dialect::CloudEvents => Unfolded::many(cloudevents::read(record)?),
            Dialect::Celery => Unfolded::many(celery::read(record)?),
            Dialect::BullMq => Unfolded::one(bullmq::read(record)?),
            Dialect::SpringAmqp => Unfolded::one(spring::read(record)?),
            Dialect::OtelMessaging => Unfolded::many(otel::read(record)?),
            Dialect::Jtl { .. } => Unfolded::many(self.jtl.read(record)?),
            Dialect::Newman => Unfolded::many(newman::read(record)?),
            Dialect::Har => Unfolded::many(har::read(record)?),
            Dialect::Junit => Unfolded::many(junit::read(record, self.zone)?),
            Dialect::K6 => Unfolded::one(k6::read(record)?),
            Dialect::Gatling => Unfolded::one(gatling::read(record)?),
        })
    }
}
