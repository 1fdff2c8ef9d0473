//! What is pushed to us: a source that listens, and answers only when the journal has what it was given.
//!
//! ```text
//! sender ─▶ listener's thread: let in, read, cut into events ──job──▶ source's thread: record, deliver, settled
//!    ▲                 │  no room: 429 at once                             │ the journal has it
//!    └──── 202 ────────┴──────────────────────────── answer ◀──────────────┘
//! ```
//!
//! Two threads, because handing over may block: whoever sends while the engine is behind is told so at once, and
//! memory stays within [`Options::waiting_max`]. Requests that wait go into one delivery together, so a journal that
//! is slow makes deliveries larger, and not the queue.
//!
//! Nobody can prove that a sender has sent everything: progress is *assumed*, the present time less the lateness. It
//! stands still while requests are refused.

mod answer;
mod body;
mod counter;
mod examine;
mod follow;
mod listener;
mod options;
mod room;
mod stream;
#[cfg(test)]
mod tests;

pub use answer::RETRY_AFTER;
pub use body::{Cut, Metered, read};
pub use counter::{Counter, Event, Headers, Refusal};
pub use follow::Push;
pub use listener::{Answer, Endpoint, Protocol, Service};
pub use options::{Options, Senders, Tls};
pub use room::{Held, now};

pub(in crate::sources) use answer::refused;
