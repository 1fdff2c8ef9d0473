//! The cursor: what must be known of the tables to go on exactly where a delivery ended. What was seen of single rows is
//! kept in notes.

use super::tracker::{State, Tracker};
use crate::model::time::Time;
use crate::sources::cursor;
use crate::sources::live::Failure;
use serde::{Deserialize, Serialize};

/// What every cursor of this kind begins with, up to its version.
const KIND: &[u8] = b"TLtables";
const VERSION: u8 = 1;

/// What a cursor holds.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Cursor {
    /// By name: the number, and how far it was read. Tables that are not followed any more keep theirs.
    pub tables: Vec<(String, u16, State)>,
    /// Transactions that were met prepared, and the time before which none of them began.
    pub prepared: Vec<(String, Time)>,
}

impl Cursor {
    /// The table's number and state; a new number where it was not followed before.
    pub fn table(&mut self, name: &str) -> (u16, State) {
        if let Some((_, number, state)) = self.tables.iter().find(|(known, ..)| known == name) {
            return (*number, state.clone());
        }
        let number = self.tables.iter().map(|(_, number, _)| number + 1).max().unwrap_or(0);
        self.tables.push((name.to_owned(), number, State::default()));
        (number, State::default())
    }

    /// Takes over how far a table was read.
    pub fn update(&mut self, tracker: &Tracker) {
        let own = self.tables.iter_mut().find(|(_, number, _)| *number == tracker.number);
        if let Some((_, _, state)) = own {
            state.clone_from(&tracker.state);
        }
    }
}

/// What [`decode`] goes on from.
pub fn encode(cursor: &Cursor) -> Vec<u8> {
    cursor::encode(KIND, VERSION, cursor)
}

/// What was known at a delivery.
pub fn decode(cursor: &[u8]) -> Result<Cursor, Failure> {
    cursor::decode(KIND, VERSION, cursor).map_err(|why| why.place_in("the tables"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sources::tables::Mark;

    fn cursor() -> Cursor {
        let mark = |whole, bound| Some(Mark { whole: Time(whole), bound });
        let state = State { offset: 3, relation: 77, read: mark(5, 6), swept: mark(4, 2), complete: true };
        let tables = vec![("shop.orders".into(), 0, state), ("items".into(), 2, State::default())];
        Cursor { tables, prepared: vec![("x".into(), Time(9))] }
    }

    #[test]
    fn the_first_version_is_held_by_its_bytes() {
        let bytes = encode(&cursor());
        assert_eq!(decode(&bytes), Ok(cursor()));
        let hex: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
        insta::assert_snapshot!(hex);
    }

    #[test]
    fn a_new_table_has_a_number_of_its_own() {
        let mut cursor = cursor();
        assert_eq!((cursor.table("items").0, cursor.table("new").0, cursor.table("new").0), (2, 3, 3));
    }

    #[test]
    fn what_is_foreign_is_refused_with_a_way_out() {
        for bytes in [&b"TLfile"[..], b"TLtables", b"TLtables\x02", b"TLtables\x01\xff"] {
            assert!(decode(bytes).unwrap_err().to_string().contains("another name"), "{bytes:?}");
        }
    }
}
