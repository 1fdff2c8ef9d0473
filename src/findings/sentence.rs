//! A finding for people: what was expected, what was seen and where, and why it is sure.
//!
//! ```text
//! critical  lost_message  order-payment / settled  o-17                      3f2a…
//!   captured or cancelled must follow announced within 30m, and none came.
//!   expected  captured or cancelled by 2026-01-02T10:30:00Z
//!   seen      announced  2026-01-02T10:00:00Z  events.jsonl:12  amount=100
//!   sure      no `captured` was missed: source `events` covers 10:00 to 10:30 without a gap
//! ```

use super::record::{EvidenceRecord, Moment, Record, SeenRecord};
use crate::model::time::Span;
use crate::model::verdict::{Severity, Status};
use anstyle::{AnsiColor, Style};
use std::fmt::{self, Write};

/// Most observations that are shown of one finding.
const SEEN_MAX: usize = 8;

/// The colour of a severity.
pub fn colour(severity: Severity) -> Style {
    let style = Style::new().bold();
    match severity {
        Severity::Critical => style.fg_color(Some(AnsiColor::Red.into())),
        Severity::Warning => style.fg_color(Some(AnsiColor::Yellow.into())),
        Severity::Info => style.fg_color(Some(AnsiColor::Cyan.into())),
    }
}

/// Labels and what is secondary.
pub const DIM: Style = Style::new().dimmed();
/// Names that the eye looks for.
pub const BOLD: Style = Style::new().bold();

impl fmt::Display for Record<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let colour = colour(self.severity);
        let healed = if self.status == Status::Healed { ", healed" } else { "" };
        let by = self.by.map(|by| format!(" by {}", Shown(by))).unwrap_or_default();
        writeln!(
            f,
            "{colour}{}{colour:#}  {}{healed}  {BOLD}{}{BOLD:#} / {BOLD}{}{BOLD:#}  {}{by}  {DIM}{}{DIM:#}",
            self.severity,
            self.class,
            self.flow,
            self.check,
            Shown(self.key),
            self.id
        )?;
        writeln!(f, "  {}", Whole(self.summary))?;
        let by_when = match self.deadline {
            Some(Moment(at)) if at.is_finite() => format!("  (by {at})"),
            _ => String::new(),
        };
        writeln!(f, "  {DIM}expected{DIM:#}  {}{by_when}", self.expected)?;
        self.fmt_keys(f)?;
        self.fmt_seen(f)?;
        if let Some(millis) = self.healed_after_ms {
            writeln!(f, "  {DIM}healed{DIM:#}    after {}", Span(millis.saturating_mul(1_000_000)))?;
        }
        for evidence in &self.evidence {
            writeln!(f, "  {DIM}sure{DIM:#}      {evidence}")?;
        }
        Ok(())
    }
}

impl Record<'_> {
    /// The keys beside the transaction's own, by which its records can be searched for elsewhere.
    fn fmt_keys(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let keys = self.keys.iter().flat_map(|(name, values)| values.iter().map(move |value| (*name, *value)));
        let others: Vec<_> = keys.filter(|(_, value)| *value != self.key).collect();
        if others.is_empty() {
            return Ok(());
        }
        write!(f, "  {DIM}keys{DIM:#}    ")?;
        others.iter().take(SEEN_MAX).try_for_each(|(name, value)| write!(f, "  {name}={}", Shown(value)))?;
        match others.len().saturating_sub(SEEN_MAX) {
            0 => writeln!(f),
            more => writeln!(f, "  … and {more} more"),
        }
    }

    fn fmt_seen(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.seen.is_empty() {
            writeln!(f, "  {DIM}seen{DIM:#}      nothing of it")?;
        }
        let width = self.seen.iter().take(SEEN_MAX).map(|seen| seen.step.chars().count()).max().unwrap_or(0);
        for (at, seen) in self.seen.iter().take(SEEN_MAX).enumerate() {
            let label = if at == 0 { "seen" } else { "" };
            writeln!(f, "  {DIM}{label:8}{DIM:#}  {:width$}  {}", seen.step, Rest(seen))?;
        }
        if self.seen.len() > SEEN_MAX {
            writeln!(f, "            … and {} more", self.seen.len() - SEEN_MAX)?;
        }
        Ok(())
    }
}

/// An observation without its step: time, place, fields.
pub struct Rest<'a>(pub &'a SeenRecord<'a>);

impl fmt::Display for Rest<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}  {}", self.0.time.0, Whole(&self.0.position))?;
        for (at, (name, value)) in self.0.keep.0.iter().enumerate() {
            f.write_str(if at == 0 { "  " } else { " " })?;
            write!(f, "{name}={}", Shown(&value.display()))?;
        }
        Ok(())
    }
}

/// Text of a record on a terminal: no control characters, and not without end.
pub struct Shown<'a>(pub &'a str);

/// Longest text of a field that is shown.
const TEXT_MAX: usize = 80;

impl fmt::Display for Shown<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut rest = self.0.chars();
        for c in rest.by_ref().take(TEXT_MAX) {
            f.write_char(if c.is_control() { '\u{fffd}' } else { c })?;
        }
        if rest.next().is_some() { f.write_char('…') } else { Ok(()) }
    }
}

/// A sentence of ours in which a record, or another system, has words: all of it, without control characters.
pub struct Whole<'a>(pub &'a str);

impl fmt::Display for Whole<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.chars().try_for_each(|c| f.write_char(if c.is_control() { '\u{fffd}' } else { c }))
    }
}

impl fmt::Display for EvidenceRecord<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            EvidenceRecord::Seen => f.write_str("what was seen is enough"),
            EvidenceRecord::Absent { step, source, from, to, progress } => {
                write!(f, "no `{step}` was missed: source `{source}` covers {} to {} without a gap", from.0, to.0)?;
                match progress.0.is_finite() {
                    true => write!(f, ", and has come to {}", progress.0),
                    false => f.write_str(", and has been read to its end"),
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::findings::sample;

    /// What a pipe gets: the text without its colours.
    fn plain(text: &impl fmt::Display) -> String {
        anstream::adapter::strip_str(&text.to_string()).to_string()
    }

    #[test]
    fn a_finding_tells_expected_seen_and_why() {
        let plan = sample::plan();
        let finding = sample::finding();
        let record = Record::of(&finding, sample::names(&plan));
        insta::assert_snapshot!(plain(&record), @r"
        critical  lost_message  order-payment / settled  o-17  db1030e57e62ac6c
          captured never came within 30m of announced.
          expected  captured within 30m of announced  (by 2026-01-02T10:30:00Z)
          seen      announced  2026-01-02T10:00:00Z  events.jsonl:12  amount=100
          sure      no `captured` was missed: source `events` covers 2026-01-02T10:00:00Z to 2026-01-02T10:30:00Z without a gap, and has come to 2026-01-02T11:00:00Z
        ");
    }

    #[test]
    fn a_healed_one_tells_how_long_it_took() {
        let plan = sample::plan();
        let mut finding = sample::finding();
        finding.status = Status::Healed;
        finding.healed_after = Some(Span::seconds(90));
        finding.seen = (0..10).flat_map(|_| finding.seen.clone()).collect();
        finding.keys.extend((0..9).map(|n| ("item".to_owned(), format!("i-{n}"))));
        let shown = plain(&Record::of(&finding, sample::names(&plan)));
        assert!(shown.contains("lost_message, healed"), "{shown}");
        assert!(shown.contains("healed    after 1m30s"), "{shown}");
        assert!(shown.contains("\n            … and 2 more"), "{shown}");
        assert!(shown.contains("keys      item=i-0  item=i-1") && shown.contains("item=i-7  … and 1 more"), "{shown}");
    }

    #[test]
    fn what_a_record_says_cannot_drive_the_terminal() {
        assert_eq!(Shown("a\u{1b}[31mb\n").to_string(), "a\u{fffd}[31mb\u{fffd}");
        assert_eq!(Shown(&"x".repeat(100)).to_string().chars().count(), 81);
        let plan = sample::plan();
        let evil = "o\u{1b}[31m";
        let mut finding = sample::finding();
        (finding.key, finding.summary) = (evil.into(), evil.into());
        let shown = Record::of(&finding, sample::names(&plan)).to_string();
        assert_eq!(shown.matches("o\u{fffd}[31m").count(), 2, "{shown:?}");
    }
}
