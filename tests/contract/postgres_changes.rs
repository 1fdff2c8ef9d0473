//! PostgreSQL's log of changes.

use super::servers::postgres::Postgres;
use super::servers::proxy::Proxy;
use super::suite;
use super::system::System;
use super::watch::Seen;
use throughline::sources::live::{Source, Start};
use throughline::sources::postgres::changes::{Changes, Options, Table};
use throughline::sources::secret::Secret;

#[path = "postgres_changes/cost.rs"]
mod cost;
#[path = "postgres_changes/daemon.rs"]
mod daemon;
#[path = "postgres_changes/large.rs"]
mod large;
#[path = "postgres_changes/random.rs"]
mod random;
#[path = "postgres_changes/rows.rs"]
mod rows;
#[path = "postgres_changes/slots.rs"]
mod slots;

/// What is needed of a server, and of the user that watches it.
const SETTINGS: [&str; 3] = ["wal_level=logical", "max_replication_slots=8", "max_slot_wal_keep_size='2GB'"];
const SETUP: &str = "
    create role watcher login replication password 's3cret';
    create table events (id bigint primary key, what text);
    create table others (id bigint primary key, what text);
    grant select on events, others to watcher;
    create publication throughline for table events, others";
const TABLES: [&str; 2] = ["events", "others"];

/// A server with what [`SETUP`] makes.
pub fn server() -> Postgres {
    let server = Postgres::start(&SETTINGS);
    server.sql("postgres", SETUP);
    server
}

/// How the watcher follows tables on a port.
pub fn options(port: u16, tables: &[&str]) -> Options {
    Options {
        url: Secret(format!("postgres://watcher:s3cret@127.0.0.1:{port}/postgres")),
        publication: "throughline".into(),
        slot: None,
        tables: tables.iter().map(|name| Table { name: (*name).into(), key: Vec::new() }).collect(),
        start: Start::Latest,
    }
}

struct System_ {
    server: Postgres,
    proxy: Proxy,
    slot: Option<String>,
}

impl System_ {
    fn new(slot: Option<&str>) -> System_ {
        let server = server();
        let proxy = Proxy::to(server.port);
        System_ { server, proxy, slot: slot.map(str::to_owned) }
    }

    fn refused(&self, change: impl FnOnce(&mut Options)) -> Box<dyn Source> {
        let mut options = options(self.server.port, &TABLES);
        change(&mut options);
        Box::new(Changes::new(options))
    }
}

impl System for System_ {
    fn source(&self) -> Box<dyn Source> {
        Box::new(Changes::new(Options { slot: self.slot.clone(), ..options(self.proxy.port, &TABLES) }))
    }

    fn write(&mut self, id: u64) {
        // Each promise begins to count anew.
        let table = TABLES[id as usize % 2];
        let sql =
            format!("insert into {table} values ({id}, 'a') on conflict (id) do update set what = {table}.what || 'a'");
        self.server.sql("postgres", &sql);
    }

    fn id(&self, record: &Seen) -> u64 {
        record.key.as_ref().unwrap().parse().unwrap()
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
        let sql = |sql: &str| self.server.sql("postgres", sql);
        sql("create role poor login password 's3cret'; grant select on events, others to poor");
        sql("create role blind login replication password 's3cret'");
        sql("create table hidden (id int primary key); create table apart (id int primary key)");
        sql("create table bare (id int); create table loose (id int); alter table loose replica identity full");
        sql("create table cut (id int primary key) partition by range (id)");
        sql("grant select on bare, loose, apart, cut to watcher");
        sql("create publication more for table bare, loose, cut, hidden");
        sql("create publication half for table events, others with (publish = 'insert')");
        let port = self.server.port;
        let user = move |name: &str| Secret(format!("postgres://{name}@127.0.0.1:{port}/postgres"));
        let table = |name: &str| vec![Table { name: name.into(), key: Vec::new() }];
        let more = |name: &str| {
            self.refused(|o| {
                o.publication = "more".into();
                o.tables = table(name);
            })
        };
        vec![
            ("a wrong password", self.refused(|o| o.url = user("watcher:s3cret-not")), vec!["password", "watcher"]),
            ("a user without REPLICATION", self.refused(|o| o.url = user("poor:s3cret")), vec!["REPLICATION"]),
            (
                "a user without SELECT",
                self.refused(|o| o.url = user("blind:s3cret")),
                vec!["GRANT SELECT ON", "events"],
            ),
            (
                "no publication",
                self.refused(|o| o.publication = "Nowhere".into()),
                vec!["CREATE PUBLICATION \"Nowhere\" FOR TABLE \"public\".\"events\", \"public\".\"others\""],
            ),
            ("half a publication", self.refused(|o| o.publication = "half".into()), vec!["SET (publish ="]),
            (
                "a table that is not published",
                self.refused(|o| o.tables = table("apart")),
                vec!["ALTER PUBLICATION \"throughline\" ADD TABLE \"public\".\"apart\""],
            ),
            ("a hidden table", more("hidden"), vec!["may not read `hidden`", "GRANT SELECT ON \"public\".\"hidden\""]),
            ("a table that tells no row", more("bare"), vec!["ALTER TABLE \"public\".\"bare\" REPLICA IDENTITY FULL"]),
            ("a table without a key", more("loose"), vec!["`loose` has no primary key", "columns: {key: id}"]),
            ("a partitioned table", more("cut"), vec!["publish_via_partition_root = true"]),
            ("no table", self.refused(|o| o.tables = table("event")), vec!["no table `event`"]),
            ("no address", self.refused(|o| o.url = Secret("s3cret:nonsense".into())), vec!["postgres://user"]),
        ]
    }

    fn written_by_source(&mut self) -> Vec<String> {
        more_than_reading(&self.server)
    }
}

/// Statements of the watcher that are more than reading, and what of it is left in the database.
pub fn more_than_reading(server: &Postgres) -> Vec<String> {
    let log = server.log();
    let statements = log.lines().filter_map(|line| {
        let rest = line.strip_prefix("throughline|watcher| LOG:  ")?;
        let (how, statement) = rest.split_once(": ")?;
        (how == "statement" || how.starts_with("execute")).then_some(statement.trim_start())
    });
    let reads = |statement: &&str| {
        let begin = statement.to_lowercase();
        begin.starts_with("select ") || begin.starts_with("begin") || begin.starts_with("commit")
    };
    let mut seen: Vec<&str> = statements.collect();
    assert!(seen.iter().any(|statement| statement.contains("binary_changes")), "the log shows the watcher: {seen:?}");
    seen.retain(|statement| !reads(statement));
    let left =
        "select 'table ' || relname from pg_class c join pg_roles r on r.oid = c.relowner where rolname = 'watcher'
                union all select 'publication ' || pubname from pg_publication p join pg_roles r on r.oid = p.pubowner
                where rolname = 'watcher'
                union all select 'slot ' || slot_name from pg_replication_slots where temporary and not active";
    let left = server.sql("postgres", left);
    seen.into_iter().chain(left.lines()).map(str::to_owned).collect()
}

#[test]
fn changes_by_a_temporary_slot_keep_their_word() {
    suite::keeps_its_word(&mut System_::new(None));
}

#[test]
fn changes_by_a_permanent_slot_keep_their_word() {
    suite::keeps_its_word(&mut System_::new(Some("watch")));
}
