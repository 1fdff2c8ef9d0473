//! The replication slot: the one thing that is created, and what it may hold back.

use super::connection::{answer, code, explain, within};
use super::cursor::Cursor;
use super::{ANSWERS_WITHIN, DECODES_WITHIN, Halt, Lsn, Options, SLOT_WITHIN, failed};
use crate::sources::live::{Intake, Start};
use crate::sources::remark::Remark;
use sqlx::postgres::{PgConnection, PgRow};
use sqlx::{FromRow, Row};

/// A slot that can be read.
pub(super) struct Slot {
    pub name: String,
    pub permanent: bool,
    /// Up to where the server may forget.
    pub confirmed: Lsn,
}

/// A slot, and what became of the place at which the source was.
pub(super) struct Opened {
    pub slot: Slot,
    /// Why changes may have been missed since then.
    pub hole: Option<String>,
}

/// A permanent slot as the server has it.
struct Known {
    plugin: Option<String>,
    database: Option<String>,
    here: String,
    holder: Option<i32>,
    lost: bool,
    confirmed: Option<i64>,
}

impl FromRow<'_, PgRow> for Known {
    fn from_row(row: &PgRow) -> sqlx::Result<Known> {
        Ok(Known {
            plugin: row.try_get("plugin")?,
            database: row.try_get("database")?,
            here: row.try_get("here")?,
            holder: row.try_get("holder")?,
            lost: row.try_get("lost")?,
            confirmed: row.try_get("confirmed")?,
        })
    }
}

/// Opens the slot that the options name, or a temporary one.
pub(super) async fn open(
    options: &Options,
    cursor: Option<&Cursor>,
    main: &mut PgConnection,
    intake: &mut dyn Intake,
) -> Result<Opened, Halt> {
    // A server that is waiting, or decoding, sees that nobody listens any more, and lets go of the slot.
    let look = "select set_config('client_connection_check_interval', '2s', false)
                where current_setting('server_version_num')::int >= 140000";
    within(intake, ANSWERS_WITHIN, "the connection does not answer", sqlx::query(look).execute(&mut *main)).await?;
    let Some(name) = &options.slot else {
        let question = sqlx::query_scalar::<_, i32>("select pg_backend_pid()").fetch_one(&mut *main);
        let pid = within(intake, ANSWERS_WITHIN, "the connection does not answer", question).await?;
        let slot = create(&format!("throughline_{pid}"), false, main, intake).await?;
        let why = "a temporary slot ends with its connection, so what was committed since is not known";
        return Ok(Opened { slot, hole: cursor.map(|_| why.to_owned()) });
    };
    bounded(name, main, intake).await?;
    alone(name, main, intake).await?;
    let Some(known) = known(name, main, intake).await? else {
        let slot = create(name, true, main, intake).await?;
        return Ok(Opened { slot, hole: cursor.map(|_| format!("the slot `{name}` was dropped")) });
    };
    foreign(name, &known)?;
    if known.lost {
        let drop = sqlx::query("select pg_drop_replication_slot($1::name)").bind(name).execute(&mut *main);
        within(intake, ANSWERS_WITHIN, &format!("the slot `{name}`, which is lost, cannot be dropped"), drop).await?;
        let slot = create(name, true, main, intake).await?;
        let hole = format!("the slot `{name}` held back more than max_slot_wal_keep_size allows, and was given up");
        return Ok(Opened { slot, hole: cursor.map(|_| hole) });
    }
    let mut slot = Slot { name: name.clone(), permanent: true, confirmed: Lsn(known.confirmed.unwrap_or(0) as u64) };
    match cursor {
        // It was made by someone else, or for another journal: what it holds is older than the watch.
        None if options.start != Start::Beginning => {
            let question = sqlx::query_scalar::<_, i64>("select (pg_current_wal_flush_lsn() - '0/0')::int8");
            let what = "the end of the log cannot be read";
            let end = within(intake, ANSWERS_WITHIN, what, question.fetch_one(&mut *main)).await?;
            slot.advance(Lsn(end as u64), main, intake).await?;
            Ok(Opened { slot, hole: None })
        }
        Some(cursor) if cursor.lsn < slot.confirmed => {
            let hole = format!("the slot `{name}` was read by somebody else, up to {}", slot.confirmed);
            Ok(Opened { slot, hole: Some(hole) })
        }
        _ => Ok(Opened { slot, hole: None }),
    }
}

/// Whether a permanent slot could be read, or made. Nothing is made.
pub(super) async fn examine(name: &str, side: &mut PgConnection, intake: &mut dyn Intake) -> Result<Remark, Halt> {
    bounded(name, side, intake).await?;
    let Some(known) = known(name, side, intake).await? else {
        return Ok(Remark::good(format!("`run` will make the slot `{name}`, which keeps what it has not read")));
    };
    if let Some(pid) = known.holder {
        return Ok(Remark::warning(format!(
            "the slot `{name}` is being read by process {pid}: by a daemon that runs?"
        )));
    }
    foreign(name, &known)?;
    Ok(if known.lost {
        Remark::warning(format!(
            "the slot `{name}` held back more than max_slot_wal_keep_size allows, and was given up: `run` will drop it, make \
             it anew, and admit a gap"
        ))
    } else {
        Remark::good(format!("the slot `{name}` is there, and keeps what has not been read"))
    })
}

/// A permanent slot is refused where nothing limits how much of its log the server keeps for it.
async fn bounded(name: &str, main: &mut PgConnection, intake: &mut dyn Intake) -> Result<(), Halt> {
    let question = sqlx::query_scalar::<_, String>("select current_setting('max_slot_wal_keep_size')").fetch_one(main);
    let limit = within(intake, ANSWERS_WITHIN, "max_slot_wal_keep_size cannot be read", question).await?;
    if limit != "-1" {
        return Ok(());
    }
    Err(failed(format!(
        "the permanent slot `{name}` could fill the server's disk while nobody reads it, since max_slot_wal_keep_size is \
         not set: run `ALTER SYSTEM SET max_slot_wal_keep_size = '10GB'; SELECT pg_reload_conf()`, or leave out `slot` \
         for a temporary one"
    )))
}

/// Refuses a slot that another reader like this one has: each would take from the other.
async fn alone(name: &str, main: &mut PgConnection, intake: &mut dyn Intake) -> Result<(), Halt> {
    let question = sqlx::query_scalar::<_, bool>("select pg_try_advisory_lock(hashtext('throughline'), hashtext($1))");
    let question = question.bind(name).fetch_one(main);
    if within(intake, ANSWERS_WITHIN, "the slot's reader cannot be looked up", question).await? {
        return Ok(());
    }
    Err(taken(name, "another throughline"))
}

fn taken(name: &str, reader: &str) -> Halt {
    failed(format!(
        "the slot `{name}` is being read by {reader}, and a slot has one reader: give `slot` another name, or end the \
         other reader"
    ))
}

async fn known(name: &str, main: &mut PgConnection, intake: &mut dyn Intake) -> Result<Option<Known>, Halt> {
    let question = sqlx::query_as::<_, Known>(
        "select plugin::text, database::text, current_database()::text as here, active_pid as holder,
                coalesce(wal_status = 'lost', false) as lost, (confirmed_flush_lsn - '0/0')::int8 as confirmed
         from pg_replication_slots where slot_name = $1",
    );
    let question = question.bind(name).fetch_optional(main);
    within(intake, ANSWERS_WITHIN, "the replication slots cannot be looked up", question).await
}

/// Refuses a slot that is for something else, or in use.
fn foreign(name: &str, known: &Known) -> Result<(), Halt> {
    let Known { plugin, database, here, .. } = known;
    if plugin.as_deref() != Some("pgoutput") || database.as_deref() != Some(here) {
        let of = plugin.as_deref().unwrap_or("physical replication");
        let within = database.as_deref().map_or(String::new(), |database| format!(" in the database `{database}`"));
        return Err(failed(format!("the slot `{name}` is for {of}{within}; give `slot` another name")));
    }
    if let Some(pid) = known.holder {
        return Err(taken(name, &format!("process {pid}")));
    }
    Ok(())
}

/// Creates a slot, which waits for the transactions that are running.
async fn create(name: &str, permanent: bool, main: &mut PgConnection, intake: &mut dyn Intake) -> Result<Slot, Halt> {
    // The server gives it up itself, so that nothing of it is left behind.
    let limit = sqlx::query("select set_config('statement_timeout', $1, false)");
    let limit = limit.bind(SLOT_WITHIN.as_millis().to_string()).execute(&mut *main);
    within(intake, ANSWERS_WITHIN, "the connection does not answer", limit).await?;
    let question = sqlx::query_scalar::<_, i64>(
        "select (lsn - '0/0')::int8 from pg_create_logical_replication_slot($1::name, 'pgoutput', $2)",
    );
    let question = question.bind(name).bind(!permanent).fetch_one(&mut *main);
    let confirmed = answer(intake, SLOT_WITHIN + ANSWERS_WITHIN, "the replication slot", question).await?;
    let confirmed = confirmed.map_err(|error| refused(name, &error))?;
    let limit = sqlx::query("select set_config('statement_timeout', '0', false)").execute(main);
    within(intake, ANSWERS_WITHIN, "the connection does not answer", limit).await?;
    Ok(Slot { name: name.to_owned(), permanent, confirmed: Lsn(confirmed as u64) })
}

/// Why a slot was not created, and the way out.
fn refused(name: &str, error: &sqlx::Error) -> Halt {
    let why = explain(error);
    let remedy = match code(error).as_deref() {
        Some("42501") => "let an administrator run `ALTER ROLE … REPLICATION` for this user, or use `capture: poll`",
        Some("53400") => {
            "drop one that nobody reads (`SELECT slot_name FROM pg_replication_slots WHERE NOT active`), or raise \
             max_replication_slots and restart the server"
        }
        Some("57014") => {
            "a slot begins when all transactions that were running have ended: look for one that is left open, \
             `SELECT pid, xact_start, query FROM pg_stat_activity ORDER BY xact_start`, or for a prepared one in \
             pg_prepared_xacts"
        }
        _ => "see the server's log",
    };
    failed(format!("the replication slot `{name}` cannot be created: {why}; {remedy}"))
}

impl Slot {
    /// Fails where somebody else has read from a permanent slot beyond what has been handed over.
    pub async fn untouched(
        &self,
        handed_over: Lsn,
        side: &mut PgConnection,
        intake: &mut dyn Intake,
    ) -> Result<(), Halt> {
        if !self.permanent {
            return Ok(());
        }
        let confirmed = known(&self.name, side, intake).await?.and_then(|known| known.confirmed);
        match confirmed {
            Some(confirmed) if Lsn(confirmed as u64) <= handed_over => Ok(()),
            _ => Err(failed(format!("the slot `{}` was read or dropped by somebody else", self.name))),
        }
    }

    /// Lets the server forget what lies before a place.
    pub async fn advance(&mut self, to: Lsn, main: &mut PgConnection, intake: &mut dyn Intake) -> Result<(), Halt> {
        if to <= self.confirmed {
            return Ok(());
        }
        let question = sqlx::query_scalar::<_, i64>(
            "select (end_lsn - '0/0')::int8 from pg_replication_slot_advance($1::name, $2::pg_lsn)",
        );
        let question = question.bind(&self.name).bind(to.to_string()).fetch_one(main);
        let what = format!("the slot `{}` cannot be moved on", self.name);
        let end = within(intake, DECODES_WITHIN, &what, question).await?;
        self.confirmed = Lsn(end as u64);
        Ok(())
    }
}
