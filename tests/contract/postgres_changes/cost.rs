//! What watching costs the server. Not a test but a measurement: `cargo test --test contract changes_cost -- --ignored
//! --nocapture`; `CHANGES_SECONDS` says for how long. It needs `pgbench`, which comes with the server.

use super::{options, server};
use crate::servers::postgres::binary;
use crate::watch::{Place, Said, Watch};
use std::fs;
use std::process::Command;
use throughline::sources::postgres::changes::{Changes, Options};

const RATE: u64 = 1_000;
const SECONDS: u64 = 60;
/// Of `/proc/PID/stat`.
const TICKS_PER_SECOND: f64 = 100.0;

/// The CPU time of the watcher's connections, in seconds.
fn cpu(pids: &[String]) -> f64 {
    let of = |pid: &String| {
        let stat = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap();
        let fields: Vec<&str> = stat.rsplit(')').next().unwrap().split_whitespace().collect();
        fields[11].parse::<f64>().unwrap() + fields[12].parse::<f64>().unwrap()
    };
    pids.iter().map(of).sum::<f64>() / TICKS_PER_SECOND
}

#[test]
#[ignore = "a measurement"]
fn changes_cost() {
    let server = server();
    let seconds = std::env::var("CHANGES_SECONDS").ok().and_then(|text| text.parse().ok()).unwrap_or(SECONDS);
    let port = server.port.to_string();
    let pgbench = |arguments: &[&str]| {
        let mut command = Command::new(binary("pgbench"));
        command.args(["-h", "127.0.0.1", "-p", &port, "-U", "postgres"]).args(arguments).arg("postgres");
        let output = command.output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8_lossy(&output.stdout).into_owned()
    };
    pgbench(&["-i", "-q"]);
    server.sql(
        "postgres",
        "alter table pgbench_history add id bigserial primary key; grant select on pgbench_accounts, pgbench_history to \
         watcher; create publication bench for table pgbench_accounts, pgbench_history",
    );
    for slot in [None, Some("watch".to_owned())] {
        let tables = ["pgbench_accounts", "pgbench_history"];
        let options = Options { publication: "bench".into(), slot, ..options(server.port, &tables) };
        let how = if options.slot.is_some() { "a permanent slot" } else { "a temporary slot" };
        let watch = Watch::start(Box::new(Changes::new(options)), Place::default());
        watch.until_caught_up();
        let pids = server.sql("postgres", "select pid from pg_stat_activity where usename = 'watcher'");
        let pids: Vec<String> = pids.lines().map(str::to_owned).collect();
        let before = cpu(&pids);
        let told = pgbench(&["-N", "-c", "4", "-R", &RATE.to_string(), "-T", &seconds.to_string()]);
        let spent = cpu(&pids) - before;
        let rate = told.lines().find(|line| line.starts_with("tps")).unwrap_or_default().to_owned();
        let said = watch.until_caught_up();
        let records = said.iter().filter(|said| matches!(said, Said::Record(_))).count();
        let proofs = said.iter().filter(|said| matches!(said, Said::CaughtUp(_))).count();
        let share = 100.0 * spent / seconds as f64;
        println!("{how}: {share:.2} % of a core over {seconds} s, {rate}; {records} records, {proofs} proofs");
        watch.stop();
    }
}
