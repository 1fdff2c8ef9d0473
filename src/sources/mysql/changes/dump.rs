//! The connection on which the server sends its log, as to a replica. It writes nothing, and acknowledges nothing.

use super::cursor::Position;
use super::setup::{Server, grant};
use super::{BATCH_BYTES, BATCH_EVENTS, CONNECTS_WITHIN, HEARTBEAT, Halt, SILENCE_MAX, TICK, failed};
use crate::sources::live::{Failure, Intake};
use crate::sources::mysql::address;
use crate::sources::waiting::Waiter;
use futures_core::Stream;
use mysql_async::binlog::events::Event;
use mysql_async::prelude::Queryable;
use mysql_async::{BinlogStream, BinlogStreamRequest, Conn, Error, Opts, OptsBuilder, ServerError, SslOpts};
use std::future::poll_fn;
use std::path::PathBuf;
use std::pin::Pin;
use std::task::Poll;
use std::time::Instant;

/// The server has not the place in its log that was asked for.
const NO_SUCH_PLACE: u16 = 1236;

/// From where on the log is asked for.
#[derive(Clone, Debug)]
pub(super) enum From<'a> {
    Place(&'a Position),
    /// Behind these transactions, in the count of the whole cluster (MariaDB).
    Gtids(&'a str),
}

/// What came.
pub(super) enum Came {
    Events(Vec<Event>),
    /// What was asked for is gone, and why.
    Lost(String),
}

/// The log as it comes.
pub(super) struct Dump {
    // The stream goes before the runtime that it lives in.
    stream: BinlogStream,
    waiter: Waiter,
    heard: Instant,
    /// How it ended, which is told after what came before.
    ended: Option<Result<(), Error>>,
}

impl Dump {
    /// Asks for the log.
    pub fn open(
        url: &str,
        server: &Server,
        server_id: u32,
        from: From<'_>,
        intake: &mut dyn Intake,
    ) -> Result<Dump, Halt> {
        let options = options(url, server)?;
        let waiter = Waiter::new()?;
        let asked = waiter.wait(intake, CONNECTS_WITHIN, ask(options, server, server_id, from))?;
        match asked {
            Some(Ok(stream)) => Ok(Dump { stream, waiter, heard: Instant::now(), ended: None }),
            Some(Err(error)) => Err(refused(&error, server)),
            None => Err(failed(format!(
                "the server did not begin to send its binary log within {} s",
                CONNECTS_WITHIN.as_secs()
            ))),
        }
    }

    /// What comes within a moment.
    pub fn next(&mut self, server: &Server, intake: &mut dyn Intake) -> Result<Came, Halt> {
        let Dump { stream, waiter, heard, ended } = self;
        if ended.is_none() {
            match waiter.wait(intake, TICK, gather(stream))? {
                None if heard.elapsed() > SILENCE_MAX => {
                    let seconds = SILENCE_MAX.as_secs();
                    return Err(failed(format!("the server has sent nothing of its binary log for {seconds} s")));
                }
                None => return Ok(Came::Events(Vec::new())),
                Some((events, end)) => {
                    (*heard, *ended) = (Instant::now(), end);
                    // What came before the end is taken first.
                    if !events.is_empty() {
                        return Ok(Came::Events(events));
                    }
                }
            }
        }
        match ended.take() {
            Some(Err(Error::Server(error))) if is_lost(&error) => {
                Ok(Came::Lost(format!("the server has no longer what its binary log had there ({})", error.message)))
            }
            Some(Err(error)) => Err(refused(&error, server)),
            Some(Ok(())) => Err(failed("the server has ended its binary log, as if for good")),
            None => Ok(Came::Events(Vec::new())),
        }
    }
}

/// Whether the place is meant, and not another reader of our number.
fn is_lost(error: &ServerError) -> bool {
    error.code == NO_SUCH_PLACE && !error.message.contains("same server_")
}

/// Collects what is there, and waits only for the first event.
async fn gather(stream: &mut BinlogStream) -> (Vec<Event>, Option<Result<(), Error>>) {
    let (mut events, mut bytes, mut ended) = (Vec::new(), 0, None);
    poll_fn(|context| {
        while events.len() < BATCH_EVENTS && bytes < BATCH_BYTES && ended.is_none() {
            match Pin::new(&mut *stream).poll_next(context) {
                Poll::Ready(Some(Ok(event))) => {
                    bytes += event.data().len();
                    events.push(event);
                }
                Poll::Ready(Some(Err(error))) => ended = Some(Err(error)),
                Poll::Ready(None) => ended = Some(Ok(())),
                Poll::Pending if events.is_empty() => return Poll::Pending,
                Poll::Pending => break,
            }
        }
        Poll::Ready(())
    })
    .await;
    (events, ended)
}

async fn ask(options: Opts, server: &Server, server_id: u32, from: From<'_>) -> Result<BinlogStream, Error> {
    let mut connection = Conn::new(options).await?;
    let nanos = HEARTBEAT.as_nanos();
    connection
        .query_drop(format!("SET @master_heartbeat_period = {nanos}, @source_heartbeat_period = {nanos}"))
        .await?;
    if server.is_mariadb {
        // Without it the server would send what its first versions had, and rewrite each event for it.
        connection.query_drop("SET @mariadb_slave_capability = 4").await?;
    }
    let request = BinlogStreamRequest::new(server_id);
    match from {
        From::Place(position) => {
            let request = request.with_filename(position.file.as_bytes()).with_pos(position.offset);
            connection.get_binlog_stream(request).await
        }
        From::Gtids(gtids) => {
            connection.query_drop(format!("SET @slave_connect_state = '{gtids}', @slave_gtid_strict_mode = 0")).await?;
            connection.get_binlog_stream(request.with_pos(4)).await
        }
    }
}

/// The connection's options: those of the address, as far as this client has them.
fn options(url: &str, server: &Server) -> Result<Opts, Failure> {
    let (plain, _) = url.split_once('?').unwrap_or((url, ""));
    let plain = match plain.split_once("://") {
        Some((_, rest)) => format!("mysql://{rest}"),
        None => plain.to_owned(),
    };
    // What the library says of an address may hold its password.
    let options = Opts::from_url(&plain).map_err(|_| {
        Failure("the url is none of MySQL: write `mysql://user:password@host:3306/database`".to_owned())
    })?;
    let options = OptsBuilder::from_opts(options).prefer_socket(false).stmt_cache_size(0);
    Ok(options.max_allowed_packet(Some(1 << 30)).ssl_opts(ssl(url, server)?).into())
}

/// TLS as the address asks for it, `ssl-mode` and `ssl-ca`; where it does not, as the other connection got it.
fn ssl(url: &str, server: &Server) -> Result<Option<SslOpts>, Failure> {
    let (mut mode, mut ca) = (String::new(), None);
    for (name, value) in address::options(url) {
        match name {
            "ssl-mode" | "sslmode" => mode = value.to_ascii_uppercase(),
            "ssl-ca" | "sslca" => ca = Some(PathBuf::from(value)),
            "ssl-cert" | "sslcert" | "ssl-key" | "sslkey" => {
                return Err(Failure(
                    "change capture cannot show a client's certificate: let its user in by a password, or use `capture: \
                     poll`"
                        .into(),
                ));
            }
            _ => {}
        }
    }
    let roots = ca.map(|path| vec![path.into()]).unwrap_or_default();
    let trusting = SslOpts::default().with_danger_accept_invalid_certs(true).with_danger_skip_domain_validation(true);
    Ok(match mode.as_str() {
        "DISABLED" => None,
        "VERIFY_CA" => Some(SslOpts::default().with_root_certs(roots).with_danger_skip_domain_validation(true)),
        "VERIFY_IDENTITY" => Some(SslOpts::default().with_root_certs(roots)),
        "REQUIRED" => Some(trusting),
        _ => Some(trusting).filter(|_| !server.cipher.is_empty()),
    })
}

/// Why the log does not come.
fn refused(error: &Error, server: &Server) -> Halt {
    let what = "the binary log cannot be read";
    match error {
        Error::Server(error) if matches!(error.code, 1045 | 1227) => {
            failed(format!("{what}: {}. The user needs the right to: `{}`", error.message, grant(server)))
        }
        Error::Server(error) => failed(format!("{what}: {} ({})", error.message, error.code)),
        Error::Io(error) => failed(format!("{what}: the connection broke: {error}")),
        other => failed(format!("{what}: {other}")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_taken_apart_for_this_client() {
        let server = Server::example;
        let url = "mariadb://me:s%40cret@db:3307/shop?ssl-mode=VERIFY_CA&ssl-ca=%2Fetc%2Fa%20ca.pem";
        let options = options(url, &server("")).unwrap();
        assert_eq!((options.ip_or_hostname(), options.tcp_port(), options.pass()), ("db", 3307, Some("s@cret")));
        let tls = options.ssl_opts().unwrap();
        assert!(tls.skip_domain_validation() && !tls.accept_invalid_certs() && tls.root_certs().len() == 1);
        assert!(ssl("", &server("")).unwrap().is_none() && ssl("", &server("AES")).unwrap().is_some());
        assert!(ssl("?ssl-mode=DISABLED", &server("AES")).unwrap().is_none());
        assert!(ssl("?ssl-cert=a", &server("")).unwrap_err().0.contains("capture: poll"));
    }
}
