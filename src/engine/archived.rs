//! Closed transactions on their way into the archive, many in one buffer.
//!
//! ```text
//! how many keys, bytes of identity, bytes of state │ the keys' hashes, its own first │ state
//!                 4 bytes each                     │          8 bytes each           │ └ identity first
//! ```
//!
//! The archive can keep the bytes as they stand, and read a single one back.

/// A buffer that has grown to so many bytes goes out.
pub(super) const ARCHIVED_BYTES_MAX: usize = 64 << 10;

/// Closed transactions, in the order in which they closed.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Archived {
    bytes: Vec<u8>,
}

/// One closed transaction.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Closed<'a> {
    keys: &'a [[u8; 8]],
    /// What tells it from others. A later one with the same first key and the same identity replaces it.
    pub identity: &'a [u8],
    /// Its state, to be given back as it is; begins with the identity.
    pub state: &'a [u8],
}

impl<'a> Closed<'a> {
    /// Bytes of the front, from which [`Closed::length`] tells how many follow.
    pub const HEAD: usize = 12;

    /// How many bytes one takes of which this is the front.
    pub fn length(head: &[u8; Closed::HEAD]) -> usize {
        let (keys, _, state) = Closed::sizes(head);
        Closed::HEAD + keys * 8 + state
    }

    /// Hashes of all its keys, its own first.
    pub fn keys(&self) -> impl Iterator<Item = u64> + use<'a> {
        self.keys.iter().map(|key| u64::from_le_bytes(*key))
    }

    /// Takes one from the front of `bytes`; `None` where they are at their end.
    pub fn take(bytes: &mut &'a [u8]) -> Option<Closed<'a>> {
        let (head, rest) = bytes.split_first_chunk()?;
        let (keys, identity, state) = Closed::sizes(head);
        let (keys, rest) = rest.split_at_checked(keys * 8)?;
        let (state, rest) = rest.split_at_checked(state)?;
        *bytes = rest;
        Some(Closed { keys: keys.as_chunks().0, identity: state.get(..identity)?, state })
    }

    fn sizes(head: &[u8; Closed::HEAD]) -> (usize, usize, usize) {
        let number = |at: usize| u32::from_le_bytes([head[at], head[at + 1], head[at + 2], head[at + 3]]) as usize;
        (number(0), number(4), number(8))
    }
}

impl Archived {
    /// Adds a closed transaction: its keys' hashes, and what writes its state and tells how much of that is its
    /// identity.
    pub fn push(&mut self, keys: &[u64], write: impl FnOnce(&mut Vec<u8>) -> usize) {
        if self.bytes.capacity() == 0 {
            self.bytes.reserve(ARCHIVED_BYTES_MAX + ARCHIVED_BYTES_MAX / 16);
        }
        let at = self.bytes.len();
        self.bytes.extend_from_slice(&[0; Closed::HEAD]);
        keys.iter().for_each(|key| self.bytes.extend_from_slice(&key.to_le_bytes()));
        let begin = self.bytes.len();
        let identity = write(&mut self.bytes);
        let sizes = [keys.len(), identity, self.bytes.len() - begin].map(|n| (n as u32).to_le_bytes());
        self.bytes[at..at + Closed::HEAD].copy_from_slice(sizes.as_flattened());
    }

    /// All of them, and where each begins in [`Archived::bytes`].
    pub fn iter(&self) -> impl Iterator<Item = (usize, Closed<'_>)> {
        let mut rest = self.bytes.as_slice();
        std::iter::from_fn(move || {
            let at = self.bytes.len() - rest.len();
            Closed::take(&mut rest).map(|closed| (at, closed))
        })
    }

    /// The bytes from which [`Closed::take`] reads them.
    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.bytes.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_pushed_is_read() {
        let mut archived = Archived::default();
        for (keys, state) in [(&[1, 2][..], "abc"), (&[u64::MAX], "")] {
            archived.push(keys, |out| {
                out.extend_from_slice(state.as_bytes());
                state.len().min(1)
            });
        }
        let told: Vec<_> =
            archived.iter().map(|(at, c)| (at, c.keys().collect::<Vec<_>>(), c.identity, c.state)).collect();
        assert_eq!(told, [(0, vec![1, 2], &b"a"[..], &b"abc"[..]), (31, vec![u64::MAX], &[], &[])]);
        let head = archived.bytes()[31..].first_chunk().unwrap();
        assert_eq!(31 + Closed::length(head), archived.bytes().len());
        assert_eq!(Closed::take(&mut &archived.bytes()[..30]), None, "one that is cut");
    }
}
