//! The options of `type: rabbitmq`: exchanges, streams and the firehose of a broker.

use super::decoding::{self, Stamp};
use super::source::{self, Defaults};
use super::{SourceConfig, Tap};
use crate::flow::diagnostic::{Diagnostics, Problem, Spanned};
use crate::flow::dialect::Dialect;
use crate::flow::fields::{self, Fields};
use crate::flow::format::{Decoding, Format, Lateness};
use crate::flow::plan::{Carries, Clock};
use crate::flow::yaml::{Entry, Node, Scalar};
use crate::model::time::Span;
use crate::sources::live::Start;
use crate::sources::rabbitmq::{Begin, Binding, Options, Origin, Secret, Stamped, Tap as What, Trace};
use std::path::Path;

/// The longest span from a message's time to its being in a queue, where nothing else is said.
const LATENESS: Span = Span::seconds(5);
/// The unit of the times that publishers stamp.
const RESOLUTION: Span = Span::seconds(1);
/// How long our queues are kept when we are gone, and how much waits for us in one of them.
const KEEP: Span = Span::seconds(600);
const MESSAGES: u64 = 40_000;
const MESSAGES_MAX: u64 = 48_000;
const BYTES: u64 = 256 << 20;
/// So many things can be followed by one source, each with a channel of its own.
const TAPS_MAX: usize = 500;
/// So long is the name of a thing that is followed: the name of its queue has room for no more.
const NAME_MAX: usize = 128;
/// So long is the name of an exchange, a queue or a key.
const WORD_MAX: usize = 255;

/// A header that every task of Celery has.
const CELERY_TASK: &str = "task";

const EXAMPLE: &str = "name what is followed: `queues: {shipping: {exchange: shop, routing: \"shipping.*\"}}`, or `streams`, or `firehose`";

/// The options of a broker; all are asked for, so that what is left is unknown.
pub(super) fn config(
    name: &str,
    fields: &Fields<'_>,
    folder: &Path,
    clock_skew: Span,
    diagnostics: &Diagnostics<'_>,
) -> Option<SourceConfig> {
    fields.required("url", "say where the broker is: `url: \"${AMQP_URL}\"`, as in `amqp://user:password@host:5672`");
    let url = fields.text("url");
    let (ca, certificate) = fields.get("tls").and_then(|node| tls(node, folder, diagnostics)).unwrap_or_default();
    let keep = fields.duration("keep").map_or(KEEP, |keep| keep.value);
    let max_messages = number(fields, "max_messages", (1_000, MESSAGES_MAX), MESSAGES, diagnostics);
    let max_bytes = number(fields, "max_bytes", (1 << 20, u64::MAX >> 1), BYTES, diagnostics);
    let durable = fields.bool("durable").unwrap_or(false);
    let begin = source::start(fields, chrono_tz::Tz::UTC, diagnostics);
    let taps = taps(fields, begin.unwrap_or_default(), diagnostics);
    let decoding = decoding::read(fields, Stamp::Own, diagnostics);
    if let (Some(Format::Csv { .. }), Some(node)) = (decoding.as_ref().map(|d| &d.format), fields.get("format")) {
        Problem::error("wrong-field", node.place, "a message has no line that names the columns")
            .help("`format: regex` with a `pattern` takes a line with columns apart")
            .report(diagnostics);
    }
    let dialect = decoding.as_ref().and_then(Decoding::dialect);
    let stamped = match dialect {
        _ if decoding.as_ref().is_none_or(|decoding| decoding.time.is_some()) => Stamped::Never,
        // Its events say their own time, and its tasks none.
        Some(Dialect::Celery) => Stamped::Where(CELERY_TASK),
        _ => Stamped::Always,
    };
    let defaults = Defaults {
        lateness: Lateness::Span(LATENESS),
        carries: Carries::Messages,
        // Each publisher stamps its messages by its own clock.
        clock: Clock::Many,
        resolution: if stamped == Stamped::Always { RESOLUTION } else { Span::ZERO },
    };
    source::of_messages(dialect, fields, diagnostics);
    let defaults = defaults.of_dialect(dialect);
    let starts = watched_from(&taps);
    let options = url.map(|url| Options {
        url: Secret(url.value),
        ca,
        certificate,
        taps,
        keep,
        max_messages,
        max_bytes,
        durable,
        stamped,
        clock_skew,
    });
    let tap = options.map(|options| Tap::Rabbitmq(Box::new(options)));
    let mut config = source::config(name, tap, decoding, &defaults, fields, diagnostics)?;
    config.start = starts;
    Some(config)
}

/// The authority, and our own certificate with its key, where they are named.
type Files = (Option<String>, Option<(String, String)>);

fn tls(node: &Node, folder: &Path, diagnostics: &Diagnostics<'_>) -> Option<Files> {
    let fields = Fields::new(node, "tls", diagnostics)?;
    let file = |name| fields.text(name).map(|path: Spanned<String>| folder.join(path.value).display().to_string());
    let (ca, certificate, key) = (file("ca"), file("certificate"), file("key"));
    if certificate.is_some() != key.is_some() {
        Problem::error("missing-field", node.place, "`certificate` and `key` belong together")
            .help("name the files of both: the client's certificate, and its private key (PEM)")
            .report(diagnostics);
    }
    fields.finish();
    Some((ca, certificate.zip(key)))
}

fn number(
    fields: &Fields<'_>,
    name: &'static str,
    (least, most): (u64, u64),
    default: u64,
    diagnostics: &Diagnostics<'_>,
) -> u64 {
    let Some(number) = fields.number(name) else { return default };
    if !(least..=most).contains(&number.value) {
        Problem::error("unknown-value", number.place, format!("`{name}` cannot be {}", number.value))
            .help(format!("it is {default} where nothing is said, and from {least} to {most}"))
            .report(diagnostics);
    }
    number.value
}

/// Where the watch begins for the source as a whole: a queue begins when it is bound.
fn watched_from(taps: &[What]) -> Start {
    let is_first = |tap: &What| matches!(tap.origin, Origin::Stream { start: Begin::First, .. });
    if !taps.is_empty() && taps.iter().all(is_first) { Start::Beginning } else { Start::Latest }
}

fn taps(fields: &Fields<'_>, start: Start, diagnostics: &Diagnostics<'_>) -> Vec<What> {
    let mut taps: Vec<What> = Vec::new();
    let mut add = |name: &'static str, read: &dyn Fn(&Entry) -> Option<Origin>| {
        let entries = fields.get(name).and_then(|node| fields::map(node, name, diagnostics)).unwrap_or_default();
        for entry in entries {
            let tap = &entry.key.value;
            let legal = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-');
            if tap.is_empty() || tap.len() > NAME_MAX || !tap.chars().all(legal) {
                Problem::error("bad-name", entry.key.place, format!("`{tap}` cannot be a name here"))
                    .help("it is yours to choose, for `from: source.name`: letters, digits, `.`, `_` and `-`")
                    .report(diagnostics);
            }
            if taps.iter().any(|known| known.name == *tap) {
                Problem::error("bad-name", entry.key.place, format!("`{tap}` is there twice"))
                    .help("`queues`, `streams` and `firehose` share their names, since steps say `from: source.name`")
                    .report(diagnostics);
            }
            taps.extend(read(entry).map(|origin| What { name: tap.clone(), origin }));
        }
    };
    add("queues", &|entry| queue(entry, diagnostics));
    add("streams", &|entry| stream(entry, start, diagnostics));
    add("firehose", &|entry| firehose(entry, diagnostics));
    let node = ["queues", "streams", "firehose"].into_iter().find_map(|name| fields.get(name));
    if node.is_none() {
        fields.required("queues", EXAMPLE);
    }
    if let (true, Some(node)) = (taps.len() > TAPS_MAX, node) {
        let message = format!("there are {} things to follow, and at most {TAPS_MAX} can be", taps.len());
        Problem::error("empty-value", node.place, message).help("make several sources of it").report(diagnostics);
    }
    if let (Some(node), true) = (fields.get("start"), start != Start::Latest && !taps.iter().any(is_stream)) {
        Problem::error("wrong-field", node.place, "a queue of ours begins when it is bound")
            .help("remove `start`: only `streams` can be read from before")
            .report(diagnostics);
    }
    taps
}

fn is_stream(tap: &What) -> bool {
    matches!(tap.origin, Origin::Stream { .. })
}

/// A word of the broker's.
fn word(text: Spanned<String>, diagnostics: &Diagnostics<'_>) -> Option<String> {
    if text.value.len() > WORD_MAX {
        Problem::error("bad-name", text.place, format!("this is longer than {WORD_MAX} bytes"))
            .help("no exchange, queue or routing key of RabbitMQ is")
            .report(diagnostics);
        return None;
    }
    Some(text.value)
}

fn queue(entry: &Entry, diagnostics: &Diagnostics<'_>) -> Option<Origin> {
    let what = format!("queue `{}`", entry.key.value);
    let fields = Fields::new(&entry.value, &what, diagnostics)?;
    fields.required("exchange", "a queue of ours is bound to one: `{exchange: shop, routing: \"shipping.*\"}`");
    let exchange = fields.text("exchange").and_then(|exchange| {
        if exchange.value.is_empty() {
            Problem::error("unknown-value", exchange.place, "nothing can be bound to the default exchange")
                .help("what is published to it goes straight into a queue, unseen by others; the broker's own trace shows it: `firehose: {jobs: {exchange: \"\", routing: QUEUE}}`")
                .report(diagnostics);
            return None;
        }
        word(exchange, diagnostics)
    });
    let keys = fields.texts("routing").map(|keys| keys.into_iter().filter_map(|key| word(key, diagnostics)).collect());
    let headers = fields.get("headers").map(|node| headers(node, diagnostics));
    let all = fields.choice("match", &[("all", true), ("any", false)]);
    if let (Some(_), Some(node)) = (&keys, fields.get("headers")) {
        Problem::error("wrong-field", node.place, "an exchange looks either at routing keys or at headers")
            .help("a headers exchange has `headers`, a topic or direct exchange has `routing`")
            .report(diagnostics);
    }
    if let (Some(_), None, Some(node)) = (all, &headers, fields.get("match")) {
        Problem::error("wrong-field", node.place, "`match` belongs to `headers`").help("remove it").report(diagnostics);
    }
    fields.finish();
    let binding = match headers {
        Some(headers) => Binding::Headers { all: all.unwrap_or(true), headers },
        // A topic exchange takes it for everything, a fanout exchange looks at none.
        None => Binding::Keys(keys.unwrap_or_else(|| vec!["#".into()])),
    };
    Some(Origin::Exchange { exchange: exchange?, binding })
}

fn headers(node: &Node, diagnostics: &Diagnostics<'_>) -> Vec<(String, Option<String>)> {
    let entries = fields::map(node, "headers", diagnostics).unwrap_or_default();
    let mut all = Vec::new();
    for entry in entries {
        if entry.key.value.len() > WORD_MAX {
            Problem::error("bad-name", entry.key.place, "no header has so long a name").report(diagnostics);
            continue;
        }
        let is_null = entry.value.scalar().is_some_and(Scalar::is_null);
        let value =
            if is_null { None } else { fields::text(&entry.value, "a header", diagnostics).map(|text| text.value) };
        all.push((entry.key.value.clone(), value));
    }
    all
}

fn stream(entry: &Entry, start: Start, diagnostics: &Diagnostics<'_>) -> Option<Origin> {
    let what = format!("stream `{}`", entry.key.value);
    let fields = Fields::new(&entry.value, &what, diagnostics)?;
    let stream = fields.text("stream").map_or(Some(entry.key.value.clone()), |stream| word(stream, diagnostics));
    let offset = fields.number("offset").map(|offset| offset.value);
    let own = source::start(&fields, chrono_tz::Tz::UTC, diagnostics);
    if let (Some(_), Some(_), Some(node)) = (offset, own, fields.get("offset")) {
        Problem::error("wrong-field", node.place, "a stream begins by `start` or by `offset`")
            .help("remove one")
            .report(diagnostics);
    }
    fields.finish();
    let start = offset.map_or(Begin::of(own.unwrap_or(start)), Begin::Offset);
    Some(Origin::Stream { stream: stream?, start })
}

fn firehose(entry: &Entry, diagnostics: &Diagnostics<'_>) -> Option<Origin> {
    const EXAMPLE: &str = "`{exchange: \"\", routing: jobs}` is what is published to the default exchange for the queue `jobs`, `{queue: jobs}` what the queue delivers";
    let what = format!("firehose `{}`", entry.key.value);
    let fields = Fields::new(&entry.value, &what, diagnostics)?;
    let exchange = fields.text("exchange").and_then(|exchange| word(exchange, diagnostics));
    let queue = fields.text("queue").and_then(|queue| word(queue, diagnostics));
    let routing = fields.text("routing").and_then(|routing| word(routing, diagnostics));
    fields.finish();
    match (exchange, queue) {
        (Some(exchange), None) => Some(Origin::Firehose(Trace::Published { exchange, routing })),
        (None, Some(queue)) if routing.is_none() => Some(Origin::Firehose(Trace::Delivered { queue })),
        _ => {
            Problem::error(
                "missing-field",
                entry.key.place,
                "the firehose is asked for what is published to an `exchange`, or what a `queue` delivers",
            )
            .help(EXAMPLE)
            .report(diagnostics);
            None
        }
    }
}

#[cfg(test)]
pub(super) mod tests;
