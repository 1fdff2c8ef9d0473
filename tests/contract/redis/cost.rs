//! What watching costs the server. Not a test but a measurement: `cargo test --test contract redis_cost -- --ignored
//! --nocapture`; `REDIS_SECONDS` says for how long.

use super::super::servers::redis::{NOTIFY, Redis};
use super::super::watch::{Place, Watch};
use super::{Options, options, pattern, records, watch};
use std::fs;
use std::thread;
use std::time::{Duration, Instant};

const RATE: u64 = 1_000;
const SECONDS: u64 = 30;
/// Of `/proc/PID/stat`.
const TICKS_PER_SECOND: f64 = 100.0;

/// The CPU time of the server, in seconds.
fn cpu(server: &Redis) -> f64 {
    let stat = fs::read_to_string(format!("/proc/{}/stat", server.pid())).unwrap();
    let fields: Vec<&str> = stat.rsplit(')').next().unwrap().split_whitespace().collect();
    (fields[11].parse::<f64>().unwrap() + fields[12].parse::<f64>().unwrap()) / TICKS_PER_SECOND
}

/// So many transactions a second: a key is set, and an entry is added.
fn load(server: &Redis, seconds: u64) {
    let mut connection = server.connection();
    let begun = Instant::now();
    for number in 0..RATE * seconds {
        let due = Duration::from_micros(1_000_000 / RATE * number);
        thread::sleep(due.saturating_sub(begun.elapsed()));
        let body = format!(r#"{{"order_id":{number},"status":"paid","amount":1999,"customer":"c-{number}"}}"#);
        let mut all = redis::pipe();
        all.cmd("SET").arg(format!("order:{}", number % 5_000)).arg(&body).ignore();
        all.cmd("XADD").arg("audit").arg("MAXLEN").arg("~").arg(10_000).arg("*").arg("body").arg(&body).ignore();
        all.query::<()>(&mut connection).unwrap();
    }
}

#[test]
#[ignore = "a measurement"]
fn redis_cost() {
    let seconds = std::env::var("REDIS_SECONDS").ok().and_then(|text| text.parse().ok()).unwrap_or(SECONDS);
    let followed = |server: &Redis, keys: bool, streams: bool| Options {
        keys: if keys { vec![pattern("order:*")] } else { Vec::new() },
        streams: if streams { vec!["audit".into()] } else { Vec::new() },
        ..options(server.url())
    };
    let measure = |what: &str, settings: &[&str], what_of_it: Option<(bool, bool)>| {
        let server = Redis::start(settings);
        let watch = what_of_it.map(|(keys, streams)| watch(followed(&server, keys, streams), Place::default()));
        watch.iter().for_each(|watch: &Watch| _ = watch.until_caught_up());
        let before = cpu(&server);
        load(&server, seconds);
        let spent = 100.0 * (cpu(&server) - before) / seconds as f64;
        let seen = watch.map(|watch| records(&watch.until_caught_up()).len()).unwrap_or(0);
        println!("{what}: {spent:.2} % of a core over {seconds} s, {seen} records");
        spent
    };
    let bare = measure("the load alone", &[], None);
    let told = measure("events published, nobody listens", &NOTIFY, None);
    let streams = measure("a stream followed", &[], Some((false, true)));
    let keys = measure("keys followed", &NOTIFY, Some((true, false)));
    let both = measure("both followed", &NOTIFY, Some((true, true)));
    println!(
        "so: publishing {:.2} %, the stream {:.2} %, the keys {:.2} %, both {:.2} %",
        told - bare,
        streams - bare,
        keys - bare,
        both - bare
    );
}
