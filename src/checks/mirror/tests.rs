//! A cache shows the newest version in time, or nothing at all.

use crate::checks::fixture::{tell, verdict};
use insta::assert_snapshot;

const FRESH: &str = "{mirror: row, in: cache, entry: \"order:{order}\", fields: {status: status}, within: 1m}";

#[test]
fn the_entry_shows_each_version_in_time() {
    assert_eq!(verdict(FRESH, "0s row status=new\n 1m entry status=new", ""), "passed");
    assert_eq!(verdict(FRESH, "0s entry status=new\n 1m row status=paid\n 2m5s entry status=paid", ""), "passed");
    let late = "0s entry status=new\n 1m row status=paid\n 2m6s entry status=paid";
    assert_eq!(verdict(FRESH, late, ""), "broken: stale_cache, healed");
    assert_snapshot!(tell(FRESH, "0s entry status=new", ""), @r"
    does not apply
    there is no row
    ");
}

#[test]
fn an_entry_that_is_not_there_is_not_stale() {
    assert_eq!(verdict(FRESH, "0s row status=new", ""), "passed");
    assert_eq!(verdict(FRESH, "0s entry status=new\n 1m entry\n 2m row status=paid", ""), "passed");
}

#[test]
fn an_old_entry_is_stale() {
    assert_snapshot!(tell(FRESH, "0s entry status=new\n 10m row status=paid", "all: ..1h"), @r"
    broken: stale_cache, open
    expected: cache shows every row within 1m
    seen: entry 0s, row 10m
    by: 11m
    sure: no entry missed in cache from 9m55s to 11m5s
    1m after row, cache showed status new instead of paid
    ");
    assert_snapshot!(tell(FRESH, "0s entry\n 5m entry status=new\n 10m row", ""), @r"
    broken: stale_cache, open
    expected: cache shows every row within 1m
    seen: entry 0s, entry 5m, row 10m
    by: 11m
    sure: no entry missed in cache from 9m55s to 11m5s
    1m after row, cache showed status new instead of null
    ");
}

#[test]
fn what_caught_up_later_healed() {
    assert_snapshot!(tell(FRESH, "0s entry status=new\n 10m row status=paid\n 30m entry status=paid", ""), @r"
    broken: stale_cache, healed
    expected: cache shows every row within 1m
    seen: entry 0s, row 10m, entry 30m
    by: 11m
    healed after: 19m
    sure: no entry missed in cache from 9m55s to 11m5s
    1m after row, cache showed status new instead of paid
    ");
    // It never showed this version, but went on to the next.
    let skipped = "0s entry status=new\n 10m row status=paid\n 20m row status=sent\n 20m entry status=sent";
    assert_snapshot!(tell(FRESH, skipped, ""), @r"
    broken: stale_cache, healed
    expected: cache shows every row within 1m
    seen: entry 0s, row 10m, row 20m, entry 20m
    by: 11m
    healed after: 9m
    sure: no entry missed in cache from 9m55s to 11m5s
    1m after row, cache showed status new instead of paid
    ");
    let lost_again = "0s entry status=new\n 10m row status=paid\n 30m entry status=paid\n 31m entry status=new";
    assert_eq!(verdict(FRESH, lost_again, ""), "broken: stale_cache, open");
}

#[test]
fn a_version_that_was_superseded_in_time_need_not_be_shown() {
    let quick = "0s entry status=new\n 10m row status=paid\n 11m row status=sent\n 11m30s entry status=sent";
    assert_eq!(verdict(FRESH, quick, ""), "passed");
}

#[test]
fn only_the_named_fields_are_compared_numbers_as_numbers() {
    let both =
        "{mirror: row, in: cache, entry: \"order:{order}\", fields: {status: status, total: amount}, within: 1m}";
    assert_eq!(verdict(both, "0s row status=new amount=5\n 1s entry status=new total=5.00", ""), "passed");
    assert_snapshot!(tell(both, "0s row status=new amount=5\n 1s entry status=new", ""), @r"
    broken: stale_cache, open
    expected: cache shows every row within 1m
    seen: row 0s, entry 1s
    by: 1m
    sure: no entry missed in cache from -5s to 1m5s
    1m after row, cache showed total null instead of 5
    ");
}

#[test]
fn an_update_of_the_entry_may_have_been_missed() {
    let stale = "0s entry status=new\n 10m row status=paid";
    assert_snapshot!(tell(FRESH, stale, "cache: ..1h, gap 10m30s..10m40s"), @r"
    undecided: gap
    `cache` may have missed records from 10m30s to 10m40s; entry may be among them
    ");
    assert_eq!(verdict(FRESH, stale, "cache: ..11m5s"), "undecided: after_recording");
    assert_eq!(verdict(FRESH, stale, "cache: ..11m5s, live"), "not due");
    assert_eq!(verdict(FRESH, stale, "cache: ..10m, down"), "undecided: source_down");
    assert_eq!(verdict(FRESH, stale, "cache: ..11m5s1ms, gap 9m..9m54s"), "broken: stale_cache, open");
}
