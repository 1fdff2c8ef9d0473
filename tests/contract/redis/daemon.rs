//! The daemon on a real Redis: a cache that lacks an order is found, a lost connection is undecided, BullMQ's events are
//! read by their preset.

use super::super::servers::redis::{NOTIFY, Redis, WATCHER};
use super::RIGHTS;
use std::fs;
use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{self, Receiver};
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

/// How long a finding may take, and how long none is waited for.
const PATIENCE: Duration = Duration::from_secs(40);
const QUIET: Duration = Duration::from_secs(8);

struct Daemon {
    process: Child,
    findings: Receiver<String>,
    folder: tempfile::TempDir,
}

impl Daemon {
    fn start(server: &Redis) -> Daemon {
        let folder = tempfile::tempdir().unwrap();
        let (watched, plain) = (server.url_of(WATCHER, 0), format!("redis://127.0.0.1:{}/0", server.port));
        let config = format!(
            "flows: [order.yaml, job.yaml]\nclock_skew: 500ms\nserver: {{listen: \"off\"}}\nsources:\n  cache: {{type: redis, url: \
             \"{watched}\", keys: {{orders: \"order:*\"}}}}\n  bus: {{type: redis, url: \"{plain}\", streams: placed}}\n  queue: \
             {{type: redis, url: \"{plain}\", streams: \"bull:mail:events\", format: bullmq}}\n"
        );
        fs::write(folder.path().join("throughline.yaml"), config).unwrap();
        fs::write(folder.path().join("order.yaml"), FLOW).unwrap();
        fs::write(folder.path().join("job.yaml"), JOBS).unwrap();
        let mut process = Command::new(env!("CARGO_BIN_EXE_throughline"))
            .args(["run", "--format", "json"])
            .current_dir(folder.path())
            .env("RUST_LOG", "debug")
            .stdout(Stdio::piped())
            .stderr(fs::File::create(folder.path().join("log")).unwrap())
            .spawn()
            .unwrap();
        let (told, findings) = mpsc::channel();
        let output = BufReader::new(process.stdout.take().unwrap());
        thread::spawn(move || output.lines().map_while(Result::ok).for_each(|line| _ = told.send(line)));
        // An order of the time before the watch is undecided: it begins with the first proof and both clocks' skew.
        thread::sleep(Duration::from_secs(5));
        Daemon { process, findings, folder }
    }

    fn log(&self) -> String {
        fs::read_to_string(self.folder.path().join("log")).unwrap()
    }

    /// The next finding: key and check.
    fn found(&self) -> (String, String) {
        let line = self.findings.recv_timeout(PATIENCE).unwrap_or_else(|_| panic!("nothing was found\n{}", self.log()));
        let finding: serde_json::Value = serde_json::from_str(&line).unwrap();
        let text = |name: &str| finding[name].as_str().unwrap().to_owned();
        (text("key"), text("check"))
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

#[test]
fn the_daemon_finds_what_is_missing_and_claims_nothing_of_what_it_did_not_hear() {
    let server = Redis::start(&NOTIFY);
    server.allow(RIGHTS);
    let mut daemon = Daemon::start(&server);
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
    let mut found = vec![daemon.found(), daemon.found(), daemon.found()];
    found.sort();
    let expected = [("a-2", "amount"), ("a-3", "cached"), ("mail/2", "done")];
    assert_eq!(found, expected.map(|(key, check)| (key.to_owned(), check.to_owned())));
    // The connection of the cache is lost, and with it the event of an order; the one of the stream is not.
    server.proxy().cut();
    place("a-4", "7");
    cache("a-4", "7");
    let none = daemon.findings.recv_timeout(QUIET);
    assert!(none.is_err(), "an order was claimed to be missing whose event may have been lost: {none:?}");
    place("a-5", "7");
    assert_eq!(daemon.found(), ("a-5".to_owned(), "cached".to_owned()), "and on after the gap");
    let _ = Command::new("kill").args(["-TERM", &daemon.process.id().to_string()]).status();
    assert!(daemon.process.wait().unwrap().success(), "{}", daemon.log());
    assert!(!daemon.log().contains("s3cret"), "a secret is told");
}
