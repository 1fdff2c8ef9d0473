//! All came, or none, or half of it.

use crate::checks::fixture::{tell, verdict};
use insta::assert_snapshot;

const BOTH: &str = "{together: [packed, shipped], within: 1h}";
const THREE: &str = "{together: [packed, shipped, paid], within: 1h}";

#[test]
fn all_of_them_in_time_or_none() {
    assert_eq!(verdict(BOTH, "0s packed\n 1h shipped", ""), "passed");
    assert_eq!(verdict(BOTH, "0s shipped\n 1h packed", ""), "passed");
    assert_eq!(verdict(BOTH, "0s packed\n 1h1ms shipped", ""), "broken: partial_transaction, healed");
    assert_snapshot!(tell(BOTH, "0s placed", ""), @r"
    does not apply
    there is no packed or shipped
    ");
}

#[test]
fn between_two_clocks_the_doubt_is_for_the_accused() {
    let other = "{together: [packed, paid], within: 1h}";
    assert_eq!(verdict(other, "0s packed\n 1h5s paid", ""), "passed");
    assert_eq!(verdict(other, "0s packed\n 1h5s1ms paid", ""), "broken: partial_transaction, healed");
}

#[test]
fn half_of_it_is_partial() {
    assert_snapshot!(tell(BOTH, "0s packed", "app: -1h..2h"), @r"
    broken: partial_transaction, open
    expected: packed and shipped within 1h of the first of them, or none
    seen: packed 0s
    by: 1h
    sure: no shipped missed in app from -1h to 1h
    packed came, but no shipped within 1h, nor since
    ");
    assert_snapshot!(tell(THREE, "0s shipped", "all: -2h..2h"), @r"
    broken: partial_transaction, open
    expected: packed, shipped and paid within 1h of the first of them, or none
    seen: shipped 0s
    by: 1h
    sure: no packed missed in app from -1h to 1h
    sure: no paid missed in queue from -1h5s to 1h5s
    shipped came, but no packed and no paid within 1h, nor since
    ");
}

#[test]
fn what_was_completed_too_late_healed() {
    assert_snapshot!(tell(BOTH, "0s packed\n 80m shipped", ""), @r"
    broken: partial_transaction, healed
    expected: packed and shipped within 1h of the first of them, or none
    seen: packed 0s, shipped 1h20m
    by: 1h
    healed after: 20m
    sure: no shipped missed in app from -1h to 1h
    packed came, but shipped only 1h20m after it, 20m too late
    ");
}

#[test]
fn it_is_open_while_any_part_is() {
    assert_snapshot!(tell(THREE, "0s packed\n 80m shipped", ""), @r"
    broken: partial_transaction, open
    expected: packed, shipped and paid within 1h of the first of them, or none
    seen: packed 0s, shipped 1h20m
    by: 1h
    sure: no shipped missed in app from -1h to 1h
    sure: no paid missed in queue from -1h5s to 1h5s
    packed came, but no paid within 1h, nor since; shipped only 1h20m after it, 20m too late
    ");
}

#[test]
fn the_other_half_may_have_come_before_the_watch_or_after_it() {
    assert_snapshot!(tell(BOTH, "0s packed", "app: -30m..2h"), @r"
    undecided: before_watch
    `app` is complete only from -30m on; shipped may have come from -1h on
    ");
    assert_snapshot!(tell(BOTH, "0s packed", "app: -1h..1h"), @r"
    undecided: after_recording
    `app` is complete only before 1h; shipped may have come until 1h
    ");
    assert_snapshot!(tell(BOTH, "0s packed", "app: -1h..3h, gap 59m..61m"), @r"
    undecided: gap
    `app` may have missed records from 59m to 1h1m; shipped may be among them
    ");
    assert_eq!(verdict(BOTH, "0s packed", "app: -1h..1h, down"), "undecided: source_down");
    assert_eq!(verdict(BOTH, "0s packed", "app: -1h..30m, live"), "not due");
    assert_eq!(verdict(BOTH, "0s packed", "app: -1h..1h1ms"), "broken: partial_transaction, open");
}

#[test]
fn what_is_surely_missing_counts_more_than_what_is_in_doubt() {
    assert_snapshot!(tell(THREE, "0s packed", "queue: ..2h, gap 10m..12m"), @r"
    broken: partial_transaction, open
    expected: packed, shipped and paid within 1h of the first of them, or none
    seen: packed 0s
    by: 1h
    sure: no shipped missed in app from -1h to 1h
    packed came, but no shipped within 1h, nor since
    ");
}

#[test]
fn by_a_key_each_value_is_a_whole() {
    let items = "{together: [packed, shipped], within: 1h, by: item}";
    let records = "0s packed item=i-1,i-2\n 10m shipped item=i-1";
    assert_eq!(verdict(items, records, ""), "i-1: passed\ni-2: broken: partial_transaction, open");
}
