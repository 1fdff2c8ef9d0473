//! `throughline schema`: the JSON Schemas that editors and other programs build on.

use super::Exit;
use crate::runtime::live::state;
use crate::{config, findings, flow};

/// Print a JSON Schema
#[derive(clap::Args)]
pub struct Args {
    /// What it describes
    #[arg(value_enum)]
    of: Of,
}

#[derive(Clone, Copy, clap::ValueEnum)]
enum Of {
    /// A flow, or a document of shared steps
    Flow,
    /// The configuration, throughline.yaml
    Config,
    /// A line of `verify --findings`
    Finding,
    /// The document of `verify --format json`
    Verify,
    /// What `/status` and `status --format json` say
    Status,
}

/// Runs the command.
pub fn run(args: &Args) -> anyhow::Result<Exit> {
    let schema = match args.of {
        Of::Flow => flow::schema(),
        Of::Config => config::schema::schema(),
        Of::Finding => findings::schema::finding(),
        Of::Verify => findings::schema::verify(),
        Of::Status => state::schema(),
    };
    super::print(&format!("{}\n", serde_json::to_string_pretty(&schema)?))?;
    Ok(Exit::Good)
}
