//! RabbitMQ, a real node.

mod client;
mod cost;
mod firehose;
mod queues;
mod random;
mod streams;

use super::servers::proxy::Proxy;
use super::servers::rabbitmq::{ADMIN, Rabbitmq as Server, WATCHER};
use super::suite;
use super::system::System;
use super::watch::Seen;
use client::Client;
use throughline::model::time::Span;
use throughline::sources::live::Source;
use throughline::sources::rabbitmq::{Binding, Options, Origin, Rabbitmq, Secret, Stamped, Tap};

/// A tap on an exchange, by routing keys.
pub fn bound(name: &str, exchange: &str, keys: &[&str]) -> Tap {
    let binding = Binding::Keys(keys.iter().map(|key| (*key).to_owned()).collect());
    Tap { name: name.into(), origin: Origin::Exchange { exchange: exchange.into(), binding } }
}

pub fn options(url: String, taps: Vec<Tap>) -> Options {
    Options {
        url: Secret(url),
        ca: None,
        certificate: None,
        taps,
        keep: Span::seconds(60),
        max_messages: 40_000,
        max_bytes: 256 << 20,
        durable: false,
        stamped: Stamped::Always,
        clock_skew: Span::ZERO,
    }
}

/// Exactly what the page says that is needed.
pub fn allow(server: &Server, read: &str) {
    let read = format!(r"^(throughline\.|{read})");
    server.control(&["set_permissions", WATCHER.0, r"^throughline\.", r"^throughline\.", &read]);
}

struct Exchanges {
    server: Server,
    proxy: Proxy,
    durable: bool,
    before: Vec<String>,
}

impl Exchanges {
    fn new(durable: bool) -> Exchanges {
        let server = Server::start();
        Client::new(&server).exchange("shop", "topic");
        let client = Client::new(&server);
        client.queue("theirs", &[]);
        client.bind("theirs", "shop", "orders.*");
        allow(&server, "shop$");
        let proxy = Proxy::to(server.port);
        let mut exchanges = Exchanges { server, proxy, durable, before: Vec::new() };
        exchanges.before = exchanges.there();
        exchanges
    }

    /// What is on the broker that is not ours, with how much lies in it.
    fn there(&self) -> Vec<String> {
        let all = [
            self.server.control(&["list_queues", "name", "consumers", "messages_unacknowledged"]),
            self.server.control(&["list_exchanges", "name", "type"]),
            self.server.control(&["list_bindings", "source_name", "destination_name", "routing_key"]),
        ];
        let lines = all.iter().flat_map(|text| text.lines());
        lines.filter(|line| !line.contains("throughline.")).map(str::to_owned).collect()
    }

    fn refused(&self, user: (&str, &str), taps: Vec<Tap>) -> Box<dyn Source> {
        Box::new(Rabbitmq::new(options(self.server.url(user, self.server.port), taps)))
    }
}

impl System for Exchanges {
    fn source(&self) -> Box<dyn Source> {
        let url = self.server.url(WATCHER, self.proxy.port);
        let taps = vec![bound("orders", "shop", &["orders.*"]), bound("others", "shop", &["others.*"])];
        Box::new(Rabbitmq::new(Options { durable: self.durable, ..options(url, taps) }))
    }

    fn write(&mut self, id: u64) {
        let key = if id.is_multiple_of(2) { "orders.placed" } else { "others.placed" };
        Client::new(&self.server).publish("shop", key, &id.to_string());
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

    fn restart(&mut self) -> bool {
        self.server.stop();
        self.server.start_again();
        true
    }

    fn refusals(&mut self) -> Vec<(&'static str, Box<dyn Source>, Vec<&'static str>)> {
        let orders = || vec![bound("orders", "shop", &["#"])];
        self.server.control(&["add_user", "poor", "s3cret"]);
        self.server.control(&["set_permissions", "poor", r"^throughline\.", r"^throughline\.", r"^throughline\."]);
        self.server.control(&["add_user", "stranger", "s3cret"]);
        let nowhere = options("amqp://watcher:s3cret@127.0.0.1:1".into(), orders());
        let nonsense = options("s3cret:nonsense".into(), orders());
        let other_host = options(format!("{}/else", self.server.url(WATCHER, self.server.port)), orders());
        vec![
            (
                "a wrong password",
                self.refused(("watcher", "s3cret-not"), orders()),
                vec!["watcher@127.0.0.1", "password"],
            ),
            ("a user without rights", self.refused(("stranger", "s3cret"), orders()), vec!["set_permissions"]),
            (
                "no right to read the exchange",
                self.refused(("poor", "s3cret"), orders()),
                vec![
                    "exchange `shop`",
                    r"set_permissions -p '/' 'poor' '^throughline\.' '^throughline\.' '^(throughline\.|shop$)'",
                ],
            ),
            (
                "no such exchange",
                self.refused(ADMIN, vec![bound("orders", "shopp", &["#"])]),
                vec!["exchange `shopp` does not exist"],
            ),
            ("no such virtual host", Box::new(Rabbitmq::new(other_host)), vec!["virtual host"]),
            ("nobody there", Box::new(Rabbitmq::new(nowhere)), vec!["127.0.0.1:1", "check `url`"]),
            ("no address", Box::new(Rabbitmq::new(nonsense)), vec!["amqp://user"]),
        ]
    }

    fn written_by_source(&mut self) -> Vec<String> {
        let known = |line: &&String| !self.before.contains(line);
        self.there().iter().filter(known).cloned().collect()
    }
}

#[test]
fn rabbitmq_keeps_its_word() {
    suite::keeps_its_word(&mut Exchanges::new(false));
}

#[test]
fn rabbitmq_with_durable_queues_keeps_its_word() {
    suite::keeps_its_word(&mut Exchanges::new(true));
}
