//! A is followed by a B, or is not, or cannot be known to be.

use crate::checks::fixture::{tell, verdict};
use insta::assert_snapshot;

/// Both in `app`, whose times compare exactly.
const PACKED: &str = "{after: placed, expect: packed, within: 30m}";
/// From `app` to `queue`, whose clocks may differ by 5s.
const PAID: &str = "{after: placed, expect: paid, within: 30m}";

#[test]
fn the_window_includes_both_its_ends() {
    let early = "{after: placed, expect: packed, within: 30m, early: 10m}";
    assert_eq!(verdict(PACKED, "0s placed\n 30m packed", ""), "passed");
    assert_eq!(verdict(PACKED, "0s placed\n 30m1ms packed", ""), "broken: late, healed");
    assert_eq!(verdict(PACKED, "0s placed\n 0s packed", ""), "passed");
    assert_eq!(verdict(PACKED, "0s placed\n -1ms packed", ""), "broken: missing_step, open");
    assert_eq!(verdict(early, "0s placed\n -10m packed", ""), "passed");
    assert_eq!(verdict(early, "0s placed\n -10m1ms packed", ""), "broken: missing_step, open");
}

#[test]
fn between_two_clocks_the_doubt_is_for_the_accused() {
    assert_eq!(verdict(PAID, "0s placed\n 30m5s paid", ""), "passed");
    assert_eq!(verdict(PAID, "0s placed\n 30m5s1ms paid", ""), "broken: late, healed");
    assert_eq!(verdict(PAID, "0s placed\n -5s paid", ""), "passed");
    assert_eq!(verdict(PAID, "0s placed\n -5s1ms paid", ""), "broken: lost_message, open");
    // One file of many hosts has no common clock, nor have two parts of one queue.
    let logged = "{after: logged, expect: logged, within: 30m}";
    assert_eq!(verdict(logged, "0s logged\n 5s logged", ""), "passed");
    let refunded = "{after: paid, expect: refunded, within: 30m}";
    assert_eq!(verdict(refunded, "0s paid\n 30m1s refunded", ""), "broken: late, healed");
    assert_eq!(verdict(refunded, "0s paid part=1\n 30m1s refunded part=2", ""), "passed");
    // Whole seconds may be rounded by one.
    let stamped = "{after: stamped, expect: stamped, within: 30m, anchor: first}";
    assert_eq!(verdict(stamped, "0s stamped\n 30m1s stamped", ""), "passed");
    assert_eq!(verdict(stamped, "0s stamped\n 30m2s stamped", ""), "broken: late, healed");
}

#[test]
fn what_never_came_is_lost_where_messages_carry_it() {
    assert_snapshot!(tell(PAID, "0s placed", "all: -1h..2h"), @r"
    broken: lost_message, open
    expected: paid within 30m after placed
    seen: placed 0s
    by: 30m
    sure: no paid missed in queue from -5s to 30m5s
    no paid came within 30m after placed, nor since
    ");
    assert_snapshot!(tell(PACKED, "0s placed", ""), @r"
    broken: missing_step, open
    expected: packed within 30m after placed
    seen: placed 0s
    by: 30m
    sure: no packed missed in app from 0s to 30m
    no packed came within 30m after placed, nor since
    ");
}

#[test]
fn what_came_after_the_deadline_is_late_and_healed() {
    assert_snapshot!(tell(PAID, "0s placed\n 40m paid", "all: -1h..2h"), @r"
    broken: late, healed
    expected: paid within 30m after placed
    seen: placed 0s, paid 40m
    by: 30m
    healed after: 10m
    sure: no paid missed in queue from -5s to 30m5s
    paid came 40m after placed, 10m too late
    ");
}

#[test]
fn until_it_is_given_up_it_is_only_overdue() {
    let patient = "{after: placed, expect: packed, within: 30m, give_up: 2h}";
    assert_eq!(verdict(patient, "0s placed", "app: -1h..1h, live"), "not due");
    assert_eq!(verdict(patient, "0s placed\n 3h packed", ""), "broken: late, healed");
    assert_snapshot!(tell(patient, "0s placed", "app: -1h..1h"), @r"
    undecided: after_recording
    `app` is complete only before 1h; packed may have come until 2h
    ");
    assert_snapshot!(tell(patient, "0s placed", "app: -1h..3h"), @r"
    broken: missing_step, open
    expected: packed within 30m after placed, given up after 2h
    seen: placed 0s
    by: 30m
    sure: no packed missed in app from 0s to 2h
    no packed came within 2h after placed, nor since
    ");
}

#[test]
fn what_came_only_before_the_window_never_came() {
    assert_snapshot!(tell(PACKED, "-10m packed\n 0s placed", ""), @r"
    broken: missing_step, open
    expected: packed within 30m after placed
    seen: packed -10m, placed 0s
    by: 30m
    sure: no packed missed in app from 0s to 30m
    packed came 10m before placed; none within 30m after placed, nor since
    ");
}

#[test]
fn an_absence_needs_every_source_that_could_have_brought_it() {
    assert_eq!(verdict(PAID, "0s placed", "queue: -5s..30m6s"), "broken: lost_message, open");
    assert_snapshot!(tell(PAID, "0s placed", "queue: ..2h, gap 10m..12m"), @r"
    undecided: gap
    `queue` may have missed records from 10m to 12m; paid may be among them
    ");
    assert_snapshot!(tell(PAID, "0s placed", "queue: ..2h, gap 30m5s.."), @r"
    undecided: gap
    `queue` may have missed records from 30m5s on; paid may be among them
    ");
    assert_snapshot!(tell(PAID, "0s placed", "queue: -4s..2h"), @r"
    undecided: before_watch
    `queue` is complete only from -4s on; paid may have come from -5s on
    ");
    assert_snapshot!(tell(PAID, "0s placed", "queue: ..30m5s"), @r"
    undecided: after_recording
    `queue` is complete only before 30m5s; paid may have come until 30m5s
    ");
    assert_snapshot!(tell(PAID, "0s placed", "queue: ..20m, down"), @r"
    undecided: source_down
    `queue` is down and was read to 20m only; paid may have come until 30m5s
    ");
    assert_snapshot!(tell(PAID, "0s placed", "queue: ..20m, live"), @r"
    not due
    not due before all sources have passed 30m5s
    ");
    assert_eq!(verdict(PAID, "0s placed", "queue: ..2h, gap 30m6s..1h"), "broken: lost_message, open");
    assert_eq!(verdict(PAID, "0s placed", "app: ..2h, gap 10m..12m"), "broken: lost_message, open");
}

#[test]
fn what_came_too_late_is_not_late_where_an_earlier_one_may_have_been_missed() {
    assert_eq!(verdict(PAID, "0s placed\n 40m paid", "queue: ..2h, gap 10m..12m"), "undecided: gap");
    assert_eq!(verdict(PAID, "0s placed\n 40m paid", "queue: ..2h, gap 35m..36m"), "broken: late, healed");
}

#[test]
fn presence_is_judged_in_spite_of_gaps() {
    assert_eq!(verdict(PAID, "0s placed\n 5m paid", "queue: 1m..6m, gap 2m..3m, down"), "passed");
}

#[test]
fn a_step_that_joins_by_another_key_waits_for_its_binders_too() {
    let delivered = "{after: placed, expect: delivered, within: 30m}";
    assert_snapshot!(tell(delivered, "0s placed item=i-1", "app: ..20m"), @r"
    undecided: after_recording
    `app` is complete only before 20m; what leads to delivered may have come until 30m5s
    ");
    assert_snapshot!(tell(delivered, "0s placed item=i-1", "carrier: ..2h"), @r"
    broken: missing_step, open
    expected: delivered within 30m after placed
    seen: placed 0s
    by: 30m
    sure: no delivered missed in app from -5s to 30m5s
    sure: no delivered missed in carrier from -5s to 30m5s
    no delivered came within 30m after placed, nor since
    ");
    // Somebody's delivery lies in the window, and what would say whose was not seen.
    let unknown = "app: -10m..\n unattached: delivered 20m";
    assert_snapshot!(tell(delivered, "0s placed item=i-1", unknown), @r"
    undecided: before_watch
    a delivered that joined nothing may belong here: what binds it may have been missed
    ");
    let known = "app: -2h..\n unattached: delivered 20m";
    assert_eq!(verdict(delivered, "0s placed item=i-1", known), "broken: missing_step, open");
    // Of those beyond the limit only the stretch in which they lie is known.
    let beyond = |from: &str, to: &str| {
        verdict(
            delivered,
            "0s placed item=i-1",
            &format!("app: -2h..\n too many: delivered {from}\n too many: delivered {to}"),
        )
    };
    assert_eq!(beyond("-10m", "2h"), "undecided: limit");
    assert_eq!(beyond("31m", "2h"), "broken: missing_step, open");
    assert_eq!(beyond("-2h", "-10m"), "broken: missing_step, open");
}

#[test]
fn any_of_several_is_enough() {
    let settled = "{after: placed, expect: {any: [packed, cancelled]}, within: 30m}";
    assert_eq!(verdict(settled, "0s placed\n 5m cancelled", ""), "passed");
    assert_snapshot!(tell(settled, "0s placed\n 50m cancelled\n 45m packed", ""), @r"
    broken: late, healed
    expected: packed or cancelled within 30m after placed
    seen: placed 0s, packed 45m, cancelled 50m
    by: 30m
    healed after: 15m
    sure: no packed missed in app from 0s to 30m
    sure: no cancelled missed in app from 0s to 30m
    packed came 45m after placed, 15m too late
    ");
    assert_snapshot!(tell(settled, "0s placed", "app: -1h..2h"), @r"
    broken: missing_step, open
    expected: packed or cancelled within 30m after placed
    seen: placed 0s
    by: 30m
    sure: no packed missed in app from 0s to 30m
    sure: no cancelled missed in app from 0s to 30m
    no packed or cancelled came within 30m after placed, nor since
    ");
}

#[test]
fn all_of_several_are_needed() {
    let done = "{after: placed, expect: {all: [packed, shipped, paid]}, within: 30m}";
    assert_eq!(verdict(done, "0s placed\n 5m packed\n 6m shipped\n 7m paid", ""), "passed");
    assert_snapshot!(tell(done, "0s placed\n 5m packed\n 40m shipped", "all: -1h..2h"), @r"
    broken: lost_message, open
    expected: packed, shipped and paid within 30m after placed
    seen: placed 0s, packed 5m, shipped 40m
    by: 30m
    sure: no shipped missed in app from 0s to 30m
    sure: no paid missed in queue from -5s to 30m5s
    shipped came 40m after placed, 10m too late; no paid came within 30m after placed, nor since
    ");
    assert_eq!(verdict(done, "0s placed\n 5m packed\n 6m shipped", "queue: ..2h, gap 1m..2m"), "undecided: gap");
    // Of several doubts the graver is told.
    assert_eq!(verdict(done, "0s placed", "app: ..5m\n queue: ..2h, gap 1m..2m"), "undecided: gap");
    // What is surely broken counts more than what is in doubt, and claims nothing about that.
    assert_snapshot!(tell(done, "0s placed\n 5m packed", "queue: ..2h, gap 1m..2m"), @r"
    broken: missing_step, open
    expected: packed, shipped and paid within 30m after placed
    seen: placed 0s, packed 5m
    by: 30m
    sure: no shipped missed in app from 0s to 30m
    no shipped came within 30m after placed, nor since
    ");
}

#[test]
fn so_many_are_needed() {
    let three = "{after: placed, expect: {count: {packed: 3}}, within: 30m}";
    assert_eq!(verdict(three, "0s placed\n 5m packed\n 6m packed\n 7m packed", ""), "passed");
    assert_snapshot!(tell(three, "0s placed\n 5m packed\n 40m packed\n 50m packed", ""), @r"
    broken: late, healed
    expected: 3 × packed within 30m after placed
    seen: placed 0s, packed 5m, packed 40m, packed 50m
    by: 30m
    healed after: 20m
    sure: no packed missed in app from 0s to 30m
    the last of 3 packed came 50m after placed, 20m too late
    ");
    assert_snapshot!(tell(three, "0s placed\n 5m packed\n 6m packed", ""), @r"
    broken: missing_step, open
    expected: 3 × packed within 30m after placed
    seen: placed 0s, packed 5m, packed 6m
    by: 30m
    sure: no packed missed in app from 0s to 30m
    only 2 of 3 packed came within 30m after placed or since
    ");
    // A capture that was delivered twice is one.
    let two = "{after: placed, expect: {count: {paid: 2}}, within: 30m}";
    assert_eq!(verdict(two, "0s placed\n 5m paid payment=p\n 6m paid payment=p", ""), "broken: lost_message, open");
}

#[test]
fn the_count_may_be_a_field_of_the_anchor() {
    let lines = "{after: placed, expect: {count: {packed: placed.lines}}, within: 30m}";
    assert_eq!(verdict(lines, "0s placed lines=2\n 5m packed\n 6m packed", ""), "passed");
    assert_eq!(verdict(lines, "0s placed lines=\"2.0\"\n 5m packed\n 6m packed", ""), "passed");
    assert_eq!(verdict(lines, "0s placed lines=0", ""), "passed");
    assert_snapshot!(tell(lines, "0s placed lines=2\n 5m packed", ""), @r"
    broken: missing_step, open
    expected: placed.lines × packed within 30m after placed
    seen: placed 0s, packed 5m
    by: 30m
    sure: no packed missed in app from 0s to 30m
    only 1 of 2 packed came within 30m after placed or since
    ");
    assert_snapshot!(tell(lines, "0s placed lines=null\n 5m packed", ""), @r"
    undecided: expression
    placed.lines is null, which is no number of packed
    ");
    assert_eq!(verdict(lines, "0s placed lines=-1\n 5m packed", ""), "undecided: expression");
    assert_eq!(verdict(lines, "0s placed lines=1.5\n 5m packed", ""), "undecided: expression");
}

#[test]
fn one_answer_serves_several_anchors_but_never_itself() {
    assert_eq!(verdict(PACKED, "0s placed\n 5m placed\n 20m packed", ""), "passed");
    let again = "{after: placed, expect: placed, within: 30m}";
    assert_eq!(verdict(again, "0s placed", ""), "broken: missing_step, open");
    assert_eq!(verdict(again, "0s placed\n 0s placed", ""), "passed");
}

#[test]
fn the_worst_of_several_anchors_decides() {
    assert_snapshot!(tell(PACKED, "0s placed\n 40m packed\n 2h placed\n 4h placed\n 4h1m packed", ""), @r"
    broken: late, healed
    expected: packed within 30m after placed
    seen: placed 0s, packed 40m, placed 2h, placed 4h, packed 4h1m
    by: 30m
    healed after: 1h31m
    sure: no packed missed in app from 0s to 30m
    packed came 40m after placed, 10m too late (so for 2 of 3 placed, at worst 1h31m too late)
    ");
    assert_snapshot!(tell(PACKED, "0s placed\n 31m packed\n 2h placed\n 4h packed", ""), @r"
    broken: late, healed
    expected: packed within 30m after placed
    seen: placed 0s, packed 31m, placed 2h, packed 4h
    by: 30m
    healed after: 1h30m
    sure: no packed missed in app from 0s to 30m
    packed came 31m after placed, 1m too late (so for 2 of 2 placed, at worst 1h30m too late)
    ");
}

#[test]
fn an_anchor_that_is_in_doubt_does_not_save_the_others() {
    let records = "0s placed\n 2h placed";
    assert_eq!(verdict(PACKED, records, "app: ..2h"), "broken: missing_step, open");
    assert_eq!(verdict(PACKED, "0s placed\n 5m packed\n 2h placed", "app: ..2h"), "undecided: after_recording");
    assert_eq!(verdict(PACKED, "0s placed\n 5m packed\n 2h placed", "app: ..2h, live"), "not due");
    assert_eq!(verdict(PACKED, records, "app: ..2h, live"), "broken: missing_step, open");
}

#[test]
fn only_the_first_or_the_last_anchor_may_count() {
    let (first, last) = (
        "{after: placed, anchor: first, expect: packed, within: 30m}",
        "{after: placed, anchor: last, expect: packed, within: 30m}",
    );
    let retried = "0s placed\n 1h placed\n 1h5m packed";
    assert_eq!(verdict(last, retried, ""), "passed");
    assert_snapshot!(tell(first, retried, ""), @r"
    broken: late, healed
    expected: packed within 30m after the first placed
    seen: placed 0s, placed 1h, packed 1h5m
    by: 30m
    healed after: 35m
    sure: no packed missed in app from 0s to 30m
    packed came 1h5m after the first placed, 35m too late
    ");
    assert_eq!(verdict(last, "0s placed\n 5m packed\n 1h placed", ""), "broken: missing_step, open");
}

#[test]
fn due_is_the_next_time_of_a_schedule() {
    let nightly = "{after: placed, expect: packed, due: \"0 3 * * *\", grace: 10m}";
    assert_eq!(verdict(nightly, "0s placed\n 3h10m packed", ""), "passed");
    assert_eq!(verdict(nightly, "3h placed\n 27h packed", ""), "passed");
    assert_snapshot!(tell(nightly, "0s placed\n 4h packed", ""), @r"
    broken: late, healed
    expected: packed by the next `0 3 * * *` (UTC) after placed, plus 10m
    seen: placed 0s, packed 4h
    by: 3h10m
    healed after: 50m
    sure: no packed missed in app from 0s to 3h10m
    packed came 4h after placed, 50m too late
    ");
    assert_snapshot!(tell(nightly, "0s placed", ""), @r"
    broken: missing_step, open
    expected: packed by the next `0 3 * * *` (UTC) after placed, plus 10m
    seen: placed 0s
    by: 3h10m
    sure: no packed missed in app from 0s to 3h10m
    no packed came by the next `0 3 * * *` (UTC) after placed, plus 10m, nor since
    ");
    assert_eq!(verdict(nightly, "0s placed", "app: ..3h"), "undecided: after_recording");
}

#[test]
fn by_the_end_needs_the_end() {
    let finally = "{after: placed, expect: paid, within: end}";
    assert_eq!(verdict(finally, "0s placed\n 90h paid", "queue: ..1h, gap 1m..2m"), "passed");
    assert_snapshot!(tell(finally, "0s placed", "all: -1h..1h"), @r"
    broken: lost_message, open
    expected: paid after placed by the end of the recording
    seen: placed 0s
    sure: no paid missed in queue from -5s to the end
    no paid came after placed by the end of the recording
    ");
    assert_snapshot!(tell(finally, "0s placed", "queue: -1h..1h, live"), @r"
    not due
    not due before the end of the recording
    ");
    assert_snapshot!(tell(finally, "0s placed", "queue: -1h..1h, down"), @r"
    undecided: source_down
    `queue` is down and was read to 1h only; paid may have come until the end
    ");
    assert_snapshot!(tell(finally, "0s placed", "queue: -1h..1h, gap 30m.."), @r"
    undecided: gap
    `queue` may have missed records from 30m on; paid may be among them
    ");
    assert_eq!(verdict(finally, "0s placed", "queue: 0s..1h"), "undecided: before_watch");
}

#[test]
fn by_a_key_each_value_has_its_own_answer() {
    let items = "{after: placed, expect: packed, within: 30m, by: item}";
    assert_snapshot!(tell(items, "0s placed item=i-1,i-2,i-3\n 5m packed item=i-1\n 45m packed item=i-2", ""), @r"
    i-1: passed
    met
    i-2: broken: late, healed
    expected: packed within 30m after placed
    seen: placed 0s, packed 45m
    by: 30m
    healed after: 15m
    sure: no packed missed in app from 0s to 30m
    packed came 45m after placed, 15m too late
    i-3: broken: missing_step, open
    expected: packed within 30m after placed
    seen: placed 0s
    by: 30m
    sure: no packed missed in app from 0s to 30m
    no packed came within 30m after placed, nor since
    ");
    // A value that is bound, but not by the anchor, has none.
    assert_eq!(verdict(items, "0s placed item=i-1\n 5m packed item=i-1,i-4", ""), "i-1: passed\ni-4: does not apply");
}

#[test]
fn without_an_anchor_there_is_nothing_to_judge() {
    assert_snapshot!(tell(PACKED, "0s packed", ""), @r"
    does not apply
    there is no placed
    ");
}
