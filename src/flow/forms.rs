//! Reading the forms of checks, one function a form.

use super::checks::shape;
use super::condition::expression_error;
use super::diagnostic::{Problem, Spanned};
use super::draft::{Context, Draft};
use super::expression::HoldsProgram;
use super::fields::{self, Fields};
use super::plan::{After, Anchor, Count, Cron, Deadline, Expect, Field, Form, Step};
use super::yaml::{Content, Node};
use crate::model::StepId;
use crate::model::time::Span;
use crate::model::value::Value;

/// Reads one check. Every function asks for all fields of its form before it gives up, so that a
/// field is unknown only where it does not belong.
pub(super) struct Reader<'a> {
    /// The check's name.
    pub name: &'a Spanned<String>,
    /// Its fields.
    pub fields: &'a Fields<'a>,
    /// The flow, with its steps.
    pub draft: &'a Draft,
    /// What else there is.
    pub context: &'a Context<'a>,
    /// The step that the check implies.
    pub implied: Option<Step>,
}

const ANCHORS: [(&str, Anchor); 3] = [("every", Anchor::Every), ("first", Anchor::First), ("last", Anchor::Last)];

impl Reader<'_> {
    pub(super) fn after(&self) -> Option<Form> {
        let after = self.step("after");
        let anchor = self.fields.choice("anchor", &ANCHORS).unwrap_or(Anchor::Every);
        if !self.fields.has("never") {
            self.need("expect", "after");
            let expect = self.fields.get("expect").and_then(|node| self.expect(node, after));
            let early = self.span("early").unwrap_or(Span::ZERO);
            let deadline = self.deadline();
            return Some(Form::After(After { after: after?, anchor, expect: expect?, early, deadline: deadline? }));
        }
        if self.fields.has("expect") {
            let problem = Problem::error("two-forms", self.name.place, "a check says `expect` or `never`, not both");
            problem.help("write two checks").report(self.context.diagnostics);
            self.fields.get("expect");
        }
        let never = self.step("never");
        let within = self.span("within");
        Some(Form::Never { after: after?, anchor, never: never?, within })
    }

    /// `B`, `{any: […]}`, `{all: […]}` or `{count: {B: 3}}`.
    fn expect(&self, node: &Node, after: Option<StepId>) -> Option<Expect> {
        let diagnostics = self.context.diagnostics;
        match &node.content {
            Content::List(_) => {
                let message = "a list says neither whether all must come nor whether one is enough";
                let problem = Problem::error("bad-expect", node.place, message);
                problem.help("write `{all: […]}` or `{any: […]}`").report(diagnostics);
                None
            }
            Content::Map(_) => {
                let fields = Fields::new(node, "`expect`", diagnostics)?;
                let steps = |name| self.draft.named(&fields.texts(name)?, diagnostics);
                let any = steps("any").map(Expect::Any);
                let all = steps("all").map(|all| Expect::All(all.into_iter().map(|s| (s, Count::Fixed(1))).collect()));
                let counts = fields.get("count").and_then(|node| self.counts(node, after)).map(Expect::All);
                let written = ["any", "all", "count"].into_iter().filter(|name| fields.has(name)).count();
                fields.finish();
                if written != 1 {
                    let problem =
                        Problem::error("bad-expect", node.place, "`expect` says one of `any`, `all`, `count`");
                    problem.help("`{any: [B, C]}`, `{all: [B, C]}` or `{count: {B: 3}}`").report(diagnostics);
                    return None;
                }
                any.or(all).or(counts)
            }
            _ => {
                let step = fields::text(node, "expect", diagnostics)?;
                Some(Expect::Any(vec![self.draft.step(&step, diagnostics)?]))
            }
        }
    }

    /// `{B: 3}`, or `{B: a.lines}` with a kept field of A.
    fn counts(&self, node: &Node, after: Option<StepId>) -> Option<Vec<(StepId, Count)>> {
        let diagnostics = self.context.diagnostics;
        let mut counts = Vec::new();
        for entry in fields::map(node, "count", diagnostics)? {
            let step = self.draft.step(&entry.key, diagnostics);
            let text = fields::text(&entry.value, "count", diagnostics)?;
            if let Ok(number) = text.value.parse::<u64>() {
                if number == 0 {
                    let problem = Problem::error("bad-count", text.place, "at least none is always there");
                    problem.help("say how many must come, or use `never`").report(diagnostics);
                }
                counts.push((step?, Count::Fixed(number)));
                continue;
            }
            let field = self.draft.field(&text, diagnostics)?;
            if after.is_some_and(|after| after != field.step) || field.field == Field::Time {
                let message = "a count is a number or a kept field of the step under `after`";
                Problem::error("bad-count", text.place, message).report(diagnostics);
            }
            counts.push((step?, Count::Field(field)));
        }
        Some(counts)
    }

    fn deadline(&self) -> Option<Deadline> {
        let (within, due) = (self.fields.get("within"), self.fields.get("due"));
        if let (Some(_), Some(due)) = (within, due) {
            let problem = Problem::error("two-deadlines", due.place, "a check has `within` or `due`, not both");
            problem.help("remove one of them").report(self.context.diagnostics);
        }
        if self.fields.has("due") {
            let grace = self.span("grace").unwrap_or(Span::ZERO);
            return Some(Deadline::Due { cron: self.cron("due")?, grace });
        }
        self.fields.required("within", "say by when: `within: 5m`, `due: \"0 3 * * *\"` or `within: end`");
        if within?.scalar().is_some_and(|scalar| scalar.text == "end") {
            return Some(Deadline::End);
        }
        let give_up = self.fields.duration("give_up");
        let within = self.span("within")?;
        if let Some(short) = give_up.as_ref().filter(|give_up| give_up.value < within) {
            let message = format!("it would be given up before it is due, {within} after the step");
            let problem = Problem::error("bad-give-up", short.place, message);
            problem.help("`give_up` is at least as long as `within`").report(self.context.diagnostics);
        }
        Some(Deadline::Within { within, give_up: give_up.map_or(within, |give_up| give_up.value) })
    }

    pub(super) fn forbid(&self) -> Option<Form> {
        Some(Form::Forbid { step: self.step("forbid")? })
    }

    pub(super) fn together(&self) -> Option<Form> {
        let steps = self.steps("together");
        self.need("within", "together");
        let within = self.span("within");
        Some(Form::Together { steps: steps?, within: within? })
    }

    pub(super) fn order(&self) -> Option<Form> {
        Some(Form::Order { steps: self.steps("order")? })
    }

    pub(super) fn at_most(&self) -> Option<Form> {
        let diagnostics = self.context.diagnostics;
        let mut limits = Vec::new();
        for entry in fields::map(self.fields.get("at_most")?, "at_most", diagnostics)? {
            let step = self.draft.step(&entry.key, diagnostics);
            let limit = fields::number(&entry.value, &entry.key.value, diagnostics);
            if let Some(zero) = limit.as_ref().filter(|limit| limit.value == 0) {
                let problem = Problem::error("bad-count", zero.place, "`at_most` begins at 1");
                problem.help(format!("say `forbid: {}`", entry.key.value)).report(diagnostics);
            }
            limits.extend(step.zip(limit.map(|limit| limit.value)));
        }
        Some(Form::AtMost { limits })
    }

    pub(super) fn requires(&self) -> Option<Form> {
        self.need("step", "requires");
        let (step, requires) = (self.step("step"), self.step("requires"));
        let within = self.span("within");
        Some(Form::Requires { step: step?, requires: requires?, within })
    }

    pub(super) fn agree(&self) -> Option<Form> {
        let texts = self.fields.texts("agree");
        let within = self.span("within");
        let tolerance = self.fields.text("tolerance").and_then(|text| self.decimal(&text));
        let fields: Vec<_> = texts?.iter().map(|text| self.draft.field(text, self.context.diagnostics)).collect();
        Some(Form::Agree { fields: fields.into_iter().collect::<Option<_>>()?, tolerance, within })
    }

    fn decimal(&self, text: &Spanned<String>) -> Option<Value<'static>> {
        let value = Value::Number(text.value.clone().into());
        let good = value.decimal().is_some_and(|decimal| !decimal.is_sign_negative());
        if !good {
            let message = format!("`{}` is not a decimal from 0 up", text.value);
            let problem = Problem::error("bad-number", text.place, message);
            problem.help("write it like `tolerance: 0.01`").report(self.context.diagnostics);
        }
        good.then_some(value)
    }

    pub(super) fn holds(&self) -> Option<Form> {
        let within = self.span("within");
        let text = self.fields.text("holds")?;
        let resolve = |step: &str, field: Option<&str>| self.resolve(step, field);
        match HoldsProgram::compile(&text.value, &resolve) {
            Ok(program) => Some(Form::Holds { program, within }),
            Err(error) => {
                expression_error(&text, &error, self.context.diagnostics).report(self.context.diagnostics);
                None
            }
        }
    }

    /// The step and field that a `holds` names; else a sentence with the remedy.
    fn resolve(&self, step: &str, field: Option<&str>) -> Result<(StepId, Option<Field>), String> {
        let flow = &self.draft.flow;
        let Some(id) = flow.step_named(step) else {
            let names: Vec<&str> = flow.steps.iter().map(|step| step.name.as_str()).collect();
            let near = super::diagnostic::nearest(step, &names);
            let near = near.map_or_else(String::new, |near| format!("; did you mean `{near}`?"));
            return Err(format!("there is no step `{step}`{near}"));
        };
        let Some(name) = field else { return Ok((id, None)) };
        match self.draft.field_of(id, name) {
            Some(field) => Ok((id, Some(field))),
            None => Err(self.draft.unknown_field(id, name, self.name.place).sentence()),
        }
    }

    pub(super) fn states(&self) -> Option<Form> {
        self.need("allow", "states");
        let field = self.fields.text("states").and_then(|text| self.draft.field(&text, self.context.diagnostics));
        let allow =
            self.fields.texts("allow").map(|arrows| arrows.iter().filter_map(|arrow| self.arrow(arrow)).collect());
        let values = |name| -> Vec<String> {
            self.fields.texts(name).unwrap_or_default().into_iter().map(|text| text.value).collect()
        };
        let (start, end) = (values("start"), values("end"));
        Some(Form::States { field: field?, allow: allow?, start, end })
    }

    fn arrow(&self, text: &Spanned<String>) -> Option<(String, String)> {
        let arrow = text.value.split_once("->").map(|(from, to)| (from.trim(), to.trim()));
        match arrow.filter(|(from, to)| !from.is_empty() && !to.is_empty() && !to.contains("->")) {
            Some((from, to)) => Some((from.to_owned(), to.to_owned())),
            None => {
                let problem = Problem::error("bad-arrow", text.place, format!("`{}` is not one arrow", text.value));
                problem.help("write one arrow between two values: `\"new -> paid\"`").report(self.context.diagnostics);
                None
            }
        }
    }

    pub(super) fn schedule(&self) -> Option<Form> {
        self.need("expect", "schedule");
        self.need("within", "schedule");
        let (cron, expect) = (self.cron("schedule"), self.step("expect"));
        let (within, early) = (self.span("within"), self.span("early").unwrap_or(Span::ZERO));
        Some(Form::Schedule { cron: cron?, expect: expect?, within: within?, early })
    }

    /// A cron schedule in the check's `zone`.
    fn cron(&self, field: &'static str) -> Option<Cron> {
        let zone = self.fields.zone("zone");
        let text = self.fields.text(field)?;
        match text.value.parse::<croner::Cron>() {
            Ok(schedule) => Some(Cron { text: text.value, zone: zone?, schedule: Box::new(schedule) }),
            Err(error) => {
                let error = error.to_string();
                let why = error.split_once(": ").map_or(error.as_str(), |(_, why)| why).trim_end_matches('.');
                let message = format!("`{}` is not a schedule ({})", text.value, why.to_lowercase());
                let problem = Problem::error("bad-schedule", text.place, message);
                let help = "five fields: minute, hour, day of month, month, day of week, such as `0 2 * * *`";
                problem.help(help).report(self.context.diagnostics);
                None
            }
        }
    }

    /// The field must be there.
    pub(super) fn need(&self, field: &'static str, form: &str) {
        self.fields.required(field, &format!("write it like `{}`", shape(form)));
    }

    pub(super) fn span(&self, field: &'static str) -> Option<Span> {
        self.fields.duration(field).map(|span| span.value)
    }

    pub(super) fn step(&self, field: &'static str) -> Option<StepId> {
        self.draft.step(&self.fields.text(field)?, self.context.diagnostics)
    }

    /// Two or more steps, each once.
    fn steps(&self, field: &'static str) -> Option<Vec<StepId>> {
        let texts = self.fields.texts(field)?;
        let steps = self.draft.named(&texts, self.context.diagnostics)?;
        let again = (1..steps.len()).find(|at| steps[..*at].contains(&steps[*at]));
        if let Some(again) = again {
            let problem = Problem::error("step-twice", texts[again].place, "this step is named twice");
            problem.help("name it once").report(self.context.diagnostics);
        } else if steps.len() < 2 {
            let place = texts.first().map_or(self.name.place, |text| text.place);
            let problem = Problem::error("too-few-steps", place, format!("`{field}` needs two steps or more"));
            problem.help(format!("write it like `{}`", shape(field))).report(self.context.diagnostics);
        }
        Some(steps)
    }
}

/// The steps that a form names, without the one that it implies.
pub(super) fn declared_steps(form: &Form) -> Vec<StepId> {
    match form {
        Form::Mirror { step, .. } => vec![*step],
        other => other.steps(),
    }
}

/// The longest `within` or `give_up` of a form.
pub(super) fn longest_window(form: &Form) -> Option<Span> {
    match form {
        Form::After(After { deadline: Deadline::Within { within, give_up }, .. }) => Some((*within).max(*give_up)),
        Form::Together { within, .. } | Form::Mirror { within, .. } | Form::Schedule { within, .. } => Some(*within),
        Form::Never { within, .. }
        | Form::Requires { within, .. }
        | Form::Agree { within, .. }
        | Form::Holds { within, .. } => *within,
        Form::After(_) | Form::Forbid { .. } | Form::AtMost { .. } | Form::Order { .. } | Form::States { .. } => None,
    }
}
