//! Where one live source puts what it has: records are decoded and matched at once, on the source's own thread, and
//! what they come to goes to the lane in deliveries.

use super::claims::{Claims, Clock, Pace};
use super::entry::{Claim, Delivery};
use super::status::SourceStatus;
use crate::config::SourceConfig;
use crate::engine::Input;
use crate::extract::{self, Attributes, Extractor};
use crate::flow::plan::Plan;
use crate::model::SourceId;
use crate::model::observation::Position;
use crate::model::time::{Span, Time};
use crate::sources::live::{Intake, Record, Stopped};
use crossbeam_channel::{Receiver, RecvTimeoutError, Sender, select};
use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// What the runtime knows of a source when the daemon starts.
pub struct Known {
    /// The source in the plan.
    pub source: SourceId,
    /// Names of its parts, in the order of their numbers.
    pub parts: Vec<String>,
    /// Its clocks, its own first, as far as they have come.
    pub clocks: Vec<Clock>,
}

/// The intake of one source.
pub struct Desk {
    name: String,
    extractor: Extractor,
    undecodable_is_gap: bool,
    latest_skew: Span,
    claims: Claims,
    source: SourceId,
    parts: HashMap<String, u32>,
    names: Vec<String>,
    /// How many of the parts the lane knows.
    delivered_parts: usize,
    delivery: Delivery,
    /// The source's mark at its last delivery in this run.
    cursor: Option<Vec<u8>>,
    /// It has delivered since it last failed.
    up: bool,
    inputs: Vec<Input>,
    lane: Sender<Delivery>,
    /// Disconnected when the daemon stops.
    stop: Receiver<()>,
    status: Arc<SourceStatus>,
}

impl Desk {
    /// For the source of this configuration.
    pub fn new(
        plan: &Arc<Plan>,
        config: &SourceConfig,
        known: Known,
        lane: Sender<Delivery>,
        stop: Receiver<()>,
        status: Arc<SourceStatus>,
    ) -> Desk {
        let Known { source, parts: names, clocks } = known;
        let parts = names.iter().zip(0..).map(|(name, number)| (name.clone(), number)).collect();
        let pace = Pace {
            clock_skew: plan.clock_skew,
            start: config.start,
            silence: config.pacing.silence,
            gaps: config.gaps.clone(),
        };
        Desk {
            name: config.name.clone(),
            extractor: Extractor::new(plan, &config.name, &config.decoding),
            undecodable_is_gap: config.pacing.undecodable_is_gap,
            latest_skew: plan.clock_skew,
            claims: Claims::new(clocks, pace),
            source,
            parts,
            delivered_parts: names.len(),
            names,
            cursor: None,
            up: false,
            delivery: Delivery { source, ..Delivery::default() },
            inputs: Vec::new(),
            lane,
            stop,
            status,
        }
    }

    /// The source cannot go on for now: it is down until it delivers again.
    pub fn fail(&mut self, wait: Duration) -> Result<(), Stopped> {
        // What was not delivered comes again from the last cursor.
        self.delivery = Delivery { source: self.source, ..Delivery::default() };
        self.names.truncate(self.delivered_parts);
        self.parts.retain(|_, number| (*number as usize) < self.names.len());
        if self.up {
            self.up = false;
            self.tell_down(true);
            self.send()?;
        }
        self.pause(wait)
    }

    /// Whether it has delivered since it last failed.
    pub fn is_up(&self) -> bool {
        self.up
    }

    /// From where its last delivery could be gone on.
    pub fn cursor(&self) -> Option<Vec<u8>> {
        self.cursor.clone()
    }

    fn tell_down(&mut self, down: bool) {
        let all = self.claims.clocks().map(|clock| Claim::Down(clock.source, down));
        self.delivery.claims.extend(all);
    }

    fn undecodable(&mut self, part: u32, offset: u64, reason: &str, detail: &str) {
        self.status.undecodable(reason, || format!("{}:{offset}: {detail}", self.names[part as usize]));
        if self.undecodable_is_gap {
            self.claims.hole();
        }
    }

    fn send(&mut self) -> Result<(), Stopped> {
        let delivery = std::mem::replace(&mut self.delivery, Delivery { source: self.source, ..Delivery::default() });
        select! {
            send(self.lane, delivery) -> sent => sent.map_err(|_| Stopped),
            recv(self.stop) -> _ => Err(Stopped),
        }
    }
}

impl Intake for Desk {
    fn part(&mut self, name: &str) -> u32 {
        if let Some(number) = self.parts.get(name) {
            return *number;
        }
        let number = self.names.len() as u32;
        self.parts.insert(name.to_owned(), number);
        self.names.push(name.to_owned());
        self.delivery.parts.push(name.to_owned());
        number
    }

    fn header(&mut self, part: u32, payload: &[u8]) {
        if let Err(why) = self.extractor.header(payload) {
            self.undecodable(part, 1, why.reason.name(), &why.detail);
        }
    }

    fn record(&mut self, record: Record<'_>) {
        let now = self.now();
        let position = Position { part: record.part, offset: record.offset, element: 0 };
        let Record { stream, key, time, op, headers, .. } = record;
        let attributes = Attributes { stream, key, time, op, headers };
        let part = &self.names[record.part as usize];
        let read = extract::Record { payload: record.payload, position, ingest: now, part, attributes };
        match self.extractor.record(&read, now + self.latest_skew, &mut self.delivery.batch) {
            Ok(extracted) => {
                self.status.record(extracted.matched > 0);
                if extracted.left_out && self.undecodable_is_gap {
                    self.claims.hole();
                }
                extracted.time.into_iter().for_each(|time| self.claims.record(time));
            }
            Err(why) => self.undecodable(record.part, record.offset, why.reason.name(), &why.detail),
        }
    }

    fn undecodable(&mut self, part: u32, offset: u64, reason: &'static str, detail: &str, _text: &[u8]) {
        Desk::undecodable(self, part, offset, reason, detail);
    }

    fn hole(&mut self, why: &str) {
        tracing::warn!(source = self.name, "records may be missing: {why}");
        self.status.hole(why);
        self.claims.hole();
    }

    fn caught_up(&mut self, at: Time) {
        self.status.caught_up(at);
        self.claims.caught_up(at);
    }

    fn deliver(&mut self, cursor: &[u8]) -> Result<(), Stopped> {
        self.claims.report(&mut self.inputs);
        self.delivery.claims.extend(self.inputs.drain(..).filter_map(|input| Claim::of(&input)));
        self.status.beyond_lateness(self.claims.take_beyond_lateness());
        self.delivery.cursor.extend_from_slice(cursor);
        if !self.up {
            self.up = true;
            self.tell_down(false);
            self.status.failure(None);
        }
        self.send()?;
        self.cursor = Some(cursor.to_vec());
        self.delivered_parts = self.names.len();
        Ok(())
    }

    fn trouble(&mut self, what: &str) {
        tracing::warn!(source = self.name, "{what}");
        self.status.trouble(what);
    }

    fn pause(&mut self, span: Duration) -> Result<(), Stopped> {
        match self.stop.recv_timeout(span) {
            Err(RecvTimeoutError::Timeout) => Ok(()),
            _ => Err(Stopped),
        }
    }

    fn now(&self) -> Time {
        now()
    }
}

/// The present time by this machine's clock.
pub fn now() -> Time {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    Time(i64::try_from(since.as_nanos()).unwrap_or(i64::MAX - 1))
}
