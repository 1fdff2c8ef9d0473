//! From the plan's steps to what runs on each record of one source.

use super::condition::{Leaves, Test, deciding, without};
use super::counts::Counts;
use super::explode::Explode;
use super::json::{Needs, Slot};
use super::matching::{Candidates, Matcher};
use super::place::{Place, Places};
use super::redact::Redactions;
use super::step::{Identity, Taking};
use super::time::TimeReader;
use crate::flow::format::{Decoding, Format};
use crate::flow::plan::{Condition, Path, Plan, Segment, Step};
use crate::model::{FlowId, StepId};
use std::collections::BTreeMap;
use std::sync::Arc;

/// A source's steps, compiled, and what its payloads must be searched for.
pub(super) struct Compiled {
    pub matcher: Matcher,
    /// Where the payload is JSON that is read only where needed.
    pub needs: Needs,
    /// Where it is anything else.
    pub paths: Vec<Vec<Segment>>,
    /// Where the source's event time stands.
    pub time: Option<Place>,
}

/// A step's place: its plan, its flow there, and its number in the flow.
type At = (usize, FlowId, StepId);

/// All steps of the plans that read a source, in the order of plans, flows and steps.
fn steps_of<'p>(plans: &'p [Arc<Plan>], reads: &str) -> impl Iterator<Item = (At, &'p Step)> {
    let flows = plans
        .iter()
        .enumerate()
        .flat_map(|(lane, plan)| plan.flows.iter().enumerate().map(move |(flow, of)| (lane, flow as FlowId, of)));
    let steps = flows.flat_map(|(lane, flow, of)| {
        of.steps.iter().enumerate().map(move |(id, step)| ((lane, flow, id as StepId), step))
    });
    steps.filter(move |(_, step)| step.reads == reads)
}

/// Compiles all steps of the plans that read the source `reads`.
pub(super) fn compile(plans: &[Arc<Plan>], reads: &str, decoding: &Decoding, clock: TimeReader) -> Compiled {
    let redactions = Redactions::new(decoding);
    let mut places = Places::new(decoding);
    let time = decoding.time.as_ref().map(|path| places.place(path, None));
    let of_record = std::mem::take(&mut places.asked);
    let by_suffix = matches!(&decoding.format, Format::Dialect(dialect) if dialect.captures_changes());
    let identity = Identity { of_key: decoding.key_is_identity, by_suffix };
    let (leaves, lists, served) = Default::default();
    let mut compiler = Compiler { places, of_record, leaves, lists, served, identity };
    let takings = steps_of(plans, reads).map(|(at, step)| compiler.step(at, step, &redactions)).collect();
    let everything = compiler.served.iter().map(|one| one.step.when.clone()).enumerate().collect();
    let open = compiler.candidates(everything);
    let (cases, other) = match compiler.decision().filter(|_| Places::is_scanned(decoding)) {
        Some(path) => compiler.narrow(path),
        None => Default::default(),
    };
    let Compiler { places, leaves, lists, served, .. } = compiler;
    let explodes = lists.into_iter().zip(places.elements).map(|((_, list), needs)| Explode::new(list, needs)).collect();
    let counts = Counts::of_steps(served.iter().map(|one| one.at));
    let matcher = Matcher { takings, leaves, explodes, open, cases, other, clock, counts };
    Compiled { matcher, needs: places.needs, paths: places.paths, time }
}

struct Compiler<'p> {
    places: Places<'p>,
    leaves: Leaves,
    /// What steps take apart, without repetition.
    lists: Vec<(&'p Path, Place)>,
    served: Vec<Served<'p>>,
    /// What every record is asked for.
    of_record: Vec<Slot>,
    identity: Identity,
}

/// A step that reads the source.
struct Served<'p> {
    at: At,
    step: &'p Step,
    /// The number of the list that it takes apart.
    each: Option<usize>,
    /// What it takes from the payload, its condition aside.
    takes: Vec<Slot>,
}

impl<'p> Compiler<'p> {
    fn step(&mut self, at: At, step: &'p Step, redactions: &Redactions) -> Taking {
        self.places.asked.clear();
        let each = step.each.as_ref().map(|path| self.list(path));
        let taking = Taking::new(at, step, each, &mut self.places, redactions, self.identity);
        let takes = std::mem::take(&mut self.places.asked);
        self.served.push(Served { at, step, each, takes });
        taking
    }

    fn list(&mut self, path: &'p Path) -> usize {
        let place = self.places.place(path, None);
        self.lists.iter().position(|(known, _)| *known == path).unwrap_or_else(|| {
            self.lists.push((path, place));
            self.places.elements.push(Needs::default());
            self.lists.len() - 1
        })
    }

    /// Steps, by their index, with what is to be asked about each.
    fn candidates(&mut self, of: Vec<(usize, Condition)>) -> Candidates {
        let mut candidates = Candidates::default();
        for (index, condition) in of {
            let each = self.served[index].each;
            let test: Test = self.leaves.test(&condition, each, &mut self.places);
            candidates.add(index, each, test);
        }
        candidates
    }

    /// The path whose text decides about the most steps.
    fn decision(&self) -> Option<&'p Path> {
        let mut votes: BTreeMap<&[Segment], (usize, &'p Path)> = BTreeMap::new();
        for one in &self.served {
            let mut paths: Vec<_> = deciding(&one.step.when).into_iter().map(|(path, _)| path).collect();
            paths.dedup_by_key(|path| &path.segments);
            for path in paths {
                votes.entry(&path.segments).or_insert((0, path)).0 += 1;
            }
        }
        votes.into_values().max_by_key(|(votes, _)| *votes).map(|(_, path)| path)
    }

    /// Sorts the steps by the text that decides, and says what is needed for each text.
    fn narrow(&mut self, decision: &'p Path) -> (Vec<Candidates>, Candidates) {
        self.places.asked.clear();
        self.places.place(decision, None);
        let decided_by = self.places.asked[0];
        let texts: Vec<_> = self.served.iter().map(|one| texts_of(&one.step.when, decision)).collect();
        let mut all: Vec<&str> = texts.iter().flatten().flatten().copied().collect();
        all.sort_unstable();
        all.dedup();
        let mut cases = Vec::new();
        let mut needed = Vec::new();
        for text in all {
            let asks = |texts: &Option<Vec<&str>>| texts.as_ref().is_none_or(|texts| texts.contains(&text));
            let (candidates, slots) = self.case(decided_by, decision, |index| asks(&texts[index]));
            cases.push(candidates);
            needed.push((text.to_owned(), slots));
        }
        let (other, slots) = self.case(decided_by, decision, |index| texts[index].is_none());
        self.places.needs.narrow(decided_by, &needed, &slots);
        (cases, other)
    }

    /// The steps that remain in one case, and what they need.
    fn case(&mut self, decided_by: Slot, decision: &Path, remains: impl Fn(usize) -> bool) -> (Candidates, Vec<Slot>) {
        self.places.asked.clone_from(&self.of_record);
        self.places.asked.push(decided_by);
        let mut steps = Vec::new();
        for (index, one) in self.served.iter().enumerate().filter(|(index, _)| remains(*index)) {
            self.places.asked.extend(&one.takes);
            steps.push((index, without(&one.step.when, decision)));
        }
        let candidates = self.candidates(steps);
        (candidates, std::mem::take(&mut self.places.asked))
    }
}

/// The texts at the path for which a condition can hold; `None` where it does not depend on them.
fn texts_of<'p>(condition: &'p Condition, decision: &Path) -> Option<Vec<&'p str>> {
    let demands = deciding(condition).into_iter().filter(|(path, _)| path.segments == decision.segments);
    demands.map(|(_, texts)| texts).reduce(|both, texts| both.into_iter().filter(|text| texts.contains(text)).collect())
}
