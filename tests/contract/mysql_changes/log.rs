//! What becomes of the log: rotated, purged, begun anew, written by another server; large transactions.

use super::{SETTINGS, options, server, server_with};
use crate::servers::mariadb::Mariadb;
use crate::watch::{Place, Said, Watch};
use std::collections::BTreeSet;
use throughline::sources::mysql::changes::Changes;

fn watch(server: &Mariadb, place: Place) -> Watch {
    Watch::start(Box::new(Changes::new(options(server.port, &super::TABLES))), place)
}

fn keys(said: &[Said]) -> Vec<String> {
    said.iter().filter_map(|said| if let Said::Record(record) = said { record.key.clone() } else { None }).collect()
}

fn holes(said: &[Said]) -> Vec<String> {
    said.iter().filter_map(|said| if let Said::Hole(why) = said { Some(why.clone()) } else { None }).collect()
}

fn write(server: &Mariadb, id: u32) {
    server.sql("shop", &format!("INSERT INTO events VALUES ({id}, 'a')"));
}

/// A place behind the first row.
fn stopped_behind_one(server: &Mariadb) -> Place {
    let watch = watch(server, Place::default());
    watch.until_caught_up();
    write(server, 1);
    watch.until_caught_up();
    watch.stop().1
}

#[test]
fn nothing_is_lost_through_rotation_and_restart() {
    let mut server = server();
    let place = stopped_behind_one(&server);
    write(&server, 2);
    server.sql("", "FLUSH BINARY LOGS");
    write(&server, 3);
    server.stop();
    server.start_again();
    write(&server, 4);
    let watch = watch(&server, place);
    watch.until_caught_up();
    server.kill();
    server.start_again();
    write(&server, 5);
    let said = watch.until_caught_up();
    watch.stop();
    assert_eq!((keys(&said), holes(&said)), (["2", "3", "4", "5"].map(str::to_owned).to_vec(), vec![]));
}

#[test]
fn a_purged_log_is_a_hole_and_it_goes_on_with_what_comes() {
    let server = server();
    let place = stopped_behind_one(&server);
    write(&server, 2);
    server.sql("", "FLUSH BINARY LOGS; FLUSH BINARY LOGS");
    let last = server.sql("", "SHOW MASTER STATUS");
    let last = last.split('\t').next().unwrap();
    // A file that is being sent stays, and the server notices only after a while that nobody takes it any more.
    crate::servers::eventually("the log is not purged", || {
        server.sql("", &format!("PURGE BINARY LOGS TO '{last}'"));
        let left = server.sql("", "SHOW BINARY LOGS");
        if left.lines().count() == 1 { Ok(()) } else { Err(left) }
    });
    let watch = watch(&server, place);
    watch.until_caught_up();
    write(&server, 3);
    let said = watch.until_caught_up();
    watch.stop();
    assert_eq!((keys(&said), holes(&said).len()), (vec!["3".to_owned()], 1), "{said:?}");
}

#[test]
fn a_log_that_was_begun_anew_is_a_hole_even_where_the_old_place_is_in_it() {
    let server = server();
    let place = stopped_behind_one(&server);
    std::thread::sleep(std::time::Duration::from_millis(1_100));
    server.sql("", "RESET MASTER");
    for id in 2..40 {
        write(&server, id);
    }
    let watch = watch(&server, place);
    watch.until_caught_up();
    write(&server, 100);
    let said = watch.until_caught_up();
    watch.stop();
    assert_eq!((keys(&said), holes(&said).len()), (vec!["100".to_owned()], 1), "{:?}", holes(&said));
}

/// Prepared before a restart of the source, and committed after it.
#[test]
fn what_was_prepared_before_comes_with_its_commit() {
    let server = server();
    let first = watch(&server, Place::default());
    first.until_caught_up();
    server.sql("shop", "XA START 'p'; INSERT INTO events VALUES (1, 'a'); XA END 'p'; XA PREPARE 'p'");
    write(&server, 2);
    let said = first.until_caught_up();
    let (_, place) = first.stop();
    assert_eq!(keys(&said), ["2"]);
    write(&server, 3);
    let again = watch(&server, place);
    again.until_caught_up();
    server.sql("", "XA COMMIT 'p'");
    let said = again.until_caught_up();
    again.stop();
    assert_eq!((keys(&said), holes(&said)), (vec!["3".to_owned(), "1".to_owned()], vec![]));
}

/// Rows that the log does not tell.
#[test]
fn a_statement_in_the_log_is_a_hole() {
    let server = server();
    let watch = watch(&server, Place::default());
    watch.until_caught_up();
    server.sql("shop", "SET SESSION binlog_format = STATEMENT; INSERT INTO events VALUES (1, 'a')");
    let said = watch.until_caught_up();
    assert!(keys(&said).is_empty() && holes(&said)[0].contains("`events`"), "{said:?}");
    server.sql("shop", "SET SESSION binlog_row_image = MINIMAL; UPDATE events SET what = 'b'");
    let said = watch.until_caught_up();
    assert!(keys(&said).is_empty() && holes(&said)[1].contains("binlog_row_image"), "{said:?}");
    write(&server, 2);
    let said = watch.until_caught_up();
    watch.stop();
    assert_eq!(keys(&said), ["2"]);
}

#[test]
fn servers_that_do_not_log_rows_are_refused() {
    for (setting, word) in [
        ("--binlog-format=MIXED", "SET GLOBAL binlog_format = ROW"),
        ("--binlog-row-image=MINIMAL", "SET GLOBAL binlog_row_image = FULL"),
        ("--log-bin-compress=1", "SET GLOBAL log_bin_compress = OFF"),
        ("--binlog-ignore-db=shop", "does not log the database `shop`"),
        ("--skip-log-bin", "no binary log"),
    ] {
        let server = server_with(&[setting]);
        let watch = watch(&server, Place::default());
        let said = watch.until(setting, |said| said.iter().any(|said| matches!(said, Said::Failed(_))));
        assert!(matches!(&said[0], Said::Failed(why) if why.contains(word)), "{setting}: {said:?}");
        watch.stop();
    }
}

/// The server is another one, a replica that was made the primary: the count of the cluster tells where to go on.
#[test]
fn a_server_that_takes_over_is_gone_on_with_by_gtid() {
    let first = server();
    let second = Mariadb::start(&[&SETTINGS[..3], &["--server-id=2", "--log-slave-updates=1"]].concat());
    let place = stopped_behind_one(&first);
    second.sql("", "RESET MASTER");
    second.sql(
        "",
        &format!(
            "SET GLOBAL gtid_slave_pos = ''; DROP DATABASE shop; RESET MASTER; CHANGE MASTER TO MASTER_HOST='127.0.0.1', \
             MASTER_PORT={}, MASTER_USER='root', MASTER_USE_GTID=slave_pos, MASTER_SSL=0; START SLAVE",
            first.port
        ),
    );
    write(&first, 2);
    crate::servers::eventually("the replica does not follow", || {
        let count = second.sql(
            "",
            "SELECT COUNT(*) FROM information_schema.TABLES WHERE TABLE_NAME = 'events' AND TABLE_SCHEMA = 'shop'",
        );
        let rows = if count == "1" { second.sql("shop", "SELECT COUNT(*) FROM events") } else { "0".into() };
        if rows == "2" { Ok(()) } else { Err(second.sql("", "SHOW SLAVE STATUS")) }
    });
    second.sql("", "STOP SLAVE");
    write(&second, 3);
    let watch = watch(&second, place);
    let said = watch.until_caught_up();
    watch.stop();
    assert_eq!((keys(&said), holes(&said)), (vec!["2".to_owned(), "3".to_owned()], vec![]));
}

/// Larger than what is held in memory, and in parts.
#[test]
fn a_large_transaction_comes_whole() {
    let server = server();
    let watch = watch(&server, Place::default());
    watch.until_caught_up();
    server.sql(
        "shop",
        "BEGIN; INSERT INTO events SELECT seq, REPEAT('x', 500) FROM seq_1_to_60000; UPDATE events SET what = 'last' WHERE \
         id % 2 = 0; COMMIT",
    );
    let said = watch.until_caught_up();
    watch.stop();
    let keys = keys(&said);
    let different: BTreeSet<&String> = keys.iter().collect();
    let last = said.iter().filter(|said| matches!(said, Said::Record(record) if record.payload.contains("\"last\"")));
    assert_eq!((keys.len(), different.len(), last.count()), (60_000, 60_000, 30_000));
}
