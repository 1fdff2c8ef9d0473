//! The daemon as its operator meets it: start, stop, start again, and what it refuses.

use std::fs;
use std::io::Write;
use std::path::Path;
use std::process::{Child, Command, Output, Stdio};
use std::thread;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

const FLOW: &str = r#"
flow: order
key: order_id
steps:
  placed: {from: orders, when: body.type == "placed", key: {order_id: body.order_id}}
  paid:   {from: orders, when: body.type == "paid", key: {order_id: body.order_id}}
checks:
  paid: {after: placed, expect: paid, within: 500ms}
"#;

const CONFIG: &str = r#"
flows: [order.yaml]
clock_skew: 50ms
sources:
  orders: {type: file, path: orders.jsonl, format: json, time: body.ts, lateness: 100ms, start: beginning}
"#;

/// How long anything may take.
const PATIENCE: Duration = Duration::from_secs(20);
/// How long stopping may take.
const STOPPING_MAX: Duration = Duration::from_secs(5);

/// A folder with a configuration, a flow and a log.
struct Shop {
    folder: tempfile::TempDir,
}

impl Shop {
    fn new() -> Shop {
        let shop = Shop { folder: tempfile::tempdir().unwrap() };
        shop.write("order.yaml", FLOW);
        shop.write("throughline.yaml", CONFIG);
        shop
    }

    fn path(&self, name: &str) -> std::path::PathBuf {
        self.folder.path().join(name)
    }

    fn write(&self, name: &str, text: &str) {
        fs::write(self.path(name), text).unwrap();
    }

    /// Something happens now.
    fn log(&self, what: &str, order: &str) {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_nanos();
        let mut file = fs::OpenOptions::new().create(true).append(true).open(self.path("orders.jsonl")).unwrap();
        writeln!(file, r#"{{"type":"{what}","ts":{now},"order_id":"{order}"}}"#).unwrap();
    }

    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_throughline"));
        command.arg("run").args(arguments).current_dir(self.folder.path()).stdin(Stdio::null());
        command
    }

    /// Starts the daemon, its findings and its words going to files.
    fn start(&self, name: &str) -> Daemon {
        let file = |kind: &str| fs::File::create(self.path(&format!("{name}.{kind}"))).unwrap();
        let child = self.command(&["--format", "json"]).stdout(file("out")).stderr(file("err")).spawn().unwrap();
        Daemon { child, out: self.path(&format!("{name}.out")), err: self.path(&format!("{name}.err")) }
    }

    /// Starts it where it is expected to refuse.
    fn refused(&self, arguments: &[&str]) -> String {
        let Output { status, stderr, .. } = self.command(arguments).output().unwrap();
        let said = String::from_utf8(stderr).unwrap();
        assert_eq!(status.code(), Some(2), "{said}");
        said
    }
}

struct Daemon {
    child: Child,
    out: std::path::PathBuf,
    err: std::path::PathBuf,
}

impl Daemon {
    /// The orders of its findings, once there are so many.
    fn found(&self, count: usize) -> Vec<String> {
        let begun = Instant::now();
        loop {
            let out = fs::read_to_string(&self.out).unwrap();
            let keys: Vec<String> = out
                .split_inclusive('\n')
                .filter(|line| line.ends_with('\n'))
                .map(|line| {
                    serde_json::from_str::<serde_json::Value>(line).unwrap()["key"].as_str().unwrap().to_owned()
                })
                .collect();
            if keys.len() >= count {
                return keys;
            }
            assert!(begun.elapsed() < PATIENCE, "{keys:?} {}", fs::read_to_string(&self.err).unwrap());
            thread::sleep(Duration::from_millis(50));
        }
    }

    /// What it has printed.
    fn text(&self) -> String {
        fs::read_to_string(&self.out).unwrap()
    }

    /// Waits until it has said something on standard error.
    fn says(&self, words: &str) {
        let begun = Instant::now();
        loop {
            let said = fs::read_to_string(&self.err).unwrap();
            if said.contains(words) {
                return;
            }
            assert!(begun.elapsed() < PATIENCE, "{words:?} is not in: {said}");
            thread::sleep(Duration::from_millis(50));
        }
    }

    /// Asks it to stop, and waits until it has.
    fn stop(mut self) -> String {
        let begun = Instant::now();
        assert!(Command::new("kill").arg(self.child.id().to_string()).status().unwrap().success());
        let status = self.child.wait().unwrap();
        let said = fs::read_to_string(&self.err).unwrap();
        assert!(status.success(), "{status}: {said}");
        assert!(begun.elapsed() < STOPPING_MAX, "it took {:?} to stop", begun.elapsed());
        said
    }
}

/// Waits until what happened now is surely judged.
fn a_while() {
    thread::sleep(Duration::from_millis(2_000));
}

#[test]
fn it_goes_on_where_it_was_stopped() {
    let shop = Shop::new();
    shop.log("tick", "-");
    let first = shop.start("first");
    a_while();
    shop.log("placed", "o-1");
    shop.log("placed", "o-2");
    shop.log("paid", "o-2");
    assert_eq!(first.found(1), ["o-1"]);
    shop.log("placed", "o-3");
    first.stop();
    // Nobody watches while these happen; the log remembers.
    shop.log("paid", "o-3");
    shop.log("placed", "o-4");
    let second = shop.start("second");
    assert_eq!(second.found(1), ["o-4"]);
    a_while();
    assert_eq!(second.found(1), ["o-4"], "o-3 was paid in time, and o-1 is not told again");
    second.stop();
}

#[test]
fn a_source_that_cannot_be_read_makes_nothing_wrong() {
    let shop = Shop::new();
    shop.log("tick", "-");
    let daemon = shop.start("one");
    a_while();
    shop.log("placed", "o-1");
    // The file is replaced by a folder of its name before the payment can be seen.
    thread::sleep(Duration::from_millis(300));
    fs::rename(shop.path("orders.jsonl"), shop.path("away")).unwrap();
    fs::create_dir(shop.path("orders.jsonl")).unwrap();
    a_while();
    assert_eq!(daemon.found(0), Vec::<String>::new(), "the payment may stand where nobody can read");
    fs::remove_dir(shop.path("orders.jsonl")).unwrap();
    fs::rename(shop.path("away"), shop.path("orders.jsonl")).unwrap();
    shop.log("placed", "o-2");
    let found = daemon.found(1);
    assert!(found.iter().all(|order| order == "o-1" || order == "o-2"), "{found:?}");
    daemon.stop();
}

#[test]
fn only_one_daemon_writes_to_a_folder() {
    let shop = Shop::new();
    shop.log("tick", "-");
    let daemon = shop.start("one");
    a_while();
    let said = shop.refused(&[]);
    assert!(said.contains("is in use") && said.contains(&daemon.child.id().to_string()), "{said}");
    daemon.stop();
}

/// A payment within half a second is what the flow asks for at times, and at others within an hour.
#[test]
fn changed_checks_apply_to_what_is_open() {
    let shop = Shop::new();
    shop.write("order.yaml", &FLOW.replace("500ms", "1h"));
    shop.log("tick", "-");
    let first = shop.start("first");
    a_while();
    shop.log("placed", "o-1");
    a_while();
    assert_eq!(first.found(0), Vec::<String>::new(), "there is time");
    // While it is stopped …
    first.stop();
    shop.write("order.yaml", FLOW);
    let second = shop.start("second");
    assert_eq!(second.found(1), ["o-1"], "it was placed by the flow that was");
    // … and while it runs. What has closed stays as it was judged, until something comes that belongs to it.
    shop.write("order.yaml", &FLOW.replace("500ms", "1h"));
    second.says("going on with the new ones");
    shop.log("placed", "o-2");
    a_while();
    assert_eq!(second.found(1), ["o-1"]);
    shop.log("paid", "o-1");
    assert_eq!(second.found(2), ["o-1", "o-1"]);
    assert!(second.text().contains(r#""status":"resolved""#), "{}", second.text());
    a_while();
    shop.write("order.yaml", FLOW);
    assert_eq!(second.found(3), ["o-1", "o-1", "o-2"]);
    second.stop();
    let third = shop.start("third");
    a_while();
    assert_eq!(third.found(0), Vec::<String>::new(), "all was told");
    third.stop();
}

#[test]
fn a_flow_that_is_wrong_is_refused_and_the_old_one_goes_on() {
    let shop = Shop::new();
    shop.log("tick", "-");
    let daemon = shop.start("one");
    a_while();
    shop.write("order.yaml", &FLOW.replace("expect: paid", "expect: payed"));
    daemon.says("there is no step `payed`");
    daemon.says("is refused");
    shop.log("placed", "o-1");
    assert_eq!(daemon.found(1), ["o-1"]);
    daemon.stop();
}

/// Another flow of the same log has a lane of its own, and is added while the daemon runs.
#[test]
fn a_flow_that_is_added_is_watched_from_then_on() {
    let shop = Shop::new();
    let other = FLOW.replace("flow: order", "flow: parcel").replace("\"paid\"", "\"sent\"").replace("paid:", "sent:");
    shop.write("parcel.yaml", &other.replace("expect: paid", "expect: sent"));
    shop.log("tick", "-");
    let daemon = shop.start("one");
    a_while();
    shop.log("placed", "o-1");
    shop.log("paid", "o-1");
    a_while();
    shop.write("throughline.yaml", &CONFIG.replace("[order.yaml]", "[order.yaml, parcel.yaml]"));
    daemon.says("going on with the new ones");
    a_while();
    shop.log("placed", "o-2");
    shop.log("sent", "o-2");
    shop.log("placed", "o-3");
    shop.log("paid", "o-3");
    let mut found = daemon.found(2);
    a_while();
    found.sort();
    assert_eq!(found, ["o-2", "o-3"], "o-2 was not paid, o-3 not sent, and o-1 was placed before the other flow");
    let flows: Vec<_> =
        ["order", "parcel"].iter().map(|flow| shop.path("throughline.data/journal").join(flow)).collect();
    assert!(flows.iter().all(|folder| folder.is_dir()), "{flows:?}");
    daemon.stop();
    let again = shop.start("again");
    shop.log("placed", "o-4");
    assert_eq!(again.found(2), ["o-4", "o-4"]);
    again.stop();
}

#[test]
fn what_only_a_recording_has_is_refused() {
    let shop = Shop::new();
    shop.write("throughline.yaml", &CONFIG.replace("lateness: 100ms", "lateness: end"));
    let said = shop.refused(&[]);
    assert!(said.contains("lateness: end") && said.contains("lateness: 5s"), "{said}");
    shop.write("throughline.yaml", &CONFIG.replace("flows: [order.yaml]", "flows: [missing.yaml]"));
    assert!(shop.refused(&[]).contains("missing.yaml"));
    assert!(!Path::new(&shop.path("throughline.data")).exists(), "nothing is made for a configuration that is wrong");
}
