//! Follows keys, streams and channels of Redis: one server, one behind sentinels, or a cluster.
//!
//! ```text
//! options ─▶ place: which servers? ─▶ node ─▶ link: one connection each, pushes and answers in one order
//! follower: events ─▶ fetch: values ─▶ told: records        streams: ends, pages, counts ─▶ records
//! ```
//!
//! Four thoughts carry it:
//!
//! - **One connection, one order.** The server pushes what happens to keys on the connection on which it answers (RESP3).
//!   So when it has told its time T, all that it pushed before T is there; once that has been handed over, the source was
//!   caught up at T.
//! - **What is told once is lost to whoever does not listen.** Keyspace events and channels have no past. Each lost
//!   connection is a hole, whatever was the reason.
//! - **An event names a key, not its value.** The value is fetched after the event, and may be a newer one: so versions
//!   are skipped, as by polling, and the record says where it knows that.
//! - **A stream is read up to the end that it had at T, and counted** against the server's own count of what was added.

mod cursor;
mod errors;
mod events;
mod examine;
mod fetch;
mod follower;
mod glob;
mod link;
mod node;
mod options;
mod place;
mod scan;
mod servers;
mod streams;
mod told;
mod value;

pub use super::secret::Secret;
pub use events::{TYPES, Types};
pub use options::{Options, Pattern, Security, Sentinel, is_address};

use super::live::{Failure, Intake, Source};
use super::remark::Remark;
use super::waiting::Halt;
use cursor::State;
use follower::Follower;
use std::sync::Arc;

/// The live source of a Redis.
#[derive(Debug)]
pub struct Redis {
    options: Arc<Options>,
}

impl Redis {
    /// Nothing is connected before [`Source::follow`].
    pub fn new(options: Options) -> Redis {
        Redis { options: Arc::new(options) }
    }
}

impl Source for Redis {
    fn follow(&mut self, cursor: Option<&[u8]>, intake: &mut dyn Intake) -> Result<(), Failure> {
        let state = cursor.map_or(Ok(State::default()), cursor::decode)?;
        let followed = Follower::start(&self.options, state, intake).and_then(|mut follower| follower.follow(intake));
        match followed {
            Err(Halt::Failed(failure)) => Err(failure),
            Ok(()) | Err(Halt::Stopped) => Ok(()),
        }
    }

    fn examine(&mut self) -> Option<Vec<Remark>> {
        Some(examine::examine(&self.options))
    }
}
