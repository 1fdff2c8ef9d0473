//! When everything has been handed over, and when that cannot be said.

use super::*;
use crate::sources::file::follow::{DELIVER_BYTES, OPEN_MAX};

#[test]
fn a_proof_alone_is_told_once_a_second() {
    let mut story = Story::of("a.log");
    story.append("a.log", "a\n");
    story.round();
    let mut proofs = 0;
    for _ in 0..50 {
        story.told.now = story.told.now + Span(200_000_000);
        assert!(matches!(story.follower.round(story.told.now, &mut story.told), Ok(false)));
        proofs += story.told.said.drain(..).count();
    }
    assert_eq!(proofs, 10);
}

#[test]
fn the_skew_of_the_clocks_is_subtracted() {
    let mut story = Story::with("a.log", |o| o.clock_skew = Span::seconds(5));
    story.append("a.log", "a\n");
    assert_eq!(story.round(), ["a.log:1 a", "whole 5s ago"]);
}

#[test]
fn nothing_is_proven_where_no_file_is() {
    let mut story = Story::of("logs/*.log");
    let trouble = "trouble: no file matches `logs/*.log`; the nearest folder that exists is";
    let said = story.round();
    assert!(said.len() == 1 && said[0].starts_with(trouble), "{said:?}");
    assert_eq!(story.round(), Vec::<String>::new(), "it is told once");
    fs::create_dir(story.path("logs")).unwrap();
    story.append("logs/a.log", "a\n");
    assert_eq!(story.round(), ["logs/a.log:1 a", "whole"]);
}

/// A file that the system lets nobody read, not even root.
const WRITE_ONLY: &str = "/sys/bus/cpu/uevent";

#[test]
fn a_file_that_cannot_be_read_holds_the_proof_and_the_others_go_on() {
    assert!(fs::metadata(WRITE_ONLY).is_ok(), "{WRITE_ONLY} is needed, which Linux has");
    let mut story = Story::of("*.log");
    story.append("a.log", "a\n");
    std::os::unix::fs::symlink(WRITE_ONLY, story.path("b.log")).unwrap();
    let said = story.round();
    let trouble = "trouble: `b.log` cannot be read: Permission denied (os error 13); check who may read it";
    assert_eq!(said, ["a.log:1 a", trouble]);
    story.append("a.log", "b\n");
    assert_eq!(story.round(), ["a.log:2 b"], "neither a proof, nor the same trouble again");
    story.remove("b.log");
    let said = story.rounds(2);
    assert!(said.len() == 1 && said[0].starts_with("hole: `b.log` was truncated or removed"), "{said:?}");
    assert_eq!(story.round(), ["whole"]);
}

#[test]
fn a_path_that_cannot_be_looked_at_holds_the_proof_and_the_others_go_on() {
    let mut story = Story::of("*.log");
    story.append("a.log", "a\n");
    std::os::unix::fs::symlink("b.log", story.path("b.log")).unwrap();
    let said = story.round();
    assert_eq!(said[0], "a.log:1 a");
    assert!(said[1].starts_with("trouble: `b.log` cannot be read:") && said.len() == 2, "{said:?}");
    story.remove("b.log");
    assert_eq!(story.round(), ["whole"]);
}

#[test]
fn a_link_that_leads_nowhere_is_no_file() {
    let mut story = Story::of("*.log");
    story.append("a.log", "a\n");
    std::os::unix::fs::symlink("nowhere", story.path("b.log")).unwrap();
    assert_eq!(story.round(), ["a.log:1 a", "whole"]);
}

#[test]
fn a_file_with_two_names_is_one() {
    let mut story = Story::of("*.log");
    story.append("a.log", "a\n");
    fs::hard_link(story.path("a.log"), story.path("b.log")).unwrap();
    std::os::unix::fs::symlink("a.log", story.path("c.log")).unwrap();
    assert_eq!(story.round(), ["a.log:1 a", "whole"]);
}

#[test]
fn a_large_file_does_not_starve_a_small_one_and_is_delivered_in_pieces() {
    let mut story = Story::of("*.log");
    let line = "x".repeat(9_999) + "\n";
    story.append("large.log", line.repeat(2_000));
    story.append("small.log", "a\n");
    story.told.now = story.told.now + SECOND;
    assert!(matches!(story.follower.round(story.told.now, &mut story.told), Ok(true)));
    assert_eq!(story.told.said.last().unwrap(), "small.log:1 a", "without a proof");
    assert!(story.told.said.len() * 10_000 < 2 * DELIVER_BYTES);
    let (rest, deliveries) = (story.round(), story.told.deliveries);
    assert_eq!(rest.iter().filter(|what| what.starts_with("whole")).count(), 1);
    assert_eq!(rest.last().unwrap(), "whole");
    assert!((4..20).contains(&deliveries), "{deliveries}");
}

#[test]
fn many_files_need_few_descriptors() {
    let mut story = Story::of("*.log");
    let count = 3 * OPEN_MAX;
    for number in 0..count {
        story.append(&format!("{number}.log"), "a\n");
    }
    assert_eq!(story.rounds(1).len(), count);
    assert!(story.open_files() <= OPEN_MAX, "{}", story.open_files());
    for number in 0..count {
        story.append(&format!("{number}.log"), "b\n");
    }
    assert_eq!(story.rounds(1).len(), count);
    assert_eq!(story.rounds(70), Vec::<String>::new());
    assert_eq!(story.open_files(), 0);
}
