//! What is known of the running daemon, put up by its threads for whoever asks.

use super::JOURNAL;
use super::edition::Compiled;
use super::lane_status::{LaneState, LaneStatus};
use super::state::{DaemonState, GapEntry, LaneEntry, Phase, SourceEntry, SourceKind, UndecodableEntry, WebhookEntry};
use super::status::{SourceState, SourceStatus};
use crate::config::Config;
use crate::findings::store::Counted;
use crate::model::time::{Span, Time};
use crate::model::verdict::Reason;
use crate::runtime::clock::now;
use std::collections::VecDeque;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// A lane that shows no life for longer is stuck.
const BEAT_MAX: Span = Span::seconds(60);
/// How often the sources' records are counted, and over how many counts their rates are taken.
const SAMPLE_EVERY: Duration = Duration::from_secs(1);
const SAMPLES_MAX: usize = 61;

/// The running daemon as it stands.
pub struct Board {
    config: PathBuf,
    data: PathBuf,
    started: Time,
    sources: Vec<(String, Arc<SourceStatus>)>,
    lanes: Vec<Arc<LaneStatus>>,
    notes: Mutex<Notes>,
}

#[derive(Default)]
struct Notes {
    phase: Phase,
    findings: Vec<Counted>,
    findings_trouble: Option<String>,
    webhook: Option<WebhookEntry>,
    /// When, and how many records each source had brought by then.
    samples: VecDeque<(Instant, Vec<u64>)>,
}

impl Board {
    /// For a daemon that runs these flows and keeps what it knows in the folder `data`. What it knows of sources from
    /// `before`, when it ran others, it still knows.
    pub fn new(config: &Config, flows: &[Compiled], data: &Path, before: Option<&Board>) -> Board {
        // Where it can be told from others, however they were started.
        let absolute = |path: &Path| std::path::absolute(path).unwrap_or_else(|_| path.to_owned());
        let read = |name: &String| flows.iter().any(|flow| flow.plan.source_named(name).is_some());
        let names = config.sources.iter().map(|source| &source.name).filter(|name| read(name));
        let now = now();
        Board {
            config: absolute(&config.path),
            data: absolute(data),
            started: before.map_or(now, |before| before.started),
            sources: names
                .map(|name| (name.clone(), before.map(|before| before.source(name)).unwrap_or_default()))
                .collect(),
            lanes: flows.iter().map(|flow| Arc::new(LaneStatus::new(&flow.edition.flow, now))).collect(),
            notes: Mutex::default(),
        }
    }

    /// The place of a source; one that nobody sees where it has none.
    pub(super) fn source(&self, name: &str) -> Arc<SourceStatus> {
        let found = self.sources.iter().find(|(source, _)| source == name);
        found.map_or_else(Arc::default, |(_, status)| status.clone())
    }

    /// The place of a lane, by its number.
    pub(super) fn lane(&self, number: usize) -> Arc<LaneStatus> {
        self.lanes[number].clone()
    }

    /// What the daemon is doing from now on.
    pub(super) fn is_now(&self, phase: Phase) {
        self.notes().phase = phase;
    }

    /// How many findings there are.
    pub(super) fn findings(&self, counted: Vec<Counted>) {
        self.notes().findings = counted;
    }

    /// What keeps findings from being kept; `None` when that is over.
    pub(super) fn store_trouble(&self, what: Option<String>) {
        self.notes().findings_trouble = what;
    }

    /// Changes what is shown of the webhook.
    pub(super) fn webhook(&self, change: impl FnOnce(&mut Option<WebhookEntry>)) {
        change(&mut self.notes().webhook);
    }

    /// Counts the sources' records now and then, for their rates.
    pub(super) fn sample(&self) {
        let mut notes = self.notes();
        if notes.samples.back().is_some_and(|(at, _)| at.elapsed() < SAMPLE_EVERY) {
            return;
        }
        let counts = self.sources.iter().map(|(_, status)| status.state().records).collect();
        notes.samples.push_back((Instant::now(), counts));
        if notes.samples.len() > SAMPLES_MAX {
            notes.samples.pop_front();
        }
    }

    /// Says how the sources stand, for who reads the log.
    pub(super) fn report(&self) {
        self.sources.iter().for_each(|(name, status)| tracing::info!(source = name, "{}", status.state()));
    }

    /// What is stuck, a sentence each; nothing where the process works.
    pub fn stuck(&self) -> Vec<String> {
        let at = now();
        let stuck = self.lanes.iter().filter(|lane| at.since(lane.last_beat()) > BEAT_MAX);
        stuck.map(|lane| format!("the lane of `{}` has shown no life since {}", lane.flow, lane.last_beat())).collect()
    }

    /// All of it.
    pub fn state(&self) -> DaemonState {
        let at = now();
        let sources: Vec<SourceEntry> =
            self.sources.iter().enumerate().map(|(number, source)| self.source_entry(number, source, at)).collect();
        let lanes: Vec<LaneEntry> = self.lanes.iter().map(|lane| self.lane_entry(lane, at)).collect();
        let notes = self.notes();
        let not_ready = not_ready(notes.phase, &sources, &lanes, notes.findings_trouble.as_deref());
        DaemonState {
            version: env!("CARGO_PKG_VERSION").to_owned(),
            config: self.config.display().to_string(),
            data: self.data.display().to_string(),
            started_at: self.started.to_string(),
            now: at.to_string(),
            phase: notes.phase,
            ready: not_ready.is_empty(),
            not_ready,
            sources,
            lanes,
            findings: notes.findings.clone(),
            findings_trouble: notes.findings_trouble.clone(),
            webhook: notes.webhook.clone(),
        }
    }

    fn source_entry(&self, number: usize, (name, status): &(String, Arc<SourceStatus>), at: Time) -> SourceEntry {
        let state = status.state();
        let text = |time: Option<Time>| time.map(|time| time.to_string());
        SourceEntry {
            source: name.clone(),
            state: kind(&state),
            progress: text(state.progress),
            lag_ms: state.progress.map(|progress| at.since(progress).as_millis()),
            assumed: state.assumed,
            caught_up_at: text(state.caught_up),
            records: state.records,
            rate: self.rate(number, state.records),
            matched: state.matched,
            beyond_lateness: state.beyond_lateness,
            undecodable: state
                .undecodable
                .into_iter()
                .map(|(reason, (count, first))| (reason, UndecodableEntry { count, first }))
                .collect(),
            gaps: state.gaps,
            last_gap: state.last_gap.map(|(from, to)| GapEntry {
                from: from.to_string(),
                to: text(to),
                why: state.last_hole,
            }),
            trouble: state.trouble.or(state.failure.as_ref().map(|failed| failed.why.clone())),
            last_error: state.last_error.as_ref().map(|(error, _)| error.clone()),
            last_error_at: text(state.last_error.map(|(_, at)| at)),
            next_try_at: text(state.failure.map(|failed| failed.next_try)),
        }
    }

    /// Records a second of a source, since the oldest sample.
    fn rate(&self, number: usize, records: u64) -> f64 {
        let notes = self.notes();
        let Some((at, counts)) = notes.samples.front() else { return 0.0 };
        let seconds = at.elapsed().as_secs_f64();
        let more = records.saturating_sub(counts.get(number).copied().unwrap_or(records));
        // To a tenth: more digits would only pretend.
        if seconds > 0.0 { (more as f64 / seconds * 10.0).round() / 10.0 } else { 0.0 }
    }

    fn lane_entry(&self, lane: &LaneStatus, at: Time) -> LaneEntry {
        let LaneState { account, trouble } = lane.state();
        let reasons = Reason::ALL.iter().zip(account.undecided).filter(|(_, count)| *count > 0);
        LaneEntry {
            flow: lane.flow.clone(),
            open: account.open,
            consistent: account.consistent,
            inconsistent: account.inconsistent,
            undecided: reasons.map(|(reason, count)| (reason.name().to_owned(), count)).collect(),
            limits: account.limits.into_iter().collect(),
            journal_entries: lane.entries(),
            journal_bytes: size(&self.data.join(JOURNAL).join(&lane.flow)),
            silent_ms: at.since(lane.last_beat()).as_millis(),
            trouble,
        }
    }

    fn notes(&self) -> MutexGuard<'_, Notes> {
        self.notes.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn kind(state: &SourceState) -> SourceKind {
    match state {
        _ if state.failure.is_some() => SourceKind::Down,
        _ if state.trouble.is_some() => SourceKind::Troubled,
        _ if state.delivered => SourceKind::Up,
        _ => SourceKind::Starting,
    }
}

fn not_ready(phase: Phase, sources: &[SourceEntry], lanes: &[LaneEntry], findings: Option<&str>) -> Vec<String> {
    let mut reasons = Vec::new();
    match phase {
        Phase::Recovering => reasons.push("the journal is being read".to_owned()),
        Phase::Stopping => reasons.push("it was told to stop".to_owned()),
        Phase::Running => {}
    }
    for source in sources {
        match (source.state, &source.trouble) {
            (SourceKind::Up, _) => {}
            (SourceKind::Starting, _) => reasons.push(format!("source `{}` has not delivered yet", source.source)),
            (state, trouble) => {
                let trouble = trouble.as_deref().unwrap_or_default();
                reasons.push(format!("source `{}` is {}: {trouble}", source.source, state.name()));
            }
        }
    }
    reasons.extend(lanes.iter().filter_map(|lane| Some(format!("flow `{}`: {}", lane.flow, lane.trouble.as_ref()?))));
    reasons.extend(findings.map(str::to_owned));
    reasons
}

/// How large the files of a folder are; those that go meanwhile do not count.
fn size(folder: &Path) -> u64 {
    let entries = fs::read_dir(folder).into_iter().flatten().flatten();
    entries.filter_map(|entry| entry.metadata().ok()).filter(|data| data.is_file()).map(|data| data.len()).sum()
}
