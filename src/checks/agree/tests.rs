//! The values are the same everywhere, in the end or soon after each change.

use crate::checks::fixture::{tell, verdict};
use insta::assert_snapshot;

const AMOUNT: &str = "{agree: [placed.amount, packed.amount, paid.amount]}";
/// Both have versions.
const SOON: &str = "{agree: [row.amount, paid.amount], within: 5m}";

#[test]
fn numbers_agree_whatever_their_spelling_and_text_byte_for_byte() {
    assert_eq!(verdict(AMOUNT, "0s placed amount=10\n 1m packed amount=10.00", ""), "passed");
    assert_eq!(verdict(AMOUNT, "0s placed amount=\"007\"\n 1m packed amount=7", ""), "passed");
    assert_eq!(verdict(AMOUNT, "0s placed amount=a\n 1m packed amount=A", ""), "broken: mismatch, open");
}

#[test]
fn a_difference_is_a_mismatch() {
    let records = "0s placed amount=10\n 1m packed amount=9\n 2m packed amount=8\n 3m packed amount=9";
    assert_snapshot!(tell(AMOUNT, records, ""), @r"
    broken: mismatch, open
    expected: placed.amount, packed.amount and paid.amount agree
    seen: placed 0s, packed 1m, packed 2m, packed 3m
    sure: what was seen is enough
    placed.amount is 10 and packed.amount is 9, 8
    ");
    let many: String = (0..9).map(|n| format!("{n}m packed amount={n}\n")).collect();
    assert_snapshot!(tell(AMOUNT, &many, ""), @r"
    broken: mismatch, open
    expected: placed.amount, packed.amount and paid.amount agree
    seen: packed 0s, packed 1m, packed 2m, packed 3m, packed 4m, packed 5m, packed 6m, packed 7m, packed 8m
    sure: what was seen is enough
    packed.amount is 0, 1, 2, 3, 4 … and 4 more
    ");
}

#[test]
fn an_absent_field_is_null_and_agrees_with_null_alone() {
    assert_eq!(verdict(AMOUNT, "0s placed amount=null\n 1m packed", ""), "passed");
    assert_snapshot!(tell(AMOUNT, "0s placed amount=10\n 1m packed", ""), @r"
    broken: mismatch, open
    expected: placed.amount, packed.amount and paid.amount agree
    seen: placed 0s, packed 1m
    sure: what was seen is enough
    placed.amount is 10 and packed.amount is null
    ");
}

#[test]
fn fewer_than_two_values_say_nothing() {
    assert_snapshot!(tell(AMOUNT, "0s placed amount=10", ""), @r"
    does not apply
    there are not two values of placed.amount, packed.amount or paid.amount
    ");
    assert_eq!(verdict(AMOUNT, "0s paid payment=p amount=1\n 1m paid payment=p amount=2", ""), "does not apply");
}

#[test]
fn the_newest_version_of_an_effect_counts() {
    let corrected = "0s placed amount=10\n 1m paid payment=p amount=9\n 2m paid payment=p amount=10";
    assert_eq!(verdict(AMOUNT, corrected, ""), "passed");
}

#[test]
fn decimals_may_differ_by_the_tolerance() {
    let near = "{agree: [placed.amount, packed.amount], tolerance: 0.01}";
    assert_eq!(verdict(near, "0s placed amount=10\n 1m packed amount=10.01", ""), "passed");
    assert_snapshot!(tell(near, "0s placed amount=10\n 1m packed amount=10.01\n 2m packed amount=9.99", ""), @r"
    broken: mismatch, open
    expected: placed.amount and packed.amount agree to within 0.01
    seen: placed 0s, packed 1m, packed 2m
    sure: what was seen is enough
    placed.amount is 10 and packed.amount is 10.01, 9.99
    ");
    assert_eq!(verdict(near, "0s placed amount=ten\n 1m packed amount=ten", ""), "passed");
    assert_eq!(verdict(near, "0s placed amount=ten\n 1m packed amount=10", ""), "broken: mismatch, open");
    assert_eq!(verdict(near, "0s placed amount=10\n 1m packed", ""), "broken: mismatch, open");
}

#[test]
fn a_mismatch_waits_until_no_newer_version_can_come() {
    let records = "0s placed amount=10\n 10m packed amount=9";
    assert_snapshot!(tell(AMOUNT, records, "app: ..10m"), @r"
    undecided: after_recording
    `app` is complete only before 10m; a newer placed may have come until 10m
    ");
    assert_snapshot!(tell(AMOUNT, records, "queue: ..5m, down"), @r"
    undecided: source_down
    `queue` is down and was read to 5m only; a newer paid may have come until 10m
    ");
    assert_snapshot!(tell(AMOUNT, records, "queue: ..5m, live"), @r"
    not due
    not due before all sources have passed 10m
    ");
    assert_eq!(verdict(AMOUNT, records, "all: 9m..11m, gap 1m..2m"), "broken: mismatch, open");
    assert_eq!(verdict(AMOUNT, "0s placed amount=9\n 10m packed amount=9", "app: ..10m, down"), "passed");
}

#[test]
fn with_within_each_change_has_so_long() {
    assert_eq!(verdict(SOON, "0s row amount=1\n 5m paid payment=p amount=1", ""), "passed");
    let changed = "0s row amount=1\n 1m paid payment=p amount=1\n 10m row amount=2\n 15m paid payment=p amount=2";
    assert_eq!(verdict(SOON, changed, ""), "passed");
    assert_eq!(verdict(SOON, "0s row amount=1\n 0s paid payment=p amount=2\n 5m row amount=2", ""), "passed");
}

#[test]
fn what_was_wrong_so_long_after_a_change_stays_broken_and_heals() {
    assert_snapshot!(tell(SOON, "0s row amount=1\n 0s paid payment=p amount=2\n 20m row amount=2", ""), @r"
    broken: mismatch, healed
    expected: row.amount and paid.amount agree, 5m after each change
    seen: paid 0s, row 0s, row 20m
    by: 5m
    healed after: 15m
    sure: what was seen is enough
    row.amount is 1 and paid.amount is 2, 5m after a change
    ");
    assert_snapshot!(tell(SOON, "0s row amount=1\n 0s paid payment=p amount=2", ""), @r"
    broken: mismatch, open
    expected: row.amount and paid.amount agree, 5m after each change
    seen: paid 0s, row 0s
    by: 5m
    sure: what was seen is enough
    row.amount is 1 and paid.amount is 2, 5m after a change
    ");
    assert_snapshot!(tell(SOON, "0s row amount=1\n 0s paid payment=p amount=2", "all: ..4m"), @r"
    undecided: after_recording
    `table` is complete only before 4m; a newer row may have come until 5m
    ");
}

#[test]
fn times_compare_as_times() {
    let at_once = "{agree: [placed.time, packed.time]}";
    assert_eq!(verdict(at_once, "0s placed\n 0s packed", ""), "passed");
    assert_snapshot!(tell(at_once, "0s placed\n 1s packed", ""), @r"
    broken: mismatch, open
    expected: placed.time and packed.time agree
    seen: placed 0s, packed 1s
    sure: what was seen is enough
    placed.time is 0s and packed.time is 1s
    ");
}

#[test]
fn by_a_key_only_its_own_effects_count() {
    let items = "{agree: [placed.amount, packed.amount], by: item}";
    let records = "0s placed item=i-1,i-2 amount=5\n 1m packed item=i-1 amount=5\n 2m packed item=i-2 amount=6";
    assert_eq!(verdict(items, records, ""), "i-1: passed\ni-2: broken: mismatch, open");
}
