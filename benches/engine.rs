//! The engine alone: orders, payments, stock and shipments as observations in memory, no reading.
//!
//! `cargo bench --bench engine -- [ORDERS=1000000] [ORDERS_PER_SECOND=100]` prints the engine's CPU an
//! observation and the growth of resident memory.

use std::sync::Arc;
use throughline::engine::{Engine, Input, Output, Pace};
use throughline::flow::diagnostic::Document;
use throughline::flow::plan::{Carries, Clock};
use throughline::flow::{SourceInfo, compile};
use throughline::model::observation::{Batch, Dedupe, Position};
use throughline::model::time::{Span, Time};
use throughline::model::value::Value;

const FLOW: &str = r#"
flow: order
key: order_id
steps:
  placed: {from: events, when: body.type == "OrderPlaced", key: {order_id: body.order_id}, keep: {amount: body.amount}}
  captured:
    from: events
    when: body.type == "PaymentCaptured"
    key: {order_id: body.order_id, payment_id: body.payment_id}
    dedupe_by: body.payment_id
    keep: {amount: body.amount}
  reserved: {from: events, when: body.type == "StockReserved", key: {order_id: body.order_id}}
  shipped: {from: events, when: body.type == "ShipmentCreated", key: {payment_id: body.payment_id}}
checks:
  missing_payment: {after: placed, expect: captured, within: 15m}
  missing_stock: {after: placed, expect: reserved, within: 15m}
  duplicate_payment: {at_most: {captured: 1}}
  amount_mismatch: {agree: [placed.amount, captured.amount]}
  shipment: {after: placed, expect: shipped, within: 30m, give_up: 90m, given: [captured]}
  orphan_payment: {step: captured, requires: placed, within: 15m}
"#;

fn mix(mut z: u64) -> u64 {
    z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    z ^ (z >> 31)
}

/// All events as (arrival, event time, step, order), in order of arrival; times in milliseconds.
fn events(orders: u64, rate: u64) -> Vec<(u64, u64, u16, u64)> {
    let mut events = Vec::with_capacity(orders as usize * 4);
    for order in 0..orders {
        let placed = order * 1000 / rate;
        let paid = placed + 1_000 + mix(order) % 119_000;
        let reserved = placed + 500 + mix(order ^ 1 << 40) % 29_500;
        let shipped = paid + 30_000 + mix(order ^ 1 << 41) % 1_470_000;
        for (step, time) in [(0, placed), (1, paid), (2, reserved), (3, shipped)] {
            let jitter = mix(order * 4 + u64::from(step)) % 20_000;
            let jitter = if jitter < 2_000 { jitter * 60 } else { jitter / 10 };
            events.push((time + jitter, time, step, order));
        }
    }
    events.sort_unstable();
    events
}

fn resident_bytes() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find(|l| l.starts_with("VmHWM")).unwrap_or("VmHWM: 0 kB");
    line.split_whitespace().nth(1).and_then(|n| n.parse::<u64>().ok()).unwrap_or(0) * 1024
}

/// CPU time of this process in seconds: what others do on the machine does not count.
fn cpu_seconds() -> f64 {
    let stat = std::fs::read_to_string("/proc/self/schedstat").unwrap_or_default();
    stat.split_whitespace().next().and_then(|n| n.parse::<f64>().ok()).unwrap_or(0.0) / 1e9
}

fn main() {
    let numbers: Vec<u64> = std::env::args().skip(1).filter_map(|a| a.parse().ok()).collect();
    let orders = numbers.first().copied().unwrap_or(1_000_000);
    let rate = numbers.get(1).copied().unwrap_or(100);
    let source = SourceInfo {
        name: "events".into(),
        carries: Carries::Lines,
        clock: Clock::PerPart,
        resolution: Span::ZERO,
        lateness: Span::seconds(120),
        lateness_end: false,
        skips_versions: false,
        tells_operations: false,
        captures_changes: false,
        has_time: true,
        default_dedupe_is_position: true,
        retention: None,
    };
    let document = Document { path: "order.yaml".into(), text: FLOW.into() };
    let (plan, diagnostics) = compile(&[document], &[source], Span::seconds(5));
    let plan = Arc::new(plan.unwrap_or_else(|| panic!("{diagnostics:?}")));
    let events = events(orders, rate);
    let before = resident_bytes();
    let mut engine = Engine::new(plan, Pace::Settled);
    let (mut engine_time, mut findings, mut archived) = (0.0, 0_u64, 0_u64);
    engine.handle(Input::Begins { source: 0, at: Time::MIN });
    let mut spare = vec![Batch::default()];
    let mut run = |engine: &mut Engine, input: Input, spare: &mut Vec<Batch>| {
        let start = cpu_seconds();
        engine.handle(input);
        while let Some(output) = engine.poll() {
            match output {
                Output::Finding(_) => findings += 1,
                Output::Archive(closed) => archived += closed.iter().count() as u64,
                Output::Consumed(batch) => spare.push(batch),
                Output::Recall { .. } => engine.handle(Input::Recalled(Vec::new())),
            }
        }
        engine_time += cpu_seconds() - start;
    };
    let mut newest = 0;
    for (number, chunk) in events.chunks(2000).enumerate() {
        let mut batch = spare.pop().unwrap_or_default();
        batch.clear();
        for (at, (_, time, step, order)) in chunk.iter().enumerate() {
            newest = newest.max(*time);
            let position = Position { part: 0, offset: (number * 2000 + at) as u64, element: 0 };
            let mut draft = batch.begin(0, *step, Time(*time as i64 * 1_000_000), position);
            if *step != 3 {
                draft.key(0, &format!("o-{:016x}", mix(*order)));
            }
            if *step == 1 || *step == 3 {
                draft.key(1, &format!("p-{:016x}", mix(*order ^ 1 << 50)));
            }
            draft.body(if *step == 1 { Dedupe::Key(1) } else { Dedupe::Position });
            if *step < 2 {
                draft.field(&Value::Int((mix(*order) % 60_000) as i64));
            }
            draft.finish();
        }
        run(&mut engine, Input::Observations(batch), &mut spare);
        let to = Time(newest as i64 * 1_000_000) - Span::seconds(120);
        run(&mut engine, Input::Progress { source: 0, to }, &mut spare);
    }
    run(&mut engine, Input::Ends { source: 0, at: Time::MAX }, &mut spare);
    let flow = &engine.account().flows[0];
    println!(
        "{} observations, {:.0} ns each in the engine, {} findings, {} archived, {} consistent, peak grew by {:.1} bytes an order",
        events.len(),
        engine_time * 1e9 / events.len() as f64,
        findings,
        archived,
        flow.consistent,
        (resident_bytes() - before) as f64 / orders as f64
    );
}
