//! The thread that listens: connections, limited in number and in time.

use super::answer;
use super::counter::Counter;
use super::options::{Options, Tls};
use super::stream::{Duplex, Idle};
use crate::sources::live::Failure;
use axum::body::Body;
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper::{Request, Response};
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::conn::auto::Builder;
use rustls::ServerConfig;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use std::convert::Infallible;
use std::future::Future;
use std::io::ErrorKind;
use std::net::TcpListener;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Duration;
use tokio::net::TcpStream;
use tokio::sync::{Semaphore, watch};
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};
use tokio_rustls::TlsAcceptor;

/// How long the head of a request, or the next request of a connection, may take to come.
const HEAD_WITHIN: Duration = Duration::from_secs(30);
/// How long a handshake of TLS may take.
const HANDSHAKE_WITHIN: Duration = Duration::from_secs(10);
/// How many headers a request may have, and how many bytes they may be.
const HEADERS_MAX: usize = 100;
const HEADER_BYTES_MAX: usize = 32 << 10;
/// Of a connection over HTTP/2: requests at the same time, and bytes that may be on their way.
const STREAMS_MAX: u32 = 64;
const WINDOW_BYTES: u32 = 256 << 10;
/// How often the other side of a connection over HTTP/2 is asked whether it is there, and how long it may take to say so.
const PING_EVERY: Duration = Duration::from_secs(30);
const PING_WITHIN: Duration = Duration::from_secs(20);
/// How long requests that are under way have for their answers when the daemon stops.
const GRACE: Duration = Duration::from_secs(1);
/// How long to wait where the system gives no connection.
const ACCEPT_AGAIN: Duration = Duration::from_millis(100);

/// Answers requests.
pub trait Service: Send + Sync + 'static {
    /// The answer to a request that shows the right token, where one is asked for.
    fn call(&self, request: Request<Incoming>, counter: Arc<Counter>) -> Answer;

    /// The answer to one that does not.
    fn unauthorized(&self) -> Response<Body> {
        answer::unauthorized()
    }
}

/// An answer to come.
pub type Answer = Pin<Box<dyn Future<Output = Response<Body>> + Send>>;

/// What is spoken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Protocol {
    /// HTTP/1.1.
    Http1,
    /// HTTP/2, as gRPC needs it.
    Http2,
}

/// Where is listened, and who answers.
#[derive(Clone)]
pub struct Endpoint {
    /// A host and a port.
    pub listen: String,
    /// What is spoken there.
    pub protocol: Protocol,
    /// Who answers.
    pub service: Arc<dyn Service>,
}

/// The thread, which ends when this is dropped.
pub struct Listener {
    stop: Option<watch::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl Listener {
    /// Listens at all endpoints.
    pub fn open(endpoints: &[Endpoint], options: &Options, counter: Arc<Counter>) -> Result<Listener, Failure> {
        let bound = endpoints.iter().map(|endpoint| Ok((bind(&endpoint.listen)?, endpoint.clone())));
        let bound: Vec<_> = bound.collect::<Result<_, Failure>>()?;
        let accept = Accept {
            counter,
            connections: Arc::new(Semaphore::new(options.connections_max)),
            tls: options.tls.as_ref().map(config).transpose()?,
        };
        let none = |error: std::io::Error| Failure(format!("the system gives no means to listen: {error}"));
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(none)?;
        let (stop, stopped) = watch::channel(());
        let listen = async move {
            let mut all = JoinSet::new();
            for (listener, endpoint) in bound {
                all.spawn(accept.clone().listen(listener, endpoint, stopped.clone()));
            }
            all.join_all().await;
        };
        let thread = std::thread::Builder::new().name("listener".to_owned());
        let thread = thread.spawn(move || runtime.block_on(listen)).map_err(none)?;
        Ok(Listener { stop: Some(stop), thread: Some(thread) })
    }

    /// It is still there.
    pub fn is_alive(&self) -> bool {
        self.thread.as_ref().is_some_and(|thread| !thread.is_finished())
    }
}

impl Drop for Listener {
    fn drop(&mut self) {
        drop(self.stop.take());
        // A thread that panicked has said so already.
        let _ = self.thread.take().map(JoinHandle::join);
    }
}

/// Takes an address, as it is configured.
pub fn bind(listen: &str) -> Result<TcpListener, Failure> {
    let bound = TcpListener::bind(listen).and_then(|listener| listener.set_nonblocking(true).map(|()| listener));
    bound.map_err(|error| match error.kind() {
        ErrorKind::AddrInUse => Failure(format!(
            "{listen} is in use by another program, or another source: listen at another address, and tell the senders"
        )),
        _ => Failure(format!(
            "{listen} cannot be listened at: {error}; it is an address of this machine with a port, such as 127.0.0.1:8088"
        )),
    })
}

/// The certificate to show.
pub fn config(tls: &Tls) -> Result<Arc<ServerConfig>, Failure> {
    let Tls { certificate, key } = tls;
    let bad = |path: &std::path::Path, error: &dyn std::fmt::Display| {
        Failure(format!("{}: {error}; it is to be a file in PEM, that this user may read", path.display()))
    };
    let chain = CertificateDer::pem_file_iter(certificate).map_err(|error| bad(certificate, &error))?;
    let chain = chain.collect::<Result<Vec<_>, _>>().map_err(|error| bad(certificate, &error))?;
    let secret = PrivateKeyDer::from_pem_file(key).map_err(|error| bad(key, &error))?;
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = ServerConfig::builder_with_provider(provider).with_safe_default_protocol_versions();
    let config = config.map_err(|error| bad(certificate, &error))?.with_no_client_auth();
    config.with_single_cert(chain, secret).map(Arc::new).map_err(|error| bad(certificate, &error))
}

/// What connections have in common.
#[derive(Clone)]
struct Accept {
    counter: Arc<Counter>,
    connections: Arc<Semaphore>,
    tls: Option<Arc<ServerConfig>>,
}

impl Accept {
    async fn listen(self, listener: TcpListener, endpoint: Endpoint, mut stopped: watch::Receiver<()>) {
        let listener = match tokio::net::TcpListener::from_std(listener) {
            Ok(listener) => listener,
            Err(error) => return tracing::error!("{} is not listened at any more: {error}", endpoint.listen),
        };
        let acceptor = self.tls.as_ref().map(|config| acceptor(config, endpoint.protocol));
        let mut under_way = JoinSet::new();
        loop {
            let accepted = tokio::select! {
                accepted = listener.accept() => accepted,
                Some(_) = under_way.join_next() => continue,
                _ = stopped.changed() => break,
            };
            let Ok((stream, _)) = accepted else {
                sleep(ACCEPT_AGAIN).await;
                continue;
            };
            // One that is sent away knows it at once, and comes again.
            let Ok(room) = self.connections.clone().try_acquire_owned() else {
                self.counter.refuse();
                continue;
            };
            let serve = serve(stream, acceptor.clone(), endpoint.clone(), self.counter.clone(), stopped.clone());
            under_way.spawn(async move {
                serve.await;
                drop(room);
            });
        }
        drop(listener);
        let _ = timeout(GRACE, under_way.join_all()).await;
    }
}

async fn serve(
    stream: TcpStream,
    acceptor: Option<TlsAcceptor>,
    endpoint: Endpoint,
    counter: Arc<Counter>,
    mut stopped: watch::Receiver<()>,
) {
    // Answers are small, and waited for.
    let _ = stream.set_nodelay(true);
    let Some(stream) = secured(stream, acceptor).await else { return };
    let service = service_fn(move |request| {
        let service = &endpoint.service;
        let known = counter.knows(request.headers());
        let answer = if known { Ok(service.call(request, counter.clone())) } else { Err(service.unauthorized()) };
        async move {
            Ok::<_, Infallible>(match answer {
                Ok(answer) => answer.await,
                Err(refused) => refused,
            })
        }
    });
    let builder = builder(endpoint.protocol);
    let mut connection = pin!(builder.serve_connection(TokioIo::new(Idle::new(stream)), service));
    let served = tokio::select! {
        served = connection.as_mut() => served,
        _ = stopped.changed() => {
            connection.as_mut().graceful_shutdown();
            connection.await
        }
    };
    if let Err(error) = served {
        tracing::debug!("a connection ended: {error}");
    }
}

fn acceptor(config: &ServerConfig, protocol: Protocol) -> TlsAcceptor {
    let mut config = config.clone();
    config.alpn_protocols = match protocol {
        Protocol::Http1 => vec![b"http/1.1".to_vec()],
        Protocol::Http2 => vec![b"h2".to_vec()],
    };
    TlsAcceptor::from(Arc::new(config))
}

async fn secured(stream: TcpStream, acceptor: Option<TlsAcceptor>) -> Option<Box<dyn Duplex>> {
    let Some(acceptor) = acceptor else { return Some(Box::new(stream)) };
    match timeout(HANDSHAKE_WITHIN, acceptor.accept(stream)).await {
        Ok(Ok(stream)) => Some(Box::new(stream)),
        Ok(Err(error)) => {
            tracing::debug!("a handshake failed: {error}");
            None
        }
        Err(_) => None,
    }
}

fn builder(protocol: Protocol) -> Builder<TokioExecutor> {
    let mut builder = Builder::new(TokioExecutor::new());
    builder
        .http1()
        .timer(TokioTimer::new())
        .header_read_timeout(HEAD_WITHIN)
        .max_headers(HEADERS_MAX)
        .max_buf_size(HEADER_BYTES_MAX);
    builder
        .http2()
        .timer(TokioTimer::new())
        .keep_alive_interval(PING_EVERY)
        .keep_alive_timeout(PING_WITHIN)
        .max_concurrent_streams(STREAMS_MAX)
        .initial_stream_window_size(WINDOW_BYTES)
        .initial_connection_window_size(2 * WINDOW_BYTES)
        .max_header_list_size(HEADER_BYTES_MAX as u32);
    match protocol {
        Protocol::Http1 => builder.http1_only(),
        Protocol::Http2 => builder.http2_only(),
    }
}
