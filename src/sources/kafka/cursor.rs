//! The cursor: of each partition the offset to go on with, and which of several topics of one name it was.

use super::native::Id;
use super::topics::{Partition, Topic, Topics};
use crate::sources::cursor;
use crate::sources::live::Failure;
use serde::{Deserialize, Serialize};

/// What every cursor of this kind begins with, up to its version.
const KIND: &[u8] = b"TLkafka";
const VERSION: u8 = 1;
/// So many topics that are gone are remembered, in case one of the same name is made.
const GONE_MAX: usize = 1_024;

#[derive(Serialize, Deserialize)]
struct Entry {
    name: String,
    id: Id,
    missing: bool,
    /// Number, generation, offset; no offset where none was found yet.
    partitions: Vec<(i32, u32, Option<i64>)>,
}

/// What [`decode`] goes on from.
pub(super) fn encode(topics: &Topics) -> Vec<u8> {
    let mut gone = 0;
    let mut entries = Vec::with_capacity(topics.all.len());
    for topic in &topics.all {
        gone += usize::from(topic.missing);
        if topic.missing && gone > GONE_MAX {
            continue;
        }
        // While its place is still being asked for, a partition has none to go on from.
        let place = |p: &Partition| p.position.filter(|_| p.ask.is_none());
        let partitions = topic.partitions.iter().map(|p| (p.number, p.generation, place(p))).collect();
        entries.push(Entry { name: topic.name.clone(), id: topic.id, missing: topic.missing, partitions });
    }
    cursor::encode(KIND, VERSION, &entries)
}

/// The topics as they were when the cursor was made.
pub(super) fn decode(bytes: &[u8]) -> Result<Topics, Failure> {
    let entries: Vec<Entry> = cursor::decode(KIND, VERSION, bytes)?;
    let topic = |entry: Entry| {
        let partition = |(number, generation, position)| Partition { position, ..Partition::new(number, generation) };
        let partitions = entry.partitions.into_iter().map(partition).collect();
        Topic { name: entry.name, id: entry.id, missing: entry.missing, refused: None, partitions }
    };
    Ok(Topics { all: entries.into_iter().map(topic).collect(), first: false })
}
