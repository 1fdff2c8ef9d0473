//! What comes out of the client's queue: messages, ends of partitions, and errors.

use super::Options;
use super::message::Message;
use super::options::Payload;
use super::registry::{Decoder, Fault};
use super::topics::{Partition, Topics, forbidden, part_name};
use crate::sources::live::{Failure, Intake, Record};
use rdkafka::error::RDKafkaErrorCode;
use std::borrow::Cow;
use std::collections::HashMap;
use std::fmt::Write;

/// What producers with a JSON schema write before the JSON: a zero, and the id of the schema.
const HEAD_BYTES: usize = 5;

/// Hands messages over, and keeps the positions.
pub(super) struct Reading<'o> {
    options: &'o Options,
    decoder: Option<Decoder>,
    /// What a decoder made.
    json: Vec<u8>,
    /// The source cannot go on; nothing more is taken.
    pub failed: Option<Failure>,
    pub topics: Topics,
    /// Where a partition stands in the topics, by the client's number of the topic.
    places: HashMap<(usize, i32), (usize, usize)>,
    /// The last of them.
    last: Option<((usize, i32), (usize, usize))>,
    pub unsent: Unsent,
    /// Something has changed that only a round can find out about.
    pub hurry: bool,
    /// What is wrong with a partition, as the client says.
    pub trouble: Option<String>,
}

/// What has been handed over since the last delivery.
#[derive(Default)]
pub(super) struct Unsent {
    pub any: bool,
    pub records: usize,
    pub bytes: usize,
}

impl<'o> Reading<'o> {
    pub fn new(options: &'o Options, topics: Topics) -> Result<Reading<'o>, Failure> {
        let decoder = match &options.payload {
            Payload::Schemas(registry, encoding) => Some(Decoder::new(registry, *encoding).map_err(Failure)?),
            Payload::Json | Payload::Plain => None,
        };
        Ok(Reading {
            options,
            decoder,
            json: Vec::new(),
            failed: None,
            topics,
            places: HashMap::new(),
            last: None,
            unsent: Unsent::default(),
            hurry: false,
            trouble: None,
        })
    }

    /// Forgets what the client's numbers mean: they may be given again.
    pub fn forget_places(&mut self) {
        self.places.clear();
        self.last = None;
    }

    /// Takes what has come.
    pub fn take(&mut self, message: &Message<'_>, intake: &mut dyn Intake) {
        let place = self.place(message);
        if let Some(code) = message.error() {
            return self.event(code, message, place);
        }
        let Some((topic, partition)) = place else { return };
        let known = &mut self.topics.all[topic].partitions[partition];
        let offset = message.offset();
        // A position only grows, also where a broker answers from a little before it.
        if self.failed.is_some() || !known.fetching || known.position.is_some_and(|position| offset < position) {
            return;
        }
        let generation = known.generation;
        let part = *known
            .part
            .get_or_insert_with(|| intake.part(&part_name(message.topic(), message.partition(), generation)));
        if let Err(why) = self.hand_over(message, topic, part, intake) {
            self.failed = Some(Failure(why));
            return;
        }
        let topic = &mut self.topics.all[topic];
        topic.refused = None;
        topic.partitions[partition].position = Some(offset + 1);
        topic.partitions[partition].end = None;
        self.trouble = None;
    }

    fn place(&mut self, message: &Message<'_>) -> Option<(usize, usize)> {
        let key = (message.topic_number(), message.partition());
        if let Some((last, place)) = self.last
            && last == key
        {
            return Some(place);
        }
        let place = match self.places.get(&key) {
            Some(place) => *place,
            None => {
                let topic = self.topics.find(message.topic())?;
                let partition = self.topics.all[topic].partitions.iter().position(|p| p.number == key.1)?;
                self.places.insert(key, (topic, partition));
                (topic, partition)
            }
        };
        self.last = Some((key, place));
        Some(place)
    }

    fn hand_over(
        &mut self,
        message: &Message<'_>,
        topic: usize,
        part: u32,
        intake: &mut dyn Intake,
    ) -> Result<(), String> {
        let offset = u64::try_from(message.offset()).unwrap_or_default();
        let payload = message.payload();
        self.unsent.any = true;
        self.unsent.records += 1;
        self.unsent.bytes += payload.map_or(0, <[u8]>::len) + message.key().map_or(0, <[u8]>::len);
        let body = match (payload, &self.options.payload, &mut self.decoder) {
            (None, Payload::Plain, _) => &b""[..],
            (None, ..) => b"null",
            (Some(payload), _, Some(decoder)) => {
                self.json.clear();
                match decoder.decode(payload, &mut self.json) {
                    Ok(()) => &self.json[..],
                    Err(Fault::Failed(why)) => return Err(why),
                    Err(Fault::Undecodable(reason, detail)) => {
                        intake.undecodable(part, offset, reason, &detail, payload);
                        return Ok(());
                    }
                }
            }
            // No JSON begins with a zero.
            (Some([0, rest @ ..]), Payload::Json, _) if rest.len() >= HEAD_BYTES => &rest[HEAD_BYTES - 1..],
            (Some(payload), ..) => payload,
        };
        let mut raw = Vec::new();
        message.headers(&mut raw);
        // A header without a value is absent, as null is.
        let texts: Vec<(&str, Cow<'_, str>)> =
            raw.iter().filter_map(|(name, value)| Some((*name, String::from_utf8_lossy((*value)?)))).collect();
        let headers: Vec<(&str, &str)> = texts.iter().map(|(name, value)| (*name, value.as_ref())).collect();
        let key = message.key().map(key_text);
        intake.record(Record {
            part,
            offset,
            payload: body,
            stream: Some(&self.topics.all[topic].name),
            key: key.as_deref(),
            time: message.time(),
            op: payload.is_none().then_some("delete"),
            headers: &headers,
            read: None,
        });
        Ok(())
    }

    fn event(&mut self, code: RDKafkaErrorCode, message: &Message<'_>, place: Option<(usize, usize)>) {
        let partition = |topics: &mut Topics, change: &mut dyn FnMut(&mut Partition)| {
            if let Some((topic, partition)) = place {
                change(&mut topics.all[topic].partitions[partition]);
            }
        };
        match code {
            RDKafkaErrorCode::PartitionEOF => {
                if let Some((topic, _)) = place {
                    self.topics.all[topic].refused = None;
                }
                partition(&mut self.topics, &mut |partition| {
                    if partition.fetching {
                        partition.position = partition.position.max(Some(message.offset()));
                        partition.end = Some(message.offset());
                    }
                });
            }
            RDKafkaErrorCode::AutoOffsetReset
            | RDKafkaErrorCode::OffsetOutOfRange
            | RDKafkaErrorCode::LogTruncation => {
                tracing::debug!("{}/{}: {}", message.topic(), message.partition(), message.error_text());
                partition(&mut self.topics, &mut |partition| partition.lost |= partition.fetching);
                self.hurry = true;
            }
            RDKafkaErrorCode::TopicAuthorizationFailed => {
                if let Some((topic, _)) = place {
                    self.topics.all[topic].refused = Some(forbidden(message.topic()));
                }
            }
            RDKafkaErrorCode::UnknownTopic
            | RDKafkaErrorCode::UnknownTopicOrPartition
            | RDKafkaErrorCode::UnknownTopicId
            | RDKafkaErrorCode::UnknownPartition => self.hurry = true,
            // Connections come and go; a cluster that does not answer is noticed by the rounds.
            RDKafkaErrorCode::AllBrokersDown
            | RDKafkaErrorCode::BrokerTransportFailure
            | RDKafkaErrorCode::Resolve
            | RDKafkaErrorCode::OperationTimedOut => {}
            other => {
                let text = message.error_text();
                self.trouble = Some(format!("{}/{}: {other}: {text}", message.topic(), message.partition()));
            }
        }
    }
}

/// A key as text; bytes that are no text as hexadecimal digits.
fn key_text(key: &[u8]) -> Cow<'_, str> {
    match std::str::from_utf8(key) {
        Ok(text) => text.into(),
        Err(_) => {
            let mut digits = String::with_capacity(2 * key.len());
            key.iter().for_each(|byte| _ = write!(digits, "{byte:02x}"));
            digits.into()
        }
    }
}
