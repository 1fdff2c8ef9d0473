//! Streams: where they begin, what is trimmed before it is read, and what is made again under the same name.

use super::super::servers::redis::Redis;
use super::super::watch::{Place, Said, Watch};
use super::{Options, holes, options, records, wait, watch};
use std::thread;
use std::time::Duration;
use throughline::model::time::Time;
use throughline::sources::live::Start;

fn audit(server: &Redis, start: Start) -> Options {
    Options { streams: vec!["audit".into()], start, ..options(server.url()) }
}

fn follow(server: &Redis, start: Start, from: Place) -> Watch {
    watch(audit(server, start), from)
}

/// Each entry as `part:id=body`.
fn told(said: &[Said]) -> Vec<String> {
    records(said).iter().map(|seen| format!("{}:{}={}", seen.part, seen.headers[0].1, seen.payload)).collect()
}

fn add(server: &Redis, id: &str, number: u64) {
    server.run::<String>("XADD", &["audit", id, "n", &number.to_string()]);
}

#[test]
fn it_begins_where_it_is_told() {
    let server = Redis::start(&[]);
    (1..=4).for_each(|number| add(&server, &format!("{number}000-0"), number));
    for (start, expected) in [
        (
            Start::Beginning,
            &["audit:1000-0={\"n\":1}", "audit:2000-0={\"n\":2}", "audit:3000-0={\"n\":3}", "audit:4000-0={\"n\":4}"][..],
        ),
        (Start::At(Time(3_000_000_000)), &["audit:3000-0={\"n\":3}", "audit:4000-0={\"n\":4}"]),
        (Start::Latest, &[]),
    ] {
        let watch = follow(&server, start, Place::default());
        let said = wait(&watch, expected.len());
        assert_eq!(told(&said), expected, "{start:?}");
        assert!(holes(&said).is_empty());
        watch.stop();
    }
    let seen = follow(&server, Start::Beginning, Place::default());
    let said = wait(&seen, 4);
    let first = records(&said)[0].clone();
    assert_eq!((first.time, first.stream.as_deref(), first.key), (Some(Time(1_000_000_000)), Some("audit"), None));
    seen.stop();
}

#[test]
fn what_was_trimmed_before_it_was_read_is_a_hole_and_what_was_read_before_is_none() {
    let server = Redis::start(&[]);
    (0..10).for_each(|number| add(&server, "*", number));
    let first = follow(&server, Start::Beginning, Place::default());
    wait(&first, 10);
    // What has been read may go.
    server.run::<u64>("XTRIM", &["audit", "MAXLEN", "2"]);
    add(&server, "*", 10);
    let said = wait(&first, 11);
    assert!(holes(&said).is_empty(), "{:?}", holes(&said));
    let (_, place) = first.stop();
    // What has not been read is missed, be it trimmed or deleted.
    (11..20).for_each(|number| add(&server, "*", number));
    server.run::<u64>("XTRIM", &["audit", "MAXLEN", "4"]);
    let again = follow(&server, Start::Beginning, place);
    let said = wait(&again, 4);
    assert!(holes(&said)[0].contains("5 entries were trimmed"), "{:?}", holes(&said));
    let (hole, proof) = (
        said.iter().position(|said| matches!(said, Said::Hole(_))),
        said.iter().position(|said| matches!(said, Said::CaughtUp(_))),
    );
    assert!(hole < proof, "a hole is admitted before anything is proven");
    let (_, place) = again.stop();
    let id: String = server.run("XADD", &["audit", "*", "n", "20"]);
    add(&server, "*", 21);
    server.run::<u64>("XDEL", &["audit", &id]);
    let third = follow(&server, Start::Beginning, place);
    let said = wait(&third, 1);
    assert!(holes(&said)[0].contains("1 entries were trimmed or deleted"), "{:?}", holes(&said));
    third.stop();
}

#[test]
fn from_a_moment_on_what_was_trimmed_already_is_a_hole() {
    let server = Redis::start(&[]);
    (1..=4).for_each(|number| add(&server, &format!("{number}000-0"), number));
    server.run::<u64>("XTRIM", &["audit", "MAXLEN", "1"]);
    let watch = follow(&server, Start::At(Time(2_000_000_000)), Place::default());
    let said = wait(&watch, 1);
    let begins = said.iter().position(|said| *said == Said::CaughtUp(Time(2_000_000_000)));
    let hole = said.iter().position(|said| matches!(said, Said::Hole(why) if why.contains("begins with 4000-0")));
    assert!(begins.is_some() && begins < hole, "{said:?}");
    watch.stop();
}

#[test]
fn a_stream_that_is_made_again_is_another() {
    let server = Redis::start(&[]);
    let first = follow(&server, Start::Latest, Place::default());
    first.until_caught_up();
    // It is not there yet: all of it comes after the start.
    add(&server, "5-0", 1);
    add(&server, "6-0", 2);
    assert_eq!(told(&wait(&first, 2)), ["audit:5-0={\"n\":1}", "audit:6-0={\"n\":2}"]);
    server.run::<u64>("DEL", &["audit"]);
    first.until("the hole", |said| holes(said).iter().any(|why| why.contains("was deleted")));
    add(&server, "1-0", 3);
    let said = wait(&first, 3);
    assert_eq!(told(&said)[2], "audit#2:1-0={\"n\":3}");
    let (_, place) = first.stop();
    // While nobody looks, and with ids that are higher and more entries than before.
    server.run::<u64>("DEL", &["audit"]);
    (0..5).for_each(|number| add(&server, "*", number));
    let again = follow(&server, Start::Latest, place);
    let said = wait(&again, 5);
    assert!(holes(&said)[0].contains("was deleted and made again"), "{:?}", holes(&said));
    assert!(told(&said).iter().all(|entry| entry.starts_with("audit#3:")), "{:?}", told(&said));
    again.stop();
}

#[test]
fn a_stream_that_was_not_there_may_have_been_meanwhile() {
    let server = Redis::start(&[]);
    let first = follow(&server, Start::Latest, Place::default());
    first.until_caught_up();
    let (said, place) = first.stop();
    assert_eq!(holes(&said), [""; 0]);
    add(&server, "*", 1);
    server.run::<u64>("DEL", &["audit"]);
    let second = follow(&server, Start::Latest, place);
    let said = second.until_caught_up();
    assert!(holes(&said).len() == 1 && holes(&said)[0].contains("was not there"), "{:?}", holes(&said));
    second.stop();
}

#[test]
fn long_streams_come_page_by_page_and_in_order() {
    let server = Redis::start(&[]);
    let mut all = redis::pipe();
    (0..5_500).for_each(|number| _ = all.cmd("XADD").arg("audit").arg("*").arg("n").arg(number).ignore());
    all.query::<()>(&mut server.connection()).unwrap();
    let watch = follow(&server, Start::Beginning, Place::default());
    let said = wait(&watch, 5_500);
    let numbers: Vec<u64> = records(&said)
        .iter()
        .map(|seen| serde_json::from_str::<serde_json::Value>(&seen.payload).unwrap()["n"].as_u64().unwrap())
        .collect();
    assert!(numbers.into_iter().eq(0..5_500));
    assert!(holes(&said).is_empty());
    watch.stop();
}

#[test]
fn a_server_that_forgot_is_a_hole() {
    let mut server = Redis::start(&[]);
    add(&server, "*", 1);
    let watch = follow(&server, Start::Beginning, Place::default());
    wait(&watch, 1);
    server.kill();
    thread::sleep(Duration::from_millis(300));
    server.start_again();
    add(&server, "*", 2);
    let said = watch.until("the hole and the rest", |said| !holes(said).is_empty() && records(said).len() >= 2);
    assert!(told(&said)[1].starts_with("audit"), "{:?}", told(&said));
    watch.stop();
}
