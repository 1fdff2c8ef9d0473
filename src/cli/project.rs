//! A configuration with its flows: all that is wrong with them at once, or the plan.

use super::human::{ERROR, GOOD, WARNING};
use crate::config::{self, Config, Loaded, SourceConfig};
use crate::flow;
use crate::flow::diagnostic::{Diagnostic, Document, Severity};
use crate::flow::format::Lateness;
use crate::flow::plan::Plan;
use anstyle::Style;
use std::fmt::Write;
use std::path::Path;
use std::sync::Arc;

/// What is needed to run.
pub struct Project {
    /// The configuration.
    pub config: Config,
    /// The flows.
    pub plan: Arc<Plan>,
    /// Their documents.
    pub documents: Vec<Document>,
}

/// A configuration and its flows, read; what is wrong with them may be a lot.
pub struct Read {
    /// There, where nothing is wrong.
    pub project: Option<Project>,
    /// All mistakes and warnings, the configuration's first.
    pub diagnostics: Vec<Diagnostic>,
}

/// Reads the configuration and all its flows.
pub fn read(path: &Path) -> Read {
    let Loaded { config, outline, mut diagnostics } = config::load(path);
    let (documents, unreadable) = config::flows::documents(&outline.flows);
    diagnostics.extend(unreadable);
    let (plan, of_flows) = flow::compile(&documents, &outline.sources, outline.clock_skew);
    // While a source is wrong, hardly any warning about its steps can be trusted.
    let sure = config.is_some();
    diagnostics.extend(of_flows.into_iter().filter(|d| sure || d.severity == Severity::Error));
    if let Some(config) = &config {
        let streams: Vec<_> = config.sources.iter().map(SourceConfig::streams).collect();
        diagnostics.extend(flow::unknown_streams(&documents, &streams));
    }
    let errors = diagnostics.iter().any(|d| d.severity == Severity::Error);
    let project = match (config, plan) {
        (Some(config), Some(plan)) if !errors => Some(Project { config, plan: Arc::new(plan), documents }),
        _ => None,
    };
    Read { project, diagnostics }
}

/// What is needed to run, with one flow alone where `flow` names it. Where something is wrong, it is
/// told on standard error, and `None` comes back.
pub fn load(path: &Path, flow: Option<&str>) -> anyhow::Result<Option<Project>> {
    let Read { project, diagnostics } = read(path);
    let Some(project) = project else {
        let errors: Vec<_> = diagnostics.into_iter().filter(|d| d.severity == Severity::Error).collect();
        anstream::eprint!("{}", told(&errors));
        return Ok(None);
    };
    match flow {
        None => Ok(Some(project)),
        Some(name) => only(project, name).map(Some),
    }
}

/// The same with one flow alone, so that only its sources are read.
fn only(project: Project, name: &str) -> anyhow::Result<Project> {
    let Project { config, plan, documents } = project;
    if !plan.flows.iter().any(|flow| flow.name == name) {
        let known: Vec<_> = plan.flows.iter().map(|flow| flow.name.as_str()).collect();
        anyhow::bail!("there is no flow `{name}`; there are: {}", known.join(", "));
    }
    let wanted: Vec<_> =
        documents.into_iter().filter(|document| flow::name_of(document).is_none_or(|n| n == name)).collect();
    let (plan, _) = flow::compile(&wanted, &config.source_infos(), config.clock_skew);
    let plan = plan.ok_or_else(|| anyhow::anyhow!("the flow `{name}` changed while it was read"))?;
    Ok(Project { config, plan: Arc::new(plan), documents: wanted })
}

/// The diagnostics as text, and a last line that counts them; nothing where there are none.
pub fn told(diagnostics: &[Diagnostic]) -> String {
    let mut out = String::new();
    for diagnostic in diagnostics {
        let text = diagnostic.to_string();
        let (style, kind) = match diagnostic.severity {
            Severity::Error => (ERROR, "error"),
            Severity::Warning => (WARNING, "warning"),
        };
        let rest = text.strip_prefix(kind).unwrap_or(&text);
        let _ = writeln!(out, "{style}{kind}{style:#}{rest}");
    }
    if !diagnostics.is_empty() {
        let _ = writeln!(out, "{}", counted(diagnostics));
    }
    out
}

/// `2 errors, 1 warning`.
fn counted(diagnostics: &[Diagnostic]) -> String {
    let count = |severity| diagnostics.iter().filter(|d| d.severity == severity).count();
    let part = |count: usize, word: &str, style: Style| match count {
        0 => None,
        1 => Some(format!("{style}1 {word}{style:#}")),
        n => Some(format!("{style}{n} {word}s{style:#}")),
    };
    let parts = [part(count(Severity::Error), "error", ERROR), part(count(Severity::Warning), "warning", WARNING)];
    let parts: Vec<_> = parts.into_iter().flatten().collect();
    if parts.is_empty() { format!("{GOOD}nothing is wrong{GOOD:#}") } else { parts.join(", ") }
}

/// Whether a configuration that is right can be followed live.
pub fn runnable(config: &Config) -> anyhow::Result<()> {
    let endless = |source: &&SourceConfig| source.pacing.lateness == Lateness::End;
    match config.sources.iter().find(endless) {
        None => Ok(()),
        Some(SourceConfig { name, .. }) => anyhow::bail!(
            "source `{name}` has `lateness: end`, which only a recording has: say how late a record may be, as `lateness: 5s`"
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn mistakes_of_configuration_and_flows_come_together() {
        let folder = tempfile::tempdir().unwrap();
        let write = |name: &str, text: &str| std::fs::write(folder.path().join(name), text).unwrap();
        write(
            "throughline.yaml",
            "flows: .\nclock_scew: 5s\nsources:\n  events: {type: file, path: a.jsonl, format: jsn, time: body.ts}\n",
        );
        write(
            "order.yaml",
            "flow: order\nkey: id\nsteps:\n  placed: {from: events, key: {id: body.id}}\nchecks:\n  paid: {after: plced, expect: placed, within: 5s}\n",
        );
        let Read { project, diagnostics } = read(&folder.path().join("throughline.yaml"));
        assert!(project.is_none());
        let told = told(&diagnostics).replace(&format!("{}/", folder.path().display()), "");
        insta::assert_snapshot!(anstream::adapter::strip_str(&told).to_string());
    }

    #[test]
    fn one_flow_reads_its_sources_alone() {
        let folder = tempfile::tempdir().unwrap();
        let write = |name: &str, text: &str| std::fs::write(folder.path().join(name), text).unwrap();
        write(
            "throughline.yaml",
            "flows: flows\nsources:\n  a: {type: file, path: a.jsonl, format: json, time: body.ts}\n  b: {type: file, path: b.jsonl, format: json, time: body.ts}\n",
        );
        std::fs::create_dir(folder.path().join("flows")).unwrap();
        for name in ["a", "b"] {
            let text = format!(
                "flow: {name}\nkey: id\nsteps:\n  s: {{use: seen, from: {name}}}\nchecks:\n  once: {{at_most: {{s: 1}}}}\n"
            );
            write(&format!("flows/{name}.yaml"), &text);
        }
        write("flows/shared.yaml", "steps:\n  seen: {key: {id: body.id}}\n");
        let path = folder.path().join("throughline.yaml");
        let project = load(&path, Some("b")).unwrap().unwrap();
        let sources: Vec<_> = project.plan.sources.iter().map(|source| source.name.as_str()).collect();
        assert_eq!(sources, ["b"]);
        let missing = load(&path, Some("c")).err().unwrap().to_string();
        assert_eq!(missing, "there is no flow `c`; there are: a, b");
    }
}
