//! Receivers of findings: one file a kind.

pub mod webhook;
