//! `check --sample N`: what each step matches in real records, what it nearly matches and why not.

mod probe;

use super::human::{ERROR, GOOD, WARNING};
use super::project::Project;
use crate::config::SourceConfig;
use crate::extract::told::Piece;
use crate::extract::{Attributes, Extractor, Record};
use crate::findings::sentence::{BOLD, DIM, Shown};
use crate::flow::format::Decoding;
use crate::flow::plan::Plan;
use crate::model::observation::{Batch, Body, Position};
use crate::model::time::{Span, Time};
use crate::model::value::Value;
use crate::runtime::live::{self, Sampled};
use crate::sources::file::{Chunk, Cutter, Located, locate};
use anyhow::Context;
use probe::{Miss, Probe, probes};
use std::collections::BTreeMap;
use std::fmt::Write;
use std::sync::Arc;

/// How many examples of one thing are shown.
const EXAMPLES_MAX: usize = 3;
/// How many different values of one path are told apart.
const VALUES_MAX: usize = 1_000;
/// How much of a file is read at a time.
const BLOCK_BYTES: usize = 64 << 10;

/// Reads so many records of each source, and tells what became of them.
pub fn tell(project: &Project, count: usize) -> anyhow::Result<String> {
    let mut out = String::new();
    for source in project.config.sources.iter().filter(|source| project.plan.source_named(&source.name).is_some()) {
        let _ = writeln!(out, "{DIM}source{DIM:#} {BOLD}{}{BOLD:#}", source.name);
        out.push_str(&tell_one(project, source, count)?);
        out.push('\n');
    }
    Ok(out)
}

/// The same of one source.
pub fn tell_one(project: &Project, source: &SourceConfig, count: usize) -> anyhow::Result<String> {
    let mut sample = Sample::new(&project.plan, source);
    let context = || format!("source `{}` cannot be sampled", source.name);
    sample.take(count, project.config.clock_skew).with_context(context)?;
    Ok(sample.told(&project.plan))
}

/// Some records of one source, and what the steps make of them.
struct Sample<'a> {
    source: &'a SourceConfig,
    probes: Vec<(Probe, Seen)>,
    extractor: Extractor,
    records: usize,
    unreadable: Examples,
    /// Records that no step matches.
    unmatched: Examples,
}

/// How many there are, and the first of them.
#[derive(Default)]
struct Examples {
    count: usize,
    first: Vec<String>,
}

impl Examples {
    fn add(&mut self, one: String) {
        self.count += 1;
        if self.first.len() < EXAMPLES_MAX {
            self.first.push(one);
        }
    }

    fn told(&self, out: &mut String, style: anstyle::Style, what: &str) {
        if self.count == 0 {
            return;
        }
        let _ = writeln!(out, "    {style}{}{style:#} {what}:", self.count);
        self.first.iter().for_each(|one| {
            let _ = writeln!(out, "      {one}");
        });
        if self.count > self.first.len() {
            let _ = writeln!(out, "      … and {} more", self.count - self.first.len());
        }
    }
}

/// What one step made of the records.
#[derive(Default)]
struct Seen {
    matched: usize,
    /// The first that matched: where it stands, its keys and what is kept of it.
    first: Option<String>,
    near: Examples,
    /// By path: the values that were found where the condition failed.
    found: BTreeMap<String, BTreeMap<String, usize>>,
    /// By key name: the places where its value is no key, and why.
    no_key: BTreeMap<String, Examples>,
    /// By kept name: how often it was null.
    null_keep: BTreeMap<String, usize>,
}

impl<'a> Sample<'a> {
    fn new(plan: &Arc<Plan>, source: &'a SourceConfig) -> Sample<'a> {
        let (asking, probes) = probes(plan, &source.name);
        let decoding = Decoding { strict: true, ..source.decoding.clone() };
        Sample {
            source,
            extractor: Extractor::new(&[Arc::new(asking)], &source.name, &decoding),
            probes: probes.into_iter().map(|probe| (probe, Seen::default())).collect(),
            records: 0,
            unreadable: Examples::default(),
            unmatched: Examples::default(),
        }
    }

    /// Takes the first records of each file, so many in all.
    fn take(&mut self, count: usize, clock_skew: Span) -> anyhow::Result<()> {
        let Some(path) = self.source.tap.files() else { return self.take_live(count, clock_skew) };
        let files = locate(path)?;
        let each = count.div_ceil(files.len().max(1));
        for (part, file) in files.iter().enumerate() {
            let wanted = (self.records + each).min(count);
            self.take_file(part as u32, file, wanted).with_context(|| file.name.clone())?;
        }
        Ok(())
    }

    /// Takes some records of a live system.
    fn take_live(&mut self, count: usize, clock_skew: Span) -> anyhow::Result<()> {
        let source = self.source;
        live::sample(source, clock_skew, count, &mut |sampled| match sampled {
            Sampled::Record(record) => {
                let place = format!("{}:{}", record.part, record.position.offset);
                self.ask(&record, &place);
            }
            Sampled::Header(part, header) => {
                if let Err(why) = self.extractor.header(header) {
                    self.unreadable.add(format!("{part}: {why}"));
                }
            }
            Sampled::Undecodable(place, why) => {
                self.records += 1;
                self.unreadable.add(format!("{place}: {why}"));
            }
        })?;
        Ok(())
    }

    fn take_file(&mut self, part: u32, file: &Located, wanted: usize) -> anyhow::Result<()> {
        let mut cutter = Cutter::open(&file.path, self.source.framing(), BLOCK_BYTES, &Arc::default())?;
        let mut chunk = Chunk::default();
        loop {
            cutter.next(&mut chunk);
            if let Some(Err(why)) = chunk.header().map(|header| self.extractor.header(header)) {
                self.unreadable.add(format!("{}: {why}", file.name));
                return Ok(());
            }
            for problem in chunk.problems() {
                self.unreadable.add(format!("{}:{}: {}", file.name, problem.line, problem.detail));
            }
            for at in chunk.records() {
                if self.records >= wanted {
                    return Ok(());
                }
                let position = Position { part, offset: at.line, element: 0 };
                let record = Record {
                    payload: chunk.bytes(at),
                    position,
                    ingest: Time(0),
                    part: &file.name,
                    attributes: Attributes::default(),
                };
                self.ask(&record, &format!("{}:{}", file.name, at.line));
            }
            if chunk.is_last() {
                return Ok(());
            }
        }
    }

    fn ask(&mut self, record: &Record<'_>, place: &str) {
        for piece in self.extractor.unfold(record) {
            self.ask_piece(record, piece, place);
        }
    }

    fn ask_piece(&mut self, record: &Record<'_>, piece: (u32, Piece<'_>), place: &str) {
        self.records += 1;
        let mut batch = Batch::default();
        if let Err(why) = self.extractor.piece(record, piece, Time::MAX, std::slice::from_mut(&mut batch)) {
            self.unreadable.add(format!("{place}: {why}"));
            return;
        }
        let mut missed = Vec::new();
        let mut matched = false;
        for entry in batch.entries() {
            let (probe, seen) = &mut self.probes[usize::from(entry.step)];
            let kept = Body::read(batch.body(entry));
            match probe.miss(&kept) {
                None => {
                    matched = true;
                    seen.matched(probe, &kept, place);
                }
                Some(miss) => missed.push((usize::from(entry.step), miss)),
            }
        }
        for (step, miss) in missed {
            self.probes[step].1.missed(miss, !matched, place);
        }
        if !matched {
            let text = String::from_utf8_lossy(record.payload).trim().to_owned();
            let shown =
                if self.source.decoding.redact.is_empty() { format!("  {}", Shown(&text)) } else { String::new() };
            self.unmatched.add(format!("{place}{shown}"));
        }
    }

    fn told(&self, plan: &Plan) -> String {
        let mut out = String::new();
        let read = self.records - self.unreadable.count.min(self.records);
        let style = if read > 0 { GOOD } else { WARNING };
        let _ = writeln!(out, "  {style}{read}{style:#} records read");
        self.unreadable.told(&mut out, ERROR, "could not be read");
        self.unmatched.told(&mut out, WARNING, "match no step");
        for (probe, seen) in &self.probes {
            let flow = &plan.flows[probe.flow];
            let step = &flow.steps[probe.step];
            let style = if seen.matched > 0 { GOOD } else { WARNING };
            let _ =
                writeln!(out, "  {} / {BOLD}{}{BOLD:#} matches {style}{}{style:#}", flow.name, step.name, seen.matched);
            seen.told(&mut out);
        }
        out
    }
}

impl Seen {
    fn matched(&mut self, probe: &Probe, kept: &Body<'_>, place: &str) {
        self.matched += 1;
        self.first.get_or_insert_with(|| {
            let fields = probe.keys.iter().chain(&probe.keeps);
            let fields = fields.map(|(name, field)| format!("{name}={}", Shown(&kept.field(*field).display())));
            format!("{place}  {}", fields.collect::<Vec<_>>().join(" "))
        });
        for (name, field) in &probe.keys {
            if let Some(why) = no_key(&kept.field(*field)) {
                self.no_key.entry(name.clone()).or_default().add(format!("{place}: {why}"));
            }
        }
        for (name, field) in &probe.keeps {
            *self.null_keep.entry(name.clone()).or_default() += usize::from(kept.field(*field) == Value::Null);
        }
    }

    fn missed(&mut self, miss: Miss, nobody_else: bool, place: &str) {
        if miss.near && nobody_else {
            self.near.add(format!("{place}: {}", miss.failed.join("; ")));
        }
        for (path, value) in miss.found {
            let values = self.found.entry(path).or_default();
            if values.len() < VALUES_MAX || values.contains_key(&value) {
                *values.entry(value).or_default() += 1;
            }
        }
    }

    fn told(&self, out: &mut String) {
        if let Some(first) = &self.first {
            let _ = writeln!(out, "    {DIM}{first}{DIM:#}");
        }
        self.near.told(out, WARNING, "nearly match");
        if self.matched == 0 && self.near.count == 0 {
            for (path, values) in &self.found {
                let mut values: Vec<_> = values.iter().collect();
                values.sort_by_key(|(_, count)| std::cmp::Reverse(**count));
                let shown =
                    values.iter().take(2 * EXAMPLES_MAX).map(|(value, count)| format!("{} ({count})", Shown(value)));
                let shown: Vec<_> = shown.collect();
                let more = if values.len() > shown.len() { ", …" } else { "" };
                let _ = writeln!(out, "    {path} is {}{more}", shown.join(", "));
            }
        }
        for (name, places) in &self.no_key {
            places.told(out, WARNING, &format!("have no key `{name}`"));
        }
        for (name, _) in self.null_keep.iter().filter(|(_, nulls)| self.matched > 0 && **nulls == self.matched) {
            let _ = writeln!(out, "    {WARNING}`{name}` is null in all of them{WARNING:#}: is its path right?");
        }
    }
}

/// Why a value cannot be a key; `None` where it can.
fn no_key(value: &Value<'_>) -> Option<&'static str> {
    match value {
        Value::Null => Some("it is null or absent"),
        Value::Text(text) if text.is_empty() => Some("it is empty"),
        Value::Bool(_) => Some("it is true or false"),
        Value::Json(text) if text.starts_with('{') => Some("it is an object"),
        _ => None,
    }
}
