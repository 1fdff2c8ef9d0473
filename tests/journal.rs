//! The journal between processes: killed without warning, read while it is written, and locked.
//!
//! The writer is this test program, started again as a child that runs [`child_that_appends`] only.

use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdout, Command, Stdio};
use std::sync::mpsc;
use std::thread;
use std::time::{Duration, Instant};
use throughline::journal::{Entry, Error, Journal, Options, Reader, Replay, Retention, Sequence};

const FOLDER: &str = "THROUGHLINE_TEST_JOURNAL";
/// Names an empty folder on a disk of a few MB.
const SMALL_DISK: &str = "THROUGHLINE_TEST_SMALL_DISK";
/// How often the writer is killed: at least, and at most until retention has had its turn.
const ROUNDS_MIN: u64 = 12;
const ROUNDS_MAX: u64 = 500;
/// A lookup is made for every so manieth entry.
const SAMPLE: usize = 501;
const SNAPSHOT_EVERY: u64 = 2_000;

/// Small, so that every kill meets segments that begin and end.
fn options() -> Options {
    Options { segment_bytes_max: 60_000, segment_keys_max: 5_000, buffer_bytes_max: 30_000 }
}

fn mix(mut z: u64) -> u64 {
    z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    z ^ (z >> 31)
}

/// What stands in the journal at a place: its kind, its keys, its payload.
fn expected(sequence: Sequence) -> (u8, Vec<u64>, Vec<u8>) {
    let seed = mix(sequence.0 + 1);
    let payload = sequence.0.to_le_bytes().repeat((seed % 40) as usize);
    (seed as u8 % 4, vec![mix(!sequence.0), mix(!(sequence.0 / 5) >> 1)], payload)
}

fn assert_expected(entry: &Entry) {
    let (kind, keys, payload) = expected(entry.sequence);
    assert_eq!((entry.kind, entry.keys().collect(), entry.payload), (kind, keys, &payload[..]), "{}", entry.sequence);
}

/// All entries are as they were appended; gives how many there were.
fn replayed(mut replay: Replay) -> Result<u64, Error> {
    let (mut count, mut next) = (0, None);
    while let Some(entry) = replay.next()? {
        assert_expected(&entry);
        assert!(next.is_none_or(|next| next == entry.sequence), "{} after {next:?}", entry.sequence);
        next = Some(entry.sequence + 1);
        count += 1;
    }
    Ok(count)
}

/// The writer: appends and commits without end, with the disk's work on this thread and on another in
/// turn, and says what is durable.
#[test]
#[ignore = "the others run it as a process of its own"]
fn child_that_appends() {
    let Some(folder) = std::env::var_os(FOLDER) else { return };
    let (mut journal, _) = Journal::open(folder, options(), now()).unwrap();
    let (to_disk, commits) = mpsc::channel::<throughline::journal::Commit>();
    let (synced, from_disk) = mpsc::channel();
    thread::spawn(move || commits.iter().for_each(|commit| synced.send(commit.sync()).unwrap()));
    println!();
    let mut snapshot = 0;
    for round in 0_u64.. {
        append(&mut journal, mix(round) % 20);
        if let Some(commit) = journal.begin_commit(now()) {
            to_disk.send(commit).unwrap();
            append(&mut journal, mix(!round) % 20);
            journal.end_commit(from_disk.recv().unwrap()).unwrap();
        }
        let durable = if round % 3 == 0 { journal.commit(now()).unwrap() } else { journal.durable() };
        println!("durable {durable}");
        std::io::stdout().flush().unwrap();
        if durable.0 / SNAPSHOT_EVERY > snapshot {
            snapshot = durable.0 / SNAPSHOT_EVERY;
            journal.save_snapshot(durable, |out| write!(out, "{durable}")).unwrap();
            journal.retain(Retention { bytes_max: 400_000, age_max_ns: i64::MAX }, now()).unwrap();
        }
    }
}

fn append(journal: &mut Journal, entries: u64) {
    for _ in 0..entries {
        let (kind, keys, payload) = expected(journal.next());
        journal.append(kind, &keys, &payload).unwrap();
    }
}

fn now() -> i64 {
    std::time::UNIX_EPOCH.elapsed().unwrap().as_nanos() as i64
}

/// A child that writes, and what it says.
struct Writer {
    child: Child,
    says: BufReader<ChildStdout>,
}

impl Writer {
    fn start(folder: &Path) -> Writer {
        let mut child = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "child_that_appends", "--include-ignored", "--nocapture"])
            .env(FOLDER, folder)
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let says = BufReader::new(child.stdout.take().unwrap());
        Writer { child, says }
    }

    /// What it says next to be durable; `None` when it is dead.
    fn durable(&mut self) -> Option<Sequence> {
        loop {
            let mut line = String::new();
            if self.says.read_line(&mut line).unwrap() == 0 {
                return None;
            }
            // The last line may be cut off in the middle of the number.
            if let Some(number) = line.strip_prefix("durable ").and_then(|rest| rest.strip_suffix('\n')) {
                return Some(Sequence(number.parse().unwrap()));
            }
        }
    }

    /// Kills it without warning; gives the last that it said to be durable.
    fn kill(mut self, mut last: Sequence) -> Sequence {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
        while let Some(durable) = self.durable() {
            last = durable;
        }
        last
    }
}

#[test]
fn what_a_killed_writer_acknowledged_is_there_and_nothing_is_half() {
    let (_temporary, folder) = folder();
    let (mut acknowledged, mut oldest, mut round) = (Sequence(0), Sequence(0), 0);
    while round < ROUNDS_MIN || oldest == Sequence(0) {
        assert!(round < ROUNDS_MAX, "retention has removed nothing of {acknowledged} entries");
        round += 1;
        let mut writer = Writer::start(&folder);
        let first = writer.durable().unwrap();
        thread::sleep(Duration::from_micros(mix(round) % 150_000));
        acknowledged = writer.kill(acknowledged.max(first));
        let (journal, recovered) = Journal::open(&folder, options(), 0).unwrap();
        assert!(recovered.end >= acknowledged, "{} is there, {acknowledged} was acknowledged", recovered.end);
        oldest = recovered.oldest.sequence;
        assert_eq!(replayed(journal.replay(oldest).unwrap()).unwrap(), recovered.end.0 - oldest.0);
        if let Some(snapshot) = recovered.snapshot {
            assert_eq!(snapshot.bytes, snapshot.sequence.to_string().into_bytes());
            let missed = replayed(journal.replay(snapshot.sequence).unwrap()).unwrap();
            assert_eq!(missed, recovered.end.0 - snapshot.sequence.0);
        }
        for sequence in (oldest.0..recovered.end.0).step_by(SAMPLE) {
            let (kind, keys, _) = expected(Sequence(sequence));
            let mut lookup = journal.lookup(keys[0], Some(kind));
            assert_eq!(lookup.next().unwrap().map(|entry| entry.sequence), Some(Sequence(sequence)));
            assert_eq!(lookup.next().unwrap(), None);
        }
        acknowledged = recovered.end;
    }
}

#[test]
fn a_reader_sees_all_that_is_durable_while_it_is_written_and_removed() {
    let (_temporary, folder) = folder();
    let mut writer = Writer::start(&folder);
    let mut durable = writer.durable().unwrap();
    let mut reader = Reader::open(&folder).unwrap();
    let begun = Instant::now();
    let (mut rounds, mut forgotten, mut looked_up) = (0, 0, 0);
    while rounds < 20 || forgotten == 0 || begun.elapsed() < Duration::from_secs(2) {
        assert!(begun.elapsed() < Duration::from_secs(60), "{rounds} rounds, {forgotten} forgotten");
        for _ in 0..10 {
            durable = writer.durable().unwrap();
        }
        let end = reader.refresh().unwrap();
        assert!(end >= durable, "{durable} is durable, {end} is seen");
        let oldest = reader.oldest().unwrap().sequence;
        match reader.replay(oldest).and_then(replayed) {
            Ok(count) => assert_eq!(count, end.0 - oldest.0),
            Err(error) => assert!(matches!(error, Error::Forgotten { .. }), "{error}"),
        }
        forgotten += u64::from(oldest > Sequence(0));
        // A key that five neighbours share: the newest of them are always kept.
        let newest = Sequence(end.0 - 1);
        let mut lookup = reader.lookup(expected(newest).1[1], None);
        let mut next = newest;
        while let Some(entry) = lookup.next().unwrap() {
            assert_expected(&entry);
            assert_eq!(entry.sequence, next);
            next = Sequence(next.0.saturating_sub(1));
            looked_up += 1;
        }
        rounds += 1;
    }
    assert!(looked_up >= rounds);
    writer.kill(durable);
}

#[test]
fn another_process_is_named_that_has_the_journal() {
    let (_temporary, folder) = folder();
    let mut writer = Writer::start(&folder);
    writer.durable().unwrap();
    let Err(error) = Journal::open(&folder, options(), 0) else { panic!("two processes write") };
    let pid = writer.child.id();
    assert!(matches!(error, Error::Locked { pid: Some(named), .. } if named == pid), "{error}");
    assert_eq!(
        error.to_string(),
        format!(
            "the folder {} is in use by process {pid}: only one process may write to it. Stop the other one, or give \
             this one a folder of its own",
            folder.display()
        )
    );
    writer.kill(Sequence(0));
    Journal::open(&folder, options(), 0).unwrap();
}

/// On a real file system, that takes what it cannot place: `mount -t tmpfs -o size=4m` or a small image of
/// ext4. The writer fills it, is refused, and goes on when a file beside the journal is gone.
#[test]
#[ignore = "needs a small disk, named by THROUGHLINE_TEST_SMALL_DISK"]
fn a_disk_that_is_full_loses_nothing() {
    let disk = PathBuf::from(std::env::var_os(SMALL_DISK).expect(SMALL_DISK));
    let (folder, ballast) = (disk.join("lane"), disk.join("ballast"));
    std::fs::write(&ballast, vec![1; 1 << 20]).unwrap();
    let (mut journal, _) = Journal::open(&folder, options(), 0).unwrap();
    let mut told = 0;
    let refused = loop {
        append(&mut journal, 50);
        assert!(journal.next() < Sequence(10_000_000), "the disk is not small");
        if let Err(error) = journal.commit(now()) {
            break error;
        }
        told += 1;
    };
    assert!(told > 10 && matches!(refused, Error::NotCommitted { .. }), "{told} commits, then {refused}");
    let durable = journal.durable();
    assert!(journal.save_snapshot(durable, |out| out.write_all(&vec![0; 1 << 20])).is_err());
    assert!(journal.commit(now()).is_err());
    append(&mut journal, 50);
    std::fs::remove_file(&ballast).unwrap();
    let end = journal.next();
    assert_eq!(journal.commit(now()).unwrap(), end);
    drop(journal);
    let (journal, recovered) = Journal::open(&folder, options(), 0).unwrap();
    assert_eq!((recovered.end, recovered.torn, recovered.snapshot), (end, None, None));
    assert_eq!(replayed(journal.replay(Sequence(0)).unwrap()).unwrap(), end.0);
    println!("{refused}\n{durable} entries were durable then, {end} in the end");
}

/// A folder that does not exist yet, in one that goes away with the test.
fn folder() -> (tempfile::TempDir, PathBuf) {
    let temporary = tempfile::tempdir().unwrap();
    let folder = temporary.path().join("data").join("lane-0");
    (temporary, folder)
}
