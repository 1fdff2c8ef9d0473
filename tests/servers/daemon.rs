//! The daemon, as its operator has it: a process in a folder with its configuration, which prints what it finds.

use super::{Process, eventually};
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::thread;
use std::time::Duration;

/// The watch begins with the first proof and twice the clocks' skew, which no test declares to be more than half of this.
const BEGINS_WITHIN: Duration = Duration::from_secs(2);

pub struct Daemon {
    pub process: Process,
    folder: PathBuf,
    name: String,
}

/// What one line says of a finding.
pub struct Found {
    pub check: String,
    pub key: String,
    pub class: String,
    pub status: String,
}

impl Daemon {
    /// Starts it; what it finds and says goes to `NAME.out` and `NAME.err` of its folder.
    pub fn start(folder: &Path, name: &str) -> Daemon {
        Daemon::start_with(folder, name, &[])
    }

    /// The same, with these variables.
    pub fn start_with(folder: &Path, name: &str, variables: &[(&str, &str)]) -> Daemon {
        let file = |kind: &str| File::create(folder.join(format!("{name}.{kind}"))).unwrap();
        let mut command = Command::new(env!("CARGO_BIN_EXE_throughline"));
        command.args(["run", "--format", "json"]).current_dir(folder).stdin(Stdio::null());
        command.envs(variables.iter().copied()).stdout(file("out")).stderr(file("err"));
        Daemon { process: Process(command.spawn().unwrap()), folder: folder.to_owned(), name: name.to_owned() }
    }

    /// All that it has found so far, word by word.
    pub fn told(&self) -> Vec<Found> {
        let mut told = Vec::new();
        for line in self.read("out").lines() {
            // The last line is still being written, or was cut short by a kill.
            let Ok(finding) = serde_json::from_str::<serde_json::Value>(line) else { continue };
            let text = |name: &str| finding[name].as_str().unwrap().to_owned();
            told.push(Found { check: text("check"), key: text("key"), class: text("class"), status: text("status") });
        }
        told
    }

    /// What it has said of itself.
    pub fn said(&self) -> String {
        self.read("err")
    }

    fn read(&self, kind: &str) -> String {
        fs::read_to_string(self.folder.join(format!("{}.{kind}", self.name))).unwrap()
    }

    /// `throughline status`, of one whose configuration has `server: {listen: "127.0.0.1:0"}`.
    pub fn status(&self) -> serde_json::Value {
        let said = self.said();
        let address = said.split_once("the status is at http://").and_then(|(_, rest)| rest.split_once("/status"));
        let Some((address, _)) = address else { return serde_json::Value::Null };
        let mut command = Command::new(env!("CARGO_BIN_EXE_throughline"));
        let output = command.args(["status", "--format", "json", "--address", address]).output().unwrap();
        serde_json::from_slice(&output.stdout).unwrap_or_default()
    }

    /// Waits until it watches: each source has proven something, and what happens from now on is judged.
    #[track_caller]
    pub fn until_watching(&self) {
        eventually("not all sources have proven anything", || {
            let status = self.status();
            let sources = status["sources"].as_array().cloned().unwrap_or_default();
            let ready = !sources.is_empty() && sources.iter().all(|source| !source["progress"].is_null());
            if ready { Ok(()) } else { Err(format!("{status:#}\n{}", self.said())) }
        });
        thread::sleep(BEGINS_WITHIN);
    }

    /// Ends it at once.
    pub fn kill(&mut self) {
        self.process.kill();
    }

    /// Ends it in good order.
    #[track_caller]
    pub fn stop(&mut self) {
        self.process.terminate();
        let exit = self.process.0.wait().unwrap();
        assert!(exit.success(), "{exit}: {}", self.said());
    }
}
