//! The messages of `pgoutput`, PostgreSQL's own output of logical decoding, as its protocol's first version writes them.
//!
//! ```text
//! Begin ─ Relation ─ Insert, Update, Delete, Truncate … ─ Commit
//! ```
//!
//! A relation is described before its first change, and again when it has been altered. Columns come as text.

use super::Lsn;
use crate::model::time::Time;

/// Between 1970 and 2000, where PostgreSQL's times begin.
const EPOCH_MICROSECONDS: i64 = 946_684_800_000_000;

/// One message.
#[derive(Debug, PartialEq)]
pub(super) enum Message<'a> {
    /// A transaction begins, of which it is known when and where in the log it was committed.
    Begin {
        at: Lsn,
        committed: Time,
        xid: u32,
    },
    /// It ends; the log goes on at `end`.
    Commit {
        end: Lsn,
    },
    /// What the columns of a table are.
    Relation(Described),
    Insert {
        relation: u32,
        new: Tuple<'a>,
    },
    Update {
        relation: u32,
        old: Option<Old<'a>>,
        new: Tuple<'a>,
    },
    Delete {
        relation: u32,
        old: Old<'a>,
    },
    Truncate {
        relations: Vec<u32>,
    },
    /// Where a change came from originally, a type's name, a message of an application: nothing that is needed.
    Other,
}

/// A table as a message describes it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Described {
    pub id: u32,
    pub schema: String,
    pub name: String,
    pub columns: Vec<Column>,
}

/// One of its columns.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Column {
    pub name: String,
    /// The type's number.
    pub kind: u32,
    /// It is one of those by which an old row is told.
    pub identity: bool,
}

/// A row as it was before.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Old<'a> {
    /// All of it, or what it is told by alone, with nulls elsewhere.
    pub whole: bool,
    pub tuple: Tuple<'a>,
}

/// A row: the columns one after the other, as they stand in the message.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Tuple<'a> {
    /// Checked to be whole.
    bytes: &'a [u8],
}

/// A column's value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Datum<'a> {
    Null,
    /// A large value that the update has left as it was, and that is not sent.
    Unchanged,
    Text(&'a [u8]),
}

/// A message that is none.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("a message of the log cannot be read: {0}; a newer version of this program may know it")]
pub(super) struct BadMessage(&'static str);

/// Reads a message.
pub(super) fn read(bytes: &[u8]) -> Result<Message<'_>, BadMessage> {
    let mut rest = Rest(bytes);
    let message = match rest.byte()? {
        b'B' => Message::Begin { at: Lsn(rest.u64()?), committed: rest.time()?, xid: rest.u32()? },
        b'C' => {
            rest.take(1 + 8)?;
            let end = Lsn(rest.u64()?);
            rest.time()?;
            Message::Commit { end }
        }
        b'R' => Message::Relation(described(&mut rest)?),
        b'I' => {
            let relation = rest.u32()?;
            rest.expect(b'N')?;
            Message::Insert { relation, new: tuple(&mut rest)? }
        }
        b'U' => {
            let relation = rest.u32()?;
            let has_old = matches!(rest.0.first(), Some(b'K' | b'O'));
            let old = has_old.then(|| old(&mut rest)).transpose()?;
            rest.expect(b'N')?;
            Message::Update { relation, old, new: tuple(&mut rest)? }
        }
        b'D' => {
            let relation = rest.u32()?;
            Message::Delete { relation, old: old(&mut rest)? }
        }
        b'T' => {
            let count = rest.u32()?;
            rest.take(1)?;
            Message::Truncate { relations: (0..count).map(|_| rest.u32()).collect::<Result<_, _>>()? }
        }
        b'O' | b'Y' | b'M' => return Ok(Message::Other),
        _ => return Err(BadMessage("it is of an unknown kind")),
    };
    if rest.0.is_empty() { Ok(message) } else { Err(BadMessage("it is longer than it should be")) }
}

fn described(rest: &mut Rest<'_>) -> Result<Described, BadMessage> {
    let (id, schema, name) = (rest.u32()?, rest.text()?, rest.text()?);
    // The kind of its replica identity; the columns say which of them it is.
    rest.take(1)?;
    let count = rest.u16()?;
    let mut columns = Vec::with_capacity(count.into());
    for _ in 0..count {
        let identity = rest.byte()? & 1 == 1;
        let (name, kind) = (rest.text()?, rest.u32()?);
        rest.take(4)?;
        columns.push(Column { name, kind, identity });
    }
    // The catalogue's own schema is written as nothing.
    let schema = if schema.is_empty() { "pg_catalog".to_owned() } else { schema };
    Ok(Described { id, schema, name, columns })
}

fn old<'a>(rest: &mut Rest<'a>) -> Result<Old<'a>, BadMessage> {
    let whole = match rest.byte()? {
        b'K' => false,
        b'O' => true,
        _ => return Err(BadMessage("the old row is missing")),
    };
    Ok(Old { whole, tuple: tuple(rest)? })
}

fn tuple<'a>(rest: &mut Rest<'a>) -> Result<Tuple<'a>, BadMessage> {
    let count = rest.u16()?;
    let from = rest.0;
    for _ in 0..count {
        datum(rest)?;
    }
    Ok(Tuple { bytes: &from[..from.len() - rest.0.len()] })
}

fn datum<'a>(rest: &mut Rest<'a>) -> Result<Datum<'a>, BadMessage> {
    match rest.byte()? {
        b'n' => Ok(Datum::Null),
        b'u' => Ok(Datum::Unchanged),
        b't' => {
            let length = rest.u32()?;
            rest.take(length as usize).map(Datum::Text)
        }
        _ => Err(BadMessage("a column is neither text, null nor unchanged")),
    }
}

impl<'a> Tuple<'a> {
    /// What [`Tuple::bytes`] gave.
    pub fn of(bytes: &'a [u8]) -> Tuple<'a> {
        Tuple { bytes }
    }

    /// As it stands in the message.
    pub fn bytes(&self) -> &'a [u8] {
        self.bytes
    }

    /// Its columns in their order.
    pub fn columns(&self) -> impl Iterator<Item = Datum<'a>> + use<'a> {
        let mut rest = Rest(self.bytes);
        std::iter::from_fn(move || datum(&mut rest).ok())
    }

    /// Appends a column as a message would write it.
    pub fn push(out: &mut Vec<u8>, value: Datum<'_>) {
        match value {
            Datum::Null => out.push(b'n'),
            Datum::Unchanged => out.push(b'u'),
            Datum::Text(text) => {
                out.push(b't');
                out.extend_from_slice(&(text.len() as u32).to_be_bytes());
                out.extend_from_slice(text);
            }
        }
    }
}

/// What has not been read of a message.
struct Rest<'a>(&'a [u8]);

impl<'a> Rest<'a> {
    fn take(&mut self, count: usize) -> Result<&'a [u8], BadMessage> {
        let (taken, rest) = self.0.split_at_checked(count).ok_or(BadMessage("it is cut short"))?;
        self.0 = rest;
        Ok(taken)
    }

    fn array<const N: usize>(&mut self) -> Result<[u8; N], BadMessage> {
        let (taken, rest) = self.0.split_first_chunk().ok_or(BadMessage("it is cut short"))?;
        self.0 = rest;
        Ok(*taken)
    }

    fn byte(&mut self) -> Result<u8, BadMessage> {
        Ok(self.array::<1>()?[0])
    }

    fn u16(&mut self) -> Result<u16, BadMessage> {
        self.array().map(u16::from_be_bytes)
    }

    fn u32(&mut self) -> Result<u32, BadMessage> {
        self.array().map(u32::from_be_bytes)
    }

    fn u64(&mut self) -> Result<u64, BadMessage> {
        self.array().map(u64::from_be_bytes)
    }

    fn time(&mut self) -> Result<Time, BadMessage> {
        let microseconds = i64::from_be_bytes(self.array()?);
        let nanoseconds = microseconds.checked_add(EPOCH_MICROSECONDS).and_then(|since| since.checked_mul(1_000));
        nanoseconds.map(Time).ok_or(BadMessage("its time is beyond all measure"))
    }

    fn text(&mut self) -> Result<String, BadMessage> {
        let end = memchr::memchr(0, self.0).ok_or(BadMessage("a text has no end"))?;
        let text = String::from_utf8_lossy(&self.0[..end]).into_owned();
        self.0 = &self.0[end + 1..];
        Ok(text)
    }

    fn expect(&mut self, byte: u8) -> Result<(), BadMessage> {
        if self.byte()? == byte { Ok(()) } else { Err(BadMessage("the new row is missing")) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// Written as the protocol's documentation has them.
    fn message(parts: &[&[u8]]) -> Vec<u8> {
        parts.concat()
    }

    fn values(bytes: &[u8]) -> Vec<Datum<'_>> {
        Tuple::of(bytes).columns().collect()
    }

    #[test]
    fn each_message_is_read() {
        let lsn = 0x1_0000_0002_u64.to_be_bytes();
        let time = 1_000_000_i64.to_be_bytes();
        let begin = message(&[b"B", &lsn, &time, &7_u32.to_be_bytes()]);
        let committed = Time((EPOCH_MICROSECONDS + 1_000_000) * 1_000);
        assert_eq!(read(&begin), Ok(Message::Begin { at: Lsn(0x1_0000_0002), committed, xid: 7 }));
        assert_eq!(committed.to_string(), "2000-01-01T00:00:01Z");
        let commit = message(&[b"C\0", &[0; 8], &lsn, &time]);
        assert_eq!(read(&commit), Ok(Message::Commit { end: Lsn(0x1_0000_0002) }));
        let id = 5_u32.to_be_bytes();
        let relation =
            message(&[b"R", &id, b"public\0t\0d\0\x02\x01id\0\0\0\0\x17\xff\xff\xff\xff\0n\0\0\0\0\x19\0\0\0\x08"]);
        let column = |name: &str, kind, identity| Column { name: name.into(), kind, identity };
        let columns = vec![column("id", 23, true), column("n", 25, false)];
        let described = Described { id: 5, schema: "public".into(), name: "t".into(), columns };
        assert_eq!(read(&relation), Ok(Message::Relation(described)));
        let row = b"\0\x03t\0\0\0\x02abnu";
        let insert = message(&[b"I", &id, b"N", row]);
        let Ok(Message::Insert { relation: 5, new }) = read(&insert) else { panic!("an insert") };
        assert_eq!(values(new.bytes()), [Datum::Text(b"ab"), Datum::Null, Datum::Unchanged]);
        let update = message(&[b"U", &id, b"K\0\x01n", b"N", row]);
        assert!(matches!(read(&update), Ok(Message::Update { old: Some(Old { whole: false, .. }), .. })));
        let update = message(&[b"U", &id, b"N", row]);
        assert!(matches!(read(&update), Ok(Message::Update { old: None, .. })));
        let delete = message(&[b"D", &id, b"O\0\x01n"]);
        assert!(matches!(read(&delete), Ok(Message::Delete { relation: 5, old: Old { whole: true, .. } })));
        let truncate = message(&[b"T\0\0\0\x02\x01", &id, &id]);
        assert_eq!(read(&truncate), Ok(Message::Truncate { relations: vec![5, 5] }));
        assert_eq!(read(b"Y\0\0\0\x05public\0mood\0"), Ok(Message::Other));
    }

    #[test]
    fn a_tuple_is_written_as_it_is_read() {
        let mut bytes = Vec::new();
        let all = [Datum::Text(b""), Datum::Unchanged, Datum::Null, Datum::Text(b"a\0b")];
        all.iter().for_each(|value| Tuple::push(&mut bytes, *value));
        assert_eq!(values(&bytes), all);
    }

    proptest! {
        #[test]
        fn no_bytes_do_harm(kind in proptest::sample::select(b"BCRIUDTOYMx".to_vec()), rest in any::<Vec<u8>>()) {
            let bytes = [&[kind][..], &rest].concat();
            if let Ok(Message::Insert { new, .. }) = read(&bytes) {
                prop_assert!(new.columns().count() <= rest.len());
            }
        }
    }
}
