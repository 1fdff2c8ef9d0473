//! What rows that changed under our eyes say about the columns that should tell so.

use super::Table;
use crate::model::time::{Span, Time};
use crate::sources::remark::Remark;

/// Times that are off by whole quarters of an hour, this exactly, are of another zone.
const ZONE_STEP: i64 = 900_000_000_000;
const ZONE_SLACK: i64 = 60_000_000_000;

/// Rows that changed while they were watched.
#[derive(Clone, Debug, Default)]
pub struct Sample {
    /// Of each: what its `updated` says afterwards.
    pub updated: Vec<Option<Time>>,
    /// More had changed than were looked at.
    pub more: bool,
}

impl Sample {
    /// What to say of a table's `updated`, of which rows changed between two moments: a change may be stamped before them
    /// by the declared lateness, and by a second where that is less.
    pub fn remarks(&self, table: &Table, begun: Time, ended: Time, lateness: Span) -> Vec<Remark> {
        let reach = lateness.max(Span::seconds(1));
        let Some(name) = &table.updated else { return Vec::new() };
        let of = &table.name;
        let seconds = ended.since(begun).as_millis().div_euclid(1000);
        let all = self.updated.len();
        if all == 0 {
            let text = format!(
                "{of}: no row changed within {seconds} s, so nothing shows whether `{name}` rises with each change; ask \
                 again while the system is busy"
            );
            return vec![Remark::warning(text)];
        }
        let (stale, ahead) = self.counts(begun - reach, ended + reach);
        if let Some(off) = self.off_by(ended) {
            let text = format!(
                "{of}: the times in `{name}` are {off} the present. Are they of another zone than {}? Say so with \
                 `zone`",
                table.zone.name()
            );
            return vec![Remark::warning(text)];
        }
        let counted =
            format!("of {all}{} rows that changed within {seconds} s", if self.more { " and more" } else { "" });
        if stale == 0 && ahead == 0 {
            let text = format!("{of}: `{name}` rose with each change, {counted}; with `sweep: never` it is trusted");
            return vec![Remark::good(text)];
        }
        let text = format!(
            "{of}: `{name}` cannot be trusted: {counted}, {stale} kept an older time or none, and {ahead} are ahead. Such \
             changes are found by looking through the whole table, so leave `sweep: never` out"
        );
        vec![Remark::warning(text)]
    }

    /// How many are stamped before, and how many after what is possible.
    fn counts(&self, earliest: Time, latest: Time) -> (usize, usize) {
        let count = |wrong: &dyn Fn(&Option<Time>) -> bool| self.updated.iter().filter(|time| wrong(time)).count();
        (count(&|time| time.is_none_or(|time| time < earliest)), count(&|time| time.is_some_and(|time| time > latest)))
    }

    /// By how much most of the times are off, where that is what zones differ by.
    fn off_by(&self, now: Time) -> Option<String> {
        let mut steps: Vec<i64> = self
            .updated
            .iter()
            .flatten()
            .map(|time| time.since(now).0)
            .filter(|off| off.abs() < 15 * 3_600_000_000_000)
            .filter(|off| (off + ZONE_SLACK).rem_euclid(ZONE_STEP) < 2 * ZONE_SLACK)
            .map(|off| (off + ZONE_STEP / 2).div_euclid(ZONE_STEP))
            .collect();
        steps.sort_unstable();
        let middle = *steps.get(steps.len() / 2)?;
        let most = 2 * steps.iter().filter(|step| **step == middle).count() > self.updated.len();
        let (hours, minutes) = (middle.abs() / 4, middle.abs() % 4 * 15);
        let way = if middle > 0 { "ahead of" } else { "behind" };
        (most && middle != 0).then(|| format!("{hours}:{minutes:02} h {way}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sources::live::Start;
    use crate::sources::tables::Sweep;

    fn table() -> Table {
        let updated = Some("changed".to_owned());
        let (key, zone, start) = (vec![], chrono_tz::UTC, Start::Latest);
        Table { name: "orders".into(), key, updated, time: None, zone, sweep: Sweep::Gentle, start }
    }

    /// What is said of rows that changed between 1:00:00 and 1:00:05, by the seconds of their stamps.
    fn said(seconds: &[Option<i64>]) -> String {
        let updated = seconds.iter().map(|at| at.map(|at| Time(at * 1_000_000_000))).collect();
        let at = |seconds| Time(0) + Span::seconds(seconds);
        let remarks = Sample { updated, more: false }.remarks(&table(), at(3600), at(3605), Span::seconds(10));
        remarks.iter().map(|remark| format!("{:?}: {}\n", remark.weight, remark.text)).collect()
    }

    #[test]
    fn a_column_is_judged_by_the_rows_that_changed() {
        insta::assert_snapshot!(
            [
                said(&[]),
                said(&[Some(3601), Some(3592), Some(3604)]),
                said(&[Some(3601), Some(1000), None, Some(9999)]),
                said(&[Some(7202), Some(7203)]),
                said(&[Some(2), Some(3), Some(4)]),
            ]
            .join("\n")
        );
    }
}
