//! The options of `type: redis`: keys, streams and channels that are followed.

use super::decoding::{self, Stamp};
use super::source::{self, Defaults};
use super::{SourceConfig, Tap};
use crate::flow::diagnostic::{Diagnostics, Problem, Spanned};
use crate::flow::dialect::Dialect;
use crate::flow::fields::{self, Fields};
use crate::flow::format::{Decoding, Format, Lateness};
use crate::flow::plan::{Carries, Clock};
use crate::model::time::Span;
use crate::sources::live::Start;
use crate::sources::redis::{Options, Pattern, Secret, Security, Sentinel, TYPES, Types, is_address};
use std::path::Path;

/// The longest span from an event's time to its being visible, where nothing else is said: an entry is stamped when its
/// transaction or script begins.
const LATENESS: Span = Span::seconds(1);
/// The unit of the times: an id's milliseconds; a key's event is stamped as it is received.
const RESOLUTION: Span = Span(1_000_000);
const RESOLUTION_HEARD: Span = Span(100_000_000);

/// The options of Redis; all are asked for, so that what is left is unknown.
pub(super) fn config(
    name: &str,
    fields: &Fields<'_>,
    folder: &Path,
    diagnostics: &Diagnostics<'_>,
) -> Option<SourceConfig> {
    fields.required("url", "say where it is: `url: \"${REDIS_URL}\"`, as redis://user:password@host:6379/0");
    let urls = fields.texts("url").map(|urls| urls_of(name, &urls, fields, diagnostics));
    let sentinel = sentinel(fields, diagnostics);
    let security = security(fields, folder, diagnostics);
    let keys = patterns("keys", fields, diagnostics);
    let types = types(fields, diagnostics);
    let streams = fields.texts("streams").unwrap_or_default();
    let channels = patterns("channels", fields, diagnostics);
    if !["keys", "streams", "channels"].into_iter().any(|one| fields.has(one)) {
        Problem::error("missing-field", fields.node().place, format!("`{name}` does not say what is followed"))
            .help("name keys by patterns, `keys: [\"order:*\"]`, or streams, `streams: [audit]`, or `channels`")
            .report(diagnostics);
    }
    let listens = !keys.is_empty() || !channels.is_empty();
    // Values, entries and messages are JSON when they come here.
    let decoding = decoding::read(fields, Stamp::Own, diagnostics).map(|mut decoding| {
        // A key is one thing, with versions; an entry and a message have no key.
        decoding.key_is_identity |= !keys.is_empty();
        decoding
    });
    let texts = decoding.as_ref().is_some_and(|decoding| decoding.dialect().is_some());
    format_fits(decoding.as_ref(), keys.is_empty(), fields, diagnostics);
    let own_times = decoding.as_ref().is_none_or(|decoding| decoding.time.is_none());
    let dialect = decoding.as_ref().and_then(Decoding::dialect);
    let defaults = Defaults {
        lateness: Lateness::Span(LATENESS),
        carries: if keys.is_empty() { Carries::Messages } else { Carries::Rows },
        clock: if own_times { Clock::PerPart } else { Clock::Many },
        resolution: match (own_times, listens) {
            (false, _) => Span::ZERO,
            (true, true) => RESOLUTION_HEARD,
            (true, false) => RESOLUTION,
        },
    };
    // What BullMQ tells is stamped by the server; any other library stamps what it sends.
    let defaults = if dialect == Some(&Dialect::BullMq) { defaults } else { defaults.of_dialect(dialect) };
    let skips_versions = !keys.is_empty();
    let options = (|| {
        let streams = streams.into_iter().map(|stream| stream.value).collect();
        let (urls, security) = (urls?, security?);
        Some(Options {
            urls,
            sentinel: sentinel?,
            security,
            keys,
            types: types?,
            streams,
            texts,
            channels,
            start: Start::default(),
        })
    })();
    let tap = options.map(|options| Tap::Redis(Box::new(options)));
    let mut config = source::config(name, tap, decoding, &defaults, fields, diagnostics)?;
    config.skips_versions = skips_versions;
    config.tells_operations = skips_versions;
    Some(config)
}

/// Values are JSON, but for the jobs of BullMQ; entries and messages may also be what a library writes.
fn format_fits(decoding: Option<&Decoding>, no_keys: bool, fields: &Fields<'_>, diagnostics: &Diagnostics<'_>) {
    let (Some(decoding), Some(node)) = (decoding, fields.get("format")) else { return };
    let wrong = match &decoding.format {
        Format::Json => return,
        Format::Dialect(dialect) if dialect.is_test_result() => "Redis does not carry the results of test tools",
        Format::Dialect(Dialect::BullMq) => return,
        Format::Dialect(_) if no_keys => return,
        Format::Dialect(_) => "this format is of entries and messages, and values of keys are JSON",
        _ => "what is in Redis comes as JSON",
    };
    Problem::error("wrong-field", node.place, wrong)
        .help("remove `format`, or follow streams and keys by two sources; `parse` takes a text apart")
        .report(diagnostics);
}

/// The addresses themselves may hold passwords, and are not shown.
fn urls_of(name: &str, urls: &[Spanned<String>], fields: &Fields<'_>, diagnostics: &Diagnostics<'_>) -> Vec<Secret> {
    if urls.iter().any(|url| !is_address(&url.value)) {
        Problem::error("bad-url", fields.node().place, format!("`url` of `{name}` is no address of Redis"))
            .help("write `redis://user:password@host:6379/0`, or `rediss://` for TLS; best by a variable, ${NAME}")
            .report(diagnostics);
    }
    urls.iter().map(|url| Secret(url.value.clone())).collect()
}

/// Patterns in a list, each called by itself, or in a map, called by their names.
fn patterns(option: &'static str, fields: &Fields<'_>, diagnostics: &Diagnostics<'_>) -> Vec<Pattern> {
    let Some(node) = fields.get(option) else { return Vec::new() };
    let itself = |glob: Spanned<String>| Pattern { name: glob.value.clone(), glob: glob.value };
    let all: Vec<Pattern> = match &node.content {
        crate::flow::yaml::Content::Map(entries) => entries
            .iter()
            .flat_map(|entry| {
                let globs = fields::texts(&entry.value, option, diagnostics).unwrap_or_default();
                globs.into_iter().map(|glob| Pattern { name: entry.key.value.clone(), glob: glob.value })
            })
            .collect(),
        _ => fields.texts(option).unwrap_or_default().into_iter().map(itself).collect(),
    };
    if all.is_empty() || all.iter().any(|pattern| pattern.glob.is_empty()) {
        Problem::error("empty-value", node.place, format!("`{option}` names nothing"))
            .help(format!("`{option}: [\"order:*\"]`, or with names of your own: `{option}: {{orders: \"order:*\"}}`"))
            .report(diagnostics);
    }
    all
}

/// The types of values that the keys have: by default, all.
fn types(fields: &Fields<'_>, diagnostics: &Diagnostics<'_>) -> Option<Types> {
    let Some(names) = fields.texts("types") else { return (!fields.has("types")).then(Types::default) };
    let mut letters = Vec::new();
    for name in &names {
        match TYPES.iter().find(|(known, _)| *known == name.value) {
            Some((_, letter)) => letters.push(*letter),
            None => {
                let message = format!("there is no type of values `{}`", name.value);
                Problem::error("unknown-value", name.place, message)
                    .suggest(&name.value, TYPES.iter().map(|(known, _)| *known))
                    .report(diagnostics);
            }
        }
    }
    Some(Types(letters))
}

/// Who knows the master; `Some(None)`: nobody is asked.
fn sentinel(fields: &Fields<'_>, diagnostics: &Diagnostics<'_>) -> Option<Option<Sentinel>> {
    let Some(node) = fields.get("sentinel") else { return Some(None) };
    let fields = Fields::new(node, "`sentinel`", diagnostics)?;
    fields.required("master", "the name under which the sentinels watch it: `sentinel: {master: shop}`");
    let (master, user, password) = (fields.text("master"), fields.text("username"), fields.text("password"));
    fields.finish();
    let login = password.map(|password| (user.map(|user| user.value), Secret(password.value)));
    Some(Some(Sentinel { master: master?.value, login }))
}

/// The files of TLS.
fn security(fields: &Fields<'_>, folder: &Path, diagnostics: &Diagnostics<'_>) -> Option<Security> {
    let Some(node) = fields.get("security") else { return Some(Security::default()) };
    let fields = Fields::new(node, "`security`", diagnostics)?;
    let file = |name| fields.text(name).map(|path: Spanned<String>| folder.join(path.value));
    let (ca, certificate, key) = (file("ca"), file("certificate"), file("key"));
    if certificate.is_some() != key.is_some() {
        Problem::error("missing-field", node.place, "`certificate` and `key` belong together")
            .help("name the files of both: the client's certificate, and its private key (PEM)")
            .report(diagnostics);
    }
    fields.finish();
    Some(Security { ca, certificate: certificate.zip(key) })
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use crate::config::Config;
    use crate::config::load::fixture;

    pub const FULL: &str = r#"
flows: [order.yaml]
sources:
  cache:
    type: redis
    url: ["${URL}", "rediss://sentinel-2:26379"]
    sentinel: {master: shop, username: watcher, password: "${PASSWORD}"}
    security: {ca: ca.pem, certificate: me.pem, key: me.key}
    keys: {orders: "order:*", carts: ["cart:*", "basket:*"]}
    types: [string, hash]
    streams: [audit, "bull:mail:events"]
    channels: ["news.*", alerts]
    lateness: 2s
    start: beginning
    redact: body.email
  plain: {type: redis, url: "redis://cache", keys: ["order:*"]}
  log: {type: redis, url: "redis://cache/3", streams: audit, start: 2026-11-26T00:00:00Z, format: bullmq}
  jobs: {type: redis, url: "redis://cache", keys: "bull:mail:[0-9]*", types: hash, format: bullmq}
  tasks: {type: redis, url: "redis://cache", channels: "/0.celeryev/*", format: celery}
"#;

    fn loaded(text: &str) -> (Option<Config>, String) {
        fixture::loaded(text, &[("URL", "rediss://watcher:s3cret@sentinel-1:26379/2"), ("PASSWORD", "s3cret")])
    }

    #[test]
    fn every_option_of_redis_is_read() {
        let (config, told) = loaded(FULL);
        let config = config.unwrap_or_else(|| panic!("{told}"));
        let [cache, plain, log, jobs, tasks] = &config.sources[..] else { panic!("five sources") };
        let (Tap::Redis(full), Tap::Redis(short), Tap::Redis(streams)) = (&cache.tap, &plain.tap, &log.tap) else {
            panic!("all are Redis")
        };
        assert_eq!((full.urls.len(), cache.start), (2, Start::Beginning));
        let sentinel = full.sentinel.as_ref().unwrap();
        assert_eq!((&*sentinel.master, sentinel.login.is_some()), ("shop", true));
        assert!(full.security.ca.as_ref().unwrap().ends_with("ca.pem") && full.security.certificate.is_some());
        let told: Vec<_> = full.keys.iter().map(|keys| (&*keys.name, &*keys.glob)).collect();
        assert_eq!(told, [("orders", "order:*"), ("carts", "cart:*"), ("carts", "basket:*")]);
        assert_eq!(
            (&full.types.0[..], &full.streams[..]),
            (&['$', 'h'][..], &["audit".into(), "bull:mail:events".to_owned()][..])
        );
        assert!(full.channels[0].has_wildcard() && !full.channels[1].has_wildcard());
        let info = cache.info();
        assert!(info.skips_versions && info.tells_operations && info.has_time && !info.default_dedupe_is_position);
        assert_eq!(
            (cache.pacing.lateness, plain.pacing.lateness),
            (Lateness::Span(Span::seconds(2)), Lateness::Span(LATENESS))
        );
        assert_eq!((plain.carries, log.carries, log.skips_versions), (Carries::Rows, Carries::Messages, false));
        assert_eq!((plain.resolution, log.resolution, log.clock), (RESOLUTION_HEARD, RESOLUTION, Clock::PerPart));
        assert_eq!(
            (&short.keys[..], short.types.0.len()),
            (&[Pattern { name: "order:*".into(), glob: "order:*".into() }][..], 5)
        );
        assert!(matches!(log.start, Start::At(_)) && streams.streams == ["audit"]);
        // A job is a thing with versions, stamped by the server; workers stamp their events themselves.
        assert_eq!((jobs.carries, jobs.clock, jobs.skips_versions), (Carries::Rows, Clock::PerPart, true));
        assert_eq!((tasks.carries, tasks.clock, tasks.skips_versions), (Carries::Messages, Clock::Many, false));
        assert!(streams.texts && !full.texts && log.info().default_dedupe_is_position);
        assert!(!format!("{config:?}").contains("s3cret"));
    }

    #[test]
    fn mistakes_in_redis_are_told_with_place_and_remedy() {
        let (config, told) = loaded(
            r#"
flows: [order.yaml]
sources:
  a: {type: redis}
  b: {type: redis, url: "http://me:s3cret@cache", keys: [], sentinel: {name: shop}}
  c: {type: redis, url: "redis://cache", key: "order:*", types: [strings], streams: [audit]}
  d: {type: redis, url: "redis://cache", keys: "order:*", security: {certificate: me.pem}, format: celery}
  e: {type: redis, url: "redis://cache", streams: audit, format: csv}
"#,
        );
        assert!(config.is_none());
        insta::assert_snapshot!(told);
    }
}
