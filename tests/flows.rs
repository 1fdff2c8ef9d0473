//! The worked examples under `flows/`: all their tests pass, and every check of every flow is seen to
//! find something.

use std::path::PathBuf;
use throughline::runtime::flow_test::{self, CaseReport, FileReport};

#[test]
fn the_examples_come_out_as_their_tests_say() {
    let report = flow_test::run(&[PathBuf::from("flows")]).expect("a temporary file can be made");
    let mut complaints: Vec<String> = report.mistakes.iter().map(ToString::to_string).collect();
    for FileReport { path, mistakes, cases } in &report.files {
        complaints.extend(mistakes.iter().map(ToString::to_string));
        for CaseReport { name, line, differences, remarks } in cases {
            let place = format!("{}:{line}: {name}", path.display());
            complaints.extend(differences.iter().map(|difference| format!("{place}\n{difference}")));
            complaints.extend(remarks.iter().map(|remark| format!("{place}\n{remark}")));
        }
    }
    complaints.extend(report.unbroken.iter().map(|check| format!("{check:?} is never broken")));
    complaints.extend(report.untested.iter().map(|flow| format!("{} has no test", flow.display())));
    assert!(complaints.is_empty(), "\n{}", complaints.join("\n\n"));
    assert!(report.files.len() >= 4 && report.cases().count() >= 20, "the examples are there");
}
