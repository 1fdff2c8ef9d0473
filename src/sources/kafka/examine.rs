//! `check --connect`: whether the cluster lets us in, which topics may be read, and what will be proven of them.

use super::topics::Topics;
use super::{Follower, Halt, Options, WAIT};
use crate::sources::live::{Failure, Start};
use crate::sources::remark::{Alone, Remark};
use std::time::{Duration, Instant};

/// So long is waited for a first proof.
const LOOKS_FOR: Duration = Duration::from_secs(15);
/// What stands in the way is told all at once: so long after the first of it, the rest is known.
const TROUBLES_WITHIN: Duration = Duration::from_secs(2);
/// So many topics that an expression has found are told one by one.
const TOPICS_SHOWN_MAX: usize = 20;

/// Follows the topics from their ends until something is proven, or something stands in the way.
pub(super) fn examine(options: &Options) -> Vec<Remark> {
    let mut remarks = Vec::new();
    if let Err(Halt::Failed(Failure(why))) = look(options, &mut remarks) {
        remarks.push(Remark::error(why));
    }
    remarks
}

fn look(options: &Options, remarks: &mut Vec<Remark>) -> Result<(), Halt> {
    let options = Options { start: Start::Latest, ..options.clone() };
    let mut follower = Follower::new(&options, Topics { all: Vec::new(), first: true })?;
    let begun = Instant::now();
    let mut troubled = None;
    let proven = loop {
        let reading = &mut follower.reading;
        follower.connection.poll(WAIT, |message| reading.take(message, &mut Alone));
        if let Some(failure) = follower.reading.failed.take() {
            return Err(failure.into());
        }
        follower.round(&mut Alone)?;
        if follower.rounds.proven(&follower.reading.topics).is_some() {
            break true;
        }
        follower.check_life()?;
        if troubled.is_none() && !follower.rounds.troubles(&follower.reading).is_empty() {
            troubled = Some(Instant::now());
        }
        if troubled.is_some_and(|since| since.elapsed() > TROUBLES_WITHIN) || begun.elapsed() > LOOKS_FOR {
            break false;
        }
    };
    tell(&follower, proven, remarks);
    Ok(())
}

fn tell(follower: &Follower<'_>, proven: bool, remarks: &mut Vec<Remark>) {
    let Follower { options, reading, rounds, .. } = follower;
    remarks.push(Remark::good(format!("Kafka at {} lets us in", options.brokers)));
    let troubles = rounds.troubles(reading);
    remarks.extend(troubles.lines().map(Remark::error));
    let topics: Vec<_> = reading.topics.all.iter().filter(|topic| !topic.missing && topic.refused.is_none()).collect();
    for topic in topics.iter().take(TOPICS_SHOWN_MAX) {
        let count = topic.partitions.len();
        remarks.push(Remark::good(format!(
            "the topic `{}` can be read: {count} partition{}",
            topic.name,
            if count == 1 { "" } else { "s" }
        )));
    }
    if topics.len() > TOPICS_SHOWN_MAX {
        remarks.push(Remark::good(format!("and {} topics more", topics.len() - TOPICS_SHOWN_MAX)));
    }
    // Where there is no topic at all, that is among the troubles.
    for pattern in &options.patterns {
        if !topics.is_empty() && !topics.iter().any(|topic| pattern.is_match(&topic.name)) {
            let text =
                format!("no topic is called like `{pattern}`, or none that the user may see: is the expression right?");
            remarks.push(Remark::warning(text));
        }
    }
    if proven {
        remarks.push(Remark::good(
            "progress is proven: each partition is read up to its end (the high watermark). Gaps are possible where retention \
             deletes what was not read yet",
        ));
    } else if troubles.is_empty() {
        let within = LOOKS_FOR.as_secs();
        remarks.push(Remark::warning(format!(
            "nothing was proven within {within} s: a transaction may be open, or the cluster is slow; it is proven later"
        )));
    }
}
