//! Forms that compare values.

use super::tell;

#[test]
fn values_that_agree() {
    let check = "{agree: [placed.amount, paid.amount]}";
    tell(check, "placed 0s order=1 amount=7\npaid 5s order=1 amount=007", "1 passed");
    tell(check, "placed 0s order=1 amount=7\npaid 5s order=1 amount=8", "1 mismatch open");
    tell(check, "placed 0s order=1 amount=null\npaid 5s order=1 amount=null", "1 passed");
    tell(check, "placed 0s order=1 amount=7\npaid 5s order=1 amount=null", "1 mismatch open");
    tell(check, "placed 0s order=1 amount=7", "1 not applicable");
    tell(check, "paid 0s order=1 amount=7 #a\npaid 5s order=1 amount=8 #b", "1 mismatch open");
    let about = "{agree: [placed.amount, paid.amount], tolerance: 0.5}";
    tell(about, "placed 0s order=1 amount=7\npaid 5s order=1 amount=7.5", "1 passed");
    tell(about, "placed 0s order=1 amount=7\npaid 5s order=1 amount=7.51", "1 mismatch open");
    tell(about, "placed 0s order=1 amount=x\npaid 5s order=1 amount=x", "1 passed");
    tell(about, "placed 0s order=1 amount=x\npaid 5s order=1 amount=7", "1 mismatch open");
}

#[test]
fn the_newest_version_counts() {
    let check = "{agree: [placed.amount, paid.amount]}";
    let story = "placed 0s order=1 amount=7 #row\nplaced 9s order=1 amount=8 #row\npaid 5s order=1 amount=8";
    tell(check, story, "1 passed");
    // A mismatch may still be put right by what the sources have not shown: they must have passed the newest record.
    let story = "placed 0s order=1 amount=7\npaid 5s order=1 amount=8";
    tell(check, &format!("{story}\nshop to 5s"), "1 undecided after_recording");
    tell(check, &format!("{story}\nshop to 6s"), "1 mismatch open");
    tell(check, &format!("{story}\nshop down 5s"), "1 undecided source_down");
}

#[test]
fn values_that_agree_in_time() {
    let check = "{agree: [placed.amount, paid.amount], within: 10s}";
    let until = |at: &str| {
        format!("placed 0s order=1 amount=7 #row\npaid 5s order=1 amount=8\nplaced {at} order=1 amount=8 #row")
    };
    tell(check, &until("10s"), "1 passed");
    // 10s after the order was placed the payment was there, and differed.
    tell(check, &until("11s"), "1 mismatch healed");
    tell(check, "placed 0s order=1 amount=7\npaid 5s order=1 amount=8", "1 mismatch open");
    tell(check, "bus to 15s\nplaced 0s order=1 amount=7\npaid 5s order=1 amount=8", "1 mismatch open");
    tell(check, "bus to 10s\nplaced 0s order=1 amount=7\npaid 5s order=1 amount=8", "1 undecided after_recording");
}

#[test]
fn invariants_of_first_values() {
    let check = "{holds: \"placed.amount == paid.amount\"}";
    tell(check, "placed 0s order=1 amount=7\npaid 5s order=1 amount=7", "1 passed");
    tell(check, "placed 0s order=1 amount=7\npaid 5s order=1 amount=8\npaid 6s order=1 amount=7", "1 mismatch open");
    tell(check, "placed 0s order=1 amount=7", "1 not applicable");
    // True passes at once; false needs the sources to have passed the newest record.
    tell(check, "bus to 0s\nplaced 0s order=1 amount=7\npaid 5s order=1 amount=7", "1 passed");
    tell(check, "bus to 5s\nplaced 0s order=1 amount=7\npaid 5s order=1 amount=8", "1 undecided after_recording");
}

#[test]
fn invariants_of_aggregates_wait_for_stragglers() {
    let check = "{holds: \"count(paid) <= count(placed)\"}";
    tell(check, "placed 0s order=1", "1 passed");
    tell(check, "paid 0s order=1", "1 mismatch open");
    tell(check, "bus to 20s\nplaced 0s order=1", "1 undecided after_recording");
    tell(check, "bus to 21s\nplaced 0s order=1", "1 passed");
    let sum = "{holds: \"sum(paid.amount) == 10\"}";
    tell(sum, "paid 0s order=1 amount=4 #a\npaid 0s order=1 amount=6 #b", "1 passed");
    tell(sum, "paid 0s order=1 amount=4 #a\npaid 0s order=1 amount=null #b", "1 undecided expression");
    tell(sum, "announced 0s order=1", "1 not applicable");
    let span = "{holds: 'last(paid).time - placed.time <= duration(\"10s\")'}";
    tell(span, "placed 0s order=1\npaid 10s order=1 #a", "1 passed");
    tell(span, "placed 0s order=1\npaid 10s order=1 #a\npaid 11s order=1 #b", "1 mismatch open");
    let least = "{holds: \"min(paid.amount) == 3 && max(paid.amount) == 4 && distinct(paid.amount) == 2\"}";
    tell(least, "paid 0s order=1 amount=3 #a\npaid 0s order=1 amount=4 #b\npaid 0s order=1 amount=null #c", "1 passed");
}

#[test]
fn invariants_that_hold_in_time() {
    let check = "{holds: \"count(paid) == count(placed)\", within: 10s}";
    tell(check, "placed 0s order=1\npaid 10s order=1", "1 passed");
    tell(check, "placed 0s order=1\npaid 11s order=1", "1 mismatch healed");
    tell(check, "placed 0s order=1", "1 mismatch open");
    tell(check, "bus to 10s\nplaced 0s order=1", "1 undecided after_recording");
}

#[test]
fn successive_states_follow_the_arrows() {
    let check = "{states: placed.status, allow: [\"new -> paid\", \"paid -> done\"], start: [new], end: [done, paid]}";
    let story = |rest: &str| format!("placed 0s order=1 status=new #row\n{rest}");
    tell(check, &story("placed 1s order=1 status=paid #row"), "1 passed");
    tell(check, &story("placed 1s order=1 status=new #row\nplaced 2s order=1 status=paid #row"), "1 passed");
    tell(check, &story("placed 1s order=1 status=done #row"), "1 illegal_transition open");
    tell(check, &story("polled yes\nplaced 1s order=1 status=done #row"), "1 passed");
    tell(check, &story("polled yes\nplaced 1s order=1 status=gone #row"), "1 illegal_transition open");
    tell(check, &story("shop gap 1s 1s\nplaced 1s order=1 status=done #row"), "1 undecided gap");
    // The first and the last value.
    tell(check, &story(""), "1 illegal_transition open");
    tell(check, &story("shop to 20s"), "1 undecided after_recording");
    tell(check, "placed 0s order=1 status=paid", "1 illegal_transition open");
    tell(check, "shop from -19s\nplaced 0s order=1 status=paid", "1 undecided before_watch");
}

#[test]
fn a_cache_shows_the_newest_version_in_time() {
    let check = "{mirror: placed, in: cache, entry: \"order:{order}\", fields: {status: status}, within: 10s}";
    let story = |rest: &str| format!("placed 0s order=1 status=new #row\n{rest}");
    tell(check, &story("check 5s order=1 status=new"), "1 passed");
    tell(check, &story("check 5s order=1 status=old"), "1 stale_cache open");
    tell(check, &story("check 5s order=1 status=old\ncheck 11s order=1 status=new"), "1 stale_cache healed");
    tell(check, &story("check 5s order=1 status=old\ncheck 9s order=1 status=null"), "1 passed");
    tell(check, &story(""), "1 passed");
    tell(check, "check 5s order=1 status=old", "1 not applicable");
    // A version that was followed by another in time need not have been shown.
    tell(check, &story("placed 10s order=1 status=paid #row\ncheck 20s order=1 status=paid"), "1 passed");
    tell(
        check,
        &story("placed 11s order=1 status=paid #row\ncheck 5s order=1 status=x\ncheck 20s order=1 status=paid"),
        "1 stale_cache healed",
    );
    tell(check, &story("cache gap 8s 8s\ncheck 5s order=1 status=old"), "1 undecided gap");
    tell(check, &story("skew 2s\ncheck 5s order=1 status=old\ncheck 12s order=1 status=new"), "1 passed");
}
