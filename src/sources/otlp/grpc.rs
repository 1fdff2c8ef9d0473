//! OTLP over gRPC.

use super::request::{self, Encoding, Signal};
use super::status::{self, RpcStatus};
use crate::sources::push::{Answer, Counter, Cut, Held, Metered, Refusal, Service, now};
use axum::body::Body;
use hyper::body::{Buf, Bytes, Frame, Incoming};
use hyper::{HeaderMap, Request, Response};
use prost::bytes::BufMut;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll};
use tonic::codec::{Codec, CompressionEncoding, DecodeBuf, Decoder, EncodeBuf, Encoder};
use tonic::server::{Grpc, UnaryService};
use tonic::{Code, Status};

/// What stands before a message.
const FRAME_BYTES: usize = 5;

/// Answers calls.
pub(super) struct Calls;

impl Service for Calls {
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
    let signal = match request.uri().path() {
        "/opentelemetry.proto.collector.trace.v1.TraceService/Export" => Signal::Traces,
        "/opentelemetry.proto.collector.logs.v1.LogsService/Export" => Signal::Logs,
        other => return unknown(other).into_http(),
    };
    let limit = counter.body_max;
    let call = Call { counter, held, settled: Arc::default() };
    let request = request
        .map(|body| Upload { body: Metered::new(body, call.held.clone(), limit + FRAME_BYTES), call: call.clone() });
    let server = Grpc::new(Raw).accept_compressed(CompressionEncoding::Gzip).max_decoding_message_size(limit);
    let response = { server }.unary(Export { call: call.clone(), signal }, request).await;
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

/// A request on its way.
#[derive(Clone)]
struct Call {
    counter: Arc<Counter>,
    held: Arc<Held>,
    /// It is known what became of it.
    settled: Arc<AtomicBool>,
}

impl Call {
    /// What was no request of OTLP, or too large for one, is lost: it is counted.
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

    /// Takes what a message holds; the answer to it.
    async fn take(self, message: Bytes, signal: Signal) -> Result<Vec<u8>, Status> {
        if self.held.grow(0).is_err() {
            self.settled.store(true, Ordering::Relaxed);
            return Err(status::again(Refusal::Full).grpc());
        }
        let read = request::read(&message, (Encoding::Protobuf, signal), now(), self.counter.body_max);
        drop(message);
        let not_otlp = |why| RpcStatus::invalid(format!("this is no request of OTLP: {why}")).grpc();
        let (events, rejected, why) = read.map_err(not_otlp)?.told();
        self.settled.store(true, Ordering::Relaxed);
        let taken = self.counter.take(events, self.held).await;
        taken.map_err(|refusal| status::again(refusal).grpc())?;
        Ok(signal.success(Encoding::Protobuf, rejected, why))
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

/// The Export call of either service.
struct Export {
    call: Call,
    signal: Signal,
}

impl UnaryService<Bytes> for Export {
    type Response = Vec<u8>;
    type Future = Pin<Box<dyn Future<Output = Result<tonic::Response<Vec<u8>>, Status>> + Send>>;

    fn call(&mut self, request: tonic::Request<Bytes>) -> Self::Future {
        let taken = self.call.clone().take(request.into_inner(), self.signal);
        Box::pin(async { taken.await.map(tonic::Response::new) })
    }
}

/// Messages as they stand: they are decoded piece by piece.
struct Raw;

impl Codec for Raw {
    type Encode = Vec<u8>;
    type Decode = Bytes;
    type Encoder = Raw;
    type Decoder = Raw;

    fn encoder(&mut self) -> Raw {
        Raw
    }

    fn decoder(&mut self) -> Raw {
        Raw
    }
}

impl Encoder for Raw {
    type Item = Vec<u8>;
    type Error = Status;

    fn encode(&mut self, message: Vec<u8>, out: &mut EncodeBuf<'_>) -> Result<(), Status> {
        out.put_slice(&message);
        Ok(())
    }
}

impl Decoder for Raw {
    type Item = Bytes;
    type Error = Status;

    fn decode(&mut self, message: &mut DecodeBuf<'_>) -> Result<Option<Bytes>, Status> {
        Ok(Some(message.copy_to_bytes(message.remaining())))
    }
}
