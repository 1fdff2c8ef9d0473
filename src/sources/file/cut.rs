//! Cuts a file into records, a chunk at a time.
//!
//! ```text
//! block:  …}\n{"ts":1,…}\n{"ts":2,…}\n{"ts":3,…        what stands behind the last end of a record
//!             └─ record ─┘└─ record ─┘└─ carry ─▶      goes to the front of the next block
//! ```
//!
//! Where a chunk ends depends on the bytes alone, never on how they arrived.

use super::open::Unpacked;
use super::split::{
    BYTE_ORDER_MARK, Behind, Framing, PROBLEM_TEXT_MAX_BYTES, Pieces, Problem, RECORD_MAX_BYTES, Record, Splitter,
};
use std::io;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

/// Some records of one file, in their order.
#[derive(Debug, Default)]
pub struct Chunk {
    data: Vec<u8>,
    filled: usize,
    pieces: Pieces,
    header: Option<Arc<[u8]>>,
    last: bool,
}

impl Chunk {
    /// The records.
    pub fn records(&self) -> &[Record] {
        &self.pieces.records
    }

    /// A record's bytes, without the end of its line.
    pub fn bytes(&self, record: &Record) -> &[u8] {
        record.of(&self.data)
    }

    /// What could not be read, in order.
    pub fn problems(&self) -> &[Problem] {
        &self.pieces.problems
    }

    /// The record that names the columns, where the framing has one.
    pub fn header(&self) -> Option<&[u8]> {
        self.header.as_deref()
    }

    /// Whether the file has ended with it.
    pub fn is_last(&self) -> bool {
        self.last
    }

    fn clear(&mut self, block: usize) {
        self.filled = 0;
        self.pieces.clear();
        self.header = None;
        self.last = false;
        if self.data.len() > 4 * block {
            self.data = Vec::new();
        }
    }

    /// Begins with what was left over, and makes room for so much in all: not more, even if there is room from an
    /// earlier chunk, since where a chunk ends must not depend on which memory it is given.
    fn fill_front(&mut self, carry: &[u8], wanted: usize) {
        self.data.resize(wanted, 0);
        self.data[..carry.len()].copy_from_slice(carry);
        self.filled = carry.len();
    }
}

/// Reads one file.
pub struct Cutter {
    input: Unpacked,
    splitter: Splitter,
    block: usize,
    /// What has been read and not been split yet.
    carry: Vec<u8>,
    begun: bool,
    /// The input has no more.
    exhausted: bool,
    /// What cut the input short.
    failure: Option<io::Error>,
    finished: bool,
}

impl Cutter {
    /// Opens a file; `block` bytes are read at a time. A pipe ends where it is `interrupted`.
    pub fn open(path: &Path, framing: Framing, block: usize, interrupted: &Arc<AtomicBool>) -> io::Result<Cutter> {
        Ok(Cutter {
            input: Unpacked::open(path, interrupted)?,
            splitter: Splitter::new(framing),
            block,
            carry: Vec::new(),
            begun: false,
            exhausted: false,
            failure: None,
            finished: false,
        })
    }

    /// How many bytes of the file have been read, packed as they are.
    pub fn consumed(&self) -> u64 {
        self.input.consumed()
    }

    /// Fills `chunk` with the next records. After the last one it stays empty.
    pub fn next(&mut self, chunk: &mut Chunk) {
        chunk.clear(self.block);
        chunk.fill_front(&self.carry, self.block.max(2 * self.carry.len()));
        while !self.finished {
            self.fill(chunk);
            let behind = if self.exhausted && self.failure.is_none() { Behind::Nothing } else { Behind::More };
            let done = self.splitter.split(&chunk.data[..chunk.filled], behind, &mut chunk.pieces);
            if self.exhausted {
                self.finish(chunk);
            } else if done > 0 {
                self.carry.clear();
                self.carry.extend_from_slice(&chunk.data[done..chunk.filled]);
                break;
            } else if chunk.filled >= RECORD_MAX_BYTES {
                self.pass_over(chunk);
                break;
            } else {
                chunk.data.resize((2 * chunk.data.len()).min(RECORD_MAX_BYTES), 0);
            }
        }
        chunk.header.clone_from(&self.splitter.header);
        chunk.last = self.finished;
    }

    /// Reads behind what is there, until the chunk is full or the file ends.
    fn fill(&mut self, chunk: &mut Chunk) {
        if self.exhausted {
            return;
        }
        let space = &mut chunk.data[chunk.filled..];
        let wanted = space.len();
        let (count, failure) = self.input.fill(space);
        chunk.filled += count;
        self.exhausted = count < wanted;
        self.failure = failure;
        if !self.begun && chunk.data[..chunk.filled].starts_with(BYTE_ORDER_MARK) {
            chunk.data.copy_within(BYTE_ORDER_MARK.len()..chunk.filled, 0);
            chunk.filled -= BYTE_ORDER_MARK.len();
        }
        self.begun = true;
    }

    fn finish(&mut self, chunk: &mut Chunk) {
        if let Some(error) = self.failure.take() {
            chunk.pieces.push_problem(self.splitter.line, "unreadable", error.to_string(), b"");
            if let Some(problem) = chunk.pieces.problems.last_mut() {
                problem.fatal = true;
            }
        }
        self.carry = Vec::new();
        self.finished = true;
    }

    /// Reads over a record that is too long, up to the end of its line or, for a document, of the file.
    fn pass_over(&mut self, chunk: &mut Chunk) {
        let text = chunk.data[..PROBLEM_TEXT_MAX_BYTES].to_vec();
        let mut length = chunk.filled;
        chunk.data.truncate(self.block);
        chunk.data.shrink_to_fit();
        self.carry.clear();
        while !self.exhausted {
            let (count, failure) = self.input.fill(&mut chunk.data);
            self.exhausted = count < chunk.data.len();
            self.failure = failure;
            let ends_line = match self.splitter.framing {
                Framing::Document => None,
                Framing::Lines | Framing::Csv { .. } | Framing::XmlOrCsv { .. } => {
                    memchr::memchr(b'\n', &chunk.data[..count])
                }
            };
            length += ends_line.unwrap_or(count);
            if let Some(end) = ends_line {
                self.carry.extend_from_slice(&chunk.data[end + 1..count]);
                break;
            }
        }
        let detail = format!("{length} bytes long, the most is {RECORD_MAX_BYTES}");
        chunk.pieces.push_problem(self.splitter.line, "too_long", detail, &text);
        self.splitter.line += 1;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::fs;
    use std::io::Write;

    const CSV: Framing = Framing::Csv { delimiter: b',' };

    /// What a file is cut into, as `line:text` and `line!reason`, whatever the size of the block.
    fn cut(content: &[u8], framing: Framing) -> Vec<String> {
        let file = tempfile::NamedTempFile::new().unwrap();
        fs::write(file.path(), content).unwrap();
        let small = cut_file(file.path(), framing, 4);
        assert_eq!(small, cut_file(file.path(), framing, 1 << 12), "the same whatever the block");
        small
    }

    fn cut_file(path: &Path, framing: Framing, block: usize) -> Vec<String> {
        let mut cutter = Cutter::open(path, framing, block, &Arc::default()).unwrap();
        let (mut chunk, mut seen) = (Chunk::default(), Vec::new());
        loop {
            cutter.next(&mut chunk);
            for index in 0..=chunk.records().len() {
                seen.extend(
                    chunk.problems().iter().filter(|p| p.before == index).map(|p| format!("{}!{}", p.line, p.reason)),
                );
                seen.extend(
                    chunk.records().get(index).map(|r| format!("{}:{}", r.line, chunk.bytes(r).escape_ascii())),
                );
            }
            if chunk.is_last() {
                return seen;
            }
        }
    }

    #[test]
    fn lines_end_as_they_please() {
        for (content, expect) in [
            ("a\nb\n", vec!["1:a", "2:b"]),
            ("a\r\n\r\nb", vec!["1:a", "3:b"]),
            ("\u{feff}a\n \t\nb \n", vec!["1:a", "3:b "]),
            ("", vec![]),
            ("\n\n", vec![]),
            ("a long line that no small block holds\nb", vec!["1:a long line that no small block holds", "2:b"]),
        ] {
            assert_eq!(cut(content.as_bytes(), Framing::Lines), expect, "{content:?}");
        }
    }

    #[test]
    fn csv_records_may_hold_lines_and_a_torn_quote_costs_one_line() {
        for (content, expect) in [
            ("h1,h2\n1,2\n3,4", vec!["2:1,2", "3:3,4"]),
            ("h\r\n\"a\r\nb\",\"\"\"\"\r\nc\r\n", vec!["2:\\\"a\\r\\nb\\\",\\\"\\\"\\\"\\\"", "4:c"]),
            ("h\n5\" pipe,x\ny\n", vec!["2:5\\\" pipe,x", "3:y"]),
            ("h\n\"torn,1\nb,2\nc,3\n", vec!["2!unclosed_quote", "3:b,2", "4:c,3"]),
            ("\n\nh\n1\n", vec!["4:1"]),
            ("h", vec![]),
        ] {
            assert_eq!(cut(content.as_bytes(), CSV), expect, "{content:?}");
        }
    }

    #[test]
    fn a_document_is_one_record() {
        assert_eq!(cut(b"{\n\"a\": 1\n}\n", Framing::Document), ["1:{\\n\\\"a\\\": 1\\n}\\n"]);
        assert_eq!(cut(b" \n", Framing::Document), Vec::<String>::new());
    }

    fn gzip(content: &[u8]) -> Vec<u8> {
        let mut packer = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        packer.write_all(content).unwrap();
        packer.finish().unwrap()
    }

    #[test]
    fn packed_files_are_unpacked_member_by_member() {
        let frame = |content: &[u8]| zstd::encode_all(content, 1).unwrap();
        assert_eq!(cut(&[gzip(b"a\nb"), gzip(b"c\nd\n")].concat(), Framing::Lines), ["1:a", "2:bc", "3:d"]);
        assert_eq!(cut(&[frame(b"a\nb"), frame(b"c\nd\n")].concat(), Framing::Lines), ["1:a", "2:bc", "3:d"]);
    }

    #[test]
    fn a_torn_package_is_a_problem_behind_what_could_be_read() {
        let lines: String = (0..5000).map(|n| format!("line {n}\n")).collect();
        let whole = gzip(lines.as_bytes());
        let seen = cut(&whole[..whole.len() / 2], Framing::Lines);
        assert_eq!(seen[0], "1:line 0");
        assert!(seen.last().unwrap().ends_with("!unreadable"), "{:?}", seen.last());
    }

    #[test]
    fn a_record_beyond_the_limit_is_passed_over() {
        let mut content = b"a\n".to_vec();
        content.resize(content.len() + RECORD_MAX_BYTES + 5, b'x');
        content.extend_from_slice(b"\nb\n");
        let file = tempfile::NamedTempFile::new().unwrap();
        fs::write(file.path(), &content).unwrap();
        assert_eq!(cut_file(file.path(), Framing::Lines, 1 << 18), ["1:a", "2!too_long", "3:b"]);
        assert_eq!(cut_file(file.path(), Framing::Document, 1 << 18), ["1!too_long"]);
    }

    #[test]
    fn a_file_that_shrinks_is_a_problem() {
        let file = tempfile::NamedTempFile::new().unwrap();
        fs::write(file.path(), "one\ntwo\nthree\n").unwrap();
        let mut cutter = Cutter::open(file.path(), Framing::Lines, 4, &Arc::default()).unwrap();
        let mut chunk = Chunk::default();
        cutter.next(&mut chunk);
        fs::write(file.path(), "one\n").unwrap();
        while !chunk.is_last() {
            cutter.next(&mut chunk);
        }
        let problem = &chunk.problems()[0];
        assert!(problem.fatal && problem.detail.contains("shrank"), "{problem:?}");
    }

    proptest! {
        #[test]
        fn the_size_of_the_block_changes_nothing(content in "[ab,\" \r\n]{0,60}") {
            for framing in [Framing::Lines, CSV, Framing::Document] {
                let seen = cut(content.as_bytes(), framing);
                if framing == Framing::Lines {
                    let lines = content.split('\n').zip(1..).filter(|(line, _)| !line.trim().is_empty());
                    let lines = lines.map(|(line, n)| format!("{n}:{}", line.strip_suffix('\r').unwrap_or(line).escape_default()));
                    prop_assert_eq!(seen, lines.collect::<Vec<_>>());
                }
            }
        }
    }
}
