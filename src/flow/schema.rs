//! The JSON Schema of flow documents, with which editors complete and explain.

use crate::model::verdict::{Class, Severity};
use serde_json::{Map, Value, json};

/// The schema. A test holds it to what the compiler reads.
pub fn schema() -> Value {
    json!({
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "A flow of Throughline, or steps that the flows of a folder share",
        "type": "object",
        "additionalProperties": false,
        "required": ["steps"],
        "dependentRequired": {"flow": ["key"], "key": ["flow"], "begins": ["flow"], "linger": ["flow"], "checks": ["flow"]},
        "properties": {
            "flow": text("The name of the flow. A document without it holds steps that flows of its folder `use`."),
            "about": text("What this kind of transaction is about, for people."),
            "owner": text("Who to ask."),
            "key": text("The key that identifies a transaction; other keys join to it."),
            "begins": names("The steps that begin a transaction. One that lacks them near the start of the watch is undecided."),
            "linger": span("How long stragglers are waited for. Default: twice the longest `within` or `give_up`, at least 1h."),
            "steps": {
                "description": "The points at which a record is recognised, by name.",
                "type": "object",
                "minProperties": 1,
                "propertyNames": {"pattern": NAME},
                "additionalProperties": step()
            },
            "checks": {
                "description": "The rules that every transaction must meet, by name.",
                "type": "object",
                "additionalProperties": check()
            }
        }
    })
}

const NAME: &str = r"^[\p{L}\p{N}_-]+$";
const FIELD: &str = r"^[\p{L}\p{N}_-]+\.[\p{L}\p{N}_-]+$";
const SPAN: &str = r"^(0|([0-9]+y)?([0-9]+w)?([0-9]+d)?([0-9]+h)?([0-9]+m)?([0-9]+s)?([0-9]+ms)?)$";

fn text(description: &str) -> Value {
    json!({"description": description, "type": ["string", "number"]})
}

fn span(description: &str) -> Value {
    json!({"description": description, "type": ["string", "integer"], "pattern": SPAN})
}

/// A path, a literal or an expression.
fn expr(description: &str) -> Value {
    json!({"description": description, "type": ["string", "number", "boolean"]})
}

fn name(description: &str) -> Value {
    json!({"description": description, "type": ["string", "number"], "pattern": NAME})
}

/// One name, or several in a list.
fn names(description: &str) -> Value {
    one_or_more(description, name("A step."))
}

fn one_or_more(description: &str, item: Value) -> Value {
    json!({"description": description, "anyOf": [item, {"type": "array", "items": item, "minItems": 1}]})
}

fn words<T: Copy>(description: &str, all: &[T], word: fn(T) -> &'static str) -> Value {
    let words: Vec<&str> = all.iter().map(|value| word(*value)).collect();
    json!({"description": description, "enum": words})
}

fn step() -> Value {
    let key = one_or_more("A path or an expression; a list gives several values.", expr("A path or an expression."));
    json!({
        "type": "object",
        "additionalProperties": false,
        "anyOf": [{"required": ["from"]}, {"required": ["use"]}],
        "properties": {
            "from": text("A source, or `source.table`, `source.topic`, `source.queue`, `source.stream`."),
            "when": expr("Which of its records: a condition over body, row, op, headers, key, meta (and each)."),
            "key": {
                "description": "The keys by which a record joins its transaction: name and value. Null is no key.",
                "type": "object",
                "propertyNames": {"pattern": NAME},
                "additionalProperties": key
            },
            "keep": {
                "description": "Fields that checks and people need; nothing else of a record is held.",
                "type": "object",
                "propertyNames": {"pattern": NAME, "not": {"const": "time"}},
                "additionalProperties": expr("A path or an expression; absent is null.")
            },
            "dedupe_by": expr("What makes the effect unique. Default: a row's primary key, a message's id, else the position."),
            "time": expr("The event time, where it is not the source's."),
            "lateness": {
                "description": "Of a `time` of its own: the longest span from an event's time to its being visible, or `end`.",
                "anyOf": [{"const": "end"}, span("A span.")]
            },
            "each": text("The path of a list: every element becomes an observation of its own, called `each`."),
            "use": text("Takes over a shared step of the same folder; keys, kept fields and missing parts can be added.")
        }
    })
}

fn check() -> Value {
    let mut properties = form_fields();
    properties.append(&mut options());
    // What tells the forms apart, and what each needs.
    let forms: [&[&str]; 12] = [
        &["after", "expect"],
        &["after", "never"],
        &["forbid"],
        &["together", "within"],
        &["at_most"],
        &["order"],
        &["step", "requires"],
        &["agree"],
        &["holds"],
        &["states", "allow"],
        &["mirror", "in", "entry", "fields", "within"],
        &["schedule", "expect", "within"],
    ];
    let forms: Vec<Value> = forms.iter().map(|fields| json!({"required": fields})).collect();
    json!({"type": "object", "additionalProperties": false, "properties": properties, "oneOf": forms})
}

fn form_fields() -> Map<String, Value> {
    let count = json!({
        "description": "At least so many effects; a number, or a kept field of the step under `after`.",
        "type": "object",
        "additionalProperties": {"anyOf": [{"type": "integer", "minimum": 1}, {"type": "string", "pattern": FIELD}]}
    });
    let expect = json!({
        "description": "The step that must follow, or {any: […]}, {all: […]}, {count: {step: 3}}. Of a schedule: the step that must run.",
        "anyOf": [
            name("A step."),
            {
                "type": "object",
                "additionalProperties": false,
                "minProperties": 1,
                "maxProperties": 1,
                "properties": {"any": names("One of these."), "all": names("Each of these."), "count": count}
            }
        ]
    });
    let within = json!({"description": "How long; both ends included. `end`: by the end of the recording.", "anyOf": [{"const": "end"}, span("A span.")]});
    let steps = |description: &str| json!({"description": description, "type": "array", "items": name("A step."), "minItems": 2, "uniqueItems": true});
    let field = |description: &str| json!({"description": description, "type": "string", "pattern": FIELD});
    let fields = json!({
        "after": name("Every one of this step is followed by what is expected, or never by another."),
        "expect": expect,
        "never": name("The step that must not come later."),
        "within": within,
        "give_up": span("Until then a missing one is overdue, after it lost. Default: as `within`."),
        "due": text("Instead of `within`: by the next time of this cron schedule after the step."),
        "zone": text("The time zone of the schedule, such as Europe/Berlin. Default: UTC."),
        "grace": span("How much later than due is still in time."),
        "early": span("How long before it may already have come. Default: 0."),
        "anchor": {"description": "Which of the step: each (the default), only the first, only the last.", "enum": ["every", "first", "last"]},
        "forbid": name("This step never happens."),
        "together": steps("All of these or none, within a time from the first."),
        "at_most": {
            "description": "No more than so many effects of each step; redeliveries do not count.",
            "type": "object",
            "additionalProperties": {"type": "integer", "minimum": 1}
        },
        "order": steps("None of these later than the first of one after it."),
        "step": name("For every one of this step …"),
        "requires": name("… there is one of this step before it."),
        "agree": one_or_more("Fields that have the same value in every effect, as `step.field`.", field("A kept field, or the time.")),
        "tolerance": {"description": "How far decimals may differ.", "type": ["number", "string"]},
        "holds": text("An invariant over fields, first, last, count, sum, min, max, distinct of steps."),
        "states": field("The field whose successive values follow the arrows."),
        "allow": one_or_more("The arrows.", json!({"type": "string", "pattern": "^.*[^ ].*->.*[^ ].*$"})),
        "start": one_or_more("What the first value must be. Default: anything.", expr("A value.")),
        "end": one_or_more("What the last value must be. Default: anything.", expr("A value.")),
        "mirror": name("The step whose newest version a cache or replica must show."),
        "in": text("The source of the cache."),
        "entry": text("The name of the cache's entry with the keys in braces: `order:{order_id}`."),
        "fields": {
            "description": "Which field of the entry shows which kept field of the step.",
            "type": "object",
            "minProperties": 1,
            "additionalProperties": name("A kept field.")
        },
        "schedule": text("A cron schedule: at each due time the expected step runs.")
    });
    into_map(fields)
}

fn options() -> Map<String, Value> {
    into_map(json!({
        "given": names("Judge only transactions that have all of these steps."),
        "unless": names("Nor those that have any of these, whenever it came."),
        "by": name("Judged for each value of this key that is bound to the transaction."),
        "severity": words("How bad. Default: late and out_of_order are warnings, everything else critical.", Severity::ALL, Severity::name),
        "class": words("The class, where the derived one misleads.", Class::ALL, Class::name),
        "about": text("What the check is about, for people."),
        "runbook": text("What to do about it.")
    }))
}

fn into_map(value: Value) -> Map<String, Value> {
    match value {
        Value::Object(map) => map,
        _ => Map::new(),
    }
}
