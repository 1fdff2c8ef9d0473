//! The statements that read rows.

use super::catalog::{Relation, Stamp};
use crate::model::time::{Span, Time};
use crate::sources::tables::{Table, quoted};

/// The name under which a statement knows the row: none that a column has by chance.
const ROW: &str = "\"throughline's row\"";

/// Microseconds since 1970 of an expression that gives a time; null where it is infinite.
pub(super) fn micros(expression: &str) -> String {
    format!("CASE WHEN isfinite({expression}) THEN (extract(epoch FROM {expression}) * 1000000)::int8 END")
}

/// A text as SQL reads it.
pub(super) fn literal(text: &str) -> String {
    format!("'{}'", text.replace('\'', "''"))
}

/// Which rows are read.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Which {
    /// Written by transactions of this number (the lower half of it) or higher ones.
    pub bound: Option<u32>,
    /// Stamped at this time or later, or not at all.
    pub updated: Option<Time>,
}

/// A statement that gives rows, column by column: nothing that the server would have to make of them.
pub(super) fn select(table: &Table, relation: &Relation, which: Which) -> String {
    let columns: Vec<String> = relation.columns.iter().map(|(name, _)| format!("{ROW}.{}", quoted(name))).collect();
    let mut conditions = Vec::new();
    if let Some(bound) = which.bound {
        // Asked for once, not for each row.
        conditions.push(format!("age({ROW}.xmin) <= (SELECT age('{bound}'::xid))"));
    }
    if let (Some(from), Some(updated)) = (which.updated, &relation.updated) {
        let column = format!("{ROW}.{}", quoted(&updated.column));
        let null = if updated.nullable { format!(" OR {column} IS NULL") } else { String::new() };
        conditions.push(format!("({column} >= {}{null})", updated.from(from, table)));
    }
    let filter = if conditions.is_empty() { String::new() } else { format!(" WHERE {}", conditions.join(" AND ")) };
    format!("SELECT {} FROM {} AS {ROW}{filter}", columns.join(", "), relation.sql)
}

impl Stamp {
    /// The least value that the column has at a time or later.
    fn from(&self, from: Time, table: &Table) -> String {
        let at = |later: Span| literal(&(from + later).to_string());
        if self.zoned {
            return format!("{}::timestamptz", at(Span::ZERO));
        }
        // Where clocks are set back, later moments show less.
        let zone = literal(table.zone.name());
        let shown =
            [0, 1800, 3600, 7200].map(|later| format!("{}::timestamptz AT TIME ZONE {zone}", at(Span::seconds(later))));
        format!("least({})", shown.join(", "))
    }
}
