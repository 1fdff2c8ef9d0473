//! What a transaction did to each row, as others saw it when it was committed.
//!
//! ```text
//! insert 7, update 7, update 9, delete 9, insert 8, delete 8   ─▶   insert 7, delete 9, insert 8, delete 8
//! ```
//!
//! The last change of a row wins, and what was done to it is told from how it was before: a row that came and was then
//! updated came. Only of a row that came and went again, which others never saw, are both told: an outbox is written
//! like that.
//!
//! The changes are kept in a log, in a temporary file where they are many; in memory there is, for each row, where in
//! the log its newest version stands.

use super::pgoutput::{Datum, Old, Tuple};
use super::relation::Relation;
use super::{HELD_IN_MEMORY_MAX_BYTES, Halt, KEYS_HELD_MAX_BYTES, failed};
use crate::model::time::Time;
use std::collections::HashMap;
use std::io::{self, BufReader, Read, Seek, SeekFrom, Write};
use std::rc::Rc;
use tempfile::SpooledTempFile;

/// What a row takes in memory besides its key.
const ROW_BYTES: usize = 96;

/// A change as it is handed over.
pub(super) struct Change<'a> {
    pub relation: &'a Relation,
    pub op: &'static str,
    /// `None` where the table as a whole is meant, or the key is null.
    pub key: Option<&'a str>,
    pub row: Tuple<'a>,
}

/// A transaction that is being received.
pub(super) struct Transaction {
    pub xid: u32,
    pub committed: Time,
    log: SpooledTempFile,
    length: u64,
    rows: HashMap<Box<[u8]>, Row>,
    rows_bytes: usize,
    /// The tables as they were described, in the order of their first changes.
    relations: Vec<Rc<Relation>>,
}

/// A row that has changed.
#[derive(Clone, Copy, Debug, Default)]
struct Row {
    /// It was there before.
    existed: bool,
    /// Where in the log its newest version stands.
    version: Option<u64>,
    /// Where it is deleted, if it is not there now.
    deleted: Option<u64>,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Kind {
    Version = 0,
    Delete = 1,
    Truncate = 2,
    /// Without a key, so that nothing can be said of what was before or comes after.
    Insert = 3,
    Update = 4,
    Gone = 5,
}

const KINDS: [Kind; 6] = [Kind::Version, Kind::Delete, Kind::Truncate, Kind::Insert, Kind::Update, Kind::Gone];

impl Transaction {
    pub fn new(xid: u32, committed: Time) -> Transaction {
        Transaction {
            xid,
            committed,
            log: SpooledTempFile::new(HELD_IN_MEMORY_MAX_BYTES),
            length: 0,
            rows: HashMap::new(),
            rows_bytes: 0,
            relations: Vec::new(),
        }
    }

    /// Its rows are too many to be kept apart any longer: what there is has to be handed over.
    pub fn is_full(&self) -> bool {
        self.rows_bytes >= KEYS_HELD_MAX_BYTES
    }

    pub fn insert(&mut self, relation: &Rc<Relation>, new: Tuple<'_>) -> Result<(), Halt> {
        self.version(relation, new.bytes(), relation.key(new), Kind::Insert)
    }

    pub fn update(&mut self, relation: &Rc<Relation>, old: Option<Old<'_>>, new: Tuple<'_>) -> Result<(), Halt> {
        let key = relation.key(new);
        let before = old.map(|old| relation.known(old));
        let old_key = before.as_deref().and_then(|before| relation.key(Tuple::of(before)));
        let moved = old_key.is_some() && old_key != key;
        let row = self.filled(relation, before.as_deref(), new, if moved { &old_key } else { &key })?;
        if let (true, Some(before)) = (moved, &before) {
            // Another key is another row.
            self.gone(relation, before, old_key)?;
            return self.version(relation, &row, key, Kind::Insert);
        }
        self.version(relation, &row, key, Kind::Update)
    }

    pub fn delete(&mut self, relation: &Rc<Relation>, old: Old<'_>) -> Result<(), Halt> {
        let before = relation.known(old);
        let key = relation.key(Tuple::of(&before));
        self.gone(relation, &before, key)
    }

    pub fn truncate(&mut self, relation: &Rc<Relation>) -> Result<(), Halt> {
        self.rows.retain(|key, _| !key.starts_with(&relation.id.to_be_bytes()));
        self.append(relation, Kind::Truncate, "", &[]).map(drop)
    }

    fn version(&mut self, relation: &Rc<Relation>, row: &[u8], key: Option<String>, how: Kind) -> Result<(), Halt> {
        let Some(key) = key else { return self.append(relation, how, "", row).map(drop) };
        let at = self.append(relation, Kind::Version, &key, row)?;
        let known = self.row(relation, &key, how != Kind::Insert);
        (known.version, known.deleted) = (Some(at), None);
        Ok(())
    }

    fn gone(&mut self, relation: &Rc<Relation>, row: &[u8], key: Option<String>) -> Result<(), Halt> {
        let Some(key) = key else { return self.append(relation, Kind::Gone, "", row).map(drop) };
        let at = self.append(relation, Kind::Delete, &key, row)?;
        self.row(relation, &key, true).deleted = Some(at);
        Ok(())
    }

    /// What is known of a row; where it has not changed before, it existed or not.
    fn row(&mut self, relation: &Relation, key: &str, existed: bool) -> &mut Row {
        let rows_bytes = &mut self.rows_bytes;
        self.rows.entry(name(relation, key)).or_insert_with_key(|key| {
            *rows_bytes += key.len() + ROW_BYTES;
            Row { existed, ..Row::default() }
        })
    }

    /// The new row, in which large values that the update left alone are taken from the old row, where it is known
    /// whole, or from what this transaction wrote before.
    fn filled(
        &mut self,
        relation: &Relation,
        before: Option<&[u8]>,
        new: Tuple<'_>,
        key: &Option<String>,
    ) -> Result<Vec<u8>, Halt> {
        if !new.columns().any(|value| value == Datum::Unchanged) {
            return Ok(new.bytes().to_vec());
        }
        let known = key.as_ref().and_then(|key| self.rows.get(&name(relation, key)));
        let earlier = match known.and_then(|row| row.version) {
            Some(at) => self.row_at(at).map_err(no_file)?,
            None => Vec::new(),
        };
        let mut old = Tuple::of(before.unwrap_or_default()).columns();
        let mut earlier = Tuple::of(&earlier).columns();
        let mut filled = Vec::new();
        for value in new.columns() {
            let others = [old.next(), earlier.next()].into_iter().flatten();
            let known = [value].into_iter().chain(others).find(|value| *value != Datum::Unchanged);
            Tuple::push(&mut filled, known.unwrap_or(Datum::Unchanged));
        }
        Ok(filled)
    }

    /// Adds an entry; where it stands.
    fn append(&mut self, relation: &Rc<Relation>, kind: Kind, key: &str, row: &[u8]) -> Result<u64, Halt> {
        let number = self.relations.iter().rposition(|known| Rc::ptr_eq(known, relation)).unwrap_or_else(|| {
            self.relations.push(relation.clone());
            self.relations.len() - 1
        });
        let at = self.length;
        let mut head = [0; HEAD_BYTES];
        head[0] = kind as u8;
        head[1..5].copy_from_slice(&(number as u32).to_le_bytes());
        head[5..9].copy_from_slice(&(key.len() as u32).to_le_bytes());
        head[9..].copy_from_slice(&(row.len() as u32).to_le_bytes());
        for bytes in [&head[..], key.as_bytes(), row] {
            self.log.write_all(bytes).map_err(no_file)?;
            self.length += bytes.len() as u64;
        }
        Ok(at)
    }

    fn row_at(&mut self, at: u64) -> io::Result<Vec<u8>> {
        self.log.seek(SeekFrom::Start(at))?;
        let entry = Entry::read(&mut self.log, Vec::new())?;
        self.log.seek(SeekFrom::End(0))?;
        Ok(entry.bytes[entry.key_length..].to_vec())
    }

    /// Hands over what has come of it, in the order of each row's last change, and forgets it.
    pub fn hand_over(&mut self, mut take: impl FnMut(Change<'_>) -> Result<(), Halt>) -> Result<(), Halt> {
        self.log.seek(SeekFrom::Start(0)).map_err(no_file)?;
        let mut log = BufReader::new(&mut self.log);
        let (mut at, mut bytes) = (0, Vec::new());
        while at < self.length {
            let entry = Entry::read(&mut log, bytes).map_err(no_file)?;
            let relation = &*self.relations[entry.relation];
            let (key, row) = entry.bytes.split_at(entry.key_length);
            // It was text when it was written.
            let key = std::str::from_utf8(key).unwrap_or_default();
            let known = self.rows.get(&name(relation, key)).copied();
            if let Some(op) = told(entry.kind, at, known) {
                let keyed = matches!(entry.kind, Kind::Version | Kind::Delete);
                take(Change { relation, op, key: keyed.then_some(key), row: Tuple::of(row) })?;
            }
            at += (HEAD_BYTES + entry.bytes.len()) as u64;
            bytes = entry.bytes;
        }
        *self = Transaction::new(self.xid, self.committed);
        Ok(())
    }
}

/// What is told of an entry; `None` where a later one says more.
fn told(kind: Kind, at: u64, row: Option<Row>) -> Option<&'static str> {
    match (kind, row) {
        (Kind::Truncate, _) => Some("truncate"),
        (Kind::Insert, _) => Some("insert"),
        (Kind::Update, _) => Some("update"),
        (Kind::Version, Some(row)) if row.version == Some(at) => match (row.existed, row.deleted) {
            (true, None) => Some("update"),
            (true, Some(_)) => None,
            (false, _) => Some("insert"),
        },
        (Kind::Gone, _) => Some("delete"),
        (Kind::Delete, Some(row)) => (row.deleted == Some(at)).then_some("delete"),
        (Kind::Version | Kind::Delete, _) => None,
    }
}

/// A row among those of all tables.
fn name(relation: &Relation, key: &str) -> Box<[u8]> {
    [&relation.id.to_be_bytes(), key.as_bytes()].concat().into()
}

const HEAD_BYTES: usize = 13;

struct Entry {
    kind: Kind,
    relation: usize,
    key_length: usize,
    /// The key, then the row.
    bytes: Vec<u8>,
}

impl Entry {
    /// Reads an entry into this memory.
    fn read(log: &mut impl Read, mut bytes: Vec<u8>) -> io::Result<Entry> {
        let mut head = [0; HEAD_BYTES];
        log.read_exact(&mut head)?;
        let number = |from: usize| u32::from_le_bytes([head[from], head[from + 1], head[from + 2], head[from + 3]]);
        let (relation, key_length) = (number(1) as usize, number(5) as usize);
        bytes.resize(key_length + number(9) as usize, 0);
        log.read_exact(&mut bytes)?;
        Ok(Entry { kind: KINDS[usize::from(head[0]) % KINDS.len()], relation, key_length, bytes })
    }
}

fn no_file(error: io::Error) -> Halt {
    let folder = std::env::temp_dir();
    let folder = folder.display();
    failed(format!("a large transaction cannot be put aside in {folder}: {error}; make room there, or set TMPDIR"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sources::postgres::changes::pgoutput::Column;
    use crate::sources::postgres::changes::setup::Watched;
    use crate::sources::postgres::types::Types;

    fn relation(id: u32, name: &str) -> Rc<Relation> {
        let watched =
            Watched { id, schema: "public".into(), relation: name.into(), name: name.into(), key: vec!["id".into()] };
        let column = |name: &str| Column { name: name.into(), kind: 25, identity: name == "id" };
        Rc::new(Relation::new(&watched, 0, &[column("id"), column("a"), column("b")], &Types::default()).unwrap())
    }

    /// A row: `-` is null, `~` unchanged.
    fn row(values: [&str; 3]) -> Vec<u8> {
        let mut bytes = Vec::new();
        for value in values {
            let datum = match value {
                "-" => Datum::Null,
                "~" => Datum::Unchanged,
                text => Datum::Text(text.as_bytes()),
            };
            Tuple::push(&mut bytes, datum);
        }
        bytes
    }

    fn old(whole: bool, bytes: &[u8]) -> Old<'_> {
        Old { whole, tuple: Tuple::of(bytes) }
    }

    fn told(transaction: &mut Transaction) -> Vec<String> {
        let mut told = Vec::new();
        let take = |change: Change<'_>| {
            let mut payload = Vec::new();
            change.relation.payload(change.row, &mut payload);
            let payload = String::from_utf8(payload).unwrap();
            told.push(format!("{} {} {payload}", change.op, change.key.unwrap_or("-")));
            Ok(())
        };
        transaction.hand_over(take).unwrap();
        told
    }

    #[test]
    fn what_became_of_each_row_is_told() {
        let (table, other) = (relation(1, "t"), relation(2, "o"));
        let mut all = Transaction::new(7, Time(1));
        let version = |a: &str, id: &str| row([id, a, "x"]);
        all.insert(&table, Tuple::of(&version("1", "new"))).unwrap();
        all.insert(&other, Tuple::of(&version("1", "new"))).unwrap();
        all.update(&table, None, Tuple::of(&version("2", "new"))).unwrap();
        all.update(&table, None, Tuple::of(&version("1", "old"))).unwrap();
        all.delete(&table, old(false, &row(["old", "-", "-"]))).unwrap();
        all.insert(&table, Tuple::of(&version("1", "brief"))).unwrap();
        all.delete(&table, old(false, &row(["brief", "-", "-"]))).unwrap();
        all.delete(&table, old(true, &row(["again", "1", "-"]))).unwrap();
        all.insert(&table, Tuple::of(&version("5", "again"))).unwrap();
        all.insert(&table, Tuple::of(&row(["-", "9", "-"]))).unwrap();
        assert_eq!(
            told(&mut all),
            [
                r#"insert new {"id":"new","a":"1","b":"x"}"#,
                r#"insert new {"id":"new","a":"2","b":"x"}"#,
                r#"delete old {"id":"old"}"#,
                r#"insert brief {"id":"brief","a":"1","b":"x"}"#,
                r#"delete brief {"id":"brief"}"#,
                r#"update again {"id":"again","a":"5","b":"x"}"#,
                r#"insert - {"id":null,"a":"9","b":null}"#,
            ]
        );
        assert_eq!(told(&mut all), [""; 0], "it was forgotten");
    }

    #[test]
    fn what_is_not_sent_is_taken_from_where_it_is_known() {
        let table = relation(1, "t");
        let mut all = Transaction::new(7, Time(1));
        all.update(&table, None, Tuple::of(&row(["1", "~", "2"]))).unwrap();
        all.update(&table, Some(old(true, &row(["2", "was", "-"]))), Tuple::of(&row(["2", "~", "3"]))).unwrap();
        all.insert(&table, Tuple::of(&row(["3", "first", "-"]))).unwrap();
        all.update(&table, None, Tuple::of(&row(["3", "~", "4"]))).unwrap();
        all.update(&table, Some(old(false, &row(["3", "-", "-"]))), Tuple::of(&row(["4", "~", "5"]))).unwrap();
        assert_eq!(
            told(&mut all),
            [
                r#"update 1 {"id":"1","b":"2"}"#,
                r#"update 2 {"id":"2","a":"was","b":"3"}"#,
                r#"insert 3 {"id":"3","a":"first","b":"4"}"#,
                r#"delete 3 {"id":"3"}"#,
                r#"insert 4 {"id":"4","a":"first","b":"5"}"#,
            ]
        );
    }

    #[test]
    fn a_truncated_table_has_no_rows_of_before() {
        let (table, other) = (relation(1, "t"), relation(2, "o"));
        let mut all = Transaction::new(7, Time(1));
        all.insert(&table, Tuple::of(&row(["1", "-", "-"]))).unwrap();
        all.delete(&table, old(false, &row(["2", "-", "-"]))).unwrap();
        all.insert(&other, Tuple::of(&row(["1", "-", "-"]))).unwrap();
        all.truncate(&table).unwrap();
        all.insert(&table, Tuple::of(&row(["1", "x", "-"]))).unwrap();
        assert_eq!(
            told(&mut all),
            [r#"insert 1 {"id":"1","a":null,"b":null}"#, "truncate - {}", r#"insert 1 {"id":"1","a":"x","b":null}"#,]
        );
    }

    #[test]
    fn a_large_transaction_is_put_into_a_file_and_one_of_too_many_rows_is_cut() {
        let table = relation(1, "t");
        let mut all = Transaction::new(7, Time(1));
        let large = "x".repeat(10_000);
        for id in 0..4_000 {
            all.insert(&table, Tuple::of(&row([&id.to_string(), "first", &large]))).unwrap();
        }
        for id in 0..4_000 {
            all.update(&table, None, Tuple::of(&row([&id.to_string(), "last", "~"]))).unwrap();
        }
        assert!(all.log.is_rolled() && !all.is_full());
        let told = told(&mut all);
        assert_eq!(told.len(), 4_000);
        assert!(told.iter().all(|told| told.contains("\"last\"") && told.len() > 10_000));
        all.rows_bytes = KEYS_HELD_MAX_BYTES - ROW_BYTES;
        all.insert(&table, Tuple::of(&row(["1", "-", "-"]))).unwrap();
        assert!(all.is_full());
    }
}
