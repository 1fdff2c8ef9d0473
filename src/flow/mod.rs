//! The flow language: syntax → checked → plan.
//!
//! `syntax` reads YAML with spans, `compile` resolves and checks it into a [`plan::Plan`],
//! `diagnostic` holds what is wrong with it, `expression` is CEL behind a narrow face, `schema` is
//! the JSON Schema for editors.

mod checks;
mod compile;
mod condition;
pub mod descend;
pub mod diagnostic;
mod draft;
pub mod expression;
pub mod fields;
pub mod format;
mod forms;
mod mirror;
pub mod path;
pub mod plan;
pub mod ranks;
mod steps;
#[cfg(test)]
mod tests;
mod traps;
mod warnings;
pub mod yaml;

pub use compile::{SourceInfo, compile};
