//! Keys and channels: what an event says, what its value is, and what the server must be set to.

use super::super::servers::redis::{NOTIFY, Redis, WATCHER};
use super::super::watch::{Place, Said, now};
use super::{Options, holes, options, pattern, records, wait, watch};
use throughline::model::time::Time;
use throughline::sources::live::Start;
use throughline::sources::redis::{Pattern, Types};

/// Each record as `key op body`, with what is said of the value.
fn told(said: &[Said]) -> Vec<String> {
    let told = |seen: &&super::Seen| {
        let value = seen.headers.iter().find(|(name, _)| name == "value").map(|(_, value)| format!(" ({value})"));
        let (key, op) = (seen.key.as_deref().unwrap_or("-"), seen.op.as_deref().unwrap_or("-"));
        format!("{key} {op} {}{}", seen.payload, value.unwrap_or_default())
    };
    records(said).iter().map(told).collect()
}

#[test]
fn an_event_brings_the_value_whatever_its_type() {
    let server = Redis::start(&NOTIFY);
    let named = Pattern { name: "orders".into(), glob: "order:*".into() };
    let keys = vec![named, pattern("o*"), pattern("*:z")];
    let watch = watch(Options { keys, ..options(server.url()) }, Place::default());
    watch.until_caught_up();
    let mut expected = Vec::new();
    let mut step = |command: &str, arguments: &[&str], lines: &[&str]| {
        server.run::<redis::Value>(command, arguments);
        expected.extend(lines.iter().map(|&line| line.to_owned()));
        wait(&watch, expected.len());
    };
    step("SET", &["order:1", r#"{"id":1}"#], &[r#"order:1 set {"id":1}"#]);
    step("SETEX", &["order:1", "100", "paid"], &[r#"order:1 set "paid" (newer)"#, r#"order:1 expire "paid""#]);
    step("APPEND", &["order:1", "!"], &[r#"order:1 append "paid!""#]);
    step("SET", &["order:1", ""], &[r#"order:1 set """#]);
    step("DEL", &["order:1"], &["order:1 del null"]);
    step("HSET", &["order:h", "status", "new", "n", "7"], &[r#"order:h hset {"status":"new","n":7}"#]);
    step("RPUSH", &["order:l", "a", "2"], &[r#"order:l rpush ["a",2]"#]);
    step("SADD", &["order:s", "a"], &[r#"order:s sadd ["a"]"#]);
    step("ZADD", &["order:z", "1.5", "a"], &[r#"order:z zadd [{"member":"a","score":1.5}]"#]);
    step("XADD", &["order:x", "*", "a", "1"], &["order:x xadd null (other)"]);
    step("RENAME", &["order:h", "o"], &["order:h rename_from null", r#"o rename_to {"status":"new","n":7}"#]);
    step("SPOP", &["order:s"], &["order:s spop null (gone)", "order:s del null"]);
    step("SET", &["order:t", "x", "PX", "1500"], &[r#"order:t set "x" (newer)"#, r#"order:t expire "x""#]);
    step("PING", &[], &["order:t expired null"]);
    let said = watch.said();
    assert_eq!(told(&said), expected);
    let seen = records(&said);
    assert_eq!((seen[0].stream.as_deref(), &*seen[0].part), (Some("orders"), "__keyspace@0__"));
    assert!(seen.iter().any(|seen| seen.key.as_deref() == Some("o") && seen.stream.as_deref() == Some("o*")));
    assert!(holes(&said).is_empty());
    watch.stop();
}

#[test]
fn a_value_is_bounded_and_one_that_is_too_long_is_told() {
    let server = Redis::start(&NOTIFY);
    let watch = watch(Options { keys: vec![pattern("*")], ..options(server.url()) }, Place::default());
    watch.until_caught_up();
    server.run::<()>("SET", &["long", &"x".repeat((1 << 20) + 1)]);
    let mut all = vec!["many".to_owned()];
    all.extend((0..1_500).map(|number| number.to_string()));
    server.run::<()>("RPUSH", &all);
    let fields: Vec<String> = all.iter().skip(1).flat_map(|text| [format!("f{text}"), text.clone()]).collect();
    server.run::<()>("HSET", &[vec!["fields".to_owned()], fields].concat());
    let said = wait(&watch, 2);
    let long = |said: &Said| matches!(said, Said::Undecodable { reason: "too-long", .. });
    assert!(said.iter().any(long), "{said:?}");
    for seen in records(&said) {
        assert_eq!(seen.headers, [("value".to_owned(), "cut".to_owned())], "{:?}", seen.key);
        let body: serde_json::Value = serde_json::from_str(&seen.payload).unwrap();
        assert!(body.as_array().map_or(1_000, Vec::len) == 1_000);
    }
    watch.stop();
}

#[test]
fn what_changes_faster_than_it_is_fetched_is_said_to_have_changed() {
    let server = Redis::start(&NOTIFY);
    let watch = watch(Options { keys: vec![pattern("k*")], ..options(server.url()) }, Place::default());
    watch.until_caught_up();
    let mut all = redis::pipe();
    (0..200).for_each(|number| _ = all.cmd("SET").arg("k").arg(number).ignore());
    all.cmd("SET").arg("k2").arg(1).ignore().cmd("DEL").arg("k2").ignore();
    all.query::<()>(&mut server.connection()).unwrap();
    let said = wait(&watch, 202);
    let told = told(&said);
    assert_eq!(told.len(), 202, "each event is a record");
    assert!(told.contains(&"k set 199".to_owned()), "the last one is as it stands");
    assert!(told.contains(&"k2 set null (gone)".to_owned()) && told.contains(&"k2 del null".to_owned()));
    let times: Vec<Option<Time>> = records(&said).iter().map(|seen| seen.time).collect();
    assert!(
        times.is_sorted() && times[0] > Some(Time(now().0 - 10_000_000_000)),
        "in their order, by the server's clock"
    );
    watch.stop();
}

#[test]
fn only_the_database_that_is_asked_for_is_heard() {
    let server = Redis::start(&NOTIFY);
    let url = format!("redis://127.0.0.1:{}/3", server.port);
    let watch = watch(Options { keys: vec![pattern("k")], ..options(url) }, Place::default());
    watch.until_caught_up();
    server.run_in::<()>(0, "SET", &["k", "0"]);
    server.run_in::<()>(3, "SET", &["k", "3"]);
    server.run_in::<()>(4, "SET", &["k", "4"]);
    let said = wait(&watch, 1);
    assert_eq!(told(&said), ["k set 3"]);
    assert_eq!(records(&said)[0].part, "__keyspace@3__");
    watch.stop();
}

#[test]
fn channels_are_heard_once_each() {
    let server = Redis::start(&[]);
    let channels = vec![Pattern { name: "news".into(), glob: "news.*".into() }, pattern("news.de"), pattern("alerts")];
    let watch = watch(Options { channels, ..options(server.url()) }, Place::default());
    watch.until_caught_up();
    for (channel, text) in [("news.de", r#"{"id":1}"#), ("alerts", "fire"), ("other", "x"), ("news.fr", "2")] {
        server.run::<()>("PUBLISH", &[channel, text]);
    }
    let said = wait(&watch, 3);
    let told: Vec<_> = records(&said)
        .iter()
        .map(|seen| (seen.stream.clone().unwrap(), seen.headers[0].1.clone(), seen.payload.clone()))
        .collect();
    let expected = [("news", "news.de", r#"{"id":1}"#), ("alerts", "alerts", r#""fire""#), ("news", "news.fr", "2")];
    assert_eq!(told, expected.map(|(stream, channel, text)| (stream.into(), channel.into(), text.into())));
    watch.stop();
}

#[test]
fn what_was_there_is_read_at_the_beginning_and_once() {
    let server = Redis::start(&NOTIFY);
    let mut all = redis::pipe();
    (0..2_000).for_each(|number| _ = all.cmd("SET").arg(format!("order:{number}")).arg(number).ignore());
    (0..3_000).for_each(|number| _ = all.cmd("SET").arg(format!("other:{number}")).arg(number).ignore());
    all.query::<()>(&mut server.connection()).unwrap();
    let from = Options { keys: vec![pattern("order:*")], start: Start::Beginning, ..options(server.url()) };
    let first = watch(from.clone(), Place::default());
    let said = first.until_caught_up();
    let seen = records(&said);
    assert_eq!(seen.len(), 2_000, "all of them were handed over before anything was proven");
    assert!(seen.iter().all(|seen| seen.op.is_none() && seen.time.is_some()));
    let (_, place) = first.stop();
    let again = watch(from, place);
    let said = again.until_caught_up();
    assert_eq!(records(&said).len(), 0, "they were read once");
    assert!(holes(&said)[0].contains("nobody listened"), "{:?}", holes(&said));
    again.stop();
}

#[test]
fn a_server_that_does_not_publish_is_refused_with_the_remedy_and_left_alone() {
    let server = Redis::start(&["--notify-keyspace-events", "K$"]);
    let keys = vec![pattern("order:*")];
    let strings = Options { keys: keys.clone(), types: Types(vec!['$']), ..options(server.url()) };
    let all = Options { keys, ..options(server.url()) };
    for (options, missing) in [(all, "$Kgxelshz"), (strings.clone(), "$Kgxe")] {
        let watch = watch(options, Place::default());
        let remedy = format!("CONFIG SET notify-keyspace-events {missing}");
        let refused = |said: &Said| matches!(said, Said::Failed(why) if why.contains(&remedy));
        let said = watch.until("the refusal", |said| said.iter().any(refused));
        assert!(!said.iter().any(|said| matches!(said, Said::CaughtUp(_))));
        watch.stop();
    }
    let set: Vec<String> = server.run("CONFIG", &["GET", "notify-keyspace-events"]);
    assert_eq!(set[1], "$K", "it is never set by the source");
    server.run::<()>("CONFIG", &["SET", "notify-keyspace-events", "K$gxe"]);
    let watch = watch(strings, Place::default());
    watch.until_caught_up();
    // Somebody takes it back: what happens meanwhile is not told, and that is seen.
    server.run::<()>("CONFIG", &["SET", "notify-keyspace-events", ""]);
    watch.until("the failure", |said| said.iter().any(|said| matches!(said, Said::Failed(_))));
    server.run::<()>("SET", &["order:1", "unheard"]);
    server.run::<()>("CONFIG", &["SET", "notify-keyspace-events", "K$gxe"]);
    watch.until("the hole", |said| !holes(said).is_empty());
    watch.stop();
}

#[test]
fn a_server_that_throws_the_source_out_leaves_a_hole() {
    let server = Redis::start(&NOTIFY);
    server.allow("~* &* -@all +psubscribe +time +info +config|get +getrange +exists +type");
    let watch = watch(Options { keys: vec![pattern("*")], ..options(server.url_of(WATCHER, 0)) }, Place::default());
    watch.until_caught_up();
    // The output buffer of a source that is stalled runs over, and the server closes the connection.
    server.run::<()>("CONFIG", &["SET", "client-output-buffer-limit", "pubsub 64kb 0 0 normal 64kb 0 0"]);
    server.proxy().stall(true);
    let mut connection = server.connection();
    let is_there = |connection: &mut redis::Connection| {
        let clients: String = redis::cmd("CLIENT").arg("LIST").query(connection).unwrap();
        clients.contains("user=watcher")
    };
    for round in 0..1_000 {
        let mut all = redis::pipe();
        (0..1_000).for_each(|number| _ = all.cmd("SET").arg(format!("{round}:{number}")).arg(number).ignore());
        all.query::<()>(&mut connection).unwrap();
        if !is_there(&mut connection) {
            break;
        }
    }
    assert!(!is_there(&mut connection), "the server has closed the connection");
    server.proxy().stall(false);
    let said = watch.until("the hole", |said| !holes(said).is_empty());
    assert!(said.iter().any(|said| matches!(said, Said::Failed(_))));
    server.run::<()>("SET", &["after", "1"]);
    watch.until("what comes after", |said| records(said).iter().any(|seen| seen.key.as_deref() == Some("after")));
    watch.stop();
}
