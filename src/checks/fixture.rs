//! Stories: a check, a table of records and what the sources cover in; what is said, in words, out.
//!
//! ```text
//! check      {after: placed, expect: paid, within: 30m}       in the flow `SHOP`, or a whole flow
//! records    0s  placed amount=3                              offset, step, fields of the record
//!            10m paid   payment=p-1 part=1                    in file 1; `offset`: where in it
//! coverage   queue: 0s..2h, gap 10m..12m, down                else complete, and ended
//!            unattached: delivered 10m                        a record that joined nothing
//!            too many: delivered 10m                          the same, beyond the limit
//! ```
//!
//! The flow's key is given to every record. Times are told as offsets, in the explanations too.

use super::evidence::{Coverage, Evidence};
use super::outcome::{Outcome, Verdict};
use super::view::View;
use super::{Case, Story, explain, judge};
use crate::flow::diagnostic::{Document, Severity};
use crate::flow::plan::{Carries, Clock, Expr, Plan, Segment, Step};
use crate::flow::{SourceInfo, compile};
use crate::model::finding;
use crate::model::observation::{Batch, Dedupe, Position};
use crate::model::time::{Span, Time};
use crate::model::value::Value;
use crate::model::verdict::Status;
use crate::model::{StepId, key};

/// Offset 0: 2026-01-02T00:00:00Z.
const BASE: Time = Time(1_767_312_000_000_000_000);

/// `app`, `carrier` and `table` have one clock each, `queue` one a part, `hosts` many; `coarse` has
/// whole seconds; `polls` may skip versions. Between sources clocks differ by up to 5s.
const SHOP: &str = "\
flow: shop
key: order
linger: 1h
steps:
  placed:    {from: app, key: {order: body.order, item: body.item}, keep: {amount: body.amount, lines: body.lines}}
  packed:    {from: app, key: {order: body.order, item: body.item}, keep: {amount: body.amount}}
  shipped:   {from: app, key: {order: body.order, item: body.item}}
  cancelled: {from: app, key: {order: body.order}}
  paid:      {from: queue, key: {order: body.order}, dedupe_by: body.payment, keep: {amount: body.amount}}
  refunded:  {from: queue, key: {order: body.order}}
  delivered: {from: carrier, key: {item: body.item}}
  logged:    {from: hosts, key: {order: body.order}, keep: {status: body.status}}
  stamped:   {from: coarse, key: {order: body.order}}
  row:       {from: table, key: {order: body.order}, dedupe_by: body.order, keep: {status: body.status, amount: body.amount}}
  polled:    {from: polls, key: {order: body.order}, dedupe_by: body.order, keep: {status: body.status}}
";

/// The whole story.
#[track_caller]
pub fn tell(check: &str, records: &str, coverage: &str) -> String {
    Setting::new(check, records, coverage).told(|setting, case, outcome| setting.story(case, outcome))
}

/// The verdict alone.
#[track_caller]
pub fn verdict(check: &str, records: &str, coverage: &str) -> String {
    Setting::new(check, records, coverage).told(|_, _, outcome| said(outcome))
}

/// Reads `10m`, `-5s` or `` (an end of time).
pub fn at(text: &str) -> Time {
    let offset = |text: &str| Span::parse(text).unwrap_or_else(|e| panic!("{e}"));
    match text.strip_prefix('-') {
        Some(before) => BASE - offset(before),
        None => BASE + offset(text),
    }
}

/// The plan of a check in `SHOP`, or of a whole flow.
pub fn plan(check: &str) -> Plan {
    let text = match check.contains("flow:") {
        true => check.to_owned(),
        false => format!("{SHOP}checks:\n  entry: {check}\n"),
    };
    let (plan, found) = compile(&[Document { path: "flow.yaml".into(), text }], &sources(), Span::seconds(5));
    let errors = found.iter().filter(|d| d.severity == Severity::Error).map(ToString::to_string);
    plan.unwrap_or_else(|| panic!("{}", errors.collect::<String>()))
}

fn sources() -> Vec<SourceInfo> {
    let source = |name: &str| SourceInfo {
        name: name.to_owned(),
        carries: Carries::Lines,
        clock: Clock::One,
        resolution: Span::ZERO,
        lateness: Span::ZERO,
        lateness_end: false,
        skips_versions: false,
        tells_operations: false,
        captures_changes: false,
        has_time: true,
        default_dedupe_is_position: true,
        retention: None,
    };
    vec![
        source("app"),
        source("carrier"),
        source("table"),
        source("cache"),
        SourceInfo { carries: Carries::Messages, clock: Clock::PerPart, ..source("queue") },
        SourceInfo { clock: Clock::Many, ..source("hosts") },
        SourceInfo { resolution: Span::seconds(1), ..source("coarse") },
        SourceInfo { skips_versions: true, ..source("polls") },
    ]
}

/// What the sources cover; complete and ended where nothing else is said.
pub fn evidence(plan: &Plan, text: &str) -> Evidence {
    let mut evidence = Evidence::new(plan);
    for coverage in &mut evidence.sources {
        (coverage.from, coverage.to, coverage.ended) = (Time::MIN, Time::MAX, true);
    }
    for (number, line) in text.lines().map(str::trim).filter(|l| !l.is_empty()).enumerate() {
        let (name, said) = line.split_once(": ").unwrap_or_else(|| panic!("`{line}`: `source: what it covers`"));
        if name == "unattached" || name == "too many" {
            let (step, time) = said.split_once(' ').expect("`unattached: step time`");
            let step = plan.flows[0].step_named(step).expect("a step");
            let most = if name == "too many" { 0 } else { 1_000 };
            assert_eq!(evidence.add_stray(0, step, at(time), number as u64, most), most > 0);
            continue;
        }
        let known = plan.sources.iter().zip(&mut evidence.sources).filter(|(s, _)| name == "all" || s.name == name);
        let mut found = false;
        for (_, coverage) in known {
            said.split(", ").for_each(|part| cover(coverage, part));
            found = true;
        }
        assert!(found, "no step reads a source `{name}`");
    }
    evidence
}

fn cover(coverage: &mut Coverage, part: &str) {
    let window = |text: &str| {
        let (from, to) = text.split_once("..").unwrap_or_else(|| panic!("`{text}`: `from..to`"));
        let end = |text: &str, open| if text.is_empty() { open } else { at(text) };
        (end(from, Time::MIN), end(to, Time::MAX))
    };
    match (part, part.strip_prefix("gap ")) {
        ("live", _) => coverage.ended = false,
        ("down", _) => coverage.down = true,
        (_, None) => (coverage.from, coverage.to) = window(part),
        (_, Some(gap)) => {
            let (from, to) = window(gap);
            coverage.add_gap(from, to.is_finite().then_some(to), 9);
        }
    }
}

struct Setting {
    plan: Plan,
    evidence: Evidence,
    view: View,
}

impl Setting {
    #[track_caller]
    fn new(check: &str, records: &str, coverage: &str) -> Setting {
        let plan = plan(check);
        let evidence = evidence(&plan, coverage);
        let view = view(&plan, records);
        Setting { plan, evidence, view }
    }

    /// Judges the flow's first check, once for each value of its `by`.
    fn told(&self, say: impl Fn(&Setting, &Case<'_>, &Outcome) -> String) -> String {
        let check = &self.plan.flows[0].checks[0];
        let case = |by| Case { plan: &self.plan, flow_id: 0, check, view: &self.view, evidence: &self.evidence, by };
        let Some(name) = check.by else {
            let case = case(None);
            return say(self, &case, &judge(&case));
        };
        let keys = self.view.keys().iter().enumerate().filter(|(_, k)| k.name == name);
        let one = |(at, _)| {
            let case = case(Some(at as u32));
            format!("{}: {}", key::unpack(self.view.packed(at as u32)), say(self, &case, &judge(&case)))
        };
        keys.map(one).collect::<Vec<_>>().join("\n")
    }

    fn story(&self, case: &Case<'_>, outcome: &Outcome) -> String {
        let story = explain(case, outcome);
        self.holds_together(case, outcome, &story);
        let mut lines = vec![said(outcome)];
        let mut line = |label: &str, text: &str| lines.push(format!("{label}: {}", offsets(text)));
        if let Verdict::Broken(..) = outcome.verdict {
            line("expected", &story.expected);
            let seen = story.seen.iter().map(|r| self.view.record(*r));
            let seen: Vec<String> = seen.map(|r| format!("{} {}", case.name(r.step), r.time)).collect();
            line("seen", &seen.join(", "));
            if let Some(deadline) = story.deadline {
                line("by", &deadline.to_string());
            }
            if let Some(span) = story.healed_after {
                line("healed after", &span.to_string());
            }
            story.evidence.iter().for_each(|e| line("sure", &self.evidence_line(case, e)));
        }
        if !story.summary.is_empty() {
            lines.push(offsets(&story.summary));
        }
        lines.join("\n")
    }

    fn evidence_line(&self, case: &Case<'_>, evidence: &finding::Evidence) -> String {
        match *evidence {
            finding::Evidence::Seen => "what was seen is enough".to_owned(),
            finding::Evidence::Absent { step, source, from, to, .. } => {
                format!(
                    "no {} missed in {} from {from} to {to}",
                    case.name(step),
                    self.plan.sources[source as usize].name
                )
            }
        }
    }

    /// What every story owes, whatever the form.
    fn holds_together(&self, case: &Case<'_>, outcome: &Outcome, story: &Story) {
        let broken = matches!(outcome.verdict, Verdict::Broken(..));
        let healed = matches!(outcome.verdict, Verdict::Broken(_, Status::Healed));
        assert_eq!(healed, story.healed_after.is_some(), "what healed says after how long");
        assert!(!story.summary.is_empty() && !story.expected.is_empty(), "everything has its sentence");
        assert!(broken || story.evidence.iter().all(|e| *e == finding::Evidence::Seen), "only what is sure is claimed");
        for evidence in &story.evidence {
            let finding::Evidence::Absent { source, from, to, .. } = evidence else { continue };
            let known = self.evidence.covers(&[*source], *from, *to);
            assert!(known.is_yes() || *to == Time::MAX, "the evidence of {} is covered", case.check.name);
        }
    }
}

fn said(outcome: &Outcome) -> String {
    match outcome.verdict {
        Verdict::NotApplicable => "does not apply".to_owned(),
        Verdict::Passed => "passed".to_owned(),
        Verdict::Pending => "not due".to_owned(),
        Verdict::Undecided(doubt) => format!("undecided: {}", doubt.reason),
        Verdict::Broken(class, status) => format!("broken: {class}, {status}"),
    }
}

/// The transaction's records, each line one.
pub fn view(plan: &Plan, records: &str) -> View {
    let steps = &plan.flows[0].steps;
    let mut view = View::default();
    let mut bound: Vec<(u8, Vec<u8>)> = Vec::new();
    let mut batch = Batch::default();
    for (line_number, line) in records.lines().map(str::trim).filter(|l| !l.is_empty()).enumerate() {
        let mut words = line.split_whitespace();
        let time = at(words.next().expect("an offset"));
        let name = words.next().unwrap_or_else(|| panic!("`{line}` names a step"));
        let id = steps.iter().position(|s| s.name == name).unwrap_or_else(|| panic!("no step `{name}`"));
        let (step, id) = (&steps[id], id as StepId);
        let fields: Vec<(&str, &str)> = words.map(|w| w.split_once('=').expect("name=value")).collect();
        let part = fields.iter().find(|(name, _)| *name == "part").map_or(0, |(_, n)| n.parse().expect("a number"));
        let offset = fields.iter().find(|(name, _)| *name == "offset").map(|(_, n)| n.parse().expect("a number"));
        let position = Position { part, offset: offset.unwrap_or(line_number as u64 + 1), element: 0 };
        let mut keys = Vec::new();
        for (name, text) in step.keys.iter().flat_map(|(name, exprs)| texts(*name, exprs, &fields)) {
            let mut packed = Vec::new();
            key::pack(text, &mut packed);
            let known = bound.iter().position(|(n, p)| (*n, p) == (name, &packed)).unwrap_or(bound.len());
            if known == bound.len() {
                view.add_key(name, &packed);
                bound.push((name, packed));
            }
            keys.push(known as u32);
        }
        body(step, &fields, batch.begin(0, id, time, position));
        let body = batch.body(batch.entries().last().expect("just finished"));
        view.add_record((id, step.source), time, position, step.carries_flow_key, keys.into_iter(), body);
    }
    view.arrange(steps.len());
    view
}

/// The values of a key, but for the flow's own, which every record has.
fn texts<'a>(name: u8, exprs: &[Expr], fields: &[(&str, &'a str)]) -> Vec<(u8, &'a str)> {
    let values = exprs.iter().filter(|_| name != 0).filter_map(|e| field(e, fields));
    values.flat_map(|v| v.split(',')).map(|text| (name, text)).collect()
}

fn body(step: &Step, fields: &[(&str, &str)], mut draft: crate::model::observation::Draft<'_>) {
    let dedupe = step.dedupe_by.as_ref().and_then(|e| match field(e, fields) {
        None if is_own_key(e) => Some("the transaction"),
        value => value,
    });
    draft.body(dedupe.map_or(Dedupe::Position, |text| Dedupe::Value(text.as_bytes())));
    step.keep.iter().for_each(|(_, expr)| draft.field(&value(field(expr, fields))));
    draft.finish();
}

fn is_own_key(expr: &Expr) -> bool {
    matches!(expr, Expr::Path(path) if path.segments == [Segment::Field("order".into())])
}

/// The field that a path's last word names.
fn field<'a>(expr: &Expr, fields: &[(&str, &'a str)]) -> Option<&'a str> {
    let Expr::Path(path) = expr else { panic!("stories have paths alone") };
    let Some(Segment::Field(name)) = path.segments.last() else { panic!("a path that ends in a name") };
    fields.iter().find(|(n, _)| n == name).map(|(_, value)| *value).filter(|v| *v != "null")
}

/// `5`, `0.5`, `true`, text.
fn value(text: Option<&str>) -> Value<'_> {
    match text {
        None => Value::Null,
        Some("true") => Value::Bool(true),
        Some(text) => match (text.parse::<i64>(), text.parse::<f64>()) {
            (Ok(n), _) => Value::Int(n),
            (_, Ok(_)) => Value::Number(text.into()),
            _ => Value::Text(text.trim_matches('"').into()),
        },
    }
}

/// The same text with every time as an offset.
pub fn offsets(text: &str) -> String {
    let mut out = String::new();
    let mut rest = text;
    while let Some(found) = rest.find("2026-01-0").or_else(|| rest.find("2025-12-3")) {
        let length = rest[found..].find('Z').expect("times are in UTC") + 1;
        let time = chrono::DateTime::parse_from_rfc3339(&rest[found..found + length]).expect("a time");
        let offset = Time(time.timestamp_nanos_opt().expect("within the years")).since(BASE);
        out.push_str(&rest[..found]);
        out.push_str(&offset.to_string());
        rest = &rest[found + length..];
    }
    out + rest
}
