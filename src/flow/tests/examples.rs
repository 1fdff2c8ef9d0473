//! Whole flows.

use super::{flow, plan};
use crate::flow::plan::{Condition, Form};
use crate::model::time::Span;

pub(super) const ORDER_PAYMENT: &str = r#"
flow: order-payment
about: Every order is announced, paid exactly once or cancelled, and shown fresh.
owner: payments
key: order_id                                  # identifies a transaction; other keys join to it
begins: [ordered]
linger: 2h
steps:
  ordered:                                     # a row in Postgres; its later versions are the same effect
    from: shop.orders
    key: {order_id: row.id}
    keep: {amount: row.total_cents, status: row.status}
  announced:                                   # a Kafka message
    from: events.orders
    when: body.type == "OrderPlaced"
    key: {order_id: body.order_id}
    keep: {amount: body.amount}
  captured:
    from: events.payments
    when: body.type == "PaymentCaptured"
    key: {order_id: body.order_id, payment_id: body.payment_id}
    dedupe_by: body.payment_id                 # the same capture delivered twice is one effect
    keep: {amount: body.amount}
  cancelled: {from: events.orders, when: body.type == "OrderCancelled", key: {order_id: body.order_id}}
  shipped:                                     # RabbitMQ; knows only the payment
    from: broker.shipping
    key: {payment_id: body.payment_id}

checks:
  announced:   {after: ordered, expect: announced, within: 5s}
  settled:     {after: announced, expect: {any: [captured, cancelled]}, within: 30m}
  paid-once:   {at_most: {captured: 1}, severity: critical}
  amount:      {agree: [ordered.amount, announced.amount, captured.amount]}
  all-or-none: {together: [captured, shipped], unless: [cancelled], within: 1h}
  sequence:    {order: [announced, captured, shipped]}
  no-ghost:    {step: captured, requires: announced, within: 1d}
  fresh:       {mirror: ordered, in: cache, entry: "order:{order_id}", fields: {status: status}, within: 5s}
"#;

#[test]
fn the_example_of_the_reference() {
    let plan = plan(ORDER_PAYMENT);
    let names: Vec<&str> = plan.sources.iter().map(|source| source.name.as_str()).collect();
    assert_eq!(names, ["events", "broker", "cache", "shop"]);
    let flow = &plan.flows[0];
    let names: Vec<&str> = flow.steps.iter().map(|step| step.name.as_str()).collect();
    assert_eq!(names, ["ordered", "announced", "captured", "cancelled", "shipped", "fresh"]);
    let ranks: Vec<_> = flow.keys.iter().map(|key| (key.name.as_str(), key.rank)).collect();
    assert_eq!(ranks, [("order_id", Some(0)), ("payment_id", Some(1))]);
    assert_eq!(flow.linger, Span::seconds(7200));
    assert_eq!(flow.begins, [0]);
    assert_eq!(flow.sources, [0, 1, 2, 3]);
    // A shipment that did not come: the payment that would have bound it may not have come either.
    let shipped = &flow.steps[4];
    assert_eq!((&shipped.closure[..], &shipped.binders[..]), (&[0, 1][..], &[0][..]));
    assert!(matches!(flow.steps[1].when, Condition::Compare { equal: true, .. }));
    assert_eq!(flow.steps[1].select.as_deref(), Some("orders"));
}

#[test]
fn a_mirror_implies_a_step_that_reads_the_entries() {
    let flow = flow(ORDER_PAYMENT);
    let Form::Mirror { step: 0, entry: 5, fields, .. } = &flow.checks[7].form else { panic!("{:?}", flow.checks[7]) };
    assert_eq!(fields[..], [(0, 1)]);
    let entry = &flow.steps[5];
    let pattern = entry.entry.as_ref().unwrap();
    assert_eq!((&pattern.parts[..], pattern.tail.as_str()), (&[("order:".to_owned(), 0)][..], ""));
    assert!(entry.carries_flow_key && entry.keep[0].0 == "status");
}

#[test]
fn one_file_of_events_with_six_rules() {
    let flow = flow(
        r#"
flow: order
about: The bench workload; its checks carry the names of the generator's faults.
key: order_id
steps:
  placed:
    from: events
    when: body.type == "OrderPlaced"
    key: {order_id: body.order_id}
    keep: {amount: body.amount}
  captured:
    from: events
    when: body.type == "PaymentCaptured"
    key: {order_id: body.order_id, payment_id: body.payment_id}
    dedupe_by: body.payment_id
    keep: {amount: body.amount}
  reserved:
    from: events
    when: body.type == "StockReserved"
    key: {order_id: body.order_id}
  shipped:                       # knows only the payment
    from: events
    when: body.type == "ShipmentCreated"
    key: {payment_id: body.payment_id}
checks:
  missing_payment:   {after: placed, expect: captured, within: 15m}
  missing_stock:     {after: placed, expect: reserved, within: 15m}
  duplicate_payment: {at_most: {captured: 1}}
  amount_mismatch:   {agree: [placed.amount, captured.amount]}
  shipment:          {after: placed, expect: shipped, within: 30m, give_up: 90m, given: [captured]}
  orphan_payment:    {step: captured, requires: placed, within: 15m}
"#,
    );
    assert_eq!(flow.linger, Span::seconds(180 * 60), "twice the longest deadline");
    assert_eq!(flow.checks[4].given, [1]);
}

#[test]
fn many_to_many_packages() {
    let flow = flow(
        r#"
flow: order-to-delivery
key: order
steps:
  placed:       {from: erp, when: body.activity == "place order", key: {order: body.order, item: body.items}, keep: {price: body.price}}
  confirmed:    {from: erp, when: body.activity == "confirm order", key: {order: body.order}}
  reminded:     {from: erp, when: body.activity == "payment reminder", key: {order: body.order}}
  paid:         {from: erp, when: body.activity == "pay order", key: {order: body.order}, keep: {price: body.price}}
  out_of_stock: {from: erp, when: body.activity == "item out of stock", key: {item: body.items}}
  reordered:    {from: erp, when: body.activity == "reorder item", key: {item: body.items}}
  picked:       {from: erp, when: body.activity == "pick item", key: {item: body.items}}
  packed:       {from: erp, when: body.activity == "create package", key: {item: body.items, package: body.package}}
  sent:         {from: erp, when: body.activity == "send package", key: {package: body.package}}
  undelivered:  {from: erp, when: body.activity == "failed delivery", key: {package: body.package}}
  delivered:    {from: erp, when: body.activity == "package delivered", key: {package: body.package}}
checks:
  confirmed-in-a-day: {after: placed, expect: confirmed, within: 1d}
  paid-in-a-month:    {after: placed, expect: paid, within: 30d}
  one-reminder:       {at_most: {reminded: 1}}
  no-failed-delivery: {after: packed, never: undelivered}
  restocked:          {after: out_of_stock, expect: reordered, by: item, within: 7d}
  paid-at-the-end:    {order: [delivered, paid]}
  price:              {agree: [placed.price, paid.price]}
  all-delivered:      {holds: 'last(delivered).time - placed.time <= duration("60d")'}
  packed-after-order: {step: packed, requires: placed}
"#,
    );
    let ranks: Vec<_> = flow.keys.iter().map(|key| (key.name.as_str(), key.rank)).collect();
    assert_eq!(ranks, [("order", Some(0)), ("item", Some(1)), ("package", Some(2))]);
    assert_eq!(flow.checks[4].by, Some(1));
}
