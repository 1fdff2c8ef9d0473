//! Slots: where they are refused, what they lose, what they hold back.

use super::{SETUP, TABLES, options, server};
use crate::servers::postgres::Postgres;
use crate::watch::{Place, Said, Seen, Watch};
use throughline::sources::live::{Source, Start};
use throughline::sources::postgres::changes::{Changes, Options};
use throughline::sources::secret::Secret;

fn watch(options: &Options, place: Place) -> Watch {
    Watch::start(Box::new(Changes::new(options.clone())), place)
}

/// What the source says where it cannot go on.
#[track_caller]
fn refusal(options: &Options) -> String {
    let watch = watch(options, Place::default());
    let said = watch.until("a refusal", |said| said.iter().any(|said| matches!(said, Said::Failed(_))));
    watch.stop();
    said.into_iter().find_map(|said| if let Said::Failed(why) = said { Some(why) } else { None }).unwrap()
}

fn permanent(server: &Postgres) -> Options {
    Options { slot: Some("watch".into()), ..options(server.port, &TABLES) }
}

fn keys(said: &[Said]) -> Vec<String> {
    let record = |said: &Said| if let Said::Record(Seen { key, .. }) = said { key.clone() } else { None };
    said.iter().filter_map(record).collect()
}

fn hole(said: &[Said]) -> Option<String> {
    said.iter().find_map(|said| if let Said::Hole(why) = said { Some(why.clone()) } else { None })
}

fn insert(server: &Postgres, id: u32) {
    server.sql("postgres", &format!("insert into events values ({id})"));
}

#[test]
fn a_server_that_does_not_log_for_decoding_is_refused() {
    let server = Postgres::start(&["wal_level=replica"]);
    let options = options(server.port, &TABLES);
    // The administrator's password is not asked for.
    let url = Secret(server.url("postgres", "", "postgres"));
    let told = refusal(&Options { url, ..options });
    assert!(told.contains("ALTER SYSTEM SET wal_level = logical") && told.contains("`replica`"), "{told}");
}

#[test]
fn a_look_tells_beforehand_what_would_be_refused_and_lost() {
    let server = server();
    let look = |options: &Options| {
        let remarks = Changes::new(options.clone()).examine().unwrap();
        remarks.into_iter().map(|remark| format!("{:?} {}\n", remark.weight, remark.text)).collect::<String>()
    };
    let told = look(&options(server.port, &TABLES));
    for words in ["lets watcher in", "Good events: published", "told apart by id", "Warning what is committed while"] {
        assert!(told.contains(words), "{words}: {told}");
    }
    let told = look(&permanent(&server));
    assert!(told.contains("Good `run` will make the slot `watch`") && !told.contains("Warning"), "{told}");
    assert_eq!(server.sql("postgres", "select count(*) from pg_replication_slots"), "0", "a look makes nothing");
    server.sql("postgres", "alter role watcher noreplication; alter publication throughline drop table others");
    let told = look(&options(server.port, &TABLES));
    for words in ["Error watcher may not make a replication slot", "ADD TABLE \"public\".\"others\""] {
        assert!(told.contains(words), "{words}: {told}");
    }
    assert!(!told.contains("s3cret"), "{told}");
}

#[test]
fn slots_that_are_used_up_are_told_and_what_they_cost_is_bounded() {
    let server = Postgres::start(&["wal_level=logical", "max_replication_slots=1"]);
    server.sql("postgres", SETUP);
    let told = refusal(&permanent(&server));
    assert!(told.contains("max_slot_wal_keep_size is not set") && told.contains("leave out `slot`"), "{told}");
    server.sql("postgres", "select pg_create_physical_replication_slot('taken')");
    let told = refusal(&options(server.port, &TABLES));
    assert!(told.contains("max_replication_slots") && told.contains("drop one that nobody reads"), "{told}");
}

#[test]
fn a_permanent_slot_loses_nothing_and_holds_back_only_what_the_journal_lacks() {
    let server = server();
    let options = permanent(&server);
    let first = watch(&options, Place::default());
    first.until_caught_up();
    insert(&server, 1);
    let (said, place) = {
        first.until_caught_up();
        first.stop()
    };
    assert_eq!(keys(&said), ["1"]);
    insert(&server, 2);
    let second = watch(&options, place);
    insert(&server, 3);
    let said = second.until("both", |said| keys(said) == ["2", "3"]);
    assert_eq!(hole(&said), None);
    let position = || {
        let sql = "select confirmed_flush_lsn - '0/0' from pg_replication_slots where slot_name = 'watch'";
        server.sql("postgres", sql).parse::<u64>().unwrap()
    };
    let end: u64 = server.sql("postgres", "select pg_current_wal_flush_lsn() - '0/0'").parse().unwrap();
    second.until("the slot moves on", |_| position() >= end);
    second.stop();
}

#[test]
fn a_slot_that_was_dropped_read_or_given_up_leaves_a_hole() {
    let server = server();
    let options = permanent(&server);
    let mut watching = watch(&options, Place::default());
    let faults = [
        ("select pg_drop_replication_slot('watch')", "was dropped"),
        ("select pg_replication_slot_advance('watch', pg_current_wal_flush_lsn())", "read by somebody else"),
        (
            "alter system set max_slot_wal_keep_size = '1MB'; select pg_reload_conf(); select pg_switch_wal();
             create table filler as select generate_series(1, 200000); select pg_switch_wal(); checkpoint",
            "max_slot_wal_keep_size",
        ),
    ];
    for (at, (fault, word)) in (1..).zip(faults) {
        watching.until_caught_up();
        let (_, place) = watching.stop();
        insert(&server, 10 * at);
        fault.split(';').for_each(|sql| _ = server.sql("postgres", sql));
        watching = watch(&options, place);
        let said = watching.until_caught_up();
        let told = hole(&said).unwrap_or_default();
        assert!(told.contains(word), "{word} is not in: {told}");
        insert(&server, 10 * at + 1);
        let said = watching.until_caught_up();
        assert!(keys(&said).contains(&(10 * at + 1).to_string()), "{said:?}");
    }
    watching.stop();
}

#[test]
fn a_slot_of_another_kind_or_reader_is_refused() {
    let server = server();
    server.sql("postgres", "select pg_create_logical_replication_slot('watch', 'test_decoding')");
    let told = refusal(&permanent(&server));
    assert!(told.contains("is for test_decoding in the database `postgres`"), "{told}");
    let other = Options { slot: Some("other".into()), ..permanent(&server) };
    let first = watch(&other, Place::default());
    first.until_caught_up();
    let told = refusal(&other);
    assert!(told.contains("is being read by another throughline"), "{told}");
    // Somebody else who takes from it while it is followed is not missed.
    let others = "select count(*) from pg_logical_slot_get_binary_changes('other', null, null, 'proto_version', '1',
                  'publication_names', 'throughline')";
    server.sql("postgres", &format!("insert into events values (1); select pg_sleep(0); {others}"));
    let said = first.until_caught_up();
    assert!(keys(&said) == ["1"] || hole(&said).is_some(), "{said:?}");
    first.stop();
}

#[test]
fn a_slot_of_before_the_journal_begins_at_the_end() {
    let server = server();
    server.sql("postgres", "select pg_create_logical_replication_slot('watch', 'pgoutput')");
    insert(&server, 1);
    let watching = watch(&permanent(&server), Place::default());
    watching.until_caught_up();
    insert(&server, 2);
    assert_eq!(keys(&watching.until_caught_up()), ["2"]);
    watching.stop();
}

#[test]
fn a_moment_to_begin_at_is_refused() {
    let options = Options { start: Start::At(throughline::model::time::Time(0)), ..options(1, &TABLES) };
    assert!(refusal(&options).contains("`latest` or `beginning`"));
}
