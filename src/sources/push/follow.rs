//! The source's own thread: takes what has come to the journal, and answers.

use super::counter::{Counter, Event, Job};
use super::listener::{Endpoint, Listener};
use super::options::{Options, Senders};
use super::room::Room;
use super::{Headers, examine};
use crate::model::time::{Span, Time};
use crate::sources::live::{Failure, Intake, Record, Source};
use crate::sources::remark::Remark;
use crate::sources::waiting::Halt;
use crossbeam_channel::{Receiver, RecvTimeoutError, unbounded};
use std::sync::Arc;
use std::time::{Duration, Instant};

/// How often it is looked whether the daemon stops.
const LOOK_EVERY: Duration = Duration::from_millis(100);
/// How often a proof is given while nothing comes.
const PROVE_EVERY: Duration = Duration::from_secs(1);
/// Records in one delivery, at most.
const DELIVERY_RECORDS_MAX: u64 = 10_000;
/// How long what was refused may take to come again: nothing is claimed meanwhile.
const COMES_AGAIN_WITHIN: Span = Span::seconds(30);
/// The one part of what is pushed.
const PART: &str = "pushed";
/// The reasons that progress is assumed.
const ASSUMED: &str = "senders say what they send, and not what they have not sent yet";

/// A source that listens.
pub struct Push {
    endpoints: Vec<Endpoint>,
    options: Options,
}

impl Push {
    /// One that will listen at these places.
    pub fn new(endpoints: Vec<Endpoint>, options: Options) -> Push {
        Push { endpoints, options }
    }
}

impl Source for Push {
    fn follow(&mut self, cursor: Option<&[u8]>, intake: &mut dyn Intake) -> Result<(), Failure> {
        let room = Arc::new(Room::new(self.options.waiting_max));
        // As many jobs as there is room for requests.
        let (jobs, waiting) = unbounded();
        let Options { tokens, body_max, .. } = &self.options;
        let counter = Counter::new(room.clone(), jobs, tokens.clone(), *body_max);
        let listener = Listener::open(&self.endpoints, &self.options, Arc::new(counter))?;
        let mut follow = Follow::begin(cursor, room, waiting, self.options.senders, intake)?;
        match follow.run(&listener) {
            // What waits is let go before the listener is, so that it is answered.
            Err(Halt::Stopped) => Ok(()),
            Err(Halt::Failed(failure)) => Err(failure),
            Ok(never) => match never {},
        }
    }

    fn examine(&mut self) -> Option<Vec<Remark>> {
        Some(examine::remarks(&self.endpoints, &self.options))
    }
}

struct Follow<'a> {
    intake: &'a mut dyn Intake,
    room: Arc<Room>,
    waiting: Receiver<Job>,
    senders: Senders,
    part: u32,
    /// The number of the next record. No number is given twice, also after a crash: at most one delivery is not known
    /// to the cursor.
    next: u64,
    /// Records since the last delivery.
    undelivered: u64,
    /// Nothing is claimed before.
    silent_until: Time,
    proven: Instant,
}

impl<'a> Follow<'a> {
    fn begin(
        cursor: Option<&[u8]>,
        room: Arc<Room>,
        waiting: Receiver<Job>,
        senders: Senders,
        intake: &'a mut dyn Intake,
    ) -> Result<Follow<'a>, Failure> {
        let other =
            |_| Failure("the journal's mark of this source is not of this version: begin with another folder".into());
        let last = cursor.map(|cursor| cursor.try_into().map(u64::from_le_bytes)).transpose().map_err(other)?;
        let next = last.map_or(0, |last| last + DELIVERY_RECORDS_MAX);
        let mut silent_until = Time(i64::MIN);
        if cursor.is_some() {
            match senders {
                Senders::Forget => {
                    intake.hole("nobody listened for a while, and `senders` may not have kept what they had")
                }
                Senders::Retry => silent_until = intake.now() + COMES_AGAIN_WITHIN,
            }
        }
        intake.assumed(Some(ASSUMED));
        let part = intake.part(PART);
        let proven = Instant::now() - PROVE_EVERY;
        Ok(Follow { intake, room, waiting, senders, part, next, undelivered: 0, silent_until, proven })
    }

    fn run(&mut self, listener: &Listener) -> Result<std::convert::Infallible, Halt> {
        loop {
            self.intake.pause(Duration::ZERO)?;
            if !listener.is_alive() {
                return Err(Failure("what listens has stopped".to_owned()).into());
            }
            let patience = LOOK_EVERY.min(PROVE_EVERY.saturating_sub(self.proven.elapsed()));
            let first = match self.waiting.recv_timeout(patience) {
                Ok(job) => Some(job),
                Err(RecvTimeoutError::Timeout) => None,
                Err(RecvTimeoutError::Disconnected) => {
                    return Err(Failure("what listens has stopped".to_owned()).into());
                }
            };
            if first.is_none() && self.proven.elapsed() < PROVE_EVERY {
                continue;
            }
            // What came before this moment is taken now, or is known to the room.
            let at = self.intake.now();
            let mut taken = Vec::new();
            let rest = self.waiting.clone();
            for job in first.into_iter().chain(rest.try_iter()) {
                self.hand_over(&job)?;
                taken.push(job);
                if self.undelivered >= DELIVERY_RECORDS_MAX / 2 {
                    break;
                }
            }
            self.prove(at);
            self.deliver()?;
            // Who does not wait any more will send it again.
            taken.into_iter().for_each(|job| _ = job.durable.send(()));
        }
    }

    fn hand_over(&mut self, job: &Job) -> Result<(), Halt> {
        for event in &job.events {
            let times = if let Event::Undecodable { times, .. } = event { *times } else { 1 };
            for _ in 0..times {
                if self.undelivered >= DELIVERY_RECORDS_MAX {
                    self.deliver()?;
                }
                self.take(event);
            }
        }
        job.held.handed_over();
        Ok(())
    }

    fn take(&mut self, event: &Event) {
        let offset = self.next;
        self.next += 1;
        self.undelivered += 1;
        match event {
            Event::Undecodable { reason, detail, .. } => {
                self.intake.undecodable(self.part, offset, reason, detail, b"");
            }
            Event::Record { stream, key, time, payload, headers } => {
                let headers = borrowed(headers);
                self.intake.record(Record {
                    stream: stream.as_deref(),
                    key: key.as_deref(),
                    time: Some(*time),
                    headers: &headers,
                    ..Record::plain(self.part, offset, payload)
                });
            }
        }
    }

    /// Claims what can be: everything that had come at this moment has been handed over.
    fn prove(&mut self, at: Time) {
        self.proven = Instant::now();
        if let Some(refused) = self.room.take_refused() {
            let count = refused.count;
            let why = format!("{count} requests or connections were refused, since more came than could be taken");
            match self.senders {
                Senders::Forget => self.intake.hole(&why),
                Senders::Retry => {
                    self.intake.trouble(&why);
                    self.silent_until = refused.last + COMES_AGAIN_WITHIN;
                }
            }
        }
        if at >= self.silent_until {
            self.intake.caught_up(self.room.oldest().map_or(at, |oldest| oldest.min(at)));
        }
    }

    /// Delivers, and waits until the journal has it.
    fn deliver(&mut self) -> Result<(), Halt> {
        self.room.delivering(true);
        self.intake.deliver(&self.next.to_le_bytes())?;
        while !self.intake.settled(LOOK_EVERY)? {}
        self.room.delivering(false);
        self.undelivered = 0;
        Ok(())
    }
}

fn borrowed(headers: &Headers) -> Vec<(&str, &str)> {
    headers.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect()
}
