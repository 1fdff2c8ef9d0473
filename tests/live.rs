//! The daemon as its operator meets it: start, stop, start again, and what it refuses.

mod shop;

use shop::{CONFIG, FLOW, Shop, a_while};
use std::fs;
use std::path::Path;
use std::thread;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

#[test]
fn it_goes_on_where_it_was_stopped() {
    let shop = Shop::new();
    shop.log("tick", "-");
    let first = shop.start("first");
    a_while();
    shop.log("placed", "o-1");
    shop.log("placed", "o-2");
    shop.log("paid", "o-2");
    assert_eq!(first.found(1), ["o-1"]);
    shop.log("placed", "o-3");
    first.stop();
    // Nobody watches while these happen; the log remembers.
    shop.log("paid", "o-3");
    shop.log("placed", "o-4");
    let second = shop.start("second");
    assert_eq!(second.found(1), ["o-4"]);
    a_while();
    assert_eq!(second.found(1), ["o-4"], "o-3 was paid in time, and o-1 is not told again");
    second.stop();
}

#[test]
fn what_it_has_found_can_be_listed_while_it_runs_and_after() {
    let shop = Shop::new();
    let (said, code) = shop.ask(&["findings", "list"]);
    assert!(code == Some(2) && said.contains("no daemon has run there"), "{said}");
    shop.log("tick", "-");
    let daemon = shop.start("one");
    a_while();
    assert_eq!(shop.ask(&["findings", "list"]), ("nothing was found that fits\n".to_owned(), Some(0)));
    shop.log("placed", "o-1");
    daemon.found(1);
    let line = fs::read_to_string(&daemon.out).unwrap();
    let id = serde_json::from_str::<serde_json::Value>(&line).unwrap()["id"].as_str().unwrap().to_owned();
    a_while();
    let json = ["findings", "list", "--format", "json", "--since", "1h", "--severity", "critical"];
    assert_eq!(shop.ask(&json), (line.clone(), Some(0)), "while it runs");
    // It comes too late.
    shop.log("paid", "o-1");
    daemon.found(2);
    daemon.stop();
    let (list, _) = shop.ask(&["findings", "list", "--status", "healed"]);
    assert!(list.contains(&id) && list.contains("order / paid") && list.contains("o-1"), "{list}");
    let (shown, code) = shop.ask(&["findings", "show", &id[..8]]);
    assert!(shown.contains("late, healed  order / paid  o-1") && shown.contains("expected  paid within"), "{shown}");
    assert!(shown.contains("history\n") && shown.contains("open    missing_step"), "{shown}");
    assert_eq!(code, Some(0));
    assert_eq!(shop.ask(&["findings", "show", "nothing"]).1, Some(3));
}

#[test]
fn what_was_not_noted_as_told_is_told_again() {
    let shop = Shop::new();
    shop.log("tick", "-");
    let first = shop.start("first");
    a_while();
    shop.log("placed", "o-1");
    first.found(1);
    first.stop();
    // As after a crash before the store had it: the journal has the finding.
    for name in ["findings.sqlite", "findings.sqlite-wal", "findings.sqlite-shm"] {
        let _ = fs::remove_file(shop.path("throughline.data").join(name));
    }
    let second = shop.start("second");
    assert_eq!(second.found(1), ["o-1"]);
    second.stop();
    let third = shop.start("third");
    a_while();
    assert_eq!(third.found(0), Vec::<String>::new());
    third.stop();
}

#[test]
fn its_status_tells_what_is_watched_and_what_is_not() {
    let shop = Shop::new();
    shop.write("throughline.yaml", &format!("{CONFIG}server: {{listen: \"127.0.0.1:0\"}}\n"));
    shop.log("tick", "-");
    let daemon = shop.start("one");
    let address = daemon.address();
    a_while();
    shop.log("placed", "o-1");
    daemon.found(1);
    let told = daemon.shows(|told| told["findings"][0]["count"] == 1);
    assert_eq!((&told["sources"][0]["state"], &told["sources"][0]["records"]), (&"up".into(), &2.into()), "{told}");
    assert!(told["sources"][0]["lag_ms"].as_i64().unwrap() < 5_000, "{told}");
    assert_eq!(told["lanes"][0]["flow"], "order");
    assert!(told["lanes"][0]["journal_bytes"].as_u64().unwrap() > 0, "{told}");
    let ask = ["status", "--address", &address];
    let (told, code) = shop.ask(&ask);
    assert_eq!(code, Some(0), "{told}");
    assert!(told.starts_with("ready  ") && told.contains("missing_step"), "{told}");
    fs::rename(shop.path("orders.jsonl"), shop.path("away")).unwrap();
    fs::create_dir(shop.path("orders.jsonl")).unwrap();
    let told = daemon.shows(|told| told["ready"] == false);
    assert_ne!(told["sources"][0]["last_error"], serde_json::Value::Null);
    let (told, code) = shop.ask(&ask);
    assert_eq!(code, Some(1), "{told}");
    assert!(told.starts_with("not ready  ") && told.contains("orders.jsonl"), "{told}");
    shop.write("throughline.yaml", &format!("{CONFIG}server: {{listen: \"{address}\"}}\n"));
    let said = shop.refused(&["--data", "other"]);
    assert!(said.contains(&address) && said.contains("in use by another program"), "{said}");
    daemon.stop();
    let (said, code) = shop.ask(&["status"]);
    assert!(code == Some(3) && said.contains("no daemon answers") && said.contains("throughline run"), "{said}");
}

#[test]
fn a_source_that_cannot_be_read_makes_nothing_wrong() {
    let shop = Shop::new();
    shop.write("order.yaml", &FLOW.replace("500ms", "2s"));
    shop.log("tick", "-");
    let daemon = shop.start("one");
    a_while();
    shop.log("placed", "o-1");
    // The file is replaced by a folder of its name before the payment can be seen.
    thread::sleep(Duration::from_millis(300));
    fs::rename(shop.path("orders.jsonl"), shop.path("away")).unwrap();
    fs::create_dir(shop.path("orders.jsonl")).unwrap();
    a_while();
    a_while();
    assert_eq!(daemon.found(0), Vec::<String>::new(), "the payment may stand where nobody can read");
    fs::remove_dir(shop.path("orders.jsonl")).unwrap();
    fs::rename(shop.path("away"), shop.path("orders.jsonl")).unwrap();
    shop.log("placed", "o-2");
    let found = daemon.found(1);
    assert!(found.iter().all(|order| order == "o-1" || order == "o-2"), "{found:?}");
    daemon.stop();
}

#[test]
fn only_one_daemon_writes_to_a_folder() {
    let shop = Shop::new();
    shop.log("tick", "-");
    let daemon = shop.start("one");
    a_while();
    let said = shop.refused(&[]);
    assert!(said.contains("is in use") && said.contains(&daemon.child.id().to_string()), "{said}");
    // Nor one that follows other flows: they would keep their findings in one store.
    shop.write("other.yaml", &FLOW.replace("flow: order", "flow: other"));
    shop.write("other-throughline.yaml", &CONFIG.replace("order.yaml", "other.yaml"));
    let said = shop.refused(&["--config", "other-throughline.yaml"]);
    assert!(said.contains("is in use") && said.contains("a folder of its own"), "{said}");
    daemon.stop();
}

/// A payment within half a second is what the flow asks for at times, and at others within an hour.
#[test]
fn changed_checks_apply_to_what_is_open() {
    let shop = Shop::new();
    shop.write("throughline.yaml", &format!("{CONFIG}server: {{listen: \"127.0.0.1:0\"}}\n"));
    shop.write("order.yaml", &FLOW.replace("500ms", "1h"));
    shop.log("tick", "-");
    let first = shop.start("first");
    a_while();
    shop.log("placed", "o-1");
    a_while();
    assert_eq!(first.found(0), Vec::<String>::new(), "there is time");
    // While it is stopped …
    first.stop();
    shop.write("order.yaml", FLOW);
    let second = shop.start("second");
    assert_eq!(second.found(1), ["o-1"], "it was placed by the flow that was");
    // … and while it runs. What has closed stays as it was judged, until something comes that belongs to it.
    shop.write("order.yaml", &FLOW.replace("500ms", "1h"));
    second.says("going on with the new ones");
    shop.log("placed", "o-2");
    a_while();
    assert_eq!(second.found(1), ["o-1"]);
    shop.log("paid", "o-1");
    assert_eq!(second.found(2), ["o-1", "o-1"]);
    assert!(second.text().contains(r#""status":"resolved""#), "{}", second.text());
    // o-1 has closed, o-2 has not.
    second.shows(|told| told["lanes"][0]["open"] == 1);
    shop.write("order.yaml", FLOW);
    assert_eq!(second.found(3), ["o-1", "o-1", "o-2"]);
    second.stop();
    let third = shop.start("third");
    a_while();
    assert_eq!(third.found(0), Vec::<String>::new(), "all was told");
    third.stop();
}

#[test]
fn a_flow_that_is_wrong_is_refused_and_the_old_one_goes_on() {
    let shop = Shop::new();
    shop.log("tick", "-");
    let daemon = shop.start("one");
    a_while();
    shop.write("order.yaml", &FLOW.replace("expect: paid", "expect: payed"));
    daemon.says("there is no step `payed`");
    daemon.says("is refused");
    shop.log("placed", "o-1");
    assert_eq!(daemon.found(1), ["o-1"]);
    daemon.stop();
}

/// Another flow of the same log has a lane of its own, and is added while the daemon runs.
#[test]
fn a_flow_that_is_added_is_watched_from_then_on() {
    let shop = Shop::new();
    let other = FLOW.replace("flow: order", "flow: parcel").replace("\"paid\"", "\"sent\"").replace("paid:", "sent:");
    shop.write("parcel.yaml", &other.replace("expect: paid", "expect: sent"));
    shop.log("tick", "-");
    let daemon = shop.start("one");
    a_while();
    shop.log("placed", "o-1");
    shop.log("paid", "o-1");
    a_while();
    shop.write("throughline.yaml", &CONFIG.replace("[order.yaml]", "[order.yaml, parcel.yaml]"));
    daemon.says("going on with the new ones");
    a_while();
    shop.log("placed", "o-2");
    shop.log("sent", "o-2");
    shop.log("placed", "o-3");
    shop.log("paid", "o-3");
    let mut found = daemon.found(2);
    a_while();
    found.sort();
    assert_eq!(found, ["o-2", "o-3"], "o-2 was not paid, o-3 not sent, and o-1 was placed before the other flow");
    let flows: Vec<_> =
        ["order", "parcel"].iter().map(|flow| shop.path("throughline.data/journal").join(flow)).collect();
    assert!(flows.iter().all(|folder| folder.is_dir()), "{flows:?}");
    daemon.stop();
    let again = shop.start("again");
    shop.log("placed", "o-4");
    assert_eq!(again.found(2), ["o-4", "o-4"]);
    again.stop();
}

#[test]
fn what_only_a_recording_has_is_refused() {
    let shop = Shop::new();
    shop.write("throughline.yaml", &CONFIG.replace("lateness: 100ms", "lateness: end"));
    let said = shop.refused(&[]);
    assert!(said.contains("lateness: end") && said.contains("lateness: 5s"), "{said}");
    shop.write("throughline.yaml", &CONFIG.replace("flows: [order.yaml]", "flows: [missing.yaml]"));
    assert!(shop.refused(&[]).contains("missing.yaml"));
    assert!(!Path::new(&shop.path("throughline.data")).exists(), "nothing is made for a configuration that is wrong");
}

/// Some formats read a file's name: what is followed is read as what is verified.
#[test]
fn a_recording_that_grows_is_known_by_its_name() {
    let shop = Shop::new();
    let flow = FLOW.replace(r#"body.type == "placed""#, r#"body.event == "added""#);
    let flow = flow.replace(r#"body.type == "paid""#, r#"body.event == "completed""#);
    shop.write("order.yaml", &flow.replace("body.order_id", r#"'body.queue + "/" + body.jobId'"#));
    let config =
        CONFIG.replace("orders.jsonl, format: json, time: body.ts", r#""bull:mail:events.jsonl", format: bullmq"#);
    shop.write("throughline.yaml", &config);
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_millis();
    let entry = |millis, job| format!("{{\"id\":\"{millis}-0\",\"event\":\"added\",\"jobId\":\"{job}\"}}\n");
    shop.write("bull:mail:events.jsonl", &(entry(now - 5_000, 6) + &entry(now, 7)));
    let daemon = shop.start("one");
    assert_eq!(daemon.found(1), ["mail/7"], "nobody knows what was before the first");
    daemon.stop();
}
