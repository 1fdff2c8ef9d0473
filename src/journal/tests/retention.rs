//! What retention removes, and what it never removes.

use super::*;

/// Keeps by size alone.
fn bytes(bytes_max: u64) -> Retention {
    Retention { bytes_max, age_max_ns: i64::MAX }
}

/// Keeps by age alone.
fn age(age_max_ns: i64) -> Retention {
    Retention { bytes_max: u64::MAX, age_max_ns }
}

fn firsts(story: &Story) -> Vec<u64> {
    story.journal.segments().map(|segment| segment.first.0).collect()
}

#[test]
fn without_a_snapshot_nothing_is_removed() {
    let mut story = Story::new(small());
    while story.journal.sealed.len() < 3 {
        story.tell(3);
        story.commit();
    }
    let removed = story.journal.retain(bytes(0), 0).unwrap();
    assert_eq!((removed.segments, removed.oldest), (0, Oldest { sequence: Sequence(0), since_ns: 0 }));
    story.check();
}

#[test]
fn segments_before_both_snapshots_are_removed_and_the_journal_says_where_it_begins() {
    let mut story = Story::of_four_segments();
    let before = firsts(&story);
    assert_eq!(story.journal.retain(bytes(0), 0).unwrap().segments, 0, "the older snapshot stands at 8, in the first");
    story.journal.save_snapshot(Sequence(32), |out| out.write_all(b"newest")).unwrap();
    let spared = before.iter().filter(|first| **first <= 20).max().unwrap();
    let sizes: u64 = story.journal.segments().map(Segment::bytes).sum();
    let removed = story.journal.retain(bytes(0), 0).unwrap();
    assert!(removed.segments > 0);
    assert_eq!(removed.bytes, sizes - story.journal.segments().map(Segment::bytes).sum::<u64>());
    assert_eq!(removed.oldest.sequence, Sequence(*spared));
    assert_eq!(removed.oldest, story.journal.oldest());
    assert_eq!(firsts(&story), before[removed.segments..]);
    assert_eq!(story.files("journal").len(), before.len() - removed.segments);
    assert_eq!(story.files("index").len(), story.journal.sealed.len());
    story.check();
    let error = all(story.journal.replay(Sequence(0))).unwrap_err();
    assert!(error.contains("entry 0 is no longer kept: the journal begins at"), "{error}");
    let (story, recovered) = story.restart();
    assert_eq!((recovered.oldest, recovered.end), (removed.oldest, story.journal.next()));
    story.check();
}

use super::segment::Segment;

#[test]
fn retention_stops_where_it_is_met() {
    let mut story = Story::of_four_segments();
    let end = story.journal.durable();
    story.journal.save_snapshot(end, |_| Ok(())).unwrap();
    story.journal.save_snapshot(end, |_| Ok(())).unwrap();
    fs::remove_file(&story.files("snapshot")[0]).unwrap();
    let sizes: Vec<u64> = story.journal.segments().map(Segment::bytes).collect();
    let total: u64 = sizes.iter().sum();
    assert_eq!(story.journal.retain(bytes(total), 0).unwrap().segments, 0);
    assert_eq!(story.journal.retain(bytes(total - 1), 0).unwrap().segments, 1);
    assert_eq!(story.journal.retain(bytes(total - sizes[0] - sizes[1]), 0).unwrap().segments, 1);
    assert_eq!(story.journal.retain(bytes(0), 0).unwrap().segments, 1);
    assert_eq!(story.journal.retain(bytes(0), 0).unwrap().segments, 0, "the active one stays");
    story.check();
}

#[test]
fn age_counts_from_the_last_entry_of_a_segment() {
    let mut story = Story::of_four_segments();
    let end = story.journal.durable();
    story.journal.save_snapshot(end, |_| Ok(())).unwrap();
    fs::remove_file(&story.files("snapshot")[0]).unwrap();
    let created: Vec<i64> = story.journal.segments().map(|segment| segment.created_ns).collect();
    assert!(created.is_sorted() && created[1] > 0, "{created:?}");
    assert_eq!(story.journal.retain(age(10), created[1] + 10).unwrap().segments, 0);
    let removed = story.journal.retain(age(10), created[1] + 11).unwrap();
    assert_eq!((removed.segments, removed.oldest.since_ns), (1, created[1]));
    assert_eq!(story.journal.retain(age(0), i64::MAX).unwrap().segments, 2);
    story.check();
}

/// The numbers of entries would begin anew if a journal could lose all of its files.
#[test]
fn the_last_segment_stays_until_the_next_one_is_on_disk() {
    let mut story = Story::new(Options { segment_bytes_max: 1, ..small() });
    for round in 1..5 {
        story.tell(2);
        story.commit();
        story.journal.save_snapshot(story.journal.durable(), |_| Ok(())).unwrap();
        story.journal.retain(bytes(0), 0).unwrap();
        assert!(!story.files("journal").is_empty());
        story.check();
        story = story.restart().0;
        assert_eq!(story.journal.next(), Sequence(2 * round));
    }
}

#[test]
fn a_reader_tolerates_that_segments_go_away() {
    let mut story = Story::of_four_segments();
    let mut reader = Reader::open(story.folder.path()).unwrap();
    let mut halfway = reader.replay(Sequence(0)).unwrap();
    assert_eq!(halfway.next().unwrap().unwrap().sequence, Sequence(0));
    story.journal.save_snapshot(story.journal.durable(), |_| Ok(())).unwrap();
    fs::remove_file(&story.files("snapshot")[0]).unwrap();
    assert_eq!(story.journal.retain(bytes(0), 0).unwrap().segments, 3);
    let oldest = story.journal.oldest().sequence;
    // It still believes that all segments are there: the lookup gives what is left, the replay says so.
    check_lookups(|key, kind| reader.lookup(key, kind), &story.told, oldest);
    let complaint = loop {
        match halfway.next() {
            Ok(Some(_)) => {}
            Ok(None) => panic!("the replay passes over what is gone"),
            Err(error) => break error,
        }
    };
    assert!(matches!(complaint, Error::Forgotten { .. }), "{complaint}");
    assert!(matches!(reader.replay(Sequence(0)).and_then(|mut r| r.next().map(|_| ())), Err(Error::Forgotten { .. })));
    reader.refresh().unwrap();
    assert_eq!(reader.oldest(), Some(story.journal.oldest()));
    assert_eq!(all(reader.replay(oldest)), Ok(numbered(&story.told, oldest)));
}
