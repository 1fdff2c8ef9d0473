//! Stories: documents in, plans or diagnostics out.

mod captured;
mod examples;
mod mistakes;
mod outward;
mod robust;
mod structure;
mod warnings;

use super::diagnostic::{Diagnostic, Document, Severity};
use super::plan::{Carries, Clock, Flow, Plan};
use super::{SourceInfo, compile};
use crate::model::time::Span;

/// A log of one clock whose records are effects of their own.
fn source(name: &str) -> SourceInfo {
    SourceInfo {
        name: name.to_owned(),
        carries: Carries::Lines,
        clock: Clock::One,
        resolution: Span::ZERO,
        lateness: Span::ZERO,
        lateness_end: false,
        skips_versions: false,
        tells_operations: false,
        captures_changes: false,
        has_time: true,
        default_dedupe_is_position: true,
        retention: None,
    }
}

/// Sources of every kind, as the language's page has them.
fn sources() -> Vec<SourceInfo> {
    let messages = |name| SourceInfo { carries: Carries::Messages, ..source(name) };
    let rows = |name| SourceInfo { carries: Carries::Rows, default_dedupe_is_position: false, ..source(name) };
    vec![
        SourceInfo { retention: Some(Span::parse("7d").unwrap()), ..messages("events") },
        messages("broker"),
        messages("cache"),
        rows("shop"),
        SourceInfo { skips_versions: true, ..rows("crm") },
        SourceInfo { captures_changes: true, ..rows("log") },
        source("erp"),
        SourceInfo { has_time: false, ..source("untimed") },
    ]
}

fn compile_files(files: &[(&str, &str)]) -> (Option<Plan>, Vec<Diagnostic>) {
    let document = |(path, text): &(&str, &str)| Document { path: path.into(), text: (*text).to_owned() };
    let documents: Vec<Document> = files.iter().map(document).collect();
    compile(&documents, &sources(), Span::seconds(5))
}

/// The plan of a document without errors.
#[track_caller]
fn plan(text: &str) -> Plan {
    let (plan, found) = compile_files(&[("flow.yaml", text)]);
    let errors: Vec<String> = found.iter().filter(|d| d.severity == Severity::Error).map(|d| d.to_string()).collect();
    plan.unwrap_or_else(|| panic!("{}", errors.join("\n")))
}

/// The only flow of a document without errors.
#[track_caller]
fn flow(text: &str) -> Flow {
    plan(text).flows.remove(0)
}

/// One diagnostic a line: `line:column code "marked text": message; remedy`.
fn brief(found: &[Diagnostic]) -> Vec<String> {
    let line = |d: &Diagnostic| {
        let marked: String = d.source.chars().skip(d.column - 1).take(d.length).collect();
        let help = d.help.as_ref().map_or_else(String::new, |help| format!("; {help}"));
        format!("{}:{} {} `{marked}`: {}{help}", d.line, d.column, d.code, d.message)
    };
    found.iter().map(line).collect()
}

/// A flow of three steps with these checks, indented by two blanks.
fn with_checks(checks: &str) -> String {
    format!(
        "\
flow: order
key: order
steps:
  placed: {{from: erp, key: {{order: body.order, item: body.items}}, keep: {{price: body.price, lines: body.lines}}}}
  paid: {{from: erp, key: {{order: body.order}}, keep: {{price: body.price}}, dedupe_by: body.payment}}
  picked: {{from: erp, key: {{item: body.item}}, keep: {{status: body.status}}}}
checks:
{checks}"
    )
}
