//! A job ran at each due time, or was missed.

use super::Schedule;
use crate::checks::Verdict;
use crate::checks::evidence::Stretch;
use crate::checks::fixture::{at, evidence, offsets, plan};
use crate::flow::plan::Form;
use crate::model::time::Time;
use std::collections::BTreeSet;

const NIGHTLY: &str = "{schedule: \"0 2 * * *\", expect: placed, within: 10m, early: 1m}";

/// Every due time with its verdict, and the story of those that were missed.
fn check(text: &str, runs: &str, coverage: &str) -> String {
    check_some(text, runs, Stretch::default(), coverage)
}

/// The same, where some runs were too many to be kept.
fn check_some(text: &str, runs: &str, beyond: Stretch, coverage: &str) -> String {
    let plan = plan(text);
    let evidence = evidence(&plan, coverage);
    let Form::Schedule { cron, expect, within, early } = &plan.flows[0].checks[0].form else { panic!("a schedule") };
    let schedule = Schedule { plan: &plan, flow: 0, cron, expect: *expect, within: *within, early: *early };
    let runs: BTreeSet<Time> = runs.split_whitespace().map(at).collect();
    let seen = runs.first().copied().zip(runs.last().copied());
    let told = |due: Time| {
        let verdict = match schedule.judge(&evidence, (&runs, beyond), due) {
            None => "not due".to_owned(),
            Some(Verdict::Passed) => "ran".to_owned(),
            Some(Verdict::Undecided(doubt)) => format!("undecided: {}", doubt.reason),
            Some(Verdict::Broken(class, _)) => format!("{class}: {}", schedule.explain(&evidence, due).summary),
            Some(other) => format!("{other:?}"),
        };
        offsets(&format!("{due} {verdict}"))
    };
    schedule.due_times(&evidence, seen).map(told).collect::<Vec<_>>().join("\n")
}

#[test]
fn every_due_time_within_the_coverage_is_judged() {
    assert_eq!(check(NIGHTLY, "2h 26h", "app: 0s..50h"), "2h ran\n1d2h ran");
    assert_eq!(check(NIGHTLY, "", "app: 2h..2h"), "");
    // Where there is no end to the coverage, from the oldest record to the newest.
    assert_eq!(check(NIGHTLY, "2h 26h", ""), "2h ran\n1d2h ran");
    assert_eq!(check(NIGHTLY, "", ""), "");
}

#[test]
fn the_window_includes_both_its_ends() {
    assert_eq!(check(NIGHTLY, "1h59m", "app: 0s..24h"), "2h ran");
    assert_eq!(check(NIGHTLY, "2h10m", "app: 0s..24h"), "2h ran");
    let missed = "2h missed_run: no placed came for the run that was due at 2h";
    assert_eq!(check(NIGHTLY, "1h58m 2h10m1ms", "app: 0s..24h"), missed);
    // Times in whole seconds may be rounded by one.
    let coarse = NIGHTLY.replace("placed", "stamped");
    assert_eq!(check(&coarse, "2h10m1s", "coarse: 0s..24h"), "2h ran");
}

#[test]
fn a_run_that_may_have_been_missed_by_the_watch_is_undecided() {
    assert_eq!(check(NIGHTLY, "", "app: 0s..24h, gap 2h5m..2h6m"), "2h undecided: gap");
    assert_eq!(check(NIGHTLY, "", "app: 1h59m30s..24h"), "2h undecided: before_watch");
    assert_eq!(check(NIGHTLY, "", "app: 0s..2h10m"), "2h undecided: after_recording");
    assert_eq!(check(NIGHTLY, "", "app: 0s..2h10m, down"), "2h undecided: source_down");
    assert_eq!(check(NIGHTLY, "", "app: 0s..2h10m, live"), "2h not due");
}

#[test]
fn a_run_that_may_be_among_those_too_many_to_be_kept_is_undecided() {
    let mut beyond = Stretch::default();
    beyond.add(at("30h"));
    beyond.add(at("26h5m"));
    let told = "2h missed_run: no placed came for the run that was due at 2h\n1d2h undecided: limit";
    assert_eq!(check_some(NIGHTLY, "", beyond, "app: 0s..50h"), told);
    assert_eq!(check_some(NIGHTLY, "2h 26h", beyond, "app: 0s..50h"), "2h ran\n1d2h ran");
}

#[test]
fn the_schedule_has_a_zone() {
    let berlin = "{schedule: \"0 2 * * *\", zone: Europe/Berlin, expect: placed, within: 10m}";
    assert_eq!(check(berlin, "1h", "app: 0s..24h"), "1h ran");
}

#[test]
fn a_missed_run_tells_what_was_expected_and_where_it_was_looked_for() {
    let plan = plan(NIGHTLY);
    let evidence = evidence(&plan, "app: 0s..24h");
    let Form::Schedule { cron, expect, within, early } = &plan.flows[0].checks[0].form else { panic!("a schedule") };
    let schedule = Schedule { plan: &plan, flow: 0, cron, expect: *expect, within: *within, early: *early };
    let story = schedule.explain(&evidence, at("2h"));
    assert_eq!(story.expected, "placed within 10m after each `0 2 * * *` (UTC) (or up to 1m before)");
    assert_eq!(story.deadline, Some(at("2h10m")));
    assert_eq!(story.evidence.len(), 1);
}
