//! Open transactions in memory: a fixed part of one cache line each, and their histories as bytes.
//!
//! ```text
//! Transaction (64 bytes)                       chunks (40 bytes each)
//! ┌────────────┬────────────────────┐          ┌──────┬───────────────────┐
//! │ fixed part │ first 29 bytes of  │ ───────▶ │ next │ the next 36 bytes │ ─▶ …
//! │            │ the history        │          └──────┴───────────────────┘
//! └────────────┴────────────────────┘
//! ```
//!
//! A history only grows, by a few bytes an observation: chained chunks never move, so that a million
//! transactions that grow together leave no holes behind.

use super::history;
use super::slab::Slab;
use crate::model::FlowId;
use crate::model::value::get_varint;
use serde::{Deserialize, Serialize};
use zerocopy::{FromBytes, Immutable, IntoBytes};

const INLINE: usize = 29;
const CHUNK: usize = 40;
const CHUNK_HEAD: usize = 4;
const CHUNK_BODY: usize = CHUNK - CHUNK_HEAD;
const NONE: u32 = u32::MAX;
/// The place of what was judged, where nothing was.
pub(super) const NOWHERE: u32 = NONE;

/// The fixed part of an open transaction.
#[derive(Clone, Debug, FromBytes, IntoBytes, Immutable)]
#[repr(C)]
pub(super) struct Transaction {
    /// Event time of its first observation to arrive, in nanoseconds: histories count from here.
    pub base: i64,
    first_chunk: u32,
    last_chunk: u32,
    length: u32,
    /// Index of what was judged of it so far; [`u32::MAX`] where nothing was.
    pub judged: u32,
    /// The node of the first key that was bound to it; [`u32::MAX`] where none is.
    pub first_key: u32,
    /// Its flow.
    pub flow: FlowId,
    /// How many keys are bound to it.
    pub keys: u16,
    /// Counts how often this place was given out.
    pub generation: u16,
    /// See the constants of [`Transaction`].
    pub flags: u8,
    inline: [u8; INLINE],
}

impl Default for Transaction {
    fn default() -> Self {
        Transaction {
            base: 0,
            first_chunk: NONE,
            last_chunk: NONE,
            length: 0,
            judged: NONE,
            first_key: NONE,
            flow: 0,
            keys: 0,
            generation: 0,
            flags: 0,
            inline: [0; INLINE],
        }
    }
}

impl Transaction {
    /// The place is in use.
    pub const ALIVE: u8 = 1;
    /// A wake-up is set that will see everything so far.
    pub const ARMED: u8 = 2;
    /// A limit was hit.
    pub const LIMITED: u8 = 4;
    /// Judged with all sources ended: final.
    pub const FINAL: u8 = 8;
    /// Of clocks 1 to 4, a bit each: see [`Transaction::awaited`].
    pub const AWAITED: u8 = 0xF0;

    /// A wake-up of this clock is set no later than an observation at its base can call for: one that calls for a later
    /// one is seen by it. Nothing of a clock that is none of the first.
    pub fn awaited(clock: usize) -> u8 {
        if (1..=4).contains(&clock) { 8 << clock } else { 0 }
    }

    pub fn has(&self, flag: u8) -> bool {
        self.flags & flag != 0
    }

    /// How many bytes its history has.
    pub fn length(&self) -> u32 {
        self.length
    }
}

/// All open transactions.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(super) struct Store {
    #[serde(with = "super::slab::plain")]
    transactions: Slab<Transaction>,
    #[serde(with = "super::plain")]
    chunks: Vec<u8>,
    free_chunk: Option<u32>,
}

impl Store {
    pub fn len(&self) -> usize {
        self.transactions.len()
    }

    pub fn get(&self, index: u32) -> &Transaction {
        self.transactions.get(index)
    }

    pub fn get_mut(&mut self, index: u32) -> &mut Transaction {
        self.transactions.get_mut(index)
    }

    /// The places of a flow's open transactions, with their generations.
    pub fn open_ones(&self, flow: FlowId) -> impl Iterator<Item = (u32, u16)> {
        let open = self.transactions.iter().filter(move |(_, t)| t.has(Transaction::ALIVE) && t.flow == flow);
        open.map(|(index, transaction)| (index, transaction.generation))
    }

    /// Opens a transaction whose first observation happened at `base`.
    pub fn open(&mut self, flow: FlowId, base: i64) -> u32 {
        let generation = self.transactions.next_free(1).next().map_or(0, |used| used.generation.wrapping_add(1));
        let flags = Transaction::ALIVE;
        self.transactions.add(Transaction { flow, base, generation, flags, ..Transaction::default() })
    }

    /// Whether a transaction is that of this flow and own key.
    #[inline]
    pub fn is(&self, index: u32, flow: FlowId, packed: &[u8]) -> bool {
        let transaction = self.transactions.get(index);
        if transaction.flow != flow {
            return false;
        }
        if packed.len() < INLINE {
            return usize::from(transaction.inline[0]) == packed.len()
                && transaction.inline[1..=packed.len()] == *packed;
        }
        self.has_long_key(transaction, packed)
    }

    /// Whether a history begins with this own key, which does not fit into the fixed part.
    fn has_long_key(&self, transaction: &Transaction, packed: &[u8]) -> bool {
        let mut here = &transaction.inline[..];
        if get_varint(&mut here) as usize != packed.len() {
            return false;
        }
        let mut chunk = transaction.first_chunk;
        let mut left = packed;
        loop {
            let (wanted, rest) = left.split_at(left.len().min(here.len()));
            if here[..wanted.len()] != *wanted {
                return false;
            }
            if rest.is_empty() {
                return true;
            }
            left = rest;
            here = &self.chunks[chunk as usize * CHUNK + CHUNK_HEAD..][..CHUNK_BODY];
            chunk = self.next_chunk(chunk);
        }
    }

    /// Gives a transaction's memory back; the place's generation goes on counting.
    pub fn close(&mut self, index: u32) {
        let closed = self.transactions.take(index);
        self.transactions.get_mut(index).generation = closed.generation;
        let mut chunk = closed.first_chunk;
        while chunk != NONE {
            let next = self.next_chunk(chunk);
            self.set_next_chunk(chunk, self.free_chunk.unwrap_or(NONE));
            self.free_chunk = Some(chunk);
            chunk = next;
        }
    }

    /// Notes that a key became bound.
    pub fn bind(&mut self, index: u32, node: u32) {
        let transaction = self.transactions.get_mut(index);
        transaction.keys += 1;
        if transaction.first_key == NONE {
            transaction.first_key = node;
            self.append(index, &[history::FIRST_KEY]);
        } else {
            self.append(index, &history::bound_key(node));
        }
    }

    /// Appends to a transaction's history.
    #[inline]
    pub fn append(&mut self, index: u32, bytes: &[u8]) {
        let transaction = self.transactions.get_mut(index);
        let length = transaction.length as usize;
        transaction.length += bytes.len() as u32;
        if length + bytes.len() <= INLINE {
            transaction.inline[length..length + bytes.len()].copy_from_slice(bytes);
        } else {
            self.append_chunks(index, length, bytes);
        }
    }

    fn append_chunks(&mut self, index: u32, length: usize, mut bytes: &[u8]) {
        if length < INLINE {
            let inline;
            (inline, bytes) = bytes.split_at(INLINE - length);
            self.transactions.get_mut(index).inline[length..].copy_from_slice(inline);
        }
        let mut used = length.saturating_sub(INLINE);
        while !bytes.is_empty() {
            let at = used % CHUNK_BODY;
            if at == 0 {
                self.add_chunk(index);
            }
            let fits = bytes.len().min(CHUNK_BODY - at);
            let from = self.transactions.get(index).last_chunk as usize * CHUNK + CHUNK_HEAD + at;
            self.chunks[from..from + fits].copy_from_slice(&bytes[..fits]);
            bytes = &bytes[fits..];
            used += fits;
        }
    }

    fn add_chunk(&mut self, index: u32) {
        let chunk = match self.free_chunk {
            Some(chunk) => {
                let next = self.next_chunk(chunk);
                self.free_chunk = (next != NONE).then_some(next);
                chunk
            }
            None => {
                let chunk = (self.chunks.len() / CHUNK) as u32;
                self.chunks.resize(self.chunks.len() + CHUNK, 0);
                chunk
            }
        };
        self.set_next_chunk(chunk, NONE);
        let transaction = self.transactions.get_mut(index);
        let last = std::mem::replace(&mut transaction.last_chunk, chunk);
        if last == NONE {
            transaction.first_chunk = chunk;
        } else {
            self.set_next_chunk(last, chunk);
        }
    }

    /// Appends a transaction's whole history to `out`.
    pub fn read(&self, index: u32, out: &mut Vec<u8>) {
        let transaction = self.transactions.get(index);
        let length = transaction.length as usize;
        out.extend_from_slice(&transaction.inline[..length.min(INLINE)]);
        let mut left = length.saturating_sub(INLINE);
        let mut chunk = transaction.first_chunk;
        while left > 0 {
            let from = chunk as usize * CHUNK + CHUNK_HEAD;
            let fits = left.min(CHUNK_BODY);
            out.extend_from_slice(&self.chunks[from..from + fits]);
            left -= fits;
            chunk = self.next_chunk(chunk);
        }
    }

    fn next_chunk(&self, chunk: u32) -> u32 {
        let at = chunk as usize * CHUNK;
        u32::from_le_bytes([self.chunks[at], self.chunks[at + 1], self.chunks[at + 2], self.chunks[at + 3]])
    }

    fn set_next_chunk(&mut self, chunk: u32, next: u32) {
        let at = chunk as usize * CHUNK;
        self.chunks[at..at + CHUNK_HEAD].copy_from_slice(&next.to_le_bytes());
    }

    /// Asks the processor to bring the places near in which the next transactions are opened.
    pub fn prefetch_free(&self, count: usize) {
        self.transactions.next_free(count).for_each(prefetch);
    }

    /// Asks the processor to bring a transaction near.
    #[inline]
    pub fn prefetch(&self, index: u32) {
        prefetch(self.transactions.get(index));
    }

    /// Asks the processor to bring the end of a transaction's history near.
    #[inline]
    pub fn prefetch_end(&self, index: u32) {
        let chunk = self.transactions.get(index).last_chunk;
        if chunk != NONE {
            prefetch(&self.chunks[chunk as usize * CHUNK]);
        }
    }

    /// Asks the processor to bring the first chunk of a transaction's history near.
    #[inline]
    pub fn prefetch_start(&self, index: u32) {
        let chunk = self.transactions.get(index).first_chunk;
        if chunk != NONE {
            prefetch(&self.chunks[chunk as usize * CHUNK]);
        }
    }
}

/// Asks the processor to bring a place in memory near.
#[inline]
pub(super) fn prefetch<T>(place: &T) {
    #[cfg(target_arch = "x86_64")]
    {
        use std::arch::x86_64::{_MM_HINT_T0, _mm_prefetch};
        let place: *const T = place;
        // SAFETY: a prefetch of a valid address neither reads nor writes what a program can see.
        unsafe { _mm_prefetch::<_MM_HINT_T0>(place.cast()) };
    }
    #[cfg(not(target_arch = "x86_64"))]
    let _ = place;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn histories_grow_and_their_memory_is_used_again() {
        let mut store = Store::default();
        let (a, b) = (store.open(0, 0), store.open(0, 0));
        let bytes: Vec<u8> = (0..200).collect();
        for part in bytes.chunks(7) {
            store.append(a, part);
            store.append(b, part);
        }
        let mut read = Vec::new();
        store.read(a, &mut read);
        assert_eq!(read, bytes);
        let size = store.chunks.len();
        store.close(a);
        let c = store.open(0, 0);
        assert_eq!(c, a);
        store.append(c, &bytes);
        read.clear();
        store.read(c, &mut read);
        assert_eq!(read, bytes);
        assert_eq!(store.chunks.len(), size);
        assert_eq!(std::mem::size_of::<Transaction>(), 64);
    }

    #[test]
    fn own_keys_of_any_length_are_told_apart() {
        let mut store = Store::default();
        for length in [1, 26, 27, 28, 31, 62, 63, 64, 127, 128, 200] {
            let mut key = vec![7; length];
            let (index, mut bytes) = (store.open(3, 0), Vec::new());
            history::write_own_key(&key, &mut bytes);
            store.append(index, &bytes);
            store.append(index, b"what comes after it");
            assert!(store.is(index, 3, &key) && !store.is(index, 2, &key));
            assert!(!store.is(index, 3, &key[1..]), "a shorter one");
            key[length - 1] = 8;
            assert!(!store.is(index, 3, &key), "another one of {length}");
            key[length - 1] = 7;
            key.push(b'w');
            assert!(!store.is(index, 3, &key), "a longer one");
        }
    }
}
