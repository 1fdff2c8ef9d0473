//! Random histories of a plan: plausible transactions with faults, crowded into little time so that
//! times tie, fall on the ends of windows, and lie within the skew of each other.

use super::super::case::{Case, Evidence, Observation, State};
use super::super::rng::Rng;
use super::plan::{STATES, seconds};
use std::collections::BTreeSet;
use throughline::flow::plan::{Plan, Step};
use throughline::model::observation::Position;
use throughline::model::time::{Span, Time};
use throughline::model::value::Value;
use throughline::model::{FlowId, KeyId, SourceId, StepId};

/// Where histories begin.
pub const START: Time = Time(1_704_067_200_000_000_000);

/// Key values: few, so that transactions meet; of different spellings, so that packing is tried.
const VALUES: [&str; 7] = [
    "1",
    "001",
    "x-00ffab12",
    "a-key-of-more-than-sixty-three-bytes-so-that-nothing-packs-it-0123456789abcdef",
    "x-00ffab13",
    "b c",
    "größe",
];

struct Writer<'r> {
    rng: &'r mut Rng,
    plan: &'r Plan,
    observations: Vec<Observation>,
    taken: BTreeSet<(SourceId, Position)>,
    variety: usize,
    /// How often things go wrong; 100 is much.
    faults: u64,
    /// How far the transaction has come.
    status: usize,
}

/// One transaction on the way: what its records have in common.
struct Story {
    flow: FlowId,
    begins: Time,
    keys: Vec<Vec<&'static str>>,
    amount: i64,
}

/// A random history of a plan.
pub fn history(rng: &mut Rng, plan: Plan) -> Case {
    let variety = rng.within(2, VALUES.len() as i64) as usize;
    let size = *rng.of(&[1, 1, 2, 2, 3, 4, 8]);
    let faults = *rng.of(&[0, 10, 30, 100]);
    let mut writer =
        Writer { rng, plan: &plan, observations: Vec::new(), taken: BTreeSet::new(), variety, faults, status: 0 };
    let mut epoch = START;
    for _ in 0..writer.rng.within(1, 4) {
        for _ in 0..writer.rng.within(1, size) {
            writer.transaction(epoch);
        }
        epoch = epoch + seconds(*writer.rng.of(&[0, 5, 20, 60, 150]));
    }
    let observations = writer.observations;
    let newest = observations.iter().map(|o| o.time).max().unwrap_or(START);
    let complete = rng.percent(20);
    let evidence = plan.sources.iter().map(|_| evidence(rng, newest, complete)).collect();
    Case { plan, observations, evidence }
}

fn evidence(rng: &mut Rng, newest: Time, complete: bool) -> Evidence {
    let mut gaps = Vec::new();
    for _ in 0..*rng.of(&[0, 0, 0, 0, 0, 0, 1, 1, 2]) {
        let from = START + seconds(rng.within(-10, newest.since(START).0 / 1_000_000_000 + 10));
        let to = if rng.percent(5) { Time::MAX } else { from + seconds(rng.within(0, 10)) };
        if !gaps.iter().any(|(begun, _)| *begun == from) {
            gaps.push((from, to));
        }
    }
    if complete || rng.percent(10) {
        let proven = if rng.percent(50) { Time::MIN } else { newest + seconds(*rng.of(&[-20, -2, 0, 10])) };
        return Evidence { from: Time::MIN, to: Time::MAX, proven, state: State::Ended, gaps };
    }
    let from = START + seconds(*rng.of(&[-100, -60, -30, -10, 0, 5, 20]));
    let to = newest + seconds(*rng.of(&[-20, -5, 0, 1, 10, 30, 60, 100]));
    let state = if rng.percent(15) { State::Down } else { State::Ended };
    Evidence { from, to, proven: to, state, gaps }
}

impl Writer<'_> {
    fn transaction(&mut self, epoch: Time) {
        let flow = self.rng.below(self.plan.flows.len());
        let names = self.plan.flows[flow].keys.len();
        let story = Story {
            flow: flow as FlowId,
            begins: epoch + seconds(self.rng.within(0, 10)),
            keys: (0..names).map(|name| self.values(if name == 0 { 1 } else { 2 })).collect(),
            amount: self.rng.within(0, 3),
        };
        let mut time = story.begins;
        self.status = 0;
        let present = if self.fault(40) { 60 } else { 100 };
        let steps = &self.plan.flows[flow].steps;
        let last = steps.iter().rposition(|step| step.entry.is_none());
        for step in 0..steps.len() {
            // The last one is rare, so that conditions on it go both ways.
            let present = if Some(step) == last { present / 3 } else { present };
            time = time + seconds(*self.rng.of(&[0, 0, 1, 1, 2, 3, 5]));
            if self.rng.percent(present) {
                for _ in 0..if self.fault(25) { 2 } else { 1 } {
                    self.effect(&story, step as StepId, time);
                }
            }
        }
    }

    /// Whether something goes wrong here that goes wrong so often of a hundred times.
    fn fault(&mut self, percent: u64) -> bool {
        self.rng.percent(percent) && self.rng.percent(self.faults)
    }

    fn values(&mut self, most: i64) -> Vec<&'static str> {
        let count = self.rng.within(1, most) as usize;
        self.rng.some(&VALUES[..self.variety], count)
    }

    /// An effect with its deliveries.
    fn effect(&mut self, story: &Story, step: StepId, time: Time) {
        let late = if self.fault(15) { *self.rng.of(&[4, 8, 15, 40]) } else { 0 };
        let jitter = seconds(self.rng.within(-1, 1) + late);
        let first = self.observe(story, step, time + jitter);
        let twin = self.twin(&first);
        self.observations.push(first.clone());
        self.observations.extend(twin);
        while self.fault(18) {
            let again = first.time + seconds(*self.rng.of(&[-2, 0, 0, 1, 3, 12]));
            let mut copy = self.observe(story, step, again);
            if self.rng.percent(75) {
                copy.dedupe = first.dedupe.clone();
            }
            if self.rng.percent(70) {
                copy.fields = first.fields.clone();
            }
            if self.rng.percent(75) {
                copy.keys = first.keys.clone();
            }
            self.observations.push(copy);
        }
    }

    fn observe(&mut self, story: &Story, step_id: StepId, time: Time) -> Observation {
        let step = &self.plan.flows[story.flow as usize].steps[step_id as usize];
        let position = self.position(step.source);
        let keys: Vec<_> = step.keys.iter().flat_map(|(name, _)| self.keys(story, *name)).collect();
        let dedupe = step.dedupe_by.as_ref().and_then(|_| self.dedupe(&keys));
        let fields = step.keep.iter().map(|(name, _)| self.field(story, name)).collect();
        Observation { flow: story.flow, step: step_id, source: step.source, time, position, keys, dedupe, fields }
    }

    fn keys(&mut self, story: &Story, name: KeyId) -> Vec<(KeyId, String)> {
        let own = &story.keys[name as usize];
        let mut values = match self.rng.below(20) {
            0 if self.fault(100) => Vec::new(),
            1 if self.fault(100) => self.values(2),
            2..=4 => own.clone(),
            _ => vec![*self.rng.of(own)],
        };
        if name == 0 && self.fault(6) {
            values.extend(self.values(1));
        }
        let mut seen = BTreeSet::new();
        values.retain(|value| seen.insert(*value));
        values.into_iter().map(|value| (name, value.to_owned())).collect()
    }

    fn dedupe(&mut self, keys: &[(KeyId, String)]) -> Option<String> {
        match self.rng.below(10) {
            0 => None,
            1..=4 if !keys.is_empty() => Some(self.rng.of(keys).1.clone()),
            _ => Some(format!("d-{}", self.rng.below(1000))),
        }
    }

    fn field(&mut self, story: &Story, name: &str) -> Value<'static> {
        if self.fault(5) {
            return Value::Null;
        }
        let usual = !self.fault(20);
        match name {
            "status" => {
                let moves =
                    if self.fault(50) { self.rng.below(STATES.len()) } else { usize::from(self.rng.percent(40)) };
                self.status = (self.status + moves) % STATES.len();
                Value::Text(STATES[self.status].into())
            }
            "lines" => Value::Int(*self.rng.of(&[1, 1, 1, 2, 2, 0, -1])),
            _ if usual => self.spelt(story.amount),
            _ => {
                let other = self.rng.within(0, 3);
                self.rng.of(&[Value::Text("n/a".into()), Value::Number("1.5".into()), Value::Int(other)]).clone()
            }
        }
    }

    fn spelt(&mut self, n: i64) -> Value<'static> {
        match self.rng.below(8) {
            0 => Value::Text(n.to_string().into()),
            1 => Value::Number(format!("{n}.0").into()),
            _ => Value::Int(n),
        }
    }

    /// A place in the source that no other record has; mostly, but not always, after those before.
    fn position(&mut self, source: SourceId) -> Position {
        let newest = self.taken.iter().filter(|(s, _)| *s == source).map(|(_, p)| p.offset).max().unwrap_or(50);
        let offset = (newest as i64 + *self.rng.of(&[1, 1, 1, 2, -3, -10])).max(0) as u64;
        let part = if self.rng.percent(25) { 1 } else { 0 };
        let mut position = Position { part, offset, element: 0 };
        while !self.taken.insert((source, position)) {
            position.element += 1;
        }
        position
    }

    /// The same record may match another step of the same source.
    fn twin(&mut self, first: &Observation) -> Option<Observation> {
        let steps = &self.plan.flows[first.flow as usize].steps;
        let other = |(_, step): &(usize, &Step)| step.source == first.source && step.keep.len() == first.fields.len();
        let (id, step) = steps.iter().enumerate().filter(other).find(|(id, _)| *id != first.step as usize)?;
        let carries = |key: &(KeyId, String)| step.keys.iter().any(|(name, _)| *name == key.0);
        let keys = first.keys.iter().filter(|key| carries(key)).cloned().collect();
        let dedupe = first.dedupe.clone().filter(|_| step.dedupe_by.is_some());
        self.rng.percent(4).then(|| Observation { step: id as StepId, keys, dedupe, ..first.clone() })
    }
}

/// A span as seconds from the start of histories, for people.
pub fn offset(time: Time) -> String {
    match time.is_finite() {
        true => format!("{}", Span(time.0 - START.0)),
        false => time.to_string(),
    }
}
