//! What the database knows of the tables: are they there, how are their rows told apart, what are the columns.

use super::session::{Session, column};
use super::sql::literal;
use super::types::{Kind, QUESTION, Types};
use crate::model::time::Span;
use crate::sources::live::{Failure, Intake};
use crate::sources::tables::{DAY, DIGITS_MAX, Table, parts, quoted, unit};
use crate::sources::waiting::Halt;

/// A table as the database has it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Relation {
    /// What tells it from another of this name.
    pub number: u64,
    /// Its name with its schema, as SQL.
    pub sql: String,
    /// Its columns, and how their values are written.
    pub columns: Vec<(String, Kind)>,
    /// The columns that tell its rows apart.
    pub key: Vec<String>,
    /// The column that rises with each change.
    pub updated: Option<Stamp>,
    /// The column that says when it happened.
    pub time: Option<Stamp>,
    /// Its rows say which transaction wrote them; those of views do not.
    pub has_transactions: bool,
    /// An index lets `updated` find rows without reading all of them.
    pub has_index: bool,
}

impl Relation {
    /// What its times are rounded to.
    pub fn units(&self) -> impl Iterator<Item = Span> {
        self.updated.iter().chain(&self.time).map(|stamp| stamp.unit)
    }
}

/// A column with a time.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Stamp {
    pub column: String,
    /// It names a moment; others show a clock of the table's zone.
    pub zoned: bool,
    /// What its times are rounded to.
    pub unit: Span,
    pub nullable: bool,
}

/// A column of a table.
struct Column {
    name: String,
    data_type: String,
    /// How its values are written.
    kind: Kind,
    nullable: bool,
    /// What belongs to its type: of times, how many digits of a second it keeps; below 0 where it says nothing.
    modifier: i32,
}

/// The types of the database.
pub(super) fn types(session: &mut Session, intake: &mut dyn Intake) -> Result<Types, Halt> {
    let rows = session.rows(QUESTION, intake)?;
    let one = |row| {
        Ok::<_, Failure>((
            column(row, 0)?,
            column(row, 1)?,
            column(row, 2)?,
            column(row, 3)?,
            column(row, 4)?,
            column(row, 5)?,
        ))
    };
    Ok(Types::of(rows.iter().map(one).collect::<Result<Vec<_>, _>>()?))
}

/// Looks a table up.
pub(super) fn look_up(
    session: &mut Session,
    table: &Table,
    types: &Types,
    intake: &mut dyn Intake,
) -> Result<Relation, Halt> {
    let found = session.rows(
        &format!(
            "SELECT c.oid::int8, n.nspname::text, c.relname::text, c.relkind::text, \
             has_table_privilege(c.oid, 'SELECT'), current_user::text FROM pg_class c \
             JOIN pg_namespace n ON n.oid = c.relnamespace WHERE c.oid = to_regclass({})",
            literal(&table.sql())
        ),
        intake,
    )?;
    let Some(row) = found.first() else { return Err(missing(session, table, intake)?.into()) };
    let (schema, name, kind): (String, String, String) = (column(row, 1)?, column(row, 2)?, column(row, 3)?);
    let sql = format!("{}.{}", quoted(&schema), quoted(&name));
    if !column::<bool>(row, 4)? {
        let user: String = column(row, 5)?;
        let grant = format!("GRANT SELECT ON {sql} TO {}", quoted(&user));
        return Err(Failure(format!("the user {user} may not read the table {}: `{grant}`", table.name)).into());
    }
    let number = u64::try_from(column::<i64>(row, 0)?).unwrap_or(0);
    let columns = columns(session, number, types, intake)?;
    let key = key(session, table, number, &columns, intake)?;
    let updated = table.updated.as_deref().map(|name| stamp(table, &columns, name)).transpose()?;
    let time = table.time.as_deref().map(|name| stamp(table, &columns, name)).transpose()?;
    let has_index = match &updated {
        Some(updated) => has_index(session, number, &updated.column, intake)?,
        None => false,
    };
    Ok(Relation {
        number,
        sql,
        columns: columns.into_iter().map(|column| (column.name, column.kind)).collect(),
        key,
        updated,
        time,
        has_transactions: matches!(&kind[..], "r" | "p"),
        has_index,
    })
}

/// What to say of a table that is not there.
fn missing(session: &mut Session, table: &Table, intake: &mut dyn Intake) -> Result<Failure, Halt> {
    let name = parts(&table.name).pop().unwrap_or_default();
    let near = session.rows(
        &format!(
            "SELECT n.nspname || '.' || c.relname FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace \
             WHERE lower(c.relname) = lower({}) AND c.relkind IN ('r', 'p', 'v', 'm', 'f') ORDER BY 1 LIMIT 5",
            literal(&name)
        ),
        intake,
    )?;
    let near: Vec<String> = near.iter().map(|row| column(row, 0)).collect::<Result<_, _>>()?;
    let help = if near.is_empty() {
        "names are taken letter by letter, a schema stands before a dot".to_owned()
    } else {
        format!("there is {}: names are taken letter by letter", near.join(", "))
    };
    Ok(Failure(format!("PostgreSQL at {} has no table {}; {help}", session.address(), table.name)))
}

/// The columns.
fn columns(session: &mut Session, number: u64, types: &Types, intake: &mut dyn Intake) -> Result<Vec<Column>, Halt> {
    let sql = format!(
        "SELECT attname::text, format_type(atttypid, NULL), NOT attnotnull, atttypid::int8, atttypmod FROM pg_attribute \
         WHERE attrelid = {number}::oid AND attnum > 0 AND NOT attisdropped ORDER BY attnum"
    );
    let rows = session.rows(&sql, intake)?;
    let one = |row| {
        Ok(Column {
            name: column(row, 0)?,
            data_type: column(row, 1)?,
            kind: types.kind(column::<i64>(row, 3)? as u32),
            nullable: column(row, 2)?,
            modifier: column(row, 4)?,
        })
    };
    rows.iter().map(one).collect()
}

/// The columns that tell rows apart: those that were named, or the primary key.
fn key(
    session: &mut Session,
    table: &Table,
    number: u64,
    columns: &[Column],
    intake: &mut dyn Intake,
) -> Result<Vec<String>, Halt> {
    if !table.key.is_empty() {
        table.key.iter().try_for_each(|name| find(table, columns, name).map(drop))?;
        return Ok(table.key.clone());
    }
    let sql = format!(
        "SELECT a.attname::text FROM pg_index i CROSS JOIN unnest(i.indkey) WITH ORDINALITY k(number, place) \
         JOIN pg_attribute a ON a.attrelid = i.indrelid AND a.attnum = k.number \
         WHERE i.indrelid = {number}::oid AND i.indisprimary ORDER BY k.place"
    );
    let rows = session.rows(&sql, intake)?;
    let key: Vec<String> = rows.iter().map(|row| column(row, 0)).collect::<Result<_, _>>()?;
    if key.is_empty() {
        let name = &table.name;
        return Err(Failure(format!(
            "the table {name} has no primary key: name the columns that tell its rows apart, `columns: {{key: …}}`"
        ))
        .into());
    }
    Ok(key)
}

fn stamp(table: &Table, columns: &[Column], name: &str) -> Result<Stamp, Failure> {
    let Column { name: column, data_type, nullable, modifier, .. } = find(table, columns, name)?;
    let second = unit(u32::try_from(*modifier).unwrap_or(DIGITS_MAX));
    let (zoned, rounded) = match data_type.as_str() {
        "timestamp with time zone" => (true, second),
        "timestamp without time zone" => (false, second),
        "date" => (false, DAY),
        other => {
            return Err(Failure(format!(
                "the column {name} of {} is of the type {other}, and no time; leave it out of `columns`, and the whole \
                 table is looked through",
                table.name
            )));
        }
    };
    Ok(Stamp { column: column.clone(), zoned, unit: rounded, nullable: *nullable })
}

fn find<'c>(table: &Table, columns: &'c [Column], name: &str) -> Result<&'c Column, Failure> {
    columns.iter().find(|known| known.name == name).ok_or_else(|| {
        let near = columns.iter().find(|known| known.name.eq_ignore_ascii_case(name));
        let help = match near {
            Some(Column { name: near, .. }) => format!("there is {near}: names are taken letter by letter"),
            None => {
                let names: Vec<&str> = columns.iter().map(|known| known.name.as_str()).collect();
                format!("there are {}", names.join(", "))
            }
        };
        Failure(format!("the table {} has no column {name}; {help}", table.name))
    })
}

/// Whether an index begins with the column, over all rows.
fn has_index(session: &mut Session, number: u64, name: &str, intake: &mut dyn Intake) -> Result<bool, Halt> {
    let sql = format!(
        "SELECT EXISTS (SELECT FROM pg_index i JOIN pg_attribute a ON a.attrelid = i.indrelid AND a.attnum = i.indkey[0] \
         WHERE i.indrelid = {number}::oid AND i.indisvalid AND i.indpred IS NULL AND a.attname = {})",
        literal(name)
    );
    Ok(column(&session.row(&sql, intake)?, 0)?)
}
