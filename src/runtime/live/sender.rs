//! Sends what was found to the webhook, on a thread of its own that nobody waits for.
//!
//! The store is the queue: the sender takes the next findings that the receiver has not taken, posts them, and notes that
//! it has. So what was not sent when the daemon ends, however it ends, is sent when it runs again, and a receiver may get
//! a finding twice, but never not at all. One that is down holds nothing up.

use super::board::Board;
use super::state::WebhookEntry;
use super::teller::lock;
use crate::config::outputs;
use crate::findings::store::{Store, StoreError};
use crate::model::time::Span;
use crate::model::verdict::Severity;
use crate::runtime::clock::now;
use crate::sinks::webhook::{PostError, Webhook};
use crossbeam_channel::{Receiver, RecvTimeoutError, Sender, bounded};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;

/// The receiver's name in the store.
const RECEIVER: &str = "webhook";
/// How long a receiver that failed is left alone, at first and at most; twice as long each time.
const RETRY_MIN: Duration = Duration::from_secs(1);
const RETRY_MAX: Duration = Duration::from_secs(60);
/// How often the store is looked at without being told of anything new.
const LOOK_EVERY: Duration = Duration::from_secs(5);
/// Findings that are posted at once, at most.
const POST_MAX: usize = 100;
/// How long a daemon that stops waits for the last ones to be taken.
const PARTING: Duration = Duration::from_secs(2);

/// The sender as the rest of the daemon has it.
pub struct Outbox {
    /// That there is something new; dropped when the daemon stops.
    news: Option<Sender<()>>,
    /// Disconnected when the sender has gone.
    gone: Receiver<()>,
}

impl Outbox {
    /// Begins to send what the store holds.
    pub fn open(
        config: &outputs::Webhook,
        store: &Arc<Mutex<Store>>,
        board: &Arc<Board>,
    ) -> Result<Outbox, StoreError> {
        lock(store).begin_sending(RECEIVER)?;
        let webhook = Webhook::new(&config.url.0, config.token.as_ref().map(|token| token.0.as_str()));
        let url = webhook.shown().to_owned();
        board.webhook(|entry| *entry = Some(WebhookEntry { url, up: true, ..WebhookEntry::default() }));
        let (news, told) = bounded(1);
        let (going, gone) = bounded(0);
        let sender = Delivery {
            webhook,
            on: config.on,
            store: store.clone(),
            board: board.clone(),
            news: told,
            batch: POST_MAX,
        };
        // It may be in the middle of a post when the daemon ends, and is not waited for.
        thread::spawn(move || {
            sender.run();
            drop(going);
        });
        Ok(Outbox { news: Some(news), gone })
    }

    /// There is something new in the store.
    pub fn wake(&self) {
        // It is awake already where this has no room.
        self.news.iter().for_each(|news| _ = news.try_send(()));
    }
}

impl Drop for Outbox {
    fn drop(&mut self) {
        drop(self.news.take());
        let _ = self.gone.recv_timeout(PARTING);
    }
}

/// The sender's own side.
struct Delivery {
    webhook: Webhook,
    on: Severity,
    store: Arc<Mutex<Store>>,
    board: Arc<Board>,
    news: Receiver<()>,
    /// How many findings are posted at once: fewer while the receiver refuses some of them.
    batch: usize,
}

impl Delivery {
    fn run(mut self) {
        let mut wait = RETRY_MIN;
        loop {
            let stopping = match self.pass() {
                Ok(()) => {
                    wait = RETRY_MIN;
                    self.news.recv_timeout(LOOK_EVERY) == Err(RecvTimeoutError::Disconnected)
                }
                Err(why) => {
                    self.failed(&why, wait);
                    // News do not make a receiver that is down come back.
                    let stopping = self.pause(wait);
                    wait = (wait * 2).min(RETRY_MAX);
                    stopping
                }
            };
            if stopping {
                // What was told last; a receiver that fails gets it at the next start.
                let _ = self.pass();
                return;
            }
        }
    }

    /// Waits, whatever comes; true when the daemon stops.
    fn pause(&self, wait: Duration) -> bool {
        let until = std::time::Instant::now() + wait;
        loop {
            match self.news.recv_deadline(until) {
                Ok(()) => {}
                Err(RecvTimeoutError::Timeout) => return false,
                Err(RecvTimeoutError::Disconnected) => return true,
            }
        }
    }

    /// Sends all that has not been sent.
    fn pass(&mut self) -> Result<(), String> {
        loop {
            let unsent = lock(&self.store).unsent(RECEIVER, self.on, self.batch).map_err(|error| error.to_string())?;
            let Some((last, _)) = unsent.last() else { return Ok(()) };
            let documents: Vec<&str> = unsent.iter().map(|(_, document)| document.as_str()).collect();
            match self.webhook.post(&documents) {
                Ok(()) => {
                    self.batch = POST_MAX;
                    self.took(documents.len());
                }
                // One of them is at fault, or they are too many.
                Err(PostError::Refused { .. }) if documents.len() > 1 => {
                    self.batch = documents.len() / 2;
                    continue;
                }
                Err(error @ PostError::Refused { .. }) => {
                    self.batch = POST_MAX;
                    tracing::error!("{error}; this finding is passed over: {}", documents[0]);
                    self.refused(&error.to_string());
                }
                Err(error) => return Err(error.to_string()),
            }
            lock(&self.store).sent(RECEIVER, *last).map_err(|error| error.to_string())?;
        }
    }

    fn took(&self, count: usize) {
        self.show(|entry| {
            entry.up = true;
            entry.next_try_at = None;
            entry.sent += count as u64;
        });
    }

    fn refused(&self, why: &str) {
        self.show(|entry| {
            entry.refused += 1;
            entry.last_error = Some(why.to_owned());
            entry.last_error_at = Some(now().to_string());
        });
    }

    fn failed(&self, why: &str, wait: Duration) {
        tracing::warn!("{why}; trying again in {} s", wait.as_secs());
        self.show(|entry| {
            entry.up = false;
            entry.last_error = Some(why.to_owned());
            entry.last_error_at = Some(now().to_string());
            entry.next_try_at = Some((now() + Span(wait.as_nanos() as i64)).to_string());
        });
    }

    fn show(&self, change: impl FnOnce(&mut WebhookEntry)) {
        self.board.webhook(|entry| {
            if let Some(entry) = entry {
                change(entry);
            }
        });
    }
}
