//! Steps that read captured tables: rows have a key of their own, and deletes are told.

use super::{brief, compile_files, flow, plan};

/// A flow over captured tables, with further steps; the row of an order does not have the flow's key as its own.
fn shop(more: &str) -> String {
    format!(
        "\
flow: f
key: number
steps:
  ordered: {{from: log.orders, key: {{number: row.number}}, keep: {{status: row.status}}}}
  gone: {{from: log.orders, when: op == \"delete\"}}
{more}checks:
  kept: {{after: ordered, never: gone}}
"
    )
}

#[test]
fn a_delete_joins_by_the_key_of_its_row() {
    let flow = flow(&shop(""));
    let keys: Vec<_> = flow.keys.iter().map(|key| (key.name.as_str(), key.rank, key.is_implied())).collect();
    assert_eq!(keys, [("number", Some(0), false), ("@log.orders", Some(1), true)]);
    let plan = plan(&shop(""));
    assert_eq!(
        plan.describe(&flow),
        "\
f: one transaction for each number, stragglers are waited for 1h
  key          rank  carried by     bound by
  number       0     ordered        itself
  @log.orders  1     ordered, gone  ordered

  step     from        joins by     its absence waits for
  ordered  log.orders  number       log
  gone     log.orders  @log.orders  log
"
    );
}

#[test]
fn a_row_binds_what_stands_beside_its_key() {
    // The payment knows the order's row, not its number; what refunds it knows the payment.
    let flow = flow(&shop(
        "  paid: {from: log.payments, key: {order: row.order_id, payment: row.reference}}
  known: {from: log.orders, key: {number: row.number, order: row.id}}
  unpaid: {from: log.payments, when: op == \"delete\"}
",
    ));
    let rank = |name: &str| flow.keys.iter().find(|key| key.name == name).unwrap().rank;
    assert_eq!((rank("order"), rank("@log.payments"), rank("payment")), (Some(1), Some(2), Some(2)));
    let unpaid = &flow.steps[usize::from(flow.step_named("unpaid").unwrap())];
    assert_eq!((unpaid.binders.len(), unpaid.closure.len()), (1, 1));
}

#[test]
fn who_does_not_ask_for_the_operation_means_rows() {
    let conditions = |when: &str| {
        let flow = flow(&shop(&format!("  more: {{from: log.orders, key: {{number: row.number}}{when}}}\n")));
        format!("{:?}", flow.steps[2].when)
    };
    assert!(conditions("").contains("\"delete\"") && conditions("").contains("\"truncate\""));
    assert!(conditions(", when: row.status == \"new\"").contains("\"delete\""));
    assert!(!conditions(", when: op != \"insert\"").contains("\"delete\""));
    assert!(!conditions(", keep: {op: op}").contains("\"delete\""));
}

#[test]
fn nothing_is_said_of_keys_that_nobody_has_named() {
    // `@log.orders` has the rank of `payment`; no other step carries `@log.refunds`.
    let steps = "  paid: {from: log.orders, key: {payment: row.payment}}
  captured: {from: events, key: {number: body.number, payment: body.payment}}
  refunded: {from: log.refunds, key: {payment: row.payment}}
";
    let checks = "  paid: {after: captured, expect: {all: [paid, refunded]}, within: 1h}\n";
    let (plan, found) = compile_files(&[("flow.yaml", &format!("{}{checks}", shop(steps)))]);
    assert!(plan.is_some());
    assert_eq!(brief(&found), [""; 0]);
}

#[test]
fn a_whole_source_is_no_table() {
    let flow = flow("flow: f\nkey: number\nsteps:\n  any: {from: log, key: {number: row.number}}\n");
    assert_eq!(flow.keys.len(), 1);
}
