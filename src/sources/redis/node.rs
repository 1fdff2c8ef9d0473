//! One server that is followed, and how far what it pushes has been taken.

use super::super::live::{Failure, Intake};
use super::super::waiting::{Halt, Waiter};
use super::events::{self, Pushed};
use super::link::{Answer, Link};
use super::options::Options;
use super::servers::{self, Hello};
use super::{errors, value};
use crate::model::time::Time;
use redis::{ConnectionInfo, Value};
use std::sync::Arc;
use std::time::{Duration, Instant};

/// How often it is looked whether a server is still what it was, and still publishes what it should.
const WATCHED_EVERY: Duration = Duration::from_secs(1);

/// A server.
pub(super) struct Node {
    pub link: Link,
    pub hello: Hello,
    /// Which server it is, in which of its lives.
    pub life: String,
    /// What it owns of a cluster.
    pub slots: Option<Vec<(u16, u16)>>,
    /// So many events have been handed over.
    handled: u64,
    /// A moment, and how many events must be handed over until it is proven.
    pending: Option<(Time, u64)>,
    /// All that was pushed before it has been handed over.
    proven: Option<Time>,
    watched: Option<Instant>,
    /// When events were taken last.
    taken: Option<Instant>,
    /// Why its proofs are not earned.
    pub assumed: Option<String>,
}

impl Node {
    /// Connects to it, and looks what it is.
    pub fn open(
        options: &Arc<Options>,
        info: ConnectionInfo,
        waiter: &Waiter,
        intake: &mut dyn Intake,
    ) -> Result<Node, Halt> {
        Node::of(Link::open(options, info, waiter, intake)?, waiter, intake)
    }

    /// The server at the other end of a link.
    pub fn of(mut link: Link, waiter: &Waiter, intake: &mut dyn Intake) -> Result<Node, Halt> {
        let hello = servers::hello(&mut link, waiter, intake)?;
        if hello.mode == "sentinel" {
            let remedy = "say which master it watches, `sentinel: {master: NAME}`";
            return Err(Failure(format!("Redis at {} is a sentinel: {remedy}", link.address)).into());
        }
        let life = servers::life(&mut link, waiter, intake)?;
        let assumed = (!hello.is_master).then(|| {
            format!(
                "Redis at {} is a replica, which may not have heard of everything yet; name the master",
                link.address
            )
        });
        let (slots, handled, pending, proven, watched, taken) = Default::default();
        Ok(Node { link, hello, life, slots, handled, pending, proven, watched, taken, assumed })
    }

    /// Listens to keys, and to channels as well where this server is the one to tell them.
    pub fn listen(
        &mut self,
        options: &Options,
        with_channels: bool,
        waiter: &Waiter,
        intake: &mut dyn Intake,
    ) -> Result<(), Halt> {
        self.check_published(options, waiter, intake)?;
        let channels = options.channels.iter().filter(|_| with_channels);
        let (patterns, names): (Vec<_>, Vec<_>) = channels.partition(|channel| channel.has_wildcard());
        let globs = |of: Vec<&super::Pattern>| of.into_iter().map(|one| one.glob.clone()).collect::<Vec<_>>();
        let mut all = options.keyspace();
        all.extend(globs(patterns));
        self.link.subscribe(&all, &globs(names), waiter, intake)
    }

    /// Whether the server publishes what is followed. One that lets nobody look is believed.
    fn check_published(&mut self, options: &Options, waiter: &Waiter, intake: &mut dyn Intake) -> Result<(), Halt> {
        if options.keys.is_empty() {
            return Ok(());
        }
        let mut command = redis::cmd("CONFIG");
        command.arg("GET").arg("notify-keyspace-events");
        let answer = self.link.ask_one(command, waiter, intake)?;
        Ok(self.published(&answer, options)?)
    }

    fn published(&mut self, answer: &Value, options: &Options) -> Result<(), Failure> {
        let address = &self.link.address;
        if let Value::ServerError(error) = answer
            && error.details().is_some_and(|why| why.contains("unknown command"))
        {
            self.assumed = Some(format!(
                "Redis at {address} has no CONFIG: whether it publishes all changes of keys (`notify-keyspace-events`) is not known"
            ));
            return Ok(());
        }
        let pairs = value::pairs(answer.clone());
        let flags = pairs.as_ref().and_then(|pairs| pairs.first());
        let remedy = "`ACL SETUSER … +config|get` lets us see whether all changes are published";
        let (_, flags) =
            flags.ok_or_else(|| errors::failed(address, "CONFIG GET notify-keyspace-events", answer, Some(remedy)))?;
        events::published(&value::text(value::raw(flags)), &options.types, address)
    }

    /// Asks it for the time, and now and then whether it is still what it was.
    pub fn look(&mut self, options: &Options, waiter: &Waiter, intake: &mut dyn Intake) -> Result<Answer, Halt> {
        let mut pipeline = redis::pipe();
        let is_due = self.watched.is_none_or(|watched| watched.elapsed() >= WATCHED_EVERY);
        if is_due {
            pipeline.cmd("HELLO");
            if !options.keys.is_empty() {
                pipeline.cmd("CONFIG").arg("GET").arg("notify-keyspace-events");
            }
        }
        let mut answer = self.link.ask_at(&pipeline, waiter, intake)?;
        if is_due {
            self.watched = Some(Instant::now());
            let mut values = std::mem::take(&mut answer.values).into_iter();
            let hello = values.next().and_then(servers::read_hello);
            if hello.as_ref().is_none_or(|hello| hello.is_master != self.hello.is_master) {
                let address = &self.link.address;
                return Err(Failure(format!("Redis at {address} has changed its role; it is connected anew")).into());
            }
            if let Some(flags) = values.next() {
                self.published(&flags, options)?;
            }
        }
        Ok(answer)
    }

    /// So many more events have been handed over, and this was answered.
    pub fn handled(&mut self, count: usize, answer: &Answer) {
        self.handled += count as u64;
        if let Some((at, _)) = self.pending.take_if(|(_, received)| *received <= self.handled) {
            self.proven = Some(at);
        }
        if answer.received <= self.handled {
            self.proven = Some(answer.at);
        } else {
            self.pending.get_or_insert((answer.at, answer.received));
        }
    }

    /// All that it pushed before this has been handed over.
    pub fn proven(&self) -> Option<Time> {
        self.proven
    }

    /// Events that wait, the oldest first.
    pub fn take(&mut self, most: usize) -> Result<Vec<Pushed>, Failure> {
        match self.link.lost() {
            0 => {
                let events = self.link.take(most)?;
                // Where more of them wait, they are taken at once.
                self.taken = (!events.is_empty() && events.len() < most).then(Instant::now).or(self.taken);
                Ok(events)
            }
            lost => Err(Failure(format!(
                "{lost} events of Redis at {} came faster than they could be taken; it is connected anew",
                self.link.address
            ))),
        }
    }

    /// Whether nothing was taken for so long.
    pub fn is_rested(&self, span: Duration) -> bool {
        self.taken.is_none_or(|taken| taken.elapsed() >= span)
    }

    /// Whether it owns a slot; who is in no cluster owns all.
    pub fn owns(&self, slot: u16) -> bool {
        let within = |(from, to): &(u16, u16)| (*from..=*to).contains(&slot);
        self.slots.as_ref().is_none_or(|slots| slots.iter().any(within))
    }
}
