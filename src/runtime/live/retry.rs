//! What fails and is tried again until it works: the journal's disk, the store of findings.

use std::time::Duration;

/// How long it waits before it is tried again.
pub const RETRY: Duration = Duration::from_secs(1);
/// Of failures that follow one another, each of so many is told.
const TOLD_EACH: u32 = 60;

/// Failures that follow one another.
#[derive(Debug, Default)]
pub struct Failures(u32);

impl Failures {
    /// One more, which is told where it is the first, or the first in a minute.
    pub fn again(&mut self, error: &impl std::fmt::Display) {
        if self.0.is_multiple_of(TOLD_EACH) {
            tracing::error!("{error}; trying again every {} s", RETRY.as_secs());
        }
        self.0 = self.0.saturating_add(1);
    }
}
