//! The present time, for all that is not pure.

use crate::model::time::Time;
use std::time::{SystemTime, UNIX_EPOCH};

/// The present time by this machine's clock.
pub fn now() -> Time {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    Time(i64::try_from(since.as_nanos()).unwrap_or(i64::MAX - 1))
}
