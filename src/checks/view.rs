//! A transaction as the checks see it: its records in order of time, folded into effects.
//!
//! One view is filled again and again, so that judging allocates nothing.

use crate::model::finding::Seen;
use crate::model::observation::{Body, Dedupe, Position};
use crate::model::time::Time;
use crate::model::value::Value;
use crate::model::{KeyId, SourceId, StepId};
use std::ops::Range;

/// One record of a transaction.
#[derive(Clone, Debug)]
pub struct Record {
    /// The step that it matched.
    pub step: StepId,
    /// The evidence source of the step.
    pub source: SourceId,
    /// When it happened.
    pub time: Time,
    /// Where it stands.
    pub position: Position,
    /// Whether it carries the flow's key itself.
    pub direct: bool,
    body: Range<u32>,
    keys: Range<u32>,
    effect: u32,
}

/// What a step did, once: the records with one dedupe value.
#[derive(Clone, Debug)]
pub struct Effect {
    /// Index of its earliest record, which gives its time.
    pub first: u32,
    /// Index of its newest record, which gives its fields.
    pub newest: u32,
    members: Range<u32>,
}

/// A key that is bound to the transaction.
#[derive(Clone, Debug)]
pub struct BoundKey {
    /// Its name.
    pub name: KeyId,
    packed: Range<u32>,
}

/// All records of one transaction.
#[derive(Debug, Default)]
pub struct View {
    bytes: Vec<u8>,
    key_lists: Vec<u32>,
    keys: Vec<BoundKey>,
    records: Vec<Record>,
    effects: Vec<Effect>,
    members: Vec<u32>,
    effects_of: Vec<Range<u32>>,
    records_of: Vec<Range<u32>>,
    first_seen: Option<Time>,
    /// A limit was hit for this transaction: not all of it is here.
    pub limited: bool,
}

impl View {
    /// Forgets the transaction, keeps the memory.
    pub fn clear(&mut self) {
        self.bytes.clear();
        self.key_lists.clear();
        self.keys.clear();
        self.records.clear();
        self.limited = false;
    }

    /// Adds a bound key; its index is the number of those before it.
    pub fn add_key(&mut self, name: KeyId, packed: &[u8]) {
        let at = self.bytes.len() as u32;
        self.bytes.extend_from_slice(packed);
        self.keys.push(BoundKey { name, packed: at..self.bytes.len() as u32 });
    }

    /// Adds a record with the indexes of the bound keys that it carries; a `Dedupe::Key` in its body
    /// is an index into these.
    pub fn add_record(
        &mut self,
        (step, source): (StepId, SourceId),
        time: Time,
        position: Position,
        direct: bool,
        keys: impl Iterator<Item = u32>,
        body: &[u8],
    ) {
        let keys_at = self.key_lists.len() as u32;
        self.key_lists.extend(keys);
        let at = self.bytes.len() as u32;
        self.bytes.extend_from_slice(body);
        self.records.push(Record {
            step,
            source,
            time,
            position,
            direct,
            body: at..self.bytes.len() as u32,
            keys: keys_at..self.key_lists.len() as u32,
            effect: 0,
        });
    }

    /// Puts everything in order once all is added; `steps` is the number of steps in the flow.
    pub fn arrange(&mut self, steps: usize) {
        self.records.sort_by_key(|r| (r.step, r.time, r.source, r.position));
        self.merge_duplicates();
        self.first_seen = self.records.iter().map(|r| r.time).min();
        self.effects.clear();
        self.members.clear();
        self.effects_of.clear();
        self.records_of.clear();
        let mut at = 0;
        for step in 0..steps {
            let end = at + self.records[at..].iter().take_while(|r| r.step as usize == step).count();
            let effects_at = self.effects.len() as u32;
            self.fold_effects(at, end);
            self.records_of.push(at as u32..end as u32);
            self.effects_of.push(effects_at..self.effects.len() as u32);
            at = end;
        }
    }

    /// One record that came twice is one record with the keys of both.
    fn merge_duplicates(&mut self) {
        let same = |a: &Record, b: &Record| {
            a.step == b.step && a.source == b.source && a.position == b.position && a.time == b.time
        };
        if !self.records.windows(2).any(|pair| same(&pair[0], &pair[1])) {
            return;
        }
        let mut kept: Vec<Record> = Vec::with_capacity(self.records.len());
        for record in std::mem::take(&mut self.records) {
            match kept.last_mut() {
                Some(last) if same(last, &record) => {
                    let at = self.key_lists.len() as u32;
                    self.key_lists.extend_from_within(as_range(&last.keys));
                    self.key_lists.extend_from_within(as_range(&record.keys));
                    last.keys = at..self.key_lists.len() as u32;
                    // Dedupe by key index counts from the first copy's list, which stays in front.
                }
                _ => kept.push(record),
            }
        }
        self.records = kept;
    }

    /// Folds the records of one step, which are in order of time, into effects.
    fn fold_effects(&mut self, at: usize, end: usize) {
        let first_effect = self.effects.len();
        for index in at..end {
            let known = (first_effect..self.effects.len()).find(|e| {
                let earlier = self.effects[*e].first as usize;
                self.dedupe(index).is_some() && self.dedupe(index) == self.dedupe(earlier)
            });
            let effect = known.unwrap_or(self.effects.len());
            if known.is_none() {
                self.effects.push(Effect { first: index as u32, newest: index as u32, members: 0..0 });
            } else {
                self.effects[effect].newest = index as u32;
            }
            self.records[index].effect = effect as u32;
        }
        for effect in first_effect..self.effects.len() {
            let from = self.members.len() as u32;
            let (records, members) = (&self.records, &mut self.members);
            let Effect { first, newest, .. } = self.effects[effect];
            members.extend((first..=newest).filter(|i| records[*i as usize].effect as usize == effect));
            self.effects[effect].members = from..self.members.len() as u32;
        }
    }

    fn dedupe(&self, index: usize) -> Option<&[u8]> {
        let record = &self.records[index];
        match self.body(record).dedupe {
            Dedupe::Position => None,
            Dedupe::Value(value) => Some(value),
            Dedupe::Key(key) => {
                let key = self.key_lists[as_range(&record.keys)][key as usize];
                Some(self.packed(key))
            }
        }
    }

    /// When the transaction was first seen, by event time.
    pub fn first_seen(&self) -> Time {
        self.first_seen.unwrap_or(Time::MAX)
    }

    /// All records, by step and time.
    pub fn records(&self) -> &[Record] {
        &self.records
    }

    /// One record.
    pub fn record(&self, index: u32) -> &Record {
        &self.records[index as usize]
    }

    /// The indexes of a step's records, by time.
    pub fn records_of(&self, step: StepId) -> Range<u32> {
        self.records_of[step as usize].clone()
    }

    /// A step's effects, by time.
    pub fn effects_of(&self, step: StepId) -> &[Effect] {
        &self.effects[as_range(&self.effects_of[step as usize])]
    }

    /// The records of an effect, by time.
    pub fn members(&self, effect: &Effect) -> &[u32] {
        &self.members[as_range(&effect.members)]
    }

    /// Whether an effect carries a bound key, in any of its records.
    pub fn effect_has(&self, effect: &Effect, key: u32) -> bool {
        self.members(effect).iter().any(|r| self.record_has(&self.records[*r as usize], key))
    }

    /// Whether a record's effect carries a bound key.
    pub fn record_effect_has(&self, record: &Record, key: u32) -> bool {
        self.effect_has(&self.effects[record.effect as usize], key)
    }

    fn record_has(&self, record: &Record, key: u32) -> bool {
        self.key_lists[as_range(&record.keys)].contains(&key)
    }

    /// The bound keys that a record carries.
    pub fn keys_of(&self, record: &Record) -> &[u32] {
        &self.key_lists[as_range(&record.keys)]
    }

    /// A record's dedupe value and kept fields.
    pub fn body(&self, record: &Record) -> Body<'_> {
        Body::read(&self.bytes[as_range(&record.body)])
    }

    /// A record as people are shown it.
    pub fn seen(&self, record: u32) -> Seen {
        let r = self.record(record);
        let keep = self.body(r).fields().map(Value::into_owned).collect();
        Seen { step: r.step, time: r.time, source: r.source, position: r.position, keep }
    }

    /// A kept field of a record.
    pub fn field(&self, record: u32, index: usize) -> Value<'_> {
        self.body(self.record(record)).field(index)
    }

    /// All bound keys.
    pub fn keys(&self) -> &[BoundKey] {
        &self.keys
    }

    /// A bound key's packed value.
    pub fn packed(&self, key: u32) -> &[u8] {
        &self.bytes[as_range(&self.keys[key as usize].packed)]
    }
}

fn as_range(range: &Range<u32>) -> Range<usize> {
    range.start as usize..range.end as usize
}
