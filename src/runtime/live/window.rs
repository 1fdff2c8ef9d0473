//! Verifies live systems: reads a window of them, waits until every source has passed it, and judges.
//!
//! ```text
//! since ───────────── until ── + settle ──▶ every source has proven that it came so far: all is judged, and that's it
//! ```
//!
//! The sources and the engine are the daemon's. Nothing is kept, and nothing is told before the end.

use super::claims::Clock;
use super::entry::{Claim, Delivery};
use super::intake::{Bookmark, Desk, Outlet};
use super::status::{SourceState, SourceStatus};
use super::{PATIENCE, WAITING_MAX, joined, supervise};
use crate::config::{Config, SourceConfig, Tap};
use crate::engine::{Input, Pace};
use crate::extract::counts::Counts;
use crate::flow::plan::Plan;
use crate::model::SourceId;
use crate::model::time::Time;
use crate::runtime::coverage::Hole;
use crate::runtime::driver::Driver;
use crate::runtime::recording::PartNames;
use crate::runtime::report::{Problem, Sample, SourceReport};
use crate::sources::live::Start;
use crossbeam_channel::{RecvTimeoutError, bounded, never};
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, ScopedJoinHandle};
use std::time::{Duration, Instant};

/// Gaps of a source that are shown; of more there is a number.
const GAPS_SHOWN_MAX: usize = 100;

/// Which window is looked at, and how long it may take.
#[derive(Clone, Copy, Debug)]
pub struct Window {
    /// Only what happened from this time on; all that is there where `None`.
    pub since: Option<Time>,
    /// All sources must come so far: the end of the window, and what is waited for after it.
    pub until: Time,
    /// How long they may take.
    pub patience: Duration,
}

/// What a window of live systems gave.
pub struct Watched {
    /// The engine, which has judged.
    pub driver: Driver,
    /// What became of the records, one a source that the flows read.
    pub sources: Vec<SourceReport>,
    /// What extract counted at each step.
    pub counts: Counts,
    /// What positions stand for.
    pub parts: PartNames,
    /// It was interrupted before all sources had come so far.
    pub interrupted: bool,
}

/// Why a source cannot be verified live.
#[derive(Debug, thiserror::Error)]
pub enum CannotLookBack {
    /// It sees what comes and nothing that was.
    #[error(
        "source `{0}` has `capture: changes`, which sees what happens from now on and cannot look back: let `verify` poll the tables, \
         or let `run` follow them"
    )]
    Changes(String),
    /// It is told what happens while it listens.
    #[error(
        "source `{0}` is sent what happens from now on and cannot look back: let `run` listen, or verify a recording of it \
         (`type: file`)"
    )]
    Pushed(String),
    /// Its queues begin when they are bound.
    #[error(
        "source `{0}` has queues of its own, which begin when they are bound, and cannot look back: let `run` follow them; only \
         `streams` hold what was"
    )]
    Bound(String),
}

/// One source that is being read.
struct Reading<'s> {
    config: &'s SourceConfig,
    clocks: Vec<Clock>,
    status: Arc<SourceStatus>,
    thread: ScopedJoinHandle<'s, Counts>,
    parts: Vec<String>,
    range: Option<(Time, Time)>,
    outside: u64,
    gaps: Vec<Hole>,
    gaps_more: u64,
}

/// Whether all sources that the plan reads can look back.
pub fn can_look_back(config: &Config, plan: &Plan) -> Result<(), CannotLookBack> {
    for source in config.sources.iter().filter(|source| plan.source_named(&source.name).is_some()) {
        match &source.tap {
            Tap::Changes(_) | Tap::MySqlChanges(_) => return Err(CannotLookBack::Changes(source.name.clone())),
            Tap::Otlp(_) | Tap::HttpEvents(_) => return Err(CannotLookBack::Pushed(source.name.clone())),
            Tap::Rabbitmq(options) if !options.looks_back() => return Err(CannotLookBack::Bound(source.name.clone())),
            Tap::File { .. } | Tap::Kafka(_) | Tap::Rabbitmq(_) | Tap::Redis(_) => {}
            Tap::Postgres(_) | Tap::MySql(_) | Tap::Sqlite(_) => {}
        }
    }
    Ok(())
}

/// Reads the window. `progress` is told now and then how far the slowest source has come.
pub fn watch(
    config: &Config,
    plan: &Arc<Plan>,
    window: &Window,
    interrupted: &AtomicBool,
    progress: &mut dyn FnMut(&str, Option<Time>),
) -> io::Result<Watched> {
    let mut driver = Driver::new(plan.clone(), Pace::Settled)?;
    let sources: Vec<SourceConfig> = config.sources.iter().map(|source| beginning(source, window.since)).collect();
    thread::scope(|scope| {
        let (lane, deliveries) = bounded::<Delivery>(WAITING_MAX);
        let (running, stopped) = bounded::<()>(0);
        let mut readings: Vec<(SourceId, Reading<'_>)> = Vec::new();
        for source in &sources {
            let Some(id) = plan.source_named(&source.name) else { continue };
            let (clocks, status) = (Clock::all(plan, id).collect::<Vec<_>>(), Arc::<SourceStatus>::default());
            let outlet = Outlet {
                plan: plan.clone(),
                source: id,
                parts: 0,
                clocks: clocks.clone(),
                resumes: false,
                lane: lane.clone(),
                durable: Arc::default(),
                spent: never(),
            };
            let (stop, own) = (stopped.clone(), status.clone());
            let mut desk = Desk::new(source, config.clock_skew, &Bookmark::default(), vec![outlet], stop, own.clone());
            let thread = scope.spawn(move || {
                supervise(source, config.clock_skew, None, &mut desk, &own);
                desk.counts()
            });
            let (parts, range, outside, gaps, gaps_more) = Default::default();
            let reading = Reading { config: source, clocks, status, thread, parts, range, outside, gaps, gaps_more };
            readings.push((id, reading));
        }
        drop(lane);
        let begun = Instant::now();
        let mut running = Some(running);
        loop {
            match deliveries.recv_timeout(PATIENCE) {
                Ok(delivery) => {
                    if let Some((_, reading)) = readings.iter_mut().find(|(id, _)| *id == delivery.source) {
                        reading.take(delivery, window, &mut driver)?;
                    }
                }
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => break,
            }
            let slowest = readings.iter().min_by_key(|(_, reading)| reading.reached());
            slowest.into_iter().for_each(|(_, reading)| progress(&reading.config.name, reading.reached()));
            let passed = readings.iter().all(|(_, reading)| reading.has_passed(window.until));
            if passed || begun.elapsed() > window.patience || interrupted.load(Ordering::Relaxed) {
                // The sources see it at their next word.
                running.take();
            }
        }
        conclude(driver, plan, readings, window, interrupted.load(Ordering::Relaxed))
    })
}

/// No more will come: all is judged as it stands.
fn conclude(
    mut driver: Driver,
    plan: &Plan,
    readings: Vec<(SourceId, Reading<'_>)>,
    window: &Window,
    interrupted: bool,
) -> io::Result<Watched> {
    for (_, reading) in &readings {
        let passed = reading.has_passed(window.until);
        for Clock { source, progress, .. } in &reading.clocks {
            if !passed {
                driver.feed(Input::Down { source: *source, down: true })?;
            }
            driver.feed(Input::Ends { source: *source, at: progress.unwrap_or(Time::MIN) })?;
        }
    }
    let (mut sources, mut counts) = (Vec::new(), Counts::default());
    let mut names = vec![Vec::new(); plan.sources.len()];
    for (id, reading) in readings {
        let (report, parts, counted) = reading.conclude(window, interrupted);
        names[id as usize] = parts;
        counts.merge(&counted);
        sources.push(report);
    }
    Ok(Watched { driver, sources, counts, parts: PartNames::new(plan, names), interrupted })
}

impl Reading<'_> {
    fn take(&mut self, mut delivery: Delivery, window: &Window, driver: &mut Driver) -> io::Result<()> {
        self.parts.extend(delivery.parts);
        let before = delivery.batch.entries().len();
        let within = |time: Time| window.since.is_none_or(|since| since <= time) && time < window.until;
        delivery.batch.retain_from(0, |entry| within(entry.time));
        self.outside += (before - delivery.batch.entries().len()) as u64;
        for time in delivery.batch.entries().iter().map(|entry| entry.time) {
            let (oldest, newest) = self.range.unwrap_or((time, time));
            self.range = Some((oldest.min(time), newest.max(time)));
        }
        if !delivery.batch.is_empty() {
            driver.feed(Input::Observations(delivery.batch))?;
        }
        for claim in delivery.claims {
            match claim {
                Claim::Progress(source, to) => {
                    self.clocks.iter_mut().filter(|clock| clock.source == source).for_each(|c| c.progress = Some(to));
                }
                Claim::Gap(source, from, to) if source == delivery.source => self.gap(from, to),
                _ => {}
            }
            driver.feed(claim.input())?;
        }
        Ok(())
    }

    fn gap(&mut self, from: Time, to: Option<Time>) {
        let hole = Hole { from, to, why: "missed" };
        match self.gaps.iter().position(|known| known.from == from) {
            Some(known) => self.gaps[known] = hole,
            None if self.gaps.len() < GAPS_SHOWN_MAX => self.gaps.push(hole),
            None => self.gaps_more += 1,
        }
    }

    /// Everything that happened before has been seen, by every clock.
    fn reached(&self) -> Option<Time> {
        self.clocks.iter().map(|clock| clock.progress).min().flatten()
    }

    fn has_passed(&self, until: Time) -> bool {
        self.reached().is_some_and(|reached| reached >= until)
    }

    fn conclude(self, window: &Window, interrupted: bool) -> (SourceReport, Vec<String>, Counts) {
        let (reached, passed) = (self.reached(), self.has_passed(window.until));
        let SourceState { records, matched, beyond_lateness, undecodable, trouble, failure, .. } = self.status.state();
        let counts = joined(self.thread);
        let unreadable: u64 = undecodable.values().map(|(count, _)| count).sum();
        let problem = |(reason, (count, first)): (String, (u64, String))| Problem {
            reason: reason.into(),
            count,
            samples: vec![Sample { place: first, detail: String::new(), text: String::new() }],
        };
        let mut failures: Vec<String> = failure.map(|failed| failed.why).into_iter().chain(trouble).collect();
        if !passed && !interrupted {
            let come = reached.map_or("has proven nothing".to_owned(), |reached| format!("has come to {reached}"));
            let seconds = window.patience.as_secs();
            failures.push(format!("it {come}, and not to {}, within {seconds} s (`--patience`)", window.until));
        }
        let report = SourceReport {
            name: self.config.name.clone(),
            files: self.parts.len() as u64,
            records,
            matched,
            unmatched: records.saturating_sub(matched),
            undecodable: unreadable,
            outside: self.outside,
            beyond_lateness,
            from: self.range.map(|(oldest, _)| oldest),
            to: self.range.map(|(_, newest)| newest),
            gaps: self.gaps,
            gaps_more: self.gaps_more,
            problems: undecodable.into_iter().map(problem).collect(),
            failures,
            ..SourceReport::default()
        };
        (report, self.parts, counts)
    }
}

/// The same source, read from where the window begins.
pub(super) fn beginning(source: &SourceConfig, since: Option<Time>) -> SourceConfig {
    let mut source = source.clone();
    source.start = since.map_or(Start::Beginning, Start::At);
    // Rows without a time are looked at whole.
    let start = source.start;
    let tables = match &mut source.tap {
        Tap::Postgres(options) => &mut options.tables,
        Tap::MySql(options) => &mut options.tables,
        Tap::Sqlite(options) => &mut options.tables,
        Tap::Rabbitmq(options) => {
            options.for_a_look(start);
            return source;
        }
        _ => return source,
    };
    for table in tables {
        let timeless = table.updated.is_none() && table.time.is_none();
        table.start = if timeless { Start::Beginning } else { start };
    }
    source
}
