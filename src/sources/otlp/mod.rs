//! OTLP in: spans and log records, as OpenTelemetry's SDKs and its collector send them, over gRPC and over HTTP.
//!
//! ```text
//! grpc.rs   TraceService, LogsService          ┐     request.rs: taken apart     records.rs, render.rs: one JSON
//! http.rs   /v1/traces, /v1/logs               ├─▶   wire.rs: and counted    ─▶ document a span, a log record
//! status.rs what is refused, as OTLP says it   ┘
//! ```
//!
//! A document has the names of OTLP's own fields (`trace_id`, `end_time_unix_nano`), attributes as a map, ids in
//! hexadecimal digits, and enumerations by their words. A span's key is its trace and its id, so that a span which
//! is sent twice counts once.

mod grpc;
mod http;
mod records;
mod render;
mod request;
mod status;
#[cfg(test)]
mod tests;
mod wire;

use super::live::{Failure, Intake, Source};
use super::push::{self, Endpoint, Protocol, Push};
use super::remark::Remark;
use std::sync::Arc;

/// How spans and log records are taken.
#[derive(Clone, Debug)]
pub struct Options {
    /// A host and a port for gRPC.
    pub grpc: Option<String>,
    /// A host and a port for HTTP.
    pub http: Option<String>,
    /// What all have that listen.
    pub push: push::Options,
}

/// A source of spans and log records.
pub struct Otlp(Push);

impl Otlp {
    /// One that listens as these options say.
    pub fn new(options: Options) -> Otlp {
        let Options { grpc, http, push } = options;
        let grpc = grpc.map(|listen| Endpoint { listen, protocol: Protocol::Http2, service: Arc::new(grpc::Calls) });
        let http = http.map(|listen| Endpoint { listen, protocol: Protocol::Http1, service: Arc::new(http::Http) });
        Otlp(Push::new(grpc.into_iter().chain(http).collect(), push))
    }
}

impl Source for Otlp {
    fn follow(&mut self, cursor: Option<&[u8]>, intake: &mut dyn Intake) -> Result<(), Failure> {
        self.0.follow(cursor, intake)
    }

    fn examine(&mut self) -> Option<Vec<Remark>> {
        self.0.examine()
    }
}
