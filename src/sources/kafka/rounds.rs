//! Rounds: what is there, where it begins, where it ends.
//!
//! Each round asks one question after the other, without blocking; while a target is not reached, rounds go on at a slower
//! pace, so that new and deleted topics are noticed behind a backlog too.

use super::native::{Answer, Description, Spec};
use super::reading::Reading;
use super::topics::{Look, Topics};
use super::{Follower, Halt, millis};
use crate::model::time::Time;
use crate::sources::live::{Failure, Intake, Start};
use rdkafka::error::RDKafkaErrorCode;
use std::time::{Duration, Instant};

/// From one round to the next: where each may prove something, and where an older target is not reached yet.
const ROUND: Duration = Duration::from_millis(200);
const ROUND_BEHIND: Duration = Duration::from_secs(2);
/// With patterns each round asks for all topics of the cluster.
const ROUND_PATTERNS: Duration = Duration::from_secs(1);
/// For the list of all topics, and for the first answer, is waited so long, in which nothing else is done.
const LIST_WAIT: Duration = Duration::from_secs(1);
/// A transaction that holds back a proof for so long is told.
const HELD: Duration = Duration::from_secs(10);
/// So many reasons are told at once; the others are counted.
const REASONS_SHOWN_MAX: usize = 3;

/// The question that is open.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    Rest,
    Topics,
    Places,
    Ends,
}

/// What must be reached for a proof.
struct Target {
    at: Time,
    since: Instant,
    /// Topic, partition, offset of those that are not reached.
    left: Vec<(usize, usize, i64)>,
}

pub(super) struct Rounds {
    phase: Phase,
    began: Option<Instant>,
    /// When the round began, as a proof of it says.
    at: Time,
    /// Why the round proves nothing.
    blocked: Vec<String>,
    /// The same of the last round that came to an end.
    reasons: Vec<String>,
    target: Option<Target>,
    answered: Instant,
    ever_answered: bool,
    /// It is known whom to ask.
    met: bool,
}

impl Rounds {
    pub fn new() -> Rounds {
        Rounds {
            phase: Phase::Rest,
            began: None,
            at: Time(0),
            blocked: Vec::new(),
            reasons: Vec::new(),
            target: None,
            answered: Instant::now(),
            ever_answered: false,
            met: false,
        }
    }

    /// The moment that has been proven, where one has been.
    pub fn proven(&mut self, topics: &Topics) -> Option<Time> {
        let target = self.target.as_mut()?;
        target.left.retain(|&(topic, partition, end)| {
            topics.all[topic].partitions[partition].position.is_none_or(|position| position < end)
        });
        let reached = target.left.is_empty().then_some(target.at);
        if reached.is_some() {
            self.target = None;
        }
        reached
    }

    pub fn ever_answered(&self) -> bool {
        self.ever_answered
    }

    /// For how long the cluster has answered nothing.
    pub fn silent_for(&self) -> Duration {
        self.answered.elapsed()
    }

    /// Nobody has listened until now.
    pub fn excuse(&mut self, now: Instant) {
        if now.saturating_duration_since(self.began.unwrap_or(now)) > ROUND_BEHIND {
            self.answered = now;
        }
    }

    /// All that stands in the way of a proof.
    pub fn troubles(&self, reading: &Reading<'_>) -> String {
        let mut reasons = self.reasons.clone();
        let topics = &reading.topics;
        reasons.extend(topics.all.iter().filter_map(|topic| topic.refused.clone()));
        reasons.extend(reading.trouble.clone());
        for &(topic, partition, end) in self.target.iter().filter(|t| t.since.elapsed() >= HELD).flat_map(|t| &t.left) {
            let topic = &topics.all[topic];
            let partition = &topic.partitions[partition];
            if let Some(stable) = partition.end.filter(|stable| partition.position == Some(*stable)) {
                reasons.push(format!(
                    "a transaction has been open on {}/{} since offset {stable} (the partition ends at {end} or later): what \
                     stands behind it cannot be known before it ends. `kafka-transactions.sh find-hanging` and `abort` deal \
                     with one whose producer is gone",
                    topic.name, partition.number
                ));
            }
        }
        let more = reasons.len().saturating_sub(REASONS_SHOWN_MAX);
        reasons.truncate(REASONS_SHOWN_MAX);
        if more > 0 {
            reasons.push(format!("and {more} more"));
        }
        reasons.join("\n")
    }

    fn end(&mut self) {
        self.phase = Phase::Rest;
        self.reasons = std::mem::take(&mut self.blocked);
    }

    /// What the target wanted of a topic is not there any more.
    fn drop_topic(&mut self, index: usize) {
        if let Some(target) = &mut self.target {
            target.left.retain(|(topic, ..)| *topic != index);
        }
    }
}

impl Follower<'_> {
    /// Goes on with the round as far as it can.
    pub(super) fn round(&mut self, intake: &mut dyn Intake) -> Result<(), Halt> {
        if let Some(answer) = self.connection.answer() {
            match (self.rounds.phase, answer) {
                (Phase::Rest, _) => {}
                (Phase::Topics, Answer::Topics(topics)) => self.take_topics(&topics, intake)?,
                (Phase::Places, Answer::Offsets(offsets)) => self.take_places(&offsets)?,
                (Phase::Ends, Answer::Offsets(offsets)) => self.take_ends(&offsets, intake)?,
                (_, other) => {
                    tracing::debug!("a round has failed: {other:?}");
                    self.rounds.blocked.clear();
                    self.rounds.phase = Phase::Rest;
                }
            }
        }
        if self.rounds.phase == Phase::Rest && self.is_round_due() {
            self.begin_round(intake)?;
        }
        Ok(())
    }

    fn is_round_due(&self) -> bool {
        let pause = match &self.rounds.target {
            Some(_) if !self.reading.hurry => ROUND_BEHIND,
            _ if !self.options.patterns.is_empty() => ROUND_PATTERNS,
            _ => ROUND,
        };
        self.rounds.began.is_none_or(|began| began.elapsed() >= pause)
    }

    fn begin_round(&mut self, intake: &mut dyn Intake) -> Result<(), Halt> {
        self.reading.hurry = false;
        self.rounds.began = Some(Instant::now());
        self.rounds.at = intake.now();
        let mut names = self.options.topics.clone();
        if !self.options.patterns.is_empty() {
            let Ok(all) = self.connection.all_topics(LIST_WAIT) else { return Ok(()) };
            self.answered();
            self.drop_vanished(&all, intake);
            names.extend(all.into_iter().filter(|name| self.options.matches(name)));
        }
        names.sort_unstable();
        names.dedup();
        if names.is_empty() {
            let patterns: Vec<&str> = self.options.patterns.iter().map(|pattern| pattern.as_str()).collect();
            let why = format!("no topic matches {}: nothing is concluded until one does", patterns.join(" or "));
            self.rounds.blocked.push(why);
            return self.place();
        }
        self.rounds.met = self.rounds.met || self.connection.meet(&names[0], LIST_WAIT);
        if !self.rounds.met {
            return Ok(());
        }
        self.connection.ask_topics(&names).map_err(Failure)?;
        self.rounds.phase = Phase::Topics;
        Ok(())
    }

    fn answered(&mut self) {
        self.rounds.answered = Instant::now();
        self.rounds.ever_answered = true;
    }

    /// Topics that were followed for their names' looks and are gone.
    fn drop_vanished(&mut self, all: &[String], intake: &mut dyn Intake) {
        for index in 0..self.reading.topics.all.len() {
            let topic = &mut self.reading.topics.all[index];
            if topic.missing || all.contains(&topic.name) || self.options.topics.contains(&topic.name) {
                continue;
            }
            topic.missing = true;
            topic.refused = None;
            intake.hole(&format!("the topic `{}` was deleted: what was not read of it is lost", topic.name));
            self.reading.unsent.any = true;
            self.stop_topic(index);
        }
    }

    fn stop_topic(&mut self, index: usize) {
        let topic = &mut self.reading.topics.all[index];
        for partition in &mut topic.partitions {
            if std::mem::take(&mut partition.fetching) {
                self.connection.stop(&topic.name, partition.number);
            }
        }
        self.rounds.drop_topic(index);
        self.reading.forget_places();
    }

    fn take_topics(&mut self, described: &[Description], intake: &mut dyn Intake) -> Result<(), Halt> {
        self.answered();
        let start = match self.options.start {
            Start::Latest => Spec::Latest,
            Start::Beginning => Spec::Earliest,
            Start::At(time) => Spec::At(millis(time)),
        };
        for topic in described {
            let known = self.reading.topics.find(&topic.name);
            let before: Vec<i32> = known.map_or(Vec::new(), |index| {
                let topic = &self.reading.topics.all[index];
                topic.partitions.iter().filter(|p| p.fetching).map(|p| p.number).collect()
            });
            match self.reading.topics.take(topic, start) {
                Look::Good => {}
                Look::Bad(why) => self.rounds.blocked.push(why),
                Look::Anew => {
                    before.iter().for_each(|number| self.connection.stop(&topic.name, *number));
                    self.rounds.drop_topic(known.expect("it was known before"));
                    self.reading.forget_places();
                    intake.hole(&format!(
                        "the topic `{}` was deleted and made again: what was not read of the old one is lost",
                        topic.name
                    ));
                    self.reading.unsent.any = true;
                }
            }
        }
        self.place()
    }

    /// Asks where partitions begin that are new, or have lost their place.
    fn place(&mut self) -> Result<(), Halt> {
        let mut asked = Vec::new();
        for topic in self.reading.topics.all.iter_mut().filter(|topic| !topic.missing) {
            for partition in &mut topic.partitions {
                if let Some(spec) = partition.ask {
                    // The end is asked for before a time is: where nothing came since that time, it begins there.
                    let time_first = matches!(spec, Spec::At(_)) && partition.position.is_none();
                    asked.push((topic.name.as_str(), partition.number, if time_first { Spec::Latest } else { spec }));
                } else if partition.lost {
                    asked.push((topic.name.as_str(), partition.number, Spec::Earliest));
                }
            }
        }
        if asked.is_empty() {
            return self.fetch();
        }
        self.connection.ask_offsets(asked, self.options.committed).map_err(Failure)?;
        self.rounds.phase = Phase::Places;
        Ok(())
    }

    fn take_places(&mut self, offsets: &[(String, i32, Result<i64, RDKafkaErrorCode>)]) -> Result<(), Halt> {
        self.answered();
        let mut again = false;
        for (name, number, offset) in offsets {
            let Some((topic, place)) = self.find(name, *number) else { continue };
            let partition = &mut self.reading.topics.all[topic].partitions[place];
            match (offset, partition.ask) {
                (Err(error), _) => self.rounds.blocked.push(format!("{name}/{number} cannot be asked now: {error}")),
                (Ok(low), None) => partition.low = Some(*low),
                (Ok(end), Some(Spec::At(_))) if partition.position.is_none() => {
                    partition.position = Some(*end);
                    again = true;
                }
                (Ok(offset), Some(spec)) => {
                    // No offset has so young a time: the end, as it was asked for before, is the place.
                    let none = matches!(spec, Spec::At(_)) && *offset < 0;
                    partition.position = if none { partition.position } else { Some(*offset) };
                    partition.ask = None;
                    self.reading.unsent.any = true;
                }
            }
        }
        if again { self.place() } else { self.fetch() }
    }

    fn find(&self, name: &str, number: i32) -> Option<(usize, usize)> {
        let topic = self.reading.topics.find(name)?;
        let place = self.reading.topics.all[topic].partitions.iter().position(|p| p.number == number)?;
        Some((topic, place))
    }

    /// Fetches what has a place, and asks for the ends.
    fn fetch(&mut self) -> Result<(), Halt> {
        let mut asked = Vec::new();
        for topic in self.reading.topics.all.iter_mut().filter(|topic| !topic.missing) {
            for partition in &mut topic.partitions {
                if let (Some(position), None, false) = (partition.position, partition.ask, partition.fetching) {
                    self.connection.start(&topic.name, partition.number, position).map_err(Failure)?;
                    partition.fetching = true;
                }
                asked.push((topic.name.as_str(), partition.number, Spec::Latest));
            }
        }
        self.reading.topics.first = false;
        if asked.is_empty() {
            self.finish(Vec::new());
            return Ok(());
        }
        // The watermark itself, of what is not committed too.
        self.connection.ask_offsets(asked, false).map_err(Failure)?;
        self.rounds.phase = Phase::Ends;
        Ok(())
    }

    fn take_ends(
        &mut self,
        offsets: &[(String, i32, Result<i64, RDKafkaErrorCode>)],
        intake: &mut dyn Intake,
    ) -> Result<(), Halt> {
        self.answered();
        let mut left = Vec::new();
        for (name, number, offset) in offsets {
            let Some((topic, place)) = self.find(name, *number) else { continue };
            match offset {
                Err(error) => self.rounds.blocked.push(format!("{name}/{number} cannot be asked now: {error}")),
                Ok(end) => {
                    self.find_again(topic, place, *end, intake)?;
                    left.push((topic, place, *end));
                }
            }
        }
        self.finish(left);
        Ok(())
    }

    /// A partition whose place the broker does not have any more: what was lost, and where it goes on.
    fn find_again(&mut self, topic: usize, place: usize, end: i64, intake: &mut dyn Intake) -> Result<(), Halt> {
        let topic = &mut self.reading.topics.all[topic];
        let partition = &mut topic.partitions[place];
        let (true, Some(low), Some(position)) = (partition.lost, partition.low, partition.position) else {
            return Ok(());
        };
        let name = format!("{}/{}", topic.name, partition.number);
        self.connection.stop(&topic.name, partition.number);
        (partition.lost, partition.low, partition.end) = (false, None, None);
        let from = if position < low {
            intake.hole(&format!(
                "{name}: the offsets {position} to {} were deleted before they were read. Keep messages for longer \
                 (retention.ms, retention.bytes), or find out what slows the daemon down",
                low - 1
            ));
            low
        } else if position > end {
            intake.hole(&format!(
                "{name} ends at offset {end}, and had been read up to {position}: the cluster has lost its end (an election \
                 of a leader that was not in sync), and what was written since may be lost to the source too"
            ));
            // The same offsets are given again, to other messages.
            partition.generation += 1;
            partition.part = None;
            end
        } else {
            position
        };
        self.reading.unsent.any = true;
        partition.position = Some(from);
        self.connection.start(&topic.name, partition.number, from).map_err(Failure)?;
        self.reading.forget_places();
        Ok(())
    }

    /// A round that has come to its end: what it found is the target, unless an older one is not reached.
    fn finish(&mut self, left: Vec<(usize, usize, i64)>) {
        let refused = self.reading.topics.all.iter().any(|topic| topic.refused.is_some() && !topic.missing);
        if self.rounds.blocked.is_empty() && !refused && self.rounds.target.is_none() {
            self.rounds.target = Some(Target { at: self.rounds.at, since: Instant::now(), left });
        }
        self.rounds.end();
    }
}
