//! `throughline status`: how the running daemon stands.

use super::human::{ERROR, GOOD, WARNING};
use super::table::{Table, thousands};
use super::{Exit, project};
use crate::config::outputs::{self, Listen};
use crate::findings::sentence::{BOLD, DIM, Shown, Whole};
use crate::model::time::Span;
use crate::runtime::live::state::{DaemonState, LaneEntry, Phase, SourceEntry, SourceKind, WebhookEntry};
use anstyle::Style;
use anyhow::Context;
use std::fmt::Write;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// How long the daemon may take to answer.
const ANSWER_MAX: Duration = Duration::from_secs(5);
/// The largest answer that is read.
const ANSWER_BYTES_MAX: u64 = 64 << 20;

/// Show how the running daemon stands: its sources, flows and findings
///
/// The exit code is 0 where everything is watched, 1 where the daemon runs and is not ready, 3 where none runs.
#[derive(clap::Args)]
pub struct Args {
    /// The configuration that the daemon runs
    #[arg(short, long, value_name = "FILE", default_value = "throughline.yaml")]
    config: PathBuf,
    /// Where the daemon listens, where that is not in the configuration
    #[arg(long, value_name = "HOST:PORT")]
    address: Option<String>,
    /// How it is printed
    #[arg(long, value_enum, default_value = "human")]
    format: Format,
}

#[derive(Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
enum Format {
    /// For people
    Human,
    /// One JSON document (`throughline schema status`)
    Json,
}

/// Runs the command.
pub fn run(args: &Args) -> anyhow::Result<Exit> {
    let address = match &args.address {
        Some(address) => address.clone(),
        None => match project::read(&args.config).project.map(|project| project.config.outputs.listen) {
            Some(Listen::Off) => anyhow::bail!(
                "{} says `server: {{listen: off}}`: the daemon can be asked nothing; `throughline findings list` shows what \
                 it has found",
                args.config.display()
            ),
            Some(Listen::At(address)) => address,
            Some(Listen::Usual) => outputs::LISTEN.to_owned(),
            None => anyhow::bail!(
                "{} cannot be used, as `throughline check` says; `--address HOST:PORT` asks a daemon without it",
                args.config.display()
            ),
        },
    };
    let text = match ask(&address) {
        Ok(text) => text,
        Err(error) => {
            anstream::eprintln!("no daemon answers at {address}: {error}; `throughline run` starts one");
            return Ok(Exit::Unknown);
        }
    };
    let state: DaemonState = serde_json::from_str(&text)
        .with_context(|| format!("what answers at {address} is no daemon of this version of throughline"))?;
    match args.format {
        Format::Json => super::print(&(text + "\n"))?,
        Format::Human => super::print(&tell(&state))?,
    }
    if args.address.is_none() && !same(&args.config, &state.config) {
        anstream::eprintln!(
            "{WARNING}warning{WARNING:#}: the daemon at {address} runs another configuration, {}",
            state.config
        );
    }
    Ok(if state.ready { Exit::Good } else { Exit::Findings })
}

fn ask(address: &str) -> Result<String, ureq::Error> {
    let agent: ureq::Agent = ureq::Agent::config_builder().timeout_global(Some(ANSWER_MAX)).proxy(None).build().into();
    let mut answer = agent.get(format!("http://{address}/status")).call()?;
    answer.body_mut().with_config().limit(ANSWER_BYTES_MAX).read_to_string()
}

/// Whether the daemon's configuration is this one.
fn same(path: &Path, told: &str) -> bool {
    let real = |path: &Path| path.canonicalize().unwrap_or_else(|_| path.to_owned());
    real(path) == real(Path::new(told))
}

/// The whole text.
fn tell(state: &DaemonState) -> String {
    let mut out = String::new();
    let (style, word) = match (state.phase, state.ready) {
        (Phase::Recovering, _) => (WARNING, "recovering"),
        (Phase::Stopping, _) => (WARNING, "stopping"),
        (Phase::Running, true) => (GOOD, "ready"),
        (Phase::Running, false) => (ERROR, "not ready"),
    };
    let _ = writeln!(out, "{style}{word}{style:#}  {}  {DIM}since {}{DIM:#}", state.config, seconds(&state.started_at));
    // All of it stands below, with the source or the flow that it is about.
    state.not_ready.iter().for_each(|why| _ = writeln!(out, "  {}", Shown(why)));
    out.push('\n');
    out.push_str(&sources(&state.sources));
    for source in &state.sources {
        troubles(source, &mut out);
    }
    out.push('\n');
    out.push_str(&lanes(&state.lanes));
    out.push('\n');
    out.push_str(&findings(state));
    state.webhook.iter().for_each(|webhook| tell_webhook(webhook, &mut out));
    out
}

fn sources(sources: &[SourceEntry]) -> String {
    let mut table = Table::left();
    let heading =
        ["source", "state", "progress", "lag", "records", "matched", "rate", "gaps", "undecodable", "beyond lateness"];
    table.row(heading.map(|cell| (cell.to_owned(), DIM)));
    for source in sources {
        let plain = Style::new();
        let undecodable: u64 = source.undecodable.values().map(|entry| entry.count).sum();
        let noticed = |count: u64| (thousands(count), if count > 0 { WARNING } else { DIM });
        let (style, word) = match source.state {
            SourceKind::Up => (GOOD, "up"),
            SourceKind::Starting => (WARNING, "starting"),
            SourceKind::Troubled => (ERROR, "troubled"),
            SourceKind::Down => (ERROR, "down"),
        };
        table.row([
            (source.source.clone(), BOLD),
            (word.to_owned(), style),
            (source.progress.as_deref().map_or("–".to_owned(), seconds), plain),
            (source.lag_ms.map_or("–".to_owned(), |lag| Span(round(lag) * 1_000_000).to_string()), plain),
            (thousands(source.records), plain),
            (thousands(source.matched), plain),
            (format!("{}/s", source.rate), plain),
            noticed(source.gaps),
            noticed(undecodable),
            noticed(source.beyond_lateness),
        ]);
    }
    table.lines(0)
}

/// Milliseconds as people want them: to the second, where there are many.
fn round(millis: i64) -> i64 {
    if millis >= 10_000 { millis / 1000 * 1000 } else { millis }
}

fn troubles(source: &SourceEntry, out: &mut String) {
    let name = &source.source;
    if let Some(why) = &source.assumed {
        let _ = writeln!(out, "  {BOLD}{name}{BOLD:#}: {WARNING}its progress is assumed{WARNING:#}: {why}");
    }
    if let Some(error) = &source.last_error {
        let at = source.last_error_at.as_deref().map(seconds).unwrap_or_default();
        let over = if source.trouble.is_some() { "" } else { ", over" };
        let error = Whole(error);
        let _ =
            write!(out, "  {BOLD}{name}{BOLD:#}: {WARNING}last error{WARNING:#} {DIM}at {at}{over}{DIM:#}: {error}");
        match &source.next_try_at {
            Some(next) => _ = writeln!(out, "; next try at {}", seconds(next)),
            None => out.push('\n'),
        }
    }
    if let Some(gap) = &source.last_gap {
        let to = gap.to.as_deref().map_or("now".to_owned(), seconds);
        let why = gap.why.as_deref().map(|why| format!(": {}", Whole(why))).unwrap_or_default();
        let from = seconds(&gap.from);
        let _ = writeln!(out, "  {BOLD}{name}{BOLD:#}: {WARNING}last gap{WARNING:#} {from} to {to}{why}");
    }
    for (reason, entry) in &source.undecodable {
        let count = thousands(entry.count);
        let first = Shown(&entry.first);
        let _ =
            writeln!(out, "  {BOLD}{name}{BOLD:#}: {WARNING}{count} undecodable{WARNING:#} ({reason}), first {first}");
    }
}

fn lanes(lanes: &[LaneEntry]) -> String {
    let mut table = Table::left();
    let heading = ["flow", "open", "consistent", "inconsistent", "undecided", "journal"];
    table.row(heading.map(|cell| (cell.to_owned(), DIM)));
    let mut below = String::new();
    for lane in lanes {
        let plain = Style::new();
        table.row([
            (lane.flow.clone(), BOLD),
            (thousands(lane.open), plain),
            (thousands(lane.consistent), plain),
            (thousands(lane.inconsistent), plain),
            (undecided(lane), plain),
            (size(lane.journal_bytes), plain),
        ]);
        for (limit, count) in &lane.limits {
            let count = thousands(*count);
            let _ = writeln!(
                below,
                "  {BOLD}{}{BOLD:#}: {WARNING}limit{WARNING:#} `{limit}` was hit {count} times",
                lane.flow
            );
        }
        lane.trouble
            .iter()
            .for_each(|trouble| _ = writeln!(below, "  {BOLD}{}{BOLD:#}: {ERROR}{trouble}{ERROR:#}", lane.flow));
    }
    table.lines(0) + &below
}

/// How many are undecided, and why.
fn undecided(lane: &LaneEntry) -> String {
    let all = thousands(lane.undecided.values().sum());
    let by: Vec<_> = lane.undecided.iter().map(|(reason, count)| format!("{} {reason}", thousands(*count))).collect();
    if by.is_empty() { all } else { format!("{all} ({})", by.join(", ")) }
}

/// Bytes as people read them.
fn size(bytes: u64) -> String {
    const UNITS: [&str; 4] = ["KiB", "MiB", "GiB", "TiB"];
    let (mut value, mut unit) = (bytes as f64 / 1024.0, 0);
    while value >= 1024.0 && unit + 1 < UNITS.len() {
        value /= 1024.0;
        unit += 1;
    }
    format!("{value:.1} {}", UNITS[unit])
}

fn findings(state: &DaemonState) -> String {
    let mut out = String::new();
    if state.findings.is_empty() {
        let _ = writeln!(out, "no findings");
    } else {
        let mut table = Table::left();
        let heading = ["findings", "flow / check", "class", "severity", "status"];
        table.row(heading.map(|cell| (cell.to_owned(), DIM)));
        for counted in &state.findings {
            let plain = Style::new();
            table.row([
                (thousands(counted.count), BOLD),
                (format!("{} / {}", counted.flow, counted.check), plain),
                (counted.class.clone(), plain),
                (counted.severity.clone(), plain),
                (counted.status.clone(), plain),
            ]);
        }
        out.push_str(&table.lines(0));
    }
    state.findings_trouble.iter().for_each(|trouble| _ = writeln!(out, "  {ERROR}not kept{ERROR:#}: {trouble}"));
    out
}

fn tell_webhook(webhook: &WebhookEntry, out: &mut String) {
    let (style, word) = if webhook.up { (GOOD, "up") } else { (ERROR, "down") };
    let sent = thousands(webhook.sent);
    let _ = writeln!(out, "\nwebhook {BOLD}{}{BOLD:#}: {style}{word}{style:#}, {sent} findings sent", webhook.url);
    if let Some(error) = &webhook.last_error {
        let at = webhook.last_error_at.as_deref().map(seconds).unwrap_or_default();
        let next =
            webhook.next_try_at.as_deref().map(|at| format!("; next try at {}", seconds(at))).unwrap_or_default();
        let over = if webhook.up { ", over" } else { "" };
        let _ = writeln!(out, "  {WARNING}last error{WARNING:#} {DIM}at {at}{over}{DIM:#}: {error}{next}");
    }
}

/// A moment to the second.
fn seconds(moment: &str) -> String {
    moment.split_once('.').map_or(moment.to_owned(), |(seconds, _)| format!("{seconds}Z"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::findings::store::Counted;
    use crate::runtime::live::state::{GapEntry, UndecodableEntry};

    fn source(name: &str, state: SourceKind) -> SourceEntry {
        SourceEntry {
            source: name.into(),
            state,
            progress: Some("2026-01-29T09:00:00.123Z".into()),
            lag_ms: Some(61_234),
            assumed: None,
            caught_up_at: None,
            records: 12_345,
            rate: 20.5,
            matched: 0,
            beyond_lateness: 0,
            undecodable: Default::default(),
            gaps: 0,
            last_gap: None,
            trouble: None,
            last_error: None,
            last_error_at: None,
            next_try_at: None,
        }
    }

    #[test]
    fn a_daemon_is_told_from_its_sources_to_its_findings() {
        let at = || Some("2026-01-29T09:01:00.5Z".to_owned());
        let down = SourceEntry {
            progress: None,
            lag_ms: None,
            assumed: Some("the user may not see other sessions".into()),
            gaps: 1,
            last_gap: Some(GapEntry { from: "2026-01-29T08:00:00Z".into(), to: None, why: Some("retention".into()) }),
            undecodable: [("syntax".to_owned(), UndecodableEntry { count: 2, first: "a:1: no colon".into() })].into(),
            trouble: Some("no such host".into()),
            last_error: Some("no such host".into()),
            last_error_at: at(),
            next_try_at: at(),
            ..source("payments", SourceKind::Down)
        };
        let lane = LaneEntry {
            flow: "order".into(),
            open: 1_234,
            undecided: [("gap".to_owned(), 3)].into(),
            limits: [("gaps_max".to_owned(), 1)].into(),
            journal_bytes: 5 << 20,
            trouble: Some("the disk is full".into()),
            ..LaneEntry::default()
        };
        let counted = Counted {
            flow: "order".into(),
            check: "paid".into(),
            class: "missing_step".into(),
            severity: "critical".into(),
            status: "open".into(),
            count: 3,
        };
        let state = DaemonState {
            version: "0.1.0".into(),
            config: "/etc/throughline.yaml".into(),
            data: "/var/lib/throughline".into(),
            started_at: "2026-01-29T08:00:00.5Z".into(),
            now: "2026-01-29T09:01:01Z".into(),
            phase: Phase::Running,
            ready: false,
            not_ready: vec!["source `payments` is down: no such host".into()],
            sources: vec![source("orders", SourceKind::Up), down],
            lanes: vec![
                lane.clone(),
                LaneEntry { flow: "refund".into(), limits: Default::default(), trouble: None, ..lane },
            ],
            findings: vec![counted],
            findings_trouble: None,
            webhook: Some(WebhookEntry {
                url: "https://example.org/…".into(),
                up: true,
                sent: 3,
                ..Default::default()
            }),
        };
        insta::assert_snapshot!(anstream::adapter::strip_str(&tell(&state)).to_string());
    }

    #[test]
    fn sizes_have_units() {
        assert_eq!([0, 512, 5 << 20, 3 << 40].map(size), ["0.0 KiB", "0.5 KiB", "5.0 MiB", "3.0 TiB"]);
    }
}
