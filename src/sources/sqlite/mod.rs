//! SQLite, read-only: tables that are polled.
//!
//! ```text
//! data_version: did anything change? ─▶ rows, some hundred at a time, each time a statement of its own ─▶ proof: assumed
//! ```
//!
//! A database in a file has no server that could say which transactions are under way, or which rows one has written. So
//! a look through a table reads all of it, and what is proven rests on the declared lateness: a writer that has stamped a
//! row commits it within that. A reader is in nobody's way for longer than a few hundred rows take.

mod catalog;
mod examine;
mod poll;
mod session;
mod values;

use super::live::{Failure, Intake, Source};
use super::remark::Remark;
use super::tables::{Common, Table};
use super::waiting::Halt;
use std::path::PathBuf;

/// What to follow, and how.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Options {
    /// The database's file.
    pub path: PathBuf,
    /// The tables.
    pub tables: Vec<Table>,
    /// What holds for all of them.
    pub common: Common,
}

/// The live source of tables that are polled.
#[derive(Debug)]
pub struct Poll {
    options: Options,
}

impl Poll {
    /// Nothing is opened before [`Source::follow`].
    pub fn new(options: Options) -> Poll {
        Poll { options }
    }
}

impl Source for Poll {
    fn follow(&mut self, cursor: Option<&[u8]>, intake: &mut dyn Intake) -> Result<(), Failure> {
        match poll::follow(&self.options, cursor, intake) {
            Err(Halt::Failed(failure)) => Err(failure),
            Ok(()) | Err(Halt::Stopped) => Ok(()),
        }
    }

    fn examine(&mut self) -> Option<Vec<Remark>> {
        Some(examine::examine(&self.options))
    }
}
