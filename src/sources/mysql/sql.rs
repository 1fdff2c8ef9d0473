//! The statements that read rows.

use super::catalog::{Column, Relation};
use super::types::{Kind, hex};
use crate::model::time::{Span, Time};
use crate::sources::tables::Table;
use chrono::DateTime;

/// Rows that one statement reads, so that none keeps the server busy, or its locks, for long.
pub(super) const PAGE_ROWS: usize = 1_000;
/// So many rows of a table at most that cannot be read a page after the other.
pub(super) const UNORDERED_ROWS_MAX: usize = 100_000;

/// A name as SQL reads it letter by letter.
pub(super) fn quoted(name: &str) -> String {
    format!("`{}`", name.replace('`', "``"))
}

/// A table with its database.
pub(super) fn table_name(database: &str, name: &str) -> String {
    format!("{}.{}", quoted(database), quoted(name))
}

/// A text as SQL reads it, in a session without backslash escapes.
pub(super) fn literal(text: &str) -> String {
    format!("'{}'", text.replace('\'', "''"))
}

/// The value of a column, as the server wrote it, as SQL.
fn value(column: &Column, bytes: &[u8]) -> String {
    match column.kind {
        Kind::Bytes => format!("x'{}'", hex(bytes)),
        Kind::Number => String::from_utf8_lossy(bytes).into_owned(),
        _ => literal(&String::from_utf8_lossy(bytes)),
    }
}

fn columns(relation: &Relation) -> String {
    relation.columns.iter().map(|column| quoted(&column.name)).collect::<Vec<_>>().join(", ")
}

/// The next rows of a table, in the order of its index; without one, all.
pub(super) fn page(relation: &Relation, last: Option<&[Vec<u8>]>) -> String {
    let (all, sql) = (columns(relation), &relation.sql);
    let Some(order) = &relation.order else {
        return format!("SELECT {all} FROM {sql} LIMIT {}", UNORDERED_ROWS_MAX + 1);
    };
    let ordered: Vec<&Column> = order.iter().map(|at| &relation.columns[*at]).collect();
    let by: Vec<String> = ordered.iter().map(|column| quoted(&column.name)).collect();
    let behind = last.map_or_else(String::new, |last| format!(" WHERE {}", behind(&ordered, last)));
    format!("SELECT {all} FROM {sql}{behind} ORDER BY {} LIMIT {PAGE_ROWS}", by.join(", "))
}

/// So many rows at most, the last ones in the order of the table's index.
pub(super) fn newest(relation: &Relation, rows: usize) -> String {
    let by = relation.order.iter().flatten().map(|at| format!("{} DESC", quoted(&relation.columns[*at].name)));
    let by = by.collect::<Vec<_>>().join(", ");
    let by = if by.is_empty() { by } else { format!(" ORDER BY {by}") };
    format!("SELECT {} FROM {}{by} LIMIT {rows}", columns(relation), relation.sql)
}

/// `a > 1 OR (a = 1 AND b > 2)`: what the server reads as a range of the index, other than `(a, b) > (1, 2)`.
fn behind(order: &[&Column], last: &[Vec<u8>]) -> String {
    let compared = |at: usize, how: &str| format!("{} {how} {}", quoted(&order[at].name), value(order[at], &last[at]));
    let one = |at: usize| {
        let same = (0..at).map(|before| compared(before, "="));
        same.chain([compared(at, ">")]).collect::<Vec<_>>().join(" AND ")
    };
    (0..order.len()).map(|at| format!("({})", one(at))).collect::<Vec<_>>().join(" OR ")
}

/// The rows that are stamped at this time or later, or not at all.
pub(super) fn window(table: &Table, relation: &Relation, from: Time) -> String {
    let (all, sql) = (columns(relation), &relation.sql);
    let Some(updated) = relation.updated.map(|at| &relation.columns[at]) else {
        return page(relation, None);
    };
    let name = quoted(&updated.name);
    let null = if updated.nullable { format!(" OR {name} IS NULL") } else { String::new() };
    format!("SELECT {all} FROM {sql} WHERE {name} >= {}{null}", least(updated, from, table))
}

/// The least value that a column shows at a time or later.
fn least(column: &Column, from: Time, table: &Table) -> String {
    let format = match column.digits {
        0 => "%Y-%m-%d %H:%M:%S".to_owned(),
        digits => format!("%Y-%m-%d %H:%M:%S%.{}f", if digits > 3 { 6 } else { 3 }),
    };
    let zone = if column.kind == Kind::Moment { chrono_tz::Tz::UTC } else { table.zone };
    // What a column cannot keep is cut off.
    let from = from - column.unit();
    let shown = |later: i64| {
        let at = from + Span::seconds(later);
        DateTime::from_timestamp_nanos(at.0).with_timezone(&zone).format(&format).to_string()
    };
    // Where clocks are set back, later moments show less.
    let least = [0, 1800, 3600, 7200].map(shown).into_iter().min().unwrap_or_default();
    literal(if column.data_type == "date" { &least[..10] } else { &least })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sources::live::Start;
    use crate::sources::tables::Sweep;

    fn column(name: &str, data_type: &str, digits: u32) -> Column {
        let (kind, nullable, collation) = (Kind::of(data_type, false), digits > 0, None);
        let (name, data_type, full_type, charset) = (name.into(), data_type.into(), data_type.into(), None);
        Column { name, data_type, full_type, charset, kind, nullable, digits, collation }
    }

    fn relation(columns: Vec<Column>, order: Option<Vec<usize>>) -> Relation {
        let updated = columns.iter().position(|column| column.name == "at");
        let sql = table_name("shop", "my`t");
        Relation { sql, columns, key: vec![0], order, updated, time: None, has_index: true, is_shown: true }
    }

    fn table(zone: chrono_tz::Tz) -> Table {
        let (sweep, start) = (Sweep::Gentle, Start::Latest);
        Table { name: "t".into(), key: vec![], updated: Some("at".into()), time: None, zone, sweep, start }
    }

    #[test]
    fn rows_are_read_a_page_after_the_other() {
        let columns = vec![column("a", "varchar", 0), column("b", "bigint", 0), column("c", "binary", 0)];
        let ordered = relation(columns.clone(), Some(vec![0, 1, 2]));
        let last = [b"it's".to_vec(), b"-7".to_vec(), vec![0xde, 0xad]];
        insta::assert_snapshot!(
            [page(&ordered, None), page(&ordered, Some(&last)), page(&relation(columns, None), None)].join("\n")
        );
    }

    #[test]
    fn what_a_column_cannot_keep_is_left_out_of_what_it_is_compared_with() {
        // An hour before clocks are set back in Berlin, 2026-10-25 01:00:00 UTC.
        let from = Time(0) + Span::seconds(1_792_886_400);
        let said = |data_type, digits, zone| {
            let relation = relation(vec![column("id", "int", 0), column("at", data_type, digits)], Some(vec![0]));
            window(&table(zone), &relation, from)
        };
        let berlin = chrono_tz::Europe::Berlin;
        insta::assert_snapshot!(
            [
                said("timestamp", 6, berlin),
                said("timestamp", 0, berlin),
                said("datetime", 3, berlin),
                said("datetime", 0, chrono_tz::UTC),
                said("date", 0, chrono_tz::UTC),
            ]
            .join("\n")
        );
    }
}
