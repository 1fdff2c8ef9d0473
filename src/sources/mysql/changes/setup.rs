//! What must be right before anything is followed, and what to do where it is not.

use super::cursor::Position;
use super::shape::Shape;
use super::{Halt, Options, Table, failed};
use crate::model::time::Time;
use crate::sources::live::{Failure, Intake, Start};
use crate::sources::mysql::catalog::{self, Relation};
use crate::sources::mysql::session::{NO_PRIVILEGE, Session, number, text};
use crate::sources::mysql::sql::literal;
use crate::sources::tables::{self, Sweep, parts};
use std::collections::HashMap;
use std::rc::Rc;

/// The server, as far as its log is concerned.
#[derive(Clone, Debug)]
pub(super) struct Server {
    pub is_mariadb: bool,
    /// Its number among servers.
    pub id: u32,
    /// What asks for the end of the log.
    pub(super) ask_end: &'static str,
    /// What the connection to the database is encrypted with; empty for nothing.
    pub cipher: String,
}

/// Where the log ends: all that was visible `at` is before it.
#[derive(Clone, Debug)]
pub(super) struct End {
    pub at: Time,
    pub position: Position,
}

/// A table that is followed.
#[derive(Clone, Debug)]
pub(super) struct Watched {
    pub database: String,
    /// Its name in its database.
    pub relation_name: String,
    /// Its name in the configuration: the records' part and stream.
    pub name: String,
    pub part: u32,
    pub table: tables::Table,
    /// Its form, as it was looked up last; `None` where it was not found, or cannot be read.
    pub shape: Option<Rc<Shape>>,
    /// What was logged before this place may be of another form.
    pub unsure_until: Option<Position>,
}

/// Refuses a server whose log does not tell all changes of rows.
pub(super) fn server(side: &mut Session, intake: &mut dyn Intake) -> Result<Server, Halt> {
    let rows = side.rows(
        "SHOW GLOBAL VARIABLES WHERE Variable_name IN ('log_bin', 'binlog_format', 'binlog_row_image', \
         'binlog_row_value_options', 'log_bin_compress', 'server_id')",
        intake,
    )?;
    let mut settings = HashMap::new();
    for row in &rows {
        settings.insert(text(row, 0)?.unwrap_or_default().to_lowercase(), text(row, 1)?.unwrap_or_default());
    }
    let has = |name: &str| settings.get(name).map_or("", String::as_str);
    let refuse = |what: &str, remedy: &str| Err(failed(format!("{what}: {remedy}, or use `capture: poll`")));
    if has("log_bin") != "ON" {
        return refuse("the server keeps no binary log", "start it with `log_bin` and a `server_id`");
    }
    if has("binlog_format") != "ROW" {
        let what = format!("the server's binlog_format is {}, so its log has statements", has("binlog_format"));
        return refuse(&what, "run `SET GLOBAL binlog_format = ROW`, and set it in the server's configuration");
    }
    if has("binlog_row_image") != "FULL" {
        let what =
            format!("the server's binlog_row_image is {}, so its log has parts of rows", has("binlog_row_image"));
        return refuse(&what, "run `SET GLOBAL binlog_row_image = FULL`, and set it in the server's configuration");
    }
    if has("binlog_row_value_options").contains("PARTIAL_JSON") {
        let what = "the server's binlog_row_value_options is PARTIAL_JSON, so its log has parts of documents";
        return refuse(what, "run `SET GLOBAL binlog_row_value_options = ''`");
    }
    if has("log_bin_compress") == "ON" {
        return refuse("the server compresses its log", "run `SET GLOBAL log_bin_compress = OFF`");
    }
    let cipher = side.rows("SHOW SESSION STATUS LIKE 'Ssl_cipher'", intake)?;
    let cipher = cipher.first().map(|row| text(row, 1)).transpose()?.flatten().unwrap_or_default();
    let is_mariadb = side.is_mariadb();
    // MySQL 8.2 has renamed it, and 8.4 has not the old name any more.
    let mut release = side.version.split('.').map(|part| part.parse::<u32>().unwrap_or_default());
    let release = (release.next().unwrap_or_default(), release.next().unwrap_or_default());
    let ask_end = if is_mariadb || release < (8, 2) { "SHOW MASTER STATUS" } else { "SHOW BINARY LOG STATUS" };
    let id = has("server_id").parse().unwrap_or_default();
    Ok(Server { is_mariadb, id, ask_end, cipher })
}

/// The rights that change capture needs, as SQL gives them.
pub(super) fn grant(server: &Server) -> &'static str {
    if server.is_mariadb {
        "GRANT BINLOG MONITOR, REPLICATION SLAVE ON *.* TO …"
    } else {
        "GRANT REPLICATION CLIENT, REPLICATION SLAVE ON *.* TO …"
    }
}

/// The time of the database's clock, and then where its log ends.
pub(super) fn end(server: &Server, side: &mut Session, intake: &mut dyn Intake) -> Result<End, Halt> {
    let now = side.row("SELECT CAST(UNIX_TIMESTAMP(NOW(6)) * 1000000 AS SIGNED)", intake)?;
    let at = Time(number(&now, 0)?.unwrap_or_default().saturating_mul(1_000));
    let rows = match side.attempt(server.ask_end, intake)? {
        Ok(rows) => rows,
        Err((NO_PRIVILEGE, _)) => {
            return Err(failed(format!("the user may not see where the binary log ends: `{}`", grant(server))));
        }
        Err((_, failure)) => return Err(failure.into()),
    };
    let row = rows.first().ok_or_else(|| failed("the server does not say where its binary log ends"))?;
    let (file, offset) = (text(row, 0)?.unwrap_or_default(), number(row, 1)?.unwrap_or_default());
    Ok(End { at, position: Position { file, offset: offset.unsigned_abs() } })
}

/// Refuses databases whose changes are not logged.
fn logged(server: &Server, watched: &[Watched], side: &mut Session, intake: &mut dyn Intake) -> Result<(), Halt> {
    let rows = side.rows(server.ask_end, intake)?;
    let Some(row) = rows.first() else { return Ok(()) };
    let list = |at: usize| -> Result<Vec<String>, Failure> {
        let all = text(row, at)?.unwrap_or_default();
        Ok(all.split(',').filter(|name| !name.is_empty()).map(str::to_owned).collect())
    };
    let (only, ignored) = (list(2)?, list(3)?);
    let missing = |one: &&Watched| !only.is_empty() && !only.contains(&one.database) || ignored.contains(&one.database);
    match watched.iter().find(missing) {
        Some(one) => Err(failed(format!(
            "the server does not log the database `{}` (binlog_do_db, binlog_ignore_db): change that, or use `capture: \
             poll`",
            one.database
        ))),
        None => Ok(()),
    }
}

/// The tables that are followed, as they are now.
pub(super) fn tables(
    options: &Options,
    server: &Server,
    side: &mut Session,
    intake: &mut dyn Intake,
) -> Result<Vec<Watched>, Halt> {
    let here = text(&side.row("SELECT DATABASE()", intake)?, 0)?;
    let mut watched = Vec::new();
    for table in &options.tables {
        let (relation, table) = relation(table, side, intake)?;
        let name_parts = parts(&table.name);
        let (database, relation_name) = match &name_parts[..] {
            [database, name] => (database.clone(), name.clone()),
            _ => (here.clone().unwrap_or_default(), table.name.replace('"', "")),
        };
        let shape = Shape::new(&relation).map_err(|why| {
            failed(format!(
                "`{}` cannot be read from the binary log: {why}; convert it (`ALTER TABLE {} CONVERT TO CHARACTER SET \
                 utf8mb4`), or use `capture: poll`",
                table.name, relation.sql
            ))
        })?;
        let (part, name) = (intake.part(&table.name), table.name.clone());
        let shape = Some(Rc::new(shape));
        watched.push(Watched { database, relation_name, name, part, table, shape, unsure_until: None });
    }
    logged(server, &watched, side, intake)?;
    Ok(watched)
}

/// A table as the catalogue has it.
fn relation(table: &Table, side: &mut Session, intake: &mut dyn Intake) -> Result<(Relation, tables::Table), Halt> {
    let table = tables::Table {
        name: table.name.clone(),
        key: table.key.clone(),
        updated: None,
        time: None,
        zone: chrono_tz::Tz::UTC,
        sweep: Sweep::Gentle,
        start: Start::Latest,
    };
    Ok((catalog::look_up(side, &table, intake)?, table))
}

impl Watched {
    /// Looks its form up anew. A table that is not there, or cannot be read any more, has none.
    pub fn look_up(&mut self, side: &mut Session, intake: &mut dyn Intake) -> Result<(), Halt> {
        self.shape = match catalog::look_up(side, &self.table, intake) {
            Ok(relation) => Shape::new(&relation).ok().map(Rc::new),
            Err(Halt::Failed(_)) => None,
            Err(stopped) => return Err(stopped),
        };
        Ok(())
    }

    /// Its name and a hash of its form, where it is known that the log is of this form behind a place.
    pub fn known(&self, behind: &Position) -> Option<(String, u64)> {
        let is_sure = self.unsure_until.as_ref().is_none_or(|until| behind >= until);
        self.shape.as_ref().filter(|_| is_sure).map(|shape| (self.name.clone(), shape.hash()))
    }

    /// Whether it is of this name, as the log writes it.
    pub fn is(&self, database: &str, name: &str) -> bool {
        self.database == database && self.relation_name == name
    }

    /// As SQL writes it for people.
    pub fn described(&self) -> String {
        literal(&self.name).replace('\'', "`")
    }
}

#[cfg(test)]
impl Server {
    /// One for tests.
    pub fn example(cipher: &str) -> Server {
        Server { is_mariadb: true, id: 1, ask_end: "SHOW MASTER STATUS", cipher: cipher.into() }
    }
}
