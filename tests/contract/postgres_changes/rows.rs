//! What comes of rows: values, operations, keys.
