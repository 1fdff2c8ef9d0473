//! Tests of flows: records at virtual times, run through the real extractor and engine, and the
//! findings that must come, nothing more.
//!
//! ```text
//! find: which files ─▶ read: a test file, checked against its flow ─▶ play: one test ─▶ compare
//! ```
//!
//! A test file needs no configuration: the sources are those that the flow names, as quiet as can be. They
//! have been watched for ever before the start, and what is not written did not happen.

mod body;
mod case;
mod compare;
mod find;
mod play;
mod read;

pub use compare::Difference;

use crate::config::flows;
use crate::flow::diagnostic::{Diagnostic, Diagnostics, Document, Severity};
use crate::flow::plan::Plan;
use crate::flow::{self, yaml};
use find::Found;
use read::{Reader, TestFile};
use std::collections::BTreeSet;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// What came of all tests.
#[derive(Debug, Default)]
pub struct TestReport {
    /// One a test file, in the order of their names.
    pub files: Vec<FileReport>,
    /// Mistakes: paths that lead nowhere.
    pub mistakes: Vec<Diagnostic>,
    /// Checks that no test breaks: nobody has seen them find anything.
    pub unbroken: Vec<Unbroken>,
    /// Flows without any test.
    pub untested: Vec<PathBuf>,
}

/// What came of one test file.
#[derive(Debug)]
pub struct FileReport {
    /// The file.
    pub path: PathBuf,
    /// What is wrong with it or its flow. Where an error is among it, no test was run.
    pub mistakes: Vec<Diagnostic>,
    /// Its tests, in their order.
    pub cases: Vec<CaseReport>,
}

/// What came of one test.
#[derive(Debug)]
pub struct CaseReport {
    /// Its name.
    pub name: String,
    /// The line of the test file where it begins.
    pub line: usize,
    /// Where it did not come out as expected; empty: it passed.
    pub differences: Vec<Difference>,
    /// What is odd although it passed: records that match no step.
    pub remarks: Vec<String>,
}

/// A check that no test breaks.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub struct Unbroken {
    /// The file of the flow.
    pub path: PathBuf,
    /// The flow.
    pub flow: String,
    /// The check.
    pub check: String,
}

impl TestReport {
    /// Whether there is no mistake, and every test passed.
    pub fn passed(&self) -> bool {
        !self.is_wrong() && self.cases().all(|case| case.differences.is_empty())
    }

    /// Whether a path, a test file or a flow is wrong, so that some tests could not run.
    pub fn is_wrong(&self) -> bool {
        let of_files = self.files.iter().flat_map(|file| &file.mistakes);
        self.mistakes.iter().chain(of_files).any(|mistake| mistake.severity == Severity::Error)
    }

    /// All tests.
    pub fn cases(&self) -> impl Iterator<Item = &CaseReport> {
        self.files.iter().flat_map(|file| &file.cases)
    }
}

/// Runs the tests that the paths name: test files, flows with a test file beside them, and folders with
/// all that is below.
pub fn run(paths: &[PathBuf]) -> io::Result<TestReport> {
    let Found { tests, flows, mistakes } = find::find(paths);
    let mut report = TestReport { mistakes, ..TestReport::default() };
    let mut checks: BTreeSet<Unbroken> = BTreeSet::new();
    let mut broken: BTreeSet<Unbroken> = BTreeSet::new();
    let mut tested: BTreeSet<PathBuf> = BTreeSet::new();
    for path in tests {
        let loaded = load(&path);
        let mut file = FileReport { path, mistakes: loaded.mistakes, cases: Vec::new() };
        tested.extend(loaded.flow.as_deref().map(real));
        if let (Some(test), Some(plan), Some(flow)) = (loaded.test, loaded.plan, loaded.flow) {
            let spec = &plan.flows[0];
            let about = |check: &str| Unbroken { path: flow.clone(), flow: spec.name.clone(), check: check.to_owned() };
            checks.extend(spec.checks.iter().map(|check| about(&check.name)));
            for case in &test.cases {
                let played = play::play(&plan, &test, case)?;
                broken.extend(played.findings.iter().map(|f| about(&spec.checks[f.check as usize].name)));
                file.cases.push(compare::compare(&plan, &test, case, played));
            }
        }
        report.files.push(file);
    }
    report.unbroken = checks.difference(&broken).cloned().collect();
    report.untested = flows.into_iter().filter(|flow| !tested.contains(&real(flow))).collect();
    Ok(report)
}

/// The one path of a file that may be named by several.
fn real(path: &Path) -> PathBuf {
    path.canonicalize().unwrap_or_else(|_| path.to_owned())
}

/// A test file with its flow; what cannot be read is missing.
struct Loaded {
    test: Option<TestFile>,
    plan: Option<Arc<Plan>>,
    /// The file of the flow.
    flow: Option<PathBuf>,
    mistakes: Vec<Diagnostic>,
}

fn load(path: &Path) -> Loaded {
    let document = match flows::read(path) {
        Ok(document) => document,
        Err(mistake) => return Loaded { test: None, plan: None, flow: None, mistakes: vec![*mistake] },
    };
    let documents = [document];
    let diagnostics = Diagnostics::new(&documents);
    let Some(root) = yaml::parse(0, &diagnostics) else {
        return Loaded { test: None, plan: None, flow: None, mistakes: diagnostics.into_list() };
    };
    let flow = find::flow_of(path, &root, &diagnostics);
    let (of_flow, mut mistakes) = flow.as_deref().map(documents_of).unwrap_or_default();
    let reader = Reader::new(&root, read::source_names(&of_flow), &diagnostics);
    let (sources, clock_skew) = reader.as_ref().map(Reader::sources).unwrap_or_default();
    let plan = if of_flow.is_empty() {
        None
    } else {
        let (plan, of_flow) = flow::compile(&of_flow, &sources, clock_skew);
        mistakes.extend(of_flow.into_iter().filter(|mistake| mistake.severity == Severity::Error));
        plan.filter(|plan| !plan.flows.is_empty()).map(Arc::new)
    };
    let test = match (reader, &plan) {
        (Some(reader), Some(plan)) => reader.tests(plan),
        _ => None,
    };
    let test = test.filter(|_| !diagnostics.has_errors());
    mistakes.extend(diagnostics.into_list());
    Loaded { test, plan, flow, mistakes }
}

/// The flow's document, and those of the shared steps in its folder.
fn documents_of(flow: &Path) -> (Vec<Document>, Vec<Diagnostic>) {
    let mut paths = vec![flow.to_owned()];
    paths.extend(flows::shared_beside(flow).into_iter().filter(|path| path != flow));
    flows::documents(&paths)
}

#[cfg(test)]
mod tests;
