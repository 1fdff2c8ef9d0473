//! BullMQ: jobs that are done, refused, tried again, stalled, lost with their worker, left lying; and what is told of them
//! when the queue is flushed, and its jobs are counted from 1 again.

use super::{Findings, Watcher, Worker, documented, findings, sent, until_gone};
use crate::servers::eventually;
use crate::servers::redis::{Redis, WATCHER};
use std::path::PathBuf;
use std::process::Command;
use std::thread;
use std::time::Duration;

/// How long a job may take with all its attempts, for which four workers start one after the other.
const WITHIN: Duration = Duration::from_secs(20);
/// What the page on Redis says that is needed.
const RIGHTS: &str = "%R~bull:mail:* &__keyspace@0__:bull:mail:[0-9]* -@all +psubscribe +subscribe +time +info \
                      +config|get +type +exists +getrange +lrange +hscan +sscan +zrange +scan +xinfo|stream +xrange";
/// Long enough for a proof.
const SETTLES: Duration = Duration::from_millis(1_500);

/// The folder in which the library is installed: `tests/run` does.
fn library() -> PathBuf {
    let ours = || PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join("../tools/bullmq");
    let folder = std::env::var_os("BULLMQ").map_or_else(ours, PathBuf::from);
    let help = "run tests/run, or set BULLMQ to a folder in which `npm install bullmq ioredis` was run";
    assert!(folder.join("node_modules/bullmq").exists(), "BullMQ is not in {}: {help}", folder.display());
    folder
}

/// The queue `mail` of a server.
struct Queue<'s> {
    server: &'s Redis,
    logs: tempfile::TempDir,
}

impl Queue<'_> {
    fn program(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new("node");
        command.args([concat!(env!("CARGO_MANIFEST_DIR"), "/tests/contract/jobs/queue.mjs")]);
        command.args([&self.server.port.to_string(), "mail"]).args(arguments).env("BULLMQ", library());
        command
    }

    fn worker(&self, name: &str) -> Worker {
        Worker::start(self.program(&["work", name]), self.logs.path(), name).until_ready()
    }

    /// Adds jobs, each `NAME=ORDER`; their ids.
    #[track_caller]
    fn add(&self, jobs: &[&str]) -> Vec<String> {
        sent(self.program(&[&["add"], jobs].concat()))
    }

    /// Waits until a job has come to an end.
    fn until_ended(&self, id: &str) {
        eventually("the job does not end", || {
            let finished: Option<String> = self.server.run("HGET", &[&format!("bull:mail:{id}"), "finishedOn"]);
            finished.ok_or_else(|| id.to_owned())
        });
    }
}

#[test]
fn what_becomes_of_a_job_is_found_and_not_mixed_with_another_of_its_number() {
    let server = Redis::start(&["--notify-keyspace-events", "Kgxeh"]);
    server.allow(RIGHTS);
    let queue = Queue { server: &server, logs: tempfile::tempdir().unwrap() };
    let sources = documented("BullMQ", "throughline.yaml");
    let flows = ["job.yaml", "order.yaml"];
    let daemon = Watcher::start("BullMQ", &flows, WITHIN, &sources, &server.url_of(WATCHER, 0));
    let mut expected = an_eventful_day(&queue);
    daemon.until_found(&expected);
    daemon.until_decided(&[("job", 2, 7), ("order", 2, 6)]);
    flushes(&queue, &daemon, &mut expected);
}

/// Everything that can become of a job; what is to be found of it.
fn an_eventful_day(queue: &Queue<'_>) -> Findings {
    let first = queue.worker("first");
    let ids = queue.add(&["fine=o-1", "refused=o-2", "slow=o-3", "hopeless=o-4", "gone"]);
    assert_eq!(ids, ["1", "2", "3", "4", "5"]);
    (1..=4).for_each(|id| queue.until_ended(&id.to_string()));
    // Its worker is lost, and another one takes it up.
    queue.add(&["saved=o-6"]);
    until_gone(&mut [first], 1);
    let second = queue.worker("second");
    queue.until_ended("6");
    // Whoever takes it up is lost, until it is given up.
    queue.add(&["deadly=o-7"]);
    until_gone(&mut [second], 1);
    until_gone(&mut [queue.worker("third")], 1);
    let fourth = queue.worker("fourth");
    queue.until_ended("7");
    // Its worker is lost, and there is no other.
    queue.add(&["deadly=o-8"]);
    until_gone(&mut [fourth], 1);
    queue.add(&["fine=o-9"]);
    findings(&[
        ("starts", &["mail/9"]),
        ("ends", &["mail/8", "mail/9"]),
        ("fails", &["mail/2", "mail/4", "mail/7"]),
        ("stalls", &["mail/6", "mail/7"]),
        ("once", &["mail/3", "mail/4", "mail/6", "mail/7"]),
        ("finished", &["o-8", "o-9"]),
        ("smooth", &["o-3", "o-4", "o-6", "o-7"]),
    ])
}

/// The queue is obliterated, and then the database flushed: each time the first job has the number 1 again.
fn flushes(queue: &Queue<'_>, daemon: &Watcher, expected: &mut Findings) {
    assert_eq!(sent(queue.program(&["obliterate"])), ["mail"]);
    thread::sleep(SETTLES);
    // The first job of this number was completed; this one is not.
    assert_eq!(queue.add(&["fine=o-11"]), ["1"]);
    expected.extend(findings(&[("starts", &["mail#2/1"]), ("ends", &["mail#2/1"]), ("finished", &["o-11"])]));
    daemon.until_found(expected);
    queue.server.run::<()>("FLUSHDB", &[] as &[&str]);
    thread::sleep(SETTLES);
    let _fifth = queue.worker("fifth");
    assert_eq!(queue.add(&["fine=o-21"]), ["1"]);
    queue.until_ended("1");
    daemon.until_decided(&[("job", 3, 8), ("order", 3, 7)]);
    assert_eq!(daemon.found(), *expected, "what was done to the third job of this number is nothing of the second");
}
