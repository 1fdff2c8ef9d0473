//! The plan: what a checked flow means, in the form that extract, the checks and the engine run.
//!
//! Everything is resolved: names are indexes, durations are spans, defaults are filled in, ranks and
//! closures are worked out. Nothing here is written by users; `flow::compile` makes it. The file is
//! long because it is the whole vocabulary that flow, extract, checks and engine share, read in one go.

use super::expression::{HoldsProgram, Program};
use crate::model::time::{Span, Time};
use crate::model::value::Value;
use crate::model::verdict::{Class, Severity};
use crate::model::{CheckId, KeyId, SourceId, StepId};
use serde::{Deserialize, Serialize};

/// All flows of one configuration, and the sources that they read.
#[derive(Clone, Debug, Default)]
pub struct Plan {
    /// The flows.
    pub flows: Vec<Flow>,
    /// The sources as evidence: first those of the configuration that a flow uses, then one more for
    /// each step with a `time` of its own (it has a lateness, and so a progress, of its own).
    pub sources: Vec<Source>,
    /// How far clocks may differ.
    pub clock_skew: Span,
}

/// What judging needs to know of a source.
#[derive(Clone, Debug)]
pub struct Source {
    /// Its name in the configuration.
    pub name: String,
    /// For a step's own clock: the source that the step reads; its progress is that source's proof
    /// less this one's `lateness`.
    pub clock_of: Option<SourceId>,
    /// What it carries; decides between a lost message and a missing step.
    pub carries: Carries,
    /// Whose clock stamps its records.
    pub clock: Clock,
    /// The unit its times are rounded to; zero where they are exact.
    pub resolution: Span,
    /// The longest span from an event's time to its being visible.
    pub lateness: Span,
    /// The source may skip versions of a row (polling).
    pub skips_versions: bool,
    /// In no order of time at all (`lateness: end`): judged at the end.
    pub lateness_end: bool,
}

/// What a source carries.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub enum Carries {
    /// Messages of a queue or log-based broker.
    Messages,
    /// Rows of a database.
    Rows,
    /// Lines of a log.
    Lines,
}

/// Which of a source's times compare exactly.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub enum Clock {
    /// All of them.
    One,
    /// Those of one part (file, partition).
    PerPart,
    /// None: its records come from many hosts.
    Many,
}

/// One kind of transaction.
#[derive(Clone, Debug)]
pub struct Flow {
    /// Its name.
    pub name: String,
    /// What it is about, for people.
    pub about: String,
    /// Who to ask.
    pub owner: String,
    /// Key names; the flow's own is number 0.
    pub keys: Vec<Key>,
    /// The steps that begin a transaction; empty where none is named.
    pub begins: Vec<StepId>,
    /// How long stragglers are waited for.
    pub linger: Span,
    /// The steps.
    pub steps: Vec<Step>,
    /// The checks.
    pub checks: Vec<Check>,
    /// All sources that any step reads or any closure names, ascending.
    pub sources: Vec<SourceId>,
}

/// A key name and its rank: the flow's key 0, any other 1 + the lowest rank that it appears beside.
/// `None` where it never appears beside a ranked one: nothing can bind it.
#[derive(Clone, Debug)]
pub struct Key {
    /// The name.
    pub name: String,
    /// The rank.
    pub rank: Option<u8>,
}

impl Key {
    /// Nobody has named it: it is the key of a captured table's rows.
    pub fn is_implied(&self) -> bool {
        self.name.starts_with('@')
    }
}

/// A point at which a record is recognised.
#[derive(Clone, Debug)]
pub struct Step {
    /// Its name; a mirror's implied step is called after its check.
    pub name: String,
    /// The source of its evidence (its own clock's, where it has a `time`).
    pub source: SourceId,
    /// The name of the configured source that it reads.
    pub reads: String,
    /// The table, topic, queue or stream after the dot.
    pub select: Option<String>,
    /// Which records match.
    pub when: Condition,
    /// Key names with their values, the flow's key first. A mirror's implied step names its keys
    /// without values: they stand in the entry's name.
    pub keys: Vec<(KeyId, Vec<Expr>)>,
    /// Kept fields.
    pub keep: Vec<(String, Expr)>,
    /// What makes the effect unique; `None` is the source's default.
    pub dedupe_by: Option<Expr>,
    /// Event time, where it is not the source's.
    pub time: Option<Expr>,
    /// What takes a record apart.
    pub each: Option<Path>,
    /// Whether it names the flow's key.
    pub carries_flow_key: bool,
    /// Its source, and the sources of every step that could bind a key by which it joins: all that
    /// must have passed a moment before it can be said not to have come. Ascending.
    pub closure: Vec<SourceId>,
    /// For a step that does not name the flow's key: the sources of its binders alone. Ascending.
    pub binders: Vec<SourceId>,
    /// For a mirror's implied step: how its flow key values are read out of the entry's name.
    pub entry: Option<EntryPattern>,
}

/// A mirror's `entry: "order:{order_id}"` read backwards: the literal texts around the keys.
/// A record of the cache whose key has this form carries these keys.
#[derive(Clone, Debug)]
pub struct EntryPattern {
    /// Literal text before each key, in order.
    pub parts: Vec<(String, KeyId)>,
    /// Literal text after the last key.
    pub tail: String,
}

/// A condition on a record. Paths against literals never go through the expression engine.
#[derive(Clone, Debug)]
pub enum Condition {
    /// Every record.
    Always,
    /// The path's value equals (or not) a literal.
    Compare {
        /// Where to look.
        path: Path,
        /// What to find there.
        literal: Value<'static>,
        /// `==` or, where false, `!=`.
        equal: bool,
    },
    /// All of them.
    All(Vec<Condition>),
    /// Any of them.
    Any(Vec<Condition>),
    /// A CEL expression.
    Program(Program),
}

/// What gives a value.
#[derive(Clone, Debug)]
pub enum Expr {
    /// A path into the record.
    Path(Path),
    /// A constant.
    Literal(Value<'static>),
    /// A CEL expression.
    Program(Program),
}

/// A path such as `body.psp.reference` or `body.items[0].sku`.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Path {
    /// Its first word.
    pub root: Root,
    /// The rest.
    pub segments: Vec<Segment>,
}

/// Where a path starts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Root {
    /// The decoded payload.
    Body,
    /// A table's row; a synonym of the payload.
    Row,
    /// Insert, update, delete.
    Op,
    /// A message's headers.
    Headers,
    /// The record's own key.
    Key,
    /// Position, topic, partition, table, queue, file, ingest time.
    Meta,
    /// The element of `each`.
    Each,
}

/// One word of a path.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Segment {
    /// A field of an object.
    Field(String),
    /// An element of a list.
    Index(u32),
}

/// A rule that every transaction of the flow must meet.
#[derive(Clone, Debug)]
pub struct Check {
    /// Its name.
    pub name: String,
    /// What it says.
    pub form: Form,
    /// Judge only transactions that have all of these.
    pub given: Vec<StepId>,
    /// Nor those that have any of these.
    pub unless: Vec<StepId>,
    /// Judged for each value of this key.
    pub by: Option<KeyId>,
    /// How bad, where the user says so.
    pub severity: Option<Severity>,
    /// The class, where the user says so.
    pub class: Option<Class>,
    /// What it is about, for people.
    pub about: String,
    /// What to do about it.
    pub runbook: String,
}

impl Check {
    /// The severity of a finding whose derived class is `derived`.
    pub fn severity_of(&self, derived: Class) -> Severity {
        self.severity.unwrap_or_else(|| self.class.unwrap_or(derived).default_severity())
    }
}

/// The closed set of forms. Each is one file under `src/checks/`.
#[derive(Clone, Debug)]
pub enum Form {
    /// Every A is followed by what is expected.
    After(After),
    /// No B later than an A.
    Never {
        /// A.
        after: StepId,
        /// Which of the A.
        anchor: Anchor,
        /// B.
        never: StepId,
        /// Only so long after A.
        within: Option<Span>,
    },
    /// No A at all.
    Forbid {
        /// A.
        step: StepId,
    },
    /// All or none.
    Together {
        /// The steps.
        steps: Vec<StepId>,
        /// From the first of them.
        within: Span,
    },
    /// No more than so many effects.
    AtMost {
        /// Steps with their greatest counts.
        limits: Vec<(StepId, u64)>,
    },
    /// None later than the first of a later one.
    Order {
        /// The steps in their order.
        steps: Vec<StepId>,
    },
    /// For every B an A before it.
    Requires {
        /// B.
        step: StepId,
        /// A.
        requires: StepId,
        /// How long before.
        within: Option<Span>,
    },
    /// Every effect has the same value.
    Agree {
        /// The fields.
        fields: Vec<FieldRef>,
        /// How far decimals may differ.
        tolerance: Option<Value<'static>>,
        /// Judged so long after each change; else the final ones.
        within: Option<Span>,
    },
    /// An invariant.
    Holds {
        /// The expression, and the aggregates that it names.
        program: HoldsProgram,
        /// Judged so long after each change; else the final ones.
        within: Option<Span>,
    },
    /// Successive values follow the arrows.
    States {
        /// The field.
        field: FieldRef,
        /// From, to; values as text.
        allow: Vec<(String, String)>,
        /// What the first must be; empty: anything.
        start: Vec<String>,
        /// What the last must be; empty: anything.
        end: Vec<String>,
    },
    /// A cache or replica shows A's newest version in time.
    Mirror {
        /// A.
        step: StepId,
        /// The implied step that sees the cache's entries.
        entry: StepId,
        /// Pairs of (field of the entry's step, field of A), by index into their `keep`.
        fields: Vec<(usize, usize)>,
        /// How soon.
        within: Span,
    },
    /// A background job ran at each due time.
    Schedule {
        /// When.
        cron: Cron,
        /// A.
        expect: StepId,
        /// How long after the due time.
        within: Span,
        /// How long before.
        early: Span,
    },
}

/// `after: A, expect: …`.
#[derive(Clone, Debug)]
pub struct After {
    /// A.
    pub after: StepId,
    /// Which of the A.
    pub anchor: Anchor,
    /// What must follow.
    pub expect: Expect,
    /// How long before A it may already have come.
    pub early: Span,
    /// By when.
    pub deadline: Deadline,
}

/// What must follow.
#[derive(Clone, Debug)]
pub enum Expect {
    /// One of these steps.
    Any(Vec<StepId>),
    /// Each of these steps with at least so many effects.
    All(Vec<(StepId, Count)>),
}

/// How many effects.
#[derive(Clone, Debug)]
pub enum Count {
    /// So many.
    Fixed(u64),
    /// As many as this kept field of A says.
    Field(FieldRef),
}

/// By when something must follow.
#[derive(Clone, Debug)]
pub enum Deadline {
    /// Within a span of A; lost only after `give_up` (at least `within`).
    Within {
        /// The span.
        within: Span,
        /// When a missing one is lost and not only overdue.
        give_up: Span,
    },
    /// By the schedule's next time after A, and `grace`.
    Due {
        /// The schedule.
        cron: Cron,
        /// How much later is still in time.
        grace: Span,
    },
    /// By the end of the recording.
    End,
}

/// Which observations of A are anchors.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Anchor {
    /// Each.
    Every,
    /// The transaction's first.
    First,
    /// The transaction's last.
    Last,
}

/// A field of a step.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct FieldRef {
    /// The step.
    pub step: StepId,
    /// Which of its fields.
    pub field: Field,
}

/// A field: the event time, or a kept one by its index in `keep`.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Field {
    /// `step.time`.
    Time,
    /// `step.name`.
    Keep(usize),
}

/// A cron schedule in a time zone.
#[derive(Clone, Debug)]
pub struct Cron {
    /// As written.
    pub text: String,
    /// The zone's name.
    pub zone: chrono_tz::Tz,
    /// Parsed.
    pub schedule: Box<croner::Cron>,
}

impl Cron {
    /// The first due time strictly after `time`; `None` where there is none within the years that
    /// event time can hold.
    pub fn next_after(&self, time: Time) -> Option<Time> {
        if !time.is_finite() {
            return None;
        }
        let at = chrono::DateTime::from_timestamp_nanos(time.0).with_timezone(&self.zone);
        let next = self.schedule.find_next_occurrence(&at, false).ok()?;
        next.timestamp_nanos_opt().map(Time)
    }
}

impl Plan {
    /// Whether the other plan makes the same observations of the same records and joins them alike, whatever it then
    /// checks of transactions. Schedules are about observations that nobody else remembers: they must be the same.
    pub fn observes_like(&self, other: &Plan) -> bool {
        let observing = |plan: &Plan| {
            let flows = plan.flows.iter().map(|flow| {
                let Flow { name, keys, begins, steps, sources, checks, .. } = flow;
                let mut schedules: Vec<_> =
                    checks.iter().filter(|check| matches!(check.form, Form::Schedule { .. })).collect();
                schedules.sort_unstable_by_key(|check| &check.name);
                format!("{:?}", (name, keys, begins, steps, sources, schedules))
            });
            (format!("{:?}", (&plan.sources, plan.clock_skew)), flows.collect::<Vec<_>>())
        };
        observing(self) == observing(other)
    }

    /// The slack between two clocks: zero within one clock, else the skew; never finer than the
    /// coarser resolution. `same_part` says that both records stand in one part of one source.
    pub fn slack(&self, a: SourceId, b: SourceId, same_part: bool) -> Span {
        let (left, right) = (&self.sources[a as usize], &self.sources[b as usize]);
        let one_clock = self.root(a) == self.root(b)
            && left.clock_of == right.clock_of
            && match left.clock {
                Clock::One => true,
                Clock::PerPart => same_part,
                Clock::Many => false,
            };
        let skew = if one_clock { Span::ZERO } else { self.clock_skew };
        skew.max(left.resolution).max(right.resolution)
    }

    /// The most that [`Plan::slack`] can be between records of these two.
    pub fn slack_max(&self, a: SourceId, b: SourceId) -> Span {
        self.slack(a, b, false)
    }

    /// The configured source of this name; `None` where no flow reads it.
    pub fn source_named(&self, name: &str) -> Option<SourceId> {
        self.sources.iter().position(|source| source.clock_of.is_none() && source.name == name).map(|id| id as SourceId)
    }

    /// Whether a step reads this stream of a source and goes by the source's own time for its records.
    pub fn goes_by_source_time(&self, source: &str, stream: &str) -> bool {
        let steps = self.flows.iter().flat_map(|flow| &flow.steps);
        steps
            .filter(|step| step.reads == source && step.time.is_none())
            .any(|step| step.select.as_deref().is_none_or(|select| select == stream))
    }

    /// The evidence sources that are read off a configured source: itself first, then the clocks of steps of their own.
    pub fn clocks(&self, source: SourceId) -> impl Iterator<Item = SourceId> {
        let own = (0..).zip(&self.sources).filter(move |(_, clock)| clock.clock_of == Some(source));
        std::iter::once(source).chain(own.map(|(id, _)| id))
    }

    /// The configured source behind an evidence source.
    pub fn root(&self, source: SourceId) -> SourceId {
        self.sources[source as usize].clock_of.unwrap_or(source)
    }
}

impl Flow {
    /// The step with this name.
    pub fn step_named(&self, name: &str) -> Option<StepId> {
        self.steps.iter().position(|s| s.name == name).map(|i| i as StepId)
    }

    /// The check with this name.
    pub fn check_named(&self, name: &str) -> Option<CheckId> {
        self.checks.iter().position(|c| c.name == name).map(|i| i as CheckId)
    }
}

impl Form {
    /// The steps that the form itself names, in its order (not `given` and `unless`).
    pub fn steps(&self) -> Vec<StepId> {
        let mut steps = match self {
            Form::After(after) => {
                let mut steps = vec![after.after];
                match &after.expect {
                    Expect::Any(any) => steps.extend(any),
                    Expect::All(all) => steps.extend(all.iter().map(|(step, _)| *step)),
                }
                steps
            }
            Form::Never { after, never, .. } => vec![*after, *never],
            Form::Forbid { step } => vec![*step],
            Form::Together { steps, .. } | Form::Order { steps } => steps.clone(),
            Form::AtMost { limits } => limits.iter().map(|(step, _)| *step).collect(),
            Form::Requires { step, requires, .. } => vec![*step, *requires],
            Form::Agree { fields, .. } => fields.iter().map(|f| f.step).collect(),
            Form::Holds { program, .. } => program.uses().iter().map(|u| u.step).collect(),
            Form::States { field, .. } => vec![field.step],
            Form::Mirror { step, entry, .. } => vec![*step, *entry],
            Form::Schedule { expect, .. } => vec![*expect],
        };
        let mut seen = Vec::new();
        steps.retain(|step| {
            !seen.contains(step) && {
                seen.push(*step);
                true
            }
        });
        steps
    }
}
