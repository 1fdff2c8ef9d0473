//! A shop that writes log files, and rotates one of them.

use super::{Shop, killed_at_any_moment_it_finds_the_same, now_ns};
use std::fs::{self, File, OpenOptions};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::time::Duration;

const FLOW: &str = r#"
flow: order
key: order_id
steps:
  placed: {from: orders, key: {order_id: body.order_id}}
  paid:   {from: payments, key: {order_id: body.order_id, payment_id: body.payment_id}, dedupe_by: body.payment_id}
checks:
  paid:      {after: placed, expect: paid, within: 1s}
  paid-once: {at_most: {paid: 1}}
"#;

struct Logs {
    folder: tempfile::TempDir,
    orders: File,
    payments: File,
    rotated: u32,
}

fn append(path: PathBuf) -> File {
    OpenOptions::new().create(true).append(true).open(path).unwrap()
}

impl Logs {
    fn new() -> Logs {
        let folder = tempfile::tempdir().unwrap();
        let open = |name: &str| append(folder.path().join(name));
        let (orders, payments) = (open("orders.jsonl"), open("payments.jsonl"));
        Logs { folder, orders, payments, rotated: 0 }
    }

    fn path(&self) -> &Path {
        self.folder.path()
    }
}

impl Shop for Logs {
    const ORDERS_PER_SECOND: u64 = 400;
    const LIFE_MAX_MS: u64 = 700;
    const KILLS: u64 = 50;
    const SETTLES_WITHIN: Duration = Duration::from_secs(3);
    const MISSING: &str = "missing_step";

    fn files(&self) -> (String, &'static str) {
        let source = |files: &str| {
            let path = self.path().join(files);
            format!("{{type: file, path: {path:?}, format: json, time: body.ts, lateness: 300ms, start: beginning}}")
        };
        let (orders, payments) = (source("orders.jsonl"), source("payments*.jsonl"));
        let sources = format!("sources:\n  orders: {orders}\n  payments: {payments}\n");
        (format!("flows: [order.yaml]\nclock_skew: 100ms\n{sources}"), FLOW)
    }

    fn order(&mut self, order: &str) {
        writeln!(self.orders, r#"{{"ts":{},"order_id":"{order}"}}"#, now_ns()).unwrap();
    }

    fn payment(&mut self, order: &str, payment: &str) {
        let (at, file) = (now_ns(), &mut self.payments);
        writeln!(file, r#"{{"ts":{at},"order_id":"{order}","payment_id":"{payment}"}}"#).unwrap();
    }

    fn upkeep(&mut self) {
        self.rotated += 1;
        let (now, then) = (self.path().join("payments.jsonl"), format!("payments-{}.jsonl", self.rotated));
        fs::rename(&now, self.path().join(then)).unwrap();
        self.payments = append(now);
    }
}

#[test]
fn on_log_files() {
    killed_at_any_moment_it_finds_the_same(Logs::new());
}
