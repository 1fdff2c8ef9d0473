//! The whole chain: one flow over a log, PostgreSQL, Redis, Kafka, OpenTelemetry, RabbitMQ and MariaDB, on real servers.
//!
//! ```text
//! gateway.jsonl ─▶ PostgreSQL ─▶ Redis
//!                      └──────▶ Kafka ─▶ span ─▶ RabbitMQ ─▶ MariaDB
//!  order_id         order_id     order_id  order_id,  payment_id,  parcel
//!                                          payment_id parcel
//! ```
//!
//! A shop takes orders through all of it, breaks some in eleven ways, and knows which. Then each server is stopped while an
//! order waits for it: nothing is said of that order before the server is back, and all is said after. The daemon dies in
//! between, too. What it has found in the end must be what was broken, and nothing else.

#[path = "../servers/mod.rs"]
mod servers;

mod shop;
mod systems;

use servers::daemon::Daemon;
use shop::{Fault, Shop};
use std::collections::BTreeMap;
use std::thread;
use std::time::{Duration, Instant};
use systems::{Server, Systems};

/// How many orders there are, of which each that is divisible by [`FAULT_EVERY`] is broken.
const ORDERS: u64 = 120;
const FAULT_EVERY: u64 = 7;
/// From one order to the next.
const PACE: Duration = Duration::from_millis(100);
/// The watch begins before anything is broken.
const LEAD: u64 = 12;
/// The daemon dies after this order: what the cache was told meanwhile is not known, and of no order near it is that asked.
const DIES_AFTER: u64 = 60;
/// How long a server stands still: longer than any deadline with its lateness.
const OUTAGE: Duration = Duration::from_secs(6);
/// How long anything may take.
const PATIENCE: Duration = Duration::from_secs(90);
/// Whatever would wrongly be found, is found within the deadlines and the latenesses.
const SETTLES_WITHIN: Duration = Duration::from_secs(8);
const STOPS_WITHIN: Duration = Duration::from_secs(5);

/// By check and order: class and status.
type Findings = BTreeMap<(String, String), String>;

#[test]
fn exactly_what_was_broken_is_found() {
    let mut systems = Systems::start();
    let mut daemon = Daemon::start(systems.folder.path());
    daemon.until_watching();
    let mut shop = Shop::new(&systems);
    for number in 0..ORDERS {
        let fault = (number > LEAD && number % FAULT_EVERY == 0).then(|| Fault::nth(number / FAULT_EVERY));
        shop.order(&systems, fault);
        thread::sleep(PACE);
        if number == DIES_AFTER {
            daemon.kill();
            daemon.start_again();
        }
    }
    shop.finish(&systems);
    expect(&daemon, shop.broken());
    for servers in
        [[Server::Postgres, Server::Mariadb].as_slice(), &[Server::Kafka], &[Server::Redis, Server::Rabbitmq]]
    {
        outage(&mut systems, &mut shop, &daemon, servers);
    }
    thread::sleep(SETTLES_WITHIN);
    assert_eq!(found(&daemon), *shop.broken(), "{}", daemon.said());
    let begun = Instant::now();
    daemon.stop();
    let said = daemon.said();
    assert!(begun.elapsed() < STOPS_WITHIN, "it takes long to stop: {said}");
    for secret in ["s3cret", "watcher:"] {
        assert!(!said.contains(secret), "a secret is told: {said}");
    }
}

/// The newest word of each finding.
fn found(daemon: &Daemon) -> Findings {
    daemon.told().into_iter().map(|one| ((one.check, one.key), one.class + " " + &one.status)).collect()
}

/// Stops servers, while an order waits for each of them.
fn outage(systems: &mut Systems, shop: &mut Shop, daemon: &Daemon, servers: &[Server]) {
    let before = shop.broken().clone();
    let waiting: Vec<String> = servers.iter().map(|server| shop.order(systems, Some(server.lost()))).collect();
    servers.iter().for_each(|server| systems.stop(*server));
    thread::sleep(OUTAGE);
    assert_eq!(found(daemon), before, "{servers:?} are down, and cannot say that anything of {waiting:?} is missing");
    servers.iter().for_each(|server| systems.start_again(*server));
    for (server, order) in servers.iter().zip(&waiting) {
        if server.leaves_a_gap() {
            // What came in between was not seen, so nobody can say that it did not come: it stays undecided.
            shop.forgive(order);
        }
    }
    until(daemon, shop.broken());
}

/// Waits until all that was broken has been found, and a while longer for what should not be.
#[track_caller]
fn expect(daemon: &Daemon, broken: &Findings) {
    until(daemon, broken);
    thread::sleep(SETTLES_WITHIN);
    assert_eq!(found(daemon), *broken, "{}", daemon.said());
}

#[track_caller]
fn until(daemon: &Daemon, broken: &Findings) {
    let begun = Instant::now();
    while found(daemon) != *broken {
        let found = found(daemon);
        if begun.elapsed() > PATIENCE {
            let missing: Vec<_> = broken.iter().filter(|(key, word)| found.get(*key) != Some(word)).collect();
            let wrong: Vec<_> = found.iter().filter(|(key, word)| broken.get(*key) != Some(word)).collect();
            panic!("broken and not found: {missing:#?}\nfound and not broken: {wrong:#?}\n{}", daemon.said());
        }
        thread::sleep(Duration::from_millis(100));
    }
}
