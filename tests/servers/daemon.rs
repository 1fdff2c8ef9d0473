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
    command: Command,
    folder: PathBuf,
    runs: u32,
}

/// What one line says of a finding.
pub struct Found {
    pub check: String,
    pub key: String,
    pub class: String,
    pub status: String,
}

impl Daemon {
    /// Starts it; what it finds and says goes to `N.out` and `N.err` of its folder, where N is 0 in its first run.
    pub fn start(folder: &Path) -> Daemon {
        Daemon::start_with(folder, &[])
    }

    /// The same, with these variables.
    pub fn start_with(folder: &Path, variables: &[(&str, &str)]) -> Daemon {
        let mut command = Command::new(env!("CARGO_BIN_EXE_throughline"));
        command.args(["run", "--format", "json"]).current_dir(folder).stdin(Stdio::null());
        command.envs(variables.iter().copied());
        let process = run(&mut command, folder, 0);
        Daemon { process, command, folder: folder.to_owned(), runs: 1 }
    }

    /// Starts it once more, on what the one before has left.
    pub fn start_again(&mut self) {
        self.process = run(&mut self.command, &self.folder, self.runs);
        self.runs += 1;
    }

    /// All that it has found so far in all its runs, word by word.
    pub fn told(&self) -> Vec<Found> {
        let mut told = Vec::new();
        let all = (0..self.runs).map(|run| self.read(run, "out")).collect::<Vec<_>>();
        for line in all.iter().flat_map(|text| text.lines()) {
            // The last line of a run is still being written, or was cut short by a kill.
            let Ok(finding) = serde_json::from_str::<serde_json::Value>(line) else { continue };
            let text = |name: &str| finding[name].as_str().unwrap().to_owned();
            told.push(Found { check: text("check"), key: text("key"), class: text("class"), status: text("status") });
        }
        told
    }

    /// Waits until it has found so much, and tells all of it.
    #[track_caller]
    pub fn until_told(&self, count: usize) -> Vec<Found> {
        eventually("not everything was found", || {
            let told = self.told();
            if told.len() < count { Err(self.said()) } else { Ok(told) }
        })
    }

    /// What it has said of itself in all its runs.
    pub fn said(&self) -> String {
        (0..self.runs).map(|run| self.read(run, "err")).collect()
    }

    fn read(&self, run: u32, kind: &str) -> String {
        fs::read_to_string(self.folder.join(format!("{run}.{kind}"))).unwrap()
    }

    /// `throughline status`, of one whose configuration has `server: {listen: "127.0.0.1:0"}`.
    pub fn status(&self) -> serde_json::Value {
        let said = self.read(self.runs - 1, "err");
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

fn run(command: &mut Command, folder: &Path, run: u32) -> Process {
    let file = |kind: &str| File::create(folder.join(format!("{run}.{kind}"))).unwrap();
    Process(command.stdout(file("out")).stderr(file("err")).spawn().unwrap())
}
