//! OTLP over gRPC.

use super::records::{self, Records};
use super::status::{self, RpcStatus};
use crate::sources::push::{Answer, Counter, Cut, Held, Metered, Service, now};
use axum::body::Body;
use hyper::body::{Bytes, Frame, Incoming};
use hyper::{HeaderMap, Request, Response};
use opentelemetry_proto::tonic::collector::logs::v1::logs_service_server::{LogsService, LogsServiceServer};
use opentelemetry_proto::tonic::collector::logs::v1::{
    ExportLogsPartialSuccess, ExportLogsServiceRequest, ExportLogsServiceResponse,
};
use opentelemetry_proto::tonic::collector::trace::v1::trace_service_server::{TraceService, TraceServiceServer};
use opentelemetry_proto::tonic::collector::trace::v1::{
    ExportTracePartialSuccess, ExportTraceServiceRequest, ExportTraceServiceResponse,
};
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll};
use tonic::codegen::{CompressionEncoding, Service as _};
use tonic::{Code, Status};

/// What stands before a message.
const FRAME_BYTES: usize = 5;

/// Answers calls.
pub(super) struct Grpc;

impl Service for Grpc {
    fn call(&self, request: Request<Incoming>, counter: Arc<Counter>) -> Answer {
        Box::pin(answer(request, counter))
    }

    fn unauthorized(&self) -> Response<Body> {
        Status::unauthenticated("").into_http()
    }
}

async fn answer(request: Request<Incoming>, counter: Arc<Counter>) -> Response<Body> {
    let held = match counter.admit() {
        Ok(held) => held,
        Err(refusal) => return status::again(refusal).grpc().into_http(),
    };
    let limit = counter.body_max;
    let call = Call { counter, held, settled: Arc::default() };
    let (mut head, body) = request.into_parts();
    head.extensions.insert(call.clone());
    let upload = Upload { body: Metered::new(body, call.held.clone(), limit + FRAME_BYTES), call: call.clone() };
    let path = head.uri.path().to_owned();
    let request = Request::from_parts(head, upload);
    let answered = match path.as_str() {
        "/opentelemetry.proto.collector.trace.v1.TraceService/Export" => {
            let server = TraceServiceServer::new(Export).accept_compressed(CompressionEncoding::Gzip);
            server.max_decoding_message_size(limit).call(request).await
        }
        "/opentelemetry.proto.collector.logs.v1.LogsService/Export" => {
            let server = LogsServiceServer::new(Export).accept_compressed(CompressionEncoding::Gzip);
            server.max_decoding_message_size(limit).call(request).await
        }
        other => return unknown(other).into_http(),
    };
    let Ok(response) = answered;
    let (head, body) = response.map(Body::new).into_parts();
    call.lost(&head.headers).await;
    Response::from_parts(head, body)
}

fn unknown(path: &str) -> Status {
    if path.contains(".MetricsService/") {
        return Status::unimplemented("metrics are not taken, only traces and logs: leave out the exporter of metrics");
    }
    Status::unimplemented("only the Export calls of TraceService and LogsService are known")
}

/// A request on its way through the generated service.
#[derive(Clone)]
struct Call {
    counter: Arc<Counter>,
    held: Arc<Held>,
    /// It is known what became of it.
    settled: Arc<AtomicBool>,
}

impl Call {
    /// What could not be decoded never got to the service: it is counted.
    async fn lost(&self, headers: &HeaderMap) {
        if self.settled.load(Ordering::Relaxed) {
            return;
        }
        let status = Status::from_header_map(headers);
        if let Some(status) = status.filter(|status| status.code() != Code::Ok) {
            let (detail, held) = (status.message().to_owned(), self.held.clone());
            self.counter.tell_undecodable("otlp", detail, held).await;
        }
    }

    async fn take(self, records: Records) -> Result<(i64, String), Status> {
        self.settled.store(true, Ordering::Relaxed);
        let Records { events, rejected, why } = records;
        let taken = self.counter.take(events, self.held).await;
        taken.map_err(|refusal| status::again(refusal).grpc())?;
        Ok((rejected, why))
    }
}

/// A body that tells what cuts it off as gRPC says it.
struct Upload {
    body: Metered,
    call: Call,
}

impl hyper::body::Body for Upload {
    type Data = Bytes;
    type Error = Status;

    fn poll_frame(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Status>>> {
        self.body.poll(context).map_err(|cut| {
            if cut.is_lost().is_none() {
                self.call.settled.store(true, Ordering::Relaxed);
            }
            if matches!(cut, Cut::Late | Cut::Broken(_)) {
                self.call.counter.refuse();
            }
            status::cut(&cut).grpc()
        })
    }
}

/// The services that are generated of the protocol.
struct Export;

fn call<T>(request: &tonic::Request<T>) -> Result<Call, Status> {
    request.extensions().get::<Call>().cloned().ok_or_else(|| RpcStatus::invalid("no call".to_owned()).grpc())
}

#[tonic::async_trait]
impl TraceService for Export {
    async fn export(
        &self,
        request: tonic::Request<ExportTraceServiceRequest>,
    ) -> Result<tonic::Response<ExportTraceServiceResponse>, Status> {
        let call = call(&request)?;
        let records = records::spans(request.get_ref(), now());
        drop(request);
        let (rejected_spans, error_message) = call.take(records).await?;
        let partial = ExportTracePartialSuccess { rejected_spans, error_message };
        let partial_success = (rejected_spans > 0).then_some(partial);
        Ok(tonic::Response::new(ExportTraceServiceResponse { partial_success }))
    }
}

#[tonic::async_trait]
impl LogsService for Export {
    async fn export(
        &self,
        request: tonic::Request<ExportLogsServiceRequest>,
    ) -> Result<tonic::Response<ExportLogsServiceResponse>, Status> {
        let call = call(&request)?;
        let records = records::log_records(request.get_ref(), now());
        drop(request);
        let (rejected_log_records, error_message) = call.take(records).await?;
        let partial = ExportLogsPartialSuccess { rejected_log_records, error_message };
        let partial_success = (rejected_log_records > 0).then_some(partial);
        Ok(tonic::Response::new(ExportLogsServiceResponse { partial_success }))
    }
}
