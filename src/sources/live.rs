//! What a live source owes, and to whom.
//!
//! A source follows one system for as long as the daemon runs. It hands over records in the order of their parts (a
//! file, a partition, a table), says when it has been caught up, admits holes, and names at every delivery the
//! cursor from which it could go on. It decodes nothing, keeps no time, and writes nothing anywhere.
//!
//! ```text
//! source ── record, record, caught_up(T), hole ──▶ intake ── deliver(cursor) ──▶ journal, engine
//!    ▲                                                                              │ durable
//!    └───────────────────────── cursor, at the next start ──────────────────────────┘
//! ```
//!
//! Each source has a thread of its own, in which [`Source::follow`] may block; the intake blocks it in turn where the
//! engine is behind, so memory stays bounded whatever the system delivers.

use super::remark::Remark;
use crate::model::time::Time;
use std::time::Duration;

/// A tap on a live system.
pub trait Source: Send {
    /// Follows the system from `cursor` (of the last delivery that became durable; `None` at the very first start)
    /// until the intake says that the daemon stops. What a failed call did not deliver is taken again from the last
    /// cursor: a source that cannot go on returns, and is called again after a while.
    fn follow(&mut self, cursor: Option<&[u8]>, intake: &mut dyn Intake) -> Result<(), Failure>;

    /// Looks at the system as whoever configures it would: can it be reached, may it be read, what will it prove? `None`
    /// where this type of source has nothing to say.
    fn examine(&mut self) -> Option<Vec<Remark>> {
        None
    }
}

/// Where a source begins that was never followed before.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum Start {
    /// With what comes from now on.
    #[default]
    Latest,
    /// With all that is there.
    Beginning,
    /// With what came at this moment or later, by the system's own order; more than that does no harm.
    At(Time),
}

/// Why a source cannot go on for now: what happened, to what, and the way out.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct Failure(pub String);

/// The daemon stops: the source returns.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stopped;

/// A record as its source has it.
#[derive(Clone, Copy, Debug)]
pub struct Record<'a> {
    /// The part in which it stands, as [`Intake::part`] numbers it.
    pub part: u32,
    /// Where it stands in the part: a line, an offset. It grows within a part.
    pub offset: u64,
    /// The bytes to decode.
    pub payload: &'a [u8],
    /// The table, topic, queue or stream that it stands in, for `from: source.stream`. `None`: its part's name says it.
    pub stream: Option<&'a str>,
    /// Its own key, where the system's records have one.
    pub key: Option<&'a str>,
    /// When it happened, by the system's clock, where the system says so.
    pub time: Option<Time>,
    /// The kind of change, where the system says so: `insert`, `update`, `delete`.
    pub op: Option<&'a str>,
    /// Its headers in their order.
    pub headers: &'a [(&'a str, &'a str)],
    /// When it was read, where that was asked for many at once; `None`: just now.
    pub read: Option<Time>,
}

impl<'a> Record<'a> {
    /// A record that is its bytes and nothing else.
    pub fn plain(part: u32, offset: u64, payload: &'a [u8]) -> Record<'a> {
        Record { part, offset, payload, stream: None, key: None, time: None, op: None, headers: &[], read: None }
    }
}

/// What is kept of one thing: see [`Intake::note`].
pub type Note = [u64; 2];

/// What a live source hands its records to.
pub trait Intake {
    /// The number of a part. The same name has the same number, in later runs too. Where a place in the system begins
    /// anew (a log that was rotated), it is a part with another name, since its offsets begin anew as well.
    fn part(&mut self, name: &str) -> u32;

    /// The record that names the columns of the part's next records, in formats that have one.
    fn header(&mut self, part: u32, payload: &[u8]);

    /// The next record of its part.
    fn record(&mut self, record: Record<'_>);

    /// Something that stands where a record should stand, and is none: a word for what is wrong, a sentence, and how
    /// it begins. It counts as undecodable.
    fn undecodable(&mut self, part: u32, offset: u64, reason: &'static str, detail: &str, text: &[u8]);

    /// Records may have been missed, from the last proof on up to the next one.
    fn hole(&mut self, why: &str);

    /// Records of a stream were there before, and are dated by the look that met them: where a step goes by that, they may
    /// have come long before.
    fn undated(&mut self, _stream: &str) {}

    /// All that happened before `at`, by the clock that stamps the events, and was visible then, has been handed over.
    fn caught_up(&mut self, at: Time);

    /// Keeps a note under a number, in place of an earlier one, or takes it back; durable with the next delivery. For what
    /// must be known of each of many things, such as the rows of a table, where a cursor would grow with their number.
    fn note(&mut self, _number: u64, _note: Option<Note>) {}

    /// All notes of what was delivered, for a source that begins or goes on.
    fn notes(&self) -> Vec<(u64, Note)> {
        Vec::new()
    }

    /// Proofs rest on the declared lateness alone, and why; `None`: they are earned. It holds until it is told otherwise.
    fn assumed(&mut self, _why: Option<&str>) {}

    /// Everything so far is whole, and the source could go on from `cursor`. Waits where the engine is behind.
    fn deliver(&mut self, cursor: &[u8]) -> Result<(), Stopped>;

    /// The cursor of the newest delivery that the journal has: what lies before it, a source may let its system forget.
    /// Until there is one, nothing.
    fn durable(&mut self) -> Option<&[u8]>;

    /// Waits until the journal has the newest delivery, and not longer than `within`: whether it has. Where there is no
    /// journal, it never has.
    fn settled(&mut self, within: Duration) -> Result<bool, Stopped> {
        self.pause(within).map(|()| false)
    }

    /// Something keeps the source from taking all that it should: what happened, to what, and the way out. It goes on
    /// with the rest and proves nothing meanwhile; with the next proof the trouble is over. Told when it changes.
    fn trouble(&mut self, what: &str);

    /// Waits for so long, or until the daemon stops.
    fn pause(&mut self, span: Duration) -> Result<(), Stopped>;

    /// The present time by this machine's clock.
    fn now(&self) -> Time;
}
