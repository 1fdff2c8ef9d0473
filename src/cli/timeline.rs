//! A transaction's timeline for a person: what was seen of it, how each record came to it, and what
//! every check concluded on what evidence.

use super::human::{ERROR, GOOD, WARNING};
use super::table::Table;
use crate::engine::trace::{Conclusion, Joined, Judged, Trace};
use crate::findings::Names;
use crate::findings::record::{EvidenceRecord, SeenRecord};
use crate::findings::sentence::{BOLD, DIM, Shown, Whole};
use crate::flow::plan::Flow;
use anstyle::Style;
use std::fmt::Write;

/// The whole text.
pub fn tell(trace: &Trace, names: Names<'_>) -> String {
    let flow = &names.plan.flows[trace.flow as usize];
    let mut out = String::new();
    let _ = writeln!(out, "{BOLD}{}{BOLD:#}  {} {BOLD}{}{BOLD:#}", flow.name, flow.keys[0].name, Shown(&trace.key));
    for (name, value, since) in &trace.bindings {
        let _ = writeln!(out, "  {DIM}bound{DIM:#} {name} {}  {DIM}at {since}{DIM:#}", Shown(value));
    }
    let _ = writeln!(out);
    out.push_str(&observations(trace, names));
    let _ = writeln!(out);
    for conclusion in &trace.conclusions {
        conclude(conclusion, flow, trace.flow, names, &mut out);
    }
    out
}

fn observations(trace: &Trace, names: Names<'_>) -> String {
    let mut table = Table::left();
    table.row(["time", "step", "source", "where", "joined by", "kept"].map(|cell| (cell.to_string(), DIM)));
    for Joined { seen, by, redelivery } in &trace.observations {
        let seen = SeenRecord::of(seen, trace.flow, names);
        let by = match by {
            None => "its own key".to_owned(),
            Some((name, value)) => format!("{name} {}", Shown(value)),
        };
        let by = if *redelivery { format!("{by}, again") } else { by };
        let kept: Vec<_> =
            seen.keep.0.iter().map(|(name, value)| format!("{name}={}", Shown(&value.display()))).collect();
        let plain = Style::new();
        table.row([
            (seen.time.0.to_string(), plain),
            (seen.step.to_owned(), BOLD),
            (seen.source.to_owned(), plain),
            (Whole(&seen.position).to_string(), plain),
            (by, plain),
            (kept.join(" "), plain),
        ]);
    }
    table.lines(2)
}

fn conclude(conclusion: &Conclusion, flow: &Flow, flow_id: u16, names: Names<'_>, out: &mut String) {
    let check = &flow.checks[conclusion.check as usize];
    let by = match (&conclusion.by, check.by) {
        (Some(value), Some(key)) => format!(" by {} {}", flow.keys[key as usize].name, Shown(value)),
        _ => String::new(),
    };
    let (style, verdict) = match conclusion.verdict {
        Judged::NotApplicable => (DIM, "does not apply".to_owned()),
        Judged::Passed => (GOOD, "passed".to_owned()),
        Judged::Broken(class, severity, status) => (ERROR, format!("broken ({class}, {severity}, {status})")),
        Judged::Undecided(reason) => (WARNING, format!("undecided ({reason})")),
        Judged::Pending => (WARNING, "not due yet".to_owned()),
    };
    let _ = writeln!(out, "{BOLD}{}{BOLD:#}{by}: {style}{verdict}{style:#}", check.name);
    let line = |out: &mut String, label: &str, text: &str| {
        if !text.is_empty() {
            let _ = writeln!(out, "  {DIM}{label:8}{DIM:#}  {}", Whole(text));
        }
    };
    if conclusion.verdict == Judged::NotApplicable {
        line(out, "why", &conclusion.summary);
        return;
    }
    line(out, "expected", &conclusion.expected);
    line(out, "found", &conclusion.summary);
    for evidence in &conclusion.evidence {
        let evidence = EvidenceRecord::of(evidence, flow_id, names);
        match (&evidence, conclusion.verdict) {
            (_, Judged::Broken(..)) => line(out, "sure", &evidence.to_string()),
            // Where nothing is accused, the window is what was watched, not what was missed.
            (EvidenceRecord::Absent { step, source, from, to, .. }, _) => {
                line(out, "watched", &format!("`{step}` from {} to {}, by source `{source}`", from.0, to.0));
            }
            (EvidenceRecord::Seen, _) => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::findings::sample;
    use crate::model::verdict::{Class, Reason, Severity, Status};

    #[test]
    fn a_transaction_is_told_from_its_records_to_its_conclusions() {
        let plan = sample::plan();
        let finding = sample::finding();
        let conclusion = |check, verdict, summary: &str| Conclusion {
            check,
            by: None,
            verdict,
            expected: String::new(),
            evidence: vec![],
            summary: summary.into(),
        };
        let broken = Judged::Broken(Class::LostMessage, Severity::Critical, Status::Open);
        let trace = Trace {
            flow: 0,
            key: "o-17".into(),
            bindings: vec![("payment_id".into(), "p-1".into(), sample::TEN)],
            observations: vec![
                Joined { seen: finding.seen[0].clone(), by: None, redelivery: false },
                Joined {
                    seen: finding.seen[0].clone(),
                    by: Some(("payment_id".into(), "p-1".into())),
                    redelivery: true,
                },
            ],
            conclusions: vec![
                Conclusion {
                    expected: finding.expected.clone(),
                    evidence: finding.evidence.clone(),
                    ..conclusion(0, broken, &finding.summary)
                },
                conclusion(1, Judged::NotApplicable, "captured was not seen."),
                Conclusion {
                    evidence: finding.evidence.clone(),
                    ..conclusion(2, Judged::Undecided(Reason::Gap), "source `events` may have missed records.")
                },
            ],
        };
        let told = tell(&trace, sample::names(&plan));
        insta::assert_snapshot!(anstream::adapter::strip_str(&told).to_string());
    }
}
