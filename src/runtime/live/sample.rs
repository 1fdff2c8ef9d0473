//! A few records of a live system, for whoever configures it to look at.

use super::open;
use super::window::beginning;
use crate::config::{SourceConfig, Tap};
use crate::extract::{self, Attributes};
use crate::model::observation::Position;
use crate::model::time::{Span, Time};
use crate::runtime::clock::now;
use crate::sources::live::{Failure, Intake, Record, Stopped};
use std::collections::HashMap;
use std::time::{Duration, Instant};

/// Records this young show best what is to be expected.
const RECENT: Span = Span::seconds(3_600);
/// So long is waited for what comes, where nothing is there.
const WAIT: Duration = Duration::from_secs(5);
/// After so many records of streams of which there are enough, no others are waited for.
const PASSED_OVER_MAX: usize = 10_000;
/// So many streams are told apart.
const STREAMS_MAX: usize = 100;

/// What a sample holds.
pub enum Sampled<'a> {
    /// A record as the source yields it.
    Record(extract::Record<'a>),
    /// The record that names the columns of a part's next ones.
    Header(&'a str, &'a [u8]),
    /// Something that is none: where it stands, and why.
    Undecodable(&'a str, &'a str),
}

/// Shows `count` records of each stream at most: those of the last hour, else the oldest that are there, else what comes within some
/// seconds.
pub fn sample(
    config: &SourceConfig,
    clock_skew: Span,
    count: usize,
    each: &mut dyn FnMut(Sampled<'_>),
) -> Result<(), Failure> {
    let starts = match config.tap {
        // It sees what comes and nothing that was.
        Tap::Changes(_) | Tap::MySqlChanges(_) => vec![config.clone()],
        Tap::Rabbitmq(_) => vec![beginning(config, None)],
        // What is sent while it is looked at would be answered, and lost.
        Tap::Otlp(_) | Tap::HttpEvents(_) => return Ok(()),
        _ => vec![beginning(config, Some(now() - RECENT)), beginning(config, None)],
    };
    let last = starts.len() - 1;
    for (at, config) in starts.into_iter().enumerate() {
        let (parts, names, begun) = (HashMap::new(), Vec::new(), Instant::now());
        let (streams, passed_over) = (HashMap::new(), 0);
        let (waits, proven) = (at == last, false);
        let mut taste = Taste { wanted: count, each, parts, names, streams, passed_over, begun, waits, proven };
        open(&config, clock_skew).follow(None, &mut taste)?;
        if !taste.streams.is_empty() {
            break;
        }
    }
    Ok(())
}

/// An intake that soon has enough.
struct Taste<'a> {
    /// Of each stream.
    wanted: usize,
    each: &'a mut dyn FnMut(Sampled<'_>),
    parts: HashMap<String, u32>,
    names: Vec<String>,
    /// How many of each were shown.
    streams: HashMap<String, usize>,
    /// Records since the last that was shown.
    passed_over: usize,
    begun: Instant,
    /// What comes is waited for, where nothing is there.
    waits: bool,
    /// All that was there has been handed over.
    proven: bool,
}

impl Taste<'_> {
    /// Whether one more of a stream is wanted, which is then counted.
    fn wants(&mut self, stream: &str) -> bool {
        self.passed_over += 1;
        if self.streams.len() >= STREAMS_MAX && !self.streams.contains_key(stream) {
            return false;
        }
        let shown = self.streams.entry(stream.to_owned()).or_default();
        let wants = *shown < self.wanted;
        *shown += usize::from(wants);
        if wants {
            self.passed_over = 0;
        }
        wants
    }
}

impl Intake for Taste<'_> {
    fn part(&mut self, name: &str) -> u32 {
        if let Some(number) = self.parts.get(name) {
            return *number;
        }
        let number = self.names.len() as u32;
        self.parts.insert(name.to_owned(), number);
        self.names.push(name.to_owned());
        number
    }

    fn header(&mut self, part: u32, payload: &[u8]) {
        (self.each)(Sampled::Header(&self.names[part as usize], payload));
    }

    fn record(&mut self, record: Record<'_>) {
        let name = self.names[record.part as usize].clone();
        if self.wants(record.stream.unwrap_or(&name)) {
            let Record { part, offset, payload, stream, key, time, op, headers, .. } = record;
            let position = Position { part, offset, element: 0 };
            let attributes = Attributes { stream, key, time, op, headers, identity: None };
            let sampled = extract::Record { payload, position, ingest: now(), part: &name, attributes };
            (self.each)(Sampled::Record(sampled));
        }
    }

    fn undecodable(&mut self, part: u32, offset: u64, _reason: &'static str, detail: &str, _text: &[u8]) {
        let name = self.names[part as usize].clone();
        if self.wants(&name) {
            let place = format!("{name}:{offset}");
            (self.each)(Sampled::Undecodable(&place, detail));
        }
    }

    fn hole(&mut self, _why: &str) {}

    fn caught_up(&mut self, _at: Time) {
        self.proven = true;
    }

    fn deliver(&mut self, _cursor: &[u8]) -> Result<(), Stopped> {
        self.pause(Duration::ZERO)
    }

    fn durable(&mut self) -> Option<&[u8]> {
        None
    }

    fn trouble(&mut self, what: &str) {
        tracing::warn!("{what}");
    }

    fn pause(&mut self, span: Duration) -> Result<(), Stopped> {
        let waited = self.begun.elapsed();
        let all = self.proven && (!self.waits || !self.streams.is_empty());
        let enough = all || self.passed_over >= PASSED_OVER_MAX;
        if enough || waited >= WAIT {
            return Err(Stopped);
        }
        std::thread::sleep(span.min(WAIT - waited));
        Ok(())
    }

    fn now(&self) -> Time {
        now()
    }
}
