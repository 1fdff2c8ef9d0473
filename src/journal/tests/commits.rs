//! Appending, committing in two halves, sealing, and the limits of memory.

use super::*;

#[test]
fn what_was_committed_is_there_after_a_restart_and_the_rest_is_not() {
    let mut story = Story::new(large());
    story.tell(10);
    story.commit();
    story.tell(5);
    story.check();
    let (mut story, recovered) = story.restart();
    assert_eq!((recovered.end, recovered.torn), (Sequence(10), None));
    story.check();
    story.tell(5);
    story.commit();
    story.check();
    let (story, recovered) = story.restart();
    assert_eq!(recovered.end, Sequence(15));
    story.check();
}

#[test]
fn a_journal_grows_over_many_segments() {
    let mut story = Story::new(small());
    for groups in 0..30 {
        story.tell(1 + groups % 6);
        story.commit();
        story.check();
    }
    assert!(story.journal.sealed.len() > 5, "{} segments", story.journal.sealed.len());
    assert_eq!(story.files("index").len(), story.journal.sealed.len());
    let (story, recovered) = story.restart();
    assert!(recovered.indexes_rebuilt.is_empty());
    story.check();
}

#[test]
fn a_segment_is_sealed_when_it_has_many_keys() {
    let mut story = Story::new(Options { segment_keys_max: 9, ..large() });
    for _ in 0..4 {
        story.tell(3);
        story.commit();
    }
    assert_eq!(story.journal.sealed.len(), 4);
    story.check();
}

/// The index keeps 36 bits of a key.
#[test]
fn keys_that_look_alike_to_the_index_are_told_apart() {
    let mut story = Story::new(Options { segment_keys_max: 2, ..large() });
    for key in [5, 5 | 1 << 40, 5 | 1 << 30, 5, 5 | 1 << 63] {
        let told = Told { kind: 1, keys: vec![key, key, 77], payload: Vec::new() };
        story.journal.append(told.kind, &told.keys, &told.payload).unwrap();
        story.told.push(told);
        story.check_own();
        story.commit();
    }
    story.check();
}

#[test]
fn a_replay_begins_anywhere() {
    let story = Story::of_four_segments();
    for from in 0..=story.told.len() as u64 {
        let from = Sequence(from);
        assert_eq!(all(story.journal.replay(from)), Ok(numbered(&story.told, from)));
    }
    let beyond = all(story.journal.replay(story.journal.durable() + 1)).unwrap_err();
    assert!(beyond.contains("are missing"), "{beyond}");
}

#[test]
fn the_lane_goes_on_while_a_commit_is_under_way() {
    fn goes_to_another_thread<T: Send + 'static>() {}
    goes_to_another_thread::<Journal>();
    let mut story = Story::new(small());
    // Groups that stay within a segment, that fill it, and that begin the next.
    for round in 0..12 {
        story.tell(4);
        let commit = story.journal.begin_commit(0).unwrap();
        story.tell(2);
        assert!(story.journal.begin_commit(0).is_none(), "one at a time");
        assert!(matches!(story.journal.commit(0), Err(Error::CommitUnderWay)));
        story.check();
        let synced = std::thread::spawn(|| commit.sync()).join().unwrap();
        story.check_own();
        let before = story.told.len() as u64 - 2;
        assert_eq!(story.journal.end_commit(synced).unwrap(), Sequence(before));
        if round % 3 == 0 {
            story.commit();
        }
        story.check();
    }
    assert!(story.journal.begin_commit(0).is_some_and(|commit| commit.group.end == story.journal.next()));
}

impl Story {
    /// What the writer sees of its own, whether it is durable or not.
    fn check_own(&self) {
        check_lookups(|key, kind| self.journal.lookup(key, kind), &self.told, Sequence(0));
    }
}

#[test]
fn a_commit_that_is_dropped_is_made_again() {
    let mut story = Story::new(small());
    for round in 0..10 {
        story.tell(5);
        let commit = story.journal.begin_commit(0).unwrap();
        if round % 2 == 0 {
            let synced = commit.sync();
            drop(synced);
        } else {
            drop(commit);
        }
        story.check_own();
        story.commit();
        story.check();
    }
    assert!(story.journal.sealed.len() > 2);
    let (story, _) = story.restart();
    story.check();
}

#[test]
fn opening_a_journal_again_and_again_does_not_let_it_grow() {
    let mut story = Story::new(large());
    story.tell(3);
    story.commit();
    let bytes = length(&story.files("journal")[0]);
    for _ in 0..3 {
        story = story.restart().0;
        assert_eq!(length(&story.files("journal")[0]), bytes);
    }
    story.check();
}

#[test]
fn an_empty_commit_does_nothing() {
    let mut story = Story::new(small());
    story.commit();
    assert!(story.journal.begin_commit(0).is_none());
    assert!(story.files("journal").is_empty());
    story.tell(1);
    story.commit();
    let bytes = length(&story.files("journal")[0]);
    story.commit();
    assert_eq!(length(&story.files("journal")[0]), bytes);
}

#[test]
fn what_would_be_too_large_is_refused_and_changes_nothing() {
    let mut story = Story::new(small());
    story.tell(3);
    let error = story.journal.append(0, &[], &[0; 4_000]).unwrap_err();
    assert!(matches!(error, Error::BufferFull { bytes_max: 4_000 }), "{error}");
    let error = story.journal.append(0, &[1], &vec![0; ENTRY_BYTES_MAX - 7]).unwrap_err();
    assert!(matches!(error, Error::EntryTooLarge { bytes, .. } if bytes == ENTRY_BYTES_MAX + 1), "{error}");
    story.check();
    story.commit();
    // Alone an entry may be larger than the buffer.
    let told = Told { kind: 1, keys: vec![7], payload: vec![8; 300_000] };
    story.journal.append(told.kind, &told.keys, &told.payload).unwrap();
    story.told.push(told);
    story.commit();
    story.tell(3);
    story.commit();
    story.check();
    story.restart().0.check();
}

#[test]
fn a_journal_has_one_writer() {
    let story = Story::new(small());
    let Err(error) = Journal::open(story.folder.path(), small(), 0) else { panic!("two writers") };
    let told = error.to_string();
    assert!(matches!(error, Error::Locked { pid: Some(pid), .. } if pid == std::process::id()), "{told}");
    assert!(told.contains(&story.path().display().to_string()), "{told}");
    story.restart();
}

/// Version 1 as it stands on disk. Where this fails the format has changed: give it a new version,
/// and read the old one.
#[test]
fn version_1_is_read() {
    let mut story = Story::new(large());
    let (kind, keys, payload) = (3, [0x0102_0304_0506_0708, u64::MAX], b"paid");
    story.journal.append(kind, &keys, payload).unwrap();
    story.journal.commit(0).unwrap();
    let hex: String = fs::read(&story.files("journal")[0]).unwrap().iter().map(|byte| format!("{byte:02x}")).collect();
    let header = "544c4a4e01000000000000000000000000000000000000000000000043631ed6";
    let entry = "0e66338e1400000000000000030200000807060504030201ffffffffffffffff70616964";
    let mark = "dd31e9124d41524b0100000044000000";
    assert_eq!(hex, format!("{header}{entry}{mark}"));
}

/// Groups of many pages, which go to the disk past the system's cache where it can be.
#[test]
fn large_groups_are_written_whole_and_written_again_after_a_failure() {
    let options = Options { segment_bytes_max: 3 << 20, segment_keys_max: 10_000, buffer_bytes_max: 2 << 20 };
    let mut story = Story::new(options);
    for round in 0..12_usize {
        for entry in 0..=round % 3 {
            let payload = vec![(round * 3 + entry) as u8; 1 + (round * 90_001 + entry * 777) % 500_000];
            let told = Told { kind: 1, keys: vec![own_key(story.told.len() as u64)], payload };
            story.journal.append(told.kind, &told.keys, &told.payload).unwrap();
            story.told.push(told);
        }
        if round % 4 == 1 {
            super::disk::faults::leave_room(70_000);
            assert!(story.journal.commit(0).is_err());
            super::disk::faults::leave_room(usize::MAX);
        }
        story.commit();
        story.check();
        if round % 5 == 4 {
            story = story.restart().0;
            story.check();
        }
    }
    assert!(!story.journal.sealed.is_empty());
}
