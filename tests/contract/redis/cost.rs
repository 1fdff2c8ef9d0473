//! What watching costs the server. Not a test but a measurement: `cargo test --test contract redis_cost -- --ignored
//! --nocapture`; `REDIS_SECONDS` says for how long each part is measured, `REDIS_ROUNDS` how often. Of the rounds the
//! middle one counts.

use super::super::servers::redis::{NOTIFY, Redis};
use super::super::watch::Place;
use super::{Options, options, pattern, records, watch};
use std::fs;
use std::thread;
use std::time::{Duration, Instant};

const RATE: u64 = 1_000;
const SECONDS: u64 = 10;
const ROUNDS: u64 = 3;
/// Of `/proc/PID/stat`.
const TICKS_PER_SECOND: f64 = 100.0;

/// What is measured: its name, whether events are published, and what is followed.
const PARTS: [(&str, bool, bool, bool); 5] = [
    ("the load alone", false, false, false),
    ("events published, nobody listens", true, false, false),
    ("a stream followed", false, false, true),
    ("keys followed", true, true, false),
    ("both followed", true, true, true),
];

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

fn number(name: &str, default: u64) -> u64 {
    std::env::var(name).ok().and_then(|text| text.parse().ok()).unwrap_or(default)
}

#[test]
#[ignore = "a measurement"]
fn redis_cost() {
    let (seconds, rounds) = (number("REDIS_SECONDS", SECONDS), number("REDIS_ROUNDS", ROUNDS));
    let server = Redis::start(&NOTIFY);
    let mut all: [Vec<f64>; PARTS.len()] = Default::default();
    for _ in 0..rounds {
        for (part, (name, published, keys, streams)) in PARTS.iter().enumerate() {
            server.run::<()>(
                "CONFIG",
                &["SET", NOTIFY[0].trim_start_matches('-'), if *published { NOTIFY[1] } else { "" }],
            );
            let followed = Options {
                keys: if *keys { vec![pattern("order:*")] } else { Vec::new() },
                streams: if *streams { vec!["audit".into()] } else { Vec::new() },
                ..options(format!("redis://127.0.0.1:{}/0", server.port))
            };
            let watch = (*keys || *streams).then(|| watch(followed, Place::default()));
            watch.iter().for_each(|watch| _ = watch.until_caught_up());
            let before = cpu(&server);
            load(&server, seconds);
            let spent = 100.0 * (cpu(&server) - before) / seconds as f64;
            let seen = watch.map_or(0, |watch| {
                let seen = records(&watch.until_caught_up()).len();
                watch.stop();
                seen
            });
            println!("{name}: {spent:.2} % of a core, {seen} records");
            all[part].push(spent);
        }
    }
    let middle = all.map(|mut rounds| {
        rounds.sort_by(f64::total_cmp);
        rounds[rounds.len() / 2]
    });
    for ((name, ..), spent) in PARTS.iter().zip(middle).skip(1) {
        println!("{name}: {:.2} % more than the load's {:.2} %", spent - middle[0], middle[0]);
    }
}
