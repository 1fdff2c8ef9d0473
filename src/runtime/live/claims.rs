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
//!
//! With `silence`, to have said nothing for longer is a hole. So long as it is not longer, nobody knows whether the
//! source is quiet or dead: progress waits at the newest record.

use crate::engine::Input;
use crate::flow::plan::Plan;
use crate::model::SourceId;
use crate::model::time::{Span, Time};
use crate::sources::live::Start;

/// Of a hole in more parts than these, nobody follows where it ends in each.
const PARTS_MAX: usize = 64;

/// A clock of the plan that is read off the source.
#[derive(Clone, Copy, Debug)]
pub struct Clock {
    /// The evidence source.
    pub source: SourceId,
    /// The longest span from an event's time to its being visible.
    pub lateness: Span,
    /// How far it has come; `None` before its first proof.
    pub progress: Option<Time>,
    /// Where a gap begins whose other side has not been seen.
    pub gap: Option<Time>,
}

impl Clock {
    /// The clocks that are read off one of the plan's configured sources, its own first, before anything is known of them.
    pub fn all(plan: &Plan, source: SourceId) -> impl Iterator<Item = Clock> {
        let clock = |id| Clock { source: id, lateness: plan.sources[id as usize].lateness, progress: None, gap: None };
        plan.clocks(source).map(clock)
    }
}

/// What is declared of a source.
#[derive(Clone, Debug, Default)]
pub struct Pace {
    /// How far clocks may differ.
    pub clock_skew: Span,
    /// How much of what was there before the watch is read as well.
    pub start: Start,
    /// To have said nothing for longer is a hole.
    pub silence: Option<Span>,
    /// Known holes: from, to, both included.
    pub gaps: Vec<(Time, Time)>,
}

/// Follows one live source.
#[derive(Debug)]
pub struct Claims {
    /// The source's own first.
    clocks: Vec<Clock>,
    pace: Pace,
    /// The oldest and the newest record.
    oldest: Option<Time>,
    newest: Option<Time>,
    /// The newest proof.
    proof: Option<Time>,
    /// A hole whose other side has not been seen, told for every clock as beginning at its progress.
    hole: Option<Hole>,
    beyond_lateness: u64,
}

#[derive(Debug)]
struct Hole {
    /// Where it begins, by each clock; `None` before the watch has begun, which the first proof shows.
    from: Vec<Option<Time>>,
    told: bool,
    /// The source said nothing for too long: only a record ends it.
    silent: bool,
    /// Only a proof ends it: nobody knows in which part of the system it is.
    anywhere: bool,
    /// The parts in which it is: each ends with its next record.
    parts: Vec<u32>,
    /// The latest time at which what was lost may have become visible, as far as it is known.
    end: Option<Time>,
}

impl Hole {
    /// Its other side has been seen everywhere.
    fn is_over(&self) -> bool {
        !self.anywhere && self.parts.is_empty() && self.end.is_some()
    }
}

impl Claims {
    /// Follows a source from where its clocks stand. A gap that is open since an earlier run ends with the next proof.
    pub fn new(clocks: Vec<Clock>, pace: Pace) -> Claims {
        let hole = clocks.iter().any(|clock| clock.gap.is_some()).then(|| {
            let from = clocks.iter().map(|clock| clock.gap).collect();
            Hole { from, told: true, silent: false, anywhere: true, parts: Vec::new(), end: None }
        });
        Claims { clocks, pace, oldest: None, newest: None, proof: None, hole, beyond_lateness: 0 }
    }

    /// A record of a part, with its event time.
    #[inline]
    pub fn record(&mut self, part: u32, time: Time) {
        self.oldest = Some(self.oldest.map_or(time, |oldest| oldest.min(time)));
        self.newest = self.newest.max(Some(time));
        if self.clocks[0].progress.is_some_and(|progress| time < progress) {
            self.beyond_lateness += 1;
        }
        if let Some(hole) = &mut self.hole {
            if hole.silent {
                hole.end.get_or_insert(time);
            } else if let Some(place) = hole.parts.iter().position(|known| *known == part) {
                // Parts are in order: what was lost of this one was visible before this record.
                hole.parts.swap_remove(place);
                hole.end = hole.end.max(Some(time));
            }
        }
    }

    /// All that happened before `at` and was visible then has been delivered.
    pub fn caught_up(&mut self, at: Time) {
        self.proof = self.proof.max(Some(at));
        if let Some(hole) = self.hole.as_mut().filter(|hole| !hole.silent) {
            if hole.anywhere || !hole.parts.is_empty() {
                hole.end = hole.end.max(Some(at + self.pace.clock_skew + self.pace.clock_skew));
            }
            (hole.anywhere, hole.parts) = (false, Vec::new());
        }
    }

    /// Records may be missing, nobody knows of which part: from here on to the next proof. A record of another part may be
    /// older than what was lost.
    pub fn hole(&mut self) {
        self.open().anywhere = true;
    }

    /// Records of a part may be missing: from here on to its next record, or to the next proof.
    pub fn hole_in(&mut self, part: u32) {
        let hole = self.open();
        if hole.parts.len() >= PARTS_MAX {
            hole.anywhere = true;
        } else if !hole.parts.contains(&part) {
            hole.parts.push(part);
        }
    }

    /// The hole that is open. One more before the other side of the first was told: they are one.
    fn open(&mut self) -> &mut Hole {
        if self.hole.is_none() {
            self.open_hole(false);
        }
        self.hole.as_mut().expect("it was opened")
    }

    fn open_hole(&mut self, silent: bool) {
        let from = self.clocks.iter().map(|clock| clock.progress).collect();
        self.hole = Some(Hole { from, told: false, silent, anywhere: false, parts: Vec::new(), end: None });
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
        let reached = self.reached();
        if let Some(reached) = reached {
            self.begin(reached, out);
        }
        self.tell_hole(out);
        let Some(reached) = reached else { return };
        for clock in &mut self.clocks {
            let to = reached - clock.lateness;
            if clock.progress.is_none_or(|progress| progress < to) {
                clock.progress = Some(to);
                out.push(Input::Progress { source: clock.source, to });
            }
        }
    }

    /// With the first proof it is known from where on a clock's source is covered, and which holes were in it.
    fn begin(&mut self, reached: Time, out: &mut Vec<Input>) {
        for (index, clock) in self.clocks.iter().enumerate().filter(|(_, clock)| clock.progress.is_none()) {
            let at = begins(clock, &self.pace, reached, self.oldest);
            out.push(Input::Begins { source: clock.source, at });
            for &(from, to) in &self.pace.gaps {
                let more = if index == 0 { Span::ZERO } else { clock.lateness };
                out.push(Input::Gap { source: clock.source, from: from - more, to: Some(to + more) });
            }
            if let Some(hole) = self.hole.as_mut().filter(|_| self.pace.start != Start::Latest) {
                hole.from[index].get_or_insert(at);
            }
        }
    }

    /// Up to where everything has been delivered: as proven, but while nobody knows whether the source is quiet or
    /// dead, up to its newest record.
    fn reached(&mut self) -> Option<Time> {
        let proof = self.proof?;
        let Some(silence) = self.pace.silence else { return Some(proof) };
        let newest = *self.newest.get_or_insert(proof);
        if proof.since(newest) <= silence {
            return Some(proof.min(newest));
        }
        if self.hole.is_none() {
            self.open_hole(true);
        }
        Some(proof)
    }

    fn tell_hole(&mut self, out: &mut Vec<Input>) {
        let Some(hole) = &mut self.hole else { return };
        let is_over = hole.is_over();
        if self.proof.is_none() && hole.from.contains(&None) || hole.told && !is_over {
            return;
        }
        for (clock, from) in self.clocks.iter().zip(&hole.from) {
            // Of a watch that begins with its first proof, what was lost before is unknown anyway.
            let Some(from) = *from else { continue };
            let to = hole.end.filter(|_| is_over).map(|end| (end + clock.lateness).max(from));
            out.push(Input::Gap { source: clock.source, from, to });
        }
        hole.told = true;
        if is_over {
            self.hole = None;
        }
    }
}

/// From where on a clock's source is covered: from its first proof, or from the oldest record of what was there before.
fn begins(clock: &Clock, pace: &Pace, first_proof: Time, oldest: Option<Time>) -> Time {
    let watched = first_proof + pace.clock_skew + pace.clock_skew;
    let recorded = match pace.start {
        Start::Latest => None,
        Start::Beginning => oldest.map(|oldest| oldest + clock.lateness),
        Start::At(time) => Some(time + pace.clock_skew),
    };
    recorded.map_or(watched, |at| at.min(watched))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn claims(start: Start) -> Claims {
        let clock = |source, lateness| Clock { source, lateness: Span(lateness), progress: None, gap: None };
        let pace = Pace { clock_skew: Span(1), start, ..Pace::default() };
        Claims::new(vec![clock(0, 5), clock(1, 7)], pace)
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
        let mut claims = claims(Start::Latest);
        claims.record(0, Time(9));
        assert_eq!(told(&mut claims), "", "a record proves nothing");
        claims.caught_up(Time(10));
        assert_eq!(told(&mut claims), "0 begins 12, 1 begins 12, 0 to 5, 1 to 3");
        claims.caught_up(Time(10));
        assert_eq!(told(&mut claims), "", "nothing new");
        claims.caught_up(Time(20));
        assert_eq!(told(&mut claims), "0 to 15, 1 to 13");
        claims.record(0, Time(14));
        claims.record(0, Time(15));
        assert_eq!((claims.take_beyond_lateness(), claims.take_beyond_lateness()), (1, 0));
    }

    #[test]
    fn a_past_that_was_recorded_counts_from_its_oldest_record() {
        let mut claims = claims(Start::Beginning);
        [Time(6), Time(3), Time(8)].into_iter().for_each(|time| claims.record(0, time));
        claims.caught_up(Time(20));
        assert_eq!(told(&mut claims), "0 begins 8, 1 begins 10, 0 to 15, 1 to 13");
    }

    #[test]
    fn a_hole_in_a_past_that_was_recorded_is_told_when_it_is_known_where_that_begins() {
        let mut claims = claims(Start::Beginning);
        claims.hole_in(0);
        claims.record(0, Time(6));
        assert_eq!(told(&mut claims), "", "nothing is proven yet");
        claims.record(0, Time(9));
        claims.hole_in(0);
        claims.record(0, Time(12));
        claims.caught_up(Time(20));
        assert_eq!(told(&mut claims), "0 begins 11, 1 begins 13, 0 gap 11‥17, 1 gap 13‥19, 0 to 15, 1 to 13");
        claims.caught_up(Time(30));
        assert_eq!(told(&mut claims), "0 to 25, 1 to 23");
    }

    #[test]
    fn a_hole_is_as_wide_as_what_could_have_stood_there() {
        let mut claims = claims(Start::Latest);
        claims.hole();
        assert_eq!(told(&mut claims), "", "before the watch everything is unknown");
        claims.caught_up(Time(10));
        told(&mut claims);
        claims.hole();
        assert_eq!(told(&mut claims), "0 gap 5‥, 1 gap 3‥");
        claims.record(0, Time(14));
        claims.record(0, Time(30));
        claims.caught_up(Time(40));
        assert_eq!(told(&mut claims), "0 gap 5‥47, 1 gap 3‥49, 0 to 35, 1 to 33");
        claims.hole();
        claims.caught_up(Time(50));
        claims.hole();
        assert_eq!(told(&mut claims), "0 gap 35‥, 1 gap 33‥, 0 to 45, 1 to 43", "its other side is not seen yet");
        claims.caught_up(Time(60));
        assert_eq!(told(&mut claims), "0 gap 35‥67, 1 gap 33‥69, 0 to 55, 1 to 53");
    }

    #[test]
    fn a_gap_that_is_open_since_an_earlier_run_ends_with_the_next_proof() {
        let clock = |source, gap| Clock { source, lateness: Span(5), progress: Some(Time(10)), gap };
        let pace = Pace { clock_skew: Span(1), ..Pace::default() };
        let mut claims = Claims::new(vec![clock(0, Some(Time(7))), clock(1, None)], pace);
        claims.record(0, Time(30));
        assert_eq!(told(&mut claims), "", "a record says nothing of what was lost elsewhere");
        claims.caught_up(Time(40));
        assert_eq!(told(&mut claims), "0 gap 7‥47, 0 to 35, 1 to 35");
    }

    #[test]
    fn a_hole_in_a_part_ends_with_its_next_record() {
        let mut claims = claims(Start::Latest);
        claims.caught_up(Time(10));
        told(&mut claims);
        claims.hole_in(7);
        claims.record(3, Time(11));
        assert_eq!(told(&mut claims), "0 gap 5‥, 1 gap 3‥", "a record of another part says nothing of it");
        claims.hole_in(8);
        claims.record(7, Time(14));
        claims.record(7, Time(30));
        assert_eq!(told(&mut claims), "", "one more is open");
        claims.record(8, Time(13));
        claims.caught_up(Time(40));
        assert_eq!(told(&mut claims), "0 gap 5‥19, 1 gap 3‥21, 0 to 35, 1 to 33");
        claims.hole_in(7);
        claims.caught_up(Time(50));
        assert_eq!(told(&mut claims), "0 gap 35‥57, 1 gap 33‥59, 0 to 45, 1 to 43");
    }

    #[test]
    fn while_it_may_be_dead_progress_waits_and_too_long_a_silence_is_a_hole() {
        let clock = Clock { source: 0, lateness: Span(5), progress: None, gap: None };
        let pace = Pace { clock_skew: Span(1), silence: Some(Span(30)), ..Pace::default() };
        let mut claims = Claims::new(vec![clock], pace);
        claims.caught_up(Time(100));
        assert_eq!(told(&mut claims), "0 begins 102, 0 to 95");
        claims.record(0, Time(110));
        claims.caught_up(Time(140));
        assert_eq!(told(&mut claims), "0 to 105", "quiet, or dead since 110");
        claims.caught_up(Time(141));
        assert_eq!(told(&mut claims), "0 gap 105‥, 0 to 136", "dead");
        claims.caught_up(Time(200));
        assert_eq!(told(&mut claims), "0 to 195", "still");
        claims.record(0, Time(190));
        claims.caught_up(Time(201));
        assert_eq!(told(&mut claims), "0 gap 105‥195", "it speaks again");
        claims.record(0, Time(205));
        claims.caught_up(Time(206));
        assert_eq!(told(&mut claims), "0 to 200");
    }

    #[test]
    fn declared_holes_are_told_when_the_watch_begins() {
        let clock = |source, lateness| Clock { source, lateness: Span(lateness), progress: None, gap: None };
        let pace = Pace { gaps: vec![(Time(50), Time(60))], ..Pace::default() };
        let mut claims = Claims::new(vec![clock(0, 5), clock(1, 7)], pace);
        claims.caught_up(Time(10));
        assert_eq!(told(&mut claims), "0 begins 10, 0 gap 50‥60, 1 begins 10, 1 gap 43‥67, 0 to 5, 1 to 3");
    }
}
