//! Follows topics of Kafka, without a group, without a commit, without a trace in the cluster.
//!
//! ```text
//! round at T:  topics, partitions? ─▶ where do the new ones begin? ─▶ high watermarks? ─▶ target
//!                (rounds.rs)                                                                │ every partition is there
//! meanwhile:   messages, ends of partitions ─▶ positions ─────────────────────────────▶ caught up at T
//!                (reading.rs)
//! ```
//!
//! Three thoughts carry it:
//!
//! - **A proof is a round that was caught up with.** A round begins at T, and asks for the partitions before it asks for
//!   their ends, so that what was visible at T stands before these ends. Under load one target after the other is
//!   reached, each at its own T.
//! - **The end is the high watermark, and a position reaches it by what the broker says.** A transaction that is open
//!   holds back what can be read (the last stable offset), but not the watermark, so it holds back the proof, as it must:
//!   what it will commit happened before. A position is an offset that was handed over, or the one that an
//!   end-of-partition event carries, since markers of transactions and compaction leave holes in the offsets.
//! - **What a broker does not have is admitted.** The client is told to fail instead of jumping (`auto.offset.reset=error`);
//!   the source then finds out whether retention was faster, the end was lost, or the topic is another one.

mod cursor;
mod examine;
mod message;
mod native;
mod options;
mod reading;
mod registry;
mod rounds;
#[cfg(test)]
mod tests;
mod topics;

pub use super::secret::Secret;
pub use options::{Mechanism, Options, Payload, Security};
pub use registry::{Encoding, Registry};

use crate::model::time::Time;
use crate::sources::live::{Failure, Intake, Source, Stopped};
use crate::sources::remark::Remark;
use native::Connection;
use reading::Reading;
use rounds::Rounds;
use std::time::{Duration, Instant};
use topics::Topics;

/// How long a message is waited for.
const WAIT: Duration = Duration::from_millis(20);
/// What has been handed over is delivered after so long, so many messages, or so many bytes.
const DELIVER_AFTER: Duration = Duration::from_millis(50);
const DELIVER_RECORDS: usize = 5_000;
const DELIVER_BYTES: usize = 4 << 20;
/// A cluster that has answered nothing for so long is down.
const DEAD_AFTER: Duration = Duration::from_secs(12);

/// The live source of Kafka topics.
#[derive(Debug)]
pub struct Kafka {
    options: Options,
}

impl Kafka {
    /// Nothing is connected before [`Source::follow`].
    pub fn new(options: Options) -> Kafka {
        Kafka { options }
    }
}

impl Source for Kafka {
    fn follow(&mut self, cursor: Option<&[u8]>, intake: &mut dyn Intake) -> Result<(), Failure> {
        let topics = match cursor {
            Some(cursor) => cursor::decode(cursor)?,
            None => Topics { all: Vec::new(), first: true },
        };
        match Follower::new(&self.options, topics)?.follow(intake) {
            Err(Halt::Failed(failure)) => Err(failure),
            Ok(()) | Err(Halt::Stopped) => Ok(()),
        }
    }

    fn examine(&mut self) -> Option<Vec<Remark>> {
        Some(examine::examine(&self.options))
    }
}

/// Why following ends.
enum Halt {
    Stopped,
    Failed(Failure),
}

impl From<Stopped> for Halt {
    fn from(_: Stopped) -> Halt {
        Halt::Stopped
    }
}

impl From<Failure> for Halt {
    fn from(failure: Failure) -> Halt {
        Halt::Failed(failure)
    }
}

/// The state of following, from one connection to its loss.
struct Follower<'o> {
    options: &'o Options,
    connection: Connection,
    reading: Reading<'o>,
    rounds: Rounds,
    /// The trouble that was told last.
    told: String,
    delivered: Instant,
    /// Why the client could not do something, as it last said.
    complaint: Option<String>,
}

impl<'o> Follower<'o> {
    fn new(options: &'o Options, topics: Topics) -> Result<Follower<'o>, Failure> {
        let connection = Connection::open(&options.client())
            .map_err(|error| Failure(format!("the client of Kafka cannot be set up: {error}")))?;
        Ok(Follower {
            options,
            connection,
            reading: Reading::new(options, topics)?,
            rounds: Rounds::new(),
            told: String::new(),
            delivered: Instant::now(),
            complaint: None,
        })
    }

    fn follow(&mut self, intake: &mut dyn Intake) -> Result<(), Halt> {
        loop {
            let reading = &mut self.reading;
            self.connection.poll(WAIT, |message| reading.take(message, intake));
            if let Some(failure) = self.reading.failed.take() {
                return Err(failure.into());
            }
            self.round(intake)?;
            let proven = self.rounds.proven(&self.reading.topics);
            if let Some(at) = proven {
                intake.caught_up(at - self.options.clock_skew);
            }
            if proven.is_some() || self.is_due() {
                self.deliver(intake)?;
            }
            self.tell_troubles(intake);
            self.check_life()?;
            intake.pause(Duration::ZERO)?;
        }
    }

    /// Whether so much has been handed over that it is delivered.
    fn is_due(&self) -> bool {
        let unsent = &self.reading.unsent;
        unsent.records >= DELIVER_RECORDS
            || unsent.bytes >= DELIVER_BYTES
            || (unsent.any && self.delivered.elapsed() >= DELIVER_AFTER)
    }

    fn deliver(&mut self, intake: &mut dyn Intake) -> Result<(), Halt> {
        intake.deliver(&cursor::encode(&self.reading.topics))?;
        self.reading.unsent = reading::Unsent::default();
        self.delivered = Instant::now();
        // The engine may have kept the source waiting; the cluster is not to blame for that.
        self.rounds.excuse(self.delivered);
        Ok(())
    }

    /// Troubles are told when they change; they are over with the next proof.
    fn tell_troubles(&mut self, intake: &mut dyn Intake) {
        let text = self.rounds.troubles(&self.reading);
        if text != self.told && !text.is_empty() {
            intake.trouble(&text);
        }
        self.told = text;
    }

    /// Fails where the cluster does not answer, or does not let us in.
    fn check_life(&mut self) -> Result<(), Failure> {
        let mut refused = false;
        if let Some((code, why)) = self.connection.complaint() {
            refused = native::is_refusal(code);
            self.complaint = Some(why);
        }
        if refused && !self.rounds.ever_answered() {
            return Err(self.failure("does not let the source in", "check `security` in the configuration"));
        }
        if self.rounds.silent_for() > DEAD_AFTER {
            let what = format!("has not answered for {} s", DEAD_AFTER.as_secs());
            // Some brokers close the connection instead of saying that they do not know a user.
            let secured = self.complaint.as_deref().is_some_and(|why| why.contains("SASL") || why.contains("SSL"));
            let and = if secured { ", and `security`" } else { "" };
            let remedy = format!("check `brokers`{and}, and whether the cluster can be reached from here");
            return Err(self.failure(&what, &remedy));
        }
        Ok(())
    }

    fn failure(&self, what: &str, remedy: &str) -> Failure {
        let why = self.complaint.as_deref().map_or(String::new(), |why| format!(" ({why})"));
        Failure(format!("Kafka at {} {what}{why}: {remedy}", self.options.brokers))
    }
}

/// The first moment at which a time of the broker can be asked for, in its milliseconds.
fn millis(time: Time) -> i64 {
    time.0.div_euclid(1_000_000)
}
