//! `throughline trace` from the journal: the same story as the recording tells, whether the daemon runs or not, and
//! whether the transaction is open, has closed, or stands in a snapshot.

mod shop;

use shop::{Shop, a_while};
use std::collections::BTreeMap;
use std::fs;

/// An order is reached from its parcel by way of its payment.
const FLOW: &str = r#"
flow: order
key: order_id
steps:
  placed:  {from: orders, when: body.type == "placed", key: {order_id: body.order_id}}
  paid:    {from: orders, when: body.type == "paid", key: {order_id: body.order_id, payment_id: body.payment_id}}
  shipped: {from: orders, when: body.type == "shipped", key: {payment_id: body.payment_id, parcel_id: body.parcel_id}}
checks:
  paid:      {after: placed, expect: paid, within: 500ms}
  paid-once: {at_most: {paid: 1}}
  shipped:   {after: paid, expect: shipped, within: 30m}
"#;

fn new() -> Shop {
    let shop = Shop::new();
    shop.write("order.yaml", FLOW);
    shop.log("tick", "-");
    shop
}

/// An order that is paid and shipped.
fn whole(shop: &Shop, order: &str) {
    shop.log("placed", order);
    shop.log_with("paid", order, &format!(r#""payment_id":"p-{order}""#));
    shop.log_with("shipped", "", &format!(r#""payment_id":"p-{order}","parcel_id":"t-{order}""#));
}

/// What a trace says that does not depend on how far the sources had come: its observations, and each verdict.
fn story(told: &str) -> (Vec<String>, BTreeMap<String, String>) {
    let words = |line: &str| line.split_whitespace().collect::<Vec<_>>().join(" ");
    let seen = told.lines().filter(|line| line.contains("jsonl:")).map(words).collect();
    let verdicts = told.lines().filter(|line| !line.starts_with(' ')).filter_map(|line| line.split_once(": "));
    (seen, verdicts.map(|(check, verdict)| (check.to_owned(), verdict.to_owned())).collect())
}

#[test]
fn the_journal_tells_what_the_recording_tells() {
    let shop = new();
    let daemon = shop.start("one");
    a_while();
    whole(&shop, "o-1");
    shop.log("placed", "o-2");
    daemon.found(1);
    for key in ["o-1", "p-o-1", "t-o-1", "o-2"] {
        let (told, code) = shop.ask(&["trace", key]);
        assert_eq!(code, Some(0), "{told}");
        let (recorded, code) = shop.ask(&["trace", key, "--recordings"]);
        assert_eq!(code, Some(0), "{recorded}");
        let ((seen, verdicts), (seen_there, verdicts_there)) = (story(&told), story(&recorded));
        assert!(!seen.is_empty(), "{told}");
        assert_eq!(seen, seen_there, "{told}\n{recorded}");
        assert_eq!(verdicts.keys().collect::<Vec<_>>(), ["paid", "paid-once", "shipped"], "{told}");
        assert_eq!(verdicts["paid-once"], verdicts_there["paid-once"], "{told}\n{recorded}");
    }
    let (told, _) = shop.ask(&["trace", "t-o-1"]);
    let (seen, verdicts) = story(&told);
    assert_eq!((seen.len(), verdicts["shipped"].as_str()), (3, "passed"), "{told}");
    assert!(told.contains("payment_id p-o-1"), "how the parcel came to the order: {told}");
    let (told, _) = shop.ask(&["trace", "o-2"]);
    assert!(told.contains("paid: broken (missing_step, critical, open)"), "{told}");
    daemon.stop();
}

#[test]
fn what_was_before_a_crash_is_told_with_what_came_after() {
    let shop = new();
    let first = shop.start("first");
    a_while();
    // Paid and shipped, so it closes and leaves memory; and one that stays open in the snapshot.
    whole(&shop, "o-1");
    shop.log("placed", "o-2");
    shop.log_with("paid", "o-2", r#""payment_id":"p-o-2""#);
    a_while();
    first.stop();
    let before = shop.ask(&["trace", "t-o-1"]);
    assert_eq!(story(&before.0).0.len(), 3, "while it does not run: {}", before.0);
    let mut second = shop.start("second");
    // A second payment brings the closed one back, a parcel the open one on.
    shop.log_with("paid", "o-1", r#""payment_id":"p-o-1-again""#);
    shop.log_with("shipped", "", r#""payment_id":"p-o-2","parcel_id":"t-o-2""#);
    second.found(1);
    second.child.kill().unwrap();
    second.child.wait().unwrap();
    let (told, _) = shop.ask(&["trace", "p-o-1-again"]);
    let (seen, verdicts) = story(&told);
    assert_eq!(seen.len(), 4, "{told}");
    assert!(verdicts["paid-once"].starts_with("broken (duplicate"), "{told}");
    let (told, _) = shop.ask(&["trace", "t-o-2"]);
    assert_eq!((story(&told).0.len(), story(&told).1["shipped"].as_str()), (3, "passed"), "{told}");
    let third = shop.start("third");
    a_while();
    assert_eq!(story(&shop.ask(&["trace", "t-o-2"]).0), story(&told), "and after it was recovered");
    third.stop();
}

#[test]
fn a_flow_that_has_changed_is_told_as_it_is_judged_now() {
    let shop = new();
    let daemon = shop.start("first");
    a_while();
    whole(&shop, "o-1");
    shop.log("placed", "o-2");
    daemon.found(1);
    daemon.stop();
    // Other checks: what has closed is told by them.
    shop.write(
        "order.yaml",
        &FLOW.replace("  paid-once: {at_most: {paid: 1}}", "  once: {at_most: {placed: 1, paid: 1}}"),
    );
    let daemon = shop.start("second");
    a_while();
    daemon.stop();
    let (told, _) = shop.ask(&["trace", "t-o-1"]);
    let (seen, verdicts) = story(&told);
    assert_eq!(
        (seen.len(), verdicts.keys().cloned().collect::<Vec<_>>().join(" ")),
        (3, "once paid shipped".into()),
        "{told}"
    );
    // Other steps: it begins anew.
    shop.write("order.yaml", &FLOW.replace("\"placed\", key", "\"placed\" && body.order_id != null, key"));
    let daemon = shop.start("third");
    a_while();
    shop.log("placed", "o-3");
    daemon.found(1);
    assert_eq!(shop.ask(&["trace", "t-o-1"]).1, Some(3), "it is none of this flow's");
    let (told, _) = shop.ask(&["trace", "o-3"]);
    assert_eq!(story(&told).0.len(), 1, "{told}");
    daemon.stop();
    assert_eq!(shop.ask(&["trace", "o-2"]).1, Some(3));
    assert_eq!(story(&shop.ask(&["trace", "o-3"]).0), story(&told));
}

#[test]
fn what_cannot_be_told_is_said_to_be_so() {
    let shop = new();
    let (told, code) = shop.ask(&["trace", "o-1", "--data", "nowhere"]);
    assert!(code == Some(2) && told.contains("nowhere") && told.contains("throughline run"), "{told}");
    let daemon = shop.start("one");
    a_while();
    let (told, code) = shop.ask(&["trace", "o-9"]);
    assert!(code == Some(3) && told.contains("order_id, payment_id, parcel_id of order"), "{told}");
    let (told, code) = shop.ask(&["trace", "o-1", "--data", "throughline.data", "--flow", "refund"]);
    assert!(code == Some(2) && told.contains("the flow `refund` has no journal"), "{told}");
    daemon.stop();
    assert!(fs::read_dir(shop.path("throughline.data/journal")).unwrap().count() == 1, "nothing was made by asking");
}
