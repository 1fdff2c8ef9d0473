//! Values of SQLite, each of its own type whatever its column is called: as JSON, as text of a key, as SQL, as a time.

use crate::model::time::Time;
use crate::model::timestamp;
use crate::sources::live::Failure;
use crate::sources::tables::Table;
use rust_decimal::Decimal;
use sqlx::sqlite::SqliteRow;
use sqlx::{Column, Row, TypeInfo, ValueRef};
use std::fmt::Write;

/// One value.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Value {
    Null,
    Integer(i64),
    Real(f64),
    Text(String),
    Blob(Vec<u8>),
}

/// A value of a row that this program asked for.
pub(super) fn value(row: &SqliteRow, index: usize) -> Result<Value, Failure> {
    let unreadable = |error| Failure(format!("SQLite gave something that cannot be read: {error}"));
    let raw = row.try_get_raw(index).map_err(unreadable)?;
    if raw.is_null() {
        return Ok(Value::Null);
    }
    let kind = raw.type_info().name().to_owned();
    Ok(match kind.as_str() {
        "INTEGER" => Value::Integer(row.try_get_unchecked(index).map_err(unreadable)?),
        "REAL" => Value::Real(row.try_get_unchecked(index).map_err(unreadable)?),
        "TEXT" => {
            let bytes: &[u8] = row.try_get_unchecked(index).map_err(unreadable)?;
            Value::Text(String::from_utf8_lossy(bytes).into_owned())
        }
        _ => Value::Blob(row.try_get_unchecked(index).map_err(unreadable)?),
    })
}

/// Columns of a row from one on, as a JSON object.
pub(super) fn json(row: &SqliteRow, from: usize) -> Result<String, Failure> {
    let mut out = String::from("{");
    for (index, column) in row.columns().iter().enumerate().skip(from) {
        if index > from {
            out.push(',');
        }
        let _ = write!(out, "{}:{}", text(column.name()), value(row, index)?.json());
    }
    out.push('}');
    Ok(out)
}

fn text(text: &str) -> String {
    serde_json::Value::from(text).to_string()
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::with_capacity(2 * bytes.len()), |mut out, byte| {
        let _ = write!(out, "{byte:02x}");
        out
    })
}

impl Value {
    /// As JSON; bytes are hexadecimal text.
    pub fn json(&self) -> String {
        match self {
            Value::Null => "null".into(),
            Value::Integer(number) => number.to_string(),
            // Infinities are no JSON.
            Value::Real(number) if !number.is_finite() => text(&number.to_string()),
            Value::Real(number) => serde_json::Value::from(*number).to_string(),
            Value::Text(value) => text(value),
            Value::Blob(bytes) => text(&hex(bytes)),
        }
    }

    /// As the text of a key; null is none.
    pub fn key(&self) -> Option<String> {
        match self {
            Value::Null => None,
            Value::Text(text) => Some(text.clone()),
            Value::Blob(bytes) => Some(hex(bytes)),
            number => Some(number.json()),
        }
    }

    /// As SQL.
    pub fn sql(&self) -> String {
        match self {
            Value::Null => "NULL".into(),
            Value::Integer(number) => number.to_string(),
            Value::Real(number) => format!("{number:e}"),
            Value::Text(text) => format!("'{}'", text.replace('\'', "''")),
            Value::Blob(bytes) => format!("x'{}'", hex(bytes)),
        }
    }

    /// The time that it stands for: text as people write it, or seconds since 1970 and finer units.
    pub fn time(&self, table: &Table) -> Option<Time> {
        match self {
            Value::Integer(number) => timestamp::epoch(*number).ok(),
            Value::Real(number) => timestamp::epoch_decimal(Decimal::try_from(*number).ok()?).ok(),
            Value::Text(text) => timestamp::read(text, table.zone).ok(),
            Value::Null | Value::Blob(_) => None,
        }
    }
}
