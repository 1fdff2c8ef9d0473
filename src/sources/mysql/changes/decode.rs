//! A value of the log as the text that the server would write of it, so that captured and polled rows are alike.

use crate::sources::mysql::catalog::Column;
use chrono::DateTime;
use mysql_async::Value;
use mysql_async::binlog::value::BinlogValue;

/// How a column's values become text, worked out once.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum How {
    /// A whole number without a sign, of so many bytes.
    Unsigned(u32),
    /// The names of an enumeration, or of a set.
    Enum(Vec<String>),
    Set(Vec<String>),
    /// Bytes of this length, of which the log leaves out zeros at the end.
    Padded(usize),
    /// Text of another character set.
    Latin1,
    Utf16,
    /// A UUID, as its bytes.
    Uuid,
    /// An address, as its bytes.
    Inet(usize),
    Plain,
}

impl How {
    /// Of a column; an error where the log cannot be read for it.
    pub fn of(column: &Column) -> Result<How, String> {
        let unsigned = |bytes| if column.full_type.contains("unsigned") { How::Unsigned(bytes) } else { How::Plain };
        Ok(match column.data_type.as_str() {
            "tinyint" => unsigned(1),
            "smallint" => unsigned(2),
            "mediumint" => unsigned(3),
            "int" => unsigned(4),
            "bigint" => unsigned(8),
            "enum" => How::Enum(names(&column.full_type)),
            "set" => How::Set(names(&column.full_type)),
            "binary" => How::Padded(length(&column.full_type)),
            "uuid" => How::Uuid,
            "inet4" => How::Inet(4),
            "inet6" => How::Inet(16),
            _ => match column.charset.as_deref() {
                None | Some("utf8mb4" | "utf8mb3" | "utf8" | "ascii") => How::Plain,
                Some("latin1") => How::Latin1,
                Some("ucs2" | "utf16") => How::Utf16,
                Some(other) => return Err(format!("its column `{}` is in the character set {other}", column.name)),
            },
        })
    }

    /// The text of a value; `Ok(None)` for null, an error for what cannot be read.
    pub fn text(&self, column: &Column, value: &BinlogValue<'_>) -> Result<Option<Vec<u8>>, String> {
        let odd = || format!("its column `{}` has a value of another type", column.name);
        let value = match value {
            BinlogValue::Value(value) => value,
            BinlogValue::Jsonb(json) => {
                let json = serde_json::Value::try_from(json.clone()).map_err(|error| error.to_string())?;
                return Ok(Some(json.to_string().into_bytes()));
            }
            BinlogValue::JsonDiff(_) => return Err(format!("only a part of its column `{}` was logged", column.name)),
        };
        Ok(Some(match (self, value) {
            (_, Value::NULL) => return Ok(None),
            (How::Unsigned(bytes), Value::Int(number)) => wrapped(*number, *bytes).to_string().into_bytes(),
            (How::Enum(names), Value::Int(number)) => enumerated(names, *number).ok_or_else(odd)?,
            (How::Set(names), Value::Bytes(bits)) => members(names, bits).into_bytes(),
            (How::Padded(length), Value::Bytes(bytes)) => padded(bytes, *length),
            (How::Latin1, Value::Bytes(bytes)) => {
                bytes.iter().map(|byte| windows_1252(*byte)).collect::<String>().into()
            }
            (How::Utf16, Value::Bytes(bytes)) => {
                let units = bytes.chunks_exact(2).map(|pair| u16::from_be_bytes([pair[0], pair[1]]));
                char::decode_utf16(units).map(|one| one.unwrap_or('\u{fffd}')).collect::<String>().into()
            }
            (How::Uuid, Value::Bytes(bytes)) => uuid(&padded(bytes, 16)).into_bytes(),
            (How::Inet(length), Value::Bytes(bytes)) => address(&padded(bytes, *length)).ok_or_else(odd)?,
            (_, Value::Bytes(bytes)) => plain(column, bytes),
            (_, Value::Int(number)) if column.data_type == "timestamp" => timestamp(number.unsigned_abs(), 0, 0),
            (_, Value::Int(number)) => number.to_string().into_bytes(),
            (_, Value::UInt(number)) => number.to_string().into_bytes(),
            (_, Value::Float(number)) => number_text(f64::from(*number), number.to_string()),
            (_, Value::Double(number)) => number_text(*number, number.to_string()),
            (_, Value::Date(year, month, day, hour, minute, second, micros)) => {
                let date = format!("{year:04}-{month:02}-{day:02}");
                match column.data_type.as_str() {
                    "date" => date.into_bytes(),
                    _ => format!("{date} {hour:02}:{minute:02}:{second:02}{}", fraction(*micros, column.digits)).into(),
                }
            }
            (_, Value::Time(negative, days, hours, minutes, seconds, micros)) => {
                let (sign, hours) = (if *negative { "-" } else { "" }, days * 24 + u32::from(*hours));
                format!("{sign}{hours:02}:{minutes:02}:{seconds:02}{}", fraction(*micros, column.digits)).into()
            }
        }))
    }
}

/// What comes as bytes, and is mostly what it stands for.
fn plain(column: &Column, bytes: &[u8]) -> Vec<u8> {
    match column.data_type.as_str() {
        // Seconds since 1970, of which the library makes a signed number, and microseconds.
        "timestamp" => {
            let text = String::from_utf8_lossy(bytes);
            let (seconds, micros) = text.split_once('.').unwrap_or((&text, "0"));
            let seconds = seconds.parse::<i64>().unwrap_or_default() as u32;
            timestamp(seconds.into(), micros.parse().unwrap_or_default(), column.digits)
        }
        // The library adds 1900 to the zero of the year 0000.
        "year" if bytes == b"1900" => b"0000".to_vec(),
        _ => bytes.to_vec(),
    }
}

fn timestamp(seconds: u64, micros: u32, digits: u32) -> Vec<u8> {
    if seconds == 0 {
        return format!("0000-00-00 00:00:00{}", fraction(0, digits)).into();
    }
    let at = DateTime::from_timestamp(seconds as i64, 0).unwrap_or_default();
    format!("{}{}", at.format("%Y-%m-%d %H:%M:%S"), fraction(micros, digits)).into()
}

/// So many digits of a second.
fn fraction(micros: u32, digits: u32) -> String {
    match digits {
        0 => String::new(),
        digits => format!(".{}", &format!("{micros:06}")[..digits.min(6) as usize]),
    }
}

/// A number without the hundreds of zeros that a large or small one would have.
fn number_text(number: f64, plain: String) -> Vec<u8> {
    let size = number.abs();
    let usual = size == 0.0 || (1e-5..1e15).contains(&size);
    if usual { plain.into() } else { format!("{number:e}").into() }
}

/// A number without a sign that was read as one with a sign.
fn wrapped(number: i64, bytes: u32) -> u64 {
    if bytes == 8 { number as u64 } else { number as u64 & ((1 << (8 * bytes)) - 1) }
}

/// The name of an enumeration's value; the empty text stands for what is none.
fn enumerated(names: &[String], number: i64) -> Option<Vec<u8>> {
    let at = usize::try_from(number).ok()?;
    if at == 0 {
        return Some(Vec::new());
    }
    names.get(at - 1).map(|name| name.clone().into_bytes())
}

/// The members of a set whose bits are set.
fn members(names: &[String], bits: &[u8]) -> String {
    let has = |at: &usize| bits.get(at / 8).is_some_and(|byte| byte >> (at % 8) & 1 == 1);
    (0..names.len()).filter(has).map(|at| names[at].as_str()).collect::<Vec<_>>().join(",")
}

fn padded(bytes: &[u8], length: usize) -> Vec<u8> {
    let mut bytes = bytes.to_vec();
    bytes.resize(length.max(bytes.len()), 0);
    bytes
}

/// The values in `enum('a','it''s')`.
fn names(full_type: &str) -> Vec<String> {
    let (mut names, mut name, mut within) = (Vec::new(), String::new(), false);
    let mut rest = full_type.chars().peekable();
    while let Some(c) = rest.next() {
        match c {
            '\'' if within && rest.peek() == Some(&'\'') => {
                name.push('\'');
                rest.next();
            }
            '\'' if within => {
                names.push(std::mem::take(&mut name));
                within = false;
            }
            '\'' => within = true,
            c if within => name.push(c),
            _ => {}
        }
    }
    names
}

/// The number in `binary(16)`.
fn length(full_type: &str) -> usize {
    let digits: String = full_type.chars().filter(char::is_ascii_digit).collect();
    digits.parse().unwrap_or(1)
}

/// MySQL's latin1 is what Windows made of it.
fn windows_1252(byte: u8) -> char {
    const HIGH: [char; 32] = [
        '€', '\u{81}', '‚', 'ƒ', '„', '…', '†', '‡', 'ˆ', '‰', 'Š', '‹', 'Œ', '\u{8d}', 'Ž', '\u{8f}', '\u{90}', '‘',
        '’', '“', '”', '•', '–', '—', '˜', '™', 'š', '›', 'œ', '\u{9d}', 'ž', 'Ÿ',
    ];
    if (0x80..0xa0).contains(&byte) { HIGH[usize::from(byte) - 0x80] } else { char::from(byte) }
}

/// The text of a UUID. In the log, unlike in its tables, the server has its bytes in the order of the text.
fn uuid(bytes: &[u8]) -> String {
    let hex = crate::sources::mysql::types::hex(bytes);
    [(0, 8), (8, 12), (12, 16), (16, 20), (20, 32)].map(|(from, to)| &hex[from..to]).join("-")
}

fn address(bytes: &[u8]) -> Option<Vec<u8>> {
    let text = match bytes.len() {
        4 => std::net::Ipv4Addr::from(<[u8; 4]>::try_from(bytes).ok()?).to_string(),
        _ => std::net::Ipv6Addr::from(<[u8; 16]>::try_from(bytes).ok()?).to_string(),
    };
    Some(text.into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_an_enumeration_are_read_from_its_type() {
        assert_eq!(names("enum('a','it''s','b,c','')"), ["a", "it's", "b,c", ""]);
        assert_eq!((enumerated(&["a".into()], 1), enumerated(&[], 0)), (Some(b"a".to_vec()), Some(vec![])));
        assert_eq!(enumerated(&["a".into()], 2), None, "its type has changed");
        assert_eq!(members(&["x".into(), "y".into(), "z".into()], &[0b101]), "x,z");
    }

    #[test]
    fn numbers_and_times_are_as_the_server_writes_them() {
        assert_eq!((wrapped(-1, 1), wrapped(-1, 3), wrapped(-1, 8)), (255, 0xff_ffff, u64::MAX));
        assert_eq!(timestamp(1, 5_000, 3), b"1970-01-01 00:00:01.005");
        assert_eq!(timestamp(0, 0, 0), b"0000-00-00 00:00:00");
        assert_eq!(timestamp(u64::from(u32::MAX), 0, 0), b"2106-02-07 06:28:15");
        assert_eq!(number_text(1e20, "unused".into()), b"1e20");
        assert_eq!(length("binary(16)"), 16);
        assert_eq!(windows_1252(0x80), '€');
    }
}
