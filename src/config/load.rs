//! From the text of `throughline.yaml` to a checked [`Config`].

use super::variables::{self, Environment};
use super::{Config, SourceConfig, file, flows};
use crate::flow::SourceInfo;
use crate::flow::diagnostic::{Diagnostic, Diagnostics, Document, Problem};
use crate::flow::fields::{self, Fields};
use crate::flow::plan::{Carries, Clock};
use crate::flow::yaml::{self, Entry, Node};
use crate::model::time::Span;
use std::path::{Path, PathBuf};

/// How far clocks may differ where nothing else is said.
const CLOCK_SKEW: Span = Span::seconds(5);

/// Types of sources that a later version will know.
const LATER: [&str; 8] = ["kafka", "rabbitmq", "postgres", "mysql", "redis", "sqlite", "otlp", "http"];

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
    let (outline, sources) =
        root.and_then(|root| config(&root, path, &diagnostics)).unwrap_or((Outline::empty(), Vec::new()));
    let config = (!diagnostics.has_errors()).then(|| Config {
        path: path.clone(),
        flows: outline.flows.clone(),
        clock_skew: outline.clock_skew,
        sources,
    });
    Loaded { config, outline, diagnostics: diagnostics.into_list() }
}

/// Reads all of it. A source with mistakes is in the outline alone.
fn config(root: &Node, path: &Path, diagnostics: &Diagnostics<'_>) -> Option<(Outline, Vec<SourceConfig>)> {
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
        let source = source(entry, folder, diagnostics);
        infos.push(source.as_ref().map_or_else(|| unknown(&entry.key.value), SourceConfig::info));
        sources.extend(source);
    }
    fields.finish();
    Some((Outline { flows, clock_skew, sources: infos }, sources))
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
        captures_changes: false,
        has_time: true,
        default_dedupe_is_position: false,
        retention: None,
    }
}

fn source(entry: &Entry, folder: &Path, diagnostics: &Diagnostics<'_>) -> Option<SourceConfig> {
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
    match kind.value.as_str() {
        "file" => {
            let source = file::config(name, &fields, folder, diagnostics);
            fields.finish();
            source
        }
        later if LATER.contains(&later) => {
            let message = format!("sources of type `{later}` are not in this version");
            Problem::error("not-in-this-version", kind.place, message)
                .help("`type: file` reads a recording of it: one JSON document a line, CSV, logfmt or a log")
                .report(diagnostics);
            None
        }
        other => {
            let known = LATER.into_iter().chain(["file"]);
            Problem::error("unknown-value", kind.place, format!("there is no source type `{other}`"))
                .suggest(other, known)
                .report(diagnostics);
            None
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::schema;
    use crate::flow::format::{Format, Lateness};
    use crate::sources::live::Start;
    use std::fmt::Write;

    /// A folder with a flow, so that `flows:` can be right.
    fn folder() -> tempfile::TempDir {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("order.yaml"), "flow: order\n").unwrap();
        folder
    }

    fn loaded(text: &str) -> (Option<Config>, String) {
        let folder = folder();
        let document = Document { path: folder.path().join("throughline.yaml"), text: text.into() };
        let environment = |name: &str| (name == "EVENTS").then(|| "given.jsonl".to_owned());
        let Loaded { config, diagnostics, .. } = from_document(document, &environment);
        let mut told = String::new();
        diagnostics.iter().for_each(|d| {
            let _ = write!(told, "{d}");
        });
        (config, told.replace(&format!("{}/", folder.path().display()), ""))
    }

    /// The configuration that a text without mistakes gives.
    fn good(text: &str) -> Config {
        let (config, told) = loaded(text);
        config.unwrap_or_else(|| panic!("{told}"))
    }

    /// What is said of a text with mistakes.
    fn mistakes(text: &str) -> String {
        let (config, told) = loaded(text);
        assert!(config.is_none(), "nothing is wrong with it");
        told
    }

    const FULL: &str = r#"
flows: [order.yaml]
clock_skew: 2s
sources:
  app:
    type: file
    path: "logs/*.csv.gz"
    format: csv
    delimiter: ";"
    time: body.at
    time_format: "%d/%b/%Y:%H:%M:%S"
    zone: Europe/Berlin
    key: body.key
    op: body.op
    parse:
      - {from: body.Log, json: body.log}
      - {from: body.fields, logfmt: body.more}
      - {from: body.log.msg, regex: 'order (?<order_id>\S+) paid in (?<ms>\d+) ms', into: body}
    lateness: end
    start: beginning
    decode: strict
    undecodable: skip
    clock: many
    resolution: 1ms
    gaps: [{from: 2023-01-29T08:50:00Z, to: "2023-01-29 09:53"}]
    silence: 60s
    carries: messages
    redact: [body.email, "body.items[0].iban"]
    jump_max: 2d
  log: {type: file, path: "${LOG:-app.log}", format: regex, pattern: '^(?<at>\S+) (?<text>.*)$', time: body.at, lateness: 1m}
  events: {type: file, path: "${EVENTS}", format: json, time: body.ts}
"#;

    #[test]
    fn every_option_of_a_recording_is_read() {
        let config = good(FULL);
        assert_eq!(config.clock_skew, Span::seconds(2));
        let app = &config.sources[0];
        assert!(app.tap.files().unwrap().ends_with("/logs/*.csv.gz"));
        assert!(matches!(app.decoding.format, Format::Csv { delimiter: b';' }));
        assert_eq!(app.decoding.zone, chrono_tz::Europe::Berlin);
        assert_eq!((app.decoding.parse.len(), app.decoding.redact.len()), (3, 2));
        assert!(app.decoding.strict && app.start == Start::Beginning && !app.pacing.undecodable_is_gap);
        assert_eq!(app.pacing.lateness, Lateness::End);
        assert_eq!(app.pacing.silence, Some(Span::seconds(60)));
        assert_eq!(app.pacing.jump_max, Span::seconds(2 * 86_400));
        assert_eq!((app.clock, app.carries, app.resolution), (Clock::Many, Carries::Messages, Span(1_000_000)));
        assert_eq!(app.gaps[0].1.to_string(), "2023-01-29T08:53:00Z");
    }

    #[test]
    fn what_is_not_said_has_a_default() {
        let config = good(FULL);
        let [_, log, events] = &config.sources[..] else { panic!("three sources") };
        assert!(
            log.tap.files().unwrap().ends_with("/app.log") && events.tap.files().unwrap().ends_with("/given.jsonl")
        );
        assert!(!log.pacing.undecodable_is_gap, "a log may carry prose");
        assert!(events.pacing.undecodable_is_gap, "in JSON every line counts");
        assert!(!events.decoding.strict);
        assert_eq!(events.pacing.lateness, Lateness::Span(Span::ZERO));
        assert_eq!(events.pacing.jump_max, Span::seconds(86_400));
        assert_eq!((events.clock, events.carries), (Clock::PerPart, Carries::Lines));
    }

    #[test]
    fn all_mistakes_are_told_at_once_with_place_and_remedy() {
        insta::assert_snapshot!(mistakes(
            r#"flows: floes/
clock_scew: 5s
sources:
  ev.ents: {type: file, path: a.jsonl, format: jsn, tme: body.ts}
  events: {type: file, path: "${NOWHERE}/a.jsonl", format: json, lateness: soon, zone: Europe/Berln}
  log: {type: file, format: regex, time: ts, redact: [email], clock: two}
  parsed:
    type: file
    path: "${1}"
    format: csv
    delimiter: "::"
    pattern: x
    time_format: hours
    parse: [{from: body.a}, {from: body.b, json: body.c, into: body}, {from: body.d, regex: "(x"}, {from: body.e, regex: x}]
    gaps: [{from: 2023-01-29T08:50:00Z}, {from: 2023-01-30, to: 2023-01-29}, {from: monday, to: 2023-01-29}]
  events_kafka: {type: kafka, brokers: "kafka:9092", topics: [orders]}
  other: {type: kafak}
  untyped: {path: a.jsonl}
"#
        ));
    }

    #[test]
    fn a_configuration_that_says_nothing_is_told_what_to_say() {
        insta::assert_snapshot!(mistakes("sources: {}\n"));
        assert!(mistakes("").contains("the document is empty"));
        assert!(mistakes("- a\n").contains("should be a map"));
    }

    #[test]
    fn a_missing_file_is_named() {
        let Loaded { config, diagnostics, .. } = load(Path::new("/nowhere/throughline.yaml"));
        assert!(config.is_none());
        assert!(diagnostics[0].to_string().contains("/nowhere/throughline.yaml cannot be read"), "{}", diagnostics[0]);
    }

    #[test]
    fn the_schema_knows_what_the_loader_reads() {
        let schema = schema::schema();
        let full = json(FULL);
        jsonschema::validate(&schema, &full).unwrap();
        let known = schema["properties"]["sources"]["additionalProperties"]["properties"].as_object().unwrap();
        for option in known.keys() {
            assert!(["app", "log"].iter().any(|source| full["sources"][source].get(option).is_some()), "{option}");
        }
        let mut wrong = full.clone();
        wrong["sources"]["events"]["tme"] = "body.ts".into();
        assert!(!jsonschema::is_valid(&schema, &wrong));
    }

    /// The document as other tools see it.
    fn json(text: &str) -> serde_json::Value {
        let documents = [Document { path: "throughline.yaml".into(), text: text.into() }];
        to_json(&yaml::parse(0, &Diagnostics::new(&documents)).unwrap())
    }

    fn to_json(node: &Node) -> serde_json::Value {
        match &node.content {
            yaml::Content::Map(entries) => {
                entries.iter().map(|entry| (entry.key.value.clone(), to_json(&entry.value))).collect()
            }
            yaml::Content::List(items) => items.iter().map(to_json).collect(),
            yaml::Content::Scalar(scalar) => scalar.text.as_str().into(),
            yaml::Content::Refused => serde_json::Value::Null,
        }
    }
}
