//! Stories by hand, one for each rule: the oracle must say what a person says, and the engine the same.
//!
//! Times count from the start of histories. Unless a story says otherwise, all clocks are exact (no skew), stragglers
//! are waited for 20s, and every source covers an hour before and after.

mod conditions;
mod joining;
mod values;
mod windows;

use super::case::{Case, Evidence, Observation, State};
use super::compare::{Run, account, compare};
use super::generate::history::START;
use super::judge::{Verdict, judge};
use std::path::PathBuf;
use throughline::engine::Pace;
use throughline::flow::diagnostic::Document;
use throughline::flow::plan::{Carries, Clock, Plan};
use throughline::flow::{SourceInfo, compile};
use throughline::model::KeyId;
use throughline::model::observation::Position;
use throughline::model::time::{Span, Time};
use throughline::model::value::Value;

/// A shop: orders in a database, events on a bus, a warehouse's log, a cache, a job.
const STEPS: &str = "
steps:
  placed:    {from: shop, key: {order: row.id, item: row.items}, keep: {amount: row.amount, status: row.status}}
  announced: {from: bus, key: {order: body.order}, keep: {amount: body.amount}}
  paid:      {from: bus, key: {order: body.order, payment: body.payment}, keep: {amount: body.amount}, dedupe_by: body.id}
  cancelled: {from: bus, key: {order: body.order}}
  packed:    {from: depot, key: {item: body.items, package: body.package}, keep: {amount: body.amount}}
  shipped:   {from: bus, key: {payment: body.payment}, keep: {amount: body.amount}}
  delivered: {from: depot, key: {package: body.package}, keep: {amount: body.amount}}
";

/// A job without a key, which only a schedule can use.
const JOB: &str = "  cleaned:   {from: depot}\n";

/// Tells a story: what is checked, what happened, and what is said of each transaction.
fn tell(check: &str, story: &str, expected: &str) {
    let case = read(check, story);
    let reports = judge(&case);
    let instances = reports[0].instances.iter().map(|((_, key, by), verdict)| {
        let by = by.as_ref().map(|by| format!("/{by}")).unwrap_or_default();
        format!("{key}{by} {}", show(*verdict))
    });
    let said = instances.collect::<Vec<_>>().join(", ");
    assert_eq!(said, expected, "{check}\n{story}");
    let runs = (0..12).map(|seed| Run {
        seed,
        pace: if seed % 2 == 0 { Pace::Live } else { Pace::Settled },
        restarts: seed % 3 * 10,
        repeats: seed % 4 * 10,
        amended: false,
    });
    if let Err(failure) = compare(&case, &runs.collect::<Vec<_>>()) {
        panic!("the engine says otherwise:\n{}", account(0, &case, &failure));
    }
}

fn show(verdict: Verdict) -> String {
    match verdict {
        Verdict::NotApplicable => "not applicable".to_owned(),
        Verdict::Passed => "passed".to_owned(),
        Verdict::Broken(class, _, status) => format!("{class} {status}"),
        Verdict::Undecided(reason, _) => format!("undecided {reason}"),
        Verdict::Pending => "pending".to_owned(),
    }
}

fn read(check: &str, story: &str) -> Case {
    let lines: Vec<Vec<&str>> = story.lines().map(|line| line.split_whitespace().collect()).collect();
    let option = |name: &str| lines.iter().find(|line| line.first() == Some(&name)).map(|line| line[1]);
    let begins = option("begins").map(|step| format!("begins: [{step}]\n")).unwrap_or_default();
    let linger = option("linger").unwrap_or("20s");
    let job = if check.contains("cleaned") { JOB } else { "" };
    let text = format!("flow: sale\nkey: order\nlinger: {linger}\n{begins}{STEPS}{job}checks:\n  check: {check}\n");
    let skew = option("skew").map_or(Span::ZERO, span);
    let plan = plan(text, skew, option("polled").is_some());
    let hour = Span::seconds(3600);
    let usual =
        Evidence { from: START - hour, to: START + hour, proven: START + hour, state: State::Ended, gaps: Vec::new() };
    let evidence = vec![usual; plan.sources.len()];
    let mut case = Case { plan, observations: Vec::new(), evidence };
    for line in lines.iter().filter(|line| !line.is_empty()) {
        match line[0] {
            "begins" | "linger" | "skew" | "polled" => {}
            name => match case.plan.sources.iter().position(|source| source.name == name) {
                Some(source) => tell_evidence(&mut case.evidence[source], &line[1..]),
                None => observe(&mut case, line),
            },
        }
    }
    case
}

fn plan(text: String, skew: Span, polled: bool) -> Plan {
    let info = |name: &str, carries: Carries, clock: Clock| SourceInfo {
        name: name.to_owned(),
        carries,
        clock,
        resolution: Span::ZERO,
        lateness: Span::ZERO,
        lateness_end: false,
        skips_versions: polled,
        tells_operations: false,
        captures_changes: false,
        has_time: true,
        default_dedupe_is_position: false,
        retention: None,
    };
    let sources = [
        info("shop", Carries::Rows, Clock::One),
        info("bus", Carries::Messages, Clock::PerPart),
        info("depot", Carries::Lines, Clock::One),
        info("cache", Carries::Rows, Clock::One),
    ];
    let (plan, diagnostics) = compile(&[Document { path: PathBuf::from("sale.yaml"), text }], &sources, skew);
    plan.unwrap_or_else(|| panic!("{diagnostics:#?}"))
}

/// `from 5s`, `to 60s`, `down 60s`, `gap 3s 5s`, `complete`.
fn tell_evidence(evidence: &mut Evidence, words: &[&str]) {
    match words {
        [] => {}
        ["from", at, rest @ ..] => {
            evidence.from = time(at);
            tell_evidence(evidence, rest);
        }
        ["to", at, rest @ ..] => {
            (evidence.to, evidence.proven) = (time(at), time(at));
            tell_evidence(evidence, rest);
        }
        ["down", at, rest @ ..] => {
            (evidence.to, evidence.proven, evidence.state) = (time(at), time(at), State::Down);
            tell_evidence(evidence, rest);
        }
        ["gap", from, to, rest @ ..] => {
            evidence.gaps.push((time(from), time(to)));
            tell_evidence(evidence, rest);
        }
        ["complete", rest @ ..] => {
            (evidence.from, evidence.to, evidence.proven) = (Time::MIN, Time::MAX, Time::MIN);
            tell_evidence(evidence, rest);
        }
        other => panic!("{other:?}"),
    }
}

/// `placed 5s order=1 amount=3 #twice`: a step, its time, keys and fields by name, what makes the effect unique.
fn observe(case: &mut Case, words: &[&str]) {
    let flow = &case.plan.flows[0];
    let step_id = flow.step_named(words[0]).unwrap_or_else(|| panic!("no step {}", words[0]));
    let step = &flow.steps[step_id as usize];
    let mut keys: Vec<(KeyId, String)> = Vec::new();
    let mut fields = vec![Value::Null; step.keep.len()];
    let (mut dedupe, mut part) = (None, 0);
    for word in &words[2..] {
        match word.split_once('=') {
            None if word.starts_with("part") => part = 1,
            None => dedupe = Some(word.to_string()),
            Some((name, value)) => match step.keep.iter().position(|(field, _)| field == name) {
                Some(field) => fields[field] = field_value(value),
                None => {
                    let key = step.keys.iter().find(|(key, _)| flow.keys[*key as usize].name == name);
                    keys.push((key.unwrap_or_else(|| panic!("no {name}")).0, value.to_owned()));
                }
            },
        }
    }
    keys.sort();
    let position = Position { part, offset: case.observations.len() as u64, element: 0 };
    let (source, at) = (step.source, time(words[1]));
    case.observations.push(Observation { flow: 0, step: step_id, source, time: at, position, keys, dedupe, fields });
}

fn field_value(text: &str) -> Value<'static> {
    match text.parse() {
        _ if text == "null" => Value::Null,
        Ok(number) => Value::Int(number),
        Err(_) => Value::Text(text.to_owned().into()),
    }
}

fn time(text: &str) -> Time {
    match text.strip_prefix('-') {
        _ if text == "end" => Time::MAX,
        Some(before) => START - span(before),
        None => START + span(text),
    }
}

fn span(text: &str) -> Span {
    Span::parse(text).unwrap_or_else(|error| panic!("{error}"))
}
