//! One connection that cannot write, and every wait on it bounded.

use crate::sources::live::{Failure, Intake};
use crate::sources::waiting::{Halt, Waiter};
use sqlx::sqlite::{SqliteConnectOptions, SqliteConnection, SqliteRow};
use sqlx::{AssertSqlSafe, ConnectOptions, Executor};
use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// How long a writer may keep us from reading, where the database is not in WAL mode.
const BUSY_MAX: Duration = Duration::from_secs(2);
/// How long a statement may be without an answer.
const ANSWERS_WITHIN: Duration = Duration::from_secs(30);

/// A session that only reads.
pub(super) struct Session {
    waiter: Waiter,
    connection: SqliteConnection,
    path: PathBuf,
    file: u64,
}

impl Session {
    /// Opens the file.
    pub fn open(path: &Path, intake: &mut dyn Intake) -> Result<Session, Halt> {
        let file = file(path)?;
        let options = SqliteConnectOptions::new()
            .filename(path)
            .read_only(true)
            .create_if_missing(false)
            .busy_timeout(BUSY_MAX)
            .pragma("query_only", "on")
            .disable_statement_logging();
        let waiter = Waiter::new()?;
        let connection = match waiter.wait(intake, ANSWERS_WITHIN, options.connect())? {
            Some(Ok(connection)) => connection,
            Some(Err(error)) => return Err(failed(path, &error).into()),
            None => return Err(late(path).into()),
        };
        Ok(Session { waiter, connection, path: path.to_owned(), file })
    }

    /// What tells the file from another that has its name later; an error where there is another one by now.
    pub fn file(&self) -> Result<u64, Failure> {
        if file(&self.path)? == self.file {
            return Ok(self.file);
        }
        Err(Failure(format!("{} is another file by now; it is opened anew", self.path.display())))
    }

    /// Runs a statement, and gives all its rows.
    pub fn rows(&mut self, sql: &str, intake: &mut dyn Intake) -> Result<Vec<SqliteRow>, Halt> {
        let fetch = self.connection.fetch_all(sqlx::raw_sql(AssertSqlSafe(sql)));
        match self.waiter.wait(intake, ANSWERS_WITHIN, fetch)? {
            Some(Ok(rows)) => Ok(rows),
            Some(Err(error)) => Err(failed(&self.path, &error).into()),
            None => Err(late(&self.path).into()),
        }
    }
}

fn file(path: &Path) -> Result<u64, Failure> {
    let place = path.display();
    let file = fs::metadata(path).map_err(|error| {
        Failure(format!(
            "the SQLite database {place} cannot be opened: {error}. Is `path` right, and may this user read it?"
        ))
    })?;
    // Zero is no file at all.
    Ok((file.dev().rotate_left(32) ^ file.ino()).max(1))
}

fn late(path: &Path) -> Failure {
    Failure(format!("SQLite gave no answer about {} within {} s", path.display(), ANSWERS_WITHIN.as_secs()))
}

fn failed(path: &Path, error: &sqlx::Error) -> Failure {
    let database = error.as_database_error();
    let code = database.and_then(|error| error.code()).unwrap_or_default().into_owned();
    let message = database.map_or_else(|| error.to_string(), |error| error.message().to_owned());
    // Extended codes carry the primary one in their lowest byte.
    let remedy = match code.parse::<i32>().map(|code| code & 0xff) {
        Ok(5) => {
            ". A writer keeps the file to itself: in WAL mode (`PRAGMA journal_mode=WAL`) readers and writers get along"
        }
        Ok(14) => {
            ". Of a database in WAL mode this user must be able to read the files `-wal` and `-shm` beside it, which its \
             writer makes"
        }
        Ok(26) => ". Is `path` right?",
        _ => "",
    };
    Failure(format!("the SQLite database {}: {message}{remedy}", path.display()))
}
