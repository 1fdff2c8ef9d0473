//! `given`, `unless` and `begins`: what every form has in common.

use crate::checks::fixture::{tell, verdict};
use insta::assert_snapshot;

const UNLESS: &str = "{after: placed, expect: packed, within: 30m, unless: [cancelled, refunded]}";
const GIVEN: &str = "{after: placed, expect: packed, within: 30m, given: [paid]}";

#[test]
fn what_was_cancelled_is_not_judged_whenever_that_came() {
    assert_snapshot!(tell(UNLESS, "0s placed\n 900h cancelled", ""), @r"
    does not apply
    cancelled came
    ");
    assert_eq!(verdict(UNLESS, "0s placed\n 5m packed\n 6m refunded", ""), "does not apply");
}

#[test]
fn that_it_was_not_cancelled_needs_evidence_as_well() {
    assert_snapshot!(tell(UNLESS, "0s placed", "all: -1h5s..2h"), @r"
    broken: missing_step, open
    expected: packed within 30m after placed, unless cancelled or refunded
    seen: placed 0s
    by: 30m
    sure: no packed missed in app from 0s to 30m
    sure: no cancelled missed in app from -1h to 30m
    sure: no refunded missed in queue from -1h to 30m
    no packed came within 30m after placed, nor since
    ");
    assert_snapshot!(tell(UNLESS, "0s placed", "all: -2h..2h\n queue: ..2h, gap -50m..-40m"), @r"
    undecided: gap
    `queue` may have missed records from -50m to -40m; refunded may be among them
    ");
    assert_eq!(verdict(UNLESS, "0s placed", "all: -2h..2h\n queue: ..30m"), "undecided: after_recording");
    assert_eq!(verdict(UNLESS, "0s placed", "all: -2h..2h\n queue: ..30m1ms"), "broken: missing_step, open");
    assert_eq!(verdict(UNLESS, "0s placed", "all: -2h..2h\n queue: ..30m, live"), "not due");
    assert_eq!(verdict(UNLESS, "0s placed", "all: -2h..2h\n queue: -59m.."), "undecided: before_watch");
    // What passes needs none.
    assert_eq!(verdict(UNLESS, "0s placed\n 5m packed", "queue: ..1m, gap 0s..1m"), "passed");
}

#[test]
fn where_given_is_missing_there_is_nothing_to_say() {
    assert_eq!(verdict(GIVEN, "0s placed\n 1m paid", ""), "broken: missing_step, open");
    assert_snapshot!(tell(GIVEN, "0s placed\n 1m paid", ""), @r"
    broken: missing_step, open
    expected: packed within 30m after placed, given paid
    seen: placed 0s
    by: 30m
    sure: no packed missed in app from 0s to 30m
    no packed came within 30m after placed, nor since
    ");
    assert_snapshot!(tell(GIVEN, "0s placed", ""), @r"
    does not apply
    there is no paid
    ");
    assert_eq!(verdict(GIVEN, "0s placed\n 1m packed", "queue: ..1m, gap 0s..1m"), "does not apply");
}

#[test]
fn where_given_may_have_been_missed_nothing_is_sure() {
    assert_snapshot!(tell(GIVEN, "0s placed", "queue: -1h..2h, gap 10m..12m"), @r"
    undecided: gap
    `queue` may have missed records from 10m to 12m; paid may be among them
    ");
    // Of several, one that is surely missing is enough.
    let both = "{after: placed, expect: packed, within: 30m, given: [paid, shipped]}";
    assert_eq!(verdict(both, "0s placed", "queue: -1h..2h, gap 10m..12m"), "does not apply");
    assert_snapshot!(tell(both, "0s placed", "all: -30m.."), @r"
    undecided: before_watch
    `app` is complete only from -30m on; shipped may have come from -1h on
    ");
}

#[test]
fn with_begins_the_evidence_is_needed_from_there() {
    let flow = flow("begins: [placed]", "{after: placed, expect: packed, within: 30m, unless: [paid]}");
    assert_eq!(verdict(&flow, "0s placed", "all: 0s..2h"), "broken: missing_step, open");
    assert_eq!(verdict(&flow, "0s placed", "all: ..2h, gap -2m..-1m"), "broken: missing_step, open");
    let without = flow.replace("begins: [placed]\n", "");
    assert_eq!(verdict(&without, "0s placed", "all: 0s..2h"), "undecided: before_watch");
}

#[test]
fn what_lacks_its_beginning_began_before_the_watch() {
    let check = "{step: packed, requires: placed, within: 1m}";
    let with = flow("begins: [placed]", check);
    assert_snapshot!(tell(&with, "1h packed", "app: 1m..3h"), @r"
    undecided: before_watch
    no placed was seen: it may have begun before the watch did
    ");
    assert_eq!(verdict(&with, "1h1m packed", "app: 1m..3h"), "broken: orphan, open");
    // What passes is undecided too, but what only growth can break is not.
    let once = flow("begins: [placed]", "{at_most: {packed: 1}}");
    assert_eq!(verdict(&once, "0s packed\n 1s packed", "app: 0s..3h"), "broken: duplicate, open");
    let order = flow("begins: [placed]", "{order: [packed, paid]}");
    assert_eq!(verdict(&order, "0s packed\n 10s paid", "app: 0s..3h"), "undecided: before_watch");
}

#[test]
fn the_deadline_of_the_worst_part_bounds_the_evidence() {
    let patient = "{after: placed, expect: packed, within: 30m, give_up: 2h, unless: [paid]}";
    assert_eq!(verdict(patient, "0s placed", "queue: ..2h"), "undecided: after_recording");
    assert_eq!(verdict(patient, "0s placed", "queue: ..2h1ms"), "broken: missing_step, open");
    let forbidden = "{forbid: packed, unless: [paid]}";
    assert_eq!(verdict(forbidden, "0s packed\n 1h packed", "queue: ..1ms"), "broken: forbidden_step, open");
}

#[test]
fn by_a_key_the_condition_is_of_that_value_where_its_step_carries_it() {
    let items = "{after: placed, expect: packed, within: 30m, by: item, unless: [shipped, cancelled]}";
    let records = "0s placed item=i-1,i-2\n 5m shipped item=i-1";
    assert_eq!(verdict(items, records, ""), "i-1: does not apply\ni-2: broken: missing_step, open");
    let cancelled = "0s placed item=i-1,i-2\n 5m cancelled";
    assert_eq!(verdict(items, cancelled, ""), "i-1: does not apply\ni-2: does not apply");
}

/// A flow of its own, with a line before its steps.
fn flow(line: &str, check: &str) -> String {
    format!(
        "\
flow: short
key: order
linger: 1h
{line}
steps:
  placed: {{from: app, key: {{order: body.order}}}}
  packed: {{from: app, key: {{order: body.order}}}}
  paid:   {{from: queue, key: {{order: body.order}}}}
checks:
  only: {check}
"
    )
}
