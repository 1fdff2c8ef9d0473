//! Judging by definition: every check of every transaction, from its whole history.

mod presence;
mod schedule;
mod values;
mod windows;

use super::case::{Case, Observation, State};
use super::evidence::{self, Lack, worst};
use super::join::{Joined, Transaction, join};
use super::view::View;
use std::collections::BTreeMap;
use throughline::engine::account::{CheckAccount, FlowAccount, Stray};
use throughline::flow::plan::{Check, Flow, Form};
use throughline::model::time::Time;
use throughline::model::verdict::{Class, Reason, Severity, Status};
use throughline::model::{CheckId, FlowId, SourceId, StepId};

/// What a check says of a transaction, or of one value of its `by`.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Verdict {
    /// Its anchor is not there.
    NotApplicable,
    /// Met.
    Passed,
    /// Broken.
    Broken(Class, Severity, Status),
    /// Nothing sure can be said; because of this source, where it is one.
    Undecided(Reason, Option<SourceId>),
    /// Not due yet.
    Pending,
}

/// One part of a form's judgement: an anchor, an item, a step, a moment.
#[derive(Clone, Copy, Debug)]
pub struct Part {
    /// What is said of it.
    pub say: Say,
    /// By when `given` and `unless` must have come.
    pub deadline: Time,
}

/// What is said of a part.
#[derive(Clone, Copy, PartialEq, Debug)]
pub enum Say {
    /// Met.
    Passed,
    /// Broken.
    Broken(Class, Status),
    /// Nothing sure can be said.
    Unknown(Lack),
}

/// The parts of a judgement; `None` where the form does not apply.
pub type Parts = Option<Vec<Part>>;

/// Names an instance: the check, the transaction's key, the value of `by`.
pub type InstanceId = (CheckId, String, Option<String>);

/// What there is to say of one flow.
#[derive(Debug)]
pub struct FlowReport {
    /// Every instance's verdict.
    pub instances: BTreeMap<InstanceId, Verdict>,
    /// Counts. What the oracle does not count is zero.
    pub account: FlowAccount,
    /// How many bindings were made by observations without the flow's key.
    pub bound_along: usize,
}

/// Judges everything.
pub fn judge(case: &Case) -> Vec<FlowReport> {
    (0..case.plan.flows.len() as FlowId).map(|flow| judge_flow(case, flow)).collect()
}

fn judge_flow(case: &Case, flow_id: FlowId) -> FlowReport {
    let flow = case.flow(flow_id);
    let joined = join(case, flow_id);
    let unattached = unattached(case, flow, &joined);
    let mut account = FlowAccount {
        checks: vec![CheckAccount::default(); flow.checks.len()],
        observations: (0..flow.steps.len()).map(|s| count(case.of(flow_id).filter(|o| o.step as usize == s))).collect(),
        unattached: unattached.iter().map(|strays| strays.len() as u64).collect(),
        strays: unattached.iter().map(|strays| samples(strays)).collect(),
        redelivered: vec![0; flow.steps.len()],
        undecided_by_source: vec![Default::default(); case.plan.sources.len()],
        ..FlowAccount::default()
    };
    let mut instances = BTreeMap::new();
    for transaction in &joined.transactions {
        let whole = View { case, flow_id, joined: &joined, transaction, by: None };
        for (step, redelivered) in account.redelivered.iter_mut().enumerate() {
            let step = step as StepId;
            *redelivered += (whole.records(step).len() - whole.effects(step).len()) as u64;
        }
        let mut verdicts = Vec::new();
        for (check_id, check) in flow.checks.iter().enumerate() {
            for by in values_of(check, transaction) {
                let by = by.map(|value| (check.by.unwrap_or(0), value));
                let verdict = judge_instance(&View { by, ..whole }, check);
                verdicts.push(verdict);
                count_verdict(&mut account, check_id as CheckId, verdict);
                let id = (check_id as CheckId, transaction.key.clone(), by.map(|b| b.1.to_owned()));
                instances.insert(id, verdict);
            }
        }
        count_transaction(&mut account, &verdicts);
    }
    for (check_id, check) in flow.checks.iter().enumerate() {
        for (due, verdict) in schedule::judge(case, flow_id, check) {
            count_verdict(&mut account, check_id as CheckId, verdict);
            instances.insert((check_id as CheckId, due.to_string(), None), verdict);
        }
    }
    let bound_along = joined.transactions.iter().map(bound_along).sum();
    FlowReport { instances, account, bound_along }
}

/// The values of `by` that are bound to the transaction; one nameless where there is no `by`.
fn values_of<'a>(check: &Check, transaction: &'a Transaction) -> Vec<Option<&'a str>> {
    match check.by {
        _ if matches!(check.form, Form::Schedule { .. }) => Vec::new(),
        None => vec![None],
        Some(0) => vec![Some(&transaction.key)],
        Some(name) => transaction.bound.keys().filter(|key| key.0 == name).map(|key| Some(key.1.as_str())).collect(),
    }
}

fn judge_instance(view: &View, check: &Check) -> Verdict {
    let Some(parts) = judge_form(view, &check.form) else { return Verdict::NotApplicable };
    let verdict = under_conditions(view, check, combine(check, &parts), deadline(&parts));
    let grows_only = matches!(check.form, Form::AtMost { .. } | Form::Forbid { .. });
    match began_before_the_watch(view) {
        Some(source) if verdict != Verdict::NotApplicable && !grows_only => {
            Verdict::Undecided(Reason::BeforeWatch, Some(source))
        }
        _ => verdict,
    }
}

fn judge_form(view: &View, form: &Form) -> Parts {
    match form {
        Form::After(after) => windows::after(view, after),
        Form::Never { after, anchor, never, within } => presence::never(view, *after, *anchor, *never, *within),
        Form::Forbid { step } => presence::forbid(view, *step),
        Form::Together { steps, within } => windows::together(view, steps, *within),
        Form::AtMost { limits } => presence::at_most(view, limits),
        Form::Order { steps } => presence::order(view, steps),
        Form::Requires { step, requires, within } => windows::requires(view, *step, *requires, *within),
        Form::Agree { fields, tolerance, within } => values::agree(view, fields, tolerance.as_ref(), *within),
        Form::Holds { program, within } => values::holds(view, program, *within),
        Form::States { field, allow, start, end } => values::states(view, *field, allow, start, end),
        Form::Mirror { step, entry, fields, within } => values::mirror(view, *step, *entry, fields, *within),
        Form::Schedule { .. } => None,
    }
}

/// Broken beats unknown beats passed.
fn combine(check: &Check, parts: &[Part]) -> Verdict {
    let broken = |part: &Part| match part.say {
        Say::Broken(class, status) => Some((badness(class), status, class)),
        _ => None,
    };
    if let Some((_, status, derived)) = parts.iter().filter_map(broken).min() {
        return Verdict::Broken(check.class.unwrap_or(derived), check.severity_of(derived), status);
    }
    match worst(parts.iter().map(|part| if let Say::Unknown(lack) = part.say { Err(lack) } else { Ok(()) })) {
        Ok(()) => Verdict::Passed,
        Err(lack) => unknown(lack),
    }
}

/// The order of classes within a form; the worst first. An open part beats a healed one of its class.
fn badness(class: Class) -> usize {
    let order = [Class::LostMessage, Class::MissingStep, Class::Orphan, Class::Late, Class::OutOfOrder];
    order.iter().position(|c| *c == class).unwrap_or(order.len())
}

fn unknown(lack: Lack) -> Verdict {
    match lack {
        Lack::Because(reason, source) => Verdict::Undecided(reason, source),
        Lack::NotYet => Verdict::Pending,
    }
}

/// The largest deadline of the parts that are broken or undecided.
fn deadline(parts: &[Part]) -> Time {
    parts.iter().filter(|part| part.say != Say::Passed).map(|part| part.deadline).max().unwrap_or(Time::MIN)
}

/// `given` and `unless`.
fn under_conditions(view: &View, check: &Check, verdict: Verdict, deadline: Time) -> Verdict {
    let present = |step: &StepId| !condition_view(view, *step).effects(*step).is_empty();
    let start = beginning(view);
    let known = |step: &StepId| view.cov(*step, start, start.max(deadline));
    if check.unless.iter().any(present) {
        return Verdict::NotApplicable;
    }
    let broken = matches!(verdict, Verdict::Broken(..));
    let missing: Vec<_> = check.given.iter().filter(|step| !present(step)).collect();
    if !missing.is_empty() {
        let coverage: Vec<_> = missing.into_iter().map(known).collect();
        return match worst(coverage.iter().copied()) {
            Err(lack) if !coverage.contains(&Ok(())) && verdict != Verdict::Passed => unknown(lack),
            _ => Verdict::NotApplicable,
        };
    }
    match worst(check.unless.iter().map(known)) {
        Err(lack) if broken => unknown(lack),
        _ => verdict,
    }
}

/// A condition's step is looked for among the value of `by` where it carries that key, else anywhere.
fn condition_view<'a>(view: &View<'a>, step: StepId) -> View<'a> {
    let carries = |name| view.flow().steps[step as usize].keys.iter().any(|(key, _)| *key == name);
    View { by: view.by.filter(|by| carries(by.0)), ..*view }
}

/// Where the transaction begins, for its conditions.
fn beginning(view: &View) -> Time {
    let whole = View { by: None, ..*view };
    let begun = view.flow().begins.iter().flat_map(|step| whole.effects(*step)).map(|effect| effect.time()).min();
    begun.unwrap_or(view.transaction.records[0].time - view.flow().linger)
}

/// Whether what begins the transaction may have come before the watch: before that of which source, the one that is
/// watched from the latest time on.
fn began_before_the_watch(view: &View) -> Option<SourceId> {
    let flow = view.flow();
    let records = &view.transaction.records;
    if flow.begins.is_empty() || records.iter().any(|r| flow.begins.contains(&r.step)) {
        return None;
    }
    let mut sources: Vec<_> = flow.begins.iter().flat_map(|step| &flow.steps[*step as usize].closure).collect();
    sources.sort();
    let from = |source: SourceId| evidence::evidence(view.case, source).from;
    let latest = sources.iter().map(|source| from(**source)).max()?;
    let source = sources.into_iter().find(|source| from(**source) == latest)?;
    (records[0].time < latest + flow.linger).then_some(*source)
}

fn count_verdict(account: &mut FlowAccount, check: CheckId, verdict: Verdict) {
    let counts = &mut account.checks[check as usize];
    match verdict {
        Verdict::Passed => counts.passed += 1,
        Verdict::Broken(..) => counts.broken += 1,
        Verdict::Undecided(reason, source) => {
            counts.undecided[reason as usize] += 1;
            source.iter().for_each(|s| account.undecided_by_source[*s as usize][reason as usize] += 1);
        }
        Verdict::NotApplicable | Verdict::Pending => {}
    }
}

fn count_transaction(account: &mut FlowAccount, verdicts: &[Verdict]) {
    let bad = |v: &Verdict| matches!(v, Verdict::Broken(_, severity, _) if *severity >= Severity::Warning);
    let reason = |v: &Verdict| if let Verdict::Undecided(reason, _) = v { Some(*reason) } else { None };
    if verdicts.iter().any(bad) {
        account.inconsistent += 1;
    } else if let Some(reason) = verdicts.iter().filter_map(reason).min() {
        account.undecided[reason as usize] += 1;
    } else {
        account.consistent += 1;
    }
}

/// Observations that joined nothing, by step; one without a key that a schedule expects is at home.
fn unattached<'c>(case: &Case, flow: &Flow, joined: &Joined<'c>) -> Vec<Vec<&'c Observation>> {
    let scheduled =
        |step| flow.checks.iter().any(|c| matches!(c.form, Form::Schedule { expect, .. } if expect == step));
    let usable = |o: &Observation| o.keys.iter().any(|(name, _)| flow.keys[*name as usize].rank.is_some());
    let lost = |o: &&Observation| if usable(o) { waited_for(case, flow, o) } else { !scheduled(o.step) };
    let mut steps = vec![Vec::new(); flow.steps.len()];
    joined.unattached.iter().copied().filter(lost).for_each(|o| steps[o.step as usize].push(o));
    steps
}

/// The earliest five of a step, as they are shown.
fn samples(strays: &[&Observation]) -> Vec<Stray> {
    let mut strays = strays.to_vec();
    strays.sort_by_key(|o| (o.time, o.position));
    let shown = |o: &&Observation| Stray { time: o.time, position: o.position, keys: o.keys.clone() };
    strays.iter().take(5).map(shown).collect()
}

/// Whether the sources of all that could bind an observation have gone beyond the reach of a binding.
fn waited_for(case: &Case, flow: &Flow, observation: &Observation) -> bool {
    let step = &flow.steps[observation.step as usize];
    let binders = if step.binders.is_empty() { &flow.sources } else { &step.binders };
    let sources = binders.iter().map(|source| evidence::evidence(case, *source));
    sources.into_iter().all(|s| s.state == State::Ended || s.to > observation.time + flow.linger)
}

fn bound_along(transaction: &Transaction) -> usize {
    let direct = |key: &_| transaction.records.iter().any(|r| r.has_flow_key() && r.keys.contains(key));
    transaction.bound.keys().filter(|key| !direct(key)).count()
}

fn count<T>(of: impl Iterator<Item = T>) -> u64 {
    of.count() as u64
}
