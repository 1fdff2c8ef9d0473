//! Events that are posted: CloudEvents in all their modes, JSON, and JSON lines.
//!
//! `/ingest/NAME` takes them, where NAME is the source's name; `/ingest/NAME/STREAM` says their stream as well.

mod cloudevents;
mod request;
#[cfg(test)]
mod tests;

use super::live::{Failure, Intake, Source};
use super::push::{self, Answer, Counter, Cut, Endpoint, Protocol, Push, Refusal, Service};
use super::remark::Remark;
use axum::body::Body;
use hyper::body::Incoming;
use hyper::header::{ALLOW, CONTENT_TYPE, HeaderValue};
use hyper::{Method, Request, Response, StatusCode};
use request::Parsed;
use serde_json::json;
use std::sync::Arc;

/// Faults that an answer names, at most.
const FAULTS_TOLD_MAX: usize = 10;

/// How events are taken.
#[derive(Clone, Debug)]
pub struct Options {
    /// The source's name, which stands in the path.
    pub name: String,
    /// A host and a port.
    pub listen: String,
    /// What all have that listen.
    pub push: push::Options,
}

/// A source of events that are posted.
pub struct HttpEvents(Push);

impl HttpEvents {
    /// One that listens as these options say.
    pub fn new(options: Options) -> HttpEvents {
        let Options { name, listen, push } = options;
        let service = Arc::new(Ingest { path: format!("/ingest/{name}") });
        HttpEvents(Push::new(vec![Endpoint { listen, protocol: Protocol::Http1, service }], push))
    }
}

impl Source for HttpEvents {
    fn follow(&mut self, cursor: Option<&[u8]>, intake: &mut dyn Intake) -> Result<(), Failure> {
        self.0.follow(cursor, intake)
    }

    fn examine(&mut self) -> Option<Vec<Remark>> {
        self.0.examine()
    }
}

struct Ingest {
    path: String,
}

impl Service for Ingest {
    fn call(&self, request: Request<Incoming>, counter: Arc<Counter>) -> Answer {
        let Some(stream) = self.stream(request.uri().path()) else {
            let message = format!("events go to {}, or to {}/STREAM", self.path, self.path);
            return Box::pin(async move { told(StatusCode::NOT_FOUND, &message) });
        };
        if request.method() != Method::POST {
            let mut response = told(StatusCode::METHOD_NOT_ALLOWED, "events are sent by POST");
            response.headers_mut().insert(ALLOW, HeaderValue::from_static("POST"));
            return Box::pin(async { response });
        }
        Box::pin(answer(request, stream, counter))
    }
}

impl Ingest {
    /// The stream that a path names, where it is ours.
    fn stream(&self, path: &str) -> Option<Option<Arc<str>>> {
        let path = cloudevents::percent_decoded(path.as_bytes())?;
        let rest = path.strip_prefix(&self.path)?;
        if rest.is_empty() || rest == "/" {
            return Some(None);
        }
        let stream = rest.strip_prefix('/')?;
        let legal = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | '.');
        stream.chars().all(legal).then(|| Some(stream.into()))
    }
}

async fn answer(request: Request<Incoming>, stream: Option<Arc<str>>, counter: Arc<Counter>) -> Response<Body> {
    let held = match counter.admit() {
        Ok(held) => held,
        Err(refusal) => return refused(refusal),
    };
    let (head, body) = request.into_parts();
    let body = match push::read(&head.headers, body, &held, counter.body_max).await {
        Ok(body) => body,
        Err(Cut::Full) => return refused(Refusal::Full),
        Err(cut) => {
            counter.tell_cut(&cut, held).await;
            return told(cut.status(), &cut.to_string());
        }
    };
    let Parsed { status, events, faults } = request::parse(&head.headers, &body, stream.as_ref(), push::now());
    drop(body);
    let accepted = events.len() - faults.len();
    if let Err(refusal) = counter.take(events, held).await {
        return refused(refusal);
    }
    let more = faults.len().saturating_sub(FAULTS_TOLD_MAX);
    let faults: Vec<_> = faults.iter().take(FAULTS_TOLD_MAX).map(|(at, why)| json!({"at": at, "why": why})).collect();
    let answer = match (faults.is_empty(), more) {
        (true, _) => json!({"accepted": accepted}),
        (false, 0) => json!({"accepted": accepted, "undecodable": faults}),
        (false, more) => json!({"accepted": accepted, "undecodable": faults, "more": more}),
    };
    json_answer(status, answer.to_string())
}

fn refused(refusal: Refusal) -> Response<Body> {
    let mut response = push::refused(refusal, json!({"error": refusal.to_string()}).to_string());
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    response
}

fn told(status: StatusCode, message: &str) -> Response<Body> {
    json_answer(status, json!({"error": message}).to_string())
}

fn json_answer(status: StatusCode, text: String) -> Response<Body> {
    let mut response = Response::new(Body::from(text + "\n"));
    *response.status_mut() = status;
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    response
}
