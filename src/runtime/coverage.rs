//! What a recording can vouch for: folds the event times of its records into the engine's `Begins`, `Progress`,
//! `Gap` and `Ends`.
//!
//! ```text
//! event times    10   12   ?   14 ────────────── 95   96   end          lateness 5, silence 60
//!                 │         │   └─ silence ──────┘          │
//! begins 15 ──────┘         └─ gap 7‥19   gap 9‥100         └─ ends 91
//! ```
//!
//! Everything is kept in terms of the newest event time that was seen; each clock that reads the source (its own,
//! and those of steps with a `time` of their own) subtracts its own lateness. A time further than `jump_max` from
//! all others counts only once another stands near it or beyond it. Nothing is claimed before it is sure: progress
//! is the least of the unfinished parts, and it never passes a hole whose other side has not been seen.

use super::silence::Silence;
use crate::engine::Input;
use crate::flow::format::{Lateness, Pacing};
use crate::model::SourceId;
use crate::model::time::{Span, Time};
use std::collections::BTreeSet;

/// Gaps that are kept for the report.
const GAPS_SHOWN_MAX: usize = 100;

/// Which part of event time is looked at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Window {
    /// Included.
    pub since: Time,
    /// Excluded.
    pub until: Time,
}

impl Window {
    /// All of it.
    pub const ALL: Window = Window { since: Time::MIN, until: Time::MAX };

    /// Whether a time lies in it.
    pub fn contains(self, time: Time) -> bool {
        self.since <= time && time < self.until
    }
}

/// A stretch of event time in which records may be missing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Hole {
    /// Included.
    pub from: Time,
    /// Included; open-ended where `None`.
    pub to: Option<Time>,
    /// Why.
    pub why: &'static str,
}

/// A clock of the plan that is read off this source.
#[derive(Clone, Copy, Debug)]
struct Clock {
    source: SourceId,
    lateness: Span,
    begun: Option<Time>,
    progress: Option<Time>,
    /// The end of the last gap that it was told.
    gap_told: Option<Time>,
}

#[derive(Clone, Copy, Debug, Default)]
struct Part {
    /// The newest confirmed time.
    newest: Option<Time>,
    /// Before anything was read: no record in it was seen to be older.
    expected: Option<Time>,
    /// What it counts as in `unfinished`.
    listed: Option<Time>,
    /// Something unreadable stands behind this time, and nothing readable behind that yet.
    hole: Option<Pending>,
}

impl Part {
    fn reached(&self) -> Time {
        self.newest.max(self.expected).unwrap_or(Time::MIN)
    }
}

/// A hole that waits for the first record behind it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Pending {
    from: Time,
    why: &'static str,
}

/// Follows one source.
#[derive(Debug)]
pub struct Coverage {
    clocks: Vec<Clock>,
    lateness: Lateness,
    jump_max: Span,
    holes_count: bool,
    complete: bool,
    window: Window,
    silence: Option<Silence>,
    parts: Vec<Part>,
    unfinished: BTreeSet<(Time, usize)>,
    /// The oldest and the newest confirmed time.
    range: Option<(Time, Time)>,
    /// Times too far from the range to be believed yet, with their parts: at most one on either side.
    lone: Vec<(Time, usize)>,
    /// A hole at the end of a part that has ended.
    hanging: Option<Pending>,
    /// Holes with both sides known, not told yet; `from` and `to` without lateness.
    closed: Vec<Hole>,
    ended: bool,
    beyond_lateness: u64,
    shown: Vec<Hole>,
    shown_more: u64,
}

impl Coverage {
    /// Follows a source of so many parts. `clocks` are the evidence sources that are read off it with their
    /// lateness, its own first.
    pub fn new(clocks: &[(SourceId, Span)], pacing: &Pacing, parts: usize, window: Window, complete: bool) -> Coverage {
        let clock = |&(source, lateness)| Clock { source, lateness, begun: None, progress: None, gap_told: None };
        Coverage {
            clocks: clocks.iter().map(clock).collect(),
            lateness: pacing.lateness,
            jump_max: pacing.jump_max,
            holes_count: pacing.undecodable_is_gap && !complete,
            complete,
            window,
            silence: pacing.silence.map(Silence::new),
            parts: vec![Part { listed: Some(Time::MIN), ..Part::default() }; parts],
            unfinished: (0..parts).map(|part| (Time::MIN, part)).collect(),
            range: None,
            lone: Vec::new(),
            hanging: None,
            closed: Vec::new(),
            ended: false,
            beyond_lateness: 0,
            shown: Vec::new(),
            shown_more: 0,
        }
    }

    /// What is known before anything is read: declared holes, and that a complete recording begins with time.
    pub fn start(&mut self, declared: &[(Time, Time)], out: &mut Vec<Input>) {
        let lead = self.lead();
        for (index, clock) in self.clocks.iter_mut().enumerate() {
            if self.complete {
                clock.begun = Some(self.window.since);
                out.push(Input::Begins { source: clock.source, at: self.window.since });
            }
            for &(from, to) in declared {
                let (from, to) = if index == 0 { (from, to) } else { (from - clock.lateness, to + lead) };
                out.push(Input::Gap { source: clock.source, from, to: Some(to) });
            }
        }
        self.shown.extend(declared.iter().map(|&(from, to)| Hole { from, to: Some(to), why: "declared" }));
    }

    /// A look at the front of a part found no time older than this.
    pub fn expect(&mut self, part: usize, oldest: Time) {
        self.parts[part].expected = Some(oldest);
        self.list(part);
    }

    /// A record with its event time.
    #[inline]
    pub fn record(&mut self, part: usize, time: Time) {
        let state = &mut self.parts[part];
        if let Some(newest) = state.newest {
            if let Lateness::Span(lateness) = self.lateness
                && time + lateness < newest
            {
                self.beyond_lateness += 1;
                return;
            }
            if let Some((oldest, newest_of_all)) = self.range
                && (oldest..=newest_of_all).contains(&time)
                && state.hole.is_none()
                && self.silence.is_none()
                && self.hanging.is_none()
            {
                state.newest = Some(newest.max(time));
                return;
            }
        }
        self.moves(part, time);
    }

    /// An observation by a clock of its own (numbered as given to [`Coverage::new`]): it moves nothing, but it may
    /// be later than that clock's lateness allows.
    pub fn observation(&mut self, part: usize, clock: usize, time: Time) {
        let late = |newest| time + self.clocks[clock].lateness < newest;
        if !matches!(self.lateness, Lateness::End) && self.parts[part].newest.is_some_and(late) {
            self.beyond_lateness += 1;
        }
    }

    /// A record that could not be decoded.
    pub fn undecodable(&mut self, part: usize) {
        if self.holes_count {
            self.hole(part, "undecodable");
        }
    }

    /// The rest of a part could not be read, which no declaration excuses.
    pub fn unreadable(&mut self, part: usize) {
        self.hole(part, "unreadable");
    }

    /// A part has been read to its end.
    pub fn finish(&mut self, part: usize) {
        let state = &mut self.parts[part];
        if let Some(listed) = state.listed.take() {
            self.unfinished.remove(&(listed, part));
        }
        if let Some(hole) = state.hole.take() {
            let earlier = self.hanging.filter(|known| known.from <= hole.from);
            self.hanging = Some(earlier.unwrap_or(hole));
        }
    }

    /// How far a part has come in event time; what is in no order of time is behind everything.
    pub fn reached(&self, part: usize) -> Time {
        match self.lateness {
            Lateness::Span(_) => self.parts[part].reached(),
            Lateness::End => Time::MIN,
        }
    }

    /// Tells what has changed since the last time, after records of `part`.
    pub fn report(&mut self, part: usize, out: &mut Vec<Input>) {
        self.list(part);
        if self.ended {
            return;
        }
        if self.unfinished.is_empty() {
            self.ended = true;
            self.conclude(out);
            return;
        }
        if let Lateness::Span(lateness) = self.lateness {
            let mut reached = self.base();
            if let Some(silence) = &mut self.silence {
                let settled = silence.settle(reached - lateness);
                reached = reached.min(silence.hold());
                self.closed.extend(settled.into_iter().map(silent));
            }
            self.tell_begin(out);
            self.tell_holes(out);
            for clock in &mut self.clocks {
                let to = (reached - clock.lateness).min(self.window.until);
                if to.is_finite() && clock.progress.is_none_or(|told| told < to) {
                    clock.progress = Some(to);
                    out.push(Input::Progress { source: clock.source, to });
                }
            }
        }
    }

    /// Records that came later than the lateness allows.
    pub fn beyond_lateness(&self) -> u64 {
        self.beyond_lateness
    }

    /// Times that stand alone, further than `jump_max` from all others: they moved nothing.
    pub fn lone(&self) -> u64 {
        self.lone.len() as u64
    }

    /// The oldest and the newest event time that count.
    pub fn range(&self) -> Option<(Time, Time)> {
        self.range
    }

    /// The first of its holes, and how many more there are.
    pub fn holes(&self) -> (&[Hole], u64) {
        (&self.shown, self.shown_more)
    }

    /// How many silences were told as one with others, since there were too many.
    pub fn silences_merged(&self) -> u64 {
        self.silence.as_ref().map_or(0, Silence::forgotten)
    }

    /// What a time of this source lags behind its being visible, at most.
    fn lead(&self) -> Span {
        match self.lateness {
            Lateness::Span(lateness) => lateness,
            Lateness::End => Span::ZERO,
        }
    }

    /// The newest time behind which nothing is missing that the parts may still bring.
    fn base(&self) -> Time {
        let newest = self.range.map_or(Time::MIN, |(_, newest)| newest);
        let least = self.unfinished.first().map_or(newest, |(reached, _)| *reached);
        self.hanging.map_or(least, |hole| least.min(hole.from)).min(newest)
    }

    fn list(&mut self, part: usize) {
        let state = &mut self.parts[part];
        let reached = state.reached();
        if let Some(listed) = state.listed
            && listed != reached
        {
            self.unfinished.remove(&(listed, part));
            self.unfinished.insert((reached, part));
            state.listed = Some(reached);
        }
    }

    fn hole(&mut self, part: usize, why: &'static str) {
        let from = match self.lateness {
            Lateness::Span(_) => self.parts[part].newest.unwrap_or_else(|| self.base()),
            Lateness::End => Time::MIN,
        };
        self.parts[part].hole.get_or_insert(Pending { from, why });
    }

    /// A time that is not simply within what is known: it widens the range, or stands alone for now.
    fn moves(&mut self, part: usize, time: Time) {
        let jump = self.jump_max;
        if self.range.is_some_and(|(oldest, newest)| oldest - jump <= time && time <= newest + jump) {
            self.confirm(part, time);
        } else {
            self.lone.push((time, part));
        }
        if !self.lone.is_empty() {
            self.believe();
        }
        if !self.lone.contains(&(time, part)) {
            self.close_holes(part, time);
        }
    }

    /// Takes in the times that stood alone and no longer do: the newest of all counts where the next one is near,
    /// else that next one does, since the newest lies beyond it; the oldest likewise. So a single wild time moves
    /// nothing, a long silence does not hold the range back, and at most two times are ever kept.
    fn believe(&mut self) {
        let range = self.range.into_iter().flat_map(|(oldest, newest)| [oldest, newest]);
        let mut times: Vec<Time> = self.lone.iter().map(|(time, _)| *time).chain(range).collect();
        times.sort_unstable();
        let [.., before, last] = times[..] else { return };
        let newest = if last <= before + self.jump_max { last } else { before };
        let oldest = if times[1] <= times[0] + self.jump_max { times[0] } else { times[1] };
        for (time, part) in std::mem::take(&mut self.lone) {
            if (oldest..=newest).contains(&time) {
                self.confirm(part, time);
                self.list(part);
            } else {
                self.lone.push((time, part));
            }
        }
    }

    fn confirm(&mut self, part: usize, time: Time) {
        let (oldest, newest) = self.range.unwrap_or((time, time));
        self.range = Some((oldest.min(time), newest.max(time)));
        let state = &mut self.parts[part];
        state.newest = state.newest.max(Some(time));
        if let Some(silence) = &mut self.silence {
            silence.heard(time);
        }
    }

    /// A record stands behind the hole of its part, and ahead of the one that hangs at the end of an earlier part.
    fn close_holes(&mut self, part: usize, time: Time) {
        if matches!(self.lateness, Lateness::End) {
            return;
        }
        let passed = self.hanging.take_if(|hole| hole.from <= time);
        for hole in [self.parts[part].hole.take(), passed].into_iter().flatten() {
            self.closed.push(Hole { from: hole.from, to: Some(time), why: hole.why });
        }
    }

    fn tell_begin(&mut self, out: &mut Vec<Input>) {
        let Some((oldest, _)) = self.range else { return };
        if self.complete {
            return;
        }
        let at = (oldest + self.lead()).max(self.window.since);
        for clock in &mut self.clocks {
            if clock.begun.is_none_or(|told| at < told) {
                clock.begun = Some(at);
                out.push(Input::Begins { source: clock.source, at });
            }
        }
    }

    fn tell_holes(&mut self, out: &mut Vec<Input>) {
        let lead = self.lead();
        let mut holes = std::mem::take(&mut self.closed);
        holes.sort_by_key(|hole| hole.from);
        holes.dedup_by(|next, kept| {
            let Some(end) = kept.to else { return true };
            let joins = next.from - lead <= end + lead;
            if joins {
                kept.to = next.to.map(|to| to.max(end));
            }
            joins
        });
        for hole in holes {
            for index in 0..self.clocks.len() {
                self.tell_hole(index, hole, out);
            }
        }
    }

    fn tell_hole(&mut self, index: usize, hole: Hole, out: &mut Vec<Input>) {
        let lead = self.lead();
        let clock = &mut self.clocks[index];
        let to = hole.to.map(|to| to + lead);
        let after_told = clock.gap_told.map_or(Time::MIN, |told| told + Span(1));
        let from = (hole.from - clock.lateness).max(after_told);
        if to.is_some_and(|to| to < from) {
            return;
        }
        clock.gap_told = to.or(Some(Time::MAX));
        out.push(Input::Gap { source: clock.source, from, to });
        if index == 0 && self.shown.len() < GAPS_SHOWN_MAX {
            self.shown.push(Hole { from, to, why: hole.why });
        } else if index == 0 {
            self.shown_more += 1;
        }
    }

    /// All parts have been read: what stands alone is decided, holes that nothing followed stay open.
    fn conclude(&mut self, out: &mut Vec<Input>) {
        if self.range.is_none()
            && let [(time, part)] = self.lone[..]
        {
            self.lone.clear();
            self.confirm(part, time);
        }
        if let Some(silence) = &mut self.silence {
            self.closed.extend(silence.settle(Time::MAX).into_iter().map(silent));
        }
        if let Some(hole) = self.hanging.take() {
            self.closed.push(Hole { from: hole.from, to: None, why: hole.why });
        }
        self.tell_begin(out);
        self.tell_holes(out);
        for clock in &self.clocks {
            let at = match (self.complete, self.range, self.lateness) {
                (true, _, _) => Time::MAX,
                (false, None, _) => Time::MIN,
                (false, Some((_, newest)), Lateness::End) => newest + Span(1),
                (false, Some((_, newest)), Lateness::Span(_)) => newest - clock.lateness,
            };
            out.push(Input::Ends { source: clock.source, at: at.min(self.window.until) });
        }
    }
}

fn silent((from, to): (Time, Time)) -> Hole {
    Hole { from, to: Some(to), why: "silence" }
}

#[cfg(test)]
mod tests;
