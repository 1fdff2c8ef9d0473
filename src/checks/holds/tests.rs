//! An invariant over all that came.

use crate::checks::fixture::{tell, verdict};
use insta::assert_snapshot;

const IN_TIME: &str = "{holds: 'packed.time - placed.time <= duration(\"60m\")'}";
const COUNTS: &str = "{holds: count(packed) <= count(shipped)}";
const SUMS: &str = "{holds: sum(packed.amount) == placed.amount}";

#[test]
fn it_is_judged_once_what_it_names_is_there() {
    assert_snapshot!(tell(IN_TIME, "0s placed", ""), @r"
    does not apply
    there is no packed
    ");
    assert_eq!(verdict(IN_TIME, "0s placed\n 1h packed", ""), "passed");
    assert_snapshot!(tell(COUNTS, "0s placed", ""), @r"
    does not apply
    there is no packed and no shipped
    ");
    assert_eq!(verdict(SUMS, "0s packed amount=1", ""), "does not apply");
}

#[test]
fn what_is_false_is_a_mismatch_told_by_its_values() {
    assert_snapshot!(tell(IN_TIME, "0s placed\n 61m packed", ""), @r#"
    broken: mismatch, open
    expected: packed.time - placed.time <= duration("60m")
    seen: placed 0s, packed 1h1m
    sure: what was seen is enough
    does not hold: packed.time is 1h1m and placed.time is 0s
    "#);
    assert_snapshot!(tell(COUNTS, "0s packed", ""), @r"
    broken: mismatch, open
    expected: count(packed) <= count(shipped)
    seen: packed 0s
    sure: what was seen is enough
    does not hold: count(packed) is 1 and count(shipped) is 0
    ");
    assert_snapshot!(tell(SUMS, "0s placed amount=10\n 1m packed amount=3\n 2m packed amount=6.5", ""), @r"
    broken: mismatch, open
    expected: sum(packed.amount) == placed.amount
    seen: placed 0s, packed 1m, packed 2m
    sure: what was seen is enough
    does not hold: sum(packed.amount) is 9.5 and placed.amount is 10
    ");
    let rest = "{holds: last(packed).amount >= first(packed).amount && max(packed.amount) - min(packed.amount) < 5 && distinct(packed.amount) < 9}";
    assert_snapshot!(tell(rest, "0s packed amount=10\n 1m packed amount=3", ""), @r"
    broken: mismatch, open
    expected: last(packed).amount >= first(packed).amount && max(packed.amount) - min(packed.amount) < 5 && distinct(packed.amount) < 9
    seen: packed 0s, packed 1m
    sure: what was seen is enough
    does not hold: last(packed).amount is 3, first(packed).amount is 10, max(packed.amount) is 10, min(packed.amount) is 3 and distinct(packed.amount) is 2
    ");
}

#[test]
fn count_and_sum_of_nothing_are_zero() {
    assert_eq!(verdict("{holds: sum(packed.amount) < placed.amount}", "0s placed amount=1", ""), "passed");
    assert_eq!(verdict(COUNTS, "0s shipped", ""), "passed");
}

#[test]
fn min_max_and_distinct_leave_out_nulls() {
    let most = "{holds: max(packed.amount) <= 5}";
    assert_eq!(verdict(most, "0s packed\n 1m packed amount=5", ""), "passed");
    assert_eq!(verdict("{holds: distinct(packed.amount) == 1}", "0s packed\n 1m packed amount=5", ""), "passed");
    assert_eq!(verdict("{holds: max(packed.amount) == null}", "0s packed", ""), "passed");
}

#[test]
fn a_null_in_a_sum_cannot_be_judged() {
    assert_snapshot!(tell(SUMS, "0s placed amount=10\n 1m packed amount=10\n 2m packed", ""), @r"
    undecided: expression
    sum() needs numbers; one value is null or none (sum(packed.amount) is unknown and placed.amount is 10)
    ");
    assert_snapshot!(tell("{holds: placed.amount - 1 > 0}", "0s placed amount=many", ""), @r#"
    undecided: expression
    string and int cannot go with `-`: write string(…) to join text, decimal(…) to count (placed.amount is "many")
    "#);
}

#[test]
fn where_more_could_change_it_the_stragglers_are_waited_for() {
    assert_snapshot!(tell(COUNTS, "0s shipped", "app: ..1h"), @r"
    undecided: after_recording
    `app` is complete only before 1h; a newer packed may have come until 1h
    ");
    assert_eq!(verdict(COUNTS, "0s shipped", "app: ..1h1ms"), "passed");
    assert_eq!(verdict(COUNTS, "0s shipped", "app: ..1h, live"), "not due");
    assert_eq!(verdict(COUNTS, "0s packed", "app: ..1h, down"), "undecided: source_down");
    assert_eq!(verdict(COUNTS, "0s packed", "app: ..2h, gap 1m..2m"), "broken: mismatch, open");
}

#[test]
fn where_nothing_more_counts_truth_passes_at_once() {
    assert_eq!(verdict(IN_TIME, "0s placed\n 1h packed", "app: ..1h"), "passed");
    let records = "0s placed\n 61m packed";
    assert_eq!(verdict(IN_TIME, records, "app: ..61m"), "undecided: after_recording");
    assert_eq!(verdict(IN_TIME, records, "app: ..61m1ms"), "broken: mismatch, open");
}

#[test]
fn with_within_it_must_hold_so_long_after_each_change() {
    let soon = "{holds: count(packed) == count(shipped), within: 5m}";
    assert_eq!(verdict(soon, "0s packed\n 5m shipped", ""), "passed");
    assert_snapshot!(tell(soon, "0s packed\n 9m shipped", ""), @r"
    broken: mismatch, healed
    expected: count(packed) == count(shipped), 5m after each change
    seen: packed 0s, shipped 9m
    by: 5m
    healed after: 4m
    sure: what was seen is enough
    does not hold: count(packed) is 1 and count(shipped) is 0, 5m after a change
    ");
    assert_snapshot!(tell(soon, "0s packed\n 1m shipped\n 10m packed", ""), @r"
    broken: mismatch, open
    expected: count(packed) == count(shipped), 5m after each change
    seen: packed 0s, shipped 1m, packed 10m
    by: 15m
    sure: what was seen is enough
    does not hold: count(packed) is 2 and count(shipped) is 1, 5m after a change
    ");
    assert_eq!(verdict(soon, "0s packed", "app: ..5m"), "undecided: after_recording");
    assert_eq!(verdict(soon, "0s packed", "app: ..5m, live"), "not due");
    let sums = "{holds: sum(packed.amount) < 5, within: 5m}";
    assert_eq!(verdict(sums, "0s packed amount=1\n 10m packed", ""), "undecided: expression");
}

#[test]
fn by_a_key_only_its_own_effects_count() {
    let items = "{holds: count(packed) <= count(shipped), by: item}";
    let records = "0s packed item=i-1\n 1m packed item=i-2\n 2m shipped item=i-1";
    assert_eq!(verdict(items, records, ""), "i-1: passed\ni-2: broken: mismatch, open");
}
