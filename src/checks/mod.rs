//! One file a form: how it judges a transaction, and how it explains what it says.
