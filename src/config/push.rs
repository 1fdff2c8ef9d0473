//! What sources that listen have in common: who may send, how much, and what senders do without an answer.

use super::source::Defaults;
use crate::flow::diagnostic::{Diagnostics, Problem, Spanned};
use crate::flow::fields::Fields;
use crate::flow::format::Lateness;
use crate::flow::plan::{Carries, Clock};
use crate::model::time::Span;
use crate::sources::push::{Options, Senders, Tls};
use crate::sources::secret::Secret;
use std::path::Path;

/// What holds where the options say nothing: what happened is sent within half a minute, by clocks of many hosts.
pub(super) const DEFAULTS: Defaults = Defaults {
    lateness: Lateness::Span(Span::seconds(30)),
    carries: Carries::Messages,
    clock: Clock::Many,
    resolution: Span::ZERO,
};
/// A token is at least so long.
const TOKEN_MIN: usize = 8;
/// What can be allowed at most.
const CONNECTIONS_MAX: usize = 10_000;
const BYTES_MAX: usize = 1 << 30;

/// The options that they share.
pub(super) fn options(fields: &Fields<'_>, folder: &Path, diagnostics: &Diagnostics<'_>) -> Option<Options> {
    let tokens = tokens(fields, diagnostics);
    let tls = tls(fields, folder, diagnostics);
    let senders = fields.choice("senders", &[("forget", Senders::Forget), ("retry", Senders::Retry)]);
    let options = Options { senders: senders.unwrap_or_default(), tls: tls?, tokens, ..Options::default() };
    no_start(fields, diagnostics);
    limits(fields, options, diagnostics)
}

/// An address to listen at: a host and a port.
pub(super) fn address(text: Spanned<String>, (name, usual): (&str, &str), diagnostics: &Diagnostics<'_>) -> String {
    let port = text.value.rsplit_once(':').filter(|(host, _)| !host.is_empty()).map(|(_, port)| port.parse::<u16>());
    if !matches!(port, Some(Ok(_))) {
        Problem::error("bad-address", text.place, format!("`{}` is not an address to listen at", text.value))
            .help(format!(
                "it is a host and a port of this machine: `{name}: \"{usual}\"`; with `0.0.0.0` for all networks"
            ))
            .report(diagnostics);
    }
    text.value
}

fn tokens(fields: &Fields<'_>, diagnostics: &Diagnostics<'_>) -> Vec<Secret> {
    let tokens = fields.texts("tokens").unwrap_or_default();
    for token in &tokens {
        let legal = |c: char| c.is_ascii_graphic();
        if token.value.len() < TOKEN_MIN || !token.value.chars().all(legal) {
            // What it is, is not told.
            Problem::error("bad-token", token.place, "this cannot be a token")
                .help(format!(
                    "at least {TOKEN_MIN} characters of ASCII without blanks, best of a variable: `tokens: [\"${{INGEST_TOKEN}}\"]`"
                ))
                .report(diagnostics);
        }
    }
    tokens.into_iter().map(|token| Secret(token.value)).collect()
}

/// `Some(None)` where there is none, `None` where it is wrong.
fn tls(fields: &Fields<'_>, folder: &Path, diagnostics: &Diagnostics<'_>) -> Option<Option<Tls>> {
    const EXAMPLE: &str = "`tls: {certificate: server.pem, key: server.key}`";
    let Some(node) = fields.get("tls") else { return Some(None) };
    let fields = Fields::new(node, "tls", diagnostics)?;
    fields.required("certificate", EXAMPLE);
    fields.required("key", EXAMPLE);
    let (certificate, key) = (fields.text("certificate"), fields.text("key"));
    fields.finish();
    Some(Some(Tls { certificate: folder.join(certificate?.value), key: folder.join(key?.value) }))
}

/// There is nothing that was there before.
fn no_start(fields: &Fields<'_>, diagnostics: &Diagnostics<'_>) {
    let start = fields.get("start").filter(|node| node.scalar().is_none_or(|scalar| scalar.text != "latest"));
    if let Some(node) = start {
        Problem::error("wrong-field", node.place, "what is pushed begins when it is listened to")
            .help("remove `start`")
            .report(diagnostics);
    }
}

fn limits(fields: &Fields<'_>, options: Options, diagnostics: &Diagnostics<'_>) -> Option<Options> {
    let Some(node) = fields.get("limits") else { return Some(options) };
    let fields = Fields::new(node, "limits", diagnostics)?;
    let size = |name, default| match fields.text(name) {
        Some(text) => bytes(&text, diagnostics),
        None => Some(default),
    };
    let (body_max, waiting_max) = (size("body", options.body_max), size("waiting", options.waiting_max));
    let connections = fields.number("connections");
    let connections_max = connections.as_ref().map_or(options.connections_max, |number| number.value as usize);
    if let Some(number) = connections.filter(|_| !(1..=CONNECTIONS_MAX).contains(&connections_max)) {
        let message = format!("one to {CONNECTIONS_MAX} connections can be allowed");
        Problem::error("out-of-range", number.place, message).report(diagnostics);
    }
    fields.finish();
    let (body_max, waiting_max) = (body_max?, waiting_max?);
    if body_max * 2 > waiting_max {
        let message = format!("two requests of {body_max} bytes do not fit into the {waiting_max} that may wait");
        Problem::error("out-of-range", node.place, message)
            .help("lower `body`, or raise `waiting`: it is what all requests that are under way may take together")
            .report(diagnostics);
    }
    Some(Options { body_max, waiting_max, connections_max, ..options })
}

/// `4MiB`, `512KiB`, or bytes.
fn bytes(text: &Spanned<String>, diagnostics: &Diagnostics<'_>) -> Option<usize> {
    let units = [("KiB", 1 << 10), ("MiB", 1 << 20), ("", 1)];
    let read = units.iter().find_map(|(unit, size)| {
        let number = text.value.strip_suffix(unit)?.trim_end();
        number.parse::<usize>().ok()?.checked_mul(*size)
    });
    let read = read.filter(|bytes| (1..=BYTES_MAX).contains(bytes));
    if read.is_none() {
        Problem::error("bad-size", text.place, format!("`{}` is not a size", text.value))
            .help("a size is up to 1024MiB, as `4MiB`, `512KiB`, or bytes")
            .report(diagnostics);
    }
    read
}

#[cfg(test)]
pub(super) mod tests;
