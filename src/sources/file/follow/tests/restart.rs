//! Going on from a cursor, whatever happened meanwhile.

use super::*;
use crate::sources::file::follow::Follow;
use crate::sources::live::Source;

#[test]
fn going_on_takes_no_line_twice_and_leaves_none_out() {
    let mut story = Story::of("*.log");
    story.append("a.log", "a\nb\nha");
    story.append("b.log", "x\n");
    assert_eq!(story.round(), ["a.log:1 a", "a.log:2 b", "b.log:1 x", "whole"]);
    story.append("a.log", "lf\nc\n");
    story.append("c.log", "new\n");
    story.restart();
    assert_eq!(story.round(), ["a.log:3 half", "a.log:4 c", "c.log:1 new", "whole"]);
}

#[test]
fn what_was_not_delivered_is_taken_again() {
    let mut story = Story::of("a.log");
    story.append("a.log", "a\n");
    assert_eq!(story.round(), ["a.log:1 a", "whole"]);
    let cursor = story.told.cursor.clone();
    story.append("a.log", "b\n");
    assert_eq!(story.round(), ["a.log:2 b", "whole"]);
    story.told.cursor = cursor;
    story.restart();
    assert_eq!(story.round(), ["a.log:2 b", "whole"]);
}

#[test]
fn a_rotation_while_nobody_looked_is_followed() {
    let mut story = Story::of("app.log");
    story.append("app.log", "a\n");
    story.round();
    story.append("app.log", "b\n");
    story.rename("app.log", "app.log.1");
    story.append("app.log", "c\n");
    story.restart();
    assert_eq!(story.round(), ["app.log:2 b", "app.log#2:1 c"]);
    assert_eq!(story.round(), ["whole"]);
}

#[test]
fn a_log_that_is_gone_after_a_restart_leaves_a_hole_unless_it_was_done_with() {
    let mut story = Story::of("app.log*");
    story.append("app.log", "a\n");
    story.round();
    story.rename("app.log", "app.log.1");
    story.append("app.log", "b\n");
    assert_eq!(story.rounds(70), ["app.log#2:1 b"]);
    story.round();
    story.restart();
    story.remove("app.log.1");
    assert_eq!(story.rounds(3), Vec::<String>::new(), "it was rotated and at rest");
    story.restart();
    story.append("app.log.new", "c\n");
    story.remove("app.log");
    let mut said = first_words(story.rounds(3));
    said.sort();
    assert_eq!(said, ["app.log.new:1 c", "hole: `app.log#2`"]);
}

#[test]
fn text_is_known_again_on_another_disk() {
    let mut story = Story::of("*.log");
    story.append("a.log", long("a") + "b\n");
    story.round();
    story.append("a.log", "c\n");
    story.copy("a.log", "moved");
    story.remove("a.log");
    story.append("unrelated", "takes the number of the removed file\n");
    story.rename("moved", "a.log");
    story.restart();
    assert_eq!(story.rounds(2), ["a.log:3 c"]);
}

#[test]
fn a_cursor_that_cannot_be_used_is_a_failure_with_a_way_out() {
    let mut story = Story::of("a.log");
    story.append("a.log", "a\n");
    story.round();
    let cursor = story.told.cursor.clone().unwrap();
    let fails = |cursor: &[u8], framing: Framing| {
        let options = Options { framing, ..story.options.clone() };
        let mut told = Told::default();
        Follow::new(options).follow(Some(cursor), &mut told).unwrap_err().0.replace(&story.told.root, "")
    };
    let mut of_tomorrow = cursor.clone();
    of_tomorrow[6] = 2;
    for (cursor, framing, says) in [
        (&b"kafka"[..], Framing::Lines, "it belongs to a source of another type"),
        (&of_tomorrow[..], Framing::Lines, "another version of this program wrote it"),
        (&cursor[..cursor.len() - 1], Framing::Lines, "it is damaged"),
        (&cursor[..], Framing::Document, "its files were cut into records in another way, see `format`"),
    ] {
        let way_out = "Give the source another name in the configuration, and it begins as `start` says";
        let expect = format!("the place up to which `a.log` was read cannot be used: {says}. {way_out}");
        assert_eq!(fails(cursor, framing), expect);
    }
}

#[test]
fn the_first_version_of_the_cursor_can_be_read() {
    let mut story = Story::of("a.log");
    story.append("a.log", "a\nb\n");
    story.round();
    let files = cursor::decode(&story.told.cursor.clone().unwrap(), story.options).unwrap();
    assert_eq!(files.all.len(), 1);
    let again = cursor::encode(&files, story.options);
    assert_eq!(Some(again), story.told.cursor);
}

#[test]
fn a_cursor_takes_few_bytes_a_file() {
    let mut story = Story::of("*.log");
    for number in 0..200 {
        story.append(&format!("application-server-{number:04}.log"), "a\nb\n");
    }
    story.round();
    let bytes = story.told.cursor.unwrap().len();
    assert!(bytes < 200 * 60 + 200, "{bytes} bytes");
}
