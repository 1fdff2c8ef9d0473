//! Follows the log: asks where it ends, reads up to there, says so.

use super::connection::{connect, explain, in_time, within};
use super::cursor::Cursor;
use super::hand::Hand;
use super::reader::Reader;
use super::setup::{self, Log};
use super::slot::{self, Slot};
use super::{
    ANSWERS_WITHIN, DECODES_WITHIN, Halt, Lsn, Options, POLL, REST_MAX, REST_PER_WORK, WAL_READ_MAX, existing, failed,
    quoted,
};
use crate::model::time::Time;
use crate::sources::live::{Intake, Start};
use futures_core::Stream;
use sqlx::Row;
use sqlx::postgres::PgConnection;
use std::future::poll_fn;
use std::pin::Pin;
use std::time::{Duration, Instant};

/// Where the log ends: all that was visible `at` is before `inserted`, and can be read before `flushed`.
#[derive(Clone, Copy, Debug)]
struct End {
    at: Time,
    inserted: Lsn,
    flushed: Lsn,
}

/// Follows the tables until the daemon stops or something fails.
pub(super) async fn follow(options: &Options, cursor: Option<&[u8]>, intake: &mut dyn Intake) -> Result<(), Halt> {
    if let Start::At(_) = options.start {
        return Err(failed("changes cannot be asked for from a moment on: `start` is `latest` or `beginning`"));
    }
    let known = cursor.map(Cursor::decode).transpose()?;
    let mut main = connect(options, intake).await?;
    let mut side = connect(options, intake).await?;
    let log = setup::server(&mut side, intake).await?;
    let tables = setup::tables(options, &mut side, intake).await?;
    let types = setup::types(&mut side, intake).await?;
    let opened = slot::open(options, known.as_ref(), &mut main, intake).await?;
    let began = end(&log, &mut side, intake).await?.at;
    let slot = opened.slot;
    let cursor = match (known, &opened.hole) {
        (None, _) => Cursor { lsn: slot.confirmed, ..Cursor::default() },
        (Some(known), Some(hole)) => {
            intake.hole(hole);
            Cursor { lsn: slot.confirmed, whole: known.given, ..known }
        }
        // What was handed over of a transaction that was not complete comes again, at the same offsets.
        (Some(known), None) => Cursor { given: known.whole, ..known },
    };
    let mut hand = Hand::new(intake, cursor);
    if options.start == Start::Beginning && known.is_none_or(|known| known.beginning) {
        existing::read(&tables, &types, began, &mut side, &mut hand).await?;
    }
    let reader = Reader::new(tables, types, hand);
    let read = slot.confirmed;
    Following { options, log, slot, main, side, reader, read, unproven: None }.run().await
}

struct Following<'a> {
    options: &'a Options,
    log: Log,
    slot: Slot,
    /// The connection that has the slot.
    main: PgConnection,
    /// The one for everything else.
    side: PgConnection,
    reader: Reader<'a>,
    /// Up to where the log has been read.
    read: Lsn,
    /// A moment that will be proven when the log has been read up to there.
    unproven: Option<(Time, Lsn)>,
}

impl Following<'_> {
    async fn run(mut self) -> Result<(), Halt> {
        loop {
            let mut worked = self.forget().await?;
            let end = end(&self.log, &mut self.side, self.reader.hand.intake).await?;
            if end.flushed > self.read {
                let upto = end.flushed.min(Lsn(self.read.0 + WAL_READ_MAX));
                let before = self.reader.hand.cursor.lsn;
                worked += self.take(upto).await?;
                self.slot.untouched(before, &mut self.side, self.reader.hand.intake).await?;
                self.read = upto;
                let hand = &mut self.reader.hand;
                (hand.cursor.lsn, hand.cursor.whole) = (hand.cursor.lsn.max(upto), hand.cursor.given);
            }
            self.prove(end)?;
            if self.read >= end.flushed {
                self.reader.hand.intake.pause((worked * REST_PER_WORK).clamp(POLL, REST_MAX))?;
            }
        }
    }

    /// Says up to when all has been handed over.
    fn prove(&mut self, end: End) -> Result<(), Halt> {
        let proven = [Some((end.at, end.inserted)), self.unproven].into_iter().flatten();
        match proven.filter(|(_, upto)| *upto <= self.read).map(|(at, _)| at).max() {
            Some(at) => {
                self.unproven = None;
                self.reader.hand.caught_up(at)
            }
            None => {
                self.unproven.get_or_insert((end.at, end.inserted));
                self.reader.hand.intake.pause(Duration::ZERO)?;
                Ok(())
            }
        }
    }

    /// Lets the server forget what the journal has; for how long that kept it busy.
    async fn forget(&mut self) -> Result<Duration, Halt> {
        let intake = &mut *self.reader.hand.intake;
        let Some(durable) = intake.durable().filter(|_| self.slot.permanent) else { return Ok(Duration::ZERO) };
        let durable = Cursor::decode(durable)?;
        let begun = Instant::now();
        self.slot.advance(durable.lsn, &mut self.main, intake).await?;
        Ok(begun.elapsed())
    }

    /// Takes what was committed before a place; for how long the server worked.
    async fn take(&mut self, upto: Lsn) -> Result<Duration, Halt> {
        const GET: &str = "select data from pg_logical_slot_get_binary_changes($1::name, $2::pg_lsn, null,
                           'proto_version', '1', 'publication_names', $3)";
        const PEEK: &str = "select data from pg_logical_slot_peek_binary_changes($1::name, $2::pg_lsn, null,
                            'proto_version', '1', 'publication_names', $3)";
        let what = "the changes cannot be read";
        let question = sqlx::query(if self.slot.permanent { PEEK } else { GET });
        let question = question.bind(&self.slot.name).bind(upto.to_string()).bind(quoted(&self.options.publication));
        let mut rows = question.fetch(&mut self.main);
        let begun = Instant::now();
        let mut worked = None;
        loop {
            let intake = &mut *self.reader.hand.intake;
            let row = match in_time(intake, ANSWERS_WITHIN, next(&mut rows)).await? {
                Some(row) => row.map_err(|error| failed(format!("{what}: {}", explain(&error))))?,
                // It decodes all of it before it sends the first row; so long as it lives, that is waited for.
                None if worked.is_none() && begun.elapsed() < DECODES_WITHIN => {
                    end(&self.log, &mut self.side, intake).await?;
                    continue;
                }
                None => return Err(failed(format!("{what}: the server sends nothing more"))),
            };
            worked.get_or_insert_with(|| begun.elapsed());
            let Some(row) = row else { return Ok(worked.unwrap_or_default()) };
            let message = row.try_get::<&[u8], _>(0).map_err(|error| failed(format!("{what}: {error}")))?;
            self.reader.message(message, &mut self.side).await?;
        }
    }
}

/// The next item of a stream.
pub(super) async fn next<T>(
    stream: &mut Pin<Box<dyn Stream<Item = Result<T, sqlx::Error>> + Send + '_>>,
) -> Result<Option<T>, sqlx::Error> {
    poll_fn(|context| stream.as_mut().poll_next(context)).await.transpose()
}

/// The time of the database's clock, and then where its log ends.
async fn end(log: &Log, side: &mut PgConnection, intake: &mut dyn Intake) -> Result<End, Halt> {
    let question = sqlx::query_as::<_, (i64, i64, i64)>(
        "select (extract(epoch from clock_timestamp()) * 1000000)::int8,
                (pg_current_wal_insert_lsn() - '0/0')::int8, (pg_current_wal_flush_lsn() - '0/0')::int8",
    );
    let what = "the end of the log cannot be read";
    let (at, inserted, flushed) = within(intake, ANSWERS_WITHIN, what, question.fetch_one(side)).await?;
    let inserted = log.written(Lsn(inserted as u64));
    Ok(End { at: Time(at.saturating_mul(1_000)), inserted, flushed: Lsn(flushed as u64) })
}
