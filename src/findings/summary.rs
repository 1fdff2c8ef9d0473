//! The account of a run with names: the one document of `--format json`, and what a green verdict may
//! not be silent about.

use super::record::Moment;
use crate::flow::plan::Plan;
use crate::model::time::Time;
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Serialize, Serializer};
use std::borrow::Cow;
use std::collections::BTreeSet;
use std::fmt;

/// What a run found out, in numbers.
#[derive(Debug, Default, Serialize, JsonSchema)]
pub struct Summary {
    /// Transactions of all flows.
    pub transactions: Transactions,
    /// Undecided transactions by reason; reasons that did not occur are left out.
    pub undecided: Named<u64>,
    /// One a flow.
    pub flows: Named<FlowSummary>,
    /// One a source.
    pub sources: Named<SourceSummary>,
    /// Findings of the run.
    pub findings: FindingCounts,
    /// Limits of the run as a whole that were hit, and how often. Findings beyond `findings_held_bytes_max` waited in a
    /// temporary file; none is missing.
    pub limits: Named<u64>,
    /// What a green verdict would be silent about; empty where the verdict rests on evidence.
    pub vacuous: Vec<String>,
    /// The run was interrupted: the numbers are those of what had been read by then.
    pub interrupted: bool,
}

/// Transactions by verdict.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, JsonSchema)]
pub struct Transactions {
    /// Every check that applies is met.
    pub consistent: u64,
    /// A check of severity warning or more is broken.
    pub inconsistent: u64,
    /// Nothing sure can be said.
    pub undecided: u64,
}

/// One flow.
#[derive(Debug, Default, Serialize, JsonSchema)]
pub struct FlowSummary {
    /// Its transactions.
    pub transactions: Transactions,
    /// Its undecided transactions by reason.
    pub undecided: Named<u64>,
    /// One a check.
    pub checks: Named<CheckSummary>,
    /// One a step.
    pub steps: Named<StepSummary>,
    /// Limits that were hit, and how often.
    pub limits: Named<u64>,
}

/// One check.
#[derive(Debug, Default, Serialize, JsonSchema)]
pub struct CheckSummary {
    /// `passed + broken`.
    pub judged: u64,
    /// Met.
    pub passed: u64,
    /// Broken, healed ones included.
    pub broken: u64,
    /// Not to be judged.
    pub undecided: u64,
    /// The undecided ones by reason.
    pub reasons: Named<u64>,
}

/// One step.
#[derive(Clone, Debug, Default, Serialize, JsonSchema)]
pub struct StepSummary {
    /// Observations that matched it.
    pub observations: u64,
    /// Those that joined no transaction.
    pub unattached: u64,
    /// The earliest of these.
    pub unattached_samples: Vec<Stray>,
    /// Those whose effect had been seen before.
    pub redelivered: u64,
    /// Key values that were null or absent.
    pub null_keys: u64,
    /// Key values that are no keys: empty text, objects, true and false.
    pub not_keys: u64,
    /// Errors of expressions in `when`: no match.
    pub when_errors: u64,
    /// Errors of expressions in `key` and `dedupe_by`: null.
    pub key_errors: u64,
    /// Errors of expressions in `keep`: null.
    pub keep_errors: u64,
    /// Records that matched and were left out, since the step's own `time` could not be read.
    pub undecodable: u64,
}

/// An observation that joined no transaction.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
pub struct Stray {
    /// Where it stands, such as `events.jsonl:12`.
    pub place: String,
    /// When it happened.
    pub time: Moment,
    /// Its keys: each name with its values.
    pub keys: Named<Vec<String>>,
}

/// One source.
#[derive(Clone, Debug, Serialize, JsonSchema)]
pub struct SourceSummary {
    /// Records read.
    pub records: u64,
    /// Records that matched a step.
    pub matched: u64,
    /// Records that matched none.
    pub unmatched: u64,
    /// Records that could not be decoded.
    pub undecodable: u64,
    /// Records older than the source's progress.
    pub beyond_lateness: u64,
    /// Records outside of `--since` and `--until`.
    pub outside: u64,
    /// Records whose time stands so far from all others that it vouches for nothing.
    pub lone: u64,
    /// Observations that joined no transaction.
    pub unattached: u64,
    /// What checks could not judge because of it, by reason. A check that no source keeps from judging
    /// (`limit`, `expression`) is counted nowhere here.
    pub undecided: Named<u64>,
    /// The oldest event time; null where there is none.
    pub from: Moment,
    /// The newest event time; null where there is none.
    pub to: Moment,
    /// Files that it was read from.
    pub files: u64,
    /// Stretches of time in which records may be missing; the first of them.
    pub gaps: Vec<Gap>,
    /// How many more gaps there are.
    pub gaps_more: u64,
    /// What could not be decoded, by reason, with samples.
    pub problems: Vec<Problem>,
    /// Why it could not be read to its end: one sentence a file, for the first of them.
    pub failures: Vec<String>,
    /// How many more files could not.
    pub failures_more: u64,
    /// Limits that were hit, and how often: silences beyond `islands_max` were told as one with others.
    pub limits: Named<u64>,
}

/// A stretch of time in which records may be missing.
#[derive(Clone, Debug, Serialize, JsonSchema)]
pub struct Gap {
    /// Included.
    pub from: Moment,
    /// Included; null where its end was never seen.
    pub to: Moment,
    /// Why.
    pub why: String,
}

/// Records of one source that could not be decoded, for one reason.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
pub struct Problem {
    /// Why.
    pub reason: String,
    /// How many.
    pub count: u64,
    /// The first of them.
    pub samples: Vec<Sample>,
}

/// A record that could not be decoded.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
pub struct Sample {
    /// Where it stands, such as `events.jsonl:12`.
    pub place: String,
    /// What is wrong with it.
    pub detail: String,
    /// How it begins; empty where the source redacts.
    pub text: String,
}

/// Findings by severity.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, JsonSchema)]
pub struct FindingCounts {
    /// Severity critical.
    pub critical: u64,
    /// Severity warning.
    pub warning: u64,
    /// Severity info.
    pub info: u64,
    /// Those of any severity that the baseline knows.
    pub known: u64,
    /// Those that decide the exit code: at or above `--fail-on`, and not known.
    pub failing: u64,
}

/// A map that keeps its order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Named<T>(pub Vec<(String, T)>);

impl<T> Default for Named<T> {
    fn default() -> Self {
        Named(Vec::new())
    }
}

impl<T> Named<T> {
    /// The entry with this name.
    pub fn get(&self, name: &str) -> Option<&T> {
        self.0.iter().find(|(known, _)| known == name).map(|(_, value)| value)
    }

    /// The value of this name, a new one at the end where there is none yet.
    pub fn entry(&mut self, name: &str) -> &mut T
    where
        T: Default,
    {
        let at = self.0.iter().position(|(known, _)| known == name).unwrap_or_else(|| {
            self.0.push((name.to_owned(), T::default()));
            self.0.len() - 1
        });
        &mut self.0[at].1
    }

    /// Names and values in order.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &T)> {
        self.0.iter().map(|(name, value)| (name.as_str(), value))
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl<T> FromIterator<(String, T)> for Named<T> {
    fn from_iter<I: IntoIterator<Item = (String, T)>>(entries: I) -> Self {
        Named(entries.into_iter().collect())
    }
}

impl<T: Serialize> Serialize for Named<T> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_map(self.iter())
    }
}

impl<T: JsonSchema> JsonSchema for Named<T> {
    fn inline_schema() -> bool {
        true
    }
    fn schema_name() -> Cow<'static, str> {
        format!("Map_of_{}", T::schema_name()).into()
    }
    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        json_schema!({"type": "object", "additionalProperties": generator.subschema_for::<T>()})
    }
}

impl SourceSummary {
    /// Of a source that could not be read at all.
    pub fn unreadable(why: String) -> SourceSummary {
        SourceSummary {
            records: 0,
            matched: 0,
            unmatched: 0,
            undecodable: 0,
            beyond_lateness: 0,
            outside: 0,
            lone: 0,
            unattached: 0,
            undecided: Named::default(),
            from: Moment(Time::MIN),
            to: Moment(Time::MAX),
            files: 0,
            gaps: Vec::new(),
            gaps_more: 0,
            problems: Vec::new(),
            failures: vec![why],
            failures_more: 0,
            limits: Named::default(),
        }
    }
}

/// Something that makes a green verdict say less than it seems to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Vacuous {
    /// A source could not be read.
    Failed {
        /// The source.
        source: String,
        /// Why.
        why: String,
    },
    /// A source gave no record.
    Empty {
        /// The source.
        source: String,
    },
    /// A step that checks use matched nothing.
    Step {
        /// The flow.
        flow: String,
        /// The step.
        step: String,
        /// The source that it reads.
        source: String,
    },
    /// A check judged nothing.
    Check {
        /// The flow.
        flow: String,
        /// The check.
        check: String,
        /// How many it could not judge.
        undecided: u64,
    },
}

impl Vacuous {
    /// Whether `--allow-empty` excuses it. A source that failed is never excused: it may have held
    /// anything.
    pub fn excusable(&self) -> bool {
        !matches!(self, Vacuous::Failed { .. })
    }

    /// The flow that it belongs to.
    pub fn flow(&self) -> Option<&str> {
        match self {
            Vacuous::Step { flow, .. } | Vacuous::Check { flow, .. } => Some(flow),
            _ => None,
        }
    }
}

impl fmt::Display for Vacuous {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Vacuous::Failed { source, why } => write!(f, "source `{source}` failed: {why}"),
            Vacuous::Empty { source } => {
                write!(f, "source `{source}` gave no record: is its path the right one?")
            }
            Vacuous::Step { flow, step, source } => write!(
                f,
                "step `{step}` of flow `{flow}` matched nothing in `{source}`: is its `when` right? \
                 (`throughline check --sample 20` shows what it nearly matches)"
            ),
            Vacuous::Check { flow, check, undecided: 0 } => {
                write!(f, "check `{check}` of flow `{flow}` judged nothing: no transaction came to what it is about")
            }
            Vacuous::Check { flow, check, undecided } => {
                write!(f, "check `{check}` of flow `{flow}` judged nothing: all {undecided} are undecided")
            }
        }
    }
}

/// All that a green verdict would be silent about: sources that failed or gave nothing, steps that
/// checks use and that matched nothing, checks that judged nothing.
pub fn vacuous(summary: &Summary, plan: &Plan) -> Vec<Vacuous> {
    let mut all = Vec::new();
    for (name, source) in summary.sources.iter() {
        let failed = |why: &String| Vacuous::Failed { source: name.into(), why: why.clone() };
        all.extend(source.failures.iter().map(failed));
        if source.failures_more > 0 {
            all.push(failed(&format!("so did {} more of its files", source.failures_more)));
        }
        if source.records == 0 && source.failures.is_empty() {
            all.push(Vacuous::Empty { source: name.into() });
        }
    }
    for (flow, (name, account)) in plan.flows.iter().zip(summary.flows.iter()) {
        let used: BTreeSet<_> = flow
            .checks
            .iter()
            .flat_map(|c| c.form.steps().into_iter().chain(c.given.clone()).chain(c.unless.clone()))
            .collect();
        for step in used {
            let step = &flow.steps[step as usize];
            if account.steps.get(&step.name).is_some_and(|seen| seen.observations == 0) {
                all.push(Vacuous::Step { flow: name.into(), step: step.name.clone(), source: step.reads.clone() });
            }
        }
        for (check, counts) in account.checks.iter().filter(|(_, counts)| counts.judged == 0) {
            all.push(Vacuous::Check { flow: name.into(), check: check.into(), undecided: counts.undecided });
        }
    }
    all
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::findings::sample;

    #[test]
    fn each_failure_of_a_source_is_told_and_how_many_more_there_are() {
        let plan = sample::plan();
        let mut summary = sample::summary();
        let SourceSummary { failures, failures_more, .. } = &mut summary.sources.0[0].1;
        (*failures, *failures_more) = (vec!["a.jsonl: it is torn".into()], 23);
        let told: Vec<_> = vacuous(&summary, &plan).iter().take(2).map(ToString::to_string).collect();
        let expected =
            ["source `events` failed: a.jsonl: it is torn", "source `events` failed: so did 23 more of its files"];
        assert_eq!(told, expected);
    }
}
