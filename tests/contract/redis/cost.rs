//! What watching costs the server. Not a test but a measurement: `cargo test --test contract redis_cost -- --ignored
//! --nocapture`; `REDIS_SECONDS` says for how long each part is measured in a round, `REDIS_ROUNDS` how many rounds. All
//! parts take turns, since a machine's pace changes from minute to minute; what counts is the middle of what each took
//! more than the load alone in its round.

use super::super::servers::redis::{NOTIFY, Redis};
use super::super::watch::Place;
use super::{Options, options, pattern, records, watch};
use std::fs;
use std::thread;
use std::time::{Duration, Instant};

const RATE: u64 = 1_000;
const SECONDS: u64 = 4;
const ROUNDS: u64 = 11;

/// What is measured: its name, whether events are published, and what is followed.
const PARTS: [(&str, bool, bool, bool); 5] = [
    ("the load alone", false, false, false),
    ("events published, nobody listens", true, false, false),
    ("a stream followed", false, false, true),
    ("keys followed", true, true, false),
    ("both followed", true, true, true),
];

/// The CPU time of the server's main thread, which does all that is measured here, in seconds.
fn cpu(server: &Redis) -> f64 {
    let told = fs::read_to_string(format!("/proc/{}/schedstat", server.pid())).unwrap();
    told.split_whitespace().next().unwrap().parse::<f64>().unwrap() / 1e9
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
    let middle = |mut of: Vec<f64>| {
        of.sort_by(f64::total_cmp);
        of[of.len() / 2]
    };
    println!("{}: {:.2} % of a core", PARTS[0].0, middle(all[0].clone()));
    for ((name, ..), spent) in PARTS.iter().zip(&all).skip(1) {
        let more: Vec<f64> = spent.iter().zip(&all[0]).map(|(spent, load)| spent - load).collect();
        println!("{name}: {:.2} % more", middle(more));
    }
}
