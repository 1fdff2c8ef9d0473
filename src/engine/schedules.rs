//! The checks that are about due times and not about transactions.

use super::judged::{Instance, Judged, Said};
use super::judging::count;
use super::limits::{self, Limit};
use super::{Engine, Output};
use crate::checks::Verdict;
use crate::checks::evidence::Stretch;
use crate::checks::schedule::Schedule;
use crate::flow::plan::Form;
use crate::model::finding::Finding;
use crate::model::observation::Entry;
use crate::model::time::Time;
use crate::model::verdict::{Class, Reason, Status};
use crate::model::{CheckId, FlowId, StepId};
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;

/// What is kept for one schedule check.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(super) struct Runs {
    flow: FlowId,
    check: CheckId,
    step: StepId,
    /// When it ran, as far as due times that are not judged yet may need it.
    times: BTreeSet<Time>,
    /// Runs that are too many to be kept.
    beyond: Stretch,
    /// The oldest and the newest record that the flow has of the step's source.
    seen: Option<(Time, Time)>,
    /// The last due time that was judged.
    judged: Option<Time>,
    /// What is said of those after it while the source is down.
    provisional: Vec<Said>,
}

impl Runs {
    /// Whether an observation of this step is a run of the job.
    pub fn expects(&self, flow: FlowId, step: StepId) -> bool {
        (self.flow, self.step) == (flow, step)
    }
}

impl Engine {
    /// One place for each schedule check of the plan.
    pub(super) fn runs_of(plan: &crate::flow::plan::Plan) -> Vec<Runs> {
        let mut runs = Vec::new();
        for (flow, spec) in plan.flows.iter().enumerate() {
            for (check, spec) in spec.checks.iter().enumerate() {
                if let Form::Schedule { expect, .. } = spec.form {
                    let (flow, check) = (flow as FlowId, check as CheckId);
                    runs.push(Runs { flow, check, step: expect, ..Runs::default() });
                }
            }
        }
        runs
    }

    /// Keeps what is known of the schedules, which are the same under the same names.
    pub(super) fn amend_runs(&mut self, plan: &crate::flow::plan::Plan) {
        let name = |plan: &crate::flow::plan::Plan, runs: &Runs| {
            plan.flows[runs.flow as usize].checks[runs.check as usize].name.clone()
        };
        let mut known = std::mem::take(&mut self.state.runs);
        for mut runs in Engine::runs_of(plan) {
            let same = known.iter().position(|old| {
                (old.flow, old.step) == (runs.flow, runs.step) && name(&self.plan, old) == name(plan, &runs)
            });
            if let Some(at) = same {
                runs = Runs { check: runs.check, ..known.swap_remove(at) };
            }
            self.state.runs.push(runs);
        }
    }

    /// Notes an observation that shows that a job ran.
    pub(super) fn note_run(&mut self, entry: &Entry) {
        let mut beyond = false;
        for runs in self.state.runs.iter_mut().filter(|runs| runs.flow == entry.flow) {
            let steps = &self.plan.flows[entry.flow as usize].steps;
            if steps[runs.step as usize].source == steps[entry.step as usize].source {
                let (oldest, newest) = runs.seen.unwrap_or((entry.time, entry.time));
                runs.seen = Some((oldest.min(entry.time), newest.max(entry.time)));
            }
            if !runs.expects(entry.flow, entry.step) {
                continue;
            }
            if runs.times.len() < limits::RUN_TIMES_MAX {
                runs.times.insert(entry.time);
            } else if !runs.times.contains(&entry.time) {
                runs.beyond.add(entry.time);
                beyond = true;
            }
        }
        if beyond {
            self.hit(entry.flow, Limit::RunTimes);
        }
    }

    /// Judges the due times whose windows have been passed.
    pub(super) fn judge_schedules(&mut self) {
        let plan = self.plan.clone();
        for at in 0..self.state.runs.len() {
            let Runs { flow, check, step, seen, judged, .. } = self.state.runs[at];
            for said in std::mem::take(&mut self.state.runs[at].provisional) {
                self.count_schedule(flow, check, said, |n| *n -= 1);
            }
            let spec = &plan.flows[flow as usize].checks[check as usize];
            let Form::Schedule { cron, expect, within, early } = &spec.form else { continue };
            let schedule = Schedule { plan: &plan, flow, cron, expect: *expect, within: *within, early: *early };
            let source = plan.flows[flow as usize].steps[step as usize].source;
            let coverage = &self.state.evidence.sources[source as usize];
            let (down, to) = (coverage.down, coverage.to);
            let mut waits = false;
            if !coverage.ended && coverage.to < coverage.from {
                continue;
            }
            let due_times: Vec<Time> = schedule
                .due_times(&self.state.evidence, seen)
                .skip_while(|due| judged.is_some_and(|j| *due <= j))
                .collect();
            for due in due_times {
                let Runs { times, beyond, .. } = &self.state.runs[at];
                let Some(verdict) = schedule.judge(&self.state.evidence, (times, *beyond), due) else {
                    break;
                };
                waits |= down && schedule.window(due).1 >= to;
                if waits {
                    let said = said(verdict);
                    self.count_schedule(flow, check, said, |n| *n += 1);
                    self.state.runs[at].provisional.push(said);
                    continue;
                }
                self.state.runs[at].judged = Some(due);
                self.tell_schedule(&schedule, check, due, verdict);
            }
            if let Some(judged) = self.state.runs[at].judged {
                let kept = schedule.window(judged).0;
                self.state.runs[at].times = self.state.runs[at].times.split_off(&kept);
            }
        }
    }

    fn count_schedule(&mut self, flow: FlowId, check: CheckId, said: Said, by: impl Fn(&mut u64)) {
        let instance = Instance { check, by: u32::MAX, said };
        let judged = Judged { instances: vec![instance], ..Judged::default() };
        count(&mut self.state.account.flows[flow as usize], &judged, by);
    }

    fn tell_schedule(&mut self, schedule: &Schedule<'_>, check: CheckId, due: Time, verdict: Verdict) {
        let said = said(verdict);
        self.count_schedule(schedule.flow, check, said, |n| *n += 1);
        if !matches!(said, Said::Broken(..)) {
            return;
        }
        let spec = &schedule.plan.flows[schedule.flow as usize].checks[check as usize];
        let story = schedule.explain(&self.state.evidence, due);
        let finding = Finding {
            flow: schedule.flow,
            check,
            key: due.to_string(),
            by: None,
            class: spec.class.unwrap_or(Class::MissedRun),
            severity: spec.severity_of(Class::MissedRun),
            status: Status::Open,
            keys: Vec::new(),
            time: due,
            deadline: story.deadline,
            judged_at: self.seen_until(schedule.flow),
            healed_after: None,
            expected: story.expected,
            seen: Vec::new(),
            evidence: story.evidence,
            summary: story.summary,
        };
        self.outputs.push_back(Output::Finding(Box::new(finding)));
    }
}

fn said(verdict: Verdict) -> Said {
    match verdict {
        Verdict::Passed => Said::Passed,
        Verdict::Broken(class, status) => Said::Broken(class, status),
        Verdict::Undecided(doubt) => Said::Undecided(doubt),
        Verdict::NotApplicable | Verdict::Pending => Said::Undecided(Reason::SourceBehind.into()),
    }
}
