//! `throughline trace KEY`: the transactions that have a key, from their records to their conclusions.

use super::human::WARNING;
use super::progress::Bar;
use super::{Exit, interrupt, project, timeline};
use crate::findings::Names;
use crate::findings::sentence::Shown;
use crate::runtime::trace::{TRANSACTIONS_TRACED_MAX, Traced, trace};
use crate::runtime::verify::{VerifyError, VerifyOptions};
use std::path::PathBuf;

/// Show the transaction that has a key: every observation, and what each check concluded on what evidence
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
}

/// Runs the command.
pub fn run(args: &Args) -> anyhow::Result<Exit> {
    let interrupted = interrupt::flag()?;
    let Some(project) = project::load(&args.config, args.flow.as_deref())? else {
        return Ok(Exit::Wrong);
    };
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
    if more > 0 {
        let (key, all) = (Shown(&args.key), traces.len() + more);
        super::print(&format!(
            "\n{WARNING}limit{WARNING:#} `transactions_traced_max` was hit: {all} transactions have the key `{key}`, the \
             first {TRANSACTIONS_TRACED_MAX} are shown; ask for another by its own key\n"
        ))?;
    }
    if interrupted {
        return Ok(Exit::Interrupted);
    }
    if traces.is_empty() {
        let keys = project.plan.flows.iter().map(|flow| {
            let names: Vec<_> = flow.keys.iter().map(|key| key.name.as_str()).collect();
            format!("{} of {}", names.join(", "), flow.name)
        });
        let keys: Vec<_> = keys.collect();
        anstream::eprintln!("no transaction has the key `{}` ({})", Shown(&args.key), keys.join("; "));
        return Ok(Exit::Unknown);
    }
    Ok(Exit::Good)
}
