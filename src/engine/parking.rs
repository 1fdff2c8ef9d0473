//! Observations without the flow's key that wait for a binding of one of their keys.

use super::history::Head;
use super::slab::Slab;
use crate::model::FlowId;
use crate::model::time::Time;
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;

/// An observation that carries no value of the flow's key: its keys as nodes, its body as extract
/// wrote it (a dedupe by key counts among `nodes`).
#[derive(Clone, Debug)]
pub(super) struct Waiting {
    pub head: Head,
    pub nodes: Vec<u32>,
    pub body: Vec<u8>,
}

/// A parked observation.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(super) struct Parked {
    pub flow: FlowId,
    pub step: u16,
    pub time: Time,
    pub position: crate::model::observation::Position,
    /// All its keys.
    pub nodes: Vec<u32>,
    pub body: Vec<u8>,
    /// Whether it has joined a transaction by another key.
    pub joined: bool,
    /// Its number among the observations that joined nothing.
    pub number: u64,
}

/// All parked observations, and when each has waited long enough.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(super) struct Parking {
    pub places: Slab<Parked>,
    /// Per flow and step: until when (event time plus linger), and where.
    until: Vec<Vec<BTreeSet<(Time, u32)>>>,
    /// Numbers observations as they come.
    pub count: u64,
}

impl Parking {
    pub fn new(steps: impl Iterator<Item = usize>) -> Parking {
        Parking { until: steps.map(|n| vec![BTreeSet::new(); n]).collect(), ..Parking::default() }
    }

    /// Parks an observation until progress is beyond `until`.
    pub fn park(&mut self, parked: Parked, until: Time) -> u32 {
        let (flow, step) = (parked.flow as usize, parked.step as usize);
        let place = self.places.add(parked);
        self.until[flow][step].insert((until, place));
        place
    }

    /// An observation that has waited long enough.
    pub fn expired(&mut self, flow: FlowId, step: u16, progress: Time) -> Option<(u32, Parked)> {
        let waiting = &mut self.until[flow as usize][step as usize];
        let (until, place) = *waiting.first()?;
        if until >= progress {
            return None;
        }
        waiting.pop_first();
        Some((place, self.places.take(place)))
    }

    pub fn waiting(&self, place: u32) -> Waiting {
        let parked = self.places.get(place);
        let head = Head { step: parked.step, time: parked.time, position: parked.position, direct: false };
        Waiting { head, nodes: parked.nodes.clone(), body: parked.body.clone() }
    }
}
