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

use super::live::Failure;
use super::waiting::Halt;
use std::collections::HashMap;
use std::io::{self, BufReader, Read, Seek, SeekFrom, Write};
use tempfile::SpooledTempFile;

/// A transaction that is larger is put into a temporary file until it is complete.
const HELD_IN_MEMORY_MAX_BYTES: usize = 16 << 20;
/// The keys of a transaction's rows take no more than this; beyond, a row may have several versions of one commit.
const KEYS_HELD_MAX_BYTES: usize = 128 << 20;
/// What a row takes in memory besides its key.
const ROW_BYTES: usize = 96;
/// Before each entry: how, of which table in which form, how long its key and its row are.
const HEAD_BYTES: usize = 17;

/// A table whose rows change.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Table {
    /// What its rows are known by, whatever its form is.
    pub id: u32,
    /// In which of its forms it is: whoever takes the change is told it.
    pub form: u32,
}

/// A change as it is handed over.
pub struct Change<'a> {
    pub table: Table,
    pub op: &'static str,
    /// `None` where the table as a whole is meant, or the key is null.
    pub key: Option<&'a str>,
    /// The row, as it was written.
    pub row: &'a [u8],
}

/// A row as it was or is: its key, where that is not null, and itself, however its system writes it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Image<'a> {
    pub key: Option<&'a str>,
    pub row: &'a [u8],
}

/// The changes of a transaction that is being received.
pub struct RowChanges {
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
    Truncate = 2,
    /// Without a key, so that nothing can be said of what was before or comes after.
    Insert = 3,
    Update = 4,
    Gone = 5,
}

const KINDS: [Kind; 6] = [Kind::Version, Kind::Delete, Kind::Truncate, Kind::Insert, Kind::Update, Kind::Gone];

impl Default for RowChanges {
    fn default() -> RowChanges {
        let log = SpooledTempFile::new(HELD_IN_MEMORY_MAX_BYTES);
        RowChanges { log, length: 0, rows: HashMap::new(), rows_bytes: 0 }
    }
}

impl RowChanges {
    /// Its rows are too many to be kept apart any longer: what there is has to be handed over.
    pub fn is_full(&self) -> bool {
        self.rows_bytes >= KEYS_HELD_MAX_BYTES
    }

    /// Nothing of it is of interest.
    pub fn is_empty(&self) -> bool {
        self.length == 0
    }

    /// A row came.
    pub fn insert(&mut self, table: Table, new: Image<'_>) -> Result<(), Halt> {
        self.version(table, new, Kind::Insert)
    }

    /// A row was changed; `old` is how it was, where that may tell that its key was another.
    pub fn update(&mut self, table: Table, old: Option<Image<'_>>, new: Image<'_>) -> Result<(), Halt> {
        let Some(old) = old.filter(|old| old.key != new.key) else { return self.version(table, new, Kind::Update) };
        // Another key is another row.
        self.delete(table, old)?;
        self.version(table, new, Kind::Insert)
    }

    /// A row went.
    pub fn delete(&mut self, table: Table, old: Image<'_>) -> Result<(), Halt> {
        let Some(key) = old.key else { return self.append(table, Kind::Gone, "", old.row).map(drop) };
        let at = self.append(table, Kind::Delete, key, old.row)?;
        self.row(table, key, true).deleted = Some(at);
        Ok(())
    }

    /// All rows of a table went, and nobody says which those were.
    pub fn truncate(&mut self, table: Table) -> Result<(), Halt> {
        self.rows.retain(|key, _| !key.starts_with(&table.id.to_be_bytes()));
        self.append(table, Kind::Truncate, "", &[]).map(drop)
    }

    /// The newest version of a row that this transaction has written.
    pub fn newest(&mut self, table: Table, key: &str) -> Result<Option<Vec<u8>>, Halt> {
        let known = self.rows.get(&name(table, key)).and_then(|row| row.version);
        known.map(|at| self.row_at(at).map_err(no_file)).transpose()
    }

    fn row_at(&mut self, at: u64) -> io::Result<Vec<u8>> {
        self.log.seek(SeekFrom::Start(at))?;
        let entry = Entry::read(&mut self.log, Vec::new())?;
        self.log.seek(SeekFrom::End(0))?;
        Ok(entry.bytes[entry.key_length..].to_vec())
    }

    fn version(&mut self, table: Table, new: Image<'_>, how: Kind) -> Result<(), Halt> {
        let Some(key) = new.key else { return self.append(table, how, "", new.row).map(drop) };
        let at = self.append(table, Kind::Version, key, new.row)?;
        let known = self.row(table, key, how != Kind::Insert);
        (known.version, known.deleted) = (Some(at), None);
        Ok(())
    }

    /// What is known of a row; where it has not changed before, it existed or not.
    fn row(&mut self, table: Table, key: &str, existed: bool) -> &mut Row {
        let rows_bytes = &mut self.rows_bytes;
        self.rows.entry(name(table, key)).or_insert_with_key(|key| {
            *rows_bytes += key.len() + ROW_BYTES;
            Row { existed, ..Row::default() }
        })
    }

    /// Adds an entry; where it stands.
    fn append(&mut self, table: Table, kind: Kind, key: &str, row: &[u8]) -> Result<u64, Halt> {
        let at = self.length;
        let mut head = [0; HEAD_BYTES];
        head[0] = kind as u8;
        let numbers = [table.id, table.form, key.len() as u32, row.len() as u32];
        head[1..]
            .chunks_exact_mut(4)
            .zip(numbers)
            .for_each(|(place, number)| place.copy_from_slice(&number.to_le_bytes()));
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
        *self = RowChanges::default();
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
fn name(table: Table, key: &str) -> Box<[u8]> {
    [&table.id.to_be_bytes(), key.as_bytes()].concat().into()
}

struct Entry {
    kind: Kind,
    table: Table,
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
        let (table, key_length) = (Table { id: number(1), form: number(5) }, number(9) as usize);
        bytes.resize(key_length + number(13) as usize, 0);
        log.read_exact(&mut bytes)?;
        Ok(Entry { kind: KINDS[usize::from(head[0]) % KINDS.len()], table, key_length, bytes })
    }
}

fn no_file(error: io::Error) -> Halt {
    let folder = std::env::temp_dir();
    let folder = folder.display();
    Halt::Failed(Failure(format!(
        "a large transaction cannot be put aside in {folder}: {error}; make room there, or set TMPDIR"
    )))
}

#[cfg(test)]
impl RowChanges {
    /// It is in a file.
    pub fn is_rolled(&self) -> bool {
        self.log.is_rolled()
    }

    /// There is room for not one row more.
    pub fn fill(&mut self) {
        self.rows_bytes = KEYS_HELD_MAX_BYTES - ROW_BYTES;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn table(id: u32) -> Table {
        Table { id, form: id }
    }

    fn image<'a>(key: &'a str, row: &'a str) -> Image<'a> {
        Image { key: (key != "-").then_some(key), row: row.as_bytes() }
    }

    fn told(all: &mut RowChanges) -> Vec<String> {
        let mut told = Vec::new();
        all.hand_over(|Change { table, op, key, row }| {
            told.push(format!("{} {op} {} {}", table.form, key.unwrap_or("-"), String::from_utf8_lossy(row)));
            Ok(())
        })
        .unwrap();
        told
    }

    #[test]
    fn the_last_change_of_a_row_wins_and_says_what_became_of_it() {
        let mut all = RowChanges::default();
        all.insert(table(0), image("new", "1")).unwrap();
        all.insert(table(1), image("new", "1")).unwrap();
        all.update(table(0), Some(image("new", "1")), image("new", "2")).unwrap();
        all.update(table(0), Some(image("old", "1")), image("old", "2")).unwrap();
        all.delete(table(0), image("old", "2")).unwrap();
        all.insert(table(0), image("brief", "1")).unwrap();
        all.delete(table(0), image("brief", "1")).unwrap();
        all.delete(table(0), image("again", "1")).unwrap();
        all.insert(table(0), image("again", "5")).unwrap();
        all.update(table(0), Some(image("was", "6")), image("is", "6")).unwrap();
        all.insert(table(0), image("-", "9")).unwrap();
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
        let mut all = RowChanges::default();
        let large = "x".repeat(10_000);
        for id in 0..4_000 {
            all.insert(table(0), image(&id.to_string(), &large)).unwrap();
        }
        assert!(all.is_rolled() && !all.is_full());
        assert_eq!(told(&mut all).len(), 4_000);
        all.fill();
        all.insert(table(0), image("1", "-")).unwrap();
        assert!(all.is_full());
    }
}
