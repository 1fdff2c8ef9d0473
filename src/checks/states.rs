//! `states: s.f, allow: ["new -> paid", …]`: successive values in event time follow the arrows.

use super::Case;
use super::agree::field_name;
use super::explain::Story;
use super::outcome::{Fold, Part};
use super::view::Record;
use crate::flow::plan::{Field, FieldRef};
use crate::model::time::Span;
use crate::model::verdict::{Class, Status};

pub(super) fn judge(
    case: &Case<'_>,
    field: FieldRef,
    allow: &[(String, String)],
    start: &[String],
    end: &[String],
) -> Fold {
    let records: Vec<u32> = case.records(field.step).collect();
    let (Some(first), Some(last)) = (records.first().copied(), records.last().copied()) else {
        return Fold::not_applicable();
    };
    let mut fold = Fold::passed();
    let linger = case.flow().linger;
    let (first_time, last_time) = (case.view.record(first).time, case.view.record(last).time);
    let mut accuse = |from, to, record: u32| {
        let known = case.absent(field.step, from, to);
        fold.ask_again(known.due);
        fold.add(Part::broken_if(&known, 0, Class::IllegalTransition, Status::Open), record, last_time, None);
    };
    if !start.is_empty() && !start.contains(&state(case, field, first)) {
        accuse(first_time - linger, first_time, first);
    }
    for (x, y) in illegal(case, field, allow, &records) {
        accuse(case.view.record(x).time, case.view.record(y).time, y);
    }
    if !end.is_empty() && !end.contains(&state(case, field, last)) {
        accuse(last_time, last_time + linger, last);
    }
    fold
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
    story: &mut Story,
) {
    let arrows: Vec<String> = allow.iter().map(|(x, y)| format!("{x} -> {y}")).collect();
    story.expected = format!("{} moves only along {}", field_name(case, field), arrows.join(", "));
    let records: Vec<u32> = case.records(field.step).collect();
    let (Some(first), Some(last)) = (records.first(), records.last()) else { return };
    let steps = illegal(case, field, allow, &records);
    story.summary = if let Some((x, y)) = steps.first() {
        format!("{} went from {} to {}", field_name(case, field), state(case, field, *x), state(case, field, *y))
    } else if !start.is_empty() && !start.contains(&state(case, field, *first)) {
        format!("{} began as {}", field_name(case, field), state(case, field, *first))
    } else if !end.is_empty() && !end.contains(&state(case, field, *last)) {
        format!("{} ended as {}", field_name(case, field), state(case, field, *last))
    } else {
        String::new()
    };
}
