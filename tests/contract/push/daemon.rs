//! The daemon, killed: what was answered is in the journal, and what is sent twice counts once.

use super::sdk::send;
use super::{JSON, post};
use crate::servers::daemon::Daemon;
use crate::servers::{Process, eventually, free_port};
use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::process::{Command, Stdio};
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

/// Every event is a finding, so that what is in the journal can be told.
const EVENTS: &str = r#"
flow: event
key: id
steps:
  seen: {from: shop, key: {id: body.id}}
checks:
  seen: {forbid: seen, severity: warning}
  once: {at_most: {seen: 1}}
"#;

/// By check: the keys of all that was found.
fn by_check(daemon: &Daemon) -> BTreeMap<String, BTreeSet<String>> {
    let mut found: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    daemon.told().into_iter().for_each(|one| _ = found.entry(one.check).or_default().insert(one.key));
    found
}

pub fn folder(flow: &str, sources: &str) -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("flow.yaml"), flow).unwrap();
    let config =
        format!("flows: [flow.yaml]\nclock_skew: 50ms\nserver: {{listen: \"127.0.0.1:0\"}}\nsources:\n{sources}\n");
    fs::write(folder.path().join("throughline.yaml"), config).unwrap();
    folder
}

/// `PUSH_KILLS=50 cargo test --test contract what_was_answered_is_in` tries harder.
#[test]
fn what_was_answered_is_in_the_journal_after_a_kill() {
    let kills = std::env::var("PUSH_KILLS").map_or(3, |text| text.parse().expect("a number"));
    let listen = format!("127.0.0.1:{}", free_port());
    let folder = folder(EVENTS, &format!("  shop: {{type: http, listen: \"{listen}\", lateness: 1s}}"));
    let url = format!("http://{listen}/ingest/shop");
    let (answered, stop) = (Mutex::new(BTreeSet::new()), AtomicBool::new(false));
    let mut daemon = Daemon::start(folder.path());
    thread::scope(|scope| {
        for sender in 0..4 {
            let (url, answered, stop) = (&url, &answered, &stop);
            scope.spawn(move || {
                for number in (0..).take_while(|_| !stop.load(Ordering::Relaxed)) {
                    let id = format!("{sender}-{number}");
                    let key = format!("k-{id}");
                    // Sent again until it is answered: then it counts once.
                    while post(url, &[JSON, ("idempotency-key", &key)], format!("{{\"id\":\"{id}\"}}").as_bytes())
                        .status
                        != 202
                    {
                        thread::sleep(Duration::from_millis(20));
                        if stop.load(Ordering::Relaxed) {
                            return;
                        }
                    }
                    answered.lock().unwrap().insert(id);
                }
            });
        }
        for kill in 1..=kills {
            eventually("nothing is answered", || match answered.lock().unwrap().len() {
                count if count >= 50 * kill => Ok(()),
                count => Err(format!("{count}")),
            });
            thread::sleep(Duration::from_millis(fastrand::u64(0..300)));
            daemon.kill();
            daemon.start_again();
        }
        thread::sleep(Duration::from_millis(500));
        stop.store(true, Ordering::Relaxed);
    });
    let answered = answered.into_inner().unwrap();
    eventually("what was answered is not in the journal", || {
        let found = by_check(&daemon).remove("seen").unwrap_or_default();
        let lost: Vec<_> = answered.difference(&found).collect();
        if lost.is_empty() { Ok(()) } else { Err(format!("{lost:?}")) }
    });
    daemon.stop();
    assert_eq!(by_check(&daemon).get("once"), None, "an event that was sent again was counted twice");
    eprintln!("{} events were answered, over {kills} kills", answered.len());
}

#[test]
fn an_event_that_is_sent_twice_is_one_effect_and_two_events_are_two() {
    let listen = format!("127.0.0.1:{}", free_port());
    let folder = folder(
        "flow: order\nkey: order\nsteps:\n  paid: {from: shop, when: body.type == \"paid\", key: {order: body.data.order}}\n\
         checks:\n  once: {at_most: {paid: 1}}\n",
        &format!("  shop: {{type: http, listen: \"{listen}\", lateness: 1s}}"),
    );
    let daemon = Daemon::start(folder.path());
    let url = format!("http://{listen}/ingest/shop");
    let pay = |id: &str, order: &str| {
        let event = format!(
            r#"{{"specversion":"1.0","id":"{id}","source":"/shop","type":"paid","data":{{"order":"{order}"}}}}"#
        );
        eventually("no answer", || {
            let answer = post(&url, &[("content-type", "application/cloudevents+json")], event.as_bytes());
            if answer.status == 202 { Ok(()) } else { Err(format!("{answer:?}")) }
        });
    };
    for (id, order) in [("1", "o-1"), ("1", "o-1"), ("1", "o-1"), ("2", "o-2"), ("3", "o-2")] {
        pay(id, order);
    }
    let twice = eventually("two payments are not told", || {
        by_check(&daemon).remove("once").ok_or_else(|| "nothing was found".to_owned())
    });
    assert_eq!(twice, BTreeSet::from(["o-2".to_owned()]));
}

/// How long an answer takes, and how many there are, with a journal on the disk of `TMPDIR`:
/// `PUSH_LOAD=5 cargo test --release --test contract answers_come_soon -- --nocapture`.
#[test]
fn answers_come_soon() {
    let seconds = std::env::var("PUSH_LOAD").map_or(1, |text| text.parse().expect("a number"));
    let listen = format!("127.0.0.1:{}", free_port());
    let flow = EVENTS.replace("  seen: {forbid: seen, severity: warning}\n", "");
    let folder = folder(&flow, &format!("  shop: {{type: http, listen: \"{listen}\", lateness: 1s}}"));
    let mut daemon = Daemon::start(folder.path());
    let url = format!("http://{listen}/ingest/shop");
    let agent = super::agent();
    eventually("no answer", || match super::post_by(&agent, &url, &[JSON], b"{\"id\":0}").status {
        202 => Ok(()),
        status => Err(status.to_string()),
    });
    for senders in [1, 16] {
        let end = Instant::now() + Duration::from_secs(seconds);
        let took = Mutex::new(Vec::new());
        thread::scope(|scope| {
            for sender in 0..senders {
                let (url, took) = (&url, &took);
                scope.spawn(move || {
                    let agent = super::agent();
                    for number in (0..).take_while(|_| Instant::now() < end) {
                        let body = format!("{{\"id\":\"{sender}-{number}\"}}");
                        let answer = super::post_by(&agent, url, &[JSON], body.as_bytes());
                        assert_eq!(answer.status, 202, "{answer:?}");
                        took.lock().unwrap().push(answer.took);
                    }
                });
            }
        });
        let mut took = took.into_inner().unwrap();
        took.sort();
        let (half, most) = (took[took.len() / 2], took[took.len() * 99 / 100]);
        eprintln!(
            "{senders} senders: {} answers/s, half within {half:?}, 99 % within {most:?}",
            took.len() as u64 / seconds
        );
        assert!(half < Duration::from_secs(1), "answers take long: {half:?}");
    }
    daemon.stop();
}

/// The SDK keeps spans while nobody listens, and sends them again.
#[test]
fn spans_survive_a_daemon_that_is_killed_and_started_again() {
    let listen = format!("127.0.0.1:{}", free_port());
    let folder = folder(
        "flow: order\nkey: order\nsteps:\n  placed: {from: otel.traces, when: body.name == \"POST /orders\", key: {order: \
         'body.attributes[\"order.id\"]'}}\nchecks:\n  seen: {forbid: placed}\n  once: {at_most: {placed: 1}}\n",
        &format!("  otel: {{type: otlp, grpc: \"{listen}\", senders: retry, lateness: 2s, tokens: sdk-s3cret-token}}"),
    );
    let mut daemon = Daemon::start(folder.path());
    eventually("it does not listen", || std::net::TcpStream::connect(&listen).map_err(|error| error.to_string()));
    let mut shop = Process(send("grpc", &format!("http://{listen}"), 40).stdout(Stdio::null()).spawn().unwrap());
    daemon.until_told(5);
    daemon.kill();
    thread::sleep(Duration::from_millis(800));
    daemon.start_again();
    eventually("not all orders were found", || {
        let found = by_check(&daemon);
        if found["seen"].len() == 40 { Ok(()) } else { Err(format!("{found:?}")) }
    });
    assert!(shop.0.wait().unwrap().success());
    daemon.stop();
    assert_eq!(by_check(&daemon).get("once"), None, "a span that was sent again was counted twice");
}

/// What other tools send is named as their formats have it, and what is looked at is not taken.
#[test]
fn formats_of_other_tools_are_read_where_they_are_pushed_to() {
    let [cdc, cloud, otel] = [0; 3].map(|_| format!("127.0.0.1:{}", free_port()));
    let step = |source: &str, key: &str| format!("  {source}: {{from: {source}, key: {{id: {key}}}}}\n");
    let flow = format!(
        "flow: all\nkey: id\nsteps:\n{}{}{}checks:\n  cdc: {{forbid: cdc}}\n  cloud: {{forbid: cloud}}\n  otel: {{forbid: otel}}\n",
        step("cdc", "row.id"),
        step("cloud", "body.data.order"),
        step("otel", "body.message_id"),
    );
    let sources = format!(
        "  cdc: {{type: http, listen: \"{cdc}\", format: debezium, lateness: 1s}}\n  cloud: {{type: http, listen: \"{cloud}\", \
         format: cloudevents, lateness: 1s}}\n  otel: {{type: otlp, http: \"{otel}\", format: otel-messaging, lateness: 1s}}\n"
    );
    let folder = folder(&flow, &sources);
    let looked =
        Command::new(env!("CARGO_BIN_EXE_throughline")).args(["check", "--connect"]).current_dir(&folder).output();
    let looked = String::from_utf8(looked.unwrap().stdout).unwrap();
    assert!(
        looked.contains(&format!("{cdc} can be listened at")) && looked.contains("progress is assumed"),
        "{looked}"
    );
    let mut daemon = Daemon::start(folder.path());
    let until_taken = |url: String, headers: &[(&str, &str)], body: String| {
        eventually("no answer", || match post(&url, headers, body.as_bytes()) {
            answer if answer.status / 100 == 2 => Ok(()),
            answer => Err(format!("{answer:?} {}", answer.text())),
        });
    };
    thread::sleep(Duration::from_secs(1));
    let nanos = crate::watch::now().0;
    let change = |row: &str| {
        let millis = crate::watch::now().0 / 1_000_000;
        format!(
            r#"{{"before":null,"after":{{"id":"{row}"}},"source":{{"connector":"postgresql","db":"shop","schema":"public","table":"orders","ts_ms":{millis}}},"op":"c","ts_ms":{millis}}}"#
        )
    };
    until_taken(format!("http://{cdc}/ingest/cdc"), &[JSON], change("row-1"));
    let attributes = [("ce-specversion", "1.0"), ("ce-id", "1"), ("ce-source", "/shop"), ("ce-type", "paid"), JSON];
    until_taken(format!("http://{cloud}/ingest/cloud"), &attributes, r#"{"order":"event-1"}"#.into());
    let attribute = |name: &str, value: &str| format!(r#"{{"key":"{name}","value":{{"stringValue":"{value}"}}}}"#);
    let attributes = [attribute("messaging.system", "kafka"), attribute("messaging.message.id", "message-1")].join(",");
    let span = format!(
        r#"{{"resourceSpans":[{{"scopeSpans":[{{"spans":[{{"traceId":"5B8EFFF798038103D269B633813FC60C","spanId":"EEE19B7EC3C1B174","name":"send","kind":4,"startTimeUnixNano":"{nanos}","endTimeUnixNano":"{nanos}","attributes":[{attributes}]}}]}}]}}]}}"#
    );
    until_taken(format!("http://{otel}/v1/traces"), &[JSON], span);
    let wanted = [("cdc", "row-1"), ("cloud", "event-1"), ("otel", "message-1")];
    eventually("not all was found", || {
        // A connector has come as far as its newest change.
        until_taken(format!("http://{cdc}/ingest/cdc"), &[JSON], change("another row"));
        let found = by_check(&daemon);
        let is_found = |(check, key): &(&str, &str)| found.get(*check).is_some_and(|keys| keys.contains(*key));
        if wanted.iter().all(is_found) { Ok(()) } else { Err(format!("{found:?}")) }
    });
    daemon.stop();
}
