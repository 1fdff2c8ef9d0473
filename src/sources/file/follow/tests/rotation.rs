//! Files that are renamed, truncated, packed, removed, and come back.

use super::*;

#[test]
fn a_log_that_is_renamed_is_read_to_its_end() {
    let mut story = Story::of("app.log");
    story.append("app.log", "a\n");
    assert_eq!(story.round(), ["app.log:1 a", "whole"]);
    story.append("app.log", "b\n");
    story.rename("app.log", "app.log.1");
    story.append("app.log", "c\n");
    assert_eq!(story.round(), ["app.log:2 b", "app.log#2:1 c"], "no proof in a round in which files moved");
    story.append("app.log.1", "written late\n");
    assert_eq!(story.round(), ["app.log:3 written late", "whole"]);
}

#[test]
fn a_log_that_matches_under_its_new_name_stays_the_part_that_it_was() {
    let mut story = Story::of("app.log*");
    story.append("app.log", "a\n");
    story.round();
    story.append("app.log", "b\n");
    story.rename("app.log", "app.log.1");
    assert_eq!(story.round(), ["app.log:2 b"]);
    story.append("app.log", "c\n");
    story.rename("app.log.1", "app.log.2");
    story.append("app.log.2", "late\n");
    assert_eq!(first_words(story.rounds(1)), ["app.log:3 late", "app.log#2:1 c"]);
}

#[test]
fn the_last_line_of_a_log_that_was_rotated_needs_no_end() {
    let mut story = Story::of("app.log");
    story.append("app.log", "a\nlast words");
    assert_eq!(story.round(), ["app.log:1 a", "whole"]);
    story.rename("app.log", "app.log.1");
    story.append("app.log", "b\n");
    assert_eq!(story.rounds(55), ["app.log#2:1 b"]);
    assert_eq!(story.rounds(10), ["app.log:2 last words"]);
    assert_eq!(story.open_files(), 0, "what was rotated away and what is at rest is closed");
}

#[test]
fn a_log_that_is_removed_is_read_to_its_end_by_whoever_has_it_open() {
    let mut story = Story::of("*.log");
    story.append("app.log", "a\n");
    story.append("other.log", "x\n");
    story.round();
    story.append("app.log", "b\n");
    story.remove("app.log");
    assert_eq!(story.rounds(2), ["app.log:2 b"]);
    assert_eq!(story.round(), ["whole"]);
}

#[test]
fn a_log_that_is_truncated_begins_anew_and_leaves_a_hole() {
    let mut story = Story::of("app.log");
    story.append("app.log", "a\nb\n");
    story.round();
    story.truncate("app.log");
    story.append("app.log", "c\n");
    let hole = "hole: `app.log` was truncated or removed, and what may have been written to it behind line 2 could not be found";
    assert_eq!(story.round(), [hole, "app.log#2:1 c", "whole"]);
    assert_eq!(story.round(), ["whole"]);
}

#[test]
fn a_log_that_is_truncated_and_grows_beyond_where_it_was_is_told_by_its_text() {
    let mut story = Story::of("app.log");
    story.append("app.log", "a\nb\n");
    story.round();
    story.truncate("app.log");
    story.append("app.log", "other\nwords\nand more of them\n");
    let said = story.rounds(1);
    assert!(said[0].starts_with("hole: `app.log`"), "{said:?}");
    assert_eq!(said[1..], ["app.log#2:1 other", "app.log#2:2 words", "app.log#2:3 and more of them"]);
}

#[test]
fn logs_that_all_begin_alike_are_told_by_what_stands_before_the_place() {
    let mut story = Story::of("app.log");
    story.append("app.log", long("banner") + "a\nb\n");
    story.round();
    story.truncate("app.log");
    story.append("app.log", long("banner") + "c\nd\ne\n");
    let said = first_words(story.rounds(1));
    assert_eq!(said, ["hole: `app.log`", "app.log#2:1 banner", "app.log#2:2 c", "app.log#2:3 d", "app.log#2:4 e"]);
}

#[test]
fn a_log_that_is_copied_and_truncated_is_read_to_its_end_in_the_copy_where_that_matches() {
    let mut story = Story::of("app.log*");
    story.append("app.log", long("a"));
    story.round();
    story.append("app.log", "b\n");
    story.copy("app.log", "app.log.1");
    story.truncate("app.log");
    story.append("app.log", "c\n");
    let hole = "hole: `app.log` was truncated: what was written to it after it was copied is lost";
    assert_eq!(story.round(), [hole, "app.log:2 b"], "without a proof");
    assert_eq!(story.round(), ["app.log#3:1 c", "whole"]);
}

#[test]
fn a_copy_that_is_there_before_the_truncation_waits() {
    let mut story = Story::of("app.log*");
    story.append("app.log", long("a"));
    story.append("app.log", "b\n");
    story.round();
    story.copy("app.log", "app.log.1");
    assert_eq!(story.round(), ["whole"], "the same text is not read twice");
    story.append("app.log", "c\n");
    assert_eq!(story.round(), ["app.log:3 c", "whole"]);
    story.truncate("app.log");
    let said = first_words(story.rounds(1));
    assert_eq!(said, ["hole: `app.log`"], "the copy does not hold what was written between");
    story.append("app.log", "d\n");
    assert_eq!(first_words(story.rounds(1)), ["app.log#3:1 d"]);
}

#[test]
fn a_file_that_only_begins_like_another_is_read() {
    let mut story = Story::with("*.csv", |o| o.framing = Framing::Csv { delimiter: b',' });
    let header = long("column").replace('\n', "");
    story.append("a.csv", format!("{header}\n"));
    story.round();
    story.append("b.csv", format!("{header}\n1\n"));
    assert_eq!(story.rounds(1)[1], "b.csv:2 1");
    story.append("a.csv", "2\n");
    story.append("c.csv", format!("{header}\n3\n"));
    let said = story.rounds(1);
    assert_eq!((said[1].as_str(), said[3].as_str()), ("a.csv:2 2", "c.csv:2 3"));
}

#[test]
fn a_packed_log_is_not_read_twice() {
    let mut story = Story::of("app.log*");
    story.append("app.log", long("a") + "b\n");
    story.round();
    story.rename("app.log", "app.log.1");
    story.append("app.log", "c\n");
    story.round();
    story.gzip("app.log.1", "app.log.1.gz");
    assert_eq!(story.rounds(5), Vec::<String>::new());
    story.remove("app.log.1");
    assert_eq!(story.rounds(5), Vec::<String>::new());
    story.restart();
    story.rename("app.log.1.gz", "app.log.2.gz");
    assert_eq!(story.rounds(5), Vec::<String>::new());
    assert_eq!(story.round(), ["whole"]);
}

#[test]
fn a_log_that_was_packed_meanwhile_is_read_on_where_it_was() {
    let mut story = Story::of("app.log*");
    story.append("app.log", long("a"));
    story.round();
    story.append("app.log", "b\n");
    story.gzip("app.log", "app.log.1.gz");
    story.remove("app.log");
    story.append("app.log", "c\n");
    story.restart();
    assert_eq!(story.rounds(5), ["app.log#2:1 c", "app.log:2 b"]);
    assert_eq!(story.round(), ["whole"]);
}

#[test]
fn a_packed_file_that_nobody_knows_is_read_once_it_is_whole() {
    let mut story = Story::of("*");
    story.append("plain", "x\n");
    story.round();
    story.append("source.tmp", "a\nb\nlast");
    story.gzip("source.tmp", "old.gz");
    story.remove("source.tmp");
    assert_eq!(story.rounds(2), Vec::<String>::new());
    assert_eq!(story.round(), ["old.gz:1 a", "old.gz:2 b", "old.gz:3 last", "whole"]);
    story.append("torn.gz", &fs::read(story.path("old.gz")).unwrap()[..20]);
    let said = first_words(story.rounds(3));
    assert_eq!(said, ["torn.gz:1 a", "torn.gz:2 b", "torn.gz:3 is", "hole: `torn.gz`"]);
    assert_eq!(story.round(), ["whole"]);
}

#[test]
fn the_number_of_a_removed_file_is_given_to_another() {
    let mut story = Story::of("*.log");
    story.append("a.log", "a\nb\n");
    assert_eq!(story.rounds(70), ["a.log:1 a", "a.log:2 b"]);
    assert_eq!(story.open_files(), 0);
    let before = fs::metadata(story.path("a.log")).unwrap();
    story.remove("a.log");
    story.append("b.log", "c\nd\ne\n");
    let after = fs::metadata(story.path("b.log")).unwrap();
    assert_eq!(first_words(story.rounds(2)), ["b.log:1 c", "b.log:2 d", "b.log:3 e"]);
    use std::os::unix::fs::MetadataExt;
    if before.ino() != after.ino() {
        eprintln!("this file system did not give the number again");
    }
}

#[test]
fn a_file_that_goes_away_and_comes_back_is_read_on() {
    let mut story = Story::of("*.log");
    story.append("a.log", "a\n");
    story.append("b.log", "x\n");
    assert_eq!(story.rounds(70), ["a.log:1 a", "b.log:1 x"]);
    story.rename("a.log", "elsewhere");
    assert_eq!(story.rounds(5), Vec::<String>::new());
    story.append("elsewhere", "b\n");
    story.rename("elsewhere", "a.log");
    assert_eq!(story.rounds(2), ["a.log:2 b"]);
}

#[test]
fn a_log_that_was_rotated_twice_between_two_looks_leaves_a_hole() {
    let mut story = Story::of("app.log");
    story.append("app.log", "a\n");
    story.round();
    story.told.now = story.told.now + SECOND;
    story.rename("app.log", "app.log.2");
    story.append("app.log.1", "nobody saw this\n");
    story.append("app.log", "c\n");
    let said = story.rounds(1);
    assert!(said[0].starts_with("hole: `app.log` was rotated more than once"), "{said:?}");
    assert!(said[0].contains("nobody has read `app.log.1`") && said[0].contains("`app.log*`"), "{said:?}");
    assert_eq!(said[1..], ["app.log#2:1 c"]);
    assert_eq!(story.round(), ["whole"]);
}
