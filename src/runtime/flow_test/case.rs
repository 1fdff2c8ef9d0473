//! One test of a test file, checked against the flow.

use super::body;
use super::read::{Case, Expected, Stretch, TestRecord, Undecided, parts, unknown_source};
use crate::flow::diagnostic::{Diagnostics, Problem};
use crate::flow::fields::{self, Fields};
use crate::flow::plan::{Deadline, Flow, Form};
use crate::flow::yaml::Node;
use crate::model::time::{Span, Time};
use crate::model::verdict::{Class, Reason, Status};

/// What reading a test needs to know.
pub(super) struct Context<'a> {
    pub flow: &'a Flow,
    /// The names of the sources.
    pub sources: &'a [String],
    pub start: Time,
    pub diagnostics: &'a Diagnostics<'a>,
}

impl Context<'_> {
    /// Reads one test. What is wrong with it is told; then it should not run.
    pub fn case(&self, node: &Node) -> Option<Case> {
        let fields = Fields::new(node, "a test", self.diagnostics)?;
        fields.required("name", "say in a few words what happens: `name: a payment that never comes`");
        let name = fields.text("name");
        let records: Vec<TestRecord> = self.items(&fields, "records", |item| self.record(item));
        let outages: Vec<Stretch> = self.items(&fields, "outages", |item| self.stretch(item, "an outage"));
        let gaps: Vec<Stretch> = self.items(&fields, "gaps", |item| self.stretch(item, "a gap"));
        let expect = self.items(&fields, "expect", |item| self.expected(item));
        let undecided = self.items(&fields, "undecided", |item| self.undecided(item));
        let ends = outages.iter().chain(&gaps).flat_map(|stretch| [stretch.from, stretch.to]).flatten();
        let last = records.iter().map(|record| record.at).chain(ends).max().unwrap_or(Span::ZERO);
        let until = fields.duration("until");
        if until.is_none() && self.flow.checks.iter().any(|check| matches!(check.form, Form::Schedule { .. })) {
            let problem =
                Problem::error("missing-field", node.place, "this flow has a `schedule`: say how long it is watched");
            problem.help("`until: 1d`; every due time before that is judged").report(self.diagnostics);
        }
        if let Some(until) = until.as_ref().filter(|until| until.value < last) {
            let problem =
                Problem::error("too-short", until.place, format!("something happens at {last}, later than this"));
            problem.help("give the test more time, or leave `until` out").report(self.diagnostics);
        }
        fields.finish();
        let until = until.map_or_else(|| far_enough(self.flow, self.start, last), |until| until.value);
        let line = self.diagnostics.line(node.place);
        Some(Case { name: name?.value, line, records, outages, gaps, until, expect, undecided })
    }

    fn items<T>(&self, fields: &Fields<'_>, name: &'static str, read: impl Fn(&Node) -> Option<T>) -> Vec<T> {
        let items = fields.get(name).and_then(|node| fields::list(node, name, self.diagnostics));
        items.unwrap_or_default().iter().filter_map(read).collect()
    }

    fn record(&self, node: &Node) -> Option<TestRecord> {
        let fields = Fields::new(node, "a record", self.diagnostics)?;
        fields.required("at", "say when, counted from the start: `at: 3s`");
        let at = fields.duration("at");
        let source = self.source(&fields);
        if let (Some(_), Some(row)) = (fields.get("body"), fields.get("row")) {
            Problem::error("wrong-field", row.place, "`row` is another word for `body`, and both are here")
                .help("keep one of them")
                .report(self.diagnostics);
        }
        let body = fields.get("body").or(fields.get("row"));
        let op = fields.text("op");
        let key = fields.text("key").map(|key| key.value);
        let ignored = fields.bool("ignored").unwrap_or(false);
        fields.finish();
        let (at, (reads, select)) = (at?.value, source?);
        let op = op.as_ref().map(|op| op.value.as_str());
        let payload = body::payload(body, self.start + at, op, self.diagnostics)?;
        Some(TestRecord { at, reads, select, payload, key, ignored, line: self.diagnostics.line(node.place) })
    }

    /// The record's source. It need not be said where all steps read the same.
    fn source(&self, fields: &Fields<'_>) -> Option<(String, Option<String>)> {
        let mut read: Vec<(&str, Option<&str>)> =
            self.flow.steps.iter().map(|step| (step.reads.as_str(), step.select.as_deref())).collect();
        read.sort_unstable();
        read.dedup();
        let owned = |(source, select): (&str, Option<&str>)| (source.to_owned(), select.map(str::to_owned));
        if let ([only], false) = (&read[..], fields.has("source")) {
            return Some(owned(*only));
        }
        fields.required("source", "say which source yields it, as the step says in `from`: `source: events.orders`");
        let text = fields.text("source")?;
        let wanted = parts(&text.value);
        if read.contains(&wanted) || read.contains(&(wanted.0, None)) {
            return Some(owned(wanted));
        }
        let written = |(source, select): &(&str, Option<&str>)| match select {
            Some(select) => format!("{source}.{select}"),
            None => (*source).to_owned(),
        };
        let names: Vec<String> = read.iter().map(written).collect();
        unknown_source(&text, names.iter().map(String::as_str), self.diagnostics);
        None
    }

    fn stretch(&self, node: &Node, what: &str) -> Option<Stretch> {
        let fields = Fields::new(node, what, self.diagnostics)?;
        fields.required("source", "say of which source: `{source: events, from: 10m, to: 20m}`");
        let source = fields.text("source");
        let (from, to) = (fields.duration("from"), fields.duration("to"));
        fields.finish();
        let source = source?;
        if !self.sources.contains(&source.value) {
            unknown_source(&source, self.sources.iter().map(String::as_str), self.diagnostics);
        }
        if let (Some(from), Some(to)) = (&from, &to)
            && from.value > to.value
        {
            let problem = Problem::error("empty-gap", to.place, format!("{what} ends before it begins"));
            problem.help("swap `from` and `to`").report(self.diagnostics);
        }
        Some(Stretch { reads: source.value, from: from.map(|from| from.value), to: to.map(|to| to.value) })
    }

    fn expected(&self, node: &Node) -> Option<Expected> {
        let fields = Fields::new(node, "an expected finding", self.diagnostics)?;
        let expected = self.about(&fields);
        let class = fields.choice("class", &Class::ALL.iter().map(|class| (class.name(), *class)).collect::<Vec<_>>());
        let status = fields.choice("status", &[("open", Status::Open), ("healed", Status::Healed)]);
        fields.finish();
        expected.map(|expected| Expected { class, status, ..expected })
    }

    fn undecided(&self, node: &Node) -> Option<Undecided> {
        let fields = Fields::new(node, "an undecided check", self.diagnostics)?;
        let about = self.about(&fields);
        let reason =
            fields.choice("reason", &Reason::ALL.iter().map(|reason| (reason.name(), *reason)).collect::<Vec<_>>());
        fields.finish();
        let about = about?;
        if matches!(self.flow.checks[about.check as usize].form, Form::Schedule { .. }) {
            let problem =
                Problem::error("wrong-field", node.place, "a `schedule` has no transaction that could be undecided");
            problem.help("expect what it finds instead").report(self.diagnostics);
        }
        Some(Undecided { about, reason })
    }

    /// Check, key and by.
    fn about(&self, fields: &Fields<'_>) -> Option<Expected> {
        const EXAMPLE: &str = "`{check: settled, key: o-1, class: missing_step, status: open}`";
        fields.required("check", EXAMPLE);
        fields.required("key", EXAMPLE);
        let (check, key, by) = (fields.text("check"), fields.text("key"), fields.text("by"));
        let check = check?;
        let Some(id) = self.flow.check_named(&check.value) else {
            let names = self.flow.checks.iter().map(|check| check.name.as_str());
            let problem = Problem::error("unknown-check", check.place, format!("there is no check `{}`", check.value));
            problem.suggest(&check.value, names).report(self.diagnostics);
            return None;
        };
        if let (Some(by), None) = (&by, self.flow.checks[id as usize].by) {
            let message = format!("the check `{}` has no `by`", check.value);
            Problem::error("wrong-field", by.place, message).help("remove it").report(self.diagnostics);
        }
        Some(Expected { check: id, key: key?.value, by: by.map(|by| by.value), class: None, status: None })
    }
}

/// When everything that has happened by `last` is surely judged.
fn far_enough(flow: &Flow, start: Time, last: Span) -> Span {
    let reach = |form: &Form| match form {
        Form::After(after) => match &after.deadline {
            Deadline::Within { within, give_up } => (*within).max(*give_up),
            Deadline::Due { cron, grace } => {
                cron.next_after(start + last).map_or(Span::ZERO, |due| Span(due.0 - (start + last).0)) + *grace
            }
            Deadline::End => Span::ZERO,
        },
        Form::Together { within, .. } | Form::Mirror { within, .. } | Form::Schedule { within, .. } => *within,
        Form::Never { within, .. }
        | Form::Requires { within, .. }
        | Form::Agree { within, .. }
        | Form::Holds { within, .. } => within.unwrap_or(Span::ZERO),
        Form::Forbid { .. } | Form::AtMost { .. } | Form::Order { .. } | Form::States { .. } => Span::ZERO,
    };
    let longest = flow.checks.iter().map(|check| reach(&check.form)).max().unwrap_or(Span::ZERO);
    last + longest + flow.linger + flow.linger
}
