//! Every B has its A before it, or is an orphan, or its A came too late or too early.

use crate::checks::fixture::{tell, verdict};
use insta::assert_snapshot;

const PLACED: &str = "{step: packed, requires: placed, within: 1d}";
const EVER: &str = "{step: packed, requires: placed}";

#[test]
fn the_window_includes_both_its_ends() {
    assert_eq!(verdict(PLACED, "0s placed\n 24h packed", ""), "passed");
    assert_eq!(verdict(PLACED, "0s placed\n 24h1ms packed", ""), "broken: late, open");
    assert_eq!(verdict(PLACED, "0s placed\n 0s packed", ""), "passed");
    assert_eq!(verdict(PLACED, "1ms placed\n 0s packed", ""), "broken: out_of_order, healed");
    assert_eq!(verdict(EVER, "0s placed\n 900h packed", ""), "passed");
}

#[test]
fn between_two_clocks_the_doubt_is_for_the_accused() {
    let paid = "{step: packed, requires: paid, within: 1h}";
    assert_eq!(verdict(paid, "5s paid\n 0s packed", ""), "passed");
    assert_eq!(verdict(paid, "5s1ms paid\n 0s packed", ""), "broken: out_of_order, healed");
    assert_eq!(verdict(paid, "0s paid\n 1h5s packed", ""), "passed");
    assert_eq!(verdict(paid, "0s paid\n 1h5s1ms packed", ""), "broken: late, open");
}

#[test]
fn without_any_it_is_an_orphan() {
    assert_snapshot!(tell(PLACED, "0s packed", "app: -24h..1h"), @r"
    broken: orphan, open
    expected: placed before every packed, at most 1d before it
    seen: packed 0s
    sure: no placed missed in app from -1d to 0s
    packed came, but no placed before it, nor since
    ");
    assert_snapshot!(tell(EVER, "0s packed\n 1m packed", "app: -2h..2h"), @r"
    broken: orphan, open
    expected: placed before every packed
    seen: packed 0s, packed 1m
    sure: no placed missed in app from -1h to 0s
    packed came, but no placed before it, nor since (so for 2 of 2 packed)
    ");
}

#[test]
fn only_afterwards_is_out_of_order_and_healed() {
    assert_snapshot!(tell(PLACED, "0s packed\n 10m placed", ""), @r"
    broken: out_of_order, healed
    expected: placed before every packed, at most 1d before it
    seen: packed 0s, placed 10m
    healed after: 10m
    sure: no placed missed in app from -1d to 0s
    packed came 10m before the first placed
    ");
}

#[test]
fn only_long_before_is_late() {
    assert_snapshot!(tell(PLACED, "0s placed\n 48h packed\n 49h placed", ""), @r"
    broken: late, open
    expected: placed before every packed, at most 1d before it
    seen: placed 0s, packed 2d, placed 2d1h
    sure: no placed missed in app from 1d to 2d
    placed came 2d before packed, longer ago than 1d
    ");
}

#[test]
fn an_orphan_is_claimed_only_where_the_watch_reaches_back() {
    assert_snapshot!(tell(PLACED, "0s packed", "app: -23h..1h"), @r"
    undecided: before_watch
    `app` is complete only from -23h on; placed may have come from -1d on
    ");
    assert_snapshot!(tell(EVER, "0s packed", "app: -59m..1h"), @r"
    undecided: before_watch
    `app` is complete only from -59m on; placed may have come from -1h on
    ");
    assert_eq!(verdict(EVER, "0s packed", "app: -1h..1h"), "broken: orphan, open");
    assert_snapshot!(tell(PLACED, "0s packed", "app: -24h..1h, gap -2h..-1h"), @r"
    undecided: gap
    `app` may have missed records from -2h to -1h; placed may be among them
    ");
    assert_eq!(verdict(PLACED, "0s packed", "app: -24h..0s, live"), "not due");
    assert_eq!(verdict(PLACED, "0s packed", "app: -24h..0s, down"), "undecided: source_down");
    assert_eq!(verdict(PLACED, "0s packed", "app: -24h..0s"), "undecided: after_recording");
}

#[test]
fn what_is_in_doubt_is_not_out_of_order_either() {
    assert_eq!(verdict(PLACED, "0s packed\n 10m placed", "app: -24h..1h, gap -2h..-1h"), "undecided: gap");
}

#[test]
fn the_worst_of_several_decides_orphan_then_late_then_out_of_order() {
    assert_snapshot!(tell(PLACED, "0s packed\n 10m placed\n 48h packed", ""), @r"
    broken: late, open
    expected: placed before every packed, at most 1d before it
    seen: packed 0s, placed 10m, packed 2d
    sure: no placed missed in app from 1d to 2d
    placed came 1d23h50m before packed, longer ago than 1d (so for 2 of 2 packed)
    ");
    let items = "{step: packed, requires: placed, within: 1d, by: item}";
    let records =
        "0s placed item=i-1\n 1h packed item=i-1\n 2h packed item=i-2\n 3h placed item=i-3\n 2h packed item=i-3";
    assert_eq!(
        verdict(items, records, ""),
        "i-1: passed\ni-2: broken: orphan, open\ni-3: broken: out_of_order, healed"
    );
}

#[test]
fn without_a_b_nothing_is_required() {
    assert_snapshot!(tell(PLACED, "0s placed", ""), @r"
    does not apply
    there is no packed
    ");
}

#[test]
fn an_effect_is_not_required_by_itself() {
    let chain = "{step: packed, requires: packed, within: 1h}";
    assert_eq!(verdict(chain, "0s packed", ""), "broken: orphan, open");
    assert_snapshot!(tell(chain, "0s packed\n 30m packed", ""), @r"
    broken: out_of_order, healed
    expected: packed before every packed, at most 1h before it
    seen: packed 0s, packed 30m
    healed after: 30m
    sure: no packed missed in app from -1h to 0s
    packed came 30m before the first packed
    ");
}
