//! A table as its changes see it: how a row of the log becomes a payload and a key.

use super::decode::How;
use crate::sources::json::string;
use crate::sources::mysql::catalog::{Column, Relation};
use crate::sources::row_changes::Image;
use crate::sources::tables::hash;
use mysql_async::binlog::events::{OptionalMetaExtractor, TableMapEvent};
use mysql_async::binlog::row::BinlogRow;
use mysql_async::consts::ColumnType;

/// A row of the log: its key, where that is not null, and itself as JSON.
pub(super) struct Logged {
    key: Option<String>,
    row: Vec<u8>,
}

impl Logged {
    pub fn image(&self) -> Image<'_> {
        Image { key: self.key.as_deref(), row: &self.row }
    }
}

/// A table's columns as the catalogue has them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Shape {
    columns: Vec<Column>,
    how: Vec<How>,
    /// The places of its key's columns.
    key: Vec<usize>,
}

impl Shape {
    /// Of a table; an error where the log cannot be read for it.
    pub fn new(relation: &Relation) -> Result<Shape, String> {
        let how = relation.columns.iter().map(How::of).collect::<Result<_, _>>()?;
        Ok(Shape { columns: relation.columns.clone(), how, key: relation.key.clone() })
    }

    /// What tells it from another form of the table.
    pub fn hash(&self) -> u64 {
        let described = |column: &Column| format!("{} {} {:?}\n", column.name, column.full_type, column.charset);
        hash(self.columns.iter().map(described).collect::<String>().as_bytes())
    }

    /// Whether rows that the log describes like this are of this form, as far as it says: how many columns there are, of
    /// which types, and with which names where those are logged.
    pub fn fits(&self, map: &TableMapEvent<'_>) -> bool {
        if map.columns_count() != self.columns.len() as u64 {
            return false;
        }
        let is_of = |(at, column): (usize, &Column)| {
            map.get_column_type(at).ok().flatten().is_some_and(|kind| is_stored_as(&column.data_type, kind))
        };
        if !self.columns.iter().enumerate().all(is_of) {
            return false;
        }
        let names = names(map);
        names.is_empty() || names.iter().zip(&self.columns).all(|(name, column)| *name == column.name)
    }

    /// A row of the log.
    pub fn image(&self, row: &BinlogRow) -> Result<Logged, String> {
        if row.len() != self.columns.len() {
            return Err("only some of its columns were logged (binlog_row_image is to be FULL)".into());
        }
        let mut texts = Vec::with_capacity(row.len());
        for (at, (column, how)) in self.columns.iter().zip(&self.how).enumerate() {
            let value = row.as_ref(at).ok_or("a value is missing")?;
            texts.push(how.text(column, value)?);
        }
        let mut json = vec![b'{'];
        for (at, (column, text)) in self.columns.iter().zip(&texts).enumerate() {
            if at > 0 {
                json.push(b',');
            }
            string(column.name.as_bytes(), &mut json);
            json.push(b':');
            append(column, text.as_deref(), &mut json);
        }
        json.push(b'}');
        Ok(Logged { key: self.key(&texts), row: json })
    }

    /// The text of a key: of several columns, a JSON list; `None` where a part of it is null.
    fn key(&self, texts: &[Option<Vec<u8>>]) -> Option<String> {
        if self.key.iter().any(|at| texts[*at].is_none()) {
            return None;
        }
        let text = match self.key[..] {
            [at] => self.columns[at].kind.plain(texts[at].as_deref()?).into_owned(),
            _ => {
                let mut list = vec![b'['];
                for (number, at) in self.key.iter().enumerate() {
                    if number > 0 {
                        list.push(b',');
                    }
                    append(&self.columns[*at], texts[*at].as_deref(), &mut list);
                }
                list.push(b']');
                list
            }
        };
        Some(String::from_utf8_lossy(&text).into_owned())
    }
}

fn append(column: &Column, text: Option<&[u8]>, out: &mut Vec<u8>) {
    match text {
        Some(text) => column.kind.json(text, out),
        None => out.extend_from_slice(b"null"),
    }
}

/// The names that the log has; none, where the server is not told to write them.
fn names(map: &TableMapEvent<'_>) -> Vec<String> {
    let Ok(meta) = OptionalMetaExtractor::new(map.iter_optional_meta()) else { return Vec::new() };
    meta.iter_column_name().flatten().map(|name| name.name().into_owned()).collect()
}

/// Whether the log has values of this type in this way.
fn is_stored_as(data_type: &str, kind: ColumnType) -> bool {
    use ColumnType as C;
    match kind {
        C::MYSQL_TYPE_TINY => data_type == "tinyint",
        C::MYSQL_TYPE_SHORT => data_type == "smallint",
        C::MYSQL_TYPE_INT24 => data_type == "mediumint",
        C::MYSQL_TYPE_LONG => data_type == "int",
        C::MYSQL_TYPE_LONGLONG => data_type == "bigint",
        C::MYSQL_TYPE_NEWDECIMAL => data_type == "decimal",
        C::MYSQL_TYPE_FLOAT => data_type == "float",
        C::MYSQL_TYPE_DOUBLE => data_type == "double",
        C::MYSQL_TYPE_BIT => data_type == "bit",
        C::MYSQL_TYPE_YEAR => data_type == "year",
        C::MYSQL_TYPE_NEWDATE => data_type == "date",
        C::MYSQL_TYPE_TIME | C::MYSQL_TYPE_TIME2 => data_type == "time",
        C::MYSQL_TYPE_DATETIME | C::MYSQL_TYPE_DATETIME2 => data_type == "datetime",
        C::MYSQL_TYPE_TIMESTAMP | C::MYSQL_TYPE_TIMESTAMP2 => data_type == "timestamp",
        C::MYSQL_TYPE_ENUM => data_type == "enum",
        C::MYSQL_TYPE_SET => data_type == "set",
        C::MYSQL_TYPE_JSON => data_type == "json",
        C::MYSQL_TYPE_VARCHAR | C::MYSQL_TYPE_VAR_STRING => matches!(data_type, "varchar" | "varbinary"),
        C::MYSQL_TYPE_STRING => matches!(data_type, "char" | "binary" | "uuid" | "inet4" | "inet6"),
        C::MYSQL_TYPE_BLOB | C::MYSQL_TYPE_TINY_BLOB | C::MYSQL_TYPE_MEDIUM_BLOB | C::MYSQL_TYPE_LONG_BLOB => {
            data_type.ends_with("text") || data_type.ends_with("blob")
        }
        // The names of spatial types are many, those of vectors new.
        C::MYSQL_TYPE_GEOMETRY | C::MYSQL_TYPE_VECTOR => true,
        _ => false,
    }
}
