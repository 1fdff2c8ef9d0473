//! What all types of sources can say: how late, how quiet, whose clock, which holes.

use super::{SourceConfig, Tap, moment};
use crate::flow::diagnostic::{Diagnostics, Problem};
use crate::flow::dialect::Dialect;
use crate::flow::fields::{self, Fields};
use crate::flow::format::{Decoding, Format, Lateness, Pacing};
use crate::flow::plan::{Carries, Clock};
use crate::flow::yaml::Node;
use crate::model::time::{Span, Time};
use crate::sources::live::Start;
use chrono_tz::Tz;

/// A time further than this from its neighbours needs to be confirmed, where nothing else is said.
const JUMP_MAX: Span = Span::seconds(86_400);

/// From a commit to its message, where nothing else is said of a connector.
const CONNECTOR_LATENESS: Span = Span::seconds(30);

/// What holds for a type of source where its options say nothing.
pub(super) struct Defaults {
    /// The longest span from an event's time to its being visible.
    pub lateness: Lateness,
    /// What it carries.
    pub carries: Carries,
    /// Whose clock stamps its records.
    pub clock: Clock,
    /// The unit its times are rounded to; zero where they are exact.
    pub resolution: Span,
}

/// What a test tool leaves behind is no format of messages.
pub(super) fn of_messages(dialect: Option<&Dialect>, fields: &Fields<'_>, diagnostics: &Diagnostics<'_>) {
    if let (Some(true), Some(node)) = (dialect.map(Dialect::is_test_result), fields.get("format")) {
        Problem::error("wrong-field", node.place, "what a test tool found stands in a file, and not in messages")
            .help("read it with `type: file`")
            .report(diagnostics);
    }
}

impl Defaults {
    /// The same where the records are of another tool, which may know better.
    pub fn of_dialect(self, dialect: Option<&Dialect>) -> Defaults {
        match dialect {
            // One database stamped them all, most often to the millisecond, and what has passed through a connector is
            // late by its pace.
            Some(Dialect::Debezium { .. }) => Defaults {
                lateness: Lateness::Span(CONNECTOR_LATENESS),
                carries: Carries::Rows,
                clock: Clock::One,
                resolution: Span(1_000_000),
            },
            // A sample is written down when it is complete, and dated when it began; these two say so to the second.
            Some(Dialect::Newman | Dialect::Junit) => {
                Defaults { lateness: Lateness::End, resolution: Span::seconds(1), ..self }
            }
            Some(dialect) if dialect.is_test_result() => {
                Defaults { lateness: Lateness::End, resolution: Span(1_000_000), ..self }
            }
            Some(_) => Defaults { carries: Carries::Messages, clock: Clock::Many, ..self },
            None => self,
        }
    }
}

/// The options that all types share; all are asked for, so that what is left is unknown.
pub(super) fn config(
    name: &str,
    tap: Option<Tap>,
    decoding: Option<Decoding>,
    defaults: &Defaults,
    fields: &Fields<'_>,
    diagnostics: &Diagnostics<'_>,
) -> Option<SourceConfig> {
    let prose = matches!(decoding.as_ref().map(|d| &d.format), Some(Format::Regex(_) | Format::Text));
    let undecodable = fields.choice("undecodable", &[("gap", true), ("skip", false)]);
    let pacing = Pacing {
        lateness: lateness(fields, diagnostics).unwrap_or(defaults.lateness),
        jump_max: fields.duration("jump_max").map_or(JUMP_MAX, |span| span.value),
        silence: fields.duration("silence").map(|span| span.value),
        undecodable_is_gap: undecodable.unwrap_or(!prose),
    };
    let zone = decoding.as_ref().map_or(Tz::UTC, |d| d.zone);
    let gaps = gaps(fields, zone, diagnostics);
    let clock = fields.choice("clock", &[("one", Clock::One), ("many", Clock::Many)]).unwrap_or(defaults.clock);
    let start = start(fields, zone, diagnostics).unwrap_or_default();
    let resolution = fields.duration("resolution").map_or(defaults.resolution, |span| span.value);
    let captures_changes = decoding.as_ref().and_then(Decoding::dialect).is_some_and(Dialect::captures_changes);
    Some(SourceConfig {
        name: name.to_owned(),
        tap: tap?,
        decoding: decoding?,
        pacing,
        start,
        gaps,
        carries: defaults.carries,
        clock,
        resolution,
        skips_versions: false,
        tells_operations: false,
        captures_changes,
    })
}

/// Where following begins: `latest`, `beginning`, or a moment.
pub(super) fn start(fields: &Fields<'_>, zone: Tz, diagnostics: &Diagnostics<'_>) -> Option<Start> {
    let text = fields.text("start")?;
    match text.value.as_str() {
        "latest" => Some(Start::Latest),
        "beginning" | "earliest" => Some(Start::Beginning),
        moment => {
            let at = moment::read(moment, zone);
            if at.is_none() {
                Problem::error("unknown-value", text.place, format!("`start` cannot be `{moment}`"))
                    .help(format!("it is `latest`, `beginning`, or a moment: {}", moment::FORMS))
                    .report(diagnostics);
            }
            at.map(Start::At)
        }
    }
}

fn lateness(fields: &Fields<'_>, diagnostics: &Diagnostics<'_>) -> Option<Lateness> {
    let node = fields.get("lateness")?;
    if node.scalar().is_some_and(|scalar| scalar.text == "end") {
        return Some(Lateness::End);
    }
    fields::duration(node, "lateness", diagnostics).map(|span| Lateness::Span(span.value))
}

fn gaps(fields: &Fields<'_>, zone: Tz, diagnostics: &Diagnostics<'_>) -> Vec<(Time, Time)> {
    let items = fields.get("gaps").and_then(|node| fields::list(node, "gaps", diagnostics)).unwrap_or_default();
    items.iter().filter_map(|item| gap(item, zone, diagnostics)).collect()
}

fn gap(node: &Node, zone: Tz, diagnostics: &Diagnostics<'_>) -> Option<(Time, Time)> {
    let fields = Fields::new(node, "a gap", diagnostics)?;
    let end = |name: &'static str| {
        fields.required(name, "a gap is `{from: 2023-01-29T08:50:00Z, to: 2023-01-29T08:53:00Z}`")?;
        let text = fields.text(name)?;
        let time = moment::read(&text.value, zone);
        if time.is_none() {
            Problem::error("bad-time", text.place, format!("`{}` is not a time", text.value))
                .help(moment::FORMS)
                .report(diagnostics);
        }
        time
    };
    let (from, to) = (end("from"), end("to"));
    fields.finish();
    let (from, to) = (from?, to?);
    if from > to {
        Problem::error("empty-gap", node.place, "this gap ends before it begins")
            .help("swap `from` and `to`")
            .report(diagnostics);
        return None;
    }
    Some((from, to))
}
