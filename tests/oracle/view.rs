//! A transaction as one instance of a check sees it: effects and records, restricted by `by`.

use super::case::{Case, Observation};
use super::evidence::{self, Known};
use super::join::{Joined, Transaction};
use std::collections::BTreeMap;
use throughline::flow::plan::{Field, Flow};
use throughline::model::time::{Span, Time};
use throughline::model::value::Value;
use throughline::model::{FlowId, KeyId, StepId};

/// One transaction, or the part of it that carries one value of a key.
#[derive(Clone, Copy)]
pub struct View<'a> {
    /// Everything.
    pub case: &'a Case,
    /// The flow's index.
    pub flow_id: FlowId,
    /// What joined where.
    pub joined: &'a Joined<'a>,
    /// The transaction.
    pub transaction: &'a Transaction<'a>,
    /// The key's value that it is restricted to.
    pub by: Option<(KeyId, &'a str)>,
}

/// What a step did, once: its records by time, source and position.
#[derive(Clone)]
pub struct Effect<'a> {
    records: Vec<&'a Observation>,
}

/// A field's value, or an event time.
#[derive(Clone, PartialEq, Debug)]
pub enum Datum {
    /// `step.time`.
    Time(Time),
    /// `step.name`.
    Value(Value<'static>),
}

impl<'a> Effect<'a> {
    /// The record that stands for it: its earliest.
    pub fn first(&self) -> &'a Observation {
        self.records[0]
    }

    /// When it happened first.
    pub fn time(&self) -> Time {
        self.first().time
    }

    /// Whether two are one and the same.
    pub fn is(&self, other: &Effect) -> bool {
        std::ptr::eq(self.first(), other.first())
    }

    /// The newest version's field.
    pub fn field(&self, field: Field) -> Datum {
        match field {
            Field::Time => Datum::Time(self.time()),
            Field::Keep(index) => Datum::Value(self.records[self.records.len() - 1].fields[index].clone()),
        }
    }
}

impl<'a> View<'a> {
    /// The flow.
    pub fn flow(&self) -> &'a Flow {
        self.case.flow(self.flow_id)
    }

    /// The effects of a step in their order.
    pub fn effects(&self, step: StepId) -> Vec<Effect<'a>> {
        let mut groups: BTreeMap<String, Vec<&'a Observation>> = BTreeMap::new();
        for record in self.transaction.records.iter().filter(|o| o.step == step) {
            let name = match &record.dedupe {
                Some(value) => format!("value {value}"),
                None => format!("position {:?}", record.position),
            };
            groups.entry(name).or_default().push(record);
        }
        let mut effects: Vec<_> = groups.into_values().map(|records| Effect { records }).collect();
        effects.retain(|effect| self.by.is_none_or(|key| effect.records.iter().any(|r| self.carries(r, key))));
        effects.sort_by_key(|effect| effect.first().order());
        effects
    }

    /// Whether a record carries a key: it names it and, without the flow's key, could join by it.
    fn carries(&self, record: &Observation, key: (KeyId, &str)) -> bool {
        let named = record.keys.iter().any(|(name, value)| (*name, value.as_str()) == key);
        let bound = self.transaction.bound.get(&(key.0, key.1.to_owned()));
        let in_time = bound.is_some_and(|at| *at <= record.time + self.flow().linger);
        named && (record.has_flow_key() || in_time)
    }

    /// The effects of a step as they stood at a moment.
    pub fn effects_at(&self, step: StepId, moment: Time) -> Vec<Effect<'a>> {
        let mut effects = self.effects(step);
        effects.iter_mut().for_each(|effect| effect.records.retain(|r| r.time <= moment));
        effects.retain(|effect| !effect.records.is_empty());
        effects
    }

    /// All records of a step by time, source and position.
    pub fn records(&self, step: StepId) -> Vec<&'a Observation> {
        let mut records: Vec<_> = self.effects(step).into_iter().flat_map(|effect| effect.records).collect();
        records.sort_by_key(|r| r.order());
        records
    }

    /// The times of all records of these steps.
    pub fn times(&self, steps: &[StepId]) -> Vec<Time> {
        steps.iter().flat_map(|step| self.records(*step)).map(|record| record.time).collect()
    }

    /// The newest of them.
    pub fn newest(&self, steps: &[StepId]) -> Time {
        self.times(steps).into_iter().max().unwrap_or(Time::MIN)
    }

    /// How far two records' clocks may differ.
    pub fn slack(&self, x: &Observation, y: &Observation) -> Span {
        let same_part = x.source == y.source && x.position.part == y.position.part;
        self.case.plan.slack(x.source, y.source, same_part)
    }

    /// How far the clocks of two steps may differ at most.
    pub fn slack_max(&self, x: StepId, y: StepId) -> Span {
        let source = |step: StepId| self.flow().steps[step as usize].source;
        self.case.plan.slack_max(source(x), source(y))
    }

    /// Whether every observation of a step between two moments is known.
    pub fn cov(&self, step: StepId, from: Time, to: Time) -> Known {
        evidence::cov(self.case, self.flow_id, self.joined, step, from, to)
    }

    /// Whether every observation of a step from one moment to the end of the recording is known.
    pub fn cov_to_the_end(&self, step: StepId, from: Time) -> Known {
        evidence::cov_to_the_end(self.case, self.flow_id, self.joined, step, from)
    }

    /// Whether the sources of these steps have gone beyond a moment.
    pub fn passed(&self, steps: &[StepId], at: Time) -> Known {
        evidence::passed(self.case, self.flow_id, steps, at)
    }
}
