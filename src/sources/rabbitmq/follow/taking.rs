//! What becomes of a delivery: a record, a mark, a seal, or something that was lost.

use super::super::message::{self, Message};
use super::super::options::{Origin, Stamped, Tap, Trace};
use super::super::own::{MARK, TRACE};
use super::super::place::Taken;
use super::{Follower, Round, Whose};
use crate::sources::live::{Intake, Record};
use crate::sources::waiting::Halt;
use lapin::message::Delivery;
use lapin::options::BasicAckOptions;
use std::time::Instant;

impl Follower<'_> {
    pub(super) fn take(
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
            missing.retain(|(queue, _)| *queue != at);
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

    pub(super) fn acknowledge_lost(&self, tag: u64, intake: &mut dyn Intake) -> Result<(), Halt> {
        let Some(lost) = &self.lost else { return Ok(()) };
        self.link.ask(intake, "an acknowledgement", lost.channel.basic_ack(tag, BasicAckOptions::default()))
    }

    /// Something may have been missed, as is seen now: only a proof of a later moment ends that hole.
    pub(super) fn spoil(&mut self, why: String, intake: &mut dyn Intake) {
        if self.cursor.spoiled.as_ref() != Some(&why) {
            intake.hole(&why);
        }
        self.cursor.spoiled = Some(why);
        self.whole_from = Some(intake.now());
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
        if message.time.is_none() && !self.unstamped && is_stamped(self.options.stamped, &message) {
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
            read: None,
        });
        self.unsent += 1;
        self.changed = true;
    }
}

/// Whether a message has no other time than its property.
fn is_stamped(stamped: Stamped, message: &Message) -> bool {
    match stamped {
        Stamped::Always => true,
        Stamped::Where(header) => message.headers.iter().any(|(name, _)| name == header),
        Stamped::Never => false,
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
