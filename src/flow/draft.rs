//! A flow while it is being read: the plan's flow as it grows, and where its parts were written.

use super::compile::SourceInfo;
use super::diagnostic::{Diagnostics, Place, Problem, Spanned};
use super::format::Lateness;
use super::plan::{Condition, Expr, Field, FieldRef, Flow, Key, Root, Step};
use super::yaml::{Entry, Node};
use crate::model::{KeyId, StepId};

/// What reading needs besides the document itself.
#[derive(Clone, Copy)]
pub(super) struct Context<'a> {
    /// The sources of the configuration.
    pub sources: &'a [SourceInfo],
    /// The steps of the documents without a `flow`.
    pub shared: &'a [SharedStep<'a>],
    /// Where mistakes go.
    pub diagnostics: &'a Diagnostics<'a>,
}

/// A step that flows of the same folder may `use`.
pub(super) struct SharedStep<'a> {
    /// The folder.
    pub folder: &'a std::path::Path,
    /// Its name and its parts.
    pub entry: &'a Entry,
}

/// A flow as it grows. Until all flows are read, `Step::source` is an index into the configuration's
/// sources; then the plan's own take their place.
pub(super) struct Draft {
    /// What is known so far.
    pub flow: Flow,
    /// The flow's name.
    pub name: Place,
    /// Where each step comes from, by its id.
    pub steps: Vec<StepOrigin>,
    /// Where each check comes from, by its id.
    pub checks: Vec<CheckOrigin>,
}

/// Where a step was written.
pub(super) struct StepOrigin {
    /// Its name.
    pub name: Place,
    /// All its parts, those of the shared step that it uses among them.
    pub node: Node,
    /// The lateness of its own `time`.
    pub lateness: Option<Lateness>,
    /// Its keys could not be read; nothing more is said about them.
    pub keys_unknown: bool,
}

/// Where a check was written.
pub(super) struct CheckOrigin {
    /// Its name.
    pub name: Place,
    /// All its parts.
    pub node: Node,
}

impl CheckOrigin {
    /// The value of one of its fields, else its name.
    pub fn place(&self, field: &str) -> Place {
        self.node.get(field).map_or(self.name, |node| node.place)
    }
}

impl Draft {
    /// The id of a key name; a new one where it is not known yet.
    pub fn key_id(&mut self, name: &Spanned<String>, diagnostics: &Diagnostics<'_>) -> KeyId {
        if let Some(known) = self.flow.keys.iter().position(|key| key.name == name.value) {
            return known as KeyId;
        }
        if self.flow.keys.len() > usize::from(KeyId::MAX) {
            let message = format!("a flow has at most {} key names", usize::from(KeyId::MAX) + 1);
            Problem::error("too-many-keys", name.place, message).report(diagnostics);
            return 0;
        }
        self.flow.keys.push(Key { name: name.value.clone(), rank: None });
        (self.flow.keys.len() - 1) as KeyId
    }

    /// The key with this name.
    pub fn key(&self, name: &Spanned<String>, diagnostics: &Diagnostics<'_>) -> Option<KeyId> {
        let known = self.flow.keys.iter().position(|key| key.name == name.value);
        if known.is_none() {
            let names = self.flow.keys.iter().map(|key| key.name.as_str());
            let problem = Problem::error("unknown-key", name.place, format!("no step has a key `{}`", name.value));
            problem.suggest(&name.value, names).report(diagnostics);
        }
        known.map(|key| key as KeyId)
    }

    /// The step with this name.
    pub fn step(&self, name: &Spanned<String>, diagnostics: &Diagnostics<'_>) -> Option<StepId> {
        let found = self.flow.step_named(&name.value);
        if found.is_none() {
            let names = self.flow.steps.iter().map(|step| step.name.as_str());
            let problem = Problem::error("unknown-step", name.place, format!("there is no step `{}`", name.value));
            problem.suggest(&name.value, names).report(diagnostics);
        }
        found
    }

    /// The steps with these names; `None` where one is unknown.
    pub fn named(&self, names: &[Spanned<String>], diagnostics: &Diagnostics<'_>) -> Option<Vec<StepId>> {
        let ids: Vec<_> = names.iter().map(|name| self.step(name, diagnostics)).collect();
        ids.into_iter().collect()
    }

    /// The field that `step.field` names.
    pub fn field(&self, text: &Spanned<String>, diagnostics: &Diagnostics<'_>) -> Option<FieldRef> {
        let Some((step, field)) = text.value.split_once('.') else {
            let problem = Problem::error("bad-field", text.place, format!("`{}` names no field", text.value));
            problem.help("write `step.field`: a step and one of its kept fields, or its `time`").report(diagnostics);
            return None;
        };
        let step_text = Spanned { value: step.to_owned(), place: diagnostics.part(text, 0, step.len()) };
        let step = self.step(&step_text, diagnostics)?;
        let found = self.field_of(step, field);
        if found.is_none() {
            let place = diagnostics.part(text, text.value.len() - field.len(), field.len());
            self.unknown_field(step, field, place).report(diagnostics);
        }
        Some(FieldRef { step, field: found? })
    }

    /// A field of a step by its name.
    pub fn field_of(&self, step: StepId, name: &str) -> Option<Field> {
        if name == "time" {
            return Some(Field::Time);
        }
        self.kept(step, name).map(Field::Keep)
    }

    /// The index of a kept field.
    pub fn kept(&self, step: StepId, name: &str) -> Option<usize> {
        self.flow.steps[usize::from(step)].keep.iter().position(|(kept, _)| kept == name)
    }

    /// That a step does not keep a field.
    pub fn unknown_field(&self, step: StepId, field: &str, place: Place) -> Problem {
        let step = &self.flow.steps[usize::from(step)];
        let message = format!("the step `{}` keeps no field `{field}`", step.name);
        let kept = step.keep.iter().map(|(name, _)| name.as_str());
        let problem = Problem::error("unknown-kept-field", place, message);
        if step.keep.is_empty() {
            return problem.help(format!("add it to the step: `keep: {{{field}: body.{field}}}`"));
        }
        problem.suggest(field, kept.chain(["time"]))
    }

    /// Whether a step names a key.
    pub fn carries(&self, step: StepId, key: KeyId) -> bool {
        self.flow.steps[usize::from(step)].carries(key) || self.steps[usize::from(step)].keys_unknown
    }
}

impl Step {
    /// Whether it names a key.
    pub fn carries(&self, key: KeyId) -> bool {
        self.keys.iter().any(|(name, _)| *name == key)
    }

    /// All that it takes out of a record.
    pub fn exprs(&self) -> impl Iterator<Item = &Expr> {
        let keys = self.keys.iter().flat_map(|(_, exprs)| exprs);
        keys.chain(self.keep.iter().map(|(_, expr)| expr)).chain(&self.dedupe_by).chain(&self.time)
    }

    /// Whether it looks at this of a record, to match it or to take something out of it.
    pub fn reads(&self, root: Root) -> bool {
        self.when.reads(root) || self.exprs().any(|expr| expr.reads(root))
    }
}

impl Condition {
    fn reads(&self, root: Root) -> bool {
        match self {
            Condition::Always => false,
            Condition::Compare { path, .. } => path.root == root,
            Condition::All(parts) | Condition::Any(parts) => parts.iter().any(|part| part.reads(root)),
            Condition::Program(program) => program.paths().iter().any(|path| path.root == root),
        }
    }
}

impl Expr {
    fn reads(&self, root: Root) -> bool {
        match self {
            Expr::Path(path) => path.root == root,
            Expr::Literal(_) => false,
            Expr::Program(program) => program.paths().iter().any(|path| path.root == root),
        }
    }
}

/// Whether `text` can be the name of a step, a key or a kept field; tells it where it cannot.
pub(super) fn good_name(text: &Spanned<String>, what: &str, diagnostics: &Diagnostics<'_>) -> bool {
    let good = !text.value.is_empty() && text.value.chars().all(|c| c.is_alphanumeric() || c == '_' || c == '-');
    if !good {
        let message = format!("`{}` cannot be the name of {what}", text.value);
        let problem = Problem::error("bad-name", text.place, message);
        problem.help("names are made of letters, digits, `_` and `-`").report(diagnostics);
    }
    good
}
