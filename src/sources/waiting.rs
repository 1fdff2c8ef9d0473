//! Waiting for a server from a source's own thread: with a limit, and not a moment longer than the daemon runs.

use crate::sources::live::{Failure, Intake, Stopped};
use std::future::Future;
use std::pin::pin;
use std::time::Duration;
use tokio::runtime::{Builder, Runtime};
use tokio::time::{Instant, timeout};

/// How often it is looked whether the daemon stops.
const LOOK_EVERY: Duration = Duration::from_millis(100);
/// So many turns of the runtime find out what has arrived, wake who waits for it, and let that read it.
const TURNS: usize = 3;

/// Why following ends.
#[derive(Debug)]
pub enum Halt {
    /// The daemon stops.
    Stopped,
    /// It cannot go on for now.
    Failed(Failure),
}

impl From<Stopped> for Halt {
    fn from(_: Stopped) -> Halt {
        Halt::Stopped
    }
}

impl From<Failure> for Halt {
    fn from(failure: Failure) -> Halt {
        Halt::Failed(failure)
    }
}

/// The runtime of one source's thread.
#[derive(Debug)]
pub struct Waiter(Runtime);

impl Waiter {
    /// A runtime without threads of its own.
    pub fn new() -> Result<Waiter, Failure> {
        let runtime = Builder::new_current_thread().enable_io().enable_time().build();
        runtime.map(Waiter).map_err(|error| Failure(format!("the system gives no means to wait for a server: {error}")))
    }

    /// Lets connections read what has arrived, as far as they get to it at once. Waits for nothing.
    pub fn glance(&self) {
        self.0.block_on(async {
            for _ in 0..TURNS {
                tokio::task::yield_now().await;
            }
        });
    }

    /// Waits until it is done; `None` where that takes longer than the limit. What is not done is given up.
    pub fn wait<T>(
        &self,
        intake: &mut dyn Intake,
        limit: Duration,
        future: impl Future<Output = T>,
    ) -> Result<Option<T>, Stopped> {
        self.0.block_on(async {
            let mut future = pin!(future);
            let end = Instant::now() + limit;
            loop {
                if let Ok(done) = timeout(LOOK_EVERY, future.as_mut()).await {
                    return Ok(Some(done));
                }
                intake.pause(Duration::ZERO)?;
                if Instant::now() >= end {
                    return Ok(None);
                }
            }
        })
    }
}
