//! A connector between a system and its records, such as Debezium's: what it has not told yet, nobody finds by reading on.
//!
//! ```text
//! database ── commits ──▶ connector ── changes, heartbeats ──▶ topics ──▶ source: "caught up at T"
//!                         may lag, or stand still              all that was told by T is here
//! ```
//!
//! So "caught up at T" is worth no more than what the connector has come to: the newest change that it told, in the order
//! of the log that it reads; and, while it is quiet, its heartbeats. A heartbeat says that it is alive, and not that it has
//! read everything: one that catches up sends them too, many in a row, while it reads what others have written and nobody
//! asked it to tell. So a heartbeat counts for as late as the connector may be: as late as its last change was told, or by
//! as long as it has been silent since. That holds where it reads the log no slower than the log is written.

use crate::extract::told::Relay;
use crate::model::time::{Span, Time};

/// How far a connector has come.
#[derive(Debug, Default)]
pub struct Connector {
    reached: Option<Time>,
    /// When it was last heard of, by its own clock.
    heard: Option<Time>,
    /// By how much it may lag; `None` before its first change, when nobody knows.
    lag: Option<Span>,
}

impl Connector {
    /// Takes note of a record with its event time.
    pub fn record(&mut self, time: Option<Time>, relay: Relay) {
        let reached = match relay {
            Relay::Silent => time,
            Relay::Aside => None,
            Relay::Behind(lag) => {
                self.lag = Some(lag);
                self.heard = self.heard.max(time.map(|time| time + lag));
                time
            }
            Relay::Alive(at) => {
                let silence = self.heard.map_or(Span::ZERO, |heard| at.since(heard));
                self.heard = self.heard.max(Some(at));
                self.lag = self.lag.map(|lag| lag.max(silence));
                self.lag.map(|lag| at - lag)
            }
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
        connector.record(None, Relay::Alive(at(12)));
        assert_eq!(connector.proven(at(100)), Some(at(11)), "it is alive, and a second behind");
        connector.record(None, Relay::Alive(at(13)));
        assert_eq!(connector.proven(at(100)), Some(at(12)));
        connector.record(Some(at(99)), Relay::Aside);
        assert_eq!(connector.proven(at(100)), Some(at(12)), "a row of a snapshot is no place in the log");
        connector.record(Some(at(20)), Relay::Silent);
        assert_eq!(connector.proven(at(100)), Some(at(20)));
        connector.lost();
        assert_eq!(connector.proven(at(110)), None);
        connector.record(None, Relay::Alive(at(111)));
        connector.record(None, Relay::Alive(at(112)));
        assert_eq!(connector.proven(at(120)), None, "it may be catching up");
    }

    #[test]
    fn one_that_stood_still_may_lag_by_as_long_until_a_change_shows_otherwise() {
        let mut connector = Connector::default();
        connector.record(Some(at(10)), Relay::Behind(Span::seconds(1)));
        connector.record(None, Relay::Alive(at(12)));
        // It stands still, and reads then what it does not tell.
        connector.record(None, Relay::Alive(at(612)));
        assert_eq!(connector.proven(at(620)), Some(at(12)));
        connector.record(None, Relay::Alive(at(614)));
        assert_eq!(connector.proven(at(620)), Some(at(14)));
        connector.record(Some(at(20)), Relay::Behind(Span::seconds(595)));
        connector.record(None, Relay::Alive(at(616)));
        assert_eq!(connector.proven(at(620)), Some(at(21)), "as late as it told what was in between");
        connector.record(Some(at(617)), Relay::Behind(Span::seconds(1)));
        connector.record(None, Relay::Alive(at(619)));
        assert_eq!(connector.proven(at(620)), Some(at(618)), "it has caught up");
    }
}
