//! The daemon: live sources, a lane that judges what they bring, and what is told of it.
//!
//! ```text
//! source thread ─▶ intake: extract, claims ─┐
//! source thread ─▶ intake: extract, claims ─┴─▶ lane thread: journal ─▶ engine ─▶ findings ─▶ whoever called
//! ```
//!
//! Each source has a thread, and blocks where the lane is behind. One that fails is down for a while and tried again;
//! its absences are undecided meanwhile, and the others go on.

mod claims;
mod entry;
mod intake;
mod lane;
mod status;

pub use entry::Found;
pub use lane::LaneError;

use crate::config::{Config, SourceConfig, Tap};
use crate::flow::plan::Plan;
use crate::journal::Sequence;
use crate::model::SourceId;
use crate::model::time::Span;
use crate::sources::file::follow::{Follow, Options};
use crate::sources::live::{Source, Stopped};
use crossbeam_channel::{RecvTimeoutError, bounded, unbounded};
use intake::Desk;
use lane::Lane;
use status::SourceStatus;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

/// Deliveries that wait for the lane, of all sources together.
const WAITING_MAX: usize = 64;
/// Findings that wait to be told.
const UNTOLD_MAX: usize = 1024;
/// How long a source that failed waits, at first and at most; twice as long each time.
const RETRY_MIN: Duration = Duration::from_secs(1);
const RETRY_MAX: Duration = Duration::from_secs(60);
/// How often it is said how the sources stand.
const REPORT_EVERY: Duration = Duration::from_secs(60);
/// How often the flag is looked at that stops it all.
const PATIENCE: Duration = Duration::from_millis(100);

/// Follows all sources that the flows read until `stop` is raised, keeping the journal in `folder`. What is found is
/// handed to `tell` once it is durable.
pub fn follow(
    config: &Config,
    plan: &Arc<Plan>,
    folder: &Path,
    stop: &AtomicBool,
    tell: &mut dyn FnMut(Found),
) -> Result<(), LaneError> {
    let (found, to_tell) = bounded::<(Sequence, Found)>(UNTOLD_MAX);
    let (told, to_note) = unbounded();
    let mut tell = |(sequence, found)| {
        tell(found);
        // A lane that has ended needs no note.
        let _ = told.send(sequence);
    };
    thread::scope(|scope| {
        let opening = scope.spawn(|| Lane::open(plan.clone(), folder, found, to_note));
        // What the replay finds is told while it goes on.
        while !opening.is_finished() {
            to_tell.recv_timeout(PATIENCE).into_iter().for_each(&mut tell);
        }
        let mut lane = opening.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))?;
        let (deliveries, delivered) = bounded(WAITING_MAX);
        let (running, stopped) = bounded::<()>(0);
        let clock_skew = plan.clock_skew;
        let mut statuses = Vec::new();
        for (source, id) in taps(config, plan) {
            let status = Arc::new(SourceStatus::default());
            statuses.push((&source.name, status.clone()));
            let (cursor, known) = lane.known(id);
            let desk = Desk::new(plan, source, known, deliveries.clone(), stopped.clone(), status.clone());
            scope.spawn(move || supervise(source, clock_skew, cursor, desk, &status));
        }
        drop(deliveries);
        let mut reported = Instant::now();
        let lane = scope.spawn(move || lane.run(&delivered));
        let mut running = Some(running);
        loop {
            match to_tell.recv_timeout(PATIENCE) {
                Ok(found) => tell(found),
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => break,
            }
            if reported.elapsed() >= REPORT_EVERY {
                statuses.iter().for_each(|(name, status)| report(name, status));
                reported = Instant::now();
            }
            if stop.load(Ordering::Relaxed) {
                // The sources see it at their next word, and the lane ends when the last of them has gone.
                running.take();
            }
        }
        statuses.iter().for_each(|(name, status)| report(name, status));
        lane.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))
    })
}

/// Says how a source stands, for who reads the log.
fn report(name: &str, status: &SourceStatus) {
    tracing::info!(source = name, "{}", status.state());
}

/// The sources of the configuration that the plan reads.
fn taps<'c>(config: &'c Config, plan: &Plan) -> impl Iterator<Item = (&'c SourceConfig, SourceId)> {
    config.sources.iter().filter_map(|source| {
        let id = plan.sources.iter().position(|s| s.clock_of.is_none() && s.name == source.name)?;
        Some((source, id as SourceId))
    })
}

/// The live source that a configuration describes.
fn open(config: &SourceConfig, clock_skew: Span) -> Box<dyn Source> {
    match &config.tap {
        Tap::File { path } => {
            let (path, framing, start) = (path.clone(), config.framing(), config.start);
            Box::new(Follow::new(Options { path, framing, begins: None, start, clock_skew }))
        }
    }
}

/// Lets one source follow its system, again and again.
fn supervise(
    config: &SourceConfig,
    clock_skew: Span,
    mut cursor: Option<Vec<u8>>,
    mut desk: Desk,
    status: &SourceStatus,
) {
    let mut source = open(config, clock_skew);
    let mut wait = RETRY_MIN;
    loop {
        let Err(failure) = source.follow(cursor.as_deref(), &mut desk) else { return };
        tracing::warn!(source = config.name, "{failure}; trying again in {} s", wait.as_secs());
        status.failure(Some(failure.to_string()));
        if desk.is_up() {
            wait = RETRY_MIN;
        }
        if let Err(Stopped) = desk.fail(wait) {
            return;
        }
        wait = (wait * 2).min(RETRY_MAX);
        cursor = desk.cursor().or(cursor);
    }
}
