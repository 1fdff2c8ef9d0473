//! What the types of columns mean, and a value's text as JSON.
//!
//! Numbers keep their digits, JSON stays JSON, times become RFC 3339, bits are numbers and bytes hexadecimal; everything
//! else is text as the server writes it.

use crate::sources::json::string;
use std::borrow::Cow;
use std::fmt::Write;

/// How a value is written in JSON.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Number,
    /// `BIT(n)`: the server sends its bytes.
    Bits,
    Json,
    /// A moment without a zone.
    LocalTime,
    /// A moment, which the connection has in UTC.
    Moment,
    Bytes,
    Text,
}

impl Kind {
    /// Of a column as the catalogue describes it: its type's name, and whether it holds JSON by a check.
    pub fn of(data_type: &str, is_json: bool) -> Kind {
        match data_type {
            "tinyint" | "smallint" | "mediumint" | "int" | "bigint" | "decimal" | "float" | "double" | "year" => {
                Kind::Number
            }
            "bit" => Kind::Bits,
            "json" => Kind::Json,
            "datetime" => Kind::LocalTime,
            "timestamp" => Kind::Moment,
            "binary" | "varbinary" | "tinyblob" | "blob" | "mediumblob" | "longblob" | "vector" | "geometry"
            | "point" | "linestring" | "polygon" | "multipoint" | "multilinestring" | "multipolygon"
            | "geometrycollection" | "geomcollection" => Kind::Bytes,
            _ if is_json => Kind::Json,
            _ => Kind::Text,
        }
    }

    /// Appends a value as JSON.
    pub fn json(self, value: &[u8], out: &mut Vec<u8>) {
        match self {
            Kind::Number | Kind::Bits => out.extend_from_slice(&self.plain(value)),
            Kind::Json => out.extend_from_slice(value),
            _ => string(&self.plain(value), out),
        }
    }

    /// A value's text as it stands in JSON, without its quotes.
    pub fn plain(self, value: &[u8]) -> Cow<'_, [u8]> {
        match self {
            Kind::Number => number(value),
            Kind::Bits => bits(value).to_string().into_bytes().into(),
            Kind::Bytes => hex(value).into_bytes().into(),
            Kind::LocalTime => moment(value, b"").map_or(value.into(), Into::into),
            Kind::Moment => moment(value, b"Z").map_or(value.into(), Into::into),
            Kind::Json | Kind::Text => match String::from_utf8_lossy(value) {
                Cow::Borrowed(_) => value.into(),
                Cow::Owned(repaired) => repaired.into_bytes().into(),
            },
        }
    }
}

/// A number without the zeros that `ZEROFILL` puts before it.
fn number(text: &[u8]) -> Cow<'_, [u8]> {
    let (sign, digits) = if text.first() == Some(&b'-') { text.split_at(1) } else { text.split_at(0) };
    let zeros = digits.windows(2).take_while(|pair| pair[0] == b'0' && pair[1].is_ascii_digit()).count();
    if zeros == 0 { text.into() } else { [sign, &digits[zeros..]].concat().into() }
}

/// The number that bits stand for.
fn bits(bytes: &[u8]) -> u64 {
    bytes.iter().fold(0, |number, byte| number << 8 | u64::from(*byte))
}

/// Bytes as hexadecimal text.
pub(super) fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::with_capacity(2 * bytes.len()), |mut out, byte| {
        let _ = write!(out, "{byte:02x}");
        out
    })
}

/// `2026-11-26 01:34:09.5` as RFC 3339; `None` for what is no day of the calendar, such as `0000-00-00 00:00:00`.
fn moment(text: &[u8], zone: &[u8]) -> Option<Vec<u8>> {
    let usual = text.len() >= 19 && text[4] == b'-' && text[10] == b' ';
    let is_day = usual && &text[..4] != b"0000" && &text[5..7] != b"00" && &text[8..10] != b"00";
    is_day.then(|| [&text[..10], b"T", &text[11..], zone].concat())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(data_type: &str, text: &[u8], expected: &str) {
        let mut out = Vec::new();
        Kind::of(data_type, false).json(text, &mut out);
        let json = String::from_utf8(out).unwrap();
        assert_eq!(json, expected, "{data_type}");
        serde_json::from_str::<serde_json::Value>(&json).unwrap_or_else(|error| panic!("{json}: {error}"));
    }

    #[test]
    fn values_become_json() {
        check("bigint", b"18446744073709551615", "18446744073709551615");
        check("int", b"00042", "42");
        check("int", b"000", "0");
        check("decimal", b"-00001.50", "-1.50");
        check("decimal", b"0.50", "0.50");
        check("double", b"1e20", "1e20");
        check("year", b"0000", "0");
        check("bit", b"\x01\x00", "256");
        check("bit", &[0xff; 8], "18446744073709551615");
        check("json", br#"{"a": [1, null]}"#, r#"{"a": [1, null]}"#);
        check("datetime", b"2026-11-26 01:34:09.123456", "\"2026-11-26T01:34:09.123456\"");
        check("timestamp", b"2026-11-26 01:34:09", "\"2026-11-26T01:34:09Z\"");
        check("datetime", b"0000-00-00 00:00:00", "\"0000-00-00 00:00:00\"");
        check("datetime", b"2026-00-00 00:00:00", "\"2026-00-00 00:00:00\"");
        check("time", b"-838:59:59", "\"-838:59:59\"");
        check("varbinary", &[0xde, 0xad], "\"dead\"");
        check("set", b"a,b", "\"a,b\"");
        check("varchar", "a\"b\\c\n\u{1}ä".as_bytes(), "\"a\\\"b\\\\c\\n\\u0001ä\"");
        check("uuid", b"123e4567-e89b-12d3-a456-426655440000", "\"123e4567-e89b-12d3-a456-426655440000\"");
    }

    #[test]
    fn text_that_a_check_keeps_to_json_is_json() {
        assert_eq!((Kind::of("longtext", true), Kind::of("longtext", false)), (Kind::Json, Kind::Text));
    }
}
