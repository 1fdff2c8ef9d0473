//! Where we are in a queue of ours, which has no offsets.
//!
//! AMQP numbers nothing: after a cut connection, what was not acknowledged comes again, and nothing tells a message that
//! comes again from one that is like it. So we put marks of our own into our queue, each with a number that nothing else
//! has, and acknowledge only up to the message before a mark:
//!
//! ```text
//! queue      M1  a  b  M2  c  d  e              handed over: a b c d; cursor: "two after M2"; acknowledged: M1 a b
//! cut, and again:   M2  c  d  e  f              ─▶ M2 is found, two after it are known, e and f are new
//! ```
//!
//! Whatever comes before the mark of the cursor is known, and so are as many after it as the cursor says. Where the mark
//! is gone (a full queue drops from its head), a message that was never delivered before shows it: that is a hole, and
//! what was skipped on the way lies inside it.

use serde::{Deserialize, Serialize};

/// A place in a queue.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Place {
    /// The last mark that was passed.
    pub mark: Option<u64>,
    /// How many records were handed over after it; where there is none, of all.
    pub after: u64,
    /// The position of the next record: they are counted from the first start on.
    pub next: u64,
}

/// Finds a place again, and goes on from it.
#[derive(Debug)]
pub(super) struct Course {
    pub place: Place,
    seek: Seek,
}

#[derive(Debug, PartialEq, Eq)]
enum Seek {
    /// What comes is known up to the mark of the place.
    Mark,
    /// So many more are known.
    Known(u64),
    /// Everything is new.
    Done,
}

impl Seek {
    fn known(count: u64) -> Seek {
        if count == 0 { Seek::Done } else { Seek::Known(count) }
    }
}

/// What a message turned out to be.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Taken {
    /// A mark of ours, at or behind the place.
    Mark(u64),
    /// It was handed over before.
    Known,
    /// A record, at this position.
    New(u64),
}

impl Course {
    /// Goes on from a place. Before its first mark nothing of a queue is acknowledged, so it is counted from its beginning.
    pub fn new(place: Place) -> Course {
        let seek = match (place.mark, place.after) {
            (Some(_), _) => Seek::Mark,
            (None, after) => Seek::known(after),
        };
        Course { place, seek }
    }

    /// Takes the next message of the queue, and tells whether something before it is gone.
    pub fn take(&mut self, redelivered: bool, mark: Option<u64>) -> (Taken, bool) {
        match self.seek {
            Seek::Mark if mark.is_some() && mark == self.place.mark => {
                self.seek = Seek::known(self.place.after);
                (Taken::Mark(mark.unwrap_or_default()), false)
            }
            Seek::Mark if redelivered => (Taken::Known, false),
            Seek::Known(count) if redelivered && mark.is_none() => {
                self.seek = Seek::known(count - 1);
                (Taken::Known, false)
            }
            Seek::Done => (self.go_on(mark), false),
            Seek::Mark | Seek::Known(_) => {
                self.seek = Seek::Done;
                (self.go_on(mark), true)
            }
        }
    }

    fn go_on(&mut self, mark: Option<u64>) -> Taken {
        if let Some(mark) = mark {
            self.place.mark = Some(mark);
            self.place.after = 0;
            return Taken::Mark(mark);
        }
        let position = self.place.next;
        self.place.next += 1;
        self.place.after += 1;
        Taken::New(position)
    }
}

#[cfg(test)]
mod tests;
