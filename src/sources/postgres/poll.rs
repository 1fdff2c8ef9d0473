//! The rounds of polling.
//!
//! ```text
//! every round:  running transactions ─▶ begin, snapshot ─▶ each table that is due: rows ─▶ commit ─▶ proof
//! ```

use super::Options;
use super::catalog::{self, Relation};
use super::running::{self, Running};
use super::session::{Session, column};
use super::sql::{self, Which, micros};
use crate::model::time::{Span, Time};
use crate::sources::live::{Intake, Start};
use crate::sources::tables::{self, Cursor, Kind, Mark, Reading, Row, Tracker};
use crate::sources::waiting::Halt;
use sqlx::postgres::PgRow;
use std::time::{Duration, Instant};

/// Rows that are fetched at once.
const FETCH_ROWS: usize = 1_000;
/// Records and notes after which a delivery is made within a read.
const DELIVER_ROWS: usize = 10_000;
/// Transaction numbers this far apart cannot be told by their lower halves any more.
const APART_MAX: u64 = (1 << 31) - (1 << 24);

/// Follows the tables until the daemon stops.
pub(super) fn follow(options: &Options, cursor: Option<&[u8]>, intake: &mut dyn Intake) -> Result<(), Halt> {
    let cursor = cursor.map(tables::decode).transpose()?.unwrap_or_default();
    let session = Session::open(&options.url.0, intake)?;
    let mut poller = Poller { options, session, cursor, tables: Vec::new(), whole: None, told: None, proven: Time::MIN, sent: Vec::new() };
    poller.open(intake)?;
    loop {
        poller.round(intake)?;
        intake.pause(Duration::from_nanos(options.common.poll.0.unsigned_abs()))?;
    }
}

struct Poller<'o> {
    options: &'o Options,
    session: Session,
    cursor: Cursor,
    tables: Vec<(Relation, Tracker)>,
    /// What the last reading of the running transactions gave.
    whole: Option<Time>,
    /// What was last told to hold the proof back.
    told: Option<String>,
    /// What was last proven.
    proven: Time,
    /// The cursor of the last delivery.
    sent: Vec<u8>,
}

/// The database as the rows of a round are read.
#[derive(Clone, Copy)]
struct Snapshot {
    /// Every transaction before this number has ended.
    xmin: u64,
    /// No transaction has this number yet.
    xmax: u64,
    at: Time,
}

impl Poller<'_> {
    /// Looks the tables up, and takes up what is known of them.
    fn open(&mut self, intake: &mut dyn Intake) -> Result<(), Halt> {
        let notes = intake.notes();
        for table in &self.options.tables {
            let relation = catalog::look_up(&mut self.session, table, intake)?;
            let (number, state) = self.cursor.table(&table.name);
            self.whole = self.whole.max(state.read.map(|mark| mark.whole));
            let (common, may_forget) = (self.options.common, relation.has_transactions);
            let part = intake.part(&table.name);
            let mut tracker = Tracker::new(table.clone(), common, number, state, may_forget, part);
            notes.iter().for_each(|(number, note)| _ = tracker.recall(*number, *note));
            self.tables.push((relation, tracker));
        }
        Ok(())
    }

    fn round(&mut self, intake: &mut dyn Intake) -> Result<(), Halt> {
        let running = running::read(&mut self.session, &mut self.cursor.prepared, self.whole, intake)?;
        self.whole = Some(running.whole);
        self.session.rows("BEGIN TRANSACTION ISOLATION LEVEL REPEATABLE READ READ ONLY", intake)?;
        let snapshot = self.snapshot(intake)?;
        let mark = Mark { whole: running.whole, bound: snapshot.xmin };
        for index in 0..self.tables.len() {
            self.visit(index, mark, snapshot, intake)?;
        }
        self.session.rows("COMMIT", intake)?;
        self.prove(&running, intake)
    }

    /// Takes the transaction's snapshot, and sees whether the tables are still the same.
    fn snapshot(&mut self, intake: &mut dyn Intake) -> Result<Snapshot, Halt> {
        let numbers: Vec<String> = self
            .tables
            .iter()
            .map(|(relation, _)| format!("to_regclass({})::oid::int8", sql::literal(&relation.sql)))
            .collect();
        let row = self.session.row(
            &format!(
                "SELECT txid_snapshot_xmin(now), txid_snapshot_xmax(now), {}, {} FROM txid_current_snapshot() now",
                micros("statement_timestamp()"),
                numbers.join(", ")
            ),
            intake,
        )?;
        let number = |index| Ok::<_, Halt>(column::<i64>(&row, index)?.unsigned_abs());
        let snapshot = Snapshot { xmin: number(0)?, xmax: number(1)?, at: Time(column::<i64>(&row, 2)? * 1_000) };
        for (index, (relation, tracker)) in self.tables.iter_mut().enumerate() {
            if column::<Option<i64>>(&row, 3 + index)? != i64::try_from(relation.number).ok() {
                *relation = catalog::look_up(&mut self.session, &tracker.table, intake)?;
            }
            tracker.is(relation.number, intake);
            if tracker.since(Kind::Sweep).is_some_and(|mark| mark.bound > snapshot.xmax) {
                intake.hole(&format!(
                    "the database of {} is not the one from before, or was set back: its transactions have lower numbers",
                    tracker.table.name
                ));
                tracker.begin_anew(intake);
            }
        }
        Ok(snapshot)
    }

    /// Reads of one table what is due.
    fn visit(&mut self, index: usize, mark: Mark, snapshot: Snapshot, intake: &mut dyn Intake) -> Result<(), Halt> {
        let (relation, tracker) = &mut self.tables[index];
        let Some(kind) = tracker.due(snapshot.at, relation.narrows) else { return Ok(()) };
        let swept = tracker.since(Kind::Sweep);
        if relation.has_transactions && swept.is_some_and(|swept| swept.bound >= snapshot.xmax) {
            tracker.unchanged(mark);
            return Ok(());
        }
        let since = tracker.since(kind);
        // At the very first, only what is under way right now may be met twice.
        let latest = tracker.table.start == Start::Latest;
        let bound = since.map(|since| since.bound).or(latest.then_some(snapshot.xmin));
        let bound = bound.filter(|bound| relation.has_transactions && snapshot.xmax - bound < APART_MAX);
        let updated = since.filter(|_| kind == Kind::Poll).map(|since| tracker.reach(since));
        let which = Which { bound: bound.map(|bound| bound as u32), updated };
        let everything = which.bound.is_none() && which.updated.is_none();
        let select = sql::select(&tracker.table, relation, which);
        tracker.begin(Reading { kind, mark, at: snapshot.at, everything });
        let begun = Instant::now();
        self.read(index, &select, intake)?;
        let took = Span(i64::try_from(begun.elapsed().as_nanos()).unwrap_or(i64::MAX));
        self.tables[index].1.complete(took, intake);
        Ok(())
    }

    /// Hands over the rows of a statement, some at a time.
    fn read(&mut self, index: usize, select: &str, intake: &mut dyn Intake) -> Result<(), Halt> {
        self.session.rows(&format!("DECLARE throughline NO SCROLL CURSOR FOR {select}"), intake)?;
        loop {
            let rows = self.session.rows(&format!("FETCH {FETCH_ROWS} FROM throughline"), intake)?;
            for row in &rows {
                take(&mut self.tables[index].1, row, intake)?;
            }
            if self.tables.iter().map(|(_, tracker)| tracker.unsent()).sum::<usize>() >= DELIVER_ROWS {
                self.deliver(intake)?;
            }
            if rows.len() < FETCH_ROWS {
                break;
            }
        }
        self.session.rows("CLOSE throughline", intake)?;
        Ok(())
    }

    /// Says what the round has shown.
    fn prove(&mut self, running: &Running, intake: &mut dyn Intake) -> Result<(), Halt> {
        intake.assumed(running.assumed);
        let proofs = self.tables.iter().map(|(_, tracker)| tracker.proof());
        if let Some(proof) = proofs.min().flatten().filter(|proof| *proof > self.proven) {
            self.proven = proof;
            intake.caught_up(proof - self.options.common.clock_skew);
        }
        self.deliver(intake)?;
        if running.held_by != self.told {
            if let Some(who) = &running.held_by {
                intake.trouble(&format!(
                    "nothing is proven beyond {}: {who} began then and may still write. End it, or wait for it",
                    running.whole
                ));
            }
            self.told.clone_from(&running.held_by);
        }
        Ok(())
    }

    fn deliver(&mut self, intake: &mut dyn Intake) -> Result<(), Halt> {
        for (_, tracker) in &mut self.tables {
            self.cursor.update(tracker);
            tracker.sent();
        }
        let cursor = tables::encode(&self.cursor);
        // Every record, note and proof moves the cursor.
        if cursor != self.sent {
            intake.deliver(&cursor)?;
            self.sent = cursor;
        }
        Ok(())
    }
}

/// Hands over one row.
fn take(tracker: &mut Tracker, row: &PgRow, intake: &mut dyn Intake) -> Result<(), Halt> {
    let time = |index| Ok::<_, Halt>(column::<Option<i64>>(row, index)?.map(|at| Time(at.saturating_mul(1_000))));
    let (key, json) = (column::<Option<&str>>(row, 0)?, column::<&str>(row, 3)?);
    tracker.row(&Row { key, json, updated: time(1)?, time: time(2)? }, intake)?;
    Ok(())
}
