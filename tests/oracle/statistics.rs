//! How much of the language random histories reach.

use super::case::Case;
use super::drive::Pains;
use super::judge::{FlowReport, Verdict};
use std::collections::BTreeMap;
use throughline::flow::plan::{Check, Deadline, Form};

/// Counts of everything that happened.
#[derive(Default)]
pub struct Statistics {
    histories: u64,
    observations: u64,
    transactions: u64,
    unattached: u64,
    bound_along: u64,
    largest: usize,
    pains: Pains,
    verdicts: BTreeMap<(&'static str, String), u64>,
}

impl Statistics {
    /// Counts one history.
    pub fn count(&mut self, case: &Case, reports: &[FlowReport], pains: &[Pains]) {
        self.histories += 1;
        self.observations += case.observations.len() as u64;
        self.largest = self.largest.max(case.observations.len());
        for pain in pains {
            self.pains.recalls += pain.recalls;
            self.pains.recalled += pain.recalled;
            self.pains.archived += pain.archived;
            self.pains.resolved += pain.resolved;
            self.pains.restores += pain.restores;
        }
        for (flow, report) in case.plan.flows.iter().zip(reports) {
            let account = &report.account;
            self.transactions += account.consistent + account.inconsistent + account.undecided_total();
            self.unattached += account.unattached.iter().sum::<u64>();
            self.bound_along += report.bound_along as u64;
            for ((check, _, by), verdict) in &report.instances {
                let check = &flow.checks[*check as usize];
                *self.verdicts.entry((form_name(&check.form), verdict_name(check, *verdict))).or_default() += 1;
                for (option, there) in [
                    ("  given", !check.given.is_empty()),
                    ("  unless", !check.unless.is_empty()),
                    ("  by", by.is_some()),
                ] {
                    if there {
                        *self.verdicts.entry((option, verdict_name(check, *verdict))).or_default() += 1;
                    }
                }
            }
        }
    }

    /// Adds another's counts.
    pub fn merge(&mut self, other: Statistics) {
        self.histories += other.histories;
        self.observations += other.observations;
        self.transactions += other.transactions;
        self.unattached += other.unattached;
        self.bound_along += other.bound_along;
        self.largest = self.largest.max(other.largest);
        self.pains.recalls += other.pains.recalls;
        self.pains.recalled += other.pains.recalled;
        self.pains.archived += other.pains.archived;
        self.pains.resolved += other.pains.resolved;
        self.pains.restores += other.pains.restores;
        for (name, count) in other.verdicts {
            *self.verdicts.entry(name).or_default() += count;
        }
    }

    /// As text.
    pub fn show(&self) -> String {
        let mut out = format!(
            "{} histories, {} observations (at most {} a history), {} transactions, {} unattached, \
             {} keys bound along\nengine: {:?}\n",
            self.histories,
            self.observations,
            self.largest,
            self.transactions,
            self.unattached,
            self.bound_along,
            self.pains
        );
        let mut form = "";
        for ((name, verdict), count) in &self.verdicts {
            if *name != form {
                out += &format!("{name}\n");
                form = name;
            }
            out += &format!("    {count:>9} {verdict}\n");
        }
        out
    }
}

fn verdict_name(check: &Check, verdict: Verdict) -> String {
    match verdict {
        Verdict::Broken(_, _, status) if check.class.is_some() => format!("broken as the check says {status}"),
        Verdict::Broken(class, _, status) => format!("broken {class} {status}"),
        Verdict::Undecided(reason, _) => format!("undecided {reason}"),
        other => format!("{other:?}").to_lowercase(),
    }
}

fn form_name(form: &Form) -> &'static str {
    match form {
        Form::After(after) => match after.deadline {
            Deadline::Within { .. } => "after, within",
            Deadline::Due { .. } => "after, due",
            Deadline::End => "after, within end",
        },
        Form::Never { .. } => "never",
        Form::Forbid { .. } => "forbid",
        Form::Together { .. } => "together",
        Form::AtMost { .. } => "at_most",
        Form::Order { .. } => "order",
        Form::Requires { within: None, .. } => "requires",
        Form::Requires { .. } => "requires, within",
        Form::Agree { within: None, .. } => "agree",
        Form::Agree { .. } => "agree, within",
        Form::Holds { within: None, .. } => "holds",
        Form::Holds { .. } => "holds, within",
        Form::States { .. } => "states",
        Form::Mirror { .. } => "mirror",
        Form::Schedule { .. } => "schedule",
    }
}
