//! Connections that only read, and awaits that end: with an answer, with the daemon, or with their patience.

use super::super::session::refused;
use super::{ANSWERS_WITHIN, Halt, Options, TICK, failed};
use crate::sources::live::{Intake, Stopped};
use sqlx::postgres::{PgConnectOptions, PgConnection};
use sqlx::{ConnectOptions, Connection};
use std::pin::pin;
use std::str::FromStr;
use std::time::{Duration, Instant};

/// Connects to the database.
pub(super) async fn connect(options: &Options, intake: &mut dyn Intake) -> Result<PgConnection, Halt> {
    let unreadable = |why: &str| {
        let form = "it is written as `postgres://user:password@host:5432/database`";
        failed(format!("the address of the database cannot be read: {why}; {form}"))
    };
    if !["postgres://", "postgresql://"].iter().any(|scheme| options.url.0.starts_with(scheme)) {
        return Err(unreadable("it does not begin with `postgres://`"));
    }
    let url = PgConnectOptions::from_str(&options.url.0).map_err(|error| unreadable(&explain(&error)))?;
    let database = url.get_database().unwrap_or(url.get_username());
    let address = format!("{}@{}:{}/{database}", url.get_username(), url.get_host(), url.get_port());
    // Whatever the database or the role says: the texts of values are what `types` reads, and nothing is written.
    let settings = [
        ("default_transaction_read_only", "on"),
        ("bytea_output", "hex"),
        ("IntervalStyle", "postgres"),
        ("idle_in_transaction_session_timeout", "0"),
    ];
    let url = url.application_name("throughline").extra_float_digits(1).options(settings).disable_statement_logging();
    let what = format!("PostgreSQL at {address} cannot be reached");
    let connected = answer(intake, ANSWERS_WITHIN, &what, PgConnection::connect_with(&url)).await?;
    connected.map_err(|error| Halt::Failed(refused(&address, &error)))
}

/// Waits for an answer of the server; `what` says what failed where it does not come.
pub(super) async fn within<T>(
    intake: &mut dyn Intake,
    patience: Duration,
    what: &str,
    work: impl Future<Output = Result<T, sqlx::Error>>,
) -> Result<T, Halt> {
    let answer = answer(intake, patience, what, work).await?;
    answer.map_err(|error| failed(format!("{what}: {}", explain(&error))))
}

/// The same, where the caller knows what to make of an error.
pub(super) async fn answer<T>(
    intake: &mut dyn Intake,
    patience: Duration,
    what: &str,
    work: impl Future<Output = T>,
) -> Result<T, Halt> {
    let answer = in_time(intake, patience, work).await?;
    answer.ok_or_else(|| {
        let seconds = patience.as_secs();
        failed(format!("{what}: no answer within {seconds} s; is the server or the network overloaded?"))
    })
}

/// The same, and `None` where it takes longer.
pub(super) async fn in_time<T>(
    intake: &mut dyn Intake,
    patience: Duration,
    work: impl Future<Output = T>,
) -> Result<Option<T>, Stopped> {
    let mut work = pin!(work);
    let begun = Instant::now();
    loop {
        if let Ok(answer) = tokio::time::timeout(TICK, work.as_mut()).await {
            return Ok(Some(answer));
        }
        intake.pause(Duration::ZERO)?;
        if begun.elapsed() >= patience {
            return Ok(None);
        }
    }
}

/// What an error says; never the address, which may hold a password.
pub(super) fn explain(error: &sqlx::Error) -> String {
    match error {
        sqlx::Error::Database(error) => match error.code() {
            Some(code) => format!("{} (SQLSTATE {code})", error.message()),
            None => error.message().to_owned(),
        },
        sqlx::Error::Io(error) => format!("the connection broke: {error}"),
        other => other.to_string(),
    }
}

/// The code of an error that the server has raised.
pub(super) fn code(error: &sqlx::Error) -> Option<String> {
    error.as_database_error()?.code().map(|code| code.into_owned())
}
