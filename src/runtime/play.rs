//! Plays recordings: desks read and extract ahead, one thread takes their portions in an order that the data alone
//! decides, and feeds the engine.
//!
//! ```text
//!            jobs                       portions, as they are done
//!  player ─────────▶ desk, desk, … ───────────────────────▶ player ─▶ inputs, in order
//!     └── helps with a job where the portion that is next is not done yet
//! ```
//!
//! The next portion is always that of the file that is furthest behind in event time, so memory follows the disorder
//! of the data and not its length. How many desks there are changes nothing but the time that it takes.

use super::coverage::Window;
use super::desk::{Desk, Job, Shelf, Task};
use super::follow::Follow;
use super::portion::{Portion, SAMPLES_MAX, Troubles};
use super::recording::Recording;
use super::report::{Problem, Sample, SourceReport};
use crate::engine::Input;
use crate::extract::counts::Counts;
use crate::model::observation::Batch;
use crate::model::time::Time;
use crossbeam_channel::{Receiver, RecvTimeoutError, Sender, TryRecvError, unbounded};
use std::any::Any;
use std::collections::{BTreeMap, BTreeSet};
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

/// Threads, at most: beyond these the engine's own thread is what limits.
const THREADS_MAX: usize = 16;
/// How many of the files that are furthest behind are read ahead.
const FILES_AHEAD_MAX: usize = 4;
/// Chunks that are read ahead, of all files together; but of each file at least so many.
const CHUNKS_AHEAD: usize = 32;
const CHUNKS_AHEAD_MIN: usize = 2;
/// Files of a source that failed and are told one by one.
const FAILURES_SHOWN_MAX: usize = 100;
/// How many files are looked at ahead.
const LOOKS_AHEAD_MAX: usize = 2 * THREADS_MAX;
/// Portions whose memory is kept for the next ones.
const SPARE_MAX: usize = 2 * LOOKS_AHEAD_MAX;
/// How often an interrupt is looked for while nothing comes.
const PATIENCE: Duration = Duration::from_millis(100);

/// How recordings are played.
#[derive(Clone, Copy, Debug)]
pub struct PlayOptions {
    /// Records outside of it are passed over.
    pub window: Window,
    /// Nothing is missing from the recordings, before, within or after.
    pub complete: bool,
    /// How many threads; as many as the machine has where `None`.
    pub threads: Option<usize>,
    /// What time it is: later times than this (and the clock skew) are wild.
    pub now: Time,
}

/// How far it has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Progress {
    /// Bytes of the files that have been read.
    pub bytes: u64,
    /// Bytes of all files; `None` where one is a pipe.
    pub bytes_total: Option<u64>,
    /// Records that have been taken in.
    pub records: u64,
}

/// Takes the inputs. A batch that has been worked off is given back, for its memory.
pub type Sink<'s, E> = &'s mut dyn FnMut(Input) -> Result<Option<Batch>, E>;

/// What became of the records.
pub struct Played {
    /// One a source.
    pub sources: Vec<SourceReport>,
    /// What extract counted.
    pub counts: Counts,
    /// It did not come to the end.
    pub interrupted: bool,
}

type Done = Result<Portion, Box<dyn Any + Send>>;

/// Reads everything and feeds it to `sink`.
pub fn play<E>(
    recording: &Recording,
    options: &PlayOptions,
    interrupted: &Arc<AtomicBool>,
    progress: &mut dyn FnMut(Progress),
    sink: Sink<'_, E>,
) -> Result<Played, E> {
    let shelf = Shelf::new(recording, options.window, options.now, interrupted);
    // Of each file so many chunks are asked for as are read ahead, so there is never more in these.
    let (jobs, jobs_taken) = unbounded();
    let (done, done_taken) = unbounded();
    thread::scope(|scope| {
        let desks: Vec<_> = (1..threads(options))
            .map(|_| {
                let (shelf, jobs, done) = (&shelf, jobs_taken.clone(), done.clone());
                scope.spawn(move || serve(Desk::new(shelf), &jobs, &done))
            })
            .collect();
        let mut player = Player::new(recording, options, Desk::new(&shelf), jobs, jobs_taken, done_taken);
        let outcome = player.play(interrupted, progress, sink);
        let (sources, mut counts) = player.conclude();
        for desk in desks {
            counts.merge(&desk.join().unwrap_or_else(|panic| resume_unwind(panic)));
        }
        outcome.map(|interrupted| Played { sources, counts, interrupted })
    })
}

/// How many chunks of each file are read ahead.
fn ahead(recording: &Recording) -> usize {
    (CHUNKS_AHEAD / recording.parts.len().max(1)).max(CHUNKS_AHEAD_MIN)
}

fn threads(options: &PlayOptions) -> usize {
    let there = || thread::available_parallelism().map_or(1, usize::from);
    options.threads.unwrap_or_else(there).clamp(1, THREADS_MAX)
}

/// A desk's day: one job after the other, until there are no more to come.
fn serve(mut desk: Desk<'_, '_>, jobs: &Receiver<Job>, done: &Sender<Done>) -> Counts {
    for job in jobs {
        let result = catch_unwind(AssertUnwindSafe(|| desk.work(job)));
        let panicked = result.is_err();
        if done.send(result).is_err() || panicked {
            break;
        }
    }
    desk.counts()
}

/// What the player knows of a file.
#[derive(Clone, Copy, Default)]
struct Part {
    /// Chunks that have been asked for.
    asked: u64,
    /// Chunks that have been taken.
    taken: u64,
    ended: bool,
}

struct Player<'r, 's> {
    recording: &'r Recording,
    desk: Desk<'s, 'r>,
    jobs: Sender<Job>,
    jobs_taken: Receiver<Job>,
    done: Receiver<Done>,
    parts: Vec<Part>,
    /// Files that have not ended, the one furthest behind first.
    behind: BTreeSet<(Time, usize)>,
    /// Portions that are done and not yet next.
    ready: BTreeMap<(usize, u64), Portion>,
    spare: Vec<Portion>,
    spare_batches: Vec<Batch>,
    follows: Vec<Follow>,
    reports: Vec<SourceReport>,
    inputs: Vec<Input>,
    told: Progress,
}

impl<'r, 's> Player<'r, 's> {
    fn new(
        recording: &'r Recording,
        options: &PlayOptions,
        desk: Desk<'s, 'r>,
        jobs: Sender<Job>,
        jobs_taken: Receiver<Job>,
        done: Receiver<Done>,
    ) -> Player<'r, 's> {
        let follow = |tap| Follow::new(&recording.plan, tap, options.window, options.complete);
        let report = |tap: &super::recording::Tap| SourceReport {
            name: tap.config.name.clone(),
            files: tap.files.len() as u64,
            ..SourceReport::default()
        };
        Player {
            recording,
            desk,
            jobs,
            jobs_taken,
            done,
            parts: vec![Part::default(); recording.parts.len()],
            behind: BTreeSet::new(),
            ready: BTreeMap::new(),
            spare: Vec::new(),
            spare_batches: Vec::new(),
            follows: recording.taps.iter().map(follow).collect(),
            reports: recording.taps.iter().map(report).collect(),
            inputs: Vec::new(),
            told: Progress { bytes: 0, bytes_total: recording.size(), records: 0 },
        }
    }

    /// Plays to the end, or where it is interrupted to the end of the pipes that are next: they end where they stand.
    /// True where it was interrupted.
    fn play<E>(
        &mut self,
        interrupted: &Arc<AtomicBool>,
        progress: &mut dyn FnMut(Progress),
        sink: Sink<'_, E>,
    ) -> Result<bool, E> {
        let interrupted = || interrupted.load(Ordering::Relaxed);
        for follow in &mut self.follows {
            follow.start(&mut self.inputs);
        }
        self.feed(sink)?;
        if !self.look(&interrupted) {
            return Ok(true);
        }
        self.behind = (0..self.parts.len()).map(|part| (self.reached(part), part)).collect();
        while let Some(&(_, part)) = self.behind.first() {
            self.ask();
            let key = (part, self.parts[part].taken);
            let Some(portion) = self.wait(key, &interrupted) else { return Ok(true) };
            self.take(portion, sink)?;
            progress(self.told);
        }
        Ok(interrupted())
    }

    /// Looks at the front of every file that can be read twice, so that each is begun when its time comes.
    fn look(&mut self, interrupted: &dyn Fn() -> bool) -> bool {
        if self.parts.len() < 2 {
            return true;
        }
        let can = |part: &usize| self.recording.file(*part).size.is_some();
        let twice: Vec<usize> = (0..self.parts.len()).filter(can).collect();
        let mut ahead = twice.iter();
        ahead.by_ref().take(LOOKS_AHEAD_MAX).for_each(|part| self.send(Task::Look, *part));
        for part in &twice {
            let Some(portion) = self.wait((*part, 0), interrupted) else { return false };
            let (tap, index) = self.recording.parts[*part];
            self.follows[tap].look(index, &portion);
            self.spare(portion);
            ahead.next().into_iter().for_each(|part| self.send(Task::Look, *part));
        }
        true
    }

    fn spare(&mut self, portion: Portion) {
        if self.spare.len() < SPARE_MAX {
            self.spare.push(portion);
        }
    }

    fn reached(&self, part: usize) -> Time {
        let (tap, index) = self.recording.parts[part];
        self.follows[tap].reached(index)
    }

    /// Sees to it that the files furthest behind are being read ahead.
    fn ask(&mut self) {
        let ahead = ahead(self.recording) as u64;
        let next: Vec<usize> = self.behind.iter().take(FILES_AHEAD_MAX).map(|(_, part)| *part).collect();
        for part in next {
            // Not one by one: each time that a desk wakes up costs more than a chunk's place in memory.
            if self.parts[part].asked > self.parts[part].taken + ahead / 2 {
                continue;
            }
            while self.parts[part].asked < self.parts[part].taken + ahead {
                self.parts[part].asked += 1;
                self.send(Task::Read, part);
            }
        }
    }

    fn send(&mut self, task: Task, part: usize) {
        let mut portion = self.spare.pop().unwrap_or_default();
        portion.clear();
        portion.part = part;
        if let Some(batch) = self.spare_batches.pop() {
            portion.batch = batch;
            portion.batch.clear();
        }
        // The player itself holds the channel's other end.
        let _ = self.jobs.send(Job { task, portion });
    }

    /// Waits for a portion, and does jobs meanwhile. `None` where it is interrupted and the file is no pipe.
    fn wait(&mut self, key: (usize, u64), interrupted: &dyn Fn() -> bool) -> Option<Portion> {
        loop {
            while let Ok(done) = self.done.try_recv() {
                self.keep(done);
            }
            if interrupted() && self.recording.file(key.0).size.is_some() {
                return None;
            }
            if let Some(portion) = self.ready.remove(&key) {
                return Some(portion);
            }
            match self.jobs_taken.try_recv() {
                Ok(job) => {
                    let portion = self.desk.work(job);
                    self.keep(Ok(portion));
                }
                Err(TryRecvError::Empty | TryRecvError::Disconnected) => match self.done.recv_timeout(PATIENCE) {
                    Ok(done) => self.keep(done),
                    Err(RecvTimeoutError::Timeout | RecvTimeoutError::Disconnected) => {}
                },
            }
        }
    }

    fn keep(&mut self, done: Done) {
        let portion = done.unwrap_or_else(|panic| resume_unwind(panic));
        // What was asked for beyond the end of a file is empty.
        if self.parts[portion.part].ended {
            self.spare(portion);
        } else {
            self.ready.insert((portion.part, portion.sequence), portion);
        }
    }

    fn take<E>(&mut self, mut portion: Portion, sink: Sink<'_, E>) -> Result<(), E> {
        let part = portion.part;
        let (tap, index) = self.recording.parts[part];
        self.behind.pop_first();
        self.follows[tap].take(index, &portion);
        self.tally(tap, &mut portion);
        if !portion.batch.is_empty() {
            self.inputs.push(Input::Observations(std::mem::take(&mut portion.batch)));
        }
        self.follows[tap].report(index, &mut self.inputs);
        self.parts[part].taken += 1;
        if portion.last {
            self.parts[part].ended = true;
            self.ready.retain(|(other, _), _| *other != part);
        } else {
            self.behind.insert((self.reached(part), part));
        }
        self.spare(portion);
        self.feed(sink)
    }

    fn feed<E>(&mut self, sink: Sink<'_, E>) -> Result<(), E> {
        for input in self.inputs.drain(..) {
            self.spare_batches.extend(sink(input)?);
        }
        self.spare_batches.truncate(SPARE_MAX);
        Ok(())
    }

    fn tally(&mut self, tap: usize, portion: &mut Portion) {
        let report = &mut self.reports[tap];
        let troubled: u64 = portion.troubles.iter().map(|t| t.count).sum();
        let records = portion.marks.len() as u64 - u64::from(portion.failure.is_some());
        report.records += records;
        report.matched += portion.matched;
        report.undecodable += troubled;
        report.outside += portion.outside;
        report.unmatched += records - portion.matched - troubled - portion.outside;
        self.told.records += records;
        self.told.bytes += portion.consumed;
        let name = &self.recording.file(portion.part).name;
        match portion.failure.take() {
            Some(why) if report.failures.len() < FAILURES_SHOWN_MAX => report.failures.push(format!("{name}: {why}")),
            failure => report.failures_more += u64::from(failure.is_some()),
        }
        for troubles in portion.troubles.drain(..) {
            add(report, name, troubles);
        }
    }

    /// No more jobs: what became of the records, and what the player's own desk counted.
    fn conclude(self) -> (Vec<SourceReport>, Counts) {
        let mut reports = self.reports;
        for (report, follow) in reports.iter_mut().zip(&self.follows) {
            report.beyond_lateness = follow.beyond_lateness();
            report.lone = follow.lone();
            (report.from, report.to) = follow.range().unzip();
            let (gaps, more) = follow.holes();
            (report.gaps, report.gaps_more) = (gaps.to_vec(), more);
            report.silences_merged = follow.silences_merged();
        }
        (reports, self.desk.counts())
    }
}

fn add(report: &mut SourceReport, file: &str, troubles: Troubles) {
    let known = report.problems.iter().position(|p| p.reason == troubles.reason);
    let index = known.unwrap_or_else(|| {
        report.problems.push(Problem { reason: troubles.reason.into(), count: 0, samples: Vec::new() });
        report.problems.len() - 1
    });
    let problem = &mut report.problems[index];
    problem.count += troubles.count;
    let room = SAMPLES_MAX - problem.samples.len();
    problem.samples.extend(troubles.samples.into_iter().take(room).map(|trouble| Sample {
        place: format!("{file}:{}", trouble.line),
        detail: trouble.detail,
        text: trouble.text,
    }));
}

#[cfg(test)]
mod tests;
