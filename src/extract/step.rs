//! One step, compiled: what it takes from a record that matches, and how that becomes an observation.

use super::Record;
use super::counts::StepCounts;
use super::entry;
use super::keytext::{Digits, dedupe_text, key_text};
use super::matching::first_element;
use super::place::{Places, View};
use super::pull::Pull;
use super::redact::{Redactions, hashed};
use super::time::TimeReader;
use crate::flow::plan::{EntryPattern, Expr, Path, Root, Step};
use crate::model::json;
use crate::model::key;
use crate::model::observation::{Batch, Dedupe, Draft, Position};
use crate::model::time::Time;
use crate::model::value::Value;
use crate::model::{FlowId, KeyId, StepId};

/// How the records of a source are known.
#[derive(Clone, Copy, Debug)]
pub(super) struct Identity {
    /// A record's own key tells its effect.
    pub of_key: bool,
    /// The name of a part may be told without what stands before it.
    pub by_suffix: bool,
}

/// A step, ready to be applied.
#[derive(Clone, Debug)]
pub(super) struct Taking {
    /// Which of the plans, and so of the batches.
    pub lane: usize,
    pub flow: FlowId,
    pub step: StepId,
    /// The part of the source that it reads: of a recording, the name of the file.
    select: Option<String>,
    /// The part may be named without what stands before it: `orders` for `shop.public.orders`.
    by_suffix: bool,
    /// The flow's own key first.
    pub keys: Vec<(KeyId, Pull)>,
    pub keep: Vec<Pull>,
    dedupe: Option<Pull>,
    /// Without a `dedupe_by`, the record's own key tells the effect.
    own_key: Option<Pull>,
    /// The index in `keys` that reads the same path as `dedupe`.
    dedupe_key: Option<usize>,
    /// Something of the source is redacted, and an identity might show it.
    veils_identity: bool,
    pub time: Option<Pull>,
    pub entry: Option<(EntryPattern, Pull)>,
}

impl Taking {
    /// Compiles a step.
    pub fn new(
        (lane, flow, id): (usize, FlowId, StepId),
        step: &Step,
        each: Option<usize>,
        places: &mut Places<'_>,
        redactions: &Redactions,
        Identity { of_key, by_suffix }: Identity,
    ) -> Taking {
        let mut pull = |expr: &Expr| Pull::new(expr, step, each, places, redactions);
        let exprs = step.keys.iter().flat_map(|(name, exprs)| exprs.iter().map(|expr| (*name, expr)));
        let exprs: Vec<_> = exprs.collect();
        let own_path = Path { root: Root::Key, segments: Vec::new() };
        let told_by = match &step.dedupe_by {
            Some(Expr::Path(path)) => Some(path),
            None if of_key && each.is_none() => Some(&own_path),
            _ => None,
        };
        let dedupe_key =
            told_by.and_then(|path| exprs.iter().position(|(_, e)| matches!(e, Expr::Path(p) if p == path)));
        let own_key = Expr::Path(own_path.clone());
        Taking {
            lane,
            flow,
            step: id,
            select: step.select.clone(),
            by_suffix,
            keys: exprs.iter().map(|(name, expr)| (*name, pull(expr))).collect(),
            keep: step.keep.iter().map(|(_, expr)| pull(expr)).collect(),
            dedupe: step.dedupe_by.as_ref().map(&mut pull),
            own_key: of_key.then(|| pull(&own_key)),
            dedupe_key,
            veils_identity: redactions.any(),
            time: step.time.as_ref().map(&mut pull),
            entry: step.entry.as_ref().map(|pattern| (pattern.clone(), pull(&own_key))),
        }
    }

    /// Whether the step reads records of this part of the source.
    #[inline]
    pub fn reads(&self, record: &Record<'_>) -> bool {
        let Some(select) = &self.select else { return true };
        let stream = record.stream();
        select == stream || (self.by_suffix && stream.strip_suffix(&**select).is_some_and(|rest| rest.ends_with('.')))
    }

    /// The observation's time: the step's own, where it has one. `None` where that cannot be read, or
    /// lies beyond `latest`.
    #[inline]
    pub fn time(&self, view: &View<'_>, of_record: Option<Time>, clock: &mut TimeReader, latest: Time) -> Option<Time> {
        let Some(own) = &self.time else { return of_record };
        let time = clock.read(&own.value(view, &mut 0)).ok()?;
        (time <= latest).then_some(time)
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
        let from_entry = match &self.entry {
            None => Vec::new(),
            Some((pattern, own_key)) => match entry_keys(pattern, own_key, view) {
                Some(keys) => keys,
                None => return false,
            },
        };
        let mut draft = batch.begin(self.flow, self.step, time, position);
        let mut keys = Keys { draft: &mut draft, counts, of_dedupe: None };
        for (name, text) in &from_entry {
            keys.draft.key(*name, text);
        }
        for (index, (name, pull)) in self.keys.iter().enumerate() {
            keys.add(*name, pull, view, self.dedupe_key == Some(index));
        }
        let of_dedupe = keys.of_dedupe;
        self.dedupe(view, of_dedupe, position.element, &mut draft, &mut counts.key_errors);
        for pull in &self.keep {
            draft.field(&pull.shown(view, &mut counts.keep_errors));
        }
        draft.finish();
        counts.matched += 1;
        true
    }

    /// Writes what makes the effect unique. Where that is a key's value, it is not stored twice.
    #[inline]
    fn dedupe(&self, view: &View<'_>, of_key: Option<u32>, element: u32, draft: &mut Draft<'_>, errors: &mut u64) {
        let identity = view.record.attributes.identity;
        if let (Some(index), None) = (of_key, identity.filter(|_| self.dedupe.is_none())) {
            return draft.body(Dedupe::Key(index));
        }
        let mut digits = Digits::default();
        let given = self.dedupe.as_ref().and_then(|pull| {
            let value = pull.value(view, errors);
            Some(pull.veiled(dedupe_text(&value, &mut digits)?).into_owned())
        });
        let own = || {
            let key = match (identity, &self.own_key) {
                (Some(identity), _) if self.veils_identity => hashed(identity),
                (Some(identity), _) => identity.to_owned(),
                (None, Some(pull)) => {
                    let value = pull.value(view, &mut 0);
                    pull.veiled(dedupe_text(&value, &mut digits)?).into_owned()
                }
                (None, None) => return None,
            };
            // Of a payload that holds several records, the same one may stand elsewhere when it comes again.
            let element = element.wrapping_sub(first_element(view.record.position));
            Some(if view.element.is_some() { format!("{key}[{element}]") } else { key })
        };
        match given.or_else(own) {
            None => draft.body(Dedupe::Position),
            Some(text) => {
                let mut packed = Vec::new();
                key::pack(&text, &mut packed);
                draft.body(Dedupe::Value(&packed));
            }
        }
    }
}

/// The keys in the name of a cache's entry; `None` where it is of another form.
fn entry_keys(pattern: &EntryPattern, own_key: &Pull, view: &View<'_>) -> Option<Vec<(KeyId, String)>> {
    let value = own_key.value(view, &mut 0);
    let mut digits = Digits::default();
    let name = key_text(&value, &mut digits)?;
    let keys = entry::keys_of(pattern, &name)?;
    Some(keys.into_iter().map(|(name, text)| (name, own_key.veiled(text.into()).into_owned())).collect())
}

/// Adds keys to an observation.
struct Keys<'k, 'b> {
    draft: &'k mut Draft<'b>,
    counts: &'k mut StepCounts,
    /// The index of the key that is also what the effect is told by.
    of_dedupe: Option<u32>,
}

impl Keys<'_, '_> {
    /// Adds what an expression gives: a value, or those of a list.
    #[inline]
    fn add(&mut self, name: KeyId, pull: &Pull, view: &View<'_>, is_dedupe: bool) {
        let index = match pull.plain_text(view) {
            Some(text) if !text.is_empty() => Some(self.draft.key(name, text)),
            _ => {
                let value = pull.value(view, &mut self.counts.key_errors);
                if let Value::Json(list) = &value
                    && let Some(elements) = json::elements(list)
                {
                    elements.iter().for_each(|element| _ = self.one(name, pull, element));
                    return;
                }
                self.one(name, pull, &value)
            }
        };
        if is_dedupe {
            self.of_dedupe = index;
        }
    }

    /// Adds one value, if it is a key.
    fn one(&mut self, name: KeyId, pull: &Pull, value: &Value<'_>) -> Option<u32> {
        match key_text(value, &mut Digits::default()) {
            Some(text) => return Some(self.draft.key(name, &pull.veiled(text))),
            None if *value == Value::Null => self.counts.null_keys += 1,
            None => self.counts.not_keys += 1,
        }
        None
    }
}
