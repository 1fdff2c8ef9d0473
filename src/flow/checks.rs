//! Reading the checks of a flow: which form each has, and the options that every check may carry.

use super::diagnostic::{Problem, Spanned, nearest};
use super::draft::{CheckOrigin, Context, Draft, StepOrigin};
use super::fields::{self, Fields};
use super::forms::{self, Reader};
use super::plan::{Check, Form, Step};
use super::yaml::{Entry, Node};
use crate::model::StepId;
use crate::model::verdict::{Class, Severity};

/// The fields that tell the forms apart, with what they say.
const FORMS: [(&str, &str); 11] = [
    ("schedule", "schedule: \"0 2 * * *\", expect: A, within: 1h"),
    ("after", "after: A, expect: B, within: 5m (or never: B)"),
    ("forbid", "forbid: A"),
    ("together", "together: [A, B], within: 5m"),
    ("at_most", "at_most: {A: 1}"),
    ("order", "order: [A, B]"),
    ("requires", "step: B, requires: A, within: 1d"),
    ("agree", "agree: [a.x, b.y]"),
    ("holds", "holds: count(a) <= count(b)"),
    ("states", "states: a.x, allow: [\"new -> paid\"]"),
    ("mirror", "mirror: A, in: cache, entry: \"a:{id}\", fields: {x: x}, within: 5s"),
];

/// Which forms the other fields belong to.
const BELONGS: [(&str, &str); 20] = [
    ("expect", "`after` and `schedule`"),
    ("never", "`after`"),
    ("within", "the forms with a time in them"),
    ("give_up", "`after … expect … within`"),
    ("due", "`after … expect`"),
    ("grace", "`after … expect … due`"),
    ("zone", "`due` and `schedule`"),
    ("early", "`after … expect` and `schedule`"),
    ("anchor", "`after`"),
    ("step", "`requires`"),
    ("tolerance", "`agree`"),
    ("allow", "`states`"),
    ("start", "`states`"),
    ("end", "`states`"),
    ("in", "`mirror`"),
    ("entry", "`mirror`"),
    ("fields", "`mirror`"),
    ("given", "checks of a transaction, and a schedule is none"),
    ("unless", "checks of a transaction, and a schedule is none"),
    ("by", "checks of a transaction, and a schedule is none"),
];

/// Reads all checks; those with mistakes are left out.
pub(super) fn read(node: &Node, draft: &mut Draft, context: &Context<'_>) {
    for entry in fields::map(node, "checks", context.diagnostics).unwrap_or_default() {
        if let Some((check, implied)) = check(entry, draft, context) {
            draft.flow.checks.push(check);
            draft.checks.push(CheckOrigin { name: entry.key.place, node: entry.value.clone() });
            if let Some(step) = implied {
                let (name, node) = (entry.key.place, entry.value.clone());
                draft.flow.steps.push(step);
                draft.steps.push(StepOrigin { name, node, lateness: None, keys_unknown: false });
            }
        }
    }
}

/// A check, and the step that it implies (a mirror's).
fn check(entry: &Entry, draft: &Draft, context: &Context<'_>) -> Option<(Check, Option<Step>)> {
    let name = &entry.key;
    let what = format!("the check `{}`", name.value);
    let fields = Fields::new(&entry.value, &what, context.diagnostics)?;
    let word = form_of(name, &fields, context)?;
    let mut reader = Reader { name, fields: &fields, draft, context, implied: None };
    let form = match word {
        "schedule" => reader.schedule(),
        "after" => reader.after(),
        "forbid" => reader.forbid(),
        "together" => reader.together(),
        "at_most" => reader.at_most(),
        "order" => reader.order(),
        "requires" => reader.requires(),
        "agree" => reader.agree(),
        "holds" => reader.holds(),
        "states" => reader.states(),
        _ => reader.mirror(),
    };
    let implied = reader.implied;
    let check = options(name, form, &fields, draft, context);
    if let Some(check) = &check {
        by_is_carried(check, &fields, implied.as_ref(), draft, context);
    }
    fields.finish_with(|field| {
        let (_, owner) = BELONGS.iter().find(|(known, _)| *known == field)?;
        Some(format!("`{field}` belongs to {owner}"))
    });
    Some((check?, implied))
}

/// The field that tells the form; exactly one must be there.
fn form_of(name: &Spanned<String>, fields: &Fields<'_>, context: &Context<'_>) -> Option<&'static str> {
    let entries = fields.node().entries().unwrap_or_default();
    let written = |word: &str| entries.iter().find(|entry| entry.key.value == word);
    let found: Vec<&'static str> = FORMS.iter().map(|(word, _)| *word).filter(|word| written(word).is_some()).collect();
    if let [word] = found[..] {
        return Some(word);
    }
    let Some(second) = found.get(1).and_then(|word| written(word)) else {
        // `step` alone is half of a form; anything else may be misspelt.
        let half =
            [("step", "requires"), ("expect", "after"), ("never", "after"), ("allow", "states"), ("due", "after")];
        let half = half.iter().find(|(word, _)| written(word).is_some());
        let words: Vec<&str> = FORMS.iter().map(|(word, _)| *word).collect();
        let near = entries.iter().find_map(|entry| Some((&entry.key, nearest(&entry.key.value, &words)?)));
        let problem = |place, message| Problem::error("no-form", place, message);
        match (near, half) {
            (Some((key, near)), _) => problem(key.place, format!("`{}` is no form of check", key.value))
                .help(format!("did you mean `{near}`?")),
            (None, Some((word, other))) => problem(name.place, format!("a check with `{word}` needs `{other}`"))
                .help(format!("write it like `{}`", shape(other))),
            (None, None) => problem(name.place, format!("the check `{}` has no form", name.value))
                .help(format!("it needs one of: {}", words.join(", "))),
        }
        .report(context.diagnostics);
        return None;
    };
    let message = format!("a check has one form, and this has {}: {}", found.len(), found.join(", "));
    let problem = Problem::error("two-forms", second.key.place, message);
    problem.help("write two checks").report(context.diagnostics);
    None
}

/// An example of a form.
pub(super) fn shape(word: &str) -> &'static str {
    FORMS.iter().find(|(known, _)| *known == word).map_or("", |(_, shape)| shape)
}

/// The options that every check may carry.
fn options(
    name: &Spanned<String>,
    form: Option<Form>,
    fields: &Fields<'_>,
    draft: &Draft,
    context: &Context<'_>,
) -> Option<Check> {
    let diagnostics = context.diagnostics;
    let of_transaction = !matches!(form, Some(Form::Schedule { .. }));
    let steps = |field: &'static str| -> Vec<StepId> {
        let names = of_transaction.then(|| fields.texts(field)).flatten().unwrap_or_default();
        names.iter().filter_map(|name| draft.step(name, diagnostics)).collect()
    };
    let (given, unless) = (steps("given"), steps("unless"));
    let by = of_transaction.then(|| fields.text("by")).flatten().and_then(|key| draft.key(&key, diagnostics));
    let severities: Vec<_> = Severity::ALL.iter().map(|severity| (severity.name(), *severity)).collect();
    let classes: Vec<_> = Class::ALL.iter().map(|class| (class.name(), *class)).collect();
    let severity = fields.choice("severity", &severities);
    let class = fields.choice("class", &classes);
    let text = |field| fields.text(field).map_or_else(String::new, |text| text.value);
    let (about, runbook) = (text("about"), text("runbook"));
    Some(Check { name: name.value.clone(), form: form?, given, unless, by, severity, class, about, runbook })
}

/// With `by`, every step of the form must carry the key.
fn by_is_carried(check: &Check, fields: &Fields<'_>, implied: Option<&Step>, draft: &Draft, context: &Context<'_>) {
    let (Some(key), Some(node)) = (check.by, fields.get("by")) else { return };
    let name = &draft.flow.keys[usize::from(key)].name;
    let problem = |code, message: String| Problem::error(code, node.place, message);
    if key == 0 {
        let message = format!("every check is judged for each `{name}`, it is the flow's key");
        return problem("needless-by", message).help("leave `by` out").report(context.diagnostics);
    }
    for step in forms::declared_steps(&check.form).into_iter().filter(|step| !draft.carries(*step, key)) {
        let step = &draft.flow.steps[usize::from(step)].name;
        let message = format!("`by: {name}` needs this key in every step of the check, and `{step}` has none");
        problem("key-not-carried", message)
            .help(format!("add `{name}` to the `key` of `{step}`, or leave `by` out"))
            .report(context.diagnostics);
    }
    if implied.is_some_and(|step| !step.carries(key)) {
        let message = format!("`by: {name}` needs this key in the name of the mirror's entry");
        problem("key-not-carried", message)
            .help(format!("write `{{{name}}}` into `entry`, or leave `by` out"))
            .report(context.diagnostics);
    }
}
