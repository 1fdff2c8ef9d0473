//! Reading a `mirror`: the form, and the step that it implies.

use super::diagnostic::{Problem, Spanned};
use super::fields;
use super::forms::Reader;
use super::plan::{Condition, EntryPattern, Expr, Form, Path, Root, Segment, Step};
use super::steps::{has_time, source};
use crate::model::{KeyId, StepId};

impl Reader<'_> {
    pub(super) fn mirror(&mut self) -> Option<Form> {
        for field in ["in", "entry", "fields", "within"] {
            self.need(field, "mirror");
        }
        let step = self.step("mirror");
        let within = self.span("within");
        let cache = self.fields.text("in").and_then(|text| source(&text, self.context));
        let pattern = self.fields.text("entry").and_then(|text| self.pattern(&text));
        let pairs = step.and_then(|step| self.pairs(step));
        if let (Some((cache, _)), Some(node)) = (&cache, self.fields.get("in")) {
            has_time(self.context.sources.get(usize::from(*cache)), node, self.context);
        }
        self.check_name();
        let ((source, select), pattern, (keep, fields)) = (cache?, pattern?, pairs?);
        let mut keys: Vec<(KeyId, Vec<Expr>)> = pattern.parts.iter().map(|(_, key)| (*key, Vec::new())).collect();
        keys.sort_by_key(|(key, _)| *key != 0);
        self.implied = Some(Step {
            name: self.name.value.clone(),
            source,
            reads: self.context.sources[usize::from(source)].name.clone(),
            select,
            when: Condition::Always,
            carries_flow_key: keys.first().is_some_and(|(key, _)| *key == 0),
            keys,
            keep,
            dedupe_by: None,
            time: None,
            each: None,
            closure: Vec::new(),
            binders: Vec::new(),
            entry: Some(pattern),
        });
        let entry = self.draft.flow.steps.len() as StepId;
        Some(Form::Mirror { step: step?, entry, fields, within: within? })
    }

    /// The implied step is called after the check, so no other may be.
    fn check_name(&self) {
        if self.draft.flow.step_named(&self.name.value).is_some() {
            let message = format!("a mirror brings a step of its own name, and there is a step `{}`", self.name.value);
            let problem = Problem::error("duplicate-name", self.name.place, message);
            problem.help("give the check another name").report(self.context.diagnostics);
        }
    }

    /// `order:{order_id}` read backwards.
    fn pattern(&self, text: &Spanned<String>) -> Option<EntryPattern> {
        let diagnostics = self.context.diagnostics;
        let bad = |message: &str| {
            let problem = Problem::error("bad-entry", text.place, message);
            problem.help("write the entry's name with the keys in braces: `\"order:{order_id}\"`").report(diagnostics);
            None
        };
        let mut parts: Vec<(String, KeyId)> = Vec::new();
        let mut rest = text.value.as_str();
        while let Some((literal, after)) = rest.split_once('{') {
            let Some((name, tail)) = after.split_once('}') else {
                return bad("a `{` is not closed in the name of the entry");
            };
            if literal.is_empty() && !parts.is_empty() {
                return bad("two keys side by side cannot be told apart");
            }
            let place = diagnostics.part(text, text.value.len() - after.len(), name.len());
            let key = self.draft.key(&Spanned { value: name.to_owned(), place }, diagnostics)?;
            if parts.iter().any(|(_, known)| *known == key) {
                return bad("a key stands in the name of an entry once");
            }
            parts.push((literal.to_owned(), key));
            rest = tail;
        }
        match parts.is_empty() {
            true => bad("the name of the entry has no key in it, so it belongs to no transaction"),
            false => Some(EntryPattern { parts, tail: rest.to_owned() }),
        }
    }

    /// What the entry's step keeps, and pairs of (its field, the step's field) by index.
    #[expect(clippy::type_complexity, reason = "two lists that are made in one walk")]
    fn pairs(&self, step: StepId) -> Option<(Vec<(String, Expr)>, Vec<(usize, usize)>)> {
        let diagnostics = self.context.diagnostics;
        let (mut keep, mut pairs) = (Vec::new(), Vec::new());
        for entry in fields::map(self.fields.get("fields")?, "fields", diagnostics)? {
            let name = &entry.key.value;
            let segments = name.split('.').map(|word| Segment::Field(word.to_owned())).collect();
            let right = fields::text(&entry.value, name, diagnostics)?;
            keep.push((name.clone(), Expr::Path(Path { root: Root::Body, segments })));
            match self.draft.kept(step, &right.value) {
                Some(field) => pairs.push((keep.len() - 1, field)),
                None => self.draft.unknown_field(step, &right.value, right.place).report(diagnostics),
            }
        }
        if keep.is_empty() {
            let place = self.fields.get("fields")?.place;
            let problem = Problem::error("empty-value", place, "a mirror compares at least one field");
            problem.help("write `fields: {field_of_the_entry: kept_field_of_the_step}`").report(diagnostics);
        }
        Some((keep, pairs))
    }
}
