//! Stories of whole runs: a configuration, a flow and a recording, and what is told of them.

use super::*;
use crate::config;
use crate::engine::trace::Judged;
use crate::findings::Places;
use crate::flow;
use crate::model::finding::Finding;
use crate::model::verdict::{Class, Status};
use crate::runtime::trace::trace;
use std::fs;
use tempfile::TempDir;

const FLOW: &str = r#"
flow: orders
key: order
steps:
  placed: {from: log, when: body.type == "placed", key: {order: body.order}}
  paid: {from: log, when: body.type == "paid", key: {order: body.order, payment: body.payment}}
  shipped: {from: log, when: body.type == "shipped", key: {payment: body.payment}}
checks:
  paid: {after: placed, expect: paid, within: 60s}
  shipped: {after: paid, expect: shipped, within: 60s}
"#;

/// A line of the log, so many seconds after its beginning.
fn line(second: u64, fields: &str) -> String {
    format!("{{\"ts\":{},{fields}}}\n", 1_700_000_000 + second)
}

/// An order that goes through, one that is never paid, and enough of a log around them.
fn log() -> String {
    line(0, r#""type":"other""#)
        + &line(20, r#""type":"placed","order":"o1""#)
        + &line(30, r#""type":"placed","order":"o2""#)
        + &line(40, r#""type":"paid","order":"o1","payment":"p1""#)
        + &line(50, r#""type":"shipped","payment":"p1""#)
        + &line(500, r#""type":"other""#)
        + &line(510, r#""type":"other""#)
}

struct Project {
    folder: TempDir,
    config: Config,
    plan: Arc<Plan>,
}

impl Project {
    fn new(log: &str, options: &str) -> Project {
        let folder = tempfile::tempdir().unwrap();
        let write = |name: &str, text: &str| fs::write(folder.path().join(name), text).unwrap();
        write("log.jsonl", log);
        write("orders.yaml", FLOW);
        let source = format!("{{type: file, path: log.jsonl, format: json, time: body.ts, lateness: 5s{options}}}");
        write("throughline.yaml", &format!("flows: [orders.yaml]\nsources:\n  log: {source}\n"));
        let loaded = config::load(&folder.path().join("throughline.yaml"));
        let config = loaded.config.unwrap_or_else(|| panic!("{:?}", loaded.diagnostics));
        let (documents, _) = config::flows::documents(&config.flows);
        let (plan, wrong) = flow::compile(&documents, &config.source_infos(), config.clock_skew);
        let plan = Arc::new(plan.unwrap_or_else(|| panic!("{wrong:?}")));
        Project { folder, config, plan }
    }

    fn verify(&self, options: &VerifyOptions) -> Report {
        verify(&self.config, self.plan.clone(), options, &Arc::default(), &mut |_| {}).unwrap()
    }
}

/// What was found.
fn findings(report: Report) -> Vec<Finding> {
    let mut findings = Vec::new();
    let keep = &mut |finding| {
        findings.push(finding);
        Ok::<_, io::Error>(())
    };
    report.findings.each(keep).unwrap();
    findings
}

#[test]
fn a_recording_is_verified_from_its_files_to_its_findings() {
    let project = Project::new(&log(), "");
    let report = project.verify(&VerifyOptions::default());
    let flow = &report.account.flows[0];
    assert_eq!((flow.consistent, flow.inconsistent, flow.undecided_total()), (1, 1, 0));
    let source = &report.sources[0];
    assert_eq!((source.records, source.matched, source.unmatched, source.unattached), (7, 4, 3, 0));
    let parts = report.parts.clone();
    let found = findings(report);
    let [finding] = &found[..] else { panic!("{found:?}") };
    assert_eq!((finding.key.as_str(), finding.class, finding.status), ("o2", Class::MissingStep, Status::Open));
    let seen = &finding.seen[0];
    let place = parts.place(seen.source, seen.position);
    assert_eq!(place, format!("{}:3", project.folder.path().join("log.jsonl").display()));
}

#[test]
fn what_a_hole_could_explain_is_undecided_unless_the_recording_is_complete() {
    let torn = log().replace(&line(50, r#""type":"shipped","payment":"p1""#), "{\"ts\":17000000\n");
    let project = Project::new(&torn, "");
    let report = project.verify(&VerifyOptions::default());
    assert_eq!((report.sources[0].problems[0].count, report.account.flows[0].undecided_total()), (1, 2));
    assert!(findings(report).is_empty());
    let complete = project.verify(&VerifyOptions { complete: true, ..VerifyOptions::default() });
    assert_eq!(findings(complete).len(), 2);
    let skipped = Project::new(&torn, ", undecodable: skip").verify(&VerifyOptions::default());
    assert_eq!(findings(skipped).len(), 2);
}

#[test]
fn what_the_ends_of_the_recording_cut_off_is_undecided() {
    let log = log() + &line(520, r#""type":"placed","order":"o3""#);
    let report = Project::new(&log, "").verify(&VerifyOptions::default());
    assert_eq!((report.account.flows[0].undecided_total(), findings(report).len()), (1, 1));
    let settled = VerifyOptions { settle: Some(Span::seconds(600)), ..VerifyOptions::default() };
    let report = Project::new(&log, "").verify(&settled);
    assert!(findings(report).is_empty());
}

#[test]
fn a_transaction_is_traced_from_its_key() {
    let project = Project::new(&log(), "");
    let options = VerifyOptions::default();
    let ask = |key: &str| {
        let uninterrupted = Arc::default();
        trace(&project.config, project.plan.clone(), &options, key, &uninterrupted, &mut |_| {}).unwrap()
    };
    let traced = ask("o1");
    let [one] = &traced.traces[..] else { panic!("{traced:?}") };
    let joined: Vec<_> = one.observations.iter().map(|o| (o.seen.position.offset, o.by.clone())).collect();
    assert_eq!(joined, [(2, None), (4, None), (5, Some(("payment".into(), "p1".into())))]);
    assert!(one.conclusions.iter().all(|c| c.verdict == Judged::Passed));
    assert!(ask("o9").traces.is_empty());
}
