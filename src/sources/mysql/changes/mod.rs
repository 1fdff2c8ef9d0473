//! Change capture: every committed change of a table's rows, out of the server's binary log.
//!
//! ```text
//! dump: the log from a position on ─▶ reader: one transaction after the other, in the order of their commits
//!                                       └─▶ transaction: what it did to each row ─▶ a record a row ─▶ intake
//! T, end of the log ─▶ read up to there ─▶ caught up at T
//! ```
//!
//! The server sends its log as to a replica. A second connection asks how far the log has come, and what the tables'
//! columns are.
//!
//! Three thoughts carry it:
//!
//! - **A commit is one moment.** Nobody ever sees the states between, so a row changed ten times by one transaction has
//!   one new version.
//! - **The end of the log is the proof.** What was visible at T has its commit in the log before the end that is asked
//!   for after T. And what stands behind that end was not committed at T: where the log stamps it with an earlier second
//!   (the beginning of the statement that committed), it happened at T.
//! - **A row of the log does not say enough of its columns:** their names stand there only where the server is told to
//!   write them, their meaning in part. So both come from the catalogue, which knows the present: what was written before
//!   a table got its present form is a hole, not a guess.

mod cursor;
mod decode;
mod dump;
mod event;
mod existing;
mod follow;
mod hand;
mod reader;
mod setup;
mod shape;
mod statement;

use crate::sources::live::{Failure, Intake, Source, Start};
use crate::sources::remark::Remark;
use crate::sources::secret::Secret;
use crate::sources::waiting::Halt;
use std::time::Duration;

/// From one look at the end of the log to the next.
const ASK_EVERY: Duration = Duration::from_millis(500);
/// How long events are waited for before something else is looked at.
const TICK: Duration = Duration::from_millis(100);
/// How often the server says that it is there when it has nothing to say, and after how long a silence it is not.
const HEARTBEAT: Duration = Duration::from_secs(5);
const SILENCE_MAX: Duration = Duration::from_secs(30);
/// Events that are taken at once.
const BATCH_EVENTS: usize = 1_000;
const BATCH_BYTES: usize = 4 << 20;
/// After so many records, or bytes of them, the cursor is delivered, also within a transaction.
const DELIVER_RECORDS: usize = 10_000;
const DELIVER_BYTES: usize = 4 << 20;
/// Transactions that are prepared (XA) and neither committed nor rolled back.
const PREPARED_MAX: usize = 1_000;
/// Where nothing came, what is proven is delivered only so often.
const PROOF_EVERY: Duration = Duration::from_secs(1);
/// How long a connection may take.
const CONNECTS_WITHIN: Duration = Duration::from_secs(10);

/// What to follow, and how.
#[derive(Clone, Debug, PartialEq)]
pub struct Options {
    /// `mysql://user:password@host:port/database?ssl-mode=…`
    pub url: Secret,
    /// The number under which the server knows us among its replicas; `None` for a random one.
    pub server_id: Option<u32>,
    /// The tables.
    pub tables: Vec<Table>,
    /// Where to begin at the very first start.
    pub start: Start,
}

/// A table to follow.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Table {
    /// Its name, with the database before a dot where that is not the one of the address.
    pub name: String,
    /// The columns of its key; empty for its primary key.
    pub key: Vec<String>,
}

/// The live source of a database's changes.
pub struct Changes {
    options: Options,
    server_id: u32,
}

impl Changes {
    /// Nothing is connected before [`Source::follow`].
    pub fn new(options: Options) -> Changes {
        // High numbers are rarely given to replicas.
        let server_id = options.server_id.unwrap_or_else(|| fastrand::u32(1 << 30..u32::MAX));
        Changes { options, server_id }
    }
}

impl Source for Changes {
    fn follow(&mut self, cursor: Option<&[u8]>, intake: &mut dyn Intake) -> Result<(), Failure> {
        match follow::follow(&self.options, self.server_id, cursor, intake) {
            Err(Halt::Failed(failure)) => Err(failure),
            Ok(()) | Err(Halt::Stopped) => Ok(()),
        }
    }

    fn examine(&mut self) -> Option<Vec<Remark>> {
        Some(follow::examine(&self.options, self.server_id))
    }
}

/// It cannot go on for now.
fn failed(why: impl Into<String>) -> Halt {
    Halt::Failed(Failure(why.into()))
}
