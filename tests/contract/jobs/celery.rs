//! Celery: tasks that are done, refused, tried again, lost with their worker, saved by another one, and left lying.

use super::{Watcher, Worker, documented, findings, sent, until_gone};
use crate::rabbitmq::allow;
use crate::servers::rabbitmq::{ADMIN, Rabbitmq, WATCHER as WATCHER_OF_RABBITMQ};
use crate::servers::redis::{Redis, WATCHER};
use std::path::PathBuf;
use std::process::Command;
use std::thread;
use std::time::Duration;

/// How long a task may take with all its attempts.
const WITHIN: Duration = Duration::from_secs(20);
/// After so long, Redis gives a task to another worker; `tasks.py` says so.
const VISIBILITY: Duration = Duration::from_secs(2);
/// Long enough for tasks that nothing holds up.
const SETTLES: Duration = Duration::from_secs(3);

/// The interpreter that has the library: `tests/run` installs it.
fn python() -> PathBuf {
    let ours = || PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join("../tools/python/bin/python3");
    let python = std::env::var_os("CELERY_PYTHON").map_or_else(ours, PathBuf::from);
    let help = "run tests/run, or set CELERY_PYTHON to a Python with celery and redis";
    assert!(python.exists(), "{} is not there: {help}", python.display());
    python
}

/// An application whose tasks are in a broker.
struct App {
    broker: String,
    logs: tempfile::TempDir,
}

impl App {
    fn new(broker: String) -> App {
        App { broker, logs: tempfile::tempdir().unwrap() }
    }

    fn program(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(python());
        command.args([concat!(env!("CARGO_MANIFEST_DIR"), "/tests/contract/jobs/tasks.py"), &self.broker]);
        command.args(arguments).env("PYTHONWARNINGS", "ignore");
        command
    }

    fn worker(&self, name: &str) -> Worker {
        Worker::start(self.program(&["worker", name]), self.logs.path(), name)
    }

    /// Sends tasks; their ids.
    #[track_caller]
    fn send<const COUNT: usize>(&self, tasks: [&str; COUNT]) -> [String; COUNT] {
        sent(self.program(&[&["send"], &tasks[..]].concat())).try_into().expect("an id each")
    }
}

#[test]
fn over_rabbitmq_what_becomes_of_a_task_is_found() {
    let server = Rabbitmq::start();
    server.control(&["trace_on"]);
    allow(&server, r"celeryev$|amq\.rabbitmq\.trace$");
    let app = App::new(format!("{}//", server.url(ADMIN, server.port)));
    let workers = ["first", "second", "third"].map(|name| app.worker(name));
    let mut workers = workers.map(Worker::until_ready);
    let url = server.url(WATCHER_OF_RABBITMQ, server.port);
    let sources = documented("Celery", "throughline.yaml");
    let daemon = Watcher::start("Celery", &["task.yaml", "queued.yaml"], WITHIN, &sources, &url);
    let [_fine, refused, slow, hopeless, crashed, _expired] =
        app.send(["fine", "refused", "slow", "hopeless", "crashed", "expired"]);
    thread::sleep(SETTLES);
    let [saved] = app.send(["saved"]);
    until_gone(&mut workers, 1);
    thread::sleep(SETTLES);
    let [lost] = app.send(["lost"]);
    until_gone(&mut workers, 2);
    let [wavering] = app.send(["wavering"]);
    until_gone(&mut workers, 3);
    thread::sleep(SETTLES);
    let [left] = app.send(["fine"]);
    daemon.until_found(&findings(&[
        ("starts", &[&left]),
        ("received", &[&left]),
        ("ends", &[&lost, &wavering, &left]),
        ("fails", &[&refused, &hopeless, &crashed]),
        ("retries", &[&slow, &hopeless, &wavering]),
        ("once", &[&slow, &hopeless, &wavering, &saved]),
    ]));
    daemon.until_decided(&[("task", 2, 8), ("queued", 9, 1)]);
    let status = daemon.status();
    let assumed = |name: &str| {
        let source = status["sources"].as_array().unwrap().iter().find(|source| source["source"] == name);
        !source.unwrap()["assumed"].is_null()
    };
    assert_eq!((assumed("celery"), assumed("tasks")), (false, true), "events say their time, and tasks none");
}

#[test]
fn over_redis_what_becomes_of_a_task_is_found() {
    let server = Redis::start(&[]);
    server.allow("&/0.celeryev/task.* -@all +psubscribe +subscribe +time +info");
    let app = App::new(format!("redis://127.0.0.1:{}/0", server.port));
    let first = app.worker("first").until_ready();
    let source = r#"celery: {type: redis, url: "${REDIS_URL:-redis://localhost:6379/0}", channels: {events: "/0.celeryev/task.*"}, format: celery}"#;
    assert!(super::PAGE.contains(source), "the page shows what is tried");
    let sources = format!("flows: [task.yaml]\nsources:\n  {source}\n");
    let daemon = Watcher::start("Celery", &["task.yaml"], WITHIN, &sources, &server.url_of(WATCHER, 0));
    let [_fine, refused, slow, crashed] = app.send(["fine", "refused", "slow", "crashed"]);
    thread::sleep(SETTLES);
    let [saved] = app.send(["saved"]);
    until_gone(&mut [first], 1);
    thread::sleep(VISIBILITY);
    let second = app.worker("second").until_ready();
    thread::sleep(SETTLES);
    let [lost] = app.send(["lost"]);
    until_gone(&mut [second], 1);
    let [left] = app.send(["fine"]);
    daemon.until_found(&findings(&[
        ("starts", &[&left]),
        ("ends", &[&lost, &left]),
        ("fails", &[&refused, &crashed]),
        ("retries", &[&slow]),
        ("once", &[&slow, &saved]),
    ]));
    daemon.until_decided(&[("task", 1, 6)]);
}
