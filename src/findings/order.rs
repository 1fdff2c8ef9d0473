//! Which finding comes first.

use crate::model::finding::Finding;
use crate::model::verdict::{Severity, Status};
use std::collections::HashMap;

/// Sorts for a file: worst severity first, open before healed, then by flow, check, time and key. The
/// order depends on nothing but the findings.
pub fn sort(findings: &mut [Finding]) {
    findings.sort_by(|a, b| {
        rank(a)
            .cmp(&rank(b))
            .then_with(|| (a.flow, a.check, a.time).cmp(&(b.flow, b.check, b.time)))
            .then_with(|| (&a.key, &a.by).cmp(&(&b.key, &b.by)))
    });
}

/// The `count` findings that a person should see first: of [`sort`]ed findings, those of the worst
/// severity, and among these each check in turn, so that ten thousand late shipments do not hide the
/// one lost payment.
pub fn worst<'a>(sorted: impl IntoIterator<Item = &'a Finding>, count: usize) -> Vec<&'a Finding> {
    let mut turns: HashMap<(u16, u16, (Severity, Status)), usize> = HashMap::new();
    let mut ranked: Vec<_> = sorted
        .into_iter()
        .filter_map(|finding| {
            let turn = turns.entry((finding.flow, finding.check, (finding.severity, finding.status))).or_default();
            *turn += 1;
            // A check's later turns than `count` can never be shown.
            (*turn <= count).then_some((rank(finding), *turn, finding))
        })
        .collect();
    ranked.sort_by_key(|(rank, turn, _)| (*rank, *turn));
    ranked.truncate(count);
    ranked.sort_by_key(|(rank, _, finding)| (*rank, finding.flow, finding.check));
    ranked.into_iter().map(|(_, _, finding)| finding).collect()
}

fn rank(finding: &Finding) -> (std::cmp::Reverse<Severity>, Status) {
    (std::cmp::Reverse(finding.severity), finding.status)
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
        sort(&mut findings);
        let shown: Vec<_> = worst(&findings, 4).iter().map(|f| f.key.as_str()).collect();
        assert_eq!(shown, ["c000", "c001", "c002", "rare"]);
        assert_eq!(findings[0].key, "c000");
        assert_eq!(findings[150].key, "w099");
    }
}
