//! MySQL and MariaDB, read-only: tables that are polled (`poll`), or followed through the binary log ([`changes`]).
//!
//! ```text
//! session: one connection that cannot write ─▶ catalog: tables, keys, columns, what the user may see
//!                                          └─▶ running: what is under way? ─▶ rows, a page a statement ─▶ proof
//! ```

mod address;
mod catalog;
pub mod changes;
mod examine;
mod poll;
mod row;
mod running;
mod session;
mod sql;
mod types;

use super::live::{Failure, Intake, Source};
use super::remark::Remark;
use super::secret::Secret;
use super::tables::{Common, Table};
use super::waiting::Halt;

/// What to follow, and how.
#[derive(Clone, Debug, PartialEq)]
pub struct Options {
    /// `mysql://user:password@host:port/database?ssl-mode=…`
    pub url: Secret,
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
    /// Nothing is connected to before [`Source::follow`].
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
