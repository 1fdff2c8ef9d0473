//! What becomes of rows: one version a commit, values of all types, tables that change.

use super::{options, server, server_with};
use crate::mysql;
use crate::servers::mariadb::Mariadb;
use crate::watch::{Place, Said, Seen, Watch};
use throughline::model::time::{Span, Time};
use throughline::sources::live::Start;
use throughline::sources::mysql::changes::{Changes, Options, Table};

fn watch(options: Options) -> Watch {
    Watch::start(Box::new(Changes::new(options)), Place::default())
}

fn seen(said: &[Said]) -> Vec<Seen> {
    said.iter().filter_map(|said| if let Said::Record(record) = said { Some(record.clone()) } else { None }).collect()
}

/// What comes of statements: operation, table, key and row, one a line, and holes.
fn told(server: &Mariadb, options: Options, sql: &[&str]) -> String {
    let watch = watch(options);
    watch.until_caught_up();
    for sql in sql {
        server.sql("shop", sql);
        watch.until_caught_up();
    }
    let (said, _) = watch.stop();
    lines(&said)
}

fn lines(said: &[Said]) -> String {
    let line = |said: &Said| match said {
        Said::Record(record) => {
            assert_eq!(record.stream.as_ref(), Some(&record.part));
            let (op, key) = (record.op.as_deref().unwrap_or("-"), record.key.as_deref().unwrap_or("-"));
            Some(format!("{op} {} {key} {}", record.part, record.payload))
        }
        Said::Hole(why) | Said::Failed(why) => Some(why.clone()),
        _ => None,
    };
    said.iter().filter_map(line).collect::<Vec<_>>().join("\n")
}

/// A server with one table.
fn with_table(columns: &str, after: &str) -> (Mariadb, Options) {
    let server = server();
    server.sql("shop", &format!("CREATE TABLE t ({columns}); {after}"));
    let options = options(server.port, &["t"]);
    (server, options)
}

#[test]
fn a_commit_gives_each_of_its_rows_one_version() {
    let (server, options) = with_table("id int PRIMARY KEY, n int", "INSERT INTO t VALUES (1, 0), (2, 0), (3, 0)");
    let sql = [
        "BEGIN; INSERT INTO t VALUES (7, 1); UPDATE t SET n = 2 WHERE id = 7; UPDATE t SET n = 9 WHERE id = 1; COMMIT",
        "BEGIN; UPDATE t SET n = 5 WHERE id = 2; DELETE FROM t WHERE id = 2; COMMIT",
        "BEGIN; DELETE FROM t WHERE id = 3; INSERT INTO t VALUES (3, 8); COMMIT",
        "BEGIN; INSERT INTO t VALUES (8, 1); UPDATE t SET n = 4 WHERE id = 8; DELETE FROM t WHERE id = 8; COMMIT",
        "BEGIN; INSERT INTO t VALUES (9, 1); ROLLBACK",
        "BEGIN; INSERT INTO t VALUES (10, 1); SAVEPOINT s; INSERT INTO t VALUES (11, 1); ROLLBACK TO s; COMMIT",
        "XA START 'p'; INSERT INTO t VALUES (12, 1); XA END 'p'; XA PREPARE 'p'",
        "UPDATE t SET n = 3 WHERE id = 1",
        "XA COMMIT 'p'",
        "XA START 'q'; INSERT INTO t VALUES (13, 1); XA END 'q'; XA PREPARE 'q'; XA ROLLBACK 'q'",
        "XA START 'r'; INSERT INTO t VALUES (14, 1); XA END 'r'; XA COMMIT 'r' ONE PHASE",
        "UPDATE t SET id = 70 WHERE id = 7",
        "UPDATE t SET n = n WHERE id = 70",
        "DELETE FROM t WHERE id = 70",
        "REPLACE INTO t VALUES (1, 50)",
    ];
    insta::assert_snapshot!(told(&server, options, &sql), @r#"
    insert t 7 {"id":7,"n":2}
    update t 1 {"id":1,"n":9}
    delete t 2 {"id":2,"n":5}
    update t 3 {"id":3,"n":8}
    insert t 8 {"id":8,"n":4}
    delete t 8 {"id":8,"n":4}
    insert t 10 {"id":10,"n":1}
    update t 1 {"id":1,"n":3}
    insert t 12 {"id":12,"n":1}
    insert t 14 {"id":14,"n":1}
    delete t 7 {"id":7,"n":2}
    insert t 70 {"id":70,"n":2}
    delete t 70 {"id":70,"n":2}
    update t 1 {"id":1,"n":50}
    "#);
}

/// What the log has is what polling reads.
#[test]
fn values_of_all_common_types_are_those_that_polling_reads() {
    for metadata in ["--binlog-row-metadata=FULL", "--binlog-row-metadata=NO_LOG"] {
        let server = server_with(&[metadata]);
        server.sql("shop", mysql::rows::ALL_TYPES);
        let options = options(server.port, &["All Types"]);
        let captured = told(&server, options, &[mysql::rows::A_ROW]);
        server.sql("", "GRANT PROCESS ON *.* TO watcher");
        let polled = mysql::rows::rows(&server.url("watcher", "s3cret"), crate::postgres::table("All Types"));
        assert_eq!(captured, format!("insert All Types {polled}"), "{metadata}");
    }
}

#[test]
fn keys_of_several_columns_and_null_keys() {
    let key = "INSERT INTO t VALUES (1, 'a', 2), (2, NULL, 3)";
    let (server, mut options) = with_table("id int, `Region` varchar(5), n int", key);
    options.tables[0].key = vec!["Region".into(), "id".into()];
    let sql = ["UPDATE t SET n = 5 WHERE id = 1", "UPDATE t SET id = 4 WHERE id = 1", "DELETE FROM t"];
    insta::assert_snapshot!(told(&server, options, &sql), @r#"
    update t ["a",1] {"id":1,"Region":"a","n":5}
    delete t ["a",1] {"id":1,"Region":"a","n":5}
    insert t ["a",4] {"id":4,"Region":"a","n":5}
    delete t ["a",4] {"id":4,"Region":"a","n":5}
    delete t - {"id":2,"Region":null,"n":3}
    "#);
}

#[test]
fn tables_change_while_they_are_followed() {
    for metadata in ["--binlog-row-metadata=FULL", "--binlog-row-metadata=NO_LOG"] {
        let server = server_with(&[metadata]);
        server.sql("shop", "CREATE TABLE t (id int PRIMARY KEY, a int)");
        let sql = [
            "INSERT INTO t VALUES (1, 1)",
            "ALTER TABLE t ADD b varchar(9) DEFAULT 'b', DROP a",
            "INSERT INTO t VALUES (2, 'x')",
            "ALTER TABLE shop.t CHANGE b c varchar(9)",
            "INSERT INTO t VALUES (3, 'y')",
            "RENAME TABLE t TO old, events TO t",
            "INSERT INTO t VALUES (4, 'z'); INSERT INTO old VALUES (5, 'no')",
            "TRUNCATE t",
            "INSERT INTO t VALUES (6, 'z')",
        ];
        let told = told(&server, options(server.port, &["t"]), &sql);
        insta::allow_duplicates! { insta::assert_snapshot!(told, @r#"
    insert t 1 {"id":1,"a":1}
    insert t 2 {"id":2,"b":"x"}
    insert t 3 {"id":3,"c":"y"}
    insert t 4 {"id":4,"what":"z"}
    `t` was truncated: which rows were deleted is not told
    truncate t - {}
    insert t 6 {"id":6,"what":"z"}
    "#); }
    }
}

/// What was logged before a table got the form that it has now is not guessed.
#[test]
fn what_cannot_be_read_surely_is_a_hole() {
    for metadata in ["--binlog-row-metadata=FULL", "--binlog-row-metadata=NO_LOG"] {
        let server = server_with(&[metadata]);
        server.sql("shop", "CREATE TABLE t (id int PRIMARY KEY, a int, b int)");
        let first = watch(options(server.port, &["t"]));
        first.until_caught_up();
        server.sql("shop", "INSERT INTO t VALUES (1, 1, 2)");
        first.until_caught_up();
        let (_, place) = first.stop();
        server.sql("shop", "INSERT INTO t VALUES (2, 1, 2); ALTER TABLE t CHANGE a b int, CHANGE b a int");
        server.sql("shop", "INSERT INTO t VALUES (3, 1, 2)");
        let again = Watch::start(Box::new(Changes::new(options(server.port, &["t"]))), place);
        again.until_caught_up();
        server.sql("shop", "INSERT INTO t VALUES (4, 1, 2)");
        let said = again.until_caught_up();
        again.stop();
        let told = lines(&said);
        assert!(!told.contains("insert t 2"), "{metadata}: a row of the old form was read by the new one: {told}");
        assert!(told.contains("a change of `t` cannot be read"), "{metadata}: {told}");
        assert!(told.ends_with(r#"insert t 4 {"id":4,"b":1,"a":2}"#), "{metadata}: {told}");
    }
}

#[test]
fn commits_are_stamped_and_the_log_numbers_them() {
    let server = server();
    let watch = watch(options(server.port, &super::TABLES));
    watch.until_caught_up();
    let clock = || server.sql("", "SELECT CAST(UNIX_TIMESTAMP(NOW(6)) * 1000000 AS SIGNED)").parse::<i64>().unwrap();
    let before = clock();
    server
        .sql("shop", "BEGIN; INSERT INTO events VALUES (1, 'a'), (2, 'a'); INSERT INTO others VALUES (1, 'a'); COMMIT");
    let after = clock();
    let records = seen(&watch.until_caught_up());
    watch.stop();
    assert_eq!(records.iter().map(|record| record.offset).collect::<Vec<_>>(), [0, 1, 2]);
    let first = &records[0];
    for record in &records {
        assert_eq!((record.time, &record.headers), (first.time, &first.headers), "one commit");
        let (least, most) = (Time(before * 1_000) - Span::seconds(1), Time(after * 1_000));
        assert!(record.time.unwrap() >= least && record.time.unwrap() <= most);
    }
    assert_eq!(first.headers.iter().map(|(name, _)| name.as_str()).collect::<Vec<_>>(), ["position", "gtid"]);
}

#[test]
fn from_the_beginning_the_rows_that_are_there_come_first() {
    let rows = "INSERT INTO t VALUES (1, '2026-11-26 01:00:00'), (2, NULL)";
    let (server, mut options) = with_table("id int PRIMARY KEY, at datetime", rows);
    options.start = Start::Beginning;
    let told = told(&server, options.clone(), &["UPDATE t SET at = NULL WHERE id = 1"]);
    insta::assert_snapshot!(told, @r#"
    - t 1 {"id":1,"at":"2026-11-26T01:00:00"}
    - t 2 {"id":2,"at":null}
    update t 1 {"id":1,"at":null}
    "#);
    // Only at the very first start.
    let first = watch(options.clone());
    first.until_caught_up();
    let (_, place) = first.stop();
    let again = Watch::start(Box::new(Changes::new(options)), place);
    assert_eq!(lines(&again.until_caught_up()), "");
    again.stop();
}

#[test]
fn a_table_may_be_named_with_its_database() {
    let (server, mut options) = with_table("id int PRIMARY KEY", "");
    options.tables = vec![Table { name: "shop.t".into(), key: Vec::new() }];
    assert_eq!(told(&server, options, &["INSERT INTO t VALUES (1)"]), "insert shop.t 1 {\"id\":1}");
}
