//! How what is appended becomes records.

use super::*;
use crate::sources::file::split::RECORD_MAX_BYTES;
use regex::bytes::Regex;

#[test]
fn lines_are_handed_over_as_they_are_ended() {
    let mut story = Story::of("app.log");
    story.append("app.log", "\u{feff}a\r\n\n");
    assert_eq!(story.round(), ["app.log:1 a", "whole"]);
    story.append("app.log", "half of ");
    assert_eq!(story.round(), ["whole"]);
    story.append("app.log", "a line\nb");
    assert_eq!(story.round(), ["app.log:3 half of a line", "whole"]);
    story.append("app.log", "\n \t\nc\n");
    assert_eq!(story.round(), ["app.log:4 b", "app.log:6 c", "whole"]);
}

#[test]
fn a_line_may_come_byte_by_byte() {
    let mut story = Story::of("app.log");
    let text = "\u{feff}one\r\ntwo\n\nfour\n";
    let mut said = Vec::new();
    for byte in text.bytes() {
        story.append("app.log", [byte]);
        said.extend(story.rounds(1));
    }
    assert_eq!(said, ["app.log:1 one", "app.log:2 two", "app.log:4 four"]);
}

#[test]
fn each_csv_file_has_its_own_columns_and_a_quote_may_hold_lines() {
    let mut story = Story::with("*.csv", |o| o.framing = Framing::Csv { delimiter: b';' });
    story.append("a.csv", "id;text\n1;one\n");
    story.append("b.csv", "text;id\n");
    assert_eq!(story.round(), ["a.csv has id;text", "a.csv:2 1;one", "whole"]);
    story.append("b.csv", "two;2\n");
    story.append("a.csv", "2;\"two\nli");
    assert_eq!(story.round(), ["b.csv has text;id", "b.csv:2 two;2"], "lines of `a.csv` are held back");
    story.append("a.csv", "nes\"\n3;three\n");
    assert_eq!(story.round(), ["a.csv:3 2;\\\"two\\nlines\\\"", "a.csv:5 3;three", "whole"]);
    story.restart();
    story.append("b.csv", "three;3\n");
    assert_eq!(story.round(), ["b.csv has text;id", "b.csv:3 three;3", "whole"]);
}

#[test]
fn a_quote_that_stays_open_is_torn_after_a_while() {
    let mut story = Story::with("a.csv", |o| o.framing = Framing::Csv { delimiter: b',' });
    story.append("a.csv", "id\n\"torn\nnext\n");
    assert_eq!(story.round(), Vec::<String>::new(), "what is held back was there from the first");
    assert_eq!(story.rounds(9), Vec::<String>::new());
    assert_eq!(story.round(), ["a.csv has id", "a.csv:2 is unclosed_quote", "a.csv:3 next", "whole"]);
}

#[test]
fn records_of_several_lines_end_where_the_next_begins_or_nothing_follows() {
    let mut story = Story::with("app.log", |o| o.begins = Some(Regex::new(r"^\d").unwrap()));
    story.append("app.log", "1 first\n  at a\n  at b\n2 second\n\n");
    assert_eq!(story.round(), ["app.log:1 1 first\\n  at a\\n  at b"]);
    story.append("app.log", "  at c\n");
    assert_eq!(story.round(), Vec::<String>::new());
    story.append("app.log", "3 third\n");
    assert_eq!(story.round(), ["app.log:4 2 second\\n\\n  at c", "whole 1s ago"]);
    assert_eq!(story.round(), Vec::<String>::new());
    assert_eq!(story.round(), ["app.log:7 3 third", "whole"]);
}

#[test]
fn a_record_that_was_held_back_is_not_lost_by_a_restart() {
    let mut story = Story::with("app.log", |o| o.begins = Some(Regex::new(r"^\d").unwrap()));
    story.append("app.log", "1 first\n2 second\n  at a\n");
    assert_eq!(story.round(), ["app.log:1 1 first"]);
    story.restart();
    assert_eq!(story.rounds(3), ["app.log:2 2 second\\n  at a"]);
}

#[test]
fn a_line_beyond_the_limit_is_passed_over_also_across_a_restart() {
    let mut story = Story::of("app.log");
    story.append("app.log", "a\n");
    story.append("app.log", vec![b'x'; RECORD_MAX_BYTES + 10]);
    assert_eq!(story.round(), ["app.log:1 a", "app.log:2 is too_long", "whole"]);
    story.append("app.log", "still the same line");
    assert_eq!(story.round(), ["whole"]);
    story.restart();
    story.append("app.log", "\nb\n");
    assert_eq!(story.round(), ["app.log:3 b", "whole"]);
}

#[test]
fn a_document_is_taken_when_nobody_writes_to_it_any_more() {
    let mut story = Story::with("in/*.xml", |o| o.framing = Framing::Document);
    fs::create_dir(story.path("in")).unwrap();
    assert_eq!(story.round(), ["whole"], "an empty folder is no mistake");
    story.append("in/1.xml", "<order");
    assert_eq!(story.round(), Vec::<String>::new(), "what it holds may have been visible right after the last look");
    story.append("in/1.xml", ">1</order>");
    assert_eq!(story.round(), ["whole 1s ago"], "it was not whole a round ago");
    assert_eq!(story.round(), Vec::<String>::new());
    assert_eq!(story.round(), ["in/1.xml:1 <order>1</order>", "whole"]);
    story.remove("in/1.xml");
    assert_eq!(story.round(), ["whole"], "it was read, and may go");
    story.append("in/1.xml", "<order>2</order>");
    assert_eq!(story.rounds(3), ["in/1.xml#2:1 <order>2</order>"], "the same name is another record");
    story.append("in/1.xml", " ");
    assert_eq!(story.rounds(3), ["in/1.xml#3:1 <order>2</order> "], "one that was changed as well");
    story.remove("in/1.xml");
    story.append("in/2.xml", "x");
    assert_eq!(story.rounds(1), Vec::<String>::new());
    story.remove("in/2.xml");
    let said = story.rounds(2);
    assert!(said.len() == 1 && said[0].starts_with("hole: `in/"), "{said:?}");
}

#[test]
fn a_document_that_is_renamed_into_place_is_taken_at_once() {
    let mut story = Story::with("in/*.xml", |o| o.framing = Framing::Document);
    fs::create_dir(story.path("in")).unwrap();
    story.round();
    story.append("in/.1.tmp", "<order/>");
    let recently = SystemTime::now() - Duration::from_secs(1);
    File::options().append(true).open(story.path("in/.1.tmp")).unwrap().set_modified(recently).unwrap();
    story.rename("in/.1.tmp", "in/1.xml");
    assert_eq!(story.round(), ["in/1.xml:1 <order/>", "whole"]);
}

#[test]
fn a_beginning_at_the_end_keeps_the_numbers_of_the_lines() {
    let mut story = Story::with("*.log", |o| o.start = Start::Latest);
    story.append("app.log", "a\nb\nhalf");
    assert_eq!(story.round(), ["whole"]);
    story.append("app.log", " is whole\nd\n");
    story.append("new.log", "e\n");
    assert_eq!(story.round(), ["app.log:4 d", "new.log:1 e", "whole"]);
    story.restart();
    story.append("app.log", "f\n");
    assert_eq!(story.round(), ["app.log:5 f", "whole"]);
}

#[test]
fn documents_and_packed_files_that_are_there_before_the_start_are_not_read_unless_they_change() {
    let mut story = Story::with("*", |o| (o.framing, o.start) = (Framing::Document, Start::Latest));
    story.append("a", "before");
    assert_eq!(story.round(), ["whole"]);
    story.restart();
    story.append("a", " and after");
    assert_eq!(story.rounds(3), ["a#2:1 before and after"]);
    let mut story = Story::with("*.gz", |o| o.start = Start::Latest);
    story.append("plain", "before\n");
    story.gzip("plain", "a.gz");
    assert_eq!(story.rounds(5), Vec::<String>::new());
    story.restart();
    story.rename("a.gz", "b.gz");
    assert_eq!(story.rounds(5), Vec::<String>::new());
}
