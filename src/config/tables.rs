//! What sources of tables have in common: `tables`, `poll`, and what follows from them.

use super::decoding;
use super::source::{self, Defaults};
use super::{SourceConfig, Tap};
use crate::flow::diagnostic::{Diagnostics, Problem};
use crate::flow::fields::{self, Fields};
use crate::flow::format::Lateness;
use crate::flow::plan::{Carries, Clock};
use crate::flow::yaml::Entry;
use crate::model::time::Span;
use crate::sources::live::Start;
use crate::sources::tables::{Common, Sweep, TABLES_MAX, Table};

/// The longest span from a row's time to its being visible, where nothing else is said.
const LATENESS: Span = Span::seconds(5);
/// From one poll to the next, where nothing else is said, and at least.
const POLL: Span = Span::seconds(1);
const POLL_MIN: Span = Span(100_000_000);

/// The options that all polled tables share; `tap` makes the system's own of them.
pub(super) fn config(
    name: &str,
    fields: &Fields<'_>,
    clock_skew: Span,
    diagnostics: &Diagnostics<'_>,
    tap: impl FnOnce(Vec<Table>, Common) -> Option<Tap>,
) -> Option<SourceConfig> {
    let poll = fields.duration("poll");
    if let Some(poll) = poll.as_ref().filter(|poll| poll.value < POLL_MIN) {
        Problem::error("too-often", poll.place, format!("`poll` is {}, and at least {POLL_MIN} apart", poll.value))
            .help("each poll is work for the watched system; 1s is the default")
            .report(diagnostics);
    }
    let poll = poll.map_or(POLL, |poll| poll.value);
    let start = source::start(fields, chrono_tz::Tz::UTC, diagnostics).unwrap_or_default();
    let tables = tables(fields, start, diagnostics);
    let stamped = tables.iter().any(|table| table.updated.is_some() || table.time.is_some());
    let defaults = Defaults {
        lateness: Lateness::Span(LATENESS),
        carries: Carries::Rows,
        // Columns may have been filled by any host; what has none is stamped by the database.
        clock: if stamped { Clock::Many } else { Clock::One },
        resolution: Span::ZERO,
    };
    let decoding = decoding::rows(fields, diagnostics);
    // The tap needs what is declared of the source, and the source its tap: so it is made in two steps.
    let placeholder = Tap::File { path: String::new(), begins: None };
    let config = source::config(name, Some(placeholder), Some(decoding), &defaults, fields, diagnostics);
    let mut config = config?;
    let lateness = match config.pacing.lateness {
        Lateness::Span(span) => span,
        Lateness::End => LATENESS,
    };
    let clock_skew = if config.clock == Clock::One { Span::ZERO } else { clock_skew };
    if !fields.has("resolution") {
        config.resolution = resolution(&tables, poll);
    }
    config.start = watched_from(&tables);
    config.skips_versions = true;
    config.tap = tap(tables, Common { poll, lateness, clock_skew })?;
    Some(config)
}

/// How coarse the times are: versions whose columns say nothing have the time at which they were met.
fn resolution(tables: &[Table], poll: Span) -> Span {
    let coarse = tables.iter().filter(|table| {
        let trusted = table.updated.is_some() && table.sweep == Sweep::Never;
        table.time.is_none() && !trusted
    });
    let met = coarse.map(|table| match table.sweep {
        Sweep::Every(span) => span.max(poll),
        Sweep::Gentle | Sweep::Never => poll,
    });
    met.fold(Span::ZERO, Span::max)
}

/// Where the watch begins for the source as a whole: with what was there, only where all tables are read from their
/// beginning.
fn watched_from(tables: &[Table]) -> Start {
    let first = tables.first().map_or(Start::Latest, |table| table.start);
    if tables.iter().all(|table| table.start == first) { first } else { Start::Latest }
}

fn tables(fields: &Fields<'_>, start: Start, diagnostics: &Diagnostics<'_>) -> Vec<Table> {
    const EXAMPLE: &str = "name them: `tables: {orders: {columns: {key: id, updated: updated_at}}}`";
    let Some(node) = fields.required("tables", EXAMPLE) else { return Vec::new() };
    let Some(entries) = fields::map(node, "tables", diagnostics) else { return Vec::new() };
    if entries.is_empty() || entries.len() > TABLES_MAX {
        let message = format!("there are {} tables, and one to {TABLES_MAX} can be followed", entries.len());
        Problem::error("empty-value", node.place, message).help(EXAMPLE).report(diagnostics);
    }
    entries.iter().filter_map(|entry| table(entry, start, diagnostics)).collect()
}

fn table(entry: &Entry, start: Start, diagnostics: &Diagnostics<'_>) -> Option<Table> {
    let name = entry.key.value.clone();
    let what = format!("table `{name}`");
    let fields = Fields::new(&entry.value, &what, diagnostics)?;
    let (key, updated, time) = match fields.get("columns") {
        Some(node) => {
            let columns = Fields::new(node, "`columns` of a table", diagnostics)?;
            let key = columns.texts("key").unwrap_or_default().into_iter().map(|key| key.value).collect();
            let (updated, time) = (columns.text("updated"), columns.text("time"));
            columns.finish();
            (key, updated.map(|text| text.value), time.map(|text| text.value))
        }
        None => Default::default(),
    };
    let zone = fields.zone("zone");
    let start = source::start(&fields, zone.unwrap_or(chrono_tz::Tz::UTC), diagnostics).unwrap_or(start);
    let sweep = sweep(&fields, updated.is_some(), diagnostics);
    let no_times = updated.is_none() && time.is_none();
    if let (Start::At(_), true) = (start, no_times) {
        let problem = Problem::error("no-time", entry.key.place, format!("{what} has no column that says when"));
        problem.help("`start` at a moment needs `updated` or `time` in `columns`").report(diagnostics);
    }
    fields.finish();
    Some(Table { name, key, updated, time, zone: zone?, sweep: sweep?, start })
}

fn sweep(fields: &Fields<'_>, has_updated: bool, diagnostics: &Diagnostics<'_>) -> Option<Sweep> {
    let Some(node) = fields.get("sweep") else { return Some(Sweep::Gentle) };
    if node.scalar().is_some_and(|scalar| scalar.text == "never") {
        if !has_updated {
            Problem::error("never-read", node.place, "without `updated`, nothing would ever be read again")
                .help("name the column that rises with each change, `columns: {updated: …}`, or remove `sweep: never`")
                .report(diagnostics);
        }
        return Some(Sweep::Never);
    }
    fields::duration(node, "sweep", diagnostics).map(|span| Sweep::Every(span.value))
}
