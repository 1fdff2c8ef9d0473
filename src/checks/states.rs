//! `states: s.f, allow: ["new -> paid", …]`: successive values in event time follow the arrows.

use super::Case;
use super::outcome::{Fold, Outcome, Part};
use super::story::{Looked, Story, listed};
use super::view::Record;
use crate::flow::plan::{Field, FieldRef};
use crate::model::time::{Span, Time};
use crate::model::verdict::{Class, Status};

/// What is wrong with the states: the window in which a version that explains it may have been
/// missed, the record at which it shows, and the sentence.
struct Fault {
    from: Time,
    to: Time,
    record: u32,
    sentence: String,
}

pub(super) fn judge(
    case: &Case<'_>,
    field: FieldRef,
    allow: &[(String, String)],
    start: &[String],
    end: &[String],
) -> Fold {
    let Some(last) = case.newest([field.step]) else {
        return Fold::not_applicable();
    };
    let mut fold = Fold::passed();
    for fault in faults(case, field, allow, (start, end)) {
        let known = case.absent(field.step, fault.from, fault.to);
        fold.ask_again(known.due);
        fold.add(Part::broken_if(&known, 0, Class::IllegalTransition, Status::Open), fault.record, last, None);
    }
    fold
}

fn faults(
    case: &Case<'_>,
    field: FieldRef,
    allow: &[(String, String)],
    (start, end): (&[String], &[String]),
) -> Vec<Fault> {
    let records: Vec<u32> = case.records(field.step).collect();
    let (Some(first), Some(last)) = (records.first().copied(), records.last().copied()) else {
        return Vec::new();
    };
    let mut found = Vec::new();
    let linger = case.flow().linger;
    let time = |record: u32| case.view.record(record).time;
    let mut accuse = |from, to, record, sentence: String| found.push(Fault { from, to, record, sentence });
    let unless_in = |states: &[String], record| {
        let listed = states.is_empty() || states.contains(&state(case, field, record));
        (!listed).then(|| state(case, field, record))
    };
    if let Some(began) = unless_in(start, first) {
        accuse(time(first) - linger, time(first), first, format!("began as {began}"));
    }
    for (x, y) in illegal(case, field, allow, &records) {
        let (before, after) = (state(case, field, x), state(case, field, y));
        accuse(time(x), time(y), y, format!("went from {before} to {after}"));
    }
    if let Some(ended) = unless_in(end, last) {
        accuse(time(last), time(last) + linger, last, format!("ended as {ended}"));
    }
    found
}

/// The state that a record shows.
pub(super) fn state(case: &Case<'_>, field: FieldRef, record: u32) -> String {
    match field.field {
        Field::Time => case.view.record(record).time.to_string(),
        Field::Keep(index) => case.view.field(record, index).display().into_owned(),
    }
}

/// Pairs of successive records whose transition no arrow (or path of arrows) allows.
pub(super) fn illegal(
    case: &Case<'_>,
    field: FieldRef,
    allow: &[(String, String)],
    records: &[u32],
) -> Vec<(u32, u32)> {
    let source = case.flow().steps[field.step as usize].source;
    let skips = case.plan.sources[source as usize].skips_versions;
    let mut found = Vec::new();
    let mut before = records[0];
    let mut from = state(case, field, before);
    for record in &records[1..] {
        let to = state(case, field, *record);
        let accused = to != from
            && !allowed(allow, &from, &to, skips)
            && in_sure_order(case, case.view.record(before), case.view.record(*record));
        if accused {
            found.push((before, *record));
        }
        before = *record;
        from = to;
    }
    found
}

/// Equal times, and times within the slack of two clocks, accuse nobody; within one part the
/// position tells the order.
fn in_sure_order(case: &Case<'_>, x: &Record, y: &Record) -> bool {
    let slack = case.slack(x, y);
    let one_part = x.source == y.source && x.position.part == y.position.part && slack == Span::ZERO;
    one_part || y.time > x.time + slack
}

fn allowed(allow: &[(String, String)], from: &str, to: &str, path: bool) -> bool {
    let arrow = |a: &str, b: &str| allow.iter().any(|(x, y)| x == a && y == b);
    if !path || arrow(from, to) {
        return arrow(from, to);
    }
    let mut reached = vec![from];
    let mut at = 0;
    while at < reached.len() {
        let here = reached[at];
        for (_, next) in allow.iter().filter(|(x, _)| x == here) {
            if next == to {
                return true;
            }
            if !reached.contains(&next.as_str()) {
                reached.push(next);
            }
        }
        at += 1;
    }
    false
}

pub(super) fn tell(
    case: &Case<'_>,
    field: FieldRef,
    allow: &[(String, String)],
    (start, end): (&[String], &[String]),
    outcome: &Outcome,
    story: &mut Story,
) {
    let name = case.field_name(field);
    let arrows: Vec<String> = allow.iter().map(|(x, y)| format!("{x} -> {y}")).collect();
    story.expected = format!("{name} moves only along {}", arrows.join(", "));
    if !start.is_empty() {
        story.expected.push_str(&format!(", from {}", listed(start, "or")));
    }
    if !end.is_empty() {
        story.expected.push_str(&format!(", to {} at last", listed(end, "or")));
    }
    let faults = faults(case, field, allow, (start, end));
    let is_sure = |f: &&Fault| case.absent(field.step, f.from, f.to).is_yes();
    let told = faults.iter().filter(|f| Some(f.record) == outcome.anchor).min_by_key(|f| !is_sure(f));
    let Some(fault) = told else { return };
    story.looked.push(Looked::Within { step: field.step, from: fault.from, to: fault.to });
    let more = match faults.iter().filter(is_sure).count() {
        0 | 1 => String::new(),
        all => format!(" (and {} more)", all - 1),
    };
    story.summary = format!("{name} {}{more}", fault.sentence);
}

#[cfg(test)]
mod tests;
