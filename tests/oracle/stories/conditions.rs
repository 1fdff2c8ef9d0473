//! `given`, `unless`, `begins`, and what a check says of itself.

use super::tell;

#[test]
fn only_what_has_all_that_is_given() {
    let check = "{after: placed, expect: paid, within: 10s, given: [announced, packed]}";
    let story = "placed 0s order=1 item=a\nannounced 0s order=1";
    tell(check, &format!("{story}\npacked 0s item=a"), "1 lost_message open");
    tell(check, story, "1 not applicable");
    // Its absence needs evidence, from linger before the first sight to the deadline.
    tell(check, &format!("{story}\ndepot from -20s"), "1 not applicable");
    tell(check, &format!("{story}\ndepot from -19s"), "1 undecided before_watch");
    tell(check, &format!("{story}\ndepot to 11s"), "1 not applicable");
    tell(check, &format!("{story}\ndepot to 10s"), "1 undecided after_recording");
    // One that is surely missing is enough, and what passed needs nothing.
    tell(check, "placed 0s order=1\ndepot to 10s", "1 not applicable");
    tell(check, &format!("{story}\npaid 1s order=1\ndepot to 10s"), "1 not applicable");
    // Nothing is said of what is doubtful itself, beyond that.
    tell(check, &format!("{story}\nbus to 10s"), "1 not applicable");
}

#[test]
fn nothing_that_has_an_excuse() {
    let check = "{after: placed, expect: paid, within: 10s, unless: [cancelled, packed]}";
    tell(check, "placed 0s order=1", "1 lost_message open");
    tell(check, "placed 0s order=1\ncancelled 50m order=1", "1 not applicable");
    tell(check, "placed 0s order=1\ncancelled -50m order=1", "1 not applicable");
    tell(check, "placed 0s order=1\ndepot to 10s", "1 undecided after_recording");
    tell(check, "placed 0s order=1\ndepot from -20s", "1 lost_message open");
    tell(check, "placed 0s order=1\ndepot from -19s", "1 undecided before_watch");
    tell(check, "placed 0s order=1\npaid 5s order=1\ndepot to 1s", "1 passed");
    // With a beginning, nothing before it matters.
    tell(check, "begins placed\nplaced 0s order=1\ndepot from 0s", "1 lost_message open");
    // The deadline is the one until which it was waited for.
    let patient = "{after: placed, expect: paid, within: 10s, give_up: 30s, unless: [packed]}";
    tell(patient, "placed 0s order=1\ndepot to 30s", "1 undecided after_recording");
    tell(patient, "placed 0s order=1\ndepot to 31s", "1 lost_message open");
}

#[test]
fn the_deadlines_up_to_which_conditions_look() {
    let rows = [
        ("{forbid: announced, unless: [packed]}", "announced 5s order=1", "forbidden_step open", 5),
        ("{at_most: {paid: 1}, unless: [packed]}", "paid 0s order=1 #a\npaid 7s order=1 #b", "duplicate open", 7),
        (
            "{after: announced, never: paid, unless: [packed]}",
            "announced 0s order=1\npaid 7s order=1",
            "forbidden_step open",
            7,
        ),
        (
            "{order: [paid, announced], unless: [packed]}",
            "announced 0s order=1\npaid 7s order=1",
            "out_of_order open",
            7,
        ),
        ("{step: paid, requires: announced, unless: [packed]}", "paid 7s order=1", "orphan open", 7),
        (
            "{together: [paid, announced], within: 3s, unless: [packed]}",
            "paid 7s order=1",
            "partial_transaction open",
            10,
        ),
        (
            "{agree: [paid.amount], unless: [packed]}",
            "paid 0s order=1 amount=1 #a\npaid 7s order=1 amount=2 #b",
            "mismatch open",
            7,
        ),
        (
            "{agree: [paid.amount], within: 3s, unless: [packed]}",
            "paid 0s order=1 amount=1 #a\npaid 7s order=1 amount=2 #b",
            "mismatch open",
            10,
        ),
        (
            "{holds: \"count(paid) == 1\", within: 3s, unless: [packed]}",
            "paid 0s order=1 #a\npaid 7s order=1 #b",
            "mismatch open",
            10,
        ),
    ];
    for (check, story, broken, deadline) in rows {
        // packed waits for the depot, and for the shop that binds its items.
        tell(check, &format!("{story}\ndepot to {}s", deadline + 1), &format!("1 {broken}"));
        tell(check, &format!("{story}\ndepot to {deadline}s"), "1 undecided after_recording");
    }
}

#[test]
fn conditions_look_at_the_same_value_where_they_can() {
    let story = "placed 0s order=1 item=a item=b\npacked 1s item=a";
    let check = "{after: placed, expect: packed, by: item, within: 10s, unless: [packed]}";
    tell(check, story, "1/a not applicable, 1/b missing_step open");
    let check = "{after: placed, expect: packed, by: item, within: 10s, unless: [announced]}";
    tell(check, story, "1/a passed, 1/b missing_step open");
    tell(check, &format!("{story}\nannounced 5s order=1"), "1/a not applicable, 1/b not applicable");
}

#[test]
fn what_lacks_its_beginning_near_the_beginning_of_the_watch_is_undecided() {
    let check = "{step: paid, requires: announced, within: 5s}";
    let story = |from: &str| format!("begins placed\nshop from {from}\npaid 0s order=1");
    tell(check, &story("-19s"), "1 undecided before_watch");
    tell(check, &story("-20s"), "1 orphan open");
    tell(check, &format!("{}\nplaced 0s order=1", story("-19s")), "1 orphan open");
    tell(check, &format!("{}\nannounced 0s order=1", story("-19s")), "1 undecided before_watch");
    // What only growth can break, and what does not apply, stays.
    tell("{at_most: {paid: 1}}", &story("-19s"), "1 passed");
    tell("{forbid: paid}", &story("-19s"), "1 forbidden_step open");
    tell("{after: announced, expect: paid, within: 5s}", &story("-19s"), "1 not applicable");
}

#[test]
fn a_class_of_ones_own_replaces_the_derived_one() {
    let check = "{after: placed, expect: paid, within: 10s, class: orphan}";
    tell(check, "placed 0s order=1\npaid 11s order=1", "1 orphan healed");
}
