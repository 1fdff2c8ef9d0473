//! Queues of ours: what is bound, what a message says, and what happens when they are full, gone or left behind.

use super::super::servers::rabbitmq::{ADMIN, Rabbitmq as Server, WATCHER};
use super::super::watch::{Place, Said, Seen, Watch, now};
use super::client::{Client, table, text};
use super::{allow, bound, options};
use lapin::BasicProperties;
use lapin::types::AMQPValue;
use std::thread;
use std::time::{Duration, Instant};
use throughline::model::time::{Span, Time};
use throughline::sources::live::Source;
use throughline::sources::rabbitmq::{Binding, Options, Origin, Rabbitmq, Tap};

fn records(said: &[Said]) -> Vec<&Seen> {
    let records = said.iter().filter_map(|said| if let Said::Record(record) = said { Some(record) } else { None });
    records.collect()
}

fn holes(said: &[Said]) -> Vec<&str> {
    said.iter().filter_map(|said| if let Said::Hole(why) = said { Some(&**why) } else { None }).collect()
}

fn header<'s>(record: &'s Seen, name: &str) -> Option<&'s str> {
    record.headers.iter().rev().find(|(known, _)| known == name).map(|(_, value)| &**value)
}

fn watch(options: Options) -> Watch {
    let watch = Watch::start(Box::new(Rabbitmq::new(options)), Place::default());
    watch.until_caught_up();
    watch
}

#[test]
fn every_kind_of_exchange_is_bound_to_and_messages_say_what_they_have() {
    let server = Server::start();
    let client = Client::new(&server);
    for (name, kind) in [("t", "topic"), ("d", "direct"), ("f", "fanout"), ("h", "headers"), ("shop.dead", "fanout")] {
        client.exchange(name, kind);
    }
    allow(&server, r"t$|d$|f$|h$|shop\.dead$");
    let headers = |all| Origin::Exchange {
        exchange: "h".into(),
        binding: Binding::Headers {
            all,
            headers: vec![("region".into(), Some("eu".into())), ("audited".into(), None)],
        },
    };
    let taps = vec![
        bound("topic", "t", &["orders.*", "payments.#"]),
        bound("direct", "d", &["a", "b"]),
        bound("fanout", "f", &["#"]),
        Tap { name: "all".into(), origin: headers(true) },
        Tap { name: "any".into(), origin: headers(false) },
        bound("dead", "shop.dead", &["#"]),
    ];
    let watch = watch(options(server.url(WATCHER, server.port), taps));
    client.publish("t", "orders.eu", "1");
    client.publish("t", "payments.eu.card", "2");
    client.publish("t", "others", "-");
    client.publish("d", "b", "3");
    client.publish("d", "c", "-");
    client.publish("f", "whatever", "4");
    let eu = BasicProperties::default().with_headers(table(&[("region", text("eu"))]));
    client.publish_with("h", "", "5", eu);
    let both = BasicProperties::default()
        .with_headers(table(&[("region", text("eu")), ("audited", AMQPValue::Boolean(true))]));
    client.publish_with("h", "", "6", both);
    // What nobody takes in time is dead; where it goes is a step of its own.
    client.queue("jobs", &[("x-message-ttl", AMQPValue::LongInt(1)), ("x-dead-letter-exchange", text("shop.dead"))]);
    let properties = BasicProperties::default()
        .with_headers(table(&[("tries", AMQPValue::LongInt(3))]))
        .with_message_id("m-7".into())
        .with_correlation_id("c-7".into())
        .with_timestamp(1_700_000_000);
    client.publish_with("", "jobs", "7", properties);
    let said = watch.until("all of them", |said| records(said).len() >= 8);
    let mut seen: Vec<_> =
        records(&said).iter().map(|r| format!("{} {} {}", r.payload, r.part, r.stream.as_ref().unwrap())).collect();
    seen.sort();
    let expected = [
        "1 topic topic",
        "2 topic topic",
        "3 direct direct",
        "4 fanout fanout",
        "5 any any",
        "6 all all",
        "6 any any",
        "7 dead dead",
    ];
    assert_eq!(seen, expected);
    let dead = *records(&said).iter().find(|record| record.payload == "7").unwrap();
    assert_eq!((dead.key.as_deref(), dead.time), (Some("jobs"), Some(Time(1_700_000_000_000_000_000))));
    let known = [
        ("tries", "3"),
        ("amqp.message_id", "m-7"),
        ("amqp.correlation_id", "c-7"),
        ("x-first-death-reason", "expired"),
        ("amqp.exchange", "shop.dead"),
        ("amqp.routing_key", "jobs"),
        ("amqp.redelivered", "false"),
    ];
    for (name, value) in known {
        assert_eq!(header(dead, name), Some(value), "{name} of {:?}", dead.headers);
    }
    assert!(header(dead, "x-death").unwrap().contains(r#""queue":"jobs""#));
    assert_eq!(holes(&said), [""; 0]);
    watch.stop();
}

/// What came while nobody watched is there, however much more it is than what may be with us at once.
#[test]
fn a_long_absence_loses_nothing_that_the_queue_had_room_for() {
    let server = Server::start();
    let client = Client::new(&server);
    client.exchange("shop", "fanout");
    allow(&server, "shop$");
    let source = || -> Box<dyn Source> {
        let options = options(server.url(WATCHER, server.port), vec![bound("orders", "shop", &["#"])]);
        Box::new(Rabbitmq::new(options))
    };
    let watch = Watch::start(source(), Place::default());
    watch.until_caught_up();
    let (_, mut place) = watch.stop();
    let mut sum = 0;
    for count in [3_000, 1, 500] {
        let bodies: Vec<_> = (sum..sum + count).map(|number| number.to_string()).collect();
        client.publish_all("shop", "", &bodies, BasicProperties::default());
        let watch = Watch::start(source(), place);
        let said = watch.until_caught_up();
        let seen: Vec<_> = records(&said).iter().map(|record| (record.offset, record.payload.clone())).collect();
        let expected: Vec<_> = (sum..sum + count).map(|number| (number, number.to_string())).collect();
        assert!(seen == expected, "{} of {count}, from {:?} to {:?}", seen.len(), seen.first(), seen.last());
        assert_eq!(holes(&said), [""; 0]);
        sum += count;
        (_, place) = watch.stop();
    }
}

/// A full queue drops what is oldest in it, never holds a publisher up, and what it dropped is admitted.
#[test]
fn what_our_queue_drops_is_a_hole_and_disturbs_nobody() {
    let server = Server::start();
    let client = Client::new(&server);
    client.exchange("shop", "fanout");
    client.queue("theirs", &[]);
    client.bind("theirs", "shop", "");
    allow(&server, "shop$");
    let source = || -> Box<dyn Source> {
        let options = options(server.url(WATCHER, server.port), vec![bound("orders", "shop", &["#"])]);
        Box::new(Rabbitmq::new(Options { max_messages: 100, ..options }))
    };
    let watch = Watch::start(source(), Place::default());
    watch.until_caught_up();
    client.publish_all("shop", "", &["a", "b"], BasicProperties::default());
    watch.until_caught_up();
    let (_, place) = watch.stop();
    let bodies: Vec<_> = (0..1_000).map(|number| number.to_string()).collect();
    client.publish_all("shop", "", &bodies, BasicProperties::default());
    let watch = Watch::start(source(), place);
    let said = watch.until_caught_up();
    let hole = said.iter().position(|said| matches!(said, Said::Hole(_)));
    let proof = said.iter().position(|said| matches!(said, Said::CaughtUp(_)));
    assert!(hole.is_some() && hole < proof, "the hole is told before anything is proven: {said:?}");
    let seen: Vec<_> = records(&said).iter().map(|record| record.payload.clone()).collect();
    assert_eq!(seen.last().map(String::as_str), Some("999"));
    assert!(seen.len() <= 100 && !seen.contains(&"a".into()) && !seen.contains(&"b".into()), "{seen:?}");
    // Then all is well again.
    client.publish("shop", "", "after");
    watch.until_caught_up();
    let (said, place) = watch.stop();
    let told = holes(&said).len();
    let watch = Watch::start(source(), place);
    let said = watch.until_caught_up();
    assert!(told > 0 && holes(&said).is_empty(), "it is not told again: {said:?}");
    watch.stop();
    let theirs = server.control(&["list_queues", "name", "messages", "consumers"]);
    assert!(theirs.contains("theirs\t1003\t0"), "{theirs}");
}

/// An operator's policy that lets messages expire in all queues lets them expire in ours: that is a hole as well.
#[test]
fn what_expires_in_our_queue_is_a_hole() {
    let server = Server::start();
    let client = Client::new(&server);
    client.exchange("shop", "fanout");
    allow(&server, "shop$");
    let options = || options(server.url(WATCHER, server.port), vec![bound("orders", "shop", &["#"])]);
    let first = watch(options());
    let (_, place) = first.stop();
    let short = BasicProperties::default().with_expiration("50".into());
    client.publish_with("shop", "", "gone", short);
    thread::sleep(Duration::from_millis(300));
    client.publish("shop", "", "there");
    let watch = Watch::start(Box::new(Rabbitmq::new(options())), place);
    let said = watch.until_caught_up();
    assert_eq!(records(&said).len(), 1);
    assert!(holes(&said).iter().any(|why| why.contains("expired")), "{said:?}");
    watch.stop();
}

#[test]
fn an_exchange_that_goes_is_noticed_and_what_was_missed_is_a_hole() {
    let server = Server::start();
    let client = Client::new(&server);
    client.exchange("shop", "fanout");
    allow(&server, "shop$");
    let watch = watch(options(server.url(WATCHER, server.port), vec![bound("orders", "shop", &["#"])]));
    client.delete_exchange("shop");
    watch.until("the trouble", |said| {
        said.iter().any(|said| matches!(said, Said::Failed(why) if why.contains("`shop` does not exist")))
    });
    let gone = now();
    thread::sleep(Duration::from_millis(300));
    let ahead = watch.said().into_iter().find(|said| matches!(said, Said::CaughtUp(at) if *at >= gone));
    assert_eq!(ahead, None, "nothing is claimed meanwhile");
    client.exchange("shop", "fanout");
    let said = watch.until_caught_up();
    assert!(holes(&said).iter().any(|why| why.contains("was away")), "{said:?}");
    client.publish("shop", "", "1");
    watch.until("a message", |said| !records(said).is_empty());
    watch.stop();
}

#[test]
fn our_queues_go_when_we_have_been_gone_for_long_enough() {
    let server = Server::start();
    Client::new(&server).exchange("shop", "fanout");
    allow(&server, "shop$");
    let taps = || vec![bound("orders", "shop", &["#"])];
    let short = || Options { keep: Span::seconds(2), ..options(server.url(WATCHER, server.port), taps()) };
    let first = watch(short());
    thread::sleep(Duration::from_secs(4));
    let ours = || server.control(&["list_queues", "name"]) + &server.control(&["list_exchanges", "name"]);
    assert!(ours().contains("throughline."), "they live as long as we do");
    let (said, place) = first.stop();
    assert_eq!(holes(&said), [""; 0]);
    let end = Instant::now() + Duration::from_secs(20);
    while ours().contains("throughline.") {
        assert!(Instant::now() < end, "{}", ours());
        thread::sleep(Duration::from_millis(200));
    }
    let watch = Watch::start(Box::new(Rabbitmq::new(short())), place);
    let said = watch.until_caught_up();
    assert!(!holes(&said).is_empty(), "we were away for too long: {said:?}");
    watch.stop();
}

#[test]
fn tls_is_asked_for_by_the_address_and_a_stranger_is_not_trusted() {
    throughline::connect::tls::install();
    let server = Server::start();
    Client::new(&server).exchange("shop", "fanout");
    let url = format!("amqps://{}:{}@localhost:{}", ADMIN.0, ADMIN.1, server.tls_port);
    let plain = options(url, vec![bound("orders", "shop", &["#"])]);
    let trusted = watch(Options { ca: Some(server.ca().display().to_string()), ..plain.clone() });
    Client::new(&server).publish("shop", "", "1");
    trusted.until("a message", |said| !records(said).is_empty());
    trusted.stop();
    let watch = Watch::start(Box::new(Rabbitmq::new(plain)), Place::default());
    let said = watch.until("a failure", |said| said.iter().any(|said| matches!(said, Said::Failed(_))));
    assert!(
        said.iter()
            .any(|said| matches!(said, Said::Failed(why) if why.contains("certificate") && why.contains("`ca`"))),
        "{said:?}"
    );
    watch.stop();
}

#[test]
fn a_look_says_what_can_be_bound_and_leaves_nothing_behind() {
    let server = Server::start();
    Client::new(&server).exchange("shop", "topic");
    allow(&server, "shop$");
    let taps = vec![bound("orders", "shop", &["#"]), bound("others", "shopp", &["#"])];
    let mut source = Rabbitmq::new(options(server.url(ADMIN, server.port), taps));
    let remarks = source.examine().unwrap();
    let told: Vec<_> = remarks.iter().map(|remark| &*remark.text).collect();
    assert!(told[0].contains("lets us in") && told[1].contains("can be bound to the exchange `shop`"), "{told:?}");
    assert!(told[2].contains("`shopp` does not exist"), "{told:?}");
    assert_eq!(server.control(&["list_queues", "name"]), "");
    let mut source = Rabbitmq::new(options(server.url(WATCHER, server.port), vec![bound("orders", "shop", &["#"])]));
    let told = source.examine().unwrap().pop().unwrap();
    assert!(
        told.text.contains("progress is proven")
            && told.text.contains("default exchange")
            && told.text.contains("firehose"),
        "{told:?}"
    );
}
