//! What the running daemon says over HTTP: `/status`, `/healthz`, `/readyz`, `/metrics`.
//!
//! It shows the board and changes nothing. It has a thread of its own, so that no lane waits for who asks, and nobody
//! who asks can hold it up: connections are limited in number and in time, and no request has a body that is read.

mod connection;
mod metrics;
#[cfg(test)]
mod tests;

pub use metrics::documented;

use crate::runtime::live::Board;
use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use axum::{Json, Router};
use connection::Limited;
use metrics::Metrics;
use std::io::{self, ErrorKind};
use std::net::{SocketAddr, TcpListener};
use std::sync::{Arc, PoisonError, RwLock};
use std::thread::JoinHandle;
use tokio::runtime::Builder;
use tokio::sync::oneshot;

/// Why it cannot serve.
#[derive(Debug, thiserror::Error)]
pub enum ServerError {
    /// Somebody else does.
    #[error(
        "{0} is in use by another program, so `/status` cannot be served there: give this daemon another address, such \
         as `server: {{listen: \"127.0.0.1:7781\"}}`, or none with `server: {{listen: off}}`"
    )]
    InUse(String),
    /// The address cannot be listened on.
    #[error(
        "`server.listen: {0}` cannot be listened on: {1}; it is an address of this machine with a port, such as 127.0.0.1:7780"
    )]
    Address(String, io::Error),
    /// The system gives no thread or no runtime.
    #[error("the server of `/status` cannot be started: {0}")]
    Start(String),
}

/// A server that runs until it is dropped.
pub struct Server {
    /// Where it listens.
    pub address: SocketAddr,
    desk: Arc<Desk>,
    stop: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl Server {
    /// Serves the board at an address: `127.0.0.1:7780`.
    pub fn start(listen: &str, board: Arc<Board>) -> Result<Server, ServerError> {
        let wrong = |error: io::Error| match error.kind() {
            ErrorKind::AddrInUse => ServerError::InUse(listen.to_owned()),
            _ => ServerError::Address(listen.to_owned(), error),
        };
        let listener = TcpListener::bind(listen).map_err(wrong)?;
        let address = listener.local_addr().map_err(wrong)?;
        listener.set_nonblocking(true).map_err(wrong)?;
        let start = |error: &dyn std::fmt::Display| ServerError::Start(error.to_string());
        let runtime = Builder::new_current_thread().enable_all().build().map_err(|error| start(&error))?;
        let metrics = Metrics::new().map_err(|error| start(&error))?;
        let desk = Arc::new(Desk { board: RwLock::new(board), metrics });
        let router = router(desk.clone());
        let (stop, stopped) = oneshot::channel();
        let serve = async move {
            let listener = match tokio::net::TcpListener::from_std(listener) {
                Ok(listener) => Limited::new(listener),
                Err(error) => return tracing::error!("the server of `/status` has stopped: {error}"),
            };
            tokio::select! {
                served = axum::serve(listener, router) => {
                    if let Err(error) = served {
                        tracing::error!("the server of `/status` has stopped: {error}");
                    }
                }
                // Whoever is still asking gets no answer: stopping does not wait for them.
                _ = stopped => {}
            }
        };
        let named = std::thread::Builder::new().name("server".to_owned());
        let thread = named.spawn(move || runtime.block_on(serve)).map_err(|error| start(&error))?;
        Ok(Server { address, desk, stop: Some(stop), thread: Some(thread) })
    }

    /// Shows another board from now on.
    pub fn show(&self, board: Arc<Board>) {
        *self.desk.board.write().unwrap_or_else(PoisonError::into_inner) = board;
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        drop(self.stop.take());
        // A server that panicked has said so already.
        let _ = self.thread.take().map(JoinHandle::join);
    }
}

struct Desk {
    board: RwLock<Arc<Board>>,
    metrics: Metrics,
}

impl Desk {
    fn board(&self) -> Arc<Board> {
        self.board.read().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

fn router(desk: Arc<Desk>) -> Router {
    Router::new()
        .route("/", get(index))
        .route("/status", get(status))
        .route("/healthz", get(health))
        .route("/readyz", get(readiness))
        .route("/metrics", get(numbers))
        .with_state(desk)
}

async fn index() -> &'static str {
    "Throughline\n\n/status   how sources, flows and findings stand, as JSON (throughline schema status)\n\
     /healthz  200 while the process works\n/readyz   200 while everything is watched\n/metrics  for Prometheus\n"
}

async fn status(State(desk): State<Arc<Desk>>) -> Response {
    Json(desk.board().state()).into_response()
}

async fn health(State(desk): State<Arc<Desk>>) -> Response {
    answer(&desk.board().stuck())
}

async fn readiness(State(desk): State<Arc<Desk>>) -> Response {
    answer(&desk.board().state().not_ready)
}

/// 200, or 503 with what is wrong, a line each.
fn answer(wrong: &[String]) -> Response {
    if wrong.is_empty() {
        return "ok\n".into_response();
    }
    (StatusCode::SERVICE_UNAVAILABLE, wrong.join("\n") + "\n").into_response()
}

async fn numbers(State(desk): State<Arc<Desk>>) -> Response {
    match desk.metrics.text(desk.board().state()) {
        Ok(text) => ([(header::CONTENT_TYPE, prometheus::TEXT_FORMAT)], text).into_response(),
        Err(error) => (StatusCode::INTERNAL_SERVER_ERROR, format!("{error}\n")).into_response(),
    }
}
