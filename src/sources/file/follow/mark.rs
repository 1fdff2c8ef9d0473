//! How far a file has been read, and by what it is known again.
//!
//! ```text
//! │◀ head: 256 ▶│ …                    │◀ tail: 256 ▶│ offset     not read yet …
//! ```
//!
//! The *head* tells which file this may be; the *tail*, what stands right before the place that has been reached,
//! tells that it is the same text up to there. A file that was truncated and has grown again fails there, however
//! alike all files of the log begin.

use super::bytes::Bytes;
use serde::{Deserialize, Serialize};
use std::io;

/// Prints are taken of so many bytes at most.
pub(super) const PRINT_MAX_BYTES: usize = 256;

/// A place in a file's text, and the prints of what stands before it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Mark {
    /// Bytes of whole records before it, unpacked.
    pub(super) offset: u64,
    /// The line that begins there, the first being 1.
    pub(super) line: u64,
    #[serde(with = "postcard::fixint::le")]
    head: u64,
    #[serde(with = "postcard::fixint::le")]
    tail: u64,
}

impl Mark {
    pub(super) const START: Mark = Mark { offset: 0, line: 1, head: SEED, tail: SEED };

    /// How many bytes a print covers.
    fn covers(&self) -> usize {
        usize::try_from(self.offset).unwrap_or(usize::MAX).min(PRINT_MAX_BYTES)
    }

    /// What stands right before the place; `None` if it is not what stood there when it was reached.
    pub(super) fn confirm(&self, bytes: &mut Bytes) -> io::Result<Option<Vec<u8>>> {
        let mut before = vec![0; self.covers()];
        let filled = bytes.read_at(self.offset - before.len() as u64, &mut before)?;
        let same = filled.count == before.len() && print(SEED, &before) == self.tail;
        Ok(same.then_some(before))
    }

    /// Goes on over `taken`; `before` is what [`Mark::confirm`] gave.
    pub(super) fn advance(&mut self, mut before: Vec<u8>, taken: &[u8], line: u64) {
        let missing = (PRINT_MAX_BYTES - self.covers()).min(taken.len());
        self.head = print(self.head, &taken[..missing]);
        before.extend_from_slice(&taken[taken.len().saturating_sub(PRINT_MAX_BYTES)..]);
        self.tail = print(SEED, &before[before.len().saturating_sub(PRINT_MAX_BYTES)..]);
        self.offset += taken.len() as u64;
        self.line = line;
    }
}

/// How a file begins: the prints of its first bytes, for each number of them.
pub(super) struct Front(Vec<u64>);

impl Front {
    pub(super) fn of(bytes: &mut Bytes) -> io::Result<Front> {
        let mut first = [0; PRINT_MAX_BYTES];
        let count = bytes.read_at(0, &mut first)?.count;
        let mut prints = vec![SEED];
        prints.extend(first[..count].iter().scan(SEED, |so_far, byte| {
            *so_far = print(*so_far, &[*byte]);
            Some(*so_far)
        }));
        Ok(Front(prints))
    }

    /// Whether the text before the mark begins like this.
    pub(super) fn leads_to(&self, mark: &Mark) -> bool {
        self.0.get(mark.covers()) == Some(&mark.head)
    }
}

const SEED: u64 = 0xcbf2_9ce4_8422_2325;

/// FNV-1a, which stays the same in all versions and can be continued.
fn print(so_far: u64, bytes: &[u8]) -> u64 {
    bytes.iter().fold(so_far, |hash, byte| (hash ^ u64::from(*byte)).wrapping_mul(0x0000_0100_0000_01b3))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write;

    fn bytes(content: &[u8]) -> Bytes {
        let mut file = tempfile::tempfile().unwrap();
        file.write_all(content).unwrap();
        Bytes::over(file).unwrap()
    }

    fn marked(content: &[u8], steps: &[usize]) -> Mark {
        let mut mark = Mark::START;
        for step in steps {
            let before = mark.confirm(&mut bytes(content)).unwrap().expect("the same text");
            let offset = mark.offset as usize;
            mark.advance(before, &content[offset..offset + step], mark.line + 1);
        }
        mark
    }

    #[test]
    fn a_mark_is_the_same_in_whatever_steps_it_was_reached() {
        let content: Vec<u8> = (0..1000).map(|n: u32| (n * 7 % 251) as u8).collect();
        let (small, large) = (marked(&content, &[1, 99, 200, 3, 297]), marked(&content, &[300, 290, 5, 4, 1]));
        assert_eq!(small, large);
        assert!(Front::of(&mut bytes(&content)).unwrap().leads_to(&small));
    }

    #[test]
    fn another_text_is_told_by_its_head_or_by_what_stands_before_the_mark() {
        let content: Vec<u8> = (0..1000).map(|n: u32| (n * 7 % 251) as u8).collect();
        let mark = marked(&content, &[600]);
        let changed = |at: usize| {
            let mut content = content.clone();
            content[at] ^= 1;
            let mut bytes = bytes(&content);
            (Front::of(&mut bytes).unwrap().leads_to(&mark), mark.confirm(&mut bytes).unwrap().is_some())
        };
        assert_eq!(changed(0), (false, true));
        assert_eq!(changed(599), (true, false));
        assert_eq!(changed(600), (true, true));
        assert!(mark.confirm(&mut bytes(&content[..599])).unwrap().is_none());
        assert!(!Front::of(&mut bytes(&content[..255])).unwrap().leads_to(&mark));
    }
}
