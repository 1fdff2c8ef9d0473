//! The queues of our own: made, bound, consumed, and acknowledged up to what the journal has.
//!
//! ```text
//! exchange of the shop ──binding──▶ throughline.ID.shipping ──▶ us         what it drops goes to
//! throughline.ID       ──"mark"───▶                                ┌────▶ throughline.ID (exchange)
//!                      ──"lost"───▶ throughline.ID.(lost) ──▶ us   │       with the key "lost"
//!                                                                  └────── x-dead-letter-exchange
//! ```
//!
//! All of it is ours by name, so a user with rights to `^throughline\.` and to read the exchanges can do no harm.

use super::cursor::QueuePlace;
use super::link::{self, Link};
use super::options::{Binding, Options, Origin, Tap, Trace};
use super::place::{Course, Place};
use crate::sources::live::{Failure, Intake};
use crate::sources::waiting::Halt;
use lapin::options::{
    BasicAckOptions, BasicConsumeOptions, BasicQosOptions, ExchangeDeclareOptions, QueueBindOptions,
    QueueDeclareOptions,
};
use lapin::types::{AMQPValue, FieldTable};
use lapin::{Channel, Consumer, ExchangeKind};
use std::collections::VecDeque;
use std::time::Instant;

/// The exchange that the firehose publishes to.
pub(super) const TRACE: &str = "amq.rabbitmq.trace";
/// The keys within our exchange: of marks, and of what was dropped.
pub(super) const MARK: &str = "mark";
pub(super) const LOST: &str = "lost";
/// So many losses wait for us; one tells as much as all.
const LOSSES_MAX: i64 = 3;
/// So many of them are with us at once: one may be a seal.
const LOSSES_PREFETCH: u16 = 2;

const NOT_FOUND: u16 = 404;
const REFUSED: u16 = 403;

/// What our things are called.
#[derive(Clone, Debug)]
pub(super) struct Names {
    pub exchange: String,
}

impl Names {
    pub fn new(id: u64) -> Names {
        Names { exchange: format!("throughline.{id:016x}") }
    }

    fn queue(&self, tap: &str) -> String {
        format!("{}.{tap}", self.exchange)
    }

    /// No tap can have this name.
    fn lost(&self) -> String {
        format!("{}.(lost)", self.exchange)
    }
}

/// A queue of ours that is being consumed.
pub(super) struct Queue<'o> {
    pub tap: &'o Tap,
    name: String,
    channel: Channel,
    pub consumer: Consumer,
    pub part: u32,
    pub course: Course,
    /// The newest delivery, and the newest when a mark was put last.
    pub last_tag: u64,
    pub marked: u64,
    acknowledged: u64,
    /// Marks that were passed, each with its delivery.
    marks: VecDeque<(u64, u64)>,
    pub heard: Instant,
    /// The last mark whose publishing the firehose has shown.
    pub traced: Option<u64>,
}

/// The queue of what was dropped.
pub(super) struct Lost {
    pub channel: Channel,
    pub consumer: Consumer,
}

/// What a tap is bound to, as a number: where it changes, its queue is another.
pub(super) fn shape(tap: &Tap) -> u32 {
    crc32c::crc32c(format!("{:?}", tap.origin).as_bytes())
}

/// Whether a queue is there already. The broker closes a channel whose question it answers with no.
fn exists(link: &Link, queue: &str, intake: &mut dyn Intake) -> Result<bool, Halt> {
    let channel = link.channel(intake)?;
    let passive = QueueDeclareOptions { passive: true, ..QueueDeclareOptions::default() };
    let answer = link.try_ask(intake, channel.queue_declare(queue.into(), passive, FieldTable::default()))?;
    link.close(&channel, intake)?;
    match answer {
        Ok(_) => Ok(true),
        Err(error) if link::code(&error) == Some(NOT_FOUND) => Ok(false),
        Err(error) => Err(link.refusal("to look for our queue", &error, "").into()),
    }
}

fn long(number: u64) -> AMQPValue {
    AMQPValue::LongLongInt(i64::try_from(number).unwrap_or(i64::MAX))
}

fn table<const N: usize>(entries: [(&str, AMQPValue); N]) -> FieldTable {
    let mut table = FieldTable::default();
    entries.into_iter().for_each(|(name, value)| _ = table.insert(name.into(), value));
    table
}

fn word(text: &str) -> AMQPValue {
    AMQPValue::LongString(text.into())
}

/// Makes our exchange and the queue of what was dropped, and consumes it; tells whether it was there before.
pub(super) fn lost(
    link: &Link,
    names: &Names,
    options: &Options,
    intake: &mut dyn Intake,
) -> Result<(Lost, bool), Halt> {
    let queue = names.lost();
    let was_there = exists(link, &queue, intake)?;
    let channel = link.channel(intake)?;
    let passing = ExchangeDeclareOptions { auto_delete: true, ..ExchangeDeclareOptions::default() };
    let kind = ExchangeKind::Direct;
    let made = channel.exchange_declare(names.exchange.as_str().into(), kind, passing, FieldTable::default());
    made_by(link, options, "to make our exchange", link.try_ask(intake, made)?)?;
    let arguments = table([
        ("x-max-length", AMQPValue::LongLongInt(LOSSES_MAX)),
        ("x-overflow", word("drop-head")),
        ("x-expires", expires(options)),
    ]);
    declare(link, &channel, &queue, options, arguments, intake)?;
    bind(link, &channel, options, &queue, (&names.exchange, LOST, FieldTable::default()), intake)?;
    let consumer = consume(link, &channel, &queue, LOSSES_PREFETCH, intake)?;
    Ok((Lost { channel, consumer }, was_there))
}

fn expires(options: &Options) -> AMQPValue {
    long(u64::try_from(options.keep.0 / 1_000_000).unwrap_or_default().max(1))
}

fn declare(
    link: &Link,
    channel: &Channel,
    queue: &str,
    options: &Options,
    arguments: FieldTable,
    intake: &mut dyn Intake,
) -> Result<(), Halt> {
    let how = QueueDeclareOptions { durable: options.durable, ..QueueDeclareOptions::default() };
    let made = link.try_ask(intake, channel.queue_declare(queue.into(), how, arguments))?;
    made_by(link, options, "to make our queue", made.map(drop))
}

/// What was made, or why not and what to do.
fn made_by(link: &Link, options: &Options, what: &str, made: lapin::Result<()>) -> Result<(), Halt> {
    let Err(error) = made else { return Ok(()) };
    let remedy = match link::code(&error) {
        Some(REFUSED) => rights(link, options),
        _ if link::words(&error).contains("transient_nonexcl_queues") => {
            "this broker allows none that is not durable: say `durable: true`".into()
        }
        _ => String::new(),
    };
    Err(link.refusal(what, &error, &remedy).into())
}

/// The command that gives the rights that are needed.
pub(super) fn rights(link: &Link, options: &Options) -> String {
    let mut readable = vec![r"throughline\.".to_owned()];
    for tap in &options.taps {
        let name = match &tap.origin {
            Origin::Exchange { exchange, .. } => exchange,
            Origin::Stream { stream, .. } => stream,
            Origin::Firehose(_) => TRACE,
        };
        readable.push(format!("{}$", regex::escape(name)));
    }
    readable.dedup();
    let (vhost, user, read) = (&link.address.vhost, &link.address.user, readable.join("|"));
    format!(
        r"give the user its rights: `rabbitmqctl set_permissions -p '{vhost}' '{user}' '^throughline\.' '^throughline\.' '^({read})'`"
    )
}

/// Binds a queue of ours to an exchange; where it is bound already, that changes nothing.
pub(super) fn bind(
    link: &Link,
    channel: &Channel,
    options: &Options,
    queue: &str,
    (exchange, key, arguments): (&str, &str, FieldTable),
    intake: &mut dyn Intake,
) -> Result<(), Halt> {
    let bound = channel.queue_bind(queue.into(), exchange.into(), key.into(), QueueBindOptions::default(), arguments);
    let Err(error) = link.try_ask(intake, bound)? else { return Ok(()) };
    let remedy = match link::code(&error) {
        Some(NOT_FOUND) => {
            format!("the exchange `{exchange}` does not exist; is its name right, and the virtual host?")
        }
        Some(REFUSED) => rights(link, options),
        _ => String::new(),
    };
    Err(link.refusal(&format!("to bind our queue to the exchange `{exchange}`"), &error, &remedy).into())
}

/// All that a tap's queue is bound to: exchange, key, arguments.
pub(super) fn bindings(tap: &Tap, names: &Names) -> Vec<(String, String, FieldTable)> {
    let plain = |exchange: &str, key: &str| (exchange.to_owned(), key.to_owned(), FieldTable::default());
    match &tap.origin {
        Origin::Exchange { exchange, binding: Binding::Keys(keys) } => {
            keys.iter().map(|key| plain(exchange, key)).collect()
        }
        Origin::Exchange { exchange, binding: Binding::Headers { all, headers } } => {
            let mut table = table([("x-match", word(if *all { "all" } else { "any" }))]);
            for (name, value) in headers {
                let value = value.as_deref().map_or(AMQPValue::Void, word);
                table.insert(name.as_str().into(), value);
            }
            vec![(exchange.clone(), String::new(), table)]
        }
        // The publishing of our own marks shows that the trace is on.
        Origin::Firehose(Trace::Published { exchange, .. }) => {
            vec![plain(TRACE, &format!("publish.{exchange}")), plain(TRACE, &format!("publish.{}", names.exchange))]
        }
        Origin::Firehose(Trace::Delivered { queue }) => {
            vec![plain(TRACE, &format!("deliver.{queue}")), plain(TRACE, &format!("publish.{}", names.exchange))]
        }
        Origin::Stream { .. } => Vec::new(),
    }
}

/// Nobody else may take what is ours, nor may a connection of ours that the broker does not know to be dead: what it holds
/// would be missing, and come late. So it is the only consumer, from the beginning of a connection to its end.
fn consume(
    link: &Link,
    channel: &Channel,
    queue: &str,
    prefetch: u16,
    intake: &mut dyn Intake,
) -> Result<Consumer, Halt> {
    link.ask(intake, "a prefetch", channel.basic_qos(prefetch, BasicQosOptions::default()))?;
    let how = BasicConsumeOptions { exclusive: true, ..BasicConsumeOptions::default() };
    let consumer = channel.basic_consume(queue.into(), "".into(), how, FieldTable::default());
    link.try_ask(intake, consumer)?.map_err(|error| {
        let remedy = "an older connection of ours may still hold it, until the broker misses its heartbeats";
        link.refusal(&format!("to let us read our queue `{queue}`"), &error, remedy).into()
    })
}

impl<'o> Queue<'o> {
    /// Makes and binds the queue of a tap, and consumes it; tells whether what the cursor knows was there.
    pub fn open(
        link: &Link,
        names: &Names,
        options: &Options,
        tap: &'o Tap,
        known: Option<&QueuePlace>,
        intake: &mut dyn Intake,
    ) -> Result<(Queue<'o>, bool), Halt> {
        let mut name = names.queue(&tap.name);
        // What is bound otherwise is another queue; the old one expires.
        name += &format!(".{:08x}", shape(tap));
        let goes_on = known.filter(|known| known.shape == shape(tap));
        let is_there = goes_on.is_some() && exists(link, &name, intake)?;
        let channel = link.channel(intake)?;
        let arguments = table([
            ("x-max-length", long(options.max_messages)),
            ("x-max-length-bytes", long(options.max_bytes)),
            ("x-overflow", word("drop-head")),
            ("x-expires", expires(options)),
            ("x-dead-letter-exchange", word(&names.exchange)),
            ("x-dead-letter-routing-key", word(LOST)),
        ]);
        declare(link, &channel, &name, options, arguments, intake)?;
        bind(link, &channel, options, &name, (&names.exchange, MARK, FieldTable::default()), intake)?;
        for (exchange, key, arguments) in bindings(tap, names) {
            bind(link, &channel, options, &name, (&exchange, &key, arguments), intake)?;
        }
        let place = match (known, is_there) {
            (Some(known), true) => known.place.clone(),
            // Positions go on, since what comes is new.
            (Some(known), false) => Place { next: known.place.next, ..Place::default() },
            (None, _) => Place::default(),
        };
        let consumer = consume(link, &channel, &name, options.prefetch(), intake)?;
        let part = intake.part(&tap.name);
        let (course, heard) = (Course::new(place), Instant::now());
        let (last_tag, marked, acknowledged, marks, traced) = Default::default();
        let queue =
            Queue { tap, name, channel, consumer, part, course, last_tag, marked, acknowledged, marks, heard, traced };
        Ok((queue, known.is_none() || is_there))
    }

    /// Whether its exchanges are still there; and binds it again, should one have been made anew.
    pub fn bind_again(
        &self,
        link: &Link,
        names: &Names,
        options: &Options,
        control: &Channel,
        intake: &mut dyn Intake,
    ) -> Result<(), Halt> {
        for (exchange, key, arguments) in bindings(self.tap, names) {
            bind(link, control, options, &self.name, (&exchange, &key, arguments), intake)?;
        }
        Ok(())
    }

    /// A mark was passed.
    pub fn passed(&mut self, mark: u64) {
        self.marks.push_back((mark, self.last_tag));
    }

    /// Acknowledges what lies before the mark that the journal has. The mark itself stays, as the place to be found again.
    pub fn acknowledge(&mut self, link: &Link, durable: u64, intake: &mut dyn Intake) -> Result<(), Halt> {
        let Some(index) = self.marks.iter().rposition(|(mark, _)| *mark == durable) else { return Ok(()) };
        self.marks.drain(..index);
        let until = self.marks[0].1 - 1;
        if until > self.acknowledged {
            let all = BasicAckOptions { multiple: true };
            link.ask(intake, "an acknowledgement", self.channel.basic_ack(until, all))?;
            self.acknowledged = until;
        }
        Ok(())
    }

    /// How much was taken since a mark was put last.
    pub fn unmarked(&self) -> u64 {
        self.last_tag - self.marked
    }

    /// Our queue is gone, or the connection.
    pub fn ended(&self, link: &Link, error: Option<&lapin::Error>) -> Failure {
        let why = error.map_or_else(|| "the queue was deleted".into(), link::words);
        link.failure(&format!("gives no more of our queue `{}` ({why})", self.name), "")
    }
}
