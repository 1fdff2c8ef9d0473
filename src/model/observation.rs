//! Observations on their way from extract to the journal and the engine.
//!
//! A [`Batch`] holds many observations without one allocation each: fixed-size entries, their keys,
//! and one buffer of bytes that both point into. Extract writes it, the journal stores it, the
//! engine copies each body as it stands into the transaction's history.

mod wire;

use super::key;
use super::time::Time;
use super::value::{Value, get_varint, put_varint, varint_length};
use super::{FlowId, KeyId, StepId};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// An observation's keys that are compared one by one for one that is there already; more are looked up.
const KEYS_COMPARED_MAX: usize = 32;

/// Where a source can find a record again. Ordered: within a part, a higher offset came later.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Default, Serialize, Deserialize)]
pub struct Position {
    /// A file, a partition, a table: an index into the source's own list of parts.
    pub part: u32,
    /// Line number, offset or log sequence number within the part.
    pub offset: u64,
    /// Index of the element where `each` took a record apart, else 0.
    pub element: u32,
}

/// One observation's fixed part.
#[derive(Clone, Debug)]
pub struct Entry {
    /// The flow it belongs to.
    pub flow: FlowId,
    /// The step that it matched.
    pub step: StepId,
    /// When it happened.
    pub time: Time,
    /// Where it stands.
    pub position: Position,
    keys_at: u32,
    keys_count: u32,
    body_at: u32,
    body_length: u32,
}

/// One key of an observation: its name, its hash, and its packed value in the batch's bytes.
#[derive(Clone, Copy, Debug)]
pub struct KeyRef {
    /// [`key::hash`] of flow, name and packed value.
    pub hash: u64,
    /// Which key of the flow.
    pub name: KeyId,
    at: u32,
    length: u32,
}

/// What makes an observation's effect unique.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Dedupe<'a> {
    /// The position: each record is an effect of its own.
    Position,
    /// The value of the observation's key with this index (saves storing it twice).
    Key(u32),
    /// This value, as key text, packed.
    Value(&'a [u8]),
}

impl Dedupe<'_> {
    /// Appends the form that [`Body::read`] reads.
    #[inline]
    pub fn encode(self, out: &mut Vec<u8>) {
        match self {
            Dedupe::Position => out.push(0),
            Dedupe::Key(index) => put_varint(out, u64::from(index) * 2 + 2),
            Dedupe::Value(value) => {
                put_varint(out, value.len() as u64 * 2 + 1);
                out.extend_from_slice(value);
            }
        }
    }

    /// How many bytes [`Dedupe::encode`] appends.
    #[inline]
    pub fn encoded_length(self) -> usize {
        match self {
            Dedupe::Position => 1,
            Dedupe::Key(index) => varint_length(u64::from(index) * 2 + 2),
            Dedupe::Value(value) => varint_length(value.len() as u64 * 2 + 1) + value.len(),
        }
    }
}

/// What the observations of a batch may take, but for the last: its places are 32 bits wide.
pub const BATCH_BYTES_MAX: usize = 256 << 20;
/// Hashes that [`Batch::hashes`] remembers.
const REMEMBERED: usize = 1024;
/// What a batch that has been worked off keeps for the next observations.
const BATCH_BYTES_KEPT_MAX: usize = 16 << 20;

/// Many observations, in the order in which their source delivered them.
#[derive(Clone, Debug, Default)]
pub struct Batch {
    entries: Vec<Entry>,
    keys: Vec<KeyRef>,
    bytes: Vec<u8>,
}

impl Batch {
    /// Forgets the content, keeps the memory unless it is large.
    pub fn clear(&mut self) {
        if self.bytes.capacity() > BATCH_BYTES_KEPT_MAX {
            *self = Batch::default();
        }
        self.entries.clear();
        self.keys.clear();
        self.bytes.clear();
    }

    /// Whether it has taken all that it may.
    #[inline]
    pub fn is_full(&self) -> bool {
        self.bytes.len() > BATCH_BYTES_MAX
    }

    /// Keeps the first so many observations.
    pub fn truncate(&mut self, observations: usize) {
        let Some(entry) = self.entries.get(observations) else { return };
        let (key, body) = (entry.keys_at as usize, entry.body_at as usize);
        let begin = if entry.keys_count > 0 { self.keys[key].at as usize } else { body };
        self.entries.truncate(observations);
        self.keys.truncate(key);
        self.bytes.truncate(begin);
    }

    /// Drops the observations of the record that stands at this position, which was the last.
    pub fn drop_record(&mut self, position: Position) {
        let of_record =
            |entry: &&Entry| (entry.position.part, entry.position.offset) == (position.part, position.offset);
        let count = self.entries.iter().rev().take_while(of_record).count();
        self.truncate(self.entries.len() - count);
    }

    /// The observations.
    pub fn entries(&self) -> &[Entry] {
        &self.entries
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// Drops those observations from the one with index `first` on that are not to be kept.
    pub fn retain_from(&mut self, first: usize, mut keep: impl FnMut(&Entry) -> bool) {
        let mut kept = first;
        for index in first..self.entries.len() {
            if keep(&self.entries[index]) {
                self.entries.swap(kept, index);
                kept += 1;
            }
        }
        self.entries.truncate(kept);
    }

    /// The keys of one observation, in the order of the step's `key`; the flow's own first where it
    /// is there.
    pub fn keys(&self, entry: &Entry) -> &[KeyRef] {
        &self.keys[entry.keys_at as usize..(entry.keys_at + entry.keys_count) as usize]
    }

    /// Where an observation's keys begin among all keys of the batch.
    pub fn keys_begin(&self, entry: &Entry) -> usize {
        entry.keys_at as usize
    }

    /// The keys of all observations.
    pub fn all_keys(&self) -> &[KeyRef] {
        &self.keys
    }

    /// Makes `out` the hashes of all keys; of one that comes again soon, the first.
    pub fn hashes(&self, out: &mut Vec<u64>) {
        out.clear();
        // For each place the hash that was there last; at first one that belongs elsewhere.
        let mut last: [u64; REMEMBERED] = std::array::from_fn(|place| place as u64 + 1);
        for hash in self.keys.iter().map(|key| key.hash) {
            let last = &mut last[hash as usize % REMEMBERED];
            if std::mem::replace(last, hash) != hash {
                out.push(hash);
            }
        }
    }

    /// A key's packed value.
    pub fn packed(&self, key: &KeyRef) -> &[u8] {
        &self.bytes[key.at as usize..(key.at + key.length) as usize]
    }

    /// An observation's dedupe value and kept fields, as [`Body`] reads them.
    pub fn body(&self, entry: &Entry) -> &[u8] {
        &self.bytes[entry.body_at as usize..(entry.body_at + entry.body_length) as usize]
    }

    /// Begins an observation: keys first, then [`Draft::body`], then its fields, then
    /// [`Draft::finish`]. One that is dropped unfinished leaves nothing behind.
    pub fn begin(&mut self, flow: FlowId, step: StepId, time: Time, position: Position) -> Draft<'_> {
        let keys_before = self.keys.len();
        let bytes_before = self.bytes.len();
        Draft {
            entry: Entry {
                flow,
                step,
                time,
                position,
                keys_at: keys_before as u32,
                keys_count: 0,
                body_at: 0,
                body_length: 0,
            },
            batch: self,
            keys_before,
            bytes_before,
            many: BTreeMap::new(),
            finished: false,
        }
    }
}

/// An observation that is being written into a batch.
pub struct Draft<'b> {
    batch: &'b mut Batch,
    entry: Entry,
    keys_before: usize,
    bytes_before: usize,
    /// The places of its keys after the first [`KEYS_COMPARED_MAX`], by hash.
    many: BTreeMap<u64, Vec<u32>>,
    finished: bool,
}

impl Draft<'_> {
    /// Adds a key by its canonical text. The flow's own key (0) must come first; a value that is
    /// there already is added once. Returns the key's index.
    pub fn key(&mut self, name: KeyId, text: &str) -> u32 {
        let at = self.batch.bytes.len();
        key::pack(text, &mut self.batch.bytes);
        let packed = &self.batch.bytes[at..];
        let hash = key::hash(self.entry.flow, name, packed);
        let length = packed.len() as u32;
        let key = KeyRef { hash, name, at: at as u32, length };
        if let Some(index) = self.known(&key) {
            self.batch.bytes.truncate(at);
            return index;
        }
        self.batch.keys.push(key);
        (self.batch.keys.len() - self.keys_before - 1) as u32
    }

    /// The index of a key that the observation has already. A few are compared one by one; of more the rest is looked
    /// up, so that a record with very many keys costs no square of them.
    #[inline]
    fn known(&mut self, key: &KeyRef) -> Option<u32> {
        let Draft { batch, many, keys_before, .. } = self;
        let keys = &batch.keys[*keys_before..];
        let same = |other: &KeyRef| {
            other.hash == key.hash && other.name == key.name && batch.packed(other) == batch.packed(key)
        };
        let (few, rest) = keys.split_at(keys.len().min(KEYS_COMPARED_MAX));
        if let Some(index) = few.iter().position(same) {
            return Some(index as u32);
        }
        if keys.len() < KEYS_COMPARED_MAX {
            return None;
        }
        let alike = many.entry(key.hash).or_default();
        let known = alike.iter().copied().find(|index| same(&rest[*index as usize - KEYS_COMPARED_MAX]));
        if known.is_none() {
            // It is added next.
            alike.push(keys.len() as u32);
        }
        known
    }

    /// How many keys it has so far.
    pub fn key_count(&self) -> usize {
        self.batch.keys.len() - self.keys_before
    }

    /// Ends the keys and begins the body with what makes the effect unique.
    pub fn body(&mut self, dedupe: Dedupe<'_>) {
        self.entry.keys_count = (self.batch.keys.len() - self.keys_before) as u32;
        self.entry.body_at = self.batch.bytes.len() as u32;
        dedupe.encode(&mut self.batch.bytes);
    }

    /// Adds a kept field; they come in the order of the step's `keep`, all of them.
    pub fn field(&mut self, value: &Value<'_>) {
        value.encode(&mut self.batch.bytes);
    }

    /// Puts the observation into the batch.
    pub fn finish(mut self) {
        self.entry.body_length = self.batch.bytes.len() as u32 - self.entry.body_at;
        self.batch.entries.push(self.entry.clone());
        self.finished = true;
    }
}

impl Drop for Draft<'_> {
    fn drop(&mut self) {
        if !self.finished {
            self.batch.keys.truncate(self.keys_before);
            self.batch.bytes.truncate(self.bytes_before);
        }
    }
}

/// Reads an observation's body: the dedupe value, then the kept fields one by one.
#[derive(Clone, Copy, Debug)]
pub struct Body<'a> {
    /// What makes the effect unique.
    pub dedupe: Dedupe<'a>,
    fields: &'a [u8],
}

impl<'a> Body<'a> {
    /// Reads the front of a body.
    #[inline]
    pub fn read(mut bytes: &'a [u8]) -> Body<'a> {
        let n = get_varint(&mut bytes);
        let dedupe = match n {
            0 => Dedupe::Position,
            n if n % 2 == 0 => Dedupe::Key((n / 2 - 1) as u32),
            n => {
                let (value, rest) = bytes.split_at((n / 2) as usize);
                bytes = rest;
                Dedupe::Value(value)
            }
        };
        Body { dedupe, fields: bytes }
    }

    /// The kept fields as they are encoded.
    pub fn raw_fields(&self) -> &'a [u8] {
        self.fields
    }

    /// The kept field with this index, as it is encoded: where two are alike, their values are the same. Empty
    /// where there are fewer.
    #[inline]
    pub fn raw_field(&self, index: usize) -> &'a [u8] {
        let mut rest = self.fields;
        (0..index).for_each(|_| rest = &rest[Value::length(rest)..]);
        &rest[..Value::length(rest)]
    }

    /// The kept field with this index in the step's `keep`; null where there are fewer.
    pub fn field(&self, index: usize) -> Value<'a> {
        self.fields().nth(index).unwrap_or(Value::Null)
    }

    /// All kept fields in order.
    pub fn fields(&self) -> impl Iterator<Item = Value<'a>> + use<'a> {
        let mut rest = self.fields;
        std::iter::from_fn(move || (!rest.is_empty()).then(|| Value::decode(&mut rest)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_batch_gives_back_what_was_put_in() {
        let mut batch = Batch::default();
        let position = Position { part: 1, offset: 2, element: 0 };
        let mut draft = batch.begin(0, 3, Time(5), position);
        draft.key(0, "o-0123456789");
        assert_eq!(draft.key(1, "p-1"), 1);
        assert_eq!(draft.key(1, "p-1"), 1);
        draft.body(Dedupe::Key(1));
        draft.field(&Value::Int(7));
        draft.field(&Value::Null);
        draft.finish();
        batch.begin(0, 1, Time(6), position).key(0, "dropped");
        assert_eq!(batch.entries().len(), 1);
        let entry = &batch.entries()[0];
        let keys: Vec<_> = batch.keys(entry).iter().map(|k| key::unpack(batch.packed(k))).collect();
        assert_eq!(keys, ["o-0123456789", "p-1"]);
        let body = Body::read(batch.body(entry));
        assert_eq!(body.dedupe, Dedupe::Key(1));
        assert_eq!(body.fields().collect::<Vec<_>>(), [Value::Int(7), Value::Null]);
        assert_eq!(body.field(5), Value::Null);
    }

    #[test]
    fn a_key_is_added_once_however_many_there_are() {
        let mut batch = Batch::default();
        let mut draft = batch.begin(0, 0, Time(0), Position::default());
        let count = 5 * KEYS_COMPARED_MAX as u32;
        let names = |n: u32| (n as KeyId % 3, format!("k-{}", n / 3));
        for (n, (name, text)) in (0..count).map(|n| (n, names(n))).chain((0..count).map(|n| (n, names(n)))) {
            assert_eq!(draft.key(name, &text), n);
        }
        assert_eq!(draft.key_count(), count as usize);
        draft.body(Dedupe::Position);
        draft.finish();
        let keys = batch.keys(&batch.entries()[0]).iter();
        let told: Vec<_> = keys.map(|k| (k.name, key::unpack(batch.packed(k)).to_string())).collect();
        assert_eq!(told, (0..count).map(names).collect::<Vec<_>>());
    }

    #[test]
    fn observations_can_be_dropped_again() {
        let mut batch = Batch::default();
        for time in 1..=5 {
            let mut draft = batch.begin(0, 0, Time(time), Position::default());
            draft.body(Dedupe::Position);
            draft.finish();
        }
        batch.retain_from(1, |entry| entry.time.0 % 2 == 0);
        assert_eq!(batch.entries().iter().map(|e| e.time.0).collect::<Vec<_>>(), [1, 2, 4]);
    }
}
