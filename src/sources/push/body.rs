//! Bodies of requests: so large, so long, and counted while they are read.

use super::room::Held;
use flate2::read::MultiGzDecoder;
use hyper::body::{Body, Bytes, Frame, Incoming};
use hyper::header::{CONTENT_ENCODING, HeaderMap, HeaderValue};
use std::future::{Future, poll_fn};
use std::io::Read;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;
use tokio::time::{Sleep, sleep};

/// How long a body may take to come.
const READ_WITHIN: Duration = Duration::from_secs(30);

/// Why a body was not read to its end.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Cut {
    /// The engine is behind.
    #[error("more is waiting than can be taken now: send it again in a moment")]
    Full,
    /// It is larger than what is taken.
    #[error("the request is larger than {0} bytes, the limit: send less at once, or raise `limits: {{body: …}}`")]
    TooLarge(usize),
    /// It did not come.
    #[error("the request did not come within {} s", READ_WITHIN.as_secs())]
    Late,
    /// The connection broke, or what came is not HTTP.
    #[error("the request broke off: {0}")]
    Broken(String),
    /// It is not compressed as it says.
    #[error("the request is not what its `content-encoding` says: {0}")]
    Encoding(String),
}

/// A body that takes its bytes from the room, and ends where a limit is reached.
pub struct Metered {
    body: Incoming,
    held: Arc<Held>,
    read: usize,
    limit: usize,
    end: Pin<Box<Sleep>>,
}

impl Metered {
    /// A body of at most so many bytes.
    pub fn new(body: Incoming, held: Arc<Held>, limit: usize) -> Metered {
        Metered { body, held, read: 0, limit, end: Box::pin(sleep(READ_WITHIN)) }
    }

    /// The next piece of it.
    pub fn poll(&mut self, context: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Cut>>> {
        if self.end.as_mut().poll(context).is_ready() {
            return Poll::Ready(Some(Err(Cut::Late)));
        }
        let frame = match ready!(Pin::new(&mut self.body).poll_frame(context)) {
            None => return Poll::Ready(None),
            Some(Err(error)) => return Poll::Ready(Some(Err(Cut::Broken(error.to_string())))),
            Some(Ok(frame)) => frame,
        };
        let bytes = frame.data_ref().map_or(0, Bytes::len);
        self.read += bytes;
        if self.read > self.limit {
            return Poll::Ready(Some(Err(Cut::TooLarge(self.limit))));
        }
        if self.held.grow(bytes).is_err() {
            return Poll::Ready(Some(Err(Cut::Full)));
        }
        Poll::Ready(Some(Ok(frame)))
    }

    /// All of it.
    async fn read(mut self) -> Result<Vec<u8>, Cut> {
        let mut all = Vec::new();
        while let Some(frame) = poll_fn(|context| self.poll(context)).await {
            if let Ok(data) = frame?.into_data() {
                all.extend_from_slice(&data);
            }
        }
        Ok(all)
    }
}

/// A whole body of at most so many bytes, decompressed where its headers say that it is compressed.
pub async fn read(headers: &HeaderMap, body: Incoming, held: &Arc<Held>, limit: usize) -> Result<Vec<u8>, Cut> {
    let body = Metered::new(body, held.clone(), limit).read().await?;
    match headers.get(CONTENT_ENCODING).map(HeaderValue::as_bytes) {
        None | Some(b"" | b"identity") => Ok(body),
        Some(b"gzip" | b"x-gzip") => inflate(&body, held, limit),
        Some(other) => {
            let other = String::from_utf8_lossy(other);
            Err(Cut::Encoding(format!("`{other}` is not known; send gzip, or leave it as it is")))
        }
    }
}

/// What was compressed by gzip; no more than the limit is ever decompressed.
fn inflate(body: &[u8], held: &Held, limit: usize) -> Result<Vec<u8>, Cut> {
    let mut all = Vec::new();
    let read = MultiGzDecoder::new(body).take(limit as u64 + 1).read_to_end(&mut all);
    read.map_err(|error| Cut::Encoding(error.to_string()))?;
    if all.len() > limit {
        return Err(Cut::TooLarge(limit));
    }
    held.grow(all.len()).map_err(|_| Cut::Full)?;
    Ok(all)
}
