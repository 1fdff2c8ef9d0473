//! The store as others read it, also while the daemon writes.

use super::{BUSY_MAX, Base, FILE, StoreError, failed};
use crate::model::time::Time;
use crate::model::verdict::{Class, Severity, Status};
use chrono::{DateTime, SecondsFormat};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use sqlx::sqlite::{SqliteConnectOptions, SqliteRow};
use sqlx::{QueryBuilder, Row as _, Sqlite};
use std::path::Path;

/// Which findings are wanted; what is not said does not matter.
#[derive(Clone, Debug, Default)]
pub struct Filter {
    /// Of this flow.
    pub flow: Option<String>,
    /// Of this check.
    pub check: Option<String>,
    /// Of this class.
    pub class: Option<Class>,
    /// At least as bad.
    pub severity: Option<Severity>,
    /// In this state.
    pub status: Option<Status>,
    /// Of the transaction with this value of the flow's key.
    pub key: Option<String>,
    /// Judged at this moment or later, by the sources' progress.
    pub since: Option<Time>,
    /// The newest so many.
    pub limit: Option<u32>,
}

/// A finding as of its newest word.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Kept {
    /// Its id.
    pub id: String,
    /// The flow.
    pub flow: String,
    /// The check.
    pub check: String,
    /// The transaction.
    pub key: String,
    /// The value of the check's `by`.
    pub by: Option<String>,
    /// What kind of inconsistency.
    pub class: String,
    /// How bad.
    pub severity: String,
    /// Open, healed, resolved.
    pub status: String,
    /// From when on it is judged.
    pub time: Option<String>,
    /// One sentence.
    pub summary: String,
    /// All of it, as JSON.
    pub document: String,
    /// All of it, for people.
    pub explanation: String,
}

/// One word about a finding.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Word {
    /// What it was from then on.
    pub status: String,
    /// What kind of inconsistency.
    pub class: String,
    /// How bad.
    pub severity: String,
    /// How far the sources had come.
    pub judged_at: Option<String>,
    /// One sentence.
    pub summary: String,
}

/// How many findings there are of one kind.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Counted {
    /// The flow.
    pub flow: String,
    /// The check.
    pub check: String,
    /// What kind of inconsistency.
    pub class: String,
    /// How bad.
    pub severity: String,
    /// Open, healed, resolved.
    pub status: String,
    /// So many.
    pub count: u64,
}

/// The store for reading alone.
pub struct Archive(Base);

impl Archive {
    /// Opens the store in the folder of a daemon, running or not.
    pub fn open(folder: &Path) -> Result<Archive, StoreError> {
        let path = folder.join(FILE);
        if !path.exists() {
            return Err(StoreError::Missing(folder.to_owned()));
        }
        let options = SqliteConnectOptions::new().filename(&path).read_only(true).busy_timeout(BUSY_MAX);
        let opened = Base::open(&path, &options).and_then(|mut base| base.check_version().map(|()| base));
        // In a folder where nothing may be written SQLite cannot share the file with a writer, and if none has left
        // anything unfinished there is none to share it with.
        let alone = || !folder.join(format!("{FILE}-wal")).exists();
        match opened {
            Err(StoreError::Database { .. }) if alone() => {
                let mut base = Base::open(&path, &options.immutable(true))?;
                base.check_version()?;
                Ok(Archive(base))
            }
            opened => opened.map(Archive),
        }
    }

    /// The findings that are wanted, those with the newest words first.
    pub fn list(&mut self, filter: &Filter) -> Result<Vec<Kept>, StoreError> {
        self.read(filter.query(), kept)
    }

    /// The findings whose ids begin with this, and no more of them than two.
    pub fn show(&mut self, id: &str) -> Result<Vec<Kept>, StoreError> {
        let mut query = QueryBuilder::new(COLUMNS);
        query.push(" WHERE substr(id, 1, ").push_bind(id.chars().count() as i64).push(") = ").push_bind(id.to_owned());
        query.push(" ORDER BY id LIMIT 2");
        self.read(query, kept)
    }

    /// All words about a finding, the oldest first.
    pub fn words(&mut self, id: &str) -> Result<Vec<Word>, StoreError> {
        let mut query = QueryBuilder::new("SELECT status, class, severity, judged_at, summary FROM words WHERE id = ");
        query.push_bind(id.to_owned()).push(" ORDER BY number");
        self.read(query, |row| {
            Ok(Word {
                status: row.try_get(0)?,
                class: row.try_get(1)?,
                severity: row.try_get(2)?,
                judged_at: row.try_get(3)?,
                summary: row.try_get(4)?,
            })
        })
    }

    /// How many findings there are of each kind.
    pub fn counts(&mut self) -> Result<Vec<Counted>, StoreError> {
        self.0.counts()
    }

    fn read<T>(
        &mut self,
        query: QueryBuilder<Sqlite>,
        read: impl Fn(&SqliteRow) -> Result<T, sqlx::Error>,
    ) -> Result<Vec<T>, StoreError> {
        self.0.read(query, read)
    }
}

impl Base {
    pub(super) fn read<T>(
        &mut self,
        mut query: QueryBuilder<Sqlite>,
        read: impl Fn(&SqliteRow) -> Result<T, sqlx::Error>,
    ) -> Result<Vec<T>, StoreError> {
        let (path, runtime, connection) = self.parts();
        let rows = runtime.block_on(query.build().fetch_all(connection));
        rows.and_then(|rows| rows.iter().map(read).collect()).map_err(failed(path, "read"))
    }

    /// How many findings there are of each kind.
    pub(super) fn counts(&mut self) -> Result<Vec<Counted>, StoreError> {
        let columns = "flow, check_name, class, severity, status";
        let query = format!("SELECT {columns}, count(*) FROM findings GROUP BY {columns} ORDER BY {columns}");
        self.read(QueryBuilder::new(query), |row| {
            Ok(Counted {
                flow: row.try_get(0)?,
                check: row.try_get(1)?,
                class: row.try_get(2)?,
                severity: row.try_get(3)?,
                status: row.try_get(4)?,
                count: row.try_get::<i64, _>(5)?.unsigned_abs(),
            })
        })
    }
}

/// The severities that are at least as bad, as a list.
pub(super) fn at_least(least: Severity, query: &mut QueryBuilder<Sqlite>) {
    let mut list = query.separated(", ");
    let bad_enough = Severity::ALL.iter().filter(|severity| **severity >= least);
    bad_enough.for_each(|severity| _ = list.push_bind(severity.name()));
}

const COLUMNS: &str = "SELECT id, flow, check_name, key, by_value, class, severity, status, time, summary, document, \
                       explanation FROM findings";

fn kept(row: &SqliteRow) -> Result<Kept, sqlx::Error> {
    Ok(Kept {
        id: row.try_get(0)?,
        flow: row.try_get(1)?,
        check: row.try_get(2)?,
        key: row.try_get(3)?,
        by: row.try_get(4)?,
        class: row.try_get(5)?,
        severity: row.try_get(6)?,
        status: row.try_get(7)?,
        time: row.try_get(8)?,
        summary: row.try_get(9)?,
        document: row.try_get(10)?,
        explanation: row.try_get(11)?,
    })
}

impl Filter {
    fn query(&self) -> QueryBuilder<Sqlite> {
        let mut query = QueryBuilder::new(COLUMNS);
        query.push(" WHERE true");
        let equal = [
            ("flow", self.flow.as_deref()),
            ("check_name", self.check.as_deref()),
            ("class", self.class.map(Class::name)),
            ("status", self.status.map(Status::name)),
            ("key", self.key.as_deref()),
        ];
        for (column, value) in equal {
            if let Some(value) = value {
                query.push(" AND ").push(column).push(" = ").push_bind(value.to_owned());
            }
        }
        if let Some(least) = self.severity {
            query.push(" AND severity IN (");
            at_least(least, &mut query);
            query.push(")");
        }
        if let Some(since) = self.since {
            let since = DateTime::from_timestamp_nanos(since.0).to_rfc3339_opts(SecondsFormat::Nanos, true);
            query.push(" AND coalesce(judged_at, time) >= ").push_bind(since);
        }
        query.push(" ORDER BY last_word DESC");
        if let Some(limit) = self.limit {
            query.push(" LIMIT ").push_bind(i64::from(limit));
        }
        query
    }
}
