//! The course of following, from one connection to its loss.
//!
//! A round proves that all queues of ours were read up to what was in them at T, in two steps:
//!
//! 1. A *mark* is put into each of them, and comes back: what lay before it was handed over, or dropped.
//! 2. A *seal* is put into the queue of what was dropped, and comes back. What was dropped before a mark came was on its way
//!    into that queue before the seal was, and a queue keeps its order. So if nothing came before the seal, nothing was
//!    dropped. That queue too is bounded and may drop what it holds, but only while something that it gave us is not
//!    acknowledged; so a round begins when all of that is, and is void if anything came in its time.

mod taking;

use super::cursor::{Cursor, QueuePlace};
use super::link::Link;
use super::options::{Options, Origin, Tap};
use super::own::{self, LOST, Lost, MARK, Names, Queue};
use super::replay::Replay;
use crate::model::time::Time;
use crate::sources::live::Intake;
use crate::sources::waiting::Halt;
use futures_core::Stream;
use lapin::message::Delivery;
use lapin::options::BasicPublishOptions;
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
    /// The mark has not come back from these queues, of which so much had been taken when it was put.
    Marking(Vec<(usize, u64)>),
    Sealing,
}

/// Whose delivery it is.
#[derive(Clone, Copy)]
enum Whose {
    Queue(usize),
    Lost,
    Stream(usize),
}

/// Queues and streams that are followed.
type Taps<'o> = (Vec<Queue<'o>>, Vec<(&'o Tap, Replay<'o>)>);
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
    /// Something may have been missed before this: no earlier proof ends that hole.
    whole_from: Option<Time>,
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
    link: Link,
}

impl<'o> Follower<'o> {
    /// Connects, and takes up what the cursor knows.
    pub fn open(options: &'o Options, cursor: Option<Cursor>, intake: &mut dyn Intake) -> Result<Follower<'o>, Halt> {
        let link = Link::open(options, intake)?;
        let control = link.channel(intake)?;
        let is_first = cursor.is_none();
        let mut cursor = cursor.unwrap_or_else(|| Cursor { id: fastrand::u64(..), ..Cursor::default() });
        let names = Names::new(cursor.id);
        let lost = Self::open_lost(&link, &names, options, (&mut cursor, is_first), intake)?;
        let (queues, streams) = Self::open_taps(&link, &names, options, &mut cursor, intake)?;
        cursor.spoiled.iter().for_each(|why| intake.hole(why));
        let now = Instant::now();
        Ok(Follower {
            options,
            queues,
            streams,
            lost,
            control,
            names,
            cursor,
            whole_from: None,
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

    /// The queue of what was dropped, where there is a queue of ours.
    fn open_lost(
        link: &Link,
        names: &Names,
        options: &Options,
        (cursor, is_first): (&mut Cursor, bool),
        intake: &mut dyn Intake,
    ) -> Result<Option<Lost>, Halt> {
        if options.looks_back() {
            return Ok(None);
        }
        let (lost, was_there) = own::lost(link, names, options, intake)?;
        if !is_first && !was_there && !cursor.queues.is_empty() {
            let why = "our queues were gone: the broker was restarted, or we were away for too long";
            cursor.spoiled.get_or_insert_with(|| why.into());
        }
        Ok(Some(lost))
    }

    /// All that is followed, from where the cursor says.
    fn open_taps(
        link: &Link,
        names: &Names,
        options: &'o Options,
        cursor: &mut Cursor,
        intake: &mut dyn Intake,
    ) -> Result<Taps<'o>, Halt> {
        let (mut queues, mut streams) = (Vec::new(), Vec::new());
        for tap in &options.taps {
            let why = if matches!(tap.origin, Origin::Stream { .. }) {
                let known = cursor.streams.iter().find(|known| known.tap == tap.name);
                let (stream, why) = Replay::open(link, options, tap, known, intake)?;
                streams.push((tap, stream));
                why
            } else {
                let known = cursor.queues.iter().find(|known| known.tap == tap.name);
                let (queue, was_there) = Queue::open(link, names, options, tap, known, intake)?;
                queues.push(queue);
                (!was_there).then(|| format!("our queue of `{}` was gone, or is bound otherwise", tap.name))
            };
            if let Some(why) = why {
                cursor.spoiled.get_or_insert(why);
            }
        }
        Ok((queues, streams))
    }

    /// Follows until it cannot go on.
    pub fn follow(&mut self, intake: &mut dyn Intake) -> Result<(), Halt> {
        self.begin_round(intake)?;
        loop {
            for (whose, delivery) in self.receive() {
                self.take(whose, delivery, intake)?;
            }
            self.go_on_with_round(intake)?;
            self.mark(intake)?;
            for (_, stream) in &mut self.streams {
                stream.acknowledge(&self.link, intake)?;
                stream.prove(&self.link, self.options, intake)?;
            }
            if self.claim(intake) || self.is_due() {
                self.deliver(intake)?;
            }
            self.acknowledge(intake)?;
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

    fn begin_round(&mut self, intake: &mut dyn Intake) -> Result<(), Halt> {
        if self.queues.is_empty() {
            return Ok(());
        }
        self.number = fastrand::u64(..);
        self.at = intake.now();
        self.begun = Instant::now();
        // What was dropped before, and is not acknowledged, leaves no room for what is dropped now.
        self.void = !self.losses.is_empty();
        self.round = Round::Marking(self.queues.iter().map(|queue| queue.last_tag).enumerate().collect());
        self.publish(MARK, self.number, intake)
    }

    fn publish(&mut self, key: &str, number: u64, intake: &mut dyn Intake) -> Result<(), Halt> {
        if key == MARK {
            self.queues.iter_mut().for_each(|queue| queue.marked = queue.last_tag);
        }
        let exchange = self.names.exchange.as_str().into();
        let body = number.to_le_bytes();
        let (how, properties) = (BasicPublishOptions::default(), BasicProperties::default());
        let put = self.control.basic_publish(exchange, key.into(), how, &body, properties);
        self.link.ask(intake, "a mark in our own queue", put).map(drop)
    }

    fn go_on_with_round(&mut self, intake: &mut dyn Intake) -> Result<(), Halt> {
        let is_old = self.void && self.begun.elapsed() >= VOID_AFTER;
        match &self.round {
            Round::Marking(missing) if missing.is_empty() => {
                self.round = Round::Sealing;
                self.publish(LOST, self.number, intake)
            }
            Round::Marking(_) if is_old => {
                self.round = Round::Resting;
                Ok(())
            }
            Round::Marking(missing) => {
                // No more can lie before it.
                let most = self.options.max_messages + 2 * u64::from(self.options.prefetch());
                let is_gone = |(at, tag): &(usize, u64)| self.queues[*at].last_tag - tag > most;
                if missing.iter().any(is_gone) {
                    self.spoil("a mark of ours is gone from our own queue: somebody has taken from it".into(), intake);
                    self.round = Round::Resting;
                    return Ok(());
                }
                let heard = missing.iter().map(|(at, _)| self.queues[*at].heard).min().unwrap_or(self.begun);
                self.check_life(heard.max(self.begun), intake)
            }
            Round::Sealing if is_old => {
                self.round = Round::Resting;
                Ok(())
            }
            Round::Sealing => self.check_life(self.begun, intake),
            Round::Resting => {
                if self.begun.elapsed() >= ROUND {
                    self.begin_round(intake)
                } else {
                    Ok(())
                }
            }
        }
    }

    /// Puts a mark between rounds where much has come since the last, so that it can be acknowledged.
    fn mark(&mut self, intake: &mut dyn Intake) -> Result<(), Halt> {
        let many = u64::from(self.options.prefetch() / 4);
        if self.queues.iter().any(|queue| queue.unmarked() >= many) {
            self.publish(MARK, fastrand::u64(..), intake)?;
        }
        Ok(())
    }

    fn check_life(&mut self, heard: Instant, intake: &mut dyn Intake) -> Result<(), Halt> {
        if heard.elapsed() < DEAD_AFTER {
            return Ok(());
        }
        let what = format!("has not given back what we put into our own queue for {} s", DEAD_AFTER.as_secs());
        self.spoil("a mark of ours is gone from our own queue: somebody may have taken from it".into(), intake);
        self.deliver(intake)?;
        Err(self.link.failure(&what, "it is tried again on another connection").into())
    }

    /// Claims what all taps have proven.
    fn claim(&mut self, intake: &mut dyn Intake) -> bool {
        let queues = (!self.queues.is_empty()).then_some(self.proven);
        let all = queues.into_iter().chain(self.streams.iter().map(|(_, stream)| stream.proven));
        let is_news = |at: &Time| Some(*at) > self.claimed && Some(*at) >= self.whole_from;
        let Some(least) = all.min().flatten().filter(is_news) else { return false };
        self.cursor.spoiled = None;
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
        let failed = self.queues.iter().find_map(|queue| {
            let again = queue.bind_again(&self.link, &self.names, self.options, &self.control, intake);
            again.err().map(|halt| (queue.tap.name.clone(), halt))
        });
        let Some((name, halt)) = failed else { return Ok(()) };
        if matches!(halt, Halt::Failed(_)) {
            self.spoil(format!("what `{name}` is bound to was away"), intake);
            self.deliver(intake)?;
        }
        Err(halt)
    }
}
