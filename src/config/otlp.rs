//! The options of `type: otlp`: spans and log records that are sent by OpenTelemetry.

use super::{SourceConfig, Tap, decoding, push, source};
use crate::flow::diagnostic::{Diagnostics, Problem};
use crate::flow::dialect::Dialect;
use crate::flow::fields::Fields;
use crate::flow::format::Format;
use crate::sources::otlp::Options;
use std::path::Path;

/// Where the standard expects them, on this machine alone.
const GRPC: &str = "127.0.0.1:4317";
const HTTP: &str = "127.0.0.1:4318";

/// The options of OTLP; all are asked for, so that what is left is unknown.
pub(super) fn config(
    name: &str,
    fields: &Fields<'_>,
    folder: &Path,
    diagnostics: &Diagnostics<'_>,
) -> Option<SourceConfig> {
    let address = |name, usual| fields.text(name).map(|text| push::address(text, (name, usual), diagnostics));
    let (grpc, http) = (address("grpc", GRPC), address("http", HTTP));
    let (grpc, http) = match (grpc, http) {
        (None, None) => (Some(GRPC.to_owned()), Some(HTTP.to_owned())),
        (Some(grpc), Some(http)) if grpc == http => {
            let place = fields.get("http").map_or(fields.node().place, |node| node.place);
            Problem::error("same-address", place, "gRPC and HTTP cannot share an address")
                .help("give each a port of its own: 4317 and 4318 are the usual ones")
                .report(diagnostics);
            (None, None)
        }
        named => named,
    };
    let push = push::options(fields, folder, diagnostics);
    let mut decoding = decoding::rows(fields, diagnostics);
    let formats = [("json", Format::Json), ("otel-messaging", Format::Dialect(Dialect::OtelMessaging))];
    decoding.format = fields.choice("format", &formats).unwrap_or(Format::Json);
    let tap = push.map(|push| Tap::Otlp(Options { grpc, http, push }));
    source::config(name, tap, Some(decoding), &push::DEFAULTS, fields, diagnostics)
}
