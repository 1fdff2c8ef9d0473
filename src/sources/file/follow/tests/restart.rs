//! Going on from a cursor, whatever happened meanwhile.

use super::super::files::{Files, Id, Stamp};
use super::*;
use crate::sources::file::follow::Follow;
use crate::sources::live::Source;
use std::path::Path;

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

/// Two files of version 1, the second of which was renamed, and a rotation that nobody saw.
const VERSION_1: &str = concat!(
    "544c66696c6501000200010d2f6c6f67732f6170702e6c6f678080dd91b182948f3102000d2f6c6f67732f6170702e6c6f67",
    "0000000d02fd42972f4f8eab49fd42972f4f8eab490000010d8080dd91b182948f310d022e31010f2f6c6f67732f6170702e",
    "6c6f67233200000f02a81c214510a26115a81c214510a26115bc0503010d8080dd91b182948f31",
);

#[test]
fn the_first_version_of_the_cursor_can_be_read() {
    let story = Story::of("*.log");
    let mut files = Files::default();
    for path in ["/logs/app.log", "/logs/app.log.1"] {
        let name = files.name(Path::new("/logs/app.log"));
        let mut file = super::super::files::File::new(name, path.into(), Id::default(), Time::MIN);
        file.mark.advance(Vec::new(), path.as_bytes(), 2);
        file.read = Some(Stamp { size: 13, modified: 1_769_677_200_000_000_000 });
        files.all.push(file);
    }
    (files.all[1].moved, files.all[1].mute, files.all[1].passing) = (true, 700, true);
    files.suspected.insert("/logs/app.log".into(), 1_769_677_200_000_000_000);
    let hex = |bytes: Vec<u8>| bytes.iter().map(|byte| format!("{byte:02x}")).collect::<String>();
    assert_eq!(hex(cursor::encode(&files, story.options)), VERSION_1, "a change of the format is another version");
    let bytes: Vec<u8> = (0..VERSION_1.len()).step_by(2).map(|at| byte(&VERSION_1[at..at + 2])).collect();
    let read = cursor::decode(&bytes, story.options).unwrap();
    assert_eq!(hex(cursor::encode(&read, story.options)), VERSION_1);
    let told: Vec<_> =
        read.all.iter().map(|f| (f.name.as_str(), f.mark.offset, f.mark.line, f.moved, f.mute)).collect();
    assert_eq!(told, [("/logs/app.log", 13, 2, false, 0), ("/logs/app.log#2", 15, 2, true, 700)]);
}

fn byte(hex: &str) -> u8 {
    u8::from_str_radix(hex, 16).unwrap()
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
