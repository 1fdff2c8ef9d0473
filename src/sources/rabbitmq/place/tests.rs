//! Random lives of a queue: cut connections, crashes, lost acknowledgements, drops from its head.

use super::{Course, Place, Taken};
use std::collections::{BTreeMap, VecDeque};

/// A message of the model: a mark with its number, or a record with its own. And whether it was delivered before.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Message {
    mark: Option<u64>,
    record: u64,
    delivered: bool,
}

/// A queue as the broker has it.
#[derive(Default)]
struct Broker {
    ready: VecDeque<Message>,
    unacknowledged: VecDeque<Message>,
}

impl Broker {
    fn deliver(&mut self) -> Option<Message> {
        let message = self.ready.pop_front()?;
        self.unacknowledged.push_back(message);
        Some(message)
    }

    /// The connection is gone: what was not acknowledged stands in front again.
    fn cut(&mut self) {
        while let Some(message) = self.unacknowledged.pop_back() {
            self.ready.push_front(Message { delivered: true, ..message });
        }
    }
}

/// What was handed over, and what the source knows.
struct Watcher {
    course: Course,
    /// Positions and records, as far as the journal may have them.
    seen: Vec<(u64, u64)>,
    durable: (Place, usize),
    holes: usize,
}

impl Watcher {
    fn take(&mut self, message: Message) {
        let (taken, is_gone) = self.course.take(message.delivered, message.mark);
        self.holes += usize::from(is_gone);
        if let Taken::New(position) = taken {
            self.seen.push((position, message.record));
        }
    }

    fn make_durable(&mut self) {
        self.durable = (self.course.place.clone(), self.seen.len());
    }

    /// A crash: what was not durable is forgotten.
    fn crash(&mut self) {
        self.seen.truncate(self.durable.1);
        self.course = Course::new(self.durable.0.clone());
    }
}

/// Everything up to the message before the durable mark.
fn acknowledge(broker: &mut Broker, mark: Option<u64>) {
    if let Some(index) = broker.unacknowledged.iter().position(|message| mark.is_some() && message.mark == mark) {
        broker.unacknowledged.drain(..index);
    }
}

fn live(seed: u64, drops: bool) {
    let mut random = fastrand::Rng::with_seed(seed);
    let mut broker = Broker::default();
    let mut watcher =
        Watcher { course: Course::new(Place::default()), seen: Vec::new(), durable: Default::default(), holes: 0 };
    let (mut marks, mut records, mut dropped) = (0, 0, 0);
    for _ in 0..random.usize(50..400) {
        match random.u8(0..100) {
            0..35 => {
                records += 1;
                broker.ready.push_back(Message { mark: None, record: records, delivered: false });
            }
            35..45 => {
                marks += 1;
                broker.ready.push_back(Message { mark: Some(marks), record: 0, delivered: false });
            }
            45..80 => broker.deliver().into_iter().for_each(|message| watcher.take(message)),
            80..88 => watcher.make_durable(),
            88..94 => acknowledge(&mut broker, watcher.durable.0.mark),
            // What the connection held was delivered, and never handed over.
            94..97 => {
                (0..random.usize(0..4)).for_each(|_| _ = broker.deliver());
                broker.cut();
                watcher.crash();
            }
            97..99 => {
                watcher.make_durable();
                broker.cut();
                watcher.crash();
            }
            _ if drops => {
                let some = random.usize(0..6).min(broker.ready.len());
                dropped += broker.ready.drain(..some).filter(|message| message.mark.is_none()).count();
            }
            _ => {}
        }
    }
    marks += 1;
    broker.ready.push_back(Message { mark: Some(marks), record: 0, delivered: false });
    while let Some(message) = broker.deliver() {
        watcher.take(message);
    }
    let mut positions = BTreeMap::new();
    for (position, record) in &watcher.seen {
        assert!(positions.insert(*record, *position).is_none(), "seed {seed}: record {record} has two positions");
    }
    assert!(watcher.seen.windows(2).all(|two| two[0] < two[1]), "seed {seed}: in order: {:?}", watcher.seen);
    let missing = (1..=records).filter(|record| !positions.contains_key(record)).count();
    // In the source, a drop is a hole by itself: what was dropped is told by the queue that it goes to.
    if dropped == 0 && watcher.holes == 0 {
        assert_eq!(missing, 0, "seed {seed}");
    }
    assert!(drops || watcher.holes == 0, "seed {seed}: nothing was lost, and a hole was told");
}

#[test]
fn whatever_comes_again_keeps_its_position_and_nothing_is_missed() {
    (0..2_000).for_each(|seed| live(seed, false));
}

#[test]
fn a_queue_that_drops_gives_nothing_twice() {
    (0..2_000).for_each(|seed| live(seed, true));
}
