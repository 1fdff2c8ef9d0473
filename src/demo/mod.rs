//! An embedded shop that breaks things on purpose, and the daemon that watches it.
//!
//! ```text
//! shop: what happens when ─▶ systems: a table, two topics, two logs ◀─ the daemon's ordinary sources
//!   │ what was broken                                                            │ what was found
//!   └──────────────────────────────▶ score ◀─────────────────────────────────────┘
//! ```
//!
//! Nothing needs to be installed: the table is SQLite's, and the topics are in a cluster that librdkafka runs inside
//! this process. With addresses of real servers the shop writes to those instead. The daemon knows nothing of the
//! shop; it runs the configuration and the flow that stand in the demo's folder (`flows/demo/`).

mod score;
mod setup;
mod shop;
mod systems;

pub use score::{Line, Score};
pub use setup::Options;
pub use shop::Fault;

use crate::findings::store::{FILE, Store};
use crate::runtime::clock::now;
use crate::runtime::live::{self, Board, Compiled, Daemon, Edition, Found};
use setup::Setup;
use shop::Shop;
use std::fs;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, mpsc};
use std::thread;
use std::time::{Duration, Instant};
use systems::Systems;

/// How long the sources may take until all of them have delivered.
const READY_WITHIN: Duration = Duration::from_secs(60);
/// How long findings may take after the last thing has happened: the longest deadline, the sources' lateness, and what
/// a slow machine adds.
const SETTLES_WITHIN: Duration = Duration::from_secs(30);
/// How long is waited at least, for findings that should not come.
const SETTLES_AFTER: Duration = Duration::from_secs(10);
/// How often the shop and the daemon are looked at.
const TICK: Duration = Duration::from_millis(10);

/// Runs the shop until `stop` is raised or its time is over, waits until all is judged, and gives the score. What
/// happens is handed to `tell` as it happens.
pub fn run(options: &Options, stop: &AtomicBool, tell: &mut dyn FnMut(Line)) -> anyhow::Result<Score> {
    let setup = Setup::new(options)?;
    let mut systems = Systems::open(&setup)?;
    let (config, documents) = setup.project()?;
    let flows: Vec<Compiled> = Edition::all(&config, &documents, None);
    let data = setup.folder.join("data");
    fs::create_dir_all(data.join(live::JOURNAL))?;
    let store = Arc::new(Mutex::new(Store::open(&data.join(FILE))?));
    let board = Arc::new(Board::new(&config, &flows, &data, None));
    let (found, to_score) = mpsc::channel::<Found>();
    let over = AtomicBool::new(false);
    thread::scope(|scope| {
        let watching = scope.spawn(|| {
            let daemon = Daemon { config: &config, flows: &flows, folder: &data, store: &store, board: &board };
            // Who scores may have gone already.
            let mut tell = |one: &Found| drop(found.send(one.clone()));
            live::follow(&daemon, &mut || !over.load(Ordering::Relaxed), &mut tell)
        });
        let first_order = setup.first_order();
        let running = Running { options, first_order, board: &board, stop, to_score: &to_score, tell };
        // A daemon that cannot go on says why when it is joined.
        let ran = running.run(&mut systems, &|| watching.is_finished());
        over.store(true, Ordering::Relaxed);
        let watched = watching.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic));
        watched?;
        ran
    })
}

struct Running<'r> {
    options: &'r Options,
    first_order: u64,
    board: &'r Board,
    stop: &'r AtomicBool,
    to_score: &'r mpsc::Receiver<Found>,
    tell: &'r mut dyn FnMut(Line),
}

impl Running<'_> {
    fn run(mut self, systems: &mut Systems, ended: &dyn Fn() -> bool) -> anyhow::Result<Score> {
        self.until_ready(ended)?;
        let mut score = Score::new();
        let mut shop = Shop::new(self.options.rate, self.first_order, now());
        let begun = Instant::now();
        let open = |stop: &AtomicBool| {
            let over = self.options.seconds.is_some_and(|seconds| begun.elapsed() >= Duration::from_secs(seconds));
            !over && !stop.load(Ordering::Relaxed)
        };
        (self.tell)(Line::Opened);
        loop {
            if ended() {
                anyhow::bail!("the daemon has ended");
            }
            if shop.is_open() && !open(self.stop) {
                shop.close();
                (self.tell)(Line::Closed);
            }
            for act in shop.due(now()) {
                systems.write(&act)?;
                if let Some(fault) = act.fault {
                    (self.tell)(score.injected(fault, &act.order, act.at));
                }
            }
            self.score(&mut score);
            if !shop.is_open() && shop.is_quiet() {
                break;
            }
            thread::sleep(TICK);
        }
        systems.flush()?;
        let quiet = Instant::now();
        while quiet.elapsed() < SETTLES_AFTER || (quiet.elapsed() < SETTLES_WITHIN && !score.is_complete()) {
            self.score(&mut score);
            thread::sleep(TICK);
        }
        score.orders = shop.orders();
        Ok(score)
    }

    /// Waits until the daemon has seen every source: what happened before could not be judged.
    fn until_ready(&self, ended: &dyn Fn() -> bool) -> anyhow::Result<()> {
        let begun = Instant::now();
        loop {
            let state = self.board.state();
            if state.ready {
                return Ok(());
            }
            if ended() || begun.elapsed() > READY_WITHIN {
                anyhow::bail!("the daemon does not get ready: {}", state.not_ready.join("; "));
            }
            thread::sleep(TICK);
        }
    }

    fn score(&mut self, score: &mut Score) {
        for found in self.to_score.try_iter() {
            if let Some(line) = score.found(&found.json, now()) {
                (self.tell)(line);
            }
        }
    }
}
