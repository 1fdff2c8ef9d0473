//! Joining by binding, effects, and judging by a key's values.

use super::tell;

#[test]
fn a_chain_of_keys_reaches_every_order() {
    // packed knows items and binds the package; delivered knows the package alone.
    let check = "{after: placed, expect: delivered, within: 1m}";
    let story = "placed 0s order=1 item=a\nplaced 0s order=2 item=b\nplaced 0s order=3 item=c
        packed 5s item=a item=b package=x\ndelivered 9s package=x";
    tell(check, story, "1 passed, 2 passed, 3 missing_step open");
}

#[test]
fn a_key_of_higher_rank_binds_nothing_lower() {
    // packed joins by its package and brings an item: the item's other observations stay away.
    let story = "placed 0s order=1 item=a\npacked 1s item=a package=x\npacked 2s item=b package=x\npacked 3s item=b";
    tell("{at_most: {packed: 2}}", story, "1 passed");
    tell("{at_most: {packed: 1}}", story, "1 duplicate open");
}

#[test]
fn a_binding_reaches_back_linger() {
    let check = "{at_most: {shipped: 1}}";
    let story = |at: &str| format!("paid 30s order=1 payment=p\nshipped 40s payment=p\nshipped {at} payment=p");
    tell(check, &story("10s"), "1 duplicate open");
    tell(check, &story("9s"), "1 passed");
    // However long before.
    tell("{forbid: shipped}", "paid 0s order=1 payment=p\nshipped 50m payment=p", "1 forbidden_step open");
}

#[test]
fn a_bindings_time_is_the_latest_along_its_chain() {
    // The item is bound at 40s, so the package too, though packed itself came at 25s.
    let story = |at: &str| format!("placed 40s order=1 item=a\npacked 25s item=a package=x\ndelivered {at} package=x");
    tell("{forbid: delivered}", &story("20s"), "1 forbidden_step open");
    tell("{forbid: delivered}", &story("19s"), "1 passed");
    // The earliest of several chains counts.
    let story = format!("{}\nplaced 30s order=1 item=b\npacked 26s item=b package=x", story("10s"));
    tell("{forbid: delivered}", &story, "1 forbidden_step open");
}

#[test]
fn what_carries_the_flows_key_joins_that_alone() {
    let story = "paid 0s order=1 payment=p\npaid 1s order=2 payment=p\nshipped 2s payment=p";
    tell("{at_most: {paid: 1}}", story, "1 passed, 2 passed");
    tell("{forbid: shipped}", story, "1 forbidden_step open, 2 forbidden_step open");
    // Without it, it joins like any other.
    tell("{at_most: {paid: 1}}", "paid 0s order=1 payment=p\npaid 1s payment=p", "1 duplicate open");
}

#[test]
fn several_orders_in_one_record_are_bound_all_to_all() {
    let story = "paid 0s order=1 order=2 payment=p payment=q\nshipped 2s payment=q";
    tell("{forbid: shipped}", story, "1 forbidden_step open, 2 forbidden_step open");
}

#[test]
fn an_effect_has_the_earliest_time_and_the_newest_fields() {
    let story = "placed 0s order=1 amount=7\npaid 5s order=1 amount=1 #a\npaid 15s order=1 amount=7 #a";
    tell("{after: placed, expect: paid, within: 10s}", story, "1 passed");
    tell("{agree: [placed.amount, paid.amount]}", story, "1 passed");
    // What makes it unique is unique within transaction and step.
    let story = "paid 0s order=1 #a\npaid 0s order=2 #a\npaid 5s order=2 #b";
    tell("{at_most: {paid: 1}}", story, "1 passed, 2 duplicate open");
    // A key's value and any other text are one value.
    tell("{at_most: {paid: 1}}", "paid 0s order=1 payment=#a #a\npaid 1s order=1 #a", "1 passed");
}

#[test]
fn by_a_key_each_value_is_judged() {
    let check = "{after: placed, expect: packed, by: item, within: 10s}";
    let story = "placed 0s order=1 item=a item=b\npacked 5s item=a";
    tell(check, story, "1/a passed, 1/b missing_step open");
    tell(check, "placed 0s order=1", "");
    // The keys of an effect are those of all its records.
    let check = "{at_most: {packed: 1}, by: item}";
    let story = "placed 0s order=1 item=a item=b\npacked 5s item=a #p\npacked 6s item=b #p\npacked 7s item=b #q";
    tell(check, story, "1/a passed, 1/b duplicate open");
}

#[test]
fn a_key_that_is_bound_too_late_is_not_the_records() {
    // The package came by item a; item b is bound only long after.
    let check = "{at_most: {packed: 1}, by: item}";
    let story = |at: &str| {
        format!(
            "placed 0s order=1 item=a\npacked 5s item=a item=b\npacked 6s item=a item=b\nplaced {at} order=1 item=b"
        )
    };
    tell(check, &story("25s"), "1/a duplicate open, 1/b duplicate open");
    tell(check, &story("26s"), "1/a duplicate open, 1/b passed");
    tell(check, &story("27s"), "1/a duplicate open, 1/b not applicable");
}
