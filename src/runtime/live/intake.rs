//! Where one live source puts what it has: records are decoded and matched at once, on the source's own thread, and
//! what they come to goes to the lane in deliveries.

use super::claims::{Claims, Clock, Pace};
use super::connector::Connector;
use super::entry::{self, Claim, Delivery};
use super::milestone::Milestone;
use super::status::SourceStatus;
use crate::config::SourceConfig;
use crate::engine::Input;
use crate::extract::counts::Counts;
use crate::extract::{self, Attributes, Extractor};
use crate::flow::plan::Plan;
use crate::model::SourceId;
use crate::model::observation::{Batch, Position};
use crate::model::time::{Span, Time};
use crate::runtime::clock::now;
use crate::sources::live::{Intake, Note, Record, Start, Stopped};
use crossbeam_channel::{Receiver, RecvTimeoutError, Sender, select};
use serde::{Deserialize, Serialize};
use std::collections::{HashMap, VecDeque};
use std::sync::Arc;
use std::time::{Duration, Instant};

/// Why records that nobody could read may be missing.
const UNREAD: &str = "a record could not be read, or not all of it";

/// A lane that reads the source, as the source needs to know it.
pub struct Outlet {
    /// The lane's plan.
    pub plan: Arc<Plan>,
    /// The source in it.
    pub source: SourceId,
    /// How many of the source's parts the lane knows.
    pub parts: usize,
    /// The source's clocks in the lane's plan, its own first, as far as they have come.
    pub clocks: Vec<Clock>,
    /// The lane has had deliveries of the source before.
    pub resumes: bool,
    /// Where deliveries go.
    pub lane: Sender<Delivery>,
    /// The source's newest delivery that the lane's journal has.
    pub durable: Arc<Milestone>,
    /// Batches that the lane has worked off, to be filled again.
    pub spent: Receiver<Batch>,
}

/// From where a source goes on.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Bookmark {
    /// The cursor of the last delivery that all lanes have.
    pub cursor: Option<Vec<u8>>,
    /// The names of its parts, in the order of their numbers.
    pub parts: Vec<String>,
    /// The number of its last delivery to any lane.
    pub number: u64,
    /// What it has noted of single things.
    pub notes: HashMap<u64, Note>,
}

/// A lane's end of the desk.
struct Exit {
    source: SourceId,
    claims: Claims,
    delivery: Delivery,
    /// How many of the parts the lane knows.
    parts: usize,
    lane: Sender<Delivery>,
    durable: Arc<Milestone>,
    spent: Receiver<Batch>,
}

/// The intake of one source.
pub struct Desk {
    name: String,
    extractor: Extractor,
    /// Where one stands between the system and its records.
    connector: Option<Connector>,
    undecodable_is_gap: bool,
    /// Of the lanes that read it.
    plans: Vec<Arc<Plan>>,
    latest_skew: Span,
    parts: HashMap<String, u32>,
    names: Vec<String>,
    /// How many of the parts have been delivered.
    delivered_parts: usize,
    exits: Vec<Exit>,
    /// What records gave since the last delivery, one a lane.
    batches: Vec<Batch>,
    number: u64,
    /// As of the last delivery.
    notes: HashMap<u64, Note>,
    /// What it has noted since.
    noted: Vec<(u64, Option<Note>)>,
    /// The source's mark at its last delivery in this run.
    cursor: Option<Vec<u8>>,
    /// The mark of its newest delivery that all journals have, and those on their way there, with their numbers: no
    /// more than wait for a lane and are made durable at once.
    durable: Option<Vec<u8>>,
    on_their_way: VecDeque<(u64, Vec<u8>)>,
    /// It has delivered since it last failed.
    up: bool,
    inputs: Vec<Input>,
    /// Disconnected when the daemon stops.
    stop: Receiver<()>,
    status: Arc<SourceStatus>,
}

impl Desk {
    /// For the source of this configuration, and the lanes that read it.
    pub fn new(
        config: &SourceConfig,
        clock_skew: Span,
        bookmark: &Bookmark,
        outlets: Vec<Outlet>,
        stop: Receiver<()>,
        status: Arc<SourceStatus>,
    ) -> Desk {
        let plans: Vec<_> = outlets.iter().map(|outlet| outlet.plan.clone()).collect();
        let names = bookmark.parts.clone();
        let parts = names.iter().zip(0..).map(|(name, number)| (name.clone(), number)).collect();
        let exit = |outlet: Outlet| {
            // A lane that is new to a source which goes on does not see its past.
            let joins_late = bookmark.cursor.is_some() && !outlet.resumes;
            let pace = Pace {
                clock_skew,
                start: if joins_late { Start::Latest } else { config.start },
                silence: config.pacing.silence,
                gaps: config.gaps.clone(),
            };
            Exit {
                source: outlet.source,
                claims: Claims::new(outlet.clocks, pace),
                delivery: Delivery { source: outlet.source, ..Delivery::default() },
                parts: outlet.parts,
                lane: outlet.lane,
                durable: outlet.durable,
                spent: outlet.spent,
            }
        };
        Desk {
            name: config.name.clone(),
            extractor: Extractor::new(&plans, &config.name, &config.decoding),
            connector: config
                .decoding
                .dialect()
                .filter(|dialect| dialect.captures_changes())
                .map(|_| Connector::default()),
            undecodable_is_gap: config.pacing.undecodable_is_gap,
            latest_skew: clock_skew,
            parts,
            delivered_parts: names.len(),
            names,
            batches: vec![Batch::default(); plans.len()],
            plans,
            exits: outlets.into_iter().map(exit).collect(),
            number: bookmark.number,
            notes: bookmark.notes.clone(),
            noted: Vec::new(),
            cursor: None,
            durable: bookmark.cursor.clone(),
            on_their_way: VecDeque::new(),
            up: false,
            inputs: Vec::new(),
            stop,
            status,
        }
    }

    /// The source cannot go on for now: it is down until it delivers again.
    pub fn fail(&mut self, wait: Duration) -> Result<(), Stopped> {
        // What was not delivered comes again from the last cursor.
        self.batches.iter_mut().for_each(Batch::clear);
        self.noted.clear();
        self.names.truncate(self.delivered_parts);
        self.parts.retain(|_, number| (*number as usize) < self.names.len());
        if self.up {
            self.up = false;
            self.tell_down(true);
            self.send(&[])?;
        }
        self.pause(wait)
    }

    /// What extract has counted at each step.
    pub fn counts(&self) -> Counts {
        self.extractor.counts().clone()
    }

    /// Whether it has delivered since it last failed.
    pub fn is_up(&self) -> bool {
        self.up
    }

    /// From where its last delivery could be gone on.
    pub fn cursor(&self) -> Option<Vec<u8>> {
        self.cursor.clone()
    }

    /// How far it has come by its own clock, for the lane that is furthest behind; `None` while one knows nothing.
    fn progress(&self) -> Option<Time> {
        self.exits.iter().map(|exit| exit.claims.clocks().next()?.progress).min().flatten()
    }

    fn tell_down(&mut self, down: bool) {
        for exit in &mut self.exits {
            let all = exit.claims.clocks().map(|clock| Claim::Down(clock.source, down));
            exit.delivery.claims.extend(all);
        }
    }

    fn undecodable(&mut self, part: u32, offset: u64, reason: &str, detail: &str) {
        self.status.undecodable(reason, || format!("{}:{offset}: {detail}", self.names[part as usize]));
        if self.undecodable_is_gap {
            self.status.hole(UNREAD);
            claim(&mut self.exits, |claims| claims.hole_in(part));
        }
    }

    /// Sends every lane what it is owed.
    fn send(&mut self, cursor: &[u8]) -> Result<(), Stopped> {
        self.number += 1;
        for (exit, batch) in self.exits.iter_mut().zip(&mut self.batches) {
            let empty = Delivery { source: exit.source, ..Delivery::default() };
            let mut delivery = std::mem::replace(&mut exit.delivery, empty);
            delivery.number = self.number;
            delivery.batch = std::mem::replace(batch, exit.spent.try_recv().unwrap_or_default());
            delivery.cursor = cursor.to_vec();
            delivery.parts = self.names[exit.parts..].to_vec();
            delivery.notes.clone_from(&self.noted);
            exit.parts = self.names.len();
            select! {
                send(exit.lane, delivery) -> sent => sent.map_err(|_| Stopped)?,
                recv(self.stop) -> _ => return Err(Stopped),
            }
        }
        self.delivered_parts = self.names.len();
        entry::apply(&mut self.notes, self.noted.drain(..));
        Ok(())
    }
}

/// Has all lanes told the same.
fn claim(exits: &mut [Exit], claim: impl Fn(&mut Claims)) {
    exits.iter_mut().for_each(|exit| claim(&mut exit.claims));
}

impl Intake for Desk {
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
        if let Err(why) = self.extractor.header(payload) {
            self.undecodable(part, 1, why.reason.name(), &why.detail);
        }
    }

    fn record(&mut self, record: Record<'_>) {
        let now = record.read.unwrap_or_else(now);
        let Desk { names, extractor, connector, batches, exits, status, .. } = self;
        let part = names[record.part as usize].as_str();
        let position = Position { part: record.part, offset: record.offset, element: 0 };
        let Record { stream, key, time, op, headers, .. } = record;
        let attributes = Attributes { stream, key, time, op, headers, identity: None };
        let read = extract::Record { payload: record.payload, position, ingest: now, part, attributes };
        for piece in extractor.unfold(&read) {
            let offset = record.offset + piece.1.lines_before();
            let left_out = match extractor.piece(&read, piece, now + self.latest_skew, batches) {
                Ok(extracted) => {
                    if let Some(connector) = connector {
                        connector.record(extracted.time, extracted.relay);
                    }
                    status.record(extracted.matched > 0);
                    extracted.time.into_iter().for_each(|time| claim(exits, |claims| claims.record(record.part, time)));
                    extracted.left_out
                }
                Err(why) => {
                    status.undecodable(why.reason.name(), || format!("{part}:{offset}: {}", why.detail));
                    true
                }
            };
            if left_out && self.undecodable_is_gap {
                status.hole(UNREAD);
                claim(exits, |claims| claims.hole_in(record.part));
            }
        }
    }

    fn undecodable(&mut self, part: u32, offset: u64, reason: &'static str, detail: &str, _text: &[u8]) {
        Desk::undecodable(self, part, offset, reason, detail);
    }

    fn hole(&mut self, why: &str) {
        tracing::warn!(source = self.name, "records may be missing: {why}");
        self.status.hole(why);
        self.connector.iter_mut().for_each(Connector::lost);
        claim(&mut self.exits, Claims::hole);
    }

    fn undated(&mut self, stream: &str) {
        if self.plans.iter().any(|plan| plan.goes_by_source_time(&self.name, stream)) {
            self.hole(&format!("rows of {stream} were there before the first look, and no column says since when"));
        }
    }

    fn caught_up(&mut self, at: Time) {
        // What a connector has not told yet is in no topic.
        let Some(at) = self.connector.as_ref().map_or(Some(at), |connector| connector.proven(at)) else { return };
        self.status.caught_up(at);
        claim(&mut self.exits, |claims| claims.caught_up(at));
    }

    fn note(&mut self, number: u64, note: Option<Note>) {
        self.noted.push((number, note));
    }

    fn notes(&self) -> Vec<(u64, Note)> {
        self.notes.iter().map(|(number, note)| (*number, *note)).collect()
    }

    fn assumed(&mut self, why: Option<&str>) {
        if self.status.assumed(why.map(str::to_owned))
            && let Some(why) = why
        {
            tracing::warn!(source = self.name, "progress is assumed: {why}");
        }
    }

    fn deliver(&mut self, cursor: &[u8]) -> Result<(), Stopped> {
        let mut beyond_lateness = 0;
        for exit in &mut self.exits {
            exit.claims.report(&mut self.inputs);
            exit.delivery.claims.extend(self.inputs.drain(..).filter_map(|input| Claim::of(&input)));
            for claim in &exit.delivery.claims {
                match *claim {
                    Claim::Gap(source, from, to) if source == exit.source => self.status.gap(from, to),
                    _ => {}
                }
            }
            beyond_lateness = exit.claims.take_beyond_lateness().max(beyond_lateness);
        }
        self.status.beyond_lateness(beyond_lateness);
        if !self.up {
            self.up = true;
            self.tell_down(false);
        }
        self.send(cursor)?;
        self.status.up();
        self.status.progress(self.progress());
        self.cursor = Some(cursor.to_vec());
        self.durable();
        self.on_their_way.push_back((self.number, cursor.to_vec()));
        Ok(())
    }

    fn durable(&mut self) -> Option<&[u8]> {
        let number = self.exits.iter().map(|exit| exit.durable.number()).min().unwrap_or_default();
        while let Some((_, cursor)) = self.on_their_way.pop_front_if(|(sent, _)| *sent <= number) {
            self.durable = Some(cursor);
        }
        self.durable.as_deref()
    }

    fn settled(&mut self, within: Duration) -> Result<bool, Stopped> {
        let end = Instant::now() + within;
        for exit in &self.exits {
            while exit.durable.number() < self.number {
                select! {
                    recv(exit.durable.bell()) -> _ => {}
                    recv(self.stop) -> _ => return Err(Stopped),
                    default(end.saturating_duration_since(Instant::now())) => return Ok(false),
                }
            }
        }
        Ok(true)
    }

    fn trouble(&mut self, what: &str) {
        tracing::warn!(source = self.name, "{what}");
        self.status.trouble(what, now());
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
