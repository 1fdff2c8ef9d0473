//! `check --connect`: what the database lets us see, and which columns can be believed.

use super::Options;
use super::catalog;
use super::poll::ASSUMED;
use super::session::Session;
use super::values::{self, Value, value};
use crate::sources::remark::{Alone, Remark, looked};
use crate::sources::tables::look::{self, COMPARED_MAX, Rows};
use crate::sources::tables::{Sweep, Table, quoted};
use crate::sources::waiting::Halt;

/// Looks at everything that can be looked at.
pub(super) fn examine(options: &Options) -> Vec<Remark> {
    looked(|remarks| look(options, remarks))
}

fn look(options: &Options, remarks: &mut Vec<Remark>) -> Result<(), Halt> {
    let mut session = Session::open(&options.path, &mut Alone)?;
    let mode = session.rows("PRAGMA journal_mode", &mut Alone)?;
    let mode = mode.first().map(|row| value(row, 0)).transpose()?.and_then(|mode| mode.key()).unwrap_or_default();
    let place = options.path.display();
    remarks.push(match mode.as_str() {
        "wal" => Remark::good(format!("{place} can be read, and is in WAL mode: readers and writers get along")),
        other => Remark::warning(format!(
            "{place} can be read. Its journal mode is `{other}`: a writer may wait for us some milliseconds, and we for \
             it; `PRAGMA journal_mode=WAL` avoids both"
        )),
    });
    remarks.push(Remark::warning(format!("progress will be assumed: {ASSUMED}")));
    let found = look::found(&options.tables, remarks, |table| catalog::look_up(&mut session, table, &mut Alone))?;
    for (table, relation) in &found {
        let count = session.rows(&format!("SELECT count(*) FROM {}", quoted(&table.name)), &mut Alone)?;
        let count = count.first().map(|row| value(row, 0)).transpose()?.and_then(|count| count.key());
        let key = relation.key.join(", ");
        let count = count.unwrap_or_default();
        remarks.push(Remark::good(format!("{}: {count} rows, told apart by {key}", table.name)));
        // How times are written shows in rows alone.
        if table.updated.is_some() && count != "0" {
            remarks.push(narrows(&mut session, table, relation)?);
        }
    }
    let compared = look::compared(&found, options.common.lateness, &mut Alone, |table, relation| {
        rows(&mut session, table, relation)
    });
    remarks.extend(compared?);
    Ok(())
}

/// Whether `updated` finds rows without reading all.
fn narrows(session: &mut Session, table: &Table, relation: &catalog::Relation) -> Result<Remark, Halt> {
    let (name, column) = (&table.name, table.updated.as_deref().unwrap_or_default());
    if catalog::writing(session, table, &mut Alone)?.is_none() {
        return Ok(Remark::warning(format!(
            "{name}: the times in `{column}` cannot be compared as they stand; they are read, but the whole table is \
             looked through for each change"
        )));
    }
    Ok(match (relation.has_index, table.sweep) {
        (true, _) => Remark::good(format!("{name}: a poll by `{column}` uses an index")),
        (false, Sweep::Never) => Remark::warning(format!(
            "{name}: no index begins with `{column}`, so each poll reads the whole table: `CREATE INDEX … ON {} ({})`",
            quoted(name),
            quoted(column)
        )),
        (false, _) => Remark::warning(format!(
            "{name}: no index begins with `{column}`, so it is of no use: the table is looked through instead"
        )),
    })
}

fn rows(session: &mut Session, table: &Table, relation: &catalog::Relation) -> Result<Rows, Halt> {
    let order: Vec<String> = relation.order.iter().map(|column| quoted(column)).collect();
    let descending: Vec<String> = order.iter().map(|column| format!("{column} DESC")).collect();
    let updated = quoted(table.updated.as_deref().unwrap_or_default());
    let sql = format!(
        "SELECT {updated}, {}, * FROM {} ORDER BY {} LIMIT {COMPARED_MAX}",
        order.join(", "),
        quoted(&table.name),
        descending.join(", ")
    );
    let mut found = Rows::new();
    for row in session.rows(&sql, &mut Alone)? {
        let place: Vec<String> =
            (1..=order.len()).map(|at| value(&row, at).map(|value| value.json())).collect::<Result<_, _>>()?;
        let updated: Value = value(&row, 0)?;
        found.insert(Some(place.join(",")), (values::json(&row, 1 + order.len())?, updated.time(table)));
    }
    Ok(found)
}
