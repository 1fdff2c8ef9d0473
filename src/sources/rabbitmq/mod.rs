//! Follows what RabbitMQ carries, in queues of its own: never in somebody else's.
//!
//! ```text
//! round at T:  a mark with a number ─▶ every queue of ours ─▶ it comes back ─▶ a seal ─▶ the queue of what was dropped
//!                                                                              └─▶ it comes back, and nothing before it:
//!                                                                                  caught up at T
//! ```
//!
//! Three thoughts carry it:
//!
//! - **A queue has no offsets, so we put marks into ours** (`place.rs`): they say where we are after a cut connection or a
//!   crash, so that nothing counts twice and nothing is taken for known that is not; and, since a queue keeps its order, a
//!   mark that comes back shows that what was in the queue before it has been handed over.
//! - **What our queue drops, it drops into another one of ours.** The queue is bounded and drops its oldest message when it is
//!   full, so that no publisher ever waits for us; the broker puts what it drops (or what expires) into a tiny second queue,
//!   where a single message is a hole for certain (`follow.rs`).
//! - **What is gone is admitted.** A queue of ours that is not there any more, a stream that has forgotten what was not read,
//!   an exchange that was away for a while: each is a hole.

mod cursor;
mod examine;
mod follow;
mod link;
mod message;
mod options;
mod own;
mod place;
mod replay;

pub use super::secret::Secret;
pub use options::{Begin, Binding, Options, Origin, Stamped, Tap, Trace};

use crate::sources::live::{Failure, Intake, Source};
use crate::sources::remark::Remark;
use crate::sources::waiting::Halt;
use cursor::Cursor;
use follow::Follower;

/// The live source of a broker.
#[derive(Debug)]
pub struct Rabbitmq {
    options: Options,
}

impl Rabbitmq {
    /// Nothing is connected before [`Source::follow`].
    pub fn new(options: Options) -> Rabbitmq {
        Rabbitmq { options }
    }
}

impl Source for Rabbitmq {
    fn follow(&mut self, cursor: Option<&[u8]>, intake: &mut dyn Intake) -> Result<(), Failure> {
        let cursor = cursor.map(Cursor::decode).transpose()?;
        let follow = || Follower::open(&self.options, cursor, intake)?.follow(intake);
        match follow() {
            Err(Halt::Failed(failure)) => Err(failure),
            Ok(()) | Err(Halt::Stopped) => Ok(()),
        }
    }

    fn examine(&mut self) -> Option<Vec<Remark>> {
        Some(examine::examine(&self.options))
    }
}
