//! The findings of a daemon, kept in SQLite: one row a finding, as of the newest word about it, and every word.
//!
//! ```text
//! lane's journal ──found, entry n──▶ told ──▶ Store::keep ─▶ findings, words, position = n + 1   one transaction
//!                                                  │
//! `findings list | show`, the server ◀── Archive ◀─┴─▶ Store::unsent ─▶ the webhook ─▶ Store::sent
//! ```
//!
//! What stands in the store and how far the journal has been taken over change in one transaction, so after a crash
//! the lane hands over exactly what is missing. The tables are plain and documented (`tables.sql`): whoever wants to ask
//! them something else uses any SQLite client.

mod archive;
mod row;
#[cfg(test)]
mod tests;

pub use archive::{Archive, Counted, Filter, Kept, Word};
pub use row::Row;

use crate::model::verdict::Severity;
use sqlx::sqlite::{SqliteConnectOptions, SqliteConnection, SqliteJournalMode, SqliteSynchronous};
use sqlx::{ConnectOptions, Connection, QueryBuilder, Row as _, SqliteTransaction};
use std::path::{Path, PathBuf};
use std::time::Duration;
use tokio::runtime::{Builder, Runtime};

/// The store's file in the folder of a daemon.
pub const FILE: &str = "findings.sqlite";
/// The version of the tables.
const VERSION: i64 = 1;
/// How long a statement waits for another process that writes.
const BUSY_MAX: Duration = Duration::from_secs(1);
/// How many words are kept between two looks at the limit.
const LOOK_EVERY: u64 = 10_000;

/// Why the store cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// There is none, or it is just being made.
    #[error(
        "there are no findings in {0}: no daemon has run there, or one has only just begun; `--data FOLDER` names the folder of one that has"
    )]
    Missing(PathBuf),
    /// Another version of the program made it.
    #[error(
        "{path} has tables of version {found}, and this version of throughline reads {VERSION}; use the one that made it, or begin with another folder"
    )]
    Version {
        /// The store.
        path: PathBuf,
        /// What it says.
        found: i64,
    },
    /// What is to be kept is no finding.
    #[error("a finding cannot be kept in {path}: it is not the JSON that it should be: {source}")]
    Row {
        /// The store.
        path: PathBuf,
        /// What is wrong with it.
        source: serde_json::Error,
    },
    /// SQLite.
    #[error("the store of findings {path} cannot be {doing}: {source}")]
    Database {
        /// The store.
        path: PathBuf,
        /// What was tried.
        doing: &'static str,
        /// What SQLite says.
        source: sqlx::Error,
    },
    /// No runtime could be made.
    #[error("the store of findings needs a runtime, and the system gives none: {0}")]
    Runtime(std::io::Error),
}

/// A database and the runtime that its calls wait in: whoever calls blocks.
struct Base {
    path: PathBuf,
    runtime: Runtime,
    /// There until it is dropped.
    connection: Option<SqliteConnection>,
}

impl Drop for Base {
    /// Closes the file before it is gone: while SQLite puts its log away, whoever opens the file is refused.
    fn drop(&mut self) {
        if let Some(connection) = self.connection.take() {
            // What was written stands in the log, if not in the file.
            let _ = self.runtime.block_on(connection.close());
        }
    }
}

impl Base {
    fn open(path: &Path, options: &SqliteConnectOptions) -> Result<Base, StoreError> {
        let runtime = Builder::new_current_thread().enable_time().build().map_err(StoreError::Runtime)?;
        let opened = runtime.block_on(options.clone().disable_statement_logging().connect());
        let connection = Some(opened.map_err(failed(path, "opened"))?);
        Ok(Base { path: path.to_owned(), runtime, connection })
    }

    fn parts(&mut self) -> (&Path, &Runtime, &mut SqliteConnection) {
        (&self.path, &self.runtime, self.connection.as_mut().expect("it is open until it is dropped"))
    }

    /// The version of the tables; `None` where there are none yet.
    fn version(&mut self) -> Result<Option<i64>, StoreError> {
        let (path, runtime, connection) = self.parts();
        let read = async {
            let tables = "SELECT count(*) FROM sqlite_master WHERE type = 'table' AND name = 'version'";
            if sqlx::query(tables).fetch_one(&mut *connection).await?.try_get::<i64, _>(0)? == 0 {
                return Ok(None);
            }
            let row = sqlx::query("SELECT version FROM version").fetch_one(&mut *connection).await?;
            row.try_get(0).map(Some)
        };
        runtime.block_on(read).map_err(failed(path, "read"))
    }

    fn check_version(&mut self) -> Result<(), StoreError> {
        match self.version()? {
            Some(VERSION) => Ok(()),
            Some(found) => Err(StoreError::Version { path: self.path.clone(), found }),
            // Whoever makes them has not done so yet.
            None => Err(StoreError::Missing(self.path.parent().unwrap_or(Path::new(".")).to_owned())),
        }
    }
}

fn failed(path: &Path, doing: &'static str) -> impl FnOnce(sqlx::Error) -> StoreError + use<> {
    let path = path.to_owned();
    move |source| StoreError::Database { path, doing, source }
}

/// A word about a finding, as the journal has it.
#[derive(Clone, Copy, Debug)]
pub struct Told<'a> {
    /// The entry of the lane's journal.
    pub entry: u64,
    /// The finding as a line of JSON.
    pub document: &'a str,
    /// The same for people.
    pub explanation: &'a str,
}

/// The store as its one writer has it, the daemon.
pub struct Store {
    base: Base,
    /// Words that were kept since the limit was last looked at.
    kept: u64,
    /// So many findings are kept; beyond that the ones that were told longest ago are forgotten.
    findings_kept_max: u64,
}

impl Store {
    /// Opens the store at `path`; makes it where it is missing.
    pub fn open(path: &Path) -> Result<Store, StoreError> {
        let options = SqliteConnectOptions::new()
            .filename(path)
            .create_if_missing(true)
            .journal_mode(SqliteJournalMode::Wal)
            // A power cut may take the newest transactions back, whole ones; the journal still has what was in them.
            .synchronous(SqliteSynchronous::Normal)
            .busy_timeout(BUSY_MAX);
        let mut store = Store { base: Base::open(path, &options)?, kept: 0, findings_kept_max: u64::MAX };
        if store.base.version()?.is_none() {
            store.transaction("made", async |transaction| {
                sqlx::raw_sql(include_str!("tables.sql")).execute(&mut **transaction).await.map(drop)
            })?;
        }
        store.base.check_version()?;
        Ok(store)
    }

    /// Keeps so many findings at most; beyond that the ones that were told longest ago are forgotten.
    pub fn limit(&mut self, findings_kept_max: u64) -> Result<(), StoreError> {
        self.findings_kept_max = findings_kept_max;
        self.forget()
    }

    /// Where it stands.
    pub fn path(&self) -> &Path {
        &self.base.path
    }

    /// Everything before this entry of the lane's journal stands in the store. A journal that ends before it has been
    /// begun anew, and is taken over from its beginning.
    pub fn taken_over(&mut self, lane: &str, journal_end: u64) -> Result<u64, StoreError> {
        let name = journal(lane);
        let position = self.position(&name)? as u64;
        if position <= journal_end {
            return Ok(position);
        }
        self.transaction("written", async |transaction| set_position(transaction, &name, 0).await)?;
        Ok(0)
    }

    /// Keeps what was told, in the order of the lane's journal; what is there already is passed over. Whole, or not at
    /// all.
    pub fn keep(&mut self, lane: &str, told: &[Told<'_>]) -> Result<(), StoreError> {
        let Some(last) = told.last() else { return Ok(()) };
        let bad = |source| StoreError::Row { path: self.base.path.clone(), source };
        let rows = told.iter().map(|told| Row::of(told.document, told.explanation).map(|row| (told.entry, row)));
        let rows = rows.collect::<Result<Vec<_>, _>>().map_err(bad)?;
        let name = journal(lane);
        self.transaction("written", async |transaction| {
            let position = position(transaction, &name).await? as u64;
            let new: Vec<&Row<'_>> = rows.iter().filter(|(entry, _)| *entry >= position).map(|(_, row)| row).collect();
            row::keep(&new, transaction).await?;
            let end = position.max(last.entry + 1);
            set_position(transaction, &name, end as i64).await
        })?;
        self.kept += told.len() as u64;
        if self.kept >= LOOK_EVERY {
            self.kept = 0;
            self.forget()?;
        }
        Ok(())
    }

    /// How many findings there are of each kind.
    pub fn counts(&mut self) -> Result<Vec<Counted>, StoreError> {
        self.base.counts()
    }

    /// The next findings that the receiver has not taken, the oldest word first: each with its number, as JSON. Those are
    /// wanted that are or once were at least as bad as `on`: a receiver also learns that what it was told of has healed.
    pub fn unsent(&mut self, receiver: &str, on: Severity, limit: usize) -> Result<Vec<(i64, String)>, StoreError> {
        let position = self.position(receiver)?;
        // Of several words about one finding the newest counts, and it comes in its own turn.
        let mut query = QueryBuilder::new("SELECT last_word, document FROM findings WHERE last_word > ");
        query.push_bind(position);
        query.push(" AND EXISTS (SELECT 1 FROM words WHERE words.id = findings.id AND words.severity IN (");
        archive::at_least(on, &mut query);
        query.push(")) ORDER BY last_word LIMIT ").push_bind(limit as i64);
        let unsent = self.base.read(query, |row| Ok((row.try_get(0)?, row.try_get(1)?)))?;
        if unsent.is_empty() {
            self.pass_over(receiver, position)?;
        }
        Ok(unsent)
    }

    /// Nothing that is there is wanted: it need not be looked at again.
    fn pass_over(&mut self, receiver: &str, position: i64) -> Result<(), StoreError> {
        let newest = QueryBuilder::new("SELECT coalesce(max(number), 0) FROM words");
        match self.base.read(newest, |row| row.try_get(0))?.first() {
            Some(&newest) if newest > position => self.sent(receiver, newest),
            _ => Ok(()),
        }
    }

    /// The receiver has taken everything up to this word.
    pub fn sent(&mut self, receiver: &str, word: i64) -> Result<(), StoreError> {
        self.transaction("written", async |transaction| set_position(transaction, receiver, word).await)
    }

    /// The receiver wants nothing of what was told before it was known.
    pub fn begin_sending(&mut self, receiver: &str) -> Result<(), StoreError> {
        const BEGIN: &str = "INSERT INTO positions (name, position) SELECT $1, coalesce(max(number), 0) FROM words WHERE true \
                             ON CONFLICT (name) DO NOTHING";
        self.transaction("written", async |transaction| {
            sqlx::query(BEGIN).bind(receiver).execute(&mut **transaction).await.map(drop)
        })
    }

    fn position(&mut self, name: &str) -> Result<i64, StoreError> {
        let (path, runtime, connection) = self.base.parts();
        runtime.block_on(position(connection, name)).map_err(failed(path, "read"))
    }

    /// Keeps so many findings, those with the newest words.
    fn forget(&mut self) -> Result<(), StoreError> {
        const OLD: &str = "SELECT last_word FROM findings ORDER BY last_word DESC LIMIT 1 OFFSET $1";
        let path = self.base.path.clone();
        let keep = i64::try_from(self.findings_kept_max).unwrap_or(i64::MAX);
        self.transaction("written", async |transaction| {
            let Some(row) = sqlx::query(OLD).bind(keep).fetch_optional(&mut **transaction).await? else {
                return Ok(());
            };
            let newest: i64 = row.try_get(0)?;
            let forgotten = sqlx::query("DELETE FROM findings WHERE last_word <= $1").bind(newest);
            let forgotten = forgotten.execute(&mut **transaction).await?.rows_affected();
            let words = sqlx::query("DELETE FROM words WHERE id NOT IN (SELECT id FROM findings)");
            words.execute(&mut **transaction).await?;
            tracing::warn!(
                "{} holds {keep} findings, the limit `findings_kept_max`: the {forgotten} oldest were forgotten",
                path.display()
            );
            Ok(())
        })
    }

    /// Does something whole, or not at all.
    fn transaction<T>(
        &mut self,
        doing: &'static str,
        change: impl AsyncFnOnce(&mut SqliteTransaction<'_>) -> Result<T, sqlx::Error>,
    ) -> Result<T, StoreError> {
        let (path, runtime, connection) = self.base.parts();
        let done = runtime.block_on(async {
            let mut transaction = connection.begin_with("BEGIN IMMEDIATE").await?;
            let done = change(&mut transaction).await?;
            transaction.commit().await?;
            Ok(done)
        });
        done.map_err(failed(path, doing))
    }
}

fn journal(lane: &str) -> String {
    format!("journal {lane}")
}

async fn position(connection: &mut SqliteConnection, name: &str) -> Result<i64, sqlx::Error> {
    let row = sqlx::query("SELECT position FROM positions WHERE name = $1").bind(name);
    row.fetch_optional(connection).await?.map_or(Ok(0), |row| row.try_get(0))
}

async fn set_position(transaction: &mut SqliteTransaction<'_>, name: &str, to: i64) -> Result<(), sqlx::Error> {
    const SET: &str = "INSERT INTO positions (name, position) VALUES ($1, $2) \
                       ON CONFLICT (name) DO UPDATE SET position = excluded.position";
    sqlx::query(SET).bind(name).bind(to).execute(&mut **transaction).await.map(drop)
}
