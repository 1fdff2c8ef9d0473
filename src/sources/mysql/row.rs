//! A row as the server gives it, column by column, as JSON with its key and its times.

use super::catalog::Relation;
use super::session::bytes;
use crate::model::time::Time;
use crate::model::timestamp;
use crate::sources::json::string;
use crate::sources::live::Failure;
use crate::sources::tables::Table;
use sqlx::mysql::MySqlRow;

/// What is made of one row after the other.
#[derive(Debug, Default)]
pub(super) struct Taken {
    /// The text of its key; `None` where it is null.
    pub key: Option<String>,
    /// Itself.
    pub json: String,
    pub updated: Option<Time>,
    pub time: Option<Time>,
}

/// Takes a row that a statement of [`super::sql`] has asked for.
pub(super) fn take(row: &MySqlRow, relation: &Relation, table: &Table) -> Result<Taken, Failure> {
    let mut json = vec![b'{'];
    for (at, column) in relation.columns.iter().enumerate() {
        if at > 0 {
            json.push(b',');
        }
        string(column.name.as_bytes(), &mut json);
        json.push(b':');
        match bytes(row, at)? {
            Some(value) => column.kind.json(value, &mut json),
            None => json.extend_from_slice(b"null"),
        }
    }
    json.push(b'}');
    let (updated, time) = (time(row, relation, relation.updated, table)?, time(row, relation, relation.time, table)?);
    Ok(Taken { key: key(row, relation)?, json: utf8(json)?, updated, time })
}

fn utf8(bytes: Vec<u8>) -> Result<String, Failure> {
    String::from_utf8(bytes).map_err(|_| Failure("the server gave text that is not UTF-8".into()))
}

/// The text of a key: of several columns, a JSON list.
fn key(row: &MySqlRow, relation: &Relation) -> Result<Option<String>, Failure> {
    if let [at] = relation.key[..] {
        let plain = bytes(row, at)?.map(|value| relation.columns[at].kind.plain(value).into_owned());
        return plain.map(utf8).transpose();
    }
    let mut list = vec![b'['];
    for (number, at) in relation.key.iter().enumerate() {
        if number > 0 {
            list.push(b',');
        }
        match bytes(row, *at)? {
            Some(value) => relation.columns[*at].kind.json(value, &mut list),
            None => list.extend_from_slice(b"null"),
        }
    }
    list.push(b']');
    utf8(list).map(Some)
}

/// The time in a column; null and days that are none (`0000-00-00`) are no time.
fn time(row: &MySqlRow, relation: &Relation, at: Option<usize>, table: &Table) -> Result<Option<Time>, Failure> {
    let Some(at) = at else { return Ok(None) };
    let Some(value) = bytes(row, at)? else { return Ok(None) };
    let plain = String::from_utf8_lossy(&relation.columns[at].kind.plain(value)).into_owned();
    // A date is the beginning of its day.
    let whole = if plain.len() == 10 { plain + "T00:00:00" } else { plain };
    Ok(timestamp::read(&whole, table.zone).ok())
}
