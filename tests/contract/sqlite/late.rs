//! Writers of SQLite.
