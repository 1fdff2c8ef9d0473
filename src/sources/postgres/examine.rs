//! `check --connect`: what the database lets us see, and which columns can be believed.

use super::Options;
use super::catalog::{self, Relation};
use super::row;
use super::running;
use super::session::{Session, column};
use super::sql::{self, Which};
use crate::model::time::Time;
use crate::sources::remark::{Alone, Remark, looked};
use crate::sources::tables::{Sample, Sweep, Table, look};
use crate::sources::waiting::Halt;

/// So many changed rows of a table are looked at.
const CHANGED_MAX: usize = 10_000;

/// Looks at everything that can be looked at.
pub(super) fn examine(options: &Options) -> Vec<Remark> {
    looked(|remarks| look(options, remarks))
}

fn look(options: &Options, remarks: &mut Vec<Remark>) -> Result<(), Halt> {
    let mut session = Session::open(&options.url.0, &mut Alone)?;
    let version: String = column(&session.row("SHOW server_version", &mut Alone)?, 0)?;
    remarks.push(Remark::good(format!("PostgreSQL {version} at {} lets us in, to read only", session.address())));
    remarks.push(running::read(&mut session, &mut Vec::new(), None, &mut Alone)?.remark());
    let types = catalog::types(&mut session, &mut Alone)?;
    let found =
        look::found(&options.tables, remarks, |table| catalog::look_up(&mut session, table, &types, &mut Alone))?;
    let (begun, bound) = moment(&mut session)?;
    for (table, relation) in &found {
        remarks.extend(of_table(&mut session, table, relation, begun)?);
    }
    if found.iter().any(|(table, relation)| table.updated.is_some() && relation.has_transactions) {
        std::thread::sleep(look::WATCHED_FOR);
    }
    for (table, relation) in &found {
        if table.updated.is_some() && relation.has_transactions {
            let sample = changed(&mut session, table, relation, bound)?;
            let (ended, _) = moment(&mut session)?;
            remarks.extend(sample.remarks(table, begun, ended, options.common.lateness));
        }
    }
    Ok(())
}

/// The database's time, and the number of the oldest transaction that is under way.
fn moment(session: &mut Session) -> Result<(Time, u32), Halt> {
    let now = sql::micros("clock_timestamp()");
    let row = session.row(&format!("SELECT {now}, txid_snapshot_xmin(txid_current_snapshot())"), &mut Alone)?;
    Ok((Time(column::<i64>(&row, 0)?.saturating_mul(1_000)), column::<i64>(&row, 1)? as u32))
}

/// How a table will be read.
fn of_table(session: &mut Session, table: &Table, relation: &Relation, now: Time) -> Result<Vec<Remark>, Halt> {
    let name = &table.name;
    let mut remarks = Vec::new();
    let count = session.row(&format!("SELECT count(*)::int8 FROM {}", relation.sql), &mut Alone)?;
    let (rows, key) = (column::<i64>(&count, 0)?, relation.key.join(", "));
    remarks.push(Remark::good(format!("{name}: {rows} rows, told apart by {key}")));
    if !relation.has_transactions {
        remarks.push(Remark::warning(format!(
            "{name}: it is no ordinary table, so nothing but a look at all its rows shows which have changed"
        )));
    }
    let Some(updated) = &relation.updated else { return Ok(remarks) };
    let which = Which { bound: None, updated: Some(now) };
    let plan = session.rows(&format!("EXPLAIN {}", sql::select(table, relation, which)), &mut Alone)?;
    let plan: Vec<String> = plan.iter().map(|row| column(row, 0)).collect::<Result<_, _>>()?;
    let scan = plan.iter().find(|line| line.contains("Scan")).cloned().unwrap_or_default();
    let scan = scan.trim().trim_start_matches("->").trim().replace(" \"throughline's row\"", "");
    let remark = match (relation.has_index, table.sweep) {
        (true, _) => Remark::good(format!("{name}: a poll by `{}` is a {scan}", updated.column)),
        (false, Sweep::Never) => Remark::warning(format!(
            "{name}: no index begins with `{column}`, so each poll reads the whole table ({scan}): `CREATE INDEX \
             CONCURRENTLY ON {} ({})`",
            relation.sql,
            crate::sources::tables::quoted(&updated.column),
            column = updated.column
        )),
        (false, _) => Remark::warning(format!(
            "{name}: no index begins with `{}`, so it is of no use: the table is looked through instead, as often as that \
             costs little",
            updated.column
        )),
    };
    remarks.push(remark);
    Ok(remarks)
}

/// The rows that were changed since, and what their `updated` says.
fn changed(session: &mut Session, table: &Table, relation: &Relation, bound: u32) -> Result<Sample, Halt> {
    let which = Which { bound: Some(bound), updated: None };
    let select = format!("{} LIMIT {}", sql::select(table, relation, which), CHANGED_MAX + 1);
    let rows = session.rows(&select, &mut Alone)?;
    let time = |row| row::take(row, relation, table).map(|taken| taken.updated);
    let updated: Vec<Option<Time>> = rows.iter().take(CHANGED_MAX).map(time).collect::<Result<_, _>>()?;
    Ok(Sample { updated, more: rows.len() > CHANGED_MAX })
}
