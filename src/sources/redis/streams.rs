//! Streams, read without a group, and counted.
//!
//! ```text
//! XINFO at T: the last id, and how many entries were ever added  ─▶ target
//! XRANGE (position target]: page by page                         ─▶ records, counted
//! target reached: were as many read as were added?               ─▶ caught up at T, or a hole
//! ```
//!
//! The server counts what was ever added (`entries-added`, Redis 7). So what was trimmed or deleted before it was read
//! is known, to the entry, and so is a stream that was deleted and made again under its name.

use super::super::live::{Failure, Intake, Record, Start};
use super::value;
use crate::model::time::{Span, Time};
use redis::{Pipeline, Value};
use serde::{Deserialize, Serialize};
use std::fmt;

/// So many entries are read at a time.
pub(super) const PAGE: usize = 1_000;
/// An id is packed into an offset: milliseconds above, the number within them below.
const SEQUENCE_BITS: u32 = 22;
/// Nobody makes a stream, adds to it and deletes it within so long.
const LIFE_MIN: Span = Span::seconds(5);

/// The id of an entry.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub(super) struct Id {
    pub milliseconds: u64,
    pub sequence: u64,
}

impl Id {
    fn read(value: &Value) -> Option<Id> {
        let text = std::str::from_utf8(value::raw(value)).ok()?;
        let (milliseconds, sequence) = text.split_once('-')?;
        Some(Id { milliseconds: milliseconds.parse().ok()?, sequence: sequence.parse().ok()? })
    }

    /// As an offset, which rises with the id; `None` where it does not fit.
    fn packed(self) -> Option<u64> {
        let fits = self.milliseconds < 1 << (64 - SEQUENCE_BITS) && self.sequence < 1 << SEQUENCE_BITS;
        fits.then_some(self.milliseconds << SEQUENCE_BITS | self.sequence)
    }

    fn time(self) -> Option<Time> {
        i64::try_from(self.milliseconds).ok()?.checked_mul(1_000_000).map(Time)
    }

    /// Right before the first id of a moment.
    fn before(time: Time) -> Id {
        match u64::try_from(time.0.div_euclid(1_000_000)).unwrap_or(0).checked_sub(1) {
            Some(milliseconds) => Id { milliseconds, sequence: u64::MAX },
            None => Id::default(),
        }
    }
}

impl fmt::Display for Id {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-{}", self.milliseconds, self.sequence)
    }
}

/// Up to where a stream was read.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Position {
    /// How often it was deleted and made again.
    pub generation: u32,
    /// The last entry that was read.
    pub id: Id,
    /// How many were added up to it; `None` where the server does not tell.
    pub added: Option<u64>,
    /// Which server it was, in which of its lives.
    pub server: String,
    /// It is not there.
    pub missing: bool,
}

/// Up to where it has to be read.
#[derive(Clone, Copy, Debug)]
struct Target {
    id: Id,
    added: Option<u64>,
    at: Time,
}

/// One stream that is followed.
#[derive(Debug)]
pub(super) struct Stream {
    pub key: String,
    /// `None` before it was looked at.
    pub position: Option<Position>,
    target: Option<Target>,
    /// When it was looked at, on this connection.
    looked: Option<Time>,
    /// Everything up to there has been read.
    pub proven: Option<Time>,
    /// From when on the watch is meant to go, at the first look, and what cannot be seen of that.
    pub begins: Option<(Time, Option<String>)>,
    /// What was lost, and is to be told before anything is proven.
    pub lost: Vec<String>,
}

/// What the server says of a stream.
struct Info {
    last: Id,
    added: Option<u64>,
    length: u64,
    first: Option<Id>,
}

impl Stream {
    pub fn new(key: String, position: Option<Position>) -> Stream {
        Stream { key, position, target: None, looked: None, proven: None, begins: None, lost: Vec::new() }
    }

    /// What is asked next: where its end is, or a page.
    pub fn ask(&self, pipeline: &mut Pipeline) {
        match (&self.target, &self.position) {
            (Some(target), Some(position)) => {
                let (from, to) = (format!("({}", position.id), target.id.to_string());
                pipeline.cmd("XRANGE").arg(&self.key).arg(from).arg(to).arg("COUNT").arg(PAGE);
            }
            _ => _ = pipeline.cmd("XINFO").arg("STREAM").arg(&self.key),
        }
    }

    /// Takes the answer.
    pub fn take(&mut self, answer: Value, at: &Asked<'_>, intake: &mut dyn Intake) -> Result<(), Failure> {
        match self.target {
            None => self.look(answer, at),
            Some(target) => self.read(answer, target, at, intake),
        }
    }

    /// Whether there is more to be read at once.
    pub fn is_behind(&self) -> bool {
        self.target.is_some()
    }

    fn look(&mut self, answer: Value, asked: &Asked<'_>) -> Result<(), Failure> {
        let looked = self.looked.replace(asked.at);
        let unseen = looked.is_none_or(|looked| asked.at.since(looked) > LIFE_MIN);
        if unseen && self.position.as_ref().is_some_and(|position| position.missing) {
            let key = &self.key;
            self.lost.push(format!(
                "stream `{key}` was not there, and then nobody looked for a while: one may have been made and deleted again"
            ));
        }
        if matches!(&answer, Value::ServerError(error) if error.details().is_some_and(|why| why.contains("no such key")))
        {
            self.is_missing(asked);
            return Ok(());
        }
        let info = Info::read(&answer).ok_or_else(|| {
            let remedy = format!("Is `{}` a stream?", self.key);
            super::errors::failed(asked.address, &format!("XINFO STREAM {}", self.key), &answer, Some(&remedy))
        })?;
        let key = self.key.clone();
        let mut position = match self.position.take() {
            None => {
                let (position, begins) = begin(&key, &info, asked);
                self.begins = begins;
                position
            }
            Some(position) => position,
        };
        if position.server != asked.server {
            self.lost.push(format!(
                "stream `{key}`: its server was restarted or another has taken over, and what it lost with that is not known"
            ));
            asked.server.clone_into(&mut position.server);
        }
        if !position.missing && (info.last < position.id || info.is_another(&position)) {
            self.lost.push(format!("stream `{key}` was deleted and made again"));
            position = position.again();
        }
        position.missing = false;
        // An old server does not count. What still stands from our position on was not trimmed.
        let trimmed = info.first.is_some_and(|first| first > position.id);
        if info.added.is_none() && trimmed && position.id != Id::default() && info.last > position.id {
            self.lost.push(format!("stream `{key}` was trimmed beyond {}, perhaps before all was read", position.id));
        }
        self.position = Some(position);
        self.target = Some(Target { id: info.last, added: info.added, at: asked.at });
        self.finish_if_reached();
        Ok(())
    }

    /// It is not there, and so there is nothing that was not read.
    fn is_missing(&mut self, asked: &Asked<'_>) {
        let before = self.position.take();
        let position = match before {
            None => Position { added: Some(0), missing: true, ..Position::default() },
            Some(position) if position.missing => position,
            Some(position) => {
                self.lost.push(format!("stream `{}` was deleted, with what had not been read", self.key));
                position.again()
            }
        };
        self.position = Some(Position { missing: true, server: asked.server.to_owned(), ..position });
        self.proven = Some(asked.at);
    }

    fn read(
        &mut self,
        answer: Value,
        target: Target,
        asked: &Asked<'_>,
        intake: &mut dyn Intake,
    ) -> Result<(), Failure> {
        let Value::Array(entries) = answer else {
            return Err(super::errors::failed(asked.address, &format!("XRANGE {}", self.key), &answer, None));
        };
        let Some(position) = self.position.as_mut() else { return Ok(()) };
        let part = intake.part(&position.part(&self.key));
        let whole = entries.len() < PAGE;
        for entry in entries {
            let id = hand_over(&self.key, part, entry, asked.texts, intake).ok_or_else(|| {
                Failure(format!("Redis at {} gave an entry of `{}` that cannot be read", asked.address, self.key))
            })?;
            position.id = id;
            position.added = position.added.map(|added| added + 1);
        }
        if whole || position.id >= target.id {
            position.id = position.id.max(target.id);
        }
        self.finish_if_reached();
        Ok(())
    }

    /// Compares what was read with what was added.
    fn finish_if_reached(&mut self) {
        let (Some(target), Some(position)) = (self.target, self.position.as_mut()) else { return };
        if position.id < target.id {
            return;
        }
        match (target.added, position.added) {
            (Some(added), Some(read)) if added > read => self.lost.push(format!(
                "stream `{}`: {} entries were trimmed or deleted before they were read",
                self.key,
                added - read
            )),
            (Some(added), Some(read)) if added < read => {
                self.lost.push(format!("stream `{}` was deleted and made again", self.key));
            }
            _ => {}
        }
        position.added = target.added;
        self.proven = Some(target.at);
        self.target = None;
    }
}

/// What was asked of which server, and when.
pub(super) struct Asked<'a> {
    pub at: Time,
    pub address: &'a str,
    /// Which server it is, in which of its lives.
    pub server: &'a str,
    pub start: Start,
    /// Something else is followed that can only be seen from now on.
    pub beside_heard: bool,
    /// Fields are left as the texts that they are.
    pub texts: bool,
}

impl Position {
    /// The name of the part; a stream that was made again is another one.
    fn part(&self, key: &str) -> String {
        match self.generation {
            0 => key.to_owned(),
            again => format!("{key}#{}", again + 1),
        }
    }

    /// Of the stream that is made, or was made, under the name of the one that is gone.
    fn again(self) -> Position {
        let Position { generation, server, .. } = self;
        Position { generation: generation + 1, id: Id::default(), added: Some(0), server, missing: true }
    }
}

/// Where a stream is begun with that was never read; and from when on the watch is meant to go, where not all of that
/// can be seen.
fn begin(key: &str, info: &Info, asked: &Asked<'_>) -> (Position, Option<(Time, Option<String>)>) {
    let (id, added) = match asked.start {
        Start::Latest => (info.last, info.added),
        Start::Beginning => (Id::default(), info.added.map(|added| added.saturating_sub(info.length))),
        Start::At(time) => (Id::before(time), None),
    };
    let begins = match (asked.start, info.first, info.added) {
        (Start::At(time), Some(first), Some(added)) if first > id && added > info.length => {
            let why = "what came before, from the moment on that `start` names, was trimmed";
            Some((time, Some(format!("stream `{key}` begins with {first}: {why}"))))
        }
        (Start::Beginning, Some(first), _) if asked.beside_heard => first.time().map(|time| (time, None)),
        _ => None,
    };
    (Position { id, added, server: asked.server.to_owned(), ..Position::default() }, begins)
}

impl Info {
    /// Whether the count shows that this is another stream than the one that was read: less was ever added to it, or all
    /// that was read has gone, and yet there is more than can have come since. So it is known before any entry of the
    /// other one is taken for one of the first.
    fn is_another(&self, position: &Position) -> bool {
        let Some((now, before)) = self.added.zip(position.added) else { return false };
        let is_gone = self.first.is_some_and(|first| first > position.id);
        now < before || (is_gone && self.length > now - before)
    }

    fn read(answer: &Value) -> Option<Info> {
        let pairs = value::pairs(answer.clone())?;
        let of = |name: &str| pairs.iter().find(|(key, _)| value::raw(key) == name.as_bytes()).map(|(_, value)| value);
        let first = match of("first-entry") {
            Some(Value::Array(entry)) => entry.first().and_then(Id::read),
            _ => None,
        };
        Some(Info {
            last: Id::read(of("last-generated-id")?)?,
            added: of("entries-added").and_then(value::integer),
            length: value::integer(of("length")?)?,
            first,
        })
    }
}

/// Hands over an entry; its id.
fn hand_over(key: &str, part: u32, entry: Value, texts: bool, intake: &mut dyn Intake) -> Option<Id> {
    let Value::Array(entry) = entry else { return None };
    let mut entry = entry.into_iter();
    let id = Id::read(&entry.next()?)?;
    let fields = value::pairs(entry.next()?)?;
    let payload = value::object(&fields, texts);
    let text = id.to_string();
    let (Some(offset), Some(time)) = (id.packed(), id.time()) else {
        let detail = format!("the id {id} is beyond what a position can hold");
        intake.undecodable(part, u64::MAX, "id", &detail, payload.as_bytes());
        return Some(id);
    };
    let headers = [("id", &*text)];
    let record = Record {
        stream: Some(key),
        time: Some(time),
        headers: &headers,
        ..Record::plain(part, offset, payload.as_bytes())
    };
    intake.record(record);
    Some(id)
}
