//! gRPC and HTTP as a client of the protocol speaks them.

use super::{Answer, JSON, holes, post, records, undecodable};
use crate::servers::free_port;
use crate::watch::{Place, Said, Watch};
use opentelemetry_proto::tonic::collector::logs::v1::logs_service_client::LogsServiceClient;
use opentelemetry_proto::tonic::collector::logs::v1::{ExportLogsServiceRequest, ExportLogsServiceResponse};
use opentelemetry_proto::tonic::collector::trace::v1::trace_service_client::TraceServiceClient;
use opentelemetry_proto::tonic::collector::trace::v1::{ExportTraceServiceRequest, ExportTraceServiceResponse};
use opentelemetry_proto::tonic::logs::v1::{LogRecord, ResourceLogs, ScopeLogs};
use opentelemetry_proto::tonic::trace::v1::{ResourceSpans, ScopeSpans, Span};
use prost::Message;
use std::net::TcpStream;
use std::thread;
use std::time::Duration;
use throughline::sources::otlp::{self, Otlp};
use throughline::sources::push::Options;
use throughline::sources::secret::Secret;
use tokio::runtime::{Builder, Runtime};
use tonic::codec::CompressionEncoding;
use tonic::transport::Channel;
use tonic::{Code, Request, Status};

pub struct Receiver {
    pub grpc: String,
    pub http: String,
    pub push: Options,
}

impl Receiver {
    pub fn new(push: Options) -> Receiver {
        let address = || format!("127.0.0.1:{}", free_port());
        Receiver { grpc: address(), http: address(), push }
    }

    pub fn listen(&self) -> Watch {
        let (grpc, http) = (Some(self.grpc.clone()), Some(self.http.clone()));
        let watch =
            Watch::start(Box::new(Otlp::new(otlp::Options { grpc, http, push: self.push.clone() })), Place::default());
        watch.until("it listens", |_| [&self.grpc, &self.http].iter().all(|at| TcpStream::connect(at).is_ok()));
        watch
    }

    fn channel(&self) -> Channel {
        Channel::from_shared(format!("http://{}", self.grpc)).unwrap().connect_lazy()
    }

    fn traces(&self) -> TraceServiceClient<Channel> {
        TraceServiceClient::new(self.channel())
    }

    fn post(&self, path: &str, headers: &[(&str, &str)], body: &[u8]) -> Answer {
        post(&format!("http://{}{path}", self.http), headers, body)
    }
}

fn runtime() -> Runtime {
    Builder::new_current_thread().enable_all().build().unwrap()
}

fn span(number: u8) -> Span {
    let (trace_id, span_id) = (vec![7; 16], vec![number; 8]);
    Span { trace_id, span_id, name: format!("span {number}"), end_time_unix_nano: 5, ..Span::default() }
}

fn spans(all: Vec<Span>) -> ExportTraceServiceRequest {
    let scope_spans = vec![ScopeSpans { spans: all, ..ScopeSpans::default() }];
    ExportTraceServiceRequest { resource_spans: vec![ResourceSpans { scope_spans, ..ResourceSpans::default() }] }
}

fn logs(log_records: Vec<LogRecord>) -> ExportLogsServiceRequest {
    let scope_logs = vec![ScopeLogs { log_records, ..ScopeLogs::default() }];
    ExportLogsServiceRequest { resource_logs: vec![ResourceLogs { scope_logs, ..ResourceLogs::default() }] }
}

fn keys(said: &[Said]) -> Vec<String> {
    records(said).iter().map(|record| record.key.clone().unwrap_or_default()).collect()
}

#[test]
fn grpc_takes_spans_and_log_records_compressed_or_not() {
    let receiver = Receiver::new(Options::default());
    let watch = receiver.listen();
    runtime().block_on(async {
        let answer = receiver.traces().export(spans(vec![span(1), span(2)])).await.unwrap();
        assert_eq!(answer.into_inner(), ExportTraceServiceResponse::default());
        let mut packed = receiver.traces().send_compressed(CompressionEncoding::Gzip);
        // Of those that are taken in part, the rest is named.
        let answer = packed.export(spans(vec![Span::default(), span(3)])).await.unwrap().into_inner();
        let partial = answer.partial_success.unwrap();
        assert!(partial.rejected_spans == 1 && partial.error_message.contains("trace_id"), "{partial:?}");
        let mut client = LogsServiceClient::new(receiver.channel());
        client.export(logs(vec![LogRecord { time_unix_nano: 9, ..LogRecord::default() }])).await.unwrap();
    });
    let (said, _) = watch.stop();
    let trace = "07".repeat(16);
    let span = |digit: &str| format!("{trace}-{}", digit.repeat(8));
    assert_eq!(keys(&said), [span("01"), span("02"), span("03"), String::new()]);
    let streams: Vec<_> = records(&said).into_iter().map(|record| record.stream.unwrap()).collect();
    assert_eq!(streams, ["traces", "traces", "traces", "logs"]);
    assert_eq!((undecodable(&said), holes(&said)), (vec!["bad_id"], 0));
}

#[test]
fn grpc_refuses_as_the_standard_says() {
    let tokens = vec![Secret("right-token".into())];
    let receiver = Receiver::new(Options { body_max: 20_000, waiting_max: 40_000, tokens, ..Options::default() });
    let watch = receiver.listen();
    let large = |bytes| spans(vec![Span { name: "x".repeat(bytes), ..span(1) }]);
    let with_token = |request| {
        let mut request = Request::new(request);
        request.metadata_mut().insert("authorization", "Bearer right-token".parse().unwrap());
        request
    };
    let code = |answer: Result<_, Status>| answer.map(|_: tonic::Response<ExportTraceServiceResponse>| ()).unwrap_err();
    runtime().block_on(async {
        let mut client = receiver.traces();
        let unknown = code(client.export(spans(vec![span(1)])).await);
        assert_eq!((unknown.code(), unknown.message()), (Code::Unauthenticated, ""));
        client.export(with_token(spans(vec![span(1)]))).await.unwrap();
        let too_large = code(client.export(with_token(large(30_000))).await);
        assert_eq!(too_large.code(), Code::OutOfRange, "{too_large}");
        let mut packed = receiver.traces().send_compressed(CompressionEncoding::Gzip);
        let bomb = code(packed.export(with_token(large(3_000_000))).await);
        assert!(bomb.message().contains("size limit"), "{bomb}");
        watch.hold(true);
        let waiting: Vec<_> = (0..2)
            .map(|_| {
                let (mut client, request) = (receiver.traces(), with_token(large(18_000)));
                tokio::spawn(async move { client.export(request).await.map(drop) })
            })
            .collect();
        tokio::time::sleep(Duration::from_millis(500)).await;
        let full = code(client.export(with_token(large(18_000))).await);
        assert_eq!(full.code(), Code::ResourceExhausted, "{full}");
        assert!(
            String::from_utf8_lossy(full.details()).contains("google.rpc.RetryInfo"),
            "when to come again: {full:?}"
        );
        watch.hold(false);
        for waiting in waiting {
            waiting.await.unwrap().unwrap();
        }
    });
    let (said, _) = watch.stop();
    assert_eq!(keys(&said).len(), 3);
    assert_eq!(undecodable(&said), ["otlp", "otlp"], "what was too large is lost");
}

#[test]
fn metrics_are_refused_in_words() {
    let receiver = Receiver::new(Options::default());
    let watch = receiver.listen();
    let answer = receiver.post("/v1/metrics", &[("content-type", "application/x-protobuf")], b"");
    assert!(answer.status == 404 && answer.text().contains("metrics are not taken"), "{answer:?}");
    assert_eq!(receiver.post("/v1/trace", &[JSON], b"{}").status, 404);
    let (said, _) = watch.stop();
    assert_eq!((undecodable(&said).len(), records(&said).len()), (0, 0));
}

#[test]
fn http_takes_protobuf_and_json_and_answers_in_kind() {
    let receiver = Receiver::new(Options::default());
    let watch = receiver.listen();
    let protobuf = ("content-type", "application/x-protobuf");
    let answer = receiver.post("/v1/traces", &[protobuf], &spans(vec![span(1), Span::default()]).encode_to_vec());
    let response = ExportTraceServiceResponse::decode(&*answer.body).unwrap();
    assert_eq!((answer.status, response.partial_success.unwrap().rejected_spans), (200, 1));
    let json = serde_json::to_vec(&spans(vec![span(2)])).unwrap();
    let answer = receiver.post("/v1/traces", &[JSON], &json);
    assert_eq!(
        (answer.status, serde_json::from_slice(&answer.body).unwrap()),
        (200, ExportTraceServiceResponse::default())
    );
    // One span of a request that cannot be read: the others are taken.
    let mut mixed = serde_json::to_value(spans(vec![span(4), span(5)])).unwrap();
    mixed["resourceSpans"][0]["scopeSpans"][0]["spans"][0]["traceId"] = "no id".into();
    let answer = receiver.post("/v1/traces", &[JSON], mixed.to_string().as_bytes());
    let response: ExportTraceServiceResponse = serde_json::from_slice(&answer.body).unwrap();
    assert_eq!((answer.status, response.partial_success.unwrap().rejected_spans), (200, 1));
    let log = serde_json::to_vec(&logs(vec![LogRecord { time_unix_nano: 1, ..LogRecord::default() }])).unwrap();
    let answer = receiver.post("/v1/logs", &[JSON], &log);
    assert_eq!(
        (answer.status, serde_json::from_slice(&answer.body).unwrap()),
        (200, ExportLogsServiceResponse::default())
    );
    let answer = receiver.post("/v1/traces", &[JSON], b"{\"resourceSpans\": 1}");
    assert!(answer.status == 400 && answer.text().contains("this is no request of OTLP"), "{answer:?}");
    let answer = receiver.post("/v1/traces", &[protobuf], b"\xff\xff");
    assert_eq!(answer.status, 400);
    assert_eq!(receiver.post("/v1/traces", &[("content-type", "text/plain")], b"x").status, 415);
    watch.hold(true);
    let waits = thread::scope(|scope| {
        let waits = scope.spawn(|| receiver.post("/v1/traces", &[JSON], &json));
        thread::sleep(Duration::from_millis(2_500));
        let answer = receiver.post("/v1/traces", &[JSON], &json);
        assert_eq!((answer.status, answer.retry_after.as_deref()), (429, Some("1")), "{answer:?}");
        watch.hold(false);
        waits.join().unwrap()
    });
    assert_eq!(waits.status, 200);
    let (said, _) = watch.stop();
    assert_eq!(keys(&said).len(), 5);
    assert_eq!(undecodable(&said), ["bad_id", "otlp", "otlp", "otlp", "content_type"]);
}
