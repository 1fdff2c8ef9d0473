//! What watching costs the server. Not a test but a measurement: `cargo test --test contract postgres_cost -- --ignored
//! --nocapture`; `COST_SECONDS` says for how long. It needs `pgbench`, which comes with the server.

use super::table;
use crate::servers::postgres::{Postgres, binary};
use crate::watch::{Place, Said, Watch, now};
use std::fs;
use std::process::Command;
use std::thread;
use std::time::Duration;
use throughline::model::time::Span;
use throughline::sources::live::Source;
use throughline::sources::postgres::{Options, Poll};
use throughline::sources::secret::Secret;
use throughline::sources::tables::{Common, Sweep, Table};

const RATE: u64 = 1_000;
const SECONDS: u64 = 60;
/// Before that, the first looks are over.
const WARM: u64 = 20;
/// Of `/proc/PID/stat`.
const TICKS_PER_SECOND: f64 = 100.0;
/// Rows of the large table, in hundreds of thousands.
const SCALE: &str = "10";

/// The CPU time of the watcher's connections, in seconds.
fn cpu(pids: &[String]) -> f64 {
    let of = |pid: &String| {
        let stat = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap();
        let fields: Vec<&str> = stat.rsplit(')').next().unwrap().split_whitespace().collect();
        fields[11].parse::<f64>().unwrap() + fields[12].parse::<f64>().unwrap()
    };
    pids.iter().map(of).sum::<f64>() / TICKS_PER_SECOND
}

fn pgbench(server: &Postgres, arguments: &[&str]) -> String {
    let mut command = Command::new(binary("pgbench"));
    command.args(["-h", "127.0.0.1", "-p", &server.port.to_string(), "-U", "postgres"]).args(arguments).arg("postgres");
    let output = command.output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8_lossy(&output.stdout).into_owned()
}

/// Fills a server with pgbench's tables, which `watcher` may read: a million rows that are updated, and none that are
/// inserted yet. Both know when a row was written, by an index.
pub fn fill(server: &Postgres) {
    pgbench(server, &["-i", "-q", "-s", SCALE]);
    server.sql(
        "postgres",
        "alter table pgbench_history add id bigserial primary key, alter mtime type timestamptz;
         alter table pgbench_accounts add mtime timestamptz default '2026-01-01';
         create index on pgbench_history (mtime); create index on pgbench_accounts (mtime);
         grant select on pgbench_accounts, pgbench_history to watcher",
    );
    server.sql("postgres", "vacuum analyze");
}

/// Measures one way to watch, while transactions of an update and an insert are committed.
pub fn measure(server: &Postgres, how: &str, source: Box<dyn Source>) {
    let seconds = std::env::var("COST_SECONDS").ok().and_then(|text| text.parse().ok()).unwrap_or(SECONDS);
    let watch = Watch::start(source, Place::default());
    watch.until_caught_up();
    let pids = server.sql("postgres", "select pid from pg_stat_activity where usename = 'watcher'");
    let pids: Vec<String> = pids.lines().map(str::to_owned).collect();
    let script = tempfile::NamedTempFile::new().unwrap();
    fs::write(
        script.path(),
        "\\set account random(1, 1000000)\nbegin;\n\
         update pgbench_accounts set abalance = abalance + 1, mtime = clock_timestamp() where aid = :account;\n\
         insert into pgbench_history (tid, bid, aid, delta, mtime) values (1, 1, :account, 1, clock_timestamp());\nend;\n",
    )
    .unwrap();
    let (rate, time) = (RATE.to_string(), (WARM + seconds + 1).to_string());
    let load = ["-n", "-c", "4", "-R", &rate, "-T", &time, "-f", script.path().to_str().unwrap()];
    let (told, spent, said, behind) = thread::scope(|scope| {
        let load = scope.spawn(|| pgbench(server, &load));
        thread::sleep(Duration::from_secs(WARM));
        let before = cpu(&pids);
        thread::sleep(Duration::from_secs(seconds));
        let (spent, said) = (cpu(&pids) - before, watch.said());
        let proofs = said.iter().filter_map(|said| if let Said::CaughtUp(at) = said { Some(*at) } else { None });
        let behind = now().since(proofs.max().expect("it was caught up"));
        (load.join().unwrap(), spent, said, behind)
    });
    let rate = told.lines().find(|line| line.starts_with("tps")).unwrap_or_default().to_owned();
    let records = said.iter().filter(|said| matches!(said, Said::Record(_))).count();
    let share = 100.0 * spent / seconds as f64;
    println!("{how}: {share:.2} % of a core over {seconds} s, {rate}; {records} records, {behind} behind");
    watch.stop();
}

#[test]
#[ignore = "a measurement"]
fn postgres_cost() {
    let server = Postgres::start(&[]);
    server.sql("postgres", "create role watcher login password 'w'; grant pg_monitor to watcher");
    fill(&server);
    for (how, sweep) in [("trusted", Sweep::Never), ("as by default", Sweep::Gentle)] {
        let of = |name: &str| Table { updated: Some("mtime".into()), sweep, ..table(name) };
        let tables = vec![of("pgbench_accounts"), of("pgbench_history")];
        let common = Common { poll: Span::seconds(1), lateness: Span::seconds(5), clock_skew: Span::ZERO };
        let options = Options { url: Secret(server.url("watcher", "w", "postgres")), tables, common };
        measure(&server, how, Box::new(Poll::new(options)));
    }
}
