//! A stream: read from an offset on, with nothing taken out of it.
//!
//! No question of this protocol is answered with the end of a stream: a count of messages is some seconds old. But a
//! reader that begins at `last` is given the newest chunk, whole and at once, before the broker answers anything else on
//! its channel; the last message of it is the end. What was the end after T, and was read up to, is all that could be
//! seen at T.
//!
//! Only a stream lets a reader in that names an offset, so nothing is ever taken out of a queue that was named by
//! mistake; and what has no offset is never acknowledged.

use super::cursor::StreamPlace;
use super::link::{self, Link};
use super::options::{Begin, Options, Origin, Tap};
use super::own::rights;
use crate::model::time::Time;
use crate::sources::live::{Failure, Intake};
use crate::sources::waiting::Halt;
use lapin::message::Delivery;
use lapin::options::{BasicAckOptions, BasicCancelOptions, BasicConsumeOptions, BasicQosOptions, QueueDeclareOptions};
use lapin::types::{AMQPValue, FieldTable};
use lapin::{Channel, Consumer};
use std::future::poll_fn;
use std::pin::Pin;
use std::time::{Duration, Instant};

/// So many messages are on their way to us, at most, and one chunk more.
const PREFETCH: u16 = 500;
/// From one look at the end of a stream to the next.
const LOOK_EVERY: Duration = Duration::from_secs(1);
/// How long the first message of a stream is waited for, before it is taken for empty.
const FIRST_WITHIN: Duration = Duration::from_secs(1);
const OFFSET: &str = "x-stream-offset";
const REFUSED: u16 = 403;
const NOT_FOUND: u16 = 404;
const PRECONDITION_FAILED: u16 = 406;

/// A stream that is being read.
pub(super) struct Replay<'o> {
    stream: &'o str,
    channel: Channel,
    pub consumer: Consumer,
    pub part: u32,
    pub place: StreamPlace,
    unacknowledged: Option<u64>,
    /// An end that was asked for at this time, and is not come to yet.
    end: Option<(Time, u64)>,
    looked: Instant,
    /// Up to when all that could be seen was handed over.
    pub proven: Option<Time>,
}

fn at(spec: AMQPValue) -> FieldTable {
    let mut table = FieldTable::default();
    table.insert(OFFSET.into(), spec);
    table
}

fn number(offset: u64) -> AMQPValue {
    AMQPValue::LongLongInt(i64::try_from(offset).unwrap_or(i64::MAX))
}

fn word(text: &str) -> AMQPValue {
    AMQPValue::LongString(text.into())
}

/// The offset of a message of a stream.
pub(super) fn offset(delivery: &Delivery) -> Option<u64> {
    match delivery.properties.headers().as_ref()?.inner().get(OFFSET)? {
        AMQPValue::LongLongInt(offset) => u64::try_from(*offset).ok(),
        _ => None,
    }
}

/// Reads a stream from somewhere on.
fn consume(
    link: &Link,
    options: &Options,
    (stream, spec, prefetch): (&str, AMQPValue, u16),
    intake: &mut dyn Intake,
) -> Result<(Channel, Consumer), Halt> {
    let channel = link.channel(intake)?;
    link.ask(intake, "a prefetch", channel.basic_qos(prefetch, BasicQosOptions::default()))?;
    let consumer = channel.basic_consume(stream.into(), "".into(), BasicConsumeOptions::default(), at(spec));
    let consumer = link.try_ask(intake, consumer)?.map_err(|error| {
        let remedy = match link::code(&error) {
            Some(NOT_FOUND) => format!("there is no stream `{stream}`; is its name right, and the virtual host?"),
            Some(REFUSED) => rights(link, options),
            Some(PRECONDITION_FAILED) => {
                format!("is `{stream}` a stream? Of a queue only a copy can be read: bind one under `queues`")
            }
            _ => String::new(),
        };
        link.refusal(&format!("to let us read the stream `{stream}`"), &error, &remedy)
    })?;
    Ok((channel, consumer))
}

/// The first and the last offset of a stream's oldest or newest chunk; `None` where there is none.
pub(super) fn chunk(
    link: &Link,
    options: &Options,
    (stream, place): (&str, &str),
    intake: &mut dyn Intake,
) -> Result<Option<(u64, u64)>, Halt> {
    let (channel, mut consumer) = consume(link, options, (stream, word(place), 1), intake)?;
    let mut offsets = None;
    let mut limit = FIRST_WITHIN;
    loop {
        let next = link.briefly(limit, poll_fn(|cx| futures_core::Stream::poll_next(Pin::new(&mut consumer), cx)));
        match next {
            Some(Some(Ok(delivery))) => {
                let offset = offset(&delivery).ok_or_else(|| no_stream(link, stream))?;
                if offsets.is_none() {
                    // The whole chunk is on its way before this is answered.
                    let passive = QueueDeclareOptions { passive: true, ..QueueDeclareOptions::default() };
                    link.ask(
                        intake,
                        "to look for a stream",
                        channel.queue_declare(stream.into(), passive, FieldTable::default()),
                    )?;
                    limit = Duration::ZERO;
                }
                offsets = Some((offsets.map_or(offset, |(first, _)| first), offset));
            }
            Some(Some(Err(error))) => {
                return Err(link.refusal(&format!("to go on with the stream `{stream}`"), &error, "").into());
            }
            Some(None) | None => break,
        }
    }
    // Without a farewell, the broker would count its readers for some minutes.
    let farewell = channel.basic_cancel(consumer.tag(), BasicCancelOptions::default());
    link.ask(intake, "to stop a reader", farewell)?;
    link.close(&channel, intake)?;
    Ok(offsets)
}

fn no_stream(link: &Link, stream: &str) -> Failure {
    link.failure(
        &format!("has a queue `{stream}`, and no stream"),
        "of a queue only a copy can be read: bind one under `queues`",
    )
}

fn part_name(place: &StreamPlace) -> String {
    match place.generation {
        1 => place.tap.clone(),
        generation => format!("{}#{generation}", place.tap),
    }
}

impl<'o> Replay<'o> {
    /// Reads a stream on from where the cursor says; tells why, where what is there is not what was.
    pub fn open(
        link: &Link,
        options: &Options,
        tap: &'o Tap,
        known: Option<&StreamPlace>,
        intake: &mut dyn Intake,
    ) -> Result<(Replay<'o>, Option<String>), Halt> {
        let Origin::Stream { stream, start } = &tap.origin else {
            return Err(Failure(format!("`{}` is no stream", tap.name)).into());
        };
        let fresh = StreamPlace { tap: tap.name.clone(), stream: stream.clone(), generation: 1, next: None };
        let mut place = known.filter(|known| known.stream == *stream).cloned().unwrap_or(fresh);
        let mut lost = None;
        if let Some(next) = place.next.filter(|next| *next > 0) {
            let end = chunk(link, options, (stream, "last"), intake)?.map_or(0, |(_, last)| last + 1);
            if next > end {
                lost = Some(format!(
                    "the stream `{stream}` ends before what was read of it: it was made anew, or has lost its end"
                ));
                place = StreamPlace { generation: place.generation + 1, next: Some(0), ..place };
            }
        }
        let spec = match (place.next, start) {
            (Some(next), _) => number(next),
            (None, Begin::First) => word("first"),
            (None, Begin::Last) => word("last"),
            (None, Begin::Offset(offset)) => number(*offset),
            (None, Begin::At(seconds)) => AMQPValue::Timestamp(*seconds),
        };
        let (channel, consumer) = consume(link, options, (stream, spec, PREFETCH), intake)?;
        let part = intake.part(&part_name(&place));
        let (looked, unacknowledged, end, proven) = (Instant::now(), None, None, None);
        Ok((Replay { stream, channel, consumer, part, place, unacknowledged, end, looked, proven }, lost))
    }

    /// Takes what has come: the offset where it is new. Where the stream has forgotten what should have come, it says so.
    pub fn take(
        &mut self,
        link: &Link,
        options: &Options,
        delivery: &Delivery,
        intake: &mut dyn Intake,
    ) -> Result<(Option<u64>, Option<String>), Halt> {
        let offset = offset(delivery).ok_or_else(|| no_stream(link, self.stream))?;
        self.unacknowledged = Some(delivery.delivery_tag);
        let mut lost = None;
        match self.place.next {
            Some(next) if offset < next => return Ok((None, None)),
            // A stream keeps things of its own between messages, which have offsets as well.
            Some(next) if offset > next => {
                let first = chunk(link, options, (self.stream, "first"), intake)?.map_or(offset, |(first, _)| first);
                if first > next {
                    lost = Some(format!(
                        "the stream `{}` has forgotten what stood before offset {first}, and it was not read up to there",
                        self.stream
                    ));
                }
            }
            _ => {}
        }
        self.place.next = Some(offset + 1);
        Ok((Some(offset), lost))
    }

    /// Asks for more. That a message of a stream is acknowledged changes nothing but how many may be on their way.
    pub fn acknowledge(&mut self, link: &Link, intake: &mut dyn Intake) -> Result<(), Halt> {
        if let Some(tag) = self.unacknowledged.take() {
            let all = BasicAckOptions { multiple: true };
            link.ask(intake, "an acknowledgement", self.channel.basic_ack(tag, all))?;
        }
        Ok(())
    }

    /// Looks at the end of the stream now and then, and whether it was come to.
    pub fn prove(&mut self, link: &Link, options: &Options, intake: &mut dyn Intake) -> Result<(), Halt> {
        if self.end.is_none() && self.looked.elapsed() >= LOOK_EVERY {
            let at = intake.now();
            let end = chunk(link, options, (self.stream, "last"), intake)?.map(|(_, last)| last + 1);
            if end.is_none() && self.place.next.is_none() {
                // There is nothing in it: what comes begins at its beginning.
                self.place.next = Some(0);
            }
            self.end = end.or(self.place.next.filter(|next| *next == 0)).map(|end| (at, end));
            self.looked = Instant::now();
        }
        if let Some((at, end)) = self.end
            && self.place.next.is_some_and(|next| next >= end)
        {
            self.proven = Some(at);
            self.end = None;
        }
        Ok(())
    }

    /// The stream is gone, or the connection.
    pub fn ended(&self, link: &Link, error: Option<&lapin::Error>) -> Failure {
        let why = error.map_or_else(|| "it was deleted".into(), link::words);
        link.failure(&format!("gives no more of the stream `{}` ({why})", self.stream), "")
    }
}
