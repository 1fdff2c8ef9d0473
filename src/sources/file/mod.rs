//! Files on disk: which ones a path means, how they are opened, how they are cut into records; as recordings, which are
//! there as a whole, and followed while they are written to ([`follow`]).
//!
//! ```text
//! locate ─▶ files ─▶ open: gzip, zstd, plain, pipe ─▶ cut: lines, CSV records, whole documents ─▶ Chunk
//! ```
//!
//! Nothing that cannot be read is dropped in silence: it stands among the records as a [`Problem`].

mod cut;
mod cut_csv;
mod cut_xml;
pub mod follow;
mod locate;
mod open;
mod pipe;
mod split;

pub use cut::{Chunk, Cutter};
pub use locate::{LocateError, Located, locate};
pub use split::{Framing, Problem, RECORD_MAX_BYTES, Record};
