//! Random plans are also written as flows and compiled: the compiler must come to the same plan.

use super::describe::flow_yaml;
use super::generate;
use std::path::PathBuf;
use throughline::flow::diagnostic::Document;
use throughline::flow::plan::{Check, Flow, Plan, Source};
use throughline::flow::{SourceInfo, compile};

const PLANS: u64 = 2_000;

#[test]
fn random_flows_compile_to_the_plans_that_they_tell() {
    let mut compiled = 0;
    for seed in 0..PLANS {
        let plan = generate::case(seed).plan;
        let document =
            |flow: &Flow| Document { path: PathBuf::from(format!("{}.yaml", flow.name)), text: flow_yaml(&plan, flow) };
        let documents: Vec<Document> = plan.flows.iter().map(document).collect();
        let sources: Vec<SourceInfo> = plan.sources.iter().filter(|s| s.clock_of.is_none()).map(info).collect();
        let (result, diagnostics) = compile(&documents, &sources, plan.clock_skew);
        let told = || documents.iter().map(|d| d.text.as_str()).collect::<Vec<_>>().join("---\n");
        let Some(result) = result else {
            assert!(plan.flows.iter().any(unreachable), "seed {seed}: {diagnostics:#?}\n{}", told());
            continue;
        };
        compiled += 1;
        for (drawn, compiled) in plan.flows.iter().zip(&result.flows) {
            assert_eq!(outline(&plan, drawn), outline(&result, compiled), "seed {seed}\n{}", told());
        }
    }
    assert!(compiled > PLANS / 2, "{compiled} flows compiled");
}

fn info(source: &Source) -> SourceInfo {
    SourceInfo {
        name: source.name.clone(),
        carries: source.carries,
        clock: source.clock,
        resolution: source.resolution,
        lateness: source.lateness,
        lateness_end: source.lateness_end,
        skips_versions: source.skips_versions,
        tells_operations: false,
        captures_changes: false,
        has_time: true,
        default_dedupe_is_position: true,
        retention: None,
    }
}

/// Whether some step can never join a transaction; the compiler refuses that.
fn unreachable(flow: &Flow) -> bool {
    flow.steps.iter().any(|step| step.keys.iter().all(|(key, _)| flow.keys[*key as usize].rank.is_none()))
}

/// All that judging needs of a flow, with names for sources and keys.
fn outline(plan: &Plan, flow: &Flow) -> Vec<String> {
    let name = |source: &u16| plan.sources[*source as usize].name.as_str();
    let names = |sources: &[u16]| {
        let mut names: Vec<_> = sources.iter().map(name).collect();
        names.sort_unstable();
        names.join(" ")
    };
    let carried = |id: &usize| flow.steps.iter().any(|step| step.keys.iter().any(|(key, _)| *key as usize == *id));
    let keys = (0..flow.keys.len()).filter(carried).map(|id| &flow.keys[id]);
    let mut ranks: Vec<_> = keys.map(|key| (key.name.as_str(), key.rank)).collect();
    ranks.sort_unstable();
    let mut lines =
        vec![format!("{} {ranks:?} {:?} {:?} {}", flow.name, flow.begins, flow.linger, names(&flow.sources))];
    for step in &flow.steps {
        let keys: Vec<_> = step.keys.iter().map(|(key, _)| flow.keys[*key as usize].name.as_str()).collect();
        let keep: Vec<_> = step.keep.iter().map(|(name, _)| name).collect();
        let evidence = [names(&[step.source]), names(&step.closure), names(&step.binders)];
        lines.push(format!("{} {keys:?} {keep:?} {evidence:?} {}", step.name, step.carries_flow_key));
    }
    for check in &flow.checks {
        let by = check.by.map(|key| flow.keys[key as usize].name.as_str());
        lines.push(format!("{by:?} {:?}", Check { by: None, ..check.clone() }));
    }
    lines
}
