//! Silences: stretches of event time, longer than a limit, in which a source said nothing.
//!
//! ```text
//! times   ─●●─●──●●────────────────●──●●─     islands of times that are no further apart than the limit
//!          island         silence  island     a silence is sure once no record can come into it any more
//! ```

use crate::model::time::{Span, Time};
use std::collections::BTreeMap;

/// Islands that are kept. Beyond it one is forgotten, so that the silences on both its sides become one.
const ISLANDS_MAX: usize = 100_000;

/// The islands of times that still matter, by their first time.
#[derive(Debug)]
pub(super) struct Silence {
    longest: Span,
    islands: BTreeMap<Time, Time>,
    islands_max: usize,
    forgotten: u64,
}

impl Silence {
    /// More than `longest` between two times is a silence.
    pub(super) fn new(longest: Span) -> Silence {
        Silence { longest, islands: BTreeMap::new(), islands_max: ISLANDS_MAX, forgotten: 0 }
    }

    /// A record was heard.
    pub(super) fn heard(&mut self, time: Time) {
        let (mut first, mut last) = (time, time);
        while let Some((start, end)) = self.islands.range(..=last + self.longest).next_back().map(|(s, e)| (*s, *e))
            && end + self.longest >= first
        {
            if start <= first && end >= last {
                return;
            }
            self.islands.remove(&start);
            (first, last) = (first.min(start), last.max(end));
        }
        self.islands.insert(first, last);
        if self.islands.len() > self.islands_max
            && let Some(second) = self.islands.keys().nth(1).copied()
        {
            // Less is claimed than could be, never more; the first one holds progress back and must stay.
            self.islands.remove(&second);
            self.forgotten += 1;
        }
    }

    /// How many islands were forgotten.
    pub(super) fn forgotten(&self) -> u64 {
        self.forgotten
    }

    /// The silences into which no record can come any more, since everything before `claim` has been heard.
    pub(super) fn settle(&mut self, claim: Time) -> Vec<(Time, Time)> {
        let mut silences = Vec::new();
        while self.islands.len() > 1
            && let Some((start, end)) = self.islands.pop_first()
        {
            match self.islands.first_key_value() {
                Some((next, _)) if *next <= claim => silences.push((end, *next)),
                _ => {
                    self.islands.insert(start, end);
                    break;
                }
            }
        }
        silences
    }

    /// How far progress may go: to the edge of the first silence that is not sure yet.
    pub(super) fn hold(&self) -> Time {
        match self.islands.len() {
            0 | 1 => Time::MAX,
            _ => self.islands.first_key_value().map_or(Time::MAX, |(_, end)| *end),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_silence_is_sure_when_nothing_can_come_into_it() {
        let mut silence = Silence::new(Span(10));
        for time in [1, 5, 40, 12, 38, 70] {
            silence.heard(Time(time));
        }
        assert_eq!(silence.hold(), Time(12));
        assert_eq!(silence.settle(Time(37)), []);
        silence.heard(Time(20));
        assert_eq!(silence.settle(Time(39)), [(Time(20), Time(38))]);
        assert_eq!(silence.hold(), Time(40));
        assert_eq!(silence.settle(Time::MAX), [(Time(40), Time(70))]);
        assert_eq!(silence.hold(), Time::MAX);
    }

    #[test]
    fn beyond_the_limit_silences_become_one() {
        let mut silence = Silence { islands_max: 3, ..Silence::new(Span(10)) };
        for time in [1, 20, 40, 60, 80] {
            silence.heard(Time(time));
        }
        assert_eq!(silence.forgotten(), 2);
        assert_eq!(silence.settle(Time::MAX), [(Time(1), Time(60)), (Time(60), Time(80))]);
    }

    #[test]
    fn a_late_record_joins_two_islands() {
        let mut silence = Silence::new(Span(10));
        for time in [1, 20, 10] {
            silence.heard(Time(time));
        }
        assert_eq!(silence.settle(Time::MAX), []);
    }
}
