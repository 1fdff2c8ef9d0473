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

/// What was done to the recorded day: check, order, class, status.
const DONE_TO_THE_DAY: [(&str, &str, &str, &str); 10] = [
    ("amount", "o-10484", "mismatch", "open"),
    ("money-back", "o-10538", "lost_message", "open"),
    ("no-ghost", "o-10999", "orphan", "open"),
    ("paid-once", "o-10465", "duplicate", "open"),
    ("settled", "o-10430", "lost_message", "open"),
    ("settled", "o-10448", "late", "healed"),
    ("settled", "o-10575", "lost_message", "open"),
    ("shipped", "o-10478", "lost_message", "open"),
    ("shipped", "o-10493", "late", "healed"),
    ("stays-home", "o-10538", "forbidden_step", "open"),
];

/// What was done to the recorded load test.
const DONE_TO_THE_LOAD_TEST: [(&str, &str, &str, &str); 7] = [
    ("announced", "r-038", "lost_message", "open"),
    ("asked-for", "r-x01", "orphan", "open"),
    ("fast", "r-100", "mismatch", "open"),
    ("nothing-behind", "r-071", "forbidden_step", "open"),
    ("once", "r-053", "duplicate", "open"),
    ("stored", "r-032", "missing_step", "open"),
    ("total", "r-085", "mismatch", "open"),
];

#[test]
fn the_recorded_day_shows_what_was_done_to_it_and_nothing_more() {
    shows("flows/throughline.yaml", &DONE_TO_THE_DAY);
}

#[test]
fn the_recorded_load_test_shows_what_was_done_to_it_and_nothing_more() {
    shows("flows/load-test/throughline.yaml", &DONE_TO_THE_LOAD_TEST);
}

/// Verifies a recording, and compares what is found: check, key, class, status.
fn shows(config: &str, expected: &[(&str, &str, &str, &str)]) {
    let folder = tempfile::tempdir().expect("a folder for the findings");
    let findings = folder.path().join("findings.jsonl");
    let mut verify = assert_cmd::Command::cargo_bin("throughline").expect("the program is built");
    verify.args(["verify", "-c", config, "--findings"]).arg(&findings).assert().code(1);
    let lines = std::fs::read_to_string(&findings).expect("the findings were written");
    let line = |line| {
        let finding: serde_json::Value = serde_json::from_str(line).expect("a finding is a line of JSON");
        ["check", "key", "class", "status"].map(|field| finding[field].as_str().unwrap_or_default().to_owned())
    };
    let mut found: Vec<[String; 4]> = lines.lines().map(line).collect();
    found.sort();
    let expected: Vec<[String; 4]> = expected.iter().map(|(a, b, c, d)| [*a, *b, *c, *d].map(str::to_owned)).collect();
    assert_eq!(found, expected);
}
