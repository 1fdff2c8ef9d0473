//! Celery and BullMQ, the real libraries on the real brokers: what happened to each job is seen as such by the daemon, with
//! the flows and the sources of the page on presets, whose deadlines alone are made short.

mod bullmq;
mod celery;

use crate::servers::daemon::Daemon;
use crate::servers::{Process, eventually};
use std::collections::BTreeSet;
use std::fs::{self, File};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

const PAGE: &str = include_str!("../../../docs/presets.md");

/// What a deadline on the page is.
const DEADLINES: [&str; 2] = ["within: 1h", "within: 2h"];

/// Check and key of each finding.
type Findings = BTreeSet<(String, String)>;

/// A file of a section of the page.
fn documented(section: &str, name: &str) -> String {
    let text = PAGE.split("\n## ").find(|text| text.starts_with(section)).expect("the section");
    let (_, block) = text.split_once(&format!("```yaml {name}\n")).expect("the file");
    block.split_once("```").expect("the end of the block").0.to_owned()
}

fn findings(all: &[(&str, &[&str])]) -> Findings {
    let each =
        all.iter().flat_map(|(check, keys)| keys.iter().map(move |key| ((*check).to_owned(), (*key).to_owned())));
    each.collect()
}

/// The daemon, with flows of a section of the page.
struct Watcher {
    daemon: Daemon,
    _folder: tempfile::TempDir,
}

impl Watcher {
    /// Starts it, with so long a deadline for everything, and waits until it watches.
    fn start(section: &str, flows: &[&str], within: Duration, sources: &str, url: &str) -> Watcher {
        let folder = tempfile::tempdir().unwrap();
        for flow in flows {
            let within = format!("within: {}s", within.as_secs());
            let text = DEADLINES.iter().fold(documented(section, flow), |text, long| text.replace(long, &within));
            fs::write(folder.path().join(flow), text).unwrap();
        }
        let own = "clock_skew: 100ms\nserver: {listen: \"127.0.0.1:0\"}\n".to_owned();
        // What waits for an event that may be late waits long enough.
        let sources = sources.replace("format: celery}", "format: celery, lateness: 1s}");
        fs::write(folder.path().join("throughline.yaml"), own + &sources).unwrap();
        let daemon = Daemon::start_with(folder.path(), &[("AMQP_URL", url), ("REDIS_URL", url)]);
        daemon.until_watching();
        Watcher { daemon, _folder: folder }
    }

    fn status(&self) -> serde_json::Value {
        self.daemon.status()
    }

    /// All that was found so far and is not healed.
    fn found(&self) -> Findings {
        let mut found = Findings::new();
        for told in self.daemon.told() {
            let one = (told.check, told.key);
            if told.status == "open" {
                found.insert(one);
            } else {
                found.remove(&one);
            }
        }
        found
    }

    /// Waits until this is found and nothing else.
    #[track_caller]
    fn until_found(&self, expected: &Findings) {
        eventually("something else was found", || {
            let found = self.found();
            if found == *expected {
                return Ok(());
            }
            let missing: Vec<_> = expected.difference(&found).collect();
            let wrong: Vec<_> = found.difference(expected).collect();
            Err(format!("not found: {missing:#?}\nwrong: {wrong:#?}\n{}", self.daemon.said()))
        });
    }

    /// Waits until so many transactions of each flow are consistent and so many are not; no other is left, nothing is
    /// undecided, and everything could be read.
    #[track_caller]
    fn until_decided(&self, consistent: &[(&str, u64, u64)]) {
        eventually("the verdicts are others", || {
            let status = self.status();
            let lanes = status["lanes"].as_array().cloned().unwrap_or_default();
            let all = consistent.iter().all(|(flow, well, ill)| {
                let lane = lanes.iter().find(|lane| lane["flow"] == *flow);
                lane.is_some_and(|lane| {
                    lane["consistent"] == *well
                        && lane["inconsistent"] == *ill
                        && lane["undecided"] == serde_json::json!({})
                })
            });
            let sources = status["sources"].as_array().cloned().unwrap_or_default();
            let readable = sources.iter().all(|source| source["undecodable"] == serde_json::json!({}));
            if all && readable { Ok(()) } else { Err(format!("{status:#}")) }
        });
    }
}

/// A worker of a library, which says `ready` when it is; with all processes that it has.
struct Worker {
    process: Process,
    log: PathBuf,
}

impl Worker {
    fn start(mut command: Command, folder: &Path, name: &str) -> Worker {
        let log = folder.join(name);
        let file = File::create(&log).unwrap();
        command.stdin(Stdio::null()).stdout(file.try_clone().unwrap()).stderr(file).process_group(0);
        let process = command.spawn().unwrap_or_else(|error| panic!("{command:?} does not start: {error}"));
        Worker { process: Process(process), log }
    }

    fn until_ready(self) -> Worker {
        eventually("the worker is not ready", || {
            let said = fs::read_to_string(&self.log).unwrap();
            if said.contains("ready") { Ok(()) } else { Err(said) }
        });
        self
    }

    fn is_gone(&mut self) -> bool {
        self.process.0.try_wait().unwrap().is_some()
    }
}

impl Drop for Worker {
    fn drop(&mut self) {
        let group = format!("-{}", self.process.0.id());
        let _ = Command::new("kill").args(["-KILL", "--", &group]).stderr(Stdio::null()).status();
    }
}

/// Waits until a job has taken one more of the workers with it.
#[track_caller]
fn until_gone(workers: &mut [Worker], count: usize) {
    eventually("no worker is lost", || {
        let gone = workers.iter_mut().filter_map(|worker| worker.is_gone().then_some(())).count();
        let said = || workers.iter().map(|worker| fs::read_to_string(&worker.log).unwrap()).collect();
        if gone == count { Ok(()) } else { Err(said()) }
    });
}

/// What a command prints: a job and its id, line by line.
#[track_caller]
fn sent(mut command: Command) -> Vec<String> {
    let output = command.stdin(Stdio::null()).output().unwrap_or_else(|error| panic!("{command:?}: {error}"));
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let said = String::from_utf8(output.stdout).unwrap();
    said.lines().map(|line| line.split_once(' ').expect("a job and its id").1.to_owned()).collect()
}
