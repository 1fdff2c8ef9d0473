//! The options of `type: http`: events that are posted.

use super::decoding::{self, Stamp};
use super::{SourceConfig, Tap, push, source};
use crate::flow::diagnostic::{Diagnostics, Problem};
use crate::flow::fields::Fields;
use crate::flow::format::{Decoding, Format};
use crate::sources::http_events::Options;
use std::path::Path;

/// Where events are taken, on this machine alone.
const LISTEN: &str = "127.0.0.1:8088";

/// The options of events; all are asked for, so that what is left is unknown.
pub(super) fn config(
    name: &str,
    fields: &Fields<'_>,
    folder: &Path,
    diagnostics: &Diagnostics<'_>,
) -> Option<SourceConfig> {
    let listen = fields.text("listen").map(|text| push::address(text, ("listen", LISTEN), diagnostics));
    let push = push::options(fields, folder, diagnostics);
    let decoding = decoding::read(fields, Stamp::Own, diagnostics).map(|mut decoding| {
        // Who sends an event again says so by its id.
        decoding.key_is_identity = true;
        decoding
    });
    let format = decoding.as_ref().map(|decoding| &decoding.format);
    let posted = format.is_none_or(|format| match format {
        Format::Json => true,
        Format::Dialect(dialect) => !dialect.is_test_result(),
        Format::Csv { .. } | Format::Logfmt | Format::Regex(_) | Format::Text | Format::Document => false,
    });
    if let (false, Some(node)) = (posted, fields.get("format")) {
        Problem::error("wrong-field", node.place, "events are posted as JSON")
            .help("remove `format`; a line of another format is followed as a log file (`type: file`)")
            .report(diagnostics);
    }
    let listen = listen.unwrap_or_else(|| LISTEN.to_owned());
    let tap = push.map(|push| Tap::HttpEvents(Options { name: name.to_owned(), listen, push }));
    let defaults = push::DEFAULTS.of_dialect(decoding.as_ref().and_then(Decoding::dialect));
    source::config(name, tap, decoding, &defaults, fields, diagnostics)
}
