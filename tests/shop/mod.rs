//! A folder in which a daemon watches the log of a small shop, and the daemon as its operator has it.
#![allow(dead_code, reason = "each test takes what it needs of it")]

use std::fs;
use std::io::Write;
use std::path::PathBuf;
use std::process::{Child, Command, Output, Stdio};
use std::thread;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

pub const FLOW: &str = r#"
flow: order
key: order_id
steps:
  placed: {from: orders, when: body.type == "placed", key: {order_id: body.order_id}}
  paid:   {from: orders, when: body.type == "paid", key: {order_id: body.order_id}}
checks:
  paid: {after: placed, expect: paid, within: 500ms}
"#;

pub const CONFIG: &str = r#"
flows: [order.yaml]
clock_skew: 50ms
sources:
  orders: {type: file, path: orders.jsonl, format: json, time: body.ts, lateness: 100ms, start: beginning}
"#;

/// How long anything may take.
pub const PATIENCE: Duration = Duration::from_secs(60);
/// How long stopping may take.
const STOPPING_MAX: Duration = Duration::from_secs(5);

/// A folder with a configuration, a flow and a log.
pub struct Shop {
    pub folder: tempfile::TempDir,
}

impl Shop {
    pub fn new() -> Shop {
        let shop = Shop { folder: tempfile::tempdir().unwrap() };
        shop.write("order.yaml", FLOW);
        shop.write("throughline.yaml", CONFIG);
        shop
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    pub fn write(&self, name: &str, text: &str) {
        fs::write(self.path(name), text).unwrap();
    }

    /// Something happens now.
    pub fn log(&self, what: &str, order: &str) {
        self.log_with(what, order, r#""note":"""#);
    }

    /// Something happens now, with more to say of it.
    pub fn log_with(&self, what: &str, order: &str, more: &str) {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_nanos();
        let mut file = fs::OpenOptions::new().create(true).append(true).open(self.path("orders.jsonl")).unwrap();
        writeln!(file, r#"{{"type":"{what}","ts":{now},"order_id":"{order}",{more}}}"#).unwrap();
    }

    pub fn command(&self, arguments: &[&str]) -> Command {
        let mut command = self.throughline(&["run"]);
        command.args(arguments);
        command
    }

    pub fn throughline(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_throughline"));
        command.args(arguments).current_dir(self.folder.path()).stdin(Stdio::null());
        command
    }

    /// Starts the daemon, its findings and its words going to files.
    pub fn start(&self, name: &str) -> Daemon {
        let file = |kind: &str| fs::File::create(self.path(&format!("{name}.{kind}"))).unwrap();
        let child = self.command(&["--format", "json"]).stdout(file("out")).stderr(file("err")).spawn().unwrap();
        Daemon { child, out: self.path(&format!("{name}.out")), err: self.path(&format!("{name}.err")) }
    }

    /// What another command says, and how it ends.
    pub fn ask(&self, arguments: &[&str]) -> (String, Option<i32>) {
        let Output { status, stdout, stderr } = self.throughline(arguments).output().unwrap();
        (String::from_utf8(stdout).unwrap() + &String::from_utf8(stderr).unwrap(), status.code())
    }

    /// Starts it where it is expected to refuse.
    pub fn refused(&self, arguments: &[&str]) -> String {
        let Output { status, stderr, .. } = self.command(arguments).output().unwrap();
        let said = String::from_utf8(stderr).unwrap();
        assert_eq!(status.code(), Some(2), "{said}");
        said
    }
}

pub struct Daemon {
    pub child: Child,
    pub out: PathBuf,
    pub err: PathBuf,
}

impl Daemon {
    /// The orders of its findings, once there are so many.
    pub fn found(&self, count: usize) -> Vec<String> {
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
    pub fn text(&self) -> String {
        fs::read_to_string(&self.out).unwrap()
    }

    /// Waits until it has said something on standard error.
    pub fn says(&self, words: &str) {
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

    /// Where it says that its status is.
    pub fn address(&self) -> String {
        let begun = Instant::now();
        loop {
            let said = fs::read_to_string(&self.err).unwrap();
            if let Some((_, rest)) = said.split_once("the status is at http://") {
                return rest.split_once("/status").unwrap().0.to_owned();
            }
            assert!(begun.elapsed() < PATIENCE, "{said}");
            thread::sleep(Duration::from_millis(50));
        }
    }

    /// What `throughline status` tells, once it shows this.
    pub fn shows(&self, what: impl Fn(&serde_json::Value) -> bool) -> serde_json::Value {
        let (address, begun) = (self.address(), Instant::now());
        loop {
            let mut ask = Command::new(env!("CARGO_BIN_EXE_throughline"));
            let Output { stdout, .. } =
                ask.args(["status", "--format", "json", "--address", &address]).output().unwrap();
            let told = serde_json::from_slice(&stdout).unwrap();
            if what(&told) {
                return told;
            }
            assert!(begun.elapsed() < PATIENCE, "{told}");
            thread::sleep(Duration::from_millis(50));
        }
    }

    /// Asks it to stop, and waits until it has.
    pub fn stop(mut self) -> String {
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
pub fn a_while() {
    thread::sleep(Duration::from_millis(2_000));
}
