//! Splits bytes into records, wherever the bytes come from.

use super::cut_csv::{self, CsvRecord};
use super::cut_xml::{self, XmlPiece};
use std::sync::Arc;

/// A longer record is passed over as undecodable and not held in memory.
pub const RECORD_MAX_BYTES: usize = 64 << 20;
/// How much of a record that cannot be read is kept for people.
pub(super) const PROBLEM_TEXT_MAX_BYTES: usize = 400;
/// What may stand at the very front of a file and is none of its text.
pub(super) const BYTE_ORDER_MARK: &[u8] = b"\xef\xbb\xbf";

/// How a file becomes records.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Framing {
    /// One a line; blank lines are none.
    Lines,
    /// One a line, but quotes may hold ends of lines; the first one names the columns.
    Csv {
        /// Between columns.
        delimiter: u8,
    },
    /// The whole file is one.
    Document,
    /// What stands within the outermost element of an XML document, an element each; a file that does not begin with `<`
    /// is CSV.
    XmlOrCsv {
        /// Between columns.
        delimiter: u8,
    },
}

impl Framing {
    /// A file is read once it is whole, since what its records are follows from all of it.
    pub fn is_document(self) -> bool {
        matches!(self, Framing::Document | Framing::XmlOrCsv { .. })
    }
}

/// Where a record stands among the bytes at hand, and in its file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Record {
    pub(super) start: u32,
    pub(super) length: u32,
    /// The line at which it begins, the first being 1.
    pub line: u64,
}

impl Record {
    /// Its bytes among those at hand, without the end of its line.
    pub(super) fn of<'d>(&self, data: &'d [u8]) -> &'d [u8] {
        &data[self.start as usize..(self.start + self.length) as usize]
    }
}

/// Something that stands among the records and could not be read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// How many of the records at hand stand before it.
    pub before: usize,
    /// The line at which it begins.
    pub line: u64,
    /// One word for what is wrong.
    pub reason: &'static str,
    /// What is wrong, for people.
    pub detail: String,
    /// How it begins.
    pub text: Vec<u8>,
    /// Nothing behind it in the file could be read.
    pub fatal: bool,
}

/// Records and what could not be read among them.
#[derive(Debug, Default)]
pub(super) struct Pieces {
    pub(super) records: Vec<Record>,
    pub(super) problems: Vec<Problem>,
}

impl Pieces {
    pub(super) fn clear(&mut self) {
        self.records.clear();
        self.problems.clear();
    }

    /// Adds a record without the end of its line, unless it is blank.
    #[inline]
    fn push_line(&mut self, data: &[u8], start: usize, end: usize, line: u64) {
        let bytes = &data[start..end];
        let length = bytes.len() - usize::from(bytes.last() == Some(&b'\r'));
        let begins_blank = bytes.first().is_none_or(u8::is_ascii_whitespace);
        if !begins_blank || !bytes.trim_ascii().is_empty() {
            self.records.push(Record { start: start as u32, length: length as u32, line });
        }
    }

    pub(super) fn push_problem(&mut self, line: u64, reason: &'static str, detail: String, text: &[u8]) {
        let text = text[..text.len().min(PROBLEM_TEXT_MAX_BYTES)].to_vec();
        self.problems.push(Problem { before: self.records.len(), line, reason, detail, text, fatal: false });
    }
}

/// What may stand behind the bytes at hand.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Behind {
    /// There may be more.
    More,
    /// More has been waited for in vain: a quote that opens the bytes at hand and is not closed is torn.
    Stalled,
    /// Nothing: what is left is a record as well.
    Nothing,
}

/// How far the splitting of a file has come.
#[derive(Debug)]
pub(super) struct Splitter {
    pub(super) framing: Framing,
    /// The line at which the next record begins.
    pub(super) line: u64,
    /// The record that names the columns, once it has been read.
    pub(super) header: Option<Arc<[u8]>>,
    /// Of XML: the outermost element is open.
    pub(super) within: bool,
}

impl Splitter {
    pub(super) fn new(framing: Framing) -> Splitter {
        Splitter { framing, line: 1, header: None, within: false }
    }

    /// Splits what is there and says how many bytes that took.
    pub(super) fn split(&mut self, data: &[u8], behind: Behind, pieces: &mut Pieces) -> usize {
        match self.framing {
            Framing::Lines => self.split_lines(data, behind, pieces),
            Framing::Csv { delimiter } => self.split_csv(data, delimiter, behind, pieces),
            Framing::Document if behind == Behind::Nothing => {
                pieces.push_line(data, 0, data.len(), 1);
                data.len()
            }
            Framing::Document => 0,
            Framing::XmlOrCsv { delimiter } => {
                let begins = || data.iter().find(|byte| !byte.is_ascii_whitespace()) == Some(&b'<');
                if self.within || (self.header.is_none() && begins()) {
                    self.split_xml(data, behind, pieces)
                } else {
                    self.split_csv(data, delimiter, behind, pieces)
                }
            }
        }
    }

    /// What stands between the elements is passed over, and so is what follows the outermost one.
    fn split_xml(&mut self, data: &[u8], behind: Behind, pieces: &mut Pieces) -> usize {
        let mut start = 0;
        loop {
            let rest = &data[start..];
            let (length, what) = match cut_xml::next(rest, self.within) {
                Some(found) => found,
                None if behind == Behind::Nothing => {
                    if !rest.trim_ascii().is_empty() {
                        pieces.push_problem(self.line, "truncated", "the file ends within an element".into(), rest);
                    }
                    return data.len();
                }
                None => return start,
            };
            let end = start + length;
            let lines = memchr::memchr_iter(b'\n', &data[start..end]).count() as u64;
            match what {
                XmlPiece::Opens => self.within = true,
                XmlPiece::Closes => self.within = false,
                XmlPiece::Element => pieces.push_line(data, start, end, self.line),
                XmlPiece::Broken => {
                    pieces.push_problem(self.line, "syntax", "this is no well-formed XML".into(), &data[start..end]);
                }
                XmlPiece::Other => {}
            }
            self.line += lines;
            start = end;
            if start == data.len() {
                return start;
            }
        }
    }

    fn split_lines(&mut self, data: &[u8], behind: Behind, pieces: &mut Pieces) -> usize {
        let mut start = 0;
        for end in memchr::memchr_iter(b'\n', data) {
            pieces.push_line(data, start, end, self.line);
            self.line += 1;
            start = end + 1;
        }
        if behind == Behind::Nothing && start < data.len() {
            pieces.push_line(data, start, data.len(), self.line);
            // Should the line go on after all, its rest has another number.
            self.line += 1;
            start = data.len();
        }
        start
    }

    fn split_csv(&mut self, data: &[u8], delimiter: u8, behind: Behind, pieces: &mut Pieces) -> usize {
        let mut start = 0;
        while start < data.len() {
            let rest = &data[start..];
            let (end, lines) = match cut_csv::next(rest, delimiter, behind == Behind::Nothing) {
                CsvRecord::Whole { end, lines } => (end, lines),
                CsvRecord::Open => {
                    let line_end = memchr::memchr(b'\n', rest);
                    let torn = rest.len() >= cut_csv::RECORD_MAX_BYTES
                        || behind == Behind::Nothing
                        || (behind == Behind::Stalled && start == 0 && line_end.is_some());
                    if !torn {
                        break;
                    }
                    let end = line_end.unwrap_or(rest.len());
                    let detail = "a quote is opened and never closed".to_owned();
                    pieces.push_problem(self.line, "unclosed_quote", detail, &rest[..end]);
                    self.line += 1;
                    start = (start + end + 1).min(data.len());
                    continue;
                }
            };
            if self.header.is_some() {
                pieces.push_line(data, start, start + end, self.line);
            } else if !rest[..end].trim_ascii().is_empty() {
                self.header = Some(Arc::from(rest[..end].trim_ascii_end()));
            }
            self.line += lines;
            start += (end + 1).min(rest.len());
        }
        start
    }
}
