//! What a live source vouches for: folds its proofs, its holes and the times of its records into the engine's `Begins`,
//! `Progress` and `Gap`.
//!
//! ```text
//! records         9        12       ?      14          lateness 5, skew 1
//! proofs     caught up at 10     caught up at 20
//!            begins 12 ─┐            │    hole: gap 5‥19
//!            progress 5 ┘            └─ progress 15
//! ```
//!
//! Progress is earned by proofs alone. A record's own time proves nothing about the others while parts are read at
//! different speeds; it only shows where a recorded past begins, and where a hole ends.

use crate::engine::Input;
use crate::model::SourceId;
use crate::model::time::{Span, Time};

/// A clock of the plan that is read off the source.
#[derive(Clone, Copy, Debug)]
pub struct Clock {
    /// The evidence source.
    pub source: SourceId,
    /// The longest span from an event's time to its being visible.
    pub lateness: Span,
    /// How far it has come; `None` before its first proof.
    pub progress: Option<Time>,
}

/// Follows one live source.
#[derive(Debug)]
pub struct Claims {
    /// The source's own first.
    clocks: Vec<Clock>,
    clock_skew: Span,
    /// What was there before the watch is read as well.
    from_beginning: bool,
    oldest: Option<Time>,
    /// The newest proof that was not told yet.
    proof: Option<Time>,
    /// A hole whose other side has not been seen, told for every clock as beginning at its progress.
    hole: Option<Hole>,
    beyond_lateness: u64,
}

#[derive(Debug)]
struct Hole {
    /// Where it begins, by each clock; `None` before the watch has begun.
    from: Vec<Option<Time>>,
    told: bool,
    /// The time of the first record or proof behind it.
    end: Option<Time>,
}

impl Claims {
    /// Follows a source from where its clocks stand.
    pub fn new(clocks: Vec<Clock>, clock_skew: Span, from_beginning: bool) -> Claims {
        let (oldest, proof, hole) = (None, None, None);
        Claims { clocks, clock_skew, from_beginning, oldest, proof, hole, beyond_lateness: 0 }
    }

    /// A record with its event time.
    #[inline]
    pub fn record(&mut self, time: Time) {
        self.oldest = Some(self.oldest.map_or(time, |oldest| oldest.min(time)));
        if self.clocks[0].progress.is_some_and(|progress| time < progress) {
            self.beyond_lateness += 1;
        }
        if let Some(hole) = &mut self.hole {
            hole.end.get_or_insert(time);
        }
    }

    /// All that happened before `at` and was visible then has been delivered.
    pub fn caught_up(&mut self, at: Time) {
        self.proof = self.proof.max(Some(at));
        if let Some(hole) = &mut self.hole {
            hole.end.get_or_insert(at + self.clock_skew + self.clock_skew);
        }
    }

    /// Records may be missing, from here on to the next record or proof.
    pub fn hole(&mut self) {
        match &mut self.hole {
            // One more before the other side of the first was told: they are one.
            Some(hole) => hole.end = None,
            None => {
                let from = self.clocks.iter().map(|clock| clock.progress).collect();
                self.hole = Some(Hole { from, told: false, end: None });
            }
        }
    }

    /// The clocks that are read off the source.
    pub fn clocks(&self) -> impl Iterator<Item = &Clock> {
        self.clocks.iter()
    }

    /// Records that came later than the lateness allows, since this was last asked.
    pub fn take_beyond_lateness(&mut self) -> u64 {
        std::mem::take(&mut self.beyond_lateness)
    }

    /// Tells what has changed since the last time: holes before the progress that they spoil.
    pub fn report(&mut self, out: &mut Vec<Input>) {
        if let Some(hole) = &mut self.hole {
            if !hole.told || hole.end.is_some() {
                for (clock, from) in self.clocks.iter().zip(&hole.from) {
                    // What was lost before the watch began is unknown anyway.
                    let Some(from) = *from else { continue };
                    let to = hole.end.map(|end| end + clock.lateness);
                    out.push(Input::Gap { source: clock.source, from, to: to.map(|to| to.max(from)) });
                }
                hole.told = true;
            }
            if hole.end.is_some() {
                self.hole = None;
            }
        }
        let Some(proof) = self.proof.take() else { return };
        for clock in &mut self.clocks {
            if clock.progress.is_none() {
                let watched = proof + self.clock_skew + self.clock_skew;
                let recorded = self.oldest.filter(|_| self.from_beginning).map(|oldest| oldest + clock.lateness);
                out.push(Input::Begins { source: clock.source, at: recorded.map_or(watched, |at| at.min(watched)) });
            }
            let to = proof - clock.lateness;
            if clock.progress.is_none_or(|progress| progress < to) {
                clock.progress = Some(to);
                out.push(Input::Progress { source: clock.source, to });
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn claims(from_beginning: bool) -> Claims {
        let clock = |source, lateness| Clock { source, lateness: Span(lateness), progress: None };
        Claims::new(vec![clock(0, 5), clock(1, 7)], Span(1), from_beginning)
    }

    fn told(claims: &mut Claims) -> String {
        let mut inputs = Vec::new();
        claims.report(&mut inputs);
        let one = |input: &Input| match input {
            Input::Begins { source, at } => format!("{source} begins {}", at.0),
            Input::Progress { source, to } => format!("{source} to {}", to.0),
            Input::Gap { source, from, to } => {
                format!("{source} gap {}‥{}", from.0, to.map_or(String::new(), |to| to.0.to_string()))
            }
            other => format!("{other:?}"),
        };
        inputs.iter().map(one).collect::<Vec<_>>().join(", ")
    }

    #[test]
    fn progress_is_the_proof_less_each_clocks_lateness() {
        let mut claims = claims(false);
        claims.record(Time(9));
        assert_eq!(told(&mut claims), "", "a record proves nothing");
        claims.caught_up(Time(10));
        assert_eq!(told(&mut claims), "0 begins 12, 0 to 5, 1 begins 12, 1 to 3");
        claims.caught_up(Time(10));
        assert_eq!(told(&mut claims), "", "nothing new");
        claims.caught_up(Time(20));
        assert_eq!(told(&mut claims), "0 to 15, 1 to 13");
        claims.record(Time(14));
        claims.record(Time(15));
        assert_eq!((claims.take_beyond_lateness(), claims.take_beyond_lateness()), (1, 0));
    }

    #[test]
    fn a_past_that_was_recorded_counts_from_its_oldest_record() {
        let mut claims = claims(true);
        [Time(6), Time(3), Time(8)].into_iter().for_each(|time| claims.record(time));
        claims.caught_up(Time(20));
        assert_eq!(told(&mut claims), "0 begins 8, 0 to 15, 1 begins 10, 1 to 13");
    }

    #[test]
    fn a_hole_is_as_wide_as_what_could_have_stood_there() {
        let mut claims = claims(false);
        claims.hole();
        assert_eq!(told(&mut claims), "", "before the watch everything is unknown");
        claims.caught_up(Time(10));
        told(&mut claims);
        claims.hole();
        assert_eq!(told(&mut claims), "0 gap 5‥, 1 gap 3‥");
        claims.record(Time(14));
        claims.record(Time(30));
        claims.caught_up(Time(40));
        assert_eq!(told(&mut claims), "0 gap 5‥19, 1 gap 3‥21, 0 to 35, 1 to 33");
        claims.hole();
        claims.caught_up(Time(50));
        claims.hole();
        assert_eq!(told(&mut claims), "0 gap 35‥, 1 gap 33‥, 0 to 45, 1 to 43", "its other side is not seen yet");
        claims.caught_up(Time(60));
        assert_eq!(told(&mut claims), "0 gap 35‥67, 1 gap 33‥69, 0 to 55, 1 to 53");
    }
}
