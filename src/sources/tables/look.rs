//! What `check --connect` asks of tables, whatever the database.

use super::{Sample, Table};
use crate::model::time::{Span, Time};
use crate::sources::live::{Failure, Intake};
use crate::sources::remark::Remark;
use crate::sources::waiting::Halt;
use std::collections::HashMap;
use std::time::Duration;

/// How long changes are waited for.
pub const WATCHED_FOR: Duration = Duration::from_secs(5);
/// So many rows of a table, the last ones, are compared.
pub const COMPARED_MAX: usize = 20_000;

/// Rows by what tells them apart, each with its text and what its `updated` says.
pub type Rows = HashMap<Option<String>, (String, Option<Time>)>;

/// The tables that can be read; what is wrong with the others is remarked.
pub fn found<'t, R>(
    tables: &'t [Table],
    remarks: &mut Vec<Remark>,
    mut look_up: impl FnMut(&'t Table) -> Result<R, Halt>,
) -> Result<Vec<(&'t Table, R)>, Halt> {
    let mut found = Vec::new();
    for table in tables {
        match look_up(table) {
            Ok(relation) => found.push((table, relation)),
            Err(Halt::Failed(Failure(why))) => remarks.push(Remark::error(why)),
            Err(Halt::Stopped) => return Err(Halt::Stopped),
        }
    }
    Ok(found)
}

/// Reads the tables that have an `updated` twice, and says what those rows show that changed in between.
pub fn compared<R>(
    found: &[(&Table, R)],
    lateness: Span,
    intake: &mut dyn Intake,
    mut rows: impl FnMut(&Table, &R) -> Result<Rows, Halt>,
) -> Result<Vec<Remark>, Halt> {
    let begun = intake.now();
    let tables = found.iter().filter(|(table, _)| table.updated.is_some());
    let before = tables.map(|(table, relation)| Ok((table, relation, rows(table, relation)?)));
    let before = before.collect::<Result<Vec<_>, Halt>>()?;
    if !before.is_empty() {
        intake.pause(WATCHED_FOR)?;
    }
    let mut remarks = Vec::new();
    for (table, relation, before) in before {
        let now = rows(table, relation)?.into_iter();
        let changed = now.filter(|(key, (text, _))| before.get(key).is_none_or(|(was, _)| was != text));
        let updated = changed.map(|(_, (_, updated))| updated).collect();
        remarks.extend(Sample { updated, more: false }.remarks(table, begun, intake.now(), lateness));
    }
    Ok(remarks)
}
