//! What the database knows of the tables: are they there, how are their rows told apart, how is `updated` written.

use super::session::Session;
use super::values::{Value, value};
use crate::model::time::{Span, Time};
use crate::sources::live::{Failure, Intake};
use crate::sources::tables::{Sweep, Table, quoted};
use crate::sources::waiting::Halt;
use chrono::DateTime;

/// A table as the database has it.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Relation {
    /// The columns that tell its rows apart.
    pub key: Vec<String>,
    /// What its rows are read in the order of: each value once, none null.
    pub order: Vec<String>,
    /// Whether `updated` finds rows without reading all of them.
    pub has_index: bool,
}

/// How a column's times are written, so that they can be compared as they stand.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Writing {
    /// `2026-01-31 08:30:05`, or with a `T`; of the table's zone, or with a `Z` at the end.
    Text { between: char, utc: bool },
    /// Units of so many nanoseconds since 1970.
    Epoch(i64),
}

/// Looks a table up.
pub(super) fn look_up(session: &mut Session, table: &Table, intake: &mut dyn Intake) -> Result<Relation, Halt> {
    let name = Value::Text(table.name.clone()).sql();
    let columns = session.rows(&format!("SELECT name, pk FROM pragma_table_info({name})"), intake)?;
    if columns.is_empty() {
        return Err(missing(session, table, intake)?.into());
    }
    let mut names = Vec::new();
    let mut primary = Vec::new();
    for row in &columns {
        let Value::Text(name) = value(row, 0)? else { continue };
        match value(row, 1)? {
            Value::Integer(place) if place > 0 => primary.push((place, name.clone())),
            _ => {}
        }
        names.push(name);
    }
    primary.sort();
    let primary: Vec<String> = primary.into_iter().map(|(_, name)| name).collect();
    let named = table.key.iter().chain(&table.updated).chain(&table.time);
    named.into_iter().try_for_each(|column| known(table, &names, column))?;
    let key = if table.key.is_empty() { primary.clone() } else { table.key.clone() };
    if key.is_empty() {
        let message = format!(
            "the table {} has no primary key: name the columns that tell its rows apart, `columns: {{key: …}}`",
            table.name
        );
        return Err(Failure(message).into());
    }
    let order = match row_number(session, table, &names, intake)? {
        Some(column) => vec![column],
        None => key.clone(),
    };
    let has_index = match &table.updated {
        Some(updated) => has_index(session, table, updated, intake)?,
        None => false,
    };
    Ok(Relation { key, order, has_index })
}

fn missing(session: &mut Session, table: &Table, intake: &mut dyn Intake) -> Result<Failure, Halt> {
    let rows = session
        .rows("SELECT name FROM sqlite_master WHERE type IN ('table', 'view') ORDER BY name LIMIT 20", intake)?;
    let names: Vec<String> =
        rows.iter().map(|row| value(row, 0)?.key().ok_or_else(|| Failure(String::new()))).collect::<Result<_, _>>()?;
    let help =
        if names.is_empty() { "there is none at all".to_owned() } else { format!("there are {}", names.join(", ")) };
    Ok(Failure(format!("the SQLite database has no table {}; {help}", table.name)))
}

fn known(table: &Table, names: &[String], column: &str) -> Result<(), Failure> {
    if names.iter().any(|name| name == column) {
        return Ok(());
    }
    Err(Failure(format!("the table {} has no column {column}; there are {}", table.name, names.join(", "))))
}

/// The name of the row's own number, where the table has one that no column hides.
fn row_number(
    session: &mut Session,
    table: &Table,
    names: &[String],
    intake: &mut dyn Intake,
) -> Result<Option<String>, Halt> {
    let sql = format!(
        "SELECT type = 'table' AND NOT wr FROM pragma_table_list({}) WHERE schema = 'main'",
        Value::Text(table.name.clone()).sql()
    );
    let rows = session.rows(&sql, intake)?;
    let has_one = rows.first().map(|row| value(row, 0)).transpose()? == Some(Value::Integer(1));
    let hidden = |name: &&str| names.iter().any(|column| column.eq_ignore_ascii_case(name));
    let free = ["rowid", "_rowid_", "oid"].into_iter().find(|name| !hidden(name));
    Ok(free.filter(|_| has_one).map(str::to_owned))
}

/// Whether an index begins with the column, over all rows.
fn has_index(session: &mut Session, table: &Table, column: &str, intake: &mut dyn Intake) -> Result<bool, Halt> {
    let (table, column) = (Value::Text(table.name.clone()).sql(), Value::Text(column.to_owned()).sql());
    let sql = format!(
        "SELECT 1 FROM pragma_index_list({table}) list JOIN pragma_index_info(list.name) info \
         WHERE NOT list.partial AND info.seqno = 0 AND info.name = {column}"
    );
    Ok(!session.rows(&sql, intake)?.is_empty())
}

/// How `updated` is written, as its highest value shows; `None` where it cannot be compared as it stands.
pub(super) fn writing(session: &mut Session, table: &Table, intake: &mut dyn Intake) -> Result<Option<Writing>, Halt> {
    let Some(updated) = &table.updated else { return Ok(None) };
    let sql = format!("SELECT max({}) FROM {}", quoted(updated), quoted(&table.name));
    let highest = session.rows(&sql, intake)?.first().map(|row| value(row, 0)).transpose()?;
    Ok(match highest {
        Some(Value::Integer(number)) => unit(number).map(Writing::Epoch),
        Some(Value::Text(text)) => text_writing(&text, table),
        _ => None,
    })
}

fn unit(number: i64) -> Option<i64> {
    match number {
        1..100_000_000_000 => Some(1_000_000_000),
        100_000_000_000..100_000_000_000_000 => Some(1_000_000),
        100_000_000_000_000..100_000_000_000_000_000 => Some(1_000),
        100_000_000_000_000_000.. => Some(1),
        _ => None,
    }
}

fn text_writing(text: &str, table: &Table) -> Option<Writing> {
    let between = text.chars().nth(10).filter(|between| matches!(between, ' ' | 'T'))?;
    let (date, clock) = text.split_at_checked(10)?;
    let shape = |text: &str, like: &str| {
        text.len() >= like.len()
            && text.bytes().zip(like.bytes()).all(|(c, l)| if l == b'0' { c.is_ascii_digit() } else { c == l })
    };
    let clock = &clock[1..];
    if !shape(date, "0000-00-00") || !shape(clock, "00:00") {
        return None;
    }
    let utc = clock.ends_with('Z');
    let rest = clock.trim_end_matches('Z');
    // An offset makes the order of texts another than that of times.
    let plain = rest.bytes().all(|c| c.is_ascii_digit() || matches!(c, b':' | b'.'));
    // Where nothing else would find a row, any of the two characters must do: the blank is the lower one.
    let between = if table.sweep == Sweep::Never { ' ' } else { between };
    plain.then_some(Writing::Text { between, utc })
}

impl Writing {
    /// The least value, as SQL, that the column has at a time or later.
    pub fn from(self, from: Time, table: &Table) -> String {
        match self {
            Writing::Epoch(unit) => (from.0.div_euclid(unit)).to_string(),
            Writing::Text { between, utc } => {
                let zone = if utc { chrono_tz::Tz::UTC } else { table.zone };
                // Where clocks are set back, later moments show less. Seconds are left out: some writers do.
                let format = format!("%Y-%m-%d{between}%H:%M");
                let shown = |later: i64| {
                    let at = from + Span::seconds(later);
                    DateTime::from_timestamp_nanos(at.0).with_timezone(&zone).format(&format).to_string()
                };
                let least = [0, 1800, 3600, 7200].map(shown).into_iter().min().unwrap_or_default();
                Value::Text(least).sql()
            }
        }
    }
}
