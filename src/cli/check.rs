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
    super::print(&out)?;
    let unfit = if args.connect { connect(&project)? } else { 0 };
    let end = match unfit {
        0 => format!("{GOOD}good{GOOD:#}: {}\n", size(&project.plan)),
        1 => format!("{ERROR}error{ERROR:#}: 1 source cannot be followed as it is\n"),
        n => format!("{ERROR}error{ERROR:#}: {n} sources cannot be followed as they are\n"),
    };
    super::print(&end)?;
    Ok(if unfit > 0 { Exit::Unknown } else { Exit::Good })
}

/// Looks at each system, and tells of one before it turns to the next, since each takes its time; how many cannot be read as
/// the configuration says.
fn connect(project: &Project) -> anyhow::Result<usize> {
    let mut unfit = 0;
    let read = |source: &&SourceConfig| project.plan.source_named(&source.name).is_some();
    for source in project.config.sources.iter().filter(read) {
        super::print(&format!("{DIM}source{DIM:#} {BOLD}{}{BOLD:#}\n", source.name))?;
        let remarks = live::examine(source, project.config.clock_skew).unwrap_or_default();
        let mut good = remarks.iter().all(|remark| remark.weight != Weight::Error);
        super::print(&told(&remarks))?;
        if good {
            let records = sample::tell_one(project, source, LOOKED_AT);
            good = records.is_ok();
            super::print(&records.unwrap_or_else(|error| told(&[Remark::error(format!("{error:#}"))])))?;
        }
        super::print("\n")?;
        unfit += usize::from(!good);
    }
    Ok(unfit)
}

fn told(remarks: &[Remark]) -> String {
    let mut out = String::new();
    for Remark { weight, text } in remarks {
        let (style, word) = match weight {
            Weight::Good => (GOOD, "good   "),
            Weight::Warning => (WARNING, "warning"),
            Weight::Error => (ERROR, "error  "),
        };
        let _ = writeln!(out, "  {style}{word}{style:#}  {text}");
    }
    out
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
