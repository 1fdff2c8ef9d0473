//! The flow language: from what users write to the plan that everything else runs.
//!
//! ```text
//! text ─ yaml ─▶ tree with places ─ steps, checks, forms ─▶ draft ─ ranks ─▶ plan
//!                                         └──── what is wrong ────▶ diagnostics ◀── warnings
//! ```
//!
//! `yaml` reads a document (`traps` explains what YAML makes of what was not meant as YAML), `fields`
//! walks its maps; the configuration is read with them too. [`compile`] is the way in, [`plan`] what
//! comes out, `expression` is CEL behind a narrow face, [`schema`](fn@schema) what editors complete with.

mod checks;
mod compile;
mod condition;
pub mod descend;
mod describe;
pub mod diagnostic;
pub mod dialect;
mod draft;
pub mod expression;
pub mod fields;
pub mod format;
mod forms;
mod mirror;
pub mod path;
pub mod plan;
pub mod ranks;
mod schema;
mod steps;
mod streams;
#[cfg(test)]
mod tests;
mod traps;
mod warnings;
pub mod yaml;

pub use compile::{SourceInfo, compile, name_of};
pub use schema::schema;
pub use streams::{Streams, unknown_streams};
