//! JUnit for CI servers: a suite a flow, a case a check, and one suite for the sources.
//!
//! What decides the exit code decides the colour: findings that count are *failures* (exit code 1),
//! what could not be known is an *error* (exit code 3), what is undecided but asked for no more is
//! *skipped*. A check that is broken only in ways that are known already passes and says so.

use super::digest::{Digest, OfCheck, Several};
use super::record::Record;
use super::summary::{CheckSummary, SourceSummary, Summary, Vacuous};
use super::{Names, record};
use crate::model::{CheckId, FlowId};
use quick_junit::{NonSuccessKind, Report, TestCase, TestCaseStatus, TestSuite};
use std::fmt::Write;

/// What a report is made of.
pub struct Run<'a> {
    /// The account.
    pub summary: &'a Summary,
    /// The findings.
    pub digest: &'a Digest,
    /// The names of their indexes.
    pub names: Names<'a>,
    /// What is not excused.
    pub vacuous: &'a [Vacuous],
    /// Undecided is not good enough.
    pub strict: bool,
}

impl Run<'_> {
    /// The document.
    pub fn to_xml(&self) -> Result<String, quick_junit::SerializeError> {
        let mut report = Report::new("throughline");
        for (at, (flow, summary)) in self.summary.flows.iter().enumerate() {
            let mut suite = TestSuite::new(flow);
            for (check_at, (check, counts)) in summary.checks.iter().enumerate() {
                let findings = self.digest.of_check(at as FlowId, check_at as CheckId);
                suite.add_test_case(self.check(flow, check, counts, findings));
            }
            suite.add_test_case(self.steps(flow));
            report.add_test_suite(suite);
        }
        let mut sources = TestSuite::new("sources");
        for (name, source) in self.summary.sources.iter() {
            sources.add_test_case(self.source(name, source));
        }
        report.add_test_suite(sources);
        // Control characters are left out by the writer; these two are no XML either.
        report.to_string().map(|xml| xml.replace(['\u{fffe}', '\u{ffff}'], "\u{fffd}"))
    }

    fn check(&self, flow: &str, check: &str, counts: &CheckSummary, findings: Option<&OfCheck>) -> TestCase {
        let failing = findings.map(|findings| &findings.failing).filter(|failing| failing.count > 0);
        let vacuous = self
            .vacuous
            .iter()
            .find(|v| matches!(v, Vacuous::Check { flow: f, check: c, .. } if f == flow && c == check));
        let status = if let Some(failing) = failing {
            let message = format!("{} of {} judged are broken{}", counts.broken, counts.judged, undecided(counts));
            non_success(NonSuccessKind::Failure, failing.first[0].class.name(), message, self.spell_out(failing))
        } else if let Some(vacuous) = vacuous {
            non_success(NonSuccessKind::Error, "judged_nothing", vacuous.to_string(), String::new())
        } else if counts.undecided > 0 && self.strict {
            let message = format!("{} judged{}", counts.judged, undecided(counts));
            non_success(NonSuccessKind::Error, "undecided", message, String::new())
        } else if counts.judged == 0 {
            let mut status = TestCaseStatus::skipped();
            status.set_message(format!("judged nothing{}", undecided(counts)));
            status
        } else {
            TestCaseStatus::success()
        };
        let mut case = TestCase::new(check, status);
        case.set_classname(flow).set_assertions(usize::try_from(counts.judged).unwrap_or(usize::MAX));
        let mut out = format!(
            "{} judged, {} passed, {} broken{}\n",
            counts.judged,
            counts.passed,
            counts.broken,
            undecided(counts)
        );
        if let (None, Some(OfCheck { tolerated, .. })) = (failing, findings) {
            let ids: Vec<_> = tolerated.first.iter().map(|f| record::id(f, self.names)).collect();
            let _ = writeln!(out, "known, or below what fails: {}: {}", tolerated.count, ids.join(" "));
        }
        case.set_system_out(out);
        case
    }

    /// Whether each step that checks use matched something.
    fn steps(&self, flow: &str) -> TestCase {
        let silent: Vec<_> = self
            .vacuous
            .iter()
            .filter(|v| matches!(v, Vacuous::Step { flow: f, .. } if f == flow))
            .map(ToString::to_string)
            .collect();
        let status = match silent.first() {
            None => TestCaseStatus::success(),
            Some(first) => non_success(NonSuccessKind::Error, "matched_nothing", first.clone(), silent.join("\n")),
        };
        let mut case = TestCase::new("every step was seen", status);
        case.set_classname(flow);
        case
    }

    fn source(&self, name: &str, source: &SourceSummary) -> TestCase {
        let trouble = self
            .vacuous
            .iter()
            .find(|v| matches!(v, Vacuous::Failed { source, .. } | Vacuous::Empty { source } if source == name));
        let status = match trouble {
            None => TestCaseStatus::success(),
            Some(trouble) => non_success(NonSuccessKind::Error, "no_evidence", trouble.to_string(), String::new()),
        };
        let mut case = TestCase::new(name, status);
        let mut out = format!(
            "{} records, {} matched, {} unmatched, {} undecodable, {} beyond lateness, {} unattached\n",
            source.records,
            source.matched,
            source.unmatched,
            source.undecodable,
            source.beyond_lateness,
            source.unattached
        );
        for problem in &source.problems {
            let _ = writeln!(out, "{}: {}", problem.reason, problem.count);
            problem.samples.iter().for_each(|sample| {
                let _ = writeln!(out, "  {}: {}", sample.place, sample.detail);
            });
        }
        case.set_classname("sources").set_system_out(out);
        case
    }

    fn spell_out(&self, failing: &Several) -> String {
        let mut text = String::new();
        for finding in &failing.first {
            let _ = writeln!(text, "{}", anstream::adapter::strip_str(&Record::of(finding, self.names).to_string()));
        }
        let more = failing.count - failing.first.len() as u64;
        if more > 0 {
            let _ = writeln!(text, "… and {more} more");
        }
        text
    }
}

fn non_success(kind: NonSuccessKind, ty: &str, message: String, description: String) -> TestCaseStatus {
    let mut status = TestCaseStatus::non_success(kind);
    status.set_type(ty).set_message(message);
    if !description.is_empty() {
        status.set_description(description);
    }
    status
}

fn undecided(counts: &CheckSummary) -> String {
    if counts.undecided == 0 {
        return String::new();
    }
    let reasons: Vec<_> = counts.reasons.iter().map(|(reason, n)| format!("{n} {reason}")).collect();
    format!(", {} undecided ({})", counts.undecided, reasons.join(", "))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::findings::{sample, summary};
    use crate::model::finding::Finding;

    fn xml(summary: &Summary, findings: &[Finding], fail: bool) -> String {
        let plan = sample::plan();
        let vacuous = summary::vacuous(summary, &plan);
        let names = sample::names(&plan);
        let mut digest = Digest::new(0);
        findings.iter().for_each(|finding| digest.take(finding, false, fail));
        Run { summary, digest: &digest, names, vacuous: &vacuous, strict: false }.to_xml().unwrap()
    }

    #[test]
    fn findings_fail_what_is_unknown_is_an_error_and_the_rest_passes() {
        insta::assert_snapshot!(xml(&sample::summary(), &[sample::finding()], true));
    }

    #[test]
    fn what_is_not_spelt_out_is_counted() {
        let many: Vec<_> = (0..50).map(|n| Finding { key: format!("o-{n}"), ..sample::finding() }).collect();
        let shown = xml(&sample::summary(), &many, true);
        assert!(shown.contains("o-19") && !shown.contains("o-20") && shown.contains("… and 30 more"), "{shown}");
    }

    #[test]
    fn what_xml_cannot_hold_is_left_out() {
        let finding = Finding { key: "o\u{0}\u{1b}[2J\u{ffff}<".into(), ..sample::finding() };
        let shown = xml(&sample::summary(), &[finding], true);
        let mut reader = quick_xml::Reader::from_str(&shown);
        while reader.read_event().expect("this is XML") != quick_xml::events::Event::Eof {}
        let allowed = |c: char| matches!(c, '\t' | '\n' | '\r' | ' '..='\u{fffd}' | '\u{10000}'..);
        assert!(shown.chars().all(allowed), "{shown:?}");
    }

    #[test]
    fn a_check_broken_only_as_known_passes() {
        let shown = xml(&sample::summary(), &[sample::finding()], false);
        assert!(shown.contains("failures=\"0\""), "{shown}");
        assert!(shown.contains("known, or below what fails: 1: "), "{shown}");
    }
}
