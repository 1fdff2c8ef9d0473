//! Names and texts to recognise in a document, compared eight bytes at a time.

/// A name or a text to recognise.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Word {
    ends: Ends,
    bytes: Box<[u8]>,
}

/// A text's length, and its first and its last eight bytes (of a shorter one all of it, padded with
/// zeros, and nothing). That is all of a text of up to sixteen bytes, and tells most others apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Ends {
    first: u64,
    last: u64,
    length: usize,
}

impl Word {
    pub fn new(text: &str) -> Word {
        Word { ends: Ends::of(text.as_bytes(), 0, text.len()), bytes: text.as_bytes().into() }
    }

    /// What it is sorted by.
    #[inline(always)]
    pub fn first(&self) -> u64 {
        self.ends.first
    }

    /// Whether it is the text that stands at `start` and has these ends.
    #[inline(always)]
    pub fn stands(&self, bytes: &[u8], start: usize, ends: Ends) -> bool {
        self.ends == ends && (ends.length <= 16 || *self.bytes == bytes[start..start + ends.length])
    }
}

impl Ends {
    /// The first eight bytes.
    #[inline(always)]
    pub fn first(&self) -> u64 {
        self.first
    }

    /// Of the text in `bytes` at `start`.
    #[inline(always)]
    pub fn of(bytes: &[u8], start: usize, length: usize) -> Ends {
        let eight = |at: usize| bytes.get(at..).and_then(<[u8]>::first_chunk).map(|eight| u64::from_le_bytes(*eight));
        let (first, last) = if length >= 8 {
            (eight(start), eight(start + length - 8))
        } else {
            (eight(start).map(|first| first & ((1 << (length * 8)) - 1)), Some(0))
        };
        match (first, last) {
            (Some(first), Some(last)) => Ends { first, last, length },
            _ => Ends { first: short(&bytes[start..start + length]), last: 0, length },
        }
    }
}

/// A text of less than eight bytes, at the end of what can be read.
#[cold]
fn short(text: &[u8]) -> u64 {
    text.iter().rev().fold(0, |first, byte| first << 8 | u64::from(*byte))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn a_word_is_recognised_wherever_it_stands(
            before in "[a-c]{0,9}", text in "[a-c\\x00]{0,30}", after in "[a-c]{0,9}", other in "[a-c\\x00]{0,30}",
        ) {
            let line = format!("{before}{text}{after}");
            let ends = Ends::of(line.as_bytes(), before.len(), text.len());
            prop_assert!(Word::new(&text).stands(line.as_bytes(), before.len(), ends));
            prop_assert_eq!(Word::new(&other).stands(line.as_bytes(), before.len(), ends), other == text);
        }
    }
}
