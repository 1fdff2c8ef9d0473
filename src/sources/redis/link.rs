//! One connection to one server: what is asked and answered on it, and what the server pushes in between.
//!
//! The server pushes and answers in one order on one connection. So when an answer is there, everything that was pushed
//! before it waits in the inbox: that is what the proofs rest on.

use super::super::live::{Failure, Intake};
use super::super::waiting::{Halt, Waiter};
use super::events::{Event, Pushed};
use super::options::Options;
use super::{errors, value};
use crate::model::time::{Span, Time};
use redis::aio::MultiplexedConnection;
use redis::{AsyncConnectionConfig, ConnectionInfo, Pipeline, PushInfo, PushKind, Value};
use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// How long the server may take to let us in, and to answer.
const CONNECTS_WITHIN: Duration = Duration::from_secs(10);
const ANSWERS_WITHIN: Duration = Duration::from_secs(10);
/// So many events wait to be taken. A server that pushes faster loses some, which is a hole.
const EVENTS_MAX: usize = 100_000;

/// What the server has pushed and nobody has taken yet.
struct Inbox {
    events: VecDeque<Pushed>,
    /// So many were put in, ever.
    received: u64,
    /// So many did not fit in since that was last asked.
    lost: u64,
    /// The server has closed the connection.
    closed: bool,
    /// The server's time, by its last answer.
    floor: Time,
}

/// A connection.
pub(super) struct Link {
    connection: MultiplexedConnection,
    inbox: Arc<Mutex<Inbox>>,
    /// Host and port, without secrets.
    pub address: String,
    /// The server's time by its last answer, and when that came.
    clock: Option<(Time, Instant)>,
}

/// The state of the server at one moment of its clock.
pub(super) struct Answer {
    /// Its time, before it did what it was asked.
    pub at: Time,
    /// So many events had been pushed by then, at most.
    pub received: u64,
    /// What it answered.
    pub values: Vec<Value>,
}

impl Link {
    /// Logs in.
    pub fn open(
        options: &Arc<Options>,
        info: ConnectionInfo,
        waiter: &Waiter,
        intake: &mut dyn Intake,
    ) -> Result<Link, Halt> {
        let address = info.addr().to_string();
        let inbox = Inbox { events: VecDeque::new(), received: 0, lost: 0, closed: false, floor: Time(i64::MIN) };
        let inbox = Arc::new(Mutex::new(inbox));
        let (shared, followed) = (Arc::clone(&inbox), Arc::clone(options));
        let push = move |push: PushInfo| -> Result<(), redis::aio::SendError> {
            locked(&shared).take(push, &followed);
            Ok(())
        };
        let config = AsyncConnectionConfig::new()
            .set_connection_timeout(Some(CONNECTS_WITHIN))
            .set_response_timeout(Some(ANSWERS_WITHIN))
            .set_push_sender(push);
        let client = options.client(info)?;
        let connect = client.get_multiplexed_async_connection_with_config(&config);
        match waiter.wait(intake, CONNECTS_WITHIN, connect)? {
            Some(Ok(connection)) => Ok(Link { connection, inbox, address, clock: None }),
            Some(Err(error)) => Err(errors::refused(&address, &error).into()),
            None => Err(errors::late(&address, CONNECTS_WITHIN).into()),
        }
    }

    /// Asks, in one go. What the server refuses stands among the answers.
    pub fn ask(&mut self, pipeline: &Pipeline, waiter: &Waiter, intake: &mut dyn Intake) -> Result<Vec<Value>, Halt> {
        let answers = self.connection.send_packed_commands(pipeline, 0, pipeline.len());
        match waiter.wait(intake, ANSWERS_WITHIN, answers)? {
            Some(Ok(values)) => Ok(values),
            Some(Err(error)) => Err(errors::broken(&self.address, &error).into()),
            None => Err(errors::late(&self.address, ANSWERS_WITHIN).into()),
        }
    }

    /// Asks for the time, and then what the pipeline asks.
    pub fn ask_at(&mut self, more: &Pipeline, waiter: &Waiter, intake: &mut dyn Intake) -> Result<Answer, Halt> {
        let mut pipeline = redis::pipe();
        pipeline.cmd("TIME");
        more.cmd_iter().for_each(|command| _ = pipeline.add_command(command.clone()));
        let mut values = self.ask(&pipeline, waiter, intake)?;
        let first = if values.is_empty() { Value::Nil } else { values.remove(0) };
        let at = time(&first).ok_or_else(|| errors::failed(&self.address, "TIME", &first, None))?;
        self.clock = Some((at, Instant::now()));
        let mut inbox = locked(&self.inbox);
        inbox.floor = at;
        Ok(Answer { at, received: inbox.received, values })
    }

    /// Asks one thing.
    pub fn ask_one(&mut self, command: redis::Cmd, waiter: &Waiter, intake: &mut dyn Intake) -> Result<Value, Halt> {
        let mut pipeline = redis::pipe();
        pipeline.add_command(command);
        Ok(self.ask(&pipeline, waiter, intake)?.pop().unwrap_or(Value::Nil))
    }

    /// Listens to what the server tells of keys and on channels, from the answer on.
    pub fn subscribe(
        &mut self,
        patterns: &[String],
        channels: &[String],
        waiter: &Waiter,
        intake: &mut dyn Intake,
    ) -> Result<(), Halt> {
        let connection = &mut self.connection;
        let subscribe = async {
            if !patterns.is_empty() {
                connection.psubscribe(patterns).await?;
            }
            if !channels.is_empty() {
                connection.subscribe(channels).await?;
            }
            Ok(())
        };
        match waiter.wait(intake, ANSWERS_WITHIN, subscribe)? {
            Some(Ok(())) => Ok(()),
            Some(Err(error)) => Err(errors::refused(&self.address, &error).into()),
            None => Err(errors::late(&self.address, ANSWERS_WITHIN).into()),
        }
    }

    /// Takes events, the oldest first.
    pub fn take(&mut self, most: usize) -> Result<Vec<Pushed>, Failure> {
        let mut inbox = locked(&self.inbox);
        if inbox.closed {
            return Err(errors::closed(&self.address));
        }
        let count = inbox.events.len().min(most);
        Ok(inbox.events.drain(..count).collect())
    }

    /// How many events did not fit in since this was last asked.
    pub fn lost(&mut self) -> u64 {
        std::mem::take(&mut locked(&self.inbox).lost)
    }

    /// When something happened that was received at a moment of this machine: by the server's clock, no earlier than its
    /// time by the answer before, no later than by the one after.
    pub fn stamp(&self, pushed: &Pushed, after: Time) -> Time {
        let Some((time, asked)) = self.clock else { return after };
        let span = |duration: Duration| Span(i64::try_from(duration.as_nanos()).unwrap_or(i64::MAX));
        let at = match pushed.received.checked_duration_since(asked) {
            Some(since) => time + span(since),
            None => time - span(asked.duration_since(pushed.received)),
        };
        at.min(after).max(pushed.floor)
    }
}

impl Inbox {
    fn take(&mut self, push: PushInfo, options: &Options) {
        if push.kind == PushKind::Disconnection {
            self.closed = true;
            return;
        }
        let Some(event) = Event::of(push, options) else { return };
        if self.events.len() >= EVENTS_MAX {
            self.lost += 1;
            return;
        }
        self.received += 1;
        self.events.push_back(Pushed { event, floor: self.floor, received: Instant::now() });
    }
}

/// What the server's `TIME` says.
fn time(value: &Value) -> Option<Time> {
    let Value::Array(parts) = value else { return None };
    let [seconds, micros] = &parts[..] else { return None };
    let (seconds, micros) = (value::integer(seconds)?, value::integer(micros)?);
    let nanos = seconds.checked_mul(1_000_000)?.checked_add(micros)?.checked_mul(1_000)?;
    i64::try_from(nanos).ok().map(Time)
}

/// Nobody panics while the inbox is locked.
fn locked(inbox: &Mutex<Inbox>) -> MutexGuard<'_, Inbox> {
    inbox.lock().unwrap_or_else(PoisonError::into_inner)
}
