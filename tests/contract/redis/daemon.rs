//! The daemon on a real Redis: a cache that lacks an order is found, a lost connection is undecided, BullMQ's events are
//! read by their preset.

use super::super::servers::daemon::Daemon;
use super::super::servers::redis::{NOTIFY, Redis, WATCHER};
use super::RIGHTS;
use std::fs;
use std::path::Path;
use std::thread;
use std::time::Duration;

const FLOW: &str = r#"
flow: order
key: order_id
steps:
  placed: {from: bus.placed, key: {order_id: body.order_id}, keep: {amount: body.amount}}
  cached: {from: cache.orders, when: op == "set", key: {order_id: 'extract(key, "^order:(.*)$")'}, keep: {amount: body.amount}}
checks:
  cached: {after: placed, expect: cached, within: 2s}
  amount: {agree: [placed.amount, cached.amount]}
"#;
const JOBS: &str = r#"
flow: job
key: job
steps:
  added: {from: queue, when: body.event == "added", key: {job: 'body.queue + "/" + body.jobId'}}
  completed: {from: queue, when: body.event == "completed", key: {job: 'body.queue + "/" + body.jobId'}}
checks:
  done: {after: added, expect: completed, within: 2s}
"#;

/// For so long no finding comes.
const QUIET: Duration = Duration::from_secs(8);

fn start(folder: &Path, server: &Redis) -> Daemon {
    let (watched, plain) = (server.url_of(WATCHER, 0), format!("redis://127.0.0.1:{}/0", server.port));
    let config = format!(
        "flows: [order.yaml, job.yaml]\nclock_skew: 500ms\nserver: {{listen: \"127.0.0.1:0\"}}\nsources:\n  cache: {{type: redis, url: \
         \"{watched}\", keys: {{orders: \"order:*\"}}}}\n  bus: {{type: redis, url: \"{plain}\", streams: placed}}\n  queue: \
         {{type: redis, url: \"{plain}\", streams: \"bull:mail:events\", format: bullmq}}\n"
    );
    fs::write(folder.join("throughline.yaml"), config).unwrap();
    fs::write(folder.join("order.yaml"), FLOW).unwrap();
    fs::write(folder.join("job.yaml"), JOBS).unwrap();
    let daemon = Daemon::start_with(folder, &[("RUST_LOG", "debug")]);
    // An order of the time before the watch is undecided.
    daemon.until_watching();
    daemon
}

/// Waits until so much was found; keys and checks of all, in their order.
#[track_caller]
fn until_found(daemon: &Daemon, count: usize) -> Vec<(String, String)> {
    daemon.until_told(count).into_iter().map(|found| (found.key, found.check)).collect()
}

#[test]
fn the_daemon_finds_what_is_missing_and_claims_nothing_of_what_it_did_not_hear() {
    let server = Redis::start(&NOTIFY);
    server.allow(RIGHTS);
    let folder = tempfile::tempdir().unwrap();
    let mut daemon = start(folder.path(), &server);
    let place = |order: &str, amount: &str| {
        server.run::<String>("XADD", &["placed", "*", "order_id", order, "amount", amount]);
    };
    let cache = |order: &str, amount: &str| {
        server.run::<()>("SET", &[format!("order:{order}"), format!(r#"{{"amount":{amount}}}"#)]);
    };
    let job = |event: &str, id: &str| {
        server.run::<String>("XADD", &["bull:mail:events", "*", "event", event, "jobId", id]);
    };
    for order in ["a-1", "a-2", "a-3"] {
        place(order, "7");
    }
    cache("a-1", "7");
    cache("a-2", "8");
    job("added", "1");
    job("added", "2");
    job("completed", "1");
    let mut found = until_found(&daemon, 3);
    found.sort();
    let expected = [("a-2", "amount"), ("a-3", "cached"), ("mail/2", "done")];
    assert_eq!(found, expected.map(|(key, check)| (key.to_owned(), check.to_owned())));
    // The connection of the cache is lost, and with it the event of an order; the one of the stream is not.
    server.proxy().cut();
    place("a-4", "7");
    cache("a-4", "7");
    thread::sleep(QUIET);
    let wrong = until_found(&daemon, 3).split_off(3);
    assert!(wrong.is_empty(), "an order was claimed to be missing whose event may have been lost: {wrong:?}");
    place("a-5", "7");
    let next = until_found(&daemon, 4).split_off(3);
    assert_eq!(next, [("a-5".to_owned(), "cached".to_owned())], "and on after the gap");
    daemon.stop();
    assert!(!daemon.said().contains("s3cret"), "a secret is told");
}
