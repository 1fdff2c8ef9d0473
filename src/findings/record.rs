//! One finding as a JSON line: the form that `--findings` writes and `schema finding` publishes.

use super::Names;
use crate::model::finding::{Evidence, Finding, Seen};
use crate::model::time::Time;
use crate::model::value::Value;
use crate::model::verdict::{Class, Severity, Status};
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Serialize, Serializer};
use std::borrow::Cow;
use std::collections::BTreeMap;

/// One check broken by one transaction.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "Finding")]
pub struct Record<'a> {
    /// Derived from flow, check, key and by: the same in every run.
    pub id: String,
    /// The flow.
    pub flow: &'a str,
    /// The check that is broken.
    pub check: &'a str,
    /// What kind of inconsistency.
    pub class: Class,
    /// How bad.
    pub severity: Severity,
    /// `open`, or `healed` where what was missing came later.
    pub status: Status,
    /// The transaction: a value of the flow's key. Of a schedule: the due time.
    pub key: &'a str,
    /// All keys bound to the transaction: each name with its values.
    pub keys: BTreeMap<&'a str, Vec<&'a str>>,
    /// The value of the check's `by`, where it has one.
    pub by: Option<&'a str>,
    /// When the observation happened from which the judgement starts.
    pub time: Moment,
    /// By when what was expected should have been there.
    pub deadline: Option<Moment>,
    /// How far the sources had come when it was judged; null after the end of a recording.
    pub judged_at: Moment,
    /// How long the systems disagreed, in milliseconds, where it healed.
    pub healed_after_ms: Option<i64>,
    /// What was expected, in words.
    pub expected: &'a str,
    /// What was observed of the transaction that bears on the check.
    pub seen: Vec<SeenRecord<'a>>,
    /// Why it is sure.
    pub evidence: Vec<EvidenceRecord<'a>>,
    /// One sentence.
    pub summary: &'a str,
}

/// One observation.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "Seen")]
pub struct SeenRecord<'a> {
    /// The step that it matched.
    pub step: &'a str,
    /// When it happened.
    pub time: Moment,
    /// The source that brought it.
    pub source: &'a str,
    /// Where it stands there, such as `events.jsonl:12`.
    pub position: String,
    /// Its kept fields.
    pub keep: Fields<'a>,
}

/// What a source has shown.
#[derive(Debug, Serialize, JsonSchema)]
#[serde(tag = "kind", rename_all = "lowercase")]
#[schemars(rename = "Evidence")]
pub enum EvidenceRecord<'a> {
    /// The source covers a window without a gap, and the step did not occur in it but as seen.
    Absent {
        /// The step that was looked for.
        step: &'a str,
        /// The source that would have brought it, or a record that leads to it.
        source: &'a str,
        /// The window's beginning; null where it is the beginning of everything.
        from: Moment,
        /// The window's end, included; null where it is the end of everything.
        to: Moment,
        /// How far the source had come; null at the end of a complete recording.
        progress: Moment,
    },
    /// What was seen is enough; no absence is claimed.
    Seen,
}

/// A moment as RFC 3339 text in UTC; null for the two ends of time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Moment(pub Time);

impl Serialize for Moment {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        if self.0.is_finite() { serializer.collect_str(&self.0) } else { serializer.serialize_none() }
    }
}

impl JsonSchema for Moment {
    fn inline_schema() -> bool {
        true
    }
    fn schema_name() -> Cow<'static, str> {
        "Moment".into()
    }
    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({"type": ["string", "null"], "format": "date-time"})
    }
}

/// Kept fields by name, in the order of the step's `keep`.
#[derive(Debug)]
pub struct Fields<'a>(pub Vec<(&'a str, &'a Value<'static>)>);

impl Serialize for Fields<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_map(self.0.iter().map(|(name, value)| (name, value.to_json())))
    }
}

impl JsonSchema for Fields<'_> {
    fn inline_schema() -> bool {
        true
    }
    fn schema_name() -> Cow<'static, str> {
        "Fields".into()
    }
    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({"type": "object", "additionalProperties": true})
    }
}

impl<'a> Record<'a> {
    /// Puts names where the finding has indexes.
    pub fn of(finding: &'a Finding, names: Names<'a>) -> Record<'a> {
        let flow = &names.plan.flows[finding.flow as usize];
        let check = &flow.checks[finding.check as usize];
        let mut keys: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
        for (name, value) in &finding.keys {
            keys.entry(name).or_default().push(value);
        }
        Record {
            id: id(finding, names),
            flow: &flow.name,
            check: &check.name,
            class: finding.class,
            severity: finding.severity,
            status: finding.status,
            key: &finding.key,
            keys,
            by: finding.by.as_deref(),
            time: Moment(finding.time),
            deadline: finding.deadline.map(Moment),
            judged_at: Moment(finding.judged_at),
            healed_after_ms: finding.healed_after.map(|span| span.as_millis()),
            expected: &finding.expected,
            seen: finding.seen.iter().map(|seen| SeenRecord::of(seen, finding.flow, names)).collect(),
            evidence: finding.evidence.iter().map(|e| EvidenceRecord::of(e, finding.flow, names)).collect(),
            summary: &finding.summary,
        }
    }
}

/// The finding's id, the same in every run.
pub fn id(finding: &Finding, names: Names<'_>) -> String {
    let flow = &names.plan.flows[finding.flow as usize];
    let check = &flow.checks[finding.check as usize];
    Finding::id(&flow.name, &check.name, &finding.key, finding.by.as_deref())
}

impl<'a> SeenRecord<'a> {
    /// Puts names where the observation has indexes.
    pub fn of(seen: &'a Seen, flow: u16, names: Names<'a>) -> SeenRecord<'a> {
        let step = &names.plan.flows[flow as usize].steps[seen.step as usize];
        SeenRecord {
            step: &step.name,
            time: Moment(seen.time),
            source: source_name(seen.source, names),
            position: names.places.place(seen.source, seen.position),
            keep: Fields(step.keep.iter().map(|(name, _)| name.as_str()).zip(&seen.keep).collect()),
        }
    }
}

impl<'a> EvidenceRecord<'a> {
    /// Puts names where the evidence has indexes.
    pub fn of(evidence: &Evidence, flow: u16, names: Names<'a>) -> EvidenceRecord<'a> {
        match *evidence {
            Evidence::Seen => EvidenceRecord::Seen,
            Evidence::Absent { step, source, from, to, progress } => EvidenceRecord::Absent {
                step: &names.plan.flows[flow as usize].steps[step as usize].name,
                source: source_name(source, names),
                from: Moment(from),
                to: Moment(to),
                progress: Moment(progress),
            },
        }
    }
}

/// The configured name of the source behind an evidence source.
fn source_name<'a>(source: u16, names: Names<'a>) -> &'a str {
    &names.plan.sources[names.plan.root(source) as usize].name
}
