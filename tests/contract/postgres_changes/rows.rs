//! What comes of rows: values, operations, keys, what was there before.

use super::{TABLES, options, server};
use crate::servers::postgres::Postgres;
use crate::watch::{Place, Said, Seen, Watch};
use throughline::model::time::Time;
use throughline::sources::live::Start;
use throughline::sources::postgres::changes::{Changes, Options, Table};

fn watch(options: Options) -> Watch {
    Watch::start(Box::new(Changes::new(options)), Place::default())
}

fn seen(said: &[Said]) -> Vec<Seen> {
    said.iter().filter_map(|said| if let Said::Record(record) = said { Some(record.clone()) } else { None }).collect()
}

/// What comes of statements, each in a transaction of its own: operation, table, key and row, one a line.
fn told(server: &Postgres, options: Options, sql: &[&str]) -> String {
    let watch = watch(options);
    watch.until_caught_up();
    sql.iter().for_each(|sql| _ = server.sql("postgres", sql));
    let said = watch.until_caught_up();
    watch.stop();
    lines(&seen(&said))
}

fn lines(records: &[Seen]) -> String {
    let line = |record: &Seen| {
        assert_eq!(record.stream.as_ref(), Some(&record.part));
        let (op, key) = (record.op.as_deref().unwrap_or("-"), record.key.as_deref().unwrap_or("-"));
        format!("{op} {} {key} {}", record.part, record.payload)
    };
    records.iter().map(line).collect::<Vec<_>>().join("\n")
}

/// A server with one published table.
fn with_table(columns: &str, after: &str) -> (Postgres, Options) {
    let server = server();
    server.sql("postgres", &format!("create table t ({columns}); grant select on t to watcher; {after}"));
    server.sql("postgres", "create publication t for table t");
    let mut options = options(server.port, &["t"]);
    options.publication = "t".into();
    (server, options)
}

#[test]
fn a_commit_gives_each_of_its_rows_one_version() {
    let (server, options) = with_table("id int primary key, n int", "insert into t values (1, 0), (2, 0), (3, 0)");
    let sql = [
        "begin; insert into t values (7, 1); update t set n = 2 where id = 7; update t set n = 9 where id = 1; commit",
        "begin; update t set n = 5 where id = 2; delete from t where id = 2; commit",
        "begin; delete from t where id = 3; insert into t values (3, 8); commit",
        "begin; insert into t values (8, 1); update t set n = 4 where id = 8; delete from t where id = 8; commit",
        "begin; insert into t values (9, 1); rollback",
        "begin; insert into t values (10, 1); savepoint s; insert into t values (11, 1); rollback to s; commit",
        "begin; insert into t values (12, 1); prepare transaction 'p'",
        "update t set n = 3 where id = 1",
        "commit prepared 'p'",
        "update t set id = 70 where id = 7",
        "update t set n = n where id = 70",
        "delete from t where id = 70",
    ];
    insta::assert_snapshot!(told(&server, options, &sql), @r#"
    insert t 7 {"id":7,"n":2}
    update t 1 {"id":1,"n":9}
    delete t 2 {"id":2}
    update t 3 {"id":3,"n":8}
    insert t 8 {"id":8,"n":4}
    delete t 8 {"id":8}
    insert t 10 {"id":10,"n":1}
    update t 1 {"id":1,"n":3}
    insert t 12 {"id":12,"n":1}
    delete t 7 {"id":7}
    insert t 70 {"id":70,"n":2}
    update t 70 {"id":70,"n":2}
    delete t 70 {"id":70}
    "#);
}

#[test]
fn under_full_identity_the_old_row_is_told() {
    let key = "alter table t replica identity full; insert into t values (1, 'a', 2), (2, null, 3)";
    let (server, mut options) = with_table("id int, \"Region\" text, n int", key);
    options.tables[0].key = vec!["Region".into(), "id".into()];
    let sql = ["update t set n = 5 where id = 1", "update t set id = 4 where id = 1", "delete from t"];
    insta::assert_snapshot!(told(&server, options, &sql), @r#"
    update t ["a",1] {"id":1,"Region":"a","n":5}
    delete t ["a",1] {"id":1,"Region":"a","n":5}
    insert t ["a",4] {"id":4,"Region":"a","n":5}
    delete t - {"id":2,"Region":null,"n":3}
    delete t ["a",4] {"id":4,"Region":"a","n":5}
    "#);
}

#[test]
fn a_truncated_table_is_told_and_admits_that_its_rows_are_not() {
    let (server, options) = with_table("id int primary key", "insert into t values (1)");
    let watch = watch(options);
    watch.until_caught_up();
    server.sql("postgres", "begin; insert into t values (2); truncate t; insert into t values (3); commit");
    let said = watch.until_caught_up();
    assert_eq!(lines(&seen(&said)), "truncate t - {}\ninsert t 3 {\"id\":3}");
    assert!(said.iter().any(|said| matches!(said, Said::Hole(why) if why.contains("truncated"))), "{said:?}");
    watch.stop();
}

#[test]
fn large_values_that_an_update_leaves_alone_are_never_null() {
    let columns = "id int primary key, n int, large text";
    let (server, options) = with_table(columns, "alter table t alter large set storage external");
    let fill = "repeat('x', 3000)";
    let insert = |id: u32| format!("insert into t values ({id}, 0, {fill})");
    let sql = [
        &insert(1),
        "update t set n = 1 where id = 1",
        &format!("begin; {}; update t set n = 2 where id = 2; update t set id = 3 where id = 2; commit", insert(2)),
        "alter table t replica identity full",
        "update t set n = 4 where id = 1",
        "update t set large = null where id = 1",
    ];
    let told = told(&server, options, &sql).replace(&"x".repeat(3000), "…");
    insta::assert_snapshot!(told, @r#"
    insert t 1 {"id":1,"n":0,"large":"…"}
    update t 1 {"id":1,"n":1}
    insert t 2 {"id":2,"n":2,"large":"…"}
    delete t 2 {"id":2}
    insert t 3 {"id":3,"n":2,"large":"…"}
    update t 1 {"id":1,"n":4,"large":"…"}
    update t 1 {"id":1,"n":4,"large":null}
    "#);
}

#[test]
fn values_of_all_common_types_become_json() {
    let types = "create type mood as enum ('sad', 'so so'); create domain cents as bigint check (value >= 0);
                 create type pair as (a int, b text); create domain prices as numeric(9,2)[]";
    let server = server();
    server.sql("postgres", types);
    server.sql(
        "postgres",
        "create schema \"Sales\"; grant usage on schema \"Sales\" to watcher;
         create table \"Sales\".\"All Types\" (
            id uuid primary key, yes bool, s smallint, big bigint, num numeric, real real, double float8, text text,
            code varchar(9), fixed char(4), json json, jsonb jsonb, local timestamp, moment timestamptz(3), day date,
            clock time, span interval, bytes bytea, ints int[], texts text[][], mood mood, moods mood[], cents cents,
            prices prices, pair pair, pairs pair[], range int4range, address inet, nothing text);
         grant select on \"Sales\".\"All Types\" to watcher; create publication s for tables in schema \"Sales\"",
    );
    let mut options = options(server.port, &["Sales.All Types"]);
    options.publication = "s".into();
    let insert = r#"set timezone = 'Asia/Tokyo'; insert into "Sales"."All Types" values (
        'A0EEBC99-9C0B-4EF8-BB6D-6BB9BD380A11', true, -7, 9007199254740993, 12345678901234567890.1200, 1.5, 'NaN',
        E'a "b" \\ \n ä', 'x', 'ab', '{"a": 1,  "a": 2}', '{"b": [1, null]}', '2026-11-26 01:02:03.000004',
        '2026-11-26 01:02:03.4567+09', '2026-11-26', '01:02:03', '1 day 02:00', '\xdead', '{1,null}',
        '{{a,"b,c"},{"NULL",null}}', 'so so', '{sad,"so so"}', 5, '{1.50,2}', '(1,"x y")', '{"(1,x)"}', '[1,5)',
        '10.0.0.1/8', null)"#;
    insta::assert_snapshot!(told(&server, options, &[insert]).replace(",\"", ",\n\""), @r#"
    insert Sales.All Types a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11 {"id":"a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11",
    "yes":true,
    "s":-7,
    "big":9007199254740993,
    "num":12345678901234567890.1200,
    "real":1.5,
    "double":"NaN",
    "text":"a \"b\" \\ \n ä",
    "code":"x",
    "fixed":"ab  ",
    "json":{"a": 1,  "a": 2},
    "jsonb":{"b": [1, null]},
    "local":"2026-11-26T01:02:03.000004",
    "moment":"2026-11-25T16:02:03.457Z",
    "day":"2026-11-26",
    "clock":"01:02:03",
    "span":"1 day 02:00:00",
    "bytes":"\\xdead",
    "ints":[1,null],
    "texts":[["a",
    "b,c"],["NULL",null]],
    "mood":"so so",
    "moods":["sad",
    "so so"],
    "cents":5,
    "prices":[1.50,2.00],
    "pair":"(1,\"x y\")",
    "pairs":["(1,x)"],
    "range":"[1,5)",
    "address":"10.0.0.1/8",
    "nothing":null}
    "#);
}

#[test]
fn tables_change_while_they_are_followed() {
    let (server, options) = with_table("id int primary key, a int", "");
    let sql = [
        "insert into t values (1, 1)",
        "alter table t add b text default 'b', drop a",
        "insert into t values (2)",
        "create type late as enum ('x'); alter table t add c late[]",
        "insert into t values (3, 'c', '{x}')",
        "begin; insert into t values (4); alter table t rename b to bb; update t set bb = 'z' where id = 4; commit",
    ];
    insta::assert_snapshot!(told(&server, options, &sql), @r#"
    insert t 1 {"id":1,"a":1}
    insert t 2 {"id":2,"b":"b"}
    insert t 3 {"id":3,"b":"c","c":["x"]}
    insert t 4 {"id":4,"bb":"z","c":null}
    "#);
}

#[test]
fn a_partitioned_table_is_one_table() {
    let (server, mut options) = with_table("id int primary key, n int) partition by range (id", "");
    server.sql(
        "postgres",
        "create table low partition of t for values from (0) to (10);
         create table high partition of t for values from (10) to (20);
         create publication whole for table t with (publish_via_partition_root = true)",
    );
    options.publication = "whole".into();
    let told = told(&server, options, &["insert into t values (1, 1), (11, 1)", "update t set n = 2 where id = 11"]);
    insta::assert_snapshot!(told, @r#"
    insert t 1 {"id":1,"n":1}
    insert t 11 {"id":11,"n":1}
    update t 11 {"id":11,"n":2}
    "#);
}

#[test]
fn commits_stamp_their_rows_and_the_log_numbers_them() {
    let server = server();
    let watch = watch(options(server.port, &TABLES));
    watch.until_caught_up();
    let clock =
        || server.sql("postgres", "select (extract(epoch from clock_timestamp()) * 1e6)::int8").parse::<i64>().unwrap();
    let before = clock();
    server.sql("postgres", "begin; insert into events values (1), (2); insert into others values (1); commit");
    let after = clock();
    let records = seen(&watch.until_caught_up());
    watch.stop();
    assert_eq!(records.iter().map(|record| record.offset).collect::<Vec<_>>(), [0, 1, 2]);
    let first = &records[0];
    for record in &records {
        assert_eq!((record.time, &record.headers), (first.time, &first.headers), "one commit");
        assert!(record.time.unwrap() >= Time(before * 1_000) && record.time.unwrap() <= Time(after * 1_000));
    }
    assert_eq!(first.headers.iter().map(|(name, _)| name.as_str()).collect::<Vec<_>>(), ["lsn", "xid"]);
}

#[test]
fn from_the_beginning_the_rows_that_are_there_come_first() {
    let columns = "id int primary key, at timestamptz, tags text[]";
    let rows = "insert into t values (1, '2026-11-26 01:00:00+00', '{a,\"b c\"}'), (2, null, null)";
    let (server, mut options) = with_table(columns, rows);
    options.start = Start::Beginning;
    let told = told(&server, options.clone(), &["update t set at = null where id = 1"]);
    insta::assert_snapshot!(told, @r#"
    - t 1 {"id":1,"at":"2026-11-26T01:00:00Z","tags":["a","b c"]}
    - t 2 {"id":2,"at":null,"tags":null}
    update t 1 {"id":1,"at":null,"tags":["a","b c"]}
    "#);
    // Only at the very first start.
    let first = watch(options.clone());
    first.until_caught_up();
    let (_, place) = first.stop();
    let again = Watch::start(Box::new(Changes::new(options)), place);
    assert_eq!(lines(&seen(&again.until_caught_up())), "");
    again.stop();
}

#[test]
fn a_table_may_be_named_with_its_schema() {
    let (server, mut options) = with_table("id int primary key", "");
    options.tables = vec![Table { name: "public.t".into(), key: Vec::new() }];
    assert_eq!(told(&server, options, &["insert into t values (1)"]), "insert t 1 {\"id\":1}");
}
