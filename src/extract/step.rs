//! One step, compiled: what it takes from a record that matches, and how that becomes an observation.

use super::Record;
use super::counts::StepCounts;
use super::entry;
use super::keytext::{dedupe_text, key_text};
use super::place::{Formula, Place, Places, View};
use super::redact::{Redact, Redactions, hashed};
use super::time::TimeReader;
use crate::flow::plan::{EntryPattern, Expr, Path, Root, Step};
use crate::model::json;
use crate::model::key;
use crate::model::observation::{Batch, Dedupe, Draft, Position};
use crate::model::time::Time;
use crate::model::value::Value;
use crate::model::{FlowId, KeyId, StepId};
use std::borrow::Cow;

/// What gives a value, and whether it may be seen.
#[derive(Clone, Debug)]
pub(super) struct Pull {
    from: From,
    redact: Redact,
}

#[derive(Clone, Debug)]
enum From {
    Place(Place),
    Literal(Value<'static>),
    Formula(Box<Formula>),
}

/// A step, ready to be applied.
#[derive(Clone, Debug)]
pub(super) struct Taking {
    pub flow: FlowId,
    pub step: StepId,
    /// The part of the source that it reads: of a recording, the name of the file.
    select: Option<String>,
    /// The flow's own key first.
    pub keys: Vec<(KeyId, Pull)>,
    pub keep: Vec<Pull>,
    dedupe: Option<Pull>,
    /// The index in `keys` that reads the same path as `dedupe`.
    dedupe_key: Option<usize>,
    pub time: Option<Pull>,
    pub entry: Option<(EntryPattern, Pull)>,
}

impl Pull {
    /// Compiles an expression of a step.
    pub fn new(
        expr: &Expr,
        step: &Step,
        each: Option<usize>,
        places: &mut Places<'_>,
        redactions: &Redactions,
    ) -> Pull {
        let redact = |path| redactions.of(path, step.each.as_ref());
        match expr {
            Expr::Path(path) => Pull { from: From::Place(places.place(path, each)), redact: redact(path) },
            Expr::Literal(value) => Pull { from: From::Literal(value.clone()), redact: Redact::No },
            Expr::Program(program) => {
                let any = program.paths().iter().any(|path| redact(path).any());
                let formula = places.formula(program, each);
                let redact = if any { Redact::Whole } else { Redact::No };
                Pull { from: From::Formula(Box::new(formula)), redact }
            }
        }
    }

    /// The value as the record has it.
    #[inline]
    pub fn value<'v>(&'v self, view: &View<'v>) -> Result<Value<'v>, String> {
        match &self.from {
            From::Place(place) => Ok(view.value(place)),
            From::Literal(value) => Ok(value.borrowed()),
            From::Formula(formula) => view.eval(formula),
        }
    }

    /// The value as it may be kept and shown.
    #[inline]
    pub fn shown<'v>(&'v self, view: &View<'v>) -> Result<Value<'v>, String> {
        let value = self.value(view)?;
        Ok(if self.redact.any() { self.redact.apply(value) } else { value })
    }

    /// The text by which a value is compared, as it may be kept.
    #[inline]
    pub fn veiled<'t>(&self, text: Cow<'t, str>) -> Cow<'t, str> {
        if self.redact.any() { Cow::Owned(hashed(&text)) } else { text }
    }
}

impl Taking {
    /// Compiles a step.
    pub fn new(
        flow: FlowId,
        id: StepId,
        step: &Step,
        each: Option<usize>,
        places: &mut Places<'_>,
        redactions: &Redactions,
    ) -> Taking {
        let mut pull = |expr: &Expr| Pull::new(expr, step, each, places, redactions);
        let exprs = step.keys.iter().flat_map(|(name, exprs)| exprs.iter().map(|expr| (*name, expr)));
        let exprs: Vec<_> = exprs.collect();
        let dedupe_key = match &step.dedupe_by {
            Some(Expr::Path(path)) => exprs.iter().position(|(_, e)| matches!(e, Expr::Path(p) if p == path)),
            _ => None,
        };
        let own_key = Expr::Path(Path { root: Root::Key, segments: Vec::new() });
        Taking {
            flow,
            step: id,
            select: step.select.clone(),
            keys: exprs.iter().map(|(name, expr)| (*name, pull(expr))).collect(),
            keep: step.keep.iter().map(|(_, expr)| pull(expr)).collect(),
            dedupe: step.dedupe_by.as_ref().map(&mut pull),
            dedupe_key,
            time: step.time.as_ref().map(&mut pull),
            entry: step.entry.as_ref().map(|pattern| (pattern.clone(), pull(&own_key))),
        }
    }

    /// Whether the step reads records of this part of the source.
    #[inline]
    pub fn reads(&self, record: &Record<'_>) -> bool {
        self.select.as_ref().is_none_or(|select| *select == stem(record.file))
    }

    /// The observation's time: the step's own, where it has one. `None` where that cannot be read, or
    /// lies beyond `latest`.
    #[inline]
    pub fn time(&self, view: &View<'_>, of_record: Option<Time>, clock: &TimeReader, latest: Time) -> Option<Time> {
        let Some(own) = &self.time else { return of_record };
        let time = clock.read(&own.value(view).ok()?).ok()?;
        (time <= latest).then_some(time)
    }

    /// The keys in the entry's name; none where the step is no mirror's. `None` where the record is of
    /// another form.
    pub fn entry_keys(&self, view: &View<'_>) -> Option<Vec<(KeyId, String)>> {
        let Some((pattern, own_key)) = &self.entry else { return Some(Vec::new()) };
        let value = own_key.value(view).ok()?;
        let name = key_text(&value)?;
        let keys = entry::keys_of(pattern, &name)?;
        Some(keys.into_iter().map(|(name, text)| (name, own_key.veiled(text.into()).into_owned())).collect())
    }

    /// Makes the observation.
    pub fn observe(
        &self,
        view: &View<'_>,
        time: Time,
        position: Position,
        batch: &mut Batch,
        counts: &mut StepCounts,
    ) -> bool {
        let Some(from_entry) = self.entry_keys(view) else { return false };
        let mut draft = batch.begin(self.flow, self.step, time, position);
        let mut keys = Keys { draft: &mut draft, counts, of_dedupe: None };
        for (name, text) in &from_entry {
            keys.draft.key(*name, text);
        }
        for (index, (name, pull)) in self.keys.iter().enumerate() {
            match pull.value(view) {
                Ok(value) => keys.add(*name, pull, &value, self.dedupe_key == Some(index)),
                Err(_) => keys.counts.key_errors += 1,
            }
        }
        let of_dedupe = keys.of_dedupe;
        self.dedupe(view, of_dedupe, &mut draft, counts);
        for pull in &self.keep {
            let value = pull.shown(view).unwrap_or_else(|_| {
                counts.keep_errors += 1;
                Value::Null
            });
            draft.field(&value);
        }
        draft.finish();
        counts.matched += 1;
        true
    }

    /// Writes what makes the effect unique. Where that is a key's value, it is not stored twice.
    fn dedupe(&self, view: &View<'_>, of_key: Option<u32>, draft: &mut Draft<'_>, counts: &mut StepCounts) {
        if let Some(index) = of_key {
            return draft.body(Dedupe::Key(index));
        }
        let Some(pull) = &self.dedupe else { return draft.body(Dedupe::Position) };
        let value = pull.value(view).unwrap_or_else(|_| {
            counts.key_errors += 1;
            Value::Null
        });
        match dedupe_text(&value) {
            None => draft.body(Dedupe::Position),
            Some(text) => {
                let mut packed = Vec::new();
                key::pack(&pull.veiled(text), &mut packed);
                draft.body(Dedupe::Value(&packed));
            }
        }
    }
}

/// A file's name without its folder and its extensions: a recording of a topic, a table or a queue
/// that is called after it.
fn stem(file: &str) -> &str {
    let name = file.rsplit(['/', '\\']).next().unwrap_or(file);
    name.split_once('.').map_or(name, |(stem, _)| stem)
}

/// Adds keys to an observation.
struct Keys<'k, 'b> {
    draft: &'k mut Draft<'b>,
    counts: &'k mut StepCounts,
    /// The index of the key that is also what the effect is told by.
    of_dedupe: Option<u32>,
}

impl Keys<'_, '_> {
    #[inline]
    fn add(&mut self, name: KeyId, pull: &Pull, value: &Value<'_>, is_dedupe: bool) {
        if let Value::Json(list) = value
            && let Some(elements) = json::elements(list)
        {
            for element in &elements {
                self.one(name, pull, element);
            }
            return;
        }
        let index = self.one(name, pull, value);
        if is_dedupe {
            self.of_dedupe = index;
        }
    }

    /// Adds one value, if it is a key.
    #[inline]
    fn one(&mut self, name: KeyId, pull: &Pull, value: &Value<'_>) -> Option<u32> {
        match key_text(value) {
            Some(text) => return Some(self.draft.key(name, &pull.veiled(text))),
            None if *value == Value::Null => self.counts.null_keys += 1,
            None => self.counts.not_keys += 1,
        }
        None
    }
}
