//! `throughline trace KEY`: the transactions that have a key, from their records to their conclusions, as recordings or
//! the journal of a daemon tell them.

use super::human::WARNING;
use super::progress::Bar;
use super::{Exit, interrupt, project, run, timeline};
use crate::findings::Names;
use crate::findings::sentence::Shown;
use crate::flow::plan::Flow;
use crate::runtime::live::{self, Replica};
use crate::runtime::trace::{TRANSACTIONS_TRACED_MAX, Traced, trace};
use crate::runtime::verify::{VerifyError, VerifyOptions};
use anyhow::Context;
use std::fs;
use std::path::{Path, PathBuf};

/// Show the transaction that has a key: every observation, and what each check concluded on what evidence
///
/// Where `throughline run` has kept a journal, that is what is asked, also while it runs; else the recordings.
#[derive(clap::Args)]
pub struct Args {
    /// The value of any key of the flow: an order's, or that of a payment or a parcel that belongs to it
    key: String,
    /// The configuration
    #[arg(short, long, value_name = "FILE", default_value = "throughline.yaml")]
    config: PathBuf,
    /// Only this flow
    #[arg(long, value_name = "NAME")]
    flow: Option<String>,
    /// The recordings hold everything, before and after: what is not in them did not happen
    #[arg(long)]
    complete: bool,
    /// The folder of the daemon whose journal is asked; default: throughline.data, where it has the journal of one of
    /// the flows
    #[arg(long, value_name = "FOLDER", conflicts_with_all = ["complete", "recordings"])]
    data: Option<PathBuf>,
    /// Ask the recordings, though there is a journal
    #[arg(long)]
    recordings: bool,
}

/// Runs the command.
pub fn run(args: &Args) -> anyhow::Result<Exit> {
    if let Some(data) = &args.data {
        return in_journal(args, &data.join(live::JOURNAL));
    }
    let interrupted = interrupt::flag()?;
    let Some(project) = project::load(&args.config, args.flow.as_deref())? else {
        return Ok(Exit::Wrong);
    };
    let journal = Path::new(run::DATA).join(live::JOURNAL);
    let kept = project.plan.flows.iter().any(|flow| journal.join(&flow.name).is_dir());
    if kept && !args.recordings && !args.complete {
        return in_journal(args, &journal);
    }
    let options = VerifyOptions { complete: args.complete, ..VerifyOptions::default() };
    let bar = Bar::new(true);
    let mut progress = |progress| bar.show(progress);
    let traced = trace(&project.config, project.plan.clone(), &options, &args.key, &interrupted, &mut progress);
    drop(bar);
    let Traced { traces, more, parts, interrupted } = match traced {
        Err(VerifyError::Unreadable(failed)) => {
            anstream::eprintln!("{failed}");
            return Ok(Exit::Unknown);
        }
        traced => traced?,
    };
    let names = Names { plan: &project.plan, places: &parts };
    let told: Vec<_> = traces.iter().map(|trace| timeline::tell(trace, names)).collect();
    super::print(&told.join("\n"))?;
    limited(&args.key, traces.len(), more)?;
    if interrupted {
        return Ok(Exit::Interrupted);
    }
    if traces.is_empty() {
        let keys = project.plan.flows.iter().map(keys).collect::<Vec<_>>();
        anstream::eprintln!("no transaction has the key `{}` ({})", Shown(&args.key), keys.join("; "));
        return Ok(Exit::Unknown);
    }
    Ok(Exit::Good)
}

/// Asks the journals in a folder, one a flow.
fn in_journal(args: &Args, folder: &Path) -> anyhow::Result<Exit> {
    let flows = flows_in(folder, args.flow.as_deref())?;
    let (mut told, mut more, mut asked) = (Vec::new(), 0, Vec::new());
    for flow in flows {
        let journal = folder.join(&flow);
        let opened = Replica::open(&journal).with_context(|| format!("the journal of `{flow}` cannot be asked"))?;
        let Some(mut replica) = opened else { continue };
        let owners = replica.owners(&args.key)?;
        let room = TRANSACTIONS_TRACED_MAX - told.len();
        more += owners.len().saturating_sub(room);
        for own in owners.iter().take(room) {
            let trace = replica.trace(own)?;
            told.extend(trace.map(|trace| replica.with_names(|names| timeline::tell(&trace, names))));
        }
        asked.push(replica.with_names(|names| keys(&names.plan.flows[0])));
    }
    super::print(&told.join("\n"))?;
    limited(&args.key, told.len(), more)?;
    if told.is_empty() {
        let (key, folder) = (Shown(&args.key), folder.display());
        anstream::eprintln!("no transaction in {folder} has the key `{key}` ({})", asked.join("; "));
        return Ok(Exit::Unknown);
    }
    Ok(Exit::Good)
}

/// The flows that have a journal in a folder, or `only` this one.
fn flows_in(folder: &Path, only: Option<&str>) -> anyhow::Result<Vec<String>> {
    let none = || format!("there is no journal in {}; `throughline run` keeps one there", folder.display());
    let entries = fs::read_dir(folder).with_context(none)?.collect::<Result<Vec<_>, _>>().with_context(none)?;
    let folders = entries.iter().filter(|entry| entry.path().is_dir());
    let mut flows: Vec<String> = folders.map(|entry| entry.file_name().to_string_lossy().into_owned()).collect();
    flows.sort();
    flows.retain(|flow| only.is_none_or(|only| only == flow));
    match only {
        _ if !flows.is_empty() => Ok(flows),
        Some(only) => anyhow::bail!("the flow `{only}` has no journal in {}", folder.display()),
        None => anyhow::bail!(none()),
    }
}

/// The names of a flow's keys: `order_id, payment_id of order`.
fn keys(flow: &Flow) -> String {
    let names: Vec<_> = flow.keys.iter().map(|key| key.name.as_str()).collect();
    format!("{} of {}", names.join(", "), flow.name)
}

/// Says so where there are more than are shown.
fn limited(key: &str, shown: usize, more: usize) -> anyhow::Result<()> {
    if more == 0 {
        return Ok(());
    }
    let (key, all) = (Shown(key), shown + more);
    super::print(&format!(
        "\n{WARNING}limit{WARNING:#} `transactions_traced_max` was hit: {all} transactions have the key `{key}`, the first \
         {TRANSACTIONS_TRACED_MAX} are shown; ask for another by its own key\n"
    ))
}
