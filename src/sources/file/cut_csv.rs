//! Where a CSV record ends: quotes may hold ends of lines.

/// A longer record is taken for a quote that was never closed.
pub(super) const RECORD_MAX_BYTES: usize = 4 << 20;

/// What stands at the front of some bytes.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum CsvRecord {
    /// A record and where it ends (before its end of line), and over how many lines it goes.
    Whole { end: usize, lines: u64 },
    /// It goes on behind these bytes.
    Open,
}

/// Looks for the end of the record that stands at the front of `data`. At the end of the file it ends where the
/// data ends, unless a quote is open. A quote opens a field only where the field begins; anywhere else it is text.
pub(super) fn next(data: &[u8], delimiter: u8, at_end: bool) -> CsvRecord {
    let mut lines = 1;
    let mut at = 0;
    while let Some(found) = memchr::memchr2(b'"', b'\n', &data[at..]).map(|i| at + i) {
        if data[found] == b'\n' {
            return CsvRecord::Whole { end: found, lines };
        }
        at = found + 1;
        if found == 0 || data[found - 1] == delimiter {
            let Some(close) = closing(data, at, at_end) else { return CsvRecord::Open };
            lines += memchr::memchr_iter(b'\n', &data[at..close]).count() as u64;
            at = close + 1;
        }
    }
    if at_end { CsvRecord::Whole { end: data.len(), lines } } else { CsvRecord::Open }
}

/// The quote that closes what was opened before `at`; two in a row are one quote as text.
fn closing(data: &[u8], mut at: usize, at_end: bool) -> Option<usize> {
    loop {
        let found = at + memchr::memchr(b'"', &data[at..])?;
        match data.get(found + 1) {
            Some(b'"') => at = found + 2,
            Some(_) => return Some(found),
            None => return at_end.then_some(found),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_record_ends_at_the_first_line_end_outside_of_quotes() {
        for (data, at_end, expect) in [
            ("a,b\nc", false, Some((3, 1))),
            ("a,\"x\ny\"\nc", false, Some((7, 2))),
            ("a,\"x\"\"\ny\"\n", false, Some((9, 2))),
            ("a,b", false, None),
            ("a,b", true, Some((3, 1))),
            ("a,\"b\"", false, None),
            ("a,\"b\"", true, Some((5, 1))),
            ("a,\"b\n", true, None),
            ("it's 5\" wide\n", false, Some((12, 1))),
        ] {
            let expect = expect.map_or(CsvRecord::Open, |(end, lines)| CsvRecord::Whole { end, lines });
            assert_eq!(next(data.as_bytes(), b',', at_end), expect, "{data:?}");
        }
    }
}
