//! A system under test, and what can be done to it.

use super::watch::Seen;
use throughline::sources::live::Source;

/// One system with a place in it that the suite writes to and a source follows.
pub trait System {
    /// A source that follows it from its present end, as the configuration would open it.
    fn source(&self) -> Box<dyn Source>;

    /// Brings a record with this number into the system, and returns once it is visible there. Another moment, another
    /// connection: nothing of one call may be needed by the next.
    fn write(&mut self, id: u64);

    /// The number of a record that [`System::write`] wrote.
    fn id(&self, record: &Seen) -> u64;

    /// Cuts all connections of the source, which may come back. `false` where there are none.
    fn cut(&mut self) -> bool {
        false
    }

    /// Lets nothing through to the source, or again. `false` where there is no connection.
    fn stall(&mut self, _stalled: bool) -> bool {
        false
    }

    /// Stops the server and starts it again. `false` where there is none.
    fn restart(&mut self) -> bool {
        false
    }

    /// What the system refuses: what is wrong, a source that meets it, and words that its failure must contain. A
    /// secret among them must not be told: it is `s3cret`.
    fn refusals(&mut self) -> Vec<(&'static str, Box<dyn Source>, Vec<&'static str>)> {
        Vec::new()
    }

    /// What the system itself has seen of the source that is more than reading: writes, commits, groups.
    fn written_by_source(&mut self) -> Vec<String>;

    /// Records may come twice after a fault, under the same position. Rows that are polled are versions: what counts
    /// is that none is missing.
    fn is_polled(&self) -> bool {
        false
    }
}
