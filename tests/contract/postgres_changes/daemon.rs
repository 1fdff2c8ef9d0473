//! The daemon on a captured database: a delete that carries its primary key alone, and an absence.

use super::server;
use std::fs;
use std::io::{BufRead, BufReader};
use std::process::{Command, Stdio};
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

const FLOW: &str = r#"
flow: order
key: number
steps:
  ordered: {from: shop.orders, when: op == "insert", key: {number: row.number}}
  paid: {from: shop.orders, when: row.status == "paid" && op != "delete", key: {number: row.number}}
  gone: {from: shop.orders, when: op == "delete"}
checks:
  kept: {after: ordered, never: gone}
  paid: {after: ordered, expect: paid, within: 6s}
"#;

/// How long a finding may take.
const PATIENCE: Duration = Duration::from_secs(60);

#[test]
fn the_daemon_joins_a_delete_to_its_order_and_proves_an_absence() {
    let server = server();
    server.sql(
        "postgres",
        "create table orders (id int primary key, number text, status text); grant select on orders to watcher;
         alter publication throughline add table orders",
    );
    let folder = tempfile::tempdir().unwrap();
    let url = server.url("watcher", "s3cret", "postgres");
    let config = format!(
        "flows: order.yaml\nclock_skew: 1s\nserver: {{listen: \"off\"}}\nsources:\n  shop: {{type: postgres, capture: \
         changes, url: \"{url}\", tables: {{orders: {{}}}}}}\n"
    );
    fs::write(folder.path().join("throughline.yaml"), config).unwrap();
    fs::write(folder.path().join("order.yaml"), FLOW).unwrap();
    let mut daemon = Command::new(env!("CARGO_BIN_EXE_throughline"))
        .args(["run", "--format", "json"])
        .current_dir(folder.path())
        .env("RUST_LOG", "debug")
        .stdout(Stdio::piped())
        .stderr(fs::File::create(folder.path().join("log")).unwrap())
        .spawn()
        .unwrap();
    let (told, findings) = mpsc::channel();
    let output = BufReader::new(daemon.stdout.take().unwrap());
    thread::spawn(move || output.lines().map_while(Result::ok).for_each(|line| _ = told.send(line)));
    let log = || fs::read_to_string(folder.path().join("log")).unwrap();
    crate::servers::eventually("the daemon does not begin", || {
        let slots =
            server.sql("postgres", "select count(*) from pg_replication_slots where confirmed_flush_lsn is not null");
        if slots == "1" { Ok(()) } else { Err(log()) }
    });
    // The watch has begun, and what comes now is in it.
    thread::sleep(Duration::from_secs(4));
    for (id, then) in
        [(1, "update orders set status = 'paid' where id = 1"), (2, "select 1"), (3, "delete from orders where id = 3")]
    {
        server.sql("postgres", &format!("insert into orders values ({id}, 'A-{id}', 'new')"));
        thread::sleep(Duration::from_millis(300));
        server.sql("postgres", then);
    }
    server.sql("postgres", "update orders set status = 'paid' where id = 2 and false");
    let mut seen = Vec::new();
    while seen.len() < 3 {
        let line = findings.recv_timeout(PATIENCE).unwrap_or_else(|_| panic!("only {seen:?} came\n{}", log()));
        let finding: serde_json::Value = serde_json::from_str(&line).unwrap();
        let text = |name: &str| finding[name].as_str().unwrap().to_owned();
        seen.push((text("key"), text("check"), text("class")));
    }
    seen.sort();
    let expected =
        [("A-2", "paid", "missing_step"), ("A-3", "kept", "forbidden_step"), ("A-3", "paid", "missing_step")];
    assert_eq!(seen, expected.map(|(key, check, class)| (key.to_owned(), check.to_owned(), class.to_owned())));
    let _ = Command::new("kill").args(["-TERM", &daemon.id().to_string()]).status();
    assert!(daemon.wait().unwrap().success(), "{}", log());
    assert!(!log().contains("s3cret"), "a secret is told");
}
