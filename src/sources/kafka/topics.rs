//! What is known of the topics: their partitions, how far each was read, and what has become of them.
//!
//! A topic that was deleted and made again has the old name and another identity. Its offsets begin anew, so what it
//! holds is another part (`orders#2/0`). The same goes for a partition that has lost its end.

use super::native::{Description, Id, Spec};
use rdkafka::error::RDKafkaErrorCode;

/// All topics that are followed, and that were.
#[derive(Debug, Default)]
pub(super) struct Topics {
    /// Places in it stay what they are.
    pub all: Vec<Topic>,
    /// The source was never followed before: what is there was there before.
    pub first: bool,
}

#[derive(Debug)]
pub(super) struct Topic {
    pub name: String,
    pub id: Id,
    /// It was there, and is not.
    pub missing: bool,
    /// Why a broker does not hand it out.
    pub refused: Option<String>,
    /// Places in it stay what they are.
    pub partitions: Vec<Partition>,
}

#[derive(Debug)]
pub(super) struct Partition {
    pub number: i32,
    /// How often it began anew, counted from one.
    pub generation: u32,
    /// The offset to go on with; everything before it has been handed over.
    pub position: Option<i64>,
    /// What must be asked before it can be fetched.
    pub ask: Option<Spec>,
    pub fetching: bool,
    /// The end that was reached, where nothing has come since.
    pub end: Option<i64>,
    /// The broker does not have what stands at the position.
    pub lost: bool,
    /// The oldest offset, where it was lost.
    pub low: Option<i64>,
    /// Its number as the intake knows it.
    pub part: Option<u32>,
}

impl Partition {
    pub fn new(number: i32, generation: u32) -> Partition {
        Partition {
            number,
            generation,
            position: None,
            ask: None,
            fetching: false,
            end: None,
            lost: false,
            low: None,
            part: None,
        }
    }
}

/// The name of a part.
pub(super) fn part_name(topic: &str, partition: i32, generation: u32) -> String {
    match generation {
        1 => format!("{topic}/{partition}"),
        again => format!("{topic}#{again}/{partition}"),
    }
}

/// What a look at a topic has shown.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Look {
    /// All of it can be followed.
    Good,
    /// It was deleted and made again: nothing of the old one can be fetched any more.
    Anew,
    /// It cannot be followed now, and this is why.
    Bad(String),
}

impl Topics {
    pub fn find(&self, name: &str) -> Option<usize> {
        self.all.iter().position(|topic| topic.name == name)
    }

    /// Takes in what a broker says of a topic. Partitions that are new are given a `start`.
    pub fn take(&mut self, described: &Description, start: Spec) -> Look {
        let numbers = match &described.partitions {
            Ok(numbers) => numbers,
            Err(RDKafkaErrorCode::UnknownTopicOrPartition | RDKafkaErrorCode::UnknownTopicId) => {
                if let Some(index) = self.find(&described.name) {
                    self.all[index].missing = true;
                }
                return Look::Bad(format!(
                    "the topic `{}` does not exist: nothing is concluded until it is made, or its name is corrected",
                    described.name
                ));
            }
            Err(RDKafkaErrorCode::TopicAuthorizationFailed) => return Look::Bad(forbidden(&described.name)),
            Err(other) => return Look::Bad(format!("the topic `{}` cannot be read now: {other}", described.name)),
        };
        // What is made while the source is followed is wanted from its beginning.
        let first = if self.first { start } else { Spec::Earliest };
        let Some(index) = self.find(&described.name) else {
            let mut topic = Topic {
                name: described.name.clone(),
                id: described.id,
                missing: false,
                refused: None,
                partitions: Vec::new(),
            };
            topic.extend(numbers, 1, first);
            self.all.push(topic);
            return Look::Good;
        };
        let topic = &mut self.all[index];
        let another = if described.id == (0, 0) { topic.missing } else { described.id != topic.id };
        topic.missing = false;
        topic.id = described.id;
        let generation = topic.generation();
        if !another {
            topic.extend(numbers, generation, first);
            return Look::Good;
        }
        topic.partitions.iter_mut().for_each(|partition| {
            *partition = Partition::new(partition.number, generation + 1);
        });
        topic.partitions.retain(|partition| numbers.contains(&partition.number));
        topic.partitions.iter_mut().for_each(|partition| partition.ask = Some(Spec::Earliest));
        topic.extend(numbers, generation + 1, Spec::Earliest);
        Look::Anew
    }
}

impl Topic {
    /// The newest generation of its partitions.
    fn generation(&self) -> u32 {
        self.partitions.iter().map(|partition| partition.generation).max().unwrap_or(1)
    }

    fn extend(&mut self, numbers: &[i32], generation: u32, start: Spec) {
        for &number in numbers {
            if self.partitions.iter().all(|partition| partition.number != number) {
                self.partitions.push(Partition { ask: Some(start), ..Partition::new(number, generation) });
            }
        }
        for partition in &mut self.partitions {
            if partition.position.is_none() {
                partition.ask.get_or_insert(start);
            }
        }
    }
}

/// What is said where rights are missing.
pub(super) fn forbidden(topic: &str) -> String {
    format!(
        "the topic `{topic}` may not be read: grant the user DESCRIBE and READ on it \
         (kafka-acls.sh --add --allow-principal User:… --operation Read --topic {topic})"
    )
}
