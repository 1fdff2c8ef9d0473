//! Why nothing sure is said: what a check lacks to be judged, what it waits for, and which source
//! leaves it in doubt.

use super::Case;
use super::evidence::Coverage;
use super::given;
use super::story::{Looked, listed};
use crate::flow::plan::Form;
use crate::model::time::{Span, Time};
use crate::model::verdict::{Doubt, Reason};

/// Why a check does not apply to a transaction.
pub(super) fn not_applicable(case: &Case<'_>) -> String {
    let name = |s: &_| case.name(*s);
    let applicable = super::fold(case).applicable;
    if applicable && let Some(step) = case.check.unless.iter().find(|s| given::present(case, **s)) {
        return format!("{} came", name(step));
    }
    let steps = case.check.form.steps();
    let names = listed(steps.iter().map(name), "or");
    match &case.check.form {
        _ if applicable => {
            let lacking = case.check.given.iter().filter(|s| !given::present(case, **s));
            format!("there is no {}", listed(lacking.map(name), "and no"))
        }
        Form::Order { .. } => format!("there are not two of {names}"),
        Form::Agree { fields, .. } => {
            format!("there are not two values of {}", listed(fields.iter().map(|f| case.field_name(*f)), "or"))
        }
        Form::Holds { program, .. } => {
            let lacking = program.uses().iter().filter(|u| case.effects(u.step).next().is_none());
            let mut lacking: Vec<&str> = lacking.map(|u| case.name(u.step)).collect();
            lacking.dedup();
            format!("there is no {}", listed(lacking, "and no"))
        }
        Form::Together { .. } | Form::AtMost { .. } => format!("there is no {names}"),
        _ => format!("there is no {}", steps.first().map(name).unwrap_or_default()),
    }
}

/// What a judgement waits for that is due at this progress.
pub(super) fn pending(due: Time) -> String {
    match due {
        Time(at) if at >= i64::MAX - 1 => "not due before the end of the recording".into(),
        // The sources must be past the moment, so `due` is the nanosecond after it.
        _ => format!("not due before all sources have passed {}", due - Span(1)),
    }
}

/// Why nothing sure can be said, by the source that leaves the doubt.
pub(super) fn undecided(case: &Case<'_>, doubt: Doubt, looked: &[Looked]) -> String {
    let Doubt { reason, source } = doubt;
    match reason {
        Reason::Limit => return "not all of the transaction is here: a limit was hit".into(),
        Reason::Forgotten => return "it is older than what the journal keeps".into(),
        Reason::Expression => return "an expression failed on its values".into(),
        Reason::BeforeWatch if given::begun_before(case).is_some() => {
            let begins = listed(case.flow().begins.iter().map(|s| case.name(*s)), "or");
            return format!("no {begins} was seen: it may have begun before the watch did");
        }
        _ => {}
    }
    let Some(source) = source else { return format!("nothing sure is known: {reason}") };
    let coverage = &case.evidence.sources[source as usize];
    for looked in looked {
        let (Looked::Within { step, .. } | Looked::Until { step, .. }) = *looked;
        let spec = &case.flow().steps[step as usize];
        if spec.closure.contains(&source) && leaves_open(coverage, looked, reason) {
            let name = &case.plan.sources[case.plan.root(source) as usize].name;
            let what = if source == spec.source { String::new() } else { "what leads to ".to_owned() };
            return left_open(reason, name, coverage, &(what + &spec.name), looked);
        }
    }
    let carries_own = |l: &&Looked| {
        let (Looked::Within { step, .. } | Looked::Until { step, .. }) = **l;
        !case.flow().steps[step as usize].carries_flow_key
    };
    match looked.iter().find(carries_own) {
        Some(Looked::Within { step, .. }) => {
            let stray = case.name(*step);
            format!("a {stray} that joined nothing may belong here: what binds it may have been missed")
        }
        _ => format!("nothing sure is known: {reason}"),
    }
}

fn leaves_open(coverage: &Coverage, looked: &Looked, reason: Reason) -> bool {
    match *looked {
        Looked::Within { from, to, .. } => coverage.window(from, to).doubt == Some(reason.into()),
        Looked::Until { to, .. } if to < coverage.to => false,
        Looked::Until { .. } if coverage.down => reason == Reason::SourceDown,
        Looked::Until { .. } => coverage.ended && reason == Reason::AfterRecording,
    }
}

fn left_open(reason: Reason, source: &str, coverage: &Coverage, step: &str, looked: &Looked) -> String {
    let (from, to, newer) = match *looked {
        Looked::Within { from, to, .. } => (from, to, ""),
        Looked::Until { to, .. } => (to, to, "a newer "),
    };
    match reason {
        Reason::SourceDown if coverage.to == Time::MIN => format!("`{source}` is down; {newer}{step} may have come"),
        Reason::SourceDown => {
            format!("`{source}` is down and was read to {} only; {newer}{step} may have come until {to}", coverage.to)
        }
        Reason::Gap => {
            let (start, end) = coverage.first_gap(from, to).unwrap_or((from, to));
            let until = if end == Time::MAX { " on".to_owned() } else { format!(" to {end}") };
            format!("`{source}` may have missed records from {start}{until}; {step} may be among them")
        }
        Reason::BeforeWatch if coverage.from == Time::MAX => format!("nothing of `{source}` is known"),
        Reason::BeforeWatch => {
            format!("`{source}` is complete only from {} on; {step} may have come from {from} on", coverage.from)
        }
        Reason::AfterRecording => {
            format!("`{source}` is complete only before {}; {newer}{step} may have come until {to}", coverage.to)
        }
        _ => format!("`{source}` leaves it open: {reason}"),
    }
}
