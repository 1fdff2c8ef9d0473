//! The daemon on a captured database: a delete that carries its primary key alone, and an absence.

use super::server;
use crate::servers::daemon::Daemon;
use std::fs;
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
        "flows: order.yaml\nclock_skew: 1s\nserver: {{listen: \"127.0.0.1:0\"}}\nsources:\n  shop: {{type: postgres, capture: \
         changes, url: \"{url}\", tables: {{orders: {{}}}}}}\n"
    );
    fs::write(folder.path().join("throughline.yaml"), config).unwrap();
    fs::write(folder.path().join("order.yaml"), FLOW).unwrap();
    let mut daemon = Daemon::start_with(folder.path(), &[("RUST_LOG", "debug")]);
    daemon.until_watching();
    for (id, then) in
        [(1, "update orders set status = 'paid' where id = 1"), (2, "select 1"), (3, "delete from orders where id = 3")]
    {
        server.sql("postgres", &format!("insert into orders values ({id}, 'A-{id}', 'new')"));
        thread::sleep(Duration::from_millis(300));
        server.sql("postgres", then);
    }
    server.sql("postgres", "update orders set status = 'paid' where id = 2 and false");
    let seen = daemon.until_told(3).into_iter();
    let mut seen: Vec<_> = seen.map(|found| (found.key, found.check, found.class)).collect();
    seen.sort();
    let expected =
        [("A-2", "paid", "missing_step"), ("A-3", "kept", "forbidden_step"), ("A-3", "paid", "missing_step")];
    assert_eq!(seen, expected.map(|(key, check, class)| (key.to_owned(), check.to_owned(), class.to_owned())));
    daemon.stop();
    assert!(!daemon.said().contains("s3cret"), "a secret is told");
}
