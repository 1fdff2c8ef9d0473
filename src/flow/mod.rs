//! The flow language: syntax → checked → plan.
//!
//! `syntax` reads YAML with spans, `compile` resolves and checks it into a [`plan::Plan`],
//! `diagnostic` holds what is wrong with it, `expression` is CEL behind a narrow face, `schema` is
//! the JSON Schema for editors.

pub mod descend;
pub mod diagnostic;
pub mod expression;
pub mod fields;
pub mod format;
pub mod plan;
mod traps;
pub mod yaml;
