//! Answers that all who listen over HTTP give alike.

use super::body::Cut;
use super::counter::Refusal;
use axum::body::Body;
use hyper::header::{CONNECTION, HeaderValue, RETRY_AFTER as RETRY_AFTER_HEADER, WWW_AUTHENTICATE};
use hyper::{Response, StatusCode};
use std::time::Duration;

/// After how long a request that was refused may come again.
pub const RETRY_AFTER: Duration = Duration::from_secs(1);

/// Without the right token. It does not say what is wrong.
pub fn unauthorized() -> Response<Body> {
    let mut response = Response::new(Body::empty());
    *response.status_mut() = StatusCode::UNAUTHORIZED;
    response.headers_mut().insert(WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
    // Its body is not read, so the connection cannot be gone on with.
    response.headers_mut().insert(CONNECTION, HeaderValue::from_static("close"));
    response
}

/// The headers and the status of a request that may come again.
pub fn refused(refusal: Refusal, body: impl Into<Body>) -> Response<Body> {
    let mut response = Response::new(body.into());
    *response.status_mut() = refusal.status();
    response.headers_mut().insert(RETRY_AFTER_HEADER, HeaderValue::from(RETRY_AFTER.as_secs()));
    response
}

impl Refusal {
    /// As HTTP has it.
    pub fn status(self) -> StatusCode {
        match self {
            Refusal::Full => StatusCode::TOO_MANY_REQUESTS,
            Refusal::Slow | Refusal::Stopping => StatusCode::SERVICE_UNAVAILABLE,
        }
    }
}

impl Cut {
    /// As HTTP has it.
    pub fn status(&self) -> StatusCode {
        match self {
            Cut::Full => StatusCode::TOO_MANY_REQUESTS,
            Cut::TooLarge(_) => StatusCode::PAYLOAD_TOO_LARGE,
            Cut::Late => StatusCode::REQUEST_TIMEOUT,
            Cut::Broken(_) | Cut::Encoding(_) => StatusCode::BAD_REQUEST,
        }
    }

    /// A word for what is wrong, where the same request would fail again: then it is lost, and counted.
    pub fn is_lost(&self) -> Option<&'static str> {
        match self {
            Cut::TooLarge(_) => Some("too_long"),
            Cut::Encoding(_) => Some("encoding"),
            Cut::Full | Cut::Late | Cut::Broken(_) => None,
        }
    }
}
