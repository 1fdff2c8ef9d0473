//! Which finding comes first.

use crate::model::finding::Finding;
use crate::model::time::Time;
use crate::model::verdict::{Severity, Status};
use crate::model::{CheckId, FlowId};
use std::cmp::Reverse;
use std::collections::HashMap;

type Rank = (Reverse<Severity>, Status);

/// What findings are sorted by: worst severity first, open before healed, then by flow, check, time, key and by. The
/// order depends on nothing but the findings.
pub type Key = (Rank, FlowId, CheckId, Time, String, Option<String>);

/// The place of a finding in a report.
pub fn key(finding: &Finding) -> Key {
    let Finding { flow, check, time, .. } = *finding;
    (rank(finding), flow, check, time, finding.key.clone(), finding.by.clone())
}

fn rank(finding: &Finding) -> Rank {
    (Reverse(finding.severity), finding.status)
}

/// Picks the findings that a person should see first: of findings in order, those of the worst severity, and among these
/// each check in turn, so that ten thousand late shipments do not hide the one lost payment.
#[derive(Debug, Default)]
pub struct Worst {
    count: usize,
    /// How many were seen of each check and rank.
    turns: HashMap<(FlowId, CheckId, Rank), usize>,
    candidates: Vec<(Rank, usize, Finding)>,
}

impl Worst {
    /// Picks so many.
    pub fn new(count: usize) -> Worst {
        Worst { count, ..Worst::default() }
    }

    /// Considers the next one.
    pub fn consider(&mut self, finding: &Finding) {
        let rank = rank(finding);
        let turn = self.turns.entry((finding.flow, finding.check, rank)).or_default();
        *turn += 1;
        // A check's later turns than `count` can never be shown.
        if *turn <= self.count {
            self.candidates.push((rank, *turn, finding.clone()));
        }
    }

    /// Those that were picked: by rank, flow and check.
    pub fn picked(&self) -> Vec<&Finding> {
        let mut picked: Vec<_> = self.candidates.iter().collect();
        picked.sort_by_key(|(rank, turn, _)| (*rank, *turn));
        picked.truncate(self.count);
        picked.sort_by_key(|(rank, _, finding)| (*rank, finding.flow, finding.check));
        picked.into_iter().map(|(_, _, finding)| finding).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::findings::sample;

    fn finding(check: u16, severity: Severity, status: Status, key: &str) -> Finding {
        Finding { check, severity, status, key: key.into(), ..sample::finding() }
    }

    #[test]
    fn the_rare_grave_one_is_shown_among_many() {
        let mut findings: Vec<_> =
            (0..100).map(|i| finding(0, Severity::Warning, Status::Healed, &format!("w{i:03}"))).collect();
        findings.extend((0..50).map(|i| finding(1, Severity::Critical, Status::Open, &format!("c{i:03}"))));
        findings.push(finding(2, Severity::Critical, Status::Open, "rare"));
        findings.sort_by_key(key);
        let mut worst = Worst::new(4);
        findings.iter().for_each(|finding| worst.consider(finding));
        let shown: Vec<_> = worst.picked().iter().map(|f| f.key.as_str()).collect();
        assert_eq!(shown, ["c000", "c001", "c002", "rare"]);
        assert_eq!(findings[0].key, "c000");
        assert_eq!(findings[150].key, "w099");
        assert!(worst.candidates.len() <= 3 * 4, "what can never be shown is not kept");
    }
}
