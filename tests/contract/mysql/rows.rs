//! What rows become, how they are told apart, and what is proven where not everything can be seen.

use super::source;
use crate::postgres::table;
use crate::servers::mariadb::Mariadb;
use crate::watch::{Place, Said, Watch};
use throughline::sources::live::{Source, Start};
use throughline::sources::mysql::{Options, Poll};
use throughline::sources::remark::Weight;
use throughline::sources::secret::Secret;
use throughline::sources::tables::{Sweep, Table};

/// A table with a column of each type.
pub const ALL_TYPES: &str = "CREATE TABLE `All Types` (id bigint unsigned PRIMARY KEY, tiny tinyint(1), filled int(5) zerofill, \
         amount decimal(20,4), ratio double, flag bit(1), flags bit(64), code char(4), name varchar(20) CHARACTER SET latin1, \
         body text, doc json, kind enum('a','b c'), tags set('x','y'), raw varbinary(8), fixed binary(4), blobs blob, \
         day date, clock time(3), local datetime(6), coarse datetime, moment timestamp(3) NULL, era year, \
         ref uuid, later uuid, random uuid, address inet6, place point, twice int AS (tiny * 2), nothing int)";
/// A row of it.
pub const A_ROW: &str = "SET time_zone = '+09:00', sql_mode = '';
         INSERT INTO `All Types` (id, tiny, filled, amount, ratio, flag, flags, code, name, body, doc, kind, tags, raw, fixed, \
         blobs, day, clock, local, coarse, moment, era, ref, later, random, address, place) VALUES (18446744073709551615, 1, 42, \
         1234567890.5, 1e20, b'1', 18446744073709551615, 'ab', 'Käse', 'a \"b\" \\\\ \\n ä 🎈', '{\"a\": 1,  \"b\": [null]}', \
         'b c', 'x,y', x'dead00', x'01', '', '2026-11-26', '-12:34:56.789', '2026-11-26 01:02:03.000004', \
         '0000-00-00 00:00:00', '2026-11-26 01:02:03.4567', 2026, '123e4567-e89b-12d3-a456-426655440000', \
         '01890a5d-ac96-774b-bcce-b302099a8057', 'a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11', '::1', POINT(1, 2))";

fn server(sql: &str) -> Mariadb {
    let server = Mariadb::start(&[]);
    server.sql(
        "shop",
        "CREATE USER watcher IDENTIFIED BY 'w'; GRANT PROCESS ON *.* TO watcher; GRANT SELECT ON shop.* TO watcher",
    );
    server.sql("shop", sql);
    server
}

/// The rows of a table from its beginning on: key and payload, one a line.
pub fn rows(url: &str, table: Table) -> String {
    let table = Table { start: Start::Beginning, ..table };
    let watch = Watch::start(source(url.to_owned(), vec![table]), Place::default());
    let said = watch.until_caught_up();
    watch.stop();
    let line = |said: &Said| match said {
        Said::Record(record) => Some(format!("{} {}", record.key.as_deref().unwrap_or("-"), record.payload)),
        Said::Failed(why) | Said::Hole(why) => Some(why.clone()),
        _ => None,
    };
    said.iter().filter_map(line).collect::<Vec<_>>().join("\n")
}

#[test]
fn values_of_all_common_types_become_json() {
    let server = server(&format!("{ALL_TYPES}; {A_ROW}"));
    insta::assert_snapshot!(rows(&server.url("watcher", "w"), table("All Types")).replace(",\"", ",\n\""), @r#"
    18446744073709551615 {"id":18446744073709551615,
    "tiny":1,
    "filled":42,
    "amount":1234567890.5000,
    "ratio":1e20,
    "flag":1,
    "flags":18446744073709551615,
    "code":"ab",
    "name":"Käse",
    "body":"a \"b\" \\ \n ä 🎈",
    "doc":{"a": 1,  "b": [null]},
    "kind":"b c",
    "tags":"x,y",
    "raw":"dead00",
    "fixed":"01000000",
    "blobs":"",
    "day":"2026-11-26",
    "clock":"-12:34:56.789",
    "local":"2026-11-26T01:02:03.000004",
    "coarse":"0000-00-00 00:00:00",
    "moment":"2026-11-25T16:02:03.456Z",
    "era":2026,
    "ref":"123e4567-e89b-12d3-a456-426655440000",
    "later":"01890a5d-ac96-774b-bcce-b302099a8057",
    "random":"a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11",
    "address":"::1",
    "place":"000000000101000000000000000000f03f0000000000000040",
    "twice":2,
    "nothing":null}
    "#);
}

#[test]
fn rows_are_told_apart_by_the_columns_that_do() {
    let server = server(
        "CREATE TABLE composite (region varchar(5), id bigint, raw binary(2), PRIMARY KEY (region, id, raw));
         INSERT INTO composite VALUES ('eu', 7, 'ab'), ('it''s', -1, 'cd');
         CREATE TABLE bare (a int, b varchar(5)); INSERT INTO bare VALUES (1, 'x'), (2, NULL);
         CREATE TABLE sorted (kind enum('z', 'a') PRIMARY KEY); INSERT INTO sorted VALUES ('z'), ('a');
         CREATE TABLE `Odd.``Name` (`K``ey` varchar(9) PRIMARY KEY); INSERT INTO `Odd.``Name` VALUES ('A')",
    );
    let bare = Table { key: vec!["a".into()], ..table("bare") };
    let told = [table("composite"), bare, table("sorted"), table("\"Odd.`Name\""), table("shop.\"Odd.`Name\"")];
    insta::assert_snapshot!(told.map(|table| rows(&server.url("watcher", "w"), table)).join("\n"), @r#"
    ["eu",7,"6162"] {"region":"eu","id":7,"raw":"6162"}
    ["it's",-1,"6364"] {"region":"it's","id":-1,"raw":"6364"}
    1 {"a":1,"b":"x"}
    2 {"a":2,"b":null}
    z {"kind":"z"}
    a {"kind":"a"}
    A {"K`ey":"A"}
    A {"K`ey":"A"}
    "#);
}

/// Page after page, in the order that the index has: by a collation that folds, by several columns.
#[test]
fn large_tables_are_read_a_page_after_the_other() {
    let server = server(
        "CREATE TABLE folded (a varchar(20), b int, v int, PRIMARY KEY (a, b));
         INSERT INTO folded SELECT IF(seq % 2, CONCAT('Key ', seq DIV 3), CONCAT('key ', seq DIV 3)), seq, 1 FROM seq_1_to_5000;
         CREATE TABLE moments (at timestamp(6) PRIMARY KEY);
         INSERT INTO moments SELECT '2026-10-25 00:00:00' + INTERVAL seq SECOND FROM seq_1_to_3000",
    );
    for (name, count) in [("folded", 5_000), ("moments", 3_000)] {
        let rows = rows(&server.url("watcher", "w"), table(name));
        let different: std::collections::BTreeSet<&str> = rows.lines().collect();
        assert_eq!((rows.lines().count(), different.len()), (count, count), "{name}");
    }
}

/// Columns that were filled in another zone, and what a time cannot be.
#[test]
fn times_are_read_in_the_zone_that_is_declared() {
    let server = server(
        "SET time_zone = '+09:00', sql_mode = '';
         CREATE TABLE t (id int PRIMARY KEY, at datetime, made timestamp NULL);
         INSERT INTO t VALUES (1, '2026-07-01 12:00:00', NULL), (2, NULL, '2026-07-01 12:00:00'), \
         (3, '0000-00-00 00:00:00', NULL)",
    );
    let zone = chrono_tz::Europe::Berlin;
    let times = |column: &str| {
        let table = Table { time: Some(column.into()), zone, start: Start::Beginning, ..table("t") };
        let watch = Watch::start(source(server.url("watcher", "w"), vec![table]), Place::default());
        let said = watch.until_caught_up();
        watch.stop();
        let times = said.iter().filter_map(|said| match said {
            Said::Record(record) => Some(record.time.unwrap().to_string()),
            _ => None,
        });
        times.filter(|time| time.starts_with("2026-07")).collect::<Vec<_>>()
    };
    assert_eq!(
        (times("at"), times("made")),
        (vec!["2026-07-01T10:00:00Z".into()], vec!["2026-07-01T03:00:00Z".into()])
    );
}

#[test]
fn a_look_at_the_server_says_what_can_be_proven() {
    let server = server(
        "CREATE TABLE orders (id varchar(9) COLLATE utf8mb4_general_ci PRIMARY KEY, updated_at datetime, KEY (updated_at));
         CREATE TABLE loose (id float PRIMARY KEY, updated_at datetime); CREATE USER blind IDENTIFIED BY 'b';
         GRANT SELECT ON shop.* TO blind",
    );
    let looked = |user: &str, tables: Vec<Table>| {
        let common = crate::postgres::COMMON;
        let mut source = Poll::new(Options { url: Secret(server.url(user, &user[..1])), tables, common });
        let remarks = source.examine().unwrap();
        let port = server.port.to_string();
        let line = |weight: Weight, text: String| format!("{weight:?}: {}", text.replace(&port, "PORT"));
        let said: Vec<String> = remarks.into_iter().map(|remark| line(remark.weight, remark.text)).collect();
        said.join("\n")
    };
    let updated = |name: &str| Table { updated: Some("updated_at".into()), ..table(name) };
    let trusted = Table { sweep: Sweep::Never, ..updated("loose") };
    let version = server.sql("", "SELECT VERSION()");
    let version = version.split('-').next().unwrap();
    let told =
        [looked("watcher", vec![updated("orders"), trusted, table("view")]), looked("blind", vec![table("orders")])];
    insta::assert_snapshot!(told.join("\n\n").replace(version, "VERSION"), @r#"
    Good: MariaDB VERSION at watcher@127.0.0.1:PORT/shop lets us in, to read only
    Good: it tells which transactions are under way, so progress is proven
    Error: the server at watcher@127.0.0.1:PORT/shop has no table view; names are taken letter by letter, a database stands before a dot
    Good: orders: 0 rows, told apart by id
    Warning: orders: to the database, values of `id` that differ in case may be one (utf8mb4_general_ci); here, keys are compared letter by letter. Where other records write it in other letters, bind `lower(row.id)`
    Good: orders: a poll by `updated_at` is a range by the index updated_at, 1 rows
    Good: loose: 0 rows, told apart by id
    Warning: loose: no primary key or unique index gives its rows an order, so all are read by one statement, 100000 at most
    Warning: loose: no index begins with `updated_at`, so each poll reads the whole table (ALL by no index, 1 rows): `CREATE INDEX … ON `shop`.`loose` (`updated_at`)`
    Warning: orders: no row changed within 5 s, so nothing shows whether `updated_at` rises with each change; ask again while the system is busy
    Warning: loose: no row changed within 5 s, so nothing shows whether `updated_at` rises with each change; ask again while the system is busy

    Good: MariaDB VERSION at blind@127.0.0.1:PORT/shop lets us in, to read only
    Warning: progress will be assumed, by the declared lateness: the user may not see when other users' transactions began: `GRANT PROCESS ON *.* TO …`
    Good: orders: 0 rows, told apart by id
    Warning: orders: to the database, values of `id` that differ in case may be one (utf8mb4_general_ci); here, keys are compared letter by letter. Where other records write it in other letters, bind `lower(row.id)`
    "#);
}
