//! `throughline check`: all mistakes of configuration and flows at once, and what cannot work well.

use super::Exit;
use super::human::{GOOD, WARNING};
use super::project::{self, Read};
use super::table::Table;
use crate::findings::sentence::{BOLD, DIM};
use crate::flow::diagnostic::Severity;
use crate::flow::plan::{Flow, Plan};
use anstyle::Style;
use std::fmt::Write;
use std::path::PathBuf;

/// Tell all mistakes and warnings of the configuration and its flows
#[derive(clap::Args)]
pub struct Args {
    /// The configuration
    #[arg(short, long, value_name = "FILE", default_value = "throughline.yaml")]
    config: PathBuf,
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
        tell(flow, &project.plan, &mut out);
    }
    let warnings = diagnostics.iter().filter(|d| d.severity == Severity::Warning).count();
    let _ = match warnings {
        0 => writeln!(out, "{GOOD}good{GOOD:#}: {}", size(&project.plan)),
        n => writeln!(out, "{WARNING}{n} warnings{WARNING:#}: {}", size(&project.plan)),
    };
    super::print(&out)?;
    Ok(Exit::Good)
}

/// One flow: its keys with their ranks, and which steps carry them.
fn tell(flow: &Flow, plan: &Plan, out: &mut String) {
    let plain = Style::new();
    let _ = writeln!(out, "{BOLD}{}{BOLD:#}  {}", flow.name, flow.about);
    let mut table = Table::left();
    table.row(["key", "rank", "carried by"].map(|cell| (cell.to_string(), DIM)));
    for (id, key) in flow.keys.iter().enumerate() {
        let carries = flow.steps.iter().filter(|step| step.keys.iter().any(|(key, _)| usize::from(*key) == id));
        let carries: Vec<_> = carries.map(|step| step.name.as_str()).collect();
        let rank = key.rank.map_or_else(|| "none: it binds nothing".to_owned(), |rank| rank.to_string());
        table.row([(key.name.clone(), BOLD), (rank, plain), (carries.join(", "), plain)]);
    }
    out.push_str(&table.lines(2));
    let mut table = Table::left();
    table.row(["step", "from", "an absence waits for"].map(|cell| (cell.to_string(), DIM)));
    for step in &flow.steps {
        let from = step.select.as_ref().map_or_else(|| step.reads.clone(), |select| format!("{}.{select}", step.reads));
        let waits: Vec<_> = step.closure.iter().map(|id| plan.sources[usize::from(*id)].name.as_str()).collect();
        table.row([(step.name.clone(), BOLD), (from, plain), (waits.join(", "), plain)]);
    }
    out.push_str(&table.lines(2));
    let _ = writeln!(out, "  {DIM}stragglers are waited for{DIM:#} {}\n", flow.linger);
}

fn size(plan: &Plan) -> String {
    let count = |of: fn(&Flow) -> usize| plan.flows.iter().map(of).sum::<usize>();
    let (steps, checks) = (count(|flow| flow.steps.len()), count(|flow| flow.checks.len()));
    format!("{} flows, {steps} steps, {checks} checks, {} sources", plan.flows.len(), plan.sources.len())
}
