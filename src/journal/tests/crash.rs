//! Crashes at any byte: everything acknowledged is there afterwards, and nothing half.
//!
//! What a power cut leaves of a group that is being written: any of its sectors, or zeros in their
//! place, and the file cut at any length. A mark can be lost in the same way, but it is there only
//! where its group is whole. A new segment, an index or a snapshot has its name only where it is whole.

use super::disk::faults;
use super::*;
use proptest::prelude::*;

const SECTOR_BYTES: u64 = 512;

#[derive(Clone, Debug)]
enum Op {
    Append(usize),
    Commit,
    /// The disk has so much room, for one commit.
    CommitWithRoom(usize),
    Snapshot,
    Crash(Crash),
}

#[derive(Clone, Debug)]
struct Crash {
    /// A commit is under way.
    in_commit: bool,
    /// And the disk had it when the power went.
    synced: bool,
    /// Where the file is cut, in 1/256 of what was not durable.
    cut: u8,
    /// Sectors that were not written, one a bit.
    lost: u64,
    /// Of a file whose name is not durable: it has it.
    named: bool,
}

fn op() -> impl Strategy<Value = Op> {
    let crash = (any::<bool>(), any::<bool>(), any::<u8>(), any::<u64>(), any::<bool>());
    let crash = crash.prop_map(|(in_commit, synced, cut, lost, named)| Crash { in_commit, synced, cut, lost, named });
    prop_oneof![
        4 => (1..8_usize).prop_map(Op::Append),
        3 => Just(Op::Commit),
        1 => (0..2_000_usize).prop_map(Op::CommitWithRoom),
        1 => Just(Op::Snapshot),
        3 => crash.prop_map(Op::Crash),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    #[test]
    fn everything_acknowledged_survives_every_crash(ops in proptest::collection::vec(op(), 1..25)) {
        let mut story = Story::new(small());
        let mut snapshot = None;
        for op in ops {
            match op {
                Op::Append(entries) if story.journal.pending.is_none() => story.tell(entries),
                Op::Append(_) => {}
                Op::Commit => story.commit(),
                Op::CommitWithRoom(bytes) => {
                    faults::leave_room(bytes);
                    let _ = story.journal.commit(0);
                    faults::leave_room(usize::MAX);
                }
                Op::Snapshot => {
                    let durable = story.journal.durable();
                    story.journal.save_snapshot(durable, |out| write!(out, "{durable}")).unwrap();
                    snapshot = Some(Snapshot { sequence: durable, bytes: durable.to_string().into_bytes() });
                }
                Op::Crash(crash) => {
                    let durable = story.journal.durable();
                    let (next, recovered) = crash_and_restart(story, &crash);
                    prop_assert!(recovered.end >= durable, "{} of {}", recovered.end, durable);
                    prop_assert_eq!(&recovered.snapshot, &snapshot);
                    story = next;
                    story.check();
                }
            }
        }
        story.check();
    }
}

fn crash_and_restart(mut story: Story, crash: &Crash) -> (Story, Recovered) {
    let commit = if crash.in_commit { story.journal.begin_commit(0) } else { None };
    let Some(commit) = commit else {
        // Only the last mark is not durable, and what a failed commit left.
        let active = &story.journal.active;
        let (path, durable) = match story.journal.pending.as_deref() {
            Some(group) if group.extent.offset() == 0 => return story.restart(),
            Some(group) => (group.segment.path.clone(), group.extent.offset()),
            None => (active.segment.path.clone(), active.extent.offset()),
        };
        return story.restart_after(|_| crash.tear(&path, durable)).unwrap();
    };
    let group = commit.group.clone();
    let synced = commit.sync();
    assert!(synced.file.is_ok());
    drop(synced);
    let (path, unfinished) = (group.segment.path.clone(), disk::unfinished(&group.segment.path));
    let (end, end_offset, offset) = (group.end, group.extent.end(), group.extent.offset());
    let seals = group.seals.is_some();
    let index = group.segment.index_path();
    drop(group);
    let (story, recovered) = story
        .restart_after(|_| {
            if crash.synced {
                crash.tear(&path, end_offset);
                if offset == 0 && !crash.named {
                    fs::rename(&path, &unfinished).unwrap();
                }
                if seals && !crash.named {
                    crash.tear(&index, 0);
                    fs::rename(&index, disk::unfinished(&index)).unwrap();
                }
                return;
            }
            let _ = fs::remove_file(&index);
            cut(&path, end_offset);
            crash.tear(&path, offset);
            if offset == 0 {
                fs::rename(&path, &unfinished).unwrap();
            }
        })
        .unwrap();
    if crash.synced && (crash.named || offset > 0) {
        assert_eq!(recovered.end, end, "the disk had the whole group");
    }
    (story, recovered)
}

impl Crash {
    /// Loses what is not durable.
    fn tear(&self, path: &Path, durable: u64) {
        let Ok(mut bytes) = fs::read(path) else { return };
        let whole = bytes.len() as u64;
        let kept = durable + (whole - durable) * u64::from(self.cut) / 255;
        bytes.truncate(kept as usize);
        for at in durable..kept {
            if self.lost >> (at / SECTOR_BYTES % 64) & 1 == 1 {
                bytes[at as usize] = 0;
            }
        }
        fs::write(path, bytes).unwrap();
    }
}

/// The same, by hand: a group of three entries, cut at every byte.
#[test]
fn a_group_that_is_cut_at_any_byte_leaves_its_whole_entries() {
    let mut story = Story::new(large());
    story.tell(4);
    story.commit();
    let file = story.files("journal").remove(0);
    let durable = length(&file) - format::HEAD_BYTES as u64;
    let mut ends = vec![durable + format::HEAD_BYTES as u64];
    for _ in 0..3 {
        story.tell(1);
        let told = story.told.last().unwrap();
        ends.push(ends.last().unwrap() + (format::HEAD_BYTES + 3 * 8 + told.payload.len()) as u64);
    }
    story.commit();
    let whole = fs::read(&file).unwrap();
    assert_eq!(whole.len() as u64, ends[3] + format::HEAD_BYTES as u64);
    let Story { folder, journal, told, .. } = story;
    drop(journal);
    for bytes in durable..=whole.len() as u64 {
        fs::write(&file, &whole[..bytes as usize]).unwrap();
        let (journal, recovered) = Journal::open(folder.path(), large(), 0).unwrap();
        let entries = 4 + ends[1..].iter().filter(|end| **end <= bytes).count();
        assert_eq!(recovered.end.0 as usize, entries, "{bytes} bytes");
        assert_eq!(all(journal.replay(Sequence(0))), Ok(numbered(&told[..entries], Sequence(0))));
        let end = ends[entries - 4].max(durable);
        assert!([end, end + format::HEAD_BYTES as u64].contains(&length(&file)), "nothing torn is left");
        let clean = ends.contains(&bytes) || bytes == durable || bytes == whole.len() as u64;
        assert_eq!(recovered.torn.is_none(), clean, "{bytes} bytes: {:?}", recovered.torn);
        if let Some(torn) = recovered.torn {
            assert_eq!((torn.file, torn.offset + torn.bytes), (file.clone(), bytes));
        }
    }
}

/// Old bytes may come to stand right behind new ones of the same length.
#[test]
fn a_torn_entry_does_not_come_back_behind_a_new_one() {
    let mut story = Story::new(large());
    story.tell(1);
    story.commit();
    let file = story.files("journal").remove(0);
    let offset = length(&file) - format::HEAD_BYTES as u64;
    let same = |story: &mut Story| {
        for _ in 0..3 {
            let told = Told { kind: 0, keys: vec![5], payload: vec![story.restarts as u8; 50] };
            story.journal.append(told.kind, &told.keys, &told.payload).unwrap();
            story.told.push(told);
        }
    };
    same(&mut story);
    let commit = story.journal.begin_commit(0).unwrap();
    drop(commit.sync());
    let (mut story, recovered) = story
        .restart_after(|_| {
            cut(&file, length(&file) - format::HEAD_BYTES as u64);
            flip(&file, offset + 30, 0);
        })
        .unwrap();
    assert_eq!((recovered.end, recovered.torn.unwrap().bytes), (Sequence(1), 3 * 74));
    assert_eq!(length(&file), offset + format::HEAD_BYTES as u64, "nothing torn is left");
    same(&mut story);
    story.commit();
    story.check();
}

/// A client that sends us a piece of our own journal does not make a torn group look like damage.
#[test]
fn a_mark_in_a_payload_is_no_mark() {
    let mut story = Story::new(large());
    story.tell(3);
    story.commit();
    let file = story.files("journal").remove(0);
    let bytes = fs::read(&file).unwrap();
    story.journal.append(0, &[], &[0; 40]).unwrap();
    story.journal.append(0, &[], &bytes).unwrap();
    let commit = story.journal.begin_commit(0).unwrap();
    drop(commit.sync());
    let (story, recovered) = story
        .restart_after(|_| {
            cut(&file, length(&file) - format::HEAD_BYTES as u64);
            flip(&file, bytes.len() as u64 + 30, 0);
        })
        .unwrap();
    assert_eq!(recovered.end, Sequence(3));
    story.check();
}
