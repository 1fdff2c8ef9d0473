//! Read-only taps on systems: they yield records and what can be known of their completeness.
//!
//! [`mod@file`] reads recordings: plain, compressed or piped, cut into records with the places where they stand.
//! What a record means is none of a source's business; extract decodes it.

pub mod file;
