//! `check --connect`: what the database lets us see, and which columns can be believed.

use super::Options;
use super::catalog::{self, Relation};
use super::poll::HIDDEN;
use super::row;
use super::running::{self, Met};
use super::session::{Session, text};
use super::sql;
use crate::model::time::{Span, Time};
use crate::sources::live::{Failure, Intake};
use crate::sources::remark::{Alone, Remark};
use crate::sources::tables::{Sample, Sweep, Table};
use crate::sources::waiting::Halt;
use sqlx::mysql::MySqlRow;
use sqlx::{Column, Row};
use std::collections::HashMap;
use std::time::Duration;

/// How long changes are waited for.
const WATCHED_FOR: Duration = Duration::from_secs(5);
/// So many rows of a table, the last ones, are compared.
const COMPARED_MAX: usize = 20_000;

/// Rows by their keys, each with its text and what its `updated` says.
type Rows = HashMap<Option<String>, (String, Option<Time>)>;

/// Looks at everything that can be looked at.
pub(super) fn examine(options: &Options) -> Vec<Remark> {
    let mut remarks = Vec::new();
    match look(options, &mut remarks) {
        Err(Halt::Failed(Failure(why))) => remarks.push(Remark::error(why)),
        Ok(()) | Err(Halt::Stopped) => {}
    }
    remarks
}

fn look(options: &Options, remarks: &mut Vec<Remark>) -> Result<(), Halt> {
    let mut session = Session::open(&options.url.0, &mut Alone)?;
    remarks.push(Remark::good(format!("{} at {} lets us in, to read only", session.product(), session.address())));
    remarks.push(proofs(&mut session)?);
    let mut found = Vec::new();
    for table in &options.tables {
        match catalog::look_up(&mut session, table, &mut Alone) {
            Ok(relation) => found.push((table, relation)),
            Err(Halt::Failed(Failure(why))) => remarks.push(Remark::error(why)),
            Err(Halt::Stopped) => return Ok(()),
        }
    }
    let begun = Alone.now();
    let mut before = Vec::new();
    for (table, relation) in &found {
        remarks.extend(of_table(&mut session, table, relation)?);
        if table.updated.is_some() {
            remarks.push(narrows(&mut session, table, relation, begun)?);
            before.push((table, relation, rows(&mut session, table, relation)?));
        }
    }
    if !before.is_empty() {
        std::thread::sleep(WATCHED_FOR);
    }
    for (table, relation, before) in before {
        let now = rows(&mut session, table, relation)?;
        let changed = now.into_iter().filter(|(key, (text, _))| before.get(key).is_none_or(|(was, _)| was != text));
        let updated = changed.map(|(_, (_, updated))| updated).collect();
        let reach = options.common.lateness.max(Span::seconds(1));
        remarks.extend(Sample { updated, more: false }.remarks(table, begun, Alone.now(), reach));
    }
    Ok(())
}

/// Whether what is proven is earned.
fn proofs(session: &mut Session) -> Result<Remark, Halt> {
    let running = running::read(session, &mut Vec::new(), (None, &mut Met::default()), &mut Alone)?;
    Ok(match (running.assumed, running.held_by) {
        (Some(why), _) => Remark::warning(format!("progress will be assumed, by the declared lateness: {why}")),
        (None, Some(who)) => Remark::warning(format!(
            "nothing can be proven beyond {} at present: {who} began then and may still write",
            running.whole
        )),
        (None, None) => Remark::good("it tells which transactions are under way, so progress is proven"),
    })
}

/// What is followed, and what of it cannot be proven.
fn of_table(session: &mut Session, table: &Table, relation: &Relation) -> Result<Vec<Remark>, Halt> {
    let name = &table.name;
    let count = text(&session.row(&format!("SELECT COUNT(*) FROM {}", relation.sql), &mut Alone)?, 0)?;
    let key: Vec<&str> = relation.key.iter().map(|at| relation.columns[*at].name.as_str()).collect();
    let mut remarks =
        vec![Remark::good(format!("{name}: {} rows, told apart by {}", count.unwrap_or_default(), key.join(", ")))];
    for column in relation.key.iter().map(|at| &relation.columns[*at]).filter(|column| column.folds()) {
        remarks.push(Remark::warning(format!(
            "{name}: to the database, values of `{}` that differ in case may be one ({}); here, keys are compared letter by \
             letter. Where other records write it in other letters, bind `lower(row.{})`",
            column.name,
            column.collation.as_deref().unwrap_or_default(),
            column.name
        )));
    }
    if !relation.is_shown {
        remarks.push(Remark::warning(format!("{name}: progress will be assumed: {HIDDEN}")));
    }
    if relation.order.is_none() {
        remarks.push(Remark::warning(format!(
            "{name}: no primary key or unique index gives its rows an order, so all are read by one statement, {} at most",
            sql::UNORDERED_ROWS_MAX
        )));
    }
    Ok(remarks)
}

/// Whether `updated` finds rows without reading all.
fn narrows(session: &mut Session, table: &Table, relation: &Relation, now: Time) -> Result<Remark, Halt> {
    let (name, column) = (&table.name, table.updated.as_deref().unwrap_or_default());
    let plan = session.row(&format!("EXPLAIN {}", sql::window(table, relation, now)), &mut Alone)?;
    let scan = format!(
        "{} by {}, {} rows",
        named(&plan, "type")?.unwrap_or_default(),
        named(&plan, "key")?.map_or("no index".into(), |index| format!("the index {index}")),
        named(&plan, "rows")?.unwrap_or_default()
    );
    Ok(match (relation.has_index, table.sweep) {
        (true, _) => Remark::good(format!("{name}: a poll by `{column}` is a {scan}")),
        (false, Sweep::Never) => Remark::warning(format!(
            "{name}: no index begins with `{column}`, so each poll reads the whole table ({scan}): `CREATE INDEX … ON {} \
             ({})`",
            relation.sql,
            sql::quoted(column)
        )),
        (false, _) => Remark::warning(format!(
            "{name}: no index begins with `{column}`, so it is of no use: the table is looked through instead, as often as \
             that costs little"
        )),
    })
}

/// The value in a column of this name.
fn named(row: &MySqlRow, name: &str) -> Result<Option<String>, Failure> {
    match row.columns().iter().position(|column| column.name().eq_ignore_ascii_case(name)) {
        Some(at) => text(row, at),
        None => Ok(None),
    }
}

fn rows(session: &mut Session, table: &Table, relation: &Relation) -> Result<Rows, Halt> {
    let mut found = Rows::new();
    for row in session.rows(&sql::newest(relation, COMPARED_MAX), &mut Alone)? {
        let taken = row::take(&row, relation, table)?;
        found.insert(taken.key, (taken.json, taken.updated));
    }
    Ok(found)
}
