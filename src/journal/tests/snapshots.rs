//! Snapshots: kept in twos, and recovered from.

use super::*;

fn state(snapshot: Option<Snapshot>) -> Option<(u64, String)> {
    snapshot.map(|snapshot| (snapshot.sequence.0, String::from_utf8(snapshot.bytes).unwrap()))
}

#[test]
fn recovery_is_the_newest_snapshot_and_what_came_after_it() {
    let (story, recovered) = Story::of_four_segments().restart();
    let snapshot = recovered.snapshot.unwrap();
    assert_eq!(all(story.journal.replay(snapshot.sequence)), Ok(numbered(&story.told, Sequence(20))));
    assert_eq!(state(Some(snapshot)), Some((20, "state after 20".into())));
}

#[test]
fn the_newest_two_are_kept() {
    let mut story = Story::of_four_segments();
    story.tell(1);
    story.commit();
    story.journal.save_snapshot(story.journal.durable(), |out| out.write_all(b"third")).unwrap();
    let end = story.told.len() as u64;
    assert_eq!(
        story.files("snapshot"),
        [20, end].map(|at| segment::path(story.folder.path(), Sequence(at), "snapshot"))
    );
    assert_eq!(state(story.restart().1.snapshot), Some((end, "third".into())));
}

#[test]
fn a_damaged_snapshot_is_reported_and_the_one_before_it_serves() {
    let damages: [fn(&Path); 4] = [
        |path| cut(path, 3),
        |path| cut(path, length(path) - 1),
        |path| fs::write(path, []).unwrap(),
        |path| fs::write(path, fs::read(path).unwrap().iter().map(|byte| byte ^ 1).collect::<Vec<_>>()).unwrap(),
    ];
    for damage in damages {
        let story = Story::of_four_segments();
        let newest = story.files("snapshot").pop().unwrap();
        let (story, recovered) = story.restart_after(|_| damage(&newest)).unwrap();
        assert_eq!(recovered.rejected.len(), 1);
        assert_eq!(recovered.rejected[0].file, newest);
        assert_eq!(state(recovered.snapshot), Some((8, "state after 8".into())));
        assert!(!newest.exists());
        story.check();
        let (_, recovered) = story
            .restart_after(|folder| fs::remove_file(segment::path(folder, Sequence(8), "snapshot")).unwrap())
            .unwrap();
        assert_eq!((recovered.snapshot, recovered.rejected), (None, Vec::new()));
    }
}

#[test]
fn a_snapshot_never_runs_ahead_of_the_journal() {
    let mut story = Story::new(small());
    story.tell(2);
    let ahead = |story: &Story| story.journal.save_snapshot(Sequence(2), |out| out.write_all(b"two"));
    assert!(matches!(ahead(&story), Err(Error::SnapshotAhead { .. })));
    story.commit();
    ahead(&story).unwrap();
    let Err(error) = story.restart_after(|folder| cut(&segment::path(folder, Sequence(0), "journal"), 40)) else {
        panic!("what the snapshot rests on is gone")
    };
    assert!(matches!(error, Error::Missing { from: Sequence(0), to: Sequence(2), .. }), "{error}");
}

#[test]
fn a_snapshot_is_saved_on_another_thread_while_the_lane_goes_on() {
    let mut story = Story::new(small());
    story.tell(6);
    story.commit();
    let draft = story.journal.draft_snapshot(Sequence(6)).unwrap();
    let saving = std::thread::spawn(move || draft.save(|out| out.write_all(&vec![5; 1 << 20])));
    story.tell(6);
    story.commit();
    saving.join().unwrap().unwrap();
    let (story, recovered) = story.restart();
    assert_eq!(recovered.snapshot, Some(Snapshot { sequence: Sequence(6), bytes: vec![5; 1 << 20] }));
    story.check();
}

#[test]
fn a_snapshot_that_fails_leaves_nothing() {
    let story = Story::of_four_segments();
    let error = story.journal.save_snapshot(story.journal.durable(), |out| {
        out.write_all(b"half of it, and then")?;
        Err(std::io::Error::other("the engine stumbled"))
    });
    assert!(error.unwrap_err().to_string().contains("the engine stumbled"));
    let left = fs::read_dir(story.folder.path())
        .unwrap()
        .filter(|file| file.as_ref().unwrap().path().extension().is_some_and(|ending| ending == disk::UNFINISHED));
    assert_eq!(left.count(), 0, "it would take room");
    let (_, recovered) = story.restart();
    assert_eq!(state(recovered.snapshot), Some((20, "state after 20".into())));
}
