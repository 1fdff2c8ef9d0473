//! A case as a person reads it: the flow as YAML, the sources' evidence, the history as a table.

use super::case::{Case, Evidence, Observation};
use super::generate::history::offset;
use std::fmt::Write;
use throughline::engine::Input;
use throughline::flow::plan::{
    After, Anchor, Check, Count, Deadline, Expect, Expr, Field, FieldRef, Flow, Form, Plan, Root, Segment, Step,
};
use throughline::model::StepId;
use throughline::model::value::Value;

/// The whole case.
pub fn case(case: &Case) -> String {
    let mut out = format!("clock_skew: {}\n", case.plan.clock_skew);
    for (source, evidence) in case.plan.sources.iter().zip(&case.evidence) {
        let (clock, carries) = (source.clock, source.carries);
        let mut notes = format!("clock {clock:?}, carries {carries:?}, resolution {}", source.resolution);
        if source.skips_versions {
            notes += ", skips versions";
        }
        let _ = writeln!(out, "source {}: {notes}; {}", source.name, coverage(evidence));
    }
    for flow in &case.plan.flows {
        out += "---\n";
        out += &flow_yaml(&case.plan, flow);
    }
    out += "---\n";
    let mut observations: Vec<_> = case.observations.iter().collect();
    observations.sort_by_key(|o| o.order());
    observations.iter().for_each(|o| out += &observation(case, o));
    out
}

fn coverage(evidence: &Evidence) -> String {
    let mut text = format!("from {} to {}, {:?}", offset(evidence.from), offset(evidence.to), evidence.state);
    for gap in &evidence.gaps {
        let _ = write!(text, ", gap {} to {}", offset(gap.0), offset(gap.1));
    }
    text
}

fn observation(case: &Case, o: &Observation) -> String {
    let flow = case.flow(o.flow);
    let step = &flow.steps[o.step as usize];
    let keys: Vec<_> =
        o.keys.iter().map(|(name, value)| format!("{}={value}", flow.keys[*name as usize].name)).collect();
    let fields = step.keep.iter().zip(&o.fields);
    let fields: Vec<_> = fields.map(|((name, _), value)| format!("{name}={}", spelling(value))).collect();
    let place = format!("{}:{}.{}", o.position.part, o.position.offset, o.position.element);
    let dedupe = o.dedupe.as_ref().map(|value| format!(" dedupe {value}")).unwrap_or_default();
    let name = format!("{}.{}", flow.name, step.name);
    format!("{:>7} {name} at {place} {} | {}{dedupe}\n", offset(o.time), keys.join(" "), fields.join(" "))
}

fn spelling(value: &Value) -> String {
    match value {
        Value::Text(text) => format!("{text:?}"),
        other => other.display().into_owned(),
    }
}

/// An arrival order, one input a line.
pub fn inputs(case: &Case, inputs: &[Input]) -> String {
    let name = |source: u16| case.plan.sources[source as usize].name.as_str();
    let line = |input: &Input| match input {
        Input::Observations(batch) => {
            let step = |e: &throughline::model::observation::Entry| {
                let step = &case.flow(e.flow).steps[e.step as usize].name;
                format!("{step}@{} {}:{}.{}", offset(e.time), e.position.part, e.position.offset, e.position.element)
            };
            batch.entries().iter().map(step).collect::<Vec<_>>().join(", ")
        }
        Input::Begins { source, at } => format!("{} begins at {}", name(*source), offset(*at)),
        Input::Progress { source, to } => format!("{} progress to {}", name(*source), offset(*to)),
        Input::Gap { source, from, to } => {
            format!("{} gap {} to {}", name(*source), offset(*from), to.map_or("open".to_owned(), offset))
        }
        Input::Down { source, down } => format!("{} {}", name(*source), if *down { "down" } else { "up" }),
        Input::Ends { source, at } => format!("{} ends at {}", name(*source), offset(*at)),
        Input::Amend(_) => "other checks".to_owned(),
        Input::Recalled(states) => format!("recalled {}", states.len()),
    };
    inputs.iter().map(|input| format!("  {}\n", line(input))).collect()
}

/// A flow as its author would write it.
pub fn flow_yaml(plan: &Plan, flow: &Flow) -> String {
    let mut out = format!("flow: {}\nkey: {}\nlinger: {}\n", flow.name, flow.keys[0].name, flow.linger);
    if !flow.begins.is_empty() {
        let _ = writeln!(out, "begins: {}", names(flow, &flow.begins));
    }
    out += "steps:\n";
    for step in flow.steps.iter().filter(|step| step.entry.is_none()) {
        out += &step_yaml(plan, flow, step);
    }
    out += "checks:\n";
    for check in &flow.checks {
        let _ = writeln!(out, "  {}: {{{}}}", check.name, check_yaml(flow, check));
    }
    out
}

fn step_yaml(plan: &Plan, flow: &Flow, step: &Step) -> String {
    let value = |exprs: &Vec<Expr>| exprs.iter().map(expr).collect::<Vec<_>>().join(", ");
    let keys: Vec<_> =
        step.keys.iter().map(|(key, exprs)| format!("{}: {}", flow.keys[*key as usize].name, value(exprs))).collect();
    let keep: Vec<_> = step.keep.iter().map(|(name, from)| format!("{name}: {}", expr(from))).collect();
    let mut text = format!("from: {}", step.reads);
    if !keys.is_empty() {
        let _ = write!(text, ", key: {{{}}}", keys.join(", "));
    }
    let _ = write!(text, ", keep: {{{}}}", keep.join(", "));
    if let Some(by) = &step.dedupe_by {
        let _ = write!(text, ", dedupe_by: {}", expr(by));
    }
    if let Some(time) = &step.time {
        let lateness = plan.sources[step.source as usize].lateness;
        let _ = write!(text, ", time: {}, lateness: {lateness}", expr(time));
    }
    format!("  {}: {{{text}}}\n", step.name)
}

fn expr(expr: &Expr) -> String {
    match expr {
        Expr::Path(path) => {
            let mut text = match path.root {
                Root::Body => "body".to_owned(),
                other => format!("{other:?}").to_lowercase(),
            };
            for segment in &path.segments {
                match segment {
                    Segment::Field(name) => text += &format!(".{name}"),
                    Segment::Index(index) => text += &format!("[{index}]"),
                }
            }
            text
        }
        Expr::Literal(value) => spelling(value),
        Expr::Program(program) => program.source().to_owned(),
    }
}

fn check_yaml(flow: &Flow, check: &Check) -> String {
    let mut text = form_yaml(flow, &check.form);
    for (option, steps) in [("given", &check.given), ("unless", &check.unless)] {
        if !steps.is_empty() {
            let _ = write!(text, ", {option}: {}", names(flow, steps));
        }
    }
    if let Some(by) = check.by {
        let _ = write!(text, ", by: {}", flow.keys[by as usize].name);
    }
    if let Some(severity) = check.severity {
        let _ = write!(text, ", severity: {severity}");
    }
    if let Some(class) = check.class {
        let _ = write!(text, ", class: {class}");
    }
    text
}

fn form_yaml(flow: &Flow, form: &Form) -> String {
    let name = |step: &StepId| flow.steps[*step as usize].name.clone();
    let within = |within: &Option<_>| {
        within.map_or(String::new(), |within: throughline::model::time::Span| format!(", within: {within}"))
    };
    match form {
        Form::After(after) => after_yaml(flow, after),
        Form::Never { after, anchor, never, within: until } => {
            format!("after: {}, never: {}{}{}", name(after), name(never), within(until), anchor_yaml(*anchor))
        }
        Form::Forbid { step } => format!("forbid: {}", name(step)),
        Form::Together { steps, within } => format!("together: {}, within: {within}", names(flow, steps)),
        Form::AtMost { limits } => {
            let limits: Vec<_> = limits.iter().map(|(step, n)| format!("{}: {n}", name(step))).collect();
            format!("at_most: {{{}}}", limits.join(", "))
        }
        Form::Order { steps } => format!("order: {}", names(flow, steps)),
        Form::Requires { step, requires, within: until } => {
            format!("step: {}, requires: {}{}", name(step), name(requires), within(until))
        }
        Form::Agree { fields, tolerance, within: until } => {
            let fields: Vec<_> = fields.iter().map(|f| field(flow, f)).collect();
            let tolerance = tolerance.as_ref().map(|t| format!(", tolerance: {}", t.display())).unwrap_or_default();
            format!("agree: [{}]{tolerance}{}", fields.join(", "), within(until))
        }
        Form::Holds { program, within: until } => format!("holds: '{}'{}", program.source(), within(until)),
        Form::States { field: of, allow, start, end } => {
            let arrows: Vec<_> = allow.iter().map(|(x, y)| format!("\"{x} -> {y}\"")).collect();
            let mut text = format!("states: {}, allow: [{}]", field(flow, of), arrows.join(", "));
            for (option, values) in [("start", start), ("end", end)] {
                if !values.is_empty() {
                    let _ = write!(text, ", {option}: [{}]", values.join(", "));
                }
            }
            text
        }
        Form::Mirror { step, entry, fields, within } => {
            let seen = &flow.steps[*entry as usize];
            let of = &flow.steps[*step as usize];
            let pair = |(x, y): &(usize, usize)| format!("{}: {}", seen.keep[*x].0, of.keep[*y].0);
            let fields: Vec<_> = fields.iter().map(pair).collect();
            let pattern = seen.entry.iter().flat_map(|entry| &entry.parts);
            let key: String =
                pattern.map(|(text, key)| format!("{text}{{{}}}", flow.keys[*key as usize].name)).collect();
            let (step, source, fields) = (&of.name, &seen.reads, fields.join(", "));
            format!("mirror: {step}, in: {source}, entry: \"{key}\", fields: {{{fields}}}, within: {within}")
        }
        Form::Schedule { cron, expect, within, early } => {
            format!("schedule: \"{}\", expect: {}, within: {within}, early: {early}", cron.text, name(expect))
        }
    }
}

fn after_yaml(flow: &Flow, after: &After) -> String {
    let name = |step: &StepId| flow.steps[*step as usize].name.clone();
    let counted = |(step, count): &(StepId, Count)| match count {
        Count::Fixed(n) => format!("{}: {n}", name(step)),
        Count::Field(of) => format!("{}: {}", name(step), field(flow, of)),
    };
    let expect = match &after.expect {
        Expect::Any(steps) if steps.len() == 1 => name(&steps[0]),
        Expect::Any(steps) => format!("{{any: {}}}", names(flow, steps)),
        Expect::All(all) => format!("{{count: {{{}}}}}", all.iter().map(counted).collect::<Vec<_>>().join(", ")),
    };
    let deadline = match &after.deadline {
        Deadline::Within { within, give_up } if give_up == within => format!("within: {within}"),
        Deadline::Within { within, give_up } => format!("within: {within}, give_up: {give_up}"),
        Deadline::Due { cron, grace } => format!("due: \"{}\", grace: {grace}", cron.text),
        Deadline::End => "within: end".to_owned(),
    };
    let early = if after.early.0 == 0 { String::new() } else { format!(", early: {}", after.early) };
    format!("after: {}, expect: {expect}, {deadline}{early}{}", name(&after.after), anchor_yaml(after.anchor))
}

fn anchor_yaml(anchor: Anchor) -> &'static str {
    match anchor {
        Anchor::Every => "",
        Anchor::First => ", anchor: first",
        Anchor::Last => ", anchor: last",
    }
}

fn field(flow: &Flow, of: &FieldRef) -> String {
    let step = &flow.steps[of.step as usize];
    match of.field {
        Field::Time => format!("{}.time", step.name),
        Field::Keep(index) => format!("{}.{}", step.name, step.keep[index].0),
    }
}

fn names(flow: &Flow, steps: &[StepId]) -> String {
    let names: Vec<_> = steps.iter().map(|step| flow.steps[*step as usize].name.as_str()).collect();
    format!("[{}]", names.join(", "))
}
