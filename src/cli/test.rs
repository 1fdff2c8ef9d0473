//! `throughline test`: flow tests in virtual time.

use super::human::{ERROR, GOOD, WARNING};
use super::{Exit, project};
use crate::findings::sentence::{BOLD, DIM};
use crate::runtime::flow_test::{self, CaseReport, FileReport, TestReport, Unbroken};
use anyhow::Context;
use std::fmt::Write;
use std::path::PathBuf;

/// Run the tests of flows
///
/// A test is a file FLOW.test.yaml beside the flow: records with times from a start, and the findings
/// that must come of them, nothing more.
#[derive(clap::Args)]
pub struct Args {
    /// Test files, flows, or folders of them
    #[arg(value_name = "PATH", required = true)]
    paths: Vec<PathBuf>,
    /// Say only what failed, and the last line
    #[arg(short, long)]
    quiet: bool,
}

/// Runs the command.
pub fn run(args: &Args) -> anyhow::Result<Exit> {
    let report = flow_test::run(&args.paths).context("the tests need the folder for temporary files")?;
    super::print(&tell(&report, args.quiet))?;
    Ok(exit(&report))
}

fn exit(report: &TestReport) -> Exit {
    match (report.is_wrong(), report.passed()) {
        (true, _) => Exit::Wrong,
        (_, false) => Exit::Findings,
        _ => Exit::Good,
    }
}

fn tell(report: &TestReport, quiet: bool) -> String {
    let mut out = project::told(&report.mistakes);
    for FileReport { path, mistakes, cases } in &report.files {
        let failed = !mistakes.is_empty() || cases.iter().any(|case| !case.differences.is_empty());
        if quiet && !failed {
            continue;
        }
        let _ = writeln!(out, "{BOLD}{}{BOLD:#}", path.display());
        out.push_str(&project::told(mistakes));
        for case in cases.iter().filter(|case| !quiet || !case.differences.is_empty()) {
            tell_case(path, case, &mut out);
        }
        out.push('\n');
    }
    for Unbroken { path, check, .. } in report.unbroken.iter().filter(|_| !quiet) {
        let path = path.display();
        let _ = writeln!(
            out,
            "{WARNING}warning{WARNING:#}: {path}: no test ever breaks the check `{check}`: add one that does"
        );
    }
    for path in report.untested.iter().filter(|_| !quiet) {
        let test = path.with_extension("test.yaml");
        let _ = writeln!(
            out,
            "{WARNING}warning{WARNING:#}: {}: this flow has no test; it would be {}",
            path.display(),
            test.display()
        );
    }
    let failed = report.cases().filter(|case| !case.differences.is_empty()).count();
    let passed = report.cases().count() - failed;
    let _ = match exit(report) {
        Exit::Good => writeln!(out, "{GOOD}passed{GOOD:#}: {passed} of {passed}"),
        Exit::Findings => writeln!(out, "{ERROR}failed{ERROR:#}: {failed} of {}", passed + failed),
        Exit::Unknown => {
            writeln!(out, "{WARNING}no tests{WARNING:#}: a test of order.yaml is order.test.yaml, beside it")
        }
        _ => writeln!(out, "{ERROR}wrong{ERROR:#}: not all tests could run; {passed} passed, {failed} failed"),
    };
    out
}

fn tell_case(path: &std::path::Path, case: &CaseReport, out: &mut String) {
    let CaseReport { name, line, differences, remarks } = case;
    if differences.is_empty() {
        let _ = writeln!(out, "  {GOOD}passed{GOOD:#}  {name}");
    } else {
        let _ = writeln!(out, "  {ERROR}failed{ERROR:#}  {name}  {DIM}{}:{line}{DIM:#}", path.display());
    }
    for difference in differences {
        for line in difference.to_string().lines() {
            let _ = writeln!(out, "    {line}");
        }
        out.push('\n');
    }
    for remark in remarks {
        let _ = writeln!(out, "    {WARNING}remark{WARNING:#}: {remark}");
    }
}
