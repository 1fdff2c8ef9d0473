//! What topics do: they grow, go away and come back, lose what is old, and carry more than a payload.

use super::super::servers::kafka::Kafka;
use super::super::watch::{Place, Said, Seen, Watch, now};
use super::options;
use rdkafka::message::{Header, OwnedHeaders};
use rdkafka::producer::BaseRecord;
use regex::Regex;
use std::thread;
use std::time::Duration;
use throughline::model::time::Time;
use throughline::sources::kafka::{self, Options};
use throughline::sources::live::Start;

fn watch(options: Options, from: Place) -> Watch {
    Watch::start(Box::new(kafka::Kafka::new(options)), from)
}

fn records(said: &[Said]) -> Vec<&Seen> {
    said.iter().filter_map(|said| if let Said::Record(seen) = said { Some(seen) } else { None }).collect()
}

/// Records as `part:offset=payload`.
fn told(said: &[Said]) -> Vec<String> {
    let mut told: Vec<String> =
        records(said).iter().map(|seen| format!("{}:{}={}", seen.part, seen.offset, seen.payload)).collect();
    told.sort();
    told
}

fn holes(said: &[Said]) -> Vec<&str> {
    said.iter().filter_map(|said| if let Said::Hole(why) = said { Some(why.as_str()) } else { None }).collect()
}

fn proven(said: &[Said], at: Time) -> bool {
    said.iter().any(|said| matches!(said, Said::CaughtUp(proof) if *proof >= at))
}

/// Waits for so many records and a proof after them; what was said of them.
#[track_caller]
fn wait(watch: &Watch, count: usize) -> Vec<Said> {
    let at = now();
    watch.until(&format!("{count} records and a proof"), |said| records(said).len() >= count && proven(said, at))
}

#[test]
fn topics_are_followed_whatever_becomes_of_them() {
    let server = Kafka::start();
    messages_bring_all_that_they_have(&server);
    it_begins_where_it_is_told(&server);
    what_matches_later_is_picked_up(&server);
    a_topic_that_is_made_later_is_awaited(&server);
    what_retention_took_is_a_hole(&server);
    a_topic_that_was_made_again_is_another(&server);
    a_cluster_that_lost_its_end_is_a_hole(server);
}

/// A leader that goes in good order, and one that dies: the other one goes on, and nothing is missed.
#[test]
fn a_leader_that_changes_loses_nothing() {
    let mut server = Kafka::start();
    for at_once in [false, true] {
        let topic = if at_once { "died" } else { "left" };
        server.add_broker();
        server.create_led_topic(topic);
        let watch = watch(options(server.watched(), &[topic]), Place::default());
        watch.until_caught_up();
        server.produce(topic, 0, &["1", "2"]);
        wait(&watch, 2);
        server.remove_broker(at_once);
        server.produce(topic, 0, &["3", "4"]);
        let said = wait(&watch, 4);
        let expected: Vec<_> = (0..4).map(|n| format!("{topic}/0:{n}={}", n + 1)).collect();
        assert_eq!(told(&said), expected);
        assert!(!said.iter().any(|said| matches!(said, Said::Hole(_) | Said::Failed(_))), "{:?}", holes(&said));
        watch.stop();
    }
}

fn messages_bring_all_that_they_have(server: &Kafka) {
    server.create_topic("all", 1, &[]);
    let watch = watch(options(server.watched(), &["all"]), Place::default());
    watch.until_caught_up();
    let headers = OwnedHeaders::new()
        .insert(Header { key: "trace", value: Some("t-1") })
        .insert(Header { key: "empty", value: Some("") })
        .insert(Header::<&str> { key: "null", value: None })
        .insert(Header { key: "trace", value: Some("t-2") });
    let record = BaseRecord::to("all").partition(0).key("k-1").payload("{}").headers(headers);
    server.send(record.timestamp(1_700_000_000_123));
    server.send(BaseRecord::<str, str>::to("all").partition(0).key("k-1"));
    server.flush();
    server.produce("all", 0, &[""]);
    for codec in ["gzip", "snappy", "lz4", "zstd"] {
        server.produce_packed("all", 0, codec, &[&codec.repeat(200)]);
    }
    let said = wait(&watch, 7);
    let seen = records(&said);
    let names: Vec<_> = seen[0].headers.iter().map(|(name, value)| format!("{name}={value}")).collect();
    assert_eq!(names, ["trace=t-1", "empty=", "trace=t-2"]);
    assert_eq!(
        (seen[0].key.as_deref(), seen[0].stream.as_deref(), &*seen[0].part),
        (Some("k-1"), Some("all"), "all/0")
    );
    assert_eq!(seen[0].time, Some(Time(1_700_000_000_123_000_000)));
    assert_eq!((&*seen[1].payload, seen[1].op.as_deref()), ("null", Some("delete")), "a tombstone");
    assert_eq!((&*seen[2].payload, seen[2].op.as_deref()), ("", None), "nothing is no tombstone");
    assert!(seen[2].time.unwrap() > Time(now().0 - 60_000_000_000));
    let packed: Vec<_> = seen[3..].iter().map(|seen| &seen.payload[..seen.payload.len() / 200]).collect();
    assert_eq!(packed, ["gzip", "snappy", "lz4", "zstd"]);
    watch.stop();
}

fn it_begins_where_it_is_told(server: &Kafka) {
    server.create_topic("starts", 2, &[]);
    let stamped = |partition, time, payload: &'static str| {
        server.send(BaseRecord::<(), str>::to("starts").partition(partition).payload(payload).timestamp(time));
        server.flush();
    };
    stamped(0, 1_000, "a");
    stamped(0, 3_000, "b");
    stamped(0, 2_000, "c");
    stamped(1, 1_000, "d");
    let second = |n: i64| Start::At(Time(n * 1_000_000_000));
    for (start, expected) in [
        (Start::Beginning, &["starts/0:0=a", "starts/0:1=b", "starts/0:2=c", "starts/1:0=d"][..]),
        (second(2), &["starts/0:1=b", "starts/0:2=c"]),
        (second(4), &[]),
        (Start::Latest, &[]),
    ] {
        let watch = watch(Options { start, ..options(server.watched(), &["starts"]) }, Place::default());
        let said = wait(&watch, expected.len());
        assert_eq!(told(&said), expected, "{start:?}");
        watch.stop();
    }
}

fn what_matches_later_is_picked_up(server: &Kafka) {
    server.create_topic("shop.orders", 1, &[]);
    server.create_topic("other", 1, &[]);
    server.produce("shop.orders", 0, &["old"]);
    server.produce("other", 0, &["other"]);
    let patterns = vec![Regex::new(r"^shop\.").unwrap()];
    let watch = watch(Options { patterns, ..options(server.watched(), &[]) }, Place::default());
    watch.until_caught_up();
    server.create_topic("shop.payments", 1, &[]);
    server.produce("shop.payments", 0, &["1"]);
    server.grow_topic("shop.orders", 2);
    server.produce("shop.orders", 1, &["2"]);
    server.produce("shop.orders", 0, &["3"]);
    let said = wait(&watch, 3);
    assert_eq!(told(&said), ["shop.orders/0:1=3", "shop.orders/1:0=2", "shop.payments/0:0=1"]);
    assert_eq!(holes(&said), [""; 0]);
    server.delete_topic("shop.payments");
    watch.until("a hole", |said| !holes(said).is_empty());
    server.produce("shop.orders", 1, &["4"]);
    let said = wait(&watch, 4);
    assert!(holes(&said)[0].contains("`shop.payments` was deleted"), "{:?}", holes(&said));
    watch.stop();
}

fn a_topic_that_is_made_later_is_awaited(server: &Kafka) {
    let nothing = vec![Regex::new("^nothing").unwrap()];
    let nobody = watch(Options { patterns: nothing, ..options(server.watched(), &[]) }, Place::default());
    let unmatched = |said: &Said| matches!(said, Said::Trouble(why) if why.contains("no topic matches ^nothing"));
    nobody.until("trouble", |said| said.iter().any(unmatched));
    nobody.stop();
    let watch = watch(options(server.watched(), &["later"]), Place::default());
    let said = watch.until("trouble", |said| said.iter().any(|said| matches!(said, Said::Trouble(_))));
    assert!(!proven(&said, Time(0)), "nothing is claimed of a topic that may be misspelt");
    server.create_topic("later", 1, &[]);
    server.produce("later", 0, &["1"]);
    assert_eq!(told(&wait(&watch, 1)), ["later/0:0=1"], "all of it came after the start");
    watch.stop();
}

fn what_retention_took_is_a_hole(server: &Kafka) {
    server.create_topic("short", 1, &[]);
    let watch_it = |from| watch(options(server.watched(), &["short"]), from);
    let watch = watch_it(Place::default());
    watch.until_caught_up();
    server.produce("short", 0, &["0", "1"]);
    wait(&watch, 2);
    let (_, place) = watch.stop();
    server.produce("short", 0, &["2", "3", "4"]);
    server.delete_before("short", 0, 4);
    let watch = watch_it(place);
    let said = wait(&watch, 1);
    assert_eq!(told(&said), ["short/0:4=4"]);
    assert_eq!(holes(&said).len(), 1);
    assert!(holes(&said)[0].contains("short/0: the offsets 2 to 3 were deleted"), "{:?}", holes(&said));
    let hole = said.iter().position(|said| matches!(said, Said::Hole(_)));
    let proof = said.iter().position(|said| matches!(said, Said::CaughtUp(_)));
    assert!(hole < proof, "a hole is admitted before anything is proven");
    watch.stop();
}

fn a_topic_that_was_made_again_is_another(server: &Kafka) {
    server.create_topic("again", 2, &[]);
    let watch_it = |from| watch(options(server.watched(), &["again"]), from);
    let watch = watch_it(Place::default());
    watch.until_caught_up();
    server.produce("again", 0, &["a", "b", "c"]);
    wait(&watch, 3);
    // While it is followed, and with fewer messages than before.
    server.delete_topic("again");
    thread::sleep(Duration::from_millis(500));
    server.create_topic("again", 2, &[]);
    server.produce("again", 0, &["d"]);
    let said = wait(&watch, 4);
    assert_eq!(told(&said), ["again#2/0:0=d", "again/0:0=a", "again/0:1=b", "again/0:2=c"]);
    assert!(holes(&said)[0].contains("`again` was deleted and made again"), "{:?}", holes(&said));
    let (_, place) = watch.stop();
    // While nobody watches, and with more messages than before.
    server.delete_topic("again");
    server.create_topic("again", 1, &[]);
    server.produce("again", 0, &["e", "f", "g"]);
    let watch = watch_it(place);
    let said = wait(&watch, 3);
    assert_eq!(told(&said), ["again#3/0:0=e", "again#3/0:1=f", "again#3/0:2=g"]);
    assert_eq!(holes(&said).len(), 1);
    watch.stop();
}

/// What an election of a leader that was not in sync does: the end of a partition is gone, and other messages take its
/// offsets.
fn a_cluster_that_lost_its_end_is_a_hole(mut server: Kafka) {
    server.create_topic("cut", 1, &[]);
    server.produce("cut", 0, &["0"]);
    let watch_it = |server: &Kafka, from| watch(options(server.watched(), &["cut"]), from);
    let watch = watch_it(&server, Place::default());
    watch.until_caught_up();
    server.produce("cut", 0, &["1", "2"]);
    wait(&watch, 2);
    let (_, place) = watch.stop();
    server.lose_end("cut", 0);
    let watch = watch_it(&server, place);
    watch.until("a hole", |said| !holes(said).is_empty());
    watch.until_caught_up();
    server.produce("cut", 0, &["other"]);
    let said = wait(&watch, 1);
    assert_eq!(told(&said), ["cut#2/0:0=other"]);
    assert!(holes(&said)[0].contains("the cluster has lost its end"), "{:?}", holes(&said));
    watch.stop();
}
