//! `throughline.yaml`: which flows, and which sources they read.
//!
//! ```text
//! load: YAML with places ─▶ variables: ${NAME} ─▶ source: what all types share, file, …: one a type ─▶ Config
//! flows: the documents that `flows:` names     schema: the same options, for editors
//! ```
//!
//! Every mistake is told at once, with its place and the remedy.

mod changes;
mod decoding;
mod file;
pub mod flows;
mod http_events;
mod kafka;
mod load;
pub mod moment;
mod mysql;
mod otlp;
pub mod outputs;
mod postgres;
mod push;
mod rabbitmq;
mod redis;
pub mod schema;
mod source;
mod sqlite;
mod tables;
mod variables;

pub use load::{Loaded, Outline, load};

use crate::flow::dialect::Dialect;
use crate::flow::format::{Decoding, Format, Lateness, Pacing};
use crate::flow::plan::{Carries, Clock};
use crate::flow::{SourceInfo, Streams};
use crate::model::time::{Span, Time};
use crate::sources::file::Framing;
use crate::sources::kafka::Options as KafkaOptions;
use crate::sources::live::Start;
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
    /// Where the daemon tells what it knows.
    pub outputs: outputs::Outputs,
}

/// One source: a system, and how its records are understood.
#[derive(Clone, Debug)]
pub struct SourceConfig {
    /// Its name.
    pub name: String,
    /// How its system is reached.
    pub tap: Tap,
    /// How its records become bodies with a time.
    pub decoding: Decoding,
    /// How its times are followed.
    pub pacing: Pacing,
    /// Where the daemon begins when it follows it for the first time.
    pub start: Start,
    /// Declared holes: from, to, both included.
    pub gaps: Vec<(Time, Time)>,
    /// What it carries.
    pub carries: Carries,
    /// Whose clock stamps its records.
    pub clock: Clock,
    /// The unit its times are rounded to; zero where they are exact.
    pub resolution: Span,
    /// It may skip versions of a row, and shows no deletes (polling).
    pub skips_versions: bool,
    /// Though it skips versions, it tells what was done, deletes too.
    pub tells_operations: bool,
    /// It tells every change of a row, deletes by the row's key alone (change capture).
    pub captures_changes: bool,
}

/// How a system is reached: one variant a type of source.
#[derive(Clone, Debug)]
pub enum Tap {
    /// Files on disk: recordings, and logs that are followed.
    File {
        /// A path or a glob, resolved against the folder of the configuration.
        path: String,
        /// What the first line of a record looks like, where records have several lines.
        begins: Option<regex::bytes::Regex>,
    },
    /// Topics of Kafka. Where to start, and the skew of clocks, are told when it is opened.
    Kafka(Box<KafkaOptions>),
    /// Tables of a PostgreSQL database.
    Postgres(crate::sources::postgres::Options),
    /// The log of changes of a PostgreSQL database.
    Changes(crate::sources::postgres::changes::Options),
    /// Tables of a MySQL or MariaDB database.
    MySql(crate::sources::mysql::Options),
    /// Keys, streams and channels of Redis. Where to start is told when it is opened.
    Redis(Box<crate::sources::redis::Options>),
    /// The binary log of a MySQL or MariaDB server.
    MySqlChanges(crate::sources::mysql::changes::Options),
    /// Tables of an SQLite database.
    Sqlite(crate::sources::sqlite::Options),
    /// Spans and log records that are sent by OTLP.
    Otlp(crate::sources::otlp::Options),
    /// Events that are posted.
    HttpEvents(crate::sources::http_events::Options),
    /// Exchanges, streams and the firehose of RabbitMQ.
    Rabbitmq(Box<crate::sources::rabbitmq::Options>),
}

impl Tap {
    /// The files that `verify` reads as recordings, several at once; `None` where the system is followed: one that is
    /// live, and files whose records have several lines.
    pub fn files(&self) -> Option<&str> {
        match self {
            Tap::File { path, begins: None } => Some(path),
            _ => None,
        }
    }
}

impl SourceConfig {
    /// What may stand behind its name in `from`, where the configuration says all of it.
    pub fn streams(&self) -> Streams {
        fn all<'a>(names: impl IntoIterator<Item = &'a str>) -> Option<Vec<String>> {
            Some(names.into_iter().map(str::to_owned).collect())
        }
        let names = match &self.tap {
            // Which table or exchange a record is of stands in the record.
            _ if matches!(self.decoding.format, Format::Dialect(_)) => None,
            Tap::Kafka(options) if options.patterns.is_empty() => all(options.topics.iter().map(String::as_str)),
            Tap::Postgres(options) => all(options.tables.iter().map(|table| table.name.as_str())),
            Tap::MySql(options) => all(options.tables.iter().map(|table| table.name.as_str())),
            Tap::Sqlite(options) => all(options.tables.iter().map(|table| table.name.as_str())),
            Tap::Changes(options) => all(options.tables.iter().map(|table| table.name.as_str())),
            Tap::MySqlChanges(options) => all(options.tables.iter().map(|table| table.name.as_str())),
            Tap::Rabbitmq(options) => all(options.taps.iter().map(|tap| tap.name.as_str())),
            Tap::Redis(options) => {
                let patterns = options.keys.iter().chain(&options.channels).map(|pattern| pattern.name.as_str());
                all(patterns.chain(options.streams.iter().map(String::as_str)))
            }
            Tap::Otlp(_) => all(["traces", "logs"]),
            Tap::File { .. } | Tap::Kafka(_) | Tap::HttpEvents(_) => None,
        };
        Streams { source: self.name.clone(), names }
    }

    /// Its polled tables of which no column says when something happened: their rows are dated by the look that meets them.
    pub fn undated_tables(&self) -> impl Iterator<Item = &str> {
        let tables = match &self.tap {
            Tap::Postgres(options) => &options.tables[..],
            Tap::MySql(options) => &options.tables[..],
            Tap::Sqlite(options) => &options.tables[..],
            _ => &[],
        };
        let undated = tables.iter().filter(|table| table.updated.is_none() && table.time.is_none());
        undated.map(|table| table.name.as_str())
    }

    /// How a file of it becomes records.
    pub fn framing(&self) -> Framing {
        match self.decoding.format {
            Format::Csv { delimiter } => Framing::Csv { delimiter },
            Format::Document => Framing::Document,
            Format::Dialect(Dialect::Jtl { delimiter }) => Framing::XmlOrCsv { delimiter },
            Format::Dialect(ref dialect) if dialect.is_document() => Framing::Document,
            Format::Json | Format::Logfmt | Format::Regex(_) | Format::Text | Format::Dialect(_) => Framing::Lines,
        }
    }

    /// What the flow language needs to know of it.
    pub fn info(&self) -> SourceInfo {
        let SourceConfig { decoding, pacing, .. } = self;
        SourceInfo {
            name: self.name.clone(),
            carries: self.carries,
            clock: self.clock,
            resolution: self.resolution,
            lateness: match pacing.lateness {
                Lateness::Span(span) => span,
                Lateness::End => Span::ZERO,
            },
            lateness_end: pacing.lateness == Lateness::End,
            skips_versions: self.skips_versions,
            tells_operations: self.tells_operations,
            captures_changes: self.captures_changes,
            has_time: decoding.time.is_some() || decoding.stamped,
            default_dedupe_is_position: !decoding.key_is_identity && !decoding.tells_effects(),
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
