//! Streams: read from anywhere, with nothing taken out of them and nothing stored beside them.

use super::super::servers::proxy::Proxy;
use super::super::servers::rabbitmq::{Rabbitmq as Server, WATCHER};
use super::super::suite;
use super::super::system::System;
use super::super::watch::{Place, Said, Seen, Watch, now};
use super::client::{Client, text};
use super::{allow, options};
use lapin::BasicProperties;
use lapin::types::AMQPValue;
use std::thread;
use std::time::Duration;
use throughline::sources::live::Source;
use throughline::sources::rabbitmq::{Begin, Options, Origin, Rabbitmq, Tap};

const STREAM: [(&str, &str); 1] = [("x-queue-type", "stream")];

fn replay(stream: &str, start: Begin) -> Tap {
    Tap { name: "ledger".into(), origin: Origin::Stream { stream: stream.into(), start } }
}

fn make(client: &Client, name: &str, more: &[(&str, AMQPValue)]) {
    let mut arguments: Vec<_> = STREAM.iter().map(|(name, value)| (*name, text(value))).collect();
    arguments.extend(more.iter().cloned());
    client.queue(name, &arguments);
}

fn source(server: &Server, start: Begin) -> Box<dyn Source> {
    Box::new(Rabbitmq::new(options(server.url(WATCHER, server.port), vec![replay("ledger", start)])))
}

fn numbers(from: u64, to: u64) -> Vec<String> {
    (from..to).map(|number| number.to_string()).collect()
}

fn offsets(said: &[Said]) -> Vec<u64> {
    let seen = said.iter().filter_map(|said| match said {
        Said::Record(record) => Some(record.offset),
        _ => None,
    });
    seen.collect()
}

struct Streams {
    server: Server,
    proxy: Proxy,
}

impl System for Streams {
    fn source(&self) -> Box<dyn Source> {
        let url = self.server.url(WATCHER, self.proxy.port);
        Box::new(Rabbitmq::new(options(url, vec![replay("ledger", Begin::Last)])))
    }

    fn write(&mut self, id: u64) {
        Client::new(&self.server).publish("", "ledger", &id.to_string());
    }

    fn id(&self, record: &Seen) -> u64 {
        record.payload.parse().unwrap()
    }

    fn cut(&mut self) -> bool {
        self.proxy.cut();
        true
    }

    fn stall(&mut self, stalled: bool) -> bool {
        self.proxy.stall(stalled);
        true
    }

    fn refusals(&mut self) -> Vec<(&'static str, Box<dyn Source>, Vec<&'static str>)> {
        let client = Client::new(&self.server);
        client.queue("classic", &[]);
        client.queue("quorum", &[("x-queue-type", text("quorum"))]);
        make(&client, "hidden", &[]);
        let source = |stream: &str| -> Box<dyn Source> {
            Box::new(Rabbitmq::new(options(
                self.server.url(WATCHER, self.server.port),
                vec![replay(stream, Begin::First)],
            )))
        };
        allow(&self.server, "ledger$|classic$|quorum$|none$");
        client.publish_all("", "classic", &numbers(0, 5), BasicProperties::default());
        client.publish_all("", "quorum", &numbers(0, 5), BasicProperties::default());
        vec![
            ("a classic queue", source("classic"), vec!["is `classic` a stream?", "`queues`"]),
            ("a quorum queue", source("quorum"), vec!["is `quorum` a stream?"]),
            ("no such stream", source("none"), vec!["there is no stream `none`"]),
            ("a stream that may not be read", source("hidden"), vec!["set_permissions", "hidden$"]),
        ]
    }

    fn written_by_source(&mut self) -> Vec<String> {
        let mut wrong = Vec::new();
        let client = Client::new(&self.server);
        // What was refused was not touched: nothing was taken, nothing given back.
        for queue in ["classic", "quorum"] {
            for number in 0..5 {
                let message = client.get(queue).unwrap_or_else(|| panic!("{queue} has lost {number}"));
                if message.data != number.to_string().as_bytes() || message.redelivered {
                    wrong.push(format!("{queue}: {message:?}"));
                }
            }
        }
        let queues = self.server.control(&["list_queues", "name"]);
        wrong.extend(queues.lines().filter(|queue| queue.contains("throughline")).map(str::to_owned));
        wrong
    }
}

#[test]
fn streams_keep_their_word() {
    let server = Server::start();
    make(&Client::new(&server), "ledger", &[]);
    allow(&server, "ledger$");
    let proxy = Proxy::to(server.port);
    suite::keeps_its_word(&mut Streams { server, proxy });
}

#[test]
fn a_stream_is_read_from_its_first_or_last_message_an_offset_or_a_time() {
    let server = Server::start();
    let client = Client::new(&server);
    make(&client, "ledger", &[]);
    allow(&server, "ledger$");
    client.publish_all("", "ledger", &numbers(0, 100), BasicProperties::default());
    thread::sleep(Duration::from_secs(2));
    let seconds = u64::try_from(now().0 / 1_000_000_000).unwrap();
    thread::sleep(Duration::from_secs(1));
    client.publish_all("", "ledger", &numbers(100, 110), BasicProperties::default());
    for (start, least) in [(Begin::First, 0), (Begin::Offset(42), 42), (Begin::At(seconds), 100)] {
        let watch = Watch::start(source(&server, start), Place::default());
        let said = watch.until_caught_up();
        assert_eq!(offsets(&said), (least..110).collect::<Vec<_>>(), "{start:?}");
        watch.stop();
    }
    let watch = Watch::start(source(&server, Begin::Last), Place::default());
    watch.until_caught_up();
    client.publish("", "ledger", "110");
    let (_, place) = {
        watch.until_caught_up();
        watch.stop()
    };
    // The broker keeps no place for us; the journal does.
    client.publish_all("", "ledger", &numbers(111, 120), BasicProperties::default());
    let watch = Watch::start(source(&server, Begin::Last), place);
    let said = watch.until_caught_up();
    assert_eq!(offsets(&said), (111..120).collect::<Vec<_>>());
    assert!(!said.iter().any(|said| matches!(said, Said::Hole(_))), "{said:?}");
    let kept = "{ok, Q} = rabbit_amqqueue:lookup(rabbit_misc:r(<<\"/\">>, queue, <<\"ledger\">>)), \
                osiris_writer:read_tracking(amqqueue:get_pid(Q)).";
    let kept = server.control(&["eval", kept]);
    assert!(kept.contains("offsets => #{}"), "{kept}");
    watch.stop();
}

#[test]
fn a_stream_that_has_forgotten_or_is_another_one_is_a_hole() {
    let server = Server::start();
    let client = Client::new(&server);
    let small = [
        ("x-max-length-bytes", AMQPValue::LongLongInt(20_000)),
        ("x-stream-max-segment-size-bytes", AMQPValue::LongLongInt(10_000)),
    ];
    make(&client, "ledger", &small);
    allow(&server, "ledger$");
    client.publish_all("", "ledger", &numbers(0, 10), BasicProperties::default());
    let watch = Watch::start(source(&server, Begin::First), Place::default());
    watch.until_caught_up();
    let (_, place) = watch.stop();
    let long = "x".repeat(1_000);
    (0..50).for_each(|_| client.publish_all("", "ledger", &[&long; 10], BasicProperties::default()));
    let watch = Watch::start(source(&server, Begin::First), place);
    let said = watch.until_caught_up();
    let hole = said.iter().position(|said| matches!(said, Said::Hole(why) if why.contains("has forgotten")));
    assert!(hole.is_some(), "retention was faster: {:?}", offsets(&said));
    let (first, last) = (offsets(&said)[0], *offsets(&said).last().unwrap());
    // The stream keeps things of its own between messages, which have offsets as well.
    assert!(first > 10 && last >= 509, "{first} to {last}");
    let (_, place) = watch.stop();
    server.control(&["delete_queue", "ledger"]);
    make(&client, "ledger", &small);
    client.publish_all("", "ledger", &numbers(0, 3), BasicProperties::default());
    let watch = Watch::start(source(&server, Begin::First), place);
    let said = watch.until_caught_up();
    assert!(said.iter().any(|said| matches!(said, Said::Hole(why) if why.contains("made anew"))), "{said:?}");
    let parts: Vec<_> = said
        .iter()
        .filter_map(|said| if let Said::Record(record) = said { Some((&*record.part, record.offset)) } else { None })
        .collect();
    assert_eq!(parts, [("ledger#2", 0), ("ledger#2", 1), ("ledger#2", 2)]);
    watch.stop();
}

/// A stream beside a queue: what is proven is proven of both.
#[test]
fn a_source_of_both_has_come_as_far_as_the_least_of_them() {
    let server = Server::start();
    let client = Client::new(&server);
    client.exchange("shop", "topic");
    make(&client, "ledger", &[]);
    allow(&server, "ledger$|shop$");
    let taps = vec![super::bound("orders", "shop", &["#"]), replay("ledger", Begin::First)];
    let both = Options { ..options(server.url(WATCHER, server.port), taps) };
    let watch = Watch::start(Box::new(Rabbitmq::new(both)), Place::default());
    watch.until_caught_up();
    for round in 0..5 {
        client.publish_all("shop", "a", &numbers(round * 100, round * 100 + 100), BasicProperties::default());
        client.publish_all("", "ledger", &numbers(round * 100, round * 100 + 100), BasicProperties::default());
        let said = watch.until_caught_up();
        let count = said.iter().filter(|said| matches!(said, Said::Record(_))).count() as u64;
        assert_eq!(count, (round + 1) * 200);
    }
    watch.stop();
}
