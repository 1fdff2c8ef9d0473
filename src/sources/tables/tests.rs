//! A table as its tracker sees it, told in seconds: rows in, versions with their times out.

use super::tracker::State;
use super::*;
use crate::model::time::Time;
use crate::sources::live::{Intake, Note, Record, Stopped};
use std::time::Duration;

const POLLED: System = System { knows_changes: true, rest_per_work: 200 };
const COMPARED: System = System { knows_changes: false, rest_per_work: 20 };

#[derive(Default)]
struct Heard {
    told: Vec<String>,
    notes: Vec<(u64, Option<Note>)>,
}

impl Intake for Heard {
    fn part(&mut self, _name: &str) -> u32 {
        0
    }

    fn header(&mut self, _part: u32, _payload: &[u8]) {}

    fn record(&mut self, record: Record<'_>) {
        let (key, json) = (record.key.unwrap_or("?"), String::from_utf8_lossy(record.payload));
        let time = record.time.map_or(0.0, |time| time.0 as f64 / 1e9);
        self.told.push(format!("{}: {key}={json} at {time}", record.offset));
    }

    fn undecodable(&mut self, _part: u32, _offset: u64, _reason: &'static str, _detail: &str, _text: &[u8]) {}

    fn hole(&mut self, why: &str) {
        self.told.push(format!("hole: {why}"));
    }

    fn undated(&mut self, stream: &str) {
        self.told.push(format!("undated: {stream}"));
    }

    fn caught_up(&mut self, _at: Time) {}

    fn note(&mut self, number: u64, note: Option<Note>) {
        self.notes.push((number, note));
    }

    fn deliver(&mut self, _cursor: &[u8]) -> Result<(), Stopped> {
        Ok(())
    }

    fn durable(&mut self) -> Option<&[u8]> {
        None
    }

    fn trouble(&mut self, _what: &str) {}

    fn pause(&mut self, _span: Duration) -> Result<(), Stopped> {
        Ok(())
    }

    fn now(&self) -> Time {
        Time(0)
    }
}

fn at(seconds: i64) -> Time {
    Time(seconds * 1_000_000_000)
}

/// A table whose rows are visible within 5 s, and whose clock is the database's.
fn tracker(start: Start, sweep: Sweep, system: System) -> Tracker {
    let (name, updated) = ("orders".to_owned(), Some("updated_at".to_owned()));
    let table = Table { name, key: vec![], updated, time: None, zone: Tz::UTC, sweep, start };
    let common = Common { poll: Span::seconds(1), lateness: Span::seconds(5), clock_skew: Span::ZERO };
    Tracker::new(table, common, 7, State::default(), system, 0)
}

/// A read at some second that meets rows `(key, content, updated)`; what came of it.
fn read(tracker: &mut Tracker, kind: Kind, second: i64, rows: &[(&str, &str, i64)]) -> Vec<String> {
    let mut heard = Heard::default();
    let mark = Mark { whole: at(second), bound: second.unsigned_abs() };
    let everything = kind == Kind::Sweep && !tracker.knows_changes();
    tracker.begin(Reading { kind, mark, at: at(second), everything });
    for (key, json, updated) in rows {
        let updated = (*updated > 0).then(|| at(*updated));
        tracker.row(&Row { key: Some(key), json, updated, time: None }, &mut heard).unwrap();
    }
    tracker.complete(Span(5_000_000), &mut heard);
    heard.told
}

#[test]
fn a_version_is_told_once_and_what_was_there_before_not_at_all() {
    let mut tracker = tracker(Start::Latest, Sweep::Gentle, COMPARED);
    assert_eq!(read(&mut tracker, Kind::Sweep, 100, &[("1", "a", 90)]), Vec::<String>::new());
    assert_eq!(read(&mut tracker, Kind::Sweep, 101, &[("1", "a", 90)]), Vec::<String>::new());
    assert_eq!(
        read(&mut tracker, Kind::Sweep, 102, &[("1", "b", 101), ("2", "c", 102)]),
        ["1: 1=b at 101", "2: 2=c at 102"]
    );
    assert_eq!(read(&mut tracker, Kind::Poll, 103, &[("2", "c", 102)]), Vec::<String>::new());
}

#[test]
fn a_column_that_did_not_rise_or_is_ahead_gives_way_to_the_poll() {
    let mut tracker = tracker(Start::Beginning, Sweep::Gentle, COMPARED);
    assert_eq!(read(&mut tracker, Kind::Sweep, 100, &[("1", "a", 50)]), ["1: 1=a at 50"], "nobody looked before");
    assert_eq!(read(&mut tracker, Kind::Sweep, 101, &[("1", "b", 50)]), ["2: 1=b at 101"], "it stayed");
    assert_eq!(read(&mut tracker, Kind::Sweep, 102, &[("1", "c", 40)]), ["3: 1=c at 102"], "it went back");
    assert_eq!(read(&mut tracker, Kind::Sweep, 103, &[("1", "d", 0)]), ["4: 1=d at 103"], "there is none");
    assert_eq!(read(&mut tracker, Kind::Sweep, 104, &[("1", "e", 999)]), ["5: 1=e at 104"], "it is ahead");
    assert_eq!(read(&mut tracker, Kind::Sweep, 106, &[("1", "f", 105)]), ["6: 1=f at 105"], "it rose");
}

#[test]
fn a_column_that_rises_from_where_it_was_set_back_to_is_not_believed() {
    let mut tracker = tracker(Start::Beginning, Sweep::Gentle, COMPARED);
    read(&mut tracker, Kind::Sweep, 100, &[]);
    assert_eq!(read(&mut tracker, Kind::Sweep, 101, &[("1", "a", 20)]), ["1: 1=a at 20"]);
    let told = read(&mut tracker, Kind::Sweep, 120, &[("1", "b", 30)]);
    assert_eq!(told, ["2: 1=b at 120"], "nothing from before 96 can come any more");
    let told = read(&mut tracker, Kind::Sweep, 121, &[("1", "c", 116)]);
    assert_eq!(told, ["3: 1=c at 121"], "the row was told to be of 120 already");
}

#[test]
fn a_row_that_was_not_there_is_late_where_every_row_is_known() {
    let mut known = tracker(Start::Beginning, Sweep::Gentle, COMPARED);
    read(&mut known, Kind::Sweep, 100, &[]);
    assert_eq!(read(&mut known, Kind::Sweep, 101, &[("1", "a", 10)]), ["1: 1=a at 10"]);
    let mut unknown = tracker(Start::Latest, Sweep::Gentle, POLLED);
    read(&mut unknown, Kind::Sweep, 100, &[]);
    assert_eq!(read(&mut unknown, Kind::Sweep, 101, &[("1", "a", 10)]), ["1: 1=a at 101"], "it may be an old one");
    assert_eq!(read(&mut unknown, Kind::Sweep, 102, &[("2", "a", 97)]), ["2: 2=a at 97"]);
}

#[test]
fn what_is_due_depends_on_what_can_be_trusted() {
    let mut gentle = tracker(Start::Latest, Sweep::Gentle, System { rest_per_work: 2_000, ..POLLED });
    assert_eq!(gentle.due(at(0), true), Some(Kind::Sweep), "at first, everything");
    read(&mut gentle, Kind::Sweep, 0, &[]);
    assert_eq!(gentle.due(at(1), true), Some(Kind::Sweep), "what one read took alone is no cost");
    read(&mut gentle, Kind::Sweep, 1, &[]);
    assert_eq!((gentle.due(at(2), true), gentle.due(at(2), false)), (Some(Kind::Poll), None));
    assert_eq!(gentle.due(at(11), true), Some(Kind::Sweep), "it took 5 ms, and 2,000 times that is ten seconds");
    read(&mut gentle, Kind::Poll, 3, &[]);
    assert_eq!(gentle.proof(), Some(at(1)), "a poll proves nothing");
    let mut trusted = tracker(Start::Latest, Sweep::Never, POLLED);
    read(&mut trusted, Kind::Sweep, 1, &[]);
    assert_eq!((trusted.due(at(9999), true), trusted.due(at(9999), false)), (Some(Kind::Poll), Some(Kind::Poll)));
    read(&mut trusted, Kind::Poll, 2, &[]);
    assert_eq!(trusted.proof(), Some(at(2)));
    assert_eq!((trusted.due(at(2), true), trusted.due(at(3), true)), (None, Some(Kind::Poll)), "a poll rests, too");
    assert_eq!(trusted.reach(trusted.since(Kind::Poll).unwrap()), at(-3));
}

#[test]
fn the_memory_is_what_notes_say_and_a_row_that_is_gone_leaves_it() {
    let mut first = tracker(Start::Beginning, Sweep::Gentle, COMPARED);
    let mut heard = Heard::default();
    first.begin(Reading { kind: Kind::Sweep, mark: Mark::default(), at: at(1), everything: true });
    first.row(&Row { key: Some("1"), json: "a", updated: None, time: None }, &mut heard).unwrap();
    first.complete(Span(1), &mut heard);
    let mut second = tracker(Start::Beginning, Sweep::Gentle, COMPARED);
    second.state = first.state.clone();
    assert!(heard.notes.drain(..).all(|(number, note)| second.recall(number, note.unwrap())));
    assert!(!second.recall(1, [1, 1]), "another table's");
    assert_eq!(read(&mut second, Kind::Sweep, 2, &[("1", "a", 0)]), Vec::<String>::new());
    assert_eq!(read(&mut second, Kind::Sweep, 3, &[]), Vec::<String>::new());
    assert_eq!(read(&mut second, Kind::Sweep, 4, &[("1", "a", 0)]), ["2: 1=a at 4"], "it was gone, and is there again");
}

#[test]
fn rows_that_nothing_dates_are_told_to_be_such_where_they_were_there_before() {
    let undated = |start, rows: &[(&str, &str, i64)]| {
        let mut tracker = tracker(start, Sweep::Gentle, COMPARED);
        let first = read(&mut tracker, Kind::Sweep, 5, rows);
        let second = read(&mut tracker, Kind::Sweep, 9, &[("2", "b", 0)]);
        assert!(second.iter().all(|told| !told.starts_with("undated")), "it came between two looks: {second:?}");
        first.iter().any(|told| told == "undated: orders")
    };
    assert!(undated(Start::Beginning, &[("1", "a", 0)]));
    assert!(!undated(Start::Beginning, &[("1", "a", 4)]), "the column says when it changed");
    assert!(!undated(Start::Latest, &[("1", "a", 0)]), "it is not handed over");
    assert!(!undated(Start::Beginning, &[]));
}

#[test]
fn another_table_of_the_same_name_is_a_hole() {
    let mut tracker = tracker(Start::Latest, Sweep::Gentle, COMPARED);
    let mut heard = Heard::default();
    tracker.is(11, &mut heard);
    read(&mut tracker, Kind::Sweep, 1, &[("1", "a", 1)]);
    tracker.is(11, &mut heard);
    assert!(heard.told.is_empty());
    tracker.is(12, &mut heard);
    assert_eq!(heard.told, ["hole: the table orders was dropped and made anew"]);
    assert_eq!(heard.notes.iter().filter(|(_, note)| note.is_none()).count(), 1);
    assert_eq!(read(&mut tracker, Kind::Sweep, 2, &[("1", "b", 1)]), Vec::<String>::new(), "it begins as `start` says");
}

#[test]
fn names_are_taken_letter_by_letter() {
    let sql = |name: &str| parts(name).iter().map(|part| quoted(part)).collect::<Vec<_>>().join(".");
    assert_eq!(sql("Order"), r#""Order""#);
    assert_eq!(sql("shop.Order Lines"), r#""shop"."Order Lines""#);
    assert_eq!(sql(r#"shop."a.b""#), r#""shop"."a.b""#);
    assert_eq!(quoted(r#"a"; drop table b; --"#), r#""a""; drop table b; --""#);
}
