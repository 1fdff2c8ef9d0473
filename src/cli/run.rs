//! `throughline run`: follows live systems until it is told to stop, and tells what it finds as it finds it.

use super::reload::Reload;
use super::{Exit, interrupt, project};
use crate::config::outputs::{self, Listen};
use crate::findings::store::{self, Store};
use crate::journal;
use crate::runtime::live::{self, Board, Daemon, Edition, Found};
use crate::server::{Server, ServerError};
use anyhow::Context;
use std::fs;
use std::path::PathBuf;
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex};
use tracing_subscriber::EnvFilter;

/// Where a daemon keeps what it knows where nothing else is said.
pub const DATA: &str = "throughline.data";

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
    /// Where the journals and the findings are kept; it is made where it is missing
    #[arg(long, value_name = "FOLDER", default_value = DATA)]
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
    project::runnable(&project.config)?;
    // What clients say of a lost connection, their sources say with the way out.
    let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new("info,lapin=off,sqlx=off"));
    tracing_subscriber::fmt().with_env_filter(filter).with_writer(anstream::stderr).with_target(false).init();
    fs::create_dir_all(args.data.join(live::JOURNAL))
        .with_context(|| format!("the folder {} cannot be made", args.data.display()))?;
    let _lock = journal::lock(&args.data)?;
    let store = Arc::new(Mutex::new(Store::open(&args.data.join(store::FILE))?));
    let mut failed = None;
    let mut tell = |found: &Found| {
        let text = match args.format {
            Format::Human => &found.text,
            Format::Json => &found.json,
        };
        if let Err(error) = super::print(&format!("{text}\n")) {
            if failed.is_none() {
                tracing::error!("{error:#}: findings are kept, and not printed any more");
            }
            failed.get_or_insert(error);
        }
    };
    let mut reload = Reload::new(&args.config, args.flow.as_deref(), &project)?;
    let mut shown: Option<Shown> = None;
    let (flows, data) = (project.plan.flows.len(), args.data.display());
    tracing::info!("watching {flows} flow{}; what is known is kept in {data}", if flows == 1 { "" } else { "s" });
    loop {
        let flows = Edition::all(&project.config, &project.documents, args.flow.as_deref());
        let board =
            Arc::new(Board::new(&project.config, &flows, &args.data, shown.as_ref().map(|shown| &*shown.board)));
        shown = Some(Shown::instead_of(shown, &project.config.outputs.listen, board.clone())?);
        let mut next = None;
        let mut goes_on = || {
            if stop.load(Ordering::Relaxed) {
                return false;
            }
            next = reload.changed();
            next.is_none()
        };
        let daemon =
            Daemon { config: &project.config, flows: &flows, folder: &args.data, store: &store, board: &board };
        live::follow(&daemon, &mut goes_on, &mut tell)?;
        match next {
            Some(changed) => project = changed,
            None => return failed.map_or(Ok(Exit::Good), Err),
        }
    }
}

/// What the daemon shows of itself.
struct Shown {
    board: Arc<Board>,
    listen: Listen,
    server: Option<Server>,
}

impl Shown {
    /// Shows this board instead of what was shown before. A changed address that cannot be served is no reason to end.
    fn instead_of(before: Option<Shown>, listen: &Listen, board: Arc<Board>) -> anyhow::Result<Shown> {
        let is_first = before.is_none();
        let server = match before {
            Some(Shown { server: Some(server), listen: same, .. }) if same == *listen => {
                server.show(board.clone());
                Some(server)
            }
            before => {
                drop(before);
                match serve(listen, &board) {
                    Err(error) if !is_first => {
                        tracing::error!("{error}");
                        None
                    }
                    server => server?,
                }
            }
        };
        Ok(Shown { board, listen: listen.clone(), server })
    }
}

/// Serves the board where that is wanted. At the usual address it gives way to whoever is there already.
fn serve(listen: &Listen, board: &Arc<Board>) -> anyhow::Result<Option<Server>> {
    let server = match listen {
        Listen::Off => return Ok(None),
        Listen::At(address) => Server::start(address, board.clone())?,
        Listen::Usual => match Server::start(outputs::LISTEN, board.clone()) {
            Err(error @ ServerError::InUse(_)) => {
                tracing::warn!("{error}");
                return Ok(None);
            }
            server => server?,
        },
    };
    tracing::info!("the status is at http://{}/status", server.address);
    Ok(Some(server))
}
