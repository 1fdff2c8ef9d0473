//! Drives the real engine through an arrival order and collects what it says in the end.

use super::judge::{FlowReport, Verdict};
use super::rng::Rng;
use std::collections::BTreeMap;
use std::sync::Arc;
use throughline::engine::account::{Account, CheckAccount, FlowAccount};
use throughline::engine::{Closed, Engine, Input, Output, Pace};
use throughline::flow::plan::Plan;
use throughline::model::finding::Finding;
use throughline::model::verdict::{Class, Severity, Status};

/// What counts in the end, of the engine or of the oracle.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Outcome {
    /// The final findings by what their id is made of: flow, check, key and by.
    pub findings: BTreeMap<[String; 4], (Class, Severity, Status)>,
    /// The account of each flow, as far as both count it.
    pub flows: Vec<FlowAccount>,
}

/// How often things happened that only the engine does.
#[derive(Clone, Copy, Debug, Default)]
pub struct Pains {
    /// Keys asked for in the archive.
    pub recalls: u64,
    /// Transactions that came back from it.
    pub recalled: u64,
    /// Transactions put into it.
    pub archived: u64,
    /// Findings taken back.
    pub resolved: u64,
    /// Snapshots taken and restored.
    pub restores: u64,
}

/// A store of closed transactions, by own key and identity.
#[derive(Default)]
struct Archive {
    kept: BTreeMap<(u64, Vec<u8>), Kept>,
}

struct Kept {
    keys: Vec<u64>,
    state: Vec<u8>,
}

/// The plan that an engine begins with, and the input before which it is given the real one.
pub struct Before {
    /// It observes alike, and checks something else.
    pub plan: Arc<Plan>,
    /// Where the real one comes.
    pub until: usize,
    /// It has other checks, so that what closes by it has not been judged by all of these alone.
    pub lacks: bool,
}

impl Archive {
    fn keep(&mut self, closed: Closed<'_>) {
        let keys: Vec<u64> = closed.keys().collect();
        self.kept.insert((keys[0], closed.identity.to_vec()), Kept { keys, state: closed.state.to_vec() });
    }

    /// The checks have other numbers from now on.
    fn amend(&mut self, old: &Plan, new: &Plan) {
        self.kept.values_mut().for_each(|kept| kept.state = Engine::renumber_archived(&kept.state, old, new));
    }

    fn find(&self, key: u64) -> Vec<Vec<u8>> {
        self.kept.values().filter(|kept| kept.keys.contains(&key)).map(|kept| kept.state.clone()).collect()
    }
}

/// What the engine says of these inputs; with `restarts`, it is stored and restored so many times of a hundred inputs.
/// `None` where something closed before checks came that it should have been judged by.
pub fn drive(
    plan: &Plan,
    before: Option<&Before>,
    inputs: &[Input],
    (pace, restarts): (Pace, u64),
    rng: &mut Rng,
) -> Option<(Outcome, Pains)> {
    let real = Arc::new(plan.clone());
    let mut plan = before.map_or(&real, |before| &before.plan).clone();
    let mut engine = Engine::new(plan.clone(), pace);
    let mut archive = Archive::default();
    let mut findings: BTreeMap<[String; 4], Finding> = BTreeMap::new();
    let mut pains = Pains::default();
    let mut inputs = inputs.to_vec();
    if let Some(before) = before {
        inputs.insert(before.until, Input::Amend(real.clone()));
    }
    for input in inputs {
        if let Input::Amend(new) = &input {
            if before.is_some_and(|before| before.lacks) && pains.archived > 0 {
                return None;
            }
            archive.amend(&plan, new);
            let there = |name: &[String; 4]| {
                new.flows.iter().any(|f| f.name == name[0] && f.checks.iter().any(|c| c.name == name[1]))
            };
            findings.retain(|name, _| there(name));
            plan = new.clone();
        }
        engine.handle(input);
        while let Some(output) = engine.poll() {
            match output {
                Output::Finding(finding) => {
                    pains.resolved += u64::from(finding.status == Status::Resolved);
                    findings.insert(name(&plan, &finding), *finding);
                }
                Output::Archive(archived) => {
                    for (_, closed) in archived.iter() {
                        pains.archived += 1;
                        archive.keep(closed);
                    }
                }
                Output::Recall { key } => {
                    let found = archive.find(key);
                    pains.recalls += 1;
                    pains.recalled += found.len() as u64;
                    engine.handle(Input::Recalled(found));
                }
                Output::Consumed(_) => {}
            }
        }
        if rng.percent(restarts) {
            pains.restores += 1;
            let mut snapshot = Vec::new();
            engine.snapshot(&mut snapshot).expect("memory takes all");
            engine = Engine::restore(plan.clone(), pace, &snapshot).expect("its own snapshot");
        }
    }
    findings.retain(|_, finding| finding.status != Status::Resolved);
    let findings = findings.into_iter().map(|(name, f)| (name, (f.class, f.severity, f.status))).collect();
    Some((Outcome { findings, flows: comparable(engine.account()) }, pains))
}

fn name(plan: &Plan, finding: &Finding) -> [String; 4] {
    let flow = &plan.flows[finding.flow as usize];
    let check = &flow.checks[finding.check as usize].name;
    [flow.name.clone(), check.clone(), finding.key.clone(), finding.by.clone().unwrap_or_default()]
}

/// The parts of an account that the oracle counts as well.
fn comparable(account: &Account) -> Vec<FlowAccount> {
    let part = |flow: &FlowAccount| FlowAccount {
        consistent: flow.consistent,
        inconsistent: flow.inconsistent,
        undecided: flow.undecided,
        checks: flow.checks.clone(),
        undecided_by_source: flow.undecided_by_source.clone(),
        unattached: flow.unattached.clone(),
        strays: flow.strays.clone(),
        redelivered: flow.redelivered.clone(),
        ..FlowAccount::default()
    };
    account.flows.iter().map(part).collect()
}

/// What the oracle says, in the same form.
pub fn expected(plan: &Plan, reports: &[FlowReport]) -> Outcome {
    let mut outcome = Outcome::default();
    for (flow, report) in plan.flows.iter().zip(reports) {
        for ((check, key, by), verdict) in &report.instances {
            if let Verdict::Broken(class, severity, status) = verdict {
                let check = flow.checks[*check as usize].name.clone();
                let name = [flow.name.clone(), check, key.clone(), by.clone().unwrap_or_default()];
                outcome.findings.insert(name, (*class, *severity, *status));
            }
        }
    }
    let flows = reports.iter().map(|report| report.account.clone()).collect();
    outcome.flows = comparable(&Account { flows });
    outcome
}

/// The differences between what was expected and what came, one a line. An observation that joins nothing is
/// forgotten once it is counted, so it counts again where it is delivered again.
pub fn differences(plan: &Plan, expected: &Outcome, actual: &Outcome, repeated: bool) -> Vec<String> {
    let mut lines = Vec::new();
    let names = expected.findings.keys().chain(actual.findings.keys());
    let names: std::collections::BTreeSet<_> = names.collect();
    for name in names {
        let show = |outcome: &Outcome| outcome.findings.get(name).map_or("-".to_owned(), |f| format!("{f:?}"));
        if expected.findings.get(name) != actual.findings.get(name) {
            lines.push(format!("finding {}: oracle {}, engine {}", name.join(" / "), show(expected), show(actual)));
        }
    }
    for (flow, (left, right)) in plan.flows.iter().zip(expected.flows.iter().zip(&actual.flows)) {
        let mut compare = |what: &str, left: String, right: String| {
            if left != right {
                lines.push(format!("{} {what}: oracle {left}, engine {right}", flow.name));
            }
        };
        let verdicts = |a: &FlowAccount| format!("{} + {} + {:?}", a.consistent, a.inconsistent, a.undecided);
        compare("consistent + inconsistent + undecided", verdicts(left), verdicts(right));
        let fewer = left.unattached.iter().zip(&right.unattached).any(|(left, right)| right < left);
        if !repeated || fewer {
            compare("unattached", format!("{:?}", left.unattached), format!("{:?}", right.unattached));
        }
        compare("strays", format!("{:?}", left.strays), format!("{:?}", right.strays));
        compare("redelivered", format!("{:?}", left.redelivered), format!("{:?}", right.redelivered));
        compare("by source", format!("{:?}", left.undecided_by_source), format!("{:?}", right.undecided_by_source));
        let counts = |a: Option<&CheckAccount>| format!("{a:?}");
        for (n, check) in flow.checks.iter().enumerate() {
            compare(&check.name, counts(left.checks.get(n)), counts(right.checks.get(n)));
        }
    }
    lines
}
