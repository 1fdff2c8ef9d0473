//! Where requests come to: who is let in, and what becomes of what they bring.

use super::body::Cut;
use super::room::{Held, Room};
use crate::model::time::Time;
use crate::sources::secret::Secret;
use crossbeam_channel::Sender;
use hyper::HeaderMap;
use hyper::header::AUTHORIZATION;
use std::hint::black_box;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::oneshot;
use tokio::time::timeout;

/// How long a request waits for the journal before its sender is asked to send it again. Exporters give up after ten
/// seconds, most of them.
const ANSWERED_WITHIN: Duration = Duration::from_secs(8);
/// What an event takes beside its payload, about.
const EVENT_BYTES: usize = 160;

/// The headers of a request, in lower case.
pub type Headers = Arc<Vec<(String, String)>>;

/// Something that a request brought.
#[derive(Clone, Debug, PartialEq)]
pub enum Event {
    /// An event.
    Record {
        /// The stream that it belongs to; `None`: it has none but its source.
        stream: Option<Arc<str>>,
        /// What tells it from all others, so that it counts once however often it is sent.
        key: Option<String>,
        /// When it happened.
        time: Time,
        /// It, as JSON.
        payload: Vec<u8>,
        /// The headers that it came with.
        headers: Headers,
    },
    /// Something that cannot be understood.
    Undecodable {
        /// A word for what is wrong.
        reason: &'static str,
        /// A sentence about the first of them.
        detail: String,
        /// How many there are.
        times: u64,
    },
}

/// Why a request was not taken, and may be sent again.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// The engine is behind.
    #[error("more is waiting than can be taken now: send it again in a moment")]
    Full,
    /// The journal does not get to it.
    #[error("it could not be written down in time: send it again in a moment")]
    Slow,
    /// The daemon stops.
    #[error("throughline is stopping: send it again in a moment")]
    Stopping,
}

/// What the source's thread is given.
pub struct Job {
    /// What the request brought.
    pub events: Vec<Event>,
    /// Its place in the room.
    pub held: Arc<Held>,
    /// Told once the journal has it.
    pub durable: oneshot::Sender<()>,
}

/// Takes requests to the source's thread.
pub struct Counter {
    room: Arc<Room>,
    jobs: Sender<Job>,
    tokens: Vec<Secret>,
    /// The largest request, in bytes.
    pub body_max: usize,
}

impl Counter {
    /// A counter in front of a room.
    pub fn new(room: Arc<Room>, jobs: Sender<Job>, tokens: Vec<Secret>, body_max: usize) -> Counter {
        Counter { room, jobs, tokens, body_max }
    }

    /// Whether the sender shows one of the tokens. It takes as long whatever is shown.
    pub fn knows(&self, headers: &HeaderMap) -> bool {
        let shown = headers.get(AUTHORIZATION).map_or(&b""[..], |value| value.as_bytes());
        let shown = match shown.split_at_checked(7) {
            Some((scheme, token)) if scheme.eq_ignore_ascii_case(b"bearer ") => token,
            _ => b"",
        };
        let known = self.tokens.iter().fold(false, |known, token| same(shown, token.0.as_bytes()) | known);
        self.tokens.is_empty() || known
    }

    /// Lets a request in, where there is room.
    pub fn admit(&self) -> Result<Arc<Held>, Refusal> {
        self.room.admit().map(Arc::new).map_err(|_| Refusal::Full)
    }

    /// Hands over what a request brought, and waits until the journal has it.
    pub async fn take(&self, events: Vec<Event>, held: Arc<Held>) -> Result<(), Refusal> {
        held.becomes(events.iter().map(Event::bytes).sum());
        let (durable, told) = oneshot::channel();
        self.jobs.try_send(Job { events, held, durable }).map_err(|_| Refusal::Stopping)?;
        match timeout(ANSWERED_WITHIN, told).await {
            Ok(Ok(())) => Ok(()),
            Ok(Err(_)) => Err(Refusal::Stopping),
            Err(_) => Err(Refusal::Slow),
        }
    }

    /// Something was sent that is no event, and will not be sent again: it is counted. Whoever sent it is told so
    /// whatever becomes of that.
    pub async fn tell_undecodable(&self, reason: &'static str, detail: String, held: Arc<Held>) {
        let _ = self.take(vec![Event::Undecodable { reason, detail, times: 1 }], held).await;
    }

    /// A request was not read to its end: the same one would fail again and is lost, or its sender got no answer.
    pub async fn tell_cut(&self, cut: &Cut, held: Arc<Held>) {
        match cut.is_lost() {
            Some(reason) => self.tell_undecodable(reason, cut.to_string(), held).await,
            None => self.refuse(),
        }
    }

    /// A connection was sent away.
    pub fn refuse(&self) {
        self.room.refuse();
    }
}

impl Event {
    /// What it takes while it waits, about.
    pub fn bytes(&self) -> usize {
        EVENT_BYTES
            + match self {
                Event::Record { key, payload, .. } => payload.len() + key.as_ref().map_or(0, String::len),
                Event::Undecodable { detail, .. } => detail.len(),
            }
    }
}

/// Whether two texts are the same, without telling by the time it takes how much of them is.
fn same(shown: &[u8], known: &[u8]) -> bool {
    let differing = shown.iter().zip(known).fold(0, |differing, (a, b)| black_box(differing | (a ^ b)));
    shown.len() == known.len() && differing == 0
}
