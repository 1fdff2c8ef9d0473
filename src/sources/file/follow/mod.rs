//! Follows log files for as long as the daemon runs, through rotation and restarts.
//!
//! ```text
//!  every round:  look ──▶ files that match, by device and inode
//!                  │         ├─ known ─────────────▶ read on ──▶ proof: the least of all files
//!                  │         └─ not known: does its text go on where another file's ended?
//!                  └──▶ files that are missing: open still? renamed in their folder? else a hole, a round later
//! ```
//!
//! Three thoughts carry it:
//!
//! - **A file is its text.** Device and inode only say where to look. At each reading the bytes right before the place
//!   that was reached are compared with what stood there (`mark.rs`): a file that was truncated, or a number that was
//!   given to another file, fails there, and what stands at the place now is another part. In turn a text whose file
//!   is gone is found again in a copy, packed or not, that goes on where it ended.
//! - **Each file says up to when it is whole**: the start of the last round in which it was read to its end. What is
//!   proven is the least of them, so a file that cannot be read, that is large and not finished, or whose rest is being
//!   looked for holds the proof where it is, and none of them needs a rule of its own.
//! - **A partial last line holds nothing up.** It was not visible yet: its writer ends it at some later time *c*, and
//!   its event is no older than *c* − lateness, hence younger than *T* − lateness, the claim that a proof at *T* < *c*
//!   makes. But where whole lines are held back (the last record of several lines, a quote that is open), the
//!   proof stays at the last round before they were there.

mod bytes;
mod cursor;
mod document;
mod examine;
mod files;
mod kin;
mod look;
mod mark;
mod read;
#[cfg(test)]
mod tests;

use super::split::{Framing, Pieces};
use crate::model::time::{Span, Time};
use crate::sources::live::{Failure, Intake, Source, Start, Stopped};
use crate::sources::remark::Remark;
use files::Files;
use std::time::Duration;

/// From one round to the next, where a round finds nothing more to read.
const POLL: Duration = Duration::from_millis(200);
/// A round that took long, of many files, is followed by so many times its length of rest.
const REST_PER_WORK: u32 = 9;
/// So much of one file is read in one round, so that the others are not kept waiting.
const FILE_ROUND_MAX_BYTES: u64 = 4 << 20;
/// So much of a file is read at a time.
const BLOCK_BYTES: usize = 256 << 10;
/// After so many bytes, or records, the cursor is delivered, also within a round.
const DELIVER_BYTES: usize = 4 << 20;
const DELIVER_RECORDS: usize = 10_000;
/// Where nothing came, what is proven is delivered only so often.
const PROOF_EVERY: Span = Span::seconds(1);
/// A document or packed file that has not changed for so long is whole, and so is a record of several lines.
const SETTLE: Span = Span::seconds(2);
/// A quote that has been open for so long is torn.
const QUOTE_MAX_WAIT: Span = Span::seconds(10);
/// A file that has not changed for so long is closed; if it was read to its end, it may go without a word.
const REST: Span = Span::seconds(60);
/// Within so long after a change, size and time of a file may hide another one.
const RACY: Span = Span::seconds(1);
/// So many files are followed; what matches beyond is a trouble.
const FILES_MAX: usize = 16_384;
/// So many files that went away are remembered, in case they come back.
const GONE_MAX: usize = 1_024;
/// At so many paths a rotation that nobody saw is remembered; beyond, it may be told once more.
const SUSPECTED_MAX: usize = 256;
/// So many files are held open, those that changed last.
const OPEN_MAX: usize = 256;
/// So many troubles are told at once; the others are counted.
const TROUBLES_SHOWN_MAX: usize = 3;

/// What to follow, and how.
#[derive(Clone, Debug)]
pub struct Options {
    /// A path, or a glob.
    pub path: String,
    /// How a file becomes records.
    pub framing: Framing,
    /// Where a record may have several lines: what its first one looks like. Only for [`Framing::Lines`].
    pub begins: Option<regex::bytes::Regex>,
    /// Where to begin at the very first start.
    pub start: Start,
    /// How far the clock that stamps the events may be from this machine's.
    pub clock_skew: Span,
}

/// The live source of log files.
#[derive(Debug)]
pub struct Follow {
    options: Options,
}

impl Follow {
    /// Nothing is looked at before [`Source::follow`].
    pub fn new(options: Options) -> Follow {
        Follow { options }
    }
}

impl Source for Follow {
    fn follow(&mut self, cursor: Option<&[u8]>, intake: &mut dyn Intake) -> Result<(), Failure> {
        let files = cursor.map(|cursor| cursor::decode(cursor, &self.options)).transpose()?;
        match Follower::new(&self.options, files).follow(intake) {
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

/// The state of following, between two starts of the daemon.
struct Follower<'o> {
    options: &'o Options,
    files: Files,
    /// Counts the rounds.
    round: u64,
    /// When the last look began that saw everything; `None` before the first.
    looked: Option<Time>,
    /// What is there was there before the source was ever followed.
    first: bool,
    /// Something moved while it was looked at, so that the look may have missed a file: this round proves nothing.
    doubt: bool,
    /// What matches nothing yet may be the rest of a missing file.
    undecided: bool,
    /// What could not be read in this round, and what of that was told last.
    troubles: Vec<String>,
    told: String,
    /// What has been proven, and when.
    claim: Time,
    proved: Time,
    /// What has been handed over since the last delivery.
    unsent_bytes: usize,
    unsent_records: usize,
    unsent: bool,
    buffer: Vec<u8>,
    pieces: Pieces,
}

impl<'o> Follower<'o> {
    fn new(options: &'o Options, files: Option<Files>) -> Follower<'o> {
        let first = files.is_none();
        Follower {
            options,
            files: files.unwrap_or_default(),
            round: 0,
            looked: None,
            first,
            doubt: false,
            undecided: false,
            troubles: Vec::new(),
            told: String::new(),
            claim: Time::MIN,
            proved: Time::MIN,
            unsent_bytes: 0,
            unsent_records: 0,
            // The first cursor says where the source began, even if nothing has come.
            unsent: first,
            buffer: Vec::new(),
            pieces: Pieces::default(),
        }
    }

    fn follow(&mut self, intake: &mut dyn Intake) -> Result<(), Halt> {
        loop {
            let at = intake.now();
            let more = self.round(at, intake)?;
            let took = u64::try_from(intake.now().since(at).0).unwrap_or(0);
            let pause = POLL.max(Duration::from_nanos(took) * REST_PER_WORK);
            intake.pause(if more { Duration::ZERO } else { pause })?;
        }
    }

    /// Looks at everything once; whether there is more to read at once. What was visible before `at` is seen.
    fn round(&mut self, at: Time, intake: &mut dyn Intake) -> Result<bool, Halt> {
        self.round += 1;
        self.troubles.clear();
        let complete = self.look(at, intake)?;
        let mut more = false;
        for index in 0..self.files.all.len() {
            more |= self.visit(index, at, intake)?;
        }
        self.close_idle(at, intake);
        self.files.forget();
        self.tell_troubles(intake);
        let proof = self.proof(at).filter(|_| complete);
        if self.unsent || (proof.is_some() && at.since(self.proved) >= PROOF_EVERY) {
            if let Some(proof) = proof {
                (self.claim, self.proved) = (proof, at);
                intake.caught_up(proof - self.options.clock_skew);
            }
            self.deliver(intake)?;
        }
        if complete {
            self.looked = Some(at);
            self.first = false;
        }
        Ok(more)
    }

    /// Up to when everything has been handed over, where that is more than before.
    fn proof(&self, at: Time) -> Option<Time> {
        let least = self.files.all.iter().filter(|f| f.counts()).map(|f| f.whole).fold(at, Time::min);
        (!self.doubt && self.troubles.is_empty() && least > self.claim).then_some(least)
    }

    fn deliver(&mut self, intake: &mut dyn Intake) -> Result<(), Halt> {
        intake.deliver(&cursor::encode(&self.files, self.options))?;
        (self.unsent, self.unsent_bytes, self.unsent_records) = (false, 0, 0);
        Ok(())
    }

    /// Whether so much has been handed over that it is delivered.
    fn is_due(&self) -> bool {
        self.unsent_bytes >= DELIVER_BYTES || self.unsent_records >= DELIVER_RECORDS
    }

    fn hole(&mut self, why: &str, intake: &mut dyn Intake) {
        intake.hole(why);
        self.unsent = true;
    }

    /// Troubles are told when they change; they are over with the next proof.
    fn tell_troubles(&mut self, intake: &mut dyn Intake) {
        let mut text = self.troubles[..self.troubles.len().min(TROUBLES_SHOWN_MAX)].join("\n");
        if self.troubles.len() > TROUBLES_SHOWN_MAX {
            text.push_str(&format!("\nand {} more", self.troubles.len() - TROUBLES_SHOWN_MAX));
        }
        if text != self.told && !text.is_empty() {
            intake.trouble(&text);
        }
        self.told = text;
    }
}
