//! The cursor: up to where the log was handed over, and how many records that were.

use super::Halt;
use crate::model::time::Time;
use crate::sources::cursor;
use serde::{Deserialize, Serialize};
use std::cmp::Ordering;
use std::fmt;

/// What every cursor of this kind begins with, up to its version.
const KIND: &[u8] = b"TLbinlog";
const VERSION: u8 = 1;

/// A place in the server's log.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Position {
    /// The file, as `binlog.000012`.
    pub file: String,
    /// Where in it.
    pub offset: u64,
}

impl Position {
    /// The number of its file, which rises.
    fn number(&self) -> u64 {
        self.file.rsplit('.').next().and_then(|number| number.parse().ok()).unwrap_or_default()
    }

    /// The place in the same file that an event's header names, which has room for the lower half of it.
    pub fn moved(&self, low: u32) -> Position {
        let mut offset = self.offset & !0xffff_ffff | u64::from(low);
        if offset < self.offset {
            offset += 1 << 32;
        }
        Position { file: self.file.clone(), offset }
    }
}

impl Ord for Position {
    fn cmp(&self, other: &Position) -> Ordering {
        (self.number(), self.offset).cmp(&(other.number(), other.offset))
    }
}

impl PartialOrd for Position {
    fn partial_cmp(&self, other: &Position) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl fmt::Display for Position {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.file, self.offset)
    }
}

/// How far the source has come.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Cursor {
    /// All transactions that were committed before this place have been handed over whole.
    pub done: Position,
    /// The log is read again from here: before it stands none that was prepared and has not ended since.
    pub from: Position,
    /// What stands behind `done` was not committed at this time.
    pub floor: Time,
    /// When the server began the file of `from`: another log may have its name later.
    pub created: u32,
    /// The server that wrote it.
    pub server: u32,
    /// How many records `done` stands for: the offset of the next one's first record.
    pub whole: u64,
    /// How many records have been handed over at all. Offsets that were given to a transaction which is not complete
    /// are given to it again when it is repeated, and to nothing else.
    pub given: u64,
    /// The rows that were there before are being handed over, and have to be once more if that is broken off.
    pub beginning: bool,
    /// The forms of the tables by which the log was read, by a hash of each.
    pub shapes: Vec<(String, u64)>,
    /// Where the log's last transaction stands in the count of the whole cluster (MariaDB): one a domain.
    pub gtids: Vec<(u32, String)>,
}

impl Cursor {
    pub fn encode(&self) -> Vec<u8> {
        cursor::encode(KIND, VERSION, self)
    }

    pub fn decode(bytes: &[u8]) -> Result<Cursor, Halt> {
        cursor::decode(KIND, VERSION, bytes).map_err(|why| Halt::Failed(why.place_in("the changes")))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn position(file: &str, offset: u64) -> Position {
        Position { file: file.into(), offset }
    }

    #[test]
    fn a_cursor_is_read_as_it_was_written_and_no_other_is() {
        let cursor = Cursor {
            done: position("bin.000002", 700),
            from: position("bin.000001", 4),
            floor: Time(5),
            created: 7,
            server: 1,
            whole: 300,
            given: 305,
            beginning: false,
            shapes: vec![("orders".into(), 9)],
            gtids: vec![(0, "0-1-9".into())],
        };
        let bytes = cursor.encode();
        assert_eq!(Cursor::decode(&bytes).unwrap(), cursor);
        let hex: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
        insta::assert_snapshot!(hex);
        for (wrong, word) in
            [(&b"TLfile\x01"[..], "another type"), (b"TLbinlog\x02", "version"), (&bytes[..14], "damaged")]
        {
            let Err(Halt::Failed(why)) = Cursor::decode(wrong) else { panic!("{wrong:?} was read") };
            assert!(why.to_string().contains(word), "{why}");
        }
    }

    #[test]
    fn places_are_compared_by_the_number_of_their_file() {
        assert!(position("bin.999999", 9_000) < position("bin.1000000", 4));
        assert!(position("bin.000001", 9) < position("bin.000001", 10));
        assert_eq!(position("b.1", 0xffff_fff0).moved(16).offset, 0x1_0000_0010);
        assert_eq!(position("b.1", 0x1_0000_0004).moved(900).offset, 0x1_0000_0384);
    }
}
