//! The daemon, as its operator has it.

use super::systems::Systems;
use super::{Findings, PATIENCE};
use crate::servers::Process;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

pub struct Daemon {
    folder: PathBuf,
    process: Process,
}

impl Daemon {
    /// Starts it, or starts it again, on the journal of the one before.
    pub fn start(systems: &Systems) -> Daemon {
        let folder = systems.folder.path();
        let file = |name: &str| fs::OpenOptions::new().create(true).append(true).open(folder.join(name)).unwrap();
        let mut command = Command::new(env!("CARGO_BIN_EXE_throughline"));
        command.args(["run", "--format", "json"]).current_dir(folder).stdin(Stdio::null());
        command.stdout(file("out")).stderr(file("err"));
        Daemon { folder: folder.to_owned(), process: Process(command.spawn().unwrap()) }
    }

    /// Waits until all sources have proven something.
    pub fn until_ready(&self) {
        let begun = Instant::now();
        loop {
            let status = self.ask(&["status", "--format", "json"]);
            let status: serde_json::Value = serde_json::from_str(&status).unwrap_or_default();
            let sources = status["sources"].as_object().map(|sources| sources.values().collect::<Vec<_>>());
            let sources = sources.or_else(|| Some(status["sources"].as_array()?.iter().collect()));
            if sources.is_some_and(|all| !all.is_empty() && all.iter().all(|one| !one["progress"].is_null())) {
                return;
            }
            assert!(begun.elapsed() < PATIENCE, "not all sources have proven anything: {status:#}\n{}", self.said());
            thread::sleep(Duration::from_millis(200));
        }
    }

    fn ask(&self, arguments: &[&str]) -> String {
        let mut command = Command::new(env!("CARGO_BIN_EXE_throughline"));
        let output = command.args(arguments).current_dir(&self.folder).output().unwrap();
        String::from_utf8_lossy(&output.stdout).into_owned()
    }

    /// The newest word of each finding.
    pub fn found(&self) -> Findings {
        let mut found = Findings::new();
        for line in read(&self.folder.join("out")).lines() {
            // The last line of one that was killed may be cut short.
            let Ok(finding) = serde_json::from_str::<serde_json::Value>(line) else { continue };
            let text = |name: &str| finding[name].as_str().unwrap().to_owned();
            found.insert((text("check"), text("key")), text("class") + " " + &text("status"));
        }
        found
    }

    /// What it has said of itself.
    pub fn said(&self) -> String {
        read(&self.folder.join("err"))
    }

    /// Ends it at once.
    pub fn kill(mut self) {
        self.process.kill();
    }

    /// Ends it in good order.
    pub fn stop(mut self) {
        let begun = Instant::now();
        self.process.terminate();
        assert!(begun.elapsed() < Duration::from_secs(5), "it takes long to stop: {}", self.said());
        let said = self.said();
        for secret in ["s3cret", "watcher:"] {
            assert!(!said.contains(secret), "a secret is told: {said}");
        }
    }
}

fn read(path: &Path) -> String {
    fs::read_to_string(path).unwrap_or_default()
}
