//! Tables that are polled: which rows are new versions, when they happened, and what a poll proves. Without I/O.
//!
//! ```text
//! poll n-1: running transactions, then a snapshot        poll n: running transactions, then a snapshot
//!     │ T: nothing older can still come                      │
//!     ▼                                                      ▼
//! ────W──────────────T───────────────────────────────────────T'────▶ the database's clock
//!     └─ reach ──────┘  rows that were stamped from W on, or whose transaction ended since, are read again
//! ```
//!
//! Three thoughts carry it:
//!
//! - **A row is a state.** Whether it is a new version is told by a hash of its content; the columns only narrow what is
//!   read. Reading a row twice costs a look into the memory (`memory`), never a record.
//! - **What commits late is read late.** The next read reaches back before the oldest transaction that ran when the last
//!   one began, so whatever was not visible then is in its reach, by whichever column it is found.
//! - **A column is believed where it says something possible.** A version whose `updated` did not rise, or lies where
//!   nothing can come from any more, was written back by someone who had read it: it has the poll's time (`tracker`).

mod cursor;
mod followed;
pub mod look;
mod memory;
mod running;
mod sample;
#[cfg(test)]
mod tests;
mod tracker;

pub use followed::Followed;
pub use memory::hash;
pub use running::{DAY, DIGITS_MAX, Running, unit};
pub use sample::Sample;
pub use tracker::{Kind, Mark, Reading, Row, System, TABLES_MAX, Tracker};

use crate::model::time::Span;
use crate::sources::live::Start;
use chrono_tz::Tz;

/// A table to follow.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Table {
    /// Its name, with the schema before a dot where there is one; the records' part and stream.
    pub name: String,
    /// The columns that tell its rows apart; none: its primary key.
    pub key: Vec<String>,
    /// The column that rises when a row is changed.
    pub updated: Option<String>,
    /// The column that says when it happened, where that is not `updated`.
    pub time: Option<String>,
    /// The zone of times that name none.
    pub zone: Tz,
    /// How often all of it is read.
    pub sweep: Sweep,
    /// Which rows that are there at the very first start are handed over.
    pub start: Start,
}

/// How often a whole table is read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sweep {
    /// As often as it costs little.
    Gentle,
    /// Once in this span.
    Every(Span),
    /// Never: `updated` is trusted.
    Never,
}

/// What holds for all tables of a source.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Common {
    /// From one poll to the next.
    pub poll: Span,
    /// The longest span from a row's time to its being visible.
    pub lateness: Span,
    /// How far the clock that stamps rows may be from the database's.
    pub clock_skew: Span,
}

impl Table {
    /// The name as SQL, each part quoted.
    pub fn sql(&self) -> String {
        parts(&self.name).iter().map(|part| quoted(part)).collect::<Vec<_>>().join(".")
    }
}

/// A name's parts: what stands in double quotes is one, whatever is in it.
pub fn parts(name: &str) -> Vec<String> {
    let (mut parts, mut part, mut within) = (Vec::new(), String::new(), false);
    for c in name.chars() {
        match c {
            '"' => within = !within,
            '.' if !within => parts.push(std::mem::take(&mut part)),
            c => part.push(c),
        }
    }
    parts.push(part);
    parts
}

/// A name as SQL reads it letter by letter.
pub fn quoted(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}
