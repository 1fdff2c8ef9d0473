//! `throughline run`: follows live systems until it is told to stop, and tells what it finds as it finds it.

use super::reload::Reload;
use super::{Exit, interrupt, project};
use crate::config::{Config, SourceConfig};
use crate::flow::format::Lateness;
use crate::runtime::live::{self, Edition, Found};
use anyhow::Context;
use std::fs;
use std::path::PathBuf;
use std::sync::atomic::Ordering;
use tracing_subscriber::EnvFilter;

/// Follow live systems, day and night, and tell what is inconsistent
///
/// What was read, and how far, is kept in a folder, so that a daemon that was stopped or killed goes on where it was.
/// Findings go to standard output as they are found, everything else to standard error (RUST_LOG=debug says more).
/// Flows and configuration that change are taken over at once, or after SIGHUP; what is wrong is refused, and the old
/// ones go on. The first Ctrl-C or SIGTERM stops it in good order, the second one at once.
#[derive(clap::Args)]
pub struct Args {
    /// The configuration
    #[arg(short, long, value_name = "FILE", default_value = "throughline.yaml")]
    config: PathBuf,
    /// Only this flow
    #[arg(long, value_name = "NAME")]
    flow: Option<String>,
    /// Where the journal is kept; it is made where it is missing
    #[arg(long, value_name = "FOLDER", default_value = "throughline.data")]
    data: PathBuf,
    /// How findings are printed
    #[arg(long, value_enum, default_value = "human")]
    format: Format,
}

#[derive(Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
enum Format {
    /// For people
    Human,
    /// A JSON line each (`throughline schema finding`)
    Json,
}

/// Runs the command.
pub fn run(args: &Args) -> anyhow::Result<Exit> {
    let stop = interrupt::flag()?;
    let Some(mut project) = project::load(&args.config, args.flow.as_deref())? else {
        return Ok(Exit::Wrong);
    };
    runnable(&project.config)?;
    let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new("info"));
    tracing_subscriber::fmt().with_env_filter(filter).with_writer(anstream::stderr).with_target(false).init();
    let journal = args.data.join("journal");
    fs::create_dir_all(&journal).with_context(|| format!("the folder {} cannot be made", journal.display()))?;
    let mut failed = None;
    let mut tell = |found: Found| {
        let line = match args.format {
            Format::Human => found.text + "\n",
            Format::Json => found.json + "\n",
        };
        if let Err(error) = super::print(&line) {
            failed.get_or_insert(error);
        }
    };
    let mut reload = Reload::new(&args.config, args.flow.as_deref(), &project)?;
    loop {
        let flows = Edition::all(&project.config, &project.documents, args.flow.as_deref());
        let mut next = None;
        let mut goes_on = || {
            if stop.load(Ordering::Relaxed) {
                return false;
            }
            next = reload.changed();
            next.is_none()
        };
        live::follow(&project.config, &flows, &journal, &mut goes_on, &mut tell)?;
        match next {
            Some(changed) => project = changed,
            None => return failed.map_or(Ok(Exit::Good), Err),
        }
    }
}

/// Whether a configuration that is right can be followed live.
pub(super) fn runnable(config: &Config) -> anyhow::Result<()> {
    let endless = |source: &&SourceConfig| source.pacing.lateness == Lateness::End;
    match config.sources.iter().find(endless) {
        None => Ok(()),
        Some(SourceConfig { name, .. }) => anyhow::bail!(
            "source `{name}` has `lateness: end`, which only a recording has: say how late a record may be, as `lateness: 5s`"
        ),
    }
}
