//! The daemon: live sources, a lane a flow that judges what they bring, and what is told of it.
//!
//! ```text
//! source thread ─▶ intake: extract, claims ─┬▶ lane thread: journal ─▶ engine ─▶ findings ─┐
//! source thread ─▶ intake: extract, claims ─┴▶ lane thread: journal ─▶ engine ─▶ findings ─┴▶ told, kept, sent
//! ```
//!
//! Each source has a thread, and blocks where a lane that reads it is behind. One that fails is down for a while and
//! tried again; its absences are undecided meanwhile, and the others go on.

mod board;
mod claims;
mod connector;
mod course;
mod edition;
mod entry;
mod intake;
mod lane;
mod lane_status;
mod ledger;
mod milestone;
mod replica;
mod retry;
mod sample;
mod sender;
pub mod state;
mod status;
mod teller;
pub mod window;

pub use board::Board;
pub use edition::{Compiled, Edition};
pub use entry::Found;
pub use lane::LaneError;
pub use replica::Replica;
pub use sample::{Sampled, sample};

use crate::config::{Config, SourceConfig, Tap};
use crate::findings::store::Store;
use crate::journal::{Retention, Sequence};
use crate::model::time::Span;
use crate::runtime::clock;
use crate::sources::file::follow::{Follow, Options};
use crate::sources::http_events::HttpEvents;
use crate::sources::kafka::{self, Kafka};
use crate::sources::live::{Source, Stopped};
use crate::sources::otlp::Otlp;
use crate::sources::remark::Remark;
use crate::sources::{mysql, postgres, rabbitmq, redis, sqlite};
use crossbeam_channel::{Receiver, Sender, bounded};
use entry::Delivery;
use intake::{Bookmark, Desk, Outlet};
use lane::Lane;
use state::Phase;
use status::SourceStatus;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant};
use teller::Teller;

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

/// The folder of the journals in the daemon's.
pub const JOURNAL: &str = "journal";

/// A finding on its way from its lane, with its place in that lane's journal.
type ToTell = (Sequence, Found);

/// What a daemon works with.
pub struct Daemon<'d> {
    /// The configuration.
    pub config: &'d Config,
    /// The flows.
    pub flows: &'d [Compiled],
    /// The folder in which it keeps what it knows.
    pub folder: &'d Path,
    /// Where findings are kept.
    pub store: &'d Arc<Mutex<Store>>,
    /// Where it shows how it goes.
    pub board: &'d Arc<Board>,
}

/// Follows all sources that the flows read, until `goes_on` says no, keeping the journals in the daemon's folder. What is
/// found is handed to `tell` once it is durable, and kept.
pub fn follow(
    daemon: &Daemon<'_>,
    goes_on: &mut dyn FnMut() -> bool,
    tell: &mut dyn FnMut(&Found),
) -> Result<(), LaneError> {
    let Daemon { config, flows, folder, store, board } = *daemon;
    let (found, to_tell) = bounded::<(usize, ToTell)>(UNTOLD_MAX);
    let keep = config.outputs.keep;
    let retention = Retention { bytes_max: keep.journal_bytes, age_max_ns: keep.journal_age.0 };
    store.lock().unwrap_or_else(PoisonError::into_inner).limit(keep.findings)?;
    let mut teller = Teller::new(flows, store, board, to_tell, tell);
    thread::scope(|scope| {
        let open = |(number, flow): (usize, &Compiled)| {
            let (flow, found) = (flow.clone(), found.clone());
            let folder = folder.join(JOURNAL).join(&flow.edition.flow);
            let (told, status) = (teller.told(number), board.lane(number));
            scope.spawn(move || Lane::open(number, flow, (&folder, retention), found, told, status))
        };
        let opening: Vec<_> = flows.iter().enumerate().map(open).collect();
        drop(found);
        // What the replay finds is told while it goes on.
        while opening.iter().any(|lane| !lane.is_finished()) && teller.tell(PATIENCE) {}
        let mut lanes: Vec<Lane> = opening.into_iter().map(joined).collect::<Result<_, _>>()?;
        if let Some(webhook) = &config.outputs.webhook {
            teller.send(webhook)?;
        }
        let (senders, receivers): (Vec<_>, Vec<_>) = lanes.iter().map(|_| bounded::<Delivery>(WAITING_MAX)).unzip();
        let (running, stopped) = bounded::<()>(0);
        for source in &config.sources {
            let Some((bookmark, outlets)) = outlets(source, &mut lanes, &senders) else { continue };
            let status = board.source(&source.name);
            let mut desk = Desk::new(source, config.clock_skew, &bookmark, outlets, stopped.clone(), status.clone());
            scope.spawn(move || supervise(source, config.clock_skew, bookmark.cursor, &mut desk, &status));
        }
        drop(senders);
        let run = |(mut lane, deliveries): (Lane, Receiver<Delivery>)| scope.spawn(move || lane.run(&deliveries));
        let lanes: Vec<_> = lanes.into_iter().zip(receivers).map(run).collect();
        board.is_now(Phase::Running);
        let mut reported = Instant::now();
        let mut running = Some(running);
        while teller.tell(PATIENCE) {
            board.sample();
            if reported.elapsed() >= REPORT_EVERY {
                board.report();
                reported = Instant::now();
            }
            // A lane that has failed ends all; the sources see it at their next word, the lanes when the last of
            // them has gone.
            if running.is_some() && (!goes_on() || lanes.iter().any(|lane| lane.is_finished())) {
                running.take();
                board.is_now(Phase::Stopping);
                teller.stops();
            }
        }
        board.report();
        lanes.into_iter().try_for_each(joined)
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
        let Some((id, bookmark)) = lane.course().bookmark(&source.name) else { continue };
        let (durable, spent) = (lane.durable(&source.name), lane.spent());
        let lane = lane.course();
        outlets.push(Outlet {
            plan: lane.plan().clone(),
            source: id,
            parts: bookmark.parts.len(),
            clocks: lane.clocks(id),
            resumes: bookmark.cursor.is_some(),
            lane: sender.clone(),
            durable,
            spent,
        });
        all.push(bookmark);
    }
    let number = all.iter().map(|bookmark| bookmark.number).max()?;
    // All lanes were told the same parts, some of them later.
    let parts = all.iter().map(|bookmark| &bookmark.parts).max_by_key(|parts| parts.len())?.clone();
    let behind = all.iter().filter(|bookmark| bookmark.cursor.is_some()).min_by_key(|bookmark| bookmark.number);
    let (cursor, notes) = behind.map(|behind| (behind.cursor.clone(), behind.notes.clone())).unwrap_or_default();
    Some((Bookmark { cursor, parts, number, notes }, outlets))
}

/// What a look at a source's system says to whoever configures it; `None` where there is nothing to ask.
pub fn examine(config: &SourceConfig, clock_skew: Span) -> Option<Vec<Remark>> {
    open(config, clock_skew).examine()
}

/// The live source that a configuration describes.
fn open(config: &SourceConfig, clock_skew: Span) -> Box<dyn Source> {
    match &config.tap {
        Tap::File { path, begins } => {
            let (path, framing, start) = (path.clone(), config.framing(), config.start);
            Box::new(Follow::new(Options { path, framing, begins: begins.clone(), start, clock_skew }))
        }
        Tap::Kafka(options) => {
            let options = kafka::Options::clone(options);
            Box::new(Kafka::new(kafka::Options { start: config.start, clock_skew, ..options }))
        }
        Tap::Postgres(options) => Box::new(postgres::Poll::new(options.clone())),
        Tap::Changes(options) => Box::new(postgres::changes::Changes::new(options.clone())),
        Tap::MySqlChanges(options) => Box::new(mysql::changes::Changes::new(options.clone())),
        Tap::MySql(options) => Box::new(mysql::Poll::new(options.clone())),
        Tap::Redis(options) => {
            let options = redis::Options::clone(options);
            Box::new(redis::Redis::new(redis::Options { start: config.start, ..options }))
        }
        Tap::Sqlite(options) => Box::new(sqlite::Poll::new(options.clone())),
        Tap::Otlp(options) => Box::new(Otlp::new(options.clone())),
        Tap::HttpEvents(options) => Box::new(HttpEvents::new(options.clone())),
        Tap::Rabbitmq(options) => Box::new(rabbitmq::Rabbitmq::new(rabbitmq::Options::clone(options))),
    }
}

/// Lets one source follow its system, again and again.
fn supervise(
    config: &SourceConfig,
    clock_skew: Span,
    mut cursor: Option<Vec<u8>>,
    desk: &mut Desk,
    status: &SourceStatus,
) {
    let mut source = open(config, clock_skew);
    let mut wait = RETRY_MIN;
    loop {
        let Err(failure) = source.follow(cursor.as_deref(), desk) else { return };
        if desk.is_up() {
            wait = RETRY_MIN;
        }
        tracing::warn!(source = config.name, "{failure}; trying again in {} s", wait.as_secs());
        let now = clock::now();
        status.failed(&failure.to_string(), now, now + Span(wait.as_nanos() as i64));
        if let Err(Stopped) = desk.fail(wait) {
            return;
        }
        wait = (wait * 2).min(RETRY_MAX);
        cursor = desk.cursor().or(cursor);
    }
}
