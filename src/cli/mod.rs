//! The command line: one file a command.
//!
//! ```text
//! run      follows live systems, and tells findings as they come
//! status   how a running daemon stands
//! findings what `run` has found
//! verify ─▶ project (configuration + flows → plan) ─▶ runtime ─▶ report ─▶ human | json | files
//! check    the same mistakes, all at once; what steps match in a sample
//! test     flow tests in virtual time
//! trace    the timeline of each transaction that has a key
//! schema   JSON Schemas
//! ```
//!
//! What is asked for goes to standard output, everything else to standard error. Exit codes are in
//! [`Exit`].

mod check;
mod demo;
mod files;
mod findings;
mod human;
mod interrupt;
mod progress;
mod project;
mod reload;
mod report;
mod run;
mod sample;
mod schema;
mod status;
mod table;
mod test;
mod timeline;
mod trace;
mod verify;

use anyhow::Context;
use clap::{Parser, Subcommand};
use human::ERROR;
use std::io::{ErrorKind, Write};
use std::process::ExitCode;

/// Follows business transactions through queues, caches, logs and databases, and tells whether each
/// came out consistent.
#[derive(Parser)]
#[command(name = "throughline", version, max_term_width = 100)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    Demo(demo::Args),
    Run(run::Args),
    Status(status::Args),
    Findings(findings::Args),
    Verify(verify::Args),
    Check(check::Args),
    Test(test::Args),
    Trace(trace::Args),
    Schema(schema::Args),
}

/// How a command ended; what a script or a CI server acts on.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Exit {
    /// Consistent; nothing is wrong.
    Good = 0,
    /// There are findings that count, or a flow's test failed.
    Findings = 1,
    /// The command, the configuration or a flow is wrong.
    Wrong = 2,
    /// It could not be known.
    Unknown = 3,
    /// It was interrupted.
    Interrupted = 130,
}

/// Runs the program with the process's arguments.
pub fn main() -> ExitCode {
    let exit = match Cli::parse().command {
        Command::Demo(args) => demo::run(&args),
        Command::Run(args) => run::run(&args),
        Command::Status(args) => status::run(&args),
        Command::Findings(args) => findings::run(&args),
        Command::Verify(args) => verify::run(&args),
        Command::Check(args) => check::run(&args),
        Command::Test(args) => test::run(&args),
        Command::Trace(args) => trace::run(&args),
        Command::Schema(args) => schema::run(&args),
    };
    let exit = exit.unwrap_or_else(|error| {
        anstream::eprintln!("{ERROR}error{ERROR:#}: {}", explained(&error));
        Exit::Wrong
    });
    ExitCode::from(exit as u8)
}

/// The error with its causes, each said once: many a library's sentence has its cause in it already.
fn explained(error: &anyhow::Error) -> String {
    let mut told = String::new();
    for cause in error.chain().map(ToString::to_string) {
        if told.is_empty() {
            told = cause;
        } else if !told.contains(&cause) {
            told = format!("{told}: {cause}");
        }
    }
    told
}

/// Writes what was asked for to standard output, colours only where they are seen. Who reads no further
/// has seen enough: a broken pipe is no error.
fn print(text: &str) -> anyhow::Result<()> {
    let mut out = anstream::stdout().lock();
    match out.write_all(text.as_bytes()).and_then(|()| out.flush()) {
        Err(error) if error.kind() != ErrorKind::BrokenPipe => Err(error).context("standard output cannot be written"),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cause_that_was_said_is_not_said_again() {
        let full = std::io::Error::other("no space left");
        let error =
            anyhow::Error::new(full).context("a.snapshot cannot be written: no space left").context("the daemon ends");
        assert_eq!(explained(&error), "the daemon ends: a.snapshot cannot be written: no space left");
        let error = anyhow::anyhow!("no such file").context("x.yaml cannot be read");
        assert_eq!(explained(&error), "x.yaml cannot be read: no such file");
    }
}
