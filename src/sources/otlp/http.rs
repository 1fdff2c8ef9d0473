//! OTLP over HTTP, as Protobuf and as JSON.

use super::request::{self, Encoding, Signal};
use super::status::{self, RpcStatus};
use crate::sources::push::{self, Answer, Counter, Cut, Refusal, Service, now};
use axum::body::Body;
use hyper::body::Incoming;
use hyper::header::{ALLOW, CONTENT_TYPE, HeaderMap, HeaderValue};
use hyper::{Method, Request, Response, StatusCode};
use prost::Message;
use serde_json::json;
use std::sync::Arc;

impl Encoding {
    fn of(headers: &HeaderMap) -> Option<Encoding> {
        let content_type = headers.get(CONTENT_TYPE)?.to_str().ok()?;
        match content_type.split(';').next()?.trim().to_ascii_lowercase().as_str() {
            "application/x-protobuf" | "application/protobuf" => Some(Encoding::Protobuf),
            "application/json" => Some(Encoding::Json),
            _ => None,
        }
    }

    fn content_type(self) -> HeaderValue {
        HeaderValue::from_static(match self {
            Encoding::Protobuf => "application/x-protobuf",
            Encoding::Json => "application/json",
        })
    }

    /// What is wrong, in the words of google.rpc.Status.
    fn status(self, status: &RpcStatus) -> Vec<u8> {
        match self {
            Encoding::Protobuf => status.encode_to_vec(),
            Encoding::Json => json!({"code": status.code, "message": status.message}).to_string().into_bytes(),
        }
    }
}

/// Answers requests.
pub(super) struct Http;

impl Service for Http {
    fn call(&self, request: Request<Incoming>, counter: Arc<Counter>) -> Answer {
        let signal = match request.uri().path() {
            "/v1/traces" => Signal::Traces,
            "/v1/logs" => Signal::Logs,
            "/v1/metrics" => {
                let message = "metrics are not taken, only traces and logs: leave out the exporter of metrics";
                return Box::pin(async { text(StatusCode::NOT_FOUND, message) });
            }
            _ => return Box::pin(async { text(StatusCode::NOT_FOUND, "OTLP goes to /v1/traces and /v1/logs") }),
        };
        if request.method() != Method::POST {
            let mut response = text(StatusCode::METHOD_NOT_ALLOWED, "OTLP is sent by POST");
            response.headers_mut().insert(ALLOW, HeaderValue::from_static("POST"));
            return Box::pin(async { response });
        }
        Box::pin(answer(request, signal, counter))
    }
}

async fn answer(request: Request<Incoming>, signal: Signal, counter: Arc<Counter>) -> Response<Body> {
    let encoding = Encoding::of(request.headers());
    let told = encoding.unwrap_or(Encoding::Json);
    let held = match counter.admit() {
        Ok(held) => held,
        Err(refusal) => return refused(told, refusal),
    };
    let (head, body) = request.into_parts();
    let body = match push::read(&head.headers, body, &held, counter.body_max).await {
        Ok(body) => body,
        Err(Cut::Full) => return refused(told, Refusal::Full),
        // Exporters try again after this, and not after 408.
        Err(Cut::Late) => {
            counter.refuse();
            return refused(told, Refusal::Slow);
        }
        Err(cut) => {
            let (status, body) = (cut.status(), told.status(&status::cut(&cut)));
            counter.tell_cut(&cut, held).await;
            return response(status, told, body);
        }
    };
    let Some(encoding) = encoding else {
        let why = "OTLP is sent as application/x-protobuf or application/json".to_owned();
        let body = told.status(&RpcStatus::invalid(why.clone()));
        counter.tell_undecodable("content_type", why, held).await;
        return response(StatusCode::UNSUPPORTED_MEDIA_TYPE, told, body);
    };
    if held.grow(0).is_err() {
        return refused(encoding, Refusal::Full);
    }
    let read = request::read(&body, (encoding, signal), now(), counter.body_max);
    drop(body);
    let (events, rejected, why) = match read {
        Ok(records) => records.told(),
        Err(error) => {
            let why = format!("this is no request of OTLP: {error}");
            let body = encoding.status(&RpcStatus::invalid(why.clone()));
            counter.tell_undecodable("otlp", why, held).await;
            return response(StatusCode::BAD_REQUEST, encoding, body);
        }
    };
    if let Err(refusal) = counter.take(events, held).await {
        return refused(encoding, refusal);
    }
    response(StatusCode::OK, encoding, signal.success(encoding, rejected, why))
}

fn refused(encoding: Encoding, refusal: Refusal) -> Response<Body> {
    let mut response = push::refused(refusal, encoding.status(&status::again(refusal)));
    response.headers_mut().insert(CONTENT_TYPE, encoding.content_type());
    response
}

fn response(status: StatusCode, encoding: Encoding, body: Vec<u8>) -> Response<Body> {
    let mut response = Response::new(Body::from(body));
    *response.status_mut() = status;
    response.headers_mut().insert(CONTENT_TYPE, encoding.content_type());
    response
}

fn text(status: StatusCode, message: &'static str) -> Response<Body> {
    let mut response = Response::new(Body::from(message));
    *response.status_mut() = status;
    response
}
