//! Which transactions are under way, and what that leaves to be proven.
//!
//! What a transaction writes may bear the time at which it began, and is seen when it ends. So nothing is proven beyond
//! the beginning of the oldest one. Sessions are read first, prepared transactions after them, and the rows last: a
//! transaction that moves on meanwhile is met at least once.

use super::session::{Session, column};
use super::sql::micros;
use crate::model::time::{Span, Time};
use crate::sources::live::{Failure, Intake};
use crate::sources::tables::Running;
use crate::sources::waiting::Halt;

/// A transaction that holds the proof back for longer is told.
const TOLD_AFTER: Span = Span::seconds(30);

/// Reads what is under way. `prepared` are the prepared transactions that were met before, each with the time before
/// which it cannot have begun; `before` is what the last reading gave.
pub(super) fn read(
    session: &mut Session,
    prepared: &mut Vec<(String, Time)>,
    before: Option<Time>,
    intake: &mut dyn Intake,
) -> Result<Running, Halt> {
    let sessions = session.rows_again("throughline_sessions", sessions, intake)?;
    let sessions = sessions.first().ok_or_else(|| Failure("PostgreSQL says nothing of its sessions".into()))?;
    let now = time(column(sessions, 0)?);
    let replica: bool = column(sessions, 1)?;
    let sees_all: bool = column(sessions, 2)?;
    let oldest = column::<Option<i64>>(sessions, 4)?.map(time);
    if replica {
        // Transactions run elsewhere. What was replayed is all that has come.
        let whole = column::<Option<i64>>(sessions, 3)?.map_or(Time::MIN, time).min(now);
        return Ok(Running { now, whole, assumed: Some(REPLICA), held_by: None });
    }
    let mut whole = oldest.map_or(now, |oldest| oldest.min(now));
    let mut held_by = None;
    if now.since(whole) > TOLD_AFTER {
        held_by = Some(column(sessions, 5)?);
    }
    let met: Vec<(String, Time)> = session
        .rows_again("throughline_prepared", prepared_transactions, intake)?
        .iter()
        .map(|row| Ok::<_, Halt>((column(row, 0)?, time(column(row, 1)?))))
        .collect::<Result<_, _>>()?;
    *prepared = met
        .into_iter()
        .map(|(name, at)| {
            // Its session is not known any more. It was under way at the last reading or began after it.
            let known = prepared.iter().find(|(known, _)| *known == name).map(|(_, since)| *since);
            let since = known.unwrap_or_else(|| before.map_or(at, |before| before.min(at)));
            (name, since)
        })
        .collect();
    if let Some((name, since)) = prepared.iter().min_by_key(|(_, since)| *since).filter(|(_, since)| *since < whole) {
        whole = *since;
        held_by = (now.since(whole) > TOLD_AFTER).then(|| format!("the prepared transaction {name}"));
    }
    Ok(Running { now, whole, assumed: (!sees_all).then_some(BLIND), held_by })
}

/// Why a user without rights proves nothing.
const BLIND: &str = "the user may not see when other users' transactions began: `GRANT pg_monitor TO …`";
/// Why a replica proves nothing.
const REPLICA: &str = "the server is a replica, and does not know which transactions are under way on its primary";

/// When the primary had committed no more than what was replayed here: with its last commit, or, where it has none to send,
/// when it last said so.
const REPLAYED: &str = "greatest(pg_last_xact_replay_timestamp(), (SELECT last_msg_send_time FROM pg_stat_wal_receiver \
                        WHERE latest_end_lsn <= pg_last_wal_replay_lsn()))";

fn time(micros: i64) -> Time {
    Time(micros.saturating_mul(1_000))
}

/// The beginning of this statement, what may be seen, and the oldest transaction. The statement's time is taken before
/// the sessions are looked at. Other databases' transactions cannot write here.
fn sessions() -> String {
    format!(
        "SELECT {now}, pg_is_in_recovery(), pg_has_role('pg_read_all_stats', 'USAGE'), {replayed}, {began}, \
         'a transaction of ' || coalesce(oldest.usename, '?') || ' (process ' || oldest.pid || ', ' || \
         coalesce(nullif(oldest.application_name, ''), 'no application name') || ', ' || \
         coalesce(oldest.state, '?') || ')' \
         FROM (SELECT) one LEFT JOIN LATERAL (SELECT * FROM pg_stat_activity WHERE xact_start IS NOT NULL \
         AND pid <> pg_backend_pid() AND (datname IS NULL OR datname = current_database()) \
         AND coalesce(backend_type, '') NOT IN ('walsender', 'autovacuum launcher', 'autovacuum worker') \
         ORDER BY xact_start LIMIT 1) oldest ON true",
        now = micros("statement_timestamp()"),
        replayed = micros(REPLAYED),
        began = micros("oldest.xact_start"),
    )
}

fn prepared_transactions() -> String {
    let prepared = micros("prepared");
    format!(
        "SELECT transaction::text || ' ' || gid, {prepared} FROM pg_prepared_xacts WHERE database = current_database()"
    )
}
