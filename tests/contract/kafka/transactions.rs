//! Transactions: what is open holds back the proof, what is aborted was never there, and whatever many writers do at
//! once, no proof is ahead of the truth.

use super::super::servers::kafka::Kafka;
use super::super::watch::{Place, Said, Watch, now};
use super::options;
use rdkafka::producer::{BaseProducer, BaseRecord, Producer};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;
use std::time::Duration;
use throughline::model::time::Time;
use throughline::sources::kafka::{self, Options};

/// How long the broker may take to end a transaction.
const PATIENCE: Duration = Duration::from_secs(20);
/// A transaction that nobody ends is aborted by the broker after so long.
const HANGS: Duration = Duration::from_millis(1_500);
const WRITERS: u64 = 6;

fn watch(server: &Kafka, topic: &str, committed: bool) -> Watch {
    let options = Options { committed, ..options(server.watched(), &[topic]) };
    Watch::start(Box::new(kafka::Kafka::new(options)), Place::default())
}

fn ids(said: &[Said]) -> Vec<u64> {
    let id = |said: &Said| if let Said::Record(seen) = said { seen.payload.parse().ok() } else { None };
    said.iter().filter_map(id).collect()
}

fn newest_proof(said: &[Said]) -> Option<Time> {
    said.iter().filter_map(|said| if let Said::CaughtUp(at) = said { Some(*at) } else { None }).max()
}

fn send(producer: &BaseProducer, topic: &str, partition: i32, id: u64) {
    let id = id.to_string();
    producer.send(BaseRecord::<(), str>::to(topic).partition(partition).payload(&id)).map_err(|(e, _)| e).unwrap();
}

#[test]
fn an_open_transaction_holds_back_the_proof_and_is_shown() {
    let server = Kafka::start();
    server.create_topic("open", 2, &[]);
    let (committed, all) = (watch(&server, "open", true), watch(&server, "open", false));
    committed.until_caught_up();
    all.until_caught_up();
    let producer = server.transactions("hanging", Duration::from_secs(60));
    producer.begin_transaction().unwrap();
    send(&producer, "open", 0, 1);
    producer.flush(PATIENCE).unwrap();
    server.produce("open", 0, &["2"]);
    server.produce("open", 1, &["3"]);
    let begun = now();
    all.until("all of it", |said| ids(said).len() == 3 && newest_proof(said) > Some(begun));
    committed.until("the other partition", |said| ids(said) == [3]);
    let told =
        |said: &Said| matches!(said, Said::Trouble(why) if why.contains("open/0") && why.contains("transaction"));
    let said = committed.until("the trouble", |said| said.iter().any(told));
    assert!(newest_proof(&said) < Some(begun), "what the transaction commits will have happened before");
    producer.abort_transaction(PATIENCE).unwrap();
    let said = committed.until("a proof", |said| newest_proof(said) > Some(begun));
    assert_eq!(
        ids(&said).into_iter().collect::<BTreeSet<_>>(),
        BTreeSet::from([2, 3]),
        "what was aborted was never there"
    );
    committed.stop();
    all.stop();
}

/// What became of the records that were written.
#[derive(Default)]
struct Book {
    next: AtomicU64,
    /// When each was visible at the latest.
    visible: Mutex<BTreeMap<u64, Time>>,
    aborted: Mutex<BTreeSet<u64>>,
}

/// `KAFKA_ROUNDS=600 KAFKA_SEED=1 cargo test --test contract many_writers` tries harder, or the same again.
#[test]
fn many_writers_who_commit_late_abort_and_hang_are_never_overtaken() {
    let number = |name: &str| std::env::var(name).ok().map(|text| text.parse::<u64>().expect("a number"));
    let rounds = number("KAFKA_ROUNDS").unwrap_or(60);
    let seed = number("KAFKA_SEED").unwrap_or(now().0 as u64);
    eprintln!("KAFKA_ROUNDS={rounds} KAFKA_SEED={seed}");
    let server = Kafka::start();
    server.create_topic("late", 3, &[]);
    let watch = watch(&server, "late", true);
    watch.until_caught_up();
    let book = Book::default();
    thread::scope(|scope| {
        for writer in 0..WRITERS {
            let (server, book) = (&server, &book);
            scope.spawn(move || write(server, book, writer, rounds / WRITERS, seed));
        }
    });
    let (visible, aborted) = (book.visible.into_inner().unwrap(), book.aborted.into_inner().unwrap());
    let end = now();
    let said = watch.until("all that was committed, and a proof", |said| {
        newest_proof(said) > Some(end) && ids(said).len() >= visible.len()
    });
    watch.stop();
    check(&said, &visible, &aborted);
}

fn check(said: &[Said], visible: &BTreeMap<u64, Time>, aborted: &BTreeSet<u64>) {
    let seen: Vec<u64> = ids(said);
    assert_eq!(seen.len(), visible.len(), "each of them once");
    assert!(seen.iter().all(|id| visible.contains_key(id) && !aborted.contains(id)), "nothing that was aborted");
    assert!(!said.iter().any(|said| matches!(said, Said::Hole(_) | Said::Failed(_))), "nothing was wrong");
    let (mut missing, mut proofs) = (visible.clone(), 0);
    for said in said {
        match said {
            Said::Record(record) => _ = missing.remove(&record.payload.parse().unwrap()),
            Said::CaughtUp(at) => {
                proofs += 1;
                let ahead: Vec<_> = missing.iter().filter(|(_, visible)| *visible <= at).collect();
                assert!(ahead.is_empty(), "it was said to be caught up at {at}, without {ahead:?}");
            }
            _ => {}
        }
    }
    eprintln!("{} records committed, {} aborted, {proofs} proofs", visible.len(), aborted.len());
}

/// One of the writers: a stalled producer, long transactions, some aborted, some left to hang.
fn write(server: &Kafka, book: &Book, writer: u64, rounds: u64, seed: u64) {
    let mut random = Random(seed ^ (writer + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15));
    let name = format!("writer-{writer}");
    let mut producer = server.transactions(&name, HANGS);
    for _ in 0..rounds {
        let ids: Vec<u64> = (0..1 + random.below(4)).map(|_| book.next.fetch_add(1, Ordering::Relaxed)).collect();
        let pause = |random: &mut Random, max| thread::sleep(Duration::from_millis(random.below(max)));
        let visible = |ids: &[u64]| {
            let now = now();
            book.visible.lock().unwrap().extend(ids.iter().map(|id| (*id, now)));
        };
        match random.below(10) {
            // Stalled: it has its records for long before it sends them.
            0..3 => {
                pause(&mut random, 500);
                for id in &ids {
                    server.produce("late", random.below(3) as i32, &[&id.to_string()]);
                    visible(&[*id]);
                }
            }
            fate => {
                producer.begin_transaction().unwrap();
                for id in &ids {
                    send(&producer, "late", random.below(3) as i32, *id);
                    producer.poll(Duration::ZERO);
                    pause(&mut random, 200);
                }
                producer.flush(PATIENCE).unwrap();
                match fate {
                    3..7 => {
                        producer.commit_transaction(PATIENCE).unwrap();
                        visible(&ids);
                    }
                    7..9 => {
                        producer.abort_transaction(PATIENCE).unwrap();
                        book.aborted.lock().unwrap().extend(ids);
                    }
                    _ => {
                        // It dies with its transaction open. Another of the same name would end it at once.
                        book.aborted.lock().unwrap().extend(ids);
                        let again = random.below(2) == 0;
                        let name = if again { name.clone() } else { format!("{name}-{}", random.below(1 << 40)) };
                        producer = server.transactions(&name, HANGS);
                    }
                }
            }
        }
    }
}

/// Numbers that look random, and are the same again with the same seed.
pub struct Random(pub u64);

impl Random {
    /// One below so many.
    pub fn below(&mut self, count: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (z ^ (z >> 31)) % count
    }
}
