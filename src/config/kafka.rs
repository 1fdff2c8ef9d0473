//! The options of `type: kafka`: topics that are followed.

use super::decoding::{self, Stamp};
use super::source::{self, Defaults};
use super::{SourceConfig, Tap};
use crate::flow::diagnostic::{Diagnostics, Problem, Spanned};
use crate::flow::fields::Fields;
use crate::flow::format::{Decoding, Format, Lateness};
use crate::flow::plan::{Carries, Clock};
use crate::model::time::Span;
use crate::sources::kafka::{Encoding, Mechanism, Options, Payload, Registry, Secret, Security};
use crate::sources::live::Start;
use regex::Regex;
use std::path::Path;

/// The longest span from a message's time to its being visible, where nothing else is said.
const LATENESS: Span = Span::seconds(5);
/// The unit of the times that producers and brokers stamp.
const RESOLUTION: Span = Span(1_000_000);

/// The options of topics; all are asked for, so that what is left is unknown.
pub(super) fn config(
    name: &str,
    fields: &Fields<'_>,
    folder: &Path,
    diagnostics: &Diagnostics<'_>,
) -> Option<SourceConfig> {
    fields.required("brokers", "name one broker or more: `brokers: \"kafka-1:9092,kafka-2:9092\"`");
    let brokers = fields.texts("brokers").map(|brokers| addresses(&brokers));
    fields.required("topics", "name what is followed: `topics: [orders, payments]`, or `topics: \"^shop\\\\.\"`");
    let topics = fields.texts("topics").map(|topics| topics_of(&topics, diagnostics));
    let isolation = [("read_committed", true), ("read_uncommitted", false)];
    let committed = fields.choice("isolation", &isolation).unwrap_or(true);
    let security = security(fields, folder, diagnostics);
    let schemas = schemas(fields, folder, diagnostics);
    // What a schema tells becomes JSON before it is decoded.
    let decoding = decoding::read(fields, if schemas.is_some() { Stamp::OwnJson } else { Stamp::Own }, diagnostics);
    if let (Some(Format::Csv { .. }), Some(node)) = (decoding.as_ref().map(|d| &d.format), fields.get("format")) {
        Problem::error("wrong-field", node.place, "a message has no line that names the columns")
            .help("`format: regex` with a `pattern` takes a line with columns apart")
            .report(diagnostics);
    }
    let resolution = if decoding.as_ref().is_some_and(|d| d.time.is_none()) { RESOLUTION } else { Span::ZERO };
    let lateness = Lateness::Span(LATENESS);
    // Each producer stamps its messages by its own clock.
    let defaults = Defaults { lateness, carries: Carries::Messages, clock: Clock::Many, resolution };
    let dialect = decoding.as_ref().and_then(Decoding::dialect);
    source::of_messages(dialect, fields, diagnostics);
    let defaults = defaults.of_dialect(dialect);
    let options = (|| {
        let (topics, patterns) = topics?;
        Some(Options {
            brokers: brokers?,
            topics,
            patterns,
            committed,
            security: security?,
            start: Start::default(),
            clock_skew: Span::ZERO,
            payload: match schemas {
                Some(schemas) => schemas?,
                None if matches!(decoding.as_ref()?.format, Format::Json | Format::Dialect(_)) => Payload::Json,
                None => Payload::Plain,
            },
        })
    })();
    let tap = options.map(|options| Tap::Kafka(Box::new(options)));
    source::config(name, tap, decoding, &defaults, fields, diagnostics)
}

fn addresses(brokers: &[Spanned<String>]) -> String {
    let all: Vec<&str> = brokers.iter().map(|broker| broker.value.trim()).collect();
    all.join(",")
}

/// Names, and expressions that names must match: they begin with `^`, which no name does.
fn topics_of(topics: &[Spanned<String>], diagnostics: &Diagnostics<'_>) -> (Vec<String>, Vec<Regex>) {
    let (mut names, mut patterns) = (Vec::new(), Vec::new());
    for topic in topics {
        if topic.value.starts_with('^') {
            match Regex::new(&topic.value) {
                Ok(pattern) => patterns.push(pattern),
                Err(error) => {
                    let error = error.to_string();
                    let why = error.lines().last().unwrap_or_default().trim_start_matches("error: ");
                    Problem::error("bad-regex", topic.place, format!("this is not a regular expression: {why}"))
                        .help("a topic that begins with `^` is an expression that names must match: `^shop\\.`")
                        .report(diagnostics);
                }
            }
            continue;
        }
        let legal = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-');
        if topic.value.is_empty() || topic.value.len() > 249 || !topic.value.chars().all(legal) {
            let message = format!("`{}` cannot be the name of a topic", topic.value);
            Problem::error("bad-name", topic.place, message)
                .help("names are made of letters, digits, `.`, `_` and `-`; an expression begins with `^`: `^shop\\.`")
                .report(diagnostics);
        }
        names.push(topic.value.clone());
    }
    (names, patterns)
}

/// Where schemas are asked for, if the format needs them; `Some(None)` where that is wrong.
fn schemas(fields: &Fields<'_>, folder: &Path, diagnostics: &Diagnostics<'_>) -> Option<Option<Payload>> {
    const EXAMPLE: &str = "`registry: {url: \"http://registry:8081\"}`";
    let encoding = match fields.get("format").and_then(|node| node.scalar()).map(|scalar| scalar.text.as_str()) {
        Some("avro") => Encoding::Avro,
        Some("protobuf") => Encoding::Protobuf,
        _ => {
            if let Some(node) = fields.get("registry") {
                Problem::error(
                    "wrong-field",
                    node.place,
                    "`registry` belongs to `format: avro` and `format: protobuf`",
                )
                .help("remove it: JSON is read without its schema")
                .report(diagnostics);
            }
            return None;
        }
    };
    Some((|| {
        let node = fields.required("registry", EXAMPLE)?;
        let fields = Fields::new(node, "registry", diagnostics)?;
        fields.required("url", EXAMPLE);
        let url = fields.text("url");
        let (user, password) = (fields.text("username"), fields.text("password"));
        if user.is_some() != password.is_some() {
            Problem::error("missing-field", node.place, "`username` and `password` belong together")
                .help("name both, or none")
                .report(diagnostics);
        }
        let ca = fields.text("ca").map(|path| folder.join(path.value).display().to_string());
        fields.finish();
        let url = url?;
        if url.value.contains('@') || !["http://", "https://"].iter().any(|start| url.value.starts_with(start)) {
            Problem::error("bad-url", url.place, "this cannot be the address of a registry")
                .help(format!("{EXAMPLE}; user and password are options of their own"))
                .report(diagnostics);
        }
        let login = user.zip(password).map(|(user, password)| (user.value, Secret(password.value)));
        Some(Payload::Schemas(Registry { url: url.value, login, ca }, encoding))
    })())
}

/// How to get in; `None` where it is wrong.
fn security(fields: &Fields<'_>, folder: &Path, diagnostics: &Diagnostics<'_>) -> Option<Security> {
    const EXAMPLE: &str = "`security: {mechanism: scram-sha-512, username: watcher, password: \"${KAFKA_PASSWORD}\"}`";
    if !fields.has("security") {
        return Some(Security::default());
    }
    let node = fields.get("security")?;
    let fields = Fields::new(node, "security", diagnostics)?;
    let mechanisms = [
        ("plain", Mechanism::Plain),
        ("scram-sha-256", Mechanism::ScramSha256),
        ("scram-sha-512", Mechanism::ScramSha512),
    ];
    let mechanism = fields.choice("mechanism", &mechanisms);
    let protocols = [("ssl", (true, false)), ("sasl_ssl", (true, true)), ("sasl_plaintext", (false, true))];
    let protocol = fields.choice("protocol", &protocols);
    let (tls, sasl) = protocol.unwrap_or_else(|| (true, fields.has("mechanism") || fields.has("username")));
    let user = if sasl {
        fields.required("mechanism", "`plain`, `scram-sha-256` or `scram-sha-512`");
        fields.required("username", EXAMPLE);
        fields.required("password", EXAMPLE);
        (fields.text("username"), fields.text("password"))
    } else {
        for name in ["mechanism", "username", "password"] {
            if let Some(node) = fields.get(name) {
                Problem::error(
                    "wrong-field",
                    node.place,
                    format!("`{name}` belongs to SASL, and `protocol` is without"),
                )
                .help("`protocol: sasl_ssl`, or remove it")
                .report(diagnostics);
            }
        }
        (None, None)
    };
    let file = |name| fields.text(name).map(|path: Spanned<String>| folder.join(path.value).display().to_string());
    let (ca, certificate, key) = (file("ca"), file("certificate"), file("key"));
    let key_password = fields.text("key_password").map(|password| Secret(password.value));
    if certificate.is_some() != key.is_some() {
        Problem::error("missing-field", node.place, "`certificate` and `key` belong together")
            .help("name the files of both: the client's certificate, and its private key (PEM)")
            .report(diagnostics);
    }
    fields.finish();
    let sasl = match (sasl, mechanism, user) {
        (false, ..) => None,
        (true, Some(mechanism), (Some(user), Some(password))) => Some((mechanism, user.value, Secret(password.value))),
        (true, ..) => return None,
    };
    Some(Security { tls, ca, certificate: certificate.zip(key), key_password, sasl })
}
