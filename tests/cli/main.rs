//! The program as people, scripts and CI servers meet it: arguments, output, files, exit codes.

mod account;
#[cfg(unix)]
mod pipe;
mod trace;

use assert_cmd::cargo::CommandCargoExt;
use std::fs;
use std::io::Read;
use std::path::PathBuf;
use std::process::{Command, Output, Stdio};

const FLOW: &str = r#"
flow: order
key: order_id
steps:
  placed: {from: events, when: body.type == "OrderPlaced", key: {order_id: body.order_id}, keep: {amount: body.amount}}
  paid:   {from: events, when: body.type == "PaymentCaptured", key: {order_id: body.order_id, payment_id: body.payment_id}}
checks:
  paid:      {after: placed, expect: paid, within: 15m, give_up: 2h}
  paid-once: {at_most: {paid: 1}}
"#;

const CONFIG: &str = r#"
flows: [order.yaml]
sources:
  events: {type: file, path: "${EVENTS:-events.jsonl}", format: json, time: body.ts}
"#;

fn placed(at: &str, order: &str) -> String {
    format!("{{\"type\": \"OrderPlaced\", \"ts\": \"2026-01-29T{at}Z\", \"order_id\": \"{order}\", \"amount\": 5}}\n")
}

fn paid(at: &str, order: &str) -> String {
    format!(
        "{{\"type\": \"PaymentCaptured\", \"ts\": \"2026-01-29T{at}Z\", \"order_id\": \"{order}\", \"payment_id\": \"p-{at}\"}}\n"
    )
}

fn tick(at: &str) -> String {
    format!("{{\"type\": \"Tick\", \"ts\": \"2026-01-29T{at}Z\"}}\n")
}

/// Two orders, both paid in time, and the recording goes on long enough to know.
fn all_good() -> String {
    let start = tick("06:00:00");
    let orders =
        [placed("09:00:00", "o-1"), paid("09:01:00", "o-1"), placed("09:02:00", "o-2"), paid("09:03:00", "o-2")];
    start + &orders.concat() + &tick("15:00:00")
}

/// `o-3` is never paid.
fn one_lost() -> String {
    all_good().replace(&tick("15:00:00"), &(placed("09:30:00", "o-3") + &tick("15:00:00")))
}

/// A folder with a configuration, a flow and a recording.
struct Case {
    folder: tempfile::TempDir,
}

impl Case {
    fn new(events: &str) -> Case {
        let case = Case { folder: tempfile::tempdir().unwrap() };
        case.write("throughline.yaml", CONFIG).write("order.yaml", FLOW).write("events.jsonl", events);
        case
    }

    fn write(&self, name: &str, text: &str) -> &Case {
        fs::write(self.path(name), text).unwrap();
        self
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn read(&self, name: &str) -> String {
        fs::read_to_string(self.path(name)).unwrap()
    }

    fn command(&self, arguments: &str) -> Command {
        let mut command = Command::cargo_bin("throughline").unwrap();
        command.current_dir(self.folder.path()).args(arguments.split_whitespace()).env_remove("EVENTS");
        command
    }

    fn run(&self, arguments: &str) -> Ran {
        Ran::of(self.command(arguments).output().unwrap())
    }
}

struct Ran {
    code: Option<i32>,
    out: String,
    err: String,
}

impl Ran {
    fn of(output: Output) -> Ran {
        let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
        Ran { code: output.status.code(), out: text(output.stdout), err: text(output.stderr) }
    }

    #[track_caller]
    fn exits(self, code: i32) -> Ran {
        assert_eq!(self.code, Some(code), "stdout:\n{}\nstderr:\n{}", self.out, self.err);
        self
    }

    #[track_caller]
    fn says(self, text: &str) -> Ran {
        assert!(self.out.contains(text), "{text:?} is not in:\n{}\nstderr:\n{}", self.out, self.err);
        self
    }

    #[track_caller]
    fn complains(self, text: &str) -> Ran {
        assert!(self.err.contains(text), "{text:?} is not in:\n{}\nstdout:\n{}", self.err, self.out);
        self
    }

    #[track_caller]
    fn json(&self) -> serde_json::Value {
        serde_json::from_str(&self.out).unwrap()
    }
}

#[test]
fn a_consistent_recording_ends_in_0() {
    let ran = Case::new(&all_good()).run("verify").exits(0).says("consistent: 2 consistent, 0 inconsistent");
    assert!(!ran.out.contains('\u{1b}'), "colours in a pipe:\n{}", ran.out);
    assert_eq!(ran.err, "", "a progress bar in a pipe");
}

#[test]
fn a_finding_ends_in_1_and_says_where_and_why() {
    Case::new(&one_lost())
        .run("verify")
        .exits(1)
        .says("missing_step  order / paid  o-3")
        .says("events.jsonl:6")
        .says("without a gap")
        .says("inconsistent: 2 consistent, 1 inconsistent");
}

#[test]
fn files_are_written_as_published() {
    let case = Case::new(&one_lost());
    let ran = case.run("verify --format json --findings findings.jsonl --junit junit.xml").exits(1);
    let schema = |of: &str| case.run(&format!("schema {of}")).exits(0).json();
    jsonschema::validate(&schema("verify"), &ran.json()).unwrap();
    assert_eq!(ran.json()["flows"]["order"]["checks"]["paid"]["broken"], 1);
    assert_eq!(ran.json()["sources"]["events"]["records"], 7);
    let lines = case.read("findings.jsonl");
    let finding: serde_json::Value = serde_json::from_str(lines.lines().next().unwrap()).unwrap();
    jsonschema::validate(&schema("finding"), &finding).unwrap();
    assert_eq!((lines.lines().count(), finding["key"].as_str()), (1, Some("o-3")));
    assert!(case.read("junit.xml").contains("failures=\"1\""), "{}", case.read("junit.xml"));
}

#[test]
fn what_is_known_does_not_fail_and_what_is_new_does() {
    let case = Case::new(&one_lost());
    case.run("verify --findings known.jsonl").exits(1);
    case.run("verify --baseline known.jsonl").exits(0).says("nothing new").says("1 of them known");
    let more = one_lost().replace(&tick("15:00:00"), &(placed("09:40:00", "o-4") + &tick("15:00:00")));
    case.write("events.jsonl", &more).run("verify --baseline known.jsonl").exits(1).says("o-4");
    case.run("verify --baseline nowhere.jsonl").exits(2).complains("nowhere.jsonl cannot be read");
}

#[test]
fn severities_below_the_line_do_not_fail() {
    let late = all_good()
        .replace(&tick("15:00:00"), &(placed("09:30:00", "o-3") + &paid("10:00:00", "o-3") + &tick("15:00:00")));
    let case = Case::new(&late);
    case.run("verify").exits(1).says("late, healed");
    case.run("verify --fail-on critical").exits(0);
    case.run("verify --fail-on grave").exits(2).complains("info, warning or critical");
}

#[test]
fn a_green_verdict_is_never_vacuous() {
    let case = Case::new(&all_good());
    case.write(
        "order.yaml",
        &FLOW
            .replace("PaymentCaptured", "PaymentCapturd")
            .replace("{after: placed, expect: paid", "{after: placed, unless: [paid], expect: placed"),
    );
    case.run("verify").exits(3).says("step `paid` of flow `order` matched nothing").says("judged nothing");
    case.run("verify --allow-empty").exits(0);
    case.write("order.yaml", FLOW)
        .write("events.jsonl", "")
        .run("verify")
        .exits(3)
        .says("source `events` gave no record");
}

#[test]
fn a_source_that_cannot_be_read_ends_in_3_with_its_path() {
    let case = Case::new(&all_good());
    fs::remove_file(case.path("events.jsonl")).unwrap();
    let ran = case.run("verify --junit junit.xml --format json").exits(3);
    assert!(ran.json()["vacuous"][0].as_str().unwrap().contains("events.jsonl"), "{}", ran.out);
    assert!(case.read("junit.xml").contains("<error"), "{}", case.read("junit.xml"));
    case.run("verify --allow-empty").exits(3).says("events.jsonl");
}

#[test]
fn undecided_is_no_failure_unless_it_is_asked_for() {
    let open = all_good().replace(&tick("15:00:00"), &(tick("14:59:00") + &placed("15:00:00", "o-3")));
    let case = Case::new(&open);
    case.run("verify").exits(0).says("after_recording");
    case.run("verify --strict").exits(3);
    case.run("verify --complete").exits(1).says("o-3");
}

#[test]
fn wrong_arguments_configurations_and_flows_end_in_2() {
    let case = Case::new(&all_good());
    case.run("verify --colour").exits(2);
    case.run("verify --since yesterday").exits(2).complains("2023-01-29T08:50:00Z");
    case.run("verify -c nowhere.yaml").exits(2).complains("nowhere.yaml cannot be read");
    case.run("verify --flow ordre").exits(2).complains("there is no flow `ordre`");
    case.run("verify --flow order").exits(0);
    case.run("verify --findings no/such/folder/f.jsonl").exits(2).complains("there is no folder no/such/folder");
    case.write("throughline.yaml", &CONFIG.replace("format: json", "format: jsn"));
    case.write("order.yaml", &FLOW.replace("expect: paid", "expect: piad"));
    case.run("verify")
        .exits(2)
        .complains("did you mean `json`?")
        .complains("did you mean `paid`?")
        .complains("2 errors");
    case.run("check").exits(2).says("did you mean `json`?").says("did you mean `paid`?");
}

#[test]
fn variables_come_from_the_environment() {
    let case = Case::new(&one_lost());
    case.write("good.jsonl", &all_good());
    Ran::of(case.command("verify").env("EVENTS", "good.jsonl").output().unwrap()).exits(0);
}

#[test]
fn a_glob_is_one_source_in_whatever_folder() {
    let case = Case::new(&all_good());
    let folder = case.path("a [odd] folder");
    fs::create_dir(&folder).unwrap();
    for (name, text) in [("throughline.yaml", CONFIG), ("order.yaml", FLOW)] {
        fs::write(folder.join(name), text).unwrap();
    }
    fs::write(folder.join("1.jsonl"), tick("06:00:00") + &placed("09:00:00", "o-1")).unwrap();
    fs::write(folder.join("2.jsonl"), paid("09:01:00", "o-1") + &tick("15:00:00")).unwrap();
    let ran = case.command("verify --complete --format json").env("EVENTS", "*.jsonl").current_dir(&folder).output();
    let ran = Ran::of(ran.unwrap()).exits(0);
    assert_eq!(ran.json()["sources"]["events"]["files"], 2);
    let ran =
        case.command("verify --complete -c").arg(folder.join("throughline.yaml")).env("EVENTS", "*.jsonl").output();
    Ran::of(ran.unwrap()).exits(0);
}

#[test]
fn the_result_is_the_same_with_any_number_of_threads() {
    let mut events = tick("06:00:00");
    for n in 0..2000 {
        let (minute, second) = (n / 60 % 60, n % 60);
        events += &placed(&format!("09:{minute:02}:{second:02}"), &format!("o-{n}"));
        if n % 7 != 0 {
            events += &paid(&format!("09:{minute:02}:{second:02}"), &format!("o-{n}"));
        }
    }
    let case = Case::new(&(events + &tick("15:00:00")));
    let with = |threads: u32| {
        let ran = case.run(&format!("verify --format json --findings {threads}.jsonl --threads {threads}")).exits(1);
        (ran.out, case.read(&format!("{threads}.jsonl")))
    };
    let one = with(1);
    assert!(one.1.lines().count() > 100);
    assert!(one == with(2) && one == with(5));
}

#[test]
fn check_tells_the_ranks_and_a_sample_tells_what_matches() {
    let case = Case::new(&all_good().replace("PaymentCaptured", "Paymentcaptured"));
    case.run("check").exits(0).says("order_id").says("payment_id").says("1 flow, 2 steps, 2 checks, 1 source");
    let unread = CONFIG.to_owned() + "  other: {type: file, path: other.jsonl, format: json, time: body.ts}\n";
    case.write("throughline.yaml", &unread).run("check").exits(0).says("no flow reads the source `other`");
    case.run("check --sample 20")
        .exits(0)
        .says("order / placed matches 2")
        .says("events.jsonl:2  order_id=")
        .says("order / paid matches 0")
        .says("events.jsonl:3: `body.type == \"PaymentCaptured\"` fails: body.type is \"Paymentcaptured\"");
}

#[test]
fn a_look_at_a_live_system_shows_what_the_steps_make_of_its_records() {
    let case = Case::new(&all_good());
    // Records of several lines are followed, also where `verify` reads them.
    let live = CONFIG.replace("format: json", "format: json, begins: '^\\{'");
    case.write("throughline.yaml", &live);
    for look in ["check --sample 20", "check --connect"] {
        case.run(look)
            .exits(0)
            .says("order / placed matches 2")
            .says("order / paid matches 2")
            .says("events.jsonl:2  order_id=");
    }
}

#[test]
fn flow_tests_pass_fail_and_warn() {
    let case = Case::new(&all_good());
    case.run("test .").exits(2).says("there is no test in this folder");
    let test = "flow: order.yaml\ntests:\n  - name: a lost payment is found\n    records:\n      - {at: 0s, source: events, body: {type: OrderPlaced, order_id: o-1}}\n    expect:\n      - {check: paid, key: o-1, class: missing_step}\n";
    case.write("order.test.yaml", test);
    case.run("test .").exits(0).says("passed: 1 of 1").says("no test ever breaks the check `paid-once`");
    case.write("order.test.yaml", &test.replace("missing_step", "late"));
    case.run("test order.test.yaml")
        .exits(1)
        .says("order.test.yaml:3")
        .says("expected  paid of o-1: late")
        .says("failed: 1 of 1");
    case.write("order.test.yaml", &test.replace("check: paid", "check: piad"));
    case.run("test .").exits(2).says("did you mean `paid`?");
    case.run("test nowhere").exits(2);
}

#[test]
fn a_reader_that_leaves_is_no_error() {
    let case = Case::new(&one_lost());
    let mut child = case.command("verify").stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    drop(child.stdout.take());
    let mut err = String::new();
    child.stderr.take().unwrap().read_to_string(&mut err).unwrap();
    assert_eq!((child.wait().unwrap().code(), err.as_str()), (Some(1), ""));
}
