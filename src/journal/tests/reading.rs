//! A reader beside the writer.

use super::*;

#[test]
fn a_reader_sees_what_is_durable_and_nothing_else() {
    let mut story = Story::new(small());
    let mut reader = Reader::open(story.folder.path()).unwrap();
    assert_eq!((reader.end(), reader.oldest()), (Sequence(0), None));
    for _ in 0..20 {
        story.tell(3);
        let durable = story.journal.durable();
        let commit = story.journal.begin_commit(0).unwrap();
        assert_eq!(reader.refresh().unwrap(), durable);
        // The group is in the file, and its mark is not.
        let path = commit.group.segment.path.clone();
        let (offset, bytes) = (commit.group.extent.offset(), commit.group.extent.bytes().to_vec());
        if offset > 0 {
            disk::Output::open(&path).unwrap().write_at(offset, &bytes).unwrap();
            assert_eq!(reader.refresh().unwrap(), durable);
            let told = &story.told[..durable.0 as usize];
            assert_eq!(all(reader.replay(Sequence(0))), Ok(numbered(told, Sequence(0))));
            check_lookups(|key, kind| reader.lookup(key, kind), told, Sequence(0));
        }
        story.journal.end_commit(commit.sync()).unwrap();
        assert_eq!(reader.refresh().unwrap(), story.journal.durable());
        check_lookups(|key, kind| reader.lookup(key, kind), &story.told, Sequence(0));
    }
    assert!(story.journal.sealed.len() > 2);
}

#[test]
fn a_reader_needs_no_index_and_changes_nothing() {
    let story = Story::of_four_segments();
    let [first, second, ..] = &story.files("index")[..] else { panic!("three are sealed") };
    fs::remove_file(first).unwrap();
    cut(second, 1_000);
    let reader = Reader::open(story.folder.path()).unwrap();
    check_lookups(|key, kind| reader.lookup(key, kind), &story.told, Sequence(0));
    assert!(!first.exists());
    assert_eq!(length(second), 1_000);
}

#[test]
fn a_reader_of_a_journal_whose_writer_died_sees_what_has_a_mark() {
    let mut story = Story::new(large());
    story.tell(3);
    story.commit();
    let marked = length(&story.files("journal")[0]);
    story.tell(3);
    story.commit();
    let Story { folder, journal, told, .. } = story;
    drop(journal);
    let path = segment::path(folder.path(), Sequence(0), "journal");
    for bytes in (marked..length(&path)).rev() {
        cut(&path, bytes);
        let reader = Reader::open(folder.path()).unwrap();
        assert_eq!(all(reader.replay(Sequence(0))), Ok(numbered(&told[..3], Sequence(0))));
    }
}

#[test]
fn a_reader_notices_that_a_journal_was_begun_anew() {
    let mut story = Story::new(large());
    story.tell(9);
    story.commit();
    let mut reader = Reader::open(story.folder.path()).unwrap();
    assert_eq!(reader.end(), Sequence(9));
    let mut story = story
        .restart_after(|folder| fs::remove_file(segment::path(folder, Sequence(0), "journal")).unwrap())
        .unwrap()
        .0;
    story.tell(9);
    story.commit();
    assert_eq!(reader.refresh().unwrap(), Sequence(9));
    check_lookups(|key, kind| reader.lookup(key, kind), &story.told, Sequence(0));
}

#[test]
fn a_folder_that_is_not_there_is_an_error() {
    let Err(error) = Reader::open("/nowhere/at/all") else { panic!("it is there") };
    assert_eq!(error.to_string(), "cannot list /nowhere/at/all: No such file or directory (os error 2)");
}
