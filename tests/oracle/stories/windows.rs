//! Forms that look into windows of time.

use super::tell;

#[test]
fn an_answer_in_its_window_ends_included() {
    let check = "{after: placed, expect: paid, within: 10s}";
    tell(check, "placed 0s order=1\npaid 10s order=1", "1 passed");
    tell(check, "placed 0s order=1\npaid 0s order=1", "1 passed");
    tell(check, "placed 0s order=1\npaid 11s order=1", "1 late healed");
    tell(check, "placed 0s order=1", "1 lost_message open");
    tell(check, "placed 1s order=1\npaid 0s order=1", "1 lost_message open");
    tell(check, "paid 0s order=1", "1 not applicable");
    // One answer may serve several.
    tell(check, "placed 0s order=1\nplaced 5s order=1\npaid 10s order=1", "1 passed");
    // Never came is worse than late.
    tell(check, "placed 0s order=1\nplaced 30s order=1\npaid 11s order=1", "1 lost_message open");
}

#[test]
fn slack_widens_the_window_of_what_must_come() {
    let check = "{after: placed, expect: paid, within: 10s}";
    tell(check, "skew 2s\nplaced 0s order=1\npaid 12s order=1", "1 passed");
    tell(check, "skew 2s\nplaced 2s order=1\npaid 0s order=1", "1 passed");
    tell(check, "skew 2s\nplaced 0s order=1\npaid 13s order=1", "1 late healed");
    // One clock, one part: exact. Another part of the bus has another clock.
    let check = "{after: announced, expect: paid, within: 10s}";
    tell(check, "skew 2s\nannounced 0s order=1\npaid 11s order=1", "1 late healed");
    tell(check, "skew 2s\nannounced 0s order=1\npaid 11s order=1 part", "1 passed");
}

#[test]
fn early_and_give_up_and_anchors() {
    let early = "{after: placed, expect: paid, within: 10s, early: 3s}";
    tell(early, "placed 3s order=1\npaid 0s order=1", "1 passed");
    tell(early, "placed 4s order=1\npaid 0s order=1", "1 lost_message open");
    let patient = "{after: placed, expect: paid, within: 10s, give_up: 30s}";
    tell(patient, "bus to 30s\nplaced 0s order=1", "1 undecided after_recording");
    tell(patient, "bus to 31s\nplaced 0s order=1", "1 lost_message open");
    // Late is late, however late.
    tell(patient, "placed 0s order=1\npaid 40s order=1", "1 late healed");
    let story = "placed 0s order=1\nplaced 20s order=1\npaid 5s order=1";
    tell("{after: placed, expect: paid, within: 10s, anchor: first}", story, "1 passed");
    tell("{after: placed, expect: paid, within: 10s, anchor: last}", story, "1 lost_message open");
}

#[test]
fn alternatives_all_and_counts() {
    let any = "{after: placed, expect: {any: [paid, cancelled]}, within: 10s}";
    tell(any, "placed 0s order=1\ncancelled 5s order=1", "1 passed");
    tell(any, "placed 0s order=1\ncancelled 15s order=1", "1 late healed");
    let all = "{after: placed, expect: {all: [announced, paid]}, within: 10s}";
    tell(all, "placed 0s order=1\nannounced 5s order=1\npaid 5s order=1", "1 passed");
    tell(all, "placed 0s order=1\nannounced 5s order=1\npaid 15s order=1", "1 late healed");
    tell(all, "placed 0s order=1\npaid 15s order=1", "1 lost_message open");
    let count = "{after: placed, expect: {count: {paid: placed.amount}}, within: 10s}";
    tell(count, "placed 0s order=1 amount=2\npaid 5s order=1\npaid 6s order=1", "1 passed");
    tell(count, "placed 0s order=1 amount=2\npaid 5s order=1 #a\npaid 6s order=1 #a", "1 lost_message open");
    tell(count, "placed 0s order=1 amount=0", "1 passed");
    tell(count, "placed 0s order=1 amount=2.0\npaid 5s order=1\npaid 16s order=1", "1 late healed");
    for amount in ["null", "-1", "1.5", "many"] {
        tell(count, &format!("placed 0s order=1 amount={amount}"), "1 undecided expression");
    }
}

#[test]
fn nothing_answers_itself() {
    let check = "{after: announced, expect: announced, within: 10s}";
    tell(check, "announced 0s order=1", "1 lost_message open");
    tell(check, "announced 0s order=1\nannounced 5s order=1\nannounced 10s order=1", "1 lost_message open");
    let check = "{step: announced, requires: announced}";
    tell(check, "announced 0s order=1", "1 orphan open");
}

#[test]
fn a_step_between_rows_and_lines_is_missing_and_not_lost() {
    tell("{after: placed, expect: packed, within: 10s}", "placed 0s order=1", "1 missing_step open");
}

#[test]
fn an_absence_needs_every_source_of_the_closure() {
    // shipped joins by what paid binds; both come on the bus. packed joins by what placed binds, in the shop.
    let check = "{after: placed, expect: packed, within: 10s}";
    tell(check, "depot to 10s\nplaced 0s order=1", "1 undecided after_recording");
    tell(check, "shop to 10s\nplaced 0s order=1", "1 undecided after_recording");
    tell(check, "bus to 0s\nplaced 0s order=1", "1 missing_step open");
    tell(check, "depot to 11s\nshop to 11s\nplaced 0s order=1", "1 missing_step open");
    tell(check, "depot down 10s\nplaced 0s order=1", "1 undecided source_down");
    tell(check, "depot down 11s\nplaced 0s order=1", "1 missing_step open");
    tell(check, "depot gap 10s 12s\nplaced 0s order=1", "1 undecided gap");
    tell(check, "depot gap 11s 12s\nplaced 0s order=1", "1 missing_step open");
    tell(check, "depot gap 10s end\nplaced 0s order=1", "1 undecided gap");
    tell(check, "depot from 1s\nplaced 0s order=1", "1 undecided before_watch");
    tell(check, "depot from 0s\nplaced 0s order=1", "1 missing_step open");
    // Of several reasons the first in their order is given.
    tell(check, "depot from 1s to 10s gap 5s 5s\nplaced 0s order=1", "1 undecided gap");
    tell(check, "depot from 1s to 10s\nshop down 9s\nplaced 0s order=1", "1 undecided source_down");
    // Presence is judged in spite of them.
    tell(check, "depot gap 0s end\nplaced 0s order=1 item=a\npacked 5s item=a", "1 passed");
}

#[test]
fn an_unattached_observation_makes_an_absence_doubtful_where_its_binder_may_be_unseen() {
    let check = "{after: paid, expect: shipped, within: 10s}";
    // The payment that bound it may have come before the watch: linger is 20s.
    tell(check, "bus from 0s\npaid 10s order=1 payment=p\nshipped 15s payment=q", "1 undecided before_watch");
    tell(check, "bus from 0s\npaid 20s order=1 payment=p\nshipped 20s payment=q", "1 lost_message open");
    tell(check, "bus to 40s\npaid 20s order=1 payment=p\nshipped 20s payment=q", "1 undecided after_recording");
    // One without a key belongs to nobody.
    tell(check, "bus from 0s\npaid 10s order=1 payment=p\nshipped 15s", "1 lost_message open");
}

#[test]
fn by_the_next_due_time_and_by_the_end() {
    let due = "{after: placed, expect: paid, due: \"* * * * *\", grace: 5s}";
    tell(due, "placed 10s order=1\npaid 65s order=1", "1 passed");
    tell(due, "placed 10s order=1\npaid 66s order=1", "1 late healed");
    tell(due, "placed 60s order=1\npaid 120s order=1", "1 passed");
    tell(due, "placed 10s order=1", "1 lost_message open");
    let end = "{after: placed, expect: paid, within: end}";
    tell(end, "placed 10s order=1\npaid 50m order=1", "1 passed");
    tell(end, "bus to 11s\nplaced 10s order=1", "1 lost_message open");
    tell(end, "bus gap 50m 51m\nplaced 10s order=1", "1 undecided gap");
    tell(end, "bus from 11s\nplaced 10s order=1", "1 undecided before_watch");
    tell(end, "bus down 50m\nplaced 10s order=1", "1 undecided source_down");
}

#[test]
fn all_or_none_from_the_first_on() {
    let check = "{together: [placed, paid, packed], within: 10s}";
    tell(check, "paid 0s order=1\nplaced 10s order=1 item=a\npacked 10s item=a", "1 passed");
    tell(check, "paid 0s order=1\nplaced 10s order=1 item=a\npacked 11s item=a", "1 partial_transaction healed");
    tell(check, "paid 0s order=1\nplaced 10s order=1 item=a", "1 partial_transaction open");
    tell(check, "announced 0s order=1", "1 not applicable");
    tell(check, "depot from -10s\npaid 0s order=1\nplaced 0s order=1", "1 partial_transaction open");
    tell(check, "depot from -9s\npaid 0s order=1\nplaced 0s order=1", "1 undecided before_watch");
    // A part that is surely missing counts, whatever is doubtful beside it.
    tell(check, "depot to 5s\nplaced 0s order=1", "1 partial_transaction open");
}

#[test]
fn what_a_step_requires() {
    let any_time = "{step: paid, requires: announced}";
    tell(any_time, "announced 0s order=1\npaid 50m order=1", "1 passed");
    tell(any_time, "announced 0s order=1\npaid 0s order=1", "1 passed");
    tell(any_time, "announced 1s order=1\npaid 0s order=1", "1 out_of_order healed");
    tell(any_time, "paid 0s order=1", "1 orphan open");
    // Without `within` the watch must reach back linger.
    tell(any_time, "bus from -20s\npaid 0s order=1", "1 orphan open");
    tell(any_time, "bus from -19s\npaid 0s order=1", "1 undecided before_watch");
    let soon = "{step: paid, requires: announced, within: 10s}";
    tell(soon, "announced 0s order=1\npaid 10s order=1", "1 passed");
    tell(soon, "announced 0s order=1\npaid 11s order=1", "1 late open");
    tell(soon, "bus from 1s\nannounced 0s order=1\npaid 11s order=1", "1 late open");
    tell(soon, "bus from 2s\nannounced 0s order=1\npaid 11s order=1", "1 undecided before_watch");
    tell(soon, "announced 0s order=1\npaid 11s order=1\nannounced 12s order=1", "1 late open");
    // The worst of several: an orphan cannot stand beside the others, late is worse than out of order.
    tell(soon, "paid 0s order=1\nannounced 1s order=1\npaid 12s order=1", "1 late open");
    tell("{step: paid, requires: placed}", "skew 2s\nplaced 2s order=1\npaid 0s order=1", "1 passed");
}

#[test]
fn what_must_not_come() {
    let never = "{after: cancelled, never: placed}";
    tell(never, "cancelled 0s order=1\nplaced 0s order=1", "1 passed");
    tell(never, "cancelled 0s order=1\nplaced 1s order=1", "1 forbidden_step open");
    tell(never, "skew 2s\ncancelled 0s order=1\nplaced 2s order=1", "1 passed");
    tell(never, "placed 1s order=1", "1 not applicable");
    // Passes on what was seen, whatever is missing.
    tell(never, "shop down 0s\ncancelled 0s order=1", "1 passed");
    let within = "{after: cancelled, never: placed, within: 10s}";
    tell(within, "skew 2s\ncancelled 0s order=1\nplaced 8s order=1", "1 forbidden_step open");
    tell(within, "skew 2s\ncancelled 0s order=1\nplaced 9s order=1", "1 passed");
    tell("{forbid: cancelled}", "cancelled 0s order=1\nplaced 0s order=2", "1 forbidden_step open, 2 passed");
}

#[test]
fn how_often_and_in_which_order() {
    let once = "{at_most: {paid: 1}}";
    tell(once, "paid 0s order=1 #a\npaid 5s order=1 #a", "1 passed");
    tell(once, "paid 0s order=1 #a\npaid 5s order=1 #b", "1 duplicate open");
    tell(once, "paid 0s order=1\npaid 5s order=1", "1 duplicate open");
    tell(once, "placed 0s order=1", "1 not applicable");
    let order = "{order: [announced, paid, placed]}";
    tell(order, "announced 0s order=1\npaid 0s order=1\nplaced 0s order=1", "1 passed");
    tell(order, "announced 0s order=1\nplaced 1s order=1\nannounced 2s order=1", "1 out_of_order open");
    tell(order, "paid 0s order=1\npaid 5s order=1 #b\nplaced 4s order=1", "1 out_of_order open");
    tell(order, "skew 2s\nannounced 5s order=1\nplaced 3s order=1", "1 passed");
    tell(order, "announced 5s order=1\nannounced 6s order=1", "1 not applicable");
}

#[test]
fn a_job_runs_at_each_due_time() {
    let check = "{schedule: \"* * * * *\", expect: cleaned, within: 5s, early: 2s}";
    let minute = |n| format!("2024-01-01T00:0{n}:00Z");
    let (one, two) = (minute(1), minute(2));
    tell(check, "depot from 30s to 2m30s\ncleaned 58s\ncleaned 125s", &format!("{one} passed, {two} passed"));
    tell(check, "depot from 30s to 2m30s\ncleaned 57s", &format!("{one} missed_run open, {two} missed_run open"));
    tell(check, "depot from 59s to 2m4s", &format!("{one} undecided before_watch, {two} undecided after_recording"));
    tell(check, "depot from 61s down 2m4s", &format!("{two} undecided source_down"));
    tell(check, "depot from 61s to 2m30s gap 2m5s 2m9s", &format!("{two} undecided gap"));
    // Where coverage has no end, the flow's records of the source stand for it, of whatever step.
    tell(
        check,
        "depot complete\ndelivered 30s package=x\npacked 2m item=y",
        &format!("{one} missed_run open, {two} missed_run open"),
    );
    tell(check, "depot complete", "");
}
