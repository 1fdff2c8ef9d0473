//! What must be right before anything is followed, and what to do where it is not.

use super::connection::within;
use super::{ANSWERS_WITHIN, Halt, Lsn, Options, failed, quoted};
use crate::sources::live::Intake;
use crate::sources::postgres::types::{QUESTION, Types};
use sqlx::postgres::{PgConnection, PgRow};
use sqlx::{FromRow, Row};

/// The oldest server whose catalogue and slots are as they are read here: 13.
const VERSION_MIN: i32 = 130_000;

/// A table that is followed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Watched {
    /// Its number in the database.
    pub id: u32,
    pub schema: String,
    pub relation: String,
    /// Its name, with the schema where that is not `public`.
    pub name: String,
    /// The columns of its key, in their order.
    pub key: Vec<String>,
}

impl Watched {
    /// As SQL names it.
    pub fn sql(&self) -> String {
        format!("{}.{}", quoted(&self.schema), quoted(&self.relation))
    }

    /// A column of its key is gone.
    pub fn lacks(&self, column: &str) -> Halt {
        failed(format!(
            "`{}` has no column `{column}`, which is in its key; was it renamed? name the columns of the key anew, or              leave them out for the primary key",
            self.name
        ))
    }
}

/// How the server keeps its log.
#[derive(Clone, Copy, Debug)]
pub(super) struct Log {
    pub block: u64,
    pub segment: u64,
}

impl Log {
    /// Where the last record ends, of which the next one is to begin at `next`: that skips the head of a page that has
    /// not been begun.
    pub fn written(&self, next: Lsn) -> Lsn {
        const PAGE_HEAD: u64 = 24;
        const SEGMENT_HEAD: u64 = 40;
        let head = if next.0 % self.segment == SEGMENT_HEAD { SEGMENT_HEAD } else { PAGE_HEAD };
        if next.0 % self.block == head { Lsn(next.0 - head) } else { next }
    }
}

/// A table as the catalogue has it.
struct Found {
    id: i64,
    schema: String,
    relation: String,
    kind: String,
    identity: String,
    readable: bool,
    published: bool,
    primary_key: Option<Vec<String>>,
    identity_index: Option<Vec<String>>,
}

impl FromRow<'_, PgRow> for Found {
    fn from_row(row: &PgRow) -> sqlx::Result<Found> {
        Ok(Found {
            id: row.try_get("id")?,
            schema: row.try_get("schema")?,
            relation: row.try_get("relation")?,
            kind: row.try_get("kind")?,
            identity: row.try_get("identity")?,
            readable: row.try_get("readable")?,
            published: row.try_get("published")?,
            primary_key: row.try_get("primary_key")?,
            identity_index: row.try_get("identity_index")?,
        })
    }
}

const FIND: &str = "\
    select c.oid::int8 as id, n.nspname::text as schema, c.relname::text as relation, c.relkind::text as kind,
           c.relreplident::text as identity,
           has_schema_privilege(n.oid, 'usage') and has_table_privilege(c.oid, 'select') as readable,
           exists (select from pg_publication_tables p
                   where p.pubname = $1 and p.schemaname = n.nspname and p.tablename = c.relname) as published,
           (select array_agg(a.attname::text order by k.place)
            from pg_index i, unnest(i.indkey::int2[]) with ordinality k(number, place), pg_attribute a
            where i.indrelid = c.oid and i.indisprimary and k.place <= i.indnkeyatts
              and a.attrelid = c.oid and a.attnum = k.number) as primary_key,
           (select array_agg(a.attname::text order by k.place)
            from pg_index i, unnest(i.indkey::int2[]) with ordinality k(number, place), pg_attribute a
            where i.indrelid = c.oid and i.indisreplident and k.place <= i.indnkeyatts
              and a.attrelid = c.oid and a.attnum = k.number) as identity_index
    from pg_class c join pg_namespace n on n.oid = c.relnamespace
    where c.relkind in ('r', 'p')
      and (n.nspname || '.' || c.relname = any($2) or n.nspname = 'public' and c.relname = any($2))";

/// Refuses a server that cannot give changes.
pub(super) async fn server(side: &mut PgConnection, intake: &mut dyn Intake) -> Result<Log, Halt> {
    let question = sqlx::query_as::<_, (i32, String, bool, i64, i64)>(
        "select current_setting('server_version_num')::int, current_setting('wal_level'), pg_is_in_recovery(),
                current_setting('wal_block_size')::int8, pg_size_bytes(current_setting('wal_segment_size'))",
    );
    let answer =
        within(intake, ANSWERS_WITHIN, "the server's settings cannot be read", question.fetch_one(side)).await?;
    let (version, wal_level, replica, block, segment) = answer;
    if version < VERSION_MIN {
        let (version, least) = (version / 10_000, VERSION_MIN / 10_000);
        return Err(failed(format!(
            "the server is PostgreSQL {version}, and change capture needs {least} or later; use `capture: poll`"
        )));
    }
    if replica {
        return Err(failed(
            "the server is a replica, and change capture follows the primary; name that in `url`, or use `capture: poll`",
        ));
    }
    if wal_level != "logical" {
        return Err(failed(format!(
            "the server's wal_level is `{wal_level}`, and change capture needs `logical`: run `ALTER SYSTEM SET wal_level \
             = logical` and restart the server, or use `capture: poll`"
        )));
    }
    Ok(Log { block: block.unsigned_abs(), segment: segment.unsigned_abs() })
}

/// The tables that are followed; refuses those whose changes would not all come, or would not say of which row.
pub(super) async fn tables(
    options: &Options,
    side: &mut PgConnection,
    intake: &mut dyn Intake,
) -> Result<Vec<Watched>, Halt> {
    let names: Vec<&str> = options.tables.iter().map(|table| table.name.as_str()).collect();
    let question = sqlx::query_as::<_, Found>(FIND).bind(&options.publication).bind(&names[..]);
    let what = "the tables cannot be looked up";
    let found = within(intake, ANSWERS_WITHIN, what, question.fetch_all(&mut *side)).await?;
    let question = sqlx::query_as::<_, (bool, bool)>(
        "select pubinsert and pubupdate and pubdelete and pubtruncate, pubviaroot from pg_publication where pubname = $1",
    );
    let question = question.bind(&options.publication).fetch_optional(side);
    let publication = within(intake, ANSWERS_WITHIN, "the publication cannot be looked up", question).await?;
    let mut watched = Vec::new();
    let mut missing = Vec::new();
    for table in &options.tables {
        let schema = |found: &&Found| format!("{}.{}", found.schema, found.relation) == table.name;
        let public = |found: &&Found| found.schema == "public" && found.relation == table.name;
        let Some(found) = found.iter().find(public).or_else(|| found.iter().find(schema)) else {
            return Err(failed(format!(
                "there is no table `{}` in this database; a table outside `public` is named with its schema, and names \
                 are written as the catalogue has them",
                table.name
            )));
        };
        let one = one(found, &table.key, options, publication.is_some_and(|(_, via_root)| via_root))?;
        if !(found.published || found.kind == "p" && publication.is_some()) {
            missing.push(one.sql());
        }
        watched.push(one);
    }
    published(publication, &options.publication, &missing, &watched)?;
    Ok(watched)
}

/// One table, by what identifies its rows.
fn one(found: &Found, key: &[String], options: &Options, via_root: bool) -> Result<Watched, Halt> {
    let name =
        if found.schema == "public" { found.relation.clone() } else { format!("{}.{}", found.schema, found.relation) };
    let mut one = Watched {
        id: found.id as u32,
        schema: found.schema.clone(),
        relation: found.relation.clone(),
        name: name.clone(),
        key: key.to_vec(),
    };
    let (sql, publication) = (one.sql(), quoted(&options.publication));
    if found.kind == "p" && !via_root {
        return Err(failed(format!(
            "`{name}` is partitioned, and the publication names the partitions instead: run `ALTER PUBLICATION \
             {publication} SET (publish_via_partition_root = true)`"
        )));
    }
    if !found.readable {
        return Err(failed(format!(
            "the user may not read `{name}`: run `GRANT USAGE ON SCHEMA {} TO …; GRANT SELECT ON {sql} TO …`",
            quoted(&found.schema)
        )));
    }
    // An old row is told by these; by all columns under FULL.
    let identity = match found.identity.as_str() {
        "d" => found.primary_key.as_ref(),
        "i" => found.identity_index.as_ref(),
        "f" => None,
        _ => return Err(no_identity(&name, &sql)),
    };
    if found.identity != "f" && identity.is_none() {
        return Err(no_identity(&name, &sql));
    }
    if one.key.is_empty() {
        let default = identity.or(found.primary_key.as_ref());
        one.key = default.cloned().ok_or_else(|| {
            failed(format!(
                "`{name}` has no primary key: name the columns that tell its rows apart, `columns: {{key: id}}`"
            ))
        })?;
    }
    if let Some(column) = identity.and_then(|identity| one.key.iter().find(|column| !identity.contains(column))) {
        return Err(failed(format!(
            "a deleted row of `{name}` would not say its `{column}`, which is in its key: run `ALTER TABLE {sql} REPLICA \
             IDENTITY FULL`, or name the columns of its primary key as the key"
        )));
    }
    Ok(one)
}

fn no_identity(name: &str, sql: &str) -> Halt {
    failed(format!(
        "`{name}` has no replica identity, so its updates and deletes do not say which row they are of (and are refused \
         while it is published): give it a primary key, or run `ALTER TABLE {sql} REPLICA IDENTITY FULL`"
    ))
}

/// The publication must be there, have the tables, and tell all that happens to them.
fn published(
    publication: Option<(bool, bool)>,
    name: &str,
    missing: &[String],
    watched: &[Watched],
) -> Result<(), Halt> {
    let sql = quoted(name);
    let Some((tells_all, _)) = publication else {
        let tables: Vec<String> = watched.iter().map(Watched::sql).collect();
        return Err(failed(format!(
            "there is no publication `{name}`: let an administrator run `CREATE PUBLICATION {sql} FOR TABLE {}`",
            tables.join(", ")
        )));
    };
    if !missing.is_empty() {
        return Err(failed(format!(
            "the publication `{name}` lacks tables: let an administrator run `ALTER PUBLICATION {sql} ADD TABLE {}`",
            missing.join(", ")
        )));
    }
    if !tells_all {
        return Err(failed(format!(
            "the publication `{name}` leaves out a kind of change: let an administrator run `ALTER PUBLICATION {sql} SET \
             (publish = 'insert, update, delete, truncate')`"
        )));
    }
    Ok(())
}

/// The types of the database.
pub(super) async fn types(side: &mut PgConnection, intake: &mut dyn Intake) -> Result<Types, Halt> {
    let question = sqlx::query_as::<_, (i64, String, i64, i64, String, String)>(QUESTION);
    let rows = within(intake, ANSWERS_WITHIN, "the types cannot be looked up", question.fetch_all(side)).await?;
    Ok(Types::of(rows))
}
