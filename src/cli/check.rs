//! `throughline check`: all mistakes of configuration and flows at once, and what cannot work well.

use super::human::{ERROR, GOOD, WARNING};
use super::project::{self, Project, Read};
use super::{Exit, sample};
use crate::config::SourceConfig;
use crate::findings::sentence::{BOLD, DIM};
use crate::flow::plan::{Flow, Plan};
use crate::runtime::live;
use crate::sources::remark::{Remark, Weight};
use std::fmt::Write;
use std::path::PathBuf;

/// So many records of each system are looked at by `--connect`.
const LOOKED_AT: usize = 20;

/// Tell all mistakes and warnings of the configuration and its flows
#[derive(clap::Args)]
pub struct Args {
    /// The configuration
    #[arg(short, long, value_name = "FILE", default_value = "throughline.yaml")]
    config: PathBuf,
    /// Also read so many records of each source, and show what each step matches, nearly matches and
    /// why not
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    sample: Option<u32>,
    /// Also connect to each system, and tell what it lets us read, what it will be able to prove, which columns cannot be
    /// trusted, and what the steps make of some of its records; takes some seconds a source
    #[arg(long)]
    connect: bool,
}

/// Runs the command.
pub fn run(args: &Args) -> anyhow::Result<Exit> {
    let Read { project, diagnostics } = project::read(&args.config);
    let mut out = project::told(&diagnostics);
    let Some(project) = project else {
        super::print(&out)?;
        return Ok(Exit::Wrong);
    };
    if !out.is_empty() {
        out.push('\n');
    }
    for flow in &project.plan.flows {
        let _ = writeln!(out, "{}", project.plan.describe(flow));
    }
    for source in &project.config.sources {
        if !project.plan.sources.iter().any(|read| read.name == source.name) {
            let _ = writeln!(out, "{WARNING}warning{WARNING:#}: no flow reads the source `{}`\n", source.name);
        }
    }
    if let Some(count) = args.sample {
        out.push_str(&sample::tell(&project, count as usize)?);
    }
    let unfit = args.connect && connect(&project, &mut out);
    if !unfit {
        let _ = writeln!(out, "{GOOD}good{GOOD:#}: {}", size(&project.plan));
    }
    super::print(&out)?;
    Ok(if unfit { Exit::Unknown } else { Exit::Good })
}

/// Looks at each system; whether one of them cannot be read as the configuration says.
fn connect(project: &Project, out: &mut String) -> bool {
    let mut unfit = false;
    let read = |source: &&SourceConfig| project.plan.source_named(&source.name).is_some();
    for source in project.config.sources.iter().filter(read) {
        let _ = writeln!(out, "{DIM}source{DIM:#} {BOLD}{}{BOLD:#}", source.name);
        let mut remarks = live::examine(source, project.config.clock_skew).unwrap_or_default();
        let reachable = remarks.iter().all(|remark| remark.weight != Weight::Error);
        let mut records = String::new();
        if reachable {
            match sample::tell_one(project, source, LOOKED_AT) {
                Ok(told) => records = told,
                Err(error) => remarks.push(Remark::error(format!("{error:#}"))),
            }
        }
        for Remark { weight, text } in remarks {
            let (style, word) = match weight {
                Weight::Good => (GOOD, "good   "),
                Weight::Warning => (WARNING, "warning"),
                Weight::Error => (ERROR, "error  "),
            };
            unfit |= weight == Weight::Error;
            let _ = writeln!(out, "  {style}{word}{style:#}  {text}");
        }
        let _ = writeln!(out, "{records}");
    }
    unfit
}

fn size(plan: &Plan) -> String {
    let count = |of: fn(&Flow) -> usize| plan.flows.iter().map(of).sum();
    let parts: [(usize, &str); 4] = [
        (plan.flows.len(), "flow"),
        (count(|flow| flow.steps.len()), "step"),
        (count(|flow| flow.checks.len()), "check"),
        (plan.sources.iter().filter(|source| source.clock_of.is_none()).count(), "source"),
    ];
    let parts = parts.map(|(count, word)| format!("{count} {word}{}", if count == 1 { "" } else { "s" }));
    parts.join(", ")
}
