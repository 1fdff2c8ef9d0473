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

use super::{HELD_IN_MEMORY_MAX_BYTES, Halt, KEYS_HELD_MAX_BYTES, failed};
use std::collections::HashMap;
use std::io::{self, BufReader, Read, Seek, SeekFrom, Write};
use tempfile::SpooledTempFile;

/// What a row takes in memory besides its key.
const ROW_BYTES: usize = 96;
/// Before each entry: how, of which table, how long its key and its row are.
const HEAD_BYTES: usize = 13;

/// A change as it is handed over.
pub(super) struct Change<'a> {
    /// The number of its table.
    pub table: usize,
    pub op: &'static str,
    /// `None` where it is null.
    pub key: Option<&'a str>,
    /// The row as JSON.
    pub row: &'a [u8],
}

/// A row as it was or is: its key, and itself as JSON.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Image {
    pub key: Option<String>,
    pub row: Vec<u8>,
}

/// A transaction that is being received.
pub(super) struct Transaction {
    log: SpooledTempFile,
    length: u64,
    rows: HashMap<Box<[u8]>, Row>,
    rows_bytes: usize,
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
    /// Without a key, so that nothing can be said of what was before or comes after.
    Insert = 2,
    Update = 3,
    Gone = 4,
}

const KINDS: [Kind; 5] = [Kind::Version, Kind::Delete, Kind::Insert, Kind::Update, Kind::Gone];

impl Default for Transaction {
    fn default() -> Transaction {
        let log = SpooledTempFile::new(HELD_IN_MEMORY_MAX_BYTES);
        Transaction { log, length: 0, rows: HashMap::new(), rows_bytes: 0 }
    }
}

impl Transaction {
    /// Its rows are too many to be kept apart any longer: what there is has to be handed over.
    pub fn is_full(&self) -> bool {
        self.rows_bytes >= KEYS_HELD_MAX_BYTES
    }

    /// Nothing of it is of interest.
    pub fn is_empty(&self) -> bool {
        self.length == 0
    }

    pub fn insert(&mut self, table: usize, new: &Image) -> Result<(), Halt> {
        self.version(table, new, Kind::Insert)
    }

    pub fn update(&mut self, table: usize, old: &Image, new: &Image) -> Result<(), Halt> {
        if old.key == new.key {
            return self.version(table, new, Kind::Update);
        }
        // Another key is another row.
        self.delete(table, old)?;
        self.version(table, new, Kind::Insert)
    }

    pub fn delete(&mut self, table: usize, old: &Image) -> Result<(), Halt> {
        let Some(key) = &old.key else { return self.append(table, Kind::Gone, "", &old.row).map(drop) };
        let at = self.append(table, Kind::Delete, key, &old.row)?;
        self.row(table, key, true).deleted = Some(at);
        Ok(())
    }

    fn version(&mut self, table: usize, new: &Image, how: Kind) -> Result<(), Halt> {
        let Some(key) = &new.key else { return self.append(table, how, "", &new.row).map(drop) };
        let at = self.append(table, Kind::Version, key, &new.row)?;
        let known = self.row(table, key, how != Kind::Insert);
        (known.version, known.deleted) = (Some(at), None);
        Ok(())
    }

    /// What is known of a row; where it has not changed before, it existed or not.
    fn row(&mut self, table: usize, key: &str, existed: bool) -> &mut Row {
        let rows_bytes = &mut self.rows_bytes;
        self.rows.entry(name(table, key)).or_insert_with_key(|key| {
            *rows_bytes += key.len() + ROW_BYTES;
            Row { existed, ..Row::default() }
        })
    }

    /// Adds an entry; where it stands.
    fn append(&mut self, table: usize, kind: Kind, key: &str, row: &[u8]) -> Result<u64, Halt> {
        let at = self.length;
        let mut head = [0; HEAD_BYTES];
        head[0] = kind as u8;
        head[1..5].copy_from_slice(&(table as u32).to_le_bytes());
        head[5..9].copy_from_slice(&(key.len() as u32).to_le_bytes());
        head[9..].copy_from_slice(&(row.len() as u32).to_le_bytes());
        for bytes in [&head[..], key.as_bytes(), row] {
            self.log.write_all(bytes).map_err(no_file)?;
            self.length += bytes.len() as u64;
        }
        Ok(at)
    }

    /// Hands over what has come of it, in the order of each row's last change, and forgets it.
    pub fn hand_over(&mut self, mut take: impl FnMut(Change<'_>) -> Result<(), Halt>) -> Result<(), Halt> {
        self.log.seek(SeekFrom::Start(0)).map_err(no_file)?;
        let mut log = BufReader::new(&mut self.log);
        let (mut at, mut bytes) = (0, Vec::new());
        while at < self.length {
            let entry = Entry::read(&mut log, bytes).map_err(no_file)?;
            let (key, row) = entry.bytes.split_at(entry.key_length);
            // It was text when it was written.
            let key = std::str::from_utf8(key).unwrap_or_default();
            let known = self.rows.get(&name(entry.table, key)).copied();
            if let Some(op) = told(entry.kind, at, known) {
                let keyed = matches!(entry.kind, Kind::Version | Kind::Delete);
                take(Change { table: entry.table, op, key: keyed.then_some(key), row })?;
            }
            at += (HEAD_BYTES + entry.bytes.len()) as u64;
            bytes = entry.bytes;
        }
        *self = Transaction::default();
        Ok(())
    }
}

/// What is told of an entry; `None` where a later one says more.
fn told(kind: Kind, at: u64, row: Option<Row>) -> Option<&'static str> {
    match (kind, row) {
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
fn name(table: usize, key: &str) -> Box<[u8]> {
    [&(table as u32).to_be_bytes(), key.as_bytes()].concat().into()
}

struct Entry {
    kind: Kind,
    table: usize,
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
        let key_length = number(5) as usize;
        bytes.resize(key_length + number(9) as usize, 0);
        log.read_exact(&mut bytes)?;
        Ok(Entry { kind: KINDS[usize::from(head[0]) % KINDS.len()], table: number(1) as usize, key_length, bytes })
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

    fn image(key: &str, row: &str) -> Image {
        Image { key: (key != "-").then(|| key.to_owned()), row: row.into() }
    }

    fn told(all: &mut Transaction) -> Vec<String> {
        let mut told = Vec::new();
        all.hand_over(|Change { table, op, key, row }| {
            told.push(format!("{table} {op} {} {}", key.unwrap_or("-"), String::from_utf8_lossy(row)));
            Ok(())
        })
        .unwrap();
        told
    }

    #[test]
    fn the_last_change_of_a_row_wins_and_says_what_became_of_it() {
        let mut all = Transaction::default();
        all.insert(0, &image("new", "1")).unwrap();
        all.insert(1, &image("new", "1")).unwrap();
        all.update(0, &image("new", "1"), &image("new", "2")).unwrap();
        all.update(0, &image("old", "1"), &image("old", "2")).unwrap();
        all.delete(0, &image("old", "2")).unwrap();
        all.insert(0, &image("brief", "1")).unwrap();
        all.delete(0, &image("brief", "1")).unwrap();
        all.delete(0, &image("again", "1")).unwrap();
        all.insert(0, &image("again", "5")).unwrap();
        all.update(0, &image("was", "6"), &image("is", "6")).unwrap();
        all.insert(0, &image("-", "9")).unwrap();
        assert_eq!(
            told(&mut all),
            [
                "1 insert new 1",
                "0 insert new 2",
                "0 delete old 2",
                "0 insert brief 1",
                "0 delete brief 1",
                "0 update again 5",
                "0 delete was 6",
                "0 insert is 6",
                "0 insert - 9",
            ]
        );
        assert!(told(&mut all).is_empty() && all.is_empty(), "it was forgotten");
    }

    #[test]
    fn a_large_transaction_is_put_into_a_file_and_one_of_too_many_rows_is_cut() {
        let mut all = Transaction::default();
        let large = "x".repeat(10_000);
        for id in 0..4_000 {
            all.insert(0, &image(&id.to_string(), &large)).unwrap();
        }
        assert!(all.log.is_rolled() && !all.is_full());
        assert_eq!(told(&mut all).len(), 4_000);
        all.rows_bytes = KEYS_HELD_MAX_BYTES - ROW_BYTES;
        all.insert(0, &image("1", "-")).unwrap();
        assert!(all.is_full());
    }
}
