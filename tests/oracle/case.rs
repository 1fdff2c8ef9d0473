//! What one comparison is about: a plan, what happened, and what the sources can vouch for.

use throughline::flow::plan::{Flow, Plan};
use throughline::model::observation::Position;
use throughline::model::time::Time;
use throughline::model::value::Value;
use throughline::model::{FlowId, KeyId, SourceId, StepId};

/// A plan and a history of it.
#[derive(Clone, Debug)]
pub struct Case {
    /// The flows and their sources.
    pub plan: Plan,
    /// All observations, each once, in no particular order.
    pub observations: Vec<Observation>,
    /// One a source of the plan: the final state.
    pub evidence: Vec<Evidence>,
}

/// One observation, decoded.
#[derive(Clone, Debug)]
pub struct Observation {
    /// Its flow.
    pub flow: FlowId,
    /// The step that it matched.
    pub step: StepId,
    /// The step's evidence source.
    pub source: SourceId,
    /// When it happened.
    pub time: Time,
    /// Where it stands.
    pub position: Position,
    /// Its keys as text; the flow's own first.
    pub keys: Vec<(KeyId, String)>,
    /// What makes the effect unique; the position where there is none.
    pub dedupe: Option<String>,
    /// Kept fields, in the order of the step's `keep`.
    pub fields: Vec<Value<'static>>,
}

/// What a source can vouch for in the end.
#[derive(Clone, Debug)]
pub struct Evidence {
    /// Its coverage begins here, included.
    pub from: Time,
    /// It ends here, excluded.
    pub to: Time,
    /// How far it had shown itself to have come, where its end is then declared to be [`Time::MAX`].
    pub proven: Time,
    /// How it ended.
    pub state: State,
    /// Where it may have missed records, both ends included.
    pub gaps: Vec<(Time, Time)>,
}

/// How a source ended.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum State {
    /// It goes on.
    Live,
    /// No more will come.
    Ended,
    /// It is down.
    Down,
}

impl Case {
    /// A flow of the plan.
    pub fn flow(&self, flow: FlowId) -> &Flow {
        &self.plan.flows[flow as usize]
    }

    /// The observations of one flow.
    pub fn of(&self, flow: FlowId) -> impl Iterator<Item = &Observation> {
        self.observations.iter().filter(move |o| o.flow == flow)
    }
}

impl Observation {
    /// The order of records: by time, then source, then position.
    pub fn order(&self) -> (Time, SourceId, Position) {
        (self.time, self.source, self.position)
    }

    /// Whether it carries the flow's own key.
    pub fn has_flow_key(&self) -> bool {
        self.keys.iter().any(|(name, _)| *name == 0)
    }
}
