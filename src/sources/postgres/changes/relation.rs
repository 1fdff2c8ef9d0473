//! A table as its changes see it: how a row becomes a payload and a key.

use super::pgoutput::{Column, Datum, Old, Tuple};
use super::setup::Watched;
use crate::sources::postgres::types::{Kind, Types, string};

/// A table that is followed, with its columns as they are now.
#[derive(Debug, PartialEq)]
pub(super) struct Relation {
    /// Its number in the database.
    pub id: u32,
    /// Its name, with the schema where that is not `public`.
    pub name: String,
    /// The part of the intake.
    pub part: u32,
    columns: Vec<Shape>,
    /// The places of its key's columns.
    key: Vec<usize>,
}

#[derive(Debug, PartialEq)]
struct Shape {
    /// Its name as JSON writes it, and the colon.
    name: Vec<u8>,
    kind: Kind,
    identity: bool,
}

impl Relation {
    /// A followed table with these columns; the name of a key's column that is not among them, where there is one.
    pub fn new(watched: &Watched, part: u32, columns: &[Column], types: &Types) -> Result<Relation, String> {
        let place = |name: &String| columns.iter().position(|column| column.name == *name).ok_or_else(|| name.clone());
        let key = watched.key.iter().map(place).collect::<Result<_, _>>()?;
        let shape = |column: &Column| {
            let mut name = Vec::new();
            string(column.name.as_bytes(), &mut name);
            name.push(b':');
            Shape { name, kind: types.kind(column.kind), identity: column.identity }
        };
        let columns = columns.iter().map(shape).collect();
        Ok(Relation { id: watched.id, name: watched.name.clone(), part, columns, key })
    }

    /// Appends a row as JSON; what is not known of it is left out.
    pub fn payload(&self, tuple: Tuple<'_>, out: &mut Vec<u8>) {
        out.push(b'{');
        for (shape, value) in self.columns.iter().zip(tuple.columns()) {
            if value == Datum::Unchanged {
                continue;
            }
            if out.last() != Some(&b'{') {
                out.push(b',');
            }
            out.extend_from_slice(&shape.name);
            match value {
                Datum::Text(text) => shape.kind.json(text, out),
                _ => out.extend_from_slice(b"null"),
            }
        }
        out.push(b'}');
    }

    /// The key of a row: its text, or a list of the columns' values; `None` where a part of it is null.
    pub fn key(&self, tuple: Tuple<'_>) -> Option<String> {
        let values: Vec<Datum<'_>> = tuple.columns().collect();
        let part = |place: &usize| match values.get(*place) {
            Some(Datum::Text(text)) => Some((&self.columns[*place].kind, *text)),
            _ => None,
        };
        let parts = self.key.iter().map(part).collect::<Option<Vec<_>>>()?;
        let text = match &parts[..] {
            [(kind, text)] => kind.plain(text).into_owned(),
            several => {
                let mut list = vec![b'['];
                for (at, (kind, text)) in several.iter().enumerate() {
                    if at > 0 {
                        list.push(b',');
                    }
                    kind.json(text, &mut list);
                }
                list.push(b']');
                list
            }
        };
        Some(String::from_utf8(text).unwrap_or_else(|error| String::from_utf8_lossy(error.as_bytes()).into_owned()))
    }

    /// The old row with what is known of it alone: where it is told by its identity, the rest is not null.
    pub fn known(&self, old: Old<'_>) -> Vec<u8> {
        if old.whole {
            return old.tuple.bytes().to_vec();
        }
        let mut known = Vec::new();
        for (shape, value) in self.columns.iter().zip(old.tuple.columns()) {
            Tuple::push(&mut known, if shape.identity { value } else { Datum::Unchanged });
        }
        known
    }
}
