//! One connection that cannot write, and every wait on it bounded.

use crate::sources::live::{Failure, Intake};
use crate::sources::waiting::{Halt, Waiter};
use sqlx::postgres::{PgConnectOptions, PgConnection, PgRow};
use sqlx::{AssertSqlSafe, ConnectOptions, Executor, Row};
use std::str::FromStr;
use std::time::{Duration, Instant};

/// How long the server may take to let us in.
const CONNECTS_WITHIN: Duration = Duration::from_secs(10);
/// How long one statement may take, by the server's count; ours is a little longer.
const STATEMENT_MAX: Duration = Duration::from_secs(60);
/// How long a lock may be waited for: only a change of the table's form holds one against a reader.
const LOCK_MAX: Duration = Duration::from_secs(2);
/// How long our transaction may stand still while what it has read is taken.
const IDLE_MAX: Duration = Duration::from_secs(120);
/// How long a statement may be without an answer before the connection is taken for dead.
const ANSWERS_WITHIN: Duration = Duration::from_secs(65);

/// The setting by which a session can only read.
const READ_ONLY: &str = "default_transaction_read_only";
/// What to do where something between us and the server keeps the settings for itself.
const POOLER: &str = ". A pooler as PgBouncer stands before the server, whose connections are not ours to set: let `url` \
                      lead to the server itself, where one connection is all that is needed";

/// A session that only reads.
pub(super) struct Session {
    waiter: Waiter,
    connection: PgConnection,
    /// `user@host:port/database`, without secrets.
    address: String,
    /// The quickest answer so far: so long an answer is under way, whatever is asked.
    pub way: Duration,
    /// The statements that the server has prepared.
    prepared: Vec<&'static str>,
}

/// The connection's options, and the address without secrets.
fn options(url: &str) -> Result<(PgConnectOptions, String), Failure> {
    let options = PgConnectOptions::from_str(url).map_err(|error| {
        Failure(format!("the url is none of PostgreSQL ({error}): write `postgres://user:password@host:5432/database`"))
    })?;
    let options = options.application_name("throughline").options(settings()).disable_statement_logging();
    let database = options.get_database().unwrap_or(options.get_username());
    let address = format!("{}@{}:{}/{database}", options.get_username(), options.get_host(), options.get_port());
    Ok((options, address))
}

/// What holds for the whole session. Texts are written alike whatever the database's defaults are, since a row is known
/// by its text; rows that a policy would hide are an error, not an absence. It is asked for with the session itself, never
/// set in one: behind a pooler the session may be that of others afterwards, who would find it unable to write.
fn settings() -> [(&'static str, String); 9] {
    let milliseconds = |span: Duration| span.as_millis().to_string();
    [
        (READ_ONLY, "on".into()),
        ("statement_timeout", milliseconds(STATEMENT_MAX)),
        ("lock_timeout", milliseconds(LOCK_MAX)),
        ("idle_in_transaction_session_timeout", milliseconds(IDLE_MAX)),
        ("row_security", "off".into()),
        ("intervalstyle", "iso_8601".into()),
        ("bytea_output", "hex".into()),
        ("cursor_tuple_fraction", "1".into()),
        ("max_parallel_workers_per_gather", "0".into()),
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
                return Err(Failure(format!("PostgreSQL at {address} did not answer within {within} s")).into());
            }
        };
        let mut session = Session { waiter, connection, address, way: Duration::MAX, prepared: Vec::new() };
        let read_only = session.row(&format!("SELECT current_setting('{READ_ONLY}')"), intake)?;
        match column::<String>(&read_only, 0)?.as_str() {
            "on" => Ok(session),
            _ => Err(Failure(format!(
                "PostgreSQL at {}: the session is not as it was asked for{POOLER}",
                session.address
            ))
            .into()),
        }
    }

    /// The address, without secrets.
    pub fn address(&self) -> &str {
        &self.address
    }

    /// Runs statements, and gives all their rows.
    pub fn rows(&mut self, sql: &str, intake: &mut dyn Intake) -> Result<Vec<PgRow>, Halt> {
        let begun = Instant::now();
        let fetch = self.connection.fetch_all(sqlx::raw_sql(AssertSqlSafe(sql)));
        match self.waiter.wait(intake, ANSWERS_WITHIN, fetch)? {
            Some(Ok(rows)) => {
                self.way = self.way.min(begun.elapsed());
                Ok(rows)
            }
            Some(Err(error)) => Err(failed(&self.address, &error).into()),
            None => {
                let within = ANSWERS_WITHIN.as_secs();
                Err(Failure(format!("PostgreSQL at {} has not answered for {within} s", self.address)).into())
            }
        }
    }

    /// All rows of a statement that is run in every round, under a name: the server plans it once.
    pub fn rows_again(
        &mut self,
        name: &'static str,
        sql: impl FnOnce() -> String,
        intake: &mut dyn Intake,
    ) -> Result<Vec<PgRow>, Halt> {
        if !self.prepared.contains(&name) {
            self.rows(&format!("PREPARE {name} AS {}", sql()), intake)?;
            self.prepared.push(name);
        }
        self.rows(&format!("EXECUTE {name}"), intake)
    }

    /// The one row that a statement gives.
    pub fn row(&mut self, sql: &str, intake: &mut dyn Intake) -> Result<PgRow, Halt> {
        let row = self.rows(sql, intake)?.pop();
        row.ok_or_else(|| Failure(format!("PostgreSQL at {} gave no answer to: {sql}", self.address)).into())
    }
}

/// A column of a row that this program asked for.
pub(super) fn column<'r, T>(row: &'r PgRow, index: usize) -> Result<T, Failure>
where
    T: sqlx::Decode<'r, sqlx::Postgres> + sqlx::Type<sqlx::Postgres>,
{
    row.try_get(index).map_err(|error| Failure(format!("PostgreSQL gave something that cannot be read: {error}")))
}

/// Why the server did not let us in.
pub(super) fn refused(address: &str, error: &sqlx::Error) -> Failure {
    if let sqlx::Error::Io(error) = error {
        return Failure(format!(
            "PostgreSQL at {address} cannot be reached ({error}): is it up, and are host and port in `url` right?"
        ));
    }
    let code = error.as_database_error().and_then(|error| error.code()).unwrap_or_default().into_owned();
    let remedy = match code.as_str() {
        "28P01" => ": the password or the user in `url` is wrong",
        "28000" => ": pg_hba.conf lets this user in neither from here nor in this way",
        "3D000" => ": the database in `url` does not exist",
        "53300" => ": the server has no connection left; it is tried again",
        _ if message(error).contains("startup parameter") => POOLER,
        _ => "",
    };
    Failure(format!("PostgreSQL at {address} refuses the connection ({}){remedy}", message(error)))
}

/// Why a statement failed.
fn failed(address: &str, error: &sqlx::Error) -> Failure {
    let code = error.as_database_error().and_then(|error| error.code()).unwrap_or_default().into_owned();
    let message = message(error);
    let remedy = match code.as_str() {
        "42501" if message.contains("row-level security") => {
            ". Rows that a policy hides would look like rows that are missing: `ALTER ROLE … BYPASSRLS`, or name a view"
        }
        "42501" => ". Give the user of `url` the right: `GRANT USAGE ON SCHEMA … TO …; GRANT SELECT ON … TO …`",
        "57014" => ". A statement took longer than a minute: is there an index on the `updated` column?",
        "55P03" => ". Somebody holds the table against readers (ALTER TABLE, VACUUM FULL); it is tried again",
        _ => "",
    };
    Failure(format!("PostgreSQL at {address}: {message}{remedy}"))
}

/// The server's own words, or the library's.
fn message(error: &sqlx::Error) -> String {
    error.as_database_error().map_or_else(|| error.to_string(), |error| error.message().to_owned())
}
