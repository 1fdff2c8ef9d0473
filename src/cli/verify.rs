//! `throughline verify`: reads recordings to their end, or a window of live systems, and says what came out consistent.

use super::human::{Detail, Story, WARNING};
use super::progress::Bar;
use super::project::Project;
use super::{Exit, files, interrupt, project, report};
use crate::config::moment;
use crate::findings::Names;
use crate::findings::baseline::Baseline;
use crate::findings::digest::Digest;
use crate::findings::junit;
use crate::findings::record::{self, Record};
use crate::findings::summary::{self, Summary};
use crate::model::finding::Finding;
use crate::model::time::{Span, Time};
use crate::model::verdict::Severity;
use crate::runtime::clock::now;
use crate::runtime::findings::Findings;
use crate::runtime::live::window::Window;
use crate::runtime::verify::{self, VerifyError, VerifyOptions};
use anyhow::Context;
use chrono_tz::Tz;
use std::path::PathBuf;
use std::sync::atomic::AtomicBool;
use std::time::{Duration, Instant};

/// How often it is said who is waited for.
const TELL_EVERY: Duration = Duration::from_secs(5);

/// Read recordings, or a window of live systems, and say which transactions are consistent
///
/// Exit codes, the first that applies: 130 interrupted; 2 the command, the configuration or a flow is
/// wrong; 1 findings at or above --fail-on that are not in --baseline; 3 it could not be known: a
/// source failed or gave nothing, a step that checks use matched nothing, a check judged nothing, or,
/// with --strict, anything is undecided; 0 consistent.
#[derive(clap::Args)]
pub struct Args {
    /// The configuration
    #[arg(short, long, value_name = "FILE", default_value = "throughline.yaml")]
    config: PathBuf,
    /// Only this flow
    #[arg(long, value_name = "NAME")]
    flow: Option<String>,
    /// Only what happened from this time on; `1h` is an hour ago
    #[arg(long, value_name = "TIME", value_parser = time)]
    since: Option<Time>,
    /// Only what happened before this time
    #[arg(long, value_name = "TIME", value_parser = time)]
    until: Option<Time>,
    /// The recordings hold everything, before and after: what is not in them did not happen
    #[arg(long)]
    complete: bool,
    /// The last so much of the recordings is not settled yet: they vouch for so much less. Of live systems: wait so much
    /// longer
    #[arg(long, value_name = "DURATION", value_parser = Span::parse)]
    settle: Option<Span>,
    /// Of live systems: how long they may take to pass the window
    #[arg(long, value_name = "DURATION", default_value = "2m", value_parser = Span::parse)]
    patience: Span,
    /// Undecided is not good enough: exit code 3
    #[arg(long)]
    strict: bool,
    /// The least severity that fails: info, warning or critical
    #[arg(long, value_name = "SEVERITY", default_value = "warning", value_parser = severity)]
    fail_on: Severity,
    /// Do not mind empty sources, steps that matched nothing and checks that judged nothing
    #[arg(long)]
    allow_empty: bool,
    /// A findings file of an earlier run: what is known does not fail
    #[arg(long, value_name = "FILE")]
    baseline: Option<PathBuf>,
    /// What goes to standard output
    #[arg(long, value_enum, default_value = "human")]
    format: Format,
    /// Write all findings here, one JSON line each
    #[arg(long, value_name = "FILE")]
    findings: Option<PathBuf>,
    /// Write a JUnit report here
    #[arg(long, value_name = "FILE")]
    junit: Option<PathBuf>,
    /// How many threads read and extract; the result is the same with any number
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=1024))]
    threads: Option<u16>,
    /// Say only the verdict
    #[arg(short, long, conflicts_with = "verbose")]
    quiet: bool,
    /// Say more: more findings, all samples
    #[arg(short, long)]
    verbose: bool,
}

#[derive(Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
enum Format {
    /// Tables and sentences
    Human,
    /// One JSON document (`throughline schema verify`)
    Json,
}

/// A moment, or how long ago it was.
fn time(text: &str) -> Result<Time, String> {
    if let Ok(ago) = Span::parse(text) {
        return Ok(now() - ago);
    }
    moment::read(text, Tz::UTC).ok_or_else(|| moment::FORMS.to_owned())
}

fn severity(text: &str) -> Result<Severity, String> {
    text.parse().map_err(|()| "a severity is info, warning or critical".to_owned())
}

/// Runs the command.
pub fn run(args: &Args) -> anyhow::Result<Exit> {
    let interrupted = interrupt::flag()?;
    args.findings.iter().chain(&args.junit).try_for_each(|path| files::writable(path))?;
    let baseline = args.baseline.as_deref().map(Baseline::read).transpose()?.unwrap_or_default();
    let Some(project) = project::load(&args.config, args.flow.as_deref())? else {
        return Ok(Exit::Wrong);
    };
    let outcome = match args.is_live(&project) {
        true => args.verify_live(&project, &interrupted)?,
        false => {
            let bar = Bar::new(!args.quiet);
            let mut progress = |progress| bar.show(progress);
            verify::verify(&project.config, project.plan.clone(), &args.options(), &interrupted, &mut progress)
        }
    };
    let report = match outcome {
        Err(VerifyError::Unreadable(failed)) => report::unreadable(&failed, &project.plan),
        outcome => outcome?,
    };
    let names = Names { plan: &project.plan, places: &report.parts };
    let mut summary = report::summary(&report, &project.plan);
    let mut vacuous = summary::vacuous(&summary, &project.plan);
    vacuous.retain(|one| !(args.allow_empty && one.excusable()));
    summary.vacuous = vacuous.iter().map(ToString::to_string).collect();
    let digest = args.go_through(report.findings, &baseline, names)?;
    summary.findings = digest.counts;
    if let Some(path) = &args.junit {
        let xml = junit::Run { summary: &summary, digest: &digest, names, vacuous: &vacuous, strict: args.strict };
        let xml = xml.to_xml().context("the JUnit report cannot be made")?;
        files::write(path, |out| Ok(out.write_all(xml.as_bytes())?))?;
    }
    let exit = decide(&summary, args.strict);
    match args.format {
        Format::Json => super::print(&format!("{}\n", serde_json::to_string_pretty(&summary)?))?,
        Format::Human => {
            let detail = args.detail();
            let story = Story { summary: &summary, vacuous: &vacuous, digest: &digest, names, exit, detail };
            super::print(&story.tell())?;
        }
    }
    Ok(exit)
}

/// Tables that the flows read, and whose rows nothing dates but the look that meets them.
fn undated(project: &Project) -> Vec<String> {
    let mut found = Vec::new();
    for source in &project.config.sources {
        let read = |table: &&str| project.plan.goes_by_source_time(&source.name, table);
        found.extend(source.undated_tables().filter(read).map(|table| format!("{}.{table}", source.name)));
    }
    found
}

impl Args {
    fn options(&self) -> VerifyOptions {
        VerifyOptions {
            since: self.since,
            until: self.until,
            complete: self.complete,
            settle: self.settle,
            threads: self.threads.map(usize::from),
        }
    }

    /// Whether a flow reads a system that is there, and no recording of it.
    fn is_live(&self, project: &Project) -> bool {
        let read = |name: &str| project.plan.sources.iter().any(|source| source.name == name);
        project.config.sources.iter().any(|source| source.tap.files().is_none() && read(&source.name))
    }

    /// Reads the window that ends now, and waits until all systems have passed it.
    fn verify_live(
        &self,
        project: &Project,
        interrupted: &AtomicBool,
    ) -> anyhow::Result<Result<verify::Report, VerifyError>> {
        super::project::runnable(&project.config)?;
        if self.complete {
            anyhow::bail!("`--complete` is for recordings: a live system goes on");
        }
        for table in undated(project) {
            anstream::eprintln!(
                "{WARNING}warning{WARNING:#}: no column of `{table}` says when something happened, so rows that were there before \
                 are dated by the look that meets them, which is now, and what needs to know it stays undecided; name one (`columns: {{updated: …}}`)"
            );
        }
        let until = self.until.unwrap_or_else(now) + self.settle.unwrap_or(Span::ZERO);
        let patience = Duration::from_nanos(u64::try_from(self.patience.0).unwrap_or(0));
        let window = Window { since: self.since, until, patience };
        let mut told = Instant::now();
        let mut progress = |slowest: &str, come: Option<Time>| {
            if !self.quiet && told.elapsed() >= TELL_EVERY {
                told = Instant::now();
                let come = come.map_or("nothing yet".to_owned(), |come| come.to_string());
                anstream::eprintln!("waiting for `{slowest}`, which has come to {come}, until {until}");
            }
        };
        Ok(verify::verify_live(&project.config, &project.plan, &window, interrupted, &mut progress))
    }

    fn detail(&self) -> Detail {
        match (self.quiet, self.verbose) {
            (true, _) => Detail::Quiet,
            (_, true) => Detail::Verbose,
            _ => Detail::Normal,
        }
    }

    /// Goes through the findings once: writes them out where that is asked for, and takes down what is told of them.
    fn go_through(&self, findings: Findings, baseline: &Baseline, names: Names<'_>) -> anyhow::Result<Digest> {
        let mut digest = Digest::new(self.detail().findings());
        let mut take = |finding: &Finding| {
            let known = !baseline.is_empty() && baseline.knows(&record::id(finding, names));
            digest.take(finding, known, finding.severity >= self.fail_on);
        };
        match &self.findings {
            None => findings.each(&mut |finding| {
                take(&finding);
                anyhow::Ok(())
            })?,
            Some(path) => files::write(path, |out| {
                findings.each(&mut |finding| {
                    take(&finding);
                    serde_json::to_writer(&mut *out, &Record::of(&finding, names))?;
                    Ok(out.write_all(b"\n")?)
                })
            })?,
        }
        Ok(digest)
    }
}

/// The exit code: the first of its list that applies.
fn decide(summary: &Summary, strict: bool) -> Exit {
    let undecided = || {
        summary.transactions.undecided > 0
            || summary.flows.iter().any(|(_, flow)| flow.checks.iter().any(|(_, check)| check.undecided > 0))
    };
    if summary.interrupted {
        Exit::Interrupted
    } else if summary.findings.failing > 0 {
        Exit::Findings
    } else if !summary.vacuous.is_empty() || (strict && undecided()) {
        Exit::Unknown
    } else {
        Exit::Good
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::findings::sample;

    #[test]
    fn the_first_exit_code_that_applies_is_given() {
        let mut summary = sample::summary();
        summary.interrupted = true;
        assert_eq!(decide(&summary, false), Exit::Interrupted);
        summary.interrupted = false;
        assert_eq!(decide(&summary, false), Exit::Findings);
        summary.findings.failing = 0;
        summary.vacuous = vec!["source `events` gave no record".into()];
        assert_eq!(decide(&summary, false), Exit::Unknown);
        summary.vacuous.clear();
        assert_eq!(decide(&summary, true), Exit::Unknown, "two transactions are undecided");
        assert_eq!(decide(&summary, false), Exit::Good);
    }

    #[test]
    fn tables_that_nothing_dates_are_known() {
        let folder = tempfile::tempdir().unwrap();
        let write = |name: &str, text: &str| std::fs::write(folder.path().join(name), text).unwrap();
        write(
            "throughline.yaml",
            "flows: order.yaml\nsources:\n  shop:\n    type: sqlite\n    path: shop.db\n    tables:\n      orders: {columns: {updated: at}}\n      payments: {}\n      parcels: {}\n      unread: {}\n",
        );
        write(
            "order.yaml",
            "flow: order\nkey: id\nsteps:\n  placed: {from: shop.orders, key: {id: row.id}}\n  paid: {from: shop.payments, key: {id: row.id}}\n  sent: {from: shop.parcels, key: {id: row.id}, time: row.at}\nchecks:\n  paid: {after: placed, expect: paid, within: 1m}\n  sent: {after: paid, expect: sent, within: 1m}\n",
        );
        let project = project::load(&folder.path().join("throughline.yaml"), None).unwrap().unwrap();
        assert_eq!(undated(&project), ["shop.payments"]);
    }
}
