//! Asking records why they do not match.
//!
//! For each step there is a probe: a step that matches every record and keeps what the real one looks
//! at, so that the real extractor decodes and evaluates, and the answers stand side by side:
//!
//! ```text
//! when: body.type == "PaymentCaptured" && body.amount > 0     key: {order_id: body.order_id}
//! keep:  0: body.type   1: body.amount > 0   2: body.amount        3: body.order_id
//! ```

use crate::flow::diagnostic::nearest;
use crate::flow::plan::{Condition, Expr, Flow, Key, Plan, Step};
use crate::model::observation::Body;
use crate::model::value::Value;

/// What is asked of each record for one step.
pub struct Probe {
    /// The flow's index in the real plan.
    pub flow: usize,
    /// The step's index in the real flow.
    pub step: usize,
    /// The condition, over the kept fields.
    test: Test,
    /// Key names with their fields.
    pub keys: Vec<(String, usize)>,
    /// Kept names with their fields.
    pub keeps: Vec<(String, usize)>,
    fields: Vec<Expr>,
}

enum Test {
    Always,
    Leaf(Leaf),
    All(Vec<Test>),
    Any(Vec<Test>),
}

/// A condition that has no parts.
struct Leaf {
    text: String,
    /// Its field: the value that is compared, or the answer of the expression.
    field: usize,
    /// For a comparison: with what, and whether it should be equal.
    literal: Option<(Value<'static>, bool)>,
    /// What it looks at, with the fields.
    looks_at: Vec<(String, usize)>,
}

/// Why a record did not match.
pub struct Miss {
    /// The parts of the condition that failed, in words, with what was found there.
    pub failed: Vec<String>,
    /// All but one part were met, or a text is nearly the right one. If no other step takes the record,
    /// it was probably meant for this one.
    pub near: bool,
    /// What was found where the failed parts look: path and value.
    pub found: Vec<(String, String)>,
}

impl Probe {
    fn new(flow: usize, step: usize, real: &Flow) -> Probe {
        let named = &real.steps[step];
        let mut probe =
            Probe { flow, step, test: Test::Always, keys: Vec::new(), keeps: Vec::new(), fields: Vec::new() };
        probe.test = probe.test(&named.when);
        for (key, values) in &named.keys {
            for value in values {
                let field = probe.field(value.clone());
                probe.keys.push((real.keys[usize::from(*key)].name.clone(), field));
            }
        }
        for (name, value) in &named.keep {
            let field = probe.field(value.clone());
            probe.keeps.push((name.clone(), field));
        }
        probe
    }

    fn field(&mut self, expr: Expr) -> usize {
        self.fields.push(expr);
        self.fields.len() - 1
    }

    fn test(&mut self, condition: &Condition) -> Test {
        match condition {
            Condition::Always => Test::Always,
            Condition::All(parts) => Test::All(parts.iter().map(|part| self.test(part)).collect()),
            Condition::Any(parts) => Test::Any(parts.iter().map(|part| self.test(part)).collect()),
            Condition::Compare { path, literal, equal } => {
                let field = self.field(Expr::Path(path.clone()));
                let operator = if *equal { "==" } else { "!=" };
                let text = format!("{path} {operator} {}", quoted(literal));
                let looks_at = vec![(path.to_string(), field)];
                Test::Leaf(Leaf { text, field, literal: Some((literal.clone(), *equal)), looks_at })
            }
            Condition::Program(program) => {
                let field = self.field(Expr::Program(program.clone()));
                let paths = program.paths().iter();
                let looks_at = paths.map(|path| (path.to_string(), self.field(Expr::Path(path.clone())))).collect();
                Test::Leaf(Leaf { text: program.source().to_owned(), field, literal: None, looks_at })
            }
        }
    }

    /// Why a record does not match the step, by what the probe kept of it; `None` where it does.
    pub fn miss(&self, kept: &Body<'_>) -> Option<Miss> {
        let mut failed = Vec::new();
        if self.test.holds(kept, &mut failed) {
            return None;
        }
        let all_but_one = match &self.test {
            Test::All(parts) => parts.iter().filter(|part| !part.holds(kept, &mut Vec::new())).count() == 1,
            _ => false,
        };
        Some(Miss {
            near: (all_but_one && matches!(&self.test, Test::All(parts) if parts.len() > 1))
                || failed.iter().any(|leaf| leaf.misspelt(kept)),
            found: failed.iter().flat_map(|leaf| leaf.found(kept)).collect(),
            failed: failed.iter().map(|leaf| leaf.told(kept)).collect(),
        })
    }
}

impl Test {
    /// Whether it is met; if not, the parts that fail are added.
    fn holds<'t>(&'t self, kept: &Body<'_>, failed: &mut Vec<&'t Leaf>) -> bool {
        match self {
            Test::Always => true,
            Test::Leaf(leaf) => {
                leaf.holds(kept) || {
                    failed.push(leaf);
                    false
                }
            }
            // Every part is asked, so that every one that fails is told.
            Test::All(parts) => parts.iter().filter(|part| !part.holds(kept, failed)).count() == 0,
            Test::Any(parts) => {
                let before = failed.len();
                let any = parts.iter().any(|part| part.holds(kept, failed));
                if any {
                    failed.truncate(before);
                }
                any
            }
        }
    }
}

impl Leaf {
    fn holds(&self, kept: &Body<'_>) -> bool {
        let value = kept.field(self.field);
        match &self.literal {
            Some((literal, equal)) => equals(&value, literal) == *equal,
            None => value == Value::Bool(true),
        }
    }

    /// Whether it looks for a text and finds one that is nearly the same.
    fn misspelt(&self, kept: &Body<'_>) -> bool {
        match (&self.literal, kept.field(self.field)) {
            (Some((Value::Text(wanted), true)), Value::Text(found)) => nearest(&found, &[wanted]).is_some(),
            _ => false,
        }
    }

    fn found(&self, kept: &Body<'_>) -> Vec<(String, String)> {
        self.looks_at.iter().map(|(path, field)| (path.clone(), quoted(&kept.field(*field)))).collect()
    }

    fn told(&self, kept: &Body<'_>) -> String {
        let found: Vec<_> = self.found(kept).into_iter().map(|(path, value)| format!("{path} is {value}")).collect();
        format!("`{}` fails: {}", self.text, found.join(", "))
    }
}

/// As extract compares: two texts byte for byte, all else by value.
fn equals(value: &Value<'_>, literal: &Value<'_>) -> bool {
    match (value, literal) {
        (Value::Text(a), Value::Text(b)) => a == b,
        _ => value.same(literal),
    }
}

/// A value as an expression would write it.
fn quoted(value: &Value<'_>) -> String {
    match value {
        Value::Text(text) => format!("{:?}", text),
        other => other.display().into_owned(),
    }
}

/// The probes of all steps that read one source, and the plan that they make: one flow, one step each.
pub fn probes(plan: &Plan, source: &str) -> (Plan, Vec<Probe>) {
    let mut probes = Vec::new();
    let mut steps = Vec::new();
    for (flow, real) in plan.flows.iter().enumerate() {
        for (step, named) in real.steps.iter().enumerate().filter(|(_, step)| step.reads == source) {
            let probe = Probe::new(flow, step, real);
            steps.push(asking(named, &probe));
            probes.push(probe);
        }
    }
    let flow = Flow {
        name: "sample".to_owned(),
        about: String::new(),
        owner: String::new(),
        keys: vec![Key { name: "any".to_owned(), rank: Some(0) }],
        begins: Vec::new(),
        linger: crate::model::time::Span::ZERO,
        steps,
        checks: Vec::new(),
        sources: (0..plan.sources.len()).map(|id| id as u16).collect(),
    };
    (Plan { flows: vec![flow], sources: plan.sources.clone(), clock_skew: plan.clock_skew }, probes)
}

/// The step that matches every record and keeps what the probe asks.
fn asking(real: &Step, probe: &Probe) -> Step {
    // Any key will do, and any time: whether the real ones are there is what is asked.
    let any = |text: &str| Expr::Literal(Value::Text(text.to_owned().into()));
    Step {
        when: Condition::Always,
        keys: vec![(0, vec![any("any")])],
        keep: probe.fields.iter().enumerate().map(|(at, expr)| (at.to_string(), expr.clone())).collect(),
        dedupe_by: None,
        time: real.time.as_ref().map(|_| any("2000-01-01T00:00:00Z")),
        carries_flow_key: true,
        binders: Vec::new(),
        entry: None,
        ..real.clone()
    }
}
