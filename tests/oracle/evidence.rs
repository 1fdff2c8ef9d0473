//! What may be said of an absence: coverage of windows by the sources that could have brought it.

use super::case::{Case, Evidence, Observation, State};
use super::join::Joined;
use throughline::model::time::Time;
use throughline::model::verdict::Reason;
use throughline::model::{FlowId, SourceId, StepId};

/// Why an absence cannot be claimed; the smallest counts.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Lack {
    /// It will never be known; because of this source, where it is one.
    Because(Reason, Option<SourceId>),
    /// It is not known yet.
    NotYet,
}

/// Known, or why not.
pub type Known = Result<(), Lack>;

/// The worst of several.
pub fn worst(of: impl IntoIterator<Item = Known>) -> Known {
    of.into_iter().filter_map(Known::err).min().map_or(Ok(()), Err)
}

/// Whether all that a source saw between two moments, both included, is known.
pub fn seen_by(case: &Case, id: SourceId, from: Time, to: Time) -> Known {
    let source = evidence(case, id);
    let because = |reason| Lack::Because(reason, Some(id));
    let beyond = to >= source.to;
    let rules = [
        (beyond && source.state == State::Down, because(Reason::SourceDown)),
        (source.gaps.iter().any(|gap| gap.0 <= to && gap.1 >= from), because(Reason::Gap)),
        (from < source.from, because(Reason::BeforeWatch)),
        (beyond && source.state == State::Ended, because(Reason::AfterRecording)),
        (beyond && source.state == State::Live, Lack::NotYet),
    ];
    worst(rules.into_iter().filter(|(holds, _)| *holds).map(|(_, lack)| Err(lack)))
}

/// Whether all that a source saw from one moment to the end of the recording is known.
fn seen_to_the_end(case: &Case, source: SourceId, from: Time) -> Known {
    match seen_by(case, source, from, Time::MAX) {
        Err(Lack::Because(Reason::AfterRecording, _)) => Ok(()),
        known => known,
    }
}

/// `cov`: whether every observation of a step between two moments, both included, is known.
pub fn cov(case: &Case, flow: FlowId, joined: &Joined, step: StepId, from: Time, to: Time) -> Known {
    let sources = case.flow(flow).steps[step as usize].closure.iter();
    let direct = worst(sources.map(|s| seen_by(case, *s, from, to)));
    worst([direct, binders_seen(case, flow, joined, step, from, to)])
}

/// `cov` to the end of the recording.
pub fn cov_to_the_end(case: &Case, flow: FlowId, joined: &Joined, step: StepId, from: Time) -> Known {
    let sources = case.flow(flow).steps[step as usize].closure.iter();
    let direct = worst(sources.map(|s| seen_to_the_end(case, *s, from)));
    worst([direct, binders_seen(case, flow, joined, step, from, Time::MAX)])
}

/// Unattached observations of a step may belong to any transaction, unless all their binders are known. One without
/// a usable key belongs to none.
fn binders_seen(case: &Case, flow_id: FlowId, joined: &Joined, step_id: StepId, from: Time, to: Time) -> Known {
    let flow = case.flow(flow_id);
    let step = &flow.steps[step_id as usize];
    let stray = joined.unattached.iter().filter(|o| o.step == step_id && o.time >= from && o.time <= to);
    let usable = |o: &Observation| o.keys.iter().any(|(name, _)| flow.keys[*name as usize].rank.is_some());
    let judged = stray
        .filter(|o| !step.carries_flow_key && usable(o))
        .flat_map(|o| step.binders.iter().map(|s| seen_by(case, *s, o.time - flow.linger, o.time + flow.linger)));
    worst(judged)
}

/// `passed`: whether the sources of these steps have gone beyond a moment.
pub fn passed(case: &Case, flow: FlowId, steps: &[StepId], at: Time) -> Known {
    let sources = steps.iter().flat_map(|step| &case.flow(flow).steps[*step as usize].closure);
    worst(sources.filter(|s| at >= evidence(case, **s).to).map(|source| match evidence(case, *source).state {
        State::Down => Err(Lack::Because(Reason::SourceDown, Some(*source))),
        State::Ended => Err(Lack::Because(Reason::AfterRecording, Some(*source))),
        State::Live => Err(Lack::NotYet),
    }))
}

/// What a source can vouch for.
pub fn evidence(case: &Case, source: SourceId) -> &Evidence {
    &case.evidence[source as usize]
}
