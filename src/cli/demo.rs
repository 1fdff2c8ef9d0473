//! `throughline demo`: a shop that breaks things on purpose, and what is found of it.

use super::human::{ERROR, GOOD, WARNING};
use super::{Exit, interrupt};
use crate::demo::{self, Line, Options, Score};
use std::fmt::Write;
use std::path::PathBuf;
use std::time::Instant;
use tracing_subscriber::EnvFilter;

/// Watch an embedded shop that breaks things on purpose, and see what is found
///
/// Orders, payments and shipments run through an SQLite table, two Kafka topics and two logs, all made for the moment:
/// nothing needs to be installed. Some are broken on purpose, and the daemon, which knows nothing of that, watches.
/// What was injected stands on the left, what was found on the right, and the score at the end. The exit code is 0 only
/// where every fault was found as what it is, and nothing else was. Ctrl-C closes the shop, a second one ends it at once.
#[derive(clap::Args)]
pub struct Args {
    /// Close the shop after so long; without it, with Ctrl-C. What was begun is then judged, which takes up to half a
    /// minute
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
    seconds: Option<u64>,
    /// Orders a second
    #[arg(long, value_name = "N", default_value_t = 20, value_parser = clap::value_parser!(u32).range(1..=1000))]
    rate: u32,
    /// Write to these brokers, and follow them, instead of a cluster in this process
    #[arg(long, value_name = "HOST:PORT")]
    kafka: Option<String>,
    /// Write to this PostgreSQL database, and follow it, instead of SQLite: postgres://user:password@host/database; also
    /// by the environment, as DEMO_POSTGRES
    #[arg(long, value_name = "URL")]
    postgres: Option<String>,
    /// Keep all files in this folder, to look at them afterwards
    #[arg(long, value_name = "FOLDER")]
    keep: Option<PathBuf>,
}

/// How wide the left side is.
const LEFT: usize = 56;

/// Runs the command.
pub fn run(args: &Args) -> anyhow::Result<Exit> {
    let stop = interrupt::flag()?;
    let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new("warn"));
    tracing_subscriber::fmt().with_env_filter(filter).with_writer(anstream::stderr).with_target(false).init();
    let Args { seconds, rate, .. } = *args;
    let postgres = args.postgres.clone().or_else(|| std::env::var("DEMO_POSTGRES").ok());
    let (kafka, folder) = (args.kafka.clone(), args.keep.clone());
    let options = Options { seconds, rate, kafka, postgres, folder };
    let begun = Instant::now();
    let mut failed = None;
    let mut tell = |line: Line| {
        if let Err(error) = super::print(&shown(&line, begun, seconds)) {
            failed.get_or_insert(error);
        }
    };
    let score = demo::run(&options, &stop, &mut tell)?;
    failed.map_or(Ok(()), Err)?;
    super::print(&account(&score))?;
    Ok(if score.is_perfect() { Exit::Good } else { Exit::Findings })
}

fn shown(line: &Line, begun: Instant, seconds: Option<u64>) -> String {
    let since = begun.elapsed().as_secs();
    let at = format!("{:>2}:{:02}", since / 60, since % 60);
    match line {
        Line::Opened => {
            let until = seconds.map_or("until Ctrl-C".to_owned(), |seconds| format!("for {seconds} s"));
            format!("{at}  the shop is open {until}\n\n       {:LEFT$}found\n", "injected")
        }
        Line::Closed => format!("{at}  the shop is closed; what was begun is seen through\n"),
        Line::Injected { order, fault } => {
            format!("{at}  {WARNING}{:LEFT$}{WARNING:#}\n", format!("{order}  {}", fault.name())).trim_end().to_owned()
                + "\n"
        }
        Line::Found { order, class, check, status, after_ms } => {
            let style = if after_ms.is_some() { GOOD } else { ERROR };
            let status = if status == "open" { String::new() } else { format!(", {status}") };
            let after = after_ms
                .map_or("that was not injected".to_owned(), |ms| format!("{}.{} s after", ms / 1000, ms % 1000 / 100));
            format!("{at}  {:LEFT$}{style}{order}  {class} ({check}{status}){style:#}  {after}\n", "")
        }
    }
}

fn account(score: &Score) -> String {
    let mut out = format!("\n{:48}  injected  found\n", format!("{} orders", score.orders));
    for (fault, injected, found) in score.by_fault() {
        let style = if injected == found { GOOD } else { ERROR };
        let _ = writeln!(out, "{:48}  {injected:>8}  {style}{found:>5}{style:#}", fault.name());
    }
    let wrong = score.wrong();
    let style = if wrong.is_empty() { GOOD } else { ERROR };
    let _ = writeln!(out, "{:48}  {:>8}  {style}{:>5}{style:#}", "anything else", 0, wrong.len());
    for (check, order, class) in &wrong {
        let _ = writeln!(out, "  {order}  {class} ({check})");
    }
    let verdict = if score.is_perfect() {
        format!("{GOOD}all faults were found, and nothing else{GOOD:#}")
    } else {
        format!("{ERROR}what was found is not what was injected{ERROR:#}")
    };
    let _ = writeln!(out, "\n{verdict}");
    out
}
