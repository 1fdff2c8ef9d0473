//! The rounds of polling.
//!
//! ```text
//! every round:  running transactions ─▶ begin, snapshot ─▶ each table that is due: rows ─▶ commit ─▶ proof
//! ```

use super::Options;
use super::catalog::{self, Relation};
use super::row::{self, Taken};
use super::running;
use super::session::{Session, column};
use super::sql::{self, Which, micros};
use super::types::Types;
use crate::model::time::{Span, Time};
use crate::sources::live::{Intake, Start};
use crate::sources::tables::{Followed, Kind, Mark, Reading, Row, Running, System, Tracker};
use crate::sources::waiting::Halt;
use sqlx::postgres::PgRow;
use std::time::{Duration, Instant};

/// Rows that are fetched at once.
const FETCH_ROWS: usize = 1_000;
/// A read of a table is followed by so many times its length of rest: a sixth of a percent of a core at most.
const REST_PER_WORK: u32 = 600;
/// Transaction numbers this far apart cannot be told by their lower halves any more.
const APART_MAX: u64 = (1 << 31) - (1 << 24);

/// Follows the tables until the daemon stops.
pub(super) fn follow(options: &Options, cursor: Option<&[u8]>, intake: &mut dyn Intake) -> Result<(), Halt> {
    let followed = Followed::new(options.common, cursor)?;
    let session = Session::open(&options.url.0, intake)?;
    let mut poller =
        Poller { options, session, followed, relations: Vec::new(), types: Types::default(), whole: None, told: None };
    poller.open(intake)?;
    loop {
        poller.round(intake)?;
        intake.pause(Duration::from_nanos(options.common.poll.0.unsigned_abs()))?;
    }
}

struct Poller<'o> {
    options: &'o Options,
    session: Session,
    followed: Followed,
    /// Of each table.
    relations: Vec<Relation>,
    types: Types,
    /// What the last reading of the running transactions gave.
    whole: Option<Time>,
    /// What was last told to hold the proof back.
    told: Option<String>,
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
        self.types = catalog::types(&mut self.session, intake)?;
        for table in &self.options.tables {
            let relation = catalog::look_up(&mut self.session, table, &self.types, intake)?;
            let system = System { knows_changes: relation.has_transactions, rest_per_work: REST_PER_WORK };
            self.followed.add(table, system, intake);
            self.relations.push(relation);
        }
        self.followed.recall(intake);
        self.whole = self.followed.whole();
        Ok(())
    }

    fn round(&mut self, intake: &mut dyn Intake) -> Result<(), Halt> {
        let running = running::read(&mut self.session, &mut self.followed.cursor.prepared, self.whole, intake)?;
        self.whole = Some(running.whole);
        self.session.rows("BEGIN TRANSACTION ISOLATION LEVEL REPEATABLE READ READ ONLY", intake)?;
        let snapshot = self.snapshot(intake)?;
        for index in 0..self.relations.len() {
            let whole = running.whole_in(self.relations[index].units(), self.options.common.lateness);
            self.visit(index, Mark { whole, bound: snapshot.xmin }, snapshot, intake)?;
        }
        self.session.rows("COMMIT", intake)?;
        self.prove(&running, intake)
    }

    /// Takes the transaction's snapshot, and sees whether the tables are still the same.
    fn snapshot(&mut self, intake: &mut dyn Intake) -> Result<Snapshot, Halt> {
        let number = |relation: &Relation| format!("to_regclass({})::oid::int8", sql::literal(&relation.sql));
        let numbers: Vec<String> = self.relations.iter().map(number).collect();
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
        for (index, (relation, tracker)) in self.relations.iter_mut().zip(&mut self.followed.tables).enumerate() {
            if column::<Option<i64>>(&row, 3 + index)? != i64::try_from(relation.number).ok() {
                *relation = catalog::look_up(&mut self.session, &tracker.table, &self.types, intake)?;
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
        let (relation, tracker) = (&self.relations[index], &mut self.followed.tables[index]);
        let Some(kind) = tracker.due(snapshot.at, relation.has_index) else { return Ok(()) };
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
        let took = self.read(index, &select, intake)?;
        let took = Span(i64::try_from(took.as_nanos()).unwrap_or(i64::MAX));
        self.followed.tables[index].complete(took, intake);
        Ok(())
    }

    /// Hands over the rows of a statement, some at a time. How long the server took.
    fn read(&mut self, index: usize, select: &str, intake: &mut dyn Intake) -> Result<Duration, Halt> {
        let mut took = Duration::ZERO;
        self.session.rows(&format!("DECLARE throughline NO SCROLL CURSOR FOR {select}"), intake)?;
        loop {
            let begun = Instant::now();
            let rows = self.session.rows(&format!("FETCH {FETCH_ROWS} FROM throughline"), intake)?;
            took += begun.elapsed().saturating_sub(self.session.way);
            for row in &rows {
                take(&mut self.followed.tables[index], &self.relations[index], row, intake)?;
            }
            self.followed.deliver_much(intake)?;
            if rows.len() < FETCH_ROWS {
                break;
            }
        }
        self.session.rows("CLOSE throughline", intake)?;
        Ok(took)
    }

    /// Says what the round has shown.
    fn prove(&mut self, running: &Running, intake: &mut dyn Intake) -> Result<(), Halt> {
        intake.assumed(running.assumed);
        self.followed.prove(intake)?;
        running.tell(&mut self.told, intake);
        Ok(())
    }
}

/// Hands over one row.
fn take(tracker: &mut Tracker, relation: &Relation, row: &PgRow, intake: &mut dyn Intake) -> Result<(), Halt> {
    let Taken { key, json, updated, time } = row::take(row, relation, &tracker.table)?;
    tracker.row(&Row { key: key.as_deref(), json: &json, updated, time }, intake)?;
    Ok(())
}
