//! What can run, but cannot work well.

use super::compile::{SourceInfo, uses};
use super::diagnostic::{Place, Problem};
use super::draft::{CheckOrigin, Context, Draft};
use super::expression::How;
use super::forms::{declared_steps, longest_window};
use super::plan::{After, Check, Count, Deadline, Expect, Expr, Flow, Form, Plan, Root, Step};
use super::ranks;
use super::yaml::Node;
use crate::model::time::Span;
use crate::model::{KeyId, StepId};

/// Tells everything about one flow that cannot work well.
pub(super) fn warn(draft: &Draft, plan: &Plan, context: &Context<'_>) {
    let warnings = Warnings { draft, flow: &draft.flow, plan, context };
    for id in 0..draft.flow.steps.len() as StepId {
        if draft.flow.steps[usize::from(id)].entry.is_none() {
            warnings.unused(id);
            warnings.same_rank(id);
            warnings.lists_side_by_side(id);
            warnings.no_operation(id);
        }
    }
    for key in 1..draft.flow.keys.len() as KeyId {
        warnings.lonely_key(key);
    }
    for (check, origin) in draft.flow.checks.iter().zip(&draft.checks) {
        warnings.window_within_skew(check, origin);
        warnings.counts_positions(check, origin);
        warnings.requires_without_within(check, origin);
        warnings.beyond_retention(check, origin);
        warnings.polled_states(check, origin);
    }
}

struct Warnings<'a> {
    draft: &'a Draft,
    flow: &'a Flow,
    plan: &'a Plan,
    context: &'a Context<'a>,
}

impl Warnings<'_> {
    fn say(&self, code: &'static str, place: Place, message: String, help: &str) {
        Problem::warning(code, place, message).help(help).report(self.context.diagnostics);
    }

    fn step(&self, id: StepId) -> &Step {
        &self.flow.steps[usize::from(id)]
    }

    fn info(&self, id: StepId) -> Option<&SourceInfo> {
        self.context.sources.iter().find(|source| source.name == self.step(id).reads)
    }

    /// Where a key is written in a step, or a part of the step, or the step's name.
    fn part(&self, id: StepId, names: &[&str]) -> Place {
        let origin = &self.draft.steps[usize::from(id)];
        let node = names.iter().try_fold(&origin.node, |node: &Node, name| node.get(name));
        node.map_or(origin.name, |node| node.place)
    }

    /// A step that no check uses, and that binds no key by which another joins.
    fn unused(&self, id: StepId) {
        let used = self.flow.checks.iter().any(|check| uses(check, id)) || self.flow.begins.contains(&id);
        let joins_by = |other: &Step, key| !other.carries_flow_key && other.carries(key);
        let others = || self.flow.steps.iter().enumerate().filter(|(other, _)| *other != usize::from(id));
        let binds = self.step(id).keys.iter().any(|(key, _)| {
            ranks::binders(self.flow, *key).contains(&id) && others().any(|(_, other)| joins_by(other, *key))
        });
        if !used && !binds {
            let message = format!("no check uses the step `{}`", self.step(id).name);
            let place = self.draft.steps[usize::from(id)].name;
            self.say("unused-step", place, message, "add a check that names it, or remove it");
        }
    }

    /// Two names of one rank side by side in a step without the flow's key: neither binds the other.
    fn same_rank(&self, id: StepId) {
        let step = self.step(id);
        if step.carries_flow_key {
            return;
        }
        let named = |key: &(KeyId, Vec<Expr>)| !self.flow.keys[usize::from(key.0)].is_implied();
        for (at, (key, _)) in step.keys.iter().enumerate().filter(|(_, key)| named(key)) {
            let rank = self.flow.keys[usize::from(*key)].rank;
            let Some((other, _)) =
                step.keys[..at].iter().find(|key| named(key) && self.flow.keys[usize::from(key.0)].rank == rank)
            else {
                continue;
            };
            let (name, other) = (&self.flow.keys[usize::from(*key)].name, &self.flow.keys[usize::from(*other)].name);
            let message =
                format!("`{other}` and `{name}` have one rank, so the step `{}` binds neither to the other", step.name);
            let help = "if one belongs to the other, name them together in a step with the flow's key as well";
            self.say("same-rank", self.part(id, &["key", name]), message, help);
        }
    }

    /// Several values of the flow's key and several of another: all are bound to all.
    fn lists_side_by_side(&self, id: StepId) {
        let step = self.step(id);
        let several = |key: &(KeyId, Vec<Expr>)| key.1.len() > 1;
        if !step.keys.first().is_some_and(|first| first.0 == 0 && several(first)) {
            return;
        }
        if let Some((other, _)) = step.keys[1..].iter().find(|key| several(key)) {
            let (own, other) = (&self.flow.keys[0].name, &self.flow.keys[usize::from(*other)].name);
            let message = format!("several values of `{own}` beside several of `{other}`: each is bound to each");
            let help = "if the lists belong together element by element, take the record apart with `each`";
            self.say("all-to-all", self.part(id, &["key", other]), message, help);
        }
    }

    /// A polled table shows states, not what was done to them.
    fn no_operation(&self, id: StepId) {
        let step = self.step(id);
        if step.reads(Root::Op) && self.info(id).is_some_and(|info| info.skips_versions && !info.tells_operations) {
            let message = format!("`{}` is a polled table: it shows no `op`, and no deletes", step.reads);
            let help = "use `capture: changes` on this source, or select by the row's fields";
            self.say("polled-op", self.part(id, &["when"]), message, help);
        }
    }

    /// A key that no other step carries joins nothing.
    fn lonely_key(&self, key: KeyId) {
        let carriers: Vec<StepId> =
            (0..self.flow.steps.len() as StepId).filter(|id| self.step(*id).carries(key)).collect();
        let by = self.flow.checks.iter().any(|check| check.by == Some(key));
        if self.flow.keys[usize::from(key)].is_implied() {
            return;
        }
        if let ([only], false) = (&carriers[..], by) {
            let name = &self.flow.keys[usize::from(key)].name;
            let message =
                format!("no step but `{}` has the key `{name}`, so nothing joins by it", self.step(*only).name);
            let place = self.part(*only, &["key", name]);
            self.say(
                "lonely-key",
                place,
                message,
                "is it spelt differently elsewhere? if it is only to be shown, `keep` it",
            );
        }
    }

    /// Within the skew of two clocks nothing can be told apart.
    fn window_within_skew(&self, check: &Check, origin: &CheckOrigin) {
        let (within, pairs) = windows(&check.form);
        let Some(within) = within else { return };
        let source = |step: StepId| self.step(step).source;
        // Of one source, records of one file or partition are meant: most recordings are one file.
        let wide = pairs.into_iter().map(|(a, b)| (self.plan.slack(source(a), source(b), true), a, b)).max();
        let Some((slack, a, b)) = wide.filter(|(slack, ..)| *slack > Span::ZERO && within <= *slack) else { return };
        let message = format!(
            "{within} is no longer than the {slack} by which the times of `{}` and `{}` may differ",
            self.step(a).name,
            self.step(b).name
        );
        let help = "widen the window, or state a smaller `clock_skew`, or `clock: one` where one clock stamps both";
        self.say("window-within-skew", origin.place("within"), message, help);
    }

    /// Counting effects where each delivery is an effect of its own.
    fn counts_positions(&self, check: &Check, origin: &CheckOrigin) {
        for step in counted(&check.form) {
            let by_position = self.info(step).is_some_and(|info| info.default_dedupe_is_position);
            if self.step(step).dedupe_by.is_none() && by_position {
                let name = &self.step(step).name;
                let message = format!("this counts every record of `{name}`: one that is delivered twice counts twice");
                let help =
                    format!("give `{name}` a `dedupe_by`: what makes its effect unique, such as the id of the payment");
                self.say("counts-positions", origin.name, message, &help);
            }
        }
    }

    fn requires_without_within(&self, check: &Check, origin: &CheckOrigin) {
        if let Form::Requires { within: None, requires, .. } = &check.form {
            let message = format!(
                "without `within` any earlier `{}` will do: near the start of the watch this stays undecided",
                self.step(*requires).name
            );
            self.say("requires-without-within", origin.place("requires"), message, "say how long before: `within: 1d`");
        }
    }

    fn beyond_retention(&self, check: &Check, origin: &CheckOrigin) {
        let Some(window) = longest_window(&check.form) else { return };
        for step in declared_steps(&check.form) {
            let Some(retention) = self.info(step).and_then(|info| info.retention) else { continue };
            if window > retention {
                let message = format!(
                    "{window} is longer than `{}` keeps its records ({retention}): after an outage they cannot be read again",
                    self.step(step).reads
                );
                let field = if origin.node.get("give_up").is_some() { "give_up" } else { "within" };
                self.say(
                    "beyond-retention",
                    origin.place(field),
                    message,
                    "shorten the window or lengthen the retention",
                );
                return;
            }
        }
    }

    fn polled_states(&self, check: &Check, origin: &CheckOrigin) {
        if let Form::States { field, .. } = &check.form
            && let Some(info) = self.info(field.step).filter(|info| info.skips_versions)
        {
            let reads = &self.step(field.step).reads;
            let (why, help) = match info.tells_operations {
                true => ("fetches values after they have changed", "let the writer say each state in a stream"),
                false => ("is a polled table", "use `capture: changes` to see every state"),
            };
            let message = format!("`{reads}` {why} and may skip states: any path of arrows will do");
            self.say("polled-states", origin.place("states"), message, help);
        }
    }
}

/// The shortest window of a form, and the pairs of steps whose times it compares.
fn windows(form: &Form) -> (Option<Span>, Vec<(StepId, StepId)>) {
    match form {
        Form::After(After { after, expect, deadline: Deadline::Within { within, .. }, .. }) => {
            let steps: Vec<StepId> = match expect {
                Expect::Any(any) => any.clone(),
                Expect::All(all) => all.iter().map(|(step, _)| *step).collect(),
            };
            (Some(*within), steps.into_iter().map(|step| (*after, step)).collect())
        }
        Form::Never { after, never, within, .. } => (*within, vec![(*after, *never)]),
        Form::Together { steps, within } => {
            let pairs = steps.iter().enumerate().flat_map(|(at, a)| steps[..at].iter().map(|b| (*b, *a)));
            (Some(*within), pairs.collect())
        }
        Form::Requires { step, requires, within } => (*within, vec![(*requires, *step)]),
        Form::Mirror { step, entry, within, .. } => (Some(*within), vec![(*step, *entry)]),
        _ => (None, Vec::new()),
    }
}

/// The steps whose effects a form counts or sums.
fn counted(form: &Form) -> Vec<StepId> {
    let mut steps: Vec<StepId> = match form {
        Form::AtMost { limits } => limits.iter().map(|(step, _)| *step).collect(),
        Form::Holds { program, .. } => {
            let counts = program.uses().iter().filter(|used| matches!(used.how, How::Count | How::Sum));
            counts.map(|used| used.step).collect()
        }
        Form::After(After { expect: Expect::All(all), .. }) => {
            all.iter().filter(|(_, count)| !matches!(count, Count::Fixed(1))).map(|(step, _)| *step).collect()
        }
        _ => Vec::new(),
    };
    steps.sort_unstable();
    steps.dedup();
    steps
}
