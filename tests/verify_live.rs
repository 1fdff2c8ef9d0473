//! `verify` on systems that are there: a window is read, waited for, and judged.

use sqlx::sqlite::SqliteConnectOptions;
use sqlx::{ConnectOptions, Connection};
use std::fs;
use std::process::{Command, Output};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};
use throughline::model::time::{Span, Time};

const FLOW: &str = r#"
flow: order
key: order_id
steps:
  stored:  {from: shop.orders, key: {order_id: row.id}}
  shipped: {from: warehouse, key: {order_id: body.order}}
checks:
  shipped: {after: stored, expect: shipped, within: 1s}
"#;

const CONFIG: &str = r#"
flows: [order.yaml]
clock_skew: 50ms
sources:
  shop:
    type: sqlite
    path: shop.db
    poll: 200ms
    lateness: 300ms
    tables: {orders: {columns: {key: id, updated: updated}}}
  warehouse: {type: file, path: warehouse.log, format: logfmt, time: body.at, lateness: 300ms}
"#;

/// A shop with a table and a log.
struct Shop(tempfile::TempDir);

impl Shop {
    /// With orders that were stored so many seconds ago, of which some were shipped right away.
    fn with(orders: &[(&str, i64, bool)]) -> Shop {
        let shop = Shop(tempfile::tempdir().unwrap());
        shop.write("order.yaml", FLOW);
        shop.write("throughline.yaml", CONFIG);
        let at = |ago: i64| now() - Span::seconds(ago);
        let shipped: String = orders
            .iter()
            .filter(|(_, _, shipped)| *shipped)
            .map(|(id, ago, _)| format!("at={} order={id}\n", at(*ago) + Span(100_000_000)))
            .collect();
        shop.write("warehouse.log", &shipped);
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
        runtime.block_on(async {
            let options = SqliteConnectOptions::new().filename(shop.0.path().join("shop.db")).create_if_missing(true);
            let mut database = options.connect().await.unwrap();
            let table = "CREATE TABLE orders (id TEXT PRIMARY KEY, updated TEXT NOT NULL)";
            sqlx::query(table).execute(&mut database).await.unwrap();
            for (id, ago, _) in orders {
                let insert = sqlx::query("INSERT INTO orders VALUES ($1, $2)").bind(*id).bind(at(*ago).to_string());
                insert.execute(&mut database).await.unwrap();
            }
            database.close().await.unwrap();
        });
        shop
    }

    fn write(&self, name: &str, text: &str) {
        fs::write(self.0.path().join(name), text).unwrap();
    }

    fn verify(&self, arguments: &[&str]) -> (Option<i32>, serde_json::Value, String) {
        let mut command = Command::new(env!("CARGO_BIN_EXE_throughline"));
        command.args(["verify", "--format", "json"]).args(arguments).current_dir(self.0.path());
        let Output { status, stdout, stderr } = command.output().unwrap();
        let said = String::from_utf8(stderr).unwrap();
        let told = serde_json::from_slice(&stdout).unwrap_or(serde_json::Value::Null);
        (status.code(), told, said)
    }
}

fn now() -> Time {
    Time(SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_nanos() as i64)
}

#[test]
fn a_window_of_live_systems_is_judged() {
    let shop = Shop::with(&[("o-1", 600, true), ("o-2", 500, false), ("o-3", 7200, false)]);
    let begun = Instant::now();
    let (code, told, said) = shop.verify(&["--since", "1h", "--settle", "2s"]);
    assert_eq!(code, Some(1), "{told} {said}");
    let check = &told["flows"]["order"]["checks"]["shipped"];
    assert_eq!((&check["passed"], &check["broken"]), (&1.into(), &1.into()), "o-3 is older than the window: {told}");
    assert_eq!(told["sources"]["shop"]["matched"], 2, "{told}");
    assert!(begun.elapsed() >= Duration::from_secs(2), "it waits until what was begun may have come to its end");
}

#[test]
fn without_a_beginning_all_that_is_there_is_judged() {
    let shop = Shop::with(&[("o-1", 600, true), ("o-2", 7200, true)]);
    let (code, told, said) = shop.verify(&[]);
    assert_eq!((code, &told["transactions"]["consistent"]), (Some(0), &2.into()), "{told} {said}");
}

#[test]
fn a_system_that_is_not_there_leaves_it_undecided() {
    let shop = Shop::with(&[("o-1", 600, false)]);
    fs::remove_file(shop.0.path().join("warehouse.log")).unwrap();
    let (code, told, said) = shop.verify(&["--since", "1h", "--patience", "3s"]);
    assert_eq!(code, Some(3), "{told} {said}");
    assert_eq!(told["flows"]["order"]["checks"]["shipped"]["broken"], 0, "{told}");
    assert!(told["undecided"]["source_down"].as_u64().is_some_and(|count| count > 0), "{told}");
}

/// A row that was there before the first look is dated by it where no column says more: it may have been in time.
#[test]
fn rows_that_nothing_dates_accuse_nobody() {
    let shop = Shop::with(&[("o-1", 600, true)]);
    let flow = FLOW.replace("after: stored, expect: shipped", "after: shipped, expect: stored");
    shop.write("order.yaml", &flow);
    shop.write("throughline.yaml", &CONFIG.replace("{columns: {key: id, updated: updated}}", "{columns: {key: id}}"));
    let (code, told, said) = shop.verify(&["--since", "1h", "--settle", "1s"]);
    assert_eq!(code, Some(3), "{told} {said}");
    assert!(told["undecided"]["gap"].as_u64().is_some_and(|count| count > 0), "{told}");
}

/// A payment stands on the second line of its record, behind a line that says nothing.
#[test]
fn records_of_several_lines_are_whole() {
    let shop = Shop::with(&[]);
    let flow = FLOW.replace(
        "{from: shop.orders, key: {order_id: row.id}}",
        "{from: warehouse, when: body.what == \"stored\", key: {order_id: body.order}}",
    );
    shop.write(
        "order.yaml",
        &flow.replace("{from: warehouse, key", "{from: warehouse, when: body.what == \"shipped\", key"),
    );
    let source = r"  warehouse: {type: file, path: warehouse.log, format: regex, begins: '^\d{4}-', pattern: '(?s)^(?<at>\S+) .*(?<what>stored|shipped) (?<order>o-\d)', time: body.at}";
    let (head, _) = CONFIG.split_once("  shop:").unwrap();
    shop.write("throughline.yaml", &format!("{head}{source}\n"));
    let at = |ago: i64| now() - Span::seconds(ago);
    let mut log = String::new();
    for (ago, what) in [
        (900, "tick"),
        (600, "stored o-1"),
        (600, "at main\n  shipped o-1"),
        (500, "stored o-2\n  at x"),
        (400, "tick"),
    ] {
        log += &format!("{} info {what}\n", at(ago));
    }
    shop.write("warehouse.log", &log);
    let (code, told, said) = shop.verify(&[]);
    assert_eq!(code, Some(1), "{told} {said}");
    let check = &told["flows"]["order"]["checks"]["shipped"];
    assert_eq!((&check["passed"], &check["broken"]), (&1.into(), &1.into()), "{told}");
    assert_eq!(told["sources"]["warehouse"]["records"], 5, "{told}");
}

#[test]
fn what_live_systems_cannot_do_is_refused() {
    let shop = Shop::with(&[]);
    let (code, _, said) = shop.verify(&["--complete"]);
    assert!(code == Some(2) && said.contains("for recordings"), "{said}");
    let captured =
        "  shop: {type: postgres, capture: changes, url: \"postgres://localhost/shop\", tables: {orders: {}}}\n";
    let (head, _) = CONFIG.split_once("  shop:").unwrap();
    shop.write(
        "throughline.yaml",
        &format!("{head}{captured}  warehouse: {{type: file, path: warehouse.log, format: logfmt, time: body.at}}\n"),
    );
    let (code, _, said) = shop.verify(&[]);
    assert!(code == Some(2) && said.contains("cannot look back"), "{said}");
}
