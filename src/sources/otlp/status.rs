//! What is refused, as OTLP says it: with a `RetryInfo` where it may come again.

use crate::sources::push::{Cut, RETRY_AFTER, Refusal};
use prost::Message;
use tonic::{Code, Status};

/// google.rpc.Status, which is also the body of what is refused over HTTP.
#[derive(Clone, PartialEq, Message)]
pub(super) struct RpcStatus {
    #[prost(int32, tag = "1")]
    pub code: i32,
    #[prost(string, tag = "2")]
    pub message: String,
    #[prost(message, repeated, tag = "3")]
    pub details: Vec<Detail>,
}

/// google.protobuf.Any.
#[derive(Clone, PartialEq, Message)]
pub(super) struct Detail {
    #[prost(string, tag = "1")]
    pub type_url: String,
    #[prost(bytes = "vec", tag = "2")]
    pub value: Vec<u8>,
}

/// google.rpc.RetryInfo.
#[derive(Clone, PartialEq, Message)]
pub(super) struct RetryInfo {
    #[prost(message, optional, tag = "1")]
    pub retry_delay: Option<Span>,
}

/// google.protobuf.Duration.
#[derive(Clone, PartialEq, Message)]
pub(super) struct Span {
    #[prost(int64, tag = "1")]
    pub seconds: i64,
    #[prost(int32, tag = "2")]
    pub nanos: i32,
}

/// For a request that may come again.
pub(super) fn again(refusal: Refusal) -> RpcStatus {
    let code = match refusal {
        Refusal::Full => Code::ResourceExhausted,
        Refusal::Slow | Refusal::Stopping => Code::Unavailable,
    };
    let delay = Span { seconds: RETRY_AFTER.as_secs() as i64, nanos: 0 };
    let retry = RetryInfo { retry_delay: Some(delay) }.encode_to_vec();
    let detail = Detail { type_url: "type.googleapis.com/google.rpc.RetryInfo".to_owned(), value: retry };
    RpcStatus { code: code as i32, message: refusal.to_string(), details: vec![detail] }
}

/// For a request that was not read to its end.
pub(super) fn cut(cut: &Cut) -> RpcStatus {
    let code = match cut {
        Cut::Full => return again(Refusal::Full),
        Cut::Late => Code::DeadlineExceeded,
        Cut::TooLarge(_) | Cut::Encoding(_) => Code::InvalidArgument,
        Cut::Broken(_) => Code::Cancelled,
    };
    RpcStatus { code: code as i32, message: cut.to_string(), details: Vec::new() }
}

impl RpcStatus {
    /// For a request that would fail again.
    pub(super) fn invalid(message: String) -> RpcStatus {
        RpcStatus { code: Code::InvalidArgument as i32, message, details: Vec::new() }
    }

    /// As gRPC has it.
    pub(super) fn grpc(&self) -> Status {
        let details = if self.details.is_empty() { Vec::new() } else { self.encode_to_vec() };
        Status::with_details(Code::from(self.code), self.message.clone(), details.into())
    }
}
