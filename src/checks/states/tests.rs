//! Successive states follow the arrows.

use crate::checks::fixture::{tell, verdict};
use insta::assert_snapshot;

const PATH: &str = "{states: row.status, allow: [new -> paid, paid -> shipped]}";
const WHOLE: &str = "{states: row.status, allow: [new -> paid, paid -> shipped], start: [new], end: [shipped]}";

#[test]
fn the_arrows_are_followed_and_staying_is_no_transition() {
    assert_eq!(
        verdict(PATH, "0s row status=new\n 1m row status=new\n 2m row status=paid\n 3m row status=shipped", ""),
        "passed"
    );
    assert_eq!(verdict(PATH, "0s row status=anything", ""), "passed");
    assert_snapshot!(tell(PATH, "0s placed", ""), @r"
    does not apply
    there is no row
    ");
}

#[test]
fn a_transition_that_no_arrow_allows_is_illegal() {
    assert_snapshot!(tell(PATH, "0s row status=new\n 10m row status=shipped", "table: ..1h"), @r"
    broken: illegal_transition, open
    expected: row.status moves only along new -> paid, paid -> shipped
    seen: row 0s, row 10m
    sure: no row missed in table from 0s to 10m
    row.status went from new to shipped
    ");
    assert_snapshot!(tell(PATH, "0s row status=shipped\n 1m row status=new\n 2m row status=shipped", ""), @r"
    broken: illegal_transition, open
    expected: row.status moves only along new -> paid, paid -> shipped
    seen: row 0s, row 1m, row 2m
    sure: no row missed in table from 0s to 1m
    row.status went from shipped to new (and 1 more)
    ");
    assert_snapshot!(tell(PATH, "0s row status=new\n 1m row", ""), @r"
    broken: illegal_transition, open
    expected: row.status moves only along new -> paid, paid -> shipped
    seen: row 0s, row 1m
    sure: no row missed in table from 0s to 1m
    row.status went from new to null
    ");
}

#[test]
fn a_source_that_skips_versions_needs_a_path_of_arrows_alone() {
    let polled = PATH.replace("row", "polled");
    assert_eq!(verdict(&polled, "0s polled status=new\n 10m polled status=shipped", ""), "passed");
    assert_eq!(
        verdict(&polled, "0s polled status=paid\n 10m polled status=new", ""),
        "broken: illegal_transition, open"
    );
}

#[test]
fn a_version_in_between_may_have_been_missed() {
    let records = "0s row status=new\n 10m row status=shipped";
    assert_snapshot!(tell(PATH, records, "table: ..1h, gap 5m..6m"), @r"
    undecided: gap
    `table` may have missed records from 5m to 6m; row may be among them
    ");
    assert_eq!(verdict(PATH, records, "table: ..1h, gap 11m..12m"), "broken: illegal_transition, open");
    assert_eq!(verdict(PATH, records, "table: 1m..1h"), "undecided: before_watch");
    assert_eq!(verdict(PATH, records, "table: ..10m, live"), "not due");
    assert_eq!(verdict(PATH, records, "table: ..10m, down"), "undecided: source_down");
    assert_eq!(verdict(PATH, records, "table: ..10m"), "undecided: after_recording");
}

#[test]
fn the_order_of_one_clock_stands_and_that_of_many_must_be_beyond_doubt() {
    let logged = PATH.replace("row", "logged");
    assert_eq!(verdict(PATH, "0s row status=paid\n 0s row status=new", ""), "broken: illegal_transition, open");
    assert_eq!(verdict(PATH, "0s row status=paid part=1\n 0s row status=new part=2", ""), "passed");
    assert_eq!(verdict(&logged, "0s logged status=paid\n 5s logged status=new", ""), "passed");
    assert_eq!(
        verdict(&logged, "0s logged status=paid\n 6s logged status=new", ""),
        "broken: illegal_transition, open"
    );
}

#[test]
fn the_first_state_and_the_last_may_be_named() {
    assert_eq!(verdict(WHOLE, "0s row status=new\n 1m row status=paid\n 2m row status=shipped", ""), "passed");
    assert_snapshot!(tell(WHOLE, "0s row status=paid\n 2m row status=shipped", "table: -1h..2h"), @r"
    broken: illegal_transition, open
    expected: row.status moves only along new -> paid, paid -> shipped, from new, to shipped at last
    seen: row 0s, row 2m
    sure: no row missed in table from -1h to 0s
    row.status began as paid
    ");
    assert_snapshot!(tell(WHOLE, "0s row status=new\n 2m row status=paid", "table: -1h..2h"), @r"
    broken: illegal_transition, open
    expected: row.status moves only along new -> paid, paid -> shipped, from new, to shipped at last
    seen: row 0s, row 2m
    sure: no row missed in table from 2m to 1h2m
    row.status ended as paid
    ");
    assert_snapshot!(tell(WHOLE, "0s row status=paid\n 2m row status=shipped", "table: -59m..2h"), @r"
    undecided: before_watch
    `table` is complete only from -59m on; row may have come from -1h on
    ");
    assert_snapshot!(tell(WHOLE, "0s row status=new\n 2m row status=paid", "table: -1h..62m"), @r"
    undecided: after_recording
    `table` is complete only before 1h2m; row may have come until 1h2m
    ");
}

#[test]
fn what_is_surely_wrong_is_told_before_what_is_in_doubt() {
    assert_snapshot!(tell(WHOLE, "0s row status=paid\n 2m row status=new", "table: -30m..3h"), @r"
    broken: illegal_transition, open
    expected: row.status moves only along new -> paid, paid -> shipped, from new, to shipped at last
    seen: row 0s, row 2m
    sure: no row missed in table from 0s to 2m
    row.status went from paid to new (and 1 more)
    ");
    assert_snapshot!(tell(WHOLE, "0s row status=new\n 10m row status=gone", "table: -1h..3h, gap 5m..6m"), @r"
    broken: illegal_transition, open
    expected: row.status moves only along new -> paid, paid -> shipped, from new, to shipped at last
    seen: row 0s, row 10m
    sure: no row missed in table from 10m to 1h10m
    row.status ended as gone
    ");
}
