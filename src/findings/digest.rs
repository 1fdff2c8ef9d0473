//! What is told of a run's findings, taken down in one pass over them, so that they need not be held.

use super::order::Worst;
use super::summary::FindingCounts;
use crate::model::finding::Finding;
use crate::model::verdict::Severity;
use crate::model::{CheckId, FlowId};
use std::collections::BTreeMap;

/// Most findings of a check that a report spells out.
pub const SPELT_OUT_MAX: usize = 20;

/// The account of all findings of a run, and the few that are shown.
#[derive(Debug, Default)]
pub struct Digest {
    /// By severity.
    pub counts: FindingCounts,
    worst: Worst,
    checks: BTreeMap<(FlowId, CheckId), OfCheck>,
}

/// The findings of one check.
#[derive(Debug, Default)]
pub struct OfCheck {
    /// Those that are not known from an earlier run.
    pub new: u64,
    /// Those that decide the exit code.
    pub failing: Several,
    /// Those that are known, or below what fails.
    pub tolerated: Several,
}

/// How many there are, and the first of them.
#[derive(Debug, Default)]
pub struct Several {
    /// How many.
    pub count: u64,
    /// The first, [`SPELT_OUT_MAX`] at most.
    pub first: Vec<Finding>,
}

impl Several {
    fn take(&mut self, finding: &Finding) {
        self.count += 1;
        if self.first.len() < SPELT_OUT_MAX {
            self.first.push(finding.clone());
        }
    }
}

impl Digest {
    /// One that picks so many of the worst new ones.
    pub fn new(worst: usize) -> Digest {
        Digest { worst: Worst::new(worst), ..Digest::default() }
    }

    /// Takes down the next finding in order: whether it is known from an earlier run, and whether it fails if it is not.
    pub fn take(&mut self, finding: &Finding, known: bool, grave: bool) {
        *match finding.severity {
            Severity::Critical => &mut self.counts.critical,
            Severity::Warning => &mut self.counts.warning,
            Severity::Info => &mut self.counts.info,
        } += 1;
        let fails = grave && !known;
        self.counts.known += u64::from(known);
        self.counts.failing += u64::from(fails);
        let check = self.checks.entry((finding.flow, finding.check)).or_default();
        if !known {
            check.new += 1;
            self.worst.consider(finding);
        }
        if fails { check.failing.take(finding) } else { check.tolerated.take(finding) }
    }

    /// The new ones that a person should see first.
    pub fn worst(&self) -> Vec<&Finding> {
        self.worst.picked()
    }

    /// What there is of one check.
    pub fn of_check(&self, flow: FlowId, check: CheckId) -> Option<&OfCheck> {
        self.checks.get(&(flow, check))
    }

    /// How many new ones there are of each check.
    pub fn new_by_check(&self) -> impl Iterator<Item = ((FlowId, CheckId), u64)> {
        self.checks.iter().map(|(about, check)| (*about, check.new))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::findings::sample;

    #[test]
    fn all_are_counted_and_the_first_are_kept() {
        let mut digest = Digest::new(3);
        for n in 0..100 {
            let severity = if n < 60 { Severity::Critical } else { Severity::Info };
            let finding = Finding { severity, key: format!("o-{n}"), ..sample::finding() };
            digest.take(&finding, n % 2 == 0, severity == Severity::Critical);
        }
        let FindingCounts { critical, warning, info, known, failing } = digest.counts;
        assert_eq!((critical, warning, info, known, failing), (60, 0, 40, 50, 30));
        let keys = |findings: &[&Finding]| findings.iter().map(|f| f.key.clone()).collect::<Vec<_>>();
        assert_eq!(keys(&digest.worst()), ["o-1", "o-3", "o-5"], "what is known is not shown");
        let check = digest.of_check(0, 0).unwrap();
        assert_eq!((check.new, check.failing.count, check.tolerated.count), (50, 30, 70));
        assert_eq!((check.failing.first.len(), check.failing.first[19].key.as_str()), (SPELT_OUT_MAX, "o-39"));
        assert_eq!(check.tolerated.first[0].key, "o-0");
        assert!(digest.of_check(0, 1).is_none());
        assert_eq!(digest.new_by_check().collect::<Vec<_>>(), [((0, 0), 50)]);
    }
}
