//! One table as it is followed: what the next read must reach, which of its rows are versions, and their times.

use super::memory::{Memory, ROWS_MAX, Seen, hash};
use super::{Common, Sweep, Table};
use crate::model::time::{Span, Time};
use crate::sources::live::{Failure, Intake, Note, Record, Start};
use serde::{Deserialize, Serialize};

/// So long at most, however long a read takes: where more is written than may be read at this pace, a proof is no older
/// than that, and it costs what it must.
const GENTLE_MAX: Span = Span::seconds(900);
/// Numbers of notes: the table's, then so many bits of its row's hash.
const ROW_BITS: u32 = 52;
/// So many tables of one source.
pub const TABLES_MAX: usize = 1 << (64 - ROW_BITS);

/// What polling relies on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct System {
    /// It knows itself which rows have changed: forgetting one costs a version told twice, not more.
    pub knows_changes: bool,
    /// A read that is to cost little is followed by so many times its length without one.
    pub rest_per_work: u32,
}

/// How a table is read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// All that may have changed since the last sweep, whatever its columns say.
    Sweep,
    /// What `updated` says has changed since the last read.
    Poll,
}

/// What is known of a read: of everything that it could not see yet.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Mark {
    /// Its transaction began at this time or later.
    pub whole: Time,
    /// Its transaction has this number or a higher one, where the system numbers them.
    pub bound: u64,
}

/// What must be known of a table to go on.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct State {
    /// Records that were handed over: the place of the last one.
    pub offset: u64,
    /// What tells this table from another that has its name later.
    pub relation: u64,
    /// The last read of any kind.
    pub read: Option<Mark>,
    /// The last sweep.
    pub swept: Option<Mark>,
    /// Every row that is there has been met: one that is not in memory is new.
    pub complete: bool,
}

/// A row as it is now.
#[derive(Clone, Copy, Debug)]
pub struct Row<'a> {
    /// The text of its key; `None` where it is null, and the row is known by its content alone.
    pub key: Option<&'a str>,
    /// Itself.
    pub json: &'a str,
    /// When it says that it was changed.
    pub updated: Option<Time>,
    /// When it says that it happened, where a column of its own says so.
    pub time: Option<Time>,
}

/// A read that goes on.
#[derive(Clone, Copy, Debug)]
pub struct Reading {
    /// How.
    pub kind: Kind,
    /// What it will leave to the next one.
    pub mark: Mark,
    /// When what it sees was so, by the system's clock.
    pub at: Time,
    /// It meets every row that is there, not only those that have changed.
    pub everything: bool,
}

/// How often reads of one kind are made.
#[derive(Debug)]
struct Pace {
    /// Not before.
    next: Time,
    /// How long the last one took.
    took: Span,
}

impl Pace {
    const START: Pace = Pace { next: Time::MIN, took: Span::ZERO };

    /// What a read costs that took so long: the less of it and the last one. What held up one alone is no cost: a lock, a
    /// busy moment, at first what the server had to load.
    fn cost(&mut self, took: Span) -> Span {
        std::mem::replace(&mut self.took, took).min(took)
    }
}

/// One table.
#[derive(Debug)]
pub struct Tracker {
    /// What is followed.
    pub table: Table,
    /// What must be known to go on.
    pub state: State,
    common: Common,
    /// Its number among the source's tables, for good.
    pub number: u16,
    part: u32,
    seen: Memory,
    system: System,
    reading: Option<Reading>,
    sweeps: Pace,
    polls: Pace,
    /// Records and notes that no delivery has taken yet.
    unsent: usize,
    /// Rows were handed over that came nobody knows when before they were met.
    undated: bool,
}

impl Tracker {
    /// Goes on from a state. `may_forget`: the system itself knows which rows have changed.
    pub fn new(table: Table, common: Common, number: u16, state: State, system: System, part: u32) -> Tracker {
        let seen = Memory::default();
        let (reading, sweeps, polls) = (None, Pace::START, Pace::START);
        let (unsent, undated) = (0, false);
        Tracker { table, state, common, number, part, seen, system, reading, sweeps, polls, unsent, undated }
    }

    /// Takes up a note of an earlier run; whether it was of this table.
    pub fn recall(&mut self, number: u64, [content, time]: Note) -> bool {
        let own = number >> ROW_BITS == u64::from(self.number);
        if own {
            self.seen.keep(number, content, Time(time as i64));
        }
        own
    }

    /// Whether its system knows which rows have changed.
    #[cfg(test)]
    pub fn knows_changes(&self) -> bool {
        self.system.knows_changes
    }

    /// What is due now; `narrows`: `updated` finds rows without reading all.
    pub fn due(&self, now: Time, narrows: bool) -> Option<Kind> {
        if self.state.swept.is_none() {
            return Some(Kind::Sweep);
        }
        let trusted = self.table.sweep == Sweep::Never;
        if now >= self.sweeps.next && !trusted {
            return Some(Kind::Sweep);
        }
        let by_column = self.table.updated.is_some() && (narrows || trusted);
        (by_column && now >= self.polls.next).then_some(Kind::Poll)
    }

    /// What was read last by reads that see all that this kind would see.
    pub fn since(&self, kind: Kind) -> Option<Mark> {
        match kind {
            Kind::Sweep => self.state.swept,
            Kind::Poll => self.state.read,
        }
    }

    /// Where `updated` must lie at least in what a read after this mark could not see.
    pub fn reach(&self, mark: Mark) -> Time {
        mark.whole - self.common.lateness - self.common.clock_skew
    }

    /// Records and notes that wait for a delivery.
    pub fn unsent(&self) -> usize {
        self.unsent
    }

    /// They were delivered.
    pub fn sent(&mut self) {
        self.unsent = 0;
    }

    /// A table of this name that is not the one from before begins anew.
    pub fn is(&mut self, relation: u64, intake: &mut dyn Intake) {
        if self.state.relation == relation {
            return;
        }
        if self.state.relation != 0 {
            intake.hole(&format!("the table {} was dropped and made anew", self.table.name));
            self.begin_anew(intake);
        }
        self.state.relation = relation;
    }

    /// What was known of its rows holds no longer.
    pub fn begin_anew(&mut self, intake: &mut dyn Intake) {
        self.seen.begin();
        self.forget(intake, Memory::forget_unmet);
        (self.state.read, self.state.swept, self.state.complete) = (None, None, false);
        self.unsent += 1;
    }

    /// A read begins.
    pub fn begin(&mut self, reading: Reading) {
        self.seen.begin();
        self.reading = Some(reading);
    }

    /// What the read meets from here on is so now, where it does not see all at one moment.
    pub fn meets_at(&mut self, at: Time) {
        if let Some(reading) = &mut self.reading {
            reading.at = at;
        }
    }

    /// A row that the read has met; whether it was a version.
    pub fn row(&mut self, row: &Row<'_>, intake: &mut dyn Intake) -> Result<bool, Failure> {
        let Some(reading) = self.reading else { return Ok(false) };
        let key = u64::from(self.number) << ROW_BITS | hash(row.key.unwrap_or(row.json).as_bytes()) >> (64 - ROW_BITS);
        let content = hash(row.json.as_bytes());
        let known = self.seen.meet(key);
        if known.is_some_and(|seen| seen.content == content) {
            return Ok(false);
        }
        let said = self.said(row, known, reading);
        let time = said.unwrap_or_else(|| known.map_or(reading.at, |seen| reading.at.max(seen.time + Span(1))));
        self.seen.keep(key, content, time);
        intake.note(key, Some([content, time.0 as u64]));
        self.unsent += 1;
        if !self.system.knows_changes && self.seen.len() > ROWS_MAX {
            return Err(self.too_many());
        }
        let aloud = match (self.state.swept, self.table.start) {
            (Some(_), _) | (None, Start::Beginning) => true,
            (None, Start::Latest) => false,
            (None, Start::At(from)) => time >= from,
        };
        if aloud {
            self.undated |= said.is_none() && self.state.swept.is_none();
            self.state.offset += 1;
            let (part, offset) = (self.part, self.state.offset);
            let (stream, key) = (Some(self.table.name.as_str()), row.key);
            let payload = row.json.as_bytes();
            intake.record(Record { stream, key, time: Some(time), ..Record::plain(part, offset, payload) });
        }
        Ok(aloud)
    }

    /// When a version happened, as its columns say, where they do and that is possible; any other happened when it was met.
    fn said(&self, row: &Row<'_>, known: Option<Seen>, reading: Reading) -> Option<Time> {
        let latest = reading.at + self.common.clock_skew;
        let possible = |time: &Time| *time <= latest;
        if self.table.time.is_some() {
            return row.time.filter(possible);
        }
        // What was not so at the last read, and is now, cannot be older than what could still come then: also where it
        // rose, but from what somebody had set back before. A row that was not there at all is believed whatever it
        // says, and counts as late; but whether it was there is only known where every row is.
        let possible_from = self.since(reading.kind).map_or(Time::MIN, |since| self.reach(since));
        let earliest = match known {
            Some(seen) => possible_from.max(seen.time + Span(1)),
            None if self.state.complete => Time::MIN,
            None => possible_from,
        };
        row.updated.filter(possible).filter(|updated| *updated >= earliest)
    }

    /// The read has met all that it should, within this span.
    pub fn complete(&mut self, took: Span, intake: &mut dyn Intake) {
        let Some(reading) = self.reading.take() else { return };
        if std::mem::take(&mut self.undated) {
            intake.undated(&self.table.name);
        }
        if reading.everything && reading.kind == Kind::Sweep {
            self.forget(intake, Memory::forget_unmet);
            self.state.complete = true;
        }
        if self.system.knows_changes && self.seen.len() > ROWS_MAX {
            self.forget(intake, |seen| seen.make_room(ROWS_MAX));
            self.state.complete = false;
        }
        self.state.read = Some(reading.mark);
        let pace = match reading.kind {
            Kind::Poll => &mut self.polls,
            Kind::Sweep => &mut self.sweeps,
        };
        let rest = Span(pace.cost(took).0.saturating_mul(self.system.rest_per_work.into())).min(GENTLE_MAX);
        pace.next = reading.at
            + match (reading.kind, self.table.sweep) {
                (Kind::Sweep, Sweep::Every(span)) => span,
                _ => self.common.poll.max(rest),
            };
        if reading.kind == Kind::Sweep {
            self.state.swept = Some(reading.mark);
        }
    }

    /// Nothing has changed since the last reads: they are as good as if they were made now.
    pub fn unchanged(&mut self, mark: Mark) {
        for known in [&mut self.state.read, &mut self.state.swept].into_iter().flatten() {
            *known = mark;
        }
    }

    /// All that happened before has been handed over, as far as this table is concerned.
    pub fn proof(&self) -> Option<Time> {
        let trusted = self.table.sweep == Sweep::Never && self.table.updated.is_some();
        let mark = if trusted { self.state.read } else { self.state.swept };
        mark.map(|mark| mark.whole)
    }

    fn forget(&mut self, intake: &mut dyn Intake, which: impl FnOnce(&mut Memory) -> Vec<u64>) {
        let forgotten = which(&mut self.seen);
        self.unsent += forgotten.len();
        forgotten.into_iter().for_each(|key| intake.note(key, None));
    }

    fn too_many(&self) -> Failure {
        Failure(format!(
            "the table {} has more than {ROWS_MAX} rows, and no more can be told apart: name the column that rises with \
             each change and trust it (`columns: {{updated: …}}`, `sweep: never`)",
            self.table.name
        ))
    }
}
