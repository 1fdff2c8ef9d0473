//! The cursor: up to where the log was handed over, and how many records that were.

use super::{Halt, Lsn};
use crate::sources::cursor;
use serde::{Deserialize, Serialize};

/// What every cursor of this kind begins with, up to its version.
const KIND: &[u8] = b"TLpgchanges";
const VERSION: u8 = 1;

/// How far the source has come.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Cursor {
    /// All transactions that were committed before this place have been handed over whole.
    pub lsn: Lsn,
    /// How many records those gave: the offset of the next one's first record.
    pub whole: u64,
    /// How many records have been handed over at all. Offsets that were given to a transaction which is not complete
    /// are given to it again where a permanent slot repeats it, and to nothing else.
    pub given: u64,
    /// The rows that were there before are being handed over, and have to be once more if that is broken off.
    pub beginning: bool,
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

    #[test]
    fn a_cursor_is_read_as_it_was_written_and_no_other_is() {
        let cursor = Cursor { lsn: Lsn(0x16_b374_8148), whole: 300, given: 305, beginning: false };
        let bytes = cursor.encode();
        assert_eq!(Cursor::decode(&bytes).unwrap(), cursor);
        assert_eq!(bytes, b"TLpgchanges\x01\xc8\x82\xd2\x9b\xeb\x02\xac\x02\xb1\x02\0", "the first version");
        for (wrong, word) in
            [(&b"TLfile\x01"[..], "another type"), (b"TLpgchanges\x02", "version"), (&bytes[..14], "damaged")]
        {
            let Err(Halt::Failed(why)) = Cursor::decode(wrong) else { panic!("{wrong:?} was read") };
            assert!(why.to_string().contains(word), "{why}");
        }
    }
}
