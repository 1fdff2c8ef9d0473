//! How far one lane's journal has what one source delivered, for the source to see and to wait for.

use crossbeam_channel::{Receiver, Sender, bounded};
use std::sync::atomic::{AtomicU64, Ordering};

/// The number of the newest delivery that a journal has.
#[derive(Debug)]
pub struct Milestone {
    number: AtomicU64,
    ring: Sender<()>,
    bell: Receiver<()>,
}

impl Default for Milestone {
    fn default() -> Milestone {
        // It is enough to be woken once.
        let (ring, bell) = bounded(1);
        Milestone { number: AtomicU64::new(0), ring, bell }
    }
}

impl Milestone {
    /// The journal has it up to this number.
    pub fn reach(&self, number: u64) {
        if self.number.swap(number, Ordering::AcqRel) != number {
            // A bell that rings already is heard.
            let _ = self.ring.try_send(());
        }
    }

    /// Up to which number the journal has it.
    pub fn number(&self) -> u64 {
        self.number.load(Ordering::Acquire)
    }

    /// Rings when the number has grown since it was last heard.
    pub fn bell(&self) -> &Receiver<()> {
        &self.bell
    }
}
