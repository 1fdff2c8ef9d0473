//! A row as the server gives it, column by column, as JSON with its key and its times.

use super::catalog::{Relation, Stamp};
use super::types::{Kind, string};
use crate::model::time::Time;
use crate::model::timestamp;
use crate::sources::live::Failure;
use crate::sources::tables::Table;
use sqlx::postgres::PgRow;
use sqlx::{Row, ValueRef};

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

/// Takes a row that [`super::sql::select`] has asked for.
pub(super) fn take(row: &PgRow, relation: &Relation, table: &Table) -> Result<Taken, Failure> {
    let mut json = vec![b'{'];
    for (at, (name, kind)) in relation.columns.iter().enumerate() {
        if at > 0 {
            json.push(b',');
        }
        string(name.as_bytes(), &mut json);
        json.push(b':');
        match text(row, at)? {
            Some(text) => kind.json(text, &mut json),
            None => json.extend_from_slice(b"null"),
        }
    }
    json.push(b'}');
    let stamp = |stamp: &Option<Stamp>| stamp.as_ref().map_or(Ok(None), |stamp| time(row, relation, stamp, table));
    let (updated, time) = (stamp(&relation.updated)?, stamp(&relation.time)?);
    Ok(Taken { key: key(row, relation)?, json: utf8(json)?, updated, time })
}

/// A value as text; `None` where it is null.
fn text(row: &PgRow, at: usize) -> Result<Option<&[u8]>, Failure> {
    let unreadable =
        |error: &dyn std::fmt::Display| Failure(format!("PostgreSQL gave a value that cannot be read: {error}"));
    let value = row.try_get_raw(at).map_err(|error| unreadable(&error))?;
    if value.is_null() {
        return Ok(None);
    }
    value.as_bytes().map(Some).map_err(|error| unreadable(&error))
}

fn utf8(bytes: Vec<u8>) -> Result<String, Failure> {
    String::from_utf8(bytes).map_err(|_| Failure("PostgreSQL gave text that is not UTF-8".into()))
}

/// The text of a key: of several columns, a JSON list.
fn key(row: &PgRow, relation: &Relation) -> Result<Option<String>, Failure> {
    let place = |name: &String| relation.columns.iter().position(|(known, _)| known == name);
    if let [one] = &relation.key[..] {
        let text = place(one).map_or(Ok(None), |at| text(row, at))?;
        return text.map(|text| utf8(text.to_vec())).transpose();
    }
    let mut list = vec![b'['];
    for (number, name) in relation.key.iter().enumerate() {
        if number > 0 {
            list.push(b',');
        }
        let at = place(name);
        match (at.map_or(Ok(None), |at| text(row, at))?, at) {
            (Some(text), Some(at)) => relation.columns[at].1.json(text, &mut list),
            _ => list.extend_from_slice(b"null"),
        }
    }
    list.push(b']');
    utf8(list).map(Some)
}

/// The time in a column; infinity and null are none.
fn time(row: &PgRow, relation: &Relation, stamp: &Stamp, table: &Table) -> Result<Option<Time>, Failure> {
    let Some(at) = relation.columns.iter().position(|(name, _)| *name == stamp.column) else { return Ok(None) };
    let Some(text) = text(row, at)? else { return Ok(None) };
    let kind: &Kind = &relation.columns[at].1;
    let plain = String::from_utf8_lossy(&kind.plain(text)).into_owned();
    // A date is the beginning of its day.
    let whole = if plain.len() == 10 { plain + "T00:00:00" } else { plain };
    Ok(timestamp::read(&whole, table.zone).ok())
}
