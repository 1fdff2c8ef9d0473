//! One pass over a JSON document that finds the values at the needed paths and nothing else.
//!
//! ```text
//! {"type":"PaymentCaptured","event_id":"e-1","order_id":"o-1","ts":"…","psp":{…},…}
//!  ╰──────── found ───────╯ ╰── skipped ──╯ ╰───── found ───────────╯╰ not read: nothing more is needed
//! ```
//!
//! What is read is validated as it is read: grammar, escapes, UTF-8, nesting. By default the pass stops
//! at the last needed value and looks at the document's last byte alone, so that a line cut short is
//! noticed; [`Mode::Strict`] reads to the end. Which values are needed shrinks once the value that tells
//! the records of a stream apart is known ([`Needs::narrow`]): it usually comes first.
//!
//! Of duplicate names the first counts. Numbers keep their spelling. Nothing is allocated but for
//! names and texts that contain escapes.

mod course;
mod document;
mod fault;
mod needs;
mod scan;
mod text;
mod word;

pub use document::{Case, Document};
pub use fault::{Fault, What};
pub use needs::{Needs, Slot};
pub use scan::{Mode, Scanner, split};

/// Lists and objects may stand in each other so deep, as in serde_json.
pub const DEPTH_MAX: u32 = 127;

/// A document may have so many bytes.
pub const LENGTH_MAX: usize = u32::MAX as usize;

#[cfg(test)]
mod tests;
