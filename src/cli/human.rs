//! What `verify` tells a person: the account as tables, what the verdict rests on, the worst findings,
//! and one last line.

use super::Exit;
use super::table::{Table, thousands};
use crate::findings::Names;
use crate::findings::digest::Digest;
use crate::findings::record::Record;
use crate::findings::sentence::{self, BOLD, DIM};
use crate::findings::summary::{CheckSummary, FlowSummary, Named, SourceSummary, Stray, Summary, Vacuous};
use crate::model::verdict::Severity;
use anstyle::{AnsiColor, Style};
use std::fmt::Write;

/// Good news.
pub const GOOD: Style = Style::new().bold().fg_color(Some(anstyle::Color::Ansi(AnsiColor::Green)));
/// Bad news.
pub const ERROR: Style = Style::new().bold().fg_color(Some(anstyle::Color::Ansi(AnsiColor::Red)));
/// What needs a look.
pub const WARNING: Style = Style::new().bold().fg_color(Some(anstyle::Color::Ansi(AnsiColor::Yellow)));

/// How much is told.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Detail {
    /// The last line alone.
    Quiet,
    /// What a person wants to see first.
    Normal,
    /// More findings and samples.
    Verbose,
}

impl Detail {
    /// How many findings are spelt out.
    pub fn findings(self) -> usize {
        match self {
            Detail::Quiet => 0,
            Detail::Normal => 10,
            Detail::Verbose => 200,
        }
    }

    /// How many samples of unreadable records are shown, a reason.
    fn samples(self) -> usize {
        if self == Detail::Verbose { usize::MAX } else { 3 }
    }
}

/// A run to be told.
pub struct Story<'a> {
    /// The account.
    pub summary: &'a Summary,
    /// What a green verdict would be silent about.
    pub vacuous: &'a [Vacuous],
    /// The findings.
    pub digest: &'a Digest,
    /// The names of their indexes.
    pub names: Names<'a>,
    /// How it ends.
    pub exit: Exit,
    /// How much is told.
    pub detail: Detail,
}

impl Story<'_> {
    /// The whole text.
    pub fn tell(&self) -> String {
        let mut out = String::new();
        if self.detail > Detail::Quiet {
            for (name, flow) in self.summary.flows.iter() {
                tell_flow(name, flow, self.detail, &mut out);
                if self.detail == Detail::Verbose {
                    tell_steps(flow, &mut out);
                }
                out.push('\n');
            }
            self.tell_sources(&mut out);
            self.tell_findings(&mut out);
            for (limit, count) in self.summary.limits.iter() {
                let count = thousands(*count);
                let _ = writeln!(
                    out,
                    "{WARNING}limit{WARNING:#} `{limit}` was hit: {count} findings waited in a temporary file; none is missing"
                );
            }
            for vacuous in self.vacuous {
                let _ = writeln!(out, "{WARNING}warning{WARNING:#}: {vacuous}");
            }
        }
        let _ = writeln!(out, "{}", self.last_line());
        out
    }

    fn tell_sources(&self, out: &mut String) {
        let mut table = Table::default();
        let heading =
            ["source", "records", "matched", "unmatched", "undecodable", "beyond lateness", "unattached", "from – to"];
        table.row(heading.map(|cell| (cell.to_string(), DIM)));
        for (name, source) in self.summary.sources.iter() {
            table.row(source_row(name, source));
        }
        out.push_str(&table.lines(0));
        for (name, source) in self.summary.sources.iter() {
            if !source.undecided.is_empty() {
                let by = listed(&source.undecided);
                let _ = writeln!(out, "{WARNING}undecided{WARNING:#} because of {BOLD}{name}{BOLD:#}: {by}");
            }
            tell_holes(name, source, self.detail, out);
            for problem in &source.problems {
                let _ = writeln!(
                    out,
                    "{WARNING}{} undecodable{WARNING:#} of {BOLD}{name}{BOLD:#}: {}",
                    thousands(problem.count),
                    problem.reason
                );
                let shown = problem.samples.iter().take(self.detail.samples());
                shown.for_each(|sample| {
                    let _ = writeln!(out, "  {}: {}", sample.place, sentence::Shown(&sample.detail));
                    if !sample.text.is_empty() {
                        let _ = writeln!(out, "    {DIM}{}{DIM:#}", sentence::Shown(&sample.text));
                    }
                });
            }
        }
        out.push('\n');
    }

    fn tell_findings(&self, out: &mut String) {
        let shown = self.digest.worst();
        for finding in &shown {
            let _ = writeln!(out, "{}", Record::of(finding, self.names));
        }
        let rest = self.digest.new_by_check().map(|(about, count)| {
            let shown = shown.iter().filter(|finding| (finding.flow, finding.check) == about);
            (about, count - shown.count() as u64)
        });
        let rest: Vec<_> = rest.filter(|(_, count)| *count > 0).collect();
        let more: u64 = rest.iter().map(|(_, count)| count).sum();
        if more > 0 {
            let of = rest.iter().map(|((flow, check), count)| {
                let flow = &self.names.plan.flows[*flow as usize];
                format!("{} {} / {}", thousands(*count), flow.name, flow.checks[*check as usize].name)
            });
            let of: Vec<_> = of.collect();
            let _ = writeln!(out, "… and {} more: {}.", thousands(more), of.join(", "));
            let _ =
                writeln!(out, "{DIM}`--findings FILE` writes all of them, `trace KEY` shows one transaction.{DIM:#}\n");
        }
    }

    /// The verdict in one line.
    pub fn last_line(&self) -> String {
        let transactions = &self.summary.transactions;
        let counts = &self.summary.findings;
        let numbers = format!(
            "{} consistent, {} inconsistent, {} undecided{}",
            thousands(transactions.consistent),
            thousands(transactions.inconsistent),
            thousands(transactions.undecided),
            reasons(&self.summary.undecided)
        );
        let findings = match counts.critical + counts.warning + counts.info {
            0 => "no findings".to_owned(),
            _ => format!("findings: {}", severities(counts.critical, counts.warning, counts.info, counts.known)),
        };
        let (style, word) = match self.exit {
            Exit::Good if counts.critical + counts.warning > 0 => (GOOD, "nothing new"),
            Exit::Good => (GOOD, "consistent"),
            Exit::Findings | Exit::Wrong => (ERROR, "inconsistent"),
            Exit::Unknown => (WARNING, "not known"),
            Exit::Interrupted => (WARNING, "interrupted"),
        };
        format!("{style}{word}{style:#}: {numbers}; {findings}")
    }
}

fn tell_flow(name: &str, flow: &FlowSummary, detail: Detail, out: &mut String) {
    let mut table = Table::default();
    let heading = ["", "judged", "passed", "broken", "undecided", ""].map(|cell| (cell.to_string(), DIM));
    table.row(heading);
    let transactions = &flow.transactions;
    let decided = transactions.consistent + transactions.inconsistent;
    table.row(row(
        (name.to_owned(), BOLD),
        [decided, transactions.consistent, transactions.inconsistent, transactions.undecided],
        reasons(&flow.undecided),
    ));
    for (check, counts) in flow.checks.iter() {
        let CheckSummary { judged, passed, broken, undecided, reasons: by } = counts;
        table.row(row((format!("  {check}"), Style::new()), [*judged, *passed, *broken, *undecided], reasons(by)));
    }
    out.push_str(&table.lines(0));
    for (step, counts) in flow.steps.iter() {
        let troubles = [
            (counts.unattached, "observations joined no transaction", &counts.unattached_samples[..]),
            (counts.not_keys, "key values are no keys: empty text, objects, true or false", &[]),
            (counts.when_errors, "records on which its `when` failed, which is no match", &[]),
            (counts.key_errors, "values of `key` or `dedupe_by` failed, which is null", &[]),
            (counts.keep_errors, "values of `keep` failed, which is null", &[]),
            (counts.undecodable, "records were left out: the step's own `time` could not be read", &[]),
        ];
        for (count, trouble, samples) in troubles.into_iter().filter(|(count, ..)| *count > 0) {
            let _ = writeln!(out, "  {WARNING}{}{WARNING:#} `{step}`: {trouble}", thousands(count));
            samples.iter().take(detail.samples()).for_each(|stray| tell_stray(stray, out));
        }
    }
    for (limit, count) in flow.limits.iter() {
        let _ = writeln!(
            out,
            "  {WARNING}limit{WARNING:#} `{limit}` was hit {} times: {}",
            thousands(*count),
            what_it_means(limit)
        );
    }
}

/// What there is to do about a flow's limit that was hit.
fn what_it_means(limit: &str) -> &'static str {
    match limit {
        "gaps_max" => "gaps of a source were taken as one with what lies between",
        _ => "a key of the flow is probably wrong",
    }
}

/// Where an observation stands that joined nothing, and by which keys it could have.
fn tell_stray(stray: &Stray, out: &mut String) {
    let _ = write!(out, "    {}  {DIM}{}{DIM:#}", stray.place, stray.time.0);
    for (name, values) in stray.keys.iter() {
        values.iter().for_each(|value| {
            let _ = write!(out, "  {name}={}", sentence::Shown(value));
        });
    }
    out.push_str(if stray.keys.is_empty() { "  no key\n" } else { "\n" });
}

fn tell_steps(flow: &FlowSummary, out: &mut String) {
    let mut table = Table::default();
    table.row(["  step", "observations", "redelivered", "null keys"].map(|cell| (cell.to_string(), DIM)));
    for (step, counts) in flow.steps.iter() {
        let numbers = [counts.observations, counts.redelivered, counts.null_keys];
        let cells = numbers.map(|count| (thousands(count), if count > 0 { Style::new() } else { DIM }));
        table.row(std::iter::once((format!("  {step}"), Style::new())).chain(cells));
    }
    out.push_str(&table.lines(0));
}

/// Where records may be missing, and what else is odd about the times of a source.
fn tell_holes(name: &str, source: &SourceSummary, detail: Detail, out: &mut String) {
    for gap in source.gaps.iter().take(detail.samples()) {
        let _ = writeln!(
            out,
            "{WARNING}gap{WARNING:#} of {BOLD}{name}{BOLD:#}: {} – {}: {}",
            gap.from.0, gap.to.0, gap.why
        );
    }
    let more = source.gaps.len().saturating_sub(detail.samples()) as u64 + source.gaps_more;
    if more > 0 {
        let _ = writeln!(out, "… and {} more gaps of {BOLD}{name}{BOLD:#}", thousands(more));
    }
    for (limit, count) in source.limits.iter() {
        let _ = writeln!(
            out,
            "{WARNING}limit{WARNING:#} `{limit}` of {BOLD}{name}{BOLD:#} was hit {} times: silences were taken as one with what lies between",
            thousands(*count)
        );
    }
    if source.lone > 0 {
        let _ = writeln!(
            out,
            "{WARNING}{}{WARNING:#} of {BOLD}{name}{BOLD:#}: far from all other times, so they vouch for nothing (`jump_max`)",
            thousands(source.lone)
        );
    }
}

fn row(name: (String, Style), counts: [u64; 4], note: String) -> Vec<(String, Style)> {
    let [judged, passed, broken, undecided] = counts;
    let plain = Style::new();
    let lit = |count: u64, style: Style| (thousands(count), if count > 0 { style } else { DIM });
    vec![
        name,
        lit(judged, plain),
        lit(passed, plain),
        lit(broken, ERROR),
        lit(undecided, WARNING),
        (note.trim_start().to_owned(), DIM),
    ]
}

fn source_row(name: &str, source: &SourceSummary) -> Vec<(String, Style)> {
    let plain = Style::new();
    let lit = |count: u64| (thousands(count), if count > 0 { WARNING } else { DIM });
    let span = match (source.failures.first(), source.from.0.is_finite() && source.to.0.is_finite()) {
        (Some(why), _) => (format!("failed: {why}"), ERROR),
        (None, true) => (format!("{} – {}", source.from.0, source.to.0), plain),
        (None, false) => (String::new(), plain),
    };
    vec![
        (name.to_owned(), BOLD),
        (thousands(source.records), plain),
        (thousands(source.matched), plain),
        (thousands(source.unmatched), if source.unmatched > 0 { plain } else { DIM }),
        lit(source.undecodable),
        lit(source.beyond_lateness),
        lit(source.unattached),
        span,
    ]
}

/// ` (12 after_recording, 3 gap)`, or nothing.
fn reasons(by: &Named<u64>) -> String {
    if by.is_empty() { String::new() } else { format!(" ({})", listed(by)) }
}

/// `12 after_recording, 3 gap`.
fn listed(by: &Named<u64>) -> String {
    let each: Vec<_> = by.iter().map(|(reason, count)| format!("{} {reason}", thousands(*count))).collect();
    each.join(", ")
}

fn severities(critical: u64, warning: u64, info: u64, known: u64) -> String {
    let mut parts: Vec<String> = [(critical, Severity::Critical), (warning, Severity::Warning), (info, Severity::Info)]
        .into_iter()
        .filter(|(count, _)| *count > 0)
        .map(|(count, severity)| format!("{} {severity}", thousands(count)))
        .collect();
    if known > 0 {
        parts.push(format!("{} of them known", thousands(known)));
    }
    parts.join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::findings::{sample, summary};
    use crate::model::finding::Finding;

    fn told(exit: Exit, findings: &[Finding], known: bool, detail: Detail) -> String {
        told_of(&sample::summary(), exit, findings, known, detail)
    }

    fn told_of(summary: &Summary, exit: Exit, findings: &[Finding], known: bool, detail: Detail) -> String {
        let plan = sample::plan();
        let vacuous = summary::vacuous(summary, &plan);
        let names = sample::names(&plan);
        let mut digest = Digest::new(detail.findings());
        findings.iter().for_each(|finding| digest.take(finding, known, true));
        let story = Story { summary, vacuous: &vacuous, digest: &digest, names, exit, detail };
        anstream::adapter::strip_str(&story.tell()).to_string()
    }

    #[test]
    fn a_run_is_told_from_the_account_to_the_verdict() {
        insta::assert_snapshot!(told(Exit::Findings, &[sample::finding()], false, Detail::Normal));
    }

    #[test]
    fn limits_of_the_run_are_told_by_name() {
        let mut summary = sample::summary();
        assert!(!told_of(&summary, Exit::Good, &[], false, Detail::Normal).contains("limit"));
        summary.limits = [("findings_held_bytes_max".to_owned(), 1234)].into_iter().collect();
        let told = told_of(&summary, Exit::Good, &[], false, Detail::Normal);
        let line =
            "limit `findings_held_bytes_max` was hit: 1,234 findings waited in a temporary file; none is missing\n";
        assert!(told.contains(line), "{told}");
    }

    #[test]
    fn quiet_leaves_the_verdict() {
        let told = told(Exit::Findings, &[sample::finding()], false, Detail::Quiet);
        assert_eq!(told.lines().count(), 1, "{told}");
        assert!(
            told.starts_with("inconsistent: 7 consistent, 1 inconsistent, 2 undecided (2 after_recording)"),
            "{told}"
        );
    }

    #[test]
    fn what_is_not_shown_is_counted_by_check() {
        let many: Vec<_> = (0..1500).map(|i| Finding { key: format!("o-{i}"), ..sample::finding() }).collect();
        let shown = told(Exit::Findings, &many, false, Detail::Normal);
        assert!(shown.contains("… and 1,490 more: 1,490 order-payment / settled."), "{shown}");
        let shown = told(Exit::Good, &many, true, Detail::Normal);
        assert!(!shown.contains("more:") && shown.contains("nothing new: "), "{shown}");
    }
}
