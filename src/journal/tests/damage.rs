//! Rotten bytes, lost files, and files from the future: an error or the truth, never anything else.

use super::*;

/// Opens and reads everything; gives the first complaint. What is given without one must be true.
fn read_all(folder: &Path, told: &[Told]) -> Result<Recovered, String> {
    let (journal, recovered) = Journal::open(folder, small(), 0).map_err(|error| error.to_string())?;
    assert_eq!(recovered.end.0 as usize, told.len(), "an acknowledged entry is gone");
    let replayed = all(journal.replay(Sequence(0)))?;
    assert_eq!(replayed, numbered(told, Sequence(0)));
    for key in [KEY_OF_ALL, shared_key(2), own_key(0), own_key(1)] {
        let expected = numbered(told, Sequence(0)).into_iter().rev().filter(|(_, told)| told.keys.contains(&key));
        assert_eq!(found(journal.lookup(key, None))?, expected.collect::<Vec<_>>());
    }
    Ok(recovered)
}

/// Turns one bit of every byte in turn, each time another one; gives how often an error was told.
fn flip_every_byte(file: &Path, folder: &Path, told: &[Told], bytes: impl Iterator<Item = u64>) -> u64 {
    let original = fs::read(file).unwrap();
    let mut errors = 0;
    for at in bytes {
        flip(file, at, at % 8);
        if let Err(complaint) = read_all(folder, told) {
            assert!(complaint.contains(&folder.display().to_string()), "{complaint}");
            errors += 1;
        }
        overwrite(file, &original);
    }
    read_all(folder, told).unwrap();
    errors
}

#[test]
fn a_bit_that_turns_in_a_segment_is_an_error_wherever_it_is() {
    let story = Story::of_four_segments();
    let segments = story.files("journal");
    let Story { folder, journal, told, .. } = story;
    drop(journal);
    for file in &segments {
        let whole = length(file);
        let errors = flip_every_byte(file, folder.path(), &told, 0..whole);
        // The last mark may be torn; and that of a sealed segment is no longer needed.
        assert_eq!(errors, whole - format::HEAD_BYTES as u64);
    }
}

#[test]
fn a_bit_that_turns_in_an_index_changes_no_answer() {
    let story = Story::of_four_segments();
    let index = story.files("index").remove(1);
    let Story { folder, journal, told, .. } = story;
    drop(journal);
    let whole = length(&index);
    // The header, the words, and of the long table every 7th byte.
    let bytes = (0..32).chain((32..32 + 4097 * 8).step_by(7)).chain(32 + 4097 * 8..whole);
    assert_eq!(flip_every_byte(&index, folder.path(), &told, bytes), 0);
}

#[test]
fn an_index_that_is_lost_cut_or_of_another_segment_is_made_anew() {
    let damages: [fn(&Path, &Path); 4] = [
        |index, _| fs::remove_file(index).unwrap(),
        |index, _| cut(index, 20),
        |index, _| cut(index, length(index) - 8),
        |index, other| fs::copy(other, index).map(|_| ()).unwrap(),
    ];
    for damage in damages {
        let story = Story::of_four_segments();
        let indexes = story.files("index");
        let intact = fs::read(&indexes[1]).unwrap();
        let (story, recovered) = story.restart_after(|_| damage(&indexes[1], &indexes[0])).unwrap();
        assert_eq!(recovered.indexes_rebuilt, [indexes[1].clone()]);
        assert_eq!(fs::read(&indexes[1]).unwrap(), intact);
        story.check();
    }
}

#[test]
fn an_index_that_rots_while_the_journal_is_open_is_made_anew_when_it_is_needed() {
    let story = Story::of_four_segments();
    let index = &story.files("index")[0];
    let intact = fs::read(index).unwrap();
    fs::write(index, intact.iter().map(|byte| byte ^ 0x55).collect::<Vec<_>>()).unwrap();
    story.check();
    assert_eq!(fs::read(index).unwrap(), intact);
}

#[test]
fn a_bit_that_turns_in_the_newest_snapshot_makes_it_the_one_before_or_an_error() {
    let story = Story::of_four_segments();
    let newest = story.files("snapshot").pop().unwrap();
    let Story { folder, journal, told, .. } = story;
    drop(journal);
    let original = fs::read(&newest).unwrap();
    for bit in 0..original.len() * 8 {
        let mut flipped = original.clone();
        flipped[bit / 8] ^= 1 << (bit % 8);
        fs::write(&newest, flipped).unwrap();
        match read_all(folder.path(), &told) {
            Ok(recovered) => {
                assert_eq!(recovered.rejected.len(), 1);
                assert_eq!(recovered.snapshot.unwrap().bytes, b"state after 8");
            }
            Err(complaint) => assert!(complaint.contains("format version"), "{complaint}"),
        }
    }
    fs::write(&newest, &original).unwrap();
    assert_eq!(read_all(folder.path(), &told).unwrap().snapshot.unwrap().bytes, b"state after 20");
}

#[test]
fn damage_is_told_with_its_place_and_the_way_out() {
    let story = Story::of_four_segments();
    let file = story.files("journal").pop().unwrap();
    let Err(error) = story.restart_after(|_| flip(&file, 40, 0)) else { panic!("damage before a mark") };
    let told = error.to_string();
    assert!(
        told.starts_with(&format!("{} is damaged at byte 32: the checksum of an entry is wrong.", file.display())),
        "{told}"
    );
    assert!(told.contains("move all files out of"), "{told}");
}

/// However far beyond the damage the mark is, and wherever it falls in what is read at once.
#[test]
fn damage_is_told_apart_from_a_torn_end_by_a_mark_far_away() {
    for length in 261_960..262_000 {
        let mut story = Story::new(large());
        for bytes in [10, length, 100] {
            story.journal.append(0, &[], &vec![7; bytes]).unwrap();
        }
        story.journal.commit(0).unwrap();
        let file = story.files("journal").remove(0);
        let Err(error) = story.restart_after(|_| flip(&file, 50, 0)) else { panic!("{length}") };
        assert!(matches!(error, Error::Corrupt { offset: 32, .. }), "{error}");
    }
}

#[test]
fn an_entry_in_the_place_of_another_is_damage() {
    let mut story = Story::new(large());
    for byte in [1, 2] {
        story.journal.append(0, &[], &[byte; 30]).unwrap();
    }
    story.journal.commit(0).unwrap();
    let file = story.files("journal").remove(0);
    let Err(error) = story.restart_after(|_| {
        let mut bytes = fs::read(&file).unwrap();
        bytes.copy_within(32..78, 78);
        overwrite(&file, &bytes);
    }) else {
        panic!("the first entry stands there twice")
    };
    assert!(error.to_string().contains("an entry has another number than its place"), "{error}");
}

#[test]
fn an_index_of_an_earlier_state_of_its_segment_is_not_trusted() {
    let story = Story::of_four_segments();
    let segment = &story.journal.sealed[1];
    index::Index::default().write(segment, segment.first + 5, 500).unwrap();
    story.check();
}

#[test]
fn segments_and_snapshots_of_a_later_version_are_refused_by_that_name() {
    for ending in ["journal", "snapshot"] {
        let story = Story::of_four_segments();
        let file = story.files(ending).pop().unwrap();
        let Err(error) = story.restart_after(|_| {
            let mut bytes = fs::read(&file).unwrap();
            bytes[4] = 2;
            fs::write(&file, bytes).unwrap();
        }) else {
            panic!("it is of version 2")
        };
        assert!(matches!(error, Error::Version { version: 2, known: 1, .. }), "{error}");
        assert!(error.to_string().contains("use the program that wrote it"), "{error}");
    }
}

#[test]
fn a_segment_that_is_lost_or_cut_in_the_middle_is_missed() {
    let losses: [fn(&Path); 3] =
        [|path| fs::remove_file(path).unwrap(), |path| cut(path, length(path) - 200), |path| cut(path, 10)];
    let complaints = ["are missing", "the file ends within an entry", "it is shorter than a header"];
    for (lose, complaint) in losses.into_iter().zip(complaints) {
        let story = Story::of_four_segments();
        let second = story.files("journal").remove(1);
        let Err(error) = story.restart_after(|_| lose(&second)) else { panic!("a segment is gone") };
        assert!(error.to_string().contains(complaint), "{error}");
    }
}

#[test]
fn a_segment_under_another_name_is_refused() {
    let story = Story::of_four_segments();
    let last = story.files("journal").pop().unwrap();
    let Err(error) =
        story.restart_after(|folder| fs::rename(last, segment::path(folder, Sequence(99), "journal")).unwrap())
    else {
        panic!("it begins elsewhere")
    };
    assert!(error.to_string().contains("its name and its header name different first entries"), "{error}");
}

#[test]
fn what_was_left_unfinished_is_swept_away_and_foreign_files_are_left_alone() {
    let story = Story::of_four_segments();
    let names = ["00000000000000000099.journal.new", "00000000000000000000.index.new", "00000000000000000077.index"];
    let (story, _) = story
        .restart_after(|folder| {
            names.iter().for_each(|name| fs::write(folder.join(name), "half").unwrap());
            fs::write(folder.join("README"), "keep me").unwrap();
        })
        .unwrap();
    names.iter().for_each(|name| assert!(!story.folder.path().join(name).exists(), "{name}"));
    assert!(story.folder.path().join("README").exists());
    story.check();
}
