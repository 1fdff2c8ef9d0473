//! Plays one test: its records in virtual time through the extractor and the engine.

use super::body::{AT, OP};
use super::compare::Difference;
use super::read::{Case, Stretch, TestFile, TestRecord};
use crate::engine::trace::Trace;
use crate::engine::{Input, Pace};
use crate::extract::{Attributes, Extractor, Record};
use crate::flow::format::{Decoding, Format};
use crate::flow::plan::{Form, Path, Plan, Root, Segment};
use crate::model::SourceId;
use crate::model::finding::Finding;
use crate::model::observation::{Batch, Position};
use crate::model::time::{Span, Time};
use crate::runtime::driver::Driver;
use std::collections::BTreeMap;
use std::io;
use std::slice;
use std::sync::Arc;

/// What came of a test.
#[derive(Debug, Default)]
pub(super) struct Played {
    pub findings: Vec<Finding>,
    /// What is known of the transactions that the test speaks of, by their key.
    pub traces: BTreeMap<String, Trace>,
    /// Records that did not become what they should.
    pub differences: Vec<Difference>,
    pub remarks: Vec<String>,
}

/// What happens at a moment; in this order where several happen at once.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
enum Event {
    /// The source with this index comes back.
    Up(SourceId),
    /// It goes down.
    Down(SourceId),
    /// The record with this index arrives.
    Arrives(usize),
}

/// Runs a test to its end.
pub(super) fn play(plan: &Arc<Plan>, file: &TestFile, case: &Case) -> io::Result<Played> {
    let mut stage = Stage {
        plan,
        case,
        start: file.start,
        driver: Driver::new(plan.clone(), Pace::Live)?,
        down: vec![false; plan.sources.len()],
        extractors: BTreeMap::new(),
        played: Played::default(),
    };
    stage.begin()?;
    for (at, event) in stage.events() {
        stage.advance(at)?;
        match event {
            Event::Up(source) => stage.set_down(source, false)?,
            Event::Down(source) => stage.set_down(source, true)?,
            Event::Arrives(record) => stage.arrive(record)?,
        }
    }
    stage.end()
}

struct Stage<'a> {
    plan: &'a Arc<Plan>,
    case: &'a Case,
    start: Time,
    driver: Driver,
    down: Vec<bool>,
    /// By source.
    extractors: BTreeMap<String, Extractor>,
    played: Played,
}

impl Stage<'_> {
    /// All sources have been watched for ever. Only runs that were due before the start are nobody's concern.
    fn begin(&mut self) -> io::Result<()> {
        for source in self.sources() {
            let at = if self.is_scheduled(source) { self.start } else { Time::MIN };
            self.driver.feed(Input::Begins { source, at })?;
        }
        for gap in &self.case.gaps {
            let from = gap.from.map_or(Time::MIN, |from| self.start + from);
            let to = gap.to.map(|to| self.start + to);
            for source in self.evidence_of(&gap.reads) {
                self.driver.feed(Input::Gap { source, from, to })?;
            }
        }
        Ok(())
    }

    /// Everything that happens, by its moment. What a source says while it is down arrives when it is back.
    fn events(&self) -> Vec<(Span, Event)> {
        let mut events = Vec::new();
        for outage in &self.case.outages {
            for source in self.evidence_of(&outage.reads) {
                events.push((outage.from.unwrap_or(Span::ZERO), Event::Down(source)));
                events.extend(outage.to.map(|to| (to, Event::Up(source))));
            }
        }
        for (index, record) in self.case.records.iter().enumerate() {
            let outage =
                self.case.outages.iter().find(|outage| outage.reads == record.reads && holds(outage, record.at));
            let arrives = outage.map_or(Some(record.at), |outage| outage.to);
            events.extend(arrives.map(|at| (at, Event::Arrives(index))));
        }
        events.sort();
        events
    }

    /// Time goes on: every source that is up has delivered everything before `at`.
    fn advance(&mut self, at: Span) -> io::Result<()> {
        for source in self.sources() {
            let spec = &self.plan.sources[source as usize];
            if !self.down[source as usize] && !spec.lateness_end {
                self.driver.feed(Input::Progress { source, to: self.start + at - spec.lateness })?;
            }
        }
        Ok(())
    }

    fn set_down(&mut self, source: SourceId, down: bool) -> io::Result<()> {
        self.down[source as usize] = down;
        self.driver.feed(Input::Down { source, down })?;
        Ok(())
    }

    fn arrive(&mut self, index: usize) -> io::Result<()> {
        let test = &self.case.records[index];
        let new = || Extractor::new(slice::from_ref(self.plan), &test.reads, &decoding());
        let extractor = self.extractors.entry(test.reads.clone()).or_insert_with(new);
        let position = Position { part: 0, offset: index as u64, element: 0 };
        let record = Record {
            payload: test.payload.as_bytes(),
            position,
            ingest: self.start + test.at,
            part: "",
            attributes: Attributes {
                stream: test.select.as_deref(),
                key: test.key.as_deref(),
                ..Attributes::default()
            },
        };
        let mut batch = Batch::default();
        let matched = match extractor.record(&record, Time::MAX, slice::from_mut(&mut batch)) {
            Ok(extracted) => extracted.matched > 0,
            Err(why) => {
                self.differ(test, "is readable", &why.detail);
                return Ok(());
            }
        };
        match (matched, test.ignored) {
            (true, true) => self.differ(test, "matches no step", "it matches one"),
            (false, false) => self.played.remarks.push(format!(
                "{} matches no step; where that is what the test shows, write `ignored: true`",
                test.describe()
            )),
            _ => {}
        }
        self.driver.feed(Input::Observations(batch))?;
        Ok(())
    }

    fn differ(&mut self, record: &TestRecord, expected: &str, found: &str) {
        let expected = format!("{} {expected}", record.describe());
        self.played.differences.push(Difference { expected, found: found.to_owned(), because: Vec::new() });
    }

    /// The watch ends: what is up has told everything.
    fn end(mut self) -> io::Result<Played> {
        self.advance(self.case.until)?;
        let up: Vec<SourceId> = self.sources().filter(|source| !self.down[*source as usize]).collect();
        for source in up {
            self.driver.feed(Input::Ends { source, at: self.start + self.case.until })?;
        }
        let about = self.case.expect.iter().chain(self.case.undecided.iter().map(|undecided| &undecided.about));
        for expected in about {
            if let Some(trace) = self.driver.trace(0, &expected.key)? {
                self.played.traces.insert(expected.key.clone(), trace);
            }
        }
        let findings = &mut self.played.findings;
        self.driver.into_findings().each(&mut |finding| {
            findings.push(finding);
            Ok::<_, io::Error>(())
        })?;
        Ok(self.played)
    }

    fn sources(&self) -> impl Iterator<Item = SourceId> + use<> {
        0..self.plan.sources.len() as SourceId
    }

    /// The evidence of a source: its own, and that of steps with a time of their own.
    fn evidence_of(&self, name: &str) -> Vec<SourceId> {
        let root = |source: SourceId| &self.plan.sources[self.plan.root(source) as usize];
        self.sources().filter(|source| root(*source).name == name).collect()
    }

    fn is_scheduled(&self, source: SourceId) -> bool {
        let flow = &self.plan.flows[0];
        flow.checks.iter().any(|check| match check.form {
            Form::Schedule { expect, .. } => flow.steps[expect as usize].source == source,
            _ => false,
        })
    }
}

fn holds(outage: &Stretch, at: Span) -> bool {
    outage.from.is_none_or(|from| from <= at) && outage.to.is_none_or(|to| at < to)
}

/// How a record of a test is written.
fn decoding() -> Decoding {
    let path = |name: &str| Path { root: Root::Body, segments: vec![Segment::Field(name.to_owned())] };
    Decoding {
        format: Format::Json,
        time: Some(path(AT)),
        time_format: None,
        zone: chrono_tz::Tz::UTC,
        key: None,
        op: Some(path(OP)),
        parse: Vec::new(),
        strict: true,
        redact: Vec::new(),
        stamped: false,
        key_is_identity: false,
    }
}
