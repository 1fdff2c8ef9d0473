//! Columns between delimiters, as RFC 4180 has it. What a record is was found out when it was cut;
//! here it is one payload, line breaks within quotes included.

use crate::extract::fields::{Fields, Name};
use crate::extract::undecodable::{Reason, Undecodable, utf8};
use crate::model::value::Value;
use std::borrow::Cow;
use std::sync::Arc;

/// Splits records into columns. All values are text.
#[derive(Clone, Debug)]
pub struct Csv {
    delimiter: u8,
    columns: Vec<Arc<str>>,
}

impl Csv {
    /// For columns between `delimiter`s, which is an ASCII character.
    pub fn new(delimiter: u8) -> Csv {
        Csv { delimiter, columns: Vec::new() }
    }

    /// Takes the names of the columns from the first record of a file.
    pub fn header(&mut self, payload: &[u8]) -> Result<(), Undecodable> {
        let text = utf8(payload)?;
        self.columns.clear();
        let mut rest = Some((0, text.trim_start_matches('\u{feff}')));
        while let Some((at, text)) = rest {
            let (name, behind) = column(text, at, self.delimiter)?;
            self.columns.push(Arc::from(name.trim()));
            rest = behind;
        }
        Ok(())
    }

    /// Splits a record.
    pub fn decode<'a>(&self, payload: &'a [u8], fields: &mut Fields<'a>) -> Result<(), Undecodable> {
        let mut rest = Some((0, utf8(payload)?));
        let mut count = 0;
        while let Some((at, text)) = rest {
            let (value, behind) = column(text, at, self.delimiter)?;
            if let Some(name) = self.columns.get(count) {
                fields.push(Name::Shared(name.clone()), Value::Text(value));
            }
            count += 1;
            rest = behind;
        }
        if count == self.columns.len() {
            return Ok(());
        }
        let detail = format!("{count} columns where the header names {}", self.columns.len());
        Err(Undecodable::whole(Reason::Columns, detail))
    }
}

type Rest<'a> = Option<(usize, &'a str)>;

/// The first column of `text`, and what follows its delimiter. `at` is where `text` stands in the record.
fn column(text: &str, at: usize, delimiter: u8) -> Result<(Cow<'_, str>, Rest<'_>), Undecodable> {
    let bytes = text.as_bytes();
    let behind = |end: usize| (end < bytes.len()).then(|| (at + end + 1, &text[end + 1..]));
    if bytes.first() != Some(&b'"') {
        let end = memchr::memchr(delimiter, bytes).unwrap_or(bytes.len());
        return Ok((Cow::Borrowed(&text[..end]), behind(end)));
    }
    let mut value = Cow::Borrowed("");
    let mut from = 1;
    loop {
        let Some(quote) = memchr::memchr(b'"', &bytes[from..]).map(|n| from + n) else {
            return Err(Undecodable::at(Reason::Truncated, at, "a quote is opened and never closed"));
        };
        value += &text[from..quote];
        match bytes.get(quote + 1) {
            Some(b'"') => {
                value += "\"";
                from = quote + 2;
            }
            Some(next) if *next != delimiter => {
                let detail = "a closing quote is followed by neither the delimiter nor the record's end";
                return Err(Undecodable::at(Reason::Syntax, at + quote + 1, detail));
            }
            _ => return Ok((value, behind(quote + 1))),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn split(delimiter: u8, header: &str, payload: &[u8]) -> Result<Vec<(String, String)>, Undecodable> {
        let mut csv = Csv::new(delimiter);
        csv.header(header.as_bytes())?;
        let mut fields = Fields::default();
        csv.decode(payload, &mut fields)?;
        Ok(fields.iter().map(|(name, value)| (name.to_owned(), value.display().into_owned())).collect())
    }

    fn values(payload: &str) -> Result<Vec<String>, Undecodable> {
        let all = split(b',', "a,b,c", payload.as_bytes())?;
        Ok(all.into_iter().map(|(_, value)| value).collect())
    }

    #[test]
    fn columns_are_named_by_the_header() {
        let fields = split(b';', "\u{feff}id;\"the amount\"; note", "o-1;12,50;\"a;b\"".as_bytes());
        let expected = [("id", "o-1"), ("the amount", "12,50"), ("note", "a;b")];
        assert_eq!(fields.unwrap(), expected.map(|(n, v)| (n.to_owned(), v.to_owned())));
    }

    #[test]
    fn quotes_protect_delimiters_quotes_and_line_breaks() {
        assert_eq!(
            values("\"a,1\",\"say \"\"hi\"\"\",\"two\r\nlines\"").unwrap(),
            ["a,1", "say \"hi\"", "two\r\nlines"]
        );
        assert_eq!(values(",\"\",").unwrap(), ["", "", ""]);
        assert_eq!(values("007, x ,5\" pipe").unwrap(), ["007", " x ", "5\" pipe"], "all is text, as it stands");
    }

    #[test]
    fn what_is_broken_is_shown_by_place() {
        let reason = |payload: &str| values(payload).map_err(|e| (e.reason, e.at)).unwrap_err();
        assert_eq!(reason("1,2"), (Reason::Columns, None));
        assert_eq!(reason("1,2,3,4"), (Reason::Columns, None));
        assert_eq!(reason(""), (Reason::Columns, None));
        assert_eq!(reason("1,2,\"3"), (Reason::Truncated, Some(4)));
        assert_eq!(reason("1,\"2\"x,3"), (Reason::Syntax, Some(5)));
        assert_eq!(split(b',', "a", b"\xff").unwrap_err().reason, Reason::InvalidUtf8);
        assert_eq!(values("1,2").unwrap_err().detail, "2 columns where the header names 3");
    }

    #[test]
    fn nothing_is_copied_that_needs_no_change() {
        let mut csv = Csv::new(b',');
        csv.header(b"a,b").unwrap();
        let mut fields = Fields::default();
        csv.decode(b"plain,\"quoted, too\"", &mut fields).unwrap();
        assert!(fields.iter().all(|(_, value)| matches!(value, Value::Text(Cow::Borrowed(_)))));
    }

    proptest! {
        #[test]
        fn what_is_written_by_the_rules_is_read(cells in prop::collection::vec("[a,\"\n é]{0,6}", 1..6), quote: bool) {
            let quoted = |cell: &String| match quote || cell.contains([',', '"', '\n']) {
                true => format!("\"{}\"", cell.replace('"', "\"\"")),
                false => cell.clone(),
            };
            let record = cells.iter().map(quoted).collect::<Vec<_>>().join(",");
            let header = vec!["x"; cells.len()].join(",");
            let read: Vec<String> = split(b',', &header, record.as_bytes()).unwrap().into_iter().map(|(_, v)| v).collect();
            prop_assert_eq!(&read, &cells);
            // And as another reader of the format understands it.
            let mut output = [0; 256];
            let mut ends = [0; 16];
            let mut reader = csv_core::Reader::new();
            let (_, _, used, count) = reader.read_record(format!("{record}\n").as_bytes(), &mut output, &mut ends);
            if !record.is_empty() {
                prop_assert_eq!(count, cells.len());
                prop_assert_eq!(output[..used].to_vec(), cells.concat().into_bytes());
            }
        }

        #[test]
        fn no_payload_is_too_strange(payload in prop::collection::vec(prop::num::u8::ANY, 0..40)) {
            let _ = split(b',', "a,b", &payload);
            let _ = Csv::new(b';').header(&payload);
        }
    }
}
