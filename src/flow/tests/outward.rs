//! What others see: the schema for editors, the description for people.

use super::examples::ORDER_PAYMENT;
use super::{plan, with_checks};
use crate::flow::diagnostic::{Diagnostics, Document};
use crate::flow::schema;
use crate::flow::yaml::{self, Content, Node};
use serde_json::{Value, json};

fn to_json(node: &Node) -> Value {
    match &node.content {
        Content::Map(entries) => entries.iter().map(|e| (e.key.value.clone(), to_json(&e.value))).collect(),
        Content::List(items) => items.iter().map(to_json).collect(),
        Content::Scalar(scalar) if scalar.is_null() => Value::Null,
        Content::Scalar(scalar) => {
            let number = scalar.plain.then(|| scalar.text.parse::<serde_json::Number>().ok()).flatten();
            let other = || scalar.bool().map_or_else(|| scalar.text.clone().into(), Value::from);
            number.map_or_else(other, Value::Number)
        }
        Content::Refused => panic!("a document without mistakes"),
    }
}

/// What an editor would complain about.
fn complaints(text: &str) -> Vec<String> {
    let documents = [Document { path: "f.yaml".into(), text: text.to_owned() }];
    let value = to_json(&yaml::parse(0, &Diagnostics::new(&documents)).unwrap());
    let schema = jsonschema::validator_for(&schema()).unwrap();
    schema.iter_errors(&value).map(|error| format!("{}: {error}", error.instance_path)).collect()
}

#[test]
fn editors_accept_what_the_compiler_accepts() {
    assert_eq!(complaints(ORDER_PAYMENT), Vec::<String>::new());
    let checks = [
        "{after: placed, expect: {count: {paid: 3, picked: placed.lines}}, within: 5m, give_up: 1h, anchor: first, early: 1m}",
        "{after: placed, expect: {all: [paid, picked]}, due: \"0 3 * * *\", zone: Europe/Berlin, grace: 10m}",
        "{after: placed, expect: {any: [paid]}, within: end}",
        "{after: placed, never: paid, within: 1h}",
        "{forbid: paid, given: placed, unless: [picked], by: item, severity: info, class: late, about: why, runbook: how}",
        "{together: [placed, paid], within: 1h}",
        "{at_most: {paid: 1}}",
        "{order: [placed, paid, picked]}",
        "{step: paid, requires: placed, within: 1d}",
        "{agree: [placed.price, paid.time], tolerance: 0.01, within: 0}",
        "{holds: 'count(a) <= 1', within: 1m}",
        "{states: picked.status, allow: [\"new -> paid\", paid->sent], start: new, end: [sent, 5]}",
        "{mirror: placed, in: cache, entry: \"o:{order}\", fields: {p: price}, within: 5s}",
        "{schedule: \"*/5 * * * *\", expect: paid, within: 1h, early: 1m, zone: UTC}",
    ];
    for check in checks {
        assert_eq!(complaints(&with_checks(&format!("  c: {check}\n"))), Vec::<String>::new(), "{check}");
    }
    assert!(
        complaints(
            "steps:\n  a: {from: erp, key: {k: [body.a, body.b], n: 5}, time: body.t, lateness: end, each: body.l}\n"
        )
        .is_empty()
    );
}

#[test]
fn editors_refuse_what_the_compiler_refuses() {
    for check in [
        "{}",
        "{forbid: paid, order: [placed, paid]}",
        "{together: [placed, paid]}",
        "{order: [placed, placed]}",
        "{at_most: {paid: 0}}",
        "{after: placed, expect: [paid], within: 5m}",
        "{after: placed, expect: paid, within: 5 min}",
        "{forbid: paid, severity: fatal}",
        "{forbid: paid, giveup: 1h}",
    ] {
        assert!(!complaints(&with_checks(&format!("  c: {check}\n"))).is_empty(), "{check}");
    }
    for document in [
        "flow: f\n",
        "flow: f\nsteps: {a: {from: b}}\n",
        "steps: {a: {key: {k: body.k}}}\n",
        "steps: {a: {from: b, keep: {time: body.t}}}\n",
    ] {
        assert!(!complaints(document).is_empty(), "{document}");
    }
}

#[test]
fn every_field_is_explained() {
    fn walk(value: &Value, path: &str) {
        if let Some(properties) = value.get("properties").and_then(Value::as_object) {
            for (name, field) in properties {
                assert!(field.get("description").is_some(), "{path}.{name}");
            }
        }
        match value {
            Value::Object(map) => map.iter().for_each(|(name, value)| walk(value, &format!("{path}.{name}"))),
            Value::Array(items) => items.iter().for_each(|value| walk(value, path)),
            _ => {}
        }
    }
    walk(&schema(), "");
    assert_eq!(
        schema()["properties"]["checks"]["additionalProperties"]["properties"]["severity"]["enum"],
        json!(["info", "warning", "critical"])
    );
}

#[test]
fn a_flow_is_described_by_its_keys_and_steps() {
    let plan = plan(ORDER_PAYMENT);
    assert_eq!(
        plan.describe(&plan.flows[0]),
        "\
order-payment: one transaction for each order_id, stragglers are waited for 2h
  key         rank  carried by                                      bound by
  order_id    0     ordered, announced, captured, cancelled, fresh  itself
  payment_id  1     captured, shipped                               captured

  step       from             joins by    its absence waits for
  ordered    shop.orders      order_id    shop
  announced  events.orders    order_id    events
  captured   events.payments  order_id    events
  cancelled  events.orders    order_id    events
  shipped    broker.shipping  payment_id  events, broker
  fresh      cache            order_id    cache
"
    );
}
