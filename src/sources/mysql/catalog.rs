//! What the database knows of the tables: are they there, how are their rows told apart, what are the columns.

use super::session::{Session, number, text};
use super::sql::{literal, table_name};
use super::types::Kind;
use crate::model::time::Span;
use crate::sources::live::{Failure, Intake};
use crate::sources::tables::{DAY, Table, parts, unit};
use crate::sources::waiting::Halt;
use sqlx::mysql::MySqlRow;

/// A table as the database has it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Relation {
    /// Its name with its database, as SQL.
    pub sql: String,
    pub columns: Vec<Column>,
    /// The places of the columns that tell its rows apart.
    pub key: Vec<usize>,
    /// The places of the columns in whose order its rows are read: each value once, none null.
    pub order: Option<Vec<usize>>,
    /// The place of the column that rises with each change.
    pub updated: Option<usize>,
    /// The place of the column that says when it happened.
    pub time: Option<usize>,
    /// An index lets `updated` find rows without reading all of them.
    pub has_index: bool,
    /// Its rows are written by transactions that the server shows, or seen as soon as they are written.
    pub is_shown: bool,
}

impl Relation {
    /// What its times are cut off to.
    pub fn units(&self) -> impl Iterator<Item = Span> {
        [self.updated, self.time].into_iter().flatten().map(|at| self.columns[at].unit())
    }
}

/// A column of a table.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Column {
    pub name: String,
    /// As the catalogue has it: `varchar`.
    pub data_type: String,
    /// The same with all that belongs to it: `int(10) unsigned`, `enum('a','b')`.
    pub full_type: String,
    /// Of text: how its letters are stored.
    pub charset: Option<String>,
    pub kind: Kind,
    pub nullable: bool,
    /// Of times: how many digits of a second it keeps.
    pub digits: u32,
    /// Of text: how it is compared.
    pub collation: Option<String>,
}

impl Column {
    /// Values that differ in their letters may be one to the database.
    pub fn folds(&self) -> bool {
        self.collation.as_deref().is_some_and(|name| !name.ends_with("_bin") && !name.ends_with("_cs"))
    }

    /// What its times are cut off to.
    pub fn unit(&self) -> Span {
        if self.data_type == "date" { DAY } else { unit(self.digits) }
    }

    /// Rows can be read in its order, a page after the other: it is compared as its text is.
    fn pages(&self) -> bool {
        !matches!(
            self.data_type.as_str(),
            "float" | "double" | "enum" | "set" | "bit" | "json" | "uuid" | "inet4" | "inet6"
        )
    }
}

/// A column of an index.
struct Indexed {
    index: String,
    unique: bool,
    column: String,
    /// All of it, in ascending order.
    whole: bool,
}

/// The database that tables without one are in, and a table's name.
fn place(session: &mut Session, table: &Table, intake: &mut dyn Intake) -> Result<(String, String), Halt> {
    match &parts(&table.name)[..] {
        [name] => match text(&session.row("SELECT DATABASE()", intake)?, 0)? {
            Some(database) => Ok((database, name.clone())),
            None => Err(Failure(format!(
                "the url names no database, nor does the table {}: write `mysql://…/shop`, or `shop.{name}`",
                table.name
            ))
            .into()),
        },
        [database, name] => Ok((database.clone(), name.clone())),
        _ => Err(Failure(format!("the table {} has too many dots: write `database.table`", table.name)).into()),
    }
}

/// Looks a table up.
pub(super) fn look_up(session: &mut Session, table: &Table, intake: &mut dyn Intake) -> Result<Relation, Halt> {
    let (database, name) = place(session, table, intake)?;
    let sql = table_name(&database, &name);
    let of_table = format!("TABLE_SCHEMA = {} AND TABLE_NAME = {}", literal(&database), literal(&name));
    let found = session.rows(
        &format!("SELECT TABLE_NAME, ENGINE, TABLE_TYPE FROM information_schema.TABLES WHERE {of_table}"),
        intake,
    )?;
    let same = |row: &&MySqlRow| text(row, 0).is_ok_and(|found| found.as_ref() == Some(&name));
    let Some(row) = found.iter().find(same) else {
        return Err(missing(session, table, &database, &name, intake)?.into());
    };
    let engine = text(row, 1)?.unwrap_or_default();
    let columns = columns(session, &of_table, &database, &name, intake)?;
    let indexes = indexes(session, &of_table, intake)?;
    let key = key(table, &columns, &indexes)?;
    let updated = table.updated.as_deref().map(|name| stamp(table, &columns, name)).transpose()?;
    let time = table.time.as_deref().map(|name| stamp(table, &columns, name)).transpose()?;
    let first = |column: &str| {
        let mut last = None;
        indexes.iter().any(|indexed| {
            let begins = last.replace(&indexed.index) != Some(&indexed.index);
            begins && indexed.whole && indexed.column == column
        })
    };
    let has_index = updated.is_some_and(|at| first(&columns[at].name));
    let order = order(&columns, &indexes);
    let is_shown = ["InnoDB", "MyISAM", "Aria", "MEMORY"].iter().any(|known| known.eq_ignore_ascii_case(&engine));
    Ok(Relation { sql, columns, key, order, updated, time, has_index, is_shown })
}

/// What to say of a table that is not there, or hidden: the catalogue has only what the user may see.
fn missing(
    session: &mut Session,
    table: &Table,
    database: &str,
    name: &str,
    intake: &mut dyn Intake,
) -> Result<Failure, Halt> {
    let near = session.rows(
        &format!(
            "SELECT CONCAT(TABLE_SCHEMA, '.', TABLE_NAME) FROM information_schema.TABLES \
             WHERE LOWER(TABLE_NAME) = LOWER({}) ORDER BY 1 LIMIT 5",
            literal(name)
        ),
        intake,
    )?;
    let near: Vec<String> = near.iter().filter_map(|row| text(row, 0).ok().flatten()).collect();
    let at = session.address().to_owned();
    if near.is_empty() {
        let sql = table_name(database, name);
        if let Err((1142, failure)) = session.attempt(&format!("SELECT 1 FROM {sql} LIMIT 0"), intake)? {
            let user = text(&session.row("SELECT CURRENT_USER()", intake)?, 0)?.unwrap_or_default();
            let user = user.split('@').map(|part| format!("'{part}'")).collect::<Vec<_>>().join("@");
            let Failure(why) = failure;
            let why = why.split(". Give").next().unwrap_or_default();
            return Ok(Failure(format!("{why}: `GRANT SELECT ON {sql} TO {user}`, if there is such a table")));
        }
    }
    let help = if near.is_empty() {
        "names are taken letter by letter, a database stands before a dot".to_owned()
    } else {
        format!("there is {}: names are taken letter by letter", near.join(", "))
    };
    Ok(Failure(format!("the server at {at} has no table {}; {help}", table.name)))
}

fn columns(
    session: &mut Session,
    of_table: &str,
    database: &str,
    name: &str,
    intake: &mut dyn Intake,
) -> Result<Vec<Column>, Halt> {
    // MariaDB's JSON is text with a check.
    let checked: Vec<String> = if session.is_mariadb() {
        let sql = format!(
            "SELECT CHECK_CLAUSE FROM information_schema.CHECK_CONSTRAINTS \
             WHERE CONSTRAINT_SCHEMA = {} AND TABLE_NAME = {}",
            literal(database),
            literal(name)
        );
        session.rows(&sql, intake)?.iter().filter_map(|row| text(row, 0).ok().flatten()).collect()
    } else {
        Vec::new()
    };
    let rows = session.rows(
        &format!(
            "SELECT COLUMN_NAME, DATA_TYPE, IS_NULLABLE, DATETIME_PRECISION, COLLATION_NAME, TABLE_NAME, \
             COLUMN_TYPE, CHARACTER_SET_NAME \
             FROM information_schema.COLUMNS WHERE {of_table} ORDER BY ORDINAL_POSITION"
        ),
        intake,
    )?;
    let mut columns = Vec::new();
    for row in &rows {
        if text(row, 5)?.as_deref() != Some(name) {
            continue;
        }
        let column = text(row, 0)?.unwrap_or_default();
        let data_type = text(row, 1)?.unwrap_or_default().to_lowercase();
        let check = format!("json_valid(`{column}`)");
        let kind = Kind::of(&data_type, checked.contains(&check));
        columns.push(Column {
            name: column,
            data_type,
            full_type: text(row, 6)?.unwrap_or_default(),
            charset: text(row, 7)?,
            kind,
            nullable: text(row, 2)?.as_deref() == Some("YES"),
            digits: u32::try_from(number(row, 3)?.unwrap_or_default()).unwrap_or_default(),
            collation: text(row, 4)?,
        });
    }
    Ok(columns)
}

fn indexes(session: &mut Session, of_table: &str, intake: &mut dyn Intake) -> Result<Vec<Indexed>, Halt> {
    let rows = session.rows(
        &format!(
            "SELECT INDEX_NAME, NON_UNIQUE, COLUMN_NAME, SUB_PART, COLLATION, INDEX_TYPE FROM \
             information_schema.STATISTICS WHERE {of_table} ORDER BY INDEX_NAME <> 'PRIMARY', INDEX_NAME, SEQ_IN_INDEX"
        ),
        intake,
    )?;
    let one = |row: &MySqlRow| {
        Ok(Indexed {
            index: text(row, 0)?.unwrap_or_default(),
            unique: number(row, 1)? == Some(0),
            // An index over an expression has no column.
            column: text(row, 2)?.unwrap_or_default(),
            whole: text(row, 3)?.is_none()
                && text(row, 4)?.as_deref() == Some("A")
                && text(row, 5)?.as_deref() == Some("BTREE"),
        })
    };
    rows.iter().map(one).collect()
}

fn key(table: &Table, columns: &[Column], indexes: &[Indexed]) -> Result<Vec<usize>, Failure> {
    let primary = indexes.iter().filter(|indexed| indexed.index == "PRIMARY").map(|indexed| &indexed.column);
    let names: Vec<&String> = if table.key.is_empty() { primary.collect() } else { table.key.iter().collect() };
    if names.is_empty() {
        let name = &table.name;
        return Err(Failure(format!(
            "the table {name} has no primary key: name the columns that tell its rows apart, `columns: {{key: …}}`"
        )));
    }
    names.into_iter().map(|name| find(table, columns, name)).collect()
}

/// The columns of the primary key, or of another unique index, if rows can be read in their order.
fn order(columns: &[Column], indexes: &[Indexed]) -> Option<Vec<usize>> {
    let of_one = indexes.chunk_by(|one, next| one.index == next.index);
    let places = |index: &[Indexed]| {
        let place = |indexed: &Indexed| {
            let usable = |column: &Column| column.name == indexed.column && !column.nullable && column.pages();
            let found = columns.iter().position(usable);
            found.filter(|_| indexed.unique && indexed.whole)
        };
        index.iter().map(place).collect::<Option<Vec<_>>>()
    };
    of_one.filter_map(places).next()
}

fn stamp(table: &Table, columns: &[Column], name: &str) -> Result<usize, Failure> {
    let at = find(table, columns, name)?;
    match columns[at].data_type.as_str() {
        "timestamp" | "datetime" | "date" => Ok(at),
        other => Err(Failure(format!(
            "the column {name} of {} is of the type {other}, and no time; leave it out of `columns`, and the whole table is \
             looked through",
            table.name
        ))),
    }
}

fn find(table: &Table, columns: &[Column], name: &str) -> Result<usize, Failure> {
    columns.iter().position(|column| column.name == name).ok_or_else(|| {
        let near = columns.iter().find(|column| column.name.eq_ignore_ascii_case(name));
        let help = match near {
            Some(near) => format!("there is {}: names are taken letter by letter", near.name),
            None => {
                let names: Vec<&str> = columns.iter().map(|column| column.name.as_str()).collect();
                format!("there are {}", names.join(", "))
            }
        };
        Failure(format!("the table {} has no column {name}; {help}", table.name))
    })
}
