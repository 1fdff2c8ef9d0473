//! Judging a transaction, keeping account of what was said of it, and telling what changed.

use super::account::FlowAccount;
use super::closing;
use super::history::{self, Entry};
use super::judged::{Instance, Judged, Said, Whole};
use super::limits::Limit;
use super::store::Transaction;
use super::wheel::Wake;
use super::{Engine, Output};
use crate::checks::view::View;
use crate::checks::{self, Case, Outcome, Verdict, usual};
use crate::flow::plan::{Check, Form};
use crate::model::finding::Finding;
use crate::model::time::{Span, Time};
use crate::model::verdict::{Doubt, Reason, Severity, Status};
use crate::model::{CheckId, FlowId, StepId, key};

const NONE: u32 = u32::MAX;

/// What a judgement leaves to do; the [`Judged`] that it made stands in [`Engine::judged`].
pub(super) struct Left {
    /// When it may change by the sources' progress.
    pub due: Time,
    /// The same for the checks of one clock alone.
    pub due_of_clock: Time,
    /// Event time of the transaction's newest record.
    pub newest: Time,
}

/// How far the sources have come while wake-ups are worked off.
#[derive(Clone, Copy)]
pub(super) struct Come {
    /// The clock whose wake-ups these are.
    pub clock: usize,
    /// How far that clock has come.
    pub progress: Time,
    /// How far all of the flow's sources have.
    pub everything: Time,
}

impl Engine {
    /// A wake-up of a clock: judges the transaction, closes it where nothing is left to wait for,
    /// else sets the next wake-up.
    pub(super) fn look_at(&mut self, wake: Wake, come: Come) {
        let Come { clock, progress, everything } = come;
        let transaction = self.state.store.get(wake.transaction);
        if !transaction.has(Transaction::ALIVE)
            || transaction.generation != wake.generation
            || transaction.has(Transaction::FINAL)
        {
            return;
        }
        let flow = transaction.flow as usize;
        self.state.store.get_mut(wake.transaction).flags &= !Transaction::awaited(clock);
        let left = match self.glance(wake.transaction) {
            Some(left) => left,
            None => self.judge(wake.transaction, clock, false),
        };
        if everything == Time::MAX {
            self.state.store.get_mut(wake.transaction).flags |= Transaction::FINAL;
            return;
        }
        let quiet_at = left.newest + self.clocks[flow].quiet + Span(1);
        if left.due == Time::MAX && everything >= quiet_at {
            self.close(wake.transaction);
            return;
        }
        self.keep(wake.transaction);
        let next = match clock {
            0 if left.due == Time::MAX => quiet_at,
            0 => left.due,
            _ => left.due_of_clock,
        };
        if clock == 0 || next != Time::MAX {
            let next = next.max(progress + Span(1));
            if clock == 0 && next > progress + self.clocks[flow].settle {
                // What arrives before then makes it worth looking sooner.
                self.state.store.get_mut(wake.transaction).flags &= !Transaction::ARMED;
            }
            self.state.wheels[flow][clock].set(next, wake);
        }
    }

    /// Judges every check of a transaction, keeps account, and tells what changed. `force` makes what
    /// is not due undecided for the limit that forces it.
    pub(super) fn judge(&mut self, index: u32, clock: usize, force: bool) -> Left {
        let mut view = std::mem::take(&mut self.view);
        self.load(index, &mut view);
        let flow_id = self.state.store.get(index).flow;
        let plan = self.plan.clone();
        let flow = &plan.flows[flow_id as usize];
        let old = self.take_judged(index);
        let mut new = std::mem::take(&mut self.judged);
        new.clear();
        new.redelivered.extend(redelivered(&view, flow.steps.len()));
        let newest = view.records().iter().map(|r| r.time).max().unwrap_or(Time::MIN);
        let mut left = Left { due: Time::MAX, due_of_clock: Time::MAX, newest };
        let mut pending = false;
        for (number, check) in flow.checks.iter().enumerate() {
            for by in values_of(check, &view) {
                let case = Case { plan: &plan, flow_id, check, view: &view, evidence: &self.state.evidence, by };
                let mut outcome = checks::judge(&case);
                if view.limited || force && outcome.due != Time::MAX {
                    outcome = limited(outcome);
                }
                left.due = left.due.min(outcome.due);
                if self.clocks[flow_id as usize].of_check[number] == clock {
                    left.due_of_clock = left.due_of_clock.min(outcome.due);
                }
                pending |= outcome.verdict == Verdict::Pending;
                let by = by.unwrap_or(NONE);
                let Some(said) = said(&outcome) else { continue };
                new.say(number, by, said);
                let known = old.instances.iter().find(|i| i.check as usize == number && i.by == by);
                if matches!(said, Said::Broken(..)) && known.is_none_or(|k| k.said != said) {
                    let finding = finding(&case, &outcome, &self.own_key, self.seen_until(flow_id));
                    self.outputs.push_back(Output::Finding(Box::new(finding)));
                }
            }
        }
        self.tell_resolved(flow_id, &view, &old, &new);
        new.whole = whole(&flow.checks, &new.instances, pending);
        let account = &mut self.state.account.flows[flow_id as usize];
        count(account, &old, |n| *n -= 1);
        count(account, &new, |n| *n += 1);
        self.judged = new;
        self.view = view;
        left
    }

    /// Judges a transaction that was not judged before and in which all went well, as most do.
    fn glance(&mut self, index: u32) -> Option<Left> {
        let transaction = self.state.store.get(index);
        if transaction.judged != NONE || transaction.has(Transaction::LIMITED) {
            return None;
        }
        let flow_id = transaction.flow as usize;
        let flow = &self.plan.flows[flow_id];
        self.bytes.clear();
        self.state.store.read(index, &mut self.bytes);
        let (_, mut entries) = history::read(&self.bytes, transaction);
        self.bound.clear();
        self.usual.clear(flow.steps.len());
        while let Some(entry) = entries.next() {
            match entry {
                Entry::Key(node) => self.bound.push(node),
                Entry::Record { head, body, .. } => {
                    let end = (self.bytes.len() - entries.bytes.len()) as u32;
                    let length = if body == history::BARE_BODY { 0 } else { body.len() as u32 };
                    if !self.usual.add(head.step, head.time, end - length..end) {
                        return None;
                    }
                }
            }
        }
        if !usual::possible(flow, &self.usual) {
            return None;
        }
        self.judged.clear();
        for (number, check) in flow.checks.iter().enumerate() {
            if usual::glance(check, &self.usual, &self.bytes)? {
                self.judged.say(number, NONE, Said::Passed);
            }
        }
        self.judged.whole = Whole::Consistent;
        count(&mut self.state.account.flows[flow_id], &self.judged, |n| *n += 1);
        Some(Left { due: Time::MAX, due_of_clock: Time::MAX, newest: self.usual.newest() })
    }

    /// What was said of a transaction before.
    fn take_judged(&mut self, index: u32) -> Judged {
        match std::mem::replace(&mut self.state.store.get_mut(index).judged, NONE) {
            NONE => Judged::default(),
            place => self.state.judged.take(place),
        }
    }

    /// Keeps the last judgement with its transaction.
    fn keep(&mut self, index: u32) {
        let place = self.state.judged.add(self.judged.clone());
        self.state.store.get_mut(index).judged = place;
    }

    /// Findings that were told and are no more.
    fn tell_resolved(&mut self, flow_id: FlowId, view: &View, old: &Judged, new: &Judged) {
        let plan = self.plan.clone();
        for before in &old.instances {
            let Said::Broken(class, _) = before.said else { continue };
            let still = new
                .instances
                .iter()
                .any(|i| i.check == before.check && i.by == before.by && matches!(i.said, Said::Broken(..)));
            if still {
                continue;
            }
            let check = &plan.flows[flow_id as usize].checks[before.check as usize];
            let by = (before.by != NONE).then_some(before.by);
            let case = Case { plan: &plan, flow_id, check, view, evidence: &self.state.evidence, by };
            let verdict = Verdict::Broken(class, Status::Resolved);
            let outcome = Outcome { verdict, due: Time::MAX, anchor: None, deadline: None };
            let mut finding = finding(&case, &outcome, &self.own_key, self.seen_until(flow_id));
            finding.summary = "what was said before it was final turned out untrue".into();
            self.outputs.push_back(Output::Finding(Box::new(finding)));
        }
    }

    /// How far all sources of the flow have come.
    pub(super) fn seen_until(&self, flow: FlowId) -> Time {
        let sources = &self.plan.flows[flow as usize].sources;
        sources.iter().map(|s| self.state.evidence.sources[*s as usize].to).min().unwrap_or(Time::MAX)
    }

    /// Fills the view with a transaction in memory.
    pub(super) fn load(&mut self, index: u32, view: &mut View) {
        let transaction = self.state.store.get(index);
        self.bytes.clear();
        self.bound.clear();
        self.state.store.read(index, &mut self.bytes);
        let flow = &self.plan.flows[transaction.flow as usize];
        view.clear();
        view.limited = transaction.has(Transaction::LIMITED);
        let (own, entries) = history::read(&self.bytes, transaction);
        self.own_key.clear();
        self.own_key.extend_from_slice(own);
        for entry in entries {
            match entry {
                Entry::Key(node) => {
                    view.add_key(self.state.nodes.name(node), self.state.nodes.packed(node));
                    self.bound.push(node);
                }
                Entry::Record { head, keys, body } => {
                    let source = flow.steps[head.step as usize].source;
                    view.add_record((head.step, source), head.time, head.position, head.direct, keys, body);
                }
            }
        }
        view.arrange(flow.steps.len());
    }

    /// Makes room: closes the transaction that would be looked at next, undecided where it is not due.
    pub(super) fn evict(&mut self, flow: FlowId) {
        while let Some(wake) = self.state.wheels[flow as usize][0].pop_any() {
            let transaction = self.state.store.get(wake.transaction);
            if transaction.has(Transaction::ALIVE) && transaction.generation == wake.generation {
                self.hit(flow, Limit::TransactionsOpen);
                self.judge(wake.transaction, 0, true);
                self.close(wake.transaction);
                self.forget(0);
                return;
            }
        }
    }
}

/// For which values of `by` a check is judged: once without it.
pub(super) fn values_of<'a>(check: &'a Check, view: &'a View) -> impl Iterator<Item = Option<u32>> + use<'a> {
    let transaction = !matches!(check.form, Form::Schedule { .. });
    let once = (check.by.is_none() && transaction).then_some(None);
    let each = view.keys().iter().enumerate().filter(move |(_, k)| Some(k.name) == check.by);
    once.into_iter().chain(each.map(|(at, _)| Some(at as u32)))
}

/// What a limit makes of a judgement: not all of the transaction is here.
pub(super) fn limited(outcome: Outcome) -> Outcome {
    match outcome.verdict {
        Verdict::NotApplicable => outcome,
        _ => Outcome { verdict: Verdict::Undecided(Reason::Limit.into()), due: Time::MAX, ..outcome },
    }
}

fn said(outcome: &Outcome) -> Option<Said> {
    match outcome.verdict {
        Verdict::NotApplicable | Verdict::Pending => None,
        Verdict::Passed => Some(Said::Passed),
        Verdict::Broken(class, status) => Some(Said::Broken(class, status)),
        Verdict::Undecided(doubt) => Some(Said::Undecided(doubt)),
    }
}

/// Per step, how many records had an effect that another record had.
fn redelivered(view: &View, steps: usize) -> impl Iterator<Item = (StepId, u32)> + use<'_> {
    (0..steps as StepId)
        .map(|step| (step, (view.records_of(step).len() - view.effects_of(step).len()) as u32))
        .filter(|(_, more)| *more > 0)
}

/// What the instances make of the transaction.
fn whole(checks: &[Check], instances: &[Instance], pending: bool) -> Whole {
    let mut undecided: Option<Reason> = None;
    for instance in instances {
        match instance.said {
            Said::Broken(class, _) if checks[instance.check as usize].severity_of(class) >= Severity::Warning => {
                return Whole::Inconsistent;
            }
            Said::Undecided(doubt) => undecided = Some(undecided.map_or(doubt.reason, |r| r.min(doubt.reason))),
            _ => {}
        }
    }
    match undecided {
        _ if pending => Whole::Open,
        Some(reason) => Whole::Undecided(reason),
        None => Whole::Consistent,
    }
}

/// Counts what was said, up or down.
pub(super) fn count(account: &mut FlowAccount, judged: &Judged, by: impl Fn(&mut u64)) {
    let mut passed = judged.passed;
    while passed != 0 {
        by(&mut account.checks[passed.trailing_zeros() as usize].passed);
        passed &= passed - 1;
    }
    for instance in &judged.instances {
        let check = &mut account.checks[instance.check as usize];
        by(match instance.said {
            Said::Passed => &mut check.passed,
            Said::Broken(..) => &mut check.broken,
            Said::Undecided(doubt) => &mut check.undecided[doubt.reason as usize],
        });
        if let Said::Undecided(Doubt { reason, source: Some(source) }) = instance.said {
            by(&mut account.undecided_by_source[source as usize][reason as usize]);
        }
    }
    for (step, more) in &judged.redelivered {
        (0..*more).for_each(|_| by(&mut account.redelivered[*step as usize]));
    }
    match judged.whole {
        Whole::Open => {}
        Whole::Consistent => by(&mut account.consistent),
        Whole::Inconsistent => by(&mut account.inconsistent),
        Whole::Undecided(reason) => by(&mut account.undecided[reason as usize]),
    }
}

/// A broken check as a finding.
fn finding(case: &Case<'_>, outcome: &Outcome, own_key: &[u8], judged_at: Time) -> Finding {
    let (derived, status) = match outcome.verdict {
        Verdict::Broken(class, status) => (class, status),
        _ => unreachable!("only what is broken is found"),
    };
    let story = checks::explain(case, outcome);
    let flow = &case.plan.flows[case.flow_id as usize];
    let number = flow.checks.iter().position(|c| std::ptr::eq(c, case.check)).unwrap_or(0);
    Finding {
        flow: case.flow_id,
        check: number as CheckId,
        key: key::unpack(own_key),
        by: case.by.map(|k| key::unpack(case.view.packed(k))),
        class: case.check.class.unwrap_or(derived),
        severity: case.check.severity_of(derived),
        status,
        keys: closing::all_keys(flow, case.view, own_key),
        time: story.time.unwrap_or_else(|| case.view.first_seen()),
        deadline: story.deadline,
        judged_at,
        healed_after: story.healed_after.filter(|_| status == Status::Healed),
        expected: story.expected,
        seen: story.seen.iter().map(|r| case.view.seen(*r)).collect(),
        evidence: story.evidence,
        summary: story.summary,
    }
}
