//! The findings of a run: taken in as the engine tells them, given back when it is over: the newest of each, in the
//! order of reports. However many there are, they take bounded memory.

use super::sorter::Sorter;
use crate::findings::order;
use crate::model::finding::Finding;
use crate::model::verdict::Status;
use crate::model::{CheckId, FlowId};
use std::io;

/// What findings may take in memory; those beyond it wait in a temporary file.
const FINDINGS_HELD_BYTES_MAX: usize = 64 << 20;

/// What a finding is about: a later one about the same replaces it.
type About = (FlowId, CheckId, String, Option<String>);

/// All findings of a run.
#[derive(Debug)]
pub struct Findings {
    told: Sorter<About>,
    held_bytes_max: usize,
}

impl Default for Findings {
    fn default() -> Findings {
        Findings::within(FINDINGS_HELD_BYTES_MAX)
    }
}

impl Findings {
    fn within(held_bytes_max: usize) -> Findings {
        Findings { told: Sorter::new(about, held_bytes_max), held_bytes_max }
    }

    /// Takes in what was told.
    pub fn add(&mut self, finding: &Finding) -> io::Result<()> {
        self.told.add(finding)
    }

    /// How many were beyond the limit `findings_held_bytes_max`. None of them is lost.
    pub fn beyond_memory(&self) -> u64 {
        self.told.spilled()
    }

    /// Gives the newest of each, in the order of [`order::key`], without those that turned out untrue.
    pub fn each<E: From<io::Error>>(self, give: &mut dyn FnMut(Finding) -> Result<(), E>) -> Result<(), E> {
        let mut sorted = Sorter::new(order::key, self.held_bytes_max);
        let mut newest: Option<Finding> = None;
        let mut keep = |finding: Finding| match finding.status {
            Status::Resolved => Ok(()),
            Status::Open | Status::Healed => sorted.add(&finding),
        };
        self.told.merge::<io::Error>(&mut |finding| {
            let same = newest.as_ref().is_some_and(|before| about(before) == about(&finding));
            let before = newest.replace(finding).filter(|_| !same);
            before.map_or(Ok(()), &mut keep)
        })?;
        newest.map_or(Ok(()), keep)?;
        sorted.merge(give)
    }
}

fn about(finding: &Finding) -> About {
    (finding.flow, finding.check, finding.key.clone(), finding.by.clone())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::time::Time;
    use crate::model::verdict::{Class, Severity};
    use proptest::prelude::*;
    use std::collections::BTreeMap;

    fn finding(key: u8, by: Option<u8>, time: i64, status: Status, severity: Severity) -> Finding {
        Finding {
            flow: 0,
            check: u16::from(key % 3),
            key: format!("o-{key}"),
            by: by.map(|by| by.to_string()),
            class: Class::Late,
            severity,
            status,
            keys: Vec::new(),
            time: Time(time),
            deadline: None,
            judged_at: Time(time),
            healed_after: None,
            expected: "x".repeat(usize::from(key)),
            seen: Vec::new(),
            evidence: Vec::new(),
            summary: String::new(),
        }
    }

    fn all(findings: Findings) -> Vec<Finding> {
        let mut given = Vec::new();
        findings
            .each::<io::Error>(&mut |finding| {
                given.push(finding);
                Ok(())
            })
            .unwrap();
        given
    }

    proptest! {
        #[test]
        fn the_newest_of_each_is_given_in_order_whatever_fits_into_memory(
            told in prop::collection::vec((0u8..20, prop::option::of(0u8..2), 0i64..9, 0usize..3, 0usize..3), 0..120),
            room in prop::sample::select(vec![0usize, 300, 1000, 5000, usize::MAX]),
        ) {
            let mut findings = Findings::within(room);
            let mut naive = BTreeMap::new();
            for (at, (key, by, time, status, severity)) in told.iter().copied().enumerate() {
                let mut finding = finding(key, by, time, Status::ALL[status], Severity::ALL[severity]);
                finding.summary = at.to_string();
                findings.add(&finding).unwrap();
                naive.insert(about(&finding), finding);
            }
            match room {
                0 => prop_assert_eq!(findings.beyond_memory(), told.len() as u64),
                usize::MAX => prop_assert_eq!(findings.beyond_memory(), 0),
                _ => {}
            }
            let mut expected: Vec<_> = naive.into_values().filter(|f| f.status != Status::Resolved).collect();
            expected.sort_by_key(order::key);
            prop_assert_eq!(all(findings), expected);
        }
    }

    #[test]
    fn a_failure_of_who_takes_them_ends_it() {
        let mut findings = Findings::default();
        (0..9).for_each(|key| findings.add(&finding(key, None, 0, Status::Open, Severity::Critical)).unwrap());
        let mut taken = 0;
        let failed = findings.each(&mut |_| {
            taken += 1;
            if taken == 3 { Err(io::Error::other("full")) } else { Ok(()) }
        });
        assert_eq!((failed.unwrap_err().to_string().as_str(), taken), ("full", 3));
    }
}
