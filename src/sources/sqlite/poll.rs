//! The rounds of polling.

use super::Options;
use super::catalog::{self, Relation, Writing};
use super::session::Session;
use super::values::{self, Value, value};
use crate::model::time::{Span, Time};
use crate::sources::live::{Failure, Intake};
use crate::sources::tables::{Followed, Kind, Mark, Reading, Row, Sweep, System, Table, quoted};
use crate::sources::waiting::Halt;
use sqlx::sqlite::SqliteRow;
use std::time::{Duration, Instant};

/// Rows that one statement reads: so long is a writer kept waiting at most, where the database is not in WAL mode.
const PAGE_ROWS: usize = 500;
/// So many rows are read because of their `updated`; where there are more, the whole table is looked through.
const WINDOW_ROWS_MAX: usize = 5_000;
/// A look through a whole table is followed by so many times its length of rest.
const REST_PER_WORK: u32 = 20;
/// Why proofs are assumed.
pub(super) const ASSUMED: &str = "SQLite does not tell which transactions are under way: what is stamped is taken to be committed \
                       within the declared lateness";

/// Follows the tables until the daemon stops.
pub(super) fn follow(options: &Options, cursor: Option<&[u8]>, intake: &mut dyn Intake) -> Result<(), Halt> {
    let followed = Followed::new(options.common, cursor)?;
    let session = Session::open(&options.path, intake)?;
    let mut poller = Poller { session, followed, relations: Vec::new(), versions: Vec::new() };
    poller.open(&options.tables, intake)?;
    intake.assumed(Some(ASSUMED));
    loop {
        poller.round(intake)?;
        intake.pause(Duration::from_nanos(options.common.poll.0.unsigned_abs()))?;
    }
}

struct Poller {
    session: Session,
    followed: Followed,
    /// Of each table.
    relations: Vec<Relation>,
    /// The database's version when each table's last read began that its proof rests on.
    versions: Vec<Option<i64>>,
}

impl Poller {
    /// Looks the tables up, and takes up what is known of them.
    fn open(&mut self, tables: &[Table], intake: &mut dyn Intake) -> Result<(), Halt> {
        for table in tables {
            self.relations.push(catalog::look_up(&mut self.session, table, intake)?);
            let system = System { knows_changes: false, rest_per_work: REST_PER_WORK };
            self.followed.add(table, system, intake);
            self.versions.push(None);
        }
        self.followed.recall(intake);
        Ok(())
    }

    fn round(&mut self, intake: &mut dyn Intake) -> Result<(), Halt> {
        let file = self.session.file()?;
        let mark = Mark { whole: intake.now(), bound: 0 };
        let version = self.session.rows("PRAGMA data_version", intake)?;
        let version = version.first().map(|row| value(row, 0)).transpose()?;
        let Some(Value::Integer(version)) = version else {
            return Err(Failure("SQLite does not say whether anything has changed".into()).into());
        };
        for index in 0..self.relations.len() {
            self.followed.tables[index].is(file, intake);
            self.visit(index, mark, version, intake)?;
        }
        Ok(self.followed.prove(intake)?)
    }

    /// Reads of one table what is due.
    fn visit(&mut self, index: usize, mark: Mark, version: i64, intake: &mut dyn Intake) -> Result<(), Halt> {
        let tracker = &mut self.followed.tables[index];
        if tracker.state.swept.is_some() && self.versions[index] == Some(version) {
            tracker.unchanged(mark);
            return Ok(());
        }
        let Some(kind) = tracker.due(mark.whole, self.relations[index].has_index) else { return Ok(()) };
        let proves = kind == Kind::Sweep || tracker.table.sweep == Sweep::Never;
        let done = match kind {
            Kind::Sweep => false,
            Kind::Poll => self.window(index, mark, intake)?,
        };
        if !done {
            // What `updated` cannot find is found by looking at everything, at once where nothing else would.
            if kind == Kind::Poll && !proves {
                return Ok(());
            }
            self.sweep(index, mark, intake)?;
        }
        if proves {
            self.versions[index] = Some(version);
        }
        Ok(())
    }

    /// Reads what `updated` says has changed; `false` where it cannot say.
    fn window(&mut self, index: usize, mark: Mark, intake: &mut dyn Intake) -> Result<bool, Halt> {
        let begun = Instant::now();
        let table = self.followed.tables[index].table.clone();
        let Some(writing) = catalog::writing(&mut self.session, &table, intake)? else { return Ok(false) };
        let Some(since) = self.followed.tables[index].since(Kind::Poll) else { return Ok(false) };
        let select = self.select_window(index, writing, self.followed.tables[index].reach(since));
        let rows = self.session.rows(&select, intake)?;
        if rows.len() > WINDOW_ROWS_MAX {
            return Ok(false);
        }
        let reading = Reading { kind: Kind::Poll, mark, at: intake.now(), everything: false };
        self.followed.tables[index].begin(reading);
        self.take(index, &rows, intake)?;
        self.followed.tables[index].complete(span(begun.elapsed()), intake);
        Ok(true)
    }

    /// Reads the whole table, some rows at a time: what changes behind our back changes the version too.
    fn sweep(&mut self, index: usize, mark: Mark, intake: &mut dyn Intake) -> Result<(), Halt> {
        let reading = Reading { kind: Kind::Sweep, mark, at: mark.whole, everything: true };
        self.followed.tables[index].begin(reading);
        let mut took = Duration::ZERO;
        let mut last = None;
        loop {
            let begun = Instant::now();
            let rows = self.session.rows(&self.select_page(index, last.as_deref()), intake)?;
            took += begun.elapsed();
            self.followed.tables[index].meets_at(intake.now());
            self.take(index, &rows, intake)?;
            let Some(row) = rows.last().filter(|_| rows.len() == PAGE_ROWS) else { break };
            let order = self.relations[index].order.len();
            last = Some((0..order).map(|at| value(row, at)).collect::<Result<Vec<Value>, _>>()?);
        }
        self.followed.tables[index].complete(span(took), intake);
        Ok(())
    }

    /// What all statements give: what rows are ordered by, then the row.
    fn columns(&self, index: usize) -> (String, String) {
        let order: Vec<String> = self.relations[index].order.iter().map(|column| quoted(column)).collect();
        let table = quoted(&self.followed.tables[index].table.name);
        (order.join(", "), table)
    }

    fn select_page(&self, index: usize, last: Option<&[Value]>) -> String {
        let (order, table) = self.columns(index);
        let behind = last.map_or_else(String::new, |last| {
            let last: Vec<String> = last.iter().map(Value::sql).collect();
            format!(" WHERE ({order}) > ({})", last.join(", "))
        });
        format!("SELECT {order}, * FROM {table}{behind} ORDER BY {order} LIMIT {PAGE_ROWS}")
    }

    fn select_window(&self, index: usize, writing: Writing, from: Time) -> String {
        let (order, name) = self.columns(index);
        let table = &self.followed.tables[index].table;
        let updated = quoted(table.updated.as_deref().unwrap_or_default());
        let from = writing.from(from, table);
        let most = WINDOW_ROWS_MAX + 1;
        format!("SELECT {order}, * FROM {name} WHERE {updated} >= {from} OR {updated} IS NULL LIMIT {most}")
    }

    /// Hands over rows.
    fn take(&mut self, index: usize, rows: &[SqliteRow], intake: &mut dyn Intake) -> Result<(), Halt> {
        let relation = &self.relations[index];
        let tracker = &mut self.followed.tables[index];
        let Some(first) = rows.first() else { return Ok(()) };
        let places = Places::of(first, relation, &tracker.table)?;
        for row in rows {
            let json = values::json(row, relation.order.len())?;
            let key = places.key(row)?;
            let (updated, time) = (places.updated, places.time);
            let time_at = |place: Option<usize>| place.map(|place| value(row, place)).transpose();
            let (updated, time) = (time_at(updated)?, time_at(time)?);
            let read = |value: Option<Value>| value.and_then(|value| value.time(&tracker.table));
            let (updated, time) = (read(updated), read(time));
            tracker.row(&Row { key: key.as_deref(), json: &json, updated, time }, intake)?;
        }
        Ok(self.followed.deliver_much(intake)?)
    }
}

/// Where in a row its columns stand.
struct Places {
    key: Vec<usize>,
    updated: Option<usize>,
    time: Option<usize>,
}

impl Places {
    fn of(row: &SqliteRow, relation: &Relation, table: &Table) -> Result<Places, Failure> {
        use sqlx::{Column, Row};
        let place = |name: &String| {
            let columns = row.columns().iter().enumerate().skip(relation.order.len());
            let found = columns.filter(|(_, column)| column.name() == name).map(|(place, _)| place).next();
            found.ok_or_else(|| Failure(format!("the table {} has lost its column {name}", table.name)))
        };
        Ok(Places {
            key: relation.key.iter().map(place).collect::<Result<_, _>>()?,
            updated: table.updated.as_ref().map(place).transpose()?,
            time: table.time.as_ref().map(place).transpose()?,
        })
    }

    /// The text of a row's key: of several columns, a JSON list.
    fn key(&self, row: &SqliteRow) -> Result<Option<String>, Failure> {
        if let [one] = self.key[..] {
            return Ok(value(row, one)?.key());
        }
        let parts: Vec<String> =
            self.key.iter().map(|place| value(row, *place).map(|value| value.json())).collect::<Result<_, _>>()?;
        Ok(Some(format!("[{}]", parts.join(", "))))
    }
}

fn span(duration: Duration) -> Span {
    Span(i64::try_from(duration.as_nanos()).unwrap_or(i64::MAX))
}
