//! The firehose: what goes to the default exchange, and whether the trace is on at all.

use super::super::servers::rabbitmq::{Rabbitmq as Server, WATCHER};
use super::super::watch::{Place, Said, Seen, Watch, now};
use super::client::{Client, table, text};
use super::{allow, options};
use lapin::BasicProperties;
use std::thread;
use std::time::Duration;
use throughline::model::time::Time;
use throughline::sources::rabbitmq::{Origin, Rabbitmq, Tap, Trace};

fn published(routing: Option<&str>) -> Tap {
    let trace = Trace::Published { exchange: String::new(), routing: routing.map(str::to_owned) };
    Tap { name: "sent".into(), origin: Origin::Firehose(trace) }
}

fn records(said: &[Said]) -> Vec<&Seen> {
    said.iter().filter_map(|said| if let Said::Record(record) = said { Some(record) } else { None }).collect()
}

#[test]
fn the_firehose_shows_the_default_exchange_and_that_it_is_off() {
    let server = Server::start();
    let client = Client::new(&server);
    client.queue("jobs", &[]);
    client.queue("others", &[]);
    allow(&server, r"amq\.rabbitmq\.trace$");
    let taken = Tap { name: "taken".into(), origin: Origin::Firehose(Trace::Delivered { queue: "jobs".into() }) };
    let source = Rabbitmq::new(options(server.url(WATCHER, server.port), vec![published(Some("jobs")), taken]));
    let watch = Watch::start(Box::new(source), Place::default());
    watch.until("the trouble", |said| {
        said.iter().any(|said| matches!(said, Said::Trouble(why) if why.contains("rabbitmqctl trace_on -p '/'")))
    });
    thread::sleep(Duration::from_millis(600));
    assert!(!watch.said().iter().any(|said| matches!(said, Said::CaughtUp(_))), "nothing is claimed while it is off");
    server.control(&["trace_on"]);
    watch.until_caught_up();
    let properties = BasicProperties::default()
        .with_headers(table(&[("task", text("mail"))]))
        .with_message_id("m-1".into())
        .with_timestamp(1_700_000_000);
    client.publish_with("", "jobs", "1", properties);
    client.publish("", "others", "-");
    client.get("jobs").expect("it is there");
    let said = watch.until("both", |said| records(said).len() >= 2);
    watch.until_caught_up();
    let [sent, taken] = records(&said)[..] else { panic!("{said:?}") };
    for record in [sent, taken] {
        let header = |name: &str| record.headers.iter().find(|(known, _)| known == name).map(|(_, value)| &**value);
        assert_eq!(
            (&*record.payload, record.key.as_deref(), record.time),
            ("1", Some("jobs"), Some(Time(1_700_000_000_000_000_000)))
        );
        assert_eq!(
            (header("task"), header("amqp.message_id"), header("amqp.trace.user")),
            (Some("mail"), Some("m-1"), Some("admin"))
        );
    }
    assert_eq!((sent.stream.as_deref(), taken.stream.as_deref()), (Some("sent"), Some("taken")));
    assert!(taken.headers.contains(&("amqp.redelivered".into(), "false".into())), "{taken:?}");
    // It is switched off, and on again: a hole, and no proof in between.
    let before = watch.said().iter().filter(|said| matches!(said, Said::Hole(_))).count();
    server.control(&["trace_off"]);
    watch.until("a hole", |said| said.iter().filter(|said| matches!(said, Said::Hole(_))).count() > before);
    let off = now();
    thread::sleep(Duration::from_millis(600));
    let ahead = watch.said().into_iter().find(|said| matches!(said, Said::CaughtUp(at) if *at >= off));
    assert_eq!(ahead, None);
    server.control(&["trace_on"]);
    watch.until_caught_up();
    watch.stop();
}
