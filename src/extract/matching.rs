//! Which steps a record matches, and the observations that come of it.
//!
//! The steps of a stream are mostly told apart by one text (`body.type == "OrderPlaced"`). The path
//! that decides about most of them is found once (`compile`); the scanner looks its value up while it
//! reads, and from then on only the steps that ask for that text are considered, and only what they
//! need is read.

use super::condition::{Answer, Leaves, Test};
use super::counts::Counts;
use super::explode::Explode;
use super::json::Case;
use super::place::View;
use super::step::Taking;
use super::time::TimeReader;
use crate::model::observation::{Batch, Position};
use crate::model::time::Time;

/// Elements that `each` tells apart in each record of a payload that holds several.
const ELEMENTS_OF_A_PIECE: u32 = 1 << 16;

/// The number of the first element that `each` finds in the record that stands there.
pub(super) fn first_element(of: Position) -> u32 {
    of.element.wrapping_mul(ELEMENTS_OF_A_PIECE)
}

/// The steps that read one source, ready to be applied to its records.
#[derive(Clone, Debug)]
pub(super) struct Matcher {
    pub takings: Vec<Taking>,
    pub leaves: Leaves,
    pub explodes: Vec<Explode>,
    /// All steps, with their whole conditions.
    pub open: Candidates,
    /// By the deciding text, in ascending order of the texts.
    pub cases: Vec<Candidates>,
    /// Where the deciding text is another one.
    pub other: Candidates,
    pub clock: TimeReader,
    pub counts: Counts,
}

/// Steps that a record may match, with what remains to be asked: the index of each among the takings.
#[derive(Clone, Debug, Default)]
pub(super) struct Candidates {
    whole: Vec<(usize, Test)>,
    /// For each `each` in use, by its number.
    exploded: Vec<(usize, Vec<(usize, Test)>)>,
}

impl Candidates {
    pub fn add(&mut self, step: usize, each: Option<usize>, test: Test) {
        let Some(each) = each else { return self.whole.push((step, test)) };
        match self.exploded.iter_mut().find(|(known, _)| *known == each) {
            Some((_, steps)) => steps.push((step, test)),
            None => self.exploded.push((each, vec![(step, test)])),
        }
    }
}

/// What all observations of one record share.
#[derive(Clone, Copy)]
struct Moment {
    /// The record's time.
    time: Option<Time>,
    /// No time is later.
    latest: Time,
    position: Position,
}

/// What a record matched.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Matched {
    /// How many observations it gave.
    pub matched: u32,
    /// A step that it matched could not read its own time.
    pub left_out: bool,
}

impl Matcher {
    /// Makes the observations of one record, each in the batch of its plan; `None` where one cannot hold them all.
    pub fn record(
        &mut self,
        view: &View<'_>,
        case: Case,
        time: Option<Time>,
        latest: Time,
        batches: &mut [Batch],
    ) -> Option<Matched> {
        let Matcher { takings, leaves, explodes, open, cases, other, clock, counts } = self;
        let candidates = match case {
            Case::Open => open,
            Case::Known(case) => &cases[case],
            Case::Other => other,
        };
        let moment = Moment { time, latest, position: view.record.position };
        leaves.next_record();
        let mut applying = Applying { takings, leaves, clock, counts, batches, all: Matched::default(), full: false };
        for (step, test) in &candidates.whole {
            applying.step(*step, test, view, moment);
        }
        for (each, steps) in &candidates.exploded {
            explodes[*each].elements(view, |view, element| {
                // A payload that holds several records has numbered them; theirs stand before those of their elements.
                let element = first_element(moment.position).wrapping_add(element);
                let moment = Moment { position: Position { element, ..moment.position }, ..moment };
                applying.leaves.next_element(*each);
                for (step, test) in steps {
                    applying.step(*step, test, view, moment);
                }
            });
        }
        (!applying.full).then_some(applying.all)
    }
}

struct Applying<'m> {
    takings: &'m [Taking],
    leaves: &'m mut Leaves,
    clock: &'m mut TimeReader,
    counts: &'m mut Counts,
    batches: &'m mut [Batch],
    all: Matched,
    full: bool,
}

impl Applying<'_> {
    /// Applies one step to a record or an element.
    #[inline]
    fn step(&mut self, index: usize, test: &Test, view: &View<'_>, moment: Moment) {
        let taking = &self.takings[index];
        if !taking.reads(view.record) {
            return;
        }
        let counts = self.counts.at(index);
        match self.leaves.ask(test, view) {
            Answer::Yes => {}
            Answer::No => return,
            Answer::Error => return counts.when_errors += 1,
        }
        let batch = &mut self.batches[taking.lane];
        if batch.is_full() {
            self.full = true;
            return;
        }
        match taking.time(view, moment.time, self.clock, moment.latest) {
            Some(time) => self.all.matched += u32::from(taking.observe(view, time, moment.position, batch, counts)),
            None => {
                counts.undecodable += 1;
                self.all.left_out = true;
            }
        }
    }
}
