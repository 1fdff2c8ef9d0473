//! The daemon: live sources, a lane a flow that judges what they bring, and what is told of it.
//!
//! ```text
//! source thread ─▶ intake: extract, claims ─┬▶ lane thread: journal ─▶ engine ─▶ findings ─┐
//! source thread ─▶ intake: extract, claims ─┴▶ lane thread: journal ─▶ engine ─▶ findings ─┴▶ whoever called
//! ```
//!
//! Each source has a thread, and blocks where a lane that reads it is behind. One that fails is down for a while and
//! tried again; its absences are undecided meanwhile, and the others go on.

mod claims;
mod edition;
mod entry;
mod intake;
mod lane;
mod status;

pub use edition::{Compiled, Edition};
pub use entry::Found;
pub use lane::LaneError;

use crate::config::{Config, SourceConfig, Tap};
use crate::journal::Sequence;
use crate::model::time::Span;
use crate::sources::file::follow::{Follow, Options};
use crate::sources::live::{Source, Stopped};
use crossbeam_channel::{Receiver, RecvTimeoutError, Sender, bounded, unbounded};
use entry::Delivery;
use intake::{Bookmark, Desk, Outlet};
use lane::Lane;
use status::SourceStatus;
use std::path::Path;
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

/// Deliveries that wait for a lane, of all its sources together.
const WAITING_MAX: usize = 64;
/// Findings that wait to be told.
const UNTOLD_MAX: usize = 1024;
/// How long a source that failed waits, at first and at most; twice as long each time.
const RETRY_MIN: Duration = Duration::from_secs(1);
const RETRY_MAX: Duration = Duration::from_secs(60);
/// How often it is said how the sources stand.
const REPORT_EVERY: Duration = Duration::from_secs(60);
/// How often it is asked whether to go on.
const PATIENCE: Duration = Duration::from_millis(100);

/// A finding on its way from its lane, with its place in that lane's journal.
type ToTell = (Sequence, Found);

/// Follows all sources that the flows read, until `goes_on` says no, keeping the journals in `folder`. What is found is
/// handed to `tell` once it is durable.
pub fn follow(
    config: &Config,
    flows: &[Compiled],
    folder: &Path,
    goes_on: &mut dyn FnMut() -> bool,
    tell: &mut dyn FnMut(Found),
) -> Result<(), LaneError> {
    let (found, to_tell) = bounded::<(usize, ToTell)>(UNTOLD_MAX);
    let (notes, noted): (Vec<_>, Vec<_>) = flows.iter().map(|_| unbounded()).unzip();
    let mut tell = |(lane, (sequence, found)): (usize, ToTell)| {
        tell(found);
        // A lane that has ended needs no note.
        let _ = notes[lane].send(sequence);
    };
    thread::scope(|scope| {
        let open = |((number, flow), told): ((usize, &Compiled), Receiver<Sequence>)| {
            let (flow, found, folder) = (flow.clone(), found.clone(), folder.join(&flow.edition.flow));
            scope.spawn(move || Lane::open(number, flow, &folder, found, told))
        };
        let opening: Vec<_> = flows.iter().enumerate().zip(noted).map(open).collect();
        drop(found);
        // What the replay finds is told while it goes on.
        while opening.iter().any(|lane| !lane.is_finished()) {
            to_tell.recv_timeout(PATIENCE).into_iter().for_each(&mut tell);
        }
        let mut lanes: Vec<Lane> = opening.into_iter().map(joined).collect::<Result<_, _>>()?;
        let (senders, receivers): (Vec<_>, Vec<_>) = lanes.iter().map(|_| bounded::<Delivery>(WAITING_MAX)).unzip();
        let (running, stopped) = bounded::<()>(0);
        let mut statuses = Vec::new();
        for source in &config.sources {
            let Some((bookmark, outlets)) = outlets(source, &mut lanes, &senders) else { continue };
            let status = Arc::new(SourceStatus::default());
            statuses.push((&source.name, status.clone()));
            let desk = Desk::new(source, config.clock_skew, &bookmark, outlets, stopped.clone(), status.clone());
            scope.spawn(move || supervise(source, config.clock_skew, bookmark.cursor, desk, &status));
        }
        drop(senders);
        let run = |(mut lane, deliveries): (Lane, Receiver<Delivery>)| scope.spawn(move || lane.run(&deliveries));
        let lanes: Vec<_> = lanes.into_iter().zip(receivers).map(run).collect();
        let mut reported = Instant::now();
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
            // A lane that has failed ends all; the sources see it at their next word, the lanes when the last of
            // them has gone.
            if running.is_some() && (!goes_on() || lanes.iter().any(|lane| lane.is_finished())) {
                running.take();
            }
        }
        statuses.iter().for_each(|(name, status)| report(name, status));
        lanes.into_iter().map(joined).collect()
    })
}

fn joined<T>(thread: thread::ScopedJoinHandle<'_, T>) -> T {
    thread.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))
}

/// The lanes that read a source, and from where it goes on: from where the lane stands that is furthest behind. `None`
/// where no flow reads it.
fn outlets(source: &SourceConfig, lanes: &mut [Lane], senders: &[Sender<Delivery>]) -> Option<(Bookmark, Vec<Outlet>)> {
    let (mut all, mut outlets) = (Vec::new(), Vec::new());
    for (lane, sender) in lanes.iter_mut().zip(senders) {
        let Some((id, bookmark)) = lane.bookmark(&source.name) else { continue };
        outlets.push(Outlet {
            plan: lane.plan().clone(),
            source: id,
            parts: bookmark.parts.len(),
            clocks: lane.clocks(id),
            resumes: bookmark.cursor.is_some(),
            lane: sender.clone(),
            durable: lane.durable(&source.name),
        });
        all.push(bookmark);
    }
    let number = all.iter().map(|bookmark| bookmark.number).max()?;
    // All lanes were told the same parts, some of them later.
    let parts = all.iter().map(|bookmark| &bookmark.parts).max_by_key(|parts| parts.len())?.clone();
    let behind = all.iter().filter(|bookmark| bookmark.cursor.is_some()).min_by_key(|bookmark| bookmark.number);
    let cursor = behind.and_then(|bookmark| bookmark.cursor.clone());
    Some((Bookmark { cursor, parts, number }, outlets))
}

/// Says how a source stands, for who reads the log.
fn report(name: &str, status: &SourceStatus) {
    tracing::info!(source = name, "{}", status.state());
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
