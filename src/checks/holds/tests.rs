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
    sure: no packed missed in app from -1h to 1h
    sure: no shipped missed in app from -1h to 1h
    does not hold: count(packed) is 1 and count(shipped) is 0
    ");
    assert_snapshot!(tell(SUMS, "0s placed amount=10\n 1m packed amount=3\n 2m packed amount=6.5", ""), @r"
    broken: mismatch, open
    expected: sum(packed.amount) == placed.amount
    seen: placed 0s, packed 1m, packed 2m
    sure: no packed missed in app from -1h to 1h2m
    does not hold: sum(packed.amount) is 9.5 and placed.amount is 10
    ");
    let rest = "{holds: last(packed).amount >= first(packed).amount && max(packed.amount) - min(packed.amount) < 5 && distinct(packed.amount) < 9}";
    assert_snapshot!(tell(rest, "0s packed amount=10\n 1m packed amount=3", ""), @r"
    broken: mismatch, open
    expected: last(packed).amount >= first(packed).amount && max(packed.amount) - min(packed.amount) < 5 && distinct(packed.amount) < 9
    seen: packed 0s, packed 1m
    sure: no packed missed in app from 1m to 1h1m
    sure: no packed missed in app from -1h to 1h1m
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
    `app` is complete only before 1h; packed may have come until 1h
    ");
    assert_eq!(verdict(COUNTS, "0s shipped", "app: ..1h1ms"), "passed");
    assert_eq!(verdict(COUNTS, "0s shipped", "app: ..1h, live"), "not due");
    assert_eq!(verdict(COUNTS, "0s packed", "app: ..1h, down"), "undecided: source_down");
}

#[test]
fn where_nothing_more_counts_truth_passes_at_once() {
    assert_eq!(verdict(IN_TIME, "0s placed\n 1h packed", "app: ..1h"), "passed");
    let records = "0s placed\n 61m packed";
    assert_eq!(verdict(IN_TIME, records, "app: ..61m"), "undecided: after_recording");
    assert_eq!(verdict(IN_TIME, records, "app: ..61m1ms"), "broken: mismatch, open");
}

#[test]
fn a_gap_that_may_hold_one_more_leaves_counts_and_sums_undecided() {
    assert_snapshot!(tell(COUNTS, "0s packed", "app: ..2h, gap 1m..2m"), @r"
    undecided: gap
    `app` may have missed records from 1m to 2m; packed may be among them
    ");
    for all in ["count(packed) < 9", "sum(packed.amount) < 9", "min(packed.amount) > 0", "max(packed.amount) < 9"] {
        let check = format!("{{holds: {all}}}");
        let with = |gap: &str| verdict(&check, "10m packed amount=3", &format!("app: ..3h, gap {gap}"));
        assert_eq!(with("2h..3h"), "passed", "{all}: after the stragglers");
        assert_eq!(with("1h10m..2h"), "undecided: gap", "{all}: among the stragglers");
        assert_eq!(with("-50m..-50m"), "undecided: gap", "{all}: where it may have begun");
        assert_eq!(with("-2h..-51m"), "passed", "{all}: before it may have begun");
    }
    assert_eq!(verdict("{holds: distinct(packed.amount) < 9}", "0s packed", "app: gap 0s..0s"), "undecided: gap");
}

#[test]
fn what_came_first_is_judged_as_it_was_seen() {
    let first = "{holds: packed.amount < first(packed).amount}";
    let records = "10m packed amount=3\n 20m packed amount=4";
    assert_eq!(verdict(first, records, "app: gap 5m..10m"), "broken: mismatch, open");
    assert_eq!(verdict(first, records, "app: 5m..21m"), "broken: mismatch, open");
    assert_eq!(verdict(first, records, "app: ..20m"), "undecided: after_recording", "a version may follow");
    assert_eq!(verdict("{holds: packed.amount < 9}", records, "app: 5m..21m, gap 0s..1h"), "passed");
}

#[test]
fn what_came_last_is_changed_only_by_what_came_after_it() {
    for (last, met) in [("last(packed).amount > 3", "passed"), ("last(packed).amount > 4", "broken: mismatch, open")] {
        let check = format!("{{holds: {last}}}");
        let with = |coverage: &str| verdict(&check, "10m packed amount=3\n 20m packed amount=4", coverage);
        assert_eq!(with("app: 15m..2h, gap 16m..19m"), met);
        assert_eq!(with("app: gap 20m..21m"), "undecided: gap");
        assert_eq!(with("app: gap 1h20m.."), "undecided: gap");
        assert_eq!(with("app: ..1h20m"), "undecided: after_recording");
    }
}

#[test]
fn an_effect_that_may_have_versions_can_be_changed_on_either_side() {
    let coverage = "queue: gap 11m..12m";
    let records = "0s placed amount=9\n 10m paid payment=p-1 amount=3\n 20m paid payment=p-2 amount=9";
    assert_eq!(verdict("{holds: paid.amount == placed.amount}", records, coverage), "broken: mismatch, open");
    assert_eq!(verdict("{holds: last(paid).amount == placed.amount}", records, coverage), "undecided: gap");
    assert_eq!(verdict("{holds: paid.amount == placed.amount}", records, "queue: ..20m1ms"), "broken: mismatch, open");
}

#[test]
fn a_step_that_begins_the_transaction_ends_the_search_for_earlier_ones() {
    let flow = "\
flow: f
key: order
begins: [placed]
steps:
  placed: {from: app, key: {order: body.order}}
  packed: {from: app, key: {order: body.order}}
checks:
  twice: {holds: count(packed) == 2}
";
    assert_eq!(verdict(flow, "0s placed\n 1m packed", "app: 0s.."), "broken: mismatch, open");
    assert_eq!(verdict(flow, "0s placed\n 1m packed\n 2m packed", "app: 0s.."), "passed");
    assert_eq!(verdict(flow, "0s placed\n 1m packed", "app: 1ms.."), "undecided: before_watch");
}

#[test]
fn with_within_only_what_may_have_come_by_then_counts() {
    let soon = "{holds: count(packed) == count(shipped), within: 5m}";
    assert_eq!(verdict(soon, "0s packed\n 9m shipped", "app: gap 6m..1h"), "broken: mismatch, healed");
    assert_eq!(verdict(soon, "0s packed\n 9m shipped", "app: gap 5m..6m"), "undecided: gap");
    assert_eq!(verdict(soon, "0s packed\n 5m shipped", "app: gap 1m..2m"), "passed", "as it was seen");
}

#[test]
fn a_record_that_joined_nothing_may_be_one_more() {
    let counts = "{holds: count(delivered) >= 1 || count(packed) == 0}";
    assert_eq!(verdict(counts, "0s packed", "unattached: delivered 50m"), "broken: mismatch, open");
    assert_eq!(verdict(counts, "0s packed", "app: gap 1h30m..1h31m"), "broken: mismatch, open");
    assert_snapshot!(tell(counts, "0s packed", "app: gap 1h30m..1h31m\nunattached: delivered 50m"), @r"
    undecided: gap
    a delivered that joined nothing may belong here: what binds it may have been missed
    ");
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
    sure: no packed missed in app from -1h to 5m
    sure: no shipped missed in app from -1h to 5m
    does not hold: count(packed) is 1 and count(shipped) is 0, 5m after a change
    ");
    assert_snapshot!(tell(soon, "0s packed\n 1m shipped\n 10m packed", ""), @r"
    broken: mismatch, open
    expected: count(packed) == count(shipped), 5m after each change
    seen: packed 0s, shipped 1m, packed 10m
    by: 15m
    sure: no packed missed in app from -1h to 15m
    sure: no shipped missed in app from -1h to 15m
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
