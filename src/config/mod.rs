//! `throughline.yaml`: which flows, and which sources they read.
//!
//! ```text
//! load: YAML with places ─▶ variables: ${NAME} ─▶ file: a source's options ─▶ Config
//! flows: the documents that `flows:` names     schema: the same options, for editors
//! ```
//!
//! Every mistake is told at once, with its place and the remedy.

mod file;
pub mod flows;
mod load;
pub mod moment;
pub mod schema;
mod variables;

pub use load::{Loaded, Outline, load};

use crate::flow::SourceInfo;
use crate::flow::format::{Decoding, Format, Lateness, Pacing};
use crate::flow::plan::{Carries, Clock};
use crate::model::time::{Span, Time};
use crate::sources::file::Framing;
use std::path::PathBuf;

/// A configuration that has been read and checked.
#[derive(Clone, Debug)]
pub struct Config {
    /// The file that it was read from. Paths in it are relative to its folder.
    pub path: PathBuf,
    /// The files of the flows.
    pub flows: Vec<PathBuf>,
    /// How far clocks may differ.
    pub clock_skew: Span,
    /// The sources, in the order of the file.
    pub sources: Vec<SourceConfig>,
}

/// One source.
#[derive(Clone, Debug)]
pub struct SourceConfig {
    /// Its name.
    pub name: String,
    /// How its recording is read.
    pub file: FileConfig,
}

/// A recording: files on disk that are one source.
#[derive(Clone, Debug)]
pub struct FileConfig {
    /// A path or a glob, resolved against the folder of the configuration.
    pub path: String,
    /// How its records become bodies with a time.
    pub decoding: Decoding,
    /// How its times are followed.
    pub pacing: Pacing,
    /// What is there when the daemon first follows it is read as well.
    pub from_beginning: bool,
    /// Declared holes: from, to, both included.
    pub gaps: Vec<(Time, Time)>,
    /// What it carries.
    pub carries: Carries,
    /// Whose clock stamps its records.
    pub clock: Clock,
    /// The unit its times are rounded to; zero where they are exact.
    pub resolution: Span,
}

impl FileConfig {
    /// How a file of it becomes records.
    pub fn framing(&self) -> Framing {
        match self.decoding.format {
            Format::Csv { delimiter } => Framing::Csv { delimiter },
            Format::Document => Framing::Document,
            Format::Json | Format::Logfmt | Format::Regex(_) | Format::Text => Framing::Lines,
        }
    }
}

impl SourceConfig {
    /// What the flow language needs to know of it.
    pub fn info(&self) -> SourceInfo {
        let FileConfig { decoding, pacing, carries, clock, resolution, .. } = &self.file;
        SourceInfo {
            name: self.name.clone(),
            carries: *carries,
            clock: *clock,
            resolution: *resolution,
            lateness: match pacing.lateness {
                Lateness::Span(span) => span,
                Lateness::End => Span::ZERO,
            },
            lateness_end: pacing.lateness == Lateness::End,
            skips_versions: false,
            has_time: decoding.time.is_some(),
            default_dedupe_is_position: true,
            retention: None,
        }
    }
}

impl Config {
    /// What the flow language needs to know of the sources.
    pub fn source_infos(&self) -> Vec<SourceInfo> {
        self.sources.iter().map(SourceConfig::info).collect()
    }
}
