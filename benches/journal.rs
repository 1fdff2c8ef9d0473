//! The journal alone: what an observation costs to keep, how fast a lane comes back, what a lookup takes.
//!
//! `cargo bench --bench journal -- [OBSERVATIONS=4000000] [AN_ENTRY=300] [FOLDER]` packs so many observations, each with one
//! key or two, into each entry, appends it with the transactions that have closed (one for every four observations), as a
//! lane does, and commits in groups. Without a folder a temporary one is taken; its disk is what the syncs wait for, and a
//! folder in memory (/dev/shm) shows the journal's own work.

use std::hint::black_box;
use std::io::Write;
use std::path::Path;
use std::sync::mpsc;
use std::thread;
use std::time::{Duration, Instant};
use throughline::journal::{Commit, Journal, Options, Reader, Sequence, Synced};
use throughline::model::key;
use throughline::model::observation::{self, Dedupe, Position};
use throughline::model::time::Time;
use throughline::model::value::Value;

/// Entries that are committed together where the disk is the bottleneck.
const ENTRIES_A_GROUP: u64 = 4;
const LOOKUPS: u64 = 20_000;
/// Segments of the journal that shows what a lookup costs in a long one.
const SEGMENTS: u64 = 100;

fn mix(mut z: u64) -> u64 {
    z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    z ^ (z >> 31)
}

/// CPU time of this thread in seconds, the system's work for it included.
fn cpu_seconds() -> f64 {
    let stat = std::fs::read_to_string("/proc/thread-self/schedstat").unwrap_or_default();
    stat.split_whitespace().next().and_then(|n| n.parse::<f64>().ok()).unwrap_or(0.0) / 1e9
}

/// What a source delivers and what closes meanwhile, made beforehand so that only the journal is measured.
struct Batch {
    observations: observation::Batch,
    /// The closed transactions' states, and all their keys.
    closed: Vec<u8>,
    closed_keys: Vec<u64>,
}

/// Bytes of a closed transaction of four observations.
const CLOSED_BYTES: usize = 130;

fn order(number: u64) -> String {
    format!("o-{:016x}", mix(number))
}

/// Observations of four steps of an order; every other one names a payment as well.
fn batches(count: u64, observations: u64) -> Vec<Batch> {
    let batch = |number: u64| {
        let mut batch = observation::Batch::default();
        let (mut closed, mut closed_keys) = (Vec::new(), Vec::new());
        for at in number * observations..(number + 1) * observations {
            let position = Position { part: 0, offset: at, element: 0 };
            let mut draft =
                batch.begin(0, (at % 4) as u16, Time(1_768_000_000_000_000_000 + at as i64 * 2_500_000), position);
            draft.key(0, &order(at / 4));
            if at.is_multiple_of(2) {
                draft.key(1, &order((at / 4) ^ (1 << 50)));
            }
            draft.body(Dedupe::Position);
            draft.field(&Value::Int((mix(at) % 100_000) as i64));
            draft.finish();
            if at % 4 == 3 {
                closed.resize(closed.len() + CLOSED_BYTES, at as u8);
                closed_keys.extend([mix(at), mix(at + 1)]);
            }
        }
        Batch { observations: batch, closed, closed_keys }
    };
    (0..count).map(batch).collect()
}

impl Batch {
    /// Appends it as a lane does.
    fn append(&self, journal: &mut Journal, keys: &mut Vec<u64>, payload: &mut Vec<u8>) -> Sequence {
        payload.clear();
        self.observations.encode(payload);
        self.observations.hashes(keys);
        let sequence = journal.append(0, keys, payload).expect("room in the buffer");
        if !self.closed.is_empty() {
            journal.append(1, &self.closed_keys, &self.closed).expect("room in the buffer");
        }
        sequence
    }
}

fn open(folder: &Path) -> Journal {
    Journal::open(folder, Options::default(), 0).expect("a folder of its own").0
}

fn size(folder: &Path, ending: &str) -> u64 {
    let files = std::fs::read_dir(folder).expect("the journal's folder").flatten();
    files
        .filter(|f| f.path().extension().is_some_and(|e| e == ending))
        .map(|f| f.metadata().map_or(0, |m| m.len()))
        .sum()
}

/// Appends and commits in place: the CPU that an observation takes, whatever the disk does meanwhile.
fn in_place(folder: &Path, options: Options, batches: &[Batch], entries: u64, observations: u64, a_group: u64) {
    let (mut journal, _) = Journal::open(folder, options, 0).expect("a folder of its own");
    let (mut keys, mut payload) = (Vec::new(), Vec::new());
    let (begun, cpu) = (Instant::now(), cpu_seconds());
    for number in 0..entries {
        batches[(number % batches.len() as u64) as usize].append(&mut journal, &mut keys, &mut payload);
        if (number + 1) % a_group == 0 {
            journal.commit(0).expect("room on the disk");
        }
    }
    journal.commit(0).expect("room on the disk");
    let (seconds, cpu) = (begun.elapsed().as_secs_f64(), cpu_seconds() - cpu);
    let total = (entries * observations) as f64;
    println!(
        "{total} observations, {observations} an entry, {} a group: {:.3} µs CPU each, {:.0} groups/s, \
         {:.2} million/s, {:.1} bytes each and {:.1} of index",
        a_group * observations,
        cpu * 1e6 / total,
        entries as f64 / a_group as f64 / seconds,
        total / seconds / 1e6,
        size(folder, "journal") as f64 / total,
        size(folder, "index") as f64 / total,
    );
}

/// Commits on another thread, at a pace: the longest that the lane's own thread was held up.
fn overlapped(folder: &Path, batches: &[Batch], observations: u64, a_second: u64) {
    let mut journal = open(folder);
    let (to_disk, commits) = mpsc::channel::<Commit>();
    let (synced, from_disk) = mpsc::channel::<Synced>();
    let disk = thread::spawn(move || commits.iter().for_each(|commit| synced.send(commit.sync()).expect("a lane")));
    let pause = Duration::from_secs_f64(observations as f64 / a_second as f64);
    let (begun, mut longest, mut behind) = (Instant::now(), Duration::ZERO, Duration::ZERO);
    let mut appended_at = std::collections::VecDeque::new();
    let (mut keys, mut payload) = (Vec::new(), Vec::new());
    for number in 0..(3 * a_second / observations) as u32 {
        thread::sleep((begun + pause * number).saturating_duration_since(Instant::now()));
        let start = Instant::now();
        let sequence = batches[number as usize % batches.len()].append(&mut journal, &mut keys, &mut payload);
        appended_at.push_back((sequence, start));
        for done in from_disk.try_iter() {
            let durable = journal.end_commit(done).expect("room on the disk");
            while let Some((_, at)) = appended_at.pop_front_if(|(sequence, _)| *sequence < durable) {
                behind = behind.max(at.elapsed());
            }
        }
        if let Some(commit) = journal.begin_commit(0) {
            to_disk.send(commit).expect("a disk");
        }
        longest = longest.max(start.elapsed());
    }
    drop(to_disk);
    disk.join().expect("no panic");
    println!(
        "{a_second} observations/s, {observations} an entry, synced on another thread: \
         the lane waited {:.2} ms at most, an entry was durable after {:.0} ms at most",
        longest.as_secs_f64() * 1e3,
        behind.as_secs_f64() * 1e3,
    );
}

/// The same bytes in the same groups, written and synced without a journal: what nobody can save.
fn plain(path: &Path, batches: &[Batch], entries: u64, observations: u64, a_group: u64) {
    let mut file = std::fs::File::create(path).expect("a folder of its own");
    let (mut group, mut payload) = (Vec::new(), Vec::new());
    let mut cpu = 0.0;
    for number in 0..entries {
        let batch = &batches[(number % batches.len() as u64) as usize];
        payload.clear();
        batch.observations.encode(&mut payload);
        let keys = batch.observations.all_keys().len() + batch.closed_keys.len();
        let begun = cpu_seconds();
        group.extend_from_slice(&payload);
        group.extend_from_slice(&batch.closed);
        group.resize(group.len() + keys * 8, 0);
        if (number + 1) % a_group == 0 {
            file.write_all(&group).and_then(|()| file.sync_data()).expect("room on the disk");
            group.clear();
        }
        cpu += cpu_seconds() - begun;
    }
    let total = (entries * observations) as f64;
    println!("  the same bytes, only written and synced: {:.3} µs CPU each", cpu * 1e6 / total);
}

fn lookups(reader: &Reader, orders: u64) {
    for (who, kind) in [("keys that nothing of the kind has", Some(9)), ("keys, all their entries read", None)] {
        let (begun, cpu, mut found, mut packed) = (Instant::now(), cpu_seconds(), 0, Vec::new());
        for number in 0..LOOKUPS {
            packed.clear();
            key::pack(&order(mix(number) % orders), &mut packed);
            let mut lookup = reader.lookup(key::hash(0, 0, &packed), kind);
            while lookup.next().expect("sound entries").is_some() {
                found += 1;
            }
        }
        let each = |seconds: f64| seconds * 1e6 / LOOKUPS as f64;
        println!(
            "{LOOKUPS} lookups of {who}: {:.1} µs each ({:.1} µs CPU), {found} entries",
            each(begun.elapsed().as_secs_f64()),
            each(cpu_seconds() - cpu),
        );
    }
}

fn reading(folder: &Path, orders: u64) {
    let begun = Instant::now();
    let journal = open(folder);
    println!("opened in {:.0} ms", begun.elapsed().as_secs_f64() * 1e3);
    let begun = Instant::now();
    let mut replay = journal.replay(Sequence::default()).expect("nothing is forgotten");
    let (mut entries, mut bytes) = (0_u64, 0);
    while let Some(entry) = replay.next().expect("sound entries") {
        entries += 1;
        bytes += black_box(entry.payload).len() + entry.keys().len() * 8;
    }
    let seconds = begun.elapsed().as_secs_f64();
    println!(
        "replayed {entries} entries, {bytes} bytes in {:.0} ms: {:.2} GB/s",
        seconds * 1e3,
        bytes as f64 / seconds / 1e9
    );
    let begun = Instant::now();
    let reader = Reader::open(folder).expect("a journal");
    println!("a reader opened in {:.0} ms", begun.elapsed().as_secs_f64() * 1e3);
    lookups(&reader, orders);
}

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).filter(|argument| !argument.starts_with("--")).collect();
    let number = |at: usize, default: u64| arguments.get(at).and_then(|a| a.parse().ok()).unwrap_or(default);
    let (total, observations) = (number(0, 4_000_000), number(1, 300));
    let temporary = tempfile::tempdir_in(arguments.get(2).map_or(std::env::temp_dir(), Into::into)).expect("a folder");
    let folder = |name: &str| temporary.path().join(name);
    let entries = total / observations;
    let batches = batches(entries, observations);
    in_place(&folder("each"), Options::default(), &batches, entries.min(2_000), observations, 1);
    plain(&folder("plain"), &batches, entries.min(2_000), observations, 1);
    in_place(&folder("groups"), Options::default(), &batches, entries, observations, ENTRIES_A_GROUP);
    plain(&folder("plain"), &batches, entries, observations, ENTRIES_A_GROUP);
    overlapped(&folder("paced"), &batches, observations, 20_000);
    reading(&folder("groups"), total / 4);
    let short = Options { segment_bytes_max: size(&folder("groups"), "journal") / SEGMENTS, ..Options::default() };
    println!("in {SEGMENTS} segments:");
    in_place(&folder("segments"), short, &batches, entries, observations, ENTRIES_A_GROUP);
    reading(&folder("segments"), total / 4);
    let single = self::batches(total / 4, 1);
    in_place(&folder("single"), Options::default(), &single, total / 4, 1, 1_000);
    plain(&folder("plain"), &single, total / 4, 1, 1_000);
    reading(&folder("single"), total / 16);
}
