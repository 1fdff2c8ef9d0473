//! What is told of records and judgements beside the findings: by reason, by source, by step.

use super::*;

/// The payments end half an hour before the orders, and a line of the orders is torn.
#[test]
fn what_is_undecided_is_counted_by_reason_and_by_source() {
    let torn = tick("06:00:00") + "{\"type\": \"Ord\n" + &tick("06:30:00");
    let orders = torn + &placed("09:00:00", "o-1") + &placed("14:20:00", "o-2") + &tick("15:00:00");
    let case = Case::new(&orders);
    case.write("payments.jsonl", &(tick("06:00:00") + &paid("06:10:00", "o-0") + &tick("14:30:00")))
        .write(
            "order.yaml",
            &FLOW
                .replace("paid:   {from: events", "paid:   {from: payments")
                .replace("paid-once: {at_most: {paid: 1}}", "known:     {step: paid, requires: placed, within: 5m}"),
        )
        .write(
            "throughline.yaml",
            &(CONFIG.to_owned() + "  payments: {type: file, path: payments.jsonl, format: json, time: body.ts}\n"),
        );
    let ran = case.run("verify --format json").exits(1);
    let sources = ran.json()["sources"].clone();
    assert_eq!(sources["events"]["undecided"], serde_json::json!({"gap": 1}));
    assert_eq!(sources["payments"]["undecided"], serde_json::json!({"after_recording": 1}));
    assert_eq!(ran.json()["flows"]["order"]["checks"]["paid"]["reasons"], serde_json::json!({"after_recording": 1}));
    case.run("verify").says("undecided because of events: 1 gap\n").says("because of payments: 1 after_recording\n");
    case.run("trace o-0").says("`events` may have missed records from");
}

/// Seven refunds of payments that nobody made, and one that names none.
#[test]
fn what_joins_nothing_is_shown_by_place_and_keys() {
    let refunded = |at: &str, payment: &str| {
        format!("{{\"type\": \"Refunded\", \"ts\": \"2026-01-29T{at}Z\", \"payment_id\": {payment}}}\n")
    };
    let refunds: String = (1..=7).rev().map(|n| refunded(&format!("09:1{n}:00"), &format!("\"gone-{n}\""))).collect();
    let events = tick("06:00:00") + &refunds + &refunded("09:10:00", "null") + &tick("15:00:00");
    let case = Case::new(&events);
    let step = "  refunded: {from: events, when: body.type == \"Refunded\", key: {payment_id: body.payment_id}}\nchecks:\n  never: {forbid: refunded}";
    case.write("order.yaml", &FLOW.replace("checks:", step));
    case.write("throughline.yaml", &CONFIG.replace("body.ts}", "body.ts, lateness: 10m}"));
    let ran = case.run("verify --format json --allow-empty").exits(0);
    let step = ran.json()["flows"]["order"]["steps"]["refunded"].clone();
    assert_eq!(step["unattached"], 8);
    let samples: Vec<_> = step["unattached_samples"].as_array().unwrap().iter().map(|s| s.to_string()).collect();
    assert_eq!(samples.len(), 5, "{samples:?}");
    assert_eq!(samples[0], r#"{"place":"events.jsonl:9","time":"2026-01-29T09:10:00Z","keys":{}}"#);
    assert_eq!(
        samples[1],
        r#"{"place":"events.jsonl:8","time":"2026-01-29T09:11:00Z","keys":{"payment_id":["gone-1"]}}"#
    );
    let shown = "8 `refunded`: observations joined no transaction\n    events.jsonl:9  2026-01-29T09:10:00Z  no key\n    events.jsonl:8  2026-01-29T09:11:00Z  payment_id=gone-1\n";
    let ran = case.run("verify --allow-empty").says(shown);
    assert!(!ran.out.contains("gone-3"), "three are enough:\n{}", ran.out);
    case.run("verify --allow-empty --verbose").says("payment_id=gone-4");
}

#[test]
fn a_record_without_the_steps_own_time_is_told() {
    let case = Case::new(&one_lost());
    case.write("order.yaml", &FLOW.replace("paid:   {from", "paid:   {time: body.paid_at, from"));
    let ran = case.run("verify --format json --allow-empty");
    assert_eq!(ran.json()["flows"]["order"]["steps"]["paid"]["undecodable"], 2);
    case.run("verify").says("2 `paid`: records were left out: the step's own `time` could not be read");
}

/// The payment of `o-2` is there, only its time cannot be read; that of `o-3` is not.
#[test]
fn a_record_without_the_steps_own_time_leaves_a_gap() {
    let paid_at = |at: &str, order: &str| {
        paid(at, order).replace("\"ts\"", &format!("\"paid_at\": \"2026-01-29T{at}Z\", \"ts\""))
    };
    let orders: String =
        [("09:00:00", "o-1"), ("09:10:00", "o-2"), ("10:00:00", "o-4"), ("11:00:00", "o-3"), ("14:00:00", "o-5")]
            .map(|(at, order)| match order {
                "o-2" => placed(at, order) + &paid_at(at, order).replace("paid_at\": \"2026-", "paid_at\": \"soon"),
                "o-3" => placed(at, order),
                _ => placed(at, order) + &paid_at(at, order),
            })
            .concat();
    let case = Case::new(&(tick("06:00:00") + &orders + &tick("15:00:00")));
    case.write("order.yaml", &FLOW.replace("paid:   {from", "paid:   {time: body.paid_at, from"));
    let ran = case.run("verify --format json").exits(1);
    let check = ran.json()["flows"]["order"]["checks"]["paid"].clone();
    assert_eq!((&check["broken"], &check["reasons"]["gap"]), (&1.into(), &1.into()), "{check}");
    case.run("verify").says("missing_step  order / paid  o-3");
    case.run("trace o-2").says("undecided");
}
