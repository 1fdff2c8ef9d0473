//! What happened to the records at each step, in numbers.

use crate::model::{FlowId, StepId};

/// The counts of each step that an extractor serves. Those of several threads, and of several
/// sources, add up.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Ascending by plan, flow and step.
    steps: Vec<((usize, FlowId, StepId), StepCounts)>,
}

/// The counts of one step.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct StepCounts {
    /// Observations made.
    pub matched: u64,
    /// Key values that were null or absent.
    pub null_keys: u64,
    /// Key values that are no keys: empty text, objects, NaN, true and false.
    pub not_keys: u64,
    /// Errors of expressions in `when`: no match.
    pub when_errors: u64,
    /// Errors of expressions in `key` and `dedupe_by`: null.
    pub key_errors: u64,
    /// Errors of expressions in `keep`: null.
    pub keep_errors: u64,
    /// Observations lost because the step's own `time` could not be read.
    pub undecodable: u64,
}

impl StepCounts {
    fn add(&mut self, other: &StepCounts) {
        self.matched += other.matched;
        self.null_keys += other.null_keys;
        self.not_keys += other.not_keys;
        self.when_errors += other.when_errors;
        self.key_errors += other.key_errors;
        self.keep_errors += other.keep_errors;
        self.undecodable += other.undecodable;
    }
}

impl Counts {
    /// Zeros for these steps, which ascend.
    pub(super) fn of_steps(steps: impl Iterator<Item = (usize, FlowId, StepId)>) -> Counts {
        Counts { steps: steps.map(|at| (at, StepCounts::default())).collect() }
    }

    /// The counts of the step at this index among those that the extractor serves.
    pub(super) fn at(&mut self, index: usize) -> &mut StepCounts {
        &mut self.steps[index].1
    }

    /// The counts of one step of the first plan; zeros where it is not served.
    pub fn step(&self, flow: FlowId, step: StepId) -> StepCounts {
        let at = self.steps.binary_search_by_key(&(0, flow, step), |(at, _)| *at);
        at.map_or(StepCounts::default(), |at| self.steps[at].1)
    }

    /// All steps with their counts, ascending by flow and step.
    pub fn iter(&self) -> impl Iterator<Item = (FlowId, StepId, &StepCounts)> {
        self.steps.iter().map(|((_, flow, step), counts)| (*flow, *step, counts))
    }

    /// Adds another's counts to these.
    pub fn merge(&mut self, other: &Counts) {
        for (at, counts) in &other.steps {
            match self.steps.binary_search_by_key(at, |(at, _)| *at) {
                Ok(place) => self.steps[place].1.add(counts),
                Err(place) => self.steps.insert(place, (*at, *counts)),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_add_up_step_by_step() {
        let mut all = Counts::of_steps([(0, 0, 0), (0, 1, 0)].into_iter());
        all.at(1).matched = 2;
        let mut other = Counts::of_steps([(0, 0, 3), (0, 1, 0)].into_iter());
        other.at(0).null_keys = 1;
        other.at(1).matched = 3;
        all.merge(&other);
        assert_eq!(all.step(1, 0).matched, 5);
        assert_eq!(all.step(0, 3).null_keys, 1);
        assert_eq!(all.iter().map(|(flow, step, _)| (flow, step)).collect::<Vec<_>>(), [(0, 0), (0, 3), (1, 0)]);
        assert_eq!(all.step(9, 9), StepCounts::default());
    }
}
