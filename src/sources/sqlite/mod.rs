//! SQLite, read-only: tables that are polled.

use super::live::{Failure, Intake, Source};
use super::tables::{Common, Table};
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
    fn follow(&mut self, _cursor: Option<&[u8]>, _intake: &mut dyn Intake) -> Result<(), Failure> {
        Err(Failure(format!("{}", self.options.path.display())))
    }
}
