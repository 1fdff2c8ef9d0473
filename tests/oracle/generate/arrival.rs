//! Arrival orders of one history: whatever order the sources' claims allow, in batches of any size,
//! with duplicates, outages in between, and gaps that are open before they are closed.

use super::super::case::{Case, Observation, State};
use super::super::rng::Rng;
use super::history::START;
use super::plan::seconds;
use std::collections::VecDeque;
use throughline::engine::Input;
use throughline::model::observation::{Batch, Dedupe};
use throughline::model::time::Time;
use throughline::model::{SourceId, key};

/// What one source says next.
#[derive(Clone, Debug)]
enum Event<'c> {
    Seen(&'c Observation),
    Told(Input),
}

/// An arrival order of a case, in which so many records of a hundred are delivered again.
pub fn arrival(case: &Case, repeats: u64, rng: &mut Rng) -> Vec<Input> {
    let mut queues: Vec<VecDeque<Event>> = Vec::new();
    for source in 0..case.evidence.len() {
        queues.push(Narrator::new(case, rng, source as SourceId, repeats).tell());
    }
    let manner = rng.below(10);
    let mut events = Vec::new();
    while queues.iter().any(|queue| !queue.is_empty()) {
        let next = match manner {
            0 => queues.iter().position(|queue| !queue.is_empty()),
            1..=3 => Some(rng.below(queues.len())),
            _ => furthest_behind(&queues),
        };
        events.extend(next.and_then(|source| queues[source].pop_front()));
    }
    batches(events, rng)
}

/// The source whose next event is the earliest in event time.
fn furthest_behind(queues: &[VecDeque<Event>]) -> Option<usize> {
    let time = |event: &Event| match event {
        Event::Seen(observation) => observation.time,
        Event::Told(Input::Progress { to, .. } | Input::Ends { at: to, .. }) => *to,
        Event::Told(_) => Time::MIN,
    };
    let open = queues.iter().enumerate().filter_map(|(source, queue)| Some((time(queue.front()?), source)));
    open.min().map(|(_, source)| source)
}

/// Writes runs of observations into batches of random sizes.
fn batches(events: Vec<Event>, rng: &mut Rng) -> Vec<Input> {
    let size = rng.within(1, 8) as usize;
    let mut inputs = Vec::new();
    let mut batch = Batch::default();
    for event in events {
        match event {
            Event::Seen(observation) => write(&mut batch, observation),
            Event::Told(input) => {
                flush(&mut batch, &mut inputs);
                inputs.push(input);
            }
        }
        if batch.entries().len() >= size || rng.percent(20) {
            flush(&mut batch, &mut inputs);
        }
    }
    flush(&mut batch, &mut inputs);
    inputs
}

fn flush(batch: &mut Batch, inputs: &mut Vec<Input>) {
    if !batch.is_empty() {
        inputs.push(Input::Observations(std::mem::take(batch)));
    }
}

/// Writes one observation as extract does.
pub fn write(batch: &mut Batch, observation: &Observation) {
    let mut draft = batch.begin(observation.flow, observation.step, observation.time, observation.position);
    for (name, value) in &observation.keys {
        draft.key(*name, value);
    }
    let mut packed = Vec::new();
    let among_keys = |value: &String| observation.keys.iter().position(|key| key.1 == *value);
    draft.body(match &observation.dedupe {
        None => Dedupe::Position,
        Some(value) => match among_keys(value) {
            Some(index) => Dedupe::Key(index as u32),
            None => {
                key::pack(value, &mut packed);
                Dedupe::Value(&packed)
            }
        },
    });
    observation.fields.iter().for_each(|field| draft.field(field));
    draft.finish();
}

/// Tells what one source sees and claims, in an order that keeps its claims true.
struct Narrator<'c, 'r> {
    case: &'c Case,
    rng: &'r mut Rng,
    source: SourceId,
    events: VecDeque<Event<'c>>,
    claimed: Time,
    gaps: Vec<(Time, Time)>,
    begun: bool,
    repeats: u64,
}

impl<'c, 'r> Narrator<'c, 'r> {
    fn new(case: &'c Case, rng: &'r mut Rng, source: SourceId, repeats: u64) -> Self {
        let gaps = case.evidence[source as usize].gaps.clone();
        Narrator { case, rng, source, events: VecDeque::new(), claimed: Time::MIN, gaps, begun: false, repeats }
    }

    fn tell(mut self) -> VecDeque<Event<'c>> {
        let (source, case) = (self.source, self.case);
        let end = &case.evidence[source as usize];
        let disorder = *self.rng.of(&[0, 0, 2, 8, 30]);
        let mut records: Vec<_> = case.observations.iter().filter(|o| o.source == source).collect();
        records.sort_by_cached_key(|o| (o.time + seconds(self.rng.within(0, disorder)), self.rng.next()));
        let talkative = !case.plan.sources[source as usize].lateness_end;
        if self.rng.percent(70) {
            self.begin();
        }
        for (n, record) in records.iter().enumerate() {
            self.events.push_back(Event::Seen(record));
            self.repeat(&records[..=n]);
            self.stumble();
            let oldest = records[n + 1..].iter().map(|o| o.time).min().unwrap_or(Time::MAX);
            if talkative && self.rng.percent(50) {
                let modesty = seconds(*self.rng.of(&[0, 0, 0, 1, 2, 5]));
                self.claim(oldest.min(end.proven) - modesty);
            }
        }
        if talkative {
            for passing in [10, 40] {
                let later = START + seconds(self.rng.within(0, 100) + passing);
                self.claim(later.min(end.proven));
            }
        }
        self.begin();
        self.admit_all();
        if end.to == Time::MAX || end.state == State::Down || self.rng.percent(50) {
            self.claim(end.proven);
        }
        match end.state {
            State::Ended => self.told(Input::Ends { source, at: end.to }),
            State::Down => self.told(Input::Down { source, down: true }),
            State::Live => {}
        }
        self.events
    }

    fn told(&mut self, input: Input) {
        self.events.push_back(Event::Told(input));
    }

    /// Says where coverage begins; sometimes too late a moment at first.
    fn begin(&mut self) {
        if std::mem::replace(&mut self.begun, true) {
            return;
        }
        let (source, from) = (self.source, self.case.evidence[self.source as usize].from);
        if from.is_finite() && self.rng.percent(20) {
            let later = from + seconds(self.rng.within(1, 30));
            self.told(Input::Begins { source, at: later });
        }
        self.told(Input::Begins { source, at: from });
    }

    /// Claims progress, after saying all that must be known by then.
    fn claim(&mut self, to: Time) {
        if to <= self.claimed || !to.is_finite() {
            return;
        }
        self.begin();
        while let Some(at) = self.gaps.iter().position(|gap| gap.0 < to) {
            self.admit(at);
        }
        self.claimed = to;
        self.told(Input::Progress { source: self.source, to });
    }

    fn admit(&mut self, at: usize) {
        let (source, (from, to)) = (self.source, self.gaps.swap_remove(at));
        if to == Time::MAX || self.rng.percent(30) {
            self.told(Input::Gap { source, from, to: None });
        }
        if to != Time::MAX {
            self.told(Input::Gap { source, from, to: Some(to) });
        }
    }

    fn admit_all(&mut self) {
        while !self.gaps.is_empty() {
            self.admit(0);
        }
    }

    /// Delivers again what was delivered before.
    fn repeat(&mut self, delivered: &[&'c Observation]) {
        if self.rng.percent(self.repeats) {
            let again = *self.rng.of(delivered);
            if again.time >= self.claimed || self.rng.percent(50) {
                self.events.push_back(Event::Seen(again));
            }
        }
    }

    /// Goes down for a while, or admits a gap ahead of time.
    fn stumble(&mut self) {
        if self.rng.percent(4) {
            self.told(Input::Down { source: self.source, down: true });
            self.told(Input::Down { source: self.source, down: false });
        }
        if self.rng.percent(10) && !self.gaps.is_empty() {
            let at = self.rng.below(self.gaps.len());
            self.admit(at);
        }
    }
}
