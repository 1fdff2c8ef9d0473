//! From a record to observations: decode once, match the steps, pull keys and kept fields.
//!
//! ```text
//! payload ─▶ json: one pass to the needed values ─┐
//!        ├─▶ formats, parse: a list of fields ────┼▶ place::View ─▶ time
//!        └─▶ formats of other tools: told ────────┘                └▶ matching: which steps? ─▶ step ─▶ Batch
//! ```
//!
//! An [`Extractor`] serves all steps of all flows that read one source. What it runs is worked out
//! beforehand (`compile`): where each path's value comes from, which text decides between the steps,
//! and what then is needed. It is the hot path of the whole program: a record costs no allocation where
//! its keys and kept fields are plain.

mod compile;
mod condition;
pub mod counts;
mod entry;
mod explode;
pub mod fields;
pub mod formats;
pub mod json;
mod keytext;
mod matching;
mod place;
mod pull;
mod redact;
mod step;
pub mod time;
pub mod told;
pub mod undecodable;

use crate::flow::format::{Decoding, Format};
use crate::flow::plan::{Plan, Segment};
use crate::model::observation::{BATCH_BYTES_MAX, Batch, Position};
use crate::model::time::Time;
use crate::model::value::Value;
use compile::{Compiled, compile};
pub use counts::{Counts, StepCounts};
use fields::Fields;
use formats::dialects::Reader;
use formats::{Decoder, Rule};
use json::{Case, Fault, Mode, Scanner, What};
use matching::{Matched, Matcher};
use place::{Body, Place, Places, View};
use std::sync::Arc;
use time::TimeReader;
use told::{Piece, Relay, Told, Unfolded};
use undecodable::{Reason, Undecodable};

/// A record as its source yields it.
#[derive(Clone, Copy, Debug)]
pub struct Record<'a> {
    /// The bytes to decode.
    pub payload: &'a [u8],
    /// Where it stands.
    pub position: Position,
    /// When it was read.
    pub ingest: Time,
    /// The name of the part (the file, the partition, the table) in which it stands.
    pub part: &'a str,
    /// What its source gives it besides its bytes.
    pub attributes: Attributes<'a>,
}

impl<'a> Record<'a> {
    /// The table, topic, queue or stream in which it stands. A file is called after what it is a recording of: its name
    /// without folder and endings.
    pub fn stream(&self) -> &'a str {
        self.attributes.stream.unwrap_or_else(|| {
            let name = self.part.rsplit(['/', '\\']).next().unwrap_or(self.part);
            name.split_once('.').map_or(name, |(stem, _)| stem)
        })
    }
}

/// What a system says of a record besides its payload.
#[derive(Clone, Copy, Debug, Default)]
pub struct Attributes<'a> {
    /// The table, topic, queue or stream that it stands in; of a file, the name without its ending.
    pub stream: Option<&'a str>,
    /// Its own key, where the source's records have one.
    pub key: Option<&'a str>,
    /// When it happened, by the system's clock.
    pub time: Option<Time>,
    /// The kind of change: `insert`, `update`, `delete`.
    pub op: Option<&'a str>,
    /// Its headers, in their order; of several with one name the last counts.
    pub headers: &'a [(&'a str, &'a str)],
    /// What makes its effect unique, where that is not its key.
    pub identity: Option<&'a str>,
}

/// What a record turned out to be.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Extracted {
    /// Its event time; `None` where every step names its own.
    pub time: Option<Time>,
    /// How many observations it gave.
    pub matched: u32,
    /// An observation is missing, since the step's own time could not be read.
    pub left_out: bool,
    /// What it shows of the relay between the system and its records.
    pub relay: Relay,
}

/// Turns the records of one source into observations.
#[derive(Clone, Debug)]
pub struct Extractor {
    decode: Decode,
    matcher: Matcher,
    /// Where the event time stands.
    time: Option<Place>,
    /// Where none is named, it is the one that the record brings.
    stamped: bool,
}

#[derive(Clone, Debug)]
enum Decode {
    /// JSON, read only where needed.
    Scan(Scanner),
    /// Any other format, and JSON with `parse` rules.
    Fields { decoder: Box<Decoder>, paths: Vec<Vec<Segment>>, memory: Fields<'static> },
    /// What another tool writes.
    Dialect { reader: Box<Reader>, rules: Vec<Rule>, paths: Vec<Vec<Segment>> },
}

impl Extractor {
    /// For the source that the configuration calls `reads`: serves every step of every flow of the plans that reads it.
    /// Observations of each plan go into a batch of their own.
    pub fn new(plans: &[Arc<Plan>], reads: &str, decoding: &Decoding) -> Extractor {
        let clock = TimeReader::new(decoding.time_format.as_deref(), decoding.zone);
        let clock = clock.expect("the configuration's `time_format` has been checked");
        let Compiled { matcher, needs, paths, time } = compile(plans, reads, decoding, clock);
        let decode = if Places::is_scanned(decoding) {
            Decode::Scan(Scanner::new(needs, if decoding.strict { Mode::Strict } else { Mode::Needed }))
        } else if let Format::Dialect(dialect) = &decoding.format {
            let rules = decoding.parse.iter().map(Rule::new).collect();
            Decode::Dialect { reader: Box::new(Reader::new(dialect, decoding.zone)), rules, paths }
        } else {
            let decoder = Box::new(Decoder::new(&decoding.format, &decoding.parse));
            Decode::Fields { decoder, paths, memory: Fields::default() }
        };
        Extractor { decode, matcher, time, stamped: decoding.stamped }
    }

    /// The records that a payload holds: one, but for the formats of other tools.
    #[inline]
    pub fn unfold<'a>(&mut self, record: &Record<'a>) -> Unfolded<'a> {
        match &mut self.decode {
            Decode::Scan(_) | Decode::Fields { .. } => Unfolded::one(Piece::Whole),
            Decode::Dialect { reader, .. } => reader.read(record),
        }
    }

    /// Puts the observations of a piece of the record's payload into the batches, as [`Extractor::record`] does.
    pub fn piece(
        &mut self,
        record: &Record<'_>,
        (number, piece): (u32, Piece<'_>),
        latest: Time,
        batches: &mut [Batch],
    ) -> Result<Extracted, Undecodable> {
        let told = match piece {
            Piece::Whole => return self.record(record, latest, batches),
            Piece::Bad(why) => return Err(why),
            Piece::Passed(time) => {
                let time = time.map_or(Ok(None), |time| sane(time, latest))?;
                return Ok(Extracted { time, matched: 0, left_out: false, relay: Relay::Silent });
            }
            Piece::Alive(time) => {
                return Ok(Extracted { time: None, matched: 0, left_out: false, relay: Relay::Alive(time) });
            }
            Piece::Told(told) => told,
        };
        let Decode::Dialect { rules, paths, .. } = &mut self.decode else {
            unreachable!("only formats of other tools tell records");
        };
        let Told { mut fields, time, key, identity, op, relay, stream, lines_before } = *told;
        rules.iter_mut().for_each(|rule| rule.apply(&mut fields));
        let source = record.attributes;
        let attributes = Attributes {
            stream: stream.as_deref().or(source.stream),
            key: key.as_deref().or(source.key),
            time: time.or(source.time),
            op: op.or(source.op),
            headers: source.headers,
            identity: identity.as_deref().or(source.identity),
        };
        let offset = record.position.offset + lines_before;
        let position = Position { offset, element: number, ..record.position };
        let record = Record { attributes, position, ..*record };
        let view = View { record: &record, body: Body::Fields { fields: &fields, paths }, element: None };
        let time = time_of((self.time.as_ref(), self.stamped), &view, &mut self.matcher.clock, latest)?;
        let extracted = extracted(&mut self.matcher, &view, Case::Open, time, latest, batches)?;
        Ok(Extracted { relay, ..extracted })
    }

    /// Puts the observations of a record into the batches, one a plan; nothing, where it cannot be read. A time
    /// beyond `latest` (the machine's clock and the skew, known to the caller) cannot be right.
    pub fn record(
        &mut self,
        record: &Record<'_>,
        latest: Time,
        batches: &mut [Batch],
    ) -> Result<Extracted, Undecodable> {
        match &mut self.decode {
            Decode::Scan(scanner) => {
                let document = scanner.scan(record.payload).map_err(undecodable)?;
                let view = View { record, body: Body::Json(document), element: None };
                let time = time_of((self.time.as_ref(), self.stamped), &view, &mut self.matcher.clock, latest)?;
                extracted(&mut self.matcher, &view, document.case, time, latest, batches)
            }
            Decode::Fields { decoder, paths, memory } => {
                let mut fields = std::mem::take(memory).recycle();
                let result = decoder.decode(record.payload, &mut fields).and_then(|()| {
                    let view = View { record, body: Body::Fields { fields: &fields, paths }, element: None };
                    let time = time_of((self.time.as_ref(), self.stamped), &view, &mut self.matcher.clock, latest)?;
                    extracted(&mut self.matcher, &view, Case::Open, time, latest, batches)
                });
                *memory = fields.recycle();
                result
            }
            Decode::Dialect { .. } => unreachable!("what another tool writes is unfolded"),
        }
    }

    /// A part (a file) begins, or is gone on with, whose columns this record names. Only formats with
    /// columns have it.
    pub fn header(&mut self, payload: &[u8]) -> Result<(), Undecodable> {
        match &mut self.decode {
            Decode::Scan(_) => Ok(()),
            Decode::Fields { decoder, .. } => decoder.header(payload),
            Decode::Dialect { reader, .. } => reader.header(payload),
        }
    }

    /// What has been counted so far.
    pub fn counts(&self) -> &Counts {
        &self.matcher.counts
    }
}

/// Makes a decoded record's observations: all of them or none.
#[inline]
fn extracted(
    matcher: &mut Matcher,
    view: &View<'_>,
    case: Case,
    time: Option<Time>,
    latest: Time,
    batches: &mut [Batch],
) -> Result<Extracted, Undecodable> {
    match matcher.record(view, case, time, latest, batches) {
        Some(Matched { matched, left_out }) => Ok(Extracted { time, matched, left_out, relay: Relay::Silent }),
        None => {
            batches.iter_mut().for_each(|batch| batch.drop_record(view.record.position));
            let detail = format!("its elements make more than {BATCH_BYTES_MAX} bytes; keep less of the whole record");
            Err(Undecodable::whole(Reason::TooLong, detail))
        }
    }
}

/// The record's event time.
fn time_of(
    (place, stamped): (Option<&Place>, bool),
    view: &View<'_>,
    clock: &mut TimeReader,
    latest: Time,
) -> Result<Option<Time>, Undecodable> {
    let Some(place) = place else {
        return if stamped {
            view.record.attributes.time.map_or_else(|| Err(no_time()), |time| sane(time, latest))
        } else {
            Ok(None)
        };
    };
    let time = match view.plain_text(place) {
        Some(text) => clock.read_text(text),
        None => match view.value(place) {
            Value::Null => return Err(no_time()),
            value => clock.read(&value),
        },
    };
    sane(time.map_err(|bad| Undecodable::whole(Reason::BadTime, bad.0))?, latest)
}

#[inline]
fn sane(time: Time, latest: Time) -> Result<Option<Time>, Undecodable> {
    if time > latest {
        return Err(Undecodable::whole(Reason::WildTime, format!("{time} is beyond the machine's clock, {latest}")));
    }
    Ok(Some(time))
}

#[cold]
fn no_time() -> Undecodable {
    Undecodable::whole(Reason::NoTime, "there is no event time where the source's `time` says")
}

#[cold]
fn undecodable(fault: Fault) -> Undecodable {
    let reason = match fault.what {
        What::Truncated => Reason::Truncated,
        What::Utf8 => Reason::InvalidUtf8,
        What::Depth => Reason::TooDeep,
        What::Length => Reason::TooLong,
        _ => Reason::Syntax,
    };
    Undecodable::at(reason, fault.at as usize, fault.what.to_string())
}

#[cfg(test)]
mod tests;
