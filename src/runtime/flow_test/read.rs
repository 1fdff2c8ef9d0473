//! A test file: read, and checked against its flow.

use super::case::Context;
use crate::config::moment;
use crate::flow::SourceInfo;
use crate::flow::diagnostic::{Diagnostics, Document, Problem, Spanned};
use crate::flow::fields::{self, Fields};
use crate::flow::plan::{Carries, Clock, Plan};
use crate::flow::yaml::{self, Node};
use crate::model::CheckId;
use crate::model::time::{Span, Time};
use crate::model::verdict::{Class, Reason, Status};
use chrono_tz::Tz;

/// How far clocks may differ where a test file says nothing else.
const CLOCK_SKEW: Span = Span::seconds(5);
/// When a test begins where its file says nothing else: 2026-01-01.
const START: Time = Time(1_767_225_600_000_000_000);
/// A test file.
#[derive(Debug)]
pub(super) struct TestFile {
    /// The moment that offsets count from.
    pub start: Time,
    /// Its tests.
    pub cases: Vec<Case>,
}

/// One test.
#[derive(Debug)]
pub(super) struct Case {
    pub name: String,
    pub line: usize,
    /// In the order of the file.
    pub records: Vec<TestRecord>,
    pub outages: Vec<Stretch>,
    pub gaps: Vec<Stretch>,
    /// When the watch ends.
    pub until: Span,
    pub expect: Vec<Expected>,
    pub undecided: Vec<Undecided>,
}

/// A record that a source yields.
#[derive(Debug)]
pub(super) struct TestRecord {
    pub at: Span,
    pub reads: String,
    pub select: Option<String>,
    /// What the extractor decodes.
    pub payload: String,
    pub key: Option<String>,
    /// It must match no step.
    pub ignored: bool,
    pub line: usize,
}

impl TestRecord {
    /// Which one it is, for people.
    pub fn describe(&self) -> String {
        format!("the record at {} (line {})", self.at, self.line)
    }
}

/// A stretch of time of one source; without an end it lasts.
#[derive(Debug)]
pub(super) struct Stretch {
    pub reads: String,
    pub from: Option<Span>,
    pub to: Option<Span>,
}

/// A finding that must come; what is not written may be anything.
#[derive(Debug)]
pub(super) struct Expected {
    pub check: CheckId,
    pub key: String,
    pub by: Option<String>,
    pub class: Option<Class>,
    pub status: Option<Status>,
}

/// A check that must be undecided.
#[derive(Debug)]
pub(super) struct Undecided {
    pub about: Expected,
    pub reason: Option<Reason>,
}

/// The sources that flows and shared steps name, each once.
pub(super) fn source_names(documents: &[Document]) -> Vec<String> {
    // What is wrong with the documents is told when they are compiled.
    let diagnostics = Diagnostics::new(documents);
    let mut names: Vec<String> = Vec::new();
    for root in (0..documents.len()).filter_map(|at| yaml::parse(at, &diagnostics)) {
        for (group, field) in [("steps", "from"), ("checks", "in")] {
            let entries = root.get(group).and_then(Node::entries).unwrap_or_default();
            let texts = entries.iter().filter_map(|entry| entry.value.get(field)?.scalar());
            names.extend(texts.map(|scalar| parts(&scalar.text).0.to_owned()));
        }
    }
    names.sort();
    names.dedup();
    names
}

/// `events.orders` is the topic `orders` of the source `events`.
pub(super) fn parts(from: &str) -> (&str, Option<&str>) {
    from.split_once('.').map_or((from, None), |(source, select)| (source, Some(select)))
}

/// Reads a test file.
pub(super) struct Reader<'a> {
    fields: Fields<'a>,
    sources: Vec<String>,
    diagnostics: &'a Diagnostics<'a>,
}

impl<'a> Reader<'a> {
    pub fn new(root: &'a Node, sources: Vec<String>, diagnostics: &'a Diagnostics<'a>) -> Option<Reader<'a>> {
        Fields::new(root, "a test file", diagnostics).map(|fields| Reader { fields, sources, diagnostics })
    }

    /// What the sources are like, and how far clocks may differ.
    pub fn sources(&self) -> (Vec<SourceInfo>, Span) {
        let mut infos: Vec<SourceInfo> = self.sources.iter().map(|name| quiet_source(name)).collect();
        let entries = self.fields.get("sources").and_then(|node| fields::map(node, "sources", self.diagnostics));
        for entry in entries.unwrap_or_default() {
            let Some(info) = infos.iter_mut().find(|info| info.name == entry.key.value) else {
                unknown_source(&entry.key, self.sources.iter().map(String::as_str), self.diagnostics);
                continue;
            };
            let Some(fields) = Fields::new(&entry.value, "a source of a test", self.diagnostics) else { continue };
            let carries = [("messages", Carries::Messages), ("rows", Carries::Rows), ("lines", Carries::Lines)];
            info.carries = fields.choice("carries", &carries).unwrap_or(info.carries);
            info.clock = fields.choice("clock", &[("one", Clock::One), ("many", Clock::Many)]).unwrap_or(info.clock);
            info.resolution = fields.duration("resolution").map_or(info.resolution, |span| span.value);
            fields.finish();
        }
        let skew = self.fields.duration("clock_skew").map_or(CLOCK_SKEW, |span| span.value);
        (infos, skew)
    }

    /// The tests. What is wrong with them is told; then they should not run.
    pub fn tests(self, plan: &Plan) -> Option<TestFile> {
        self.fields.has("flow");
        let start = self.fields.text("start").map_or(Some(START), |text| self.moment(&text));
        let node = self.fields.required("tests", "write `tests: [{name: …, records: […], expect: […]}]`");
        let items = node.and_then(|node| fields::list(node, "tests", self.diagnostics)).unwrap_or_default();
        let context =
            Context { flow: &plan.flows[0], sources: &self.sources, start: start?, diagnostics: self.diagnostics };
        let cases = items.iter().filter_map(|item| context.case(item)).collect();
        self.fields.finish();
        Some(TestFile { start: start?, cases })
    }

    fn moment(&self, text: &Spanned<String>) -> Option<Time> {
        let time = moment::read(&text.value, Tz::UTC);
        if time.is_none() {
            let problem = Problem::error("bad-time", text.place, format!("`{}` is not a time", text.value));
            problem.help(moment::FORMS).report(self.diagnostics);
        }
        time
    }
}

/// Tells that no step reads from such a source.
pub(super) fn unknown_source<'k>(
    text: &Spanned<String>,
    known: impl Iterator<Item = &'k str>,
    diagnostics: &Diagnostics<'_>,
) {
    let message = format!("no step of the flow reads from `{}`", text.value);
    Problem::error("unknown-source", text.place, message).suggest(&text.value, known).report(diagnostics);
}

/// A source that says nothing of itself: as a recording would without options.
fn quiet_source(name: &str) -> SourceInfo {
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
        default_dedupe_is_position: true,
        retention: None,
    }
}
