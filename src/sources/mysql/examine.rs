//! `check --connect`: what the database lets us see, and which columns can be believed.

use super::Options;
use super::catalog::{self, Relation};
use super::poll::HIDDEN;
use super::row;
use super::running::{self, Met};
use super::session::{Session, text};
use super::sql;
use crate::model::time::Time;
use crate::sources::live::{Failure, Intake};
use crate::sources::remark::{Alone, Remark, looked};
use crate::sources::tables::look::{self, COMPARED_MAX, Rows};
use crate::sources::tables::{Sweep, Table};
use crate::sources::waiting::Halt;
use sqlx::mysql::MySqlRow;
use sqlx::{Column, Row};

/// Looks at everything that can be looked at.
pub(super) fn examine(options: &Options) -> Vec<Remark> {
    looked(|remarks| look(options, remarks))
}

fn look(options: &Options, remarks: &mut Vec<Remark>) -> Result<(), Halt> {
    let mut session = Session::open(&options.url.0, &mut Alone)?;
    remarks.push(Remark::good(format!("{} at {} lets us in, to read only", session.product(), session.address())));
    remarks.push(running::read(&mut session, &mut Vec::new(), (None, &mut Met::default()), &mut Alone)?.remark());
    let found = look::found(&options.tables, remarks, |table| catalog::look_up(&mut session, table, &mut Alone))?;
    let begun = Alone.now();
    for (table, relation) in &found {
        remarks.extend(of_table(&mut session, table, relation)?);
        if table.updated.is_some() {
            remarks.push(narrows(&mut session, table, relation, begun)?);
        }
    }
    let compared = look::compared(&found, options.common.lateness, &mut Alone, |table, relation| {
        rows(&mut session, table, relation)
    });
    remarks.extend(compared?);
    Ok(())
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
