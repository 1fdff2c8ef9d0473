//! Pipes that keep the program waiting, and Ctrl-C.

use super::*;
use std::io::Write;
use std::thread;
use std::time::{Duration, Instant};

/// A pipe that says no more, without being closed, keeps the program waiting; Ctrl-C ends it at once. What the pipe
/// had said by then is judged.
#[test]
fn ctrl_c_on_a_silent_pipe_ends_in_130_with_the_verdict_so_far() {
    for threads in [1, 3] {
        let pipe = Pipe::new();
        let mut running = pipe.read_by(&format!("verify --format json --threads {threads}"));
        let mut writer = fs::OpenOptions::new().write(true).open(&pipe.path).unwrap();
        writer.write_all(one_lost().as_bytes()).unwrap();
        // Blank lines are no records; that so many could be written shows that the records before them were read.
        writer.write_all(&[b'\n'; 1 << 20]).unwrap();
        running.waits().interrupt();
        let ran = running.ends_by_itself().exits(130);
        assert_eq!(ran.json()["interrupted"], true);
        assert_eq!(ran.json()["transactions"], serde_json::json!({"consistent": 2, "inconsistent": 1, "undecided": 0}));
        assert_eq!(ran.json()["sources"]["events"]["records"], 7);
        drop(writer);
    }
}

/// Nobody ever opens the pipe to write.
#[test]
fn ctrl_c_ends_the_wait_for_a_pipe_without_a_writer() {
    let pipe = Pipe::new();
    for command in ["verify", "trace o-1"] {
        let mut running = pipe.read_by(command);
        running.waits().interrupt();
        running.ends_by_itself().exits(130);
    }
}

struct Pipe {
    case: Case,
    path: PathBuf,
}

impl Pipe {
    fn new() -> Pipe {
        let case = Case::new("");
        let path = case.path("pipe");
        assert!(Command::new("mkfifo").arg(&path).status().unwrap().success());
        Pipe { case, path }
    }

    fn read_by(&self, arguments: &str) -> Running {
        let mut command = self.case.command(arguments);
        let command = command.env("EVENTS", &self.path).stdout(Stdio::piped()).stderr(Stdio::piped());
        Running(command.spawn().unwrap())
    }
}

/// A program that has been started.
struct Running(std::process::Child);

impl Running {
    /// Lets it come to where it waits.
    fn waits(&mut self) -> &Running {
        thread::sleep(Duration::from_secs(2));
        assert_eq!(self.0.try_wait().unwrap(), None, "it waits for the pipe");
        self
    }

    fn interrupt(&self) {
        assert!(Command::new("kill").arg("-INT").arg(self.0.id().to_string()).status().unwrap().success());
    }

    fn ends_by_itself(mut self) -> Ran {
        let begun = Instant::now();
        while self.0.try_wait().unwrap().is_none() {
            if begun.elapsed() > Duration::from_secs(30) {
                self.0.kill().unwrap();
                panic!("it goes on waiting for the pipe");
            }
            thread::sleep(Duration::from_millis(10));
        }
        Ran::of(self.0.wait_with_output().unwrap())
    }
}
