//! Reading the steps of a flow.

use super::compile::SourceInfo;
use super::condition::{condition, expr, path};
use super::diagnostic::{Place, Problem, Spanned};
use super::draft::{Context, Draft, StepOrigin, good_name};
use super::fields::{self, Fields};
use super::format::Lateness;
use super::plan::{Condition, Expr, Path, Root, Step};
use super::yaml::{Content, Entry, Node};
use crate::model::value::Value;
use crate::model::{KeyId, SourceId};

/// Reads all steps. A step with mistakes is there as well, so that its name is known.
pub(super) fn read(node: &Node, draft: &mut Draft, context: &Context<'_>) {
    for entry in fields::map(node, "steps", context.diagnostics).unwrap_or_default() {
        if !good_name(&entry.key, "a step", context.diagnostics) {
            continue;
        }
        let node = match entry.value.get("use") {
            Some(shared) => used(&entry.value, shared, context),
            None => Some(entry.value.clone()),
        };
        // What could not be taken over has been told, and what it lacks is not missing.
        let known = node.is_some();
        let node = node.unwrap_or(Node { place: entry.value.place, content: Content::Refused });
        let mut origin = StepOrigin { name: entry.key.place, node, lateness: None, keys_unknown: !known };
        let step = step(&entry.key.value, &mut origin, draft, context);
        draft.flow.steps.push(step);
        draft.steps.push(origin);
    }
}

fn step(name: &str, origin: &mut StepOrigin, draft: &mut Draft, context: &Context<'_>) -> Step {
    let mut step = Step {
        name: name.to_owned(),
        source: 0,
        reads: String::new(),
        select: None,
        when: Condition::Always,
        keys: Vec::new(),
        keep: Vec::new(),
        dedupe_by: None,
        time: None,
        each: None,
        carries_flow_key: false,
        closure: Vec::new(),
        binders: Vec::new(),
        entry: None,
    };
    let what = format!("the step `{name}`");
    let Some(fields) = Fields::new(&origin.node, &what, context.diagnostics) else {
        origin.keys_unknown = true;
        return step;
    };
    fields.required("from", "name the source that its records come from: `from: events`");
    if let Some((source, select)) = fields.text("from").and_then(|text| source(&text, context)) {
        step.source = source;
        step.reads = context.sources[usize::from(source)].name.clone();
        step.select = select;
    }
    step.each = fields.text("each").and_then(|text| path(&text, "each", context.diagnostics));
    let each = fields.has("each");
    fields.has("use");
    let expression = |name| expr(&fields.text(name)?, each, context.diagnostics);
    if let Some(text) = fields.text("when") {
        step.when = condition(&text, each, context.diagnostics).unwrap_or(Condition::Always);
    }
    step.dedupe_by = expression("dedupe_by");
    step.time = expression("time");
    let lateness = fields.lateness("lateness");
    match fields.get("key").map(|node| keys(node, each, draft, context)) {
        Some(Some(keys)) => step.keys = keys,
        Some(None) => origin.keys_unknown = true,
        None => origin.keys_unknown = fields.has("key"),
    }
    step.carries_flow_key = step.keys.first().is_some_and(|(key, _)| *key == 0);
    step.keep = fields.get("keep").and_then(|node| keep(node, each, context)).unwrap_or_default();
    captured(&mut step, fields.get("from"), draft, context);
    check_time(&step, &fields, context);
    fields.finish();
    origin.lateness = lateness;
    step
}

/// Of a captured table each step has one more key, the row's own: a delete that says nothing else still joins what its
/// row had joined. And a step that does not ask for `op` means rows, as they would be polled: deletes are none.
fn captured(step: &mut Step, from: Option<&Node>, draft: &mut Draft, context: &Context<'_>) {
    let captures = |source: &SourceInfo| source.name == step.reads && source.captures_changes;
    let Some(from) = from.filter(|_| context.sources.iter().any(captures)) else { return };
    if !step.reads(Root::Op) {
        let is_not = |op: &'static str| Condition::Compare {
            path: Path { root: Root::Op, segments: Vec::new() },
            literal: Value::Text(op.into()),
            equal: false,
        };
        let asked = std::mem::replace(&mut step.when, Condition::Always);
        let rest = if matches!(asked, Condition::Always) { None } else { Some(asked) };
        step.when = Condition::All(rest.into_iter().chain([is_not("delete"), is_not("truncate")]).collect());
    }
    if let Some(table) = &step.select {
        let name = Spanned { value: format!("@{}.{table}", step.reads), place: from.place };
        let key = draft.key_id(&name, context.diagnostics);
        step.keys.push((key, vec![Expr::Path(Path { root: Root::Key, segments: Vec::new() })]));
    }
}

/// A time is needed, the source's or the step's own, and a lateness belongs to a time.
fn check_time(step: &Step, fields: &Fields<'_>, context: &Context<'_>) {
    let source = context.sources.iter().find(|source| source.name == step.reads);
    if !fields.has("time") && fields.has("lateness") {
        let place = fields.get("lateness").map_or(fields.node().place, |node| node.place);
        let problem =
            Problem::error("lateness-without-time", place, "a step has a lateness only with a `time` of its own");
        problem.help("give the step its `time`, or set the lateness of the source").report(context.diagnostics);
    }
    if let (false, Some(from)) = (fields.has("time"), fields.get("from")) {
        has_time(source, from, context);
    }
}

/// Without a `time` of the step, the source must have one.
pub(super) fn has_time(source: Option<&SourceInfo>, written: &Node, context: &Context<'_>) {
    if let Some(source) = source.filter(|source| !source.has_time) {
        let message = format!("the source `{}` says nothing of event time", source.name);
        let help = "give the source a `time: body.…` in the configuration, or the step one of its own";
        Problem::error("no-time", written.place, message).help(help).report(context.diagnostics);
    }
}

/// The source that `source` or `source.table` names, as an index into the configuration's.
pub(super) fn source(text: &Spanned<String>, context: &Context<'_>) -> Option<(SourceId, Option<String>)> {
    let find = |name: &str| context.sources.iter().position(|source| source.name == name).map(|at| at as SourceId);
    if let Some(source) = find(&text.value) {
        return Some((source, None));
    }
    let (name, select) = text.value.split_once('.').unwrap_or((&text.value, ""));
    match find(name) {
        Some(source) if !select.is_empty() => Some((source, Some(select.to_owned()))),
        _ => {
            let place = context.diagnostics.part(text, 0, name.len());
            let problem = Problem::error("unknown-source", place, format!("there is no source `{name}`"));
            let names = context.sources.iter().map(|source| source.name.as_str());
            problem.suggest(name, names).report(context.diagnostics);
            None
        }
    }
}

/// Key names with what gives their values, the flow's own first.
fn keys(node: &Node, each: bool, draft: &mut Draft, context: &Context<'_>) -> Option<Vec<(KeyId, Vec<Expr>)>> {
    let mut keys = Vec::new();
    for entry in fields::map(node, "key", context.diagnostics)? {
        if !good_name(&entry.key, "a key", context.diagnostics) {
            continue;
        }
        let texts = fields::texts(&entry.value, &entry.key.value, context.diagnostics).unwrap_or_default();
        let values = texts.iter().filter_map(|text| expr(text, each, context.diagnostics)).collect();
        keys.push((draft.key_id(&entry.key, context.diagnostics), values));
    }
    keys.sort_by_key(|(key, _)| *key != 0);
    Some(keys)
}

fn keep(node: &Node, each: bool, context: &Context<'_>) -> Option<Vec<(String, Expr)>> {
    let mut keep = Vec::new();
    for entry in fields::map(node, "keep", context.diagnostics)? {
        if entry.key.value == "time" {
            let message = "`time` cannot be the name of a kept field: `step.time` is the event time";
            let problem = Problem::error("reserved-name", entry.key.place, message);
            problem
                .help("call it something else, or leave it out where the event time is meant")
                .report(context.diagnostics);
            continue;
        }
        if !good_name(&entry.key, "a kept field", context.diagnostics) {
            continue;
        }
        let text = fields::text(&entry.value, &entry.key.value, context.diagnostics);
        let value = text.and_then(|text| expr(&text, each, context.diagnostics));
        // A mistake has been told; the name is known all the same.
        keep.push((entry.key.value.clone(), value.unwrap_or(Expr::Literal(Value::Null))));
    }
    Some(keep)
}

/// The parts of the shared step that `name` names, with those that this step adds.
fn used(own: &Node, name: &Node, context: &Context<'_>) -> Option<Node> {
    let name = fields::text(name, "use", context.diagnostics)?;
    let file = |place: Place| context.diagnostics.documents()[place.document].path.as_path();
    let folder = file(name.place).parent()?;
    let near: Vec<_> = context.shared.iter().filter(|shared| shared.folder == folder).collect();
    let Some(shared) = near.iter().find(|shared| shared.entry.key.value == name.value) else {
        let message = format!("there is no shared step `{}`", name.value);
        let problem = Problem::error("unknown-shared-step", name.place, message);
        let names: Vec<&str> = near.iter().map(|shared| shared.entry.key.value.as_str()).collect();
        match names.is_empty() {
            true => problem.help("shared steps stand in a document with `steps:` and no `flow:` in the same folder"),
            false => problem.suggest(&name.value, names),
        }
        .report(context.diagnostics);
        return None;
    };
    let mut entries = shared.entry.value.entries()?.to_vec();
    for entry in own.entries()?.iter().filter(|entry| entry.key.value != "use") {
        add(&mut entries, entry, context);
    }
    Some(Node { place: own.place, content: Content::Map(entries) })
}

/// Adds a part to those of a shared step: names to its `key` and `keep`, else what it does not have.
fn add(entries: &mut Vec<Entry>, own: &Entry, context: &Context<'_>) {
    let Some(theirs) = entries.iter_mut().find(|entry| entry.key.value == own.key.value) else {
        return entries.push(own.clone());
    };
    let names = matches!(own.key.value.as_str(), "key" | "keep");
    if let (true, Content::Map(theirs), Content::Map(mine)) = (names, &mut theirs.value.content, &own.value.content) {
        for entry in mine {
            match theirs.iter().find(|known| known.key.value == entry.key.value) {
                Some(_) => conflict(&entry.key, context),
                None => theirs.push(entry.clone()),
            }
        }
    } else {
        conflict(&own.key, context);
    }
}

fn conflict(name: &Spanned<String>, context: &Context<'_>) {
    let message = format!("the shared step has `{}` already, and a step that uses it can only add", name.value);
    let problem = Problem::error("use-conflict", name.place, message);
    problem.help("remove it here, or write the step out without `use`").report(context.diagnostics);
}

impl Fields<'_> {
    /// A lateness: a duration, or `end`.
    pub fn lateness(&self, name: &'static str) -> Option<Lateness> {
        let node = self.get(name)?;
        if node.scalar().is_some_and(|scalar| scalar.text == "end") {
            return Some(Lateness::End);
        }
        self.duration(name).map(|span| Lateness::Span(span.value))
    }
}
