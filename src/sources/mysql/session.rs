//! One connection that cannot write, and every wait on it bounded.

use super::address;
use crate::sources::live::{Failure, Intake};
use crate::sources::waiting::{Halt, Waiter};
use futures_core::Stream;
use sqlx::mysql::{MySqlConnectOptions, MySqlConnection, MySqlDatabaseError, MySqlRow};
use sqlx::{AssertSqlSafe, ConnectOptions, Executor, Row};
use std::future::poll_fn;
use std::pin::Pin;
use std::str::FromStr;
use std::time::{Duration, Instant};

/// How long the server may take to let us in.
const CONNECTS_WITHIN: Duration = Duration::from_secs(10);
/// How long one statement may take, by the server's count.
const STATEMENT_MAX: Duration = Duration::from_secs(300);
/// How long a lock may be waited for: only a change of the table's form holds one against a reader.
const LOCK_MAX: Duration = Duration::from_secs(2);
/// How long the server waits for us to take what it sends.
const TAKES_WITHIN: Duration = Duration::from_secs(120);
/// How long a statement may be without an answer before the connection is taken for dead.
const ANSWERS_WITHIN: Duration = Duration::from_secs(65);
/// Rows that are handed over at once.
const CHUNK_ROWS: usize = 1_000;

/// Access denied for want of a privilege of the whole server.
pub(super) const NO_PRIVILEGE: u16 = 1227;

/// A session that only reads.
pub(super) struct Session {
    waiter: Waiter,
    connection: MySqlConnection,
    /// `user@host:port/database`, without secrets.
    address: String,
    /// `10.11.6-MariaDB`, `8.0.36`.
    pub version: String,
    /// The server's number of this connection.
    pub thread: i64,
    /// The quickest answer so far: so long an answer is under way, whatever is asked.
    way: Duration,
}

/// The connection's options, and the address without secrets.
fn options(url: &str) -> Result<(MySqlConnectOptions, String), Failure> {
    const FORM: &str = "write `mysql://user:password@host:3306/database`";
    if !["mysql://", "mariadb://"].iter().any(|scheme| url.starts_with(scheme)) {
        return Err(Failure(format!("the url is none of MySQL, since it does not begin with `mysql://`: {FORM}")));
    }
    address::check_files(url)?;
    let options = MySqlConnectOptions::from_str(url)
        .map_err(|error| Failure(format!("the url is none of MySQL ({error}): {FORM}")))?;
    let database = options.get_database().unwrap_or_default();
    let address = format!("{}@{}:{}/{database}", options.get_username(), options.get_host(), options.get_port());
    // The session's mode is set whole; the library would add to the server's.
    let options = options.pipes_as_concat(false).no_engine_substitution(false).timezone(Some("+00:00".to_owned()));
    Ok((options.disable_statement_logging(), address))
}

/// What holds for the whole session. Texts are written alike whatever the server's defaults are, since a row is known by
/// its text, and nothing is read that is not committed.
fn settings(is_mariadb: bool) -> Vec<String> {
    let limit = match is_mariadb {
        true => format!("SET SESSION max_statement_time = {}", STATEMENT_MAX.as_secs()),
        false => format!("SET SESSION max_execution_time = {}", STATEMENT_MAX.as_millis()),
    };
    vec![
        "SET SESSION TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY".into(),
        format!(
            "SET SESSION autocommit = 1, sql_mode = 'NO_BACKSLASH_ESCAPES', lock_wait_timeout = {}, \
             net_write_timeout = {}, sql_quote_show_create = 1",
            LOCK_MAX.as_secs(),
            TAKES_WITHIN.as_secs()
        ),
        limit,
    ]
}

impl Session {
    /// Logs in.
    pub fn open(url: &str, intake: &mut dyn Intake) -> Result<Session, Halt> {
        let (options, address) = options(url)?;
        let waiter = Waiter::new()?;
        let connection = match waiter.wait(intake, CONNECTS_WITHIN, options.connect())? {
            Some(Ok(connection)) => connection,
            Some(Err(error)) => return Err(refused(&address, &error).into()),
            None => {
                let within = CONNECTS_WITHIN.as_secs();
                return Err(Failure(format!("the server at {address} did not answer within {within} s")).into());
            }
        };
        let mut session =
            Session { waiter, connection, address, version: String::new(), thread: 0, way: Duration::MAX };
        let row = session.row("SELECT VERSION(), CONNECTION_ID()", intake)?;
        session.version = text(&row, 0)?.unwrap_or_default();
        session.thread = number(&row, 1)?.unwrap_or_default();
        for setting in settings(session.is_mariadb()) {
            session.rows(&setting, intake)?;
        }
        Ok(session)
    }

    /// The address, without secrets.
    pub fn address(&self) -> &str {
        &self.address
    }

    /// MariaDB, not MySQL.
    pub fn is_mariadb(&self) -> bool {
        self.version.contains("MariaDB")
    }

    /// `MariaDB 10.11.6` or `MySQL 8.0.36`.
    pub fn product(&self) -> String {
        let number = self.version.split('-').next().unwrap_or_default();
        format!("{} {number}", if self.is_mariadb() { "MariaDB" } else { "MySQL" })
    }

    /// Runs a statement, and gives all its rows.
    pub fn rows(&mut self, sql: &str, intake: &mut dyn Intake) -> Result<Vec<MySqlRow>, Halt> {
        self.attempt(sql, intake)?.map_err(|(_, failure)| failure.into())
    }

    /// The same, where the caller knows what to make of the server's error: its number, and what to say of it.
    pub fn attempt(
        &mut self,
        sql: &str,
        intake: &mut dyn Intake,
    ) -> Result<Result<Vec<MySqlRow>, (u16, Failure)>, Halt> {
        let begun = Instant::now();
        let fetch = self.connection.fetch_all(sqlx::raw_sql(AssertSqlSafe(sql)));
        match self.waiter.wait(intake, ANSWERS_WITHIN, fetch)? {
            Some(Ok(rows)) => {
                self.way = self.way.min(begun.elapsed());
                Ok(Ok(rows))
            }
            Some(Err(error)) => Ok(Err((code(&error), failed(&self.address, &error)))),
            None => Err(late(&self.address).into()),
        }
    }

    /// The one row that a statement gives.
    pub fn row(&mut self, sql: &str, intake: &mut dyn Intake) -> Result<MySqlRow, Halt> {
        let row = self.rows(sql, intake)?.pop();
        row.ok_or_else(|| Failure(format!("the server at {} gave no answer to: {sql}", self.address)).into())
    }

    /// Hands over a statement's rows, some at a time. How long the server took.
    pub fn chunks(
        &mut self,
        sql: &str,
        intake: &mut dyn Intake,
        mut take: impl FnMut(&[MySqlRow], &mut dyn Intake) -> Result<(), Halt>,
    ) -> Result<Duration, Halt> {
        let Session { waiter, connection, address, way, .. } = self;
        let mut rows = connection.fetch(sqlx::raw_sql(AssertSqlSafe(sql)));
        let mut took = Duration::ZERO;
        loop {
            let begun = Instant::now();
            let chunk = match waiter.wait(intake, ANSWERS_WITHIN, chunk(&mut rows))? {
                Some(Ok(chunk)) => chunk,
                Some(Err(error)) => return Err(failed(address, &error).into()),
                None => return Err(late(address).into()),
            };
            took += begun.elapsed();
            take(&chunk, intake)?;
            if chunk.len() < CHUNK_ROWS {
                return Ok(took.saturating_sub(*way));
            }
        }
    }
}

/// The next rows of a stream; fewer than could be only at its end.
async fn chunk(
    rows: &mut Pin<Box<dyn Stream<Item = Result<MySqlRow, sqlx::Error>> + Send + '_>>,
) -> Result<Vec<MySqlRow>, sqlx::Error> {
    let mut chunk = Vec::new();
    while chunk.len() < CHUNK_ROWS {
        match poll_fn(|context| rows.as_mut().poll_next(context)).await.transpose()? {
            Some(row) => chunk.push(row),
            None => break,
        }
    }
    Ok(chunk)
}

/// A value's bytes as the server writes them; `None` where it is null.
pub(super) fn bytes(row: &MySqlRow, index: usize) -> Result<Option<&[u8]>, Failure> {
    let unreadable = |error| Failure(format!("the server gave a value that cannot be read: {error}"));
    row.try_get_unchecked::<Option<&[u8]>, _>(index).map_err(unreadable)
}

/// A value as text.
pub(super) fn text(row: &MySqlRow, index: usize) -> Result<Option<String>, Failure> {
    Ok(bytes(row, index)?.map(|bytes| String::from_utf8_lossy(bytes).into_owned()))
}

/// A value as a whole number.
pub(super) fn number(row: &MySqlRow, index: usize) -> Result<Option<i64>, Failure> {
    let Some(text) = text(row, index)? else { return Ok(None) };
    // Decimals may come of arithmetic.
    let whole = text.split('.').next().unwrap_or_default();
    whole.parse().map(Some).map_err(|_| Failure(format!("the server gave `{text}` where a number was asked for")))
}

fn late(address: &str) -> Failure {
    Failure(format!("the server at {address} has not answered for {} s", ANSWERS_WITHIN.as_secs()))
}

/// The number of an error that the server has raised; zero for others.
fn code(error: &sqlx::Error) -> u16 {
    let raised = error.as_database_error().and_then(|error| error.try_downcast_ref::<MySqlDatabaseError>());
    raised.map_or(0, MySqlDatabaseError::number)
}

/// Why the server did not let us in.
fn refused(address: &str, error: &sqlx::Error) -> Failure {
    let remedy = match code(error) {
        1045 | 1698 => {
            ": the password or the user in `url` is wrong, or the server lets this user in from elsewhere only, over TLS only \
             (`?ssl-mode=REQUIRED`), or with a certificate only (`&ssl-cert=FILE&ssl-key=FILE`)"
        }
        1044 => ": this user has no right to the database in `url`",
        1049 => ": the database in `url` does not exist",
        1040 | 1203 | 1226 => ": the server has no connection left for us; it is tried again",
        _ if error.to_string().contains("RSA") => {
            ": this user's password can only be sent over TLS, `?ssl-mode=REQUIRED`"
        }
        _ if error.to_string().contains("certificate") => {
            ": name the authority of the server's certificate in `url`, `?ssl-mode=VERIFY_CA&ssl-ca=FILE`; \
             `ssl-mode=VERIFY_IDENTITY` wants the server's name in it as well"
        }
        _ => "",
    };
    Failure(format!("the server at {address} refuses the connection ({}){remedy}", message(error)))
}

/// Why a statement failed.
fn failed(address: &str, error: &sqlx::Error) -> Failure {
    let remedy = match code(error) {
        1142 | 1143 => ". Give the user of `url` the right: `GRANT SELECT ON … TO …`",
        1969 | 3024 => ". A statement took longer than five minutes: is there an index on the `updated` column?",
        1205 => ". Somebody holds the table against readers (ALTER TABLE, LOCK TABLES); it is tried again",
        _ => "",
    };
    Failure(format!("the server at {address}: {}{remedy}", message(error)))
}

/// The server's own words, or the library's.
fn message(error: &sqlx::Error) -> String {
    error.as_database_error().map_or_else(|| error.to_string(), |error| error.message().to_owned())
}
