//! How the daemon stands at one moment, as `/status` and `throughline status` tell it.

use crate::findings::store::Counted;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// The JSON Schema of `/status`.
pub fn schema() -> serde_json::Value {
    let mut schema = schemars::schema_for!(DaemonState).to_value();
    schema["title"] = "What a running daemon of Throughline says at /status".into();
    schema
}

/// The whole daemon.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[schemars(rename = "Status")]
pub struct DaemonState {
    /// The version of the program.
    pub version: String,
    /// The configuration that it runs.
    pub config: String,
    /// The folder in which it keeps its journal and findings.
    pub data: String,
    /// When it was started.
    pub started_at: String,
    /// When this was told, by the daemon's clock.
    pub now: String,
    /// What it is doing.
    pub phase: Phase,
    /// It has recovered, all sources have delivered, and nothing is in trouble.
    pub ready: bool,
    /// Why it is not ready, a sentence each.
    pub not_ready: Vec<String>,
    /// The sources, in the order of the configuration.
    pub sources: Vec<SourceEntry>,
    /// The lanes.
    pub lanes: Vec<LaneEntry>,
    /// The findings that are kept, by kind.
    pub findings: Vec<Counted>,
    /// What keeps findings from being kept: they wait meanwhile.
    pub findings_trouble: Option<String>,
    /// The webhook, where one is configured.
    pub webhook: Option<WebhookEntry>,
}

/// What the daemon is doing.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Phase {
    /// It reads the journal.
    #[default]
    Recovering,
    /// It follows the sources.
    Running,
    /// It was told to stop.
    Stopping,
}

/// What a source is doing.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum SourceKind {
    /// It has not delivered yet in this run.
    Starting,
    /// It delivers.
    Up,
    /// It delivers, but something keeps it from taking all that it should: it proves nothing meanwhile.
    Troubled,
    /// It cannot go on for now, and is tried again.
    Down,
}

impl SourceKind {
    /// The word for it.
    pub fn name(self) -> &'static str {
        match self {
            SourceKind::Starting => "starting",
            SourceKind::Up => "up",
            SourceKind::Troubled => "troubled",
            SourceKind::Down => "down",
        }
    }
}

/// One source.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[schemars(rename = "SourceStatus")]
pub struct SourceEntry {
    /// Its name.
    pub source: String,
    /// What it is doing.
    pub state: SourceKind,
    /// Everything that happened before has been delivered; null before its first proof.
    pub progress: Option<String>,
    /// How far its progress is behind the present, in milliseconds; its lateness is in it.
    pub lag_ms: Option<i64>,
    /// Why its progress is assumed, by its declared lateness alone; null where it is proven.
    pub assumed: Option<String>,
    /// When it last had delivered everything.
    pub caught_up_at: Option<String>,
    /// Records that it has delivered in this run.
    pub records: u64,
    /// Records a second, over the last minute.
    pub rate: f64,
    /// Records that matched a step.
    pub matched: u64,
    /// Records that came later than its lateness allows.
    pub beyond_lateness: u64,
    /// Records that could not be read, by reason.
    pub undecodable: BTreeMap<String, UndecodableEntry>,
    /// Gaps in this run, whatever the cause.
    pub gaps: u64,
    /// The last of them.
    pub last_gap: Option<GapEntry>,
    /// What keeps it from taking all that it should, or from going on.
    pub trouble: Option<String>,
    /// What last went wrong; it may be over.
    pub last_error: Option<String>,
    /// When that was.
    pub last_error_at: Option<String>,
    /// When it is tried again, where it is down.
    pub next_try_at: Option<String>,
}

/// Records that could not be read, for one reason.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[schemars(rename = "Undecodable")]
pub struct UndecodableEntry {
    /// How many.
    pub count: u64,
    /// Where the first of them stands, and what is wrong with it.
    pub first: String,
}

/// A span in which records may be missing.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[schemars(rename = "Gap")]
pub struct GapEntry {
    /// Where it begins.
    pub from: String,
    /// Where it ends; null while its other side has not been seen.
    pub to: Option<String>,
    /// Why, where the source said so.
    pub why: Option<String>,
}

/// One lane: a flow, its engine and its journal.
#[derive(Clone, Debug, Default, Serialize, Deserialize, JsonSchema)]
#[schemars(rename = "LaneStatus")]
pub struct LaneEntry {
    /// The flow.
    pub flow: String,
    /// Transactions that are open: in memory.
    pub open: u64,
    /// Transactions that were consistent when they were last judged.
    pub consistent: u64,
    /// Transactions that break a check of severity warning or more.
    pub inconsistent: u64,
    /// Transactions of which nothing sure can be said, by reason.
    pub undecided: BTreeMap<String, u64>,
    /// Limits that were hit: name, and how often.
    pub limits: BTreeMap<String, u64>,
    /// Entries of its journal that are durable, counted from its beginning.
    pub journal_entries: u64,
    /// How large its journal is on disk, indexes and snapshots included.
    pub journal_bytes: u64,
    /// How long ago it last showed that it is alive, in milliseconds.
    pub silent_ms: i64,
    /// What keeps it from making durable what it was given: the sources wait meanwhile.
    pub trouble: Option<String>,
}

/// The receiver of findings.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[schemars(rename = "WebhookStatus")]
pub struct WebhookEntry {
    /// Where it is, without what is secret in it.
    pub url: String,
    /// It took what it was sent last; true before anything was sent.
    pub up: bool,
    /// Findings that it has taken in this run.
    pub sent: u64,
    /// Findings that it refused in this run, each alone: they were passed over.
    pub refused: u64,
    /// What went wrong last; it may be over.
    pub last_error: Option<String>,
    /// When that was.
    pub last_error_at: Option<String>,
    /// When it is tried again, where it does not take anything.
    pub next_try_at: Option<String>,
}
