//! PostgreSQL: [`changes`] follows its log of changes.

pub mod changes;
