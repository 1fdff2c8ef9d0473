//! A disk that is full or broken, and comes back.

use super::disk::faults;
use super::*;

#[test]
fn a_full_disk_loses_nothing_and_the_journal_goes_on_when_there_is_room() {
    // Wherever the room ends: in a group, its mark, a new segment, an index, a later group.
    let mut refused = 0;
    for room in (0..3_000).step_by(13).chain((3_000..120_000).step_by(1_991)) {
        let mut story = Story::new(small());
        story.tell(4);
        story.commit();
        faults::leave_room(room);
        for _ in 0..9 {
            story.tell(2);
            let durable = story.journal.durable();
            if let Err(error) = story.journal.commit(0) {
                refused += 1;
                assert!(matches!(error, Error::NotCommitted { .. }), "{error}");
                assert!(error.to_string().contains("make room"), "{error}");
                assert_eq!(story.journal.durable(), durable);
            }
            story.check();
        }
        faults::leave_room(usize::MAX);
        story.commit();
        story.check();
        let (story, recovered) = story.restart();
        assert_eq!((recovered.end, recovered.torn), (Sequence(22), None));
        story.check();
    }
    assert!(refused > 1_000, "{refused}");
}

#[test]
fn what_was_acknowledged_before_the_disk_was_full_is_there_after_a_restart() {
    for room in (0..3_000).step_by(7) {
        let mut story = Story::new(small());
        story.tell(4);
        story.commit();
        faults::leave_room(room);
        while story.told.len() < 40 {
            story.tell(2);
            let _ = story.journal.commit(0);
        }
        faults::leave_room(usize::MAX);
        let durable = story.journal.durable();
        let (story, recovered) = story.restart();
        assert!(recovered.end >= durable, "{} of {durable}", recovered.end);
        story.check();
    }
}

#[test]
fn a_failed_sync_acknowledges_nothing_and_is_not_just_repeated() {
    for failing in 1..4 {
        let mut story = Story::new(small());
        for _ in 0..8 {
            story.tell(4);
            let durable = story.journal.durable();
            faults::fail_syncs(failing);
            for _ in 0..failing {
                let error = story.journal.commit(0).unwrap_err();
                assert!(error.to_string().contains("the disk gave up"), "{error}");
                assert_eq!(story.journal.durable(), durable);
                // What was written is given up with the failed sync, and will be written again.
                let kept = story.journal.pending.as_ref().unwrap();
                if kept.extent.offset() > 0 && kept.seals.is_none() {
                    assert_eq!(length(&kept.segment.path), kept.extent.offset() + format::HEAD_BYTES as u64);
                }
                story.check();
            }
            faults::fail_syncs(0);
            story.commit();
            story.check();
        }
        story.restart().0.check();
    }
}

/// Retention needs an open journal, and may be what the disk waits for.
#[test]
fn a_journal_opens_on_a_full_disk() {
    let story = Story::of_four_segments();
    story.journal.save_snapshot(story.journal.durable(), |_| Ok(())).unwrap();
    fs::remove_file(&story.files("snapshot")[0]).unwrap();
    let (mut story, _) = story.restart_after(|_| faults::leave_room(0)).unwrap();
    story.tell(1);
    assert!(matches!(story.journal.commit(0), Err(Error::NotCommitted { .. })));
    assert_eq!(story.journal.retain(Retention { bytes_max: 0, age_max_ns: i64::MAX }, 0).unwrap().segments, 3);
    faults::leave_room(usize::MAX);
    story.commit();
    story.check();
}

#[test]
fn while_the_disk_is_full_memory_stays_bounded() {
    let mut story = Story::new(small());
    faults::leave_room(0);
    let mut refused = 0;
    for _ in 0..1_000 {
        let _ = story.journal.commit(0);
        match story.journal.append(0, &[1], &[7; 100]) {
            Ok(_) => story.told.push(Told { kind: 0, keys: vec![1], payload: vec![7; 100] }),
            Err(error) => {
                assert!(matches!(error, Error::BufferFull { .. }), "{error}");
                refused += 1;
            }
        }
    }
    assert!(refused > 900, "{refused}");
    faults::leave_room(usize::MAX);
    story.commit();
    story.check();
}
