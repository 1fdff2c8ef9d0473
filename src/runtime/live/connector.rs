//! A connector between a system and its records, such as Debezium's: what it has not told yet, nobody finds by reading on.
//!
//! ```text
//! database ── commits ──▶ connector ── changes, heartbeats ──▶ topics ──▶ source: "caught up at T"
//!                         may lag, or stand still              all that was told by T is here
//! ```
//!
//! So "caught up at T" is worth no more than what the connector has come to: the newest change that it told, in the order
//! of the log that it reads; and, while it is quiet, its heartbeats. A heartbeat says that it is alive, and not that it has
//! read everything: one that catches up sends them too. The first after a change is taken to lag as much as that change
//! did; with the second in a row it is known to have had nothing to tell in between.

use crate::extract::told::Relay;
use crate::model::time::{Span, Time};

/// How far a connector has come.
#[derive(Debug, Default)]
pub struct Connector {
    reached: Option<Time>,
    /// By how much, when it was last heard of; `None` where nobody knows.
    lag: Option<Span>,
}

impl Connector {
    /// Takes note of a record with its event time.
    pub fn record(&mut self, time: Option<Time>, relay: Relay) {
        let reached = match relay {
            Relay::Silent => time,
            Relay::Behind(lag) => {
                self.lag = Some(lag);
                time
            }
            Relay::Alive(at) => self.lag.replace(Span::ZERO).map(|lag| at - lag),
        };
        self.reached = self.reached.max(reached);
    }

    /// Something of it was lost: what comes next shows how far it has come.
    pub fn lost(&mut self) {
        *self = Connector::default();
    }

    /// Up to when everything has been told, where all that it told by `at` is here; `None` while it has told nothing.
    pub fn proven(&self, at: Time) -> Option<Time> {
        self.reached.map(|reached| reached.min(at))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: i64) -> Time {
        Time(seconds * 1_000_000_000)
    }

    #[test]
    fn a_proof_is_worth_what_the_connector_has_come_to() {
        let mut connector = Connector::default();
        assert_eq!(connector.proven(at(100)), None, "nobody knows whether it runs");
        connector.record(Some(at(10)), Relay::Behind(Span::seconds(1)));
        assert_eq!(connector.proven(at(100)), Some(at(10)), "it may be dead since");
        assert_eq!(connector.proven(at(5)), Some(at(5)));
        connector.record(Some(at(8)), Relay::Behind(Span::seconds(90)));
        connector.record(None, Relay::Alive(at(98)));
        assert_eq!(connector.proven(at(100)), Some(at(10)), "it is alive, and 90 seconds behind");
        connector.record(None, Relay::Alive(at(99)));
        assert_eq!(connector.proven(at(100)), Some(at(99)), "it had nothing to tell");
        connector.record(Some(at(101)), Relay::Silent);
        assert_eq!(connector.proven(at(110)), Some(at(101)));
        connector.lost();
        assert_eq!(connector.proven(at(110)), None);
        connector.record(None, Relay::Alive(at(111)));
        assert_eq!(connector.proven(at(120)), None, "it may be catching up");
        connector.record(None, Relay::Alive(at(112)));
        assert_eq!(connector.proven(at(120)), Some(at(112)));
    }
}
