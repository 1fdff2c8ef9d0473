//! Read-only taps on systems: they yield records and what can be known of their completeness.
