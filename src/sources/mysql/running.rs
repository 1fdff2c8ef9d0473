//! What is under way, and what that leaves to be proven.
//!
//! ```text
//! T ─▶ statements that run ─▶ transactions that are open, prepared ones included ─▶ rows
//! ```
//!
//! What a transaction writes may bear the time at which it began, what a statement writes the time at which that began
//! (`NOW()` is its beginning, and it may have waited long for a lock since), and both are seen at the commit. So nothing
//! is proven beyond the beginning of the oldest one. Statements are read first, transactions after them, and the rows
//! last: whatever moves on meanwhile is met at least once.
//!
//! A transaction is shown as begun when it first touches a table, and the statement that did may have waited for the table
//! since long before: its row bears a time before that. Where the statement has ended meanwhile, it either was under way
//! at the last reading, or began after it; so each reading knows what the last one met. Of a transaction that is met by
//! the very first one, it is taken that no such statement of it waited for more than a minute.
//!
//! The server keeps what `INNODB_TRX` shows for a tenth of a second and longer, while others read it too. Our own
//! transaction is asked for with it, and the text of our statement in it: if that is this very one, what is shown is no
//! older. Its beginning also tells the zone of the others', which is the machine's, not the session's.

use super::session::{NO_PRIVILEGE, Session, number, text};
use crate::model::time::{Span, Time};
use crate::model::timestamp;
use crate::sources::live::{Failure, Intake};
use crate::sources::tables::Running;
use crate::sources::waiting::Halt;
use sqlx::mysql::MySqlRow;
use std::time::Duration;

/// A transaction that holds the proof back for longer is told.
const TOLD_AFTER: Span = Span::seconds(30);
/// After so long the server shows transactions anew, if nobody else has read them meanwhile;
const SHOWN_ANEW: Duration = Duration::from_millis(130);
/// which is tried so often.
const TRIES_MAX: u32 = 8;
/// Before a transaction that the first reading meets is shown as begun, what it wrote may have begun by so much.
const WAITED_MAX: Span = Span::seconds(60);
/// Zones differ by whole quarters of an hour.
const ZONE_STEP: i64 = 900_000_000_000;

/// What a reading has met, for the next one.
#[derive(Debug, Default)]
pub(super) struct Met {
    /// When it was; `None` before the first.
    pub at: Option<Time>,
    /// The connections that ran a statement, each with its beginning.
    statements: Vec<(i64, Time)>,
    /// The transactions, by connection and beginning, each with the time before which nothing that it wrote can have begun.
    /// Their names change: one that has written nothing yet is shown under another.
    transactions: Vec<((i64, Time), Time)>,
}

impl Met {
    /// Before when nothing that this transaction wrote can have begun.
    fn floor(&self, open: &Open) -> Time {
        let known = self.transactions.iter().find(|(known, _)| *known == (open.thread, open.began));
        if let Some((_, floor)) = known {
            return *floor;
        }
        let running = self.statements.iter().find(|(thread, _)| *thread == open.thread).map(|(_, began)| *began);
        let last = self.at.unwrap_or(open.began - WAITED_MAX);
        running.unwrap_or(open.began).min(last).min(open.began)
    }
}

/// Why a user without rights proves nothing.
const BLIND: &str = "the user may not see when other users' transactions began: `GRANT PROCESS ON *.* TO …`";
/// Why a replica proves nothing.
const REPLICA: &str = "the server applies what others have written (a replica, or a node of a cluster), and does not \
                       know which transactions are under way there";

/// Reads what is under way. `prepared` are the transactions without a session that were met before, each with the time
/// before which it cannot have begun; `before` is what the last reading gave, and `met` what it met.
pub(super) fn read(
    session: &mut Session,
    prepared: &mut Vec<(String, Time)>,
    (before, met): (Option<Time>, &mut Met),
    intake: &mut dyn Intake,
) -> Result<Running, Halt> {
    session.rows("START TRANSACTION WITH CONSISTENT SNAPSHOT, READ ONLY", intake)?;
    let running = look(session, prepared, (before, met), intake);
    // Where reading has failed, the session is given up.
    if running.is_ok() {
        session.rows("COMMIT", intake)?;
    }
    running
}

fn look(
    session: &mut Session,
    prepared: &mut Vec<(String, Time)>,
    (before, met): (Option<Time>, &mut Met),
    intake: &mut dyn Intake,
) -> Result<Running, Halt> {
    let now = moment(&session.row(&format!("SELECT {NOW}"), intake)?, 0)?;
    let statements = statements(session, intake)?;
    let Some(transactions) = transactions(session, now, intake)? else {
        return Ok(Running { now, whole: now, assumed: Some(BLIND), held_by: None });
    };
    let detached = |open: &&Open| open.thread == 0;
    *prepared = transactions
        .iter()
        .filter(detached)
        .map(|open| {
            // Its session is gone; after a restart of the server, it shows that as its beginning. It was under way at the
            // last reading or began after it.
            let known = prepared.iter().find(|(known, _)| *known == open.name).map(|(_, since)| *since);
            (open.name.clone(), known.unwrap_or_else(|| before.map_or(open.began, |before| before.min(open.began))))
        })
        .collect();
    let attached = transactions.iter().filter(|open| open.thread != 0);
    let floors = attached.map(|open| ((open.thread, open.began), met.floor(open))).collect();
    *met = Met { at: Some(now), statements: statements.running, transactions: floors };
    let held = met
        .transactions
        .iter()
        .map(|((thread, _), floor)| (*floor, format!("the transaction of connection {thread}")))
        .chain(prepared.iter().map(|(name, since)| (*since, format!("the prepared transaction {name} (XA RECOVER)"))))
        .chain(met.statements.iter().map(|(thread, began)| (*began, format!("the statement of connection {thread}"))))
        .min();
    let whole = held.as_ref().map_or(now, |(began, _)| now.min(*began));
    let held_by = held.filter(|(began, _)| now.since(*began) > TOLD_AFTER).map(|(_, who)| who);
    Ok(Running { now, whole, assumed: statements.applies.then_some(REPLICA), held_by })
}

/// Microseconds since 1970, by the database's clock.
const NOW: &str = "CAST(UNIX_TIMESTAMP(NOW(6)) * 1000000 AS SIGNED)";

fn moment(row: &MySqlRow, index: usize) -> Result<Time, Failure> {
    number(row, index).map(|micros| Time(micros.unwrap_or_default().saturating_mul(1_000)))
}

/// The statements that others run.
struct Statements {
    /// The connections that run one, each with its beginning.
    running: Vec<(i64, Time)>,
    /// Some of them apply what another server has written.
    applies: bool,
}

fn statements(session: &mut Session, intake: &mut dyn Intake) -> Result<Statements, Halt> {
    // MySQL tells whole seconds.
    let age = if session.is_mariadb() { "CAST(TIME_MS * 1000 AS SIGNED)" } else { "(TIME + 1) * 1000000" };
    let rows = session.rows(
        &format!(
            "SELECT ID, USER, {NOW} - {age}, COMMAND FROM information_schema.PROCESSLIST WHERE ID <> CONNECTION_ID() \
             AND COMMAND NOT IN ('Daemon', 'Binlog Dump', 'Binlog Dump GTID') \
             AND (COMMAND <> 'Sleep' OR USER = 'system user')"
        ),
        intake,
    )?;
    let mut found = Statements { running: Vec::new(), applies: false };
    for row in &rows {
        if text(row, 1)?.as_deref() == Some("system user") {
            found.applies = true;
            continue;
        }
        found.running.push((number(row, 0)?.unwrap_or_default(), moment(row, 2)?));
    }
    Ok(found)
}

/// A transaction that may write.
struct Open {
    name: String,
    began: Time,
    /// Zero where its session is gone.
    thread: i64,
}

/// The open transactions of others; `None` where the user may not see them.
fn transactions(session: &mut Session, now: Time, intake: &mut dyn Intake) -> Result<Option<Vec<Open>>, Halt> {
    for number in 0..TRIES_MAX {
        // No two statements are alike.
        let mark = format!("throughline {} {number}", now.0);
        let sql = format!(
            "SELECT '{mark}', TRX_ID, TRX_STARTED, TRX_MYSQL_THREAD_ID, TRX_QUERY FROM information_schema.INNODB_TRX \
             WHERE TRX_IS_READ_ONLY = 0 OR TRX_MYSQL_THREAD_ID = CONNECTION_ID()"
        );
        let rows = match session.attempt(&sql, intake)? {
            Ok(rows) => rows,
            Err((NO_PRIVILEGE, _)) => return Ok(None),
            Err((_, failure)) => return Err(failure.into()),
        };
        if let Some(open) = shown(session.thread, &rows, &mark, now)? {
            return Ok(Some(open));
        }
        intake.pause(SHOWN_ANEW)?;
    }
    Err(Failure(format!(
        "the server at {} shows no fresh list of its transactions: does somebody read information_schema.INNODB_TRX more \
         than ten times a second?",
        session.address()
    ))
    .into())
}

/// What was shown; `None` where that is older than the question.
fn shown(own: i64, rows: &[MySqlRow], mark: &str, now: Time) -> Result<Option<Vec<Open>>, Failure> {
    let (mut open, mut off) = (Vec::new(), None);
    for row in rows {
        let name = text(row, 1)?.unwrap_or_default();
        let began = text(row, 2)?.unwrap_or_default();
        let began = timestamp::read(&began, chrono_tz::UTC)
            .map_err(|_| Failure(format!("the server shows a transaction that began at `{began}`")))?;
        let thread = number(row, 3)?.unwrap_or_default();
        if thread != own {
            open.push(Open { name, began, thread });
        } else if text(row, 4)?.is_some_and(|query| query.contains(mark)) {
            off = Some(Span((began.since(now).0 + ZONE_STEP / 2).div_euclid(ZONE_STEP) * ZONE_STEP));
        }
    }
    Ok(off.map(|off| open.into_iter().map(|open| Open { began: open.began - off, ..open }).collect()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_transaction_wrote_is_no_older_than_what_the_last_reading_met() {
        let open = |thread, began| Open { name: String::new(), began: Time(began), thread };
        let first = Met::default();
        assert_eq!(first.floor(&open(1, 70)), Time(70) - WAITED_MAX, "nobody has looked before");
        let known = vec![((1, Time(70)), Time(40))];
        let met = Met { at: Some(Time(60)), statements: vec![(1, Time(50)), (2, Time(30))], transactions: known };
        assert_eq!(met.floor(&open(1, 70)), Time(40), "as it was found to be when it was met first");
        assert_eq!(met.floor(&open(1, 80)), Time(50), "its statement was under way");
        assert_eq!(met.floor(&open(2, 70)), Time(30));
        assert_eq!(met.floor(&open(3, 70)), Time(60), "its statement began after the last reading");
        assert_eq!(met.floor(&open(3, 20)), Time(20));
    }
}
