//! Change capture: every committed change of a table's rows, out of the server's own log.
//!
//! ```text
//! slot ─▶ pgoutput: one transaction after the other, in the order of their commits
//!           └─▶ transaction: what it did to each row, as others saw it ─▶ a record a row ─▶ intake
//! T, end of the log ─▶ read up to there ─▶ caught up at T
//! ```
//!
//! The server decodes its log for a *replication slot*, which is the one thing that the source creates; the
//! *publication*, which says what of which tables is sent, is the administrator's. Both are read with plain SQL on one
//! pinned connection. A second connection asks how far the log has come, and what types mean.
//!
//! Three thoughts carry it:
//!
//! - **A commit is one moment.** Nobody ever sees the states between, so a row changed ten times by one transaction has
//!   one new version, stamped by the commit.
//! - **The end of the log is the proof.** What was visible at T has its commit in the log before the end that is asked
//!   for after T. When everything up to that end has been read, the source is caught up at T.
//! - **A temporary slot is gone with its connection,** so what was committed between two connections is a hole. A
//!   permanent one loses nothing, and keeps the server from deleting its log: it is moved on only to what the journal
//!   has, and refused where nothing limits what it may hold back.

mod connection;
mod cursor;
mod examine;
mod existing;
mod follow;
mod hand;
mod pgoutput;
mod reader;
mod relation;
mod setup;
mod slot;
mod transaction;

use crate::sources::live::{Failure, Intake, Source, Start};
use crate::sources::remark::Remark;
use crate::sources::secret::Secret;
use crate::sources::waiting::Halt;
use std::time::Duration;

/// From one look at the end of the log to the next, where there is nothing to read.
const POLL: Duration = Duration::from_millis(200);
/// The server decodes anew, at each reading, what it has logged since some moment of the last quarter of a minute. So a
/// reading is followed by so many times its length of rest, which makes watching cost a hundredth of a core,
const REST_PER_WORK: u32 = 199;
/// but by no more than this.
const REST_MAX: Duration = Duration::from_secs(10);
/// So much of the log is decoded at a time, which bounds what the server has to put aside.
const WAL_READ_MAX: u64 = 64 << 20;
/// After so many records, or bytes of them, the cursor is delivered, also within a transaction.
const DELIVER_RECORDS: usize = 10_000;
const DELIVER_BYTES: usize = 4 << 20;
/// Where nothing came, what is proven is delivered only so often.
const PROOF_EVERY: Duration = Duration::from_secs(1);
/// How long a connection may take, and an ordinary question.
const ANSWERS_WITHIN: Duration = Duration::from_secs(30);
/// How long a new slot may wait for the transactions that were running.
const SLOT_WITHIN: Duration = Duration::from_secs(60);
/// How long the server may decode before it sends anything.
const DECODES_WITHIN: Duration = Duration::from_secs(600);
/// How often it is looked whether the daemon stops.
const TICK: Duration = Duration::from_millis(100);

/// What to follow, and how.
#[derive(Clone, Debug, PartialEq)]
pub struct Options {
    /// `postgres://user:password@host:port/database?sslmode=…`
    pub url: Secret,
    /// The administrator's publication.
    pub publication: String,
    /// A permanent slot's name; `None` for a temporary slot.
    pub slot: Option<String>,
    /// The tables.
    pub tables: Vec<Table>,
    /// Where to begin at the very first start.
    pub start: Start,
}

/// A table to follow.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Table {
    /// Its name, with the schema where that is not `public`: `orders`, `sales.orders`.
    pub name: String,
    /// The columns of its key; empty for its primary key.
    pub key: Vec<String>,
}

/// The live source of a database's changes.
pub struct Changes {
    options: Options,
}

impl Changes {
    /// Nothing is connected before [`Source::follow`].
    pub fn new(options: Options) -> Changes {
        Changes { options }
    }
}

impl Source for Changes {
    fn follow(&mut self, cursor: Option<&[u8]>, intake: &mut dyn Intake) -> Result<(), Failure> {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
        let runtime = runtime.map_err(|error| Failure(format!("no runtime for the connection: {error}")))?;
        let ended = runtime.block_on(follow::follow(&self.options, cursor, intake));
        // A name that is still being looked up is not waited for.
        runtime.shutdown_background();
        match ended {
            Err(Halt::Failed(failure)) => Err(failure),
            Ok(()) | Err(Halt::Stopped) => Ok(()),
        }
    }

    fn examine(&mut self) -> Option<Vec<Remark>> {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
        let remarks = match runtime {
            Ok(runtime) => {
                let remarks = runtime.block_on(examine::examine(&self.options));
                runtime.shutdown_background();
                remarks
            }
            Err(error) => vec![Remark::error(format!("no runtime for the connection: {error}"))],
        };
        Some(remarks)
    }
}

/// It cannot go on for now.
fn failed(why: impl Into<String>) -> Halt {
    Halt::Failed(Failure(why.into()))
}

/// A place in the server's log.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, serde::Serialize, serde::Deserialize)]
struct Lsn(u64);

impl std::fmt::Display for Lsn {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{:X}/{:X}", self.0 >> 32, self.0 & 0xffff_ffff)
    }
}

/// A name as SQL writes it.
fn quoted(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}
