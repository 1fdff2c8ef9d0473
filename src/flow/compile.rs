//! From documents to the plan: reads every flow, resolves what they name, tells all mistakes.

use super::diagnostic::{Diagnostic, Diagnostics, Document, Place, Problem};
use super::draft::{Context, Draft, SharedStep};
use super::fields::{self, Fields};
use super::format::Lateness;
use super::forms::longest_window;
use super::plan::{Carries, Clock, Flow, Form, Key, Plan, Source, Step};
use super::yaml::{self, Node};
use super::{checks, ranks, steps, warnings};
use crate::model::time::Span;
use crate::model::{SourceId, StepId};
use serde::{Deserialize, Serialize};
use std::path::Path;

/// What the flow language needs to know of a source of the configuration.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SourceInfo {
    /// Its name.
    pub name: String,
    /// What it carries.
    pub carries: Carries,
    /// Whose clock stamps its records.
    pub clock: Clock,
    /// The unit its times are rounded to; zero where they are exact.
    pub resolution: Span,
    /// The longest span from an event's time to its being visible.
    pub lateness: Span,
    /// In no order of time at all.
    pub lateness_end: bool,
    /// It may skip versions of a row, and shows no deletes (polling).
    pub skips_versions: bool,
    /// Though it skips versions, its records tell what was done, deletes too.
    pub tells_operations: bool,
    /// It tells every change of a row, and says by the row's key which one it is of: a delete says no more than that
    /// (change capture).
    pub captures_changes: bool,
    /// Its records have an event time without a step's `time`.
    pub has_time: bool,
    /// Without a `dedupe_by`, each of its records is an effect of its own.
    pub default_dedupe_is_position: bool,
    /// How long it keeps its records.
    pub retention: Option<Span>,
}

/// The least that stragglers are waited for, where the flow does not say.
const LINGER_MIN: Span = Span::seconds(3600);

/// The name of the flow that a document describes; `None` for shared steps.
pub fn name_of(document: &Document) -> Option<String> {
    let root = yaml::parse(0, &Diagnostics::new(std::slice::from_ref(document)))?;
    Some(root.get("flow")?.scalar()?.text.clone())
}

/// Compiles all flows. The plan is there where nothing is wrong; warnings may come with it.
pub fn compile(documents: &[Document], sources: &[SourceInfo], clock_skew: Span) -> (Option<Plan>, Vec<Diagnostic>) {
    let diagnostics = Diagnostics::new(documents);
    let roots: Vec<Option<Node>> = (0..documents.len()).map(|at| yaml::parse(at, &diagnostics)).collect();
    let shared = shared_steps(&roots, &diagnostics);
    let context = Context { sources, shared: &shared, diagnostics: &diagnostics };
    let flows = roots.iter().flatten().filter(|root| !is_shared(root));
    let mut drafts: Vec<Draft> = flows.filter_map(|root| flow(root, &context)).collect();
    names_once(&drafts, &diagnostics);
    if diagnostics.has_errors() {
        return (None, diagnostics.into_list());
    }
    let mut plan = Plan { flows: Vec::new(), sources: Vec::new(), clock_skew };
    place_sources(&mut drafts, sources, &mut plan);
    for draft in &mut drafts {
        ranks::close(&mut draft.flow);
        plan.flows.push(draft.flow.clone());
    }
    for draft in &drafts {
        warnings::warn(draft, &plan, &context);
    }
    (Some(plan), diagnostics.into_list())
}

/// A document with `steps:` and nothing of a flow holds steps for the flows of its folder.
fn is_shared(root: &Node) -> bool {
    root.get("steps").is_some() && ["flow", "key", "checks"].iter().all(|field| root.get(field).is_none())
}

fn shared_steps<'a>(roots: &'a [Option<Node>], diagnostics: &'a Diagnostics<'a>) -> Vec<SharedStep<'a>> {
    let mut shared: Vec<SharedStep<'a>> = Vec::new();
    for root in roots.iter().flatten().filter(|root| is_shared(root)) {
        let path: &Path = &diagnostics.documents()[root.place.document].path;
        let folder = path.parent().unwrap_or(Path::new(""));
        let Some(fields) = Fields::new(root, "a document of shared steps", diagnostics) else { continue };
        fields.text("about");
        fields.text("owner");
        let entries = fields.get("steps").and_then(|node| fields::map(node, "steps", diagnostics)).unwrap_or_default();
        fields.finish();
        for entry in entries {
            let name = &entry.key;
            if shared.iter().any(|known| known.folder == folder && known.entry.key.value == name.value) {
                let message = format!("there is a shared step `{}` in this folder already", name.value);
                let problem = Problem::error("duplicate-name", name.place, message);
                problem.help("give it another name").report(diagnostics);
            }
            if let Some(nested) = entry.value.get("use") {
                let problem = Problem::error("nested-use", nested.place, "a shared step cannot use another one");
                problem.help("write it out").report(diagnostics);
            }
            shared.push(SharedStep { folder, entry });
        }
    }
    shared
}

/// Reads one flow.
fn flow(root: &Node, context: &Context<'_>) -> Option<Draft> {
    let diagnostics = context.diagnostics;
    let fields = Fields::new(root, "a flow", diagnostics)?;
    fields.required("flow", "name the flow: `flow: order-payment`");
    let name = fields.text("flow");
    fields.required("key", "name the key that identifies a transaction: `key: order_id`");
    let key = fields.text("key");
    let text = |field| fields.text(field).map_or_else(String::new, |text| text.value);
    let flow = Flow {
        name: name.as_ref().map_or_else(String::new, |name| name.value.clone()),
        about: text("about"),
        owner: text("owner"),
        keys: vec![Key { name: key.as_ref().map_or_else(String::new, |key| key.value.clone()), rank: Some(0) }],
        begins: Vec::new(),
        linger: LINGER_MIN,
        steps: Vec::new(),
        checks: Vec::new(),
        sources: Vec::new(),
    };
    let place = name.as_ref().map_or(root.place, |name| name.place);
    let mut draft = Draft { flow, name: place, steps: Vec::new(), checks: Vec::new() };
    if let Some(node) = fields.required("steps", "a flow has steps: `steps: {placed: {from: …, key: {…}}}`") {
        steps::read(node, &mut draft, context);
    }
    ranks::rank(&mut draft.flow);
    if let Some(node) = fields.get("checks") {
        checks::read(node, &mut draft, context);
        // A mirror's step may bring keys together that stood apart.
        ranks::rank(&mut draft.flow);
    }
    let begins = fields.texts("begins").unwrap_or_default();
    draft.flow.begins = draft.named(&begins, diagnostics).unwrap_or_default();
    let longest = draft.flow.checks.iter().filter_map(|check| longest_window(&check.form)).max();
    let linger = fields.duration("linger").map(|linger| linger.value);
    let twice = longest.map_or(Span::ZERO, |span| span + span);
    draft.flow.linger = linger.unwrap_or(twice.max(LINGER_MIN));
    let checks_written = fields.has("checks");
    fields.finish();
    if !checks_written {
        let problem = Problem::warning("no-checks", place, "this flow has no `checks`, so nothing is ever judged");
        problem
            .help("say what must hold: `checks: {paid: {after: placed, expect: paid, within: 30m}}`")
            .report(diagnostics);
    }
    if let Some(key) = key {
        all_join(&draft, key.place, diagnostics);
    }
    Some(draft)
}

/// Every step must be able to reach a transaction, else it would always be missing.
fn all_join(draft: &Draft, key: Place, diagnostics: &Diagnostics<'_>) {
    let flow = &draft.flow;
    if draft.steps.iter().any(|step| step.keys_unknown) || flow.steps.is_empty() {
        return;
    }
    let only_scheduled = |id: StepId| {
        let mut users = flow.checks.iter().filter(|check| uses(check, id)).peekable();
        users.peek().is_some() && users.all(|check| matches!(check.form, Form::Schedule { .. }))
    };
    let own = &flow.keys[0].name;
    let lost = |(id, step): &(usize, &Step)| {
        step.keys.iter().all(|(key, _)| flow.keys[usize::from(*key)].rank.is_none()) && !only_scheduled(*id as StepId)
    };
    let lost: Vec<_> = flow.steps.iter().enumerate().filter(lost).collect();
    let none_carries = !flow.steps.iter().any(|step| step.carries_flow_key);
    if none_carries && !lost.is_empty() {
        let names = flow.keys[1..].iter().map(|key| key.name.as_str());
        let problem = Problem::error("unknown-key", key, format!("no step has the flow's key `{own}`"));
        return problem.suggest(own, names).report(diagnostics);
    }
    for (id, step) in lost {
        let message = match step.keys.is_empty() {
            true => format!("the step `{}` has no `key`, so it belongs to no transaction", step.name),
            false => format!("no key of the step `{}` is ever bound to a transaction", step.name),
        };
        let problem = Problem::error("unreachable-step", draft.steps[id].name, message);
        problem.help(format!("give it `{own}`, or a key that another step has beside `{own}`")).report(diagnostics);
    }
}

/// Whether a check names a step, in its form or in `given` and `unless`.
pub(super) fn uses(check: &super::plan::Check, step: StepId) -> bool {
    check.form.steps().contains(&step) || check.given.contains(&step) || check.unless.contains(&step)
}

fn names_once(drafts: &[Draft], diagnostics: &Diagnostics<'_>) {
    for (at, draft) in drafts.iter().enumerate().filter(|(_, draft)| !draft.flow.name.is_empty()) {
        let Some(first) = drafts[..at].iter().find(|first| first.flow.name == draft.flow.name) else { continue };
        let file = diagnostics.documents()[first.name.document].path.display();
        let message = format!("there is a flow `{}` already, in {file}", draft.flow.name);
        let problem = Problem::error("duplicate-name", draft.name, message);
        problem.help("give it another name").report(diagnostics);
    }
}

/// Makes the plan's sources: those of the configuration that a step reads, in their order, then one
/// more for each step with a `time` of its own.
fn place_sources(drafts: &mut [Draft], infos: &[SourceInfo], plan: &mut Plan) {
    let mut placed: Vec<Option<SourceId>> = vec![None; infos.len()];
    for (at, info) in infos.iter().enumerate() {
        if drafts.iter().flat_map(|draft| &draft.flow.steps).any(|step| usize::from(step.source) == at) {
            placed[at] = Some(plan.sources.len() as SourceId);
            plan.sources.push(source_of(info));
        }
    }
    for draft in drafts {
        let Draft { flow, steps, .. } = draft;
        for (step, origin) in flow.steps.iter_mut().zip(steps) {
            let info = &infos[usize::from(step.source)];
            let Some(root) = placed[usize::from(step.source)] else { continue };
            step.source = root;
            if step.time.is_some() {
                step.source = plan.sources.len() as SourceId;
                plan.sources.push(own_clock(info, root, origin.lateness, &flow.name, &step.name));
            }
        }
    }
}

fn source_of(info: &SourceInfo) -> Source {
    Source {
        name: info.name.clone(),
        clock_of: None,
        carries: info.carries,
        clock: info.clock,
        resolution: info.resolution,
        lateness: info.lateness,
        skips_versions: info.skips_versions,
        lateness_end: info.lateness_end,
    }
}

/// The evidence of a step with a `time` of its own.
fn own_clock(info: &SourceInfo, root: SourceId, lateness: Option<Lateness>, flow: &str, step: &str) -> Source {
    let mut source = source_of(info);
    source.name = format!("{} ({flow}.{step})", info.name);
    source.clock_of = Some(root);
    match lateness {
        Some(Lateness::Span(span)) => (source.lateness, source.lateness_end) = (span, false),
        Some(Lateness::End) => source.lateness_end = true,
        None => {}
    }
    source
}
