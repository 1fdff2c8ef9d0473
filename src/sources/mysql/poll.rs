//! The rounds of polling.
//!
//! ```text
//! every round:  what is under way? ─▶ each table that is due: rows, a page a statement ─▶ proof
//! ```
//!
//! No transaction is held open while rows are read, so nothing of the server's waits for us: neither the purge of old
//! row versions nor a change of the table's form, behind which every writer would queue. Each statement sees what was
//! committed when it began, which is later than what is under way was read.

use super::Options;
use super::catalog::{self, Relation};
use super::row::{self, Taken};
use super::running::{self, Met};
use super::session::{Session, bytes};
use super::sql::{self, PAGE_ROWS, UNORDERED_ROWS_MAX};
use crate::model::time::{Span, Time};
use crate::sources::live::{Failure, Intake};
use crate::sources::tables::{Followed, Kind, Mark, Reading, Row, Running, System};
use crate::sources::waiting::Halt;
use sqlx::mysql::MySqlRow;
use std::time::{Duration, Instant};

/// A read of a table is followed by so many times its length of rest: a sixth of a percent of a core at most.
const REST_PER_WORK: u32 = 600;
/// How often the tables' forms are looked up.
const LOOK_UP_EVERY: Duration = Duration::from_secs(60);
/// What tells one table from another that has its name later. The server does not say.
const SAME: u64 = 1;

/// Follows the tables until the daemon stops.
pub(super) fn follow(options: &Options, cursor: Option<&[u8]>, intake: &mut dyn Intake) -> Result<(), Halt> {
    let followed = Followed::new(options.common, cursor)?;
    let session = Session::open(&options.url.0, intake)?;
    let (relations, looked_up) = (Vec::new(), Instant::now());
    let (whole, met, told) = (None, Met::default(), None);
    let mut poller = Poller { options, session, followed, relations, looked_up, whole, met, told };
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
    looked_up: Instant,
    /// What the last reading of what is under way gave.
    whole: Option<Time>,
    /// What it met.
    met: Met,
    /// What was last told to hold the proof back.
    told: Option<String>,
}

/// The moment at which a round began.
#[derive(Clone, Copy)]
struct Begun {
    /// By the database's clock.
    at: Time,
    /// By ours.
    here: Instant,
}

impl Begun {
    /// The present time by the database's clock.
    fn now(self) -> Time {
        self.at + span(self.here.elapsed())
    }
}

impl Poller<'_> {
    /// Looks the tables up, and takes up what is known of them.
    fn open(&mut self, intake: &mut dyn Intake) -> Result<(), Halt> {
        for table in &self.options.tables {
            self.relations.push(catalog::look_up(&mut self.session, table, intake)?);
            let system = System { knows_changes: false, rest_per_work: REST_PER_WORK };
            self.followed.add(table, system, intake);
        }
        self.followed.tables.iter_mut().for_each(|tracker| tracker.is(SAME, intake));
        self.followed.recall(intake);
        self.whole = self.followed.whole();
        self.met.at = self.whole;
        Ok(())
    }

    fn round(&mut self, intake: &mut dyn Intake) -> Result<(), Halt> {
        if self.looked_up.elapsed() >= LOOK_UP_EVERY {
            for (relation, table) in self.relations.iter_mut().zip(&self.options.tables) {
                *relation = catalog::look_up(&mut self.session, table, intake)?;
            }
            self.looked_up = Instant::now();
        }
        let here = Instant::now();
        let last = (self.whole, &mut self.met);
        let running = running::read(&mut self.session, &mut self.followed.cursor.prepared, last, intake)?;
        self.whole = Some(running.whole);
        let begun = Begun { at: running.now, here };
        for index in 0..self.relations.len() {
            let whole = running.whole_in(self.relations[index].units(), self.options.common.lateness);
            self.visit(index, Mark { whole, bound: 0 }, begun, intake)?;
        }
        self.prove(&running, intake)
    }

    /// Reads of one table what is due.
    fn visit(&mut self, index: usize, mark: Mark, begun: Begun, intake: &mut dyn Intake) -> Result<(), Halt> {
        let (relation, tracker) = (&self.relations[index], &mut self.followed.tables[index]);
        let Some(kind) = tracker.due(begun.at, relation.has_index) else { return Ok(()) };
        let since = tracker.since(Kind::Poll).filter(|_| kind == Kind::Poll);
        tracker.begin(Reading { kind, mark, at: begun.now(), everything: since.is_none() });
        let took = match since {
            Some(since) => self.window(index, since, intake)?,
            None => self.sweep(index, begun, intake)?,
        };
        self.followed.tables[index].complete(span(took), intake);
        Ok(())
    }

    /// Reads what `updated` says has changed. How long the server took.
    fn window(&mut self, index: usize, since: Mark, intake: &mut dyn Intake) -> Result<Duration, Halt> {
        let tracker = &self.followed.tables[index];
        let select = sql::window(&tracker.table, &self.relations[index], tracker.reach(since));
        let Poller { session, followed, relations, .. } = self;
        session.chunks(&select, intake, |rows, intake| take(followed, index, &relations[index], rows, intake))
    }

    /// Reads the whole table. How long the server took.
    fn sweep(&mut self, index: usize, begun: Begun, intake: &mut dyn Intake) -> Result<Duration, Halt> {
        let Poller { session, followed, relations, .. } = self;
        let relation = &relations[index];
        let (mut took, mut last) = (Duration::ZERO, None);
        loop {
            let select = sql::page(relation, last.as_deref());
            followed.tables[index].meets_at(begun.now());
            let (mut count, mut end) = (0, None);
            took += session.chunks(&select, intake, |rows, intake| {
                count += rows.len();
                if let Some(row) = rows.last() {
                    end = place(row, relation)?;
                }
                if relation.order.is_none() && count > UNORDERED_ROWS_MAX {
                    return Err(unordered(&followed.tables[index].table.name).into());
                }
                take(followed, index, relation, rows, intake)
            })?;
            if end.is_none() || count < PAGE_ROWS {
                return Ok(took);
            }
            last = end;
        }
    }

    /// Says what the round has shown.
    fn prove(&mut self, running: &Running, intake: &mut dyn Intake) -> Result<(), Halt> {
        let hidden = self.relations.iter().any(|relation| !relation.is_shown);
        intake.assumed(running.assumed.or(hidden.then_some(HIDDEN)));
        self.followed.prove(intake)?;
        running.tell(&mut self.told, intake);
        Ok(())
    }
}

/// Why a view or a table of another engine proves nothing.
pub(super) const HIDDEN: &str = "a table that is followed is a view, or of an engine whose transactions the server does \
                                 not show (those of InnoDB, MyISAM, Aria and MEMORY are known)";

/// Hands over rows.
fn take(
    followed: &mut Followed,
    index: usize,
    relation: &Relation,
    rows: &[MySqlRow],
    intake: &mut dyn Intake,
) -> Result<(), Halt> {
    let tracker = &mut followed.tables[index];
    for row in rows {
        let Taken { key, json, updated, time } = row::take(row, relation, &tracker.table)?;
        tracker.row(&Row { key: key.as_deref(), json: &json, updated, time }, intake)?;
    }
    Ok(followed.deliver_much(intake)?)
}

/// Where a row stands in the order of its table; `None` where it has none.
fn place(row: &MySqlRow, relation: &Relation) -> Result<Option<Vec<Vec<u8>>>, Failure> {
    let Some(order) = &relation.order else { return Ok(None) };
    let value = |at: &usize| Ok(bytes(row, *at)?.unwrap_or_default().to_vec());
    order.iter().map(value).collect::<Result<Vec<_>, Failure>>().map(Some)
}

fn unordered(table: &str) -> Failure {
    Failure(format!(
        "the table {table} has more than {UNORDERED_ROWS_MAX} rows and no primary key or unique index in whose order they \
         could be read (floating numbers, enumerations and columns that may be null give none): add one, or name the \
         column that rises with each change and trust it (`columns: {{updated: …}}`, `sweep: never`)"
    ))
}

fn span(duration: Duration) -> Span {
    Span(i64::try_from(duration.as_nanos()).unwrap_or(i64::MAX))
}
