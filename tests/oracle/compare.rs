//! The comparison: one case, several arrival orders, one outcome. A failing case is made small.

use super::case::{Case, State};
use super::describe;
use super::drive::{Before, Outcome, Pains, differences, drive, expected};
use super::generate::arrival::arrival;
use super::judge::{FlowReport, judge};
use super::rng::Rng;
use std::cell::Cell;
use std::panic::{self, AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Once};
use throughline::engine::{Input, Pace};
use throughline::flow::plan::{Check, Form, Plan};
use throughline::model::time::Time;

/// How the engine is driven once.
#[derive(Clone, Copy, Debug)]
pub struct Run {
    /// Seed of the arrival order and the restarts.
    pub seed: u64,
    /// When the engine tells what it finds.
    pub pace: Pace,
    /// So many restarts a hundred inputs.
    pub restarts: u64,
    /// So many records of a hundred are delivered again.
    pub repeats: u64,
    /// The engine begins with other checks.
    pub amended: bool,
}

/// A run that came out differently.
pub struct Failure {
    /// The run.
    pub run: Run,
    /// What was different.
    pub lines: Vec<String>,
}

/// The runs of one seed: both paces, different orders, some with restarts, one with checks that change.
pub fn runs(seed: u64) -> [Run; 4] {
    let restarts = if seed.is_multiple_of(3) { 10 } else { 0 };
    [
        Run { seed, pace: Pace::Live, restarts, repeats: 0, amended: false },
        Run { seed: seed ^ 0x5eed, pace: Pace::Settled, restarts, repeats: 10, amended: false },
        Run { seed: seed ^ 0xfeed, pace: Pace::Live, restarts: 10 - restarts, repeats: 10, amended: false },
        Run { seed: seed ^ 0xa3e2d, pace: Pace::Live, restarts, repeats: 0, amended: true },
    ]
}

/// Compares one case in these runs.
pub fn compare(case: &Case, runs: &[Run]) -> Result<(Vec<FlowReport>, Vec<Pains>), Failure> {
    let reports = judge(case);
    let outcome = expected(&case.plan, &reports);
    let mut pains = Vec::new();
    for run in runs {
        match attempt(case, *run) {
            Ok(None) => {}
            Ok(Some((actual, pain))) => match differences(&case.plan, &outcome, &actual, run.repeats > 0) {
                lines if lines.is_empty() => pains.push(pain),
                lines => return Err(Failure { run: *run, lines }),
            },
            Err(panic) => return Err(Failure { run: *run, lines: vec![format!("the engine panicked: {panic}")] }),
        }
    }
    Ok((reports, pains))
}

fn attempt(case: &Case, run: Run) -> Result<Option<(Outcome, Pains)>, String> {
    let (inputs, mut rng) = inputs(case, run);
    let before = run.amended.then(|| before(&case.plan, &inputs, &mut rng));
    let how = (run.pace, run.restarts);
    silence();
    QUIET.set(true);
    let driven = catch_unwind(AssertUnwindSafe(|| drive(&case.plan, before.as_ref(), &inputs, how, &mut rng)));
    QUIET.set(false);
    driven.map_err(|panic| match panic.downcast::<String>() {
        Ok(text) => *text,
        Err(panic) => panic.downcast::<&str>().map_or("?".to_owned(), |text| (*text).to_owned()),
    })
}

/// Other checks that a run may begin with: the same in another order, or some missing and some twice, the second time
/// under another name.
fn before(plan: &Plan, inputs: &[Input], rng: &mut Rng) -> Before {
    let lacks = rng.percent(50);
    let mut plan = plan.clone();
    for flow in &mut plan.flows {
        let mut checks = std::mem::take(&mut flow.checks);
        while !checks.is_empty() {
            let check = checks.swap_remove(rng.below(checks.len()));
            let stays = !lacks || matches!(check.form, Form::Schedule { .. });
            if !stays && rng.percent(30) {
                let name = format!("{}-once", check.name);
                flow.checks.push(Check { name, ..check.clone() });
            }
            if stays || rng.percent(50) {
                flow.checks.push(check);
            }
        }
    }
    // What ends is final.
    let last = inputs.iter().position(|input| matches!(input, Input::Ends { .. })).unwrap_or(inputs.len());
    let until = rng.below(last + 1);
    Before { plan: Arc::new(plan), until: if lacks { until / 3 } else { until }, lacks }
}

thread_local! {
    static QUIET: Cell<bool> = const { Cell::new(false) };
}

/// Lets the engine's panics, which are told with their case, print nothing of their own.
fn silence() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        let usual = panic::take_hook();
        panic::set_hook(Box::new(move |info| {
            if !QUIET.get() {
                usual(info)
            }
        }));
    });
}

/// The inputs of a run.
fn inputs(case: &Case, run: Run) -> (Vec<Input>, Rng) {
    let mut rng = Rng::new(run.seed);
    (arrival(case, run.repeats, &mut rng), rng)
}

/// The smallest case found that still fails, with the run that shows it.
pub fn shrink(case: Case, failure: Failure) -> (Case, Failure) {
    let mut best = (case, failure);
    loop {
        let smaller = candidates(&best.0).into_iter().find_map(|case| fails(&case, best.1.run).map(|f| (case, f)));
        match smaller {
            Some(smaller) => best = smaller,
            None => return best,
        }
    }
}

/// Tries a case in the order that failed last, and in some others.
fn fails(case: &Case, last: Run) -> Option<Failure> {
    let others = (0..24).flat_map(|n| {
        let pace = if n % 2 == 0 { last.pace } else { Pace::Live };
        [
            Run { seed: n, restarts: 0, repeats: 0, pace, amended: last.amended },
            Run { seed: last.seed ^ n, pace, ..last },
        ]
    });
    std::iter::once(last).chain(others).find_map(|run| compare(case, &[run]).err())
}

/// Every case that lacks one thing.
fn candidates(case: &Case) -> Vec<Case> {
    let mut out = Vec::new();
    let mut with = |change: &dyn Fn(&mut Case)| {
        let mut smaller = case.clone();
        change(&mut smaller);
        out.push(smaller);
    };
    let count = case.observations.len();
    for size in [count / 2, count / 4].into_iter().filter(|size| *size > 1) {
        for at in (0..count).step_by(size) {
            with(&|c| drop(c.observations.drain(at..(at + size).min(count))));
        }
    }
    for (flow, checks) in case.plan.flows.iter().map(|flow| flow.checks.len()).enumerate() {
        (0..checks).for_each(|at| with(&|c| drop(c.plan.flows[flow].checks.remove(at))));
    }
    (0..count).for_each(|at| with(&|c| drop(c.observations.remove(at))));
    for source in 0..case.evidence.len() {
        let evidence = &case.evidence[source];
        (0..evidence.gaps.len()).for_each(|at| {
            with(&|c| {
                c.evidence[source].gaps.remove(at);
            })
        });
        if evidence.from != Time::MIN {
            with(&|c| c.evidence[source].from = Time::MIN);
        }
        if evidence.state == State::Down {
            with(&|c| c.evidence[source].state = State::Ended);
        } else if evidence.to != Time::MAX {
            with(&|c| c.evidence[source].to = Time::MAX);
        }
    }
    simpler_flows(case, &mut with);
    for at in 0..count {
        let observation = &case.observations[at];
        (0..observation.keys.len()).for_each(|key| with(&|c| drop(c.observations[at].keys.remove(key))));
        if observation.dedupe.is_some() {
            with(&|c| c.observations[at].dedupe = None);
        }
    }
    out
}

fn simpler_flows(case: &Case, with: &mut impl FnMut(&dyn Fn(&mut Case))) {
    for (id, flow) in case.plan.flows.iter().enumerate() {
        if !flow.begins.is_empty() {
            with(&|c| c.plan.flows[id].begins.clear());
        }
        for (n, check) in flow.checks.iter().enumerate() {
            let conditions = [&check.given, &check.unless];
            if !conditions[0].is_empty() {
                with(&|c| c.plan.flows[id].checks[n].given.clear());
            }
            if !conditions[1].is_empty() {
                with(&|c| c.plan.flows[id].checks[n].unless.clear());
            }
            if check.by.is_some() && !matches!(check.form, Form::Schedule { .. }) {
                with(&|c| c.plan.flows[id].checks[n].by = None);
            }
        }
    }
}

/// Everything that a person needs to understand a failure.
pub fn account(seed: u64, case: &Case, failure: &Failure) -> String {
    let (inputs, _) = inputs(case, failure.run);
    format!(
        "\nORACLE_SEED={seed} fails. The smallest case found:\n\n{}\n{:?}\n{}\n{}\n",
        describe::case(case),
        failure.run,
        describe::inputs(case, &inputs),
        failure.lines.join("\n")
    )
}
