//! A portion: what a chunk of one file comes to. Portions are what goes from the reading threads to the engine's.

use crate::model::observation::Batch;
use crate::model::time::Time;

/// Samples that are kept for each reason.
pub(super) const SAMPLES_MAX: usize = 5;

/// What one record comes to, in few bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Mark {
    /// It has an event time and gave so many observations.
    Timed(Time, u32),
    /// It has none of its own; the observations bring theirs.
    Timeless(u32),
    /// A step could not read its own time, so that an observation is missing.
    LeftOut(Option<Time>, u32),
    /// It could not be decoded.
    Undecodable,
    /// What follows in the file could not be read.
    Unreadable,
}

/// One record that could not be used.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Trouble {
    pub(super) line: u64,
    pub(super) detail: String,
    pub(super) text: String,
}

/// Records that could not be used, for one reason.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Troubles {
    pub(super) reason: &'static str,
    pub(super) count: u64,
    pub(super) samples: Vec<Trouble>,
}

/// What a chunk of one file comes to.
#[derive(Debug, Default)]
pub(super) struct Portion {
    /// Which file, among those of all sources.
    pub(super) part: usize,
    /// Which chunk of it.
    pub(super) sequence: u64,
    /// One a record, in order.
    pub(super) marks: Vec<Mark>,
    /// The observations, in order.
    pub(super) batch: Batch,
    /// What could not be used.
    pub(super) troubles: Vec<Troubles>,
    /// Records that matched a step.
    pub(super) matched: u64,
    /// Records outside of the window that is looked at.
    pub(super) outside: u64,
    /// How many bytes of the file were read for it.
    pub(super) consumed: u64,
    /// The file has ended.
    pub(super) last: bool,
    /// Why the file could not be read to its end.
    pub(super) failure: Option<String>,
}

impl Portion {
    /// Forgets the content, keeps the memory.
    pub(super) fn clear(&mut self) {
        let (mut marks, mut batch) = (std::mem::take(&mut self.marks), std::mem::take(&mut self.batch));
        marks.clear();
        batch.clear();
        *self = Portion { marks, batch, ..Portion::default() };
    }

    /// Counts a record that could not be used; the first of each reason are kept as samples.
    pub(super) fn trouble(&mut self, reason: &'static str, sample: impl FnOnce() -> Trouble) {
        let known = self.troubles.iter().position(|t| t.reason == reason);
        let index = known.unwrap_or_else(|| {
            self.troubles.push(Troubles { reason, count: 0, samples: Vec::new() });
            self.troubles.len() - 1
        });
        let troubles = &mut self.troubles[index];
        troubles.count += 1;
        if troubles.samples.len() < SAMPLES_MAX {
            troubles.samples.push(sample());
        }
    }
}
