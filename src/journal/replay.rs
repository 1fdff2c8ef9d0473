//! Replay: all durable entries from one on, in order, in bounded memory.

use super::frames::{Frames, Step};
use super::segment::Segment;
use super::{Entry, Error, Sequence};
use std::collections::VecDeque;
use std::path::PathBuf;

/// Durable entries in order; see [`Journal::replay`](super::Journal::replay).
pub struct Replay {
    folder: PathBuf,
    /// The segments that are still to be read, the one under way first.
    segments: VecDeque<Segment>,
    frames: Option<Frames>,
    /// The first entry that is wanted.
    from: Sequence,
    /// The next entry to be read.
    next: Sequence,
    /// Where it ends, excluded.
    end: Sequence,
}

impl Replay {
    pub(super) fn new(
        folder: PathBuf,
        mut segments: VecDeque<Segment>,
        from: Sequence,
        end: Sequence,
    ) -> Result<Replay, Error> {
        let oldest = segments.front().map_or(end, |segment| segment.first);
        if from < oldest {
            return Err(Error::Forgotten { from, oldest });
        }
        if from > end {
            return Err(Error::Missing { folder, from: end, to: from });
        }
        while segments.get(1).is_some_and(|segment| segment.first <= from) {
            segments.pop_front();
        }
        let next = segments.front().map_or(end, |segment| segment.first);
        Ok(Replay { folder, segments, frames: None, from, next, end })
    }

    /// Where it ends, excluded: what was durable when it was asked for.
    pub fn end(&self) -> Sequence {
        self.end
    }

    /// The next entry, which lives until the one after it is asked for; `None` at the end.
    #[allow(clippy::should_implement_trait, reason = "the entry borrows from the replay, which an iterator cannot say")]
    pub fn next(&mut self) -> Result<Option<Entry<'_>>, Error> {
        let place = loop {
            if self.next >= self.end {
                return Ok(None);
            }
            if self.segments.get(1).is_some_and(|segment| segment.first <= self.next) {
                self.segments.pop_front();
                self.frames = None;
            }
            let Some(segment) = self.segments.front() else { return Err(self.missing()) };
            let frames = match &mut self.frames {
                Some(frames) => frames,
                None => self.frames.insert(segment.frames().map_err(|error| self.forgotten(error))?),
            };
            match frames.step()? {
                Step::Entry(place) => {
                    self.next = self.next + 1;
                    if self.next > self.from {
                        break place;
                    }
                }
                Step::Mark => {}
                Step::Bad(what) => return Err(segment.corrupt(frames.offset(), what)),
                Step::End => return Err(self.missing()),
            }
        };
        let (Some(frames), Some(segment)) = (&self.frames, self.segments.front()) else { return Ok(None) };
        Ok(Some(frames.entry(&place, segment.first)))
    }

    fn missing(&self) -> Error {
        let to = self.segments.get(1).map_or(self.end, |segment| segment.first);
        Error::Missing { folder: self.folder.clone(), from: self.next, to }
    }

    /// Retention may take a segment away while another process replays.
    fn forgotten(&self, error: Error) -> Error {
        let oldest = self.segments.get(1).map_or(self.end, |segment| segment.first);
        if error.is_not_found() { Error::Forgotten { from: self.next, oldest } } else { error }
    }
}
