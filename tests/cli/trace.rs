//! `trace`: the transactions that have a key.

use super::*;

#[test]
fn trace_tells_the_story_of_one_transaction() {
    let case = Case::new(&one_lost());
    case.run("trace o-3")
        .exits(0)
        .says("events.jsonl:6")
        .says("paid: broken (missing_step")
        .says("paid-once: does not apply");
    case.run("trace o-1").exits(0).says("events.jsonl:3").says("paid: passed");
    case.run("trace o-99").exits(3).complains("no transaction has the key `o-99` (order_id, payment_id of order)");
}

/// 25 orders go out in one tour, long before the recording ends; in another one goes just before it does.
#[test]
fn trace_finds_a_transaction_by_any_of_its_keys() {
    let packed = |at: &str, order: &str, tour: &str| {
        format!(
            "{{\"type\": \"Packed\", \"ts\": \"2026-01-29T{at}Z\", \"order_id\": \"{order}\", \"tour\": \"{tour}\"}}\n"
        )
    };
    let orders: String = (10..35).map(|n| packed("09:10:00", &format!("o-{n}"), "t-1")).collect();
    let events = tick("06:00:00") + &orders + &tick("14:00:00") + &packed("14:59:00", "o-2", "t-2") + &tick("15:00:00");
    let case = Case::new(&events);
    let step = "  packed: {from: events, when: body.type == \"Packed\", key: {order_id: body.order_id, tour: body.tour}}\nchecks:\n  packed: {after: packed, expect: paid, within: 1h}";
    case.write("order.yaml", &FLOW.replace("checks:", step));
    case.run("trace t-2")
        .exits(0)
        .says("order  order_id o-2\n  bound tour t-2")
        .says("packed: undecided (after_recording)");
    let ran =
        case.run("trace t-1").exits(0).says("order_id o-10\n").says("order_id o-29\n").says(
            "limit `transactions_traced_max` was hit: 25 transactions have the key `t-1`, the first 20 are shown",
        );
    assert_eq!(ran.out.matches("bound tour t-1").count(), 20, "{}", ran.out);
    assert!(ran.out.contains("packed: broken (missing_step") && !ran.out.contains("o-30"), "{}", ran.out);
    case.write("events.jsonl", &(events.clone() + &packed("15:00:00", "t-1", "t-3")));
    let ran = case.run("trace t-1").exits(0).says("first 20 are shown");
    assert!(ran.out.starts_with("order  order_id t-1\n"), "its own key first:\n{}", ran.out);
}

#[test]
fn trace_honours_a_limit_and_says_why_a_check_does_not_apply() {
    let items: Vec<String> = (0..=10_000).map(|n| format!("\"i-{n}\"")).collect();
    let wide = format!("\"order_id\": \"o-3\", \"items\": [{}]", items.join(","));
    let case = Case::new(&one_lost().replace("\"order_id\": \"o-3\"", &wide));
    let flow = FLOW.replace("{order_id: body.order_id}, keep", "{order_id: body.order_id, item: body.items}, keep");
    let checks = "  cash: {after: placed, expect: placed, within: 1h, unless: [paid]}\n  ghost: {step: paid, requires: placed, unless: [placed]}\n";
    case.write("order.yaml", &(flow + checks));
    case.run("verify").says("limit `keys_per_transaction_max` was hit").says("1 limit");
    case.run("trace o-3")
        .exits(0)
        .says("paid: undecided (limit)\n")
        .says("not all of the transaction is here: a limit was hit")
        .says("ghost: does not apply\n  why       there is no paid\n");
    case.run("trace o-1").says("paid: passed").says("cash: does not apply\n  why       paid came\n");
}

/// The configuration lies beside the flows, the recordings in the folder above.
#[test]
fn places_are_shown_without_detours() {
    let case = Case::new(&one_lost());
    fs::create_dir(case.path("flows")).unwrap();
    case.write("flows/order.yaml", FLOW)
        .write("flows/throughline.yaml", &CONFIG.replace("events.jsonl}", "../events.jsonl}"));
    case.run("verify -c flows/throughline.yaml").exits(1).says("  events.jsonl:6  amount=5");
    case.run("trace -c flows/throughline.yaml o-3").exits(0).says("  events.jsonl:6  its own key");
}
