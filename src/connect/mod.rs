//! What connections of all kinds have in common.

pub mod tls;
