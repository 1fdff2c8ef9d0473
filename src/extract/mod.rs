//! From a record to observations: decode once, match the steps, pull keys and kept fields.
