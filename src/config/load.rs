//! From the text of `throughline.yaml` to a checked [`Config`].

use super::outputs::{self, Outputs};
use super::variables::{self, Environment};
use super::{Config, SourceConfig, file, flows, http_events, kafka, mysql, otlp, postgres, rabbitmq, redis, sqlite};
use crate::flow::SourceInfo;
use crate::flow::diagnostic::{Diagnostic, Diagnostics, Document, Problem};
use crate::flow::fields::{self, Fields};
use crate::flow::plan::{Carries, Clock};
use crate::flow::yaml::{self, Entry, Node};
use crate::model::time::Span;
use std::path::{Path, PathBuf};

/// How far clocks may differ where nothing else is said.
const CLOCK_SKEW: Span = Span::seconds(5);

/// Types of sources that this version knows.
const KNOWN: [&str; 9] = ["file", "http", "kafka", "mysql", "otlp", "postgres", "rabbitmq", "redis", "sqlite"];

/// What a file says, mistakes and all.
#[derive(Debug)]
pub struct Loaded {
    /// The configuration; `None` where a mistake stands in the way.
    pub config: Option<Config>,
    /// As much of it as the flows can be checked against in spite of mistakes.
    pub outline: Outline,
    /// All that is wrong with it.
    pub diagnostics: Vec<Diagnostic>,
}

/// What flows need to know of a configuration.
#[derive(Clone, Debug)]
pub struct Outline {
    /// The files of the flows.
    pub flows: Vec<PathBuf>,
    /// How far clocks may differ.
    pub clock_skew: Span,
    /// The sources.
    pub sources: Vec<SourceInfo>,
}

/// Reads the configuration with the process's environment.
pub fn load(path: &Path) -> Loaded {
    match flows::read(path) {
        Ok(document) => from_document(document, &|name| std::env::var(name).ok()),
        Err(diagnostic) => {
            let help = "`-c FILE` names the configuration; without it, it is throughline.yaml in this folder";
            let diagnostics = vec![Diagnostic { help: Some(help.into()), ..*diagnostic }];
            Loaded { config: None, outline: Outline::empty(), diagnostics }
        }
    }
}

impl Outline {
    fn empty() -> Outline {
        Outline { flows: Vec::new(), clock_skew: CLOCK_SKEW, sources: Vec::new() }
    }
}

/// The same from a text that has been read already.
pub(super) fn from_document(document: Document, environment: &Environment<'_>) -> Loaded {
    let documents = [document];
    let diagnostics = Diagnostics::new(&documents);
    let root = yaml::parse(0, &diagnostics).map(|mut root| {
        variables::substitute(&mut root, environment, &diagnostics);
        root
    });
    let path = &documents[0].path;
    let (outline, sources, outputs) = root.and_then(|root| config(&root, path, &diagnostics)).unwrap_or((
        Outline::empty(),
        Vec::new(),
        Outputs::default(),
    ));
    let config = (!diagnostics.has_errors()).then(|| Config {
        path: path.clone(),
        flows: outline.flows.clone(),
        clock_skew: outline.clock_skew,
        sources,
        outputs,
    });
    Loaded { config, outline, diagnostics: diagnostics.into_list() }
}

/// Reads all of it. A source with mistakes is in the outline alone.
fn config(root: &Node, path: &Path, diagnostics: &Diagnostics<'_>) -> Option<(Outline, Vec<SourceConfig>, Outputs)> {
    let folder = path.parent().unwrap_or(Path::new(""));
    let fields = Fields::new(root, "the configuration", diagnostics)?;
    let flows = fields.required("flows", "say where the flows are: `flows: flows/`, or a list of files");
    let flows = flows.map(|node| flows::named(node, folder, path, diagnostics)).unwrap_or_default();
    let clock_skew = fields.duration("clock_skew").map_or(CLOCK_SKEW, |span| span.value);
    let entries = fields
        .required("sources", "name what is read: `sources: {events: {type: file, path: events.jsonl, format: json}}`")
        .and_then(|node| fields::map(node, "sources", diagnostics));
    if let (Some([]), Some(node)) = (entries, root.get("sources")) {
        Problem::error("empty-value", node.place, "there are no sources")
            .help("name at least one: `events: {type: file, path: events.jsonl, format: json, time: body.ts}`")
            .report(diagnostics);
    }
    let (mut infos, mut sources) = (Vec::new(), Vec::new());
    for entry in entries.unwrap_or_default() {
        let source = source(entry, folder, clock_skew, diagnostics);
        infos.push(source.as_ref().map_or_else(|| unknown(&entry.key.value), SourceConfig::info));
        sources.extend(source);
    }
    let outputs = outputs::config(&fields, diagnostics);
    fields.finish();
    Some((Outline { flows, clock_skew, sources: infos }, sources, outputs))
}

/// What flows may assume of a source that could not be read: its name, and nothing to complain of.
fn unknown(name: &str) -> SourceInfo {
    SourceInfo {
        name: name.to_owned(),
        carries: Carries::Lines,
        clock: Clock::PerPart,
        resolution: Span::ZERO,
        lateness: Span::ZERO,
        lateness_end: false,
        skips_versions: false,
        tells_operations: false,
        captures_changes: false,
        has_time: true,
        default_dedupe_is_position: false,
        retention: None,
    }
}

fn source(entry: &Entry, folder: &Path, clock_skew: Span, diagnostics: &Diagnostics<'_>) -> Option<SourceConfig> {
    let name = &entry.key.value;
    if name.is_empty() || !name.chars().all(|c| c.is_alphanumeric() || c == '_' || c == '-') {
        Problem::error("bad-name", entry.key.place, format!("`{name}` cannot be the name of a source"))
            .help("names are made of letters, digits, `_` and `-`; steps refer to them as `source` or `source.topic`")
            .report(diagnostics);
    }
    let what = format!("source `{name}`");
    let fields = Fields::new(&entry.value, &what, diagnostics)?;
    fields.required("type", "`type: file` reads recordings")?;
    let kind = fields.text("type")?;
    let source = match kind.value.as_str() {
        "file" => file::config(name, &fields, folder, diagnostics),
        "http" => http_events::config(name, &fields, folder, diagnostics),
        "kafka" => kafka::config(name, &fields, folder, diagnostics),
        "mysql" => mysql::config(name, &fields, clock_skew, diagnostics),
        "otlp" => otlp::config(name, &fields, folder, diagnostics),
        "postgres" => postgres::config(name, &fields, clock_skew, diagnostics),
        "rabbitmq" => rabbitmq::config(name, &fields, folder, clock_skew, diagnostics),
        "redis" => redis::config(name, &fields, folder, diagnostics),
        "sqlite" => sqlite::config(name, &fields, folder, clock_skew, diagnostics),
        other => {
            Problem::error("unknown-value", kind.place, format!("there is no source type `{other}`"))
                .suggest(other, KNOWN)
                .report(diagnostics);
            return None;
        }
    };
    fields.finish();
    source
}

#[cfg(test)]
pub(super) mod fixture;
#[cfg(test)]
mod tests;
