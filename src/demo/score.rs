//! What was injected beside what was found.

use super::shop::Fault;
use crate::model::time::Time;
use serde::Deserialize;
use std::collections::BTreeMap;

/// Something to show as it happens.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Line {
    /// The shop has opened.
    Opened,
    /// The shop takes no more orders.
    Closed,
    /// Something was broken.
    Injected {
        /// In which order.
        order: String,
        /// What.
        fault: Fault,
    },
    /// Something was found.
    Found {
        /// In which order.
        order: String,
        /// What kind of finding.
        class: String,
        /// By which check.
        check: String,
        /// Open, healed or resolved.
        status: String,
        /// So long after it was injected; `None` where nothing was.
        after_ms: Option<i64>,
    },
}

/// The account of a demo.
#[derive(Debug, Default)]
pub struct Score {
    /// How many orders there were.
    pub orders: u64,
    /// By check and order: what was broken, and when.
    injected: BTreeMap<(String, String), (Fault, Time)>,
    /// By check and order: the class, of what stands.
    found: BTreeMap<(String, String), String>,
}

/// What the score reads of a finding.
#[derive(Deserialize)]
struct Finding {
    check: String,
    key: String,
    class: String,
    status: String,
}

impl Score {
    pub(super) fn new() -> Score {
        Score::default()
    }

    pub(super) fn injected(&mut self, fault: Fault, order: &str, at: Time) -> Line {
        self.injected.insert((fault.finding().0.to_owned(), order.to_owned()), (fault, at));
        Line::Injected { order: order.to_owned(), fault }
    }

    /// Takes a finding, as a line of JSON; `None` where it is none that can be read.
    pub(super) fn found(&mut self, json: &str, now: Time) -> Option<Line> {
        let Finding { check, key, class, status } = serde_json::from_str(json).ok()?;
        let name = (check.clone(), key.clone());
        let after_ms = self.injected.get(&name).map(|(_, at)| now.since(*at).as_millis());
        if status == "resolved" {
            self.found.remove(&name);
        } else {
            self.found.insert(name, class.clone());
        }
        Some(Line::Found { order: key, class, check, status, after_ms })
    }

    /// By kind of fault: how many were injected, and how many of them were found as what they are.
    pub fn by_fault(&self) -> Vec<(Fault, u64, u64)> {
        let of = |fault: Fault| {
            let injected = self.injected.iter().filter(|(_, (one, _))| *one == fault);
            let class = fault.finding().1;
            let found = injected.clone().filter(|(name, _)| self.found.get(*name).is_some_and(|found| found == class));
            (fault, injected.clone().count() as u64, found.count() as u64)
        };
        Fault::ALL.map(of).to_vec()
    }

    /// What was found and never injected, or found as something else: check, order, class.
    pub fn wrong(&self) -> Vec<(&str, &str, &str)> {
        let expected = |name: &(String, String)| self.injected.get(name).map(|(fault, _)| fault.finding().1);
        let wrong = self.found.iter().filter(|(name, class)| expected(name) != Some(class.as_str()));
        wrong.map(|((check, order), class)| (check.as_str(), order.as_str(), class.as_str())).collect()
    }

    /// Every fault was found as what it is.
    pub fn is_complete(&self) -> bool {
        self.by_fault().iter().all(|(_, injected, found)| injected == found)
    }

    /// Every fault was found as what it is, and nothing else was.
    pub fn is_perfect(&self) -> bool {
        self.is_complete() && self.wrong().is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(check: &str, order: &str, class: &str, status: &str) -> String {
        format!(r#"{{"check":"{check}","key":"{order}","class":"{class}","status":"{status}","more":1}}"#)
    }

    #[test]
    fn what_is_found_is_held_against_what_was_injected() {
        let mut score = Score::new();
        assert!(score.is_perfect());
        score.injected(Fault::CapturedTwice, "o-1", Time(1_000_000_000));
        assert!(!score.is_complete());
        let line = score.found(&found("paid-once", "o-1", "duplicate", "open"), Time(1_250_000_000));
        assert!(matches!(line, Some(Line::Found { after_ms: Some(250), .. })), "{line:?}");
        assert!(score.is_perfect());
        score.found(&found("settled", "o-2", "lost_message", "open"), Time(0));
        assert!(score.is_complete() && !score.is_perfect());
        assert_eq!(score.wrong(), [("settled", "o-2", "lost_message")]);
        score.found(&found("settled", "o-2", "lost_message", "resolved"), Time(0));
        assert!(score.is_perfect(), "it was taken back");
        score.found(&found("paid-once", "o-1", "mismatch", "open"), Time(0));
        assert!(!score.is_complete() && score.wrong().len() == 1, "found as something else");
    }
}
