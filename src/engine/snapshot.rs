//! The engine's whole state as bytes.
//!
//! Version 4: `"TLSN"`, a u16 version, then the state in postcard's format, its large arrays as they stand in memory: the
//! version is in the byte order of the machine that wrote it, as they are. Another version is refused, and the journal
//! replayed.

use super::clocks::Clocks;
use super::{Engine, Pace, State};
use crate::flow::plan::Plan;
use postcard::ser_flavors::Flavor;
use std::io::{self, Write};
use std::sync::Arc;

const MAGIC: &[u8; 4] = b"TLSN";
const VERSION: u16 = 4;
/// Bytes that are gathered before they are written.
const WRITE_BYTES: usize = 64 << 10;

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
    /// Writes the whole state. Only between inputs: when [`Engine::poll`] has given `None`.
    pub fn snapshot(&self, out: &mut dyn Write) -> io::Result<()> {
        debug_assert!(self.is_idle(), "a snapshot is taken between inputs");
        out.write_all(MAGIC)?;
        out.write_all(&VERSION.to_ne_bytes())?;
        let flow = Outflow { out, gathered: Vec::with_capacity(WRITE_BYTES), written: Ok(()) };
        postcard::serialize_with_flavor(&self.state, flow).expect("plain data is encodable")
    }

    /// The engine as it was when the snapshot was taken.
    pub fn restore(plan: Arc<Plan>, pace: Pace, bytes: &[u8]) -> Result<Engine, BadSnapshot> {
        let Some((head, rest)) = bytes.split_at_checked(6).filter(|(head, _)| head.starts_with(MAGIC)) else {
            return Err(BadSnapshot::Foreign);
        };
        let version = u16::from_ne_bytes([head[4], head[5]]);
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

/// Writes as it goes: a state is not held twice in memory.
struct Outflow<'w> {
    out: &'w mut dyn Write,
    gathered: Vec<u8>,
    /// Nothing more is written after an error.
    written: io::Result<()>,
}

impl Outflow<'_> {
    fn write(&mut self, bytes: &[u8]) {
        if self.written.is_ok() {
            self.written = self.out.write_all(bytes);
        }
    }

    fn make_room(&mut self, bytes: usize) {
        if self.gathered.len() + bytes > WRITE_BYTES {
            self.write_gathered();
        }
    }

    fn write_gathered(&mut self) {
        let mut gathered = std::mem::take(&mut self.gathered);
        self.write(&gathered);
        gathered.clear();
        self.gathered = gathered;
    }
}

impl Flavor for Outflow<'_> {
    type Output = io::Result<()>;

    #[inline]
    fn try_push(&mut self, byte: u8) -> postcard::Result<()> {
        self.make_room(1);
        self.gathered.push(byte);
        Ok(())
    }

    #[inline]
    fn try_extend(&mut self, bytes: &[u8]) -> postcard::Result<()> {
        self.make_room(bytes.len());
        if bytes.len() > WRITE_BYTES {
            self.write(bytes);
        } else {
            self.gathered.extend_from_slice(bytes);
        }
        Ok(())
    }

    fn finalize(mut self) -> postcard::Result<io::Result<()>> {
        self.write_gathered();
        Ok(self.written)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn snapshot() -> Vec<u8> {
        let mut bytes = Vec::new();
        Engine::new(Arc::new(Plan::default()), Pace::Settled).snapshot(&mut bytes).unwrap();
        bytes
    }

    fn restore(bytes: &[u8]) -> Result<Engine, BadSnapshot> {
        Engine::restore(Arc::new(Plan::default()), Pace::Settled, bytes)
    }

    #[test]
    fn only_a_whole_snapshot_of_this_version_is_taken() {
        let snapshot = snapshot();
        assert!(restore(&snapshot).is_ok());
        let mut old = snapshot.clone();
        old[4..6].copy_from_slice(&1_u16.to_ne_bytes());
        assert!(matches!(restore(&old), Err(BadSnapshot::Version(1))));
        assert!(matches!(restore(&snapshot[..snapshot.len() - 1]), Err(BadSnapshot::Damaged(_))));
        assert!(matches!(restore(b"TLSX\x04\x00"), Err(BadSnapshot::Foreign)));
    }
}
