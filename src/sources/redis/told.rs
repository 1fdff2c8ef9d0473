//! Events become records: what was done to a key, with the value that it had when it was looked at.

use super::super::live::{Intake, Record};
use super::events::{After, Event};
use super::fetch::Held;
use super::options::Options;
use super::value;
use crate::model::time::Time;
use std::collections::{BTreeMap, HashMap};

/// So many parts without a place in Redis are remembered; the servers of a cluster come and go.
const PARTS_MAX: usize = 1_024;

/// Offsets for what has none: the server's microseconds, and each higher than the one before.
pub(super) fn offset(offsets: &mut BTreeMap<String, u64>, part: &str, at: Time) -> u64 {
    let micros = u64::try_from(at.0.div_euclid(1_000)).unwrap_or(0);
    let offset = offsets.get(part).map_or(micros, |last| micros.max(last + 1));
    if !offsets.contains_key(part)
        && offsets.len() >= PARTS_MAX
        && let Some(oldest) = offsets.iter().min_by_key(|(_, last)| **last).map(|(part, _)| part.clone())
    {
        offsets.remove(&oldest);
    }
    offsets.insert(part.to_owned(), offset);
    offset
}

/// What is known of the keys of some events without asking: of each key, by its last event. The kind that an earlier one
/// tells is kept where the last tells none.
pub(super) fn wanted<'e>(events: impl Iterator<Item = &'e Event>, in_cluster: bool) -> HashMap<Vec<u8>, After> {
    let mut after: HashMap<Vec<u8>, After> = HashMap::new();
    for event in events {
        let Event::Key { key, what, .. } = event else { continue };
        let now = match After::of(what) {
            // Of a key that moves to another server of a cluster, `del` is said as well.
            After::Gone if in_cluster => After::Unknown,
            now => now,
        };
        match after.get_mut(key) {
            Some(before) if now == After::Unknown && *before != After::Gone => {}
            Some(before) => *before = now,
            None => _ = after.insert(key.clone(), now),
        }
    }
    after
}

/// A record of a key.
pub(super) struct Told<'t> {
    pub part: &'t str,
    pub at: Time,
    /// The number of its pattern.
    pub of: usize,
    pub key: &'t [u8],
    /// What was done; `None` for what was there already.
    pub what: Option<&'t str>,
    /// What it held when it was looked at.
    pub held: &'t Held,
    /// It was changed again before it was looked at.
    pub is_newer: bool,
}

impl Told<'_> {
    /// Hands it over.
    pub fn hand_over(&self, options: &Options, offsets: &mut BTreeMap<String, u64>, intake: &mut dyn Intake) {
        let offset = offset(offsets, self.part, self.at);
        let part = intake.part(self.part);
        let key = value::text(self.key);
        let gone = self.what.is_some_and(|what| After::of(what) == After::Gone);
        let (payload, value) = match self.held {
            _ if gone => ("null", None),
            Held::TooLong => {
                let detail = format!("the value of `{key}` is longer than {} bytes", value::STRING_MAX);
                return intake.undecodable(part, offset, "too-long", &detail, b"");
            }
            Held::Whole(json) => (&**json, self.is_newer.then_some("newer")),
            Held::Cut(json) => (&**json, Some("cut")),
            Held::Gone => ("null", Some("gone")),
            Held::Other => ("null", Some("other")),
            Held::Elsewhere => ("null", Some("elsewhere")),
        };
        let headers = value.map(|value| ("value", value));
        intake.record(Record {
            stream: Some(&options.keys[self.of].name),
            key: Some(&key),
            time: Some(self.at),
            op: self.what,
            headers: headers.as_slice(),
            ..Record::plain(part, offset, payload.as_bytes())
        });
    }
}

/// Hands over a message of a channel.
pub(super) fn message(
    options: &Options,
    (of, channel, text): (usize, &[u8], &[u8]),
    (part, at): (&str, Time),
    offsets: &mut BTreeMap<String, u64>,
    intake: &mut dyn Intake,
) {
    let offset = offset(offsets, part, at);
    let (number, channel, payload) = (intake.part(part), value::text(channel), value::json(text));
    let headers = [("channel", &*channel)];
    intake.record(Record {
        stream: Some(&options.channels[of].name),
        time: Some(at),
        headers: &headers,
        ..Record::plain(number, offset, payload.as_bytes())
    });
}

#[cfg(test)]
mod tests {
    use super::super::events::Kind;
    use super::*;

    #[test]
    fn offsets_rise_even_where_the_clock_does_not() {
        let mut offsets = BTreeMap::new();
        let mut next = |at| offset(&mut offsets, "p", Time(at));
        assert_eq!([next(5_000), next(5_000), next(4_000), next(9_000)], [5, 6, 7, 9]);
    }

    #[test]
    fn the_last_event_of_a_key_says_what_it_holds() {
        let event = |what: &str| Event::Key { of: 0, key: b"k".to_vec(), what: what.into() };
        let after = |all: &[&str], in_cluster| {
            let events: Vec<Event> = all.iter().map(|what| event(what)).collect();
            wanted(events.iter(), in_cluster)[&b"k"[..]]
        };
        assert_eq!(after(&["set", "expire"], false), After::Holds(Kind::String));
        assert_eq!(after(&["set", "del"], false), After::Gone);
        assert_eq!(after(&["del", "expire"], false), After::Unknown);
        assert_eq!(after(&["del", "hset"], false), After::Holds(Kind::Hash));
        assert_eq!(after(&["del"], true), After::Unknown);
    }
}
