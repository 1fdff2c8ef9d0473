//! What the format of another tool makes of a payload: one record, none, or many.
//!
//! ```text
//! payload ─▶ unfold ─▶ Whole                    ordinary formats: the payload is the record
//!                  ├─▶ Told, Told, …            a body each, with the time, key and kind that the tool tells
//!                  ├─▶ Passed, Alive            no record: a tombstone, a table's new columns; a heartbeat
//!                  └─▶ Bad                      not what it should be
//! ```

use super::fields::Fields;
use super::undecodable::Undecodable;
use crate::model::time::{Span, Time};
use std::borrow::Cow;
use std::{iter, option, vec};

/// A part of a payload.
#[derive(Clone, Debug)]
pub enum Piece<'a> {
    /// The payload is the record.
    Whole,
    /// A record as its format tells it.
    Told(Box<Told<'a>>),
    /// Nothing that a flow could want; it may still show how far time has come.
    Passed(Option<Time>),
    /// No record, but a word of the relay that it is alive.
    Alive(Time),
    /// It cannot be read.
    Bad(Undecodable),
}

/// What a record shows of the relay that stands between the system and its records, such as a connector: what the relay
/// has not told yet, nobody can find by reading on.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum Relay {
    /// There is none, or nothing is shown.
    #[default]
    Silent,
    /// It told a change, so long after it was made.
    Behind(Span),
    /// It told what does not stand in the log at this place, such as a row of a snapshot.
    Aside,
    /// It was alive at that time.
    Alive(Time),
}

/// A record as its format tells it. What it does not tell is as the source has it.
#[derive(Clone, Debug, Default)]
pub struct Told<'a> {
    /// Its body, and what stands beside it.
    pub fields: Fields<'a>,
    /// When it happened.
    pub time: Option<Time>,
    /// Its own key.
    pub key: Option<Cow<'a, str>>,
    /// What makes its effect unique, where a step has no `dedupe_by`.
    pub identity: Option<String>,
    /// The kind of change.
    pub op: Option<&'static str>,
    /// What it shows of the relay.
    pub relay: Relay,
    /// The table, topic or queue that it is of.
    pub stream: Option<Cow<'a, str>>,
    /// How many lines of a document stand before it.
    pub lines_before: u64,
}

impl<'a> Told<'a> {
    /// A record of these fields.
    pub fn of(fields: Fields<'a>) -> Told<'a> {
        Told { fields, ..Told::default() }
    }
}

impl Told<'_> {
    /// The same, independent of the payload.
    pub fn into_owned(self) -> Told<'static> {
        let owned = |text: Cow<'_, str>| Cow::Owned(text.into_owned());
        Told {
            fields: self.fields.into_owned(),
            time: self.time,
            key: self.key.map(owned),
            identity: self.identity,
            op: self.op,
            relay: self.relay,
            stream: self.stream.map(owned),
            lines_before: self.lines_before,
        }
    }
}

impl<'a> From<Told<'a>> for Piece<'a> {
    fn from(told: Told<'a>) -> Piece<'a> {
        Piece::Told(Box::new(told))
    }
}

impl Piece<'_> {
    /// How many lines of the payload stand before it.
    pub fn lines_before(&self) -> u64 {
        if let Piece::Told(told) = self { told.lines_before } else { 0 }
    }
}

/// The pieces of a payload, each with its number.
pub enum Unfolded<'a> {
    /// One.
    One(option::IntoIter<Piece<'a>>),
    /// As many as there are.
    Many(iter::Enumerate<vec::IntoIter<Piece<'a>>>),
}

impl<'a> Unfolded<'a> {
    pub(super) fn one(piece: Piece<'a>) -> Unfolded<'a> {
        Unfolded::One(Some(piece).into_iter())
    }

    pub(super) fn many(pieces: Vec<Piece<'a>>) -> Unfolded<'a> {
        Unfolded::Many(pieces.into_iter().enumerate())
    }
}

impl<'a> Iterator for Unfolded<'a> {
    type Item = (u32, Piece<'a>);

    fn next(&mut self) -> Option<(u32, Piece<'a>)> {
        match self {
            Unfolded::One(piece) => Some((0, piece.next()?)),
            Unfolded::Many(pieces) => pieces.next().map(|(number, piece)| (number as u32, piece)),
        }
    }
}

#[cfg(test)]
mod tests;
