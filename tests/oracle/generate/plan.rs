//! Random plans: sources, flows, steps; ranks and closures worked out from their definitions.

use super::super::rng::Rng;
use super::checks;
use std::collections::BTreeSet;
use throughline::flow::plan::{Carries, Clock, Condition, Expr, Flow, Key, Path, Plan, Root, Segment, Source, Step};
use throughline::model::time::Span;
use throughline::model::{KeyId, SourceId};

/// The kept fields that random steps have, in this order.
pub const FIELDS: [&str; 3] = ["amount", "status", "lines"];
/// The values of `status`.
pub const STATES: [&str; 4] = ["new", "paid", "shipped", "done"];
const KEYS: [&str; 4] = ["order", "payment", "item", "package"];
const STEPS: [&str; 6] = ["placed", "announced", "captured", "packed", "shipped", "cancelled"];

/// A random plan.
pub fn plan(rng: &mut Rng) -> Plan {
    let names = ["shop", "bus", "log"];
    let sources = (0..rng.within(1, 3) as usize).map(|n| source(rng, names[n])).collect();
    let mut plan = Plan { flows: Vec::new(), sources, clock_skew: seconds(*rng.of(&[0, 1, 2, 5])) };
    let configured = plan.sources.len();
    for n in 0..if rng.percent(20) { 2 } else { 1 } {
        let flow = flow(rng, &mut plan, configured, ["sale", "return"][n]);
        plan.flows.push(flow);
    }
    plan
}

/// So many seconds.
pub fn seconds(n: i64) -> Span {
    Span::seconds(n)
}

fn source(rng: &mut Rng, name: &str) -> Source {
    Source {
        name: name.to_owned(),
        clock_of: None,
        carries: *rng.of(&[Carries::Messages, Carries::Rows, Carries::Lines]),
        clock: *rng.of(&[Clock::One, Clock::One, Clock::PerPart, Clock::Many]),
        resolution: seconds(*rng.of(&[0, 0, 0, 1, 2])),
        lateness: seconds(*rng.of(&[0, 1, 3, 8])),
        skips_versions: rng.percent(20),
        lateness_end: rng.percent(8),
    }
}

fn flow(rng: &mut Rng, plan: &mut Plan, configured: usize, name: &str) -> Flow {
    let names = &KEYS[..rng.within(1, 4) as usize];
    let step_count = rng.within(2, 6) as usize;
    let steps = (0..step_count).map(|n| step(rng, plan, configured, (name, names.len()), n)).collect();
    let mut flow = Flow {
        name: name.to_owned(),
        about: String::new(),
        owner: String::new(),
        keys: names.iter().map(|name| Key { name: (*name).to_owned(), rank: None }).collect(),
        begins: Vec::new(),
        linger: seconds(*rng.of(&[3, 5, 10, 20, 40])),
        steps,
        checks: Vec::new(),
        sources: Vec::new(),
    };
    if rng.percent(30) {
        let count = rng.within(1, 2) as usize;
        flow.begins = rng.some(&(0..step_count as u16).collect::<Vec<_>>(), count);
    }
    for n in 0..rng.within(1, 5) {
        checks::add(rng, &mut flow, configured, n);
    }
    resolve(&mut flow);
    flow
}

fn step(rng: &mut Rng, plan: &mut Plan, configured: usize, (flow, key_names): (&str, usize), n: usize) -> Step {
    let reads = rng.below(configured);
    let mut source = reads;
    if rng.percent(8) {
        source = plan.sources.len();
        let lateness = seconds(*rng.of(&[0, 2, 6]));
        let name = format!("{} ({flow}.{})", plan.sources[reads].name, STEPS[n]);
        let own = Source { clock_of: Some(reads as SourceId), lateness, name, ..plan.sources[reads].clone() };
        plan.sources.push(own);
    }
    let others: Vec<KeyId> = (1..key_names as KeyId).collect();
    let mut keys: Vec<KeyId> = match rng.below(20) {
        _ if n == 0 || others.is_empty() => vec![0],
        0 => Vec::new(),
        1..=6 => vec![0],
        7..=12 => [vec![0], some_keys(rng, &others)].concat(),
        _ => some_keys(rng, &others),
    };
    if n == 0 && !others.is_empty() && rng.percent(70) {
        keys.extend(some_keys(rng, &others));
    }
    Step {
        time: (source != reads).then(|| path("at")),
        dedupe_by: rng.percent(50).then(|| path("id")),
        ..plain_step(STEPS[n], source as SourceId, &plan.sources[reads].name, &keys, &FIELDS)
    }
}

fn some_keys(rng: &mut Rng, others: &[KeyId]) -> Vec<KeyId> {
    let count = *rng.of(&[1, 1, 2]);
    let mut keys = rng.some(others, count);
    keys.sort_unstable();
    keys
}

/// A step without extras. Ranks and closures come with [`resolve`].
pub fn plain_step(name: &str, source: SourceId, reads: &str, keys: &[KeyId], keep: &[&str]) -> Step {
    Step {
        name: name.to_owned(),
        source,
        reads: reads.to_owned(),
        select: None,
        when: Condition::Always,
        keys: keys.iter().map(|key| (*key, vec![path(KEYS[*key as usize])])).collect(),
        keep: keep.iter().map(|field| ((*field).to_owned(), path(field))).collect(),
        dedupe_by: None,
        time: None,
        each: None,
        carries_flow_key: keys.contains(&0),
        closure: Vec::new(),
        binders: Vec::new(),
        entry: None,
    }
}

fn path(field: &str) -> Expr {
    Expr::Path(Path { root: Root::Body, segments: vec![Segment::Field(field.to_owned())] })
}

/// Works out ranks, closures and the flow's sources from the steps.
pub fn resolve(flow: &mut Flow) {
    flow.keys[0].rank = Some(0);
    for rank in 1..=flow.keys.len() as u8 {
        let beside = |name: KeyId| {
            let has = |step: &&Step, key: KeyId| step.keys.iter().any(|(k, _)| *k == key);
            let lower = |step: &Step| step.keys.iter().any(|(k, _)| flow.keys[*k as usize].rank == Some(rank - 1));
            flow.steps.iter().filter(|step| has(step, name)).any(lower)
        };
        let names = 0..flow.keys.len() as KeyId;
        let found: Vec<KeyId> = names.filter(|k| flow.keys[*k as usize].rank.is_none() && beside(*k)).collect();
        found.into_iter().for_each(|key| flow.keys[key as usize].rank = Some(rank));
    }
    for step in 0..flow.steps.len() {
        let binders = if flow.steps[step].carries_flow_key { BTreeSet::new() } else { binders(flow, step) };
        let closure: BTreeSet<SourceId> = binders.iter().copied().chain([flow.steps[step].source]).collect();
        flow.steps[step].binders = binders.into_iter().collect();
        flow.steps[step].closure = closure.into_iter().collect();
    }
    let sources: BTreeSet<SourceId> = flow.steps.iter().flat_map(|step| step.closure.clone()).collect();
    flow.sources = sources.into_iter().collect();
}

/// The sources of every step that could bind a key by which this one joins.
fn binders(flow: &Flow, step: usize) -> BTreeSet<SourceId> {
    let rank = |key: KeyId| flow.keys[key as usize].rank;
    let mut keys: BTreeSet<KeyId> = flow.steps[step].keys.iter().map(|(k, _)| *k).collect();
    loop {
        let binds = |binder: &&Step, key: KeyId| {
            let has = binder.keys.iter().any(|(k, _)| *k == key);
            has && binder.keys.iter().any(|(k, _)| rank(*k).is_some() && rank(*k) < rank(key))
        };
        let steps: Vec<&Step> = flow.steps.iter().filter(|b| keys.iter().any(|key| binds(b, *key))).collect();
        let mut wider = keys.clone();
        for binder in steps.iter().filter(|b| !b.carries_flow_key) {
            wider.extend(binder.keys.iter().map(|(k, _)| *k).filter(|low| {
                keys.iter().any(|key| binds(binder, *key) && rank(*low) < rank(*key)) && rank(*low).is_some()
            }));
        }
        if wider == keys {
            return steps.iter().map(|step| step.source).collect();
        }
        keys = wider;
    }
}
