//! The engine's whole state as bytes.
//!
//! Version 3: `"TLSN"`, a little-endian u16 version, then the state in postcard's format. Another version is refused, and
//! the journal replayed.

use super::clocks::Clocks;
use super::{Engine, Pace, State};
use crate::flow::plan::Plan;
use std::sync::Arc;

const MAGIC: &[u8; 4] = b"TLSN";
const VERSION: u16 = 3;

/// Why a snapshot cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum BadSnapshot {
    /// It is something else.
    #[error("this is not a snapshot of the engine")]
    Foreign,
    /// Another version wrote it.
    #[error("the snapshot has version {0}, this program reads version {VERSION}; replay the journal instead")]
    Version(u16),
    /// It is cut or damaged.
    #[error("the snapshot is damaged ({0}); use an older one and the journal after it")]
    Damaged(postcard::Error),
    /// It belongs to other flows.
    #[error("the snapshot was taken with other flows; replay the journal instead")]
    OtherPlan,
}

impl Engine {
    /// The whole state. Only between inputs: when [`Engine::poll`] has given `None`.
    pub fn snapshot(&self) -> Vec<u8> {
        debug_assert!(self.is_idle(), "a snapshot is taken between inputs");
        let mut bytes = MAGIC.to_vec();
        bytes.extend_from_slice(&VERSION.to_le_bytes());
        bytes.extend(postcard::to_stdvec(&self.state).expect("plain data is encodable"));
        bytes
    }

    /// The engine as it was when the snapshot was taken.
    pub fn restore(plan: Arc<Plan>, pace: Pace, bytes: &[u8]) -> Result<Engine, BadSnapshot> {
        let Some((head, rest)) = bytes.split_at_checked(6).filter(|(head, _)| head.starts_with(MAGIC)) else {
            return Err(BadSnapshot::Foreign);
        };
        let version = u16::from_le_bytes([head[4], head[5]]);
        if version != VERSION {
            return Err(BadSnapshot::Version(version));
        }
        let state: State = postcard::from_bytes(rest).map_err(BadSnapshot::Damaged)?;
        let mut engine = Engine::new(plan, pace);
        let same = |a: &State, b: &State| {
            let shape = |s: &State| {
                let flows = s.account.flows.iter().map(|f| (f.checks.len(), f.observations.len()));
                (s.evidence.sources.len(), flows.collect::<Vec<_>>())
            };
            shape(a) == shape(b)
        };
        if !same(&engine.state, &state) {
            return Err(BadSnapshot::OtherPlan);
        }
        let clocks: &[Clocks] = &engine.clocks;
        engine.state = state;
        for (wheels, clocks) in engine.state.wheels.iter_mut().zip(clocks) {
            wheels.resize_with(clocks.sources.len().max(wheels.len()), Default::default);
        }
        Ok(engine)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn restore(bytes: &[u8]) -> Result<Engine, BadSnapshot> {
        Engine::restore(Arc::new(Plan::default()), Pace::Settled, bytes)
    }

    #[test]
    fn only_a_whole_snapshot_of_this_version_is_taken() {
        let snapshot = Engine::new(Arc::new(Plan::default()), Pace::Settled).snapshot();
        assert!(restore(&snapshot).is_ok());
        let mut old = snapshot.clone();
        old[4..6].copy_from_slice(&1_u16.to_le_bytes());
        assert!(matches!(restore(&old), Err(BadSnapshot::Version(1))));
        assert!(matches!(restore(&snapshot[..snapshot.len() - 1]), Err(BadSnapshot::Damaged(_))));
        assert!(matches!(restore(b"TLSX\x03\x00"), Err(BadSnapshot::Foreign)));
    }
}
