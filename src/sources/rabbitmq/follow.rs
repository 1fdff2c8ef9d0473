//! The course of following, from one connection to its loss.
//!
//! A round proves that all queues of ours were read up to what was in them at T, in two steps:
//!
//! 1. A *mark* is put into each of them, and comes back: what lay before it was handed over, or dropped.
//! 2. A *seal* is put into the queue of what was dropped, and comes back. What was dropped before a mark came was on its way
//!    into that queue before the seal was, and a queue keeps its order. So if nothing came before the seal, nothing was
//!    dropped. That queue too is bounded and may drop what it holds, but only while something that it gave us is not
//!    acknowledged; so a round begins when all of that is, and is void if anything came in its time.

use super::cursor::{Cursor, QueuePlace};
use super::link::Link;
use super::message;
use super::options::{Options, Origin, Tap, Trace};
use super::own::{self, LOST, Lost, MARK, Names, Queue, TRACE};
use super::place::Taken;
use super::replay::Replay;
use crate::model::time::Time;
use crate::sources::live::{Intake, Record};
use crate::sources::waiting::Halt;
use futures_core::Stream;
use lapin::message::Delivery;
use lapin::options::{BasicAckOptions, BasicPublishOptions};
use lapin::{BasicProperties, Channel, Consumer};
use std::collections::VecDeque;
use std::future::poll_fn;
use std::pin::Pin;
use std::task::Poll;
use std::time::{Duration, Instant};

/// How long a message is waited for.
const WAIT: Duration = Duration::from_millis(20);
/// So many are taken of one consumer before it is looked at the others.
const TAKE_MAX: usize = 1_000;
/// What has been handed over is delivered after so long, or so many messages.
const DELIVER_AFTER: Duration = Duration::from_millis(50);
const DELIVER_RECORDS: usize = 5_000;
/// From one round to the next.
const ROUND: Duration = Duration::from_millis(200);
/// A round that was void is given up after so long: its mark may have been dropped.
const VOID_AFTER: Duration = Duration::from_secs(1);
/// A queue that gives nothing for so long, though a mark of ours must be in it, is dead.
const DEAD_AFTER: Duration = Duration::from_secs(30);
/// How often it is looked whether the exchanges are still there.
const BIND_EVERY: Duration = Duration::from_secs(1);

/// Where a round stands.
enum Round {
    Resting,
    /// The mark has not come back from these queues.
    Marking(Vec<usize>),
    Sealing,
}

/// Whose delivery it is.
#[derive(Clone, Copy)]
enum Whose {
    Queue(usize),
    Lost,
    Stream(usize),
}

type Taking = (Whose, Option<lapin::Result<Delivery>>);

/// The state of following.
pub(super) struct Follower<'o> {
    options: &'o Options,
    queues: Vec<Queue<'o>>,
    streams: Vec<(&'o Tap, Replay<'o>)>,
    lost: Option<Lost>,
    control: Channel,
    names: Names,
    cursor: Cursor,
    /// What may have been missed, until the next proof.
    spoiled: &'o mut Option<String>,
    round: Round,
    /// The number of the round's mark, its time, and when it was put.
    number: u64,
    at: Time,
    begun: Instant,
    /// Something was dropped in the time of this round.
    void: bool,
    proven: Option<Time>,
    claimed: Option<Time>,
    /// Losses that were told, each with its delivery, until the journal has them.
    losses: VecDeque<(u64, u64)>,
    durable: Vec<u8>,
    bound: Instant,
    untraced: bool,
    unstamped: bool,
    unsent: usize,
    changed: bool,
    delivered: Instant,
    // The connection is closed after all that lives on it.
    link: Link,
}

impl<'o> Follower<'o> {
    /// Connects, and takes up what the cursor knows.
    pub fn open(
        options: &'o Options,
        cursor: Option<Cursor>,
        spoiled: &'o mut Option<String>,
        intake: &mut dyn Intake,
    ) -> Result<Follower<'o>, Halt> {
        let link = Link::open(options, intake)?;
        let control = link.channel(intake)?;
        let is_first = cursor.is_none();
        let cursor = cursor.unwrap_or_else(|| Cursor { id: fastrand::u64(..), ..Cursor::default() });
        let names = Names::new(cursor.id);
        if let Some(why) = &cursor.spoiled {
            spoiled.get_or_insert_with(|| why.clone());
        }
        let (mut queues, mut streams, mut lost) = (Vec::new(), Vec::new(), None);
        if options.taps.iter().any(|tap| !matches!(tap.origin, Origin::Stream { .. })) {
            let (queue, was_there) = own::lost(&link, &names, options, intake)?;
            if !is_first && !was_there && !cursor.queues.is_empty() {
                spoiled.get_or_insert(
                    "our queues were gone: the broker was restarted, or we were away for too long".into(),
                );
            }
            lost = Some(queue);
        }
        for tap in &options.taps {
            if matches!(tap.origin, Origin::Stream { .. }) {
                let known = cursor.streams.iter().find(|known| known.tap == tap.name);
                let (stream, why) = Replay::open(&link, options, tap, known, intake)?;
                if let Some(why) = why {
                    spoiled.get_or_insert(why);
                }
                streams.push((tap, stream));
            } else {
                let known = cursor.queues.iter().find(|known| known.tap == tap.name);
                let (queue, was_there) = Queue::open(&link, &names, options, tap, known, intake)?;
                if !was_there {
                    spoiled
                        .get_or_insert_with(|| format!("our queue of `{}` was gone, or is bound otherwise", tap.name));
                }
                queues.push(queue);
            }
        }
        if let Some(why) = &*spoiled {
            intake.hole(why);
            // Where all begins anew, nothing that comes now is older than what was missed: the next record ends the hole.
            let is_anew = |queue: &Queue<'_>| queue.course.place.mark.is_none() && queue.course.place.after == 0;
            if streams.is_empty() && queues.iter().all(is_anew) {
                *spoiled = None;
            }
        }
        let now = Instant::now();
        Ok(Follower {
            options,
            queues,
            streams,
            lost,
            control,
            names,
            cursor,
            spoiled,
            round: Round::Resting,
            number: 0,
            at: Time(0),
            begun: now,
            void: false,
            proven: None,
            claimed: None,
            losses: VecDeque::new(),
            durable: Vec::new(),
            bound: now,
            untraced: false,
            unstamped: false,
            unsent: 0,
            changed: true,
            delivered: now,
            link,
        })
    }

    /// Follows until it cannot go on.
    pub fn follow(&mut self, intake: &mut dyn Intake) -> Result<(), Halt> {
        self.begin_round(intake)?;
        loop {
            for (whose, delivery) in self.receive() {
                self.take(whose, delivery, intake)?;
            }
            self.go_on_with_round(intake)?;
            for (_, stream) in &mut self.streams {
                stream.acknowledge(&self.link, intake)?;
                stream.prove(&self.link, self.options, intake)?;
            }
            if self.claim(intake) || self.is_due() {
                self.deliver(intake)?;
            }
            self.acknowledge(intake)?;
            for queue in &mut self.queues {
                queue.go_on(&self.link, self.options, intake)?;
            }
            self.look_at_exchanges(intake)?;
            intake.pause(Duration::ZERO)?;
        }
    }

    /// What has come, of every consumer in order; waits a little where there is nothing.
    fn receive(&mut self) -> Vec<Taking> {
        let mut consumers: Vec<(Whose, &mut Consumer)> = Vec::new();
        consumers.extend(self.queues.iter_mut().enumerate().map(|(at, queue)| (Whose::Queue(at), &mut queue.consumer)));
        consumers.extend(self.lost.iter_mut().map(|lost| (Whose::Lost, &mut lost.consumer)));
        let streams = self.streams.iter_mut().enumerate();
        consumers.extend(streams.map(|(at, (_, stream))| (Whose::Stream(at), &mut stream.consumer)));
        let all = poll_fn(|cx| {
            let mut taken: Vec<Taking> = Vec::new();
            for (whose, consumer) in &mut consumers {
                for _ in 0..TAKE_MAX {
                    let Poll::Ready(next) = Pin::new(&mut **consumer).poll_next(cx) else { break };
                    let is_over = !matches!(next, Some(Ok(_)));
                    taken.push((*whose, next));
                    if is_over {
                        break;
                    }
                }
            }
            if taken.is_empty() { Poll::Pending } else { Poll::Ready(taken) }
        });
        self.link.briefly(WAIT, all).unwrap_or_default()
    }

    fn take(
        &mut self,
        whose: Whose,
        next: Option<lapin::Result<Delivery>>,
        intake: &mut dyn Intake,
    ) -> Result<(), Halt> {
        let delivery = match next {
            Some(Ok(delivery)) => delivery,
            other => {
                let error = other.and_then(Result::err);
                let failure = match whose {
                    Whose::Queue(at) => self.queues[at].ended(&self.link, error.as_ref()),
                    Whose::Stream(at) => self.streams[at].1.ended(&self.link, error.as_ref()),
                    Whose::Lost => self.link.failure("gives no more of our queue of what was dropped", ""),
                };
                return Err(failure.into());
            }
        };
        match whose {
            Whose::Queue(at) => self.take_of_queue(at, &delivery, intake),
            Whose::Lost => self.take_lost(&delivery, intake),
            Whose::Stream(at) => {
                let (tap, stream) = &mut self.streams[at];
                let (offset, lost) = stream.take(&self.link, self.options, &delivery, intake)?;
                let (part, name) = (stream.part, &tap.name);
                if let Some(why) = lost {
                    self.spoil(why, intake);
                }
                if let Some(offset) = offset {
                    self.hand_over(part, offset, name, &delivery, false, intake);
                }
                Ok(())
            }
        }
    }

    fn take_of_queue(&mut self, at: usize, delivery: &Delivery, intake: &mut dyn Intake) -> Result<(), Halt> {
        let queue = &mut self.queues[at];
        queue.last_tag = delivery.delivery_tag;
        queue.heard = Instant::now();
        let is_firehose = matches!(queue.tap.origin, Origin::Firehose(_));
        let of_ours = |exchange: &str| exchange == self.names.exchange;
        let number = || delivery.data.as_slice().try_into().ok().map(u64::from_le_bytes);
        let is_mark = of_ours(delivery.exchange.as_str()) && delivery.routing_key.as_str() == MARK;
        if is_firehose && delivery.exchange.as_str() == TRACE && !is_mark {
            let published = delivery.routing_key.as_str().strip_prefix("publish.");
            if published.is_some_and(of_ours) {
                queue.traced = number();
                return Ok(());
            }
            if !is_wanted(queue.tap, delivery) {
                return Ok(());
            }
        }
        let mark = if is_mark { number() } else { None };
        let (taken, is_gone) = queue.course.take(delivery.redelivered, mark);
        let (part, name) = (queue.part, &queue.tap.name);
        if let Taken::Mark(mark) = taken {
            queue.passed(mark);
            let was_traced = !is_firehose || queue.traced == Some(mark);
            self.came_back(at, mark, was_traced, intake);
        }
        if is_gone {
            self.spoil(format!("our queue of `{name}` has lost its head: it was full, or purged"), intake);
        }
        if let Taken::New(position) = taken {
            self.hand_over(part, position, name, delivery, is_firehose, intake);
        }
        self.changed = true;
        Ok(())
    }

    /// A mark came back.
    fn came_back(&mut self, at: usize, mark: u64, was_traced: bool, intake: &mut dyn Intake) {
        if mark != self.number {
            return;
        }
        if let Round::Marking(missing) = &mut self.round {
            missing.retain(|queue| *queue != at);
        }
        if was_traced {
            return;
        }
        self.void = true;
        if !self.untraced {
            self.untraced = true;
            self.spoil("the firehose is off".into(), intake);
            let vhost = &self.link.address.vhost;
            intake.trouble(&format!(
                "the firehose is off, so nothing is seen of `firehose`: `rabbitmqctl trace_on -p '{vhost}'` switches it on"
            ));
        }
    }

    /// What came out of the queue of what was dropped: a seal of ours, or a loss.
    fn take_lost(&mut self, delivery: &Delivery, intake: &mut dyn Intake) -> Result<(), Halt> {
        let is_dropped = delivery.properties.headers().as_ref().is_some_and(|headers| headers.contains_key("x-death"));
        if is_dropped {
            self.void = true;
            self.cursor.told += 1;
            self.losses.push_back((self.cursor.told, delivery.delivery_tag));
            self.spoil("our queue was full and has dropped messages, or they have expired in it".into(), intake);
            return Ok(());
        }
        self.acknowledge_lost(delivery.delivery_tag, intake)?;
        if matches!(self.round, Round::Sealing) && delivery.data == self.number.to_le_bytes() {
            if !self.void {
                self.proven = Some(self.at);
            }
            self.round = Round::Resting;
        }
        Ok(())
    }

    fn acknowledge_lost(&self, tag: u64, intake: &mut dyn Intake) -> Result<(), Halt> {
        let Some(lost) = &self.lost else { return Ok(()) };
        self.link.ask(intake, "an acknowledgement", lost.channel.basic_ack(tag, BasicAckOptions::default()))
    }

    /// Something may have been missed. It is told at once, and once more with the next proof, which ends it: what comes in
    /// between may have waited in another queue for longer than what was missed.
    fn spoil(&mut self, why: String, intake: &mut dyn Intake) {
        if self.spoiled.as_ref() != Some(&why) {
            intake.hole(&why);
        }
        *self.spoiled = Some(why);
        self.changed = true;
    }

    fn hand_over(
        &mut self,
        part: u32,
        offset: u64,
        stream: &str,
        delivery: &Delivery,
        is_traced: bool,
        intake: &mut dyn Intake,
    ) {
        let message = if is_traced {
            message::traced(&delivery.properties)
        } else {
            let (exchange, key) = (delivery.exchange.as_str(), delivery.routing_key.as_str());
            message::plain(exchange, key, delivery.redelivered, &delivery.properties)
        };
        if self.options.stamped && message.time.is_none() && !self.unstamped {
            self.unstamped = true;
            intake.assumed(Some("messages come without a timestamp, and have the time at which they came here"));
        }
        let time = message.time.unwrap_or_else(|| intake.now());
        let headers: Vec<(&str, &str)> = message.headers.iter().map(|(name, value)| (&**name, &**value)).collect();
        intake.record(Record {
            part,
            offset,
            payload: &delivery.data,
            stream: Some(stream),
            key: Some(&message.routing_key),
            time: Some(time),
            op: None,
            headers: &headers,
        });
        self.unsent += 1;
        self.changed = true;
    }

    fn begin_round(&mut self, intake: &mut dyn Intake) -> Result<(), Halt> {
        if self.queues.is_empty() {
            return Ok(());
        }
        self.number = fastrand::u64(..);
        self.at = intake.now();
        self.begun = Instant::now();
        self.void = false;
        self.round = Round::Marking((0..self.queues.len()).collect());
        self.publish(MARK, intake)
    }

    fn publish(&mut self, key: &str, intake: &mut dyn Intake) -> Result<(), Halt> {
        let exchange = self.names.exchange.as_str().into();
        let body = self.number.to_le_bytes();
        let (how, properties) = (BasicPublishOptions::default(), BasicProperties::default());
        let put = self.control.basic_publish(exchange, key.into(), how, &body, properties);
        self.link.ask(intake, "a mark in our own queue", put).map(drop)
    }

    fn go_on_with_round(&mut self, intake: &mut dyn Intake) -> Result<(), Halt> {
        let is_old = self.void && self.begun.elapsed() >= VOID_AFTER;
        match &self.round {
            Round::Marking(missing) if missing.is_empty() => {
                self.round = Round::Sealing;
                self.publish(LOST, intake)
            }
            Round::Marking(_) if is_old => {
                self.round = Round::Resting;
                Ok(())
            }
            Round::Marking(missing) => {
                let heard = missing.iter().map(|at| self.queues[*at].heard).min().unwrap_or(self.begun);
                self.check_life(heard.max(self.begun))
            }
            Round::Sealing if is_old => {
                self.round = Round::Resting;
                Ok(())
            }
            Round::Sealing => self.check_life(self.begun),
            Round::Resting => {
                let many = u64::from(self.options.prefetch / 4);
                let is_time = self.begun.elapsed() >= ROUND || self.queues.iter().any(|queue| queue.unmarked() >= many);
                if is_time && self.losses.is_empty() { self.begin_round(intake) } else { Ok(()) }
            }
        }
    }

    fn check_life(&self, heard: Instant) -> Result<(), Halt> {
        if heard.elapsed() < DEAD_AFTER {
            return Ok(());
        }
        let what = format!("has not given back what we put into our own queue for {} s", DEAD_AFTER.as_secs());
        Err(self.link.failure(&what, "it is tried again on another connection").into())
    }

    /// Claims what all taps have proven.
    fn claim(&mut self, intake: &mut dyn Intake) -> bool {
        let queues = (!self.queues.is_empty()).then_some(self.proven);
        let all = queues.into_iter().chain(self.streams.iter().map(|(_, stream)| stream.proven));
        let Some(least) = all.min().flatten().filter(|at| Some(*at) > self.claimed) else { return false };
        if let Some(why) = self.spoiled.take() {
            intake.hole(&why);
        }
        self.untraced = false;
        self.claimed = Some(least);
        intake.caught_up(least - self.options.clock_skew);
        true
    }

    fn is_due(&self) -> bool {
        self.unsent >= DELIVER_RECORDS || (self.changed && self.delivered.elapsed() >= DELIVER_AFTER)
    }

    fn deliver(&mut self, intake: &mut dyn Intake) -> Result<(), Halt> {
        let place = |queue: &Queue<'_>| QueuePlace {
            tap: queue.tap.name.clone(),
            shape: own::shape(queue.tap),
            place: queue.course.place.clone(),
        };
        self.cursor.queues = self.queues.iter().map(place).collect();
        self.cursor.streams = self.streams.iter().map(|(_, stream)| stream.place.clone()).collect();
        self.cursor.spoiled.clone_from(self.spoiled);
        intake.deliver(&self.cursor.encode())?;
        self.unsent = 0;
        self.changed = false;
        self.delivered = Instant::now();
        Ok(())
    }

    /// Lets the broker forget what the journal has.
    fn acknowledge(&mut self, intake: &mut dyn Intake) -> Result<(), Halt> {
        match intake.durable() {
            Some(durable) if durable != self.durable => self.durable = durable.to_vec(),
            _ => return Ok(()),
        }
        let durable = Cursor::decode(&self.durable)?;
        for known in &durable.queues {
            let queue = self.queues.iter_mut().find(|queue| queue.tap.name == known.tap);
            if let (Some(queue), Some(mark)) = (queue, known.place.mark) {
                queue.acknowledge(&self.link, mark, intake)?;
            }
        }
        while let Some((_, tag)) = self.losses.pop_front_if(|(told, _)| *told <= durable.told) {
            self.acknowledge_lost(tag, intake)?;
        }
        Ok(())
    }

    /// An exchange that is deleted takes our binding with it, in silence.
    fn look_at_exchanges(&mut self, intake: &mut dyn Intake) -> Result<(), Halt> {
        if self.bound.elapsed() < BIND_EVERY {
            return Ok(());
        }
        self.bound = Instant::now();
        for queue in &self.queues {
            let again = queue.bind_again(&self.link, &self.names, self.options, &self.control, intake);
            if let Err(Halt::Failed(_)) = &again {
                *self.spoiled = Some(format!("what `{}` is bound to was away", queue.tap.name));
            }
            again?;
        }
        Ok(())
    }
}

/// Whether a traced message is one that the tap asks for.
fn is_wanted(tap: &Tap, delivery: &Delivery) -> bool {
    match &tap.origin {
        Origin::Firehose(Trace::Published { routing: Some(routing), .. }) => {
            message::traced(&delivery.properties).routing_key == *routing
        }
        _ => true,
    }
}
