//! What one more queue costs the broker. Not a test but a measurement: `cargo test --test contract rabbitmq_cost -- --ignored
//! --nocapture`; `RABBITMQ_SECONDS` says for how long.

use super::super::servers::rabbitmq::{Rabbitmq as Server, WATCHER};
use super::super::watch::{Place, Said, Watch};
use super::client::Client;
use super::{allow, bound, options};
use lapin::BasicProperties;
use std::thread;
use std::time::{Duration, Instant};
use throughline::sources::rabbitmq::{Options, Rabbitmq};

const RATE: u32 = 1_000;
const SECONDS: u64 = 30;
const BATCH: u32 = 10;
const BODY_BYTES: usize = 300;

/// Publishes at the rate, as an application that waits for its confirms; the broker's CPU time meanwhile, as a share of a core.
fn publish(server: &Server, client: &Client, seconds: u64) -> f64 {
    let bodies = vec!["x".repeat(BODY_BYTES); BATCH as usize];
    let before = server.cpu();
    let begun = Instant::now();
    let pause = Duration::from_secs(1) * BATCH / RATE;
    for batch in 0..seconds as u32 * RATE / BATCH {
        client.publish_all("shop", "orders", &bodies, BasicProperties::default());
        thread::sleep((begun + pause * (batch + 1)).saturating_duration_since(Instant::now()));
    }
    100.0 * (server.cpu() - before) / begun.elapsed().as_secs_f64()
}

#[test]
#[ignore = "a measurement"]
fn rabbitmq_cost() {
    let seconds = std::env::var("RABBITMQ_SECONDS").ok().and_then(|text| text.parse().ok()).unwrap_or(SECONDS);
    let server = Server::start();
    let client = Client::new(&server);
    client.exchange("shop", "topic");
    // The application's own queue, which is read at once.
    client.queue("theirs", &[]);
    client.bind("theirs", "shop", "#");
    let _theirs = client.consume("theirs");
    allow(&server, "shop$");
    let quiet = {
        let before = server.cpu();
        thread::sleep(Duration::from_secs(seconds));
        100.0 * (server.cpu() - before) / seconds as f64
    };
    let source = |durable| {
        let options = options(server.url(WATCHER, server.port), vec![bound("orders", "shop", &["#"])]);
        Watch::start(Box::new(Rabbitmq::new(Options { durable, ..options })), Place::default())
    };
    publish(&server, &client, 5);
    let alone = publish(&server, &client, seconds);
    println!("the broker alone: quiet {quiet:.1} %, with {RATE} messages a second {alone:.1} % of a core");
    for durable in [false, true] {
        let watch = source(durable);
        watch.until_caught_up();
        let before = server.cpu();
        thread::sleep(Duration::from_secs(seconds));
        let idle = 100.0 * (server.cpu() - before) / seconds as f64;
        let watched = publish(&server, &client, seconds);
        let said = watch.until_caught_up();
        let records = said.iter().filter(|said| matches!(said, Said::Record(_))).count();
        let what = if durable { "durable" } else { "transient" };
        println!(
            "with a {what} queue: quiet {idle:.1} %, watched {watched:.1} %, that is {:.1} % more; {records} records",
            watched - alone
        );
        watch.stop();
    }
}
