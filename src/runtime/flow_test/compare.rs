//! What was expected, side by side with what came.

use super::CaseReport;
use super::play::Played;
use super::read::{Case, Expected, TestFile, Undecided};
use crate::engine::trace::{Conclusion, Judged, Trace};
use crate::flow::plan::{Flow, Form, Plan};
use crate::model::finding::Finding;
use crate::model::time::Time;
use std::fmt;

/// Where a test did not come out as expected.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Difference {
    /// What should have come.
    pub expected: String,
    /// What came.
    pub found: String,
    /// What is said of it.
    pub because: Vec<String>,
}

impl fmt::Display for Difference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "expected  {}", self.expected)?;
        write!(f, "found     {}", self.found)?;
        self.because.iter().try_for_each(|line| write!(f, "\n          {line}"))
    }
}

const NOTHING: &str = "nothing";

/// Compares what came of a test with what it expects.
pub(super) fn compare(plan: &Plan, file: &TestFile, case: &Case, played: Played) -> CaseReport {
    let flow = &plan.flows[0];
    let words = Words { flow, start: file.start, case };
    let mut differences = played.differences;
    let mut left: Vec<&Finding> = played.findings.iter().collect();
    let mut take = |fits: &dyn Fn(&Finding) -> bool| {
        let at = left.iter().position(|finding| fits(finding))?;
        Some(left.remove(at))
    };
    let unmet: Vec<&Expected> =
        case.expect.iter().filter(|expected| take(&|finding| meets(expected, finding)).is_none()).collect();
    for expected in unmet {
        differences.push(match take(&|finding| is_about(expected, finding)) {
            Some(finding) => words.came(words.expected(expected), finding),
            None => {
                let (found, because) = words.instead(played.traces.get(&expected.key), expected);
                Difference { expected: words.expected(expected), found, because }
            }
        });
    }
    differences.extend(left.into_iter().map(|finding| words.came(NOTHING.into(), finding)));
    for undecided in &case.undecided {
        differences.extend(words.undecided(undecided, played.traces.get(&undecided.about.key)));
    }
    CaseReport { name: case.name.clone(), line: case.line, differences, remarks: played.remarks }
}

/// Whether a finding is of the check and the transaction that an expectation names.
fn is_about(expected: &Expected, finding: &Finding) -> bool {
    expected.check == finding.check
        && expected.key == finding.key
        && expected.by.as_ref().is_none_or(|by| finding.by.as_ref() == Some(by))
}

fn meets(expected: &Expected, finding: &Finding) -> bool {
    is_about(expected, finding)
        && expected.class.is_none_or(|class| class == finding.class)
        && expected.status.is_none_or(|status| status == finding.status)
}

struct Words<'a> {
    flow: &'a Flow,
    start: Time,
    case: &'a Case,
}

impl Words<'_> {
    /// `settled of o-1: lost_message, open`.
    fn finding(&self, finding: &Finding) -> String {
        let about = self.about(finding.check, &finding.key, finding.by.as_deref());
        format!("{about}: {}, {}", finding.class, finding.status)
    }

    fn expected(&self, expected: &Expected) -> String {
        let about = self.about(expected.check, &expected.key, expected.by.as_deref());
        let class = expected.class.map(|class| class.name());
        let status = expected.status.map(|status| status.name());
        let what: Vec<&str> = class.into_iter().chain(status).collect();
        if what.is_empty() { format!("{about}: a finding") } else { format!("{about}: {}", what.join(", ")) }
    }

    fn about(&self, check: u16, key: &str, by: Option<&str>) -> String {
        let check = &self.flow.checks[check as usize].name;
        match by {
            Some(by) => format!("{check} of {key} by {by}"),
            None => format!("{check} of {key}"),
        }
    }

    /// A finding that came, where another or none was expected.
    fn came(&self, expected: String, finding: &Finding) -> Difference {
        let mut because = vec![finding.summary.clone()];
        because.extend(finding.seen.iter().map(|seen| {
            let step = &self.flow.steps[seen.step as usize].name;
            let line = self.case.records.get(seen.position.offset as usize).map_or(0, |record| record.line);
            format!("{step} at {} (line {line})", crate::model::time::Span(seen.time.0 - self.start.0))
        }));
        Difference { expected, found: self.finding(finding), because }
    }

    /// What the check concluded, where a finding was expected and none came.
    fn instead(&self, trace: Option<&Trace>, expected: &Expected) -> (String, Vec<String>) {
        let Some(trace) = trace else {
            if matches!(self.flow.checks[expected.check as usize].form, Form::Schedule { .. }) {
                return (NOTHING.into(), Vec::new());
            }
            return (format!("{NOTHING}; there is no transaction {}", expected.key), Vec::new());
        };
        match conclusion(trace, expected) {
            Some(conclusion) => (format!("{NOTHING}; {}", judged(conclusion)), said(conclusion)),
            None => (
                format!("{NOTHING}; the check has no value {}", expected.by.as_deref().unwrap_or("of its key")),
                Vec::new(),
            ),
        }
    }

    fn undecided(&self, undecided: &Undecided, trace: Option<&Trace>) -> Option<Difference> {
        let Undecided { about, reason } = undecided;
        let found = trace.and_then(|trace| conclusion(trace, about));
        let is = match found.map(|conclusion| conclusion.verdict) {
            Some(Judged::Undecided(why)) => reason.is_none_or(|reason| reason == why),
            _ => false,
        };
        if is {
            return None;
        }
        let reason = reason.map(|reason| format!(" ({reason})")).unwrap_or_default();
        let expected = format!("{}: undecided{reason}", self.about(about.check, &about.key, about.by.as_deref()));
        Some(match found {
            Some(conclusion) => Difference { expected, found: judged(conclusion), because: said(conclusion) },
            None => {
                Difference { expected, found: format!("there is no transaction {}", about.key), because: Vec::new() }
            }
        })
    }
}

fn conclusion<'t>(trace: &'t Trace, expected: &Expected) -> Option<&'t Conclusion> {
    let is_about = |c: &&Conclusion| c.check == expected.check && (expected.by.is_none() || c.by == expected.by);
    trace.conclusions.iter().find(is_about)
}

fn judged(conclusion: &Conclusion) -> String {
    match conclusion.verdict {
        Judged::NotApplicable => "the check does not apply to it".into(),
        Judged::Passed => "the check passed".into(),
        Judged::Broken(class, _, status) => format!("it is broken: {class}, {status}"),
        Judged::Undecided(reason) => format!("it is undecided ({reason})"),
        Judged::Pending => "it is not due yet".into(),
    }
}

fn said(conclusion: &Conclusion) -> Vec<String> {
    match conclusion.verdict {
        Judged::Broken(..) | Judged::Undecided(_) => vec![conclusion.summary.clone()],
        Judged::NotApplicable | Judged::Passed | Judged::Pending => Vec::new(),
    }
}
