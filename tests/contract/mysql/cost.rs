//! What watching costs the server. Not a test but a measurement: `cargo test --test contract mysql_cost -- --ignored
//! --nocapture`; `COST_SECONDS` says for how long.

use crate::postgres::table;
use crate::servers::mariadb::Mariadb;
use crate::watch::{Place, Said, Watch, now};
use sqlx::mysql::{MySqlConnectOptions, MySqlConnection};
use sqlx::{AssertSqlSafe, ConnectOptions, Executor};
use std::fs;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};
use std::thread;
use std::time::{Duration, Instant};
use throughline::model::time::Span;
use throughline::sources::live::Source;
use throughline::sources::mysql::{Options, Poll};
use throughline::sources::secret::Secret;
use throughline::sources::tables::{Common, Sweep, Table};

const RATE: u64 = 1_000;
const SECONDS: u64 = 60;
/// Before that, the first looks are over.
const WARM: Duration = Duration::from_secs(20);
const WRITERS: u64 = 4;
/// Of `/proc/PID/stat`.
const TICKS_PER_SECOND: f64 = 100.0;

/// The CPU time of the threads of the server that serve the watcher, in seconds.
fn cpu(server: &Mariadb) -> f64 {
    let threads = server.sql("", "SELECT TID FROM information_schema.PROCESSLIST WHERE USER = 'watcher'");
    let of = |thread: &str| {
        let stat = fs::read_to_string(format!("/proc/{}/task/{thread}/stat", server.pid())).unwrap();
        let fields: Vec<&str> = stat.rsplit(')').next().unwrap().split_whitespace().collect();
        fields[11].parse::<f64>().unwrap() + fields[12].parse::<f64>().unwrap()
    };
    threads.lines().map(of).sum::<f64>() / TICKS_PER_SECOND
}

/// Transactions of an insert and an update, and an insert in another table.
fn writer(url: &str, number: u64, on: &AtomicBool, count: &AtomicU64) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let options: MySqlConnectOptions = url.parse().unwrap();
        let mut connection: MySqlConnection = options.disable_statement_logging().connect().await.unwrap();
        let (begun, mut done) = (Instant::now(), 0);
        while on.load(Relaxed) {
            let id = (done * 7_919 + number * 104_729) % 900_000 + 1;
            let sql = format!(
                "BEGIN; INSERT INTO orders (state) VALUES ('new'); UPDATE orders SET state = 'paid', updated_at = NOW(6) \
                 WHERE id = {id}; INSERT INTO payments (order_id) VALUES ({id}); COMMIT"
            );
            connection.execute(sqlx::raw_sql(AssertSqlSafe(sql))).await.unwrap();
            done += 1;
            count.fetch_add(1, Relaxed);
            let due = Duration::from_micros(done * 1_000_000 * WRITERS / RATE);
            tokio::time::sleep(due.saturating_sub(begun.elapsed())).await;
        }
    });
}

/// A server with a table of 900,000 rows and one that is empty, and its writer.
pub fn large() -> Mariadb {
    let server = Mariadb::start(&[
        "--log-bin=bin",
        "--binlog-format=ROW",
        "--server-id=1",
        "--general-log=0",
        "--innodb-buffer-pool-size=512M",
    ]);
    server.sql(
        "shop",
        "CREATE TABLE orders (id bigint AUTO_INCREMENT PRIMARY KEY, state varchar(9), note varchar(60) DEFAULT 'a note of \
         some length', updated_at timestamp(6) DEFAULT NOW(6), KEY (updated_at));
         INSERT INTO orders (state, updated_at) SELECT 'old', '2026-01-01' FROM seq_1_to_900000;
         CREATE TABLE payments (id bigint AUTO_INCREMENT PRIMARY KEY, order_id bigint, updated_at timestamp(6) \
         DEFAULT NOW(6), KEY (updated_at));
         CREATE USER writer IDENTIFIED BY 'w'; GRANT ALL ON *.* TO writer; CREATE USER watcher IDENTIFIED BY 'w';
         GRANT PROCESS, BINLOG MONITOR, REPLICATION SLAVE ON *.* TO watcher; GRANT SELECT ON shop.* TO watcher",
    );
    server
}

/// Measures one way to watch, while the writers write.
pub fn measure(server: &Mariadb, how: &str, source: Box<dyn Source>) {
    let seconds = std::env::var("COST_SECONDS").ok().and_then(|text| text.parse().ok()).unwrap_or(SECONDS);
    let watch = Watch::start(source, Place::default());
    watch.until("a first proof", |said| said.iter().any(|said| matches!(said, Said::CaughtUp(_))));
    let (on, count) = (AtomicBool::new(true), AtomicU64::new(0));
    thread::scope(|scope| {
        for number in 0..WRITERS {
            let (url, on, count) = (server.url("writer", "w"), &on, &count);
            scope.spawn(move || writer(&url, number, on, count));
        }
        thread::sleep(WARM);
        let (before, begun) = (cpu(server), Instant::now());
        thread::sleep(Duration::from_secs(seconds));
        let (spent, took) = (cpu(server) - before, begun.elapsed().as_secs_f64());
        on.store(false, Relaxed);
        let rate = count.load(Relaxed) as f64 / took;
        let said = watch.said();
        let records = said.iter().filter(|said| matches!(said, Said::Record(_))).count();
        let proven = said.iter().filter_map(|said| if let Said::CaughtUp(at) = said { Some(*at) } else { None }).max();
        let behind = now().since(proven.unwrap());
        println!(
            "{how}: {:.2} % of a core over {took:.0} s, {rate:.0} transactions/s, {records} records, {behind} behind",
            100.0 * spent / took
        );
    });
    watch.stop();
}

fn polled(server: &Mariadb, sweep: Sweep) -> Box<dyn Source> {
    let of = |name: &str| Table { updated: Some("updated_at".into()), sweep, ..table(name) };
    let (tables, lateness) = (vec![of("orders"), of("payments")], Span::seconds(5));
    let common = Common { poll: Span::seconds(1), lateness, clock_skew: Span::ZERO };
    Box::new(Poll::new(Options { url: Secret(server.url("watcher", "w")), tables, common }))
}

#[test]
#[ignore = "a measurement"]
fn mysql_cost() {
    let server = large();
    measure(&server, "trusted", polled(&server, Sweep::Never));
    measure(&server, "as by default", polled(&server, Sweep::Gentle));
}
